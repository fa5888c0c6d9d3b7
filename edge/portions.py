"""Large answers in portions: no turn of the event loop builds more than one of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

PORTION_BYTES = 1024 * 1024

T = TypeVar("T")


def portions(items: Sequence[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """*items* in order, in lists of at most `PORTION_BYTES` together, or of one larger item; none for no items."""
    portion: list[T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if portion and total + size > PORTION_BYTES:
            yield portion
            portion, total = [], 0
        portion.append(item)
        total += size
    if portion:
        yield portion


def first_portion(items: Sequence[T], size_of: Callable[[T], int]) -> list[T]:
    return next(portions(items, size_of), [])
