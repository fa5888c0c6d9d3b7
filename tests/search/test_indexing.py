"""What was there before is indexed in the background, and nothing that is being written is passed over."""

from collections.abc import Callable

from support.databases import TestDatabase
from support.library import add_document, found_messages, found_pages, marked, say, search, wait_for_index
from support.servers import Person, Server, register, wait_until


def test_an_older_installation_is_indexed_after_the_start(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    alice = register(server, "alice")
    server.stop()
    document_id = add_document(database, alice, *[f"page {number} egret" for number in range(150)])
    database.query(
        "INSERT INTO messages (sender_id, recipient_id, content) SELECT %s, %s, 'spoonbill ' || n "
        "FROM generate_series(1, 2500) AS n",
        alice.id,
        alice.id,
    )
    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)

    wait_until(lambda: search(alice, "egret")["indexing"] is False)

    assert found_pages(alice, "egret")[0][0] == document_id
    assert len(found_pages(alice, "egret", document_id=document_id, limit=200)) == 150
    assert len(found_messages(alice, "spoonbill 1")) == 1
    assert len(found_messages(alice, '"spoonbill 2500"')) == 1
    ((indexed,),) = database.query("SELECT count(*) FROM message_search")
    assert indexed == 2500


def test_a_classic_document_is_found_in_its_text(alice: Person, database: TestDatabase) -> None:
    """It has no pages; its text may have form feeds between them."""
    ((document_id,),) = database.query(
        "INSERT INTO documents (user_id, filename, file_path, file_size, page_count, extracted_text) "
        "VALUES (%s, 'old.pdf', 'old.pdf', 1, 2, %s) RETURNING id",
        alice.id,
        "the first page\fa ptarmigan on the second",
    )
    wait_for_index(database)

    (hit,) = search(alice, "ptarmigan")["results"]

    assert (hit["document_id"], hit["page"], marked(hit)) == (document_id, 2, ["ptarmigan"])
    assert "ptarmigan" in alice.client.get(hit["url"]).text


def test_another_version_of_tokens_is_indexed_again(alice: Person, database: TestDatabase) -> None:
    document_id = add_document(database, alice, "a shoveler")
    wait_for_index(database)
    database.query("UPDATE page_search SET vec = 'outdated:101' WHERE document_id = %s", document_id)

    database.query("UPDATE documents SET tokens_version = 0 WHERE id = %s", document_id)
    wait_for_index(database)

    assert found_pages(alice, "shoveler") == [(document_id, 1)]
    assert found_pages(alice, "outdated") == []


def test_a_message_whose_transaction_lasts_is_not_passed_over(alice: Person, database: TestDatabase) -> None:
    """Its id is smaller than those of messages that are committed meanwhile."""
    with database.open() as slow:
        cursor = slow.cursor()
        cursor.execute(
            "INSERT INTO messages (sender_id, recipient_id, content) VALUES (%s, %s, 'a slow dotterel') RETURNING id",
            (alice.id, alice.id),
        )
        ((slow_id,),) = cursor.fetchall()
        fast_id = say(alice, alice, "a fast dotterel")
        assert found_messages(alice, "dotterel") == [fast_id]
        ((mark,),) = database.query("SELECT messages_up_to FROM search_progress")
        slow.commit()
    wait_for_index(database)

    assert mark < slow_id < fast_id
    assert found_messages(alice, "dotterel") == [fast_id, slow_id]
    assert len(database.query("SELECT 1 FROM message_search WHERE message_id IN (%s, %s)", slow_id, fast_id)) == 2


def test_two_nodes_index_every_message_once(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    here = make_server("here", database=database, SECRET_KEY="0123456789abcdef" * 4).start()
    there = make_server("there", database=database, SECRET_KEY="0123456789abcdef" * 4).start()
    alice, bob = register(here, "alice"), register(there, "bob")
    sent = [
        say(one, other, f"garganey {number}") for number in range(20) for one, other in ((alice, bob), (bob, alice))
    ]

    wait_for_index(database)

    rows = database.query("SELECT message_id FROM message_search ORDER BY message_id")
    assert [message_id for (message_id,) in rows] == sorted(sent)
