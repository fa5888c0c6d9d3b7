"""Landlock (landlock(7)): a process that may read some places and do nothing else with files, ports and signals."""

import ctypes
import os
import struct
from collections.abc import Iterable

from extraction.workers.libc import load_libc

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on all architectures
VERSION_FLAG = 1
PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILE_RIGHTS = (0, 13, 14, 15, 15, 16)  # how many of them a version knows
ALL_PORTS = 0b11  # bind, connect; from version 4
ALL_SCOPES = 0b11  # abstract UNIX sockets, signals; from version 6


def make_ruleset(places: Iterable[str]) -> int:
    """Return the descriptor of rules by which *places*, files or all that is in folders, may be read, and nothing else.

    Raises:
        OSError: if the kernel has no Landlock.
    """
    version = _call(CREATE_RULESET, None, 0, VERSION_FLAG)
    files = (1 << FILE_RIGHTS[min(version, len(FILE_RIGHTS) - 1)]) - 1
    handled = [files, *([ALL_PORTS] if version >= 4 else []), *([ALL_SCOPES] if version >= 6 else [])]
    attributes = struct.pack(f"={len(handled)}Q", *handled)
    ruleset = _call(CREATE_RULESET, attributes, len(attributes), 0)
    for place in places:
        try:
            descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # this system has no such place
            continue
        rights = READ_FILE | READ_DIR if os.path.isdir(place) else READ_FILE  # noqa: PTH112
        try:
            _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
        finally:
            os.close(descriptor)
    return ruleset


def restrict(ruleset: int) -> None:
    """Hold this process to the rules for good; it must have given up new privileges (PR_SET_NO_NEW_PRIVS)."""
    _call(RESTRICT_SELF, ruleset, 0)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = load_libc()
    libc.syscall.restype = ctypes.c_long
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        raise OSError(ctypes.get_errno(), "no Landlock")
    return result
