"""What people type is parsed into a query that PostgreSQL accepts, whatever it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from extraction.folding import fold, strip_accents
from extraction.tokens import find_tokens, make_page_vector
from search.snippets import Highlighter
from search.terms import parse
from support.databases import TestDatabase

TYPED = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from("\"'“”-–()&|!:*<>\\ \t\n.@/_orAND東京กีि\u0301\u200b"),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("typed", "exact"),
    [
        ("total due", "'total' & 'due'"),
        ('"total due"', "('total' <-> 'due')"),
        ("due -draft", "'due' & !('draft')"),
        ("a or b c", "('a') | ('b' & 'c')"),
        ("AB-12", "('ab-12' | ('ab' <-> '12'))"),
        ("東京都", "('東京' <-> '京都')"),
        ("東", "'東':*"),
        ('"東京 大学"', "('東京' <2> '大学')"),
        ("--help", "'help'"),
        ("O'Brien", "('o' <-> 'brien')"),
    ],
)
def test_what_is_typed_becomes_a_query(typed: str, exact: str) -> None:
    assert parse(typed).as_tsquery(longer=False) == exact


@pytest.mark.parametrize(
    ("typed", "longer"),
    [("invoice", "'invoice':*"), ("ab", "'ab'"), ('"invoice"', "'invoice'"), ("page-level", "('page' <-> 'level':*)")],
)
def test_a_word_of_three_letters_finds_longer_ones(typed: str, longer: str) -> None:
    assert parse(typed).as_tsquery(longer=True) == longer


@pytest.mark.parametrize("typed", ["", "-draft", "???", '""', "a or -b", "word " * 33, "-", "東" * 300])
def test_what_asks_for_nothing_or_too_much_is_refused(typed: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse(typed)


@given(TYPED)
def test_whatever_is_typed_is_parsed_or_refused(typed: str) -> None:
    try:
        query = parse(typed)
    except PydanticCustomError:
        return
    for longer in (False, True):
        query.as_tsquery(longer=longer, also="=u1")
        snippet = Highlighter(query, longer=longer).show(typed)
        assert "".join(piece.text for piece in snippet.pieces) in typed


def test_postgresql_reads_every_query_and_vector(tables: TestDatabase) -> None:
    with tables.open() as connection:
        cursor = connection.cursor()

        @settings(max_examples=150, deadline=None)
        @given(TYPED)
        def is_read(typed: str) -> None:
            try:
                query = parse(typed)
            except PydanticCustomError:
                return
            cursor.execute(
                "SELECT %s::tsvector @@ %s::tsquery, %s::tsquery, %s::tsquery",
                (
                    make_page_vector(typed),
                    query.as_tsquery(longer=True, also="=u1"),
                    query.as_proximity(longer=False) or "a",
                    query.as_phrase() or "a",
                ),
            )

        is_read()


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_a_text_is_found_by_itself(text: str) -> None:
    """Token by token: the tokens of a text that is folded already are the same."""
    assert [token.text for token in find_tokens(fold(text))] == [token.text for token in find_tokens(text)]
    assert strip_accents(strip_accents(fold(text))) == strip_accents(fold(text))


def test_a_vector_stays_within_what_postgresql_takes(tables: TestDatabase) -> None:
    words = " ".join(f"w{number}x" for number in range(200_000))
    often = "again " * 50_000

    ((count,),) = tables.query(
        "SELECT length(%s::tsvector) + length(%s::tsvector)", make_page_vector(words), make_page_vector(often)
    )

    assert count > 10_000
