"""Run functions in worker processes that may die at any moment, without harm to this process or to other tasks.

Each task runs in a forked, niced process of its own, with limits on its memory, its processor time and the wall clock.
"""

import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from errors import BusyError, ExtractionLimitError
from extraction.workers.pool import NoWorkerError, StarvedError, WorkerDiedError, WorkerLostError, WorkerPool
from extraction.workers.turns import Turns

logger = logging.getLogger("pagewire.workers")

QUICK_SECONDS = 2.0  # of processor time, to open a file at the first attempt

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")
Load = TypeVar("Load")


class Limits(NamedTuple):
    """What a task may take, and how it waits for its turn."""

    seconds: float  # from when it begins to run, without those that it waits for a processor
    cpu_seconds: float
    opening_seconds: float = 0.0  # of processor time, until it has read pages (see budget); 0 is no such limit
    owner: int | None = None  # owners take turns, so that one with many tasks does not hold up the others
    patient: bool = False  # waits as long as it takes, see Turns


class Workers:
    """*count* processes, for which owners take turns (see Turns); used from one event loop.

    A task that is cancelled or passes its deadline costs its worker, never another task. A task whose worker was
    killed from outside is run a second time, so it must be safe to run twice. The owner of a task that takes too much
    comes last for a while.
    """

    def __init__(
        self,
        count: int,
        *,
        deadline_seconds: float,
        cpu_seconds: float,
        memory_bytes: int,
        shared_modules: Sequence[str],
        warm_up: Callable[[], object],
    ) -> None:
        """*shared_modules* (installed ones) are imported once and shared; each worker calls *warm_up*, a module's
        function, to import ours.
        """
        self._limits = Limits(deadline_seconds, cpu_seconds)
        self._turns = Turns(count, patience_seconds=deadline_seconds)
        self._pool = WorkerPool(memory_bytes=memory_bytes, shared_modules=shared_modules, warm_up=warm_up)

    @property
    def waiting(self) -> int:
        """Tasks that wait for a process."""
        return self._turns.waiting

    def start(self) -> None:
        """Start the processes in the background."""
        self._pool.start()

    def close(self) -> None:
        """Stop the processes; tasks under way end with BusyError."""
        self._pool.close()

    async def run(
        self, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """Return the value of *function* (a module's), or raise what it raises.

        Raises:
            BusyError: if too many tasks wait, or this one too long; if the machine is too busy with other work; if the
                workers are closed, or do not start.
            TimeoutError: if it runs longer than the deadline.
            WorkerDiedError: if the task kills its process, or something else does twice.
        """
        return await self.run_within(self._limits, function, *args, **kwargs)

    async def run_within(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        """As `run`, with the task's own *limits*.

        One that may take long to open its file is first given two seconds for that. If it needs more, it begins again
        when its owner, who comes last now, has another turn: so a few such tasks do not hold up everybody else's.
        """
        if limits.owner is not None and limits.opening_seconds > QUICK_SECONDS:
            quick = limits._replace(opening_seconds=QUICK_SECONDS)
            try:
                async with self._take_turn(quick):
                    return await self._run(quick, function, *args, **kwargs)
            except WorkerDiedError as error:
                if error.exit_code != -signal.SIGPROF:
                    raise
        async with self._take_turn(limits):
            return await self._run(limits, function, *args, **kwargs)

    async def run_with(
        self,
        limits: Limits,
        load: Callable[[], Awaitable[Load]],
        function: Callable[Concatenate[Load, Parameters], Value],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Value:
        """As `run_within`, with the result of *load* as the first argument: loaded when the task's turn comes, so that
        waiting tasks are small.
        """
        async with self._take_turn(limits):
            return await self._run(limits, function, await load(), *args, **kwargs)

    def _take_turn(self, limits: Limits) -> AbstractAsyncContextManager[None]:
        self._pool.refuse_if_closed()
        return self._turns.take(limits.owner, patient=limits.patient)

    async def _run(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        try:
            return await self._run_twice(limits, function, *args, **kwargs)
        except (ExtractionLimitError, MemoryError, TimeoutError, WorkerDiedError):
            self._turns.put_last(limits.owner)  # before its turn ends
            raise

    async def _run_twice(
        self, limits: Limits, function: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Value:
        try:
            return await self._pool.run(
                limits.seconds, limits.opening_seconds, limits.cpu_seconds, function, *args, **kwargs
            )
        except WorkerLostError as error:
            self._pool.refuse_if_closed()
            logger.warning("a worker was lost (%s); running its task again", error)
        except StarvedError as error:
            logger.warning("the processors are busy with other work; gave up a task that got too little of them")
            raise BusyError(retry_after=30) from error
        try:
            return await self._pool.run(
                limits.seconds, limits.opening_seconds, limits.cpu_seconds, function, *args, **kwargs
            )
        except NoWorkerError as error:
            logger.error("the worker processes do not start: %s", error.__cause__ or error)
            raise BusyError(retry_after=10) from error
        except StarvedError as error:
            raise BusyError(retry_after=30) from error
        except WorkerLostError as error:
            self._pool.refuse_if_closed()
            raise WorkerDiedError(-signal.SIGKILL) from error
