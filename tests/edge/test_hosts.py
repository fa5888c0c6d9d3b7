"""The names that the server answers to: a page that gave its own name our address gets nothing."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from edge.hosts import Hosts
from settings import Settings
from support.accounts import problem
from support.databases import TestDatabase
from support.raw_http import connected
from support.servers import PASSWORD, WAIT_SECONDS, Server

REBOUND = "evil.example:8000"  # a name that its owner pointed to 127.0.0.1


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server without an account that has some names."""
    server = Server(
        tmp_path_factory.mktemp("named"),
        make_database().url,
        ALLOWED_HOSTS="pagewire.example.com, Intranet",
        PUBLIC_URL="https://public.example.com",
        CORS_ORIGINS="https://app.example.com:8443",
    ).start()
    yield server
    server.stop()


@pytest.mark.parametrize("path", ["/", "/session", "/app/", "/docs", "/openapi.json", "/healthz", "/docs/assets/x"])
def test_a_page_by_a_name_that_is_not_ours_reads_nothing(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Host": REBOUND, "Origin": f"http://{REBOUND}"})

    assert problem(answer)[::2] == (421, "misdirected_request")
    assert "ALLOWED_HOSTS" in answer.json()["detail"]


def test_a_page_by_a_name_that_is_not_ours_makes_no_first_account(empty_server: Server) -> None:
    body = {"email": "eve@example.com", "password": PASSWORD, "name": "Eve"}
    with empty_server.client() as client:
        answer = client.post(
            "/register",
            json=body,
            headers={"Host": REBOUND, "Origin": f"http://{REBOUND}", "Sec-Fetch-Site": "same-origin"},
        )

        assert answer.status_code == 421
        assert client.get("/session").json()["installation"]["first_run"] is True


def test_a_page_by_a_name_that_is_not_ours_opens_no_socket(server: Server) -> None:
    with connected(server) as connection, pytest.raises(InvalidStatus) as caught:
        connect(f"ws://{REBOUND}/ws", sock=connection, open_timeout=WAIT_SECONDS, legacy=True)

    assert caught.value.response.status_code == 421


OURS = [
    "127.0.0.1",
    "127.0.0.1:8000",
    "localhost",
    "LOCALHOST:1",
    "a.localhost",
    "[::1]:8000",
    "192.168.1.7",
    "[fd00::7]",
    "pagewire.example.com",
    "Pagewire.Example.COM:443",
    "intranet:8000",
    "public.example.com",
    "app.example.com",
]
NOT_OURS = [
    "evil.example",
    "localhost.evil.example",
    "evil-localhost",
    "127.0.0.1.evil.example",
    "pagewire.example.com.evil",
    "x.pagewire.example.com",
    "127.1",
    "2130706433",
    "0x7f000001",
]


@pytest.mark.parametrize("host", [*OURS, ""])
def test_it_answers_to_loopback_to_addresses_and_to_its_names(named: Server, host: str) -> None:
    with named.client() as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", NOT_OURS)
def test_it_answers_to_no_other_name(named: Server, host: str) -> None:
    with named.client() as client:
        assert client.get("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    ("listening", "allowed", "came_to", "refused"),
    [
        ("127.0.0.1", (), "127.0.0.1", True),
        ("localhost", (), "::1", True),
        ("0.0.0.0", (), "192.168.1.7", False),
        ("0.0.0.0", (), "127.0.0.1", False),
        ("127.0.0.1", (), "192.168.1.7", False),  # uvicorn main:app --host 0.0.0.0
        ("127.0.0.1", (), "/run/pagewire.sock", False),
        ("0.0.0.0", ("pagewire.example.com",), "192.168.1.7", True),
        ("0.0.0.0", ("pagewire.example.com",), "/run/pagewire.sock", True),
    ],
)
def test_names_are_checked_where_the_server_listens_on_loopback_or_was_told_them(
    listening: str, allowed: tuple[str, ...], came_to: str, refused: bool
) -> None:
    hosts = Hosts(Settings(host=listening, allowed_hosts=allowed))

    assert hosts.refuses({"type": "http", "server": (came_to, 8000)}, b"evil.example") is refused


def test_many_names_are_not_remembered_for_ever() -> None:
    hosts = Hosts(Settings())
    scope = {"type": "http", "server": ("127.0.0.1", 8000)}

    assert not any(hosts.refuses(scope, b"10.0.%d.%d" % (n // 200, n % 200)) for n in range(2000))
    assert hosts.refuses(scope, b"evil.example")
    assert len(hosts._known) <= 256


@pytest.mark.parametrize("host", ["evil.example", "pagewire.example.com", "192.168.1.7"])
def test_the_first_account_takes_the_code_where_a_proxy_makes_everybody_local(
    make_server: Callable[..., Server], host: str
) -> None:
    server = make_server(ALLOWED_HOSTS="pagewire.example.com,evil.example").start()
    body = {"email": "eve@example.com", "password": PASSWORD, "name": "Eve"}
    with server.client() as client:
        answer = client.post("/register", json=body, headers={"Host": host})

        assert problem(answer)[::2] == (403, "setup_code_required")
        assert client.post("/register", json=body).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_no_simple_request_of_another_site_makes_the_first_account(empty_server: Server, kind: str) -> None:
    body = '{"email": "eve@example.com", "password": "correct horse battery", "name": "Eve"}'
    with empty_server.client() as client:
        client.post("/register", content=body, headers={"Content-Type": kind, "Origin": "https://evil.example"})

        assert client.get("/session").json()["installation"]["first_run"] is True
