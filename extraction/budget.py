"""The processor time that a task may take: some to open its file, and more for each page it reads.

The kernel keeps the account, and ends the process with SIGPROF when nothing is left: neither a call into PDFium that
never returns nor a handler can hold that up.
"""

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager

PAGE_SECONDS = 0.1  # what a page earns; most take a hundredth


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Let the block take *seconds*, and what it earns."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def seconds_left() -> float:
    """Return what is left, infinity outside of a task."""
    left, _ = signal.getitimer(signal.ITIMER_PROF)
    return left or math.inf


def earn_page() -> None:
    """Add what a page earns."""
    left, _ = signal.getitimer(signal.ITIMER_PROF)
    if left:
        signal.setitimer(signal.ITIMER_PROF, left + PAGE_SECONDS)
