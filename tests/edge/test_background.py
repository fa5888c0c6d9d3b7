"""Background work: an error is logged and the next round still comes; cancelling waits for the end."""

import asyncio
import logging

import pytest

from edge.background import cancel, repeat
from errors import DatabaseUnavailableError

pytestmark = pytest.mark.anyio
logger = logging.getLogger("pagewire.test")


class Work:
    """Fails with each of *errors* in turn, then sets `done`."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.done.set()


async def run_until_done(work: Work) -> None:
    task = asyncio.create_task(repeat(work, every_seconds=0, logger=logger, name="counting"))
    async with asyncio.timeout(10):
        await work.done.wait()
    await cancel(task)


async def test_an_error_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(DatabaseUnavailableError(), RuntimeError("seven"))

    await run_until_done(work)

    expected, unexpected = caplog.records
    assert (expected.levelname, expected.getMessage()) == ("WARNING", f"counting: {DatabaseUnavailableError()}")
    assert (unexpected.levelname, unexpected.getMessage()) == ("ERROR", "counting: seven")
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


async def test_work_without_errors_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await run_until_done(Work())

    assert caplog.records == []


async def test_cancelling_waits_until_the_task_has_ended() -> None:
    ended: list[str] = []

    async def tidy_up_slowly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("tidied up")

    task = asyncio.create_task(tidy_up_slowly())
    await asyncio.sleep(0)

    await cancel(None, task)

    assert ended == ["tidied up"]
