"""The name of an uploaded file, however its client writes it; the part is always taken for the file."""

import json
from base64 import b64encode

import pytest

from support.pdfs import make_pdf
from support.raw_http import exchange, head
from support.servers import Person, Server

PDF = make_pdf("hello")


def word(text: str, charset: str = "utf-8") -> str:
    """An encoded word of RFC 2047."""
    return f"=?{charset}?B?{b64encode(text.encode(charset)).decode()}?="


NAMES: dict[str, str] = {
    # plain
    'name="file"; filename="report.pdf"': "report.pdf",
    "name=file; filename=report.pdf": "report.pdf",
    "name=file; filename=annual report.pdf": "annual report.pdf",
    'NAME="file"; FileName="report.pdf"': "report.pdf",
    'filename="report.pdf"; name="file"': "report.pdf",
    'name="file";filename="report.pdf"': "report.pdf",
    'name="file"; filename="Überweisung 李 🙂.pdf"': "Überweisung 李 🙂.pdf",
    'name="file"; filename="a;b.pdf"; size=7': "a;b.pdf",
    # none
    'name="file"': "document.pdf",
    "name=file": "document.pdf",
    'name="file"; filename=""': "document.pdf",
    "name=file; filename=": "document.pdf",
    "name=file; filename": "document.pdf",
    "name=file; filename*": "document.pdf",
    "name=file; filename*=": "document.pdf",
    "name=file; filename*=utf-8''": "document.pdf",
    "name=file; filename*=utf-8''%E3%85%A4": "document.pdf",
    'name="file"; filename="=?utf-8?B??="': "document.pdf",
    # RFC 5987
    "name=file; filename*=utf-8''na%C3%AFve%20%E2%82%AC.pdf": "naïve €.pdf",
    "name=file; filename*=UTF-8'en'na%C3%AFve.pdf": "naïve.pdf",
    "name=file; filename*=iso-8859-1''na%EFve.pdf": "naïve.pdf",
    "name=file; filename*=ISO-8859-1'fr'na%EFve.pdf": "naïve.pdf",
    "name=file; filename*=windows-1252''%80.pdf": "€.pdf",
    "name=file; filename*=us-ascii''plain.pdf": "plain.pdf",
    "name=file; filename*=\"utf-8''na%C3%AFve.pdf\"": "naïve.pdf",
    "filename*=utf-8''na%C3%AFve.pdf; name=file": "naïve.pdf",
    "name=file; FILENAME*=utf-8''na%C3%AFve.pdf": "naïve.pdf",
    "name=file; filename=naive.pdf; filename*=utf-8''na%C3%AFve.pdf": "naïve.pdf",
    "name=file; filename*=utf-8''na%C3%AFve.pdf; filename=naive.pdf": "naïve.pdf",
    f"name=file; filename=\"{word('naïve.pdf')}\"; filename*=utf-8''na%C3%AFve.pdf": "naïve.pdf",  # as .NET writes it
    "name=file; filename*=utf-8''..%2F..%2Fetc%2Fpasswd.pdf": "passwd.pdf",
    "name=file; filename*=utf-8''C%3A%5CUsers%5Calice%5Cx.pdf": "x.pdf",
    "name=file; filename*=utf-8''a%22b%3Bc.pdf": 'a"b;c.pdf',
    "name=file; filename*=utf-8''a%00b%0Ac.pdf": "abc.pdf",
    "name=file; filename*=utf-8''100%25.pdf": "100%.pdf",
    # RFC 5987, broken
    "name=file; filename*=na%C3%AFve.pdf": "naïve.pdf",
    "name=file; filename*=klingon''report.pdf": "report.pdf",
    "name=file; filename*=idna''report.pdf": "report.pdf",
    "name=file; filename=report.pdf; filename*=klingon''x.pdf": "report.pdf",
    "name=file; filename=report.pdf; filename*=utf-8''%FF%FE.pdf": "report.pdf",
    "name=file; filename*=utf-8''%FF.pdf": "\ufffd.pdf",
    "name=file; filename*=utf-8''100%.pdf": "100%.pdf",
    "name=file; filename=report.pdf; filename*=": "report.pdf",
    # RFC 2231
    'name=file; filename*0="annual "; filename*1="report.pdf"': "annual report.pdf",
    "name=file; filename*1*=%AFve.pdf; filename*0*=utf-8''na%C3": "naïve.pdf",
    # RFC 2047
    f'name="file"; filename="{word("naïve €.pdf")}"': "naïve €.pdf",
    f'name="file"; filename="{word("naïve.pdf", "iso-8859-1")}"': "naïve.pdf",
    f"name=file; filename={word('naïve.pdf')}": "naïve.pdf",
    'name="file"; filename="=?UTF-8?q?na=C3=AFve_report.pdf?="': "naïve report.pdf",
    'name="file"; filename="=?iso-8859-1?Q?na=EFve.pdf?="': "naïve.pdf",
    'name="file"; filename="=?utf-8*en?Q?na=C3=AFve.pdf?="': "naïve.pdf",
    f'name="file"; filename="{word("naïve ")} {word("report.pdf")}"': "naïve report.pdf",
    f'name="file"; filename="{word("na")}   =?iso-8859-1?q?=EFve.pdf?="': "naïve.pdf",
    'name="file"; filename="=?utf-8?B?bmHD?= =?utf-8?B?r3ZlLnBkZg==?="': "naïve.pdf",  # ï is parted between them
    f'name="file"; filename="my {word("naïve")} report.pdf"': "my naïve report.pdf",
    f'name="file"; filename="{word("../../naïve.pdf")}"': "naïve.pdf",
    # RFC 2047, broken
    'name="file"; filename="=?utf-8?B?!!!?="': "=?utf-8?B?!!!?=",
    'name="file"; filename="=?klingon?B?YQ==?="': "=?klingon?B?YQ==?=",
    'name="file"; filename="=?utf-8?Q?=FF?="': "=?utf-8?Q?=FF?=",
    'name="file"; filename="=?utf-8?X?a?=.pdf"': "=?utf-8?X?a?=.pdf",
    'name="file"; filename="=?utf-8?B?YQ"': "=?utf-8?B?YQ",
    # paths and quotes
    'name="file"; filename="/home/alice/report.pdf"': "report.pdf",
    r'name="file"; filename="C:\Users\alice\report.pdf"': "report.pdf",
    r"name=file; filename=C:\Users\alice\report.pdf": "report.pdf",
    r'name="file"; filename="my \"best\" report.pdf"': 'my "best" report.pdf',
    'name="file"; filename="my %22best%22 report.pdf"': 'my "best" report.pdf',  # as browsers write it
    'name="file"; filename="my "best" report.pdf"': 'my "best" report.pdf',
    "name=file; filename='report.pdf'": "'report.pdf'",
    'name="file"; filename="report.pdf': "report.pdf",
    'name="file"; filename="na%C3%AFve.pdf"': "na%C3%AFve.pdf",
}


def ask(server: Server, person: Person, disposition: bytes, kind: bytes = b"application/pdf") -> tuple[int, str]:
    """The status and the file name, as /pdf-info answers them."""
    lines = [
        b"--B",
        b"Content-Disposition: form-data; " + disposition,
        b"Content-Type: " + kind,
        b"",
        PDF,
        b"--B--",
        b"",
    ]
    body = b"\r\n".join(lines)
    request = head(
        "POST", "/pdf-info", person, Content_Type="multipart/form-data; boundary=B", Content_Length=str(len(body))
    )
    status, _, answer = exchange(server, request + body)
    return status, json.loads(answer).get("filename", answer.decode())


@pytest.mark.parametrize("disposition", NAMES)
def test_a_file_has_the_name_that_its_client_gave_it(server: Server, shared_alice: Person, disposition: str) -> None:
    found = ask(server, shared_alice, disposition.encode())

    assert found == (200, NAMES[disposition])


@pytest.mark.parametrize("kind", [b"text/plain", b"application/octet-stream", b""])
def test_the_part_is_the_file_whatever_its_type(server: Server, shared_alice: Person, kind: bytes) -> None:
    assert ask(server, shared_alice, b'name="file"', kind) == (200, "document.pdf")


def test_a_name_in_latin_1_is_read_as_such(server: Server, shared_alice: Person) -> None:
    assert ask(server, shared_alice, b'name="file"; filename="na\xefve.pdf"') == (200, "naïve.pdf")


@pytest.mark.parametrize("charset", ["undefined", "punycode", "unicode_escape", "utf-7", "hex", "x" * 500, "\0"])
def test_a_strange_charset_is_no_trouble(server: Server, shared_alice: Person, charset: str) -> None:
    names = [f"filename*={charset}''a%5Cud800.pdf", f'filename="=?{charset}?B?YVx1ZDgwMC5wZGY=?="']

    answers = [ask(server, shared_alice, f"name=file; {name}".encode()) for name in names]

    assert [status for status, _ in answers] == [200, 200]
    assert not any("\ud800" in name for _, name in answers)
