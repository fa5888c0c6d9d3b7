"""System users and processes, as the embedded server needs them."""

import contextlib
import logging
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

logger = logging.getLogger("pagewire.postgres")


class Account(NamedTuple):
    """The system user that runs PostgreSQL."""

    name: str
    uid: int
    gid: int

    @property
    def process_options(self) -> dict[str, Any]:
        """Arguments that make `subprocess` run as this user: none, unless we are root."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}


def environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: none of our own variables, and no PG* that would misdirect them."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"PATH": os.defpath} | {name: os.environ[name] for name in kept if name in os.environ}


def run_program(command: list[str], account: Account) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603
        command,
        cwd="/",
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0o077,
        check=False,
        **account.process_options,
    )


def may_enter(account: Account, folder: Path) -> bool:
    return run_program(["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)], account).returncode == 0


def find_account(user: str | int) -> Account | None:
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return None


def add_account() -> Account | None:
    if tool := shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command = [tool, *options, "--shell", "/usr/sbin/nologin", "pagewire"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:  # noqa: S603
            logger.info("Created the system user pagewire to run PostgreSQL")
    return find_account("pagewire")


def give_to(account: Account, path: Path) -> None:
    """chown -R *path* to *account*; nothing to do where everything is made by that user."""
    if account.uid == os.geteuid():
        return
    for folder, _, files in os.walk(path):
        for name in files:
            os.chown(Path(folder) / name, account.uid, account.gid, follow_symlinks=False)
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)


def copy_for_all(source: str, target: str) -> None:
    """Copy a program's file, readable by all users; if it is so already (and on the same disk), link it."""
    mode = Path(source).stat().st_mode
    if mode & 0o044 == 0o044 and (mode & 0o111 == 0 or mode & 0o011 == 0o011):
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if mode & 0o100 else 0o644)


def is_alive(pid: int) -> bool:
    """Return whether the process *pid* is running; a zombie is not."""
    if not Path("/proc/self/stat").exists():
        state = _ps(pid, "stat=")
    else:
        try:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].strip()
        except OSError:
            return False
    return state[:1] not in (b"", b"Z", b"X")


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    return _ps(pid, "command=")


def folder_of(pid: int) -> Path | None:
    """Return a process's working directory: of a postmaster, its data folder, even after a rename."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink()
    return None


def _ps(pid: int, column: str) -> bytes:
    """Ask `ps`, for systems without /proc."""
    with contextlib.suppress(OSError):
        listing = ["/bin/ps", "-ww", "-o", column, "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, check=False).stdout.strip()  # noqa: S603
    return b""
