"""The postmaster, a running server's first process: find it, launch it, stop it, and read why it failed."""

import contextlib
import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from postgres.folders import PORT, Folders
from postgres.host import Account, command_of, environment, folder_of, is_alive
from postgres.programs import Programs

logger = logging.getLogger("pagewire.postgres")

STOP_SECONDS = 15  # a fast shutdown writes one checkpoint; after that, an immediate one: recovery at the next start

# The command line wins over postgresql.conf, so that an upgrade of Pagewire reaches old data folders.
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",  # one query, one core; and containers have 64 MB of /dev/shm
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "lc_messages": "C",
    # The log keeps a week, one file for each weekday. Failed statements are logged by the client that sent them.
    "logging_collector": "on",
    "log_destination": "stderr",
    "log_directory": "log",
    "log_filename": "server-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
}


class Postmaster(NamedTuple):
    """A running server, as postmaster.pid in its data folder describes it."""

    pid: int
    status: str  # "starting", "ready", "stopping", "standby"; "" for a moment


def find_postmaster(folders: Folders) -> Postmaster | None:
    """Return the server that runs on our cluster; a recorded pid may belong to another process by now."""
    try:
        lines = (folders.cluster / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    cluster = folders.cluster.resolve()
    if not is_alive(pid):
        return None
    if b" -D %b -c " % os.fsencode(cluster) not in command_of(pid) and folder_of(pid) != cluster:
        return None
    return Postmaster(pid, lines[7].strip() if len(lines) > 7 else "")


def launch_postmaster(folders: Folders, programs: Programs, account: Account) -> int:
    """Launch PostgreSQL on the cluster and return its pid, without waiting until it is ready."""
    _remove_misleading_pids(folders)
    socket_dir = str(folders.run_dir.resolve()).replace('"', '""')
    options = OPTIONS | {"unix_socket_directories": f'"{socket_dir}"'}
    command = [str(programs.folder / "postgres"), "-D", str(folders.resolved_cluster)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    # By way of a shell that exits at once: the server is no child of ours, so it neither ends with this process
    # nor remains as its zombie. A session of its own keeps the terminal's Ctrl-C away from it.
    with open(folders.home / "start.log", "wb", opener=_private) as log:
        shell = subprocess.run(  # noqa: S603  no text of a user's is in it
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            umask=0o077,
            check=True,
            **account.process_options,
        )
    if account.uid != os.geteuid():
        logger.info("PostgreSQL runs as the system user %s, in %s", account.name, folders.home.resolve())
    return int(shell.stdout)


def stop_postmaster(folders: Folders) -> None:
    """Stop the server: a fast shutdown, which ends its sessions, then an immediate one if that takes too long."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5)):
        postmaster = find_postmaster(folders)
        if postmaster is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster.pid, number)
        deadline = time.monotonic() + seconds
        while is_alive(postmaster.pid) and time.monotonic() < deadline:
            time.sleep(0.005)
    if find_postmaster(folders) is not None:
        logger.warning("The embedded PostgreSQL in %s does not stop", folders.home)


def read_failure(folders: Folders) -> str:
    """Return the line of the server's logs that says why it is not running."""
    logs = sorted(folders.cluster.glob("log/*.log"), key=lambda log: log.stat().st_mtime)[-1:]
    for log in (folders.home / "start.log", *logs):
        text = log.read_text(errors="replace").rpartition("starting PostgreSQL")[2]
        reasons = re.findall("(?:FATAL|PANIC): +(.*)", text)
        if reasons := [reason for reason in reasons if "is starting up" not in reason]:
            return f"{reasons[-1]} (see {log})"
    return f"see {log}"


def _remove_misleading_pids(folders: Folders) -> None:
    """Remove a dead server's pid files if a zombie or another process has its pid now: either would prevent a start.

    A pid that no process has is left to PostgreSQL, which then also checks for that server's remaining children.
    """
    for pid_file in (folders.cluster / "postmaster.pid", Path(f"{folders.socket}.lock")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            os.kill(int(pid_file.read_text().splitlines()[0]), 0)
            if find_postmaster(folders) is None:
                pid_file.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
