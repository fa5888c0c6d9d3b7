"""What a few kB of PDF may cost others: what it says about itself is cut, and lists do not read it."""

import io
from collections.abc import Callable

import pikepdf
import psycopg2
import pytest

from db import Database
from postgres.migration import apply_schema
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


def test_the_table_takes_no_more_either(tables: TestDatabase) -> None:
    tables.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")

    with pytest.raises(psycopg2.errors.CheckViolation):
        tables.query(
            "INSERT INTO documents (user_id, filename, file_path, file_size, metadata)"
            " VALUES (1, 'a.pdf', 'a.pdf', 1, jsonb_build_object('Title', repeat('x', 3000000)))"
        )


def test_an_update_cuts_what_is_there(make_database: Callable[[], TestDatabase], run: Run) -> None:
    old = make_database()

    async def update() -> None:
        database = Database(old.keywords, size=1, answer_seconds=30)
        await apply_schema(database)
        await database.close()

    run(update())
    old.query("ALTER TABLE documents DROP CONSTRAINT documents_metadata_check")
    old.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")
    old.query(
        "INSERT INTO documents (user_id, filename, file_path, file_size, metadata)"
        " VALUES (1, 'a.pdf', 'a.pdf', 1, jsonb_build_object('Title', repeat('x', 3000000), 'Author', 'Alice'))"
    )
    old.query("DELETE FROM schema_version")

    run(update())

    ((metadata,),) = old.query("SELECT metadata FROM documents")
    assert metadata == {"Title": "x" * 1000, "Author": "Alice"}
