"""The cluster, PostgreSQL's data folder: created by initdb, with a password, and checked before each start."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from errors import StartupError
from postgres.folders import Folders
from postgres.host import Account, give_to, run_program
from postgres.programs import Programs, find_programs
from postgres.roles import DATABASE, SUPERUSER


def prepare_cluster(folders: Folders, programs: Programs, account: Account) -> None:
    """Create the cluster unless there is one; that one must be of *programs*' version, and becomes *account*'s own."""
    for leftover in folders.home.glob("cluster.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a process that was killed during initdb
    cluster = folders.resolved_cluster
    if not cluster.exists():
        _create_cluster(folders, programs, account)
    _check_version(folders, programs)
    if account.uid != os.geteuid() and cluster.stat().st_uid != account.uid:
        give_to(account, cluster)  # root copied it back, perhaps from a backup


def _create_cluster(folders: Folders, programs: Programs, account: Account) -> None:
    cluster = folders.resolved_cluster
    unfinished = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=cluster.parent))
    password = secrets.token_hex(32)
    password_file = _write_private(unfinished / "password", password + "\n")
    passfile = _write_private(unfinished / "pgpass", f"*:*:*:{SUPERUSER}:{password}\n")
    made = unfinished / "cluster"
    made.mkdir(mode=0o700)
    give_to(account, unfinished)  # from here on, whatever is in it may be a link that its owner made
    result = _run_initdb(made, password_file, programs, account)
    if result.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        reasons = re.findall("(?:FATAL|PANIC|HINT|error): +(.*)", result.stderr) or result.stderr.splitlines()[-1:]
        raise StartupError(f"The database in {folders.home} could not be created: {'; '.join(reasons)}")
    for path in (passfile.rename(made / "pgpass"), made):
        _sync(path)
    made.rename(cluster)
    _sync(cluster.parent)
    shutil.rmtree(unfinished)


def _run_initdb(
    cluster: Path, password_file: Path, programs: Programs, account: Account
) -> "subprocess.CompletedProcess[str]":
    locale = ["--locale=C.UTF-8"]
    if programs.major >= 17:  # sorts alike on every system; the C library's C.UTF-8 still says what a letter is
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(programs.folder / "initdb"), "-D", str(cluster)]
    command += [f"--username={SUPERUSER}", f"--pwfile={password_file}"]
    command += ["--encoding=UTF8", "--auth-local=scram-sha-256", "--auth-host=reject", *locale]
    if programs.major >= 17 and sys.platform == "linux":  # one sync for all files: 2 s less on a busy disk
        command.append("--sync-method=syncfs")
    result = run_program(command, account)
    if result.returncode != 0 and "invalid locale" in result.stderr:
        result = run_program([*command, "--no-locale"], account)
    return result


def _check_version(folders: Folders, programs: Programs) -> None:
    cluster = folders.resolved_cluster
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise StartupError(f"{cluster} is not a PostgreSQL data folder; move it away.") from None
    if found != str(programs.major):
        command = f"PGPASSFILE='{folders.cluster / 'pgpass'}' '{find_programs()}'"
        database = f"-h '{folders.run_dir}' -U {SUPERUSER} -d {DATABASE} -f pagewire.sql"
        raise StartupError(
            f"{cluster} was written by PostgreSQL {found}, and this is PostgreSQL {programs.major}. While the Pagewire "
            f"that wrote it is running, save it: {command}/pg_dump --clean --if-exists {database} ; stop it, move "
            f"'{folders.home}' away, start this one and load it: {command}/psql {database}"
        )


def _write_private(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
