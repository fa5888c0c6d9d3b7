"""What hostile PDFs are built of: bombs, circles, pictures and fonts that lie about their size."""

import struct
import zlib
from collections.abc import Callable, Sequence

from support.pdfs import CATALOG, FONT, HELLO, PAGES, make_pdf, stream, write_page, write_pdf

Makers = dict[str, Callable[[], bytes]]

GOOD = make_pdf("A page\nof text", "and another")
ZEROS = b"\0" * 1_000_000
BLANK = b" " * 1_000_000
FLATE = b"/Filter /FlateDecode"


def flate_bomb(block: bytes, repeats: int) -> bytes:
    """Return what inflates to *block* repeated; a full flush makes the compressed blocks independent of each other."""
    compressor = zlib.compressobj(9)
    head = compressor.compress(b"") + compressor.flush(zlib.Z_FULL_FLUSH)
    middle = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    return head + middle * repeats + b"\x03\x00"


def nested_forms(depth: int, width: int) -> bytes:
    """Each form draws the next *width* times: width ** depth texts out of a few kilobytes."""
    forms = []
    for number in range(depth):
        following = b"<</XObject <</X %d 0 R>>>>" % (number + 6) if number < depth - 1 else b"<<%s>>" % FONT
        content = b"/X Do " * width if number < depth - 1 else HELLO
        forms.append(stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources " + following))
    return write_page(b"/X Do " * width, *forms, resources=b"/XObject <</X 5 0 R>>")


def flat_pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(3, count + 3))
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>"
    return write_pdf([CATALOG, b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count), *[page] * count])


def deep_pages(depth: int) -> bytes:
    nodes = [b"<</Type /Pages /Kids [%d 0 R] /Count 1>>" % (number + 3) for number in range(depth)]
    return write_pdf([CATALOG, *nodes, b"<</Type /Page /MediaBox [0 0 9 9]>>"])


def tree(pages: bytes, page: bytes = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>") -> bytes:
    return write_pdf([CATALOG, pages, page])


def with_info(info: bytes) -> bytes:
    return write_page(HELLO, info, trailer=b"/Info 5 0 R")


def linked_xrefs(prev: Callable[[int], int]) -> bytes:
    body = write_page(HELLO)
    start = body.rindex(b"xref\n0 ")
    return body.replace(b"/Size", b"/Prev %d /Size" % prev(start))


def xref_stream(dictionary: bytes, content: bytes = b"\0" * 40) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n" + CATALOG + b"\nendobj\n2 0 obj\n" + PAGES + b"\nendobj\n"
    table = b"9 0 obj\n" + stream(content, b"/Type /XRef /W [1 2 1] /Root 1 0 R " + dictionary) + b"\nendobj\n"
    return head + table + b"startxref\n%d\n%%%%EOF\n" % len(head)


def object_stream(dictionary: bytes, content: bytes) -> bytes:
    return write_page(HELLO, stream(content, b"/Type /ObjStm " + dictionary), page=b"/Annots [77 0 R]")


def staircase(steps: int) -> bytes:
    """Cells that share no line with any other: a table of steps² empty places."""
    boxes = [b"%d %d 4 4 re" % (10 + 4 * number, 10 + 4 * number) for number in range(steps)]
    return write_page(b"\n".join(boxes) + b" S", box=b"[0 0 14400 14400]")


def deflated(content: bytes, *others: bytes, resources: bytes = b"", page: bytes = b"") -> bytes:
    """Return a small file that draws much."""
    return write_page(zlib.compress(content), *others, resources=resources, page=page, content_dictionary=FLATE)


def packed(objects: Sequence[bytes], *streams: bytes, table: bytes = b"", bag: bytes | None = None) -> bytes:
    """Return a file of *objects* (number 1, 2, …) in a deflated object stream, then *streams*.

    *table* and *bag* replace the compressed cross-reference and object streams.
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


def packed_page(page: bytes, *others: bytes, content: bytes = HELLO) -> bytes:
    """Return a file whose page object is large; *others* are the objects from 4 on, the last one draws *content*."""
    number = 4 + len(others)
    resources = b"/Resources <<%s>>" % FONT
    head = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] %s " % resources
    if b"/Contents" not in page:
        head += b"/Contents %d 0 R " % number
    return packed([CATALOG, PAGES, head + page + b">>", *others], stream(content))


def same_page(times: int, content: bytes = HELLO) -> bytes:
    """Return a book of *times* pages, all of them the same object."""
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%s>>>>" % FONT
    pages = b"<</Type /Pages /Kids [%s] /Count %d>>" % (b"3 0 R " * times, times)
    return packed([CATALOG, pages, page], stream(zlib.compress(content), FLATE))


def doubling_pages(depth: int) -> bytes:
    """Return a tree of which each node has the next one twice: 2 ** depth pages out of a few kilobytes."""
    nodes = [
        b"<</Type /Pages /Kids [%d 0 R %d 0 R] /Count %d>>" % (number + 3, number + 3, 2 ** (depth - number))
        for number in range(depth)
    ]
    return write_pdf([CATALOG, *nodes, b"<</Type /Page /MediaBox [0 0 9 9]>>"])


def image(dictionary: bytes, content: bytes, *others: bytes) -> bytes:
    """Return a page with a picture and a word."""
    return write_page(
        b"q 500 0 0 500 50 50 cm /I Do Q " + HELLO,
        stream(content, b"/Type /XObject /Subtype /Image " + dictionary),
        *others,
        resources=b"/XObject <</I 5 0 R>>",
    )


def jpeg(width: int, height: int) -> bytes:
    """Return the head of a JPEG of this size, and nothing of its picture."""
    tables = b"\xff\xdb\0\x43\0" + b"\x01" * 64
    frame = struct.pack(">BHH", 8, height, width) + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    scan = b"\x03\x01\0\x02\0\x03\0\0\x3f\0"
    huffman = b"\xff\xc4\0\x14\0\x01" + bytes(15) + b"\0" + b"\xff\xc4\0\x14\x10\x01" + bytes(15) + b"\0"
    return (
        b"\xff\xd8" + tables + b"\xff\xc0\0\x11" + frame + huffman + b"\xff\xda\0\x0c" + scan + b"\0" * 50 + b"\xff\xd9"
    )


def jpeg2000(width: int, height: int) -> bytes:
    sizes = struct.pack(">H8I", 0, width, height, 0, 0, width, height, 0, 0)
    size = b"\xff\x51" + struct.pack(">H", 41) + sizes + b"\0\x01\x07\x01\x01"
    return b"\xff\x4f" + size + b"\xff\x52\0\x0c\0\0\0\x01\0\x05\x04\x04\0\0" + b"\xff\x93" + bytes(99) + b"\xff\xd9"


def jbig2(width: int, height: int, length: int) -> bytes:
    page = struct.pack(">IIIIBH", width, height, 0, 0, 0, 0x8000)
    region = struct.pack(">IIIIB", width, height, 0, 0, 0) + b"\x08\x03\xff\xfd\xff\x02\xfe\xfe\xfe" + bytes(20)
    return struct.pack(">IBBBI", 0, 48, 0, 1, len(page)) + page + struct.pack(">IBBBI", 1, 38, 0, 1, length) + region


def painted(pattern: bytes, *others: bytes) -> bytes:
    """Return a page filled with a pattern, object 5."""
    return write_page(
        b"/Pattern cs /P scn 0 0 612 792 re f " + HELLO, pattern, *others, resources=b"/Pattern <</P 5 0 R>>"
    )


def shaded(shading: bytes, *others: bytes) -> bytes:
    """Return a page filled with a shading, object 5."""
    return write_page(b"/S sh " + HELLO, shading, *others, resources=b"/Shading <</S 5 0 R>>")


def tiled(steps: bytes, content: bytes = b"0 0 1 1 re f") -> bytes:
    kind = b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 2 2] /Resources <</Pattern <</P 5 0 R>>>> "
    return painted(stream(content, kind + steps))


def masked(resources: bytes, count: int = 1) -> bytes:
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


def lettered(font: bytes, *others: bytes) -> bytes:
    """Return a page written in a font, object 5."""
    return write_page(b"BT /F2 12 Tf 72 720 Td (hello) Tj ET", font, *others, resources=b"/Font <</F2 5 0 R>>")


def in_no_font(content: bytes, *, box: bytes) -> bytes:
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


def cut_off(tenths: int) -> Callable[[], bytes]:
    return lambda: GOOD[: len(GOOD) * tenths // 10]


def locked(lock: bytes) -> bytes:
    return write_page(HELLO, trailer=b"/Encrypt <</Filter /Standard %s>> /ID [<00> <00>]" % lock)


def lzw_bomb() -> bytes:
    """Return a table-filling LZW stream, clearing and filling again: codes ever longer, all of blanks."""
    bits = ""
    for _ in range(60):
        bits += f"{256:09b}{32:09b}"
        for code in range(258, 4094):
            width = 9 + (code > 511) + (code > 1023) + (code > 2047)
            bits += f"{code:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
