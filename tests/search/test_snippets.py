"""A snippet shows the densest place of a text, whole words, cut from the text as it is."""

import pytest

from search.snippets import CHARACTERS, Highlighter, Snippet
from search.terms import parse


def show(text: str, words: str, *, longer: bool = False) -> Snippet:
    return Highlighter(parse(words), longer=longer).show(text)


def hits(snippet: Snippet) -> list[str]:
    return [piece.text for piece in snippet.pieces if piece.hit]


def shown(snippet: Snippet) -> str:
    return "".join(piece.text for piece in snippet.pieces)


def test_the_densest_place_is_shown() -> None:
    text = "apple " + "filler " * 100 + "apple and pear and plum" + " filler" * 100

    snippet = show(text, "apple pear plum")

    assert hits(snippet) == ["apple", "pear", "plum"]
    assert snippet.matches == 4


def test_a_snippet_has_whole_words_and_about_160_characters() -> None:
    text = "consetetur " * 100 + "needle " + "sadipscing " * 100

    words = shown(show(text, "needle")).split()

    assert set(words) == {"consetetur", "needle", "sadipscing"}
    assert CHARACTERS - 25 <= len(" ".join(words)) <= CHARACTERS


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("ein Stra\u00dfenfest, Stra\u00dfe", "strasse", ["Stra\u00dfe"]),
        ("of\ufb01ce hours", "office", ["of\ufb01ce"]),
        ("cafe\u0301 noir", "cafe", ["cafe\u0301"]),
        ("M\u00fcller, Muller", "m\u00fcller", ["M\u00fcller"]),
        ("in\u00advis\u00adible ink", "invisible", ["in\u00advis\u00adible"]),
        ("\u6771\u4eac \u5927\u5b66", "\u4eac\u5927", ["\u4eac \u5927"]),
        ("US$1,250.00 paid", "1,250.00", ["1,250.00"]),
        ("catalogue cat", "cat", ["cat"]),
        ("\u0130stanbul", "istanbul", ["\u0130stanbul"]),
    ],
)
def test_hits_are_marked_in_the_text_as_it_is(text: str, words: str, expected: list[str]) -> None:
    snippet = show(text, words)

    assert hits(snippet) == expected
    assert shown(snippet) == text


def test_longer_words_are_marked_whole() -> None:
    assert hits(show("invoices and invoicing", "invoic", longer=True)) == ["invoices", "invoicing"]


def test_without_a_hit_the_beginning_is_shown() -> None:
    snippet = show("nothing of it " * 50, "missing")

    assert (hits(snippet), snippet.matches) == ([], 0)
    assert shown(snippet).startswith("nothing of it")


def test_a_text_of_one_endless_word_takes_no_time() -> None:
    assert show("a" * 200_000, "a").matches == 0
