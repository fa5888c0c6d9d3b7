"""Every kind of storage: what is kept is whole, what is refused is gone."""

import asyncio
import contextlib
import hashlib
import io
import os
import resource
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from documents.folder import FolderStorage
from documents.s3 import S3Storage
from documents.storage import Incoming, Storage
from errors import DocumentFileMissingError, PayloadTooLargeError, StorageFullError
from pdf import PdfFile
from settings import S3Location
from support.documents import MEGABYTE
from support.engines import open_engine
from support.pdfs import make_pdf
from support.stores import S3Server, Store

MARK = "0123456789ab"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        made = _store_in_folder(tmp_path / "uploads")
    else:
        made = _store_in_s3(tmp_path, request.getfixturevalue("s3"))
    made.storage.open()
    yield made
    made.storage.close()


def _store_in_folder(folder: Path) -> Store:
    def names() -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    return Store(FolderStorage(folder, mark=MARK), names, lambda name: (folder / name).read_bytes())


def _store_in_s3(folder: Path, server: S3Server) -> Store:
    bucket = server.make_bucket()
    settings = bucket.settings(folder)
    assert isinstance(settings.storage, S3Location)

    def names() -> list[str]:
        """Of the bucket, and what the cache has besides copies of it."""
        cached = {path.name for path in (folder / "cache").iterdir()}
        return sorted({*bucket.names(), *cached})

    return Store(S3Storage(settings.storage, settings, mark=MARK), names, bucket.read)


async def save(storage: Storage, data: bytes, *, max_bytes: int = MEGABYTE, keep: bool = True) -> Incoming:
    async with storage.receive(io.BytesIO(data), max_bytes=max_bytes) as incoming:
        if keep:
            async with storage.keep(incoming):
                pass
    return incoming


async def read(storage: Storage, file_path: str, first: int = 0, stop: int | None = None) -> bytes:
    file = await storage.find(file_path)
    assert file is not None
    return b"".join([part async for part in file.read(first, file.size if stop is None else stop)])


# One file


def test_a_copy_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing(store: Store) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield bytes(MEGABYTE)

    with no_room_for(MEGABYTE), pytest.raises(StorageFullError):
        asyncio.run(store.storage.copy("a.pdf", parts(), sha256=None))

    assert store.names() == []


@contextlib.contextmanager
def no_room_for(size: int) -> Iterator[None]:
    """A file of this process may have less than *size* bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_kept_file_is_whole_and_private_under_a_name_of_ours(store: Store) -> None:
    data = os.urandom(300_000)

    incoming = asyncio.run(save(store.storage, data))

    assert store.names() == [incoming.file_path]
    assert store.read(incoming.file_path) == data
    assert stat.S_IMODE(incoming.path.stat().st_mode) == 0o600
    assert (incoming.size, incoming.sha256) == (300_000, hashlib.sha256(data).hexdigest())


def test_a_file_that_is_not_kept_is_gone_with_its_request(store: Store) -> None:
    asyncio.run(save(store.storage, b"%PDF-", keep=False))

    assert store.names() == []


@pytest.mark.parametrize("while_recording", [False, True])
def test_a_failed_request_leaves_no_file(store: Store, while_recording: bool) -> None:
    async def fail() -> None:
        async with (
            store.storage.receive(io.BytesIO(b"%PDF-"), max_bytes=10) as incoming,
            store.storage.keep(incoming) if while_recording else contextlib.nullcontext(),
        ):
            raise RuntimeError("bad luck")

    with pytest.raises(RuntimeError, match="bad luck"):
        asyncio.run(fail())

    assert store.names() == []


def test_a_file_is_kept_when_its_request_fails_later(store: Store) -> None:
    async def fail() -> None:
        async with store.storage.receive(io.BytesIO(b"%PDF-"), max_bytes=10) as incoming:
            async with store.storage.keep(incoming):
                pass
            raise RuntimeError("bad luck")

    with pytest.raises(RuntimeError, match="bad luck"):
        asyncio.run(fail())

    assert [store.read(name) for name in store.names()] == [b"%PDF-"]


@pytest.mark.parametrize("while_recording", [False, True])
def test_a_cancelled_request_leaves_no_file(store: Store, while_recording: bool) -> None:
    async def leave() -> None:
        reached = asyncio.Event()

        async def receive() -> None:
            async with (
                store.storage.receive(io.BytesIO(b"%PDF-"), max_bytes=10) as incoming,
                store.storage.keep(incoming) if while_recording else contextlib.nullcontext(),
            ):
                reached.set()
                await asyncio.Event().wait()

        request = asyncio.create_task(receive())
        await reached.wait()
        request.cancel()
        await asyncio.wait([request])

    asyncio.run(leave())

    assert store.names() == []


def test_a_request_cancelled_while_its_file_is_written_leaves_no_file(store: Store) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            being_read.set()
            return b"x" * MEGABYTE

    being_read = threading.Event()

    async def leave() -> None:
        receiving = asyncio.create_task(store.storage.receive(Endless(), max_bytes=100 * MEGABYTE).__aenter__())
        await asyncio.to_thread(being_read.wait)
        receiving.cancel()
        await asyncio.wait([receiving])

    asyncio.run(leave())
    store.storage.close()

    assert store.names() == []


@pytest.mark.parametrize("size", [0, 1, 1000, MEGABYTE])
def test_a_file_of_the_limit_fits(store: Store, size: int) -> None:
    incoming = asyncio.run(save(store.storage, b"x" * size, max_bytes=size))

    assert store.read(incoming.file_path) == b"x" * size


@pytest.mark.parametrize("size", [1, 1000, MEGABYTE])
def test_a_byte_over_the_limit_is_refused_and_gone(store: Store, size: int) -> None:
    with pytest.raises(PayloadTooLargeError):
        asyncio.run(save(store.storage, b"x" * (size + 1), max_bytes=size))

    assert store.names() == []


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"%PDF-1.7", True),
        (b"x" * 1019 + b"%PDF-1.7", True),
        (b"x" * 1020 + b"%PDF-1.7", False),
        (b"%PDF", False),
        (b"", False),
    ],
)
def test_a_pdf_is_recognised_within_its_first_kilobyte(store: Store, data: bytes, looks: bool) -> None:
    incoming = asyncio.run(save(store.storage, data, keep=False))

    assert incoming.looks_like_pdf is looks


def test_a_file_may_be_deleted_twice(store: Store) -> None:
    file_path = asyncio.run(save(store.storage, b"x")).file_path

    asyncio.run(store.storage.delete(file_path))
    asyncio.run(store.storage.delete(file_path))

    assert store.names() == []


# Reading


@pytest.mark.parametrize(("first", "stop"), [(0, 200_000), (0, 1), (199_999, 200_000), (65_530, 131_080), (7, 7)])
def test_any_part_of_a_file_can_be_read(store: Store, first: int, stop: int) -> None:
    data = os.urandom(200_000)

    async def ask() -> bytes:
        incoming = await save(store.storage, data)
        return await read(store.storage, incoming.file_path, first, stop)

    assert asyncio.run(ask()) == data[first:stop]


def test_an_empty_file_can_be_read(store: Store) -> None:
    async def ask() -> bytes:
        return await read(store.storage, (await save(store.storage, b"")).file_path)

    assert asyncio.run(ask()) == b""


@pytest.mark.parametrize(
    "file_path", [f"{MARK}-{'0' * 32}.pdf", "mine.pdf", "../secret_key", "", "a\0b", f"ba9876543210-{'0' * 32}.pdf"]
)
def test_a_file_that_is_not_there_is_missing_and_may_be_deleted(store: Store, file_path: str) -> None:
    async def ask() -> None:
        await store.storage.delete(file_path)
        assert await store.storage.find(file_path) is None
        with pytest.raises(DocumentFileMissingError):
            await store.storage.fetch(file_path)

    asyncio.run(ask())


def test_a_fetched_file_is_read_by_a_worker(store: Store) -> None:
    data = make_pdf("from wherever it is")

    async def ask() -> str:
        incoming = await save(store.storage, data)
        with open_engine(workers=1) as engine:
            found = await engine.extract(PdfFile(await store.storage.fetch(incoming.file_path)))
        return found.pages[0].text

    assert asyncio.run(ask()) == "from wherever it is"


def test_a_deleted_file_is_not_found(store: Store) -> None:
    async def ask() -> None:
        incoming = await save(store.storage, b"%PDF-")
        await store.storage.delete(incoming.file_path)
        assert await store.storage.find(incoming.file_path) is None

    asyncio.run(ask())

    assert store.names() == []


def test_a_file_held_by_a_request_is_not_swept(store: Store) -> None:
    async def look() -> list[str]:
        async with store.storage.receive(io.BytesIO(b"x"), max_bytes=10) as incoming, store.storage.keep(incoming):
            return await store.storage.list_unlocked()

    assert asyncio.run(look()) == []


def test_swept_files_are_gone(store: Store) -> None:
    async def sweep() -> None:
        kept, swept = [(await save(store.storage, b"x")).file_path for _ in range(2)]
        await store.storage.delete_unlocked([swept])
        assert store.names() == [kept]

    asyncio.run(sweep())
