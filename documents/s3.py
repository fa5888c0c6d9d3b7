"""Uploaded files in an S3 store; what this machine received and fetched lately is in a folder, of a bounded size."""

import asyncio
import contextlib
import hashlib
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from documents.folder import FolderStorage
from documents.storage import Incoming, Storage
from errors import DocumentFileMissingError, StartupError, StorageFullError, StorageUnavailableError
from extraction.values import Opener
from settings import S3Location, Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig

PART_BYTES = 8 * 1024 * 1024  # of a multipart upload: what is in memory is this many, PARTS_AT_ONCE times
PARTS_AT_ONCE = 2
FETCHED_BYTES = 1024 * 1024  # at once, to the cache
SENT_BYTES = 64 * 1024  # at once, to a client
ORPHAN_AGE = timedelta(hours=24)  # of a file without a document, before it is deleted: longer than any request lives
PING_SECONDS = 5.0
ANSWER_SECONDS = 6.0  # for a question and its repeats: a request that needs the store is answered within ten
SLOWEST_BYTES = 256 * 1024  # a second, between here and the store: what is large may take longer
RETRIES = 2
RETRY_SECONDS = 10.0
REFUSED = re.compile(r"status code: (?:3|4(?!08|29))")  # by its configuration, not for now
CLASSIC = re.compile(r"classic-[0-9a-f]{64}\.pdf")
NO_ROOM = re.compile(r"status code: 507|<Code>(?:XMinioStorageFull|QuotaExceeded|StorageFull|InsufficientStorage)")
CLIENT: "ClientConfig" = {"connect_timeout": "3s", "read_timeout": "30s", "timeout": "24h"}  # the last: slow downloads

logger = logging.getLogger("pagewire.s3")

T = TypeVar("T")


class S3Storage(Storage):
    """The files of one installation below `<prefix>/<mark>/` in a bucket.

    An object is visible when all of it is stored, so there are no temporary ones. What a crash leaves of a multipart
    upload is invisible, and the bucket's own rules have to remove it.
    """

    def __init__(
        self, location: S3Location, settings: Settings, *, mark: str, orphan_age: timedelta = ORPHAN_AGE
    ) -> None:
        secret, session = settings.aws_secret_access_key, settings.aws_session_token
        given: Any = {
            "access_key_id": settings.aws_access_key_id,
            "secret_access_key": secret and secret.get_secret_value(),
            "session_token": session and session.get_secret_value(),
            "region": location.region or settings.aws_region,
            "endpoint": location.endpoint,
        }
        self._store = S3Store(
            location.bucket,
            prefix=location.prefix or None,
            client_options={**CLIENT, "allow_http": (location.endpoint or "").startswith("http:")},
            disable_bulk_delete=True,  # not every store that speaks S3 can
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            **{name: value for name, value in given.items() if value},
        )
        self._location = location
        self._mark = mark
        self._names = re.compile(rf"{mark}-[0-9a-f]{{32}}\.pdf")  # of what is swept
        self._orphan_age = orphan_age
        self._folder = settings.data_dir.absolute() / "cache"
        self._cache = FolderStorage(self._folder, mark=mark, variable="DATA_DIR")
        self._max_cache_bytes = settings.storage_cache_mb * 1024 * 1024
        self._fetching: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """One that does not answer may come later; one that refuses is set up wrongly."""
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cache.open()
        probe = f"{self._mark}/probe"
        try:
            obstore.put(self._store, probe, b"")
            obstore.delete(self._store, probe)
        except (BaseError, OSError) as error:
            if REFUSED.search(str(error)):
                raise StartupError(f"STORAGE_URL: {self.description} refuses: {_reason(error)}") from error
            logger.warning("%s does not answer: %s", self.description, _reason(error))

    def close(self) -> None:
        self._cache.close()

    @property
    def description(self) -> str:
        return str(self._location)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await _ask(obstore.list(self._store, f"{self._mark}/probe", chunk_size=1).collect_async())
        except TimeoutError as error:
            raise StorageUnavailableError(retry_after=10) from error

    async def free_bytes(self) -> int:
        return await self._cache.free_bytes()

    @asynccontextmanager
    async def receive(self, source: BinaryIO, *, max_bytes: int) -> AsyncIterator[Incoming]:
        async with self._cache.receive(source, max_bytes=max_bytes) as incoming:
            yield incoming

    @asynccontextmanager
    async def keep(self, incoming: Incoming) -> AsyncIterator[None]:
        """The file stays in the cache, too: it is about to be extracted."""
        storing = asyncio.ensure_future(self._put(incoming.path, incoming.file_path))
        try:
            await asyncio.shield(storing)
            async with self._cache.keep(incoming):
                yield
        except BaseException:
            await asyncio.shield(self._take_back(storing, incoming.file_path))
            raise
        await self._make_room()

    def create(self, file_path: str | None = None) -> AbstractAsyncContextManager[Incoming]:
        return self._cache.create(file_path and self._name(file_path))

    async def _put(self, path: Path, file_path: str) -> None:
        size = (await asyncio.to_thread(path.stat)).st_size
        storing = obstore.put_async(
            self._store, self._key(file_path), path, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        await _ask(storing, size=size)

    async def _take_back(self, storing: "asyncio.Future[None]", file_path: str) -> None:
        """Delete what may have been stored; if that cannot be done now, a sweep does it."""
        await asyncio.wait([storing])
        if storing.exception() is None:
            with contextlib.suppress(StorageUnavailableError):
                await self.delete(file_path)

    def source_of(self, file_path: str) -> Opener:
        return partial(self._open, file_path)

    async def fetch(self, file_path: str) -> Opener:
        (await self._open(file_path)).close()
        return self.source_of(file_path)

    async def _open(self, file_path: str) -> IO[bytes]:
        """The file, opened in the cache: it can be read to its end whatever becomes of its name."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                return await asyncio.to_thread(self._open_cached, file_path)
            task = self._fetching.get(file_path)
            if task is None:
                task = self._fetching[file_path] = asyncio.create_task(self._fetch(file_path))
                task.add_done_callback(lambda _: self._fetching.pop(file_path, None))
            await asyncio.shield(task)

    def _open_cached(self, file_path: str) -> IO[bytes]:
        path = self._cache.path_of(self._name(file_path))
        file = path.open("rb", buffering=0)
        with contextlib.suppress(OSError):
            os.utime(path)  # the one that was not used for longest goes first
        return file

    async def _fetch(self, file_path: str) -> None:
        stored = await self.find(file_path)
        if stored is None:
            raise DocumentFileMissingError
        async with self.create(file_path) as copy:
            async for part in stored.read(0, stored.size, at_once=FETCHED_BYTES):
                await self._cache.in_thread(partial(copy.write, part))
            if copy.size != stored.size:
                raise StorageUnavailableError(retry_after=10)
            async with self._cache.keep(copy):
                pass
        await self._make_room()

    async def _make_room(self) -> None:
        with contextlib.suppress(StorageUnavailableError):  # the next one tries again
            await self._cache.in_thread(partial(self._cache.shrink, self._max_cache_bytes))

    async def find(self, file_path: str) -> "FileInS3 | None":
        try:
            facts = await _ask(obstore.head_async(self._store, self._key(file_path)))
        except DocumentFileMissingError:
            return None
        return FileInS3(self._store, facts["path"], facts["size"], facts["last_modified"])

    async def delete(self, file_path: str) -> None:
        await self._cache.delete(self._name(file_path))
        await _ask(obstore.delete_async(self._store, self._key(file_path)))

    async def list_unlocked(self) -> list[str]:
        """Only what is older than any request, and the cache's temporary files."""
        temporary = [name for name in await self._cache.list_unlocked() if self.is_temporary(name)]
        before = datetime.now(UTC) - self._orphan_age
        names = []
        objects = obstore.list(self._store, self._mark, chunk_size=1000)
        async for part in _each(objects):
            for found in part:
                name = found["path"].rpartition("/")[2]
                if found["last_modified"] < before and self._names.fullmatch(name):
                    names.append(name)
        return temporary + names

    async def delete_unlocked(self, file_paths: Sequence[str]) -> None:
        await self._cache.delete_unlocked(file_paths)
        keys = [self._key(name) for name in file_paths if not self.is_temporary(name)]
        if keys:
            await _ask(obstore.delete_async(self._store, keys))

    def _key(self, file_path: str) -> str:
        return f"{self._mark}/{self._name(file_path)}"

    def _name(self, file_path: str) -> str:
        """What *file_path* is called here: a row may come from a classic installation, and from anyone who can write
        to its database."""
        if self._names.fullmatch(file_path) or CLASSIC.fullmatch(file_path):
            return file_path
        return f"classic-{hashlib.sha256(file_path.encode('utf-8', 'surrogateescape')).hexdigest()}.pdf"


class FileInS3:
    """A file as it is sent to people: from the store to them, a part at a time."""

    def __init__(self, store: S3Store, key: str, size: int, modified: datetime) -> None:
        self.size = size
        self.modified_at = modified.timestamp()
        self._store = store
        self._key = key

    async def read(self, first: int, stop: int, *, at_once: int = SENT_BYTES) -> AsyncGenerator[bytes]:
        if first >= stop:
            return
        found = await _ask(obstore.get_async(self._store, self._key, options={"range": (first, stop)}))
        async for part in _each(found.stream(min_chunk_size=at_once), size=at_once):
            yield bytes(part)


async def _ask(question: Awaitable[T], *, size: int = 0) -> T:
    """Await an answer of the store, for which *size* bytes are sent or received.

    Raises:
        DocumentFileMissingError, StorageFullError, StorageUnavailableError
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS + size / SLOWEST_BYTES):
            return await question
    except FileNotFoundError as error:
        raise DocumentFileMissingError from error
    except (BaseError, OSError) as error:
        logger.warning("the S3 store: %s", _reason(error))
        if NO_ROOM.search(str(error)):
            raise StorageFullError from error
        raise StorageUnavailableError(retry_after=10) from error


async def _each(stream: AsyncIterator[T], *, size: int = 0) -> AsyncIterator[T]:
    """What *stream* brings, each part of about *size* bytes, with the errors of `_ask`."""
    with contextlib.suppress(StopAsyncIteration):
        while True:
            yield await _ask(anext(stream), size=size)


def _reason(error: Exception) -> str:
    """The first line of what obstore says, and the code of the store's answer."""
    text = str(error) or "no answer in time"
    code = re.search(r"<Code>(\w+)</Code>", text)
    return text.partition("\n")[0].partition(": <")[0] + (f" {code[1]}" if code else "")
