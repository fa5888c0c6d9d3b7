"""Open a database: reach it, make sure that its sessions are ours alone, and bring it up to schema.sql."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from db import RETRY_CONNECT_SECONDS, Connection, Database, OperationalError, SqlError, is_lasting, one_line
from errors import BusyError, DatabaseUnavailableError, StartupError
from postgres import queries
from postgres.location import DatabaseLocation
from postgres.migration import apply_schema

CONNECT_SECONDS = 30.0  # for a database that is starting too
QUIET_SECONDS = 1.0  # without an answer
PROBE_SECONDS = 10.0
PROBES = 3
REMEDIES = {  # by what the server or libpq says
    "does not support SSL": "set ssl = on in its postgresql.conf, or another sslmode in DATABASE_URL",
    "no encryption": "set sslmode=require in DATABASE_URL, or allow the connection in the server's pg_hba.conf",
    r"pg_hba\.conf": "allow the connection in the server's pg_hba.conf",
    "certificate": "check sslrootcert, sslcert and sslmode in DATABASE_URL",
    "authentication failed|no password supplied|role .* does not exist|no such user": "check the user and the password",
    "permission denied for database": "GRANT CONNECT ON DATABASE to this user",
    "not permitted to log in": "ALTER ROLE this user LOGIN",
    "not currently accepting connections": "ALTER DATABASE it ALLOW_CONNECTIONS true",
    "conversion between": "create a database with ENCODING 'UTF8' TEMPLATE template0, and name it in DATABASE_URL",
    "does not exist|no such database": "create it with CREATE DATABASE, or name another",
    "not resolve|refused|No such file|timed out|unreachable": "check the host and the port, and that it is running",
    "too many|connection slots": "raise max_connections or the role's limit, or lower DB_POOL_SIZE",
    "^invalid |unsupported": "check the options in DATABASE_URL",
}
POOLED = (
    "a connection pooler stands before it that shares sessions ({reason}), and Pagewire needs sessions of its own: "
    "set pool_mode = session (PgBouncer), or connect to PostgreSQL directly"
)

logger = logging.getLogger("pagewire.schema")


@asynccontextmanager
async def reached_database(location: DatabaseLocation, *, size: int) -> AsyncIterator[Database]:
    """The pool, whatever is in the database; where PostgreSQL is our own, it is started first and released last."""
    async with AsyncExitStack() as stack:
        server = location.server
        if server is not None:
            await asyncio.to_thread(server.ensure_started)
            stack.push_async_callback(asyncio.to_thread, server.release)
        database = Database(location.connect_kwargs, size=size, revive=server.ensure_started if server else None)
        stack.push_async_callback(database.close)
        yield database


@asynccontextmanager
async def opened_database(location: DatabaseLocation, *, size: int) -> AsyncIterator[Database]:
    """As `reached_database`, brought up to schema.sql."""
    async with reached_database(location, size=size) as database:
        await open_schema(database, description=location.description)
        yield database


async def open_schema(database: Database, *, description: str) -> None:
    """Wait for the database, at most CONNECT_SECONDS, and make it ready for use.

    Raises:
        StartupError: in one line that begins with *description*.
    """
    try:
        (await _reach(database, description)).close()
        await _check_sessions(database)
        await apply_schema(database)
    except StartupError as error:
        raise StartupError(f"{description}: {error.detail}") from error
    except (DatabaseUnavailableError, BusyError) as error:
        raise StartupError(f"{description}: {_reason(error.__cause__ or error)}") from error
    except SqlError as error:
        raise StartupError(f"{description}: {_with_remedy(one_line(error))}") from error


async def _reach(database: Database, description: str) -> Connection:
    """Connect, at the latest when a database that is starting answers."""
    trouble = ""
    is_waiting = False

    def say() -> None:
        nonlocal is_waiting
        if not is_waiting:
            is_waiting = True
            logger.warning(
                "waiting up to %d seconds for %s: %s", CONNECT_SECONDS, description, trouble or "no answer yet"
            )

    timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, say)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while True:
                try:
                    return await database.connect()
                except OperationalError as error:
                    if is_lasting(error):
                        raise
                    trouble = one_line(error)
                say()
                await asyncio.sleep(RETRY_CONNECT_SECONDS)
    except TimeoutError:
        reason = _with_remedy(trouble) if trouble else "check the host, the port and the firewalls between"
        raise StartupError(f"no answer within {CONNECT_SECONDS:.0f} seconds: {reason}") from None
    finally:
        timer.cancel()


async def _check_sessions(database: Database) -> None:
    """Refuse a pooler that gives each transaction, or each statement, another session.

    LISTEN, a node's lock and prepared statements would be another client's a moment later. It shows when a second
    client's transaction runs on the backend of the first one, or the first one moves to another.
    """
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            first = await database.connect()
            try:
                second = await database.connect()
                try:
                    await _compare(first, second)
                finally:
                    second.close()
            finally:
                first.close()
    except TimeoutError:
        raise StartupError(
            f"it does not serve two sessions at once within {PROBE_SECONDS:.0f} seconds: "
            "raise its limit of connections (PgBouncer's default_pool_size)"
        ) from None


async def _compare(first: Connection, second: Connection) -> None:
    for _ in range(PROBES):
        mine = await queries.get_backend(first)
        try:
            await second.execute("BEGIN")
        except SqlError as error:
            if "pooling mode" in str(error):
                raise StartupError(POOLED.format(reason=str(error).splitlines()[0])) from error
            raise
        if await queries.get_backend(second) == mine or await queries.get_backend(first) != mine:
            raise StartupError(POOLED.format(reason="in transaction mode"))
        await second.execute("ROLLBACK")


async def warn_of_other_roles(database: Database) -> None:
    """Every role may connect to a new database. It reads nothing there, but may take locks and connections."""
    reach = await queries.get_reach(database)
    if reach.is_open:
        logger.warning(
            "every role of the database server may connect to this database: "
            "GRANT CONNECT ON DATABASE %s TO %s; REVOKE CONNECT ON DATABASE %s FROM PUBLIC",
            reach.database,
            reach.role,
            reach.database,
        )


def _with_remedy(reason: str) -> str:
    return next((f"{reason}: {remedy}" for said, remedy in REMEDIES.items() if re.search(said, reason)), reason)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
