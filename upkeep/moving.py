"""Copy the files of all documents to another storage, each checked by its hash; what is there already is left alone."""

import asyncio
import hashlib
import logging
from collections import Counter
from contextlib import ExitStack

from documents.storage import DamagedFileError, Storage
from documents.stores import make_storage
from errors import DocumentFileMissingError, PagewireError, StartupError
from postgres.location import DatabaseLocation
from postgres.opening import opened_database
from postgres.queries import get_installation_mark
from settings import Settings, parse_storage_url
from upkeep.queries import FileRow, list_files

AT_ONCE = 8
LISTED = 200
SAY_EVERY = 1000  # files

logger = logging.getLogger("pagewire.moving")


async def move_files(settings: Settings, location: DatabaseLocation, *, url: str) -> str:
    """Copy them to the storage at *url*, while the server runs or not; return what was done.

    Raises:
        StartupError: if *url* names no storage, or something was not copied.
    """
    try:
        there = parse_storage_url(url, upload_dir=settings.upload_dir)
    except ValueError as error:
        raise StartupError(f"{url}: {error}") from error
    if there == settings.storage:
        raise StartupError(f"{url}: the files are there")
    async with opened_database(location, size=2) as database:
        mark = await get_installation_mark(database)
        with ExitStack() as stack:
            source = make_storage(settings.storage, settings, mark=mark)
            target = make_storage(there, settings, mark=mark)
            for storage in (source, target):
                await asyncio.to_thread(storage.open)
                stack.callback(storage.close)
            moving = _Moving(source, target)
            after_id = 0
            while rows := await list_files(database, after_id=after_id, limit=LISTED):
                after_id = rows[-1].document_id
                await moving.move_all(rows)
    done = moving.outcomes
    told = (
        f"{done['moved']} files were copied to {target.description}, {done['there']} were there already;"
        f" {done['missing']} are missing."
    )
    if done["failed"]:
        raise StartupError(f"{told} {done['failed']} could not be copied: run the same command again.")
    return (
        f"{told}\nIf documents were uploaded meanwhile: stop the server, and run this again. Then set"
        f" STORAGE_URL={url} and start it. The files in {source.description} are still there."
    )


class _Moving:
    def __init__(self, source: Storage, target: Storage) -> None:
        self.outcomes: Counter[str] = Counter()
        self._source = source
        self._target = target
        self._places = asyncio.Semaphore(AT_ONCE)

    async def move_all(self, rows: list[FileRow]) -> None:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._move(row))

    async def _move(self, row: FileRow) -> None:
        async with self._places:
            try:
                outcome = await self._move_one(row)
            except DocumentFileMissingError:
                outcome = "missing"
            except (DamagedFileError, PagewireError) as error:
                logger.error("document %d: %s", row.document_id, str(error) or error.__doc__)
                outcome = "failed"
        if outcome == "missing":
            logger.warning("document %d has no file", row.document_id)
        self.outcomes[outcome] += 1
        if self.outcomes.total() % SAY_EVERY == 0:
            logger.info("%d files", self.outcomes.total())

    async def _move_one(self, row: FileRow) -> str:
        file = await self._source.find(row.file_path)
        if file is None:
            raise DocumentFileMissingError
        there = await self._target.find(row.file_path)
        if there is not None and there.size == file.size:
            return "there"
        await self._target.copy(row.file_path, file.read(0, file.size), sha256=row.sha256)
        if row.sha256 is not None and await self._hash(row.file_path) != row.sha256:
            await self._target.delete(row.file_path)
            raise DamagedFileError
        return "moved"

    async def _hash(self, file_path: str) -> str:
        """Of what can be read from the target now."""
        file = await self._target.find(file_path)
        digest = hashlib.sha256()
        if file is not None:
            async for part in file.read(0, file.size):
                digest.update(part)
        return digest.hexdigest()
