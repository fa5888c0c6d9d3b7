"""Bad luck, all of it at once: what was acknowledged is stored, and everybody is told everything once, in order."""

import asyncio
import contextlib
import math
import random
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from support.chaos import SECONDS, SECRET_KEY, Book, House, Player, check_everything, play, start
from support.outages import FragilePostgres, fragile_postgres
from support.servers import Server

PROCESSES = 3

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(int(SECONDS) + 170)]


@pytest.fixture
def weather() -> Iterator[FragilePostgres]:
    with fragile_postgres() as server:
        yield server


async def bring_bad_luck(
    house: House, postgres: FragilePostgres, book: Book, luck: random.Random, over: asyncio.Event
) -> None:
    """Kill, stop and end things, and set them up again, until it is *over*; what was begun is ended."""
    loop = asyncio.get_running_loop()
    backup_at, put_back_at = loop.time() + SECONDS / 4, loop.time() + SECONDS / 2
    backup: tuple[Path, Book] | None = None
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(luck.uniform(0.5, 1.5)):
                await over.wait()
        if over.is_set():
            return
        if backup is None and loop.time() > backup_at:
            backup = await back_up(postgres, book)
            continue
        if backup is not None and loop.time() > put_back_at:
            await put_back(postgres, book, *backup)
            put_back_at = math.inf
            continue
        fault = luck.choices(["kill", "stop", "sessions", "listeners", "restart"], weights=[30, 15, 20, 20, 15])[0]
        book.faults[fault] += 1
        if fault in ("kill", "stop"):
            server = luck.choice(house.servers)
            house.alive.remove(server)
            await asyncio.to_thread(server.kill if fault == "kill" else server.stop)
            await asyncio.to_thread(start, server)
            house.alive.append(server)
        elif fault == "restart":
            await asyncio.to_thread(postgres.restart)
        else:
            which = "" if fault == "sessions" else "AND query LIKE 'LISTEN%%'"
            with contextlib.suppress(psycopg2.Error):
                await asyncio.to_thread(
                    postgres.ask,
                    f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() {which}""",
                )


async def back_up(postgres: FragilePostgres, book: Book) -> tuple[Path, Book]:
    """A backup, and what it holds: nobody is answered while the database is stopped for it."""
    earlier = Book()

    def remember() -> None:
        earlier.put_back(book.copy())

    path = await asyncio.to_thread(postgres.back_up, meanwhile=remember)
    return path, earlier


async def put_back(postgres: FragilePostgres, book: Book, path: Path, earlier: Book) -> None:
    """Put the database back: what was acknowledged since is lost, as it has to be."""
    loop = asyncio.get_running_loop()

    def forget() -> None:
        book.put_back(earlier)
        book.faults["put back"] += 1

    def forget_in_loop() -> None:
        """After the answers that were on their way while the database stopped."""
        asyncio.run_coroutine_threadsafe(asyncio.sleep(1), loop).result()
        loop.call_soon_threadsafe(forget)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

    await asyncio.to_thread(postgres.put_back, path, meanwhile=forget_in_loop)


@pytest.fixture
def house(tmp_path: Path, weather: FragilePostgres) -> Iterator[House]:
    made = House([Server(tmp_path / f"server{n}", weather.url, SECRET_KEY=SECRET_KEY) for n in range(PROCESSES)])
    for server in made.servers:
        server.start()
        made.alive.append(server)
    yield made
    for server in made.servers:
        server.kill()


async def test_whatever_happens_nothing_is_lost_and_nothing_is_told_twice(
    house: House, weather: FragilePostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    book = Book()
    with capsys.disabled():
        players = await play(
            house, weather, book, Player, lambda luck, over: [bring_bad_luck(house, weather, book, luck, over)]
        )

    check_everything(weather, book, players)
