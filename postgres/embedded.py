"""The embedded PostgreSQL server: started by the first process that needs it, stopped by the last."""

import contextlib
import fcntl
import logging
import os
import re
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from errors import StartupError
from postgres.cluster import prepare_cluster
from postgres.folders import PORT, Folders
from postgres.host import Account, is_alive
from postgres.postmaster import find_postmaster, launch_postmaster, read_failure, stop_postmaster
from postgres.programs import usable_programs
from postgres.roles import APPLICATION, DATABASE, SUPERUSER, make_application_role, read_password

logger = logging.getLogger("pagewire.postgres")

START_SECONDS = 120  # crash recovery replays up to max_wal_size; each wait ends as soon as the server answers
UNREACHABLE_SECONDS = 5  # a server that is ready but whose socket file is gone is restarted after this


class EmbeddedServer:
    """The PostgreSQL server of one DATA_DIR, shared by all processes that use it; the last one out stops it.

    If all of them are killed it keeps running, and the next process to start adopts it.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folders = Folders(data_dir)
        self._mutex = threading.Lock()
        self._use: int | None = None  # the descriptor whose lock says that this process uses the server
        _servers.add(self)

    @property
    def connect_kwargs(self) -> dict[str, str]:
        """Keywords for psycopg2.connect once the server is started; the password stays in its 0600 file."""
        return self._keywords(APPLICATION, self.folders.passfile)

    @property
    def superuser_kwargs(self) -> dict[str, str]:
        """The same for the superuser, which only sets up the other role."""
        return self._keywords(SUPERUSER, self.folders.cluster / "pgpass")

    def _keywords(self, role: str, passfile: Path) -> dict[str, str]:
        return {
            "host": str(self.folders.run_dir),
            "port": str(PORT),
            "dbname": DATABASE,
            "user": role,
            "password": "",  # empty, not absent: a PGPASSWORD in the environment would win over the file
            "passfile": str(passfile),
        }

    def ensure_started(self) -> None:
        """Start the server, adopt a running one or revive a dead one; blocks until it answers.

        May be called at any time, by any number of threads and processes.

        Raises:
            StartupError: with a one-line reason.
        """
        with self._mutex:
            try:
                account = self.folders.choose_account()
                self.folders.make_home(account)
                with self._gate(), self._claim_use():
                    self.folders.make_run_dir(account)
                    self._bring_up(account)
            except OSError as error:
                where = f": {error.filename}" if error.filename else ""
                raise StartupError(f"The embedded PostgreSQL cannot start: {error.strerror}{where}") from error

    def release(self) -> None:
        """End this process's use of the server; the last process to do so stops it."""
        with self._mutex:
            if self._use is None:
                return
            try:
                with self._gate():
                    self._drop_use()
                    self._stop_if_unused()
            except OSError as error:  # perhaps the folder was removed: there is nothing left to stop
                self._drop_use()
                logger.warning("The embedded PostgreSQL in %s was left as it is: %s", self.folders.home, error)

    # Locks

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Hold the lock for starting and stopping the server."""
        gate = self._open_lock("gate")
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)  # close() alone would leave it locked if a thread forked meanwhile
            os.close(gate)

    @contextlib.contextmanager
    def _claim_use(self) -> Iterator[None]:
        """Hold the lock of a process that uses the server, from now on; a first claim is dropped if the block fails."""
        is_first = self._use is None
        if self._use is None:
            self._use = self._open_lock("use")
            fcntl.flock(self._use, fcntl.LOCK_SH)
        try:
            yield
        except BaseException:
            if is_first:
                self._drop_use()
            raise

    def _drop_use(self) -> None:
        if self._use is not None:
            fcntl.flock(self._use, fcntl.LOCK_UN)
            os.close(self._use)
            self._use = None

    def _open_lock(self, name: str) -> int:
        return os.open(self.folders.home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _forget_use_in_child(self) -> None:
        """After a fork, leave the lock to the parent (flock belongs to the open file); the child takes its own."""
        self._mutex = threading.Lock()
        if self._use is not None:
            os.close(self._use)
            self._use = None

    # Start and stop; the caller holds the gate

    def _bring_up(self, account: Account) -> None:
        deadline = time.monotonic() + START_SECONDS
        launched: int | None = None
        unreachable_at: float | None = None
        while trouble := self._try_to_connect():
            postmaster = find_postmaster(self.folders)
            now = time.monotonic()
            if now > deadline:
                raise StartupError(f"PostgreSQL did not answer within {START_SECONDS} seconds: {trouble}")
            if postmaster is None and launched is None:
                launched = self._launch(account)
            elif postmaster is None and launched is not None and not is_alive(launched):
                # A killed server's children may hold its shared memory a moment longer; and a server whose
                # starter was killed may write its postmaster.pid only now. Both end the new one; try again.
                failure = read_failure(self.folders)
                if not re.search("pre-existing shared memory|postmaster.pid. already exists", failure):
                    raise StartupError(f"PostgreSQL did not start: {failure}")
                launched = None
                time.sleep(0.05)
            elif postmaster is not None and postmaster.status == "stopping":
                os.kill(postmaster.pid, signal.SIGINT)  # it may be waiting for its clients: a "smart" shutdown
            elif postmaster is not None and postmaster.status == "ready":
                unreachable_at = unreachable_at or now + UNREACHABLE_SECONDS
                if now > unreachable_at and launched is not None:
                    raise StartupError(f"PostgreSQL is running but cannot be reached: {trouble}")
                if now > unreachable_at:  # an old server whose socket file was removed
                    stop_postmaster(self.folders)
                    unreachable_at = None
            time.sleep(0.005)

    def _launch(self, account: Account) -> int:
        programs = usable_programs(account, self.folders.home)
        prepare_cluster(self.folders, programs, account)
        return launch_postmaster(self.folders, programs, account)

    def _try_to_connect(self) -> str:
        """Return "" if the server answers, else the reason; make the role and the database if they are missing."""
        if not self.folders.socket.exists():
            return f"there is no {self.folders.socket}"
        password = read_password(self.folders.passfile)
        try:
            _connect(self.connect_kwargs).close()
        except psycopg2.OperationalError as error:
            trouble = str(error).strip().replace("\n", " ")
            if "too many clients" in trouble or "connection slots are reserved" in trouble:
                return ""
            if "password" not in trouble and f'database "{DATABASE}" does not exist' not in trouble:
                return trouble
            return self._set_up(password)
        return ""

    def _set_up(self, password: str) -> str:
        """Make the application's role and database; return "" if that is done, else the reason."""
        keywords = self.superuser_kwargs
        try:
            make_application_role({**keywords, "connect_timeout": "5"}, password)
        except psycopg2.errors.LockNotAvailable:
            raise StartupError("An older Pagewire still uses the embedded database: stop it first.") from None
        except psycopg2.OperationalError as error:
            trouble = str(error).strip().replace("\n", " ")
            if "password" in trouble:
                raise StartupError(f"The embedded PostgreSQL rejects the password in {keywords['passfile']}.") from None
            return trouble
        return ""

    def _stop_if_unused(self) -> None:
        lock = self._open_lock("use")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop_postmaster(self.folders)
            self.folders.remove_run_dir()
        except BlockingIOError:
            pass  # another process still uses it
        finally:
            os.close(lock)


_servers: "weakref.WeakSet[EmbeddedServer]" = weakref.WeakSet()


def _forget_use_in_child() -> None:
    for server in list(_servers):
        server._forget_use_in_child()


os.register_at_fork(after_in_child=_forget_use_in_child)


def _connect(keywords: dict[str, str]) -> "psycopg2.extensions.connection":
    options: dict[str, Any] = {**keywords, "connect_timeout": 5}
    connection: psycopg2.extensions.connection = psycopg2.connect(**options)
    return connection
