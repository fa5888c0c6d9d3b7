"""PDFs with form fields, notes and layers."""

from collections.abc import Sequence

from support.pdfs import CATALOG, FONT, PAGES, stream, write_pdf

HELVETICA = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
LABELS = b"BT /F1 12 Tf 30 TL 72 700 Td (Name:) Tj T* (Kind:) Tj T* (Agreed:) Tj T* (Total) Tj ET"
LABEL_TOPS = [700, 670, 640, 610]  # the base lines of the labels


def write_annotated(content: bytes, *annotations: bytes, others: Sequence[bytes] = (), form: bytes = b"") -> bytes:
    """Return a page with *annotations* (objects 6, 7, …), then *others*; *form* is what its form says of itself."""
    numbers = b" ".join(b"%d 0 R" % (6 + number) for number in range(len(annotations)))
    catalog = CATALOG
    if form:
        catalog = b"<</Type /Catalog /Pages 2 0 R /AcroForm <</Fields [%s] /DR <</Font <</Helv 5 0 R>>>> %s>>>>" % (
            numbers,
            form,
        )
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Annots [%s] /Resources <<%s>>>>"
    return write_pdf([catalog, PAGES, page % (numbers, FONT), stream(content), HELVETICA, *annotations, *others])


def write_field(kind: bytes, line: int, value: bytes, more: bytes = b"") -> bytes:
    """Return a field beside one of LABELS."""
    y = LABEL_TOPS[line]
    return (
        b"<</Type /Annot /Subtype /Widget /F 4 /Rect [130 %d 330 %d] /FT /%s /T (field %d) /V %s "
        b"/DA (/Helv 12 Tf 0 g) %s>>" % (y - 4, y + 14, kind, line, value, more)
    )


def write_appearance(content: bytes, width: int = 200, height: int = 18) -> bytes:
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 %d %d] /Resources <<%s>>" % (width, height, FONT)
    return stream(content, box)


def write_layers(content: bytes, groups: Sequence[bytes], config: bytes, *memberships: bytes) -> bytes:
    """Return a page whose content may name the layers L0, L1, …, and then *memberships* of them, M0, M1, ….

    The layers are the objects 5, 6, …
    """
    count = len(groups)
    references = b" ".join(b"%d 0 R" % (5 + number) for number in range(count))
    names = b" ".join(b"/L%d %d 0 R" % (number, 5 + number) for number in range(count))
    names += b"".join(b" /M%d %d 0 R" % (number, 5 + count + number) for number in range(len(memberships)))
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%s /Properties <<%s>>>>>>"
    return write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OCProperties <</OCGs [%s] /D <<%s>>>>>>" % (references, config),
            PAGES,
            page % (FONT, names),
            stream(content),
            *(b"<</Type /OCG /Name (Layer) %s>>" % group for group in groups),
            *memberships,
        ]
    )


def show(text: bytes, y: int, layer: bytes = b"") -> bytes:
    """Return what writes a line, on a layer if one is named."""
    drawn = b"BT /F1 12 Tf 72 %d Td (%s) Tj ET " % (y, text)
    return b"/OC /%s BDC %sEMC " % (layer, drawn) if layer else drawn
