"""Both servers side by side on one PostgreSQL, and what the kernel accounts to them (/proc, so Linux only)."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import make_dsn

from postgres.embedded import EmbeddedServer

HOUSE = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECRET_KEY = "0123456789abcdef0123456789abcdef measured, never served"
RATE_LIMITS = (
    "LOGIN_RATE_LIMIT",
    "REGISTER_RATE_LIMIT",
    "MESSAGE_RATE_LIMIT",
    "NOTIFICATION_RATE_LIMIT",
    "UPLOAD_RATE_LIMIT",
    "REQUEST_RATE_LIMIT",
)
PAGEWIRE = (sys.executable, str(HOUSE / "main.py"))
CELERY_WORKER = (str(Path(sys.executable).parent / "celery"), "--workdir", str(HOUSE), "-A", "worker", "worker")
PAGEWIRE_ENVIRONMENT = {"PORT": "0", **dict.fromkeys(RATE_LIMITS, "off")}


class Server(NamedTuple):
    """A running server, and the PostgreSQL that both share."""

    name: str
    port: int
    pid: int
    postmaster_pid: int
    database_url: str

    def cpu_seconds(self) -> float:
        """Processor time so far of all processes of the server and of PostgreSQL, including those that have exited."""
        return cpu_seconds([self])

    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    def peak_resident_bytes(self) -> int:
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _memory(self, field: str) -> int:
        found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


def cpu_seconds(servers: Sequence[Server]) -> float:
    """Processor time of *servers* and their PostgreSQL; a server named twice counts once."""
    return sum(map(cpu_seconds_of, {pid for server in servers for pid in (server.pid, server.postmaster_pid)}))


def cpu_seconds_of(root: int) -> float:
    """Sum over the process *root* and its descendants; each includes its children that have exited."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                pid = int(entry.name)
                children.setdefault(int(fields[1]), []).append(pid)
                ticks[pid] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return sum(ticks.get(pid, 0) for pid in family) / TICKS_PER_SECOND


@contextlib.contextmanager
def running_servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """Run the plain server and Pagewire, each with its own database and subfolder; all stop after the block."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(folder))

        def start(name: str, command: Sequence[str], **environment: str) -> Server:
            url = postgres.create_database(name)
            return stack.enter_context(_server(name, command, folder / name, postgres.pid, url, **environment))

        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(HOUSE), "--port", "0", "--no-access-log"]
        plain = start("plain", [*uvicorn, "bench.plain:app"])
        product = start("product", PAGEWIRE, **PAGEWIRE_ENVIRONMENT)
        yield plain, product


class Postgres(NamedTuple):
    server: EmbeddedServer
    pid: int

    def create_database(self, name: str) -> str:
        with contextlib.closing(psycopg2.connect(make_dsn(**self.server.superuser_kwargs))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        return str(make_dsn(**{**self.server.superuser_kwargs, "dbname": name}))


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    postgres = EmbeddedServer(folder)
    try:
        postgres.ensure_started()
        yield Postgres(postgres, int((postgres.folders.cluster / "postmaster.pid").read_text().split()[0]))
    finally:
        postgres.release()


@contextlib.contextmanager
def running_nodes(folder: Path, postgres: Postgres, url: str, count: int, **environment: str) -> Iterator[list[Server]]:
    """Run *count* Pagewires on one database."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                _server(
                    f"node{number}",
                    PAGEWIRE,
                    Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), "home"),
                    postgres.pid,
                    url,
                    **PAGEWIRE_ENVIRONMENT,
                    **environment,
                )
            )
            for number in range(count)
        ]


@contextlib.contextmanager
def another_process(server: Server) -> Iterator[Server]:
    """Run another Pagewire on the database of *server*."""
    with (
        tempfile.TemporaryDirectory(prefix="pagewire-bench-") as folder,
        _server(
            "another",
            PAGEWIRE,
            Path(folder, "home"),
            server.postmaster_pid,
            server.database_url,
            **PAGEWIRE_ENVIRONMENT,
        ) as another,
    ):
        yield another


@contextlib.contextmanager
def _server(
    name: str, command: Sequence[str], home: Path, postmaster_pid: int, database_url: str, **environment: str
) -> Iterator[Server]:
    home.mkdir()
    with _process(command, home, DATABASE_URL=database_url, **environment) as process:
        port = int(_wait_for_words(process, home / "log", r"Uvicorn running on http://127\.0\.0\.1:(\d+)"))
        yield Server(name, port, process.pid, postmaster_pid, database_url)


@contextlib.contextmanager
def running_worker(home: Path, **environment: str) -> Iterator[int]:
    """Run a Celery worker; its process id."""
    home.mkdir()
    with _process(CELERY_WORKER, home, **environment) as process:
        _wait_for_words(process, home / "log", r"(works) for ")
        yield process.pid


@contextlib.contextmanager
def _process(command: Sequence[str], home: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "SECRET_KEY": SECRET_KEY}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=kept | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_words(process: "subprocess.Popen[bytes]", log: Path, words: str) -> str:
    """What the group of *words*, a regular expression, is in the log."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        if found := re.search(words, said):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"a server did not start: {process.args!r}\n{log.read_text(errors='replace')[-2000:]}")
