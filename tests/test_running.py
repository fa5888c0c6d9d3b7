"""However it is started, it serves; on SIGTERM it stops in time and leaves nothing behind."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection

from support.databases import TestDatabase
from support.outages import open_folder
from support.servers import HOUSE, WAIT_SECONDS, Person, Server, receive, register, wait_until
from support.sockets import closing, deaf, send

STOP_SECONDS = 10  # promised
UVICORN = ["-m", "uvicorn", "main:app", "--app-dir", str(HOUSE), "--port", "0"]
GUNICORN = [
    "-m",
    "gunicorn",
    "main:app",
    "--chdir",
    str(HOUSE),
    "-k",
    "uvicorn_worker.UvicornWorker",
    "-b",
    "127.0.0.1:0",
]
STARTERS = {
    "python main.py": [str(HOUSE / "main.py")],
    "uvicorn": UVICORN,
    "uvicorn --reload": [*UVICORN, "--reload"],
    "uvicorn --workers 2": [*UVICORN, "--workers", "2"],
    "gunicorn -w 2": [*GUNICORN, "-w", "2"],
}


def launch(server: Server, starter: str) -> Server:
    says = "Listening at: " if starter.startswith("gunicorn") else "Uvicorn running on "
    server.start(sys.executable, *STARTERS[starter], says=says)
    wait_until(lambda: is_ready(server))
    return server


def is_ready(server: Server) -> bool:
    assert server.process is not None
    assert server.process.poll() is None, "\n".join(server.lines)
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/readyz").status_code == 200
    return False


def processes_of(folder: Path) -> list[str]:
    """The commands of all processes that were started for *folder*, PostgreSQL's included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command and (str(folder) in command or str(folder).encode() in (process / "environ").read_bytes()):
                found.append(command)
    return found


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def make_alone(place: Path) -> Iterator[Callable[..., Server]]:
    """Servers on one embedded database, one at a time; only their folders are set."""
    made: list[Server] = []

    def make(**environment: str) -> Server:
        made.append(Server(place, None, **environment))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One that was started in the way *request* names; only its folders are set."""
    with open_folder() as folder:
        server = launch(Server(folder, None), request.param)
        yield server
        server.kill()


each_way_once = pytest.mark.parametrize(
    "running",
    ["python main.py", "uvicorn", "uvicorn --reload", "uvicorn --workers 2", "gunicorn -w 2"],
    indirect=True,
    scope="module",
)


@each_way_once
def test_it_serves_from_an_embedded_database_when_nothing_is_set(running: Server) -> None:
    alice, bob = register(running, "alice"), register(running, "bob")

    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hello"})

    assert [message["content"] for message in bob.client.get(f"/messages/{alice.id}").json()] == ["hello"]


@each_way_once
def test_chat_is_live_across_its_workers(running: Server) -> None:
    alice, bob = register(running, "alice"), register(running, "bob")

    with contextlib.ExitStack() as stack:
        inboxes = [stack.enter_context(bob.socket()) for _ in range(12)]
        for number in range(3):
            with alice.socket() as opened:
                opened.send(json.dumps({"recipient_id": bob.id, "content": f"by socket {number}"}))
                receive(inboxes[0])
            alice.client.post("/messages", json={"recipient_id": bob.id, "content": f"by REST {number}"})
            receive(inboxes[0])

        expected = [f"by {way} {number}" for number in range(3) for way in ("socket", "REST")]
        assert [[receive(inbox)["content"] for _ in expected] for inbox in inboxes[1:]] == [expected] * 11


@each_way_once
def test_it_gives_up_who_sends_a_head_without_an_end(running: Server) -> None:
    port = int(running.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert peer.recv(1) == b""


@each_way_once
def test_its_log_holds_no_token_and_no_password(running: Server) -> None:
    alice = register(running, "alice")

    with alice.socket(f"/ws/{alice.id}?token={alice.token}", additional_headers={}):
        pass
    alice.client.get("/me", params={"token": alice.token, "access_token": alice.token, "password": "hunter2"})
    alice.client.get(f"/ws?token={alice.token}")
    goodbyes([alice.socket("/ws?token=wrong-but-secret", additional_headers={})])

    log = "\n".join(running.lines)
    assert "/ws" in log
    assert [secret for secret in (alice.token, "hunter2", "wrong-but-secret") if secret in log] == []


# Stopping


def goodbyes(inboxes: list[ClientConnection]) -> list[int]:
    """Their close codes."""
    with contextlib.ExitStack() as stack:
        return [closing(stack.enter_context(inbox))[1] for inbox in inboxes]


@pytest.mark.parametrize(
    "starter", ["python main.py", "uvicorn", "uvicorn --reload", "uvicorn --workers 2", "gunicorn -w 2"]
)
def test_sigterm_ends_it_and_all_its_processes(make_alone: Callable[..., Server], starter: str) -> None:
    server = launch(make_alone(), starter)
    bob = register(server, "bob")
    inboxes = [bob.socket() for _ in range(8)]
    assert server.process is not None

    server.process.send_signal(signal.SIGTERM)

    assert goodbyes(inboxes) == [1001] * 8
    assert server.process.wait(STOP_SECONDS) in (0, -signal.SIGTERM)
    wait_until(lambda: processes_of(server.folder) == [])
    assert complaints(server) == []


@pytest.mark.parametrize("starter", ["python main.py", "uvicorn --reload", "uvicorn --workers 2"])
def test_ctrl_c_in_the_terminal_ends_it_and_all_its_processes(make_alone: Callable[..., Server], starter: str) -> None:
    server = launch(make_alone(), starter)
    bob = register(server, "bob")
    inboxes = [bob.socket() for _ in range(8)]
    assert server.process is not None

    os.killpg(server.process.pid, signal.SIGINT)

    assert goodbyes(inboxes) == [1001] * 8
    assert server.process.wait(STOP_SECONDS) in (0, 1, 130, -signal.SIGINT)
    wait_until(lambda: processes_of(server.folder) == [])
    assert complaints(server) == []


def complaints(server: Server) -> list[str]:
    """Errors in the log, but for gunicorn's: its workers close sockets that their master has closed."""
    bad = [line for line in server.lines if re.search("Traceback|ERROR|Error|Exception", line)]
    return [line for line in bad if "Error while closing socket" not in line]


def test_readyz_fails_while_the_server_is_stopping(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    alice, bob = register(server, "alice"), register(server, "bob")
    with deaf(alice) as slow, server.client() as client:
        fill(slow, bob, alice)
        assert server.process is not None

        server.process.send_signal(signal.SIGTERM)

        wait_until(lambda: client.get("/readyz").status_code == 503)
        answer = client.get("/readyz")
    assert (answer.json()["code"], answer.headers["Retry-After"]) == ("busy", "10")


def fill(slow: ClientConnection, sender: Person, recipient: Person) -> None:
    """Send to *slow*, which reads nothing, until its buffers are full."""
    port = slow.socket.getsockname()[1]
    before = -1
    with sender.socket() as opened:
        while (queued := waiting_bytes(port)) != before:
            before = queued
            for _ in range(8):
                send(opened, recipient, "x" * 32_000)
            send(opened, sender, "all of them are on their way")
            receive(opened)


def waiting_bytes(port: int) -> int:
    """The unsent bytes on the server's side of the connection to *port*."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(f":{port:04X}"):
            return int(fields[4].partition(":")[0], 16)
    return 0


@contextlib.contextmanager
def held_up(server: Server) -> Iterator[None]:
    """Clients that may keep a server from stopping: a body half sent, a long poll, a reader that does not read."""
    alice, bob = register(server, "alice"), register(server, "bob")
    host, _, port = server.url.removeprefix("http://").partition(":")
    authorization = f"Authorization: Bearer {alice.token}"
    with contextlib.ExitStack() as stack:
        fill(stack.enter_context(deaf(alice)), bob, alice)
        half = stack.enter_context(socket.create_connection((host, int(port))))
        head = ["POST /upload-pdf HTTP/1.1", f"Host: {host}", authorization, "Content-Length: 1000"]
        half.sendall("\r\n".join([*head, "Content-Type: multipart/form-data; boundary=x", "", "--x\r\n"]).encode())
        poll = stack.enter_context(socket.create_connection((host, int(port))))
        seq = alice.client.get("/events?after=0").json()["seq"]
        poll.sendall(f"GET /events?after={seq}&wait=60 HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n\r\n".encode())
        head_only = stack.enter_context(socket.create_connection((host, int(port))))
        head_only.sendall(b"GET / HTTP/1.1\r\n")
        yield


@pytest.mark.parametrize("starter", ["python main.py", "gunicorn -w 2"])
def test_no_client_keeps_it_from_stopping(make_alone: Callable[..., Server], starter: str) -> None:
    server = launch(make_alone(), starter)
    assert server.process is not None

    with held_up(server):
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(STOP_SECONDS) in (0, -signal.SIGTERM)

    wait_until(lambda: processes_of(server.folder) == [])


def test_a_killed_server_takes_its_workers_along_and_the_next_one_takes_over(
    make_alone: Callable[..., Server],
) -> None:
    server = launch(make_alone(), "python main.py")
    alice = register(server, "alice")
    assert server.process is not None

    os.kill(server.process.pid, signal.SIGKILL)

    wait_until(lambda: all("postgres" in command for command in processes_of(server.folder)))
    again = launch(make_alone(), "python main.py")
    with again.client() as client:
        assert client.get("/me", headers=alice.headers).json()["id"] == alice.id


# Settings


@pytest.mark.parametrize(
    ("starter", "variable", "value"),
    [
        ("python main.py", "SECRET_KEY", "short"),
        ("uvicorn", "DATABASE_URL", "nonsense"),
        ("uvicorn --reload", "SECRET_KEY", "short"),
        ("uvicorn --workers 2", "SECRET_KEY", "short"),
        ("uvicorn --workers 2", "DATABASE_URL", "nonsense"),
        ("gunicorn -w 2", "SECRET_KEY", "short"),
    ],
)
def test_a_wrong_setting_is_named_and_not_retried_for_ever(
    make_alone: Callable[..., Server], starter: str, variable: str, value: str
) -> None:
    server = make_alone(**{variable: value})

    lines = run_until_it_fails(server, starter, variable)

    reasons = [line for line in lines if variable in line]
    assert 1 <= len(reasons) <= (4 if "-w" in starter else 1)  # one per worker
    if not starter.startswith("gunicorn"):  # its master may show one when a worker ends early
        assert "Traceback" not in "".join(lines)


@pytest.mark.parametrize("starter", ["python main.py", "uvicorn", "uvicorn --workers 2", "gunicorn -w 2"])
def test_a_database_that_cannot_serve_is_named_once_a_process_and_not_retried_for_ever(
    make_alone: Callable[..., Server], make_database: Callable[..., TestDatabase], starter: str
) -> None:
    narrow = make_database("TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C' ENCODING 'LATIN1'")
    server = make_alone(DATABASE_URL=narrow.url)

    lines = run_until_it_fails(server, starter, "LATIN1")

    reasons = [line for line in lines if "encoding is LATIN1" in line]
    assert 1 <= len(reasons) <= (2 if "-w" in starter else 1)  # one per worker
    if not starter.startswith("gunicorn"):  # its master may show one when both workers end early
        assert "Traceback" not in "".join(lines)
    if "-w" not in starter:
        assert lines[-1:] == reasons


def run_until_it_fails(server: Server, starter: str, variable: str) -> list[str]:
    server.folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, *STARTERS[starter]],
        cwd=server.folder,
        env=server.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        server.process = process
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if variable in line and "--reload" in starter:
                os.killpg(process.pid, signal.SIGTERM)  # it waits for a file to change
        assert process.wait() != 0 or "--workers" in starter or "--reload" in starter
    return lines


def test_web_concurrency_is_ignored(make_server: Callable[..., Server]) -> None:
    server = make_server(WEB_CONCURRENCY="3").start()

    assert is_ready(server)


# The log


def test_every_line_of_a_json_log_is_json(make_server: Callable[..., Server]) -> None:
    server = make_server(LOG_FORMAT="json").start()
    alice = register(server, "alice")
    with alice.socket() as opened:
        opened.send("not json")
        receive(opened)
    alice.client.get("/nowhere", headers={"X-Request-ID": "abc"})
    server.stop()

    lines: list[Any] = [json.loads(line) for line in server.lines]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (request,) = [line for line in lines if line.get("path") == "/nowhere"]
    assert (request["method"], request["status"], request["request_id"]) == ("GET", 404, "abc")


def test_a_request_is_one_log_line_whatever_its_path(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    with server.client() as client:
        client.get("/a%0d%0aINFO%20%20forged%1b[31m")
        client.get("/?q=%0aINFO%20%20forged")
    server.stop()

    assert [line for line in server.lines if line.startswith("INFO") or "\x1b" in line] == []
