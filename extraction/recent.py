"""A cache of answers, in memory; other nodes may remember them, too."""

import time
from collections import OrderedDict
from typing import Any, NamedTuple, Protocol

ENTRY_BYTES = 1000  # of an entry, besides its key and its answer
CHARACTER_BYTES = 4  # at most


class SharedAnswers(Protocol):
    """A cache that several nodes have together; one that is away knows nothing."""

    async def find(self, key: tuple[object, ...]) -> bytes | None:
        """Return the answer, or None."""

    def keep(self, key: tuple[object, ...], answer: bytes) -> None:
        """Cache it soon, unless it is too large."""


class _Answer(NamedTuple):
    value: Any
    size: int
    until: float


class RecentAnswers:
    """The least recently used answers go first: at most *capacity* bytes together, none of more than a quarter."""

    def __init__(self, capacity: int, *, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self.size = 0  # bytes, all together
        self._answers: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()  # most recently used last

    def find(self, key: tuple[object, ...]) -> Any:
        """Return the answer, or None. A key begins with the sha256 of the file; without one nothing is cached."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.until < time.monotonic():
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer.value

    def keep(self, key: tuple[object, ...], value: object, *, size: int) -> None:
        """Cache *value*; *size* is its bytes, without the key."""
        size += ENTRY_BYTES + CHARACTER_BYTES * sum(len(part) for part in key if isinstance(part, str))
        if key[0] is None or size > self._capacity // 4:
            return
        self._forget(key)
        self._answers[key] = _Answer(value, size, time.monotonic() + self._seconds)
        self.size += size
        while self.size > self._capacity:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: tuple[object, ...]) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self.size -= answer.size
