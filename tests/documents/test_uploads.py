"""Uploads: what is a PDF, passwords, limits, and the same upload again."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.documents import MEGABYTE, PDF_ROUTES, documents_of, locked, post, refusal, uploaded
from support.hostile import make_hostile
from support.pdfs import CATALOG, make_encrypted_pdf, make_pdf, make_table_pdf, write_pdf
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server that accepts files of at most one megabyte and five pages."""
    limits = {"MAX_UPLOAD_MB": "1", "PDF_MAX_PAGES": "5"}
    server = Server(tmp_path_factory.mktemp("small"), make_database().url, **limits).start()
    yield server
    server.stop()


# Uploading


def test_an_upload_answers_what_was_extracted(alice: Person, hello: bytes) -> None:
    found = uploaded(alice, hello, "hello.pdf")

    assert found == {
        "document_id": found["document_id"],
        "filename": "hello.pdf",
        "page_count": 2,
        "file_size": len(hello),
        "text_preview": "Hello world\nfrom the first page\fand the second",
        "tables_found": 0,
        "status": "ready",
        "error": None,
        "sha256": found["sha256"],
        "warnings": [],
        "duplicate": False,
        "same_as": [],
    }
    assert re.fullmatch("[0-9a-f]{64}", found["sha256"])


def test_tables_are_counted(alice: Person) -> None:
    found = uploaded(alice, make_table_pdf([["item", "price"], ["tea", "3"]], text="A bill"))

    assert found["tables_found"] == 1


@pytest.mark.parametrize(("last_line", "preview_length"), [(49, 499), (50, 500), (51, 503), (90, 503)])
def test_a_preview_is_500_characters_and_dots_if_there_is_more(
    alice: Person, last_line: int, preview_length: int
) -> None:
    text = "\n".join(["x" * 49] * 9 + ["y" * last_line])

    preview = uploaded(alice, make_pdf(text))["text_preview"]

    assert preview == (text if len(text) <= 500 else text[:500] + "...")
    assert len(preview) == preview_length


def test_a_pdf_without_text_has_an_empty_preview(alice: Person) -> None:
    found = uploaded(alice, make_pdf(""))

    assert (found["text_preview"], found["page_count"]) == ("", 1)


@pytest.mark.parametrize("filename", ["notes.txt", "book", "book.PDF", "book.pdf.exe", "книга"])
def test_a_pdf_is_a_pdf_by_its_content(alice: Person, hello: bytes, filename: str) -> None:
    found = uploaded(alice, hello, filename)

    assert found["filename"] == filename


@pytest.mark.parametrize("junk", [b"\n", b"x" * 1019])
def test_a_pdf_may_begin_with_junk(alice: Person, hello: bytes, junk: bytes) -> None:
    found = uploaded(alice, junk + hello, "book.bin")

    assert found["page_count"] == 2


@pytest.mark.parametrize("path", PDF_ROUTES)
@pytest.mark.parametrize("data", [b"hello", b"", b"PK\x03\x04", b"x" * 1020 + b"%PDF-1.7", b"%pdf-1.7"])
def test_a_file_that_neither_is_nor_is_named_a_pdf_is_refused(
    alice: Person, nothing_is_left: None, path: str, data: bytes
) -> None:
    answer = post(alice, path, data, "notes.txt")

    assert refusal(answer) == (400, "not_pdf")
    assert answer.json()["detail"] == "Only PDF files are allowed"


@pytest.mark.parametrize("path", PDF_ROUTES)
@pytest.mark.parametrize("kind", ["empty", "html", "zip", "header only", "random bytes", "no root"])
def test_a_file_that_is_only_named_a_pdf_is_refused(alice: Person, nothing_is_left: None, path: str, kind: str) -> None:
    answer = post(alice, path, make_hostile(kind))

    assert refusal(answer) == (400, "bad_pdf")
    assert answer.json()["detail"].startswith("Error processing PDF: ")


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_pdf_without_pages_is_refused(alice: Person, nothing_is_left: None, path: str) -> None:
    answer = post(alice, path, write_pdf([CATALOG, b"<</Type /Pages /Kids [] /Count 0>>"]))

    assert refusal(answer) == (400, "bad_pdf")
    assert answer.json()["detail"] == "Error processing PDF: the file has no pages."


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_pdf_with_a_password_is_refused(alice: Person, nothing_is_left: None, path: str) -> None:
    answer = post(alice, path, make_encrypted_pdf("hush", user_password="open sesame"))

    assert refusal(answer) == (400, "password_required")
    assert answer.json()["detail"].startswith("Error processing PDF: ")


@pytest.mark.parametrize("password", ["opensesame", "owner", "öffne dich"])
def test_a_pdf_with_a_password_opens_with_it(alice: Person, password: str) -> None:
    user_password = "opensesame" if password == "owner" else password
    data = make_encrypted_pdf("a secret page", user_password=user_password)

    document = uploaded(alice, data, password=password)
    info = post(alice, "/pdf-info", data, password=password).json()
    found = post(alice, "/search-pdf", data, password=password, search_term="secret").json()
    extracted = post(alice, "/extract", data, password=password).json()

    assert document["text_preview"] == "a secret page"
    assert (info["encrypted"], info["has_text"]) == (True, True)
    assert found["total_matches"] == 1
    assert extracted["text"] == "a secret page"


def test_a_document_with_a_password_can_be_viewed_later(alice: Person) -> None:
    data = make_encrypted_pdf("a secret page", user_password="opensesame")
    path = f"/documents/{uploaded(alice, data, password='opensesame')['document_id']}"

    assert alice.client.get(f"{path}/pages/1/image").status_code == 200
    hits = alice.client.get(f"{path}/search", params={"q": "secret"}).json()["matches_by_page"][0]["context"]
    assert len(hits[0]["boxes"]) == 1
    assert "opensesame" not in alice.client.get(path).text


@pytest.mark.parametrize("path", ["/upload-pdf", "/pdf-info", "/extract", "/extract/tables"])
def test_a_wrong_password_is_refused(alice: Person, nothing_is_left: None, path: str) -> None:
    data = make_encrypted_pdf("a secret page", user_password="opensesame")

    assert refusal(post(alice, path, data, password="open barley")) == (400, "password_required")


@pytest.mark.parametrize("password", ["x" * 256, "a\x00b"])
def test_an_invalid_password_is_refused_and_not_echoed(
    alice: Person, nothing_is_left: None, hello: bytes, password: str
) -> None:
    answer = post(alice, "/upload-pdf", hello, password=password)

    assert refusal(answer) == (422, "validation_error")
    assert password not in answer.text


def test_a_password_that_is_not_needed_does_no_harm(alice: Person, hello: bytes) -> None:
    assert uploaded(alice, hello, password="opensesame")["status"] == "ready"


def test_an_encrypted_pdf_that_opens_without_a_password_is_accepted(alice: Person) -> None:
    found = uploaded(alice, make_encrypted_pdf("not so secret"))

    details = alice.client.get(f"/documents/{found['document_id']}").json()
    assert (found["text_preview"], details["encrypted"]) == ("not so secret", True)


@pytest.mark.parametrize("kind", ["letters that are no characters", "metadata of all sorts", "metadata with bad bytes"])
def test_characters_that_cannot_be_stored_are_cleaned_away(alice: Person, database: TestDatabase, kind: str) -> None:
    document_id = uploaded(alice, make_hostile(kind))["document_id"]

    read = [
        alice.client.get(f"/documents/{document_id}"),
        alice.client.get(f"/documents/{document_id}/text"),
        alice.client.get(f"/documents/{document_id}/text", headers={"Accept": "application/json"}),
        post(alice, "/extract", make_hostile(kind)),
        post(alice, "/pdf-info", make_hostile(kind)),
    ]

    assert [answer.status_code for answer in read] == [200] * 5
    assert not any(re.search("\x00|[\ud800-\udfff]", answer.text) for answer in read)
    assert not any("\\u0000" in answer.text for answer in read)


# Too large


def test_a_file_of_just_the_limit_is_accepted(small: Server, hello: bytes) -> None:
    alice = register(small, "alice")

    found = uploaded(alice, hello.ljust(MEGABYTE))

    assert found["file_size"] == MEGABYTE


@pytest.mark.parametrize("size", [MEGABYTE + 1, 2 * MEGABYTE + 1, 9 * MEGABYTE])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_file_over_the_limit_is_refused_and_gone(
    small: Server, hello: bytes, size: int, announced: bool, path: str
) -> None:
    alice = register(small, "alice")
    before = small.files()
    request = alice.client.build_request("POST", path, files={"file": ("book.pdf", hello.ljust(size))})
    if not announced:
        body = request.read()
        chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))
        request = alice.client.build_request(
            "POST", path, content=chunks, headers={"Content-Type": request.headers["content-type"]}
        )
    request.headers["Origin"] = "http://localhost:3000"

    answer = alice.client.send(request)

    assert ("transfer-encoding" in request.headers) is not announced
    assert refusal(answer) == (413, "payload_too_large")
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert (small.files(), documents_of(alice)) == (before, [])


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_pdf_over_the_page_limit_is_refused_and_gone(small: Server, path: str) -> None:
    alice = register(small, "alice")
    before = small.files()

    answers = [post(alice, path, make_pdf(*"abcdef"[:pages])) for pages in (5, 6)]

    assert answers[0].status_code == 200
    assert refusal(answers[1]) == (422, "extraction_limit")
    assert "6 pages" in answers[1].json()["detail"]
    assert len(small.files()) - len(before) == len(documents_of(alice)) == (path == "/upload-pdf")


def test_a_server_keeps_working_after_large_files(small: Server, hello: bytes) -> None:
    alice = register(small, "alice")
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: alice.upload(hello.ljust(3 * MEGABYTE)).status_code, range(8)))

    found = uploaded(alice, hello)

    assert answers == [413] * 8
    assert found["page_count"] == 2


# The same again


def test_a_repeat_with_its_client_id_returns_the_first_document(alice: Person, server: Server, hello: bytes) -> None:
    first = uploaded(alice, hello, "first.pdf", client_id="upload-1")
    files = server.files()

    again = uploaded(alice, hello, "again.pdf", client_id="upload-1")

    assert again == {**first, "duplicate": True}
    assert server.files() == files


def test_the_same_file_without_client_id_is_another_document(alice: Person, hello: bytes) -> None:
    first, second = uploaded(alice, hello), uploaded(alice, hello)

    assert first["document_id"] != second["document_id"]


def test_a_client_id_with_other_content_is_a_conflict(alice: Person, server: Server, hello: bytes) -> None:
    uploaded(alice, hello, client_id="upload-1")
    files = server.files()

    answer = alice.upload(hello + b"\n", client_id="upload-1")

    assert refusal(answer) == (409, "client_id_reused")
    assert server.files() == files


def test_a_client_id_belongs_to_its_user(alice: Person, bob: Person, hello: bytes) -> None:
    first = uploaded(alice, hello, client_id="upload-1")

    second = uploaded(bob, make_pdf("Bob's"), client_id="upload-1")

    assert second["duplicate"] is False
    assert second["document_id"] != first["document_id"]


def test_of_eight_equal_uploads_at_once_one_is_stored_and_all_are_answered(
    alice: Person, server: Server, database: TestDatabase, hello: bytes
) -> None:
    files = len(server.files())
    with ThreadPoolExecutor(8) as threads:
        with locked(database, "pages"):
            uploads = [threads.submit(uploaded, alice, hello, client_id="upload-1") for _ in range(8)]
            wait_until(lambda: documents_of(alice, status="processing"))
        answers = [upload.result(WAIT_SECONDS) for upload in uploads]

    assert sorted(answer.pop("duplicate") for answer in answers) == [False] + [True] * 7
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0]["status"], answers[0]["page_count"]) == ("ready", 2)
    assert len(server.files()) == files + 1


def test_of_eight_equal_broken_uploads_at_once_all_are_refused(
    alice: Person, server: Server, nothing_is_left: None
) -> None:
    broken = make_hostile("header only")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: alice.upload(broken, client_id="upload-1"), range(8)))

    assert {refusal(answer) for answer in answers} == {(400, "bad_pdf")}


def test_a_client_id_is_free_again_after_a_refusal(alice: Person, hello: bytes) -> None:
    alice.upload(make_hostile("header only"), client_id="upload-1")

    found = uploaded(alice, hello, client_id="upload-1")

    assert found["duplicate"] is False


@pytest.mark.parametrize("client_id", ["x" * 65, "a\x00b"])
def test_a_wrong_client_id_is_a_422(alice: Person, nothing_is_left: None, hello: bytes, client_id: str) -> None:
    answer = alice.upload(hello, client_id=client_id)

    assert refusal(answer) == (422, "validation_error")
    assert answer.json()["detail"][0]["loc"] == ["body", "client_id"]
