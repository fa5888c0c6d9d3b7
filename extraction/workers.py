"""Run functions in worker processes that may die at any moment, without harm to this process or to other tasks.

Each task runs in a forked, niced process with limits on its memory, its processor time and the wall clock. pebble's
pool contains crashes and kills what is late; mended here are its weak spots: it is out of order for good when an idle
worker is killed, a cancelled task that still waits costs a worker, and its queue has no end.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import importlib
import logging
import math
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar, cast

from pebble import ProcessExpired, ProcessPool

from errors import BusyError

logger = logging.getLogger(__name__)

MAXIMUM_WAITING = 64  # tasks in the queue, before BusyError
MAXIMUM_WAITING_EACH = 48  # of one owner
TASKS_PER_WORKER = 200  # then a fresh process takes its place
SESSION_NICE = 19  # a 68th of the share of a session that has not been changed; all of it, where nobody else runs
START_SECONDS = 20.0  # for a worker to start; a task's own deadline begins after that
PR_SET_PDEATHSIG = 1  # prctl(2)
MAXIMUM_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103  # of an AF_UNIX address; macOS and BSD take fewer

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")
Load = TypeVar("Load")


class Limits(NamedTuple):
    """What a task may take, and when it is its turn."""

    seconds: float  # from when it begins to run
    cpu_seconds: float
    owner: int | None = None  # owners take turns, so that nobody waits for all that another one wants
    patient: bool = False  # waits as long as it takes, beside the queue


class WorkerDiedError(Exception):
    """A task's process died; *exit_code* is a negative signal number."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class _WorkerLostError(Exception):
    """The worker went away for a reason that may not lie in its task."""


class _NoWorkerError(_WorkerLostError):
    """There was none that could have begun the task."""


class Turns:
    """*count* places; among those who wait, the owner who was served longest ago is next."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: OrderedDict[int | None, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, owner: int | None) -> None:
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        while self._waiting:
            owner, places = next(iter(self._waiting.items()))
            place = places.popleft()
            if places:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Workers:
    """*count* processes that take turns at the tasks, and a queue of 64 before them, of which one owner has at most 48;
    used from one event loop.

    A task that is cancelled or passes its deadline costs its worker, never another task. A task whose worker was
    killed from outside is run a second time, so it must be safe to run twice.
    """

    def __init__(
        self,
        count: int,
        *,
        deadline_seconds: float,
        cpu_seconds: float,
        memory_bytes: int,
        shared_modules: Sequence[str],
        modules: Sequence[str],
    ) -> None:
        """*shared_modules* (installed ones) are imported once and shared, *modules* (ours) by each worker."""
        self._count = count
        self._limits = Limits(deadline_seconds, cpu_seconds)
        self._memory_bytes = memory_bytes
        self._shared_modules = shared_modules
        self._modules = modules
        self._turns = Turns(count)
        self._waiting: Counter[int | None] = Counter()  # impatient tasks, by owner
        self._pool: ProcessPool | None = None
        self._pool_lock = threading.Lock()  # held while a pool is started or stopped
        self._closed = False

    def start(self) -> None:
        """Start the processes in the background."""
        threading.Thread(target=self._warm_up, name="workers-start", daemon=True).start()

    def close(self) -> None:
        """Stop the processes; tasks under way end with BusyError."""
        self._closed = True
        with self._pool_lock:
            pool, self._pool = self._pool, None
            if pool is not None:
                _stop_pool(pool)

    async def run(
        self, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """Return the value of *function* (a module's), or raise what it raises.

        Raises:
            BusyError: if too many tasks wait, for too long, the workers are closed, or do not start.
            TimeoutError: if it runs longer than the deadline.
            WorkerDiedError: if its process dies, of the task or, twice, of something else.
        """
        return await self.run_within(self._limits, function, *args, **kwargs)

    async def run_within(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """As `run`, with *limits* of its own; the workers' are the default."""
        async with self._take_turn(limits):
            return await self._run_twice(limits, function, *args, **kwargs)

    async def run_with(
        self,
        limits: Limits,
        load: Callable[[], Awaitable[Load]],
        function: Callable[Concatenate[Load, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """As `run_within`, with what *load* gives as the first argument: fetched in its turn, so that what waits is
        small.
        """
        async with self._take_turn(limits):
            return await self._run_twice(limits, function, await load(), *args, **kwargs)

    async def _run_twice(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        try:
            return await self._run_once(limits, function, *args, **kwargs)
        except _WorkerLostError as error:
            self._refuse_if_closed()
            logger.warning("a worker was lost (%s), its task is run again", error)
        try:
            return await self._run_once(limits, function, *args, **kwargs)
        except _NoWorkerError as error:
            logger.error("the worker processes do not start: %s", error.__cause__ or error)
            raise BusyError(retry_after=10) from error
        except _WorkerLostError as error:
            self._refuse_if_closed()
            raise WorkerDiedError(-signal.SIGKILL) from error

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise BusyError(retry_after=5)

    @contextlib.asynccontextmanager
    async def _take_turn(self, limits: Limits) -> AsyncIterator[None]:
        self._refuse_if_closed()
        if limits.patient:
            await self._turns.take(limits.owner)
        else:
            await self._take_soon(limits.owner)
        try:
            yield
        finally:
            self._turns.give_back()

    async def _take_soon(self, owner: int | None) -> None:
        has_too_many = owner is not None and self._waiting[owner] >= MAXIMUM_WAITING_EACH
        if has_too_many or self._waiting.total() >= MAXIMUM_WAITING:
            raise BusyError(retry_after=5)
        self._waiting[owner] += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._turns.take(owner)
        except TimeoutError:
            raise BusyError(retry_after=10) from None
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    async def _run_once(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        pool = self._pool
        if pool is None or not pool.active:
            pool = await asyncio.to_thread(self._get_pool)
        try:
            future = pool.schedule(_work, args=(limits.cpu_seconds, function, args, kwargs), timeout=limits.seconds)
        except RuntimeError as error:  # the pool broke just now
            raise _NoWorkerError("lost while idle") from error
        answer = asyncio.wrap_future(future)
        patience = time.monotonic() + limits.seconds + START_SECONDS
        try:
            while not answer.done():
                await asyncio.wait({answer}, timeout=1)
                if not answer.done() and (not pool.active or time.monotonic() > patience):
                    await asyncio.to_thread(self._drop_pool, pool)
                    raise _NoWorkerError("no sign of them")
            return cast(Value, pickle.loads(answer.result()))  # noqa: S301  our own worker wrote it
        except ProcessExpired as error:
            if error.exitcode in _FATAL_SIGNALS:
                raise WorkerDiedError(error.exitcode) from error
            raise _WorkerLostError(f"exit code {error.exitcode}") from error
        except concurrent.futures.BrokenExecutor as error:
            raise _NoWorkerError("lost while idle") from error
        finally:
            answer.cancel()  # if the caller has gone, the worker stops

    def _warm_up(self) -> None:
        with contextlib.suppress(BusyError, _WorkerLostError):  # the first task tries again and tells
            self._get_pool()

    def _get_pool(self) -> ProcessPool:
        """Return a running pool; blocks while one starts."""
        with self._pool_lock:
            self._refuse_if_closed()
            if self._pool is not None and self._pool.active:
                return self._pool
            if self._pool is not None:
                logger.warning("the worker processes were lost and are started again")
                _stop_pool(self._pool)
                self._pool = None
            self._pool = self._start_pool()
            return self._pool

    def _drop_pool(self, pool: ProcessPool) -> None:
        with self._pool_lock:
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
            initializer=_prepare,
            initargs=(self._memory_bytes, self._modules),
            context=context,
        )
        resource_tracker.ensure_running()  # it would unblock what is blocked here
        # Children inherit the mask: Ctrl-C goes to all of a terminal's processes, and only the server is to answer it
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if not pool.active:  # asking starts it
                raise _NoWorkerError("the pool is broken")
        except (OSError, EOFError, concurrent.futures.BrokenExecutor) as error:
            raise _NoWorkerError("the pool is broken") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pool


# Signals a task itself brings on; any other death comes from outside
_FATAL_SIGNALS = [
    -number
    for number in (
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGTRAP,
        signal.SIGXCPU,
    )
]


@cache
def _shorten_socket_path() -> None:
    """Have multiprocessing put the forkserver's socket where its path fits into an address, whatever TMPDIR says."""
    if len(os.fsencode(tempfile.gettempdir()) + b"/pymp-12345678/listener-12345678") > MAXIMUM_SOCKET_PATH_BYTES:
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="pymp-", dir="/tmp")
            multiprocessing.current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]


@cache
def _start_sweeper() -> "subprocess.Popen[bytes]":
    """Start what removes multiprocessing's folder (the forkserver's socket) when this process ends, however it does."""
    return subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", 'read -r _; exec rm -rf -- "$0"', get_temp_dir()],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def _stop_pool(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    with contextlib.suppress(RuntimeError, OSError):  # a process that cannot be stopped
        pool.join()


class _BareProcess(ForkServerProcess):
    """A process that does not import this server's `__main__` (and FastAPI with it) again.

    multiprocessing does so for the sake of functions defined there, unless `__main__` belongs to a package.
    """

    _starting = threading.Lock()

    def start(self) -> None:
        self.daemon = True  # never waited for when the server ends without closing
        main = sys.modules["__main__"]
        with self._starting:
            spec = main.__spec__
            main.__spec__ = ModuleSpec("workers.__main__", None)
            try:
                super().start()
            finally:
                main.__spec__ = spec


class _BareContext(ForkServerContext):
    Process = _BareProcess


# In a worker


def _prepare(memory_bytes: int, modules: Sequence[str]) -> None:
    """Limit this process, and tie its life to the server's."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble's handler would wait for the end of a call into C
    os.nice(10)
    _leave_session()
    logging.disable()
    warnings.simplefilter("ignore")
    threading.Thread(target=_die_with_server, daemon=True).start()
    if sys.platform == "linux":  # where even a task that never lets go of the GIL dies with the server
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _let_forkserver_end()
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    for module in modules:
        importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # where the system has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory_bytes,) * 2)


def _leave_session() -> None:
    """Move to a session of its own and make that give way to the others, as nice does within one.

    Where sessions share the processor as groups (sched(7), "The autogroup feature"), nice counts among the processes of
    one session alone: PostgreSQL, in its own, would wait for its turn behind a PDF.
    """
    os.setsid()
    for _ in range(20):
        try:
            Path("/proc/self/autogroup").write_text(str(SESSION_NICE))
        except BlockingIOError:  # ten times a second, for all of the system
            time.sleep(0.1)
        except OSError:
            return  # another system
        else:
            return


def _let_forkserver_end() -> None:
    """Close this process's end of the pipe that keeps the forkserver, its parent, alive after the server's death."""
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
    """Return the bytes of address space in use, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _work(
    cpu_seconds: float,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> bytes:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(usage.ru_utime + usage.ru_stime + cpu_seconds)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    # The kernel ends the task then, even if the server is gone and its deadline with it
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most == resource.RLIM_INFINITY else min(seconds, most), most))
    return pickle.dumps(function(*args, **kwargs))
