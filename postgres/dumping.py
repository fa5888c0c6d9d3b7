"""PostgreSQL's own programs that write a database to a file, and read it back."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from psycopg2.extensions import make_dsn

from errors import StartupError
from postgres.programs import find_programs


async def dump_database(connect_kwargs: Mapping[str, str], file: Path, *, snapshot: str) -> None:
    """Write what *snapshot* sees to *file*, compressed.

    Raises:
        StartupError: why not.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data"]
    await _run("pg_dump", connect_kwargs, *options, f"--snapshot={snapshot}", f"--file={file}")


async def load_database(connect_kwargs: Mapping[str, str], file: Path) -> None:
    """Replace the tables that are in *file* by those in it, all or none.

    Raises:
        StartupError: why not; nothing is changed then.
    """
    options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    await _run("pg_restore", connect_kwargs, *options, str(file))


async def _run(program: str, connect_kwargs: Mapping[str, str], *arguments: str) -> None:
    """The password is in the environment: everybody on the machine may read a command line."""
    keywords = dict(connect_kwargs)
    password = keywords.pop("password", None)
    environment = {**os.environ, **({} if password is None else {"PGPASSWORD": password})}
    process = await asyncio.create_subprocess_exec(
        find_programs() / program,
        f"--dbname={make_dsn(**keywords)}",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise StartupError(" ".join(said.decode("utf-8", "replace").split()) or f"{program} ended without a reason")
