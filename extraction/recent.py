"""Answers that are remembered for a while."""

import time
from collections import OrderedDict
from typing import Any, NamedTuple

ENTRY_BYTES = 1000  # what remembering takes beside the key's and the answer's own
CHARACTER_BYTES = 4  # at most


class _Answer(NamedTuple):
    value: Any
    size: int
    until: float


class RecentAnswers:
    """Answers that may be asked for again: the latest, of at most *capacity* bytes together, none above a quarter."""

    def __init__(self, capacity: int, *, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self.size = 0  # bytes, of all together
        self._answers: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()  # the one used last is last

    def find(self, key: tuple[object, ...]) -> Any:
        """The answer, or None. A key begins with the sha256 of the file; without one nothing is remembered."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.until < time.monotonic():
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer.value

    def keep(self, key: tuple[object, ...], value: object, *, size: int) -> None:
        """Remember *value*, whose *size* is in bytes; the key is counted here."""
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
