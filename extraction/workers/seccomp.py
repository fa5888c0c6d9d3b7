"""A filter of system calls (seccomp(2)): a worker may compute, read, and answer; all else is ENOSYS.

Open descriptors stay as useful as they are; there are no sockets, programs, processes or signals to others.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from extraction.workers.libc import load_libc

PR_SET_SECCOMP = 22  # prctl(2)
SECCOMP_MODE_FILTER = 2
RET_ALLOW = 0x7FFF0000
RET_KILL_PROCESS = 0x80000000
RET_ENOSYS = 0x00050000 | errno.ENOSYS  # what a C library takes for an old kernel: it does without
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_GREATER_OR_EQUAL, RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16  # in struct seccomp_data
X32_BIT = 0x40000000


class Architecture(NamedTuple):
    audit_value: int  # AUDIT_ARCH_*
    column: int  # in CALLS


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}
CALLS: dict[str, tuple[int | None, int | None]] = {
    # what is open
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "dup": (32, 23),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # files, as far as Landlock lets it
    "open": (2, None),
    "openat": (257, 56),
    "stat": (4, None),
    "lstat": (6, None),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    # memory
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "membarrier": (324, 283),
    "futex": (202, 98),
    # itself
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getsid": (124, 156),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getpriority": (140, 141),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # time, and what the system is
    "times": (100, 153),
    "time": (201, None),
    "gettimeofday": (96, 169),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
}
FCNTL, IOCTL, PRLIMIT, TGKILL = (72, 25), (16, 29), (302, 261), (234, 131)
HARMLESS_FCNTLS = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC; not F_SETOWN, a signal
HARMLESS_IOCTLS = (0x5401, 0x5450, 0x5451)  # TCGETS, FIONCLEX, FIOCLEX


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def prepare() -> None:
    """Make what all processes have in common of their filters, so that those that are forked later need not."""
    if (architecture := ARCHITECTURES.get(platform.machine())) is not None:
        _compile(architecture)


def restrict() -> None:
    """Filter this process's system calls for good; it must have given up new privileges (PR_SET_NO_NEW_PRIVS).

    Raises:
        OSError: if this system or its processor knows no such filter.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise OSError(errno.ENOSYS, "no filter for this processor")
    program = _compile(architecture) + b"".join(_list_last_instructions(architecture, os.getpid()))
    libc = load_libc()
    chosen = _Filter(len(program) // 8, program)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(chosen), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


@cache
def _compile(architecture: Architecture) -> bytes:
    return b"".join(_list_instructions(architecture))


def _list_instructions(architecture: Architecture) -> Iterable[bytes]:
    audit_value, column = architecture
    yield _instruction(LOAD_WORD, ARCHITECTURE_OFFSET)
    yield _instruction(JUMP_IF_EQUAL, audit_value, if_so=1)
    yield _instruction(RETURN, RET_KILL_PROCESS)
    yield _instruction(LOAD_WORD, NUMBER_OFFSET)
    yield _instruction(JUMP_IF_GREATER_OR_EQUAL, X32_BIT, if_not=1)
    yield _instruction(RETURN, RET_ENOSYS)
    for numbers in CALLS.values():
        number = numbers[column]
        if number is not None:
            yield _instruction(JUMP_IF_EQUAL, number, if_not=1)
            yield _instruction(RETURN, RET_ALLOW)
    yield from _allow_values(FCNTL[column], 1, HARMLESS_FCNTLS)
    yield from _allow_values(IOCTL[column], 1, HARMLESS_IOCTLS)
    yield from _allow_values(PRLIMIT[column], 0, (0,))  # itself


def _list_last_instructions(architecture: Architecture, process_id: int) -> Iterable[bytes]:
    yield from _allow_values(TGKILL[architecture.column], 0, (process_id,))  # abort(3)
    yield _instruction(RETURN, RET_ENOSYS)


def _allow_values(number: int, argument: int, values: tuple[int, ...]) -> Iterable[bytes]:
    """Allow a call whose argument has one of *values*; these are ints to the kernel, so their upper half is nothing."""
    yield _instruction(JUMP_IF_EQUAL, number, if_not=2 + 2 * len(values))
    yield _instruction(LOAD_WORD, ARGUMENTS_OFFSET + 8 * argument)
    for value in values:
        yield _instruction(JUMP_IF_EQUAL, value, if_not=1)
        yield _instruction(RETURN, RET_ALLOW)
    yield _instruction(RETURN, RET_ENOSYS)


def _instruction(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
