"""Turns at a few places: who is next, and who waits."""

import asyncio

from extraction.turns import Turns


async def waiters(turns: Turns, *owners: int) -> tuple[list[int], list["asyncio.Task[None]"]]:
    """Return who is served, in order, and the tasks that wait."""
    served: list[int] = []

    async def take(owner: int) -> None:
        await turns.take(owner)
        served.append(owner)

    tasks = [asyncio.create_task(take(owner)) for owner in owners]
    await asyncio.sleep(0)
    return served, tasks


async def give_back(turns: Turns, times: int = 1) -> None:
    for _ in range(times):
        turns.give_back()
    for _ in range(2):  # until those who were served have said so
        await asyncio.sleep(0)


def test_who_was_put_last_comes_after_all_others() -> None:
    async def check() -> list[int]:
        turns = Turns(1)
        await turns.take(9)
        served, _ = await waiters(turns, 1, 1, 2, 3)
        turns.put_last(1)
        for _ in range(4):
            await give_back(turns)
        return served

    assert asyncio.run(check()) == [2, 3, 1, 1]


def test_who_was_put_last_leaves_a_place_free_for_others() -> None:
    async def check() -> None:
        turns = Turns(2)
        turns.put_last(1)
        served, tasks = await waiters(turns, 1, 1)
        assert served == [1]

        others, _ = await waiters(turns, 2)
        assert others == [2]

        await give_back(turns)
        assert served == [1]
        await give_back(turns)
        assert served == [1, 1]
        await asyncio.gather(*tasks)

    asyncio.run(check())


def test_who_was_put_last_has_the_only_place_while_nobody_else_wants_it() -> None:
    async def check() -> list[int]:
        turns = Turns(1)
        turns.put_last(1)
        return (await waiters(turns, 1))[0]

    assert asyncio.run(check()) == [1]


def test_a_waiter_that_leaves_takes_no_place() -> None:
    async def check() -> list[int]:
        turns = Turns(1)
        await turns.take(9)
        served, [first, _] = await waiters(turns, 1, 2)
        first.cancel()
        await asyncio.sleep(0)
        await give_back(turns)
        return served

    assert asyncio.run(check()) == [2]
