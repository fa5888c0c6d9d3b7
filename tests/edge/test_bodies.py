"""Hostile bodies: the answer is a clear refusal, never a crash."""

import json

import pytest

from support.raw_http import MEGABYTE, ORIGIN, assert_error, exchange, head
from support.servers import Person, Server

JSON = {"Content-Type": "application/json"}
JSON_ROUTES = [
    ("POST", "/register"),
    ("POST", "/login"),
    ("POST", "/token"),
    ("POST", "/messages"),
    ("POST", "/send-notification"),
    ("PATCH", "/documents/1"),
]
BODIES: dict[str, bytes] = {
    "NaN": b'{"email": NaN, "password": NaN, "recipient_id": NaN, "content": NaN, "message": NaN, "filename": NaN}',
    "Infinity": b'{"recipient_id": Infinity, "content": -Infinity, "email": Infinity, "filename": Infinity}',
    "1e400": b'{"recipient_id": 1e400, "content": "x", "email": 1e400, "password": -1e400, "filename": 1e400}',
    "10**400": b'{"recipient_id": 1' + b"0" * 400 + b', "content": "x", "filename": 1' + b"0" * 400 + b"}",
    "a number of 5,000 digits": b'{"recipient_id": ' + b"9" * 5000 + b', "content": "x"}',
    "2**63": b'{"recipient_id": 9223372036854775808, "content": 9223372036854775808}',
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 50,000 deep": b'{"content":' * 50_000 + b"1" + b"}" * 50_000,
    "a field 100,000 deep": b'{"content": ' + b"[" * 100_000 + b"]" * 100_000 + b', "recipient_id": 1}',
    "a key twice": b'{"email": "alice@example.com", "email": 7, "password": "x", "password": null, "filename": 7}',
    "100,000 keys": b"{" + b",".join(b'"k%d": %d' % (i, i) for i in range(50_000)) + b"}",
    "not UTF-8": b'{"email": "\xff\xfe", "password": "\xc0\x80", "content": "\xed\xa0\x80", "filename": "\xff"}',
    "UTF-16": '{"email": "alice@example.com", "content": 7, "filename": 7}'.encode("utf-16"),
    "UTF-32 without its mark": '{"content": 7}'.encode("utf-32-be"),
    "a byte order mark": b'\xef\xbb\xbf{"content": 7}',
    "NUL bytes": b"\x00" * 1000,
    "NUL escapes": b'{"email": "a\\u0000@example.com", "password": "12345678\\u0000",'
    b' "name": "\\u0000", "recipient_id": 1, "content": "\\u0000", "message": "\\u0000", "filename": "\\u0000"}',
    "half surrogate pairs": b'{"email": "\\ud800@example.com", "password": "\\udfff 12345678", "name": "\\ud83d",'
    b' "recipient_id": 1, "content": "\\ud800", "message": "\\udc00", "filename": "\\ud800", "client_id": "\\ud800"}',
    "prototypes": b'{"__proto__": {"is_admin": true}, "constructor": {"prototype": {}}, "__class__": "x"}',
    "a lone quote": b'"',
    "HTML": b"<html>",
    "XML that expands": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
}


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json", ""])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_a_hostile_body_is_refused(
    server: Server, shared_alice: Person, method: str, path: str, body: str, kind: str
) -> None:
    answer = shared_alice.client.request(method, path, content=BODIES[body], headers={"Content-Type": kind})

    assert_error(answer, 400, 404, 413, 422)


@pytest.mark.parametrize(
    "path",
    ["/login", "/token", "/register", "/session", "/refresh", "/forgot-password", "/reset-password", "/confirm-email"],
)
def test_a_stranger_s_body_of_more_than_16_kb_is_refused_before_it_is_parsed(server: Server, path: str) -> None:
    with server.client() as client:
        answer = client.post(path, content=b"[" * 16_385, headers={"Content-Type": "application/json"})

    assert_error(answer, 413)
    assert answer.json()["detail"] == "The request is larger than 16 kB."


@pytest.mark.parametrize(
    "body", ["a=1" + "&a=1" * 100, "=" * 500, "%", "%zz=%ff%00", "email=%ff&password=%00", ";" * 99]
)
@pytest.mark.parametrize("path", ["/login", "/token", "/send-notification"])
def test_a_hostile_form_is_refused(shared_alice: Person, path: str, body: str) -> None:
    answer = shared_alice.client.post(
        path, content=body, headers={"Content-Type": "application/x-www-form-urlencoded; charset=undefined"}
    )

    assert_error(answer, 400, 422)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "x" * 3000, "a/b;c", "=", "application/json;charset=x"]
)
@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_a_body_of_a_strange_content_type_is_refused(shared_alice: Person, method: str, path: str, kind: str) -> None:
    answer = shared_alice.client.request(method, path, content=b'{"content": 7}', headers={"Content-Type": kind})

    assert_error(answer, 404, 422)


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_more_than_a_megabyte_is_a_413_that_a_browser_may_read(
    shared_alice: Person, method: str, path: str, announced: bool
) -> None:
    body = b'{"content": "' + b"x" * MEGABYTE + b'"}'
    chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))

    answer = shared_alice.client.request(
        method,
        path,
        content=body if announced else chunks,
        headers={"Content-Type": "application/json", "Origin": ORIGIN},
    )

    assert_error(answer, 413)
    assert answer.json()["code"] == "payload_too_large"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("length", ["2000000", "99999999999", str(2**63 - 1)])
def test_a_large_body_is_refused_before_it_is_sent(server: Server, length: str) -> None:
    status, _, body = exchange(server, head("POST", "/login", Content_Type="application/json", Content_Length=length))

    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


NOBODY = [{}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer pw_x"}, {"Cookie": "a=b"}]
SMALL = [("PATCH", "/me"), ("POST", "/api-keys"), ("POST", "/messages/1/read"), ("POST", "/login"), ("POST", "/logout")]
LARGE = [
    ("POST", "/messages"),
    ("PATCH", "/message/1"),
    ("POST", "/admin/broadcast"),
    ("POST", "/send-notification"),
    ("POST", "/upload-pdf"),
]


@pytest.mark.parametrize("who", NOBODY, ids=str)
@pytest.mark.parametrize(("method", "path"), SMALL)
def test_bodies_of_strangers_are_small(server: Server, method: str, path: str, who: dict[str, str]) -> None:
    request = head(method, path, None, Content_Type="application/json", Content_Length="20000", **who)

    status, _, body = exchange(server, request)

    assert (status, json.loads(body)["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("who", NOBODY, ids=str)
@pytest.mark.parametrize(("method", "path"), LARGE)
def test_what_may_be_long_is_not_read_before_it_is_known_who_sends_it(
    server: Server, method: str, path: str, who: dict[str, str]
) -> None:
    request = head(method, path, None, Content_Type="application/json", Content_Length="20000", **who)

    status, _, _ = exchange(server, request)

    assert status == 401


@pytest.mark.parametrize(("method", "path"), SMALL)
def test_a_body_that_is_never_long_is_refused_before_it_is_parsed(shared_alice: Person, method: str, path: str) -> None:
    answer = shared_alice.client.request(method, path, content=b"[" * 20_000, headers=JSON)

    assert_error(answer, 413)


def test_the_longest_words_may_be_escaped(alice: Person, bob: Person) -> None:
    body = {"content": "\N{GRINNING FACE}" * 32_000}  # twelve bytes each, as JSON escapes them

    sent = alice.client.post("/messages", content=json.dumps({**body, "recipient_id": bob.id}), headers=JSON)
    edited = alice.client.patch(f"/message/{sent.json()['id']}", content=json.dumps(body), headers=JSON)

    assert (sent.status_code, edited.status_code) == (200, 200)
