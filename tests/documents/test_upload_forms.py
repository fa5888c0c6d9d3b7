"""The form around a PDF: file names, malformed forms, and requests that end early."""

import re
import socket

import httpx
import pytest

from support.documents import MEGABYTE, PDF_ROUTES, refusal, uploaded
from support.hostile import make_hostile
from support.pdfs import make_pdf
from support.servers import WAIT_SECONDS, Person, Server

# File names


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
def test_a_file_name_is_its_last_component_without_control_characters(
    alice: Person, hello: bytes, filename: str
) -> None:
    found = uploaded(alice, hello, filename)

    assert found["filename"] == NAMES[filename]
    assert alice.client.get("/documents").json()["documents"][0]["filename"] == NAMES[filename]


@pytest.mark.parametrize("filename", [b"", b"\x00", b"\xff\xfe.pdf", b"a\x00b.pdf", b'a\\"b.pdf', b"\xed\xa0\x80.pdf"])
def test_any_bytes_may_be_a_file_name(alice: Person, hello: bytes, filename: bytes) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--B--\r\n' % (
        filename,
        hello,
    )

    answer = alice.client.post("/upload-pdf", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["filename"]
    assert not re.search("[\x00-\x1f]", answer.json()["filename"])


def test_files_are_stored_under_names_of_our_own(alice: Person, server: Server, hello: bytes) -> None:
    before = set(server.files())

    uploaded(alice, hello, "../../../tmp/evil.pdf")

    (kept,) = set(server.files()) - before
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{32}\.pdf", kept)


# Malformed requests


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
def test_a_form_is_utf8_whatever_charset_it_claims(alice: Person, hello: bytes, charset: str) -> None:
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
def test_a_client_that_disconnects_during_an_upload_leaves_nothing(
    alice: Person, server: Server, nothing_is_left: None, path: str
) -> None:
    request_id = f"gone-{alice.id}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {alice.token}\r\n"
        f"X-Request-ID: {request_id}\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 9000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode() + FILE[:-4] + b"x" * 3_000_000)

    server.wait_for_line(request_id)

    assert alice.client.get("/healthz").status_code == 200


def test_an_upload_without_a_token_is_refused_before_its_file_is_sent(client: httpx.Client, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), WAIT_SECONDS) as connection:
        connection.sendall(
            b"POST /upload-pdf HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", PDF_ROUTES)
def test_a_pdf_requires_authentication(client: httpx.Client, hello: bytes, path: str) -> None:
    answer = client.post(path, files={"file": ("a.pdf", hello)})

    assert refusal(answer) == (401, "not_authenticated")
