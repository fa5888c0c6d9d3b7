"""A warm process that forks a worker for each task; it reads no file and no answer itself.

The server holds one end of its standard input, a socket. It is sent a setup first, then with every byte the
descriptors of one task: where the forkserver writes how the worker fares, where the worker finds its task and answers,
and the file that it is about. A server that closes the first of them wants the worker ended; one that closes the
standard input, or dies, all of them. One worker is always forked ahead, and waits for the next task.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import pickle
import selectors
import signal
import socket
import time
import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

from extraction.workers import worker_process
from extraction.workers.confinement import Confinement
from extraction.workers.libc import load_libc
from extraction.workers.wire import MOST_DESCRIPTORS, NUMBER, Setup, read_message, with_length

GARBAGE_THRESHOLD = 50_000  # objects; a page of text makes thousands, and hardly one that refers to itself
MALLOC = {  # mallopt(3): a worker that hands memory back page after page has it cleared again each time
    -1: 1 << 30,  # M_TRIM_THRESHOLD, bytes
    -2: 1 << 20,  # M_TOP_PAD
    -3: 1 << 25,  # M_MMAP_THRESHOLD
}
NICE = 4  # three tenths of a processor that somebody else wants, all of it while nobody does


def main() -> None:
    """Warm up, tell the server what workers cannot be kept from here, and fork until it has no more need."""
    control = socket.socket(fileno=0)
    try:
        setup: Setup = pickle.loads(read_message(control.recv))  # noqa: S301  the server's own
    except (EOFError, ConnectionError):
        return
    logging.disable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _give_way()
    told: dict[str, object] = {}
    try:
        for module in setup.shared_modules:
            importlib.import_module(module)
        setup.warm_up()
        settle()
        confinement = Confinement()
        told["missing"] = confinement.missing
    except Exception as error:  # reported to the server, for its log
        told["failure"] = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):  # it has gone meanwhile
        control.sendall(with_length(json.dumps(told).encode()))
    if "failure" in told:
        return
    _Forkserver(control, confinement, setup.memory_bytes).serve()


class _Spare(NamedTuple):
    """A worker that waits for its task."""

    process_id: int
    orders: socket.socket


class _Forkserver:
    def __init__(self, control: socket.socket, confinement: Confinement, memory_bytes: int) -> None:
        self._control = control
        self._confinement = confinement
        self._memory_bytes = worker_process.measure_memory() + memory_bytes
        self._workers: dict[int, socket.socket] = {}  # by process id: where the server hears of them
        self._spare: _Spare | None = None
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Return when the server is gone, and all workers with it."""
        waking, woken = socket.socketpair()
        for end in (waking, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._spare = self._fork()
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(waking, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is waking:
                    with contextlib.suppress(BlockingIOError):
                        waking.recv(1024)
                elif key.fileobj is not self._control:
                    self._end(key.data)
                elif not self._hand_over():
                    for process_id in list(self._workers):
                        self._end(process_id)
                    return  # the spare one hears of that
            self._reap()

    def _hand_over(self) -> bool:
        """Give a task to the worker that waits; return False if the server has hung up."""
        try:
            told, descriptors, _, _ = socket.recv_fds(self._control, 1, MOST_DESCRIPTORS)
        except ConnectionError:
            return False
        if not told:
            return False
        status, *task = descriptors
        channel = socket.socket(fileno=status)
        process_id, orders = self._spare or self._fork()
        with orders, contextlib.suppress(OSError):  # killed meanwhile: the server hears of its end
            socket.send_fds(orders, [b"."], task)
        for descriptor in task:
            os.close(descriptor)
        self._workers[process_id] = channel
        self._tell(channel, process_id)
        self._selector.register(channel, selectors.EVENT_READ, process_id)
        self._spare = self._fork()  # so that the next task does not wait for it
        return True

    def _fork(self) -> _Spare:
        orders, far = socket.socketpair()
        with far:
            process_id = _fork()
            if process_id == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                worker_process.work(far.fileno(), self._confinement, self._memory_bytes)
        return _Spare(process_id, orders)

    def _end(self, process_id: int) -> None:
        """Kill a worker: it has not been waited for, so nobody else has its id."""
        channel = self._workers[process_id]
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel)
        os.kill(process_id, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                process_id, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process_id == 0:
                return
            if self._spare is not None and process_id == self._spare.process_id:
                self._spare.orders.close()
                self._spare = None
                continue
            channel = self._workers.pop(process_id)
            with contextlib.suppress(KeyError):
                self._selector.unregister(channel)
            self._tell(channel, os.waitstatus_to_exitcode(status))
            channel.close()

    def _tell(self, channel: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):  # nobody waits for it any more
            channel.sendall(NUMBER.pack(number))


def _fork() -> int:
    """fork(2) alone. Python's own tends locks of other threads, of which there are none, and random numbers: 0.6 ms."""
    process_id: int = _load_forking_libc().fork()
    if process_id < 0:
        raise OSError(ctypes.get_errno(), "no fork")
    return process_id


@cache
def _load_forking_libc() -> ctypes.PyDLL:
    return ctypes.PyDLL(None, use_errno=True)  # not CDLL: a child would wait for the interpreter's lock


def _give_way() -> None:
    """Lower this process's priority, and that of its session, as nice does within a session.

    Where sessions share the processor as groups (sched(7), "The autogroup feature"), nice only ranks the processes of
    one session: PostgreSQL, in its own, would wait for its turn behind a PDF.
    """
    os.nice(NICE)
    with contextlib.suppress(OSError):  # another system
        Path("/proc/self/oom_score_adj").write_text("500")
    for _ in range(20):
        try:
            Path("/proc/self/autogroup").write_text(str(NICE))
        except BlockingIOError:  # ten times a second, for the whole system
            time.sleep(0.1)
        except OSError:
            return  # another system
        else:
            return


def settle() -> None:
    """Leave little for workers to copy, and nothing for them to tidy up: each does one task, and ends."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    with contextlib.suppress(AttributeError):  # another C library
        libc = load_libc()
        libc.malloc_trim(0)
        for parameter, value in MALLOC.items():
            libc.mallopt(parameter, value)
