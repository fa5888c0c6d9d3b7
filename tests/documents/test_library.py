"""The library: the list, access to a document, renaming and deleting it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import documents_of, locked, refusal, uploaded
from support.forms import write_annotated
from support.pdfs import HELLO, make_pdf, make_table_pdf
from support.servers import WAIT_SECONDS, Person, Server, wait_until
from support.sharing import share, show

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
    counts = {"all": 0, "mine": 0, "shared": 0, "failed": 0, "processing": 0}
    assert alice.client.get("/documents").json() == {"documents": [], "next_cursor": None, "counts": counts}


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
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "status=broken", "sort=x", "order=x", "owner=1", "shared=you", "q=%00"),
        *("cursor=0", "cursor=-1", "cursor=x", "cursor=%00", f"cursor={'9' * 30}", "sha256=x", f"sha256={'g' * 64}"),
        *("cursor=YQ.1", "sort=filename&cursor=1", "sort=filename&cursor=_w.1", "sort=filename&cursor=AA.1"),
        *("sort=file_size&cursor=YQ.1", "sort=file_size&cursor=LTE.1"),
    ],
)
def test_a_list_with_wrong_parameters_is_a_422(alice: Person, query: str) -> None:
    answer = alice.client.get(f"/documents?{query}")

    assert refusal(answer) == (422, "validation_error")


# Mine and others'


@pytest.fixture
def shelves(alice: Person, bob: Person, hello: bytes) -> dict[str, int]:
    """Two documents of alice's and one of bob's that is shared with her; by name."""
    found = {
        name: uploaded(owner, hello if name == "Bravo.pdf" else make_pdf(*["x"] * pages), name)["document_id"]
        for owner, name, pages in ((alice, "charlie.pdf", 1), (bob, "Bravo.pdf", 2), (alice, "alpha.pdf", 3))
    }
    uploaded(bob, hello, "not for alice.pdf")
    share(bob, found["Bravo.pdf"], alice)
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "alpha Bravo charlie"),
        ({"order": "asc"}, "charlie Bravo alpha"),
        ({"owner": "me"}, "alpha charlie"),
        ({"owner": "others"}, "Bravo"),
        ({"shared": "me"}, "Bravo"),
        ({"shared": "me", "owner": "me"}, ""),
        ({"q": "HA"}, "alpha charlie"),
        ({"q": "%"}, ""),
        ({"q": "bravo"}, "Bravo"),
        ({"sort": "filename"}, "alpha Bravo charlie"),
        ({"sort": "filename", "order": "desc"}, "charlie Bravo alpha"),
        ({"sort": "page_count"}, "alpha Bravo charlie"),
        ({"sort": "page_count", "order": "asc"}, "charlie Bravo alpha"),
        ({"sort": "created_at", "q": "a"}, "alpha Bravo charlie"),
        ({"status": "failed"}, ""),
    ],
)
def test_the_list_is_sorted_and_filtered(
    alice: Person, shelves: dict[str, int], query: dict[str, str], names: str
) -> None:
    assert documents_of(alice, **query) == [shelves[f"{name}.pdf"] for name in names.split()]


@pytest.mark.parametrize("q", ["ärger", "ÄRGER", "A\u0308rger", "straße", "STRASSE"])
def test_a_name_is_found_in_any_case(alice: Person, hello: bytes, q: str) -> None:
    document_id = uploaded(alice, hello, "Ärger Straße.pdf")["document_id"]

    assert documents_of(alice, q=q) == [document_id]


def test_the_order_of_a_reader_follows_the_owners_changes(alice: Person, bob: Person, shelves: dict[str, int]) -> None:
    bob.client.patch(f"/documents/{shelves['Bravo.pdf']}", json={"filename": "Zulu.pdf"})

    assert documents_of(alice, sort="filename") == [shelves[name] for name in ("alpha.pdf", "charlie.pdf", "Bravo.pdf")]
    assert documents_of(alice, q="zulu") == [shelves["Bravo.pdf"]]


def test_a_document_that_is_shared_while_it_is_processing_is_sorted_when_it_is_ready(
    alice: Person, bob: Person, hello: bytes, database: TestDatabase
) -> None:
    short = uploaded(alice, make_pdf("one page"), "short.pdf")["document_id"]
    share(alice, short, bob)
    with ThreadPoolExecutor(1) as threads:
        with locked(database, "pages"):
            uploading = threads.submit(uploaded, alice, make_pdf("two", "pages"), "longer.pdf")
            wait_until(lambda: len(documents_of(alice)) == 2)
            share(alice, documents_of(alice)[0], bob)
        longer = uploading.result(WAIT_SECONDS)["document_id"]

    assert documents_of(bob, sort="page_count") == [longer, short]


@pytest.mark.parametrize("sort", ["created_at", "filename", "page_count", "file_size"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("owner", [{}, {"owner": "me"}], ids=str)
def test_the_pages_of_a_sorted_list_are_the_list(
    alice: Person, shelves: dict[str, int], sort: str, order: str, owner: dict[str, str]
) -> None:
    query: dict[str, str | int] = {"sort": sort, "order": order, **owner}
    whole = documents_of(alice, **query)

    found, cursor = [], None
    while True:
        page = alice.client.get("/documents", params={**query, "limit": 1, **({"cursor": cursor} if cursor else {})})
        found += [entry["id"] for entry in page.json()["documents"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break

    assert found == whole
    assert len(whole) == (2 if owner else 3)


def test_a_document_is_found_by_its_bytes(alice: Person, shelves: dict[str, int], hello: bytes) -> None:
    assert documents_of(alice, sha256=hashlib.sha256(hello).hexdigest()) == [shelves["Bravo.pdf"]]
    assert documents_of(alice, sha256="0" * 64) == []


def test_the_list_counts_what_one_may_read(alice: Person, bob: Person, shelves: dict[str, int]) -> None:
    assert alice.client.get("/documents?limit=1&q=none").json()["counts"] == {
        "all": 3,
        "mine": 2,
        "shared": 1,
        "failed": 0,
        "processing": 0,
    }
    assert bob.client.get("/documents").json()["counts"]["mine"] == 2


def test_the_list_shows_readers_and_messages(
    alice: Person, bob: Person, carol: Person, shelves: dict[str, int]
) -> None:
    document_id = shelves["Bravo.pdf"]
    share(bob, document_id, carol)
    show(bob, alice, document_id, content="look")
    last = show(alice, bob, document_id, content="seen").json()["id"]

    def seen(person: Person) -> list[object]:
        row = next(row for row in person.client.get("/documents").json()["documents"] if row["id"] == document_id)
        assert person.client.get(f"/documents/{document_id}").json().items() >= row.items()
        return [row[name] for name in ("readers", "reader_count", "message_count", "unread_count")]

    readers = [{"id": alice.id, "name": "Alice"}, {"id": carol.id, "name": "Carol"}]
    assert seen(alice) == [readers, 2, 3, 2]  # her card, "look" and "seen"
    assert seen(carol) == [readers, 2, 1, 1]
    assert seen(bob) == [readers, 2, 4, 1]

    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": last})
    assert seen(bob)[3] == 0


def test_a_document_has_the_metadata_of_its_file(alice: Person, hello: bytes) -> None:
    found = uploaded(alice, hello, "hello.pdf")

    details = alice.client.get(f"/documents/{found['document_id']}").json()

    assert details["id"] == found["document_id"]
    assert details["sha256"] == found["sha256"]
    assert details["metadata"]["Title"] == "A greeting"
    assert (details["encrypted"], details["warnings"], details["status"]) == (False, [], "ready")


def test_a_document_lists_the_notes_of_its_readers(alice: Person) -> None:
    sticky = b"<</Type /Annot /Subtype /Text /Rect [300 600 320 620] /T (Bob) /Contents (Is this right?)>>"
    document_id = uploaded(alice, write_annotated(HELLO, sticky))["document_id"]

    details = alice.client.get(f"/documents/{document_id}").json()

    assert details["notes"] == [{"page_number": 1, "author": "Bob", "text": "Is this right?"}]
    assert alice.client.get(f"/documents/{document_id}/text").text == "Hello"


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
        '{"filename": "\\u200b"}',
        '{"filename": "\\u3164.pdf"}',
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
