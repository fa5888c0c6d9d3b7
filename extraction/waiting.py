"""How long a process has waited for a processor: time that a file is not to blame for."""

from pathlib import Path


def waited_seconds(process_id: int | None = None) -> float:
    """Return the time that the main thread of a process (this one) was ready to run and did not; 0 if unknown."""
    try:
        _, waited, _ = Path(f"/proc/{process_id or 'self'}/schedstat").read_text().split()  # nanoseconds
    except (OSError, ValueError):  # it has ended, or another system
        return 0.0
    return int(waited) / 1e9
