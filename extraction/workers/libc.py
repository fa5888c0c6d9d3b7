"""The C library, for what Python has no words for."""

import ctypes
from functools import cache


@cache
def load_libc() -> ctypes.CDLL:
    """Loaded once: ctypes makes new classes each time, for which each worker would pay."""
    return ctypes.CDLL(None, use_errno=True)
