"""Database and files in one archive, as they were at one moment, while the server runs."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from db import Database
from documents.storage import Storage
from documents.stores import make_storage
from errors import StartupError
from postgres.dumping import dump_database
from postgres.location import DatabaseLocation
from postgres.opening import opened_database
from postgres.queries import get_installation_mark
from settings import Settings
from upkeep.archive import DUMP, END, FILES, FORMAT, LIST, MANIFEST, ArchiveWriter, Member, list_members
from upkeep.queries import export_snapshot, list_files

LISTED = 1000
SNAPSHOT_SECONDS = 24 * 3600.0
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0"

logger = logging.getLogger("pagewire.backup")


async def back_up(settings: Settings, location: DatabaseLocation, *, version: str, file: Path) -> str:
    """Write it to *file*, which is there when it is whole; one that was interrupted goes on. Return what was done.

    Files never change, so those of a moment are there later, but for documents that are deleted meanwhile: these are
    not restored.

    Raises:
        StartupError, PagewireError
    """
    part = file.with_name(f"{file.name}.part")
    try:
        with _open_part(file, part) as archive:
            async with opened_database(location, size=3) as database:
                storage = make_storage(settings.storage, settings, mark=await get_installation_mark(database))
                await asyncio.to_thread(storage.open)
                with contextlib.closing(storage):
                    backup = _Backup(database, storage, location, archive, part)
                    told = await backup.write(version)
    except OSError as error:
        raise StartupError(f"{part}: {error.strerror}") from error
    part.rename(file)
    return f"{file}: {told}"


def _open_part(file: Path, part: Path) -> IO[bytes]:
    if file.exists():
        raise StartupError(f"{file} exists")
    opened = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        opened.close()
        raise StartupError(f"{part} is being written") from error
    return opened


class _Backup:
    def __init__(
        self, database: Database, storage: Storage, location: DatabaseLocation, archive: IO[bytes], path: Path
    ) -> None:
        self._database = database
        self._storage = storage
        self._location = location
        self._archive = archive
        self._path = path

    async def write(self, version: str) -> str:
        members = {member.name: member for member in list_members(self._archive)}
        if LIST in members:
            logger.info("going on with %s, as of its beginning", self._path)
            writer = ArchiveWriter(self._archive)
        else:
            self._archive.seek(0)
            writer = ArchiveWriter(self._archive)
            members = {LIST: await self._begin(writer, version)}
        return await self._add_files(writer, members)

    async def _begin(self, writer: ArchiveWriter, version: str) -> Member:
        """Write the database, and which files belong to it, as of one snapshot."""
        dump, listed = (self._path.with_name(f"{self._path.name}.{name}") for name in ("dump", "list"))
        try:
            async with self._database.transaction(seconds=SNAPSHOT_SECONDS, settings=SNAPSHOT) as tx:
                snapshot = await export_snapshot(tx)
                mark = await get_installation_mark(tx)
                with listed.open("w") as lines:
                    after_id = 0
                    while rows := await list_files(tx, after_id=after_id, limit=LISTED):
                        after_id = rows[-1].document_id
                        lines.writelines(json.dumps(row) + "\n" for row in rows)
                await dump_database(self._location.connect_kwargs, dump, snapshot=snapshot)
            manifest = {
                "format": FORMAT,
                "id": secrets.token_hex(16),
                "pagewire": version,
                "mark": mark,
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "database_sha256": await asyncio.to_thread(_hash, dump),
            }
            writer.add_json(MANIFEST, manifest)
            await asyncio.to_thread(writer.add_file, DUMP, dump)
            return await asyncio.to_thread(writer.add_file, LIST, listed)
        finally:
            dump.unlink(missing_ok=True)
            listed.unlink(missing_ok=True)

    async def _add_files(self, writer: ArchiveWriter, members: dict[str, Member]) -> str:
        there, added = self._archive.tell(), 0
        self._archive.seek(members[LIST].first)
        lines = self._archive.read(members[LIST].size).splitlines()
        self._archive.seek(there)
        missing: list[int] = []
        damaged: list[int] = []
        for number, line in enumerate(lines):
            document_id, file_path, sha256 = json.loads(line)
            name = f"{FILES}{number}"
            if name in members:
                added += 1
                continue
            file = await self._storage.find(file_path)
            if file is None:
                missing.append(document_id)
                continue
            found = await writer.add(name, file.size, file.read(0, file.size))
            added += 1
            if sha256 not in (None, found):
                damaged.append(document_id)
        gone = await self._find_gone(missing)
        writer.add_json(END, {"gone": sorted(gone), "damaged": damaged})
        writer.end()
        told = [f"the database and {added} files"]
        told += [f"document {document_id} has no file" for document_id in missing if document_id not in gone]
        told += [f"the file of document {document_id} is not the one that was uploaded" for document_id in damaged]
        return "\n".join(told)

    async def _find_gone(self, document_ids: list[int]) -> set[int]:
        """Those that were deleted since the snapshot."""
        gone = set()
        for document_id in document_ids:
            rows = await list_files(self._database, after_id=document_id - 1, limit=1)
            if not rows or rows[0].document_id != document_id:
                gone.add(document_id)
        return gone


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
