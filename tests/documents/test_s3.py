"""Files in an S3 store: nodes share nothing but it and the database, and where it is away nothing is lost."""

import asyncio
import io
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from documents.s3 import S3Storage
from errors import StartupError, StorageFullError, StorageUnavailableError
from settings import S3Location
from support.databases import TestDatabase
from support.pdfs import make_book, make_pdf
from support.servers import Person, Server, register, wait_until
from support.stores import Bucket, Line, S3Server

MARK = "0123456789ab"
MEGABYTE = 1024 * 1024


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return s3.make_bucket()


@pytest.fixture
def line(s3: S3Server) -> Iterator[Line]:
    with closing(Line(s3.endpoint)) as made:
        yield made


@contextmanager
def opened(bucket: Bucket, folder: Path, *, orphan_age: timedelta | None = None, **changes: Any) -> Iterator[S3Storage]:
    settings = bucket.settings(folder, **changes)
    assert isinstance(settings.storage, S3Location)
    ages = {} if orphan_age is None else {"orphan_age": orphan_age}
    storage = S3Storage(settings.storage, settings, mark=MARK, **ages)
    storage.open()
    yield storage
    storage.close()


async def save(storage: S3Storage, data: bytes) -> str:
    async with storage.receive(io.BytesIO(data), max_bytes=100 * MEGABYTE) as incoming, storage.keep(incoming):
        return incoming.file_path


async def fetch(storage: S3Storage, file_path: str) -> bytes:
    with await (await storage.fetch(file_path))() as file:
        return file.read()


# One store


def test_a_large_file_is_stored_in_parts(bucket: Bucket, tmp_path: Path) -> None:
    data = os.urandom(20 * MEGABYTE)

    with opened(bucket, tmp_path) as storage:
        name = asyncio.run(save(storage, data))

    assert bucket.read(name) == data


def test_what_another_machine_stored_is_fetched_once(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    data = os.urandom(3 * MEGABYTE)
    with opened(bucket, tmp_path / "here") as storage:
        name = asyncio.run(save(storage, data))

    with opened(bucket.behind(line), tmp_path / "there") as other:

        async def ask() -> list[bytes]:
            found = await asyncio.gather(*(fetch(other, name) for _ in range(5)))
            return [*found, await fetch(other, name)]

        assert asyncio.run(ask()) == [data] * 6
    assert 3 * MEGABYTE < line.received_bytes < 4 * MEGABYTE


def test_a_part_of_a_file_costs_what_it_has(bucket: Bucket, line: Line, tmp_path: Path) -> None:
    data = os.urandom(20 * MEGABYTE)
    with opened(bucket.behind(line), tmp_path) as storage:

        async def ask() -> bytes:
            file = await storage.find(await save(storage, data))
            assert file is not None
            return b"".join([part async for part in file.read(15_000_000, 15_001_000)])

        assert asyncio.run(ask()) == data[15_000_000:15_001_000]
    assert line.received_bytes < 20_000


def test_the_cache_keeps_to_its_size_and_an_open_file_is_read_to_its_end(bucket: Bucket, tmp_path: Path) -> None:
    data = os.urandom(6 * MEGABYTE)
    with opened(bucket, tmp_path, storage_cache_mb=16) as storage:

        async def fill() -> bytes:
            first = await save(storage, data)
            with await (await storage.fetch(first))() as file:
                for _ in range(3):
                    await save(storage, os.urandom(6 * MEGABYTE))
                assert not (tmp_path / "cache" / first).exists()
                return file.read()

        assert asyncio.run(fill()) == data
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) == 12 * MEGABYTE
    assert len(bucket.names()) == 4


def test_orphans_are_what_is_older_than_any_request(bucket: Bucket, tmp_path: Path) -> None:
    with opened(bucket, tmp_path) as storage, opened(bucket, tmp_path, orphan_age=timedelta(0)) as later:
        name = asyncio.run(save(storage, b"x"))

        assert asyncio.run(storage.list_unlocked()) == []
        wait_until(lambda: asyncio.run(later.list_unlocked()) == [name])


def test_another_installation_in_the_same_place_is_never_swept(bucket: Bucket, tmp_path: Path) -> None:
    settings = bucket.settings(tmp_path)
    assert isinstance(settings.storage, S3Location)
    other = S3Storage(settings.storage, settings, mark="ba9876543210")
    other.open()
    asyncio.run(save(other, b"x"))

    with opened(bucket, tmp_path, orphan_age=timedelta(days=-1)) as storage:
        assert asyncio.run(storage.list_unlocked()) == []
    other.close()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("403 Forbidden", "AccessDenied", StorageUnavailableError),
        ("503 Slow Down", "SlowDown", StorageUnavailableError),
        ("507 Insufficient Storage", "XMinioStorageFull", StorageFullError),
    ],
)
def test_what_the_store_refuses_leaves_nothing(
    bucket: Bucket, line: Line, tmp_path: Path, status: str, code: str, error: type[Exception]
) -> None:
    with opened(bucket.behind(line), tmp_path) as storage:
        line.refuse(status, code)
        with pytest.raises(error):
            asyncio.run(save(storage, b"x" * MEGABYTE))
        line.mend()

        assert asyncio.run(save(storage, b"x")) in bucket.names()
    assert bucket.names() == [path.name for path in (tmp_path / "cache").iterdir()]


def test_a_store_that_is_away_is_no_reason_not_to_start(
    bucket: Bucket, line: Line, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line.cut()
    with caplog.at_level(logging.WARNING), opened(bucket.behind(line), tmp_path) as storage:
        with pytest.raises(StorageUnavailableError):
            asyncio.run(storage.ping())
        line.mend()
        asyncio.run(storage.ping())

    assert "does not answer" in caplog.text


@pytest.mark.parametrize(
    ("status", "code"), [("403 Forbidden", "InvalidAccessKeyId"), ("404 Not Found", "NoSuchBucket")]
)
def test_a_store_that_refuses_us_stops_the_start_with_its_reason(
    bucket: Bucket, line: Line, tmp_path: Path, status: str, code: str
) -> None:
    line.refuse(status, code)

    with pytest.raises(StartupError) as caught, opened(bucket.behind(line), tmp_path):
        pass

    assert caught.value.detail.startswith(f"STORAGE_URL: s3://{bucket.name}/some/prefix at {line.endpoint} refuses: ")
    assert code in caught.value.detail
    assert "\n" not in caught.value.detail


# Several servers


@pytest.fixture
def database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def machines(
    make_server: Callable[..., Server], database: TestDatabase, bucket: Bucket
) -> Callable[..., tuple[Server, Server]]:
    """Two servers with folders of their own; nothing is shared but the database and the bucket."""

    def start(bucket: Bucket = bucket) -> tuple[Server, Server]:
        secret = {"SECRET_KEY": os.urandom(32).hex()}
        one, two = (make_server(name, database, **bucket.variables, **secret).start() for name in ("one", "two"))
        return one, two

    return start


def at(server: Server, person: Person) -> Person:
    """*person*, signed in at *server* too."""
    other = Person(person.name, person.email, server, person.id, person.token)
    other.client = server.client()
    other.client.headers.update(person.headers)
    return other


def test_what_is_uploaded_at_one_machine_is_read_found_shown_sent_and_deleted_at_another(
    machines: Callable[..., tuple[Server, Server]], bucket: Bucket
) -> None:
    one, two = machines()
    alice = register(one, "alice")
    there = at(two, alice).client
    data = make_pdf("a page about marmalade", "and another")

    document_id = alice.upload(data).json()["document_id"]

    path = f"/documents/{document_id}"
    file = there.get(f"{path}/file")
    assert (file.status_code, file.content) == (200, data)
    assert (there.head(f"{path}/file").headers["content-length"], file.headers["etag"]) == (
        str(len(data)),
        f'"{there.get(path).json()["sha256"]}"',
    )
    part = there.get(f"{path}/file", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, data[5:10])
    assert there.get(f"{path}/file", headers={"If-None-Match": file.headers["etag"]}).status_code == 304
    assert there.get(f"{path}/text").text == "a page about marmalade\fand another"
    assert there.get(f"{path}/pages/1/image").content.startswith(b"\x89PNG")
    assert there.get(f"{path}/search", params={"q": "marmalade"}).json()["total_matches"] == 1
    wait_until(lambda: there.get("/search", params={"q": "marmalade"}).json()["results"])
    assert not two.uploads.exists()
    assert there.delete(path).status_code == 204
    assert alice.client.get(f"{path}/file").status_code == 404
    assert bucket.names() == []


def test_a_document_outlives_the_machine_that_received_it(
    machines: Callable[..., tuple[Server, Server]], database: TestDatabase
) -> None:
    one, two = machines()
    alice = register(one, "alice")
    book = make_book(30)
    answer = alice.client.post("/upload-pdf", files={"file": ("book.pdf", book)}, headers={"Prefer": "respond-async"})
    one.kill()
    assert answer.status_code in (200, 202)

    there = at(two, alice).client
    path = f"/documents/{answer.json()['document_id']}"
    assert there.get(f"{path}/file").content == book
    wait_until(lambda: there.get(path).json()["status"] == "ready")


def test_a_store_that_is_away_is_a_clear_503_and_nothing_is_half_written(
    make_server: Callable[..., Server], database: TestDatabase, bucket: Bucket, line: Line
) -> None:
    server = make_server(database=database, **bucket.behind(line).variables).start()
    alice = register(server, "alice")
    data = make_pdf("kept")
    kept = alice.upload(data).json()["document_id"]
    unwanted = alice.upload(make_pdf("unwanted")).json()["document_id"]
    for path in (server.folder / "data" / "cache").iterdir():
        path.unlink()  # as if it had been fetched long ago
    line.cut()

    upload = alice.upload(make_pdf("lost"))
    file = alice.client.get(f"/documents/{kept}/file")
    picture = alice.client.get(f"/documents/{kept}/pages/1/image")
    ready = alice.client.get("/readyz")
    text = alice.client.get(f"/documents/{kept}/text")
    deletion = alice.client.delete(f"/documents/{unwanted}")
    line.mend()
    again = alice.upload(make_pdf("not lost"))

    for answer in (upload, file, picture):
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_error")
        assert answer.headers["retry-after"]
    assert (ready.status_code, text.status_code, text.text) == (503, 200, "kept")
    assert (deletion.status_code, alice.client.get(f"/documents/{unwanted}").status_code) == (204, 404)
    assert again.status_code == 200
    assert alice.client.get(f"/documents/{kept}/file").content == data
    assert database.query("SELECT filename FROM documents ORDER BY id") == [("book.pdf",)] * 2
    assert len(bucket.names()) == 3  # a sweep deletes the unwanted one


def test_a_server_answers_others_while_the_store_does_not_answer(
    make_server: Callable[..., Server], database: TestDatabase, bucket: Bucket, line: Line
) -> None:
    server = make_server(database=database, **bucket.behind(line).variables).start()
    alice = register(server, "alice")
    line.refuse("503 Slow Down", "SlowDown")

    with ThreadPoolExecutor(8) as threads:
        uploads = [threads.submit(alice.upload, make_pdf("x")) for _ in range(8)]
        assert alice.client.get("/me").status_code == 200
        assert {upload.result().status_code for upload in uploads} == {503}


def test_a_file_of_which_the_store_is_lost_in_the_middle_is_seen_to_be_incomplete(
    make_server: Callable[..., Server], database: TestDatabase, bucket: Bucket, line: Line
) -> None:
    server = make_server(database=database, MAX_UPLOAD_MB="100", **bucket.behind(line).variables).start()
    alice = register(server, "alice")
    data = make_pdf("large") + b"%" * (60 * MEGABYTE)
    path = f"/documents/{alice.upload(data).json()['document_id']}/file"

    with alice.client.stream("GET", path) as answer:
        parts = answer.iter_raw()
        next(parts)
        line.cut()
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)

    assert alice.client.get("/me").status_code == 200
    assert not [line for line in server.lines if "Traceback" in line]
