"""Access tokens, valid and forged, and the key that signs them."""

import base64
import hashlib
import hmac
import json
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth import load_secret_key
from errors import StartupError
from settings import Settings
from support.accounts import problem
from support.databases import TestDatabase
from support.servers import PASSWORD, Person, Server, register
from support.sockets import claims_of
from support.tabs import SECRET_KEY


@pytest.mark.parametrize("path", ["/me", "/protected", "/users", "/users/1", "/documents", "/messages"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer"}])
def test_a_request_without_a_token_is_not_authenticated(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = client.get(path, headers=headers)

    assert problem(answer) == (401, "Not authenticated", "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_basic_authentication_is_not_accepted(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/me", auth=(alice.email, PASSWORD))

    assert problem(answer) == (401, "Not authenticated", "not_authenticated")


def test_the_word_bearer_may_have_any_case(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/protected", headers={"Authorization": f"bEARER {alice.token}"})

    assert answer.json() == {"message": f"Hello user {alice.id}"}


def test_a_token_in_the_query_is_ignored(client: httpx.Client, alice: Person) -> None:
    answer = client.get("/me", params={"token": alice.token, "access_token": alice.token})

    assert answer.status_code == 401


def encode(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def key(server: Server) -> bytes:
    return (server.folder / "data" / "secret_key").read_text().strip().encode()


@pytest.fixture
def forge(key: bytes, alice: Person) -> Callable[..., str]:
    """Alice's valid token, but for what is changed; the value `...` leaves a claim out."""

    def make(
        header: dict[str, Any] | None = None, raw_claims: bytes | None = None, signed_with: bytes = key, **claims: Any
    ) -> str:
        now = int(time.time())
        true = {**claims_of(alice.token), "iat": now, "exp": now + 600, "jti": "1f0a"}
        changed = {name: value for name, value in {**true, **claims}.items() if value is not ...}
        signed = f"{encode({'alg': 'HS256', 'typ': 'JWT', **(header or {})})}.{encode(raw_claims or changed)}"
        digest = hashlib.sha512 if (header or {}).get("alg") == "HS512" else hashlib.sha256
        signature = hmac.new(signed_with, signed.encode(), digest).digest()
        return f"{signed}.{encode(signature)}"

    return make


def test_a_token_made_by_the_rules_is_accepted(client: httpx.Client, forge: Callable[..., str], alice: Person) -> None:
    answer = client.get("/me", headers={"Authorization": f"Bearer {forge()}"})

    assert answer.json()["id"] == alice.id


@pytest.mark.parametrize("seconds", [-86_400, 0, 3, 25, 2.5])
def test_a_token_from_a_machine_whose_clock_is_ahead_is_accepted(
    client: httpx.Client, forge: Callable[..., str], alice: Person, seconds: float
) -> None:
    token = forge(iat=int(time.time()) + seconds)

    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["id"] == alice.id


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a_token_issued_further_ahead_is_refused(client: httpx.Client, forge: Callable[..., str], seconds: int) -> None:
    token = forge(iat=int(time.time()) + seconds, exp=int(time.time()) + 2 * seconds)

    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert problem(answer) == (401, "Invalid token", "invalid_token")


@pytest.mark.parametrize("seconds", [1, 29])
def test_a_token_expires_to_the_second(client: httpx.Client, forge: Callable[..., str], seconds: int) -> None:
    token = forge(exp=int(time.time()) - seconds)

    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert problem(answer) == (401, "Token expired", "token_expired")


FORGERIES: dict[str, dict[str, Any]] = {
    "signed with another key": {"signed_with": b"another key of thirty-two bytes!"},
    "signed with an empty key": {"signed_with": b""},
    "algorithm none": {"header": {"alg": "none"}},
    "algorithm None": {"header": {"alg": "None"}},
    "algorithm RS256": {"header": {"alg": "RS256"}},
    "algorithm ES256": {"header": {"alg": "ES256"}},
    "algorithm HS512 and the true key": {"header": {"alg": "HS512"}},
    "algorithm as a list": {"header": {"alg": ["HS256"]}},
    "algorithm null": {"header": {"alg": None}},
    "unknown critical header": {"header": {"crit": ["x"], "x": 1}},
    "detached payload": {"header": {"b64": False, "crit": ["b64"]}},
    "key id that is a number": {"header": {"kid": 7}},
    **{f"without {claim}": {claim: ...} for claim in ("exp", "iat", "iss", "sub", "user_id", "email", "jti", "sid")},
    **{f"{claim} null": {claim: None} for claim in ("exp", "iat", "iss", "sub", "user_id", "email", "jti", "sid")},
    "of another issuer": {"iss": "0123456789ab"},
    "of many issuers": {"iss": ["0123456789ab"]},
    "exp 10**400": {"exp": 10**400},
    "exp of 5,000 digits": {"raw_claims": b'{"exp": ' + b"9" * 5000 + b"}"},
    "exp NaN": {"exp": float("nan")},
    "exp Infinity": {"exp": float("inf")},
    "exp as a string": {"exp": str(2**33)},
    "exp as a list": {"exp": [2**33]},
    "iat true": {"iat": True},
    "iat NaN": {"iat": float("nan")},
    "iat Infinity": {"iat": float("inf")},
    "iat -Infinity": {"iat": -float("inf")},
    "iat 10**400": {"iat": 10**400},
    "iat as a string": {"iat": "now"},
    "iat tomorrow": {"iat": 2**33},
    "not before tomorrow": {"nbf": 2**33},
    "another's sub": {"sub": "1"},
    "sub with a space": {"sub": " 1"},
    "sub as a number": {"sub": 1},
    "another's user_id": {"user_id": 1},
    "user_id true": {"user_id": True, "sub": "True"},
    "user_id a float": {"user_id": 1.0, "sub": "1.0"},
    "user_id a string": {"user_id": "1", "sub": "1"},
    "user_id 10**30": {"user_id": 10**30, "sub": str(10**30)},
    "user_id 2**63": {"user_id": 2**63, "sub": str(2**63)},
    "user_id 2**63 - 1": {"user_id": 2**63 - 1, "sub": str(2**63 - 1)},
    "user_id 0": {"user_id": 0, "sub": "0"},
    "user_id -1": {"user_id": -1, "sub": "-1"},
    "user_id a list": {"user_id": [1], "sub": "[1]"},
    "sid a number": {"sid": 7},
    "sid a list": {"sid": ["0" * 32]},
    "sid with NUL": {"sid": "\0" * 32},
    "sid of no session": {"sid": "0" * 32},
    "for another audience": {"aud": "elsewhere"},
    "claims that are a list": {"raw_claims": b"[]"},
    "claims that are null": {"raw_claims": b"null"},
    "claims that are no JSON": {"raw_claims": b"{"},
    "claims that are not UTF-8": {"raw_claims": b"\xff\xfe"},
    "claims nested 100,000 deep": {"raw_claims": b"[" * 20_000},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_an_invalid_token(client: httpx.Client, forge: Callable[..., str], forgery: str) -> None:
    answer = client.get("/me", headers={"Authorization": f"Bearer {forge(**FORGERIES[forgery])}"})

    assert problem(answer) == (401, "Invalid token", "invalid_token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_without_a_signature_is_an_invalid_token(client: httpx.Client, forge: Callable[..., str]) -> None:
    unsigned = f"{encode({'alg': 'none'})}.{forge().split('.')[1]}."

    answer = client.get("/me", headers={"Authorization": f"Bearer {unsigned}"})

    assert problem(answer) == (401, "Invalid token", "invalid_token")


@pytest.mark.parametrize(
    "token",
    [
        f"{encode(b'[' * 20_000)}.e30.x",
        "x",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "ÿþ",
        "Bearer x",
        "é.é.é",
        "'; --",
        "%00",
        "e30.e30.e30",
        "=" * 9,
    ],
)
def test_a_malformed_token_is_an_invalid_token(client: httpx.Client, token: str) -> None:
    answer = client.get("/me", headers=[(b"Authorization", b"Bearer " + token.encode("latin-1"))])

    assert problem(answer) == (401, "Invalid token", "invalid_token")


def test_a_token_of_another_installation_with_the_same_key_is_an_invalid_token(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    ours, copy = make_database(), make_database()
    admin = register(make_server("ours", ours, SECRET_KEY=SECRET_KEY).start(), "admin")
    guest = register(make_server("copy", copy, SECRET_KEY=SECRET_KEY).start(), "guest")  # who is admin of the copy
    ours.query("UPDATE sessions SET key = %s WHERE user_id = %s", claims_of(guest.token)["sid"], admin.id)

    answer = admin.client.get("/me", headers=guest.headers)

    assert (guest.id, admin.id) == (1, 1)
    assert problem(answer) == (401, "Invalid token", "invalid_token")


def test_an_old_token_is_expired(client: httpx.Client, forge: Callable[..., str]) -> None:
    token = forge(iat=int(time.time()) - 86_400, exp=int(time.time()) - 1)

    answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert problem(answer) == (401, "Token expired", "token_expired")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_of_a_deleted_account_is_an_invalid_token(alice: Person, database: TestDatabase) -> None:
    database.query("DELETE FROM users WHERE id = %s", alice.id)

    answer = alice.client.get("/me")

    assert problem(answer) == (401, "Invalid token", "invalid_token")


# The key


def test_the_key_is_private_and_outlives_a_restart(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice = register(server, "alice")
    path = server.folder / "data" / "secret_key"
    before = path.read_bytes()
    server.stop()

    server.start()

    with server.client() as client:
        answer = client.get("/me", headers=alice.headers)
    assert answer.json()["id"] == alice.id
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(before.strip()) == 64


def test_two_processes_that_start_at_once_agree_on_the_key(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    servers = [make_server("shared", database) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda server: server.start(), servers))
    alice = register(servers[0], "alice")

    with servers[1].client() as client:
        answer = client.get("/me", headers=alice.headers)

    assert answer.json()["id"] == alice.id
    assert [path.name for path in (servers[0].folder / "data").iterdir()] == ["secret_key"]


def test_many_threads_make_one_key(tmp_path: Path) -> None:
    settings = Settings(secret_key=None, data_dir=tmp_path / "new" / "data")
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda _: load_secret_key(settings), range(64)))

    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "new" / "data").iterdir()] == ["secret_key"]


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"\xff\xfe" * 40], ids=repr)
def test_a_damaged_key_stops_the_start_with_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret_key").write_bytes(content)

    with pytest.raises(StartupError) as caught:
        load_secret_key(Settings(secret_key=None, data_dir=tmp_path))

    assert caught.value.detail.startswith("SECRET_KEY: ")
    assert "\n" not in caught.value.detail


def test_a_data_folder_that_cannot_be_made_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartupError) as caught:
        load_secret_key(Settings(secret_key=None, data_dir=tmp_path / "file" / "data"))

    assert caught.value.detail.startswith("SECRET_KEY: cannot keep one in ")
