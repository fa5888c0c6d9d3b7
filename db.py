"""PostgreSQL, awaited: a small connection pool over psycopg2's asynchronous mode, and transactions."""

import asyncio
import contextlib
import functools
import hashlib
import logging
import re
import select
import socket
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol, Self, TypeVar, get_args, get_type_hints

import psycopg2
import psycopg2.extensions
from prometheus_client import Histogram
from psycopg2 import IntegrityError as IntegrityError  # what a statement raises when it breaks a constraint
from psycopg2 import OperationalError as OperationalError  # when the server refuses or is lost
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

from errors import BusyError, DatabaseUnavailableError, UnstorableTextError

ANSWER_SECONDS = 4.5  # for a connection and one statement together: requests are answered within five
PING_AFTER_SECONDS = 30.0  # a firewall on the way may have dropped an idle connection
PING_SECONDS = 1.0
STATEMENT_GRACE_SECONDS = 0.5  # the server gives up on a statement this much later than we do
RETRY_CONNECT_SECONDS = 0.1
SETTLE_SECONDS = 5.0  # for the nodes to come back to a server that lost them all
MAX_LOOKS = 100  # at what is there to read, before waiting for more
MAX_FOLDED_FILENAME_CHARACTERS = 500
MAX_CALLERS = 1000  # running and waiting; the next one is refused
# Either side notices within a minute when the other vanishes without closing the connection.
KEEPALIVES = {"keepalives_idle": "30", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "30000"}
ENCODING = {"client_encoding": "UTF8"}  # neither PGCLIENTENCODING nor a role's setting may narrow what can be stored
SESSION = """
    SET TIME ZONE 'UTC';
    SET default_transaction_isolation = 'read committed';
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 30;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = '30s';
    SELECT set_config(name, '250ms', false) FROM pg_settings   -- a statement ends when its connection is closed
     WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%';
"""

# Reasons, by psycopg2's text, that do not pass while one waits: configuration, not an outage.
LASTING_REASONS = re.compile(
    r"authentication failed|no password supplied|does not exist|pg_hba\.conf|no such (?:database|user)"
    "|does not support SSL|no encryption|certificate|GSSAPI|channel binding|authentication method"
    "|not permitted to log in|not currently accepting connections|permission denied for|conversion between|unsupported|^invalid "
)

SqlError = psycopg2.Error  # the base class of them all
Params = Mapping[str, object]
Row = TypeVar("Row", bound=tuple[Any, ...])
logger = logging.getLogger("pagewire.db")

WAIT = Histogram("pagewire_database_wait_seconds", "Waits for a connection of the pool, where none was free.")


class Prepared(str):
    """A statement that each connection parses and plans once. PostgreSQL must know every parameter's type: cast it.

    A small query takes longer to plan than to run (find_user: 108 → 60 µs of PostgreSQL's time).
    """

    __slots__ = ()


@functools.cache
def _compile(sql: str) -> tuple[str, str, str, list[str]]:
    """Return its name, the SQL to prepare it, the SQL to execute it, and the names of its parameters in order."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql).replace("%%", "%")
    name = "pagewire_" + hashlib.sha256(sql.encode()).hexdigest()[:16]
    values = f" ({', '.join(['%s'] * len(names))})" if names else ""
    return name, f"PREPARE {name} AS {text}", f"EXECUTE {name}{values}", names


@functools.cache
def _row_maker(row: type[Row]) -> Callable[[Sequence[Any]], Row]:
    """Return a function from columns to a *row*. A field that is itself a NamedTuple takes as many columns as it has.

    A nested row that may be None is None when its first column is NULL.
    """
    make: Callable[[Sequence[Any]], Row] = row._make  # type: ignore[attr-defined]
    fields: list[tuple[int, int, Callable[[Sequence[Any]], Any] | None, bool]] = []
    start = 0
    for hint in get_type_hints(row).values():
        nested_row = _nested_row(hint)
        stop = start + _count_columns(nested_row)
        fields.append((start, stop, nested_row and _row_maker(nested_row), type(None) in get_args(hint)))
        start = stop
    if all(nested is None for _, _, nested, _ in fields):
        return make

    def make_nested(values: Sequence[Any]) -> Row:
        return make(
            [
                values[start]
                if nested is None or (is_optional and values[start] is None)
                else nested(values[start:stop])
                for start, stop, nested, is_optional in fields
            ]
        )

    return make_nested


def _nested_row(hint: Any) -> Any:
    """The NamedTuple that *hint* names, alone or as an option; None if it names none."""
    return next((kind for kind in (hint, *get_args(hint)) if hasattr(kind, "_fields")), None)


def _count_columns(row: Any) -> int:
    return 1 if row is None else sum(_count_columns(_nested_row(hint)) for hint in get_type_hints(row).values())


class Executor(Protocol):
    """Runs single statements: the pool (each in its own transaction) or an open transaction."""

    async def fetch_all(self, row: type[Row], sql: str, params: Params | None = None) -> list[Row]:
        """Return all rows as *row*: a NamedTuple whose fields are in the order of the columns, and may be NamedTuples."""

    async def fetch_one(self, row: type[Row], sql: str, params: Params | None = None) -> Row | None:
        """Return the first row or None."""

    async def execute(self, sql: str, params: Params | None = None) -> int:
        """Run a statement; return how many rows it affected."""


class Connection:
    """One psycopg2 connection, driven by the event loop. One statement at a time.

    A statement that fails to finish (cancelled, timed out, connection lost) closes the connection, because its
    outcome on the server is unknown.
    """

    def __init__(self, raw: psycopg2.extensions.connection, loop: asyncio.AbstractEventLoop) -> None:
        self._raw = raw
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._reader_fd: int | None = None
        self._input = select.poll()
        self._prepared: set[str] = set()
        self.on_lost: Callable[[], None] | None = None  # called once, if the server closes an idle connection
        self.on_note: Callable[[str], None] | None = None  # called with the payload of each notification
        self.opened_at = self.idle_since = loop.time()

    @classmethod
    async def open(cls, connect_kwargs: Mapping[str, str], *, statement_seconds: float) -> Self:
        """Connect, under the caller's timeout. The server itself cancels a statement after *statement_seconds*.

        Raises:
            psycopg2.OperationalError: if the server refuses.
        """
        loop = asyncio.get_running_loop()
        kwargs = await _resolve({**KEEPALIVES, **connect_kwargs, **ENCODING}, loop)
        connection = cls(psycopg2.connect(**kwargs, async_=True), loop)
        try:
            await connection._finish_connecting()
            connection._reader_fd = connection._raw.fileno()
            loop.add_reader(connection._reader_fd, connection._on_readable)
            connection._input.register(connection._reader_fd, select.POLLIN)
            await connection.execute(SESSION + _statement_timeout(statement_seconds))
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def closed(self) -> bool:
        return bool(self._raw.closed)

    def close(self) -> None:
        if self._reader_fd is not None:
            self._loop.remove_reader(self._reader_fd)
            self._reader_fd = None
        self._raw.close()

    async def run(self, sql: str, params: Params | None) -> psycopg2.extensions.cursor:
        """Send one statement and wait for its result."""
        values: Params | tuple[object, ...] | None = params
        if isinstance(sql, Prepared):
            name, prepare, sql, names = _compile(sql)
            if name not in self._prepared:
                await self.run(prepare, None)
                self._prepared.add(name)
            values = tuple((params or {})[key] for key in names)
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql, values)
            await self._until_ready()
            if self._raw.notifies:
                self._pass_notes_on()
        except (ValueError, UnicodeEncodeError) as error:  # psycopg2 cannot quote NUL, nor encode a lone surrogate
            raise UnstorableTextError from error
        except psycopg2.Error as error:
            if not self._raw.closed:
                raise
            self.close()
            raise psycopg2.OperationalError(str(error).strip() or "connection lost") from error
        except BaseException:
            self.close()
            raise
        return cursor

    async def fetch_all(self, row: type[Row], sql: str, params: Params | None = None) -> list[Row]:
        make = _row_maker(row)
        return [make(values) for values in (await self.run(sql, params)).fetchall()]

    async def fetch_one(self, row: type[Row], sql: str, params: Params | None = None) -> Row | None:
        values = (await self.run(sql, params)).fetchone()
        return None if values is None else _row_maker(row)(values)

    async def execute(self, sql: str, params: Params | None = None) -> int:
        return (await self.run(sql, params)).rowcount

    async def _until_ready(self) -> None:
        raw = self._raw
        looks = 0
        while (state := raw.poll()) != POLL_OK:
            # uvloop calls a reader once after an error, even if there is more to read: a backend's last words, then the end.
            if state == POLL_READ and looks < MAX_LOOKS and self._input.poll(0):
                looks += 1
                continue
            looks = 0
            self._waiter = self._loop.create_future()
            if state == POLL_WRITE:
                self._loop.add_writer(raw.fileno(), self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if state == POLL_WRITE and not raw.closed:
                    self._loop.remove_writer(raw.fileno())

    async def _finish_connecting(self) -> None:
        # libpq may try several addresses, each on a new socket, so a descriptor is watched for one step only.
        while (state := self._raw.poll()) != POLL_OK:
            descriptor = self._raw.fileno()
            watch, unwatch = (
                (self._loop.add_reader, self._loop.remove_reader)
                if state == POLL_READ
                else (self._loop.add_writer, self._loop.remove_writer)
            )
            self._waiter = self._loop.create_future()
            watch(descriptor, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                unwatch(descriptor)

    def _pass_notes_on(self) -> None:
        notes, self._raw.notifies[:] = list(self._raw.notifies), []
        if self.on_note is not None:
            for note in notes:
                self.on_note(note.payload)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_readable(self) -> None:
        if self._waiter is not None:
            self._wake()
        else:
            self.look()

    def look(self) -> None:
        """Read what the server sent unasked: a notice, a notification, or the end of the connection."""
        try:
            while self._input.poll(0):  # what it sent last comes before the end
                self._raw.poll()
                self._pass_notes_on()
        except psycopg2.Error:
            self.close()
            if self.on_lost is not None:
                self.on_lost()


async def _resolve(connect_kwargs: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """Resolve the host here, because libpq would block the event loop; `host` stays, for TLS."""
    kwargs: dict[str, Any] = dict(connect_kwargs)
    host = kwargs.get("host", "")
    if host and "/" not in host and "," not in host and "hostaddr" not in kwargs:
        try:
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise psycopg2.OperationalError(f"could not resolve the host {host}: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        kwargs["hostaddr"] = ",".join(addresses)
        kwargs["host"] = ",".join([host] * len(addresses))
    return kwargs


def _statement_timeout(seconds: float, *, local: bool = False) -> str:
    """Have the server cancel a statement that we have given up on; it would not notice by itself."""
    return f"SET {'LOCAL ' if local else ''}statement_timeout = {round(seconds * 1000)}"


class Database:
    """A small pool of connections to one PostgreSQL.

    When every connection is busy, callers wait in line: at most *answer_seconds*, their statement included, then
    DatabaseUnavailableError. When the server is lost, the next caller reconnects; *revive* (blocking, run in a thread)
    is called when the server refuses connections, so that an embedded one is started again.
    """

    def __init__(
        self,
        connect_kwargs: Mapping[str, str],
        *,
        size: int,
        answer_seconds: float = ANSWER_SECONDS,
        revive: Callable[[], None] | None = None,
    ) -> None:
        self._connect_kwargs = dict(connect_kwargs)
        self._answer_seconds = answer_seconds
        self._away = False
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._revive = revive
        self._reviving: asyncio.Task[None] | None = None
        self._callers = 0
        self._answered_at = 0.0  # when a connection was last given back in order
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def fetch_all(self, row: type[Row], sql: str, params: Params | None = None) -> list[Row]:
        async with self.connection() as connection:
            return await connection.fetch_all(row, sql, params)

    async def fetch_one(self, row: type[Row], sql: str, params: Params | None = None) -> Row | None:
        async with self.connection() as connection:
            return await connection.fetch_one(row, sql, params)

    async def execute(self, sql: str, params: Params | None = None) -> int:
        async with self.connection() as connection:
            return await connection.execute(sql, params)

    @asynccontextmanager
    async def transaction(self, *, seconds: float | None = None, settings: str = "") -> AsyncIterator[Connection]:
        """Run the block in a transaction, committed before the block is left; *seconds* bounds the whole block.

        *settings* are statements that are sent with its BEGIN.
        """
        async with self.connection(seconds=seconds) as connection:
            timeout = "" if seconds is None else _statement_timeout(seconds, local=True)
            await connection.execute(";".join(filter(None, ("BEGIN", timeout, settings))))
            try:
                yield connection
            except Exception:
                if not connection.closed:
                    await connection.execute("ROLLBACK")
                raise
            except BaseException:  # cancelled: there may be no time left for a ROLLBACK
                connection.close()
                raise
            if (await connection.run("COMMIT", None)).statusmessage != "COMMIT":
                raise psycopg2.errors.InFailedSqlTransaction("a statement failed and its error was suppressed")

    @asynccontextmanager
    async def connection(self, *, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Borrow a connection for at most *seconds* (None: *answer_seconds* of the pool), the wait for it included.

        Raises:
            DatabaseUnavailableError: if time runs out or the connection is lost; BusyError: if too many are waiting.
        """
        if self._callers >= MAX_CALLERS:
            raise BusyError(retry_after=2)
        self._callers += 1
        try:
            async with asyncio.timeout(self._answer_seconds if seconds is None else seconds) as deadline:
                asked_at = time.perf_counter() if self._slots.locked() else None
                async with self._slots:
                    if asked_at is not None:
                        WAIT.observe(time.perf_counter() - asked_at)
                    connection = await self._take()
                    try:
                        yield connection
                    finally:
                        self._give_back(connection)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the caller's own
            raise DatabaseUnavailableError(retry_after=2) from error
        except psycopg2.OperationalError as error:
            logger.warning("database: %s", one_line(error))
            raise DatabaseUnavailableError(retry_after=2) from error
        except psycopg2.InterfaceError as error:
            raise DatabaseUnavailableError(retry_after=2) from error
        finally:
            self._callers -= 1

    async def _take(self) -> Connection:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()  # the most recently used one is warm; surplus ones may grow old
            connection.look()
            if connection.closed:
                continue
            if now - connection.idle_since > PING_AFTER_SECONDS and not await _answers(connection):
                while self._idle:  # idle for even longer
                    self._idle.pop().close()
                break
            return connection
        return await self.open_connection()

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or self._closed:
            connection.close()
            return
        self._answered_at = connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    @property
    def callers(self) -> int:
        """Who has a connection, or waits for one."""
        return self._callers

    async def check_alive(self) -> None:
        """Raise DatabaseUnavailableError if the server answers nobody; not if all connections are merely busy."""
        asked_at = asyncio.get_running_loop().time()
        try:
            await ping(self)
        except BusyError:
            pass
        except DatabaseUnavailableError:
            if self._answered_at < asked_at:
                raise

    async def connect(self) -> Connection:
        """Try once to connect, under the caller's timeout.

        Raises:
            psycopg2.OperationalError: if the server refuses or is not there.
        """
        return await Connection.open(
            self._connect_kwargs, statement_seconds=self._answer_seconds + STATEMENT_GRACE_SECONDS
        )

    async def open_connection(self) -> Connection:
        """Connect; while the server is down or starting, retry until the caller's timeout."""
        while True:
            try:
                connection = await self.connect()
            except psycopg2.OperationalError as error:
                if is_lasting(error):
                    raise
                if not self._away:
                    self._away = True
                    logger.warning("the database does not answer: %s", one_line(error))
            else:
                if self._away:
                    self._away = False
                    logger.info("the database answers again")
                return connection
            await self._revive_server()
            await asyncio.sleep(RETRY_CONNECT_SECONDS)

    async def _revive_server(self) -> None:
        if self._revive is None:
            return
        if self._reviving is None or self._reviving.done():
            self._reviving = asyncio.create_task(asyncio.to_thread(self._revive))
        with contextlib.suppress(Exception):  # the next attempt to connect reports what is wrong
            await asyncio.shield(self._reviving)


def is_lasting(error: OperationalError) -> bool:
    """Whether to connect again would fail in the same way: a wrong password, no such database, no TLS."""
    return LASTING_REASONS.search(str(error)) is not None


def one_line(error: SqlError) -> str:
    """What the server or libpq says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


async def _answers(connection: Connection) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await connection.execute("SELECT 1")
    except (psycopg2.Error, TimeoutError):
        connection.close()
        return False
    return True


class _One(NamedTuple):
    value: int


async def ping(conn: Executor) -> None:
    await conn.fetch_one(_One, "SELECT 1")


async def hold_node_lock(connection: Connection, *, node_id: int) -> None:
    """Mark the node as alive for as long as *connection* is open; the server notices its end at once.

    Shared: a node that lost its connection can lock again even before the server has noticed the loss.
    """
    await connection.execute(
        "SELECT pg_advisory_lock_shared((SELECT node_lock FROM installation), %(node_id)s)", {"node_id": node_id}
    )


class _Name(NamedTuple):
    name: str


async def take_lock(tx: Connection, name: str, *, wait: bool = True) -> bool:
    """Wait for the turn that the row *name* of `locks` stands for, and have it until the transaction ends.

    Without *wait*, False if another transaction has it. It is no advisory lock, since any role may take those.
    """
    skip = "" if wait else "SKIP LOCKED"
    row = await tx.fetch_one(_Name, f"SELECT name FROM locks WHERE name = %(name)s FOR UPDATE {skip}", {"name": name})
    return row is not None


_NODE_LOCKS = """
    pg_locks WHERE locktype = 'advisory' AND classid = (SELECT node_lock FROM installation) AND objsubid = 2 AND granted
               AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

# True of a row whose node is gone: it has none, or one whose lock PostgreSQL has released. A missing lock shows nothing
# while all connections that hold one are new: a restart, a crash or a failover has just released every lock.
NODE_IS_GONE = f"""
    (node_id IS NULL
     OR (node_id <> ALL (ARRAY(SELECT objid::bigint FROM {_NODE_LOCKS}))   -- not correlated: it runs once
         AND EXISTS (SELECT FROM pg_stat_get_activity(NULL)
                      WHERE pid = ANY (ARRAY(SELECT pid FROM {_NODE_LOCKS}))
                        AND backend_start < now() - {SETTLE_SECONDS} * interval '1 second')))
"""


# Text as it is compared: in any case, with its accents encoded either way, whatever the database's locale


def fold(text: str) -> str:
    """*text* for searching: STRASSE and straße are the same."""
    return _compose(_compose(text).casefold())


def fold_filename(filename: str) -> str:
    """*filename* for sorting and searching; short enough for an index."""
    return fold(filename)[:MAX_FOLDED_FILENAME_CHARACTERS]


def fold_address(address: str) -> str:
    """*address* for telling whether two are the same account's.

    Letters are folded one for one, so that straße@ and strasse@, which are two mailboxes, stay two.
    """
    return _compose("".join(map(_fold_letter, _compose(address))))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _fold_letter(letter: str) -> str:
    return next((folded for folded in (letter.casefold(), letter.lower()) if len(folded) == 1), letter)
