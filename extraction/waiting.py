"""How long a process has waited for a processor: time that a file is not to blame for."""

import contextlib
import os
from pathlib import Path

_own_account: int | None = None  # a descriptor


def keep_own_account() -> None:
    """Let this process know its own time where it may open no more files."""
    global _own_account
    with contextlib.suppress(OSError):  # another system
        _own_account = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)


def waited_seconds(process_id: int | None = None) -> float:
    """Return the time that the main thread of a process (this one) was ready to run and did not; 0 if unknown."""
    try:
        if process_id is None and _own_account is not None:
            account = os.pread(_own_account, 100, 0).decode()
        else:
            account = Path(f"/proc/{process_id or 'self'}/schedstat").read_text()
        _, waited, _ = account.split()  # nanoseconds
    except (OSError, ValueError):  # it has ended, or another system
        return 0.0
    return int(waited) / 1e9
