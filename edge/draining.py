"""Graceful shutdown: on SIGTERM or SIGINT close the sockets first, then let the server shut down as usual."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import uvicorn

from edge.health import Readiness

# Containers are given ten seconds to stop; what these leave is for e-mails and extractions.
DRAIN_SECONDS = 2.0  # for sockets to close
REQUEST_SECONDS = 5.0  # for sockets to close and requests to end

Handler = Callable[[int, FrameType | None], Any]


class Sockets(Protocol):
    """The open sockets of this process."""

    def close(self) -> None:
        """Close each of them, and any that still connects, as "going away"."""

    async def wait_until_empty(self) -> None:
        """Return when none is left."""


@contextlib.contextmanager
def drain_before_exit(readiness: Readiness, sockets: Sockets) -> Iterator[None]:
    """On the first SIGTERM or SIGINT fail /readyz and close *sockets*, then run the server's own handler."""
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
        if number in asked:  # for the second time: stop at once
            servers_own[number](number, frame)
        elif not asked:  # Ctrl-C arrives directly, and again as the supervisor's SIGTERM
            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(drain(number))))
        asked.add(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            with contextlib.suppress(ValueError):  # not in the main thread: its owner stops the server
                signal.signal(number, on_signal)
                servers_own[number] = handler
    try:
        yield
    finally:
        for signal_number, handler in servers_own.items():
            signal.signal(signal_number, handler)


def find_server() -> uvicorn.Server | None:
    """The server that runs this app, if it is uvicorn: it handles the signals."""
    return _server_of(signal.getsignal(signal.SIGTERM))


def _server_of(handler: object) -> uvicorn.Server | None:
    server = getattr(handler, "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None


def _limit_wait(handler: Handler, seconds: float) -> None:
    """By default uvicorn waits for open requests without limit."""
    server = _server_of(handler)
    if server is not None and server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = max(1, round(seconds))
