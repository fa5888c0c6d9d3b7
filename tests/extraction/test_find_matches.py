"""A term is found in a text as people see it, in time in proportion to both."""

import pytest

from extraction.matching import Excerpt, find_matches


@pytest.mark.parametrize(
    ("text", "term", "matched"),
    [
        ("Straße STRASSE strasse", "straße", ["Straße", "STRASSE", "strasse"]),
        ("the ﬁrst first", "FIRST", ["ﬁrst", "first"]),
        ("a  b\na\n\t b a b", "a b", ["a  b", "a\n\t b", "a b"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("a.b", ".", ["."]),
        ("İstanbul", "istanbul", ["İstanbul"]),
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
        (" " * 1_000_000, "a b"),
        ("a " * 300_000, "a " * 499 + "b"),
        ("a" * 1_000_000, "a" * 999 + "b"),
        ("a" + " " * 1_000_000 + "c", "a b"),
        ("ß" * 100_000, "s" * 999 + "t"),
    ],
)
def test_no_text_makes_matching_slow(text: str, term: str) -> None:
    assert find_matches(text, term).total == 0


@pytest.mark.parametrize(
    ("text", "term", "matched"),
    [
        ("in Zu\u0308rich", "Zürich", ["Zu\u0308rich"]),
        ("in Zürich", "Zu\u0308rich", ["Zürich"]),
        ("cafe\u0301, café, cafe", "cafe", ["cafe\u0301", "café", "cafe"]),
        ("cafe\u0301, café, cafe", "café", ["cafe\u0301", "café"]),
        ("I don\u2019t, don't", "don't", ["don\u2019t", "don't"]),
        ("\u201cquoted\u201d „quoted“ »quoted«", '"quoted"', ["\u201cquoted\u201d", "„quoted“", "»quoted«"]),
        ("co\u2011op, a\u2013b, 10\u22125", "co-op", ["co\u2011op"]),
        ("co\u2011op, a\u2013b, 10\u22125", "a-b", ["a\u2013b"]),
        ("co\u2011op, a\u2013b, 10\u22125", "10-5", ["10\u22125"]),
        ("Ａ１２３", "a123", ["Ａ１２３"]),
        ("on\u200be, so\u00adft", "one", ["on\u200be"]),
        ("on\u200be, so\u00adft", "soft", ["so\u00adft"]),
        ("the \u2f45法 here", "方法", ["\u2f45法"]),
        ("ﬁnally, eﬃcient", "efficient", ["eﬃcient"]),
        ("か\u3099く", "がく", ["か\u3099く"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글", ["\u1112\u1161\u11ab\u1100\u1173\u11af"]),
        ("5\xa0000 m\u00b2", "5 000 m2", ["5\xa0000 m\u00b2"]),
        ("Straße", "STRASSE", ["Straße"]),
        ("ΣΟΦΟΣ σοφος σοφός", "σοφος", ["ΣΟΦΟΣ", "σοφος", "σοφός"]),
    ],
)
def test_what_looks_the_same_is_found(text: str, term: str, matched: list[str]) -> None:
    matches = find_matches(text, term)

    assert [excerpt.match for excerpt in matches.excerpts] == matched
    assert all(text[e.position :].startswith(e.match) for e in matches.excerpts)


@pytest.mark.parametrize(
    ("text", "term", "matched"),
    [
        ("on 2024-\n05-01", "2024-05-01", ["2024-\n05-01"]),
        ("an exam-\nple", "example", ["exam-\nple"]),
        ("cross-\nborder", "cross-border", ["cross-\nborder"]),
        ("cross\u2010\nborder", "cross-border", ["cross\u2010\nborder"]),
        ("exam\u2010\nple", "example", ["exam\u2010\nple"]),
        ("a list -\nof two", "list of", []),
        ("a list -\nof two", "list - of", ["list -\nof"]),
    ],
)
def test_a_word_parted_at_a_line_end_is_found_whole(text: str, term: str, matched: list[str]) -> None:
    assert [excerpt.match for excerpt in find_matches(text, term).excerpts] == matched


def test_places_are_exact_after_whatever_changes_its_length() -> None:
    text = "ﬁ\u200b e\u0301 ß ½ x-\ny  \u1112\u1161\u11ab needle"

    (hit,) = find_matches(text, "needle").excerpts
    (other,) = find_matches(text, "é ß").excerpts

    assert (hit.position, hit.match) == (text.index("needle"), "needle")
    assert (other.position, other.match) == (text.index("e\u0301"), "e\u0301 ß")
