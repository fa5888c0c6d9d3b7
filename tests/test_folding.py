"""Names and addresses are compared in any case and however their accents are encoded."""

import pytest

from db import fold, fold_address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MÜLLER@example.com", "müller@EXAMPLE.com"),
        ("M\u00fcller@example.com", "mu\u0308LLER@example.com"),
        ("ΟΔΥΣΣΕΥΣ@example.com", "οδυσσευς@example.com"),
        ("ИВАН@пример.рф", "иван@ПРИМЕР.рф"),
        ("STRAẞE@example.com", "straße@example.com"),
    ],
)
def test_two_spellings_of_an_address_are_the_same(one: str, other: str) -> None:
    assert fold_address(one) == fold_address(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße@example.com", "strasse@example.com"),
        ("alice@straße.de", "alice@strasse.de"),
        ("zoë@example.com", "zoe@example.com"),
        ("ali.ce@example.com", "alice@example.com"),
        ("ırmak@example.com", "irmak@example.com"),
    ],
)
def test_two_mailboxes_are_two_addresses(one: str, other: str) -> None:
    assert fold_address(one) != fold_address(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Müller", "MU\u0308LLER"), ("Straße", "STRASSE"), ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"), ("ﬁnn", "FINN")]
)
def test_two_spellings_of_a_name_are_found_by_each_other(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize("text", ["", "alice", "\u0130stanbul", "ǰ", "ΐ", "\u0345α", "🙂", "文書"])
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert (fold(fold(text)), fold_address(fold_address(text))) == (fold(text), fold_address(text))
