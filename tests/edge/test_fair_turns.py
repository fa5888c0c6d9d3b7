"""Turns: who waits behind a crowd is served soon, whoever the crowd is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from auth import Passwords
from edge.turns import FairTurns
from errors import BusyError, RateLimitedError

pytestmark = pytest.mark.anyio


class Office:
    """One place, held until `release`; it notes who was served."""

    def __init__(self, **limits: int) -> None:
        self.turns = FairTurns(1, **limits)
        self.served: list[str] = []
        self.release = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def _visit(self, key: str) -> None:
        async with self.turns.take(key):
            self.served.append(key)
            await self.release.wait()

    async def enter(self, *keys: str) -> None:
        for key in keys:
            self.tasks.append(asyncio.create_task(self._visit(key)))
            await asyncio.sleep(0)

    async def end(self) -> list[bool]:
        """Serve all who wait; who was refused is False."""
        self.release.set()
        found = await asyncio.gather(*self.tasks, return_exceptions=True)
        return [not isinstance(one, BusyError) for one in found]


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    made = Office(most=6, each=4)
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_networks_take_turns(office: Office) -> None:
    await office.enter("a", "a", "a", "a", "b", "c")

    assert await office.end() == [True] * 6
    assert office.served == ["a", "a", "b", "c", "a", "a"]


async def test_at_most_so_many_wait_of_one(office: Office) -> None:
    await office.enter(*["a"] * 7)

    assert await office.end() == [True] * 5 + [False] * 2


async def test_who_has_nobody_waiting_gets_in_when_it_is_full(office: Office) -> None:
    await office.enter(*["a"] * 5, *["b"] * 2, "c", "d")

    assert await office.end() == [True] * 3 + [False] * 2 + [True] * 4
    assert office.served == ["a", "a", "b", "c", "d", "a", "b"]


async def test_when_everybody_has_one_waiting_one_more_is_refused(office: Office) -> None:
    await office.enter("first", *"abcdefg")

    assert await office.end() == [True] * 7 + [False]


async def test_who_leaves_gives_up_the_turn(office: Office) -> None:
    await office.enter("a", "b", "c")
    office.tasks[1].cancel()
    await asyncio.sleep(0)
    await office.enter("d")

    office.release.set()
    await asyncio.gather(*office.tasks, return_exceptions=True)

    assert office.served == ["a", "c", "d"]
    await office.enter("e")
    await asyncio.wait_for(office.tasks[-1], 5)
    assert office.served[-1] == "e"


async def test_a_crowd_of_networks_does_not_stop_somebody_else_from_signing_in() -> None:
    passwords = Passwords(rounds=4)
    known = await passwords.hash("correct horse battery", by="home")
    crowd = [
        asyncio.create_task(passwords.matches("wrong", known, by=network))
        for network in ("198.51.100.1", "198.51.100.2", "198.51.100.3")
        for _ in range(60)
    ]
    await asyncio.sleep(0)

    assert await passwords.matches("correct horse battery", known, by="home")
    unserved = sum(not task.done() for task in crowd)
    found = await asyncio.gather(*crowd, return_exceptions=True)
    passwords.close()

    assert unserved > 0
    assert sum(isinstance(one, RateLimitedError) for one in found) >= 100
