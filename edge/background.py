"""Work that goes on in the background for as long as the server runs."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from errors import PagewireError


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    every_seconds: float,
    logger: logging.Logger,
    name: str,
    sooner: asyncio.Event | None = None,
) -> NoReturn:
    """Do *work* at once and then every so many seconds after it has ended, or when *sooner* is set; whatever it raises
    is logged.

    What the server cannot do for now (a PagewireError) is one line; only the unexpected has a traceback.
    """
    while True:
        try:
            await work()
        except Exception as error:
            is_expected = isinstance(error, PagewireError)
            logger.log(
                logging.WARNING if is_expected else logging.ERROR, "%s: %s", name, error, exc_info=not is_expected
            )
        if sooner is None:
            await asyncio.sleep(every_seconds)
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await sooner.wait()
        sooner.clear()


async def cancel(*tasks: "asyncio.Task[object] | asyncio.Task[None] | None") -> None:
    """Cancel *tasks* and wait until they have ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
