"""Pages of words at chosen places, and rules between them."""

import io
from collections.abc import Sequence

from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

Rule = tuple[float, float, float, float]  # x0, y0, x1, y1, y upwards


def draw_rows(
    rows: Sequence[Sequence[str]],
    places: Sequence[float],
    *,
    right: bool = False,
    top: float = 700,
    step: float = 16,
    rules: Sequence[Rule] = (),
    bands: Sequence[Rule] = (),
    white: Sequence[Rule] = (),
    above: Sequence[str] = (),
    turned: float = 0,
) -> bytes:
    """Return a page with the cells of each row at these places: the left edges of columns, or, if *right*, the right
    edges of all but the first. *bands* are grey boxes behind them, *white* are white rules on these. *above* are lines
    from 40 points above on; *turned* are degrees, anticlockwise.
    """
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(792, 792), invariant=True)
    canvas.translate(396, 396)
    canvas.rotate(turned)
    canvas.translate(-396, -396)
    canvas.setFillGray(0.85)
    for x0, y0, x1, y1 in bands:
        canvas.rect(x0, y0, x1 - x0, y1 - y0, stroke=0, fill=1)
    canvas.setFillGray(0)
    canvas.setStrokeGray(1)
    for rule in white:
        canvas.line(*rule)
    canvas.setStrokeGray(0)
    draw_on(canvas, rows, places, right=right, top=top, step=step)
    for number, line in enumerate(above):
        canvas.drawString(places[0], top + 40 - 12 * number, line)
    for rule in rules:
        canvas.line(*rule)
    canvas.save()
    return target.getvalue()


def draw_on(
    canvas: Canvas,
    rows: Sequence[Sequence[str]],
    places: Sequence[float],
    *,
    right: bool = False,
    top: float = 700,
    step: float = 16,
) -> None:
    canvas.setFont("Helvetica", 10)
    for number, row in enumerate(rows):
        for column, (place, cell) in enumerate(zip(places, row, strict=False)):
            draw = canvas.drawRightString if right and column else canvas.drawString
            draw(place, top - step * number, cell)


def level_rules(heights: Sequence[float], x0: float, x1: float) -> list[Rule]:
    return [(x0, y, x1, y) for y in heights]


def upright_rules(places: Sequence[float], y0: float, y1: float) -> list[Rule]:
    return [(x, y0, x, y1) for x in places]
