"""Random requests, almost right or not at all: none is a crash."""

import json
import random
from typing import Any

import pytest

from support.pdfs import make_pdf
from support.raw_http import assert_error
from support.servers import PASSWORD, Person, Server

PDF_PATHS = ("/upload-pdf", "/pdf-info", "/search-pdf", "/extract", "/extract/tables")
RIGHT = {
    "email": "alice@example.com",
    "username": "alice@example.com",
    "password": PASSWORD,
    "name": "Alice",
    "recipient_id": 1,
    "content": "hello",
    "client_id": "once",
    "document_id": 1,
    "match": "a",
    "owner": "me",
    "shared": "me",
    "sha256": "0" * 64,
    "sort": "filename",
    "filename": "book.pdf",
    "message": "hello",
    "search_term": "x",
    "width": 100,
    "format": "webp",
    "q": "a",
    "limit": 2,
    "cursor": 9,
    "page": 1,
    "merge": 1,
    "status": "ready",
    "order": "asc",
    "before": 9,
    "after": 1,
}
ROUTES: list[tuple[str, str, str]] = [  # method, path, and parameters
    ("POST", "/register", "email password name"),
    ("POST", "/login", "email username password"),
    ("POST", "/token", "username password"),
    ("GET", "/me", ""),
    ("GET", "/protected", ""),
    ("GET", "/users", "q limit cursor"),
    ("GET", "/users/{}", ""),
    ("GET", "/documents", "limit cursor status owner shared q sha256 sort order"),
    ("GET", "/documents/{}/shares", "limit cursor"),
    ("PUT", "/documents/{}/shares/{}", ""),
    ("GET", "/documents/{}/shares/{}", ""),
    ("DELETE", "/documents/{}/shares/{}", ""),
    ("GET", "/documents/{}/messages", "page limit cursor"),
    ("GET", "/documents/{}", ""),
    ("PATCH", "/documents/{}", "filename"),
    ("DELETE", "/documents/{}", ""),
    ("GET", "/documents/{}/file", ""),
    ("HEAD", "/documents/{}/file", ""),
    ("GET", "/documents/{}/text", ""),
    ("GET", "/documents/{}/pages/{}", ""),
    ("GET", "/documents/{}/pages/{}/image", "width format q"),
    ("GET", "/documents/{}/tables", "page merge"),
    ("GET", "/documents/{}/search", "q limit cursor"),
    ("GET", "/documents/{}/tables/{}.csv", "merge"),
    ("GET", "/documents/{}/tables.csv", "page merge"),
    ("GET", "/documents/{}/tables.xlsx", "page merge"),
    ("POST", "/upload-pdf", "client_id password recipient_id content"),
    ("POST", "/pdf-info", "password"),
    ("POST", "/search-pdf", "search_term"),
    ("POST", "/extract", ""),
    ("POST", "/extract/tables", "merge"),
    ("POST", "/messages", "recipient_id content client_id document_id page match"),
    ("GET", "/messages", "page limit order"),
    ("GET", "/messages/{}", "limit before after"),
    ("POST", "/send-notification", "email message"),
]
WRONG: list[Any] = [
    *(
        "",
        "1",
        "0",
        "-1",
        "9" * 30,
        "x",
        "\x00",
        "\ud7ff",
        "é" * 50,
        "x" * 5000,
        "../..",
        "%",
        "%s",
        "'",
        "\\",
        "\u202e",
    ),
    *(None, True, 7, -7, 2**63, 10**40, 1.5, float("nan"), float("inf"), [], {}, [[]], {"a": {}}, ["x"] * 50),
]
IDS = ["1", "1", "1", "0", "-1", "x", "9" * 20, "9" * 400, "%00", "%ff", "1.0", "é"]
HEADERS: list[dict[str, str]] = [
    {},
    {"Range": "bytes=0-1,5-"},
    {"Range": "bytes=-0"},
    {"If-None-Match": '*, "x'},
    {"Accept": "application/json"},
    {"Authorization": "Bearer x"},
    {"Expect": "100-continue"},
]
KINDS = ["application/json", "multipart/form-data; boundary=B", "application/x-www-form-urlencoded", "x"]


def shuffled_request(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A request that is almost right, or not at all."""
    method, path, asked = chance.choice(ROUTES)
    some = {
        name: RIGHT[name] if chance.random() < 0.7 else chance.choice(WRONG)
        for name in (asked.split() if chance.random() < 0.9 else chance.sample(list(RIGHT), 5))
        if chance.random() < 0.9
    }
    texts = {name: str(value) for name, value in some.items()}
    headers = dict(chance.choice(HEADERS))
    options: dict[str, Any] = {"headers": headers}
    match chance.randrange(4) if method in ("POST", "PATCH") else 4:
        case 0 | 1 if path not in PDF_PATHS:
            options["content"] = json.dumps(some)
            headers["Content-Type"] = "application/json"
        case 2:
            options["data"] = texts
        case 3:
            options["content"] = chance.randbytes(chance.randint(0, 500))
            headers["Content-Type"] = chance.choice(KINDS)
        case 4:
            options["params"] = texts
        case _:
            file = chance.choice([make_pdf("x"), make_pdf("x")[:-99], b"%PDF-1.7", b"", chance.randbytes(200)])
            options["files"] = {chance.choice(["file"] * 9 + ["f"]): (chance.choice([*texts, "a.pdf"]), file)}
            options["data"] = texts
    return method, path.format(*chance.choices(IDS, k=path.count("{}"))), options


@pytest.mark.parametrize("seed", range(8))
def test_no_random_request_is_a_crash(server: Server, alice: Person, seed: int) -> None:
    chance = random.Random(seed)
    requests = [shuffled_request(chance) for _ in range(60)]

    answers = [(request, alice.client.request(request[0], request[1], **request[2])) for request in requests]

    assert [(request, answer.text) for request, answer in answers if answer.status_code >= 500] == []
    for (method, _, _), answer in answers:
        if answer.status_code >= 400 and method != "HEAD":
            assert_error(answer, answer.status_code)
