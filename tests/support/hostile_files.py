"""Hostile PDFs by name: broken files, page trees and cross-references."""

from support.hostile_building import (
    GOOD,
    ZEROS,
    Makers,
    cut_off,
    deep_pages,
    doubling_pages,
    flat_pages,
    linked_xrefs,
    object_stream,
    packed_page,
    same_page,
    tree,
    xref_stream,
)
from support.pdfs import HELLO, PAGES, write_grid, write_page, write_pdf

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
    **{f"cut off after {tenths} tenths": cut_off(tenths) for tenths in (1, 3, 7, 9)},
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
    "no pages": lambda: tree(b"<</Type /Pages /Kids [] /Count 0>>"),
    "tree without kids": lambda: tree(b"<</Type /Pages>>"),
    "tree in a circle": lambda: tree(b"<</Type /Pages /Kids [2 0 R] /Count 1>>"),
    "tree in a wide circle": lambda: tree(
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>", b"<</Type /Pages /Kids [2 0 R 2 0 R] /Parent 2 0 R /Count 9>>"
    ),
    "a page that is its own parent": lambda: tree(PAGES, b"<</Type /Page /Parent 3 0 R>>"),
    "two thousand million pages": lambda: tree(b"<</Type /Pages /Kids [3 0 R] /Count 2147483647>>"),
    "three pages promised": lambda: write_page(HELLO).replace(b"/Count 1", b"/Count 3"),
    "minus five pages": lambda: tree(b"<</Type /Pages /Kids [3 0 R] /Count -5>>"),
    "count is a name": lambda: tree(b"<</Type /Pages /Kids [3 0 R] /Count /Many>>"),
    "kids of all sorts": lambda: tree(b"<</Type /Pages /Kids [3 0 R null 7 (x) [] 99 0 R 1 0 R << >>] /Count 8>>"),
    "twenty thousand pages": lambda: flat_pages(20_000),
    "a tree five thousand deep": lambda: deep_pages(5000),
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
    "a thousand million pages out of thirty": lambda: doubling_pages(30),
    "two thousand pages out of eleven": lambda: doubling_pages(11),
    "one page nine thousand times": lambda: same_page(9000),
    "one page of tables nine thousand times": lambda: same_page(9000, write_grid(40, 40) + HELLO),
    "one page of hits nine thousand times": lambda: same_page(9000, b"BT /F1 9 Tf 9 9 Td (" + b"e " * 120 + b") Tj ET"),
    "a page that is its own resources": lambda: tree(
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
    "half a million notes": lambda: packed_page(
        b"/Annots [" + b"4 0 R " * 500_000 + b"]", b"<</Subtype /Text /Rect [0 0 9 9] /Contents (x)>>"
    ),
    "a million contents": lambda: packed_page(b"/Contents [" + b"4 0 R " * 1_000_000 + b"]"),
    "contents of all sorts": lambda: packed_page(b"/Contents [4 0 R null 3 0 R (x) 99 0 R [4 0 R] <<>> 4 0 R]"),
}
CROSS_REFERENCES: Makers = {
    "xref in a circle": lambda: linked_xrefs(lambda start: start),
    "xref into the void": lambda: linked_xrefs(lambda start: 99_999_999_999),
    "xref of two thousand million": lambda: write_page(HELLO).replace(b"xref\n0 5", b"xref\n0 2147483647"),
    "xref stream of itself": lambda: xref_stream(b"/Size 10 /Prev 96"),
    "xref stream beyond memory": lambda: xref_stream(b"/Size 2147483647 /Index [0 2147483647]"),
    "xref stream of wide fields": lambda: xref_stream(b"/Size 9 /W [99999999 99999999 99999999]"),
    "objects beyond memory": lambda: object_stream(b"/N 1000000000 /First 1000000000", b"77 0 << >>"),
    "objects in a circle": lambda: object_stream(b"/N 1 /First 5 /Extends 5 0 R", b"77 0 77 0 R"),
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
    "xref of two kinds": lambda: linked_xrefs(lambda start: start).replace(b"/Prev", b"/XRefStm 15 /Prev"),
    "xref in a circle of streams": lambda: linked_xrefs(lambda start: 0).replace(b"/Prev 0", b"/XRefStm 0 /Prev 9"),
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
