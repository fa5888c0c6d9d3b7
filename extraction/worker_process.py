"""A worker process from the inside: its limits, its priority, and its end when the server ends."""

import contextlib
import ctypes
import logging
import math
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path

from extraction import budget

NICE = 4  # three tenths of a processor that somebody else wants, all of it while nobody does
PR_SET_PDEATHSIG = 1  # prctl(2)


def prepare(memory_bytes: int, warm_up: Callable[[], object]) -> None:
    """Limit this process and tie its life to the server's; the memory that *warm_up* takes is not counted."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's handler would wait for the end of a call into C
    os.nice(NICE)
    _leave_session()
    logging.disable()
    warnings.simplefilter("ignore")
    threading.Thread(target=_die_with_server, daemon=True).start()
    if sys.platform == "linux":  # where even a task that never releases the GIL dies with the server
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _let_forkserver_end()
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    warm_up()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # where the system has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory_bytes,) * 2)


def work(
    opening_seconds: float,
    cpu_seconds: float,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> bytes:
    """Return the pickled value of *function*, or die: of SIGXCPU when it takes more than *cpu_seconds*, of SIGPROF when
    it takes more than *opening_seconds* and what its pages earn.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(usage.ru_utime + usage.ru_stime + cpu_seconds)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    # The kernel ends the task then, even if the server is gone and its deadline with it
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most == resource.RLIM_INFINITY else min(seconds, most), most))
    with budget.limited(opening_seconds):
        return pickle.dumps(function(*args, **kwargs))


def _leave_session() -> None:
    """Move to a session of our own and lower its priority, as nice does within a session.

    Where sessions share the processor as groups (sched(7), "The autogroup feature"), nice only ranks the processes of
    one session: PostgreSQL, in its own, would wait for its turn behind a PDF.
    """
    os.setsid()
    for _ in range(20):
        try:
            Path("/proc/self/autogroup").write_text(str(NICE))
        except BlockingIOError:  # ten times a second, for the whole system
            time.sleep(0.1)
        except OSError:
            return  # another system
        else:
            return


def _let_forkserver_end() -> None:
    """Close this end of the pipe that would keep the forkserver, this process's parent, alive without the server."""
    descriptor = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _die_with_server() -> None:
    server = multiprocessing.parent_process()
    assert server is not None
    assert server.pid is not None
    try:
        death = os.pidfd_open(server.pid)
    except (AttributeError, OSError):  # a system without it
        wait([server.sentinel])
    else:
        wait([death])
    os.kill(os.getpid(), signal.SIGKILL)


def _address_space() -> int:
    """Return the bytes of address space in use, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
