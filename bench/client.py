"""The web client in Chromium: what it loads, the memory of a long book, how lists scroll, how soon words are there."""

import re
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
SCREENS = (
    "/",
    "/documents/{book}/1",
    "/documents/{book}/1?view=text",
    "/documents/{book}/tables",
    "/messages",
    "/messages/{other}",
    "/search?q=report",
    "/you",
    "/you/look",
    "/you/sessions",
    "/you/keys",
    "/you/leave",
    "/admin",
    "/no/such/screen",
)
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


# Scroll a book, by a step of so many: the bar drawn along, or until the next page is there.
HOW = {
    "fast": """(stage, [step, , steps]) => new Promise(done => {
        stage.scrollTop = stage.scrollHeight * step / steps;
        requestAnimationFrame(() => setTimeout(done, 100));
    })""",
    "page by page": """async (stage, [page, pages]) => {
        stage.scrollTop = (page - 1) * stage.scrollHeight / pages;
        while (!stage.querySelector(`[data-page="${page}"] canvas[data-shown]`))
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    }""",
}

# The JavaScript of a page, in bytes as they were sent.
SCRIPTS = """() => {
    const sent = new Map(performance.getEntriesByType('resource').map(one => [one.name, one.encodedBodySize]));
    return [...sent].reduce((sum, [name, bytes]) => sum + (name.endsWith('.js') ? bytes : 0), 0);
}"""

# From the boot's answer to the library's list: how many requests, each begun after the one before was answered.
TRIPS = """() => {
    const all = performance.getEntriesByType('resource').map(
        one => ({...one.toJSON(), path: one.name.slice(location.origin.length)}));
    const booted = Math.max(...all.filter(one => one.path === '/session').map(one => one.responseEnd));
    const needed = all.filter(one => one.initiatorType === 'fetch' || /\\.(js|css)$/.test(one.path));
    const later = needed.filter(one => one.startTime >= booted).sort((a, b) => a.startTime - b.startTime);
    for (const one of later) {
        const before = later.filter(other => other.responseEnd <= one.startTime);
        one.depth = 1 + Math.max(0, ...before.map(other => other.depth));
    }
    return later.find(one => one.path.startsWith('/documents?') && !one.path.includes('status=')).depth;
}"""

WHEN_SEEN = """words => {
    window.seen = 0;
    const list = document.querySelector('[role=log]');
    const look = new MutationObserver(() => {
        if (!list.textContent.includes(words)) return;
        look.disconnect();
        requestAnimationFrame(() => window.seen = Date.now());
    });
    look.observe(list, {childList: true, subtree: true, characterData: true});
}"""


def main() -> str:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name, _chromium() as browser:
        place = Path(name)
        place.chmod(0o711)
        with running_servers(place) as (_plain, product):
            for row in measure(browser, f"http://127.0.0.1:{product.port}"):
                print(f"{row.name}: {row.product}", flush=True)
                rows.append(row)
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


def measure(browser: Browser, url: str) -> Iterator[Row]:
    book, other = _fill(url)
    yield from _first_load(browser, url, book, other)
    page = _sign_in(browser, url)
    page.get_by_role("link", name=f"Report {DOCUMENTS - 1}.pdf").wait_for()
    table = page.locator("table").locator("xpath=..")
    yield _task_row(f"{DOCUMENTS:,} documents scrolled", _scroll(browser, page, table, 1))
    assert page.locator("tbody tr").count() > DOCUMENTS
    page.goto(f"{url}/app/messages/{other}")
    page.get_by_text(f"message {MESSAGES} ").last.wait_for()
    yield _task_row(f"{MESSAGES:,} messages scrolled", _scroll(browser, page, page.get_by_role("log"), -1))
    expect(page.get_by_text("message 1 ").first).to_be_visible()
    page.close()
    sent, arrived = _talk(browser, url)
    yield Row("a message in the sender's list", "", f"{sent:.0f} ms", None, Target("<=", 17, " ms"), sent)
    yield Row("the message at the other person's", "", f"{arrived:.0f} ms", None, Target("<=", 100, " ms"), arrived)
    for ratio in (1, 2):
        for how in HOW:
            yield _scroll_book(browser, url, book, ratio, how)


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

        def add(number: int) -> None:
            client.post("/upload-pdf", files={"file": (f"Report {number}.pdf", small)}).raise_for_status()

        def write(number: int) -> None:
            words = f"message {number} " + "about what was written in the last report " * (number % 4)
            client.post("/messages", json={"recipient_id": ben, "content": words}).raise_for_status()

        with ThreadPoolExecutor(8) as threads:  # the first and the last in their places
            for act, numbers in ((add, range(DOCUMENTS)), (write, range(1, MESSAGES + 1))):
                act(numbers[0])
                list(threads.map(act, numbers[1:-1]))
                act(numbers[-1])
        book: int = upload.json()["document_id"]
    return book, ben


def _sign_in(browser: Browser, url: str, name: str = "ann", ratio: float = 1) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=ratio)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/app/")
    page.get_by_label("E-mail address").fill(f"{name}@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Main").wait_for()
    return page


def _first_load(browser: Browser, url: str, book: int, other: int) -> list[Row]:
    """JavaScript of the door and of every screen; round trips to the library; requests for a first page."""
    page = browser.new_page()
    page.goto(f"{url}/app/", wait_until="networkidle")
    loaded = page.evaluate(SCRIPTS) / 1000
    page.close()
    page = _sign_in(browser, url)
    trips = [_count_trips(page)]
    page.reload()
    trips.append(_count_trips(page))
    largest, screen = max(_weigh_screens(browser, url, page.context.storage_state(), book, other))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(url)))
    page.goto(f"{url}/app/documents/{book}/1")
    page.locator("[data-page='1'] canvas[data-shown]").wait_for()
    own = asked.index(f"/documents/{book}")
    picture = next(at for at, path in enumerate(asked) if path.startswith(f"/documents/{book}/pages/1/image?width=700"))
    first = [path for path in asked[:picture] if path.startswith(f"/documents/{book}/pages") and "/image" not in path]
    assert own < picture
    page.close()
    requests = len(first) + 1
    return [
        _script_row("the first load", loaded, 120),
        _script_row(f"the largest screen, {screen}", largest, 230),
        *(
            Row(f"round trips from boot to the library, {how}", "", f"{count}", None, Target("<=", 1, ""), float(count))
            for how, count in zip(("signing in", "signed in"), trips, strict=True)
        ),
        Row("requests for a first page", "", f"{requests}", None, Target("<=", 2, ""), float(requests)),
    ]


def _script_row(of: str, kilobytes: float, most: int) -> Row:
    shown = f"{kilobytes:.0f} kB"
    return Row(f"JavaScript of {of}, gz", "", shown, None, Target("<=", most, " kB"), kilobytes)


def _count_trips(page: Page) -> int:
    page.get_by_role("link", name=f"Report {DOCUMENTS - 1}.pdf").wait_for()
    count: int = page.evaluate(TRIPS)
    return count


def _weigh_screens(browser: Browser, url: str, signed_in: Any, book: int, other: int) -> Iterator[tuple[float, str]]:
    """Kilobytes of JavaScript of each screen where nothing was visited before; in German, whose words come on top."""
    for screen in SCREENS:
        context = browser.new_context(storage_state=signed_in, locale="de-DE")
        page = context.new_page()
        page.goto(f"{url}/app{screen.format(book=book, other=other)}", wait_until="networkidle")
        page.get_by_role("navigation", name="Hauptmenü").wait_for()
        yield page.evaluate(SCRIPTS) / 1000, screen
        context.close()


def _talk(browser: Browser, url: str) -> tuple[float, float]:
    """Milliseconds from Enter until a message is in its sender's list, and in the other person's: the median of ten."""
    ann, ben = _sign_in(browser, url), _sign_in(browser, url, "ben")
    for page, other in ((ann, "Ben"), (ben, "Ann")):
        page.goto(f"{url}/app/messages")
        page.get_by_role("link", name=other).first.click()
        page.get_by_role("log").wait_for()
    box = ann.locator("form.say textarea")
    times: list[tuple[float, float]] = []
    for number in range(10):
        words = f"written to measure {number}"
        box.fill(words)
        for page in (ann, ben):
            page.evaluate(WHEN_SEEN, words)
        ann.evaluate("addEventListener('keydown', () => window.pressed = Date.now(), {once: true, capture: true})")
        box.press("Enter")
        pressed = ann.wait_for_function("() => window.pressed").json_value()
        seen = [page.wait_for_function("() => window.seen").json_value() for page in (ann, ben)]
        times.append((seen[0] - pressed, seen[1] - pressed))
    ann.close()
    ben.close()
    return statistics.median(time[0] for time in times), statistics.median(time[1] for time in times)


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


def _scroll_book(browser: Browser, url: str, book: int, ratio: float, how: str) -> Row:
    """The most memory of the page's process while a book is scrolled: what it shares with nobody."""
    page = _sign_in(browser, url, ratio=ratio)  # in a process of its own
    page.goto(f"{url}/app/documents/{book}/1")
    page.locator("[data-page='1'] canvas[data-shown]").wait_for()
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    pid = max((one["id"] for one in processes if one["type"] == "renderer"), key=_memory)
    stage = page.locator("[data-page='1']").evaluate_handle("sheet => sheet.parentElement")
    most = 0
    for step in range(1, (PAGES if how == "page by page" else STEPS) + 1):
        stage.evaluate(HOW[how], [step, PAGES, STEPS])
        most = max(_memory(pid), most)
    page.close()
    what = f"{PAGES:,} pages scrolled {how}, {ratio:.0f}x: memory"
    return Row(what, "", f"{most / MB:.0f} MB", None, Target("<", 250, " MB"), most / MB)


def _memory(pid: int) -> int:
    """The private bytes of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kilobytes) * 1024 for kilobytes in re.findall(r"^Private_\w+:\s+(\d+) kB$", rollup, re.MULTILINE))
