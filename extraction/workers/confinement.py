"""What a worker gives up before it reads a file, so that a file that takes it over gains nothing.

Not root, no privileges to regain, no files but fonts and random numbers, no writing, no sockets, programs, processes,
or signals to others. It keeps its descriptors: the file, and the socket for its answer.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable
from functools import partial

from extraction.page.fonts import FONT_FOLDERS
from extraction.workers import landlock, seccomp
from extraction.workers.libc import load_libc

RANDOM_DEVICE = "/dev/urandom"  # qpdf opens no file in AES-256 without it
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # prctl(2)
NOBODY = 65534
LAST = "seccomp"


class Confinement:
    """The steps that this system offers, found by a child that tries them all."""

    def __init__(self) -> None:
        """Fork; so this process must have no threads."""
        self._steps: dict[str, Callable[[], None]] = {}
        self.ruleset: int | None = None
        if os.geteuid() == 0:
            self._steps["another user than root"] = partial(_drop_root, *_find_nobody())
        if sys.platform == "linux":
            self._steps["no_new_privs"] = _refuse_privileges
            self._steps["Landlock"] = self._enter_landlock
            self._steps[LAST] = seccomp.restrict
            seccomp.prepare()
            with contextlib.suppress(OSError):  # the trial finds out, too
                self.ruleset = landlock.make_ruleset([*FONT_FOLDERS, RANDOM_DEVICE])
        self.missing = self._try_all()
        for name in self.missing:
            self._steps.pop(name, None)

    def enter_early(self) -> None:
        """Give up for good what it takes no more to wait for a task.

        Raises:
            OSError: if a step fails that did not at the trial.
        """
        for name, step in self._steps.items():
            if name != LAST:
                step()

    def enter(self) -> None:
        """Give up the rest, too: a process that is filtered receives no file."""
        if (step := self._steps.get(LAST)) is not None:
            step()

    def _enter_landlock(self) -> None:
        if self.ruleset is None:
            raise OSError("no Landlock")
        landlock.restrict(self.ruleset)
        os.close(self.ruleset)

    def _try_all(self) -> list[str]:
        """Return what this system lacks."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for name, step in self._steps.items():
                try:
                    step()
                except OSError:
                    os.write(writing, name.encode() + b"\n")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            missing = answer.read().splitlines()
        os.waitpid(child, 0)
        return [*missing, *(() if sys.platform == "linux" else ("no_new_privs", "Landlock", "seccomp"))]


def _find_nobody() -> tuple[int, int]:
    """Return the user and the group that own nothing."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid


def _drop_root(user: int, group: int) -> None:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _refuse_privileges() -> None:
    libc = load_libc()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user had undone it
