"""The running server as its users meet it: processes, people with accounts, and their sockets."""

import atexit
import contextlib
import functools
import json
import os
import queue
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

import httpx
from websockets.sync.client import ClientConnection, connect

from support.preloaded import ForkedServer, Preloaded

HOUSE = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, str(HOUSE / "main.py"))
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for httpx: one of its own reads certificates, which takes 40 ms
WAIT_SECONDS = 60.0  # the longest that a test waits for an event
PASSWORD = "correct horse battery"
NO_LIMITS = {
    "LOGIN_RATE_LIMIT": "off",
    "REGISTER_RATE_LIMIT": "off",
    "RESET_RATE_LIMIT": "off",
    "MESSAGE_RATE_LIMIT": "off",
    "NOTIFICATION_RATE_LIMIT": "off",
    "UPLOAD_RATE_LIMIT": "off",
    "REQUEST_RATE_LIMIT": "off",
    "MIN_FREE_DISK_MB": "0",
}


@functools.cache
def _preloaded() -> Preloaded:
    made = Preloaded()
    atexit.register(made.close)
    return made


class Server:
    """`python main.py` in a folder of its own, on a free port."""

    def __init__(self, folder: Path, database_url: str | None, **environment: str) -> None:
        self.folder = folder
        self.uploads = folder / "uploads"
        self.lines: list[str] = []
        self._said: queue.Queue[str | None]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PORT": "0",
            "BCRYPT_ROUNDS": "4",
            "UPLOAD_DIR": str(self.uploads),
            "DATA_DIR": str(folder / "data"),
            **({"DATABASE_URL": database_url} if database_url else {}),
            **NO_LIMITS,
            **environment,
        }
        self.process: subprocess.Popen[str] | ForkedServer | None = None
        self.url = ""

    def start(self, *command: str, says: str = "Uvicorn running on ") -> "Server":
        """Run *command*, by default `python main.py` without its imports, and wait until it *says* where it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._said = queue.Queue()
        self.process = self._run(command) if command else _preloaded().fork(self.folder, self.environment)
        threading.Thread(target=self._listen, args=(self.process.stderr, self._said), daemon=True).start()
        self.url = self.wait_for_line(says).split(says)[1].split()[0]
        return self

    def command(self, *words: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run `python main.py` with *words*, without its imports, and with *changes* of the environment."""
        return _preloaded().run(self.folder, self.environment | changes, words)

    def _run(self, command: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _listen(self, log: IO[str] | None, said: "queue.Queue[str | None]") -> None:
        assert log is not None
        with log:
            for line in log:
                self.lines.append(line.rstrip())
                said.put(line)
        said.put(None)

    def wait_for_line(self, part: str) -> str:
        """The next line of the log that holds *part*."""
        while (line := self._said.get(timeout=WAIT_SECONDS)) is not None:
            if part in line:
                return line
        raise AssertionError("the server ended:\n" + "\n".join(self.lines[-20:]))

    def kill(self) -> None:
        """kill -9, the whole process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP, the whole process group: its connections stay open, and nothing answers until it is thawed."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=WAIT_SECONDS, verify=NO_TLS)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.uploads.rglob("*") if path.is_file())


_numbers = count(1)


@dataclass
class Person:
    """Somebody with an account."""

    name: str
    email: str
    server: Server
    id: int = 0
    token: str = ""
    client: httpx.Client = field(init=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def socket(self, path: str | None = None, **options: Any) -> ClientConnection:
        """An open classic socket, signed in by its header."""
        url = self.server.url.replace("http", "ws") + (path or f"/ws/{self.id}")
        options.setdefault("additional_headers", self.headers)
        connection: ClientConnection = connect(url, open_timeout=WAIT_SECONDS, legacy=True, **options)
        return connection

    def upload(self, data: bytes, filename: str = "book.pdf", **fields: str) -> httpx.Response:
        return self.client.post("/upload-pdf", files={"file": (filename, data, "application/pdf")}, data=fields)


def register(server: Server, name: str, **fields: str) -> Person:
    person = Person(name, f"{name}.{os.getpid()}.{next(_numbers)}@example.com", server)
    person.client = server.client()
    answer = person.client.post(
        "/register", json={"email": person.email, "password": PASSWORD, "name": name.capitalize(), **fields}
    )
    assert answer.status_code == 200, answer.text
    person.token = answer.json()["access_token"]
    person.id = answer.json()["user"]["id"]
    person.client.headers.update(person.headers)
    return person


def wait_until(condition: Callable[[], object]) -> None:
    """Ask until *condition* is true: for what no event tells of."""
    deadline = time.monotonic() + WAIT_SECONDS
    pause = 0.01
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.2)  # a condition may be a request, which costs others the processor


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=WAIT_SECONDS))
