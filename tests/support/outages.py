"""A PostgreSQL for a test to break: killed, frozen, or restarted."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

from postgres.embedded import EmbeddedServer
from postgres.host import is_alive
from postgres.postmaster import stop_postmaster
from support.servers import wait_until


class FragilePostgres(EmbeddedServer):
    """The embedded server, with ways to break it; `ensure_started` starts it again."""

    @property
    def keywords(self) -> dict[str, Any]:
        return {**self.connect_kwargs}

    @property
    def superuser(self) -> dict[str, Any]:
        return {**self.superuser_kwargs}

    @property
    def url(self) -> str:
        return str(make_dsn(**self.connect_kwargs))

    @property
    def pid(self) -> int:
        return int((self.folders.cluster / "postmaster.pid").read_text().split()[0])

    def ask(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(**self.superuser)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def backends(self) -> list[int]:
        """The processes that serve clients, except the one that answers this."""
        sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return [int(pid) for (pid,) in self.ask(sql)]

    def end_sessions(self) -> None:
        """Terminate every session, as an administrator can."""
        pids = self.backends()
        self.ask("SELECT pg_terminate_backend(pid) FROM unnest(%s::integer[]) AS pid", pids)
        wait_for_the_end_of(pids)

    def kill(self) -> None:
        """kill -9 of the postmaster; its children exit by themselves."""
        processes = [self.pid, *children_of(self.pid)]
        os.kill(self.pid, signal.SIGKILL)
        wait_for_the_end_of(processes)

    def restart(self) -> None:
        """Restart as an administrator does: a fast shutdown, then a start."""
        stop_postmaster(self.folders)
        self.ensure_started()

    def back_up(self, *, meanwhile: Callable[[], None] = lambda: None) -> Path:
        """Stop the server, do what is to be done *meanwhile*, copy the data folder, and start it again."""
        stop_postmaster(self.folders)
        meanwhile()
        backup = self.folders.cluster.with_name("backup")
        shutil.rmtree(backup, ignore_errors=True)
        copy_folder(self.folders.cluster, backup)
        self.ensure_started()
        return backup

    def put_back(self, backup: Path, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop the server, do what is to be done *meanwhile*, and start it on the data of *backup*."""
        stop_postmaster(self.folders)
        meanwhile()
        shutil.rmtree(self.folders.cluster)
        copy_folder(backup, self.folders.cluster)
        self.ensure_started()

    def freeze(self) -> None:
        """SIGSTOP every process: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)  # first: it starts no more of them
        for pid in children_of(self.pid):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        with contextlib.suppress(OSError):  # it was killed
            for pid in [self.pid, *children_of(self.pid)]:
                with contextlib.suppress(ProcessLookupError):  # it has just ended; the others have not
                    os.kill(pid, signal.SIGCONT)


def copy_folder(source: Path, target: Path) -> None:
    """Copy with owners and modes, as a backup does."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def wait_for_the_end_of(pids: Iterable[int]) -> None:
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def children_of(pid: int) -> list[int]:
    """The process ids of all descendants of *pid*."""
    parents = {}
    for entry in os.scandir("/proc"):  # not Path.glob: that takes twice as long
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()[1])
    found: list[int] = []
    generation = {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        found += generation
    return found


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter; a server left in it is stopped."""
    folder = _make_folder()
    try:
        yield folder
    finally:
        for pid_file in folder.glob("**/postmaster.pid"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
        while folder.exists():  # a stopping server still writes and removes files
            shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> Path:
    """A folder that PostgreSQL's user can enter, unlike root's tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="pagewire-test-"))
    folder.chmod(0o711)
    return folder


@functools.cache
def _stopped_postgres() -> Path:
    """The data folder of a server that was started once: to make one takes four times as long as to copy it."""
    folder = _make_folder()
    server = FragilePostgres(folder / "data")
    server.ensure_started()
    stop_postmaster(server.folders)
    return folder / "data"


@contextlib.contextmanager
def fragile_postgres(*, hba: str = "") -> Iterator[FragilePostgres]:
    """A running FragilePostgres of its own, with one more line in its pg_hba.conf."""
    with open_folder() as folder:
        copy_folder(_stopped_postgres(), folder / "data")
        with (folder / "data" / "postgres" / "cluster" / "pg_hba.conf").open("a") as rules:
            rules.write(f"{hba}\n")
        server = FragilePostgres(folder / "data")
        server.ensure_started()
        try:
            yield server
        finally:
            server.thaw()
