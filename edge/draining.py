"""Stop gently: on SIGTERM or SIGINT the sockets are closed first, then the server goes down as it would."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import uvicorn

from edge.health import Readiness

# All in all less than ten seconds, which is what containers are given; the rest is for mails and extractions.
DRAIN_SECONDS = 2.0  # for sockets to close
REQUEST_SECONDS = 5.0  # for these and for requests to end

Handler = Callable[[int, FrameType | None], Any]


class Sockets(Protocol):
    """The open sockets of this process."""

    def close(self) -> None:
        """Tell each of them, and any that still comes, that the server is going away."""

    async def wait_until_empty(self) -> None:
        """Return when none is left."""


@contextlib.contextmanager
def drain_before_exit(readiness: Readiness, sockets: Sockets) -> Iterator[None]:
    """On the first SIGTERM or SIGINT refuse /readyz and close *sockets*, then let the server's own handler run."""
    loop = asyncio.get_running_loop()
    servers_own: dict[int, Handler] = {}
    asked: set[int] = set()
    tasks: list[asyncio.Task[None]] = []

    async def drain(number: int) -> None:
        began = loop.time()
        readiness.is_draining = True
        sockets.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await sockets.wait_until_empty()
        _limit_wait(servers_own[number], REQUEST_SECONDS - (loop.time() - began))
        servers_own[number](number, None)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number in asked:  # twice: at once
            servers_own[number](number, frame)
        elif not asked:  # Ctrl-C reaches us directly, and again as its supervisor's SIGTERM
            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(drain(number))))
        asked.add(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            with contextlib.suppress(ValueError):  # not in the main thread: the thread's owner stops us
                signal.signal(number, on_signal)
                servers_own[number] = handler
    try:
        yield
    finally:
        for signal_number, handler in servers_own.items():
            signal.signal(signal_number, handler)


def _limit_wait(handler: Handler, seconds: float) -> None:
    """uvicorn waits for open requests without limit, unless its timeout was set when it was started."""
    server = getattr(handler, "__self__", None)
    if isinstance(server, uvicorn.Server) and server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = max(1, round(seconds))
