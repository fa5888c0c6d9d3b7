"""Broken and hostile PDFs by name, made on the spot: the same bytes in every run, none of more than a few megabytes."""

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

from support.pdfs import (
    CATALOG,
    FONT,
    HELLO,
    PAGES,
    make_encrypted_pdf,
    make_pdf,
    map_letters,
    stream,
    write_grid,
    write_page,
    write_pages,
    write_pdf,
)

Makers = dict[str, Callable[[], bytes]]

GOOD = make_pdf("A page\nof text", "and another")
ZEROS = b"\0" * 1_000_000
BLANK = b" " * 1_000_000
FLATE = b"/Filter /FlateDecode"


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


def _deflated(content: bytes, *others: bytes, resources: bytes = b"", page: bytes = b"") -> bytes:
    """Return a page of much to draw in a small file."""
    return write_page(zlib.compress(content), *others, resources=resources, page=page, content_dictionary=FLATE)


def _packed(objects: Sequence[bytes], *streams: bytes, table: bytes = b"", bag: bytes | None = None) -> bytes:
    """Return a file of *objects* (number 1, 2, …) in a deflated object stream, then *streams*.

    *table* and *bag* are to stand for the compressed cross-reference and object streams.
    """
    lengths = [0, *(len(content) + 1 for content in objects)]
    index = b" ".join(b"%d %d" % (number, sum(lengths[:number])) for number in range(1, len(lengths))) + b"\n"
    content = zlib.compress(index + b"\n".join(objects) + b"\n") if bag is None else bag
    holder = len(objects) + len(streams) + 1
    rows = [struct.pack(">BIH", 0, 0, 65535)]
    rows += [struct.pack(">BIH", 2, holder, number) for number in range(len(objects))]
    file = bytearray(b"%PDF-1.7\n")
    held = stream(content, b"/Type /ObjStm /N %d /First %d %s" % (len(objects), len(index), FLATE))
    for number, following in enumerate((*streams, held), start=len(objects) + 1):
        rows.append(struct.pack(">BIH", 1, len(file), 0))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, following)
    start = len(file)
    rows.append(struct.pack(">BIH", 1, start, 0))
    references = stream(
        table or zlib.compress(b"".join(rows)),
        b"/Type /XRef /W [1 4 2] /Size %d /Root 1 0 R %s" % (len(rows), FLATE),
    )
    return bytes(file + b"%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (holder + 1, references, start))


def _packed_page(page: bytes, *others: bytes, content: bytes = HELLO) -> bytes:
    """Return a file whose page object is large; *others* are the objects from 4 on, the last one draws *content*."""
    number = 4 + len(others)
    resources = b"/Resources <<%s>>" % FONT
    head = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] %s " % resources
    if b"/Contents" not in page:
        head += b"/Contents %d 0 R " % number
    return _packed([CATALOG, PAGES, head + page + b">>", *others], stream(content))


def _same_page(times: int, content: bytes = HELLO) -> bytes:
    """Return a book of so many pages, all of them the same object."""
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%s>>>>" % FONT
    pages = b"<</Type /Pages /Kids [%s] /Count %d>>" % (b"3 0 R " * times, times)
    return _packed([CATALOG, pages, page], stream(zlib.compress(content), FLATE))


def _doubling_pages(depth: int) -> bytes:
    """Return a tree of which each node has the next one twice: 2 ** depth pages out of a few kilobytes."""
    nodes = [
        b"<</Type /Pages /Kids [%d 0 R %d 0 R] /Count %d>>" % (number + 3, number + 3, 2 ** (depth - number))
        for number in range(depth)
    ]
    return write_pdf([CATALOG, *nodes, b"<</Type /Page /MediaBox [0 0 9 9]>>"])


def _image(dictionary: bytes, content: bytes, *others: bytes) -> bytes:
    """Return a page with a picture and a word."""
    return write_page(
        b"q 500 0 0 500 50 50 cm /I Do Q " + HELLO,
        stream(content, b"/Type /XObject /Subtype /Image " + dictionary),
        *others,
        resources=b"/XObject <</I 5 0 R>>",
    )


def _jpeg(width: int, height: int) -> bytes:
    """Return the head of a JPEG of this size, and nothing of its picture."""
    tables = b"\xff\xdb\0\x43\0" + b"\x01" * 64
    frame = struct.pack(">BHH", 8, height, width) + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    scan = b"\x03\x01\0\x02\0\x03\0\0\x3f\0"
    huffman = b"\xff\xc4\0\x14\0\x01" + bytes(15) + b"\0" + b"\xff\xc4\0\x14\x10\x01" + bytes(15) + b"\0"
    return (
        b"\xff\xd8" + tables + b"\xff\xc0\0\x11" + frame + huffman + b"\xff\xda\0\x0c" + scan + b"\0" * 50 + b"\xff\xd9"
    )


def _jpeg2000(width: int, height: int) -> bytes:
    sizes = struct.pack(">H8I", 0, width, height, 0, 0, width, height, 0, 0)
    size = b"\xff\x51" + struct.pack(">H", 41) + sizes + b"\0\x01\x07\x01\x01"
    return b"\xff\x4f" + size + b"\xff\x52\0\x0c\0\0\0\x01\0\x05\x04\x04\0\0" + b"\xff\x93" + bytes(99) + b"\xff\xd9"


def _jbig2(width: int, height: int, length: int) -> bytes:
    page = struct.pack(">IIIIBH", width, height, 0, 0, 0, 0x8000)
    region = struct.pack(">IIIIB", width, height, 0, 0, 0) + b"\x08\x03\xff\xfd\xff\x02\xfe\xfe\xfe" + bytes(20)
    return struct.pack(">IBBBI", 0, 48, 0, 1, len(page)) + page + struct.pack(">IBBBI", 1, 38, 0, 1, length) + region


def _painted(pattern: bytes, *others: bytes) -> bytes:
    """Return a page filled with a pattern, object 5."""
    return write_page(
        b"/Pattern cs /P scn 0 0 612 792 re f " + HELLO, pattern, *others, resources=b"/Pattern <</P 5 0 R>>"
    )


def _shaded(shading: bytes, *others: bytes) -> bytes:
    """Return a page filled with a shading, object 5."""
    return write_page(b"/S sh " + HELLO, shading, *others, resources=b"/Shading <</S 5 0 R>>")


def _tiled(steps: bytes, content: bytes = b"0 0 1 1 re f") -> bytes:
    kind = b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 2 2] /Resources <</Pattern <</P 5 0 R>>>> "
    return _painted(stream(content, kind + steps))


def _masked(resources: bytes, count: int = 1) -> bytes:
    """Return a page under a soft mask, whose group has these *resources*."""
    group = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group <</S /Transparency /CS /DeviceGray>> "
    masks = [
        stream(b"/G%d gs 0 0 612 792 re f" % (number + 1), group + b"/Resources <<%s>>" % resources)
        for number in range(count)
    ]
    return write_page(
        b"/G0 gs 0 0 612 792 re f " + HELLO,
        b"<<%s>>"
        % b" ".join(b"/G%d <</SMask <</S /Luminosity /G %d 0 R>>>>" % (n, n % count + 6) for n in range(count + 1)),
        *masks,
        resources=b"/ExtGState 5 0 R",
    )


def _lettered(font: bytes, *others: bytes) -> bytes:
    """Return a page written in a font, object 5."""
    return write_page(b"BT /F2 12 Tf 72 720 Td (hello) Tj ET", font, *others, resources=b"/Font <</F2 5 0 R>>")


def _in_no_font(content: bytes, *, box: bytes) -> bytes:
    """Return a page that PDFium cannot read, for want of a font: pdfplumber does, whose numbers have no limits."""
    return write_page(
        b"BT /F2 12 Tf 10 10 Td <82a0> Tj <82a2> Tj <82a4> Tj ET " + content,
        b"<</Type /Font /Subtype /Type0 /BaseFont /Nowhere /Encoding /90ms-RKSJ-H /DescendantFonts [6 0 R]>>",
        b"<</Type /Font /Subtype /CIDFontType2 /BaseFont /Nowhere /FontDescriptor 7 0 R /DW 1000"
        b" /CIDSystemInfo <</Registry (Adobe) /Ordering (Japan1) /Supplement 2>>>>",
        b"<</Type /FontDescriptor /FontName /Nowhere /Flags 4>>",
        box=box,
        resources=b"/Font <</F2 5 0 R>>",
    )


def _cut_off(tenths: int) -> Callable[[], bytes]:
    return lambda: GOOD[: len(GOOD) * tenths // 10]


def _locked(lock: bytes) -> bytes:
    return write_page(HELLO, trailer=b"/Encrypt <</Filter /Standard %s>> /ID [<00> <00>]" % lock)


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


NOT_QUITE_FILES: Makers = {
    "empty": lambda: b"",
    "header only": lambda: b"%PDF-1.7\n",
    "header and end": lambda: b"%PDF-1.7\n%%EOF\n",
    "random bytes": lambda: b"%PDF-1.4\n" + bytes((i * 7919 + (i >> 3) * 104_729) % 256 for i in range(50_000)),
    "nul bytes": lambda: b"%PDF-1.4\n" + ZEROS,
    "html": lambda: b"<!doctype html><p>%PDF-1.4 is not here",
    "zip": lambda: b"PK\x03\x04" + bytes(200),
    "junk in front": lambda: b"\n".join(b"junk %d" % i for i in range(2000)) + b"\n" + GOOD,
    "junk behind": lambda: GOOD + b"junk" * 5000,
    "truncated": lambda: GOOD[: len(GOOD) // 2],
    "without its end": lambda: GOOD[:-60],
    "every tenth byte lost": lambda: bytes(byte for i, byte in enumerate(GOOD) if i % 10),
    "carriage returns": lambda: write_page(HELLO).replace(b"\n", b"\r"),
    "a file in a file": lambda: GOOD + GOOD,
    **{f"cut off after {tenths} tenths": _cut_off(tenths) for tenths in (1, 3, 7, 9)},
    "cut off within its xref": lambda: GOOD[: GOOD.rindex(b"xref\n0 ") + 30],
    "cut off within its trailer": lambda: GOOD[: GOOD.rindex(b"/Root")],
    "without xref": lambda: GOOD[: GOOD.rindex(b"xref\n0 ")] + GOOD[GOOD.rindex(b"trailer") :],
    "a megabyte of junk in front": lambda: b"%PDF-9.9\n" + ZEROS + GOOD,
    "a zip in front and behind": lambda: b"PK\x03\x04" + bytes(26) + GOOD + b"PK\x05\x06" + bytes(18),
    "a page of html in front": lambda: b"<!doctype html><script>alert(1)</script>\n" + GOOD,
    "headers only": lambda: b"%PDF-1.7\n" * 100_000,
    "a comment without end": lambda: b"%PDF-1.7\n%" + b"x" * 1_000_000,
    "a dictionary without end": lambda: b"%PDF-1.7\n1 0 obj\n" + b"<</A " * 300_000,
    "a stream without end": lambda: write_page(HELLO).partition(b"endstream")[0],
    "a million objects": lambda: b"%PDF-1.7\n" + b"1 0 obj\n7\nendobj\n" * 200_000,
    "a million trailers": lambda: b"%PDF-1.7\n" + b"trailer\n<</Root 1 0 R>>\n" * 100_000,
}
PAGE_TREES: Makers = {
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
    "twenty thousand pages": lambda: _flat_pages(20_000),
    "a tree five thousand deep": lambda: _deep_pages(5000),
    "no root": lambda: write_pdf([b"null"]),
    "a root that is a page": lambda: write_pdf([b"<</Type /Page /MediaBox [0 0 9 9]>>"]),
    "boxes beyond floats": lambda: write_page(HELLO + b" 0 0 m 1e30 0 l S", box=b"[-1e38 -1e38 1e38 1e38]"),
    "a box of nothing": lambda: write_page(HELLO + write_grid(2, 2), box=b"[10 10 10 10]"),
    "a box upside down": lambda: write_page(HELLO + write_grid(2, 2), box=b"[612 792 0 0]"),
    "a box of words": lambda: write_page(HELLO, box=b"[/a (b) null [] ]"),
    "turned by one degree": lambda: write_page(HELLO, page=b"/Rotate 1"),
    "turned beyond integers": lambda: write_page(HELLO, page=b"/Rotate 99999999999999999999"),
    "a million pages promised": lambda: write_page(HELLO).replace(b"/Count 1", b"/Count 1000000"),
    "ten thousand pages promised": lambda: write_page(HELLO).replace(b"/Count 1", b"/Count 10000"),
    "a thousand million pages out of thirty": lambda: _doubling_pages(30),
    "eight thousand pages out of thirteen": lambda: _doubling_pages(13),
    "one page nine thousand times": lambda: _same_page(9000),
    "one page of tables nine thousand times": lambda: _same_page(9000, write_grid(40, 40) + HELLO),
    "one page of hits nine thousand times": lambda: _same_page(
        9000, b"BT /F1 9 Tf 9 9 Td (" + b"e " * 120 + b") Tj ET"
    ),
    "a page that is its own resources": lambda: _tree(
        PAGES, b"<</Type /Page /Parent 2 0 R /Resources 3 0 R /Font 3 0 R /F1 3 0 R /Contents 3 0 R>>"
    ),
    "boxes of all sizes": lambda: write_page(
        HELLO, box=b"[nan nan inf inf]", page=b"/CropBox [1e-30 0 -1e30 1] /ArtBox [] /Rotate -90"
    ),
    "a box of almost nothing": lambda: write_page(HELLO + write_grid(2, 2), box=b"[0 0 1e-30 1e-30]"),
    "a box with a huge side": lambda: write_page(HELLO + write_grid(2, 2), box=b"[0 0 1 1e30]"),
    "a box of four hundred digits": lambda: write_page(HELLO, box=b"[0 0 1%s 1%s]" % (b"0" * 400, b"0" * 400)),
    "units beyond floats": lambda: write_page(HELLO + write_grid(2, 2), page=b"/UserUnit 1e38"),
    "units of nothing": lambda: write_page(HELLO, page=b"/UserUnit 0 /Rotate 1e9"),
    "a million notes": lambda: _packed_page(
        b"/Annots [" + b"4 0 R " * 1_000_000 + b"]", b"<</Subtype /Text /Rect [0 0 9 9] /Contents (x)>>"
    ),
    "a million contents": lambda: _packed_page(b"/Contents [" + b"4 0 R " * 1_000_000 + b"]"),
    "contents of all sorts": lambda: _packed_page(b"/Contents [4 0 R null 3 0 R (x) 99 0 R [4 0 R] <<>> 4 0 R]"),
}
STREAMS: Makers = {
    "length too long": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 99999999"),
    "length negative": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length -1"),
    "length of itself": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 4 0 R"),
    "flate bomb": lambda: write_page(_flate_bomb(BLANK, 3000), content_dictionary=FLATE),
    "flate bomb in a flate bomb": lambda: write_page(
        zlib.compress(_flate_bomb(BLANK, 3000), 9), content_dictionary=b"/Filter [/FlateDecode /FlateDecode]"
    ),
    "lzw bomb": lambda: write_page(_lzw_bomb(), content_dictionary=b"/Filter /LZWDecode"),
    "run length bomb": lambda: write_page(b"\x81 " * 1_500_000, content_dictionary=b"/Filter /RunLengthDecode"),
    "ascii85 bomb": lambda: write_page(b"z" * 2_000_000 + b"~>", content_dictionary=b"/Filter /ASCII85Decode"),
    "asciihex of nothing": lambda: write_page(b"20" * 1_000_000 + b">", content_dictionary=b"/Filter /AHx"),
    "a hundred filters": lambda: write_page(HELLO, content_dictionary=b"/Filter [" + b"/FlateDecode " * 100 + b"]"),
    "predictor of a thousand million columns": lambda: write_page(
        zlib.compress(ZEROS),
        content_dictionary=FLATE + b" /DecodeParms <</Predictor 12 /Columns 1073741824 /Colors 4>>",
    ),
    "images beyond memory": lambda: write_page(
        HELLO + b" /I Do /J Do",
        stream(b"\0", b"/Subtype /Image /Width 2000000000 /Height 2000000000 /Filter /CCITTFaxDecode"),
        stream(b"\xff\x4f\xff\x51", b"/Subtype /Image /Width 65000 /Height 65000 /Filter /JPXDecode"),
        resources=b"/XObject <</I 5 0 R /J 6 0 R>>",
    ),
    "an inline image without end": lambda: write_page(HELLO + b" BI /W 9999 /H 9999 /BPC 8 /CS /G ID \x00\x01"),
    "filters of every kind": lambda: write_page(
        zlib.compress(b"3132" * 1_000_000).hex().encode() + b">",
        content_dictionary=b"/Filter [/AHx /FlateDecode /AHx /A85 /RunLengthDecode /LZWDecode /DCTDecode]",
    ),
    "run lengths of a flate bomb": lambda: write_page(
        _flate_bomb(b"\x81 " * 500_000, 300), content_dictionary=b"/Filter [/Fl /RL]"
    ),
    "ascii85 of a flate bomb": lambda: write_page(
        _flate_bomb(b"z" * 1_000_000, 500), content_dictionary=b"/Filter [/Fl /A85]"
    ),
    "asciihex of a flate bomb": lambda: write_page(
        _flate_bomb(b"20" * 500_000, 500), content_dictionary=b"/Filter [/Fl /AHx]"
    ),
    "lzw of a flate bomb": lambda: write_page(_flate_bomb(_lzw_bomb(), 500), content_dictionary=b"/Filter [/Fl /LZW]"),
    "predictors without sense": lambda: write_page(
        zlib.compress(ZEROS),
        content_dictionary=FLATE
        + b" /DecodeParms <</Predictor 15 /Columns -1 /Colors 2147483647 /BitsPerComponent 32>>",
    ),
    "a predictor of one column": lambda: write_page(
        _flate_bomb(ZEROS, 300), content_dictionary=FLATE + b" /DecodeParms <</Predictor 2 /Columns 1 /Colors 1>>"
    ),
    "objects of a flate bomb": lambda: _packed([CATALOG, PAGES, b"null"], bag=_flate_bomb(BLANK, 3000)),
    "references of a flate bomb": lambda: _packed([CATALOG, PAGES, b"null"], table=_flate_bomb(ZEROS, 3000)),
    "metadata of a flate bomb": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Metadata 4 0 R>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Metadata 4 0 R /Thumb 4 0 R>>",
            stream(_flate_bomb(BLANK, 3000), b"/Type /Metadata /Subtype /XML " + FLATE),
        ]
    ),
    "a font of a flate bomb": lambda: _lettered(
        b"<</Type /Font /Subtype /TrueType /BaseFont /Bomb /FirstChar 0 /LastChar 999999999 /Widths [9]"
        b" /FontDescriptor <</FontName /Bomb /Flags 4 /FontFile2 6 0 R>>>>",
        stream(_flate_bomb(ZEROS, 1000), FLATE + b" /Length1 2147483647"),
    ),
    "a jpeg of 65,500 by 65,500": lambda: _image(
        b"/Width 65500 /Height 65500 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode", _jpeg(65500, 65500)
    ),
    "a jpeg larger than its image": lambda: _image(
        b"/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode", _jpeg(20000, 20000)
    ),
    "a jpeg 2000 of four thousand million by as many": lambda: _image(
        b"/Width 9 /Height 9 /Filter /JPXDecode", _jpeg2000(2**32 - 1, 2**32 - 1)
    ),
    "a jpeg 2000 of 30,000 by 30,000": lambda: _image(
        b"/Width 30000 /Height 30000 /Filter /JPXDecode", _jpeg2000(30000, 30000)
    ),
    "a jbig2 of two thousand million by as many": lambda: _image(
        b"/Width 2147483647 /Height 2147483647 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode",
        _jbig2(2**31 - 1, 2**31 - 1, 2**32 - 2),
    ),
    "a jbig2 of 60,000 by 60,000": lambda: _image(
        b"/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode",
        _jbig2(60000, 60000, 46),
    ),
    "a fax of 60,000 by 60,000": lambda: _image(
        b"/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode"
        b" /DecodeParms <</K -1 /Columns 60000 /Rows 60000>>",
        bytes(1000),
    ),
    "an image of 100,000 by 100,000": lambda: _image(
        b"/Width 100000 /Height 100000 /BitsPerComponent 1 /ColorSpace /DeviceGray " + FLATE, _flate_bomb(ZEROS, 1250)
    ),
    "an image of few dots said to be many": lambda: _image(
        b"/Width 2147483647 /Height 1 /BitsPerComponent 16 /ColorSpace /DeviceCMYK", b"\0"
    ),
    "a picture in its own mask": lambda: _image(
        b"/Width 2 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray /SMask 5 0 R /Mask 5 0 R /Alternates [5 0 R]",
        bytes(4),
    ),
    "a hundred thousand inline images": lambda: _deflated(b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI " * 100_000 + HELLO),
    "an inline image of a bomb": lambda: write_page(
        b"BI /W 30000 /H 30000 /BPC 8 /CS /G /F /Fl ID " + _flate_bomb(ZEROS, 900) + b" EI " + HELLO
    ),
}
CROSS_REFERENCES: Makers = {
    "xref in a circle": lambda: _linked_xrefs(lambda start: start),
    "xref into the void": lambda: _linked_xrefs(lambda start: 99_999_999_999),
    "xref of two thousand million": lambda: write_page(HELLO).replace(b"xref\n0 5", b"xref\n0 2147483647"),
    "xref stream of itself": lambda: _xref_stream(b"/Size 10 /Prev 96"),
    "xref stream beyond memory": lambda: _xref_stream(b"/Size 2147483647 /Index [0 2147483647]"),
    "xref stream of wide fields": lambda: _xref_stream(b"/Size 9 /W [99999999 99999999 99999999]"),
    "objects beyond memory": lambda: _object_stream(b"/N 1000000000 /First 1000000000", b"77 0 << >>"),
    "objects in a circle": lambda: _object_stream(b"/N 1 /First 5 /Extends 5 0 R", b"77 0 77 0 R"),
    "objects numbered beyond integers": lambda: (
        write_page(HELLO)
        .replace(b"5 0 R", b"99999999999 0 R")
        .replace(b"4 0 obj", b"4294967300 0 obj")
        .replace(b"/Parent 2 0 R", b"/Parent 2 99999999 R")
    ),
    "objects of negative number": lambda: (
        write_page(HELLO).replace(b"4 0 R", b"-4 -1 R").replace(b"4 0 obj", b"-4 -1 obj")
    ),
    "generations beyond integers": lambda: write_page(HELLO).replace(b" 00000 n", b" 99999 n"),
    "xref that points everywhere": lambda: write_page(HELLO).replace(b" 00000 n \n0", b" 00000 n \n9"),
    "xref of two kinds": lambda: _linked_xrefs(lambda start: start).replace(b"/Prev", b"/XRefStm 15 /Prev"),
    "xref in a circle of streams": lambda: _linked_xrefs(lambda start: 0).replace(b"/Prev 0", b"/XRefStm 0 /Prev 9"),
    "xref before the file": lambda: GOOD[: GOOD.rindex(b"startxref")] + b"startxref\n-1\n%%EOF\n",
    "xref four hundred digits away": lambda: (
        GOOD[: GOOD.rindex(b"startxref")] + b"startxref\n%s\n%%%%EOF\n" % (b"9" * 400)
    ),
    "a thousand updates": lambda: (
        GOOD
        + b"".join(b"xref\n0 0\ntrailer\n<</Size 9 /Root 1 0 R /Prev %d>>\n" % n for n in range(5000))
        + b"startxref\n%d\n%%%%EOF" % len(GOOD)
    ),
    "lies for quick opening": lambda: write_page(HELLO).replace(
        b"\n1 0 obj",
        b"\n9 0 obj\n<</Linearized 1 /L 99999999999 /H [-1 99999999] /O -3 /E 2147483648 /N 2147483647 /T -9>>"
        b"\nendobj\n1 0 obj",
    ),
    "quick opening of nothing": lambda: (
        b"%PDF-1.7\n1 0 obj\n<</Linearized 1 /L 90 /H [9 9] /O 1 /E 9 /N 9 /T 9>>\nendobj\n"
    ),
    "everything in a circle": lambda: write_pdf([b"2 0 R", b"3 0 R", b"4 0 R", b"1 0 R"]),
    "lengths in a circle": lambda: write_page(
        HELLO, b"6 0 R", b"5 0 R", page=b"/Annots 5 0 R /Rotate 5 0 R /UserUnit 6 0 R"
    ).replace(b"/Length 36", b"/Length 5 0 R"),
    "a thousand references to a number": lambda: write_page(
        HELLO, *[b"%d 0 R" % number for number in range(6, 1006)], b"36"
    ).replace(b"/Length 36", b"/Length 5 0 R"),
}
CONTENTS: Makers = {
    "tables on pages without a left edge": lambda: write_pages(
        [HELLO + write_grid(3, 3)] * 2, box=b"[-9%s.0 0 612 792]" % (b"0" * 38)
    ),
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
    "three million saved states": lambda: write_page(zlib.compress(b"q " * 3_000_000), content_dictionary=FLATE),
    "brackets a million deep": lambda: write_page(b"[" * 1_000_000 + HELLO),
    "dictionaries a hundred thousand deep": lambda: _with_info(b"<</Title " * 100_000 + b">>" * 100_000),
    "a grid of 2000 by 2000 lines": lambda: write_page(write_grid(2000, 2000) + HELLO),
    "a grid of 500 by 500 cells": lambda: write_page(
        write_grid(500, 500, width=3000, height=3000) + HELLO, box=b"[0 0 3100 3100]"
    ),
    "a grid beyond the page": lambda: write_page(write_grid(200, 200, width=1e6, height=1e6) + HELLO),
    "a staircase": lambda: _staircase(3000),
    "two million line segments": lambda: write_page(
        zlib.compress(b"0 0 m " + b"9 9 l 0 9 l " * 1_000_000 + b"S"), content_dictionary=FLATE
    ),
    "a hundred thousand boxes": lambda: write_page(
        zlib.compress(b"".join(b"%d %d 9 9 re S " % (i % 997, i % 991) for i in range(100_000))),
        content_dictionary=FLATE,
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
        write_grid(3, 3) + HELLO + b" BT /F1 12 Tf 1e38 0 0 1e38 1e38 1e38 Tm (far away) Tj 1e30 0 0 1 72 720 Tm (x)"
        b" Tj ET q 1e38 0 0 1e38 0 0 cm 1e38 0 0 1e38 0 0 cm 0 0 9 9 re 0 0 m 9 0 l S Q"
    ),
    "more letters than a page has": lambda: write_page(
        zlib.compress(b"BT /F1 1 Tf 9 9 Td " + b"(" + b"abcdefghi " * 600_000 + b") Tj ET"),
        content_dictionary=FLATE,
    ),
    "operators without operands": lambda: write_page(b"Tj TJ re m l c h S cm Do gs Tf Tm ' \" EMC ET Q " * 2000),
    "a font of unknown kind": lambda: write_page(
        b"BT /F9 12 Tf (a) Tj ET", resources=b"/Font <</F9 <</Type /Font /Subtype /Nonsense>>>>"
    ),
    "a thousand million forms": lambda: _nested_forms(9, 10),
    "transparent forms in forms": lambda: _nested_forms(10, 10).replace(
        b"/Subtype /Form", b"/Group <</S /Transparency /I true /K true>> /Subtype /Form"
    ),
    "a form of a million forms": lambda: _deflated(
        b"/X Do " * 1_000_000, stream(HELLO, b"/Subtype /Form /BBox [0 0 9 9]"), resources=b"/XObject <</X 5 0 R>>"
    ),
    "a million words": lambda: _deflated(b"BT /F1 1 Tf 9 9 Td " + b"(a) Tj 1 0 Td " * 1_000_000 + b"ET"),
    "a million fonts": lambda: _deflated(b"BT " + b"/F1 9 Tf /F2 7 Tf " * 500_000 + b"(a) Tj ET"),
    "words on one spot": lambda: _deflated(b"BT /F1 12 Tf 72 720 Td " + b"(hello world) Tj 0 0 Td " * 30_000 + b"ET"),
    "a million marks": lambda: _deflated(b"/Span <</ActualText (x)>> BDC " * 300_000 + HELLO + b" EMC" * 300_000),
    "a million clips": lambda: _deflated(b"0 0 600 700 re W n " * 300_000 + HELLO),
    "a million curves": lambda: _deflated(b"0 0 m " + b"9 900 900 9 500 500 c " * 400_000 + b"S"),
    "a hundred thousand wide lines": lambda: _deflated(b"1e7 w 1 J 1 j " + b"0 0 m 600 700 l 0 700 l S " * 100_000),
    "dashes finer than dots": lambda: write_page(b"[0.00001 0.00001] 0 d 1 w 0 0 m 10000 10000 l S " * 50 + HELLO),
    "dashes without end": lambda: write_page(b"[1e-38 0 -1] 1e38 d 0 0 m 1e7 1e7 l S [0 0] 0 d 0 0 m 9 9 l S " + HELLO),
    "a grid of slanted lines": lambda: _deflated(
        b"".join(b"%d 0 m %d 700 l S 0 %d m 600 %d.5 l S " % (x, x + 1, x, x) for x in range(0, 600, 2)) * 10 + HELLO
    ),
    "letters as large as the world": lambda: write_page(
        b"BT /F1 1e7 Tf 1 Tr -1e6 -1e6 Td (" + b"W" * 5000 + b") Tj ET"
    ),
    "letters that clip": lambda: _deflated(
        b"BT /F1 99 Tf 7 Tr 9 9 Td " + b"(WWW) Tj " * 50_000 + b"ET 0 0 600 700 re f"
    ),
    "strings a million deep": lambda: write_page(b"BT " + b"(" * 1_000_000 + b")" * 1_000_000 + b" Tj ET " + HELLO),
    "numbers of a hundred thousand digits": lambda: write_page(
        b"%s %s Td 0.%s w 1%s 9 m 9 9 l S " % ((b"9" * 100_000,) * 4) + HELLO
    ),
    "names of all sorts": lambda: write_page(
        b"BT /F#001 12 Tf (a) Tj /" + b"N#" * 50_000 + b" 9 Tf (b) Tj /#ff#fe#00 Do /#zz gs ET " + HELLO,
        resources=b"/XObject <</#00 5 0 R /a#2Fb 5 0 R /" + b"x" * 200_000 + b" 5 0 R>>",
    ),
    "a pattern in itself": lambda: _tiled(b"/XStep 2 /YStep 2", b"/Pattern cs /P scn 0 0 9 9 re f"),
    "a pattern finer than dots": lambda: _tiled(b"/XStep 0.0001 /YStep 0.0001"),
    "a pattern without steps": lambda: _tiled(b"/XStep 0 /YStep 0"),
    "a pattern of steps beyond floats": lambda: _tiled(b"/XStep 1e38 /YStep -1e38 /Matrix [1e-30 0 0 1e-30 0 0]"),
    "a shading of a function in itself": lambda: _shaded(
        b"<</ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 612 792] /Extend [true true] /Function 6 0 R>>",
        b"<</FunctionType 3 /Domain [0 1] /Functions [6 0 R 6 0 R] /Bounds [0.5] /Encode [0 1 0 1]>>",
    ),
    "a shading of a program without end": lambda: _shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceRGB /Domain [-1e9 1e9 -1e9 1e9] /Matrix [1e-9 0 0 1e-9 0 0]"
        b" /Function 6 0 R>>",
        stream(
            b"{" * 50_000 + b"2 copy exp mul " * 9000 + b"}" * 50_000,
            b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]",
        ),
    ),
    "a shading of a program of many steps": lambda: _shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceGray /Domain [0 612 0 792] /Function 6 0 R>>",
        stream(b"{ " + b"dup mul sqrt " * 100_000 + b"pop }", b"/FunctionType 4 /Domain [0 612 0 792] /Range [0 1]"),
    ),
    "a shading of samples beyond memory": lambda: _shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceGray /Domain [0 612 0 792] /Function 6 0 R>>",
        stream(
            b"\0", b"/FunctionType 0 /Domain [0 1 0 1] /Range [0 1] /Size [2147483647 2147483647] /BitsPerSample 32"
        ),
    ),
    "a shading of circles without end": lambda: _shaded(
        b"<</ShadingType 3 /ColorSpace /DeviceGray /Coords [0 0 0 1e30 1e30 1e30] /Extend [true true] /Function"
        b" <</FunctionType 2 /Domain [0 1] /N 1e30>>>>"
    ),
    "a shading of a million triangles": lambda: _shaded(
        stream(
            _flate_bomb(bytes(range(256)) * 4000, 20),
            b"/ShadingType 5 /ColorSpace /DeviceGray /BitsPerCoordinate 8 /BitsPerComponent 8 /VerticesPerRow 2"
            b" /Decode [0 612 0 792 0 1] " + FLATE,
        )
    ),
    "a shading of a million patches": lambda: _shaded(
        stream(
            _flate_bomb(bytes(range(256)) * 4000, 20),
            b"/ShadingType 7 /ColorSpace /DeviceGray /BitsPerCoordinate 8 /BitsPerComponent 8 /BitsPerFlag 8"
            b" /Decode [0 612 0 792 0 1] " + FLATE,
        )
    ),
    "a mask in itself": lambda: _masked(b"/ExtGState 5 0 R"),
    "masks in masks": lambda: _masked(b"/ExtGState 5 0 R", 300),
    "a colour in itself": lambda: write_page(
        b"/C cs 1 sc 0 0 99 99 re f /D cs 1 scn 0 0 9 9 re f " + HELLO,
        b"[/Indexed 5 0 R 255 (x)]",
        b"[/Separation /All 6 0 R 7 0 R]",
        b"<</FunctionType 3 /Domain [0 1] /Functions [7 0 R] /Bounds [] /Encode [0 1]>>",
        resources=b"/ColorSpace <</C 5 0 R /D 6 0 R>>",
    ),
    "a colour of a hundred thousand inks": lambda: write_page(
        b"/C cs " + b"1 " * 5000 + b"scn 0 0 99 99 re f " + HELLO,
        resources=b"/ColorSpace <</C [/DeviceN [%s] /DeviceCMYK <</FunctionType 2 /Domain [0 1] /N 1>>]>>"
        % (b"/Ink " * 100_000),
    ),
    "layers in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OCProperties <</OCGs [5 0 R] /D <</Order 6 0 R /ON 6 0 R /AS 6 0 R>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R"
            b" /Resources <<%s /Properties <</L 5 0 R>>>>>>" % FONT,
            stream(b"/OC /L BDC " + HELLO + b" EMC"),
            b"<</Type /OCMD /OCGs [5 0 R 5 0 R] /VE [/Not 7 0 R]>>",
            b"[6 0 R 6 0 R 5 0 R]",
            b"[/And 7 0 R 7 0 R 7 0 R]",
        ]
    ),
}
TEXT_AND_METADATA: Makers = {
    "letters that are no characters": lambda: map_letters(b"0000", b"FFFF", b"D800", b"DC00", b"FFFE", b"0002"),
    "a letter of many characters": lambda: map_letters(b"0041" * 60_000),
    "metadata of all sorts": lambda: _with_info(
        b"<</Title [1 2] /Author 5 0 R /Subject << >> /Keywords 7 /Creator (a\\000b\\001) /Producer <FEFFD800>"
        b" /CreationDate (not a date) /ModDate <FEFF0000FFFF>>>"
    ),
    "metadata of five megabytes": lambda: _with_info(b"<</Title (" + b"x" * 5_000_000 + b")>>"),
    "metadata with bad bytes": lambda: _with_info(b"<</Title <EFBBBFFFFE80> /Author <FFFE00D8> /Bad\\FF (x)>>"),
    "letters for every code there is": lambda: _lettered(
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R>>",
        stream(
            b"begincmap 1 beginbfrange <00000000> <FFFFFFFF> <0000> endbfrange"
            b" 1 begincidrange <0000> <FFFF> 0 endcidrange"
        ),
    ),
    "a map that uses itself": lambda: _lettered(
        b"<</Type /Font /Subtype /Type0 /BaseFont /X /Encoding 6 0 R /ToUnicode 6 0 R /DescendantFonts [5 0 R 7 0 R]>>",
        stream(b"/Loop usecmap begincmap endcmap", b"/Type /CMap /CMapName /Loop /UseCMap 6 0 R"),
        b"<</Type /Font /Subtype /CIDFontType2 /BaseFont /X /W [0 2147483647 1e38] /DW2 [7] /CIDToGIDMap 6 0 R>>",
    ),
    "a font with a million widths": lambda: _packed(
        [
            CATALOG,
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 5 0 R /Resources <</Font <</F1 4 0 R>>>>>>",
            b"<</Type /Font /Subtype /TrueType /BaseFont /A /FirstChar -9 /LastChar 999999 /Widths [%s]"
            b" /Encoding <</Differences [0 %s]>>>>" % (b"9 " * 1_000_000, b"/a " * 500_000),
        ],
        stream(HELLO),
    ),
    "a font without anything": lambda: _lettered(
        b"<</Type /Font /Subtype /TrueType /FontDescriptor 5 0 R /Encoding 5 0 R>>"
    ),
    "a font from nowhere on a page without end": lambda: _in_no_font(b"", box=b"[0 0 1%s 99]" % (b"0" * 39)),
    "a font from nowhere on a page far away": lambda: _in_no_font(b"", box=b"[-1%s 0 99 99]" % (b"0" * 39)),
    "a font from nowhere in a table without end": lambda: _in_no_font(
        b"1%s 0 0 1 0 0 cm 0 0 1 50 re S 0 50 1 50 re S 1 0 1 50 re S 1 50 1 50 re S" % (b"0" * 39), box=b"[0 0 99 99]"
    ),
    "a font from nowhere in a table beyond numbers": lambda: _in_no_font(
        b"1%s 0 0 1 0 0 cm 0 0 1 50 re S 0 50 1 50 re S 1%s 0 1 50 re S 1 50 1 50 re S" % (b"0" * 300, b"0" * 100),
        box=b"[0 0 99 99]",
    ),
    "metadata in a circle": lambda: _with_info(b"<</Title 6 0 R /Author [5 0 R] /Subject 5 0 R>>"),
    "metadata of a bell and an escape": lambda: _with_info(
        b"<</Title (\\033[31m\\007\\177) /Author <FEFFDC00D800FFFE0000> /Producer <FEFF202E0041>>>"
    ),
    "metadata of numbers": lambda: _with_info(b"<</Title 1%s /Author true /Subject null /Keywords /K>>" % (b"0" * 400)),
}
BAGGAGE: Makers = {
    "a password": lambda: make_encrypted_pdf("secret", user_password="open sesame"),
    "an empty password": lambda: make_encrypted_pdf("no secret"),
    "an unknown lock": lambda: write_page(HELLO, trailer=b"/Encrypt <</Filter /Nobody /V 99 /R 99>> /ID [<00> <00>]"),
    "a lock within a lock": lambda: write_page(
        HELLO, b"<</Filter /Standard /V 5 0 R /R 5 0 R /O 5 0 R /U 5 0 R /P 5 0 R>>", trailer=b"/Encrypt 5 0 R"
    ),
    "scripts": lambda: write_page(
        HELLO,
        page=b"/AA <</O <</S /JavaScript /JS (while(1);)>>>> /Annots [<</Subtype /Widget /A <</S /Launch /F (sh)>>>>]",
    ),
    "attachments": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Names <</EmbeddedFiles <</Names [(a) 4 0 R] /Kids [1 0 R]>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>",
            b"<</Type /Filespec /F (../../etc/passwd) /EF <</F 5 0 R>>>>",
            stream(_flate_bomb(ZEROS, 1000), FLATE),
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
    "a lock of all sorts": lambda: _locked(b"/V (x) /R [] /Length -8 /O 7 /U null /P (all) /CF 9 /StmF [] /StrF <<>>"),
    "a lock without strings": lambda: _locked(b"/V 5 /R 6 /Length 256 /P -1"),
    "a lock of a huge key": lambda: _locked(
        b"/V 2 /R 3 /Length 2147483640 /O (%s) /U (%s) /P -1" % (b"o" * 32, b"u" * 32)
    ),
    "a lock in a circle": lambda: _locked(
        b"/V 4 /R 4 /O <> /U <> /P 0 /CF <</StdCF 1 0 R>> /StmF /StdCF /StrF /StdCF /Identity 1 0 R"
    ),
    "a lock that is no lock": lambda: write_page(HELLO, trailer=b"/Encrypt 99 0 R /ID 7"),
    "outlines in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Outlines 4 0 R /Dests 4 0 R /PageLabels 4 0 R /StructTreeRoot 4 0 R"
            b" /Threads [4 0 R]>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /B [4 0 R] /StructParents 0>>",
            b"<</First 4 0 R /Last 4 0 R /Next 4 0 R /Prev 4 0 R /Parent 4 0 R /Count 2147483647 /Dest [4 0 R /XYZ]"
            b" /N 4 0 R /Kids [4 0 R] /K [4 0 R] /ParentTree 4 0 R /Nums [0 4 0 R]>>",
        ]
    ),
    "fields in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /AcroForm <</NeedAppearances true /Fields [4 0 R] /DA (/F1 1e38 Tf)"
            b" /CO [4 0 R]>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Annots [4 0 R]>>",
            b"<</Subtype /Widget /FT /Tx /Kids [4 0 R] /Parent 4 0 R /Rect [0 0 1e30 1e30] /V 4 0 R /T (\\000)"
            b" /AP <</N 4 0 R>>>>",
        ]
    ),
    "everything that starts by itself": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OpenAction <</S /JavaScript /JS (for(;;\\)app.alert\\(1\\)) /Next 4 0 R>>"
            b" /AA <</WC 4 0 R>> /Names <</JavaScript <</Names [(a) 4 0 R]>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /AA <</O 4 0 R /C 4 0 R>>"
            b" /Annots [<</Subtype /Link /Rect [0 0 9 9] /A 4 0 R>> <</Subtype /RichMedia>> <</Subtype /3D>>]>>",
            b"<</S /Launch /Win <</F (cmd.exe) /P (/c calc)>> /F (/bin/sh) /Next [4 0 R <</S /URI /URI (file:///etc/passwd)>>"
            b" <</S /GoToR /F (\\\\\\\\host\\\\share)>> <</S /SubmitForm /F (http://127.0.0.1:1/)>>]>>",
        ]
    ),
    "contents in another file": lambda: write_page(
        HELLO, content_dictionary=b"/F (/etc/passwd) /FFilter /FlateDecode"
    ).replace(b"/Length 36", b"/Length 0"),
    "a form from another file": lambda: write_page(
        b"/X Do " + HELLO,
        stream(b"", b"/Subtype /Form /BBox [0 0 9 9] /Ref <</F (/etc/passwd) /Page 0>> /OPI <</2.0 5 0 R>>"),
        resources=b"/XObject <</X 5 0 R>>",
    ),
}

HOSTILE: Makers = {
    **NOT_QUITE_FILES,
    **PAGE_TREES,
    **STREAMS,
    **CROSS_REFERENCES,
    **CONTENTS,
    **TEXT_AND_METADATA,
    **BAGGAGE,
}


@cache
def make_hostile(name: str) -> bytes:
    return HOSTILE[name]()
