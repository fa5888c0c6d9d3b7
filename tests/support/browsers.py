"""A browser with a session cookie, and what it says of the pages that send its requests."""

from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from support.servers import PASSWORD, WAIT_SECONDS, Person, Server

CORS_ORIGIN = "http://localhost:3000"


def own_origin(server: Server) -> str:
    return server.url


def situations(server: Server) -> dict[str, dict[str, str]]:
    """The headers of a request, by who sends it."""
    own = own_origin(server)
    other_port = own.rpartition(":")[0] + ":9"
    return {
        "same-origin": {
            "Sec-Fetch-Site": "same-origin",
            "Origin": own,
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Dest": "empty",
        },
        "same-site, another port": {"Sec-Fetch-Site": "same-site", "Origin": other_port},
        "another port, no metadata": {"Origin": other_port},
        "cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        "own Origin, no metadata": {"Origin": own},
        "https Origin, no metadata": {"Origin": own.replace("http:", "https:")},
        "Origin null": {"Origin": "null"},
        "neither": {},
        "CORS origin": {"Sec-Fetch-Site": "same-site", "Origin": CORS_ORIGIN, "Sec-Fetch-Mode": "cors"},
        "CORS origin, no metadata": {"Origin": CORS_ORIGIN},
        "navigation": {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-User": "?1",
        },
        "iframe": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        "no site": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    }


OWN_PAGE = ("same-origin", "own Origin, no metadata")  # whose unsafe requests count
MAY_READ = (*OWN_PAGE, "neither", "navigation")  # whose safe requests count


class Browser:
    """Somebody's browser, signed in by its cookie."""

    def __init__(self, person: Person, server: Server | None = None, *, keep: bool = False) -> None:
        self.person = person
        self.server = server or person.server
        self.client = self.server.client()
        self.client.headers["Sec-Fetch-Site"] = "same-origin"
        self.answer = self.client.post("/session", json={"email": person.email, "password": PASSWORD, "keep": keep})
        assert self.answer.status_code == 200, self.answer.text
        self.cookie = self.answer.headers["set-cookie"].partition(";")[0]

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send the cookie with exactly these *headers*."""
        with self.server.client() as client:
            return client.request(method, path, headers={"Cookie": self.cookie, **(headers or {})}, **options)

    def socket(self, path: str = "/ws", headers: dict[str, str] | None = None, **options: Any) -> ClientConnection:
        opened: ClientConnection = connect(
            self.server.url.replace("http", "ws") + path,
            open_timeout=WAIT_SECONDS,
            additional_headers={"Cookie": self.cookie, **(headers or {})},
            **options,
        )
        return opened
