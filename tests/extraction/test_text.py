"""A term is found in a text as people expect it, in time in proportion to both."""

import pytest

from extraction.text import Excerpt, find_matches


@pytest.mark.parametrize(
    ("text", "term", "matched"),
    [
        ("Straße STRASSE strasse", "straße", ["Straße", "STRASSE", "strasse"]),
        ("the ﬁrst first", "FIRST", ["ﬁrst", "first"]),
        ("a  b\na\n\t b a b", "a b", ["a  b", "a\n\t b", "a b"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("a.b", ".", ["."]),
        ("İstanbul", "istanbul", []),
        ("x", "  ", []),
        ("\xa0two\u2003words ", " two words ", ["two\u2003words"]),
    ],
)
def test_matches_ignore_case_and_the_kind_of_white_space(text: str, term: str, matched: list[str]) -> None:
    matches = find_matches(text, term)

    assert [excerpt.match for excerpt in matches.excerpts] == matched
    assert matches.total == len(matched)
    assert all(text[e.position :].startswith(e.match) for e in matches.excerpts)


def test_an_excerpt_shows_sixty_characters_each_side() -> None:
    text = "a" * 100 + "NEEDLE" + "b" * 100

    [excerpt] = find_matches(text, "needle").excerpts

    assert excerpt == Excerpt(100, "a" * 60, "NEEDLE", "b" * 60)


def test_excerpts_end_at_a_hundred_and_the_count_does_not() -> None:
    matches = find_matches("ab " * 5000, "AB")

    assert (matches.total, len(matches.excerpts)) == (5000, 100)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (" " * 3_000_000, "a b"),
        ("a " * 1_000_000, "a " * 499 + "b"),
        ("a" * 3_000_000, "a" * 999 + "b"),
        ("a" + " " * 3_000_000 + "c", "a b"),
        ("ß" * 300_000, "s" * 999 + "t"),
    ],
)
def test_no_text_makes_matching_slow(text: str, term: str) -> None:
    assert find_matches(text, term).total == 0
