"""Good PDFs for tests, made on the spot; hostile.py has the others."""

import io
import math
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from fpdf import FPDF
from reportlab.lib.colors import black, lightgrey  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from reportlab.platypus import Table, TableStyle  # type: ignore[import-untyped]

# Good ones


def make_pdf(*pages: str, title: str = "") -> bytes:
    """Return a PDF with one page for each text; lines end at newlines."""
    document = _start_document()
    if title:
        document.set_title(title)
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(0, 16, text)
    return bytes(document.output())


def make_table_pdf(rows: Sequence[Sequence[str]], *, text: str = "") -> bytes:
    """Return a PDF with *text* above a ruled table."""
    document = _start_document()
    document.add_page()
    if text:
        document.multi_cell(0, 16, text, new_x="LMARGIN", new_y="NEXT")
    with document.table() as table:
        for row in rows:
            table.row(row)
    return bytes(document.output())


def write_turned(lines: Sequence[str], degrees: int, *, x: float, y: float, by_word: bool = False) -> bytes:
    """Return what draws *lines* turned anticlockwise, the first from x, y; each line, or each word, by itself."""
    cos, sin = round(math.cos(math.radians(degrees))), round(math.sin(math.radians(degrees)))
    drawn = []
    for number, line in enumerate(lines):
        along = 0
        for part in line.split() if by_word else [line]:
            left, up = x + along * cos + 14 * number * sin, y + along * sin - 14 * number * cos
            drawn.append(f"BT /F1 12 Tf {cos} {sin} {-sin} {cos} {left} {up} Tm ({part}) Tj ET")
            along += 8 * len(part) + 6
    return " ".join(drawn).encode()


def make_encrypted_pdf(text: str, *, user_password: str = "", owner_password: str = "owner") -> bytes:
    """Return a PDF that opens with *user_password*, or without one if that is empty."""
    document = _start_document()
    document.set_encryption(owner_password=owner_password, user_password=user_password)
    document.add_page()
    document.multi_cell(0, 16, text)
    return bytes(document.output())


@cache
def make_book(page_count: int) -> bytes:
    """Return a PDF of many pages of prose; every fifth page has a ruled table too."""
    document = _start_document()
    words = "It was the best of times, it was the worst of times, it was the age of wisdom"
    for number in range(1, page_count + 1):
        document.add_page()
        for line in [f"Chapter {number}", *textwrap.wrap(f"{words}, on page {number}. " * 18, 100)]:
            document.cell(0, 14, line, new_x="LMARGIN", new_y="NEXT")  # not multi_cell: it takes five times as long
        if number % 5 == 0:
            with document.table() as table:
                for row in range(8):
                    table.row([f"{column}{row} of {number}" for column in "ABCD"])
    return bytes(document.output())


def make_labelled_pdf() -> bytes:
    """Return a PDF of four pages that it calls i, ii, 1 and A-1; the last one is landscape."""
    document = _start_document()
    for style, prefix, first, orientation in (
        ("r", None, 1, "portrait"),
        ("r", None, 2, "portrait"),
        ("D", None, 1, "portrait"),
        ("D", "A-", 1, "landscape"),
    ):
        document.add_page(orientation=orientation, label_style=style, label_prefix=prefix, label_start=first)
        document.multi_cell(0, 16, "a page")
    return bytes(document.output())


def _start_document() -> FPDF:
    document = FPDF(unit="pt", format="a4")
    document.set_font("Helvetica", size=11)
    return document


# Tables of every kind, to compare with pdfplumber


ROWS = [
    ["Name", "Ort", "Größe m"],
    ["Alice Über", "am Fluss\nlinks", "1,250.00"],
    ["Bob", "", "(7) %"],
    ["x", "y-z", "0"],
]


def _draw_table(canvas: Canvas, x: float = 72, y: float = 500, *, style: Sequence[Any] = (), size: float = 10) -> None:
    table = Table(ROWS)
    table.setStyle(TableStyle([("FONTSIZE", (0, 0), (-1, -1), size), *style]))
    table.wrapOn(canvas, 500, 700)
    table.drawOn(canvas, x, y)


GRID = [("GRID", (0, 0), (-1, -1), 0.5, black)]
BOXES = [("INNERGRID", (0, 0), (-1, -1), 0.25, black), ("BOX", (0, 0), (-1, -1), 3, black)]
RULES = [("LINEABOVE", (0, 0), (-1, -1), 1, black), ("LINEBEFORE", (0, 0), (-1, -1), 1, black)]
SPANS = [*GRID, ("SPAN", (0, 0), (1, 0)), ("SPAN", (2, 1), (2, 2)), ("BACKGROUND", (0, 0), (-1, 0), lightgrey)]


def _draw_in_forms(canvas: Canvas) -> None:
    canvas.beginForm("inner")
    _draw_table(canvas, style=GRID)
    canvas.endForm()
    canvas.beginForm("outer")
    canvas.translate(20, -30)
    canvas.scale(0.9, 0.9)
    canvas.doForm("inner")
    canvas.endForm()
    canvas.doForm("outer")


def _draw_curves(canvas: Canvas) -> None:
    canvas.roundRect(72, 500, 200, 80, 2)
    canvas.line(72, 540, 272, 540)
    canvas.line(160, 500, 160, 580)
    for x, y, text in ((80, 550, "round"), (170, 550, "corners"), (80, 510, "one"), (170, 510, "two")):
        canvas.drawString(x, y, text)


def _draw_filled_boxes(canvas: Canvas) -> None:
    for column in range(3):
        for row in range(4):
            canvas.setFillGray(0.9)
            canvas.rect(72 + 60 * column, 500 + 20 * row, 59, 19, stroke=0, fill=1)
            canvas.setFillGray(0)
            canvas.drawString(76 + 60 * column, 505 + 20 * row, f"{column}/{row}")


def _draw_by_hand(canvas: Canvas) -> None:
    for row in range(4):
        canvas.line(72, 500 + 30 * row, 300.5, 500 + 30 * row)
    for column in range(3):
        canvas.line(72 + 114 * column, 498, 73 + 114 * column, 592)  # leaning a little, and too long
    canvas.drawString(80, 510, "leaning")
    canvas.drawString(200, 570, "lines")


def _draw_two_tables(canvas: Canvas) -> None:
    _draw_table(canvas, y=600, style=BOXES, size=8)
    _draw_table(canvas, x=300, y=600, style=RULES)
    _draw_table(canvas, y=300, style=SPANS)
    canvas.drawString(72, 250, "and text below")


def _turned(degrees: float) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        canvas.translate(300, 400)
        canvas.rotate(degrees)
        canvas.translate(-200, -550)
        _draw_table(canvas, style=GRID)

    return draw


def _on_turned_page(degrees: int) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(degrees)
        _draw_table(canvas, style=SPANS)

    return draw


GALLERY: dict[str, Callable[[Canvas], None]] = {
    "grid": lambda canvas: _draw_table(canvas, style=GRID),
    "heavy box": lambda canvas: _draw_table(canvas, style=BOXES),
    "rules above and before": lambda canvas: _draw_table(canvas, style=RULES),
    "spans": lambda canvas: _draw_table(canvas, style=SPANS),
    "no lines": lambda canvas: _draw_table(canvas),
    "two side by side, one below": _draw_two_tables,
    "forms in forms": _draw_in_forms,
    "curves": _draw_curves,
    "filled boxes": _draw_filled_boxes,
    "drawn by hand": _draw_by_hand,
    "turned left": _turned(90),
    "turned right": _turned(-90),
    "upside down": _turned(180),
    "askew": _turned(20),
    "page turned by 90": _on_turned_page(90),
    "page turned by 180": _on_turned_page(180),
    "page turned by 270": _on_turned_page(270),
}


# Those that lie on their side, and how they stand: pdfplumber reads their cells backwards
UPRIGHT = {
    "turned left": "grid",
    "turned right": "grid",
    "upside down": "grid",
    "page turned by 90": "spans",
    "page turned by 180": "spans",
    "page turned by 270": "spans",
}


def draw_gallery(name: str, *, box: bytes = b"0 0 612 792") -> bytes:
    """Return a PDF of one page that shows the tables of that name; *box* is its media box."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(612, 792))
    GALLERY[name](canvas)
    canvas.save()
    return file.getvalue().replace(b"/MediaBox [ 0 0 612 792 ]", b"/MediaBox [ %s ]" % box)


# Written by hand


def stream(content: bytes, dictionary: bytes = b"") -> bytes:
    return b"<<%s /Length %d>>\nstream\n%s\nendstream" % (dictionary, len(content), content)


def write_pdf(objects: Sequence[bytes], *, trailer: bytes = b"", root: bytes = b"1 0 R") -> bytes:
    """Return a file of *objects* (number 1, 2, …) with a true cross-reference table."""
    body = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"trailer\n<</Size %d /Root %s %s>>\n" % (len(objects) + 1, root, trailer)
    return bytes(body + b"startxref\n%d\n%%%%EOF\n" % start)


CATALOG = b"<</Type /Catalog /Pages 2 0 R>>"
PAGES = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
FONT = b"/Font <</F1 <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>>>"
HELLO = b"BT /F1 12 Tf 72 720 Td (Hello) Tj ET"
SCAN = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"  # a picture, all over the page


def write_page(
    content: bytes,
    *others: bytes,
    box: bytes = b"[0 0 612 792]",
    resources: bytes = b"",
    page: bytes = b"",
    content_dictionary: bytes = b"",
    trailer: bytes = b"",
) -> bytes:
    """Return a file of one page that draws *content* (object 4); *others* are the objects from 5 on."""
    return write_pdf(
        [
            CATALOG,
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox %s /Contents 4 0 R /Resources <<%s %s>> %s>>"
            % (box, FONT, resources, page),
            stream(content, content_dictionary),
            *others,
        ],
        trailer=trailer,
    )


def write_pages(contents: Sequence[bytes], *, box: bytes = b"[0 0 612 792]") -> bytes:
    """Return a file with a page for each of *contents*."""
    count = len(contents)
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(count))
    page = b"<</Type /Page /Parent 2 0 R /MediaBox %s /Contents %d 0 R /Resources <<%s>>>>"
    pages = [page % (box, 3 + count + number, FONT) for number in range(count)]
    tree = b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count)
    return write_pdf([CATALOG, tree, *pages, *map(stream, contents)])


def write_grid(columns: int, rows: int, *, width: float = 500, height: float = 700) -> bytes:
    """Return the drawing of a grid of full-length lines."""
    lines = [b"%.3f 40 m %.3f %.3f l" % (40 + x, 40 + x, 40 + height) for x in _steps(columns, width)]
    lines += [b"40 %.3f m %.3f %.3f l" % (40 + y, 40 + width, 40 + y) for y in _steps(rows, height)]
    return b"\n".join(lines) + b"\nS\n"


def _steps(count: int, length: float) -> list[float]:
    return [length * number / count for number in range(count + 1)]


def map_letters(*codes: bytes, content: bytes = b"") -> bytes:
    """Return a page whose letters A, B, … in the font F2 stand for these UTF-16 codes, in hexadecimal.

    It shows *content*, or all the letters between x and y.
    """
    pairs = b"\n".join(b"<%02X> <%s>" % (65 + number, code) for number, code in enumerate(codes))
    cmap = b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange\n"
    cmap += b"%d beginbfchar\n%s\nendbfchar endcmap end" % (len(codes), pairs)
    helvetica = b"/Type /Font /Subtype /Type1 /BaseFont /Helvetica"
    font = b"/Font <</F1 <<%s>> /F2 <<%s /ToUnicode 5 0 R>>>>" % (helvetica, helvetica)
    letters = bytes(range(65, 65 + len(codes)))
    shown = content or b"BT /F2 12 Tf 72 720 Td (x%sy) Tj ET" % letters
    return write_page(shown, stream(cmap), resources=font)
