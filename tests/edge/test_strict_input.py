"""What a body must be: JSON with numbers for numbers, not compressed; and how a 422 says what is wrong."""

import gzip
import json
import re
from typing import Any

import pytest

from support.accounts import address, fields
from support.raw_http import ORIGIN, assert_error, exchange, head
from support.servers import PASSWORD, Person, Server

JSON = {"Content-Type": "application/json"}
FAR = ["9223372036854775808", "1180591620717411303424", "1e19", "1" + "0" * 400, "9" * 5000]
NO_ID = ["true", "false", '"1"', '""', "1.5", "0", "-1", "null", "[1]", '{"id": 1}', "NaN", "Infinity", *FAR]
GOOD: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/register"): {"password": PASSWORD, "name": "Bob"},
    ("POST", "/login"): {"password": PASSWORD},
    ("POST", "/token"): {"password": PASSWORD},
    ("POST", "/messages"): {"content": "hello"},
    ("POST", "/messages/{id}/read"): {"up_to_id": 1},
    ("PATCH", "/message/{message}"): {"content": "good-bye"},
    ("POST", "/send-notification"): {"message": "hello"},
}


def good_request(alice: Person, method: str, path: str) -> tuple[str, dict[str, object]]:
    """The address and the body of a request that succeeds."""
    note = alice.client.post("/messages", json={"recipient_id": alice.id, "content": "hello"}).json()
    email = address("bob") if path == "/register" else alice.email
    body = {"email": email, "recipient_id": alice.id, **GOOD[method, path]}
    return path.format(id=alice.id, message=note["id"]), body


# Numbers


@pytest.mark.parametrize("number", NO_ID, ids=lambda number: number[:24])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages", '{"recipient_id": %s, "content": "hello"}'),
        ("/messages/1/read", '{"up_to_id": %s}'),
    ],
)
def test_an_id_in_json_is_a_whole_number_of_63_bits(shared_alice: Person, path: str, body: str, number: str) -> None:
    answer = shared_alice.client.post(path, content=body % number, headers=JSON)

    assert_error(answer, 422)


@pytest.mark.parametrize("number", ["{}", "{}.0", "{}e0"])
def test_a_number_may_be_written_as_json_allows(alice: Person, number: str) -> None:
    body = json.dumps({"recipient_id": alice.id, "content": "hello"}).replace(str(alice.id), number.format(alice.id))

    answer = alice.client.post("/messages", content=body, headers=JSON)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("number", [str(2**63), str(2**70), "9" * 400, "9" * 5000, "-1", "0", "true", "1.5", "0x1"])
@pytest.mark.parametrize(
    "path",
    [
        "/users/{}",
        "/users?cursor={}",
        "/messages/{}",
        "/messages/1?before={}",
        "/messages/1?after={}",
        "/conversations?cursor={}",
        "/documents/{}",
        "/documents/{}/text",
        "/documents?cursor={}",
        "/events?after={}",
    ],
)
def test_an_id_out_of_range_in_a_path_or_a_query_is_a_404_or_422(shared_alice: Person, path: str, number: str) -> None:
    if (path, number) == ("/events?after={}", "0"):
        number = "-0.5"  # 0 is the beginning

    answer = shared_alice.client.get(path.format(number))

    assert_error(answer, 404, 422)


@pytest.mark.parametrize(
    "body",
    [
        {"content": 7},
        {"content": True},
        {"content": ["hello"]},
        {"client_id": 7},
        {"client_id": False},
    ],
    ids=str,
)
def test_text_in_json_is_text(alice: Person, body: dict[str, object]) -> None:
    answer = alice.client.post("/messages", json={"recipient_id": alice.id, "content": "hello", **body})

    assert fields(answer) == set(body)


@pytest.mark.parametrize("value", ["true", "no", "", 1, 0, 1.0, None, []], ids=str)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api-keys", "read_only"),
        ("/api-keys", "admin"),
        ("/session", "keep"),
        ("/register", "session"),
        ("/users", "is_admin"),
    ],
)
def test_booleans_in_json_are_true_or_false(shared_alice: Person, path: str, field: str, value: object) -> None:
    body = {"name": "Bob", "email": address("bob"), "password": PASSWORD, field: value}

    answer = shared_alice.client.post(path, json=body)

    assert fields(answer) == {field}


# Bodies


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_a_byte_order_mark_before_json_is_ignored_by_every_route(
    alice: Person, method: str, path: str, encoding: str
) -> None:
    path, body = good_request(alice, method, path)

    answer = alice.client.request(method, path, content=json.dumps(body).encode(encoding), headers=JSON)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf", b"\xef\xbb\xbf{", b'\xef\xbb\xbf{"a": "\xff"}', b"\xff\xfe{", b"\xff\xfe\x00\xd8"]
)
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_a_byte_order_mark_before_something_else_is_a_422(
    shared_alice: Person, method: str, path: str, body: bytes
) -> None:
    path = path.format(id=1, message=1)

    answer = shared_alice.client.request(method, path, content=body, headers=JSON)

    assert_error(answer, 422)
    assert answer.json()["detail"][0]["type"] == "json_invalid"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "x-gzip", "identity, gzip", "nonsense"])
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_a_compressed_body_is_a_415_that_says_so(alice: Person, method: str, path: str, coding: str) -> None:
    path, body = good_request(alice, method, path)

    answer = alice.client.request(
        method,
        path,
        content=gzip.compress(json.dumps(body).encode()),
        headers={**JSON, "Content-Encoding": coding, "Origin": ORIGIN},
    )

    assert_error(answer, 415)
    assert answer.json()["code"] == "unsupported_media_type"
    assert "compressed" in answer.json()["detail"].lower()
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_compressed_upload_is_a_415_that_leaves_nothing(alice: Person, server: Server) -> None:
    before = server.files()

    answer = alice.client.post(
        "/upload-pdf", files={"file": ("a.pdf", b"%PDF-1.7")}, headers={"Content-Encoding": "gzip"}
    )

    assert_error(answer, 415)
    assert server.files() == before


def test_two_content_encodings_count_together(server: Server, shared_alice: Person) -> None:
    request = head("POST", "/messages", shared_alice, Content_Type="application/json", Content_Length="2")
    headers = b"Content-Encoding: gzip\r\nContent-Encoding: identity\r\n\r\n"

    status, _, _ = exchange(server, request[:-2] + headers + b"{}")

    assert status == 415


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_compressed_is_accepted(alice: Person, coding: str) -> None:
    answer = alice.client.post(
        "/messages", json={"recipient_id": alice.id, "content": "hello"}, headers={"Content-Encoding": coding}
    )

    assert answer.status_code == 200, answer.text


# What a 422 says

PROBLEMS: list[tuple[str, str, dict[str, object], dict[str, object]]] = [
    ("/register", "password", {"password": "hush-7"}, {"min_length": 8}),
    ("/register", "password", {"password": "hush-7 " * 20}, {"max_length": 72}),
    ("/register", "password", {"password": "hush-ü" * 12}, {"max_bytes": 72}),
    ("/register", "password", {"password": "hush-7\0hush-7"}, {}),
    ("/register", "name", {"name": ""}, {"min_length": 1}),
    ("/register", "name", {"name": "hush-7" * 40}, {"max_length": 200}),
    ("/register", "name", {"name": "hush-7\nhush-7"}, {}),
    ("/register", "email", {"email": "hush-7"}, {}),
    ("/register", "email", {"email": "hush-7(hush-7@example.com"}, {}),
    ("/register", "email", {"email": "alice@hush☃7.example.com"}, {}),
    ("/register", "email", {"email": "alice@" + "hush-7" * 50 + ".com"}, {"max_length": 254}),
    ("/register", "email", {"email": "h" * 65 + "@example.com"}, {"max_length": 64}),
    ("/login", "password", {"password": "hush-7 " * 20}, {"max_length": 72}),
    ("/login", "email", {"email": "hush-7" * 60}, {"max_length": 320}),
    ("/messages", "recipient_id", {"recipient_id": 0}, {"ge": 1}),
    ("/messages", "recipient_id", {"recipient_id": 2**63}, {"le": 2**63 - 1}),
    ("/messages", "content", {"content": ""}, {"min_length": 1}),
    ("/messages", "content", {"content": " "}, {}),
    ("/messages", "client_id", {"client_id": "hush-7" * 11}, {"max_length": 64}),
    ("/send-notification", "message", {"message": "hush-7" * 2000}, {"max_length": 10_000}),
]


@pytest.mark.parametrize(("path", "field", "wrong", "limit"), PROBLEMS, ids=lambda value: str(value)[:40])
def test_a_422_names_the_field_the_limit_and_what_is_wrong_in_words(
    alice: Person, path: str, field: str, wrong: dict[str, object], limit: dict[str, object]
) -> None:
    _, body = good_request(alice, "POST", path)

    answer = alice.client.post(path, json={**body, **wrong})

    assert_error(answer, 422)
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["body", field]
    assert problem.get("ctx", {}) == limit
    assert set(problem) - {"ctx"} == {"type", "loc", "msg"}
    assert re.fullmatch(r"[A-Z][\w' ,;@.()-]+", problem["msg"]), "a sentence, no pattern"
    assert "Value error" not in problem["msg"]
    assert "item" not in problem["msg"]
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("/users?limit=201", {"le": 200}),
        ("/users?q=" + "x" * 201, {"max_length": 200}),
        (f"/users?cursor={2**63}", {"le": 2**63 - 1}),
        ("/messages?order=hush", {"expected": "'asc' or 'desc'"}),
        ("/documents?status=hush", {"expected": "'processing', 'ready' or 'failed'"}),
        ("/documents/1/search?q=" + "x" * 1001, {"max_length": 1000}),
        ("/events?after=0&wait=61", {"le": 60}),
    ],
)
def test_a_422_about_a_query_names_the_limit(shared_alice: Person, query: str, limit: dict[str, Any]) -> None:
    answer = shared_alice.client.get(query)

    assert_error(answer, 422)
    (problem,) = answer.json()["detail"]
    assert problem["ctx"] == limit
    assert "item" not in problem["msg"]
    assert "hush" not in answer.text


def test_a_422_about_a_form_names_the_limit(alice: Person) -> None:
    answer = alice.upload(b"%PDF-1.7", password="x" * 256)

    assert_error(answer, 422)
    (problem,) = answer.json()["detail"]
    assert (problem["loc"], problem["ctx"]) == (["body", "password"], {"max_length": 255})
