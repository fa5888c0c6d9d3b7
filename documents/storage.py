"""Uploaded files: size-limited, hashed, durable before they are acknowledged, removed if refused."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from errors import PayloadTooLargeError, StartupError, StorageFullError, StorageUnavailableError

PDF_MARK = b"%PDF-"
PDF_MARK_WITHIN = 1024  # bytes; what PDF viewers accept (PDF 1.7, implementation note 13)
COPY_BYTES = 1024 * 1024
THREADS = 4
NO_FILE = ".no-file"
T = TypeVar("T")


class Incoming:
    """A received file under a temporary name, locked while its request lives.

    The kernel drops the lock (flock) however the process ends, so an unlocked temporary file is an orphan.
    """

    def __init__(self, path: Path, descriptor: int, permanent_path: Path) -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        self.looks_like_pdf = False
        self.is_kept = False
        self.file_path = permanent_path.name  # what the database calls it, once kept
        self._permanent_path = permanent_path
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

    def rename(self) -> None:
        os.fsync(self._descriptor)
        self.path.rename(self._permanent_path)
        self.path = self._permanent_path
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._descriptor)


class Storage:
    """The upload folder of one installation. File names carry its *mark*, so a shared folder can be swept safely."""

    def __init__(self, folder: Path, *, mark: str) -> None:
        self._folder = folder.absolute()
        self._mark = mark
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    def open(self) -> None:
        """Create the folder.

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

    async def free_bytes(self) -> int:
        """What the folder's disk has left."""
        return (await self._in_thread(partial(shutil.disk_usage, self._folder))).free

    @asynccontextmanager
    async def receive(self, source: BinaryIO, *, max_bytes: int) -> AsyncIterator[Incoming]:
        """Copy *source* to the upload folder; the file is gone after the block unless it was kept.

        Raises:
            PayloadTooLargeError, StorageFullError, StorageUnavailableError
        """
        incoming = await self._in_thread(self._create)
        with contextlib.closing(incoming):
            try:
                await self._in_thread(lambda: incoming.fill(source, max_bytes))
                yield incoming
            finally:
                if not incoming.is_kept:
                    await asyncio.shield(self._in_thread(incoming.discard))

    @asynccontextmanager
    async def keep(self, incoming: Incoming) -> AsyncIterator[None]:
        """Give the file its permanent name, under which it survives a power cut, while the block records it.

        The file is kept from the end of the block on; if the block fails, it is not.
        """
        await self._in_thread(incoming.rename)
        yield
        incoming.is_kept = True

    def path_of(self, file_path: str) -> Path:
        """The path of the file that the database calls *file_path*: a regular file below the upload folder.

        What is elsewhere, a link or no file is a path at which there is none: a row may come from a classic
        installation, and from anyone who can write to its database.
        """
        for folder in (self._folder, Path()):  # an older installation's paths begin at the working folder
            path = folder / file_path
            with contextlib.suppress(OSError, ValueError):
                is_file = stat.S_ISREG(path.lstat().st_mode)
                if is_file and path.resolve().is_relative_to(self._folder.resolve()):
                    return path
        return self._folder / NO_FILE

    async def delete(self, file_path: str) -> None:
        """Delete a file; it may be gone already."""
        await self._in_thread(lambda: self.path_of(file_path).unlink(missing_ok=True))

    async def list_unlocked(self) -> list[str]:
        """The names of this installation's files that no request holds: those of documents, and orphans."""
        return await self._in_thread(self._find_unlocked)

    async def delete_unlocked(self, file_paths: Sequence[str]) -> None:
        """Delete those of *file_paths* that still no request holds."""
        await self._in_thread(lambda: self._unlink_unlocked(file_paths))

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
            os.close(descriptor)  # a starting process swept it before it was locked

    def _find_unlocked(self) -> list[str]:
        pattern = re.compile(rf"(\.{self._mark}-[0-9a-f]{{32}}\.part|{self._mark}-[0-9a-f]{{32}}\.pdf)")
        names = [entry.name for entry in os.scandir(self._folder) if pattern.fullmatch(entry.name)]
        return [name for name in names if _is_unlocked(self._folder / name)]

    def _unlink_unlocked(self, file_paths: Sequence[str]) -> None:
        for path in (self._folder / name for name in file_paths):
            if _is_unlocked(path):
                path.unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise storage_error(error) from error


def storage_error(error: OSError) -> StorageFullError | StorageUnavailableError:
    """The error that an OSError while writing a file is answered with."""
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
