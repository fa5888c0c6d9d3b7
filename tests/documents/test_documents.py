"""The PDF library: uploads of all kinds, reading them back, whose they are, and what is left of those refused."""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.message import Message
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import psycopg2
import pytest

from support.databases import TestDatabase
from support.hostile import make_hostile
from support.pdfs import CATALOG, make_encrypted_pdf, make_pdf, make_table_pdf, write_pdf
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until

MEGABYTE = 1024 * 1024
DOCUMENT_ROUTES = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("GET", "/file"),
    ("HEAD", "/file"),
    ("GET", "/text"),
]
PDF_ROUTES = ["/upload-pdf", "/pdf-info", "/search-pdf?search_term=x", "/extract", "/extract/tables?format=xlsx"]
_numbers = count(1)


@pytest.fixture(scope="module")
def hello() -> bytes:
    return make_pdf("Hello world\nfrom the first page", "and the second", title="A greeting")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server that takes files of at most one megabyte, and of five pages."""
    limits = {"MAX_UPLOAD_MB": "1", "PDF_MAX_PAGES": "5"}
    server = Server(tmp_path_factory.mktemp("small"), make_database().url, **limits).start()
    yield server
    server.stop()


def post(person: Person, path: str, data: bytes, filename: str = "book.pdf", **fields: str) -> httpx.Response:
    return person.client.post(path, files={"file": (filename, data, "application/pdf")}, data=fields)


def uploaded(person: Person, data: bytes, filename: str = "book.pdf", **fields: str) -> dict[str, Any]:
    answer = person.upload(data, filename, **fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def documents_of(person: Person, **query: str | int) -> list[int]:
    return [document["id"] for document in person.client.get("/documents", params=query).json()["documents"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose shape is checked by the way."""
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert (body.get("error") == "Resource not found") == (answer.status_code == 404)
    return answer.status_code, body["code"]


@pytest.fixture
def nothing_is_left(server: Server, database: TestDatabase) -> Iterator[None]:
    """After the test there are the files and documents that there were before."""

    def find() -> tuple[list[str], list[tuple[Any, ...]]]:
        return server.files(), database.query("SELECT id, status FROM documents ORDER BY id")

    before = find()
    yield
    assert find() == before


@contextlib.contextmanager
def locked(database: TestDatabase, table: str) -> Iterator[None]:
    """Nobody can write to *table* meanwhile: a document stays `processing` while its `pages` cannot be written."""
    with contextlib.closing(psycopg2.connect(database.url)) as connection:
        connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@pytest.fixture
def processing(alice: Person, database: TestDatabase, hello: bytes) -> Iterator[int]:
    """A document of alice's that is still being read."""
    with ThreadPoolExecutor(1) as threads:
        with locked(database, "pages"):
            upload = threads.submit(alice.upload, hello)
            wait_until(lambda: documents_of(alice))
            yield documents_of(alice)[0]
        upload.result(WAIT_SECONDS)


# Uploading


def test_an_upload_answers_what_was_read(alice: Person, hello: bytes) -> None:
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
def test_a_pdf_may_begin_a_little_later(alice: Person, hello: bytes, junk: bytes) -> None:
    found = uploaded(alice, junk + hello, "book.bin")

    assert found["page_count"] == 2


@pytest.mark.parametrize("path", PDF_ROUTES)
@pytest.mark.parametrize("data", [b"hello", b"", b"PK\x03\x04", b"x" * 1020 + b"%PDF-1.7", b"%pdf-1.7"])
def test_what_neither_is_nor_is_called_a_pdf_is_refused(
    alice: Person, nothing_is_left: None, path: str, data: bytes
) -> None:
    answer = post(alice, path, data, "notes.txt")

    assert refusal(answer) == (400, "not_pdf")
    assert answer.json()["detail"] == "Only PDF files are allowed"


@pytest.mark.parametrize("path", PDF_ROUTES)
@pytest.mark.parametrize("kind", ["empty", "html", "zip", "header only", "random bytes", "no root"])
def test_what_is_only_called_a_pdf_is_refused(alice: Person, nothing_is_left: None, path: str, kind: str) -> None:
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


def test_a_document_with_a_password_can_be_looked_at_later(alice: Person) -> None:
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
def test_what_cannot_be_a_password_is_refused_and_not_repeated(
    alice: Person, nothing_is_left: None, hello: bytes, password: str
) -> None:
    answer = post(alice, "/upload-pdf", hello, password=password)

    assert refusal(answer) == (422, "validation_error")
    assert password not in answer.text


def test_a_password_that_is_not_needed_does_no_harm(alice: Person, hello: bytes) -> None:
    assert uploaded(alice, hello, password="opensesame")["status"] == "ready"


def test_a_pdf_that_opens_without_a_password_is_taken_and_called_encrypted(alice: Person) -> None:
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


NAMES = {
    "../../x.pdf": "x.pdf",
    "..\\..\\x.pdf": "x.pdf",
    "C:\\Users\\alice\\x.pdf": "x.pdf",
    "/etc/passwd": "passwd",
    "folder/": "document.pdf",
    "..": "document.pdf",
    ".": "document.pdf",
    " ": "document.pdf",
    "  x.pdf  ": "x.pdf",
    "a\x85b\x9fc.pdf": "abc.pdf",
    "x\u202efdp.exe": "xfdp.exe",
    "\u2028.pdf": ".pdf",
    "\u200b.pdf": "document.pdf",
    "\u3164\ufe0f\ue000": "document.pdf",
    "\u0301": "document.pdf",
    "%2e%2e%2fx.pdf": "%2e%2e%2fx.pdf",
    "a'b;c&d=e<f>.pdf": "a'b;c&d=e<f>.pdf",
    "Überweisung 李 🙂.pdf": "Überweisung 李 🙂.pdf",
    "x" * 300 + ".pdf": "x" * 251 + ".pdf",
    "🙂" * 300: "🙂" * 255,
    "." * 300: "." * 255,
    "x." + "y" * 300: "x." + "y" * 253,
    "CON": "CON",
    "-rf": "-rf",
}


@pytest.mark.parametrize("filename", NAMES, ids=lambda name: ascii(name)[:40])
def test_a_name_is_its_last_part_without_tricks(alice: Person, hello: bytes, filename: str) -> None:
    found = uploaded(alice, hello, filename)

    assert found["filename"] == NAMES[filename]
    assert alice.client.get("/documents").json()["documents"][0]["filename"] == NAMES[filename]


@pytest.mark.parametrize("filename", [b"", b"\x00", b"\xff\xfe.pdf", b"a\x00b.pdf", b'a\\"b.pdf', b"\xed\xa0\x80.pdf"])
def test_any_bytes_may_be_a_name(alice: Person, hello: bytes, filename: bytes) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--B--\r\n' % (
        filename,
        hello,
    )

    answer = alice.client.post("/upload-pdf", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"]
    assert not re.search("[\x00-\x1f]", answer.json()["filename"])


def test_files_are_kept_under_names_of_our_own(alice: Person, server: Server, hello: bytes) -> None:
    before = set(server.files())

    uploaded(alice, hello, "../../../tmp/evil.pdf")

    (kept,) = set(server.files()) - before
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{32}\.pdf", kept)


# Too large


def test_a_file_of_just_the_limit_is_taken(small: Server, hello: bytes) -> None:
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
def test_a_pdf_over_the_limits_of_reading_is_refused_and_gone(small: Server, path: str) -> None:
    alice = register(small, "alice")
    before = small.files()

    answers = [post(alice, path, make_pdf(*"abcdef"[:pages])) for pages in (5, 6)]

    assert answers[0].status_code == 200
    assert refusal(answers[1]) == (422, "extraction_limit")
    assert "6 pages" in answers[1].json()["detail"]
    assert len(small.files()) - len(before) == len(documents_of(alice)) == (path == "/upload-pdf")


def test_a_server_goes_on_after_large_files(small: Server, hello: bytes) -> None:
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


def test_a_client_id_is_ones_own(alice: Person, bob: Person, hello: bytes) -> None:
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


# Broken requests


def part(disposition: bytes, data: bytes = b"x") -> bytes:
    return b"--B\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (disposition, data)


END = b"--B--\r\n"
FILE = part(b'name="file"; filename="a.pdf"', make_hostile("header only"))
BROKEN_FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", FILE + END),
    "an empty boundary": ("multipart/form-data; boundary=", FILE + END),
    "another boundary": ("multipart/form-data; boundary=C", FILE + END),
    "a boundary of 5,000 characters": ("multipart/form-data; boundary=" + "B" * 5000, FILE + END),
    "an empty body": ("multipart/form-data; boundary=B", b""),
    "garbage": ("multipart/form-data; boundary=B", b"\x00\xff" * 5000),
    "no end": ("multipart/form-data; boundary=B", FILE),
    "half a file": ("multipart/form-data; boundary=B", FILE[:-9]),
    "half a head": ("multipart/form-data; boundary=B", FILE[:40]),
    "the end alone": ("multipart/form-data; boundary=B", END),
    "a part without a name": ("multipart/form-data; boundary=B", part(b"x=y") + END),
    "no file field": ("multipart/form-data; boundary=B", part(b'name="other"; filename="a.pdf"') + END),
    "two files": ("multipart/form-data; boundary=B", FILE + FILE + END),
    "thirty fields": ("multipart/form-data; boundary=B", part(b'name="x"') * 30 + FILE + END),
    "a field of a megabyte": ("multipart/form-data; boundary=B", part(b'name="x"', b"x" * MEGABYTE) + FILE + END),
    "a header of a megabyte": ("multipart/form-data; boundary=B", b"--B\r\nX: " + b"y" * MEGABYTE + b"\r\n\r\n" + END),
    "a hundred thousand headers": ("multipart/form-data; boundary=B", b"--B\r\n" + b"X: y\r\n" * 100_000 + END),
    "a URL-encoded form": ("application/x-www-form-urlencoded", b"file=%25PDF-1.7"),
    "JSON": ("application/json", b'{"file": "%PDF-1.7"}'),
    "a bare PDF": ("application/pdf", make_pdf("x")),
    "an unknown kind": ("nonsense", b"%PDF-1.7"),
    "a kind of nothing": (";;;=", b"%PDF-1.7"),
}


@pytest.mark.parametrize("path", PDF_ROUTES)
@pytest.mark.parametrize("form", BROKEN_FORMS)
def test_a_broken_form_is_refused(alice: Person, nothing_is_left: None, path: str, form: str) -> None:
    content_type, body = BROKEN_FORMS[form]

    answer = alice.client.post(path, content=body, headers={"Content-Type": content_type})

    assert refusal(answer) in ((400, "bad_request"), (422, "validation_error"))


CHARSETS = [
    *("undefined", "idna", "punycode", "utf-7", "utf-16", "unicode_escape", "raw_unicode_escape", "base64", "zlib"),
    *("latin-1", "nonsense", "x" * 1000, '"', '"un\\defined"', "utf-8"),
]


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_form_is_utf8_whatever_its_charset_claims(alice: Person, hello: bytes, charset: str) -> None:
    body = part(b'name="search_term"', "é \\ud800 +2AA-".encode()) + part(b'name="file"; filename="\xc3\xa9"', hello)

    answer = alice.client.post(
        "/search-pdf",
        content=body + END,
        headers={"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"},
    )

    assert answer.status_code == 200, answer.text
    assert (answer.json()["search_term"], answer.json()["filename"]) == ("é \\ud800 +2AA-", "é")


@pytest.mark.parametrize("charset", ["charset*=undefined''x", "charset*0=unde; charset*1=fined", "ChArSeT=punycode"])
@pytest.mark.parametrize("path", ["/login", "/token", "/send-notification", "/upload-pdf"])
def test_a_charset_by_any_name_crashes_nothing(alice: Person, path: str, charset: str) -> None:
    body = part(b'name="email"', b"\\ud800\xff.") + part(b'name="\xff\xfe"', b"+2AA-") + END

    answer = alice.client.post(
        path, content=body, headers={"Content-Type": f"multipart/form-data; {charset}; boundary=B"}
    )

    assert refusal(answer) == (422, "validation_error")


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_who_leaves_in_the_middle_of_an_upload_leaves_nothing(
    alice: Person, server: Server, nothing_is_left: None, path: str
) -> None:
    request_id = f"gone-{next(_numbers)}-{alice.id}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\nX-Request-ID: {request_id}\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 9000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode() + FILE[:-4] + b"x" * 3_000_000)

    server.wait_for_line(request_id)

    assert alice.client.get("/healthz").status_code == 200


def test_nobody_need_send_a_file_to_be_told_who_they_are_not(client: httpx.Client, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), WAIT_SECONDS) as connection:
        connection.sendall(
            b"POST /upload-pdf HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 401 ")


# The library


def test_a_library_is_listed_newest_first(alice: Person, bob: Person, hello: bytes) -> None:
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


def test_pages_of_documents_are_stable_while_more_arrive(alice: Person, hello: bytes) -> None:
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
def test_a_wrong_question_about_documents_is_a_422(alice: Person, query: str) -> None:
    answer = alice.client.get(f"/documents?{query}")

    assert refusal(answer) == (422, "validation_error")


def test_a_document_tells_of_its_file(alice: Person, hello: bytes) -> None:
    found = uploaded(alice, hello, "hello.pdf")

    details = alice.client.get(f"/documents/{found['document_id']}").json()

    assert details["id"] == found["document_id"]
    assert details["sha256"] == found["sha256"]
    assert details["metadata"]["Title"] == "A greeting"
    assert (details["encrypted"], details["warnings"], details["status"]) == (False, [], "ready")


@pytest.mark.parametrize(("method", "rest"), DOCUMENT_ROUTES)
def test_anothers_document_is_not_there(alice: Person, bob: Person, hello: bytes, method: str, rest: str) -> None:
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
def test_a_strange_id_is_no_document(alice: Person, method: str, rest: str, document_id: str) -> None:
    answer = alice.client.request(method, f"/documents/{document_id}{rest}", json={"filename": "x.pdf"})

    assert answer.status_code in (404, 422)


@pytest.mark.parametrize(("method", "rest"), DOCUMENT_ROUTES)
def test_a_document_asks_who_you_are(client: httpx.Client, method: str, rest: str) -> None:
    answer = client.request(method, f"/documents/1{rest}", json={"filename": "x.pdf"})

    assert answer.status_code == 401


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_pdf_asks_who_you_are(client: httpx.Client, hello: bytes, path: str) -> None:
    answer = client.post(path, files={"file": ("a.pdf", hello)})

    assert refusal(answer) == (401, "not_authenticated")


@pytest.mark.parametrize("filename", ["new.pdf", " Neu 李.pdf ", "no ending", "x" * 255, "a\"b'c;.pdf", "..a"])
def test_a_document_takes_a_new_name(alice: Person, hello: bytes, filename: str) -> None:
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


def test_deleting_a_document_takes_its_file_along(
    alice: Person, server: Server, database: TestDatabase, hello: bytes, nothing_is_left: None
) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.delete(f"/documents/{document_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert alice.client.get(f"/documents/{document_id}").status_code == 404
    assert alice.client.delete(f"/documents/{document_id}").status_code == 404
    assert database.query("SELECT 1 FROM pages WHERE document_id = %s", document_id) == []


def test_of_many_who_delete_one_document_one_does(alice: Person, hello: bytes) -> None:
    document_id = uploaded(alice, hello)["document_id"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: alice.client.delete(f"/documents/{document_id}").status_code, range(8)))

    assert sorted(answers) == [204] + [404] * 7


def test_a_document_may_be_deleted_while_it_is_read(
    alice: Person, server: Server, database: TestDatabase, hello: bytes, nothing_is_left: None
) -> None:
    with ThreadPoolExecutor(2) as threads:
        with locked(database, "pages"):
            upload = threads.submit(alice.upload, hello)
            wait_until(lambda: documents_of(alice))
            deletion = threads.submit(alice.client.delete, f"/documents/{documents_of(alice)[0]}")
        answer = upload.result(WAIT_SECONDS)

    assert deletion.result().status_code == 204
    assert answer.status_code in (200, 404)  # it was ready for a moment, or not
    assert documents_of(alice) == []


# The text


def test_the_text_is_plain_with_form_feeds_between_pages(alice: Person, hello: bytes) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.get(f"/documents/{document_id}/text")

    assert answer.text == "Hello world\nfrom the first page\fand the second"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_text_is_json_for_those_who_ask(alice: Person, hello: bytes) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.get(f"/documents/{document_id}/text", headers={"Accept": "application/json"})

    assert answer.json() == {
        "text": "Hello world\nfrom the first page\fand the second",
        "pages": [
            {"page_number": 1, "text": "Hello world\nfrom the first page", "char_count": 31},
            {"page_number": 2, "text": "and the second", "char_count": 14},
        ],
        "page_count": 2,
    }


def test_there_is_no_text_while_a_document_is_read(alice: Person, processing: int) -> None:
    answer = alice.client.get(f"/documents/{processing}/text")

    assert refusal(answer) == (409, "document_not_ready")


def test_a_document_being_read_has_its_file_already_and_nulls(alice: Person, processing: int, hello: bytes) -> None:
    details = alice.client.get(f"/documents/{processing}").json()

    assert (details["status"], details["page_count"], details["tables_found"]) == ("processing", None, None)
    assert alice.client.get(f"/documents/{processing}/file").content == hello


# The file


@pytest.fixture
def digits(alice: Person) -> tuple[str, bytes]:
    """Where a file of alice's is, and its bytes."""
    data = make_pdf("0123456789" * 5)
    return f"/documents/{uploaded(alice, data)['document_id']}/file", data


def test_a_file_comes_back_as_it_was_sent(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits

    answer = alice.client.get(path)

    assert answer.content == data
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert re.fullmatch('"[0-9a-f]{64}"', answer.headers["etag"])
    assert "private" in answer.headers["cache-control"]


def test_head_tells_the_same_without_the_bytes(alice: Person, digits: tuple[str, bytes]) -> None:
    path, _ = digits
    got = alice.client.get(path)

    answer = alice.client.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    ignored = {"x-request-id", "date"}
    assert {**answer.headers, **dict.fromkeys(ignored)} == {**got.headers, **dict.fromkeys(ignored)}


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=10-19", 10, 20),
        ("bytes=10-", 10, None),
        ("bytes=-7", -7, None),
        ("bytes=5-99999999999999999999", 5, None),
        ("bytes=-99999999999999999999", 0, None),
        ("Bytes=3-4", 3, 5),
        ("bytes= 3-4", 3, 5),
        ("bytes=0-4,5-9", 0, 10),
        ("bytes=0-9,2-4", 0, 10),
        ("bytes=0-4,99999999-", 0, 5),
    ],
)
def test_a_range_is_that_part_of_the_file(
    alice: Person, digits: tuple[str, bytes], header: str, start: int, end: int | None
) -> None:
    path, data = digits

    answer = alice.client.get(path, headers={"Range": header})

    first = start % len(data)
    assert answer.status_code == 206
    assert answer.content == data[start:end]
    assert answer.headers["content-range"] == f"bytes {first}-{(end or len(data)) - 1}/{len(data)}"
    assert answer.headers["content-length"] == str(len(answer.content))


def test_several_ranges_are_several_parts(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits

    answer = alice.client.get(path, headers={"Range": "bytes=0-4,10-14,-3"})

    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    boundary = answer.headers["content-type"].rpartition("=")[2].encode()
    parts = [part.split(b"\r\n\r\n", 1) for part in answer.content.split(b"--" + boundary)[1:-1]]
    assert [body.removesuffix(b"\r\n") for _, body in parts] == [data[:5], data[10:15], data[-3:]]
    assert f"bytes 10-14/{len(data)}".encode() in parts[1][0]
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "header", ["bytes=99999999-", "bytes=99999999999999999999-", "bytes=-0", "bytes=99999998-99999999,-0"]
)
def test_a_range_beyond_the_file_is_a_416(alice: Person, digits: tuple[str, bytes], header: str) -> None:
    path, data = digits

    answer = alice.client.get(path, headers={"Range": header})

    assert refusal(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2-3", "bytes=--5", "bytes=1_0-2_0"),
        *(
            "lines=1-2",
            "bytes=0-1;2-3",
            "bytes=0-" + "9" * 5000,
            "bytes=" + ",".join(f"{i * 2}-{i * 2}" for i in range(500)),
        ),
        *("bytes=\u0663-\u0664".encode().decode("latin-1"), "bytes=0x1-0x2", "bytes=,", "bytes=1-2,x"),
    ],
)
def test_a_range_that_makes_no_sense_is_not_looked_at(alice: Person, digits: tuple[str, bytes], header: str) -> None:
    path, data = digits

    answer = alice.client.get(path, headers=[(b"Range", header.encode("latin-1"))])

    assert answer.status_code in (200, 206)
    assert answer.content == data


def test_a_range_is_for_getting_alone(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits

    answer = alice.client.head(path, headers={"Range": "bytes=0-4"})

    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(data)))


def test_if_range_with_the_etag_gets_the_part(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits
    etag = alice.client.head(path).headers["etag"]

    answer = alice.client.get(path, headers={"Range": "bytes=0-4", "If-Range": etag})

    assert (answer.status_code, answer.content) == (206, data[:5])


def test_if_range_with_another_etag_gets_the_whole(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits
    etag = alice.client.head(path).headers["etag"]

    for other in ('"other"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense", "\xff"):
        answer = alice.client.get(path, headers=[(b"Range", b"bytes=0-4"), (b"If-Range", other.encode("latin-1"))])

        assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a,b",{}', "*", 'W/"x", W/{}, "y"'])
def test_what_one_has_already_is_not_sent_again(
    alice: Person, digits: tuple[str, bytes], method: str, form: str
) -> None:
    path, _ = digits
    etag = alice.client.head(path).headers["etag"]

    answer = alice.client.request(method, path, headers={"If-None-Match": form.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-length" not in answer.headers or answer.headers["content-length"] == "0"


@pytest.mark.parametrize("form", ['"other"', "", "nonsense", "{bare}", '"x{bare}"', '"{bare}', '"*"', "W/*"])
def test_what_one_has_not_is_sent(alice: Person, digits: tuple[str, bytes], form: str) -> None:
    path, data = digits
    bare = alice.client.head(path).headers["etag"].strip('"')

    answer = alice.client.get(path, headers={"If-None-Match": form.format(bare=bare)})

    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize(
    "filename",
    ["plain.pdf", "with space.pdf", 'quo"te.pdf', "semi;colon.pdf", "100%.pdf", "Überweisung 李 🙂.pdf", "a\\\\b"],
)
def test_a_download_bears_its_name_as_rfc_6266_writes_it(alice: Person, hello: bytes, filename: str) -> None:
    found = uploaded(alice, hello, filename)

    header = alice.client.head(f"/documents/{found['document_id']}/file").headers["content-disposition"]

    message = Message()
    message["Content-Disposition"] = header
    assert header.isascii()
    assert message.get_content_disposition() == "inline"
    assert f"filename*=UTF-8''{quote(found['filename'], safe='')}" in header
    assert re.search(r'; filename="[^"\\%]+"', header), "for those who do not know filename*"


def test_a_file_that_is_missing_on_disk_is_told_so(alice: Person, server: Server, hello: bytes) -> None:
    before = set(server.files())
    document_id = uploaded(alice, hello)["document_id"]
    (kept,) = set(server.files()) - before
    (server.uploads / kept).unlink()

    answer = alice.client.get(f"/documents/{document_id}/file")

    assert refusal(answer) == (404, "document_not_found")
    assert answer.json()["detail"] == "The file of this document is missing."
    assert alice.client.get(f"/documents/{document_id}/text").status_code == 200
    assert alice.client.delete(f"/documents/{document_id}").status_code == 204


@pytest.mark.parametrize("file_path", ["old/classic.pdf", "uploads/old/classic.pdf"])
def test_a_document_of_an_older_installation_is_served(
    alice: Person, server: Server, database: TestDatabase, hello: bytes, file_path: str
) -> None:
    (server.uploads / "old").mkdir(exist_ok=True)
    (server.uploads / "old" / "classic.pdf").write_bytes(hello)
    ((document_id,),) = database.query(
        "INSERT INTO documents (user_id, filename, file_path, extracted_text, page_count, file_size)"
        " VALUES (%s, 'classic.pdf', %s, 'a classic text', 2, %s) RETURNING id",
        *(alice.id, file_path, len(hello)),
    )
    path = f"/documents/{document_id}"

    file = alice.client.get(f"{path}/file")

    assert file.content == hello
    assert "None" not in file.headers["etag"]
    assert alice.client.get(f"{path}/file", headers={"If-None-Match": file.headers["etag"]}).status_code == 304
    assert alice.client.get(path).json()["sha256"] is None
    assert alice.client.get(f"{path}/text").text == "a classic text"
    as_json = alice.client.get(f"{path}/text", headers={"Accept": "application/json"}).json()
    assert (as_json["text"], as_json["page_count"]) == ("a classic text", 2)
    assert alice.client.delete(path).status_code == 204
    assert not (server.uploads / "old" / "classic.pdf").exists()


# Questions about a PDF that is not kept


def test_pdf_info_tells_of_a_file(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    found = post(alice, "/pdf-info", hello, "../hello.pdf").json()

    metadata = found.pop("metadata")
    assert found == {
        "filename": "hello.pdf",
        "page_count": 2,
        "file_size": len(hello),
        "has_text": True,
        "has_tables": False,
        "encrypted": False,
    }
    assert metadata["Title"] == "A greeting"


def test_pdf_info_knows_of_tables_and_of_pages_without_text(alice: Person, nothing_is_left: None) -> None:
    with_table = post(alice, "/pdf-info", make_table_pdf([["a", "b"], ["1", "2"]])).json()
    blank = post(alice, "/pdf-info", make_pdf("", "")).json()

    assert (with_table["has_text"], with_table["has_tables"]) == (True, True)
    assert (blank["has_text"], blank["has_tables"], blank["page_count"]) == (False, False, 2)


def test_extract_tells_everything(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    found = post(alice, "/extract", hello).json()

    assert found["text"] == "Hello world\nfrom the first page\fand the second"
    assert found["pages"] == [
        {"page_number": 1, "text": "Hello world\nfrom the first page", "char_count": 31},
        {"page_number": 2, "text": "and the second", "char_count": 14},
    ]
    assert (found["page_count"], found["tables"], found["metadata"]["Title"]) == (2, [], "A greeting")


def test_extract_tells_of_tables(alice: Person) -> None:
    found = post(alice, "/extract", make_table_pdf([["item", "price"], ["tea", "3"]])).json()

    assert found["tables"] == [{"page": 1, "table_index": 0, "data": [["item", "price"], ["tea", "3"]]}]


@pytest.fixture(scope="module")
def poem() -> bytes:
    return make_pdf(
        "The quick brown\nfox and the Quick  brown fox;\nthe QUICK brown fox.", "No animals here.", "A quick brown\nfox"
    )


def search(person: Person, data: bytes, term: str) -> dict[str, Any]:
    answer = post(person, "/search-pdf", data, search_term=term)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("where", ["query", "form"])
def test_a_term_is_searched_from_query_or_form(alice: Person, nothing_is_left: None, poem: bytes, where: str) -> None:
    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params={"search_term": "animals"} if where == "query" else {},
        data={"search_term": "animals"} if where == "form" else {},
    )

    assert answer.json() == {
        "filename": "poem.pdf",
        "search_term": "animals",
        "total_matches": 1,
        "matches_by_page": [
            {
                "page": 2,
                "matches": 1,
                "context": [
                    {
                        "position": 3,
                        "context": "No animals here.",
                        "before": "No ",
                        "match": "animals",
                        "after": " here.",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize("term", [None, "", "  ", "\t\n"])
@pytest.mark.parametrize("where", ["query", "form"])
def test_without_a_term_there_is_nothing_to_search(
    alice: Person, nothing_is_left: None, poem: bytes, where: str, term: str | None
) -> None:
    given = {} if term is None else {"search_term": term}

    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params=given if where == "query" else {},
        data=given if where == "form" else {},
    )

    assert refusal(answer) == (400, "search_term_required")
    assert answer.json()["detail"] == "Search term is required"


def test_a_phrase_is_found_across_a_line_end_in_any_case(alice: Person, poem: bytes) -> None:
    found = search(alice, poem, "quick brown fox")

    assert found["total_matches"] == 4
    assert [(page["page"], page["matches"]) for page in found["matches_by_page"]] == [(1, 3), (3, 1)]


@pytest.mark.parametrize("term", ["quick brown fox", "o", "THE", "e q", "."])
def test_positions_index_the_text_of_the_page(alice: Person, poem: bytes, term: str) -> None:
    texts = {page["page_number"]: page["text"] for page in post(alice, "/extract", poem).json()["pages"]}

    found = search(alice, poem, term)

    for page in found["matches_by_page"]:
        assert page["matches"] == len(page["context"])
        for hit in page["context"]:
            assert texts[page["page"]][hit["position"] :].startswith(hit["match"])
            assert texts[page["page"]][: hit["position"]].endswith(hit["before"])
            assert hit["context"] == hit["before"] + hit["match"] + hit["after"]
            assert hit["match"].split() == pytest.approx(hit["match"].split())
            assert " ".join(hit["match"].lower().split()) == term.lower()


def test_counts_are_whole_though_contexts_are_capped(alice: Person) -> None:
    found = search(alice, make_pdf("tea " * 900), "tea")

    (page,) = found["matches_by_page"]
    assert found["total_matches"] == page["matches"] == 900
    assert 0 < len(page["context"]) <= 900


@pytest.mark.parametrize("term", ["(", "[a-z]+", ".*", "\\", "$^", "%", "a\x00b", "\ufffd", "x" * 1000, "🙂", "İ", "ﬁ"])
def test_a_term_is_text_and_not_a_pattern(alice: Person, poem: bytes, term: str) -> None:
    found = search(alice, poem, term)

    assert (found["total_matches"], found["matches_by_page"]) == (0, [])


@pytest.mark.parametrize("where", ["query", "form"])
def test_a_term_of_a_thousand_and_one_characters_is_refused(
    alice: Person, nothing_is_left: None, poem: bytes, where: str
) -> None:
    given = {"search_term": "x" * 1001}

    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params=given if where == "query" else {},
        data=given if where == "form" else {},
    )

    assert refusal(answer) == (422, "validation_error")


def test_many_questions_at_once_are_all_answered(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda n: post(alice, PDF_ROUTES[1 + n % 3], hello).status_code, range(24)))

    assert answers == [200] * 24
