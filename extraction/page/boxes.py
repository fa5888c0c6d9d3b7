"""Boxes to tick, and round ones to choose from, for which a form has no appearance: PDFium draws none for them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream

MAXIMUM_FIELDS = 5_000  # of a form; more are not looked at
_PUSHED, _ROUND = 1 << 16, 1 << 15  # flags of buttons
_MALFORMED = (pikepdf.PdfError, AttributeError, IndexError, KeyError, TypeError, ValueError)  # what a field may raise
_TICK, _DOT = "4", "l"  # of Zapf Dingbats
_BORDER = "%s 1 w 0.5 0.5 %.2f %.2f re S "
_SIGN = "BT 0 g /ZaDb %.2f Tf %.2f %.2f Td (%s) Tj ET"
HEIGHT = 0.8  # of the box, that the sign has
SHAPE = 0.72  # of its size: how wide and high a sign is


def draw_boxes(pdf: pikepdf.Pdf) -> bool:
    """Give the boxes of a form that asks for appearances one, if they lack it; return whether it has boxes.

    PDFium would draw those that have one anew, as lines, so the form asks no more; fields of text lose what they look
    like instead, which makes PDFium draw them.
    """
    form = pdf.Root.get("/AcroForm", None)
    if not isinstance(form, Dictionary) or not form.get("/NeedAppearances", False):
        return False
    has_boxes = False
    written: list[Any] = []
    for field, kind, flags, value in _list_fields(form):
        if kind in (Name.Tx, Name.Ch):
            written.append(field)
        elif kind == Name.Btn and "/Rect" in field and not flags & _PUSHED:
            with contextlib.suppress(*_MALFORMED):
                _show_state(pdf, field, value, is_round=bool(flags & _ROUND))
                has_boxes = True
    if has_boxes:
        del form.NeedAppearances
        for field in written:
            if "/AP" in field:
                del field.AP
    return has_boxes


def has_places(form: Any) -> bool:
    """Whether a field of the form stands on a page."""
    return any("/Rect" in field for field, *_ in _list_fields(form))


def _show_state(pdf: pikepdf.Pdf, field: Any, value: Any, *, is_round: bool) -> None:
    """Make a box show whether it is on."""
    states = field.get("/AP", Dictionary()).get("/N", None)
    # of several boxes of a field, only their appearances say which of them its value means
    state = field.get("/AS", value if states is not None else field.get("/V", None))
    is_on = isinstance(state, Name) and state != Name.Off
    if states is None:
        state = state if is_on else Name.Off
        field.AP = Dictionary(N=Dictionary({str(state): _draw(pdf, field, is_on=is_on, is_round=is_round)}))
    elif not is_on or state not in states:
        state = Name.Off
    field.AS = state


def _list_fields(form: Any) -> Iterator[tuple[Any, Any, int, Any]]:
    """Yield the fields, down to the boxes that are parts of one, with the kind, the flags and the value they have."""
    waiting: list[tuple[Any, Any, Any, Any]] = [(field, None, 0, None) for field in form.get("/Fields", Array())]
    for _ in range(MAXIMUM_FIELDS):
        if not waiting:
            return
        field, kind, flags, value = waiting.pop()
        if not isinstance(field, Dictionary):
            continue
        kind, flags, value = field.get("/FT", kind), field.get("/Ff", flags), field.get("/V", value)
        kids = field.get("/Kids", None)
        if isinstance(kids, Array):
            waiting += [(kid, kind, flags, value) for kid in kids]
        else:
            yield field, kind, flags if isinstance(flags, int) else 0, value


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
