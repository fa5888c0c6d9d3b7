"""The web client in Chromium: what a long book costs the page's process, and whether long lists scroll smoothly."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from bench.pdfs import make_report
from bench.servers import running_servers
from bench.table import Row, Target, format_table

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE_MS = 120_000.0
PAGES, DOCUMENTS, MESSAGES = 1000, 1000, 5000
STEPS = 200  # in which a book is scrolled
MB = 1 << 20
PASSWORD = "never served, only measured"

# Scroll by *by* windows until nothing comes any more.
SCROLL = """async ([element, by]) => {
    for (let still = 0; still < 200;) {
        const before = `${element.scrollTop} ${element.scrollHeight}`;
        element.scrollTop += by * element.clientHeight;
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        still = before === `${element.scrollTop} ${element.scrollHeight}` ? still + 1 : 0;
    }
}"""


def main() -> str:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name, _chromium() as browser:
        place = Path(name)
        place.chmod(0o711)
        with running_servers(place) as (_plain, product):
            rows = measure(browser, f"http://127.0.0.1:{product.port}")
    return "\n".join([*format_table(rows), ""])


@contextmanager
def _chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("Chromium is not installed (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def measure(browser: Browser, url: str) -> list[Row]:
    book, other = _fill(url)
    page = _sign_in(browser, url)
    table = page.locator("table").locator("xpath=..")
    documents = _scroll(browser, page, table, 1)
    assert page.locator("tbody tr").count() > DOCUMENTS
    page.goto(f"{url}/app/messages/{other}")
    page.get_by_text(f"message {MESSAGES} ").last.wait_for()
    messages = _scroll(browser, page, page.get_by_role("log"), -1)
    expect(page.get_by_text("message 1 ").first).to_be_visible()
    page.close()
    page = _sign_in(browser, url)  # in a process of its own
    own, resident = _scroll_book(browser, page, f"{url}/app/documents/{book}/1")
    return [
        _task_row(f"{DOCUMENTS:,} documents scrolled", documents),
        _task_row(f"{MESSAGES:,} messages scrolled", messages),
        Row(
            f"{PAGES:,} pages scrolled, the page's process: own memory, and with what it shares",
            "",
            f"{own / MB:.0f} MB, {resident / MB:.0f} MB",
            None,
            Target("<", 250, " MB"),
            own / MB,
        ),
    ]


def _fill(url: str) -> tuple[int, int]:
    """Ann has a book and many documents, and has talked with Ben; return the book's id and Ben's."""
    with httpx.Client(base_url=url, timeout=600) as client:
        tokens = []
        for name in ("Ann", "Ben"):
            made = client.post(
                "/register", json={"email": f"{name.lower()}@example.com", "password": PASSWORD, "name": name}
            ).raise_for_status()
            tokens.append(made.json()["access_token"])
        client.headers["Authorization"] = f"Bearer {tokens[0]}"
        ben: int = client.get("/users").raise_for_status().json()[0]["id"]
        upload = client.post("/upload-pdf", files={"file": ("Book.pdf", make_report(PAGES))}).raise_for_status()
        small = make_report(1)
        for number in range(DOCUMENTS):
            client.post("/upload-pdf", files={"file": (f"Report {number}.pdf", small)}).raise_for_status()
        for number in range(1, MESSAGES + 1):
            words = f"message {number} " + "about what was written in the last report " * (number % 4)
            client.post("/messages", json={"recipient_id": ben, "content": words}).raise_for_status()
        book: int = upload.json()["document_id"]
    return book, ben


def _sign_in(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/app/")
    page.get_by_label("E-mail address").fill("ann@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=f"Report {DOCUMENTS - 1}.pdf").wait_for()
    return page


def _scroll(browser: Browser, page: Page, element: Locator, by: float) -> float:
    """The longest task of the page's main thread meanwhile, in milliseconds of processor time."""
    session = browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    ends: list[Any] = []
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: ends.append(data))
    session.send("Tracing.start", {"traceConfig": {"includedCategories": ["toplevel"], "excludedCategories": ["*"]}})
    element.evaluate(f"element => ({SCROLL})([element, {by}])")
    session.send("Tracing.end")
    while not ends:
        page.wait_for_timeout(100)
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [event for event in events if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads]
    return max(float(event.get("tdur", 0)) / 1000 for event in tasks)


def _task_row(what: str, longest: float) -> Row:
    return Row(f"{what}: the longest task", "", f"{longest:.0f} ms", None, Target("<=", 50, " ms"), longest)


def _scroll_book(browser: Browser, page: Page, url: str) -> tuple[int, int]:
    """The most memory of the page's process while a book is scrolled: its own, and with what it shares, in bytes."""
    page.goto(url)
    stage = page.locator("[data-page='1']").locator("xpath=..")
    page.locator("[data-page='1'] img").wait_for()
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    pid = max((one["id"] for one in processes if one["type"] == "renderer"), key=lambda pid: _memory(pid)[1])
    height = stage.evaluate("stage => stage.scrollHeight")
    most_own = most = 0
    for step in range(1, STEPS + 1):
        stage.evaluate(
            """(stage, top) => new Promise(done => {
                stage.scrollTop = top;
                requestAnimationFrame(() => setTimeout(done, 100));
            })""",
            height * step / STEPS,
        )
        own, resident = _memory(pid)
        most_own, most = max(own, most_own), max(resident, most)
    return most_own, most


def _memory(pid: int) -> tuple[int, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    own, resident = (
        int(found[1]) * 1024 if (found := re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)) else 0
        for field in ("RssAnon", "VmRSS")
    )
    return own, resident
