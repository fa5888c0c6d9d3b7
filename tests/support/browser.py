"""Chromium at the client, driven by Playwright: pages that notice what no page may do, and what people do on them."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from support.servers import PASSWORD, Server

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, PHONE = (1280, 800), (390, 844)
PATIENCE_MS = 15_000
PICTURES = os.environ.get("PICTURES")  # a folder for pictures of the screens
OWN_ERRORS = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d|503)|net::ERR_")

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()  # it has no types
expect.set_options(timeout=PATIENCE_MS)


def find_chromium() -> str:
    """The path of Chromium; without one the test is skipped."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    return found


@contextmanager
def running_chromium() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody at the client, in a browser of their own. What goes wrong in the page is kept, and fails the test."""

    server: Server
    context: BrowserContext
    wide: bool
    faults: list[str] = field(default_factory=list)
    expected: re.Pattern[str] | None = None  # faults that the test brings about
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("request", lambda request: self._watch(request.url))
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not OWN_ERRORS.search(text):
            self.faults.append(f"console: {text}")

    def _watch(self, url: str) -> None:
        own = (self.server.url, self.server.url.replace("http", "ws"), "data:", "blob:")
        if not url.startswith(own):
            self.faults.append(f"request to {url}")

    def check(self) -> None:
        faults = [fault for fault in self.faults if not (self.expected and self.expected.search(fault))]
        assert not faults, faults

    def go(self, path: str = "/") -> None:
        self.page.goto(f"{self.server.url}/app{path}")

    def see(self, text: str) -> Locator:
        """Wait until *text* is on the page."""
        found = self.page.get_by_text(text).first
        expect(found).to_be_visible()
        return found

    def see_page(self, number: int) -> Locator:
        """Wait until the picture of a page is painted."""
        picture = self.page.locator(f"[data-page='{number}'] canvas[data-shown]")
        expect(picture).to_be_visible()
        return picture

    def press(self, name: str, *, exact: bool = False) -> None:
        self.page.get_by_role("button", name=name, exact=exact).first.click()

    def sign_up(self, name: str, email: str) -> None:
        """By the form that is shown: the first account, or another."""
        self.go()
        self.page.get_by_label("E-mail address").wait_for()
        if not self.page.get_by_label("Your name").is_visible():
            self.press("Make an account")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.press("Make my account")
        expect(self.page.get_by_role("heading", name="Library")).to_be_visible()

    def sign_in(self, email: str) -> None:
        self.go()
        self.fill_in(email)
        expect(self.page.get_by_role("navigation", name="Main")).to_be_visible()

    def fill_in(self, email: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.press("Sign in")

    def upload(self, *files: tuple[str, bytes]) -> None:
        payloads: list[Any] = [{"name": name, "mimeType": "application/pdf", "buffer": data} for name, data in files]
        self.page.locator("input[type=file][multiple]").set_input_files(payloads)

    def write(self, text: str) -> None:
        """A message, in the conversation that is open."""
        box = self.page.locator("form.say textarea")
        box.fill(text)
        box.press("Enter")

    def picture(self, name: str) -> None:
        if PICTURES:
            kind = "wide" if self.wide else "phone"
            scheme = self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
            self.page.screenshot(path=Path(PICTURES) / f"{name}-{kind}-{scheme}.png")

    def assert_accessible(self) -> None:
        """axe-core finds nothing."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        problems = [
            f"{violation['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
            for violation in found["violations"]
            for node in violation["nodes"][:3]
        ]
        assert not problems, "\n".join(problems)


Visit = Callable[..., Visitor]


@contextmanager
def visitors(browser: Browser, server: Server) -> Iterator[Visit]:
    """Make visitors; at the end nothing may have gone wrong in the pages of any."""
    made: list[Visitor] = []

    def visit(*, wide: bool = True, dark: bool = False, server: Server = server, **options: Any) -> Visitor:
        width, height = WIDE if wide else PHONE
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=not wide,
            is_mobile=not wide,
            locale="en-GB",
            **options,
        )
        visitor = Visitor(server, context, wide)
        made.append(visitor)
        return visitor

    yield visit
    for visitor in made:
        visitor.check()
        visitor.context.close()
