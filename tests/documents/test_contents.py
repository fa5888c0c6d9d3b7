"""The contents of a document: its text, and its file, whole or in parts."""

import re
from email.message import Message
from urllib.parse import quote

import pytest

from support.databases import TestDatabase
from support.documents import refusal, uploaded
from support.pdfs import make_pdf
from support.servers import Person, Server

# The text


def test_the_text_is_plain_with_form_feeds_between_pages(alice: Person, hello: bytes) -> None:
    document_id = uploaded(alice, hello)["document_id"]

    answer = alice.client.get(f"/documents/{document_id}/text")

    assert answer.text == "Hello world\nfrom the first page\fand the second"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_text_is_json_on_request(alice: Person, hello: bytes) -> None:
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


def test_a_processing_document_has_no_text_yet(alice: Person, processing: int) -> None:
    answer = alice.client.get(f"/documents/{processing}/text")

    assert refusal(answer) == (409, "document_not_ready")


def test_a_processing_document_has_its_file_already_and_nulls(alice: Person, processing: int, hello: bytes) -> None:
    details = alice.client.get(f"/documents/{processing}").json()

    assert (details["status"], details["page_count"], details["tables_found"]) == ("processing", None, None)
    assert alice.client.get(f"/documents/{processing}/file").content == hello


# The file


@pytest.fixture
def digits(alice: Person) -> tuple[str, bytes]:
    """The path of a file of alice's, and its bytes."""
    data = make_pdf("0123456789" * 5)
    return f"/documents/{uploaded(alice, data)['document_id']}/file", data


def test_a_file_is_served_as_it_was_uploaded(alice: Person, digits: tuple[str, bytes]) -> None:
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


def test_head_has_the_headers_of_get_without_the_bytes(alice: Person, digits: tuple[str, bytes]) -> None:
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
def test_a_malformed_range_is_ignored(alice: Person, digits: tuple[str, bytes], header: str) -> None:
    path, data = digits

    answer = alice.client.get(path, headers=[(b"Range", header.encode("latin-1"))])

    assert answer.status_code in (200, 206)
    assert answer.content == data


def test_a_range_of_a_head_request_is_ignored(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits

    answer = alice.client.head(path, headers={"Range": "bytes=0-4"})

    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(data)))


def test_if_range_with_the_etag_gets_the_range(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits
    etag = alice.client.head(path).headers["etag"]

    answer = alice.client.get(path, headers={"Range": "bytes=0-4", "If-Range": etag})

    assert (answer.status_code, answer.content) == (206, data[:5])


def test_if_range_with_another_etag_gets_the_whole_file(alice: Person, digits: tuple[str, bytes]) -> None:
    path, data = digits
    etag = alice.client.head(path).headers["etag"]

    for other in ('"other"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense", "\xff"):
        answer = alice.client.get(path, headers=[(b"Range", b"bytes=0-4"), (b"If-Range", other.encode("latin-1"))])

        assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a,b",{}', "*", 'W/"x", W/{}, "y"'])
def test_a_file_that_the_client_has_is_not_modified(
    alice: Person, digits: tuple[str, bytes], method: str, form: str
) -> None:
    path, _ = digits
    etag = alice.client.head(path).headers["etag"]

    answer = alice.client.request(method, path, headers={"If-None-Match": form.format(etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-length" not in answer.headers or answer.headers["content-length"] == "0"


@pytest.mark.parametrize("form", ['"other"', "", "nonsense", "{bare}", '"x{bare}"', '"{bare}', '"*"', "W/*"])
def test_a_file_that_the_client_does_not_have_is_sent(alice: Person, digits: tuple[str, bytes], form: str) -> None:
    path, data = digits
    bare = alice.client.head(path).headers["etag"].strip('"')

    answer = alice.client.get(path, headers={"If-None-Match": form.format(bare=bare)})

    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize(
    "filename",
    ["plain.pdf", "with space.pdf", 'quo"te.pdf', "semi;colon.pdf", "100%.pdf", "Überweisung 李 🙂.pdf", "a\\\\b.PDF"],
)
def test_a_download_is_named_as_in_rfc_6266(alice: Person, hello: bytes, filename: str) -> None:
    found = uploaded(alice, hello, filename)

    header = alice.client.head(f"/documents/{found['document_id']}/file").headers["content-disposition"]

    message = Message()
    message["Content-Disposition"] = header
    assert header.isascii()
    assert message.get_content_disposition() == "inline"
    assert f"filename*=UTF-8''{quote(found['filename'], safe='')}" in header
    assert re.search(r'; filename="[^"\\%]+"', header), "for those who do not know filename*"


@pytest.mark.parametrize("filename", ["invoice.exe", "invoice.pdf.exe", "invoice.html", "invoice.pdf.", "invoice"])
@pytest.mark.parametrize("download", ["0", "1"])
def test_a_file_that_is_a_program_too_is_saved_as_a_pdf(
    alice: Person, hello: bytes, filename: str, download: str
) -> None:
    found = uploaded(alice, b"MZ" + hello, filename)

    header = alice.client.get(f"/documents/{found['document_id']}/file?download={download}").headers

    assert found["filename"] == filename
    assert header["content-disposition"].endswith(f"; filename*=UTF-8''{filename}.pdf")
    assert f'; filename="{filename}.pdf";' in header["content-disposition"]


def test_a_file_missing_on_disk_is_a_404(alice: Person, server: Server, hello: bytes) -> None:
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
