"""Events for clients without sockets: a long poll."""

import asyncio
import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from auth import Caller, CurrentCaller, check_still_signed_in
from chat import CloseCode, Event, TooManySocketsError
from delivery.feed import Feed
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.engines import opened
from edge.hangups import wait_until_gone
from edge.portions import first_portion
from errors import InvalidTokenError, PagewireError

EVENTS_LIMIT = 200

router = APIRouter(tags=["messages"], generate_unique_id_function=operation_id)


class ResyncError(PagewireError):
    """The missed events are no longer kept: reload the conversations, then continue from the newest event."""

    status = 410
    code = "resync"


class EventPage(BaseModel):
    """Events after a number, in order; ask again with `after=` the `seq` of this answer."""

    events: list[dict[str, Any]] = Field(description="the durable frames of the socket, as docs/protocol.md has them")
    seq: int = Field(examples=[1041])
    epoch: str = Field(description="send it along with `after`", examples=["9f86d081884c7d65"])


class LongPoll:
    """A request that waits for its user's next event."""

    def __init__(self, user_id: int, session_id: int, *, after: int) -> None:
        self.user_id = user_id
        self.session_id = session_id
        self.is_signed_out = False
        self.something = asyncio.Event()
        self._after = after

    def deliver(self, seq: int, event: Event, origin: object | None) -> None:
        if seq > self._after:
            self.something.set()

    def deliver_ephemeral(self, frame: str) -> None:
        """Only durable events end the wait."""

    def restart(self, seq: int, frame: str) -> None:
        self.something.set()

    def end(self, code: CloseCode) -> None:
        self.is_signed_out = code == CloseCode.UNAUTHORIZED
        self.something.set()


@router.get(
    "/events",
    summary="My events after a number (long poll)",
    responses=may_fail(*SIGNED_IN, ResyncError, TooManySocketsError),
)
async def list_events(
    request: Request,
    feed: Annotated[Feed, opened(Feed)],
    caller: CurrentCaller,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)],
    epoch: Annotated[str | None, Query(max_length=64, description="of the answer that `after` comes from")] = None,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds")] = 0,
) -> EventPage:
    """The durable frames of the socket, for clients without sockets; at most 200, or 1 MB, at once."""
    user = caller.user
    mailbox = await feed.position(user.id)
    if after == mailbox.seq and wait > 0 and await feed.find_gap(mailbox, seq=after, epoch=epoch) is None:
        await _wait_for_event(request, feed, caller, after, min(wait, caller.expires_at - time.time()))
        mailbox = await feed.position(user.id)
    found = await feed.list_events(user.id, after=after, limit=EVENTS_LIMIT)
    is_whole = [event.seq for event in found] == list(range(after + 1, after + 1 + len(found)))
    has_gap = await feed.find_gap(mailbox, seq=after, epoch=epoch) is not None
    if has_gap or not (is_whole and (found or after == mailbox.seq)):
        raise ResyncError(
            f"The missed events are no longer kept: reload the conversations, then continue with after={mailbox.seq}."
        )
    frames = first_portion([event.durable(user_id, number) for user_id, number, event in found], len)
    return EventPage(events=[json.loads(frame) for frame in frames], seq=after + len(frames), epoch=feed.epoch)


async def _wait_for_event(request: Request, feed: Feed, caller: Caller, seq: int, seconds: float) -> None:
    """Return once there is an event after *seq*, the time is over, or the client is gone.

    Raises:
        InvalidTokenError: if the session has ended.
    """
    poll = LongPoll(caller.user.id, caller.session.id, after=seq)
    async with feed.listen(poll, seq=seq) as delivered:
        if delivered > seq:
            return
        await check_still_signed_in(request, caller)
        waiting = [asyncio.create_task(poll.something.wait()), asyncio.create_task(wait_until_gone(request))]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
    if poll.is_signed_out:
        raise InvalidTokenError
