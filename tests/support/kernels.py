"""Kernels that lack what this one has, for a process and its children."""

import ctypes

from extraction.workers import landlock, seccomp
from extraction.workers.confinement import PR_SET_NO_NEW_PRIVS

CALLS = {  # on x86-64, and what makes it the one that is lost: an argument's number and value
    "landlock": (landlock.CREATE_RULESET, None),
    "seccomp": (157, (0, seccomp.PR_SET_SECCOMP)),  # prctl
    "setuid": (105, None),
}


def lose(name: str) -> None:
    """Let this process and its children live without it."""
    libc = ctypes.CDLL(None)
    number, argument = CALLS[name]
    instruction = seccomp._instruction
    program = [
        instruction(seccomp.LOAD_WORD, seccomp.NUMBER_OFFSET),
        instruction(seccomp.JUMP_IF_EQUAL, number, if_not=3 if argument else 1),
    ]
    if argument:
        program += [
            instruction(seccomp.LOAD_WORD, seccomp.ARGUMENTS_OFFSET + 8 * argument[0]),
            instruction(seccomp.JUMP_IF_EQUAL, argument[1], if_not=1),
        ]
    program += [instruction(seccomp.RETURN, seccomp.RET_ENOSYS), instruction(seccomp.RETURN, seccomp.RET_ALLOW)]
    code = b"".join(program)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    chosen = seccomp._Filter(len(program), code)
    assert not libc.prctl(seccomp.PR_SET_SECCOMP, seccomp.SECCOMP_MODE_FILTER, ctypes.byref(chosen), 0, 0)
