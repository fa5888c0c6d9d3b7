"""A pool of killable processes: pebble's, which survives crashes and kills late tasks, without its weak spots.

pebble's pool is broken for good once an idle worker is killed: here a new pool is started. multiprocessing leaves files
behind when its process is killed, and imports the server's main module into each worker: here it does neither.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.util import get_temp_dir
from typing import ParamSpec, TypeVar, cast

from pebble import ProcessExpired, ProcessPool

from errors import BusyError
from extraction import worker_process
from extraction.waiting import waited_seconds

logger = logging.getLogger("pagewire.workers")

TASKS_PER_WORKER = 200  # then a fresh process takes its place
START_SECONDS = 20.0  # for a worker to start; a task's own deadline begins after that
WATCH_SECONDS = 0.1  # between two looks at a task
PATIENCE = 4  # deadlines that may pass while a task has no processor
MAXIMUM_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103  # of an AF_UNIX address; macOS and BSD take fewer

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class WorkerDiedError(Exception):
    """A task's process died; *exit_code* is a negative signal number."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class WorkerLostError(Exception):
    """A worker was lost for a reason that may not lie in its task."""


class StarvedError(Exception):
    """The processors were too busy with other work for a task to end in time."""


class NoWorkerError(WorkerLostError):
    """There was no worker that could have begun the task."""


# Signals that a task brings upon itself; any other death comes from outside
_FATAL_SIGNALS = [
    -number
    for number in (
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGPROF,
        signal.SIGSEGV,
        signal.SIGTRAP,
        signal.SIGXCPU,
    )
]


class WorkerPool:
    """*count* processes, started anew when they are lost.

    To be given no more than *count* tasks at once: pebble kills a worker even for a cancelled task that still waits.
    """

    def __init__(
        self, count: int, *, memory_bytes: int, shared_modules: Sequence[str], warm_up: Callable[[], object]
    ) -> None:
        self._count = count
        self._memory_bytes = memory_bytes
        self._shared_modules = shared_modules
        self._warm_up = warm_up
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()  # held while a pool is started or stopped
        self._closed = False

    def start(self) -> None:
        """Start the processes in the background."""
        threading.Thread(target=self._start, name="workers-start", daemon=True).start()

    def _start(self) -> None:
        with contextlib.suppress(BusyError, WorkerLostError):  # the first task tries again, and reports it
            self._get_pool()

    def close(self) -> None:
        """Stop the processes; tasks under way raise WorkerLostError."""
        self._closed = True
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None:
                _stop_pool(pool)

    def refuse_if_closed(self) -> None:
        if self._closed:
            raise BusyError(retry_after=5)

    async def run(
        self,
        seconds: float,
        opening_seconds: float,
        cpu_seconds: float,
        function: Callable[Parameters, Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """Return the value of *function*, or raise what it raises; a cancelled task's worker is killed.

        Raises:
            TimeoutError: if it runs longer than *seconds*, not counting the time that it waits for a processor.
            StarvedError: if that takes several times as long.
            WorkerDiedError: if it kills its process, or takes more processor time than `worker_process.work` lets it.
            WorkerLostError: if its process ends otherwise; NoWorkerError: before it has begun.
        """
        pool = self._pool
        if pool is None or not pool.active:
            pool = await asyncio.to_thread(self._get_pool)
        try:
            future = pool.schedule(worker_process.work, args=(opening_seconds, cpu_seconds, function, args, kwargs))
        except RuntimeError as error:  # the pool has just broken
            raise NoWorkerError("lost while idle") from error
        answer = asyncio.wrap_future(future)
        clock = _TaskClock(pool, future, seconds)
        try:
            while not answer.done():
                await asyncio.wait({answer}, timeout=WATCH_SECONDS)
                if not answer.done() and (not pool.active or not clock.check()):
                    await asyncio.to_thread(self._drop_pool, pool)
                    raise NoWorkerError("no sign of life")
            return cast(Value, pickle.loads(answer.result()))  # noqa: S301  our own worker wrote it
        except ProcessExpired as error:
            if error.exitcode in _FATAL_SIGNALS:
                raise WorkerDiedError(error.exitcode) from error
            raise WorkerLostError(f"exit code {error.exitcode}") from error
        except concurrent.futures.BrokenExecutor as error:
            raise NoWorkerError("lost while idle") from error
        finally:
            answer.cancel()  # stops the worker if the caller is gone

    def _get_pool(self) -> ProcessPool:
        """Return a running pool; blocks while one starts."""
        with self._lock:
            self.refuse_if_closed()
            if self._pool is not None and self._pool.active:
                return self._pool
            if self._pool is not None:
                logger.warning("the worker processes were lost; starting new ones")
                _stop_pool(self._pool)
                self._pool = None
            self._pool = self._start_pool()
            return self._pool

    def _drop_pool(self, pool: ProcessPool) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
                _stop_pool(pool)

    def _start_pool(self) -> ProcessPool:
        _shorten_socket_path()
        _start_sweeper()
        context = _BareContext()
        context.set_forkserver_preload(["asyncio", "pebble", *self._shared_modules])
        pool = ProcessPool(
            max_workers=self._count,
            max_tasks=TASKS_PER_WORKER,
            initializer=worker_process.prepare,
            initargs=(self._memory_bytes, self._warm_up),
            context=context,
        )
        resource_tracker.ensure_running()  # it would unblock the signal that is blocked here
        # Children inherit the mask: Ctrl-C goes to all processes of a terminal, and only the server should act on it
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if not pool.active:  # asking starts it
                raise NoWorkerError("the pool is broken")
        except (OSError, EOFError, concurrent.futures.BrokenExecutor) as error:
            raise NoWorkerError("the pool is broken") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pool


class _TaskClock:
    """The time of one task, from when it begins to run."""

    def __init__(self, pool: ProcessPool, future: "concurrent.futures.Future[bytes]", seconds: float) -> None:
        self._pool = pool
        self._future = future
        self._seconds = seconds
        self._process_id: int | None = None
        self._began = time.monotonic()
        self._waited = 0.0  # by its process, before it began

    def check(self) -> bool:
        """Return False if it should have begun to run long ago.

        Raises:
            TimeoutError: if its time is over; StarvedError: if it would be, had it had a processor.
        """
        if self._process_id is None:
            self._process_id = self._find_process()
            if self._process_id is None:
                return time.monotonic() - self._began < START_SECONDS
            self._began, self._waited = time.monotonic(), waited_seconds(self._process_id)
        elapsed = time.monotonic() - self._began
        if elapsed >= self._seconds:
            waited = max(0.0, waited_seconds(self._process_id) - self._waited)
            if elapsed - waited >= self._seconds:
                raise TimeoutError
            if elapsed >= PATIENCE * self._seconds:
                raise StarvedError
        return True

    def _find_process(self) -> int | None:
        tasks = list(self._pool._pool_manager.task_manager.tasks.values())  # pebble tells it nowhere else
        return next((task.worker_id for task in tasks if task.future is self._future and task.started), None)


def _stop_pool(pool: ProcessPool) -> None:
    """Kill before pebble closes the pool's pipes: a process that is only starting would log that they are gone."""
    for process in list(pool._pool_manager.worker_manager.workers.values()):
        process.kill()
    pool.stop()  # type: ignore[no-untyped-call]
    with contextlib.suppress(RuntimeError, OSError):  # a process that cannot be stopped
        pool.join()


# multiprocessing


@cache
def _shorten_socket_path() -> None:
    """Have multiprocessing put the forkserver's socket where its path fits into an address, whatever TMPDIR is."""
    if len(os.fsencode(tempfile.gettempdir()) + b"/pymp-12345678/listener-12345678") > MAXIMUM_SOCKET_PATH_BYTES:
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="pymp-", dir="/tmp")
            multiprocessing.current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]


@cache
def _start_sweeper() -> "subprocess.Popen[bytes]":
    """Start a process that removes multiprocessing's folder (the forkserver's socket) however this one ends."""
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", 'read -r _; exec rm -rf -- "$0"', get_temp_dir()],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


class _BareProcess(ForkServerProcess):
    """A process that does not import the server's `__main__`, and FastAPI with it.

    multiprocessing does so for the sake of functions defined there, unless `__main__` belongs to a package.
    """

    _starting = threading.Lock()

    def start(self) -> None:
        self.daemon = True  # so that a server that ends without closing does not wait for it
        main = sys.modules["__main__"]
        with self._starting:
            spec = main.__spec__
            main.__spec__ = ModuleSpec(f"{__name__}.__main__", None)
            try:
                super().start()
            finally:
                main.__spec__ = spec


class _BareContext(ForkServerContext):
    Process = _BareProcess
