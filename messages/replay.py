"""How a v2 socket catches up: what it missed is sent first, then it is live."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.websockets import WebSocketDisconnect

from chat import CloseCode, Connection
from delivery.feed import Feed
from delivery.protocol import ResumeFrame, resync_frame
from errors import PagewireError

FIRST_WORD_SECONDS = 0.25  # a v2 client may send `resume` within this time before it gets any event


class Replay:
    """One v2 socket's way from `ready`, or from a `resume`, to live.

    A client that says nothing first gets what happens from `ready` on; one that resumes, everything after its number.
    """

    def __init__(self, connection: Connection, feed: Feed, send_ready: Callable[[], None]) -> None:
        """*send_ready* ends a resume."""
        self._connection = connection
        self._feed = feed
        self._send_ready = send_ready
        self._catching_up = asyncio.Lock()
        self._going_live: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go live soon, unless the client resumes first."""
        self._going_live = asyncio.create_task(self._go_live_soon())

    def cancel(self) -> None:
        if self._going_live is not None:
            self._going_live.cancel()

    async def go_live(self) -> None:
        """The client has sent something other than `resume`: it wants what happens from `ready` on."""
        if self._going_live is not None:
            await self._stop_waiting()
            await self._go_live()

    async def resume(self, frame: ResumeFrame) -> None:
        """Send everything after the client's number, or `resync` if that is no longer possible."""
        await self._stop_waiting()
        async with self._catching_up:
            self._connection.is_live = False
            try:
                mailbox = await self._feed.position(self._connection.user_id)
                gap = await self._feed.find_gap(mailbox, seq=frame.last_seq, epoch=frame.epoch)
                if gap is not None:
                    await self._resync(gap)
                    return
            except PagewireError as error:
                await self._connection.end_with(error, CloseCode.TRY_AGAIN_LATER, ref=frame.ref)
                return
            if await self._catch_up(frame.last_seq, to_seq=mailbox.seq):
                self._send_ready()

    async def _go_live_soon(self) -> None:
        await asyncio.sleep(FIRST_WORD_SECONDS)
        with suppress(WebSocketDisconnect):
            await self._go_live()

    async def _go_live(self) -> None:
        async with self._catching_up:
            if not self._connection.is_live:
                await self._catch_up(self._connection.position, to_seq=self._connection.position)

    async def _stop_waiting(self) -> None:
        if self._going_live is not None:
            async with self._catching_up:  # it sleeps, or it is done
                self._going_live.cancel()
                self._going_live = None

    async def _catch_up(self, from_seq: int, *, to_seq: int) -> bool:
        """Send the client what it missed, or `resync`. One that cannot go live is closed, or it would wait for ever."""
        try:
            if await self._feed.connections.catch_up(self._connection, from_seq=from_seq, to_seq=to_seq):
                return True
            await self._resync("too_old")
        except PagewireError as error:
            await self._connection.end_with(error, CloseCode.TRY_AGAIN_LATER)
        return False

    async def _resync(self, reason: str) -> None:
        seq = (await self._feed.position(self._connection.user_id)).seq
        self._connection.send(resync_frame(reason=reason, seq=seq, epoch=self._feed.epoch))
        if not await self._feed.connections.catch_up(self._connection, from_seq=seq, to_seq=seq):
            self._connection.end(CloseCode.TRY_AGAIN_LATER)  # put back just now: the node has not noticed it yet
