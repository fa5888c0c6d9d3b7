"""What the server and its forkserver send each other: messages with their length before them, and numbers."""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LENGTH = struct.Struct(">Q")
NUMBER = struct.Struct(">i")  # a worker's process id when it has begun, its exit code when it has ended
BEGUN = b"+"  # from a worker that has read its task: its time begins
MOST_DESCRIPTORS = 3  # of a task: for its numbers, for the task and its answer, its file
MOST_AT_ONCE = 1 << 18  # bytes


class Setup(NamedTuple):
    memory_bytes: int  # that a worker may take besides what it is forked with
    shared_modules: Sequence[str]
    warm_up: Callable[[], object]


class Task(NamedTuple):
    """What the server asks, pickled: that way nothing hostile comes."""

    opening_seconds: float
    cpu_seconds: float
    function: Callable[..., object]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def with_length(message: bytes) -> bytes:
    return LENGTH.pack(len(message)) + message


def read_message(read: Callable[[int], bytes]) -> bytes:
    """Return the next message; *read* returns at most so many bytes, none when the other end is gone.

    Raises:
        EOFError: if that is before its end.
    """

    def read_bytes(count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = read(min(count, MOST_AT_ONCE))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    return read_bytes(*LENGTH.unpack(read_bytes(LENGTH.size)))
