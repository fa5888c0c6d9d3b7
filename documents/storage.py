"""Where uploaded files are kept: what every kind of storage can do. A folder is one kind, an S3 store another."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import BinaryIO

from edge.ranges import StoredFile
from errors import PayloadTooLargeError, StorageFullError, StorageUnavailableError
from extraction.values import Opener

PDF_MARK = b"%PDF-"
PDF_MARK_WITHIN = 1024  # bytes; what PDF viewers accept (PDF 1.7, implementation note 13)
COPY_BYTES = 1024 * 1024


class DamagedFileError(Exception):
    """A file is not the one that was uploaded."""


class Incoming:
    """A received file under a temporary name on this machine, locked while its request lives.

    The kernel drops the lock (flock) however the process ends, so an unlocked temporary file is an orphan.
    """

    def __init__(self, path: Path, descriptor: int, permanent_path: Path) -> None:
        self.path = path
        self.size = 0
        self.looks_like_pdf = False
        self.is_kept = False
        self.file_path = permanent_path.name  # what the database calls it, once kept
        self._permanent_path = permanent_path
        self._descriptor = descriptor
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def fill(self, source: BinaryIO, max_bytes: int) -> None:
        source.seek(0)
        while chunk := source.read(COPY_BYTES):
            if self.size == 0:
                self.looks_like_pdf = PDF_MARK in chunk[:PDF_MARK_WITHIN]
            if self.size + len(chunk) > max_bytes:
                raise PayloadTooLargeError(f"The file is larger than {max_bytes // 1024 // 1024} MB.")
            self.write(chunk)

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size += len(chunk)
        left = memoryview(chunk)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def rename(self) -> None:
        """Give it its permanent name, under which it survives a power cut."""
        os.fsync(self._descriptor)
        self.path.rename(self._permanent_path)
        self.path = self._permanent_path
        _sync_folder(self.path.parent)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._descriptor)


class Storage(ABC):
    """The files of one installation, by what the database calls them. File names carry the installation's mark, so
    that a shared place can be swept safely.

    Every method but `source_of` may raise StorageUnavailableError; what receives or fetches, StorageFullError.
    """

    @abstractmethod
    def open(self) -> None:
        """Blocks.

        Raises:
            StartupError: if it cannot be used.
        """

    @abstractmethod
    def close(self) -> None: ...

    @property
    @abstractmethod
    def description(self) -> str:
        """Where it is, for the log."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if files can be stored and read."""

    @abstractmethod
    async def free_bytes(self) -> int:
        """What the disk of its folder has left."""

    @abstractmethod
    def receive(self, source: BinaryIO, *, max_bytes: int) -> AbstractAsyncContextManager[Incoming]:
        """Copy *source* to a file on this machine; it is gone after the block unless it was kept.

        Raises:
            PayloadTooLargeError
        """

    @abstractmethod
    def create(self, file_path: str | None = None) -> AbstractAsyncContextManager[Incoming]:
        """An empty file under a temporary name, to be called *file_path*; gone after the block unless it was kept."""

    async def copy(self, file_path: str, parts: AsyncIterator[bytes], *, sha256: str | None) -> None:
        """Store, as *file_path*, a file that comes from elsewhere.

        Raises:
            DamagedFileError: if its bytes have another *sha256*; then it is not stored.
        """
        async with self.create(file_path) as incoming:
            async for part in parts:
                try:
                    await asyncio.to_thread(incoming.write, part)
                except OSError as error:
                    raise storage_error(error) from error
            if sha256 not in (None, incoming.sha256):
                raise DamagedFileError
            async with self.keep(incoming):
                pass

    @abstractmethod
    def keep(self, incoming: Incoming) -> AbstractAsyncContextManager[None]:
        """Store the file for good, under its permanent name, while the block records it.

        The file is kept from the end of the block on; if the block fails, it is not.
        """

    @abstractmethod
    def source_of(self, file_path: str) -> Path | Opener:
        """What a worker is given to read; there may be no such file."""

    @abstractmethod
    async def fetch(self, file_path: str) -> Path | Opener:
        """As `source_of`, of a file that exists, and is on this machine now.

        Raises:
            DocumentFileMissingError
        """

    @abstractmethod
    async def find(self, file_path: str) -> StoredFile | None:
        """The file as it is sent to people."""

    @abstractmethod
    async def delete(self, file_path: str) -> None:
        """Delete a file; it may be gone already."""

    @abstractmethod
    async def list_unlocked(self) -> list[str]:
        """The names of this installation's files that no request holds: those of documents, and orphans."""

    @abstractmethod
    async def delete_unlocked(self, file_paths: Sequence[str]) -> None:
        """Delete those of *file_paths* that still no request holds."""

    def is_temporary(self, file_path: str) -> bool:
        return file_path.startswith(".")


def storage_error(error: OSError) -> StorageFullError | StorageUnavailableError:
    """The error that an OSError while writing a file is answered with."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFullError()
    return StorageUnavailableError(retry_after=10)


def is_unlocked(path: Path) -> bool:
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
