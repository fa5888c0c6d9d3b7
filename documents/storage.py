"""Keep uploaded files: received under a limit, hashed, durable before anybody is told, removed when refused."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from errors import PayloadTooLargeError, StartupError, StorageFullError, StorageUnavailableError

PDF_MARK = b"%PDF-"
PDF_MARK_WITHIN = 1024  # bytes; what readers accept (PDF 1.7, implementation note 13)
COPY_BYTES = 1024 * 1024
THREADS = 4
T = TypeVar("T")


class Incoming:
    """A received file under a temporary name, locked while its request lives.

    The lock (flock) is dropped by the kernel however the process ends: an unlocked temporary file is an orphan.
    """

    def __init__(self, path: Path, descriptor: int, kept_path: Path) -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        self.looks_like_pdf = False
        self.file_path = kept_path.name  # what the database calls it, once kept
        self._kept_path = kept_path
        self._descriptor = descriptor

    def fill(self, source: BinaryIO, max_bytes: int) -> None:
        digest = hashlib.sha256()
        source.seek(0)
        with os.fdopen(os.dup(self._descriptor), "wb") as target:
            while chunk := source.read(COPY_BYTES):
                if self.size == 0:
                    self.looks_like_pdf = PDF_MARK in chunk[:PDF_MARK_WITHIN]
                self.size += len(chunk)
                if self.size > max_bytes:
                    raise PayloadTooLargeError(f"The file is larger than {max_bytes // 1024 // 1024} MB.")
                digest.update(chunk)
                target.write(chunk)
        self.sha256 = digest.hexdigest()

    def keep(self) -> None:
        os.fsync(self._descriptor)
        self.path.rename(self._kept_path)
        self.path = self._kept_path
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        os.close(self._descriptor)


class Storage:
    """The upload folder of one installation. Names carry its *mark*, so that folders can be shared and swept safely."""

    def __init__(self, folder: Path, *, mark: str) -> None:
        self._folder = folder.absolute()
        self._mark = mark
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    def open(self) -> None:
        """Make the folder.

        Raises:
            StartupError: if it cannot be written to.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.check()
        except OSError as error:
            raise StartupError(f"UPLOAD_DIR: cannot write to {self._folder}: {error.strerror}") from error

    def close(self) -> None:
        self._threads.shutdown()

    def check(self) -> None:
        """Raise OSError if the folder cannot be written to."""
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable")

    async def ping(self) -> None:
        await self._in_thread(self.check)

    @asynccontextmanager
    async def receive(self, source: BinaryIO, *, max_bytes: int) -> AsyncIterator[Incoming]:
        """Copy *source* to the upload folder; it is gone after the block unless `keep` was called and all went well.

        Raises:
            PayloadTooLargeError, StorageFullError, StorageUnavailableError
        """
        incoming = await self._in_thread(self._create)
        try:
            await self._in_thread(lambda: incoming.fill(source, max_bytes))
            yield incoming
            if incoming.path.name != incoming.file_path:
                await self._in_thread(incoming.discard)
        except BaseException:
            await asyncio.shield(self._in_thread(incoming.discard))
            raise
        finally:
            incoming.release()

    async def keep(self, incoming: Incoming) -> None:
        """Give the file its lasting name; after this it survives a power cut."""
        await self._in_thread(incoming.keep)

    def path_of(self, file_path: str) -> Path:
        """Where the file is that the database calls *file_path*."""
        path = self._folder / file_path
        if not path.exists() and Path(file_path).exists():
            return Path(file_path)  # an older installation's path, relative to the working folder
        return path

    async def delete(self, file_path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        await self._in_thread(lambda: self.path_of(file_path).unlink(missing_ok=True))

    async def list_orphans(self) -> list[str]:
        """Names of this installation's files that no living request holds; those a document owns are not orphans."""
        return await self._in_thread(self._list_unlocked)

    async def delete_orphans(self, file_paths: Sequence[str]) -> None:
        """Remove those of *file_paths* that still nobody holds."""
        await self._in_thread(lambda: self._delete_unlocked(file_paths))

    def is_temporary(self, file_path: str) -> bool:
        return file_path.startswith(".")

    def _create(self) -> Incoming:
        while True:
            name = f"{self._mark}-{secrets.token_hex(16)}"
            path = self._folder / f".{name}.part"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return Incoming(path, descriptor, self._folder / f"{name}.pdf")
            os.close(descriptor)  # another process, just starting, swept it before it was locked

    def _list_unlocked(self) -> list[str]:
        pattern = re.compile(rf"(\.{self._mark}-[0-9a-f]{{32}}\.part|{self._mark}-[0-9a-f]{{32}}\.pdf)")
        names = [entry.name for entry in os.scandir(self._folder) if pattern.fullmatch(entry.name)]
        return [name for name in names if _is_unlocked(self._folder / name)]

    def _delete_unlocked(self, file_paths: Sequence[str]) -> None:
        for path in (self._folder / name for name in file_paths):
            if _is_unlocked(path):
                path.unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise storage_error(error) from error


def storage_error(error: OSError) -> StorageFullError | StorageUnavailableError:
    """What to tell people of an OSError while a file is written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFullError()
    return StorageUnavailableError(retry_after=10)


def _is_unlocked(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
