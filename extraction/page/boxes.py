"""Boxes to tick, and round ones to choose from, for which a form has no appearance: PDFium draws none for them."""

from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream

MAXIMUM_FIELDS = 5_000  # of a form; more are not looked at
_PUSHED, _ROUND = 1 << 16, 1 << 15  # flags of buttons
_TICK, _DOT = "4", "l"  # of Zapf Dingbats
_BORDER = "%s 1 w 0.5 0.5 %.2f %.2f re S "
_SIGN = "BT 0 g /ZaDb %.2f Tf %.2f %.2f Td (%s) Tj ET"
HEIGHT = 0.8  # of the box, that the sign has
SHAPE = 0.72  # of its size: how wide and high a sign is


def draw_boxes(pdf: pikepdf.Pdf) -> bool:
    """Give the boxes of a form that asks for appearances one, if they lack it; return whether there are any."""
    form = pdf.Root.get("/AcroForm", None)
    if not isinstance(form, Dictionary) or not form.get("/NeedAppearances", False):
        return False
    is_drawn = False
    for field, kind, flags, value in _list_fields(form):
        if kind != Name.Btn or flags & _PUSHED or "/Rect" not in field or "/N" in field.get("/AP", {}):
            continue
        state = field.get("/AS", value)
        is_on = isinstance(state, Name) and state != Name.Off
        state = state if is_on else Name.Off
        field.AP = Dictionary(N=Dictionary({str(state): _draw(pdf, field, is_on=is_on, is_round=bool(flags & _ROUND))}))
        field.AS = state
        is_drawn = True
    if is_drawn:
        del form.NeedAppearances  # for which PDFium would draw them as lines
    return is_drawn


def _list_fields(form: Dictionary) -> Iterator[tuple[Any, Any, int, Any]]:
    """Yield the fields, down to the boxes that are parts of one, with the kind, the flags and the value they have."""
    waiting: list[tuple[Any, Any, Any, Any]] = [(field, None, 0, None) for field in form.get("/Fields", Array())]
    for _ in range(MAXIMUM_FIELDS):
        if not waiting:
            return
        field, kind, flags, value = waiting.pop()
        if not isinstance(field, Dictionary):
            continue
        kind, flags = field.get("/FT", kind), field.get("/Ff", flags)
        kids = field.get("/Kids", None)
        if isinstance(kids, Array):
            waiting += [(kid, kind, flags, None) for kid in kids]
        else:
            yield field, kind, int(flags), field.get("/V", value)


def _draw(pdf: pikepdf.Pdf, field: Any, *, is_on: bool, is_round: bool) -> Stream:
    x0, y0, x1, y1 = map(float, field.Rect)
    width, height = abs(x1 - x0), abs(y1 - y0)
    about = field.get("/MK", {})
    drawn = ""
    border = [float(part) for part in about.get("/BC", ())]
    if len(border) in {1, 3}:
        color = " ".join(f"{part:.3f}" for part in border) + (" G" if len(border) == 1 else " RG")
        drawn += _BORDER % (color, width - 1, height - 1)
    if is_on:
        sign = str(about.get("/CA", "")) or (_DOT if is_round else _TICK)
        size = HEIGHT * min(width, height)
        place = ((width - SHAPE * size) / 2, (height - SHAPE * size) / 2)
        drawn += _SIGN % (size, *place, sign[0].replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)"))
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.ZapfDingbats)
    return Stream(
        pdf,
        drawn.encode("latin-1", "replace"),
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=[0, 0, width, height],
        Resources=Dictionary(Font=Dictionary(ZaDb=font)),
    )
