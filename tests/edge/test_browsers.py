"""What browsers may do and read: CORS, errors, the documentation."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable

import httpx
import pytest

from main import create_app
from settings import Settings
from support.raw_http import MEGABYTE, ORIGIN, assert_error
from support.servers import Person


def test_a_preflight_is_answered(client: httpx.Client) -> None:
    answer = client.options(
        "/documents/1",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000.evil.example", "\xff", "*"])
def test_a_preflight_from_an_unknown_origin_is_refused(client: httpx.Client, origin: str) -> None:
    answer = client.options(
        "/me",
        headers=[(b"Origin", origin.encode("latin-1")), (b"Access-Control-Request-Method", b"GET")],
    )

    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_an_unknown_origin_may_not_read_an_answer(shared_alice: Person) -> None:
    answer = shared_alice.client.get("/me", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


ERRORS: dict[int, Callable[[Person], httpx.Response]] = {
    400: lambda alice: alice.client.post("/upload-pdf", files={"file": ("a.txt", b"x")}, headers={"Origin": ORIGIN}),
    401: lambda alice: httpx.get(f"{alice.server.url}/me", headers={"Origin": ORIGIN}),
    404: lambda alice: alice.client.get("/documents/1", headers={"Origin": ORIGIN}),
    405: lambda alice: alice.client.put("/me", headers={"Origin": ORIGIN}),
    413: lambda alice: alice.client.post("/messages", content=b"x" * 2 * MEGABYTE, headers={"Origin": ORIGIN}),
    422: lambda alice: alice.client.post("/messages", json={}, headers={"Origin": ORIGIN}),
}


@pytest.mark.parametrize("status", ERRORS)
def test_a_browser_may_read_an_error(shared_alice: Person, status: int) -> None:
    answer = ERRORS[status](shared_alice)

    assert_error(answer, status)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


def test_a_crash_is_a_500_that_a_browser_may_read_and_that_reveals_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(secret_key=None))

    @app.get("/crash/{what}")
    async def crash(what: str) -> None:
        raise RuntimeError("the secret of the house")

    transport = httpx.ASGITransport(app)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/crash/%0aFAKE%20LINE", headers={"Origin": ORIGIN})

    answer = asyncio.run(ask())

    assert_error(answer, 500)
    assert answer.json()["detail"] == "Internal Server Error"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "the secret of the house" not in answer.text
    assert not any(record.getMessage().count("\n") for record in caplog.records)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/app/",
        "/healthz",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/docs/assets/swagger-ui.css",
        "/me",
        "/x",
        "/ws/1",
    ],
)
def test_every_answer_is_what_it_says_and_no_other_page_frames_or_embeds_it(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert len(headers.get_list("content-security-policy")) == 1
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(("scheme", "told"), [("https", "max-age=31536000"), ("http", None)])
def test_a_visit_by_https_is_by_https_the_next_time(client: httpx.Client, scheme: str, told: str | None) -> None:
    answer = client.get("/me", headers={"X-Forwarded-Proto": scheme})

    assert answer.headers.get("strict-transport-security") == told


def test_the_documentation_runs_its_own_scripts_alone(client: httpx.Client) -> None:
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]

    scripts = re.search("script-src ([^;]*)", policy)
    (inline,) = re.findall("<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert scripts is not None
    assert scripts[1] == f"'self' 'sha256-{digest}'"


def test_the_documentation_loads_only_what_the_server_has(client: httpx.Client) -> None:
    page = client.get("/docs").text

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(client.get(path).status_code == 200 for path in loaded)
