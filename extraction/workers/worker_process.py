"""A worker from the inside: forked for one task, with limits, and without powers before it opens the file."""

import contextlib
import fcntl
import math
import os
import pickle
import resource
import socket
from pathlib import Path
from typing import NoReturn

from extraction import budget, waiting
from extraction.workers import answers
from extraction.workers.confinement import Confinement
from extraction.workers.wire import BEGUN, LENGTH, MOST_DESCRIPTORS, Task, read_message

CHANNEL, FILE, ORDERS, RULESET, FREE = range(3, 8)  # its descriptors
MOST_FILES = 64  # open at once
LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NPROC, 0),  # threads as well
    (resource.RLIMIT_NOFILE, MOST_FILES),
)


def work(orders: int, confinement: Confinement, memory_bytes: int) -> NoReturn:
    """Wait for the one task that comes by the socket *orders*, do it, answer, and end.

    *memory_bytes*: the address space that it may use, what it is forked with included.
    It dies of SIGXCPU when it takes more than its processor time, of SIGPROF when it takes more than its time for
    opening and what its pages earn.
    """
    code = 1
    try:
        _keep_descriptors(orders, confinement)
        waiting.keep_own_account()
        for kind, most in LIMITS:
            resource.setrlimit(kind, (most, most))
        confinement.enter_early()
        if _receive_task():
            _limit_memory(memory_bytes + os.fstat(FILE).st_size)  # the file is mapped
            try:
                answer = _answer(confinement)
            except MemoryError as error:
                answer = answers.pack_error(error)
            for part in (LENGTH.pack(sum(map(len, answer))), *answer):
                _write(part)
        code = 0
    finally:
        os._exit(code)


def _keep_descriptors(orders: int, confinement: Confinement) -> None:
    """Close what others' tasks and answers come by; leave room for this one's."""
    kept = {ORDERS: orders}
    if confinement.ruleset is not None:
        kept[RULESET] = confinement.ruleset
        confinement.ruleset = RULESET
    copies = {number: fcntl.fcntl(descriptor, fcntl.F_DUPFD, FREE) for number, descriptor in kept.items()}
    for number in (0, CHANNEL, FILE, ORDERS, RULESET):
        os.dup2(copies.get(number, 1), number)  # the standard output is nothing
    os.closerange(FREE, os.sysconf("SC_OPEN_MAX"))


def _receive_task() -> bool:
    """Take over the descriptors of a task: CHANNEL and FILE. Return False if none will come."""
    with socket.socket(fileno=ORDERS) as orders:
        _, descriptors, _, _ = socket.recv_fds(orders, 1, MOST_DESCRIPTORS)
    for number, descriptor in zip((CHANNEL, FILE), descriptors, strict=False):
        os.dup2(descriptor, number)
        os.close(descriptor)
    return bool(descriptors)


def _answer(confinement: Confinement) -> list[bytes]:
    task: Task = pickle.loads(read_message(lambda count: os.read(CHANNEL, count)))  # noqa: S301  the server's own
    _write(BEGUN)
    _limit_processor_time(math.ceil(task.cpu_seconds))
    confinement.enter()
    try:
        with budget.limited(task.opening_seconds):
            return answers.pack(task.function(*task.args, **task.kwargs))
    except Exception as error:  # reported to the server
        return answers.pack_error(error)


def measure_memory() -> int:
    """Return the bytes of address space that this process uses; 0 if the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_memory(byte_count: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # where the system has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (byte_count, byte_count))


def _limit_processor_time(seconds: int) -> None:
    """The kernel ends the task then, even if the server is gone and its deadline with it."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most == resource.RLIM_INFINITY else min(seconds, most), most))


def _write(part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(CHANNEL, view) :]
