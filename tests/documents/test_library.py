"""The library: the list, access to a document, renaming and deleting it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import documents_of, locked, refusal, uploaded
from support.pdfs import make_table_pdf
from support.servers import WAIT_SECONDS, Person, Server, wait_until

DOCUMENT_ROUTES = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("GET", "/file"),
    ("HEAD", "/file"),
    ("GET", "/text"),
]


# The library


def test_documents_are_listed_newest_first(alice: Person, bob: Person, hello: bytes) -> None:
    first = uploaded(alice, hello, "first.pdf")
    uploaded(bob, hello, "bob's.pdf")
    second = uploaded(alice, make_table_pdf([["a", "b"], ["1", "2"]]), "second.pdf")

    answer = alice.client.get("/documents").json()

    assert [(entry["id"], entry["filename"]) for entry in answer["documents"]] == [
        (second["document_id"], "second.pdf"),
        (first["document_id"], "first.pdf"),
    ]
    newest = answer["documents"][0]
    assert newest["file_size"] == second["file_size"]
    assert (newest["page_count"], newest["status"], newest["tables_found"]) == (1, "ready", 1)
    assert newest["owner"] == {"id": alice.id, "name": "Alice"}
    assert datetime.fromisoformat(newest["created_at"]).tzinfo is not None
    assert answer["next_cursor"] is None


def test_an_empty_library_is_an_empty_list(alice: Person) -> None:
    assert alice.client.get("/documents").json() == {"documents": [], "next_cursor": None}


def test_pages_of_the_list_are_stable_while_documents_arrive(alice: Person, hello: bytes) -> None:
    ids = [uploaded(alice, hello)["document_id"] for _ in range(4)]
    first = alice.client.get("/documents", params={"limit": 2}).json()
    uploaded(alice, hello)

    second = alice.client.get("/documents", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [entry["id"] for entry in first["documents"] + second["documents"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_documents_are_listed_by_status(alice: Person, processing: int) -> None:
    assert documents_of(alice, status="processing") == [processing]
    assert documents_of(alice, status="ready") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=0", "cursor=-1", "cursor=x", "cursor=%00", "status=broken"]
)
def test_a_list_with_wrong_parameters_is_a_422(alice: Person, query: str) -> None:
    answer = alice.client.get(f"/documents?{query}")

    assert refusal(answer) == (422, "validation_error")


def test_a_document_has_the_metadata_of_its_file(alice: Person, hello: bytes) -> None:
    found = uploaded(alice, hello, "hello.pdf")

    details = alice.client.get(f"/documents/{found['document_id']}").json()

    assert details["id"] == found["document_id"]
    assert details["sha256"] == found["sha256"]
    assert details["metadata"]["Title"] == "A greeting"
    assert (details["encrypted"], details["warnings"], details["status"]) == (False, [], "ready")


@pytest.mark.parametrize(("method", "rest"), DOCUMENT_ROUTES)
def test_another_users_document_is_a_404(alice: Person, bob: Person, hello: bytes, method: str, rest: str) -> None:
    document_id = uploaded(alice, hello, "hello.pdf")["document_id"]

    answer = bob.client.request(method, f"/documents/{document_id}{rest}", json={"filename": "bob's.pdf"})

    if method != "HEAD":
        assert refusal(answer) == (404, "document_not_found")
    assert answer.status_code == 404
    assert alice.client.get(f"/documents/{document_id}").json()["filename"] == "hello.pdf"


@pytest.mark.parametrize(("method", "rest"), DOCUMENT_ROUTES)
@pytest.mark.parametrize(
    "document_id", ["0", "-1", "x", "9" * 30, str(2**63), str(2**63 - 1), "%00", "1.0", "9" * 5000]
)
def test_a_strange_id_is_not_a_document(alice: Person, method: str, rest: str, document_id: str) -> None:
    answer = alice.client.request(method, f"/documents/{document_id}{rest}", json={"filename": "x.pdf"})

    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(("method", "rest"), DOCUMENT_ROUTES)
def test_a_document_requires_authentication(client: httpx.Client, method: str, rest: str) -> None:
    answer = client.request(method, f"/documents/1{rest}", json={"filename": "x.pdf"})

    assert answer.status_code == 401


# Changes


@pytest.mark.parametrize("filename", ["new.pdf", " Neu 李.pdf ", "no ending", "x" * 255, "a\"b'c;.pdf", "..a"])
def test_a_document_is_renamed(alice: Person, hello: bytes, filename: str) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.patch(f"/documents/{document_id}", json={"filename": filename})

    assert (answer.status_code, answer.json()["filename"]) == (200, filename.strip())
    assert alice.client.get(f"/documents/{document_id}").json() == answer.json()


@pytest.mark.parametrize(
    "body",
    [
        '{"filename": ""}',
        '{"filename": "  "}',
        '{"filename": ".."}',
        '{"filename": "a/b.pdf"}',
        '{"filename": "a\\\\b.pdf"}',
        '{"filename": "a\\u0000b.pdf"}',
        '{"filename": "a\\nb.pdf"}',
        '{"filename": "\\ud800.pdf"}',
        '{"filename": "\\u202efdp.exe"}',
        '{"filename": "%s"}' % ("x" * 256),
        '{"filename": null}',
        '{"filename": 7}',
        '{"filename": ["a.pdf"]}',
        "{}",
        "[]",
        "null",
        "NaN",
        "",
    ],
)
def test_a_wrong_name_is_refused(alice: Person, hello: bytes, body: str) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.patch(f"/documents/{document_id}", content=body, headers={"Content-Type": "application/json"})

    assert refusal(answer) == (422, "validation_error")


def test_deleting_a_document_deletes_its_file(
    alice: Person, server: Server, database: TestDatabase, hello: bytes, nothing_is_left: None
) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.delete(f"/documents/{document_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert alice.client.get(f"/documents/{document_id}").status_code == 404
    assert alice.client.delete(f"/documents/{document_id}").status_code == 404
    assert database.query("SELECT 1 FROM pages WHERE document_id = %s", document_id) == []


def test_of_eight_deletions_of_a_document_one_succeeds(alice: Person, hello: bytes) -> None:
    document_id = uploaded(alice, hello)["document_id"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: alice.client.delete(f"/documents/{document_id}").status_code, range(8)))

    assert sorted(answers) == [204] + [404] * 7


def test_a_document_can_be_deleted_while_it_is_processing(
    alice: Person, server: Server, database: TestDatabase, hello: bytes, nothing_is_left: None
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with locked(database, "pages"):
            upload = threads.submit(alice.upload, hello)
            wait_until(lambda: documents_of(alice))
            deletion = threads.submit(alice.client.delete, f"/documents/{documents_of(alice)[0]}")
        answer = upload.result(WAIT_SECONDS)

    assert deletion.result().status_code == 204
    assert answer.status_code in (200, 404)  # 200 if it was ready for a moment
    assert documents_of(alice) == []
