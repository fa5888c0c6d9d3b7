"""The upload folder: what is kept is whole, what is refused is gone, and a crash leaves nothing half done."""

import asyncio
import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from documents.folder import FolderStorage
from documents.storage import Incoming
from errors import StartupError, StorageUnavailableError
from support.databases import TestDatabase
from support.documents import MEGABYTE, locked
from support.hostile import make_hostile
from support.pdfs import make_book, make_pdf
from support.servers import HOUSE, WAIT_SECONDS, Person, Server, register, wait_until

MARK = "0123456789ab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def storage(folder: Path) -> Iterator[FolderStorage]:
    opened = FolderStorage(folder, mark=MARK)
    opened.open()
    yield opened
    opened.close()


def names(folder: Path) -> list[str]:
    """The files in *folder*, without those that Python keeps there for its own processes."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("pymp-"))


async def save(storage: FolderStorage, data: bytes, *, max_bytes: int = MEGABYTE, keep: bool = True) -> Incoming:
    async with storage.receive(io.BytesIO(data), max_bytes=max_bytes) as incoming:
        if keep:
            async with storage.keep(incoming):
                pass
    return incoming


# Locks


@pytest.mark.parametrize(
    "file_path",
    ["../secret_key", "below/../../secret_key", "/{outside}/secret_key", "link.pdf", "linked/secret_key", "a\0b"],
)
def test_what_is_not_in_the_folder_is_neither_found_nor_deleted(
    storage: FolderStorage, folder: Path, file_path: str
) -> None:
    outside = folder.parent
    (outside / "secret_key").write_text("secret")
    (folder / "below").mkdir()
    (folder / "link.pdf").symlink_to(outside / "secret_key")
    (folder / "linked").symlink_to(outside)
    named = file_path.replace("/{outside}", str(outside))

    assert not storage.path_of(named).exists()
    asyncio.run(storage.delete(named))

    assert (outside / "secret_key").read_text() == "secret"
    assert (folder / "link.pdf").is_symlink()


def test_a_path_of_an_older_installation_begins_at_the_working_folder(
    storage: FolderStorage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / "old").mkdir()
    (folder / "old" / "a.pdf").write_bytes(b"%PDF-")

    assert storage.path_of("uploads/old/a.pdf").read_bytes() == b"%PDF-"
    assert storage.path_of("old/a.pdf").read_bytes() == b"%PDF-"


def test_a_file_held_by_a_request_is_locked(storage: FolderStorage, folder: Path) -> None:
    async def look() -> tuple[list[str], list[str]]:
        async with storage.receive(io.BytesIO(b"x"), max_bytes=10) as incoming:
            received = await storage.list_unlocked()
            async with storage.keep(incoming):
                return received, await storage.list_unlocked()

    assert asyncio.run(look()) == ([], [])


def test_a_file_held_by_no_request_is_unlocked(storage: FolderStorage, folder: Path) -> None:
    kept = asyncio.run(save(storage, b"x")).file_path
    half = f".{MARK}-{'0' * 32}.part"
    (folder / half).touch()

    assert sorted(asyncio.run(storage.list_unlocked())) == sorted([kept, half])


@pytest.mark.parametrize(
    "name",
    [
        "mine.pdf",
        f"{MARK}.pdf",
        f"{MARK}-{'0' * 31}.pdf",
        f"{MARK}-{'0' * 32}.pdf.bak",
        f"x{MARK}-{'0' * 32}.pdf",
        f"ba9876543210-{'0' * 32}.pdf",
        f".ba9876543210-{'0' * 32}.part",
    ],
)
def test_a_file_of_another_installation_is_never_listed(storage: FolderStorage, folder: Path, name: str) -> None:
    (folder / name).touch()

    assert asyncio.run(storage.list_unlocked()) == []


def test_a_file_locked_meanwhile_is_not_deleted(storage: FolderStorage, folder: Path) -> None:
    kept = asyncio.run(save(storage, b"x")).file_path

    async def delete() -> None:
        async with storage.receive(io.BytesIO(b"x"), max_bytes=10) as incoming:
            await storage.delete_unlocked([kept, incoming.path.name])
            assert names(folder) == [incoming.path.name]

    asyncio.run(delete())


def test_a_missing_folder_is_a_storage_error(storage: FolderStorage, folder: Path) -> None:
    folder.rmdir()

    with pytest.raises(StorageUnavailableError):
        asyncio.run(save(storage, b"x"))
    with pytest.raises(StorageUnavailableError):
        asyncio.run(storage.ping())


def test_a_folder_that_cannot_be_created_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartupError) as caught:
        FolderStorage(tmp_path / "file" / "uploads", mark=MARK).open()

    assert caught.value.detail.startswith("UPLOAD_DIR: cannot write to ")


# Crashes


@pytest.fixture
def database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short name, as temporary folders have."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def own(make_server: Callable[..., Server], database: TestDatabase, temporary: Path) -> Server:
    """A server that a test may kill; its temporary files are in a folder of their own."""
    return make_server(database=database, TMPDIR=str(temporary)).start()


def restart(server: Server, person: Person) -> None:
    server.start()
    person.client = server.client()
    person.client.headers.update(person.headers)


def rows(database: TestDatabase) -> list[tuple[Any, ...]]:
    return database.query("SELECT filename, status, page_count FROM documents ORDER BY id")


def test_a_server_killed_while_receiving_leaves_nothing(own: Server, database: TestDatabase, temporary: Path) -> None:
    alice = register(own, "alice")
    head = (
        f"POST /upload-pdf HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {alice.token}\r\n"
        "Content-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\nExpect: 100-continue\r\n\r\n"
    )
    start = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + make_pdf("x")
    with socket.create_connection(("127.0.0.1", int(own.url.rpartition(":")[2])), WAIT_SECONDS) as connection:
        connection.sendall(head.encode())
        assert connection.recv(9999).startswith(b"HTTP/1.1 100 ")
        connection.sendall(start + b"x" * 4_000_000)
        own.kill()

    restart(own, alice)

    assert (own.files(), names(temporary), rows(database)) == ([], [], [])


def test_a_server_killed_before_its_file_is_recorded_leaves_nothing(own: Server, database: TestDatabase) -> None:
    alice = register(own, "alice")
    with ThreadPoolExecutor(1) as threads:
        with locked(database, "documents"):
            upload = threads.submit(alice.upload, make_pdf("x"))
            wait_until(lambda: any(name.endswith(".pdf") for name in own.files()))
            own.kill()
            database.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        assert isinstance(upload.exception(WAIT_SECONDS), httpx.TransportError)
    left = own.files()

    restart(own, alice)

    assert len(left) == 1
    assert (own.files(), rows(database)) == ([], [])
    assert "removing 1 unfinished uploads" in "\n".join(own.lines)


def test_a_document_whose_node_was_killed_is_extracted_after_the_restart(own: Server, database: TestDatabase) -> None:
    alice = register(own, "alice")
    book = make_book(7)
    with ThreadPoolExecutor(1) as threads, locked(database, "pages"):
        upload = threads.submit(alice.upload, book, client_id="upload-1")
        wait_until(lambda: rows(database))
        own.kill()
        assert isinstance(upload.exception(WAIT_SECONDS), httpx.TransportError)
        assert rows(database) == [("book.pdf", "processing", None)]

    restart(own, alice)
    wait_until(lambda: rows(database) != [("book.pdf", "processing", None)])

    repeat = alice.upload(book, client_id="upload-1").json()
    assert rows(database) == [("book.pdf", "ready", 7)]
    assert (repeat["duplicate"], repeat["status"], repeat["page_count"]) == (True, "ready", 7)
    assert database.query("SELECT count(*) FROM pages") == [(7,)]
    assert len(own.files()) == 1


def test_a_bad_pdf_whose_node_was_killed_is_gone_after_the_restart(own: Server, database: TestDatabase) -> None:
    alice = register(own, "alice")
    uploaded = alice.upload(make_pdf("x"))
    own.kill()
    (file,) = own.uploads.iterdir()
    file.write_bytes(make_hostile("header only"))
    database.query("UPDATE documents SET status = 'processing', node_id = 77")

    restart(own, alice)
    wait_until(lambda: not rows(database))
    wait_until(lambda: not own.files())

    assert alice.client.get(f"/documents/{uploaded.json()['document_id']}").status_code == 404


def test_a_document_whose_file_is_missing_is_discarded_and_not_retried_for_ever(
    own: Server, database: TestDatabase
) -> None:
    alice = register(own, "alice")
    alice.upload(make_pdf("x"))
    own.kill()
    (file,) = own.uploads.iterdir()
    file.unlink()
    database.query("UPDATE documents SET status = 'processing', node_id = 77")

    restart(own, alice)

    wait_until(lambda: not rows(database))


def test_a_document_that_the_database_refuses_is_not_retried_for_ever(own: Server, database: TestDatabase) -> None:
    alice = register(own, "alice")
    database.query("ALTER TABLE pages ADD CHECK (text <> 'poison')")

    answer = alice.upload(make_pdf("poison"))

    assert answer.status_code == 500
    assert (own.files(), rows(database)) == ([], [])


def test_a_second_server_does_not_sweep_what_the_first_receives(
    own: Server, make_server: Callable[..., Server], database: TestDatabase
) -> None:
    alice = register(own, "alice")
    data = make_pdf("x")
    with ThreadPoolExecutor(1) as threads:
        with locked(database, "documents"):
            upload = threads.submit(alice.upload, data)
            wait_until(lambda: any(name.endswith(".pdf") for name in own.files()))
            make_server(database=database).start()
        answer = upload.result(WAIT_SECONDS)

    assert answer.json()["status"] == "ready"
    assert alice.client.get(f"/documents/{answer.json()['document_id']}/file").content == data


def test_files_of_deleted_users_are_swept_at_the_next_start(own: Server, database: TestDatabase) -> None:
    alice, bob = register(own, "alice"), register(own, "bob")
    alice.upload(make_pdf("x"))
    kept = own.files()
    bob.upload(make_pdf("y"))
    database.query("DELETE FROM users WHERE id = %s", bob.id)
    own.kill()

    restart(own, alice)

    assert own.files() == kept


def test_a_server_without_its_folder_is_not_ready(own: Server) -> None:
    alice = register(own, "alice")
    own.uploads.rmdir()

    upload = alice.upload(make_pdf("x"))
    ready = alice.client.get("/readyz")
    own.uploads.mkdir()
    again = alice.upload(make_pdf("x"))

    assert (upload.status_code, upload.json()["code"]) == (503, "storage_error")
    assert upload.headers["retry-after"]
    assert (ready.status_code, again.status_code) == (503, 200)


# Disks


@pytest.fixture
def disk(temporary: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    path = temporary / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("variable", ["UPLOAD_DIR", "TMPDIR"])
@pytest.mark.parametrize("path", ["/upload-pdf", "/pdf-info"])
def test_a_full_disk_is_a_clear_507_and_leaves_nothing(
    make_server: Callable[..., Server], disk: Path, database: TestDatabase, variable: str, path: str
) -> None:
    server = make_server(database=database, **{variable: str(disk)}).start()
    alice = register(server, "alice")

    answer = alice.client.post(path, files={"file": ("a.pdf", make_pdf("x").ljust(3 * MEGABYTE))})

    assert answer.status_code == 507
    assert answer.json() == {
        "detail": "The server has no room left to store the file.",
        "code": "storage_full",
        "request_id": answer.headers["x-request-id"],
    }
    assert (names(disk), rows(database)) == ([], [])
    assert alice.upload(make_pdf("x")).status_code == 200


def refused_start(database: TestDatabase, tmp_path: Path, upload_dir: Path) -> list[str]:
    """The log of a server that cannot start."""
    found = subprocess.run(
        [sys.executable, HOUSE / "main.py"],
        cwd=tmp_path,
        env={
            "PORT": "0",
            "DATABASE_URL": database.url,
            "DATA_DIR": str(tmp_path / "data"),
            "UPLOAD_DIR": str(upload_dir),
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert found.returncode == 3
    return [line for line in found.stderr.splitlines() if " ERROR " in line or "Traceback" in line]


def test_a_read_only_folder_stops_the_start_with_one_clear_line(
    tmp_path: Path, disk: Path, database: TestDatabase
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    lines = refused_start(database, tmp_path, disk)

    assert [line.split(" ERROR ")[1].strip() for line in lines] == [f"UPLOAD_DIR: cannot write to {disk}: not writable"]


def test_a_file_in_place_of_the_folder_stops_the_start_with_one_clear_line(
    tmp_path: Path, database: TestDatabase
) -> None:
    with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
        lines = refused_start(database, tmp_path, Path(file.name))

    assert lines[0].endswith(f"UPLOAD_DIR: cannot write to {file.name}: File exists")
