"""The file of a backup: a tar archive that can be written on where it was left, and is known to be whole.

Its members, in this order: `manifest.json`, `database.dump` (pg_dump's), `files.jsonl` (a line for each document: its
id, what the database calls its file, the file's sha256), `files/<line>`, and at the end `end.json`.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from errors import StartupError

FORMAT = 1
MANIFEST, DUMP, LIST, END = "manifest.json", "database.dump", "files.jsonl", "end.json"
FILES = "files/"
BLOCK = tarfile.BLOCKSIZE
COPIED_BYTES = 1024 * 1024


class Member(NamedTuple):
    name: str
    first: int  # byte of its content, in the archive
    size: int


def list_members(file: IO[bytes]) -> Iterator[Member]:
    """The members that are whole, in order. The file's position is where the next one begins."""
    file.seek(0, os.SEEK_END)
    length = file.tell()
    position = 0
    while position + BLOCK <= length:
        file.seek(position)
        try:
            info = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "strict")
        except tarfile.HeaderError:
            break  # the end, or what a crash left
        first = position + BLOCK
        after = first + _padded(info.size)
        if after > length:
            break
        position = after
        yield Member(info.name, first, info.size)
    file.seek(position)


class ArchiveWriter:
    """Writes members to *file*, from its position on."""

    def __init__(self, file: IO[bytes]) -> None:
        file.truncate()
        self._file = file

    async def add(self, name: str, size: int, parts: AsyncIterator[bytes]) -> str:
        """Return the content's sha256.

        Raises:
            StartupError: if *parts* are not *size* bytes.
        """
        self._file.write(_header(name, size))
        digest, written = hashlib.sha256(), 0
        async for part in parts:
            digest.update(part)
            self._file.write(part)
            written += len(part)
        if written != size:
            raise StartupError(f"{name} changed while it was read")
        self._pad(size)
        return digest.hexdigest()

    def add_file(self, name: str, path: Path) -> Member:
        size = path.stat().st_size
        self._file.write(_header(name, size))
        member = Member(name, self._file.tell(), size)
        with path.open("rb") as source:
            shutil.copyfileobj(source, self._file, COPIED_BYTES)
        self._pad(size)
        return member

    def add_json(self, name: str, value: object) -> None:
        content = json.dumps(value).encode()
        self._file.write(_header(name, len(content)) + content)
        self._pad(len(content))

    def end(self) -> None:
        """Nothing comes after this; it survives a power cut."""
        self._file.write(bytes(2 * BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _pad(self, size: int) -> None:
        self._file.write(bytes(_padded(size) - size))


class Archive:
    """A backup that is whole.

    Raises:
        StartupError: if it is not.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self.members = {member.name: member for member in list_members(file)}
        if not {MANIFEST, DUMP, LIST, END} <= set(self.members):
            raise StartupError(f"{name} is no backup, or not all of one")
        self.manifest: dict[str, Any] = json.loads(self._read(MANIFEST))
        self.end: dict[str, Any] = json.loads(self._read(END))
        if self.manifest["format"] != FORMAT:
            raise StartupError(f"{name} was made by another version of Pagewire")

    def list_files(self) -> Iterator[tuple[int, str, str | None]]:
        """Each document's id, what the database calls its file, the file's sha256."""
        member = self.members[LIST]
        self._file.seek(member.first)
        for line in self._file.read(member.size).splitlines():
            document_id, file_path, sha256 = json.loads(line)
            yield document_id, file_path, sha256

    def extract(self, name: str, target: Path) -> str:
        """Return the content's sha256."""
        digest = hashlib.sha256()
        with target.open("wb") as copy:
            for part in self._parts(self.members[name]):
                digest.update(part)
                copy.write(part)
        return digest.hexdigest()

    async def read(self, member: Member) -> AsyncIterator[bytes]:
        for part in self._parts(member):
            yield part

    def _read(self, name: str) -> bytes:
        return b"".join(self._parts(self.members[name]))

    def _parts(self, member: Member) -> Iterator[bytes]:
        position, left = member.first, member.size
        while left:
            self._file.seek(position)
            part = self._file.read(min(COPIED_BYTES, left))
            position, left = position + len(part), left - len(part)
            yield part


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
