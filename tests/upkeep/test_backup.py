"""A backup is one moment of database and files; what is restored from it is whole, and known to be another history."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.databases import EMPTY, TestDatabase
from support.pdfs import make_encrypted_pdf, make_pdf
from support.servers import PASSWORD, Person, Server, register
from support.stores import S3Server
from upkeep.archive import list_members


@pytest.fixture
def database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def server(make_server: Callable[..., Server], database: TestDatabase) -> Server:
    return make_server(database=database).start()


@pytest.fixture
def alice(server: Server) -> Person:
    return register(server, "alice")


@pytest.fixture
def make_copy(make_server: Callable[..., Server], make_database: Callable[..., TestDatabase]) -> Callable[..., Server]:
    """Installations to restore into, of which nothing is there yet."""

    def make(database: TestDatabase | None = None, **environment: str) -> Server:
        copy = make_server("copy", database or make_database(EMPTY), **environment)
        copy.folder.mkdir()
        return copy

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


def signed_in(server: Server, person: Person) -> Person:
    other = Person(person.name, person.email, server, person.id)
    other.client = server.client()
    answer = other.client.post("/login", json={"email": person.email, "password": PASSWORD})
    other.token = answer.json()["access_token"]
    other.client.headers.update(other.headers)
    return other


def back_up(server: Server, file: Path) -> str:
    done = server.command("backup", str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_backed_up_is_restored_in_another_database_and_another_kind_of_storage(
    alice: Person, server: Server, database: TestDatabase, make_copy: Callable[..., Server], s3: S3Server, file: Path
) -> None:
    bob = register(server, "bob")
    data = make_pdf("a page about marmalade")
    document_id = alice.upload(data).json()["document_id"]
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hello bob"})

    told = back_up(server, file)
    later = alice.upload(make_pdf("after the backup")).json()["document_id"]
    copy = make_copy(**s3.make_bucket().variables)
    restored = copy.command("restore", str(file))
    copy.start()

    assert "the database and 1 files" in told
    assert restored.returncode == 0, restored.stderr
    there = signed_in(copy, alice).client
    assert there.get(f"/documents/{document_id}/file").content == data
    assert there.get(f"/documents/{later}").status_code == 404
    assert there.get("/search", params={"q": "marmalade"}).json()["results"]
    assert there.get(f"/messages/{bob.id}").json()[-1]["content"] == "hello bob"
    assert signed_in(copy, alice).upload(make_pdf("a new one")).status_code == 200
    assert not (copy.folder / "data" / "restoring.json").exists()
    assert database.query("SELECT count(*) FROM documents") == [(2,)]


def test_with_the_same_secret_key_the_passwords_of_encrypted_files_are_still_known(
    alice: Person, server: Server, make_copy: Callable[..., Server], file: Path
) -> None:
    protected = make_encrypted_pdf("a secret page", user_password="open sesame")
    document_id = alice.upload(protected, password="open sesame").json()["document_id"]
    back_up(server, file)
    copy = make_copy(SECRET_KEY=(server.folder / "data" / "secret_key").read_text().strip())

    assert copy.command("restore", str(file)).returncode == 0
    copy.start()

    picture = signed_in(copy, alice).client.get(f"/documents/{document_id}/pages/1/image")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")


def test_a_restored_copy_is_another_history_and_another_installation(
    alice: Person,
    server: Server,
    database: TestDatabase,
    make_copy: Callable[..., Server],
    file: Path,
    make_database: Callable[..., TestDatabase],
) -> None:
    alice.upload(make_pdf("x"))
    before = alice.client.get("/events", params={"after": 0}).json()
    back_up(server, file)
    other = make_database(EMPTY)
    copy = make_copy(other)

    assert copy.command("restore", str(file)).returncode == 0
    copy.start()

    after = signed_in(copy, alice).client.get("/events", params={"after": 0}).json()
    assert before["epoch"] != after["epoch"]
    sql = "SELECT mark, channel, note_key::text, node_lock FROM installation"
    old, new = (found.query(sql)[0] for found in (database, other))
    assert not set(old) & set(new)
    assert [name.startswith(f"{new[0]}-") for name in copy.files()] == [True]
    assert alice.client.get("/me").status_code == 200
    stranger = copy.client().get("/me", headers=alice.headers)
    assert stranger.status_code == 401


def test_a_backup_that_was_interrupted_goes_on_as_of_its_beginning(
    alice: Person, server: Server, make_copy: Callable[..., Server], file: Path
) -> None:
    documents = [alice.upload(make_pdf(word)).json()["document_id"] for word in ("one", "two", "three")]
    back_up(server, file)
    part = file.with_name("backup.tar.part")
    with file.open("rb") as whole:
        members = {member.name: member for member in list_members(whole)}
    content = file.read_bytes()
    part.write_bytes(content[: members["files/1"].first + 100])  # killed in the middle of the second file
    file.unlink()
    alice.client.delete(f"/documents/{documents[1]}")

    told = back_up(server, file)
    copy = make_copy()
    assert copy.command("restore", str(file)).returncode == 0
    copy.start()

    assert "the database and 2 files" in told
    found = signed_in(copy, alice).client.get("/documents").json()["documents"]
    assert [document["id"] for document in found] == [documents[2], documents[0]]
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["manifest.json", "database.dump", "files.jsonl", "files/0", "files/2", "end.json"]


def test_a_restore_that_was_interrupted_goes_on(
    alice: Person, server: Server, make_copy: Callable[..., Server], file: Path
) -> None:
    for word in ("one", "two"):
        alice.upload(make_pdf(word))
    back_up(server, file)
    copy = make_copy()
    read_only = copy.environment["DATABASE_URL"] + " options='-c default_transaction_read_only=on'"
    wrong = copy.command("restore", str(file), DATABASE_URL=read_only)
    stored = copy.files()

    again = copy.command("restore", str(file))

    assert wrong.returncode == 3
    assert "read-only" in wrong.stderr
    assert again.returncode == 0, again.stderr
    assert copy.files() == stored
    assert len(stored) == 2


def test_a_restore_into_an_installation_that_is_used_is_refused(
    alice: Person, server: Server, make_server: Callable[..., Server], database: TestDatabase, file: Path
) -> None:
    back_up(server, file)

    running = server.command("restore", str(file))
    server.stop()
    database.close()
    stopped = server.command("restore", str(file))

    assert (running.returncode, stopped.returncode) == (3, 3)
    assert "is in use" in running.stderr
    assert "has accounts" in stopped.stderr
    assert database.query("SELECT count(*) FROM users") == [(1,)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> bytes:
    """The archive of an installation with one document."""
    folder = tmp_path_factory.mktemp("whole")
    server = Server(folder / "server", make_database().url).start()
    register(server, "alice").upload(make_pdf("x"))
    back_up(server, folder / "backup.tar")
    server.kill()
    return (folder / "backup.tar").read_bytes()


@pytest.mark.parametrize("harm", ["cut", "no backup", "a file", "the database"])
def test_an_archive_that_is_not_whole_is_refused(
    whole: bytes, make_copy: Callable[..., Server], make_database: Callable[..., TestDatabase], file: Path, harm: str
) -> None:
    content = bytearray(whole)
    members = {member.name: member for member in list_members(io.BytesIO(whole))}
    if harm == "cut":
        del content[members["files/0"].first + 10 :]
    elif harm == "no backup":
        content = bytearray(b"hello")
    else:
        content[members["files/0" if harm == "a file" else "database.dump"].first + 100] ^= 1
    file.write_bytes(content)
    empty = make_database(EMPTY)
    copy = make_copy(empty)

    refused = copy.command("restore", str(file))

    assert refused.returncode == 3
    reason = refused.stderr.splitlines()[-1]
    assert ("is no backup" in reason) if harm in ("cut", "no backup") else ("is damaged" in reason)
    assert empty.query("SELECT to_regclass('users')") == [(None,)]


def test_a_backup_is_never_written_over_and_says_what_is_missing(alice: Person, server: Server, file: Path) -> None:
    lost, damaged = (alice.upload(make_pdf(word)).json()["document_id"] for word in ("lost", "damaged"))
    paths = sorted(server.uploads.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    paths[0].unlink()
    paths[1].write_bytes(b"%PDF- damaged")

    told = back_up(server, file)
    again = server.command("backup", str(file))

    assert f"document {lost} has no file" in told
    assert f"the file of document {damaged} is not the one that was uploaded" in told
    assert (again.returncode, again.stderr.splitlines()[-1]) == (3, f"{file} exists")
    assert oct(file.stat().st_mode & 0o777) == "0o600"
