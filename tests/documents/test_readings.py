"""Extraction: in the background, its progress and failures, copies instead of repeats, and what another node left."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from db import Database
from delivery.bus import Bus
from delivery.feed import Feed
from documents import queries
from documents.folder import FolderStorage
from documents.passwords import FilePasswords
from documents.quotas import Quotas
from documents.readings import BACKGROUND_EXTRACTIONS, LocalReadings
from errors import BadPdfError
from postgres.migration import apply_schema
from settings import Settings
from support.databases import TestDatabase
from support.documents import locked
from support.engines import open_engine
from support.hostile import make_hostile
from support.pdfs import make_book, make_encrypted_pdf, make_pdf, make_table_pdf
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until

WAITING_FOR_PAGES = """
    SELECT count(*) FROM pg_locks WHERE relation = 'pages'::regclass AND NOT granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
NO_WAIT = {"Prefer": "respond-async"}
BOOK_PAGES = 120
BROKEN = b"%PDF-1.7\nthis is no PDF"


@pytest.fixture(scope="module")
def book() -> bytes:
    return make_book(BOOK_PAGES)


@pytest.fixture
def other_book(book: bytes) -> bytes:
    """The same pages in other bytes, which have not been extracted before."""
    return book + b"%" + str(next(_numbers)).encode()


_numbers = iter(range(1_000_000))


def send(person: Person, data: bytes, filename: str = "book.pdf", **fields: str) -> httpx.Response:
    files = {"file": (filename, data, "application/pdf")}
    return person.client.post("/upload-pdf", files=files, data=fields, headers=NO_WAIT)


@contextlib.contextmanager
def listening(person: Person) -> Iterator[ClientConnection]:
    """A v2 socket after its ready frame."""
    url = person.server.url.replace("http", "ws") + "/ws"
    subprotocols: Any = ["pagewire.v2", f"bearer.{person.token}"]
    with connect(url, subprotocols=subprotocols, open_timeout=WAIT_SECONDS) as socket:
        hear(socket, "ready")
        yield socket


def hear(socket: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next frame of one of these kinds."""
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=WAIT_SECONDS))
        if frame["type"] in kinds:
            return frame


def document(person: Person, document_id: int) -> dict[str, Any]:
    answer = person.client.get(f"/documents/{document_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_respond_async_is_answered_with_the_location_of_the_document(alice: Person, other_book: bytes) -> None:
    answer = send(alice, other_book)

    found = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/documents/{found['document_id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert (found["status"], found["page_count"], found["text_preview"]) == ("processing", None, None)


@pytest.mark.parametrize("prefer", ["RESPOND-ASYNC", "wait=10, respond-async;x=1", "handling=lenient,respond-async"])
def test_respond_async_is_recognised_however_it_is_written(alice: Person, other_book: bytes, prefer: str) -> None:
    files = {"file": ("book.pdf", other_book, "application/pdf")}

    assert alice.client.post("/upload-pdf", files=files, headers={"Prefer": prefer}).status_code == 202


def test_other_preferences_change_nothing(alice: Person) -> None:
    files = {"file": ("hello.pdf", make_pdf("hello"), "application/pdf")}

    assert alice.client.post("/upload-pdf", files=files, headers={"Prefer": "wait=10"}).status_code == 200


def test_sockets_receive_the_progress_and_the_end_of_an_extraction(alice: Person, other_book: bytes) -> None:
    with listening(alice) as socket:
        document_id = send(alice, other_book).json()["document_id"]
        progress = hear(socket, "document.progress")
        ready = hear(socket, "document.ready")

    assert progress["document_id"] == document_id
    assert 0 < progress["page"] < progress["pages"] == BOOK_PAGES
    assert progress["stage"] == "reading"
    assert {key: ready[key] for key in ("document_id", "filename", "page_count", "tables_found")} == {
        "document_id": document_id,
        "filename": "book.pdf",
        "page_count": BOOK_PAGES,
        "tables_found": BOOK_PAGES // 5,
    }
    assert ready["seq"] == ready["prev"] + 1


def test_an_upload_that_is_waited_for_reaches_the_other_tabs_too(alice: Person) -> None:
    with listening(alice) as socket:
        document_id = alice.upload(make_pdf("for all tabs")).json()["document_id"]

        assert hear(socket, "document.ready")["document_id"] == document_id


def test_the_first_pages_are_available_before_the_last_are_extracted(alice: Person, other_book: bytes) -> None:
    with listening(alice) as socket:
        document_id = send(alice, other_book).json()["document_id"]
        read = hear(socket, "document.progress")["page"]
        page = alice.client.get(f"/documents/{document_id}/pages/{read}").json()
        seen = document(alice, document_id)

    assert f"Chapter {read}\n" in page["text"]
    assert read <= seen["progress"]["page"] <= seen["progress"]["pages"] == BOOK_PAGES


def test_a_page_that_is_not_extracted_yet_is_a_409(alice: Person, database: TestDatabase) -> None:
    document_id = alice.upload(make_pdf("one", "two")).json()["document_id"]
    database.query("UPDATE documents SET status = 'processing' WHERE id = %s", document_id)
    database.query("DELETE FROM pages WHERE document_id = %s AND page_number = 2", document_id)

    answers = [alice.client.get(f"/documents/{document_id}/{what}") for what in ("pages/1", "pages/2", "text")]

    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert answers[1].json()["code"] == "document_not_ready"


def test_a_book_extracted_in_parts_is_whole_and_in_order(alice: Person, other_book: bytes) -> None:
    document_id = alice.upload(other_book).json()["document_id"]

    text = alice.client.get(f"/documents/{document_id}/text").text.split("\f")
    tables = alice.client.get(f"/documents/{document_id}/tables").json()["tables"]
    assert [page.split("\n")[0] for page in text] == [f"Chapter {number}" for number in range(1, BOOK_PAGES + 1)]
    assert [table["table_index"] for table in tables] == list(range(BOOK_PAGES // 5))
    assert [table["page"] for table in tables] == list(range(5, BOOK_PAGES + 1, 5))
    assert document(alice, document_id)["progress"] == {"page": BOOK_PAGES, "pages": BOOK_PAGES}


def test_a_document_that_cannot_be_extracted_says_why(alice: Person) -> None:
    with listening(alice) as socket:
        document_id = send(alice, BROKEN, "broken.pdf").json()["document_id"]
        failed = hear(socket, "document.failed")

    found = document(alice, document_id)
    assert (failed["document_id"], failed["filename"], failed["code"]) == (document_id, "broken.pdf", "bad_pdf")
    assert (found["status"], found["error"]["code"], found["error"]["detail"]) == (
        "failed",
        "bad_pdf",
        failed["detail"],
    )
    assert found["page_count"] is None
    assert found["thumbnail"] is None


@pytest.mark.parametrize("what", ["text", "tables", "pages/1", "search?q=a"])
def test_a_failed_document_has_nothing_to_read(alice: Person, what: str) -> None:
    with listening(alice) as socket:
        document_id = send(alice, BROKEN).json()["document_id"]
        hear(socket, "document.failed")

    answer = alice.client.get(f"/documents/{document_id}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (409, "document_not_ready")
    assert "damaged" in answer.json()["detail"]


def test_a_failed_document_is_listed_has_its_file_and_can_be_deleted(alice: Person) -> None:
    with listening(alice) as socket:
        document_id = send(alice, BROKEN).json()["document_id"]
        hear(socket, "document.failed")

        listed = alice.client.get("/documents", params={"status": "failed"}).json()["documents"]
        file = alice.client.get(f"/documents/{document_id}/file").content
        deleted = alice.client.delete(f"/documents/{document_id}").status_code
        told = hear(socket, "document.deleted")["document_id"]

    assert [found["id"] for found in listed] == [document_id]
    assert (file, deleted, told) == (BROKEN, 204, document_id)


def test_the_replayed_events_of_a_deleted_document_are_deletions(alice: Person) -> None:
    document_id = alice.upload(make_pdf("soon gone")).json()["document_id"]
    alice.client.delete(f"/documents/{document_id}")

    events = alice.client.get("/events", params={"after": 0}).json()["events"]
    assert [(event["type"], event["document_id"]) for event in events] == [("document.deleted", document_id)] * 2


def test_a_repeat_of_a_failed_upload_answers_the_failure(alice: Person) -> None:
    with listening(alice) as socket:
        send(alice, BROKEN, client_id="once")
        hear(socket, "document.failed")

    found = send(alice, BROKEN, client_id="once").json()
    assert (found["status"], found["duplicate"], found["error"]["code"]) == ("failed", True, "bad_pdf")


def test_a_document_deleted_during_its_extraction_is_gone(alice: Person, other_book: bytes, server: Server) -> None:
    with listening(alice) as socket:
        document_id = send(alice, other_book).json()["document_id"]
        hear(socket, "document.progress")
        files = len(server.files())

        assert alice.client.delete(f"/documents/{document_id}").status_code == 204
        assert hear(socket, "document.deleted")["document_id"] == document_id
    assert len(server.files()) == files - 1
    assert alice.client.get(f"/documents/{document_id}").status_code == 404


def test_an_extraction_is_resumed_after_a_restart(make_server: Callable[..., Server], book: bytes) -> None:
    server = make_server().start()
    alice = register(server, "alice")
    with listening(alice) as socket:
        document_id = send(alice, book).json()["document_id"]
        hear(socket, "document.progress")
        server.kill()

    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)
    wait_until(lambda: document(alice, document_id)["status"] == "ready")
    pages = alice.client.get(f"/documents/{document_id}/text").text.split("\f")
    assert [page.split("\n")[0] for page in pages] == [f"Chapter {number}" for number in range(1, BOOK_PAGES + 1)]


def test_older_extractions_are_renewed_in_the_background(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    alice = register(server, "alice")
    good = alice.upload(make_pdf("as the page shows it")).json()["document_id"]
    gone = alice.upload(make_pdf("its file will be gone")).json()["document_id"]
    server.stop()
    database.query("UPDATE documents SET reader_version = NULL, extracted_text = 'older'")
    database.query("UPDATE pages SET text = 'older'")
    ((path,),) = database.query("SELECT file_path FROM documents WHERE id = %s", gone)
    (server.uploads / path).unlink()

    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)

    def read(document_id: int) -> str:
        return alice.client.get(f"/documents/{document_id}/text").text

    wait_until(lambda: read(good) == "as the page shows it")
    assert read(gone) == "older"
    assert document(alice, good)["status"] == document(alice, gone)["status"] == "ready"


def test_a_small_file_is_extracted_while_a_book_is(alice: Person, bob: Person, other_book: bytes) -> None:
    with listening(alice) as socket:
        send(alice, other_book)
        hear(socket, "document.progress")

        assert bob.upload(make_pdf("a letter")).status_code == 200
        assert hear(socket, "document.progress", "document.ready")


def test_one_file_of_a_user_does_not_wait_for_all_of_another(alice: Person, bob: Person, book: bytes) -> None:
    with listening(bob) as socket:
        for number in range(10):
            send(alice, book + b"%for alice " + str(number).encode())
        send(bob, make_pdf("for bob"))
        hear(socket, "document.ready")

        waiting = alice.client.get("/documents", params={"status": "processing"}).json()["documents"]

    assert len(waiting) > BACKGROUND_EXTRACTIONS


# Not extracted twice


def test_the_same_bytes_are_not_extracted_again(alice: Person, bob: Person, database: TestDatabase) -> None:
    data = make_table_pdf([["a", "b"], ["c", "d"]], text="the words of the file")
    first = alice.upload(data).json()["document_id"]
    database.query("UPDATE pages SET text = 'as it was read' WHERE document_id = %s", first)

    again = alice.upload(data, "other.pdf").json()

    assert (again["filename"], again["page_count"], again["tables_found"]) == ("other.pdf", 1, 1)
    assert alice.client.get(f"/documents/{again['document_id']}/pages/1").json()["text"] == "as it was read"
    assert alice.client.get(f"/documents/{again['document_id']}/tables").json()["tables"][0]["data"][1] == ["c", "d"]


def test_an_upload_of_what_only_others_have_is_extracted_like_any_other(
    alice: Person, bob: Person, database: TestDatabase
) -> None:
    data = make_pdf("alice has it")
    first = alice.upload(data).json()["document_id"]
    database.query("UPDATE pages SET text = 'as it was read' WHERE document_id = %s", first)

    own = bob.upload(data).json()["document_id"]

    assert bob.client.get(f"/documents/{own}/pages/1").json()["text"] == "alice has it"


def test_an_upload_of_what_was_shared_with_me_is_not_extracted_again(
    alice: Person, bob: Person, database: TestDatabase
) -> None:
    data = make_pdf("shared with bob")
    first = alice.upload(data, recipient_id=str(bob.id)).json()["document_id"]
    database.query("UPDATE pages SET text = 'as it was read' WHERE document_id = %s", first)

    own = bob.upload(data).json()["document_id"]
    alice.client.delete(f"/documents/{first}/shares/{bob.id}")
    after_it_was_taken_back = bob.upload(data).json()["document_id"]

    texts = [bob.client.get(f"/documents/{each}/pages/1").json()["text"] for each in (own, after_it_was_taken_back)]
    assert texts == ["as it was read", "as it was read"]  # the second is a copy of his own


def test_an_upload_does_not_wait_for_others_who_have_the_same_file(
    alice: Person, bob: Person, database: TestDatabase
) -> None:
    data = make_pdf("both at once")
    with ThreadPoolExecutor(2) as pool, locked(database, "pages"):
        uploads = [pool.submit(person.upload, data) for person in (alice, bob)]
        wait_until(lambda: database.query(WAITING_FOR_PAGES) >= [(2,)])
    answers = [upload.result(WAIT_SECONDS).status_code for upload in uploads]

    assert answers == [200, 200]


def test_a_copy_outlives_its_original(alice: Person) -> None:
    data = make_pdf("twice uploaded")
    first, second = (alice.upload(data).json()["document_id"] for _ in range(2))

    alice.client.delete(f"/documents/{first}")

    assert alice.client.get(f"/documents/{second}/text").text == "twice uploaded"
    assert alice.client.get(f"/documents/{second}/file").content == data


def test_what_a_password_protects_is_not_copied_without_it(alice: Person, bob: Person) -> None:
    data = make_encrypted_pdf("the secret", user_password="open sesame")
    assert alice.upload(data, password="open sesame").status_code == 200

    answers = [bob.upload(data), bob.upload(data, password="a guess"), bob.upload(data, password="open sesame")]

    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert [answer.json().get("code") for answer in answers] == ["password_required", "password_required", None]


def test_what_an_older_reader_extracted_is_extracted_again(alice: Person, database: TestDatabase) -> None:
    data = make_pdf("read better now")
    first = alice.upload(data).json()["document_id"]
    database.query("UPDATE documents SET reader_version = 0 WHERE id = %s", first)
    database.query("UPDATE pages SET text = 'read badly' WHERE document_id = %s", first)

    again = alice.upload(data).json()["document_id"]

    assert alice.client.get(f"/documents/{again}/text").text == "read better now"


def test_the_same_bytes_uploaded_at_once_are_extracted_once(alice: Person, other_book: bytes) -> None:
    with listening(alice) as socket:
        send(alice, other_book)
        with ThreadPoolExecutor(3) as pool:
            answers = [answer.json() for answer in pool.map(lambda _: alice.upload(other_book), range(3))]
        alice.upload(make_pdf("the end"))
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1].get("filename") is None or frames[-1]["page_count"] != 1:
            frames.append(hear(socket, "document.progress", "document.ready"))

    assert [answer["page_count"] for answer in answers] == [BOOK_PAGES] * 3
    read = {frame["document_id"] for frame in frames if frame["type"] == "document.progress"}
    assert len(read) == 1  # whichever was first; the others are copies of it


def test_the_thumbnail_of_the_list_is_a_small_picture(alice: Person) -> None:
    alice.upload(make_pdf("a cover"))

    (listed,) = alice.client.get("/documents").json()["documents"]
    picture = alice.client.get(listed["thumbnail"])

    assert picture.headers["Content-Type"] == "image/png"
    assert int.from_bytes(picture.content[16:20]) == 240
    assert picture.headers["ETag"]


# Limits


def test_a_file_that_needs_too_much_processor_time_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(PDF_CPU_SECONDS="1", PDF_DEADLINE_SECONDS="600").start()
    alice = register(server, "alice")

    alice.client.timeout = 4 * WAIT_SECONDS  # a second of processor time may take long

    answer = alice.upload(make_hostile("a tree that laughs without pages"))

    assert (answer.status_code, answer.json()["code"]) == (422, "extraction_limit")
    assert "1 seconds of processor time" in answer.json()["detail"]
    assert server.files() == []


# Several nodes


def test_a_repeated_upload_on_another_node_leaves_the_extraction_alone(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase], book: bytes
) -> None:
    database = make_database()
    first, second = (make_server("shared", database).start() for _ in range(2))
    alice = register(first, "alice")
    with listening(alice) as socket:
        document_id = send(alice, book, client_id="once").json()["document_id"]
        hear(socket, "document.progress")
        alice.client = second.client()
        alice.client.headers.update(alice.headers)

        repeat = alice.upload(book, client_id="once")
        hear(socket, "document.ready")

    text = alice.client.get(f"/documents/{document_id}/text").text.split("\f")
    assert repeat.json()["document_id"] == document_id
    assert [page.split("\n")[0] for page in text] == [f"Chapter {number}" for number in range(1, BOOK_PAGES + 1)]
    assert len(database.query("SELECT 1 FROM pages WHERE document_id = %s", document_id)) == BOOK_PAGES


@pytest.mark.anyio
async def test_a_node_that_lost_a_document_neither_empties_nor_discards_it(
    alice: Person, database: TestDatabase
) -> None:
    document_id = alice.upload(make_pdf("read by the other")).json()["document_id"]
    loser = Database(database.keywords, size=1)

    async with loser.transaction() as tx:
        began = await queries.begin_extraction(
            tx, document_id=document_id, node_id=1, page_count=9, metadata={}, encrypted=False
        )
        removed = await queries.discard_document(tx, document_id=document_id, node_id=1, file_path="any.pdf")
    await loser.close()

    assert (began, removed) == (False, False)
    assert alice.client.get(f"/documents/{document_id}/pages/1").json()["text"] == "read by the other"


@pytest.mark.anyio
async def test_a_repeat_that_comes_as_a_refused_document_is_discarded_is_refused_too(
    alice: Person, server: Server, database: TestDatabase
) -> None:
    pool = Database(database.keywords, size=2)
    feed = Feed(pool, Bus(pool))
    (server.uploads / "broken.pdf").write_bytes(BROKEN)
    with contextlib.closing(FolderStorage(server.uploads, mark="0" * 12)) as storage, open_engine(workers=1) as engine:
        readings = LocalReadings(pool, engine, storage, feed, Quotas(Settings()), FilePasswords("a key"))
        inserted = await queries.insert_document(
            pool,
            user_id=alice.id,
            filename="broken.pdf",
            file_path="broken.pdf",
            file_size=len(BROKEN),
            sha256="0" * 64,
            client_id="upload-1",
            node_id=feed.node_id,
        )

        outcomes = [(await asyncio.wait([readings.extract(inserted.id)]))[0].pop().exception() for _ in range(2)]
    await pool.close()

    assert [type(outcome) for outcome in outcomes] == [BadPdfError, BadPdfError]
    assert not (server.uploads / "broken.pdf").exists()


@pytest.mark.anyio
async def test_a_node_with_too_many_extractions_claims_nothing(alice: Person, database: TestDatabase) -> None:
    finder = Database(database.keywords, size=1)

    claimed = await queries.claim_documents(finder, node_id=1, busy_with=[], limit=-1)
    await finder.close()

    assert claimed == []


@pytest.mark.anyio
async def test_owners_take_turns_when_their_documents_are_resumed(make_database: Callable[[], TestDatabase]) -> None:
    pool = Database(make_database().keywords, size=1)
    await apply_schema(pool)
    add_unread = """
        INSERT INTO documents (id, user_id, filename, file_path, file_size, status, node_id)
        SELECT id, user_id, 'book.pdf', id, 1, 'processing', 7
          FROM unnest(%(ids)s::bigint[], %(owners)s::bigint[]) AS unread (id, user_id)
    """
    await pool.execute("INSERT INTO users (email, password_hash, name) SELECT n, '', n FROM generate_series(1, 3) n")
    await pool.execute(add_unread, {"ids": [*range(1, 10)], "owners": [1, 1, 1, 1, 1, 1, 2, 2, 3]})

    claimed = await queries.claim_documents(pool, node_id=7, busy_with=[1, 2], limit=4)
    await pool.close()

    assert claimed == [7, 9, 8, 3]


@pytest.mark.anyio
async def test_owners_take_turns_when_their_older_documents_are_renewed(
    make_database: Callable[[], TestDatabase],
) -> None:
    pool = Database(make_database().keywords, size=1)
    await apply_schema(pool)
    await pool.execute("INSERT INTO users (email, password_hash, name) SELECT n, '', n FROM generate_series(1, 3) n")
    await pool.execute(
        """
        INSERT INTO documents (id, user_id, filename, file_path, file_size, status, reader_version)
        SELECT id, user_id, 'book.pdf', id, 1, 'ready', 1
          FROM unnest(%(ids)s::bigint[], %(owners)s::bigint[]) AS older (id, user_id)
        """,
        {"ids": [*range(1, 8)], "owners": [2, 3, 1, 1, 1, 1, 2]},
    )

    listed = await queries.list_older_extractions(pool, node_id=7, reader_version=2, each=3, limit=9)
    await pool.close()

    assert listed == [7, 6, 2, 5, 1, 4]
