"""The passwords of files: kept where they open one, and sealed; anything else that was typed is forgotten."""

from collections.abc import Callable

import pytest

from documents.passwords import FilePasswords
from support.databases import TestDatabase
from support.documents import uploaded
from support.pdfs import make_encrypted_pdf, make_pdf
from support.servers import Person, Server, register, wait_until

SECRET = "open sesame"
NO_WAIT = {"Prefer": "respond-async"}


def stored(database: TestDatabase, document_id: int) -> tuple[str | None, str]:
    """The sealed password, and all of the row as text."""
    ((sealed, row),) = database.query("SELECT sealed_password, d::text FROM documents d WHERE id = %s", document_id)
    return sealed, row


def picture_status(person: Person, document_id: int) -> int:
    return person.client.get(f"/documents/{document_id}/pages/1/image").status_code


@pytest.fixture
def protected() -> bytes:
    return make_encrypted_pdf("a secret page", user_password=SECRET)


def test_a_password_that_opened_a_file_is_stored_sealed(
    alice: Person, database: TestDatabase, protected: bytes
) -> None:
    document_id = uploaded(alice, protected, password=SECRET)["document_id"]

    sealed, row = stored(database, document_id)

    assert sealed is not None
    assert SECRET not in row
    assert picture_status(alice, document_id) == 200


def test_a_password_that_no_file_needs_is_forgotten(alice: Person, database: TestDatabase) -> None:
    document_ids = [uploaded(alice, make_pdf("in the open"), password=SECRET)["document_id"] for _ in range(2)]

    assert [stored(database, document_id)[0] for document_id in document_ids] == [None, None]  # one is a copy


def test_a_wrong_password_is_forgotten(alice: Person, database: TestDatabase, protected: bytes) -> None:
    files = {"file": ("book.pdf", protected)}
    sent = alice.client.post("/upload-pdf", files=files, data={"password": "open barley"}, headers=NO_WAIT).json()
    document = f"/documents/{sent['document_id']}"
    wait_until(lambda: alice.client.get(document).json()["status"] == "failed")

    assert stored(database, sent["document_id"])[0] is None


def test_a_damaged_file_keeps_the_password_that_opened_it(
    alice: Person, database: TestDatabase, protected: bytes
) -> None:
    document = uploaded(alice, protected.replace(b"startxref", b"startxxxx"), password=SECRET)

    assert [warning["code"] for warning in document["warnings"]] == ["repaired"]
    assert stored(database, document["document_id"])[0] is not None
    assert picture_status(alice, document["document_id"]) == 200


def test_what_an_older_version_kept_is_sealed_or_forgotten_at_the_start(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase], protected: bytes
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    alice = register(server, "alice")
    needed = uploaded(alice, protected, password=SECRET)["document_id"]
    needless = uploaded(alice, make_pdf("in the open"))["document_id"]
    server.stop()
    database.query("UPDATE documents SET password = %s, sealed_password = NULL", SECRET)

    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)

    assert [SECRET in stored(database, document_id)[1] for document_id in (needed, needless)] == [False, False]
    assert stored(database, needless)[0] is None
    assert picture_status(alice, needed) == 200


def test_a_sealed_password_tells_nothing_of_other_files() -> None:
    passwords = FilePasswords("a key")

    assert passwords.seal(SECRET, sha256="one") == passwords.seal(SECRET, sha256="one")
    assert passwords.seal(SECRET, sha256="one") != passwords.seal(SECRET, sha256="another")
    assert passwords.seal(SECRET, sha256="one") != FilePasswords("another key").seal(SECRET, sha256="one")
