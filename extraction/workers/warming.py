"""What the forkserver does once, so that no worker has to: a worker may open no files, so it imports nothing either."""

import importlib
import io
import tempfile

from extraction import pictures, search, tasks
from extraction.values import Source

SHARED_MODULES = (
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.cp437",  # the names in a workbook's zip file
    "encodings.idna",
    "encodings.latin_1",
    "encodings.mac_roman",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_7",
    "encodings.utf_8_sig",
    "PIL.WebPImagePlugin",  # else Pillow loads all it has to find this one
)
_CONTENT = b"""BT /F1 12 Tf 72 720 Td (A heading) Tj 0 -40 Td (One) Tj 200 0 Td (1.5) Tj -200 -20 Td (Two) Tj ET
72 690 m 372 690 l 72 670 m 372 670 l 72 650 m 372 650 l 72 650 m 72 690 l 222 650 m 222 690 l 372 650 m 372 690 l S"""
_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
    b"<< /Length %d >>\nstream\n%s\nendstream" % (len(_CONTENT), _CONTENT),
    b"<< /Title (A page of our own) >>",
)


def warm_up() -> None:
    """Do everything once with a page of our own: import, compile, fill caches, find the fonts."""
    from extraction import plumber

    for module in SHARED_MODULES:
        importlib.import_module(module)
    plumber.hold_character_maps()
    with tempfile.TemporaryFile() as file:
        file.write(_make_page())
        file.flush()
        source = Source(file.fileno(), None)
        tasks.extract_part(source, 1, 1, None, with_vectors=True)
        tasks.inspect(source, 1)
        tasks.read_words(source, 1)
        tasks.read_labels(source)
        search.search(source, 1, "heading")
        search.search_pages([(1, "A heading")], source, "heading", 1, 1)
        for image_format in ("png", "webp", "jpeg"):
            pictures.render_page(source, 1, 100, image_format, "heading")
        for file_format in ("xlsx", "csv", "json"):
            tasks.extract_tables(source, 1, tasks.TableQuery(file_format), "all")
        with plumber.Document(source.file) as document:
            page = document.open_page(0)
            assert page is not None
            page.read_text()
            page.read_cell_words()
            page.read_edges()
            page.close()
    tasks.load_readers()


def _make_page() -> bytes:
    target = io.BytesIO()
    target.write(b"%PDF-1.7\n")
    places: list[int] = []
    for number, body in enumerate(_OBJECTS, start=1):
        places.append(target.tell())
        target.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = target.tell()
    target.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
    for place in places:
        target.write(b"%010d 00000 n \n" % place)
    target.write(b"trailer << /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start))
    return target.getvalue()
