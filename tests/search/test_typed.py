"""Whatever is typed, the search answers or says what is wrong."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.accounts import fields
from support.databases import TestDatabase
from support.library import add_document, say, search, wait_for_index
from support.servers import Person

TYPED = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\"'“”-–()&|!:*<>\\ \t\n.@/_orAND東京กีि\u0301\u200b%_;$1"),
    ),
    max_size=80,
)


@pytest.fixture(scope="module")
def reader(shared_alice: Person, database: TestDatabase) -> Person:
    add_document(database, shared_alice, "東京 café AB-12/7 the quick 'brown' fox \\ \" & | ! : * ( )")
    say(shared_alice, shared_alice, "東京 café AB-12/7 the quick 'brown' fox \\ \" & | ! : * ( )")
    wait_for_index(database)
    return shared_alice


def test_whatever_is_typed_is_answered(reader: Person) -> None:
    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(TYPED)
    def is_answered(typed: str) -> None:
        answer = reader.client.get("/search", params={"q": typed})
        assert answer.status_code in (200, 422), (typed, answer.text)

    is_answered()


@pytest.mark.parametrize(
    "typed",
    [
        "'; DROP TABLE page_search; --",
        "a' & 'b':* | !c",
        "\\\\' \\' '\\",
        "a <-> b",
        "%(query)s %s $1",
        "or or or or",
        '""""""""',
        '"" a "" -""',
        "- - - a",
        "a" * 1000,
        "東" * 150,
        "1" * 900,
        "a.b@c_d-" * 20,
        "\u202e\u200b\ufeff a",
        "😀 😀👍🏽",
        "a\u0301\u0301\u0301\u0301" * 50,
    ],
)
def test_odd_queries_are_answered(reader: Person, typed: str) -> None:
    answer = reader.client.get("/search", params={"q": typed})

    assert answer.status_code == 200 or (answer.status_code == 422 and answer.json()["code"] == "validation_error")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": "  "}, "q"),
        ({"q": "-only -negatives"}, "q"),
        ({"q": "???"}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"q": "word " * 33}, "q"),
        ({"q": "x" * 1001}, "q"),
        ({"q": "a", "type": "person"}, "type"),
        ({"q": "a", "limit": "0"}, "limit"),
        ({"q": "a", "limit": "201"}, "limit"),
        ({"q": "a", "document_id": str(2**63)}, "document_id"),
        ({"q": "a", "from": "0"}, "from"),
        ({"q": "a", "before": "yesterday"}, "before"),
        ({"q": "a", "after": "0001-01-01T00:00:00+14:00"}, "after"),
        ({"q": "a", "cursor": "garbage"}, "cursor"),
        ({"q": "a", "cursor": "bnVsbA"}, "cursor"),
        ({"q": "a", "cursor": "W1tbW1tbW1tb"}, "cursor"),
        ({"q": "a", "cursor": "x" * 2001}, "cursor"),
    ],
)
def test_a_wrong_question_is_refused(reader: Person, query: dict[str, str], field: str) -> None:
    assert fields(reader.client.get("/search", params=query)) == {field}


def test_a_cursor_of_another_search_is_refused(reader: Person, database: TestDatabase) -> None:
    for _ in range(2):
        add_document(database, reader, "ibis")
    wait_for_index(database)
    cursor = search(reader, "ibis", limit=1)["next_cursor"]

    assert fields(reader.client.get("/search", params={"q": "ibises", "cursor": cursor})) == {"cursor"}
    assert fields(reader.client.get("/search", params={"q": "ibis", "type": "page", "cursor": cursor})) == {"cursor"}
