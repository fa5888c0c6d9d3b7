"""Behind nginx, configured as README says."""

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from support.certificates import Authority
from support.databases import TestDatabase
from support.raw_http import MEGABYTE, ORIGIN, assert_error
from support.servers import HOUSE, PASSWORD, WAIT_SECONDS, Person, Server, receive, register, wait_until
from support.sockets import V2, closing, send

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
BLOCK = re.findall(r"```nginx\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)[0]
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx")


@dataclass
class Proxy:
    """A running nginx in front of a server whose files may have one megabyte."""

    port: int
    server: Server
    access_log: Path
    context: ssl.SSLContext

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self, person: Person) -> httpx.Client:
        return httpx.Client(base_url=self.origin, headers=person.headers, verify=self.context, timeout=WAIT_SECONDS)

    def socket(self, person: Person, *, origin: str) -> ClientConnection:
        """As a page opens it, with README's lines."""
        return connect(
            f"{self.origin.replace('https', 'wss')}/ws",
            origin=Origin(origin),
            subprotocols=[V2, Subprotocol(f"bearer.{person.token}")],
            ssl=self.context,
            open_timeout=WAIT_SECONDS,
        )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    server = Server(folder / "server", make_database().url, MAX_UPLOAD_MB="1").start()
    authority = Authority(folder)
    port = find_free_port()
    replaced = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "pagewire.example.com": "127.0.0.1",
        "/etc/ssl/pagewire.pem": str(authority.certificate_file),
        "/etc/ssl/pagewire.key": str(authority.key_file),
        "http://127.0.0.1:8000": server.url,
    }
    block = BLOCK
    for ours, mine in replaced.items():
        assert ours in block
        block = block.replace(ours, mine)
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, block=block))
    assert NGINX is not None
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    )
    wait_until(lambda: is_open(port))
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    yield Proxy(port, server, folder / "access.log", context)
    process.terminate()
    process.wait()
    server.stop()


@pytest.fixture(scope="module")
def alice(proxy: Proxy) -> Person:
    return register(proxy.server, "alice")


@pytest.fixture(scope="module")
def bob(proxy: Proxy) -> Person:
    return register(proxy.server, "bob")


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_page_of_the_servers_own_origin_may_chat_on_any_port(proxy: Proxy, alice: Person, bob: Person) -> None:
    with proxy.socket(alice, origin=proxy.origin) as page:
        ready = receive(page)
        send(page, bob, "through the proxy")
        frames = [receive(page), receive(page)]

    assert (ready["type"], ready["user_id"]) == ("ready", alice.id)
    assert {frame["type"] for frame in frames} == {"ack", "message"}


@pytest.mark.parametrize(
    "origin", ["https://127.0.0.1", "http://127.0.0.1:{port}.evil.example", "https://evil.example"]
)
def test_a_page_of_another_origin_is_refused(proxy: Proxy, alice: Person, origin: str) -> None:
    with proxy.socket(alice, origin=origin.format(port=proxy.port)) as page:
        frames, code = closing(page)

    assert ([frame["code"] for frame in frames], code) == (["forbidden_origin"], 4403)


@pytest.mark.parametrize("kind", ["announced", "chunked"])
@pytest.mark.parametrize("size", [3 * MEGABYTE, 20 * MEGABYTE])
def test_an_upload_above_the_limit_is_a_413_that_a_page_may_read(
    proxy: Proxy, alice: Person, kind: str, size: int
) -> None:
    start = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-1.7\n'
    body = start + b"x" * size + b"\r\n--B--\r\n"
    chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))

    with proxy.client(alice) as client:
        answer = client.post(
            "/upload-pdf",
            content=body if kind == "announced" else chunks,
            headers={"Content-Type": "multipart/form-data; boundary=B", "Origin": ORIGIN},
        )

    assert_error(answer, 413)
    assert answer.json()["code"] == "payload_too_large"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert proxy.server.files() == []


def test_head_passes(proxy: Proxy, alice: Person) -> None:
    with proxy.client(alice) as client:
        answer = client.head("/me")

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == client.get("/me").headers["content-length"]


def test_a_socket_without_its_upgrade_is_a_426(proxy: Proxy, alice: Person) -> None:
    with proxy.client(alice) as client:
        answer = client.get("/ws")

    assert_error(answer, 426)


def test_the_servers_log_has_the_clients_address(proxy: Proxy, alice: Person) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, context=proxy.context, source_address=("127.0.0.9", 0), timeout=WAIT_SECONDS
    )
    connection.request("GET", "/healthz", headers={"X-Request-ID": "from-afar"})
    assert connection.getresponse().status == 200
    connection.close()

    assert " 127.0.0.9 " in proxy.server.wait_for_line("from-afar")


def test_no_token_is_in_the_access_log(proxy: Proxy, alice: Person) -> None:
    with proxy.socket(alice, origin=proxy.origin) as page:
        receive(page)
    wait_until(lambda: '"GET /ws HTTP/1.1" 101' in proxy.access_log.read_text())

    assert alice.token not in proxy.access_log.read_text()


# The browser's cookie


@pytest.fixture
def browser(proxy: Proxy, alice: Person) -> Iterator[httpx.Client]:
    """Alice's browser, at a page that came by https."""
    own = {"Origin": proxy.origin, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=proxy.origin, headers=own, verify=proxy.context, timeout=WAIT_SECONDS) as client:
        yield client


def sign_in(browser: httpx.Client, person: Person, **headers: str) -> httpx.Response:
    return browser.post("/session", json={"email": person.email, "password": PASSWORD}, headers=headers)


def test_the_cookie_is_bound_to_this_host_and_https(proxy: Proxy, browser: httpx.Client, alice: Person) -> None:
    cookie = sign_in(browser, alice).headers["set-cookie"]

    assert re.fullmatch(r"__Host-pagewire_\w+=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax; Secure", cookie)
    assert browser.get("/me").json()["id"] == alice.id
    assert browser.delete("/session").status_code == 204
    assert browser.get("/me").status_code == 401


def test_a_cookie_that_plain_http_could_have_set_is_none(proxy: Proxy, browser: httpx.Client, alice: Person) -> None:
    cookie = sign_in(browser, alice).headers["set-cookie"].partition(";")[0]
    browser.cookies.clear()

    assert browser.get("/me", headers={"Cookie": cookie.removeprefix("__Host-")}).status_code == 401
    assert browser.get("/me", headers={"Cookie": cookie}).status_code == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_of_the_host_by_another_scheme_or_port_signs_nobody_in(
    proxy: Proxy, browser: httpx.Client, alice: Person, scheme: str
) -> None:
    origin = f"{scheme}://127.0.0.1:{proxy.port if scheme == 'http' else proxy.port + 1}"

    answer = sign_in(browser, alice, **{"Origin": origin, "Sec-Fetch-Site": "same-site"})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_opens_a_socket_of_our_own_page_alone(proxy: Proxy, browser: httpx.Client, alice: Person) -> None:
    cookie = sign_in(browser, alice).headers["set-cookie"].partition(";")[0]

    def open_from(origin: str) -> ClientConnection:
        return connect(
            f"{proxy.origin.replace('https', 'wss')}/ws",
            origin=Origin(origin),
            additional_headers={"Cookie": cookie},
            subprotocols=[V2],
            ssl=proxy.context,
            open_timeout=WAIT_SECONDS,
        )

    with open_from(proxy.origin) as page:
        assert receive(page)["user_id"] == alice.id
    with open_from(proxy.origin.replace("https", "http")) as page:
        assert closing(page)[1] in (4401, 4403)
