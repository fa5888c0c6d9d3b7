"""What one user may store and send, the room that the disks must have left, and how long what failed is kept."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest

from db import Database
from delivery.bus import Bus
from delivery.feed import Feed
from documents.expiry import Expiry
from documents.folder import FolderStorage
from documents.quotas import Places
from errors import RateLimitedError
from support.databases import TestDatabase
from support.documents import documents_of, refusal, uploaded
from support.engines import Run
from support.pdfs import make_pdf, make_table_pdf
from support.servers import PASSWORD, Person, Server, register, wait_until

MEGABYTE = 1024 * 1024
MORE_TEXT = 100_000  # characters, than there is room for beside the file


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]
) -> Iterator[tuple[Server, TestDatabase]]:
    """A server on which a user may store a megabyte, and upload six times an hour."""
    database = make_database()
    environment = {"USER_QUOTA_MB": "1", "UPLOAD_RATE_LIMIT": "6/hour"}
    made = Server(tmp_path_factory.mktemp("strict"), database.url, **environment).start()
    yield made, database
    made.stop()


@pytest.fixture(scope="module")
def wordy() -> bytes:
    """A file that is within the quota, but not with its text."""
    return make_pdf(*["words and words " * 200] * (2 * MORE_TEXT // 3200)).ljust(MEGABYTE - MORE_TEXT)


@pytest.fixture
def frugal(strict: tuple[Server, TestDatabase]) -> Person:
    return register(strict[0], "alice")


def stored_bytes(person: Person) -> int:
    found: int = person.client.get("/me").json()["stored_bytes"]
    return found


# The quota


def test_me_tells_how_much_is_stored_and_how_much_may_be(frugal: Person) -> None:
    before = frugal.client.get("/me").json()
    data = make_pdf("Hello world")

    uploaded(frugal, data)

    after = frugal.client.get("/me").json()
    assert (before["stored_bytes"], before["quota_bytes"]) == (0, MEGABYTE)
    assert (after["stored_bytes"], after["quota_bytes"]) == (len(data) + len("Hello world"), MEGABYTE)


def test_tables_count_too(frugal: Person) -> None:
    data = make_table_pdf([["item", "price"], ["paper", "12.50"]])

    document_id = uploaded(frugal, data)["document_id"]

    text = frugal.client.get(f"/documents/{document_id}/text").content
    assert stored_bytes(frugal) > len(data) + len(text)


def test_a_file_over_the_quota_is_a_507_that_tells_it_and_leaves_nothing(frugal: Person) -> None:
    files = frugal.server.files()
    uploaded(frugal, make_pdf("kept").ljust(MEGABYTE // 2))

    answer = frugal.upload(make_pdf("refused").ljust(MEGABYTE))

    assert refusal(answer) == (507, "quota_exceeded")
    assert "1.0 MB" in answer.json()["detail"]
    assert "1.5 MB" in answer.json()["detail"]
    assert (len(documents_of(frugal)), len(frugal.server.files())) == (1, len(files) + 1)
    assert stored_bytes(frugal) < MEGABYTE


def test_a_text_over_the_quota_is_refused_as_its_file_would_be(frugal: Person, wordy: bytes) -> None:
    files = frugal.server.files()

    answer = frugal.upload(wordy)

    assert len(wordy) < MEGABYTE
    assert refusal(answer) == (507, "quota_exceeded")
    wait_until(lambda: frugal.server.files() == files)
    assert (documents_of(frugal), stored_bytes(frugal)) == ([], 0)


def test_a_text_over_the_quota_that_nobody_waited_for_fails_and_says_why(frugal: Person, wordy: bytes) -> None:
    files = {"file": ("wordy.pdf", wordy, "application/pdf")}

    answer = frugal.client.post("/upload-pdf", files=files, headers={"Prefer": "respond-async"})

    path = answer.headers["Location"]
    wait_until(lambda: frugal.client.get(path).json()["status"] == "failed")
    assert frugal.client.get(path).json()["error"]["code"] == "quota_exceeded"
    assert stored_bytes(frugal) == len(wordy)


def test_deleting_makes_room_again(frugal: Person) -> None:
    large = make_pdf("large").ljust(MEGABYTE - 1000)
    first = uploaded(frugal, large)["document_id"]

    assert refusal(frugal.upload(large)) == (507, "quota_exceeded")
    frugal.client.delete(f"/documents/{first}")

    assert stored_bytes(frugal) == 0
    uploaded(frugal, large)


def test_a_repeat_with_its_client_id_takes_no_room(frugal: Person) -> None:
    large = make_pdf("large").ljust(MEGABYTE - 1000)
    first = uploaded(frugal, large, client_id="upload-1")

    again = uploaded(frugal, large, client_id="upload-1")

    assert (again["document_id"], again["duplicate"]) == (first["document_id"], True)


def test_a_shared_document_counts_for_its_owner_alone(frugal: Person) -> None:
    bob = register(frugal.server, "bob")

    uploaded(frugal, make_pdf("for bob"), recipient_id=str(bob.id))

    assert stored_bytes(frugal) > 0
    assert stored_bytes(bob) == 0


def test_an_update_counts_what_is_there(make_database: Callable[[], TestDatabase], run: Run) -> None:
    old = make_database()
    old.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")
    old.query(
        "INSERT INTO documents (id, user_id, filename, file_path, file_size) VALUES (1, 1, 'a.pdf', 'a.pdf', 1000)"
    )
    old.query("INSERT INTO pages VALUES (1, 1, 'twelve bytes', 595, 842)")
    old.query("UPDATE users SET stored_bytes = 0")
    old.query("DELETE FROM schema_version")

    run(old.update())

    assert old.query("SELECT stored_bytes FROM users") == [(1012,)]


# Uploads per hour, and at once


def test_uploads_are_limited_by_user_and_hour(frugal: Person) -> None:
    carol = register(frugal.server, "carol")
    answers = [frugal.upload(make_pdf(f"upload {number}")) for number in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert refusal(answers[-1]) == (429, "rate_limited")
    assert int(answers[-1].headers["Retry-After"]) > 3000
    assert carol.upload(make_pdf("Carol's")).status_code == 200


def test_of_one_users_uploads_four_go_on_and_the_next_one_waits(run: Run) -> None:
    async def try_it() -> tuple[list[bool], list[bool]]:
        places, end = Places(4, waiting=9, seconds=60), asyncio.Event()
        begun = [asyncio.Event() for _ in range(5)]

        async def upload(number: int) -> None:
            async with places.take(1):
                begun[number].set()
                await end.wait()

        uploads = [asyncio.create_task(upload(number)) for number in range(5)]
        await begun[3].wait()
        async with places.take(2):  # another user's
            at_once = [each.is_set() for each in begun]
        uploads[0].cancel()
        await begun[4].wait()
        end.set()
        await asyncio.gather(*uploads, return_exceptions=True)
        return at_once, [upload.cancelled() for upload in uploads]

    assert run(try_it()) == ([True] * 4 + [False], [True] + [False] * 4)


@pytest.mark.parametrize(("waiting", "seconds"), [(0, 60), (9, 0)])
def test_who_waits_too_long_or_behind_too_many_is_told_to_come_back(run: Run, waiting: int, seconds: float) -> None:
    async def try_it() -> int | None:
        places = Places(1, waiting=waiting, seconds=seconds)
        async with places.take(1):
            with pytest.raises(RateLimitedError) as refused:
                async with places.take(1):
                    pass
        async with places.take(1):
            return refused.value.retry_after

    assert run(try_it()) == 5


# The disks


def test_without_room_on_the_disks_files_are_refused_and_everything_else_goes_on(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(MIN_FREE_DISK_MB="900000000").start()
    alice, bob = register(server, "alice"), register(server, "bob")

    files = [alice.client.post(path, files={"file": ("a.pdf", make_pdf("x"))}) for path in ("/upload-pdf", "/pdf-info")]
    message = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "still here"})
    signed_in = server.client().post("/login", json={"email": bob.email, "password": PASSWORD})

    assert [refusal(answer) for answer in files] == [(507, "storage_full")] * 2
    assert (message.status_code, signed_in.status_code) == (200, 200)
    assert server.files() == []


# What failed


def test_what_failed_a_week_ago_is_deleted_with_its_file_and_its_owner_hears_of_it(
    frugal: Person, strict: tuple[Server, TestDatabase], run: Run
) -> None:
    server, database = strict
    for name in ("old.pdf", "new.pdf"):
        files = {"file": (name, b"%PDF-1.7\nthis is no PDF", "application/pdf")}
        frugal.client.post("/upload-pdf", files=files, headers={"Prefer": "respond-async"})
    wait_until(lambda: len(documents_of(frugal, status="failed")) == 2)
    kept, old = documents_of(frugal)
    database.query("UPDATE documents SET failed_at = failed_at - interval '7 days' WHERE id = %s", old)
    files_before = len(server.files())

    async def sweep() -> None:
        pool = Database(database.keywords, size=2)
        with contextlib.closing(FolderStorage(server.uploads, mark="0" * 12)) as storage:
            await Expiry(pool, storage, Feed(pool, Bus(pool))).sweep()
        await pool.close()

    run(sweep())

    events = frugal.client.get("/events", params={"after": 0}).json()["events"]
    assert documents_of(frugal) == [kept]
    assert len(server.files()) == files_before - 1
    assert {event["document_id"] for event in events if event["type"] == "document.deleted"} == {old}
