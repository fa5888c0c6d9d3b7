"""PDFs for tests, good and hostile, made on the spot."""

import io
import math
import zlib
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
    """Return a PDF that needs *user_password* to be opened; none if it is empty."""
    document = _start_document()
    document.set_encryption(owner_password=owner_password, user_password=user_password)
    document.add_page()
    document.multi_cell(0, 16, text)
    return bytes(document.output())


def make_book(page_count: int) -> bytes:
    """Return a PDF of many pages of prose; every fifth page has a ruled table too."""
    document = _start_document()
    words = "It was the best of times, it was the worst of times, it was the age of wisdom"
    for number in range(1, page_count + 1):
        document.add_page()
        document.multi_cell(0, 14, f"Chapter {number}\n" + f"{words}, on page {number}. " * 18, new_x="LMARGIN")
        if number % 5 == 0:
            with document.table() as table:
                for row in range(8):
                    table.row([f"{column}{row} of {number}" for column in "ABCD"])
    return bytes(document.output())


def _start_document() -> FPDF:
    document = FPDF(unit="pt", format="a4")
    document.set_font("Helvetica", size=11)
    return document


# Tables of every kind, for comparing


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


def write_pages(contents: Sequence[bytes]) -> bytes:
    """Return a file with a page for each of *contents*."""
    count = len(contents)
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(count))
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources <<%s>>>>"
    pages = [page % (3 + count + number, FONT) for number in range(count)]
    tree = b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count)
    return write_pdf([CATALOG, tree, *pages, *map(stream, contents)])


def write_grid(columns: int, rows: int, *, width: float = 500, height: float = 700) -> bytes:
    """Return the drawing of a grid of full-length lines."""
    lines = [b"%.3f 40 m %.3f %.3f l" % (40 + x, 40 + x, 40 + height) for x in _steps(columns, width)]
    lines += [b"40 %.3f m %.3f %.3f l" % (40 + y, 40 + width, 40 + y) for y in _steps(rows, height)]
    return b"\n".join(lines) + b"\nS\n"


def _steps(count: int, length: float) -> list[float]:
    return [length * number / count for number in range(count + 1)]


# Hostile ones


def _flate_bomb(block: bytes, repeats: int) -> bytes:
    """Return what inflates to *block* repeated; a full flush makes the compressed blocks independent of each other."""
    compressor = zlib.compressobj(9)
    head = compressor.compress(b"") + compressor.flush(zlib.Z_FULL_FLUSH)
    middle = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + middle * repeats + b"\x03\x00"


def _nested_forms(depth: int, width: int) -> bytes:
    """Each form draws the next *width* times: width ** depth texts out of a few kilobytes."""
    forms = []
    for number in range(depth):
        following = b"<</XObject <</X %d 0 R>>>>" % (number + 6) if number < depth - 1 else b"<<%s>>" % FONT
        content = b"/X Do " * width if number < depth - 1 else HELLO
        forms.append(stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources " + following))
    return write_page(b"/X Do " * width, *forms, resources=b"/XObject <</X 5 0 R>>")


def _flat_pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(3, count + 3))
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>"
    return write_pdf([CATALOG, b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count), *[page] * count])


def _deep_pages(depth: int) -> bytes:
    nodes = [b"<</Type /Pages /Kids [%d 0 R] /Count 1>>" % (number + 3) for number in range(depth)]
    return write_pdf([CATALOG, *nodes, b"<</Type /Page /MediaBox [0 0 9 9]>>"])


def _tree(pages: bytes, page: bytes = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>") -> bytes:
    return write_pdf([CATALOG, pages, page])


def map_letters(*codes: bytes) -> bytes:
    """Return a page whose letters A, B, … between x and y stand for these UTF-16 codes, in hexadecimal."""
    pairs = b"\n".join(b"<%02X> <%s>" % (65 + number, code) for number, code in enumerate(codes))
    cmap = b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange\n"
    cmap += b"%d beginbfchar\n%s\nendbfchar endcmap end" % (len(codes), pairs)
    font = b"/Font <</F2 <</Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 5 0 R>>>>"
    letters = bytes(range(65, 65 + len(codes)))
    return write_page(b"BT /F2 12 Tf 72 720 Td (x%sy) Tj ET" % letters, stream(cmap), resources=font)


def _with_info(info: bytes) -> bytes:
    return write_page(HELLO, info, trailer=b"/Info 5 0 R")


def _linked_xrefs(prev: Callable[[int], int]) -> bytes:
    body = write_page(HELLO)
    start = body.rindex(b"xref\n0 ")
    return body.replace(b"/Size", b"/Prev %d /Size" % prev(start))


def _xref_stream(dictionary: bytes, content: bytes = b"\0" * 40) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n" + CATALOG + b"\nendobj\n2 0 obj\n" + PAGES + b"\nendobj\n"
    table = b"9 0 obj\n" + stream(content, b"/Type /XRef /W [1 2 1] /Root 1 0 R " + dictionary) + b"\nendobj\n"
    return head + table + b"startxref\n%d\n%%%%EOF\n" % len(head)


def _object_stream(dictionary: bytes, content: bytes) -> bytes:
    return write_page(HELLO, stream(content, b"/Type /ObjStm " + dictionary), page=b"/Annots [77 0 R]")


def _staircase(steps: int) -> bytes:
    """Cells that share no line with any other: a table of steps² empty places."""
    boxes = [b"%d %d 4 4 re" % (10 + 4 * number, 10 + 4 * number) for number in range(steps)]
    return write_page(b"\n".join(boxes) + b" S", box=b"[0 0 14400 14400]")


def _make_hostile() -> dict[str, Callable[[], bytes]]:
    good = make_pdf("A page\nof text", "and another")
    zeros = b"\0" * 1_000_000
    blank = b" " * 1_000_000
    flate = b"/Filter /FlateDecode"
    return {
        # Not quite files
        "empty": lambda: b"",
        "header only": lambda: b"%PDF-1.7\n",
        "header and end": lambda: b"%PDF-1.7\n%%EOF\n",
        "random bytes": lambda: b"%PDF-1.4\n" + bytes((i * 7919 + (i >> 3) * 104_729) % 256 for i in range(50_000)),
        "nul bytes": lambda: b"%PDF-1.4\n" + zeros,
        "html": lambda: b"<!doctype html><p>%PDF-1.4 is not here",
        "zip": lambda: b"PK\x03\x04" + bytes(200),
        "junk in front": lambda: b"\n".join(b"junk %d" % i for i in range(2000)) + b"\n" + good,
        "junk behind": lambda: good + b"junk" * 5000,
        "truncated": lambda: good[: len(good) // 2],
        "without its end": lambda: good[:-60],
        "every tenth byte lost": lambda: bytes(byte for i, byte in enumerate(good) if i % 10),
        "carriage returns": lambda: write_page(HELLO).replace(b"\n", b"\r"),
        "a file in a file": lambda: good + good,
        # Page trees
        "no pages": lambda: _tree(b"<</Type /Pages /Kids [] /Count 0>>"),
        "tree without kids": lambda: _tree(b"<</Type /Pages>>"),
        "tree in a circle": lambda: _tree(b"<</Type /Pages /Kids [2 0 R] /Count 1>>"),
        "tree in a wide circle": lambda: _tree(
            b"<</Type /Pages /Kids [3 0 R] /Count 1>>", b"<</Type /Pages /Kids [2 0 R 2 0 R] /Parent 2 0 R /Count 9>>"
        ),
        "a page that is its own parent": lambda: _tree(PAGES, b"<</Type /Page /Parent 3 0 R>>"),
        "two thousand million pages": lambda: _tree(b"<</Type /Pages /Kids [3 0 R] /Count 2147483647>>"),
        "three pages promised": lambda: write_page(HELLO).replace(b"/Count 1", b"/Count 3"),
        "minus five pages": lambda: _tree(b"<</Type /Pages /Kids [3 0 R] /Count -5>>"),
        "count is a name": lambda: _tree(b"<</Type /Pages /Kids [3 0 R] /Count /Many>>"),
        "kids of all sorts": lambda: _tree(b"<</Type /Pages /Kids [3 0 R null 7 (x) [] 99 0 R 1 0 R << >>] /Count 8>>"),
        "a hundred thousand pages": lambda: _flat_pages(100_000),
        "a tree five thousand deep": lambda: _deep_pages(5000),
        "no root": lambda: write_pdf([b"null"]),
        "a root that is a page": lambda: write_pdf([b"<</Type /Page /MediaBox [0 0 9 9]>>"]),
        "boxes beyond floats": lambda: write_page(HELLO + b" 0 0 m 1e30 0 l S", box=b"[-1e38 -1e38 1e38 1e38]"),
        "a box of nothing": lambda: write_page(HELLO + write_grid(2, 2), box=b"[10 10 10 10]"),
        "a box upside down": lambda: write_page(HELLO + write_grid(2, 2), box=b"[612 792 0 0]"),
        "a box of words": lambda: write_page(HELLO, box=b"[/a (b) null [] ]"),
        "turned by one degree": lambda: write_page(HELLO, page=b"/Rotate 1"),
        "turned beyond integers": lambda: write_page(HELLO, page=b"/Rotate 99999999999999999999"),
        # Streams
        "length too long": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 99999999"),
        "length negative": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length -1"),
        "length of itself": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 4 0 R"),
        "flate bomb": lambda: write_page(_flate_bomb(blank, 3000), content_dictionary=flate),
        "flate bomb in a flate bomb": lambda: write_page(
            zlib.compress(_flate_bomb(blank, 3000), 9), content_dictionary=b"/Filter [/FlateDecode /FlateDecode]"
        ),
        "lzw bomb": lambda: write_page(_lzw_bomb(), content_dictionary=b"/Filter /LZWDecode"),
        "run length bomb": lambda: write_page(b"\x81 " * 1_500_000, content_dictionary=b"/Filter /RunLengthDecode"),
        "ascii85 bomb": lambda: write_page(b"z" * 2_000_000 + b"~>", content_dictionary=b"/Filter /ASCII85Decode"),
        "asciihex of nothing": lambda: write_page(b"20" * 1_000_000 + b">", content_dictionary=b"/Filter /AHx"),
        "a hundred filters": lambda: write_page(HELLO, content_dictionary=b"/Filter [" + b"/FlateDecode " * 100 + b"]"),
        "predictor of a thousand million columns": lambda: write_page(
            zlib.compress(zeros),
            content_dictionary=flate + b" /DecodeParms <</Predictor 12 /Columns 1073741824 /Colors 4>>",
        ),
        "images beyond memory": lambda: write_page(
            HELLO + b" /I Do /J Do",
            stream(b"\0", b"/Subtype /Image /Width 2000000000 /Height 2000000000 /Filter /CCITTFaxDecode"),
            stream(b"\xff\x4f\xff\x51", b"/Subtype /Image /Width 65000 /Height 65000 /Filter /JPXDecode"),
            resources=b"/XObject <</I 5 0 R /J 6 0 R>>",
        ),
        "an inline image without end": lambda: write_page(HELLO + b" BI /W 9999 /H 9999 /BPC 8 /CS /G ID \x00\x01"),
        # Cross references
        "xref in a circle": lambda: _linked_xrefs(lambda start: start),
        "xref into the void": lambda: _linked_xrefs(lambda start: 99_999_999_999),
        "xref of two thousand million": lambda: write_page(HELLO).replace(b"xref\n0 5", b"xref\n0 2147483647"),
        "xref stream of itself": lambda: _xref_stream(b"/Size 10 /Prev 96"),
        "xref stream beyond memory": lambda: _xref_stream(b"/Size 2147483647 /Index [0 2147483647]"),
        "xref stream of wide fields": lambda: _xref_stream(b"/Size 9 /W [99999999 99999999 99999999]"),
        "objects beyond memory": lambda: _object_stream(b"/N 1000000000 /First 1000000000", b"77 0 << >>"),
        "objects in a circle": lambda: _object_stream(b"/N 1 /First 5 /Extends 5 0 R", b"77 0 77 0 R"),
        # Contents
        "forms in forms": lambda: _nested_forms(10, 10),
        "forms in forms, a thousand deep": lambda: _nested_forms(1000, 1),
        "a form in itself": lambda: write_page(
            b"/X Do",
            stream(b"/X Do /X Do", b"/Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X 5 0 R>>>>"),
            resources=b"/XObject <</X 5 0 R>>",
        ),
        "a letter drawn by itself": lambda: write_page(
            b"BT /T 12 Tf 9 9 Td (aaaa) Tj ET",
            b"<</Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 /LastChar 97"
            b" /Widths [9] /Encoding <</Differences [97 /a]>> /CharProcs <</a 6 0 R>> /Resources 7 0 R>>",
            stream(b"9 0 d0 BT /T 12 Tf (aaaaaaaa) Tj ET"),
            b"<</Font <</T 5 0 R>>>>",
            resources=b"/Font <</T 5 0 R>>",
        ),
        "three million saved states": lambda: write_page(zlib.compress(b"q " * 3_000_000), content_dictionary=flate),
        "brackets a million deep": lambda: write_page(b"[" * 1_000_000 + HELLO),
        "dictionaries a hundred thousand deep": lambda: _with_info(b"<</Title " * 100_000 + b">>" * 100_000),
        "a grid of 2000 by 2000 lines": lambda: write_page(write_grid(2000, 2000) + HELLO),
        "a grid of 500 by 500 cells": lambda: write_page(
            write_grid(500, 500, width=3000, height=3000) + HELLO, box=b"[0 0 3100 3100]"
        ),
        "a grid beyond the page": lambda: write_page(write_grid(200, 200, width=1e6, height=1e6) + HELLO),
        "a staircase": lambda: _staircase(3000),
        "two million line segments": lambda: write_page(
            zlib.compress(b"0 0 m " + b"9 9 l 0 9 l " * 1_000_000 + b"S"), content_dictionary=flate
        ),
        "a hundred thousand boxes": lambda: write_page(
            zlib.compress(b"".join(b"%d %d 9 9 re S " % (i % 997, i % 991) for i in range(100_000))),
            content_dictionary=flate,
        ),
        "lines of no length": lambda: write_page(b"5 5 m 5 5 l S " * 5000 + b"0 0 0 0 re S " * 5000),
        "coordinates beyond floats": lambda: write_page(
            b"1e400 -1e400 m 99999999999999999999999999999999999999999999 nan l 1 1 l h S 0 0 inf inf re S"
        ),
        "matrices without room": lambda: write_page(
            b"0 0 0 0 0 0 cm " + write_grid(5, 5) + b"BT /F1 0 Tf 0 Tz 0 0 0 0 0 0 Tm (none) Tj /F1 1e38 Tf (x) Tj ET"
        ),
        "matrices beyond floats": lambda: write_page(b"1e20 0 0 1e20 0 0 cm " * 5 + write_grid(5, 5) + HELLO),
        "letters and lines beyond floats": lambda: write_page(
            write_grid(3, 3)
            + HELLO
            + b" BT /F1 12 Tf 1e38 0 0 1e38 1e38 1e38 Tm (far away) Tj 1e30 0 0 1 72 720 Tm (x)"
            b" Tj ET q 1e38 0 0 1e38 0 0 cm 1e38 0 0 1e38 0 0 cm 0 0 9 9 re 0 0 m 9 0 l S Q"
        ),
        "more letters than a page has": lambda: write_page(
            zlib.compress(b"BT /F1 1 Tf 9 9 Td " + b"(" + b"abcdefghi " * 600_000 + b") Tj ET"),
            content_dictionary=flate,
        ),
        "operators without operands": lambda: write_page(b"Tj TJ re m l c h S cm Do gs Tf Tm ' \" EMC ET Q " * 2000),
        "a font of unknown kind": lambda: write_page(
            b"BT /F9 12 Tf (a) Tj ET", resources=b"/Font <</F9 <</Type /Font /Subtype /Nonsense>>>>"
        ),
        # Text that cannot be stored, and metadata
        "letters that are no characters": lambda: map_letters(b"0000", b"FFFF", b"D800", b"DC00", b"FFFE", b"0002"),
        "a letter of many characters": lambda: map_letters(b"0041" * 60_000),
        "metadata of all sorts": lambda: _with_info(
            b"<</Title [1 2] /Author 5 0 R /Subject << >> /Keywords 7 /Creator (a\\000b\\001) /Producer <FEFFD800>"
            b" /CreationDate (not a date) /ModDate <FEFF0000FFFF>>>"
        ),
        "metadata of five megabytes": lambda: _with_info(b"<</Title (" + b"x" * 5_000_000 + b")>>"),
        "metadata with bad bytes": lambda: _with_info(b"<</Title <EFBBBFFFFE80> /Author <FFFE00D8> /Bad\\FF (x)>>"),
        # Locks, scripts, baggage
        "a password": lambda: make_encrypted_pdf("secret", user_password="open sesame"),
        "an empty password": lambda: make_encrypted_pdf("no secret"),
        "an unknown lock": lambda: write_page(
            HELLO, trailer=b"/Encrypt <</Filter /Nobody /V 99 /R 99>> /ID [<00> <00>]"
        ),
        "a lock within a lock": lambda: write_page(
            HELLO, b"<</Filter /Standard /V 5 0 R /R 5 0 R /O 5 0 R /U 5 0 R /P 5 0 R>>", trailer=b"/Encrypt 5 0 R"
        ),
        "scripts": lambda: write_page(
            HELLO,
            page=b"/AA <</O <</S /JavaScript /JS (while(1);)>>>>"
            b" /Annots [<</Subtype /Widget /A <</S /Launch /F (sh)>>>>]",
        ),
        "attachments": lambda: write_pdf(
            [
                b"<</Type /Catalog /Pages 2 0 R /Names <</EmbeddedFiles <</Names [(a) 4 0 R] /Kids [1 0 R]>>>>>>",
                PAGES,
                b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>",
                b"<</Type /Filespec /F (../../etc/passwd) /EF <</F 5 0 R>>>>",
                stream(_flate_bomb(zeros, 1000), flate),
            ]
        ),
        "notes in a circle": lambda: write_page(
            HELLO,
            b"<</Subtype /Popup /Parent 5 0 R /Popup 5 0 R /Rect [0 0 1e38 1] /AP <</N 5 0 R>>>>",
            page=b"/Annots [5 0 R 5 0 R]",
        ),
        "an xfa form": lambda: write_pdf(
            [b"<</Type /Catalog /Pages 2 0 R /AcroForm <</XFA [(a) 4 0 R] /Fields [1 0 R]>>>>", PAGES, PAGES, b"7"]
        ),
    }


def _lzw_bomb() -> bytes:
    """Return a table-filling LZW stream, clearing and filling again: codes ever longer, all of blanks."""
    bits = ""
    for _ in range(60):
        bits += f"{256:09b}{32:09b}"
        for code in range(258, 4094):
            width = 9 + (code > 511) + (code > 1023) + (code > 2047)
            bits += f"{code:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


HOSTILE = _make_hostile()


@cache
def make_hostile(name: str) -> bytes:
    return HOSTILE[name]()
