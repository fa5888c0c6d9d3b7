"""The server's side of its workers: a forkserver, started anew when it is lost, and one conversation a task."""

import asyncio
import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import IO, ParamSpec, TypeVar, cast

from errors import BadPdfError, BusyError
from extraction.values import Source, StoredSource
from extraction.waiting import waited_seconds
from extraction.workers import answers
from extraction.workers.wire import BEGUN, LENGTH, MOST_AT_ONCE, NUMBER, Setup, Task, read_message, with_length
from extraction.workers.worker_process import FILE

logger = logging.getLogger("pagewire.workers")

START_SECONDS = 60.0  # for the forkserver to start
BEGIN_SECONDS = 20.0  # for a worker to be forked; a task's own deadline begins after that
WATCH_SECONDS = 0.1  # between two looks at a task
PATIENCE = 4  # deadlines that may pass while a task has no processor
KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TZ")  # of our environment, which has our secrets
FORKSERVER = "import sys; sys.path[:] = {path!r}; from extraction.workers import forkserver; forkserver.main()"

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
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGXCPU,
    )
]


class WorkerPool:
    """A process for each task, forked from one that is started anew when it is lost; used from one event loop."""

    def __init__(self, *, memory_bytes: int, shared_modules: Sequence[str], warm_up: Callable[[], object]) -> None:
        self._setup = Setup(memory_bytes, shared_modules, warm_up)
        self._forkserver: _Forkserver | None = None
        self._lock = threading.Lock()  # held while one is started or stopped
        self._closed = False

    def start(self) -> None:
        """Start the forkserver in the background."""
        threading.Thread(target=self._start, name="workers-start", daemon=True).start()

    def _start(self) -> None:
        with contextlib.suppress(BusyError, WorkerLostError):  # the first task tries again, and reports it
            self._get_forkserver()

    def close(self) -> None:
        """Stop all processes; tasks under way raise WorkerLostError."""
        self._closed = True
        if self._forkserver is not None:
            self._forkserver.kill()  # also one that is only starting
        with self._lock:
            self._drop_locked()

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
            BadAnswerError, TaskFailedError: see `answers.unpack`.
        """
        forkserver = self._forkserver
        if forkserver is None or not forkserver.is_ready:
            forkserver = await asyncio.to_thread(self._get_forkserver)
        source = next((arg for arg in args if isinstance(arg, Source | StoredSource)), None)
        with contextlib.ExitStack() as resources:
            file = None
            if source is not None:
                file = resources.enter_context(await _open(source))
            worker = resources.enter_context(contextlib.closing(_Worker(forkserver, file)))
            arguments = tuple(
                Source(FILE, arg.password) if isinstance(arg, Source | StoredSource) else arg for arg in args
            )
            task = Task(opening_seconds, cpu_seconds, function, arguments, kwargs)
            answer = asyncio.create_task(worker.ask(pickle.dumps(task)))
            try:
                while not answer.done():
                    await asyncio.wait({answer}, timeout=WATCH_SECONDS)
                    if not answer.done() and not worker.is_in_time(seconds):
                        await asyncio.to_thread(self._drop, forkserver)
                        raise NoWorkerError("no sign of life")
                return cast(Value, answers.unpack(answer.result(), function))
            finally:
                answer.cancel()
                await asyncio.wait({answer})

    def _get_forkserver(self) -> "_Forkserver":
        """Return one that forks; blocks while it starts."""
        with self._lock:
            self.refuse_if_closed()
            if self._forkserver is not None and self._forkserver.is_ready:
                return self._forkserver
            if self._forkserver is not None:
                logger.warning("the worker processes were lost; starting new ones")
                self._drop_locked()
            self._forkserver = forkserver = _Forkserver()
            if self._closed:  # meanwhile, without knowing of this one
                forkserver.kill()
            try:
                forkserver.get_ready(self._setup)
            except NoWorkerError:
                self._drop_locked()
                raise
            return forkserver

    def _drop(self, forkserver: "_Forkserver") -> None:
        with self._lock:
            if self._forkserver is forkserver:
                self._drop_locked()

    def _drop_locked(self) -> None:
        forkserver, self._forkserver = self._forkserver, None
        if forkserver is not None:
            forkserver.stop()


class _Forkserver:
    """A process of `extraction.workers.forkserver`, and the socket by which it is asked."""

    def __init__(self) -> None:
        self._control, far = socket.socketpair()
        path = [str(Path(folder).absolute()) for folder in sys.path]
        with far:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", FORKSERVER.format(path=path)],
                env={"PATH": os.defpath} | {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        self._is_warm = False

    def get_ready(self, setup: Setup) -> None:
        """Wait until it has warmed up.

        Raises:
            NoWorkerError: if it does not.
        """
        self._control.settimeout(START_SECONDS)
        try:
            self._control.sendall(with_length(pickle.dumps(setup)))
            told = json.loads(read_message(self._control.recv))
        except (OSError, EOFError) as error:
            raise NoWorkerError("the forkserver does not start") from error
        if failure := told.get("failure"):
            raise NoWorkerError(failure)
        _warn_once(tuple(told["missing"]))
        self._is_warm = True

    @property
    def is_ready(self) -> bool:
        return self._is_warm and self._process.poll() is None

    def fork(self, status: socket.socket, channel: socket.socket, file: IO[bytes] | None) -> None:
        """Have it fork a worker that holds *channel* and *file*; by *status* it says how that goes."""
        descriptors = [status.fileno(), channel.fileno(), *([] if file is None else [file.fileno()])]
        try:
            self._control.setblocking(False)
            socket.send_fds(self._control, [b"."], descriptors)
        except OSError as error:
            raise NoWorkerError("lost while idle") from error

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()


class _Worker:
    """A process that is asked one thing. Closing this ends it."""

    def __init__(self, forkserver: _Forkserver, file: IO[bytes] | None) -> None:
        self._status, far_status = socket.socketpair()
        self._channel, far_channel = socket.socketpair()
        with far_status, far_channel:
            for end in (self._status, self._channel):
                end.setblocking(False)
            try:
                forkserver.fork(far_status, far_channel, file)
            except NoWorkerError:
                self.close()
                raise
        self._process_id: int | None = None
        self._began = time.monotonic()
        self._waited = 0.0  # by its process, before it began

    def close(self) -> None:
        self._status.close()
        self._channel.close()

    async def ask(self, question: bytes) -> bytes:
        """Return what it answers.

        Raises:
            WorkerDiedError, WorkerLostError, BadAnswerError.
        """
        loop = asyncio.get_running_loop()
        process_id = await self._read_number()
        if process_id is None:
            raise NoWorkerError("lost while idle")
        with contextlib.suppress(ConnectionError):  # it has died
            await loop.sock_sendall(self._channel, with_length(question))
            await self._read(self._channel, len(BEGUN))
            self._began, self._waited, self._process_id = time.monotonic(), waited_seconds(process_id), process_id
            if (answer := await self._read_answer()) is not None:
                return answer
        exit_code = await self._read_number()
        if exit_code in _FATAL_SIGNALS:
            raise WorkerDiedError(exit_code)
        raise WorkerLostError("its forkserver was lost" if exit_code is None else f"exit code {exit_code}")

    async def _read_answer(self) -> bytes | None:
        """Return the answer; None if it dies before its end."""
        if (head := await self._read(self._channel, LENGTH.size)) is None:
            return None
        length: int = LENGTH.unpack(head)[0]
        if length > answers.MAXIMUM_BYTES:
            raise answers.BadAnswerError("too long")
        return await self._read(self._channel, length)

    async def _read_number(self) -> int | None:
        """Return the next number that the forkserver tells of it; None if that is gone."""
        told = await self._read(self._status, NUMBER.size)
        return None if told is None else int(NUMBER.unpack(told)[0])

    async def _read(self, end: socket.socket, count: int) -> bytes | None:
        """Return *count* bytes; None if there are fewer."""
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        with contextlib.suppress(ConnectionError):
            while count:
                part = await loop.sock_recv(end, min(count, MOST_AT_ONCE))
                if not part:
                    return None
                parts.append(part)
                count -= len(part)
            return b"".join(parts)
        return None

    def is_in_time(self, seconds: float) -> bool:
        """Return False if it should have begun long ago.

        Raises:
            TimeoutError: if its *seconds* are over; StarvedError: if they would be, had it had a processor.
        """
        elapsed = time.monotonic() - self._began
        if self._process_id is None:
            return elapsed < BEGIN_SECONDS
        if elapsed >= seconds:
            waited = max(0.0, waited_seconds(self._process_id) - self._waited)
            if elapsed - waited >= seconds:
                raise TimeoutError
            if elapsed >= PATIENCE * seconds:
                raise StarvedError
        return True


async def _open(source: Source | StoredSource) -> IO[bytes]:
    if isinstance(source, StoredSource):
        return await source.open()
    assert isinstance(source.file, Path)
    return await asyncio.to_thread(_open_pdf, source.file)


def _open_pdf(path: Path) -> IO[bytes]:
    """Open a file for a worker, which may open none.

    Raises:
        BadPdfError: if there is none, or something else.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0)  # no FIFO waits
    except OSError as error:
        raise BadPdfError("Error processing PDF: the file is gone.") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise BadPdfError("Error processing PDF: it is not a file.")
    return file


@cache
def _warn_once(missing: tuple[str, ...]) -> None:
    if missing:
        logger.warning("PDFs are extracted with fewer locks than usual: this system has no %s", ", no ".join(missing))
