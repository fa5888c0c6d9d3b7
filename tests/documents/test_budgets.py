"""What a few kB of PDF may cost others: what it says about itself is cut, and lists do not read it."""

import io
from collections.abc import Callable

import pikepdf
import psycopg2
import pytest

from errors import ExtractionLimitError
from support.databases import TestDatabase
from support.documents import uploaded
from support.engines import FileReader, Run
from support.pdfs import make_pdf
from support.servers import Person

LONG = "x" * 450_000


def talkative_pdf(notes: int = 0) -> bytes:
    """A few kB that say megabytes about themselves."""
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(make_pdf("Hello world"))) as pdf:
        for key in ("/Title", "/Author", "/Subject", "/Keywords", "/Creator", "/Producer"):
            pdf.docinfo[key] = LONG
        for number in range(50):
            pdf.docinfo[f"/Key{number}"] = "z" * 2000
        pdf.pages[0]["/Annots"] = pdf.make_indirect(
            pikepdf.Array(
                pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Text, Rect=[0, 0, 9, 9], Contents=text)
                for text in ["y" * 12_000] * notes
            )
        )
        pdf.save(file, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return file.getvalue()


def test_what_a_file_says_about_itself_is_cut(alice: Person, database: TestDatabase) -> None:
    document_id = uploaded(alice, talkative_pdf())["document_id"]

    metadata = alice.client.get(f"/documents/{document_id}").json()["metadata"]

    assert metadata["Title"] == "x" * 1000
    assert len(metadata) <= 32
    assert max(map(len, metadata.values())) == 1000
    assert database.query("SELECT octet_length(metadata::text) < 50000 FROM documents WHERE id = %s", document_id) == [
        (True,)
    ]


def test_what_readers_noted_in_a_file_is_cut(reader: FileReader) -> None:
    notes = reader.extract(talkative_pdf(notes=1100)).notes

    assert len(notes) == 1000
    assert {len(note.text) for note in notes} == {10_000}


def repetitive_pdf(pages: int, characters: int) -> bytes:
    """A few kB: all pages draw the same text."""
    file = io.BytesIO()
    lines = b"(some words of a page that comes again) Tj T* " * (characters // 40)
    with pikepdf.new() as pdf:
        font = pdf.make_indirect(
            pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        )
        drawn = pdf.make_stream(b"BT /F1 1 Tf 1 TL 9 800 Td " + lines + b"ET")
        for _ in range(pages):
            page = pdf.add_blank_page().obj
            page["/Contents"], page["/Resources"] = drawn, pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        pdf.save(file, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return file.getvalue()


def test_a_text_far_larger_than_its_file_is_refused_whole_or_in_parts(reader: FileReader) -> None:
    data = repetitive_pdf(pages=45, characters=25_000)  # the first part has 16 pages

    with pytest.raises(ExtractionLimitError, match="for a file of its size"):
        reader.extract(data)
    with pytest.raises(ExtractionLimitError, match="for a file of its size"):
        reader.count_matches(data, "words")

    assert len(data) < 10_000


def test_a_large_text_in_a_small_file_is_read_as_far_as_it_is_in_proportion(reader: FileReader) -> None:
    found = reader.extract(repetitive_pdf(pages=20, characters=25_000))

    assert sum(len(page.text) for page in found.pages) > 450_000


def test_the_table_takes_no_more_either(tables: TestDatabase) -> None:
    tables.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")

    with pytest.raises(psycopg2.errors.CheckViolation):
        tables.query(
            "INSERT INTO documents (user_id, filename, file_path, file_size, metadata)"
            " VALUES (1, 'a.pdf', 'a.pdf', 1, jsonb_build_object('Title', repeat('x', 3000000)))"
        )


def test_an_update_cuts_what_is_there(make_database: Callable[[], TestDatabase], run: Run) -> None:
    old = make_database()
    old.query("ALTER TABLE documents DROP CONSTRAINT documents_metadata_check")
    old.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")
    old.query(
        "INSERT INTO documents (user_id, filename, file_path, file_size, metadata)"
        " VALUES (1, 'a.pdf', 'a.pdf', 1, jsonb_build_object('Title', repeat('x', 3000000), 'Author', 'Alice'))"
    )
    old.query("DELETE FROM schema_version")

    run(old.update())

    ((metadata,),) = old.query("SELECT metadata FROM documents")
    assert metadata == {"Title": "x" * 1000, "Author": "Alice"}
