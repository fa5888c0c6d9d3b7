"""An upload that the server could not complete is taken back, unless a repeat of it has taken over."""

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from db import Database
from delivery.bus import Bus
from delivery.feed import Feed
from documents.folder import FolderStorage
from documents.withdrawals import Withdrawals
from support.databases import TestDatabase
from support.documents import documents_of, uploaded
from support.pdfs import make_pdf
from support.servers import Person, Server, register
from support.tabs import Tab

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def server(make_server: Callable[..., Server], database: TestDatabase) -> Server:
    return make_server(database=database).start()


@pytest.fixture
def alice(server: Server) -> Person:
    return register(server, "alice")


@pytest.fixture
async def withdrawals(server: Server, database: TestDatabase) -> AsyncIterator[Withdrawals]:
    """Those of another node."""
    pool = Database(database.keywords, size=2)
    with contextlib.closing(FolderStorage(server.uploads, mark="0" * 12)) as storage:
        made = Withdrawals(pool, storage, Feed(pool, Bus(pool)))
        yield made
        await made.close()
    await pool.close()


async def test_a_withdrawn_document_that_was_ready_is_deleted_for_its_owner_too(
    alice: Person, server: Server, withdrawals: Withdrawals
) -> None:
    document_id = uploaded(alice, make_pdf("hello"))["document_id"]
    with Tab(alice) as tab:
        tab.expect("ready")

        await withdrawals.withdraw(server.files()[0])

        deleted = tab.expect("document.deleted")
    assert deleted["document_id"] == document_id
    assert (documents_of(alice), server.files()) == ([], [])


async def test_a_repeat_takes_over_what_a_refused_upload_left(
    alice: Person, server: Server, database: TestDatabase, withdrawals: Withdrawals
) -> None:
    data = make_pdf("hello")
    document_id = uploaded(alice, data, client_id="upload-1")["document_id"]
    (refused,) = server.files()
    (server.uploads / refused).unlink()
    database.query("UPDATE documents SET status = 'processing', node_id = 77")

    answer = uploaded(alice, data, client_id="upload-1")
    await withdrawals.withdraw(refused)

    assert (answer["document_id"], answer["duplicate"], answer["status"]) == (document_id, True, "ready")
    assert documents_of(alice) == [document_id]
    assert alice.client.get(f"/documents/{document_id}/file").content == data
    assert len(server.files()) == 1


async def test_a_repeat_restores_a_file_that_was_lost(alice: Person, server: Server) -> None:
    data = make_pdf("hello")
    document_id = uploaded(alice, data, client_id="upload-1")["document_id"]
    (server.uploads / server.files()[0]).unlink()

    answer = uploaded(alice, data, client_id="upload-1")

    assert (answer["document_id"], answer["duplicate"]) == (document_id, True)
    assert alice.client.get(f"/documents/{document_id}/file").content == data
