"""The line between processes, on a real database: notes come, once, and the line comes back whatever breaks it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from db import Database
from delivery import bus as bus_room
from delivery.bus import Bus
from errors import DatabaseUnavailableError
from support.databases import TestDatabase

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


OpenBus = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def open_bus(database: Database, quick: None) -> AsyncIterator[OpenBus]:
    opened: list[Bus] = []

    async def start(heard: "asyncio.Queue[str]", *, echo: bool = False, repair: Any = None) -> Bus:
        async def nothing(_epoch: str) -> None:
            pass

        bus = Bus(database)
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


async def test_a_note_of_another_process_is_heard(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
    await open_bus(heard)

    tables.send_note("e1 2:7 3:8")

    assert await next_of(heard) == "2:7 3:8"


async def test_own_notes_are_not_heard(open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase) -> None:
    bus = await open_bus(heard)

    tables.send_note(f"e{bus.node_id} mine")
    tables.send_note("e1 theirs")

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
async def test_a_note_that_no_node_has_signed_is_not_heard_and_is_no_company(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase, forged: str
) -> None:
    bus = await open_bus(heard, echo=True)
    ((channel,),) = tables.query("SELECT channel FROM installation")
    tables.query("SELECT pg_notify(%s, %s)", channel, forged)
    tables.send_note(f"e{bus.node_id} mine")

    assert await next_of(heard) == "mine"
    assert not bus.has_company()
    tables.send_note("e1 theirs")
    assert await next_of(heard) == "theirs"
    assert bus.has_company()


async def test_a_note_that_cannot_be_understood_hides_none_that_follow(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
    bus = await open_bus(heard)
    bus.subscribe("x", lambda text: heard.put_nowait(str(int(text))))

    for payload in ("x1 nonsense", "", "x", "?1 what", "e1 sense"):
        tables.send_note(payload)

    assert await next_of(heard) == "sense"


async def test_a_lost_line_comes_back_and_is_repaired(
    open_bus: OpenBus, heard: "asyncio.Queue[str]", tables: TestDatabase
) -> None:
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
