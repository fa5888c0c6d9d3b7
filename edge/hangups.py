"""A client that hangs up: what it waited for is not done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from errors import ClientGoneError


async def wait_until_gone(request: Request) -> None:
    """Return when the client has hung up; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Cancel the block when the client hangs up; the body of *request* must have been read.

    Raises:
        ClientGoneError
    """

    async def watch(block: asyncio.Timeout) -> None:
        await wait_until_gone(request)
        block.reschedule(0)

    block = asyncio.timeout(None)
    try:
        async with block:
            watching = asyncio.create_task(watch(block))
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError as error:
        if not block.expired():  # the block's own
            raise
        raise ClientGoneError from error
