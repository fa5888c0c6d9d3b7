"""Turns at few places: those who wait are served in rotation by who they are, so that a crowd holds up nobody else."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from errors import BusyError


class FairTurns:
    """*places* at once; of the keys that wait, the one served longest ago is next.

    At most *each* wait of one key. Of all keys *most* wait; then one that has nobody waiting takes the place of the
    newest of the key that has the most.
    """

    def __init__(self, places: int, *, most: int, each: int) -> None:
        self._free = places
        self._most = most
        self._each = each
        self._waiting: OrderedDict[str, deque[asyncio.Future[bool]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Raises BusyError if too many wait already."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, key: str) -> None:
        mine = self._waiting.get(key, deque())
        if len(mine) >= self._each:
            raise BusyError
        if sum(map(len, self._waiting.values())) >= self._most:
            self._displace(at_least=len(mine) + 2)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            if not await turn:
                raise BusyError
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._give_back()
            else:
                self._forget(key, turn)
            raise

    def _displace(self, *, at_least: int) -> None:
        waiting = max(self._waiting.values(), key=len)
        if len(waiting) < at_least:
            raise BusyError
        turn = waiting.pop()
        if not turn.done():
            turn.set_result(False)

    def _forget(self, key: str, turn: "asyncio.Future[bool]") -> None:
        waiting = self._waiting.get(key)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[key]

    def _give_back(self) -> None:
        while self._waiting:
            key, waiting = next(iter(self._waiting.items()))
            turn = waiting.popleft()
            if waiting:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1
