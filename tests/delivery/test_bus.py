"""The line between processes, by NOTIFY and by Redis: notes come, once, and it comes back whatever breaks it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from db import Database
from delivery import bus as bus_room
from delivery import redis_bus
from delivery.bus import Bus
from delivery.queries import sign
from delivery.redis_bus import RedisBus
from edge.redis_client import RedisClient
from errors import DatabaseUnavailableError
from support.databases import TestDatabase
from support.redis import RedisServer, find_prefix
from support.servers import wait_until

pytestmark = pytest.mark.anyio
LISTENERS = """
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%%'
"""


@pytest.fixture
async def database(tables: TestDatabase) -> AsyncIterator[Database]:
    opened = Database(tables.keywords, size=2)
    yield opened
    await opened.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_room, "RECONNECT_SECONDS", 0.01)
    monkeypatch.setattr(bus_room, "ECHO_SECONDS", 0.01)
    monkeypatch.setattr(redis_bus, "RECONNECT_SECONDS", 0.01)


class Line(Protocol):
    """One of the two ways that notes go, seen from another node or from an intruder."""

    def make_bus(self, database: Database) -> Bus: ...

    def send(self, bus: Bus, payload: str) -> None:
        """As another node of the installation does."""

    def forge(self, bus: Bus, note: str) -> None:
        """As anybody can who reaches it."""

    async def cut(self, bus: Bus) -> None:
        """It is lost, and has come back."""


class NotifyLine:
    def __init__(self, tables: TestDatabase) -> None:
        self._tables = tables

    def make_bus(self, database: Database) -> Bus:
        return Bus(database)

    def send(self, bus: Bus, payload: str) -> None:
        self._tables.send_note(payload)

    def forge(self, bus: Bus, note: str) -> None:
        self._tables.query("SELECT pg_notify(%s, %s)", find_prefix(self._tables), note)

    async def cut(self, bus: Bus) -> None:
        repaired = asyncio.Event()

        async def repair(_epoch: str) -> None:
            repaired.set()

        bus.on_repair(repair)
        self._tables.query(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS gone")
        async with asyncio.timeout(30):
            await repaired.wait()


class RedisLine:
    def __init__(self, tables: TestDatabase, client: RedisClient, server: RedisServer) -> None:
        self._client = client
        self._server = server
        ((key,),) = tables.query("SELECT note_key FROM installation")
        self._key = bytes(key)

    def make_bus(self, database: Database) -> Bus:
        return RedisBus(database, self._client)

    def send(self, bus: Bus, payload: str) -> None:
        self.forge(bus, payload + sign(self._key, payload))

    def forge(self, bus: Bus, note: str) -> None:
        self._server.ask("PUBLISH", f"{self._client.prefix}:{bus.node_id}", note)

    async def cut(self, bus: Bus) -> None:
        channel = f"{self._client.prefix}:{bus.node_id}"
        lost = self._find_line()
        self._server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.to_thread(
            wait_until,
            lambda: self._find_line() not in (lost, None) and self._server.ask("PUBSUB", "NUMSUB", channel)[1] == 1,
        )

    def _find_line(self) -> str | None:
        """The number of the connection that listens."""
        listening = self._server.ask("CLIENT", "LIST", "TYPE", "pubsub").decode()
        return listening.split()[0] if listening else None


@pytest.fixture
async def client(tables: TestDatabase, redis_server: RedisServer) -> AsyncIterator[RedisClient]:
    opened = RedisClient(redis_server.url, prefix=find_prefix(tables))
    yield opened
    await opened.close()


@pytest.fixture(params=["notify", "redis"])
def line(request: pytest.FixtureRequest, tables: TestDatabase, client: RedisClient, redis_server: RedisServer) -> Line:
    return NotifyLine(tables) if request.param == "notify" else RedisLine(tables, client, redis_server)


OpenBus = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def open_bus(database: Database, quick: None) -> AsyncIterator[OpenBus]:
    opened: list[Bus] = []

    async def start(
        heard: "asyncio.Queue[str]", line: Line | None = None, *, echo: bool = False, repair: Any = None
    ) -> Bus:
        async def nothing(_epoch: str) -> None:
            pass

        bus = line.make_bus(database) if line else Bus(database)
        bus.subscribe("e", heard.put_nowait, echo=echo)
        bus.on_repair(repair or nothing)
        await bus.start()
        opened.append(bus)
        return bus

    yield start
    for bus in opened:
        await bus.close()


@pytest.fixture
def heard() -> "asyncio.Queue[str]":
    return asyncio.Queue()


async def next_of(heard: "asyncio.Queue[str]") -> str:
    async with asyncio.timeout(30):
        return await heard.get()


async def test_a_note_of_another_process_is_heard(open_bus: OpenBus, heard: "asyncio.Queue[str]", line: Line) -> None:
    bus = await open_bus(heard, line)

    line.send(bus, "e1 2:7 3:8")

    assert await next_of(heard) == "2:7 3:8"


async def test_own_notes_are_not_heard(open_bus: OpenBus, heard: "asyncio.Queue[str]", line: Line) -> None:
    bus = await open_bus(heard, line)

    line.send(bus, f"e{bus.node_id} mine")
    line.send(bus, "e1 theirs")

    assert await next_of(heard) == "theirs"


async def test_own_notes_are_heard_by_who_wants_them(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
    bus = await open_bus(heard, echo=True)

    tables.send_note(f"e{bus.node_id} mine")

    assert await next_of(heard) == "mine"


async def test_own_notes_from_before_the_database_was_put_back_are_not_heard(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaired = asyncio.Event()

    async def repair(_epoch: str) -> None:
        repaired.set()

    bus = await open_bus(heard, echo=True, repair=repair)
    monkeypatch.setattr(bus_room, "ECHO_SECONDS", 2.0)
    tables.send_note(f"e{bus.node_id} before")
    tables.send_note("e1 theirs")
    assert await next_of(heard) == "theirs"
    tables.query("INSERT INTO epochs (place) SELECT place FROM epochs LIMIT 1")
    tables.query(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS gone")
    async with asyncio.timeout(30):
        await repaired.wait()

    tables.send_note(f"e{bus.node_id} after")

    assert await next_of(heard) == "after"


@pytest.mark.parametrize("forged", ["e1 forged", "e1 forged" + "0" * 16, "e1 forged" + "é" * 16, "0" * 16, "", "m"])
async def test_a_note_that_no_node_has_signed_is_not_heard(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", line: Line, forged: str
) -> None:
    bus = await open_bus(heard, line)

    line.forge(bus, forged)
    line.send(bus, "e1 theirs")

    assert await next_of(heard) == "theirs"


async def test_a_forged_note_is_no_company(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
    bus = await open_bus(heard, echo=True)
    tables.query("SELECT pg_notify(%s, 'e1 forged')", find_prefix(tables))
    tables.send_note(f"e{bus.node_id} mine")
    assert await next_of(heard) == "mine"
    assert not bus.has_company()

    tables.send_note("e1 theirs")

    assert await next_of(heard) == "theirs"
    assert bus.has_company()


async def test_a_note_that_cannot_be_understood_hides_none_that_follow(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", line: Line
) -> None:
    bus = await open_bus(heard, line)
    bus.subscribe("x", lambda text: heard.put_nowait(str(int(text))))

    for payload in ("x1 nonsense", "", "x", "?1 what", "e1 sense"):
        line.send(bus, payload)

    assert await next_of(heard) == "sense"


async def test_a_lost_line_comes_back(open_bus: OpenBus, heard: "asyncio.Queue[str]", line: Line) -> None:
    bus = await open_bus(heard, line)

    await line.cut(bus)

    line.send(bus, "e1 again")
    assert await next_of(heard) == "again"


async def test_a_lost_line_is_repaired(open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase) -> None:
    repaired = asyncio.Event()

    async def repair(_epoch: str) -> None:
        repaired.set()

    await open_bus(heard, repair=repair)
    tables.query(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS gone")
    async with asyncio.timeout(30):
        await repaired.wait()

    tables.send_note("e1 again")
    assert await next_of(heard) == "again"


async def test_a_repair_that_fails_is_tried_again_on_one_connection(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
    tries = 0
    repaired = asyncio.Event()

    async def repair(_epoch: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise DatabaseUnavailableError
        repaired.set()

    await open_bus(heard, repair=repair)
    tables.query(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS gone")
    async with asyncio.timeout(30):
        await repaired.wait()

    tables.send_note("e1 again")
    assert await next_of(heard) == "again"
    assert len(tables.query(LISTENERS)) == 1


async def test_a_line_that_hangs_is_found_out(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_room, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(bus_room, "ANSWER_SECONDS", 0.05)
    repaired = asyncio.Event()

    async def repair(_epoch: str) -> None:
        repaired.set()

    bus = await open_bus(heard, repair=repair)
    assert bus._connection is not None
    hanging = bus._connection

    async def never(*args: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(hanging, "run", never)
    async with asyncio.timeout(30):
        await repaired.wait()

    assert hanging.closed
    await bus.ping()
