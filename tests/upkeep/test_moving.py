"""Files move from a folder to an S3 store and back: all of them, whole, and again where it was left."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.databases import TestDatabase
from support.pdfs import make_pdf
from support.servers import Person, Server, register
from support.stores import KEYS, Bucket, S3Server

NAMES = "ABC"


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return s3.make_bucket()


@pytest.fixture
def database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def server(make_server: Callable[..., Server], database: TestDatabase) -> Server:
    return make_server(database=database, **KEYS).start()


@pytest.fixture
def alice(server: Server) -> Person:
    person = register(server, "alice")
    for name in NAMES:
        person.upload(make_pdf(name), f"{name}.pdf")
    return person


def contents(server: Server) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in server.uploads.iterdir()}


def test_files_move_to_a_store_while_the_server_runs_and_are_read_from_there(
    alice: Person, server: Server, bucket: Bucket
) -> None:
    before = contents(server)

    moved = server.command("move-files", bucket.url)
    again = server.command("move-files", bucket.url)

    assert (moved.returncode, moved.stderr.count("Traceback")) == (0, 0)
    assert moved.stdout.startswith("3 files were copied to s3://")
    assert again.stdout.startswith("0 files were copied")
    assert "3 were there already" in again.stdout
    assert {name: bucket.read(name) for name in bucket.names()} == before == contents(server)
    server.kill()
    server.environment |= bucket.variables
    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)
    for document in alice.client.get("/documents").json()["documents"]:
        assert alice.client.get(f"/documents/{document['id']}/file").content in before.values()


def test_files_move_back_to_a_folder(alice: Person, server: Server, bucket: Bucket, tmp_path: Path) -> None:
    before = contents(server)
    server.command("move-files", bucket.url)

    back = server.command("move-files", f"file://{tmp_path}/back", STORAGE_URL=bucket.url)

    assert back.returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == before


def test_a_file_of_a_classic_installation_moves_there_and_back(
    alice: Person, server: Server, database: TestDatabase, bucket: Bucket, tmp_path: Path
) -> None:
    (name, *_) = server.files()
    (server.uploads / "old").mkdir()
    (server.uploads / name).rename(server.uploads / "old" / "a report.pdf")
    database.query("UPDATE documents SET file_path = 'old/a report.pdf', sha256 = NULL WHERE file_path = %s", name)

    there = server.command("move-files", bucket.url)
    back = server.command("move-files", f"file://{tmp_path}/back", STORAGE_URL=bucket.url)

    assert (there.returncode, back.returncode) == (0, 0)
    moved = (tmp_path / "back" / "old" / "a report.pdf").read_bytes()
    assert moved == (server.uploads / "old" / "a report.pdf").read_bytes()


def test_a_damaged_file_is_not_moved_and_a_missing_one_is_counted(
    alice: Person, server: Server, bucket: Bucket
) -> None:
    damaged, missing, whole = server.files()
    (server.uploads / damaged).write_bytes(b"%PDF- damaged")
    (server.uploads / missing).unlink()

    moved = server.command("move-files", bucket.url)

    assert moved.returncode == 3
    assert "1 files were copied" in moved.stderr
    assert "1 are missing. 1 could not be copied" in moved.stderr
    assert bucket.names() == [whole]


@pytest.mark.parametrize("url", ["ftp://host/folder", "s3://", "s3://bucket?endpoint=host", "file:"])
def test_a_wrong_target_is_one_clear_line(make_server: Callable[..., Server], url: str) -> None:
    server = make_server()  # it need not run
    server.folder.mkdir()

    refused = server.command("move-files", url)

    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.splitlines()[-1].startswith(f"{url}: ")


def test_a_store_that_does_not_answer_is_one_clear_line(alice: Person, server: Server) -> None:
    refused = server.command("move-files", "s3://bucket?endpoint=http://127.0.0.1:1")

    assert refused.returncode == 3
    assert "3 could not be copied: run the same command again." in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
