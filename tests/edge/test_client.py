"""The web client as it is served: its page on every screen's address, its files once and for all, and nothing else."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

from edge.client import Client, takes_gzip
from support.servers import HOUSE

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
DIST = HOUSE / "web" / "dist"


@pytest.fixture(scope="module")
def script() -> str:
    """The address of the client's first script."""
    found = re.search(r'src="(/app/assets/[^"]+\.js)"', (DIST / "index.html").read_text())
    assert found is not None
    return found[1]


def test_a_browser_is_sent_to_the_client_and_a_program_is_welcomed(client: httpx.Client) -> None:
    browser = client.get("/", headers=BROWSER)
    program = client.get("/", headers={"Accept": "*/*"})

    assert (browser.status_code, browser.headers["location"]) == (307, "/app/")
    assert program.json() == {"message": "Welcome to the API"}
    assert "Accept" in browser.headers["vary"]
    assert "Accept" in program.headers["vary"]


def test_the_folder_without_its_slash_leads_to_the_client(client: httpx.Client) -> None:
    answer = client.get("/app")

    assert (answer.status_code, answer.headers["location"]) == (307, "/app/")


@pytest.mark.parametrize("path", ["/app/", "/app/documents/25/4", "/app/messages/2", "/app/no/such/screen"])
def test_every_screen_has_the_page_of_the_client(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=BROWSER)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.content == (DIST / "index.html").read_bytes()


def test_the_page_may_load_from_this_server_alone_and_run_nothing_inline(client: httpx.Client) -> None:
    policy = client.get("/app/").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy


def test_an_asset_is_kept_for_ever_and_comes_compressed(client: httpx.Client, script: str) -> None:
    answer = client.get(script)
    plain = client.get(script, headers={"Accept-Encoding": "identity"})

    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "content-encoding" not in plain.headers
    assert answer.content == plain.content == (HOUSE / "web" / "dist" / script.removeprefix("/app/")).read_bytes()


def test_a_file_that_the_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    etag = client.get("/app/").headers["etag"]

    answer = client.get("/app/", headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("path", ["/app/assets/none.js", "/app/assets/", "/app/assets/../../main.py"])
def test_an_asset_that_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=BROWSER)

    assert (answer.status_code, answer.json()["error"]) == (404, "Resource not found")


def test_head_answers_like_get(client: httpx.Client) -> None:
    answer = client.head("/app/")

    assert (answer.status_code, answer.content) == (200, b"")


def test_the_client_takes_nothing_but_get(client: httpx.Client) -> None:
    answer = client.post("/app/")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip, deflate, br", True),
        ("*", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header: str, taken: bool) -> None:
    assert takes_gzip(header) is taken


def test_a_client_that_was_not_built_has_no_files(tmp_path: Path) -> None:
    assert Client(tmp_path).files == {}


def test_files_are_compressed_the_same_way_each_time() -> None:
    page = Client(DIST).files["index.html"]

    assert page.zipped is not None
    assert gzip.decompress(page.zipped) == page.body
    assert page.zipped == Client(DIST).files["index.html"].zipped
