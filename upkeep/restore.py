"""An installation from its backup, into another database and another storage."""

import asyncio
import contextlib
import json
import logging
import secrets
from pathlib import Path

from db import Database
from documents.storage import DamagedFileError
from documents.stores import make_storage
from errors import StartupError
from postgres.dumping import load_database
from postgres.location import DatabaseLocation
from postgres.opening import open_schema, reached_database
from postgres.queries import get_installation_mark
from settings import Settings
from upkeep.archive import DUMP, FILES, Archive
from upkeep.queries import become_another_installation, get_occupancy, has_accounts

RESTORE_SECONDS = 3600.0
MARK_CHARACTERS = 12

logger = logging.getLogger("pagewire.restore")


async def restore(settings: Settings, location: DatabaseLocation, *, file: Path) -> str:
    """Restore the archive *file* into the database and the storage of *settings*; one that was interrupted goes on.

    The files come first, then the database, in one transaction. What is restored is another installation, with a mark
    of its own, so that it never touches the files of the one it is a copy of; and its events are another history.

    Raises:
        StartupError, PagewireError
    """
    try:
        with file.open("rb") as opened:
            return await _Restore(settings, location, await asyncio.to_thread(Archive, opened, str(file))).run()
    except OSError as error:
        raise StartupError(f"{error.filename or file}: {error.strerror}") from error


class _Restore:
    def __init__(self, settings: Settings, location: DatabaseLocation, archive: Archive) -> None:
        self._settings = settings
        self._location = location
        self._archive = archive
        self._note = settings.data_dir / "restoring.json"  # which archive, and the mark of what becomes of it

    async def run(self) -> str:
        async with reached_database(self._location, size=2) as database:
            is_loaded = await self._check_target(database)
            mark = self._read_mark() or self._choose_mark()
            count = await self._restore_files(mark)
            if not is_loaded:
                await self._load()
            await open_schema(database, description=self._location.description)
            if await get_installation_mark(database) == self._archive.manifest["mark"]:
                async with database.transaction(seconds=RESTORE_SECONDS) as tx:
                    await become_another_installation(tx, mark=mark, gone=self._archive.end["gone"])
        self._note.unlink(missing_ok=True)
        created_at = self._archive.manifest["created_at"]
        return f"{self._location.description} and {count} files are as they were at {created_at}; start the server."

    async def _check_target(self, database: Database) -> bool:
        """Whether the archive's database is there already, since the last attempt."""
        async with database.connection() as connection:
            occupancy = await get_occupancy(connection)
            if occupancy.sessions:
                raise StartupError(f"{self._location.description} is in use: stop what is connected to it")
            if not occupancy.has_tables or not await has_accounts(connection):
                return False
            ours = self._read_mark()
            if ours is None or await get_installation_mark(connection) not in (ours, self._archive.manifest["mark"]):
                raise StartupError(f"{self._location.description} has accounts: restore into an empty database")
            return True

    def _read_mark(self) -> str | None:
        """That of an attempt at the same archive that was interrupted."""
        with contextlib.suppress(FileNotFoundError):
            note = json.loads(self._note.read_text())
            if note["id"] == self._archive.manifest["id"]:
                return str(note["mark"])
        return None

    def _choose_mark(self) -> str:
        mark = secrets.token_hex(MARK_CHARACTERS // 2)
        self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._note.write_text(json.dumps({"id": self._archive.manifest["id"], "mark": mark}))
        return mark

    async def _restore_files(self, mark: str) -> int:
        storage = make_storage(self._settings.storage, self._settings, mark=mark)
        await asyncio.to_thread(storage.open)
        former = f"{self._archive.manifest['mark']}-"
        count = 0
        with contextlib.closing(storage):
            for number, (document_id, file_path, sha256) in enumerate(self._archive.list_files()):
                member = self._archive.members.get(f"{FILES}{number}")
                if member is None:
                    continue
                name = f"{mark}-{file_path.removeprefix(former)}" if file_path.startswith(former) else file_path
                found = await storage.find(name)
                if found is None or found.size != member.size:
                    known = None if document_id in self._archive.end["damaged"] else sha256
                    try:
                        await storage.copy(name, self._archive.read(member), sha256=known)
                    except DamagedFileError as error:
                        raise StartupError(f"the archive is damaged: the file of document {document_id}") from error
                count += 1
        return count

    async def _load(self) -> None:
        dump = self._note.with_name("restoring.dump")
        try:
            found = await asyncio.to_thread(self._archive.extract, DUMP, dump)
            if found != self._archive.manifest["database_sha256"]:
                raise StartupError("the archive is damaged: its database")
            await load_database(self._location.connect_kwargs, dump)
        finally:
            dump.unlink(missing_ok=True)
