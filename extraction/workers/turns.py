"""Fair queueing for a few places: a caller behind the crowd of another owner is served soon."""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable

from errors import BusyError

MAXIMUM_WAITING = 64  # before somebody is refused
MAXIMUM_WAITING_EACH = 48  # of one owner
CROWD = 4  # times as many wait at most, while each owner has one of them
LAST_SECONDS = 300.0  # that an owner comes last


class Turns:
    """*count* places; of the owners who wait, the one served longest ago is next.

    At most *each* of one owner wait. When *most* wait, a newcomer displaces the newest of the owner with the most, if
    that leaves this owner no fewer than the newcomer's; an owner with nothing waiting still gets in, until four times
    as many wait.

    Owners who were put last come after all others, and leave one place free for them if there are several.
    """

    def __init__(
        self,
        count: int,
        *,
        most: int = MAXIMUM_WAITING,
        each: int = MAXIMUM_WAITING_EACH,
        patience_seconds: float | None = None,
    ) -> None:
        """Nobody waits longer than *patience_seconds*; None is for ever."""
        self._free = count
        self._reserve = min(count - 1, 1)  # places that are not for those who were put last
        self._most = most
        self._each = each
        self._patience_seconds = patience_seconds
        self._queues: OrderedDict[Hashable, deque[asyncio.Future[bool]]] = OrderedDict()  # True: a place is yours
        self._patient: set[asyncio.Future[bool]] = set()  # in the queues, and not counted
        self._last: dict[Hashable, float] = {}  # owners, and until when

    @property
    def waiting(self) -> int:
        """How many wait, without the patient ones."""
        return sum(map(self._count, self._queues))

    def put_last(self, owner: Hashable) -> None:
        """Let everybody else go first for five minutes: what *owner* asked for was too much."""
        if owner is not None:
            now = time.monotonic()
            self._last = {other: until for other, until in self._last.items() if until > now}
            self._last[owner] = now + LAST_SECONDS

    @contextlib.asynccontextmanager
    async def take(self, owner: Hashable, *, patient: bool = False) -> AsyncIterator[None]:
        """Hold a place. A *patient* caller waits as long as it takes, and is neither counted nor displaced.

        Raises:
            BusyError: if too many wait, or it takes too long.
        """
        if self._has_place(owner):
            self._free -= 1
        else:
            await self._wait(owner, patient)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, owner: Hashable, patient: bool) -> None:
        if not patient:
            self._make_room(owner)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(turn)
        if patient:
            self._patient.add(turn)
        try:
            async with asyncio.timeout(None if patient else self._patience_seconds):
                is_mine = await turn
        except (asyncio.CancelledError, TimeoutError) as error:
            if turn.done() and not turn.cancelled() and turn.result():  # it was given at the same moment
                self._give_back()
            if isinstance(error, TimeoutError):
                raise BusyError(retry_after=10) from None
            raise
        finally:
            self._forget(owner, turn)
        if not is_mine:
            raise BusyError(retry_after=5)

    def _make_room(self, owner: Hashable) -> None:
        """Displace the newest of somebody else's, if it takes that for *owner* to wait."""
        mine, all_of_them = self._count(owner), self.waiting
        if mine >= self._each:
            raise BusyError(retry_after=5)
        if all_of_them < self._most:
            return
        largest = max(self._queues, key=self._count)
        if self._count(largest) >= mine + 2:
            turn = next(turn for turn in reversed(self._queues[largest]) if turn not in self._patient)
            self._forget(largest, turn)
            turn.set_result(False)
        elif mine or all_of_them >= CROWD * self._most:
            raise BusyError(retry_after=5)

    def _count(self, owner: Hashable) -> int:
        return sum(turn not in self._patient for turn in self._queues.get(owner, ()))

    def _forget(self, owner: Hashable, turn: "asyncio.Future[bool]") -> None:
        self._patient.discard(turn)
        queue = self._queues.get(owner, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[owner]

    def _has_place(self, owner: Hashable) -> bool:
        return self._free > (self._reserve if self._is_last(owner) else 0)

    def _is_last(self, owner: Hashable) -> bool:
        return owner is not None and self._last.get(owner, 0.0) > time.monotonic()

    def _give_back(self) -> None:
        self._free += 1
        while self._queues:
            owner = min(self._queues, key=self._is_last)  # the first of equals
            if not self._has_place(owner):
                return
            turn = self._queues[owner][0]
            self._forget(owner, turn)
            if owner in self._queues:
                self._queues.move_to_end(owner)
            if not turn.done():  # else its caller was cancelled, and has yet to notice
                self._free -= 1
                turn.set_result(True)
                return
