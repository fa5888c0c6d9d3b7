"""Hostile PDFs by name: small files that cost much time or memory to open, or to read their first pages."""

import zlib

from support.hostile_building import BLANK, FLATE, ZEROS, Makers, deflated, flate_bomb, packed_page
from support.pdfs import CATALOG, HELLO, PAGES, stream, write_page, write_pdf

OBJECTS = 4_194_303  # the highest object number that PDFium accepts


def references(about: bytes, content: bytes, count: int = 1) -> bytes:
    """Return a file of *count* cross-reference streams, each with *content* and a reference to the one before."""
    file = b"%PDF-1.7\n1 0 obj\n" + CATALOG + b"\nendobj\n2 0 obj\n" + PAGES + b"\nendobj\n"
    file += b"3 0 obj\n<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>\nendobj\n"
    previous = b""
    for number in range(count):
        start = len(file)
        head = b"/Type /XRef /Root 1 0 R %s%s %s" % (about, previous, FLATE)
        file += b"%d 0 obj\n%s\nendobj\n" % (number + 9, stream(content, head))
        previous = b" /Prev %d" % start
    return file + b"startxref\n%d\n%%%%EOF\n" % start


def laughing_pages(depth: int, width: int, node: bytes = b"", leaf: bytes = b"/Type /Page") -> bytes:
    """Return a tree of which each node has the next one *width* times, and does not say how many pages that is."""
    nodes = [b"<</Type /Pages %s /Kids [%s]>>" % (node, b"%d 0 R " % (number + 3) * width) for number in range(depth)]
    return write_pdf([CATALOG, *nodes, b"<<%s /MediaBox [0 0 9 9]>>" % leaf])


COSTLY: Makers = {
    "references of the same objects": lambda: references(
        b"/Size %d /W [1 0 0] /Index [%s]" % (OBJECTS, b"0 %d " % OBJECTS * 100), flate_bomb(ZEROS, 420)
    ),
    "references of no width": lambda: references(
        b"/Size %d /W [0 0 0] /Index [%s]" % (OBJECTS, b"0 %d " % OBJECTS * 1000), zlib.compress(b"\0" * 40)
    ),
    "a tree that laughs and counts nothing": lambda: laughing_pages(30, 2, b"/Count 0"),
    "a tree that laughs without pages": lambda: laughing_pages(30, 2, b"", b"/Type /Pages /Kids []"),
    "a tree that promises sixteen pages and laughs": lambda: laughing_pages(30, 2).replace(
        b"/Kids", b"/Count 16 /Kids", 1
    ),
    "a gigabyte of blanks": lambda: write_page(flate_bomb(BLANK, 1000), content_dictionary=FLATE),
    "three gigabytes in a few bytes": lambda: write_page(
        zlib.compress(flate_bomb(BLANK, 3000), 9), content_dictionary=b"/Filter [/FlateDecode /FlateDecode]"
    ),
    "a bomb of text operators": lambda: deflated(b"BT /F1 1 Tf (x) Tj ET " * 1_000_000),
    "a bomb of letters": lambda: deflated(b"BT /F1 1 Tf " + b"(x) Tj " * 3_000_000 + b"ET"),
    "a bomb of kerned letters": lambda: deflated(b"BT /F1 1 Tf [" + b"(x) 5 " * 3_000_000 + b"] TJ ET"),
    "a bomb of states": lambda: deflated(b"q " * 5_000_000 + HELLO),
    "a bomb of paths": lambda: deflated(b"0 0 m 9 9 l S " * 2_000_000 + HELLO),
    "a bomb of numbers": lambda: deflated(b"1 " * 50_000_000 + HELLO),
    "a bomb of marked content": lambda: deflated(b"/P <</MCID 0>> BDC " * 2_000_000 + HELLO),
    "a page of the same contents": lambda: packed_page(
        b"/Contents [" + b"4 0 R " * 2000 + b"]", stream(flate_bomb(BLANK, 10), FLATE)
    ),
}
