"""Fair turns: owners are served in rotation, and the queue is bounded."""

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator

from errors import BusyError

MAXIMUM_WAITING = 64  # tasks in the queue, before BusyError
MAXIMUM_WAITING_EACH = 48  # of one owner
LAST_SECONDS = 300.0  # that an owner comes last


class Turns:
    """A semaphore of *count* places; of the owners who wait, the one served longest ago is next.

    Owners who were put last come after all others, and leave one place free for them if there are several.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._reserve = min(count - 1, 1)  # places that are not for those who were put last
        self._waiting: OrderedDict[int | None, deque[asyncio.Future[None]]] = OrderedDict()
        self._last: dict[int, float] = {}  # owners, and until when

    def put_last(self, owner: int | None) -> None:
        """Let everybody else go first for five minutes: what *owner* asked for was too much."""
        if owner is not None:
            now = time.monotonic()
            self._last = {other: until for other, until in self._last.items() if until > now}
            self._last[owner] = now + LAST_SECONDS

    async def take(self, owner: int | None) -> None:
        if self._has_place(owner):
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given at the same moment
                self.give_back()
            raise

    def _has_place(self, owner: int | None) -> bool:
        return self._free > (self._reserve if self._is_last(owner) else 0)

    def _is_last(self, owner: int | None) -> bool:
        return owner is not None and self._last.get(owner, 0.0) > time.monotonic()

    def give_back(self) -> None:
        self._free += 1
        while self._waiting:
            owner = min(self._waiting, key=self._is_last)  # the first of equals
            if not self._has_place(owner):
                return
            places = self._waiting[owner]
            place = places.popleft()
            if places:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            if not place.done():
                self._free -= 1
                place.set_result(None)
                return


class TaskQueue:
    """Turns at *count* places, behind a queue of at most 64 tasks, 48 of one owner."""

    def __init__(self, count: int, *, patience_seconds: float) -> None:
        self._turns = Turns(count)
        self._patience_seconds = patience_seconds
        self._waiting: Counter[int | None] = Counter()  # tasks in the queue, by owner

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return self._waiting.total()

    def put_last(self, owner: int | None) -> None:
        self._turns.put_last(owner)

    @contextlib.asynccontextmanager
    async def take_turn(self, owner: int | None, *, patient: bool) -> AsyncIterator[None]:
        """Hold a place. A patient task waits outside the queue, for as long as it takes.

        Raises:
            BusyError: if the queue is full, or no place is free within *patience_seconds*.
        """
        if patient:
            await self._turns.take(owner)
        else:
            await self._take_soon(owner)
        try:
            yield
        finally:
            self._turns.give_back()

    async def _take_soon(self, owner: int | None) -> None:
        has_too_many = owner is not None and self._waiting[owner] >= MAXIMUM_WAITING_EACH
        if has_too_many or self._waiting.total() >= MAXIMUM_WAITING:
            raise BusyError(retry_after=5)
        self._waiting[owner] += 1
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._turns.take(owner)
        except TimeoutError:
            raise BusyError(retry_after=10) from None
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]
