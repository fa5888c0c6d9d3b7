"""Notices: warnings with their pages, what a damaged file became, what the file says about itself."""

import io
from typing import Any

import pytest
from pikepdf import Array, Dictionary, Encryption, Name, ObjectStreamMode, Pdf, Stream

from errors import BadPdfError, PasswordRequiredError
from extraction.notices import Finding, to_warnings
from support.engines import FileReader
from support.pdfs import CATALOG, FONT, HELLO, PAGES, SCAN, map_letters, stream, write_page, write_pages, write_pdf


def save(pdf: Pdf, **how: object) -> bytes:
    target = io.BytesIO()
    pdf.save(target, **how)  # type: ignore[arg-type]
    return target.getvalue()


# Pages without text


def test_pages_of_pictures_are_told_with_their_numbers(reader: FileReader) -> None:
    assert reader.list_warnings(write_pages([HELLO, SCAN, SCAN])) == [("no_text", [2, 3])]


def test_a_scan_with_a_page_number_is_a_page_without_text(reader: FileReader) -> None:
    number, sentence = (b" BT /F1 12 Tf 300 %d Td (Page 3 of 9) Tj ET" % y for y in (20, 400))

    assert reader.list_warnings(write_page(SCAN + number)) == [("no_text", [1])]
    assert reader.list_warnings(write_page(SCAN + sentence)) == []


def test_letters_that_are_drawn_as_outlines_are_told(reader: FileReader) -> None:
    outlines = b"".join(b"%d 700 m %d 705 l %d 702 l f " % (x, x + 2, x + 4) for x in range(72, 572, 4))

    assert reader.list_warnings(write_page(outlines)) == [("no_text", [1])]
    assert reader.list_warnings(write_page(outlines + HELLO)) == []


def test_a_blank_page_is_no_loss(reader: FileReader) -> None:
    assert reader.list_warnings(write_pages([HELLO, b""])) == []


def test_a_scanned_document_is_told_in_one_sentence(reader: FileReader) -> None:
    (warning,) = reader.extract(write_pages([SCAN, SCAN])).warnings

    assert warning.detail.startswith("This is a scanned document")
    assert warning.detail.count(".") == 1


def test_a_warning_names_its_pages_in_ranges() -> None:
    (warning,) = to_warnings([Finding("tables_truncated", number) for number in (9, 1, 2, 3, 5)], 10)

    assert warning.pages == [1, 2, 3, 5, 9]
    assert "pages 1 to 3, 5 and 9" in warning.detail


# Fonts that say nothing


@pytest.mark.parametrize("code", [b"FFFD", b"E123", b"0020", b"0000", b"0001", b"200B"])
def test_letters_that_stand_for_nothing_are_told(reader: FileReader, code: bytes) -> None:
    content = b"BT /F2 12 Tf 72 720 Td (AAAA AAA) Tj ET"

    assert ("text_unreadable", [1]) in reader.list_warnings(map_letters(code, content=content))


# Damaged files


def test_a_file_cut_off_in_its_cross_reference_table_is_repaired(reader: FileReader) -> None:
    whole = write_page(HELLO)
    for cut in (whole.rindex(b"trailer") - 30, whole.rindex(b"xref\n0"), whole.rindex(b"trailer")):
        extraction = reader.extract(whole[:cut])

        assert extraction.pages[0].text == "Hello"
        assert [warning.code for warning in extraction.warnings] == ["repaired"]


def test_a_file_with_a_wrong_cross_reference_table_is_told(reader: FileReader) -> None:
    broken = write_page(HELLO).replace(b"0000000", b"0000009")

    assert reader.list_warnings(broken) == [("repaired", [])]
    assert reader.read_text(broken) == "Hello"


@pytest.mark.parametrize("last", [b"endobj", b"endstream"])
def test_the_last_object_of_a_file_cut_off_is_read(reader: FileReader, last: bytes) -> None:
    whole = write_page(HELLO)

    assert reader.read_text(whole[: whole.rindex(last)]) == "Hello"


def test_objects_without_an_end_are_read(reader: FileReader) -> None:
    assert reader.read_text(write_page(HELLO).replace(b"endobj\n", b"")) == "Hello"


def test_objects_in_object_streams_are_read_though_the_file_is_cut_off(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        whole = save(pdf, object_stream_mode=ObjectStreamMode.generate)
    extraction = reader.extract(whole[: whole.rindex(b"/XRef")])

    assert extraction.pages[0].text == "Hello"
    assert [warning.code for warning in extraction.warnings] == ["repaired"]


def test_pages_are_read_though_their_list_is_cut_off(reader: FileReader) -> None:
    page = b"<</Type /Page /Parent 9 0 R /MediaBox [0 0 612 792] /Contents 2 0 R /Resources <<%s>>>>" % FONT
    whole = write_pdf([page, stream(HELLO), CATALOG])

    assert reader.read_text(whole[: whole.rindex(b"3 0 obj")]) == "Hello"


def test_an_encrypted_file_that_is_cut_off_opens_with_its_password(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        new = save(pdf, encryption=Encryption(owner="b", user="", R=6))
        old = save(pdf, encryption=Encryption(owner="b", user="", R=4))

    extraction = reader.extract(new[: new.rindex(b"xref\n0")])
    assert (extraction.pages[0].text, extraction.encrypted) == ("Hello", True)
    with pytest.raises(BadPdfError):  # its key needs the trailer
        reader.extract(old[: old.rindex(b"xref\n0")])


@pytest.mark.parametrize("revision", [2, 3, 4])
def test_an_older_encrypted_file_opens_if_what_is_left_tells_its_identity(reader: FileReader, revision: int) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        lock = Encryption(owner="b", user="a", R=revision, aes=revision == 4, metadata=False)  # type: ignore[arg-type]
        whole = save(pdf, encryption=lock)
    cut_off = whole[: whole.rindex(b"/Encrypt") + 9]

    extraction = reader.extract(cut_off, password="a")

    assert (extraction.pages[0].text, extraction.encrypted) == ("Hello", True)
    with pytest.raises(PasswordRequiredError):
        reader.extract(cut_off, password="c")


def test_a_damaged_file_tells_what_else_it_holds(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_with_xmp(XMP.encode()))) as pdf:
        pdf.Root.Collection = Dictionary(Type=Name.Collection)
        whole = save(pdf)
    extraction = reader.extract(whole[: whole.rindex(b"xref\n0")])

    assert [warning.code for warning in extraction.warnings] == ["repaired", "attachments"]
    assert extraction.metadata["Title"] == "Title by XMP"


def test_a_repaired_file_has_pictures(reader: FileReader) -> None:
    whole = write_page(HELLO)

    assert reader.count_dark(whole[: whole.rindex(b"xref\n0")], (60, 50, 200, 100)) > 20


def test_a_sound_file_is_not_said_to_be_repaired(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        compressed = save(pdf, object_stream_mode=1)

    assert reader.list_warnings(write_page(HELLO)) == []
    assert reader.list_warnings(b"some junk\n" + write_page(HELLO)) == []
    assert reader.list_warnings(compressed) == []


def test_what_cannot_be_repaired_is_a_bad_pdf(reader: FileReader) -> None:
    with pytest.raises(BadPdfError):
        reader.extract(b"%PDF-1.7\n" + b"nothing of a PDF " * 50)


# What else a file holds


@pytest.mark.parametrize("revision", [2, 3, 4, 6])
def test_an_encrypted_file_that_needs_no_password_is_read_with_any(reader: FileReader, revision: int) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        how = Encryption(owner="b", user="", R=revision, aes=revision > 3, metadata=revision > 3)  # type: ignore[arg-type]
        locked = save(pdf, encryption=how)

    for password in (None, "another", "b"):
        extraction = reader.extract(locked, password=password)
        assert (extraction.pages[0].text, extraction.encrypted, extraction.warnings) == ("Hello", True, [])


def test_layers_are_off_in_an_encrypted_file_with_xmp_too(reader: FileReader) -> None:
    content = HELLO + b" /OC /P BDC BT /F1 12 Tf 72 700 Td (unseen) Tj ET EMC"
    page = write_page(content, b"<</Type /OCG /Name (a)>>", resources=b"/Properties <</P 5 0 R>>")
    with Pdf.open(io.BytesIO(page)) as pdf:
        pdf.Root.OCProperties = Dictionary(OCGs=[pdf.get_object(5, 0)], D=Dictionary(OFF=[pdf.get_object(5, 0)]))
        pdf.Root.Metadata = Stream(pdf, XMP.encode())
        locked = save(pdf, encryption=Encryption(owner="b", user="a", R=6))

    assert reader.extract(locked, password="a").pages[0].text == "Hello"


def test_a_portfolio_is_told(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        pdf.attachments["inside.pdf"] = write_page(HELLO)
        pdf.Root.Collection = Dictionary(Type=Name.Collection, View=Name.D)
        portfolio = save(pdf)

    assert reader.list_warnings(portfolio) == [("attachments", [])]


def test_attached_files_are_told(reader: FileReader) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        pdf.attachments["sheet.csv"] = b"1,2"

        assert reader.list_warnings(save(pdf)) == [("attachments", [])]


@pytest.mark.parametrize("kind", ["associated", "on a page"])
def test_files_that_are_attached_otherwise_are_told(reader: FileReader, kind: str) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        held = Stream(pdf, b"1,2", Type=Name.EmbeddedFile)
        about = pdf.make_indirect(Dictionary(Type=Name.Filespec, F="a.csv", EF=Dictionary(F=held)))
        if kind == "associated":
            pdf.Root.AF = Array([about])
        else:
            pin = Dictionary(Type=Name.Annot, Subtype=Name.FileAttachment, Rect=[72, 72, 92, 92], FS=about)
            pdf.pages[0].Annots = Array([pin])

        assert reader.list_warnings(save(pdf)) == [("attachments", [])]


def test_an_empty_list_of_files_is_not_told(reader: FileReader) -> None:
    catalog = CATALOG.replace(b">>", b" /Names <</EmbeddedFiles <</Names []>>>>>>")
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%s>>>>" % FONT

    assert reader.list_warnings(write_pdf([catalog, PAGES, page, stream(HELLO)])) == []


@pytest.mark.parametrize("rendering", [True, False])
def test_an_xfa_form_is_told(reader: FileReader, rendering: bool) -> None:
    with Pdf.open(io.BytesIO(write_page(b"BT /F1 12 Tf 72 720 Td (Please wait...) Tj ET"))) as pdf:
        pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=Stream(pdf, b"<xdp:xdp xmlns:xdp='x'/>"))
        pdf.Root.NeedsRendering = rendering
        form = save(pdf)

    assert reader.list_warnings(form) == [("xfa_form", [])]


@pytest.mark.parametrize(("place", "told"), [({}, [("xfa_form", [])]), ({"Rect": [72, 72, 172, 92]}, [])])
def test_an_xfa_form_with_fields_is_told_if_none_stands_on_a_page(
    reader: FileReader, place: dict[str, Any], told: list[tuple[str, list[int]]]
) -> None:
    with Pdf.open(io.BytesIO(write_page(HELLO))) as pdf:
        field = pdf.make_indirect(Dictionary(FT=Name.Tx, T="name", **place))
        pdf.Root.AcroForm = Dictionary(Fields=Array([field]), XFA=Stream(pdf, b"<xdp:xdp xmlns:xdp='x'/>"))

        assert reader.list_warnings(save(pdf)) == told


# Metadata

XMP = """<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="A tool">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Title by XMP</rdf:li>
<rdf:li xml:lang="de">Titel</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Alice</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
<xmp:CreateDate>2024-03-05T10:00:00Z</xmp:CreateDate></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def write_with_xmp(xmp: bytes, info: bytes = b"") -> bytes:
    catalog = CATALOG.replace(b">>", b" /Metadata 5 0 R>>")
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%s>>>>" % FONT
    metadata = stream(xmp, b"/Type /Metadata /Subtype /XML")
    return write_pdf([catalog, PAGES, page, stream(HELLO), metadata, b"<<%s>>" % info], trailer=b"/Info 6 0 R")


def test_metadata_come_from_xmp_where_the_information_dictionary_has_none(reader: FileReader) -> None:
    metadata = reader.extract(write_with_xmp(XMP.encode(), b"/Creator (Another tool)")).metadata

    assert metadata == {
        "Title": "Title by XMP",
        "Author": "Alice; Bob",
        "CreationDate": "2024-03-05T10:00:00Z",
        "Creator": "Another tool",
    }


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
def test_xmp_comes_in_any_encoding(reader: FileReader, encoding: str) -> None:
    packet = write_with_xmp(XMP.replace("Title by XMP", "Übersicht").encode(encoding))

    assert reader.extract(packet).metadata["Title"] == "Übersicht"


def test_xmp_that_is_broken_into_lines_is_one(reader: FileReader) -> None:
    packet = write_with_xmp(XMP.replace("Title by XMP", "\n    Title\n    by XMP\n").encode())

    assert reader.extract(packet).metadata["Title"] == "Title by XMP"


def test_the_default_language_of_xmp_is_taken_wherever_it_stands(reader: FileReader) -> None:
    languages = XMP.replace('"x-default"', '"en"').replace('xml:lang="de"', 'xml:lang="x-default"')

    assert reader.extract(write_with_xmp(languages.encode())).metadata["Title"] == "Titel"


@pytest.mark.parametrize("damaged", [XMP.replace("by XMP", "& more"), XMP[: XMP.index("<dc:creator>")]])
def test_damaged_xmp_is_read_up_to_where_it_is_damaged(reader: FileReader, damaged: str) -> None:
    assert reader.extract(write_with_xmp(damaged.encode())).metadata["Title"].startswith("Title")


@pytest.mark.parametrize("xmp", [b"", b"<no xml", b"<a>" * 5000, b"\xff\xfe\0\0"])
def test_broken_xmp_is_none(reader: FileReader, xmp: bytes) -> None:
    extraction = reader.extract(write_with_xmp(xmp))

    assert (extraction.metadata, extraction.pages[0].text) == ({}, "Hello")
