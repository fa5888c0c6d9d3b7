"""Uploaded files in a folder: size-limited, hashed, durable before they are acknowledged, removed if refused."""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from documents.storage import Incoming, Storage, is_unlocked, storage_error
from errors import DocumentFileMissingError, StartupError

THREADS = 4
SENT_BYTES = 64 * 1024  # at once, to a client
NO_FILE = ".no-file"
T = TypeVar("T")


class FolderStorage(Storage):
    """The upload folder of one installation."""

    def __init__(self, folder: Path, *, mark: str, variable: str = "UPLOAD_DIR") -> None:
        """*variable*: the setting that names the folder."""
        self._folder = folder.absolute()
        self._mark = mark
        self._variable = variable
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    def open(self) -> None:
        """Create the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._check()
        except OSError as error:
            raise StartupError(f"{self._variable}: cannot write to {self._folder}: {error.strerror}") from error

    def close(self) -> None:
        self._threads.shutdown()

    @property
    def description(self) -> str:
        return str(self._folder)

    def _check(self) -> None:
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable")

    async def ping(self) -> None:
        await self.in_thread(self._check)

    async def free_bytes(self) -> int:
        return (await self.in_thread(partial(shutil.disk_usage, self._folder))).free

    @asynccontextmanager
    async def receive(self, source: BinaryIO, *, max_bytes: int) -> AsyncIterator[Incoming]:
        async with self.create() as incoming:
            await self.in_thread(lambda: incoming.fill(source, max_bytes))
            yield incoming

    @asynccontextmanager
    async def create(self, file_path: str | None = None) -> AsyncIterator[Incoming]:
        incoming = await self.in_thread(partial(self._create, file_path))
        with contextlib.closing(incoming):
            try:
                yield incoming
            finally:
                if not incoming.is_kept:
                    await asyncio.shield(self.in_thread(incoming.discard))

    @asynccontextmanager
    async def keep(self, incoming: Incoming) -> AsyncIterator[None]:
        await self.in_thread(incoming.rename)
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

    def source_of(self, file_path: str) -> Path:
        return self.path_of(file_path)

    async def fetch(self, file_path: str) -> Path:
        path = self.path_of(file_path)
        if not path.exists():
            raise DocumentFileMissingError
        return path

    async def find(self, file_path: str) -> "FileInFolder | None":
        path = self.path_of(file_path)
        try:
            return FileInFolder(path, path.stat(), self)
        except OSError:
            return None

    async def delete(self, file_path: str) -> None:
        await self.in_thread(lambda: self.path_of(file_path).unlink(missing_ok=True))

    async def list_unlocked(self) -> list[str]:
        return await self.in_thread(self._find_unlocked)

    async def delete_unlocked(self, file_paths: Sequence[str]) -> None:
        await self.in_thread(lambda: self._unlink_unlocked(file_paths))

    def _create(self, file_path: str | None) -> Incoming:
        while True:
            name = f"{self._mark}-{secrets.token_hex(16)}"
            path = self._folder / f".{name}.part"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return Incoming(path, descriptor, self._permanent_path(file_path or f"{name}.pdf"))
            os.close(descriptor)  # a starting process swept it before it was locked

    def _permanent_path(self, file_path: str) -> Path:
        """Below the folder, whatever is asked for; a classic installation's files may be in folders of their own."""
        path = Path(os.path.normpath(self._folder / file_path))
        if not path.is_relative_to(self._folder):
            raise PermissionError(errno.EACCES, f"{file_path} is not in the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _find_unlocked(self) -> list[str]:
        pattern = re.compile(rf"(\.{self._mark}-[0-9a-f]{{32}}\.part|{self._mark}-[0-9a-f]{{32}}\.pdf)")
        names = [entry.name for entry in os.scandir(self._folder) if pattern.fullmatch(entry.name)]
        return [name for name in names if is_unlocked(self._folder / name)]

    def _unlink_unlocked(self, file_paths: Sequence[str]) -> None:
        for path in (self._folder / name for name in file_paths):
            if is_unlocked(path):
                path.unlink(missing_ok=True)

    def shrink(self, max_bytes: int) -> None:
        """Delete the files that were not used for longest until the others, but the last one, have *max_bytes*."""
        files = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):  # another process shrinks it too
                if entry.name.endswith(".pdf"):
                    files.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if total <= max_bytes:
                return
            Path(path).unlink(missing_ok=True)
            total -= size

    async def in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise storage_error(error) from error


class FileInFolder:
    """A file as it is sent to people."""

    def __init__(self, path: Path, facts: os.stat_result, storage: FolderStorage) -> None:
        self.size = facts.st_size
        self.modified_at = facts.st_mtime
        self._path = path
        self._storage = storage

    async def read(self, first: int, stop: int) -> AsyncGenerator[bytes]:
        descriptor = await self._storage.in_thread(lambda: os.open(self._path, os.O_RDONLY | os.O_CLOEXEC))
        try:
            while first < stop:
                count = min(SENT_BYTES, stop - first)
                part = await self._storage.in_thread(partial(os.pread, descriptor, count, first))
                if not part:
                    return
                first += len(part)
                yield part
        finally:
            os.close(descriptor)
