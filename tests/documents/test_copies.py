"""What was extracted is kept once, however many documents have it; each of them has its own name, readers and end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from db import Database
from documents.merging import Merging
from support.databases import TestDatabase
from support.documents import upload
from support.engines import Run
from support.library import add_document
from support.pdfs import make_encrypted_pdf, make_pdf
from support.servers import PASSWORD, Person, Server, register, wait_until

KEPT = ("pages", "document_tables", "page_search")


def make_list(word: str) -> bytes:
    """A page with *word* above a table, and another page."""
    from fpdf import FPDF

    document = FPDF()
    document.set_font("helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 16, f"the {word} list", new_x="LMARGIN", new_y="NEXT")
    with document.table() as table:
        for row in (["item", "price"], ["paper", "12.50"]):
            table.row(row)
    document.add_page()
    document.multi_cell(0, 16, f"the end of the {word}")
    return bytes(document.output())


def count_rows(database: TestDatabase, *document_ids: int) -> list[int]:
    """Of these documents alone: in KEPT."""
    return [
        database.query(f"SELECT count(*) FROM {table} WHERE document_id = ANY(%s)", list(document_ids))[0][0]
        for table in KEPT
    ]


def found_by(person: Person, word: str, **filters: int) -> list[int]:
    """The documents whose pages a search finds, each once."""
    answer = person.client.get("/search", params={"q": word, "type": "page", **filters})
    assert answer.status_code == 200, answer.text
    return sorted({hit["document_id"] for hit in answer.json()["results"]})


def shown(person: Person, document_id: int) -> list[Any]:
    """Everything that was extracted, as its readers are shown it."""
    client = person.client
    answers = [
        client.get(f"/documents/{document_id}/{what}")
        for what in ("text", "pages", "pages/2", "tables.csv", "tables/0.csv")
    ]
    tables = client.get(f"/documents/{document_id}/tables").json()["tables"]
    matches = client.get(f"/documents/{document_id}/search", params={"q": "list"}).json()["total_matches"]
    assert {answer.status_code for answer in answers} == {200}
    return [*(answer.text for answer in answers), tables, matches]


def merge(database: TestDatabase, run: Run) -> None:
    """Do the background's work now."""

    async def work() -> None:
        pool = Database(database.keywords, size=1)
        await Merging(pool, wait_for_others=lambda: asyncio.sleep(0)).merge()
        await pool.close()

    run(work())


# Repeats


@pytest.fixture
def named(alice: Person) -> dict[str, list[int]]:
    """Two documents of the same content, under different names."""
    data = make_list("minnow")
    ids = [upload(alice, data, "zander.pdf"), upload(alice, data, "winter perch.pdf")]
    return {"both": ids, "first": ids[:1], "second": ids[1:], "neither": []}


def test_a_repeat_adds_no_pages_tables_or_index(alice: Person, database: TestDatabase) -> None:
    data = make_list("gudgeon")
    first = upload(alice, data)

    repeats = [upload(alice, data) for _ in range(3)]

    assert count_rows(database, first, *repeats) == [2, 1, 2]
    assert [shown(alice, repeat) for repeat in repeats] == [shown(alice, first)] * 3


def test_a_repeat_is_found_shared_and_quoted_like_the_first(alice: Person, bob: Person, database: TestDatabase) -> None:
    data = make_list("bullhead")
    first, second = upload(alice, data), upload(alice, data)

    alice.client.post(
        "/messages",
        json={"recipient_id": bob.id, "content": "look", "document_id": second, "page": 1, "match": "bullhead"},
    )

    (message,) = bob.client.get(f"/messages/{alice.id}").json()
    assert (found_by(alice, "bullhead"), found_by(bob, "bullhead")) == ([first, second], [second])
    assert "bullhead" in str(message["attachment"]["snippet"])
    assert [
        hit["document_id"]
        for hit in bob.client.get("/search", params={"q": "bullhead", "type": "page", "document_id": second}).json()[
            "results"
        ]
    ] == [second] * 2


def test_a_repeat_under_another_name_adds_no_index_either(alice: Person, database: TestDatabase) -> None:
    data = make_list("loach")

    first, second = upload(alice, data, "first.pdf"), upload(alice, data, "minutes.pdf")

    assert count_rows(database, first, second) == [2, 1, 2]
    assert (found_by(alice, "loach"), found_by(alice, "minutes")) == ([first, second], [second])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("minnow", "both"),
        ("minnow zander", "first"),
        ("minnow perch", "second"),
        ("zander -perch", "first"),
        ("minnow -zander", "second"),
        ("zander or perch", "both"),
        ("perch or end", "both"),
        ('"the minnow" per', "second"),
        ('"winter perch"', "second"),
        ('"perch minnow"', "neither"),
        ("zander perch", "neither"),
    ],
)
def test_a_copy_has_the_words_of_its_own_name_and_of_no_other(
    alice: Person, named: dict[str, list[int]], query: str, expected: str
) -> None:
    assert found_by(alice, query) == named[expected]


def test_copies_rank_and_count_as_documents_that_share_nothing(
    alice: Person, bob: Person, named: dict[str, list[int]]
) -> None:
    """Bob has the same two documents, each extracted for itself."""
    data = make_list("minnow")
    other = [upload(bob, data + b"% ", "zander.pdf"), upload(bob, data + b"%  ", "winter perch.pdf")]
    numbers = dict(zip(other, named["both"], strict=True))

    for query in ("minnow", "perch minnow", "zander list", "perch", "list price", "the minn", "perch or end", "wint"):
        hers, his = (
            person.client.get("/search", params={"q": query, "type": "page"}).json() for person in (alice, bob)
        )
        places = [(hit["document_id"], hit["page"]) for hit in hers["results"]]
        assert places == [(numbers[hit["document_id"]], hit["page"]) for hit in his["results"]], query
        assert hers["totals"] == his["totals"]


def test_the_classic_column_has_the_text_of_each(alice: Person, database: TestDatabase) -> None:
    data = make_pdf("for older programs")
    ids = [upload(alice, data) for _ in range(2)]

    assert (
        database.query("SELECT extracted_text FROM documents WHERE id = ANY(%s)", ids) == [("for older programs",)] * 2
    )


def test_many_repeats_among_others_are_found_by_bands_too(alice: Person, bob: Person, database: TestDatabase) -> None:
    data = make_list("sterlet")
    first = upload(alice, data)
    for number in range(50):  # more than are looked up one by one
        add_document(database, alice, f"number {number}")
    second = upload(alice, data)

    assert found_by(alice, "sterlet") == [first, second]
    assert found_by(bob, "sterlet") == []


# Names


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_one_that_gets_another_name_is_found_by_it_alone(alice: Person, database: TestDatabase, renamed: int) -> None:
    data = make_list("burbot")
    ids = [upload(alice, data, "voyage.pdf") for _ in range(3)]

    alice.client.patch(f"/documents/{ids[renamed]}", json={"filename": f"journey{renamed}.pdf"})

    others = [each for each in ids if each != ids[renamed]]
    assert found_by(alice, f"journey{renamed}") == [ids[renamed]]
    assert found_by(alice, "voyage") == others
    assert found_by(alice, "burbot") == ids
    assert count_rows(database, *ids) == [2, 1, 2]


# The end


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_last_one_takes_what_they_shared_with_it(
    alice: Person, database: TestDatabase, order: tuple[int, ...]
) -> None:
    data = make_list("nase")
    ids = [upload(alice, data) for _ in range(3)]
    before = shown(alice, ids[0])

    for number, place in enumerate(order):
        left = [ids[each] for each in sorted(order[number:])]
        assert (found_by(alice, "nase"), count_rows(database, *ids)) == (left, [2, 1, 2])
        assert [shown(alice, each) for each in left] == [before] * len(left)
        alice.client.delete(f"/documents/{ids[place]}")

    assert (found_by(alice, "nase"), count_rows(database, *ids)) == ([], [0, 0, 0])


def test_a_person_who_leaves_leaves_others_their_copies(alice: Person, bob: Person, database: TestDatabase) -> None:
    data = make_list("zander")
    first = alice.upload(data, recipient_id=str(bob.id)).json()["document_id"]
    mine = upload(alice, data)
    his = [upload(bob, data) for _ in range(2)]
    before = shown(alice, first)

    answer = alice.client.request("DELETE", "/me", json={"password": PASSWORD})

    assert answer.status_code == 204
    assert [shown(bob, each) for each in his] == [before] * 2
    assert found_by(bob, "zander") == his
    assert count_rows(database, first, mine, *his) == [2, 1, 2]


def test_what_is_deleted_by_hand_leaves_the_copies_too(alice: Person, database: TestDatabase) -> None:
    data = make_list("asp")
    first, second, third = (upload(alice, data) for _ in range(3))
    before = shown(alice, first)

    database.query("DELETE FROM documents WHERE id IN (%s, %s)", first, third)

    assert shown(alice, second) == before
    assert (found_by(alice, "asp"), count_rows(database, first, second, third)) == ([second], [2, 1, 2])


def test_repeats_and_deletions_at_once_leave_what_is_left_whole(alice: Person, database: TestDatabase) -> None:
    data = make_list("barbel")
    first = upload(alice, data)
    before = shown(alice, first)

    def replace(document_id: int) -> int:
        new = upload(alice, data)
        assert alice.client.delete(f"/documents/{document_id}").status_code == 204
        return new

    with ThreadPoolExecutor(4) as threads:
        ids = [first, *threads.map(lambda _: upload(alice, data), range(4))]
        for _ in range(3):
            ids = list(threads.map(replace, ids))

    assert [shown(alice, each) for each in ids] == [before] * 5
    assert found_by(alice, "barbel") == sorted(ids)
    assert database.query(
        "SELECT count(*) FROM pages p WHERE NOT EXISTS (SELECT FROM documents WHERE id = p.document_id)"
    ) == [(0,)]


# Extracted again


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_is_extracted_again_leaves_the_others_as_they_are(
    alice: Person, database: TestDatabase, place: int
) -> None:
    data = make_list("vimba")
    ids = [upload(alice, data) for _ in range(2)]
    database.query("UPDATE pages SET text = 'as it was' WHERE page_number = 2 AND document_id = ANY(%s)", ids)
    database.query("UPDATE documents SET reader_version = 1 WHERE id = ANY(%s)", ids)

    alice.client.post(f"/documents/{ids[place]}/read", json={})
    wait_until(lambda: alice.client.get(f"/documents/{ids[place]}").json()["status"] == "ready")

    texts = {each: alice.client.get(f"/documents/{each}/pages/2").json()["text"] for each in ids}
    assert texts == {ids[place]: "the end of the vimba", ids[1 - place]: "as it was"}
    assert found_by(alice, "vimba") == ids


# Of several people


def test_what_two_people_uploaded_is_kept_once_after_both_were_read(
    alice: Person, bob: Person, database: TestDatabase, run: Run
) -> None:
    data = make_list("ide")
    hers, his = upload(alice, data), upload(bob, data)
    read = count_rows(database, hers, his)
    before = shown(alice, hers)

    merge(database, run)

    assert (read, count_rows(database, hers, his)) == ([4, 2, 4], [2, 1, 2])
    assert (shown(alice, hers), shown(bob, his)) == (before, before)
    assert (found_by(alice, "ide"), found_by(bob, "ide")) == ([hers], [his])
    assert bob.client.get(f"/documents/{hers}/text").status_code == 404


def test_the_copies_of_both_go_together(alice: Person, bob: Person, database: TestDatabase, run: Run) -> None:
    data = make_list("roach")
    ids = [upload(person, data, "roach.pdf") for person in (bob, alice, bob, alice)]

    merge(database, run)
    bob.client.delete(f"/documents/{ids[0]}")

    assert count_rows(database, *ids) == [2, 1, 2]
    assert (found_by(alice, "roach"), found_by(bob, "roach")) == ([ids[1], ids[3]], [ids[2]])


def test_what_was_extracted_otherwise_stays_apart(alice: Person, bob: Person, database: TestDatabase, run: Run) -> None:
    data = make_list("bleak")
    hers, his = upload(alice, data), upload(bob, data)
    database.query("UPDATE pages SET text = 'cut short' WHERE page_number = 2 AND document_id = %s", his)

    merge(database, run)

    assert count_rows(database, hers, his) == [4, 2, 4]
    assert bob.client.get(f"/documents/{his}/pages/2").json()["text"] == "cut short"
    assert alice.client.get(f"/documents/{hers}/pages/2").json()["text"] == "the end of the bleak"


def test_what_a_password_protects_is_kept_once_and_opened_by_each(
    alice: Person, bob: Person, database: TestDatabase, run: Run
) -> None:
    data = make_encrypted_pdf("the secret pike", user_password="open sesame")
    answers: list[httpx.Response] = [person.upload(data, password="open sesame") for person in (alice, bob)]
    hers, his = (answer.json()["document_id"] for answer in answers)

    merge(database, run)

    assert count_rows(database, hers, his)[0] == 1
    assert bob.client.get(f"/documents/{his}/text").text == "the secret pike"
    assert bob.upload(data, password="a guess").status_code == 400


# An older database


def test_what_an_older_version_kept_twice_is_kept_once_after_the_update(
    make_database: Callable[[], TestDatabase], run: Run
) -> None:
    old = make_database()
    old.query('DROP TRIGGER "A_documents_keep_shared_content" ON documents')
    old.query("ALTER TABLE documents DROP COLUMN copy_of, DROP COLUMN names")
    old.query("DELETE FROM schema_version")
    old.query("INSERT INTO users (id, email, password_hash, name) VALUES (1, 'a@example.com', '', 'Alice')")
    old.query(
        "INSERT INTO documents (id, user_id, filename, file_path, file_size, sha256, reader_version)"
        " SELECT n, 1, 'a.pdf', n || '.pdf', 9, 'abc', 2 FROM generate_series(1, 3) AS n"
    )
    old.query("INSERT INTO pages SELECT n, 1, 'a page', 595, 842 FROM generate_series(1, 3) AS n")
    old.query("UPDATE documents SET tokens_version = 1")

    run(old.update())
    merge(old, run)

    assert old.query("SELECT id, copy_of FROM documents ORDER BY id") == [(1, None), (2, 1), (3, 1)]
    assert old.query("SELECT document_id, text FROM pages") == [(1, "a page")]


def test_copies_of_version_21_are_found_at_once_and_lose_their_own_index_in_the_background(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    """Then copies of the same name had the first one's index, those of other names one of their own."""
    old = make_database()
    server = make_server(database=old).start()
    alice = register(server, "alice")
    data = make_list("grayling")
    ids = [upload(alice, data, name) for name in ("spring.pdf", "spring.pdf", "autumn.pdf")]
    server.stop()
    old.query("ALTER TABLE documents ADD COLUMN indexed_as bigint REFERENCES documents (id)")
    old.query("UPDATE documents SET indexed_as = copy_of WHERE id = %s", ids[1])
    old.query(
        "INSERT INTO page_search SELECT d.id, page_number, ARRAY[d.id, -(d.id / 32) - 1], rename_page(vec, d.names)"
        " FROM page_search JOIN documents d ON d.id = %s WHERE document_id = d.copy_of",
        ids[2],
    )
    old.query("ALTER TABLE documents DROP COLUMN names")
    old.query("UPDATE schema_version SET version = 21, content_hash = 'of version 21'")

    server.start()
    alice.client = server.client()
    alice.client.headers.update(alice.headers)

    def found() -> list[list[int]]:
        return [found_by(alice, word) for word in ("grayling", "spring", "autumn", "grayling spring")]

    expected = [ids, ids[:2], ids[2:], ids[:2]]
    assert found() == expected
    wait_until(lambda: count_rows(old, *ids) == [2, 1, 2])
    assert found() == expected
