"""Fair queueing for a few places: a caller behind the crowd of another owner is served soon."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from auth import Passwords
from errors import BusyError, RateLimitedError
from extraction.workers.turns import Turns

pytestmark = pytest.mark.anyio


class Office:
    """A few places, each held until `release`; it notes who was served."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.served: list[str] = []
        self.release = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def _visit(self, owner: str, patient: bool) -> None:
        async with self.turns.take(owner, patient=patient):
            self.served.append(owner)
            await self.release.wait()

    async def enter(self, *owners: str, patient: bool = False) -> None:
        for owner in owners:
            self.tasks.append(asyncio.create_task(self._visit(owner, patient)))
            await asyncio.sleep(0)

    async def end(self) -> list[bool]:
        """Serve all who wait; who was refused is False."""
        self.release.set()
        found = await asyncio.gather(*self.tasks, return_exceptions=True)
        return [not isinstance(one, BusyError) for one in found]


OpenOffice = Callable[[Turns], Office]


@pytest.fixture
async def open_office() -> AsyncIterator[OpenOffice]:
    offices: list[Office] = []

    def make(turns: Turns) -> Office:
        offices.append(Office(turns))
        return offices[-1]

    yield make
    for task in (task for office in offices for task in office.tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def office(open_office: OpenOffice) -> Office:
    return open_office(Turns(1, most=6, each=4))


async def test_owners_take_turns(office: Office) -> None:
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


async def test_a_crowd_of_owners_with_one_each_keeps_nobody_out(office: Office) -> None:
    await office.enter("first", *"abcdefg", "a")

    assert await office.end() == [True] * 8 + [False]


async def test_also_a_crowd_of_owners_with_one_each_has_an_end(office: Office) -> None:
    await office.enter("first", *map(str, range(4 * 6 + 1)))

    assert await office.end() == [True] * (4 * 6 + 1) + [False]


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


async def test_who_is_patient_is_neither_counted_nor_displaced(office: Office) -> None:
    await office.enter("a")
    await office.enter(*["a"] * 3, patient=True)
    await office.enter(*["a"] * 4, *["b"] * 2)
    assert office.turns.waiting == 6

    await office.enter("c")

    assert await office.end() == [True] * 7 + [False] + [True] * 3


async def test_nobody_waits_longer_than_they_have_patience(open_office: OpenOffice) -> None:
    office = open_office(Turns(1, patience_seconds=0.01))
    await office.enter("a", "b")

    with pytest.raises(BusyError) as refusal:
        await office.tasks[1]

    assert refusal.value.retry_after
    assert office.turns.waiting == 0


async def test_who_was_put_last_comes_after_all_others(office: Office) -> None:
    await office.enter("first", "a", "a", "b", "c")

    office.turns.put_last("a")

    await office.end()
    assert office.served == ["first", "b", "c", "a", "a"]


async def test_who_was_put_last_leaves_a_place_free_for_others(open_office: OpenOffice) -> None:
    office = open_office(Turns(2))
    office.turns.put_last("a")

    await office.enter("a", "a", "b")
    assert office.served == ["a", "b"]

    await office.end()
    assert office.served == ["a", "b", "a"]


async def test_who_was_put_last_has_the_only_place_while_nobody_else_wants_it(office: Office) -> None:
    office.turns.put_last("a")

    await office.enter("a")

    assert office.served == ["a"]


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
