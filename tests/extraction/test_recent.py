"""Answers that are asked for again are remembered, within limits."""

from extraction.recent import RecentAnswers


def test_a_full_memory_forgets_what_was_used_least_lately() -> None:
    recent = RecentAnswers(8000, seconds=1000)
    for key in "abcd":
        recent.keep((key,), key, size=900)
    recent.find(("a",))

    recent.keep(("e",), "e", size=900)

    assert [recent.find((key,)) for key in "abcde"] == ["a", None, "c", "d", "e"]


def test_an_answer_too_large_or_too_old_is_not_remembered() -> None:
    recent = RecentAnswers(8000, seconds=1000)
    recent.keep(("large",), 1, size=1001)
    brief = RecentAnswers(8000, seconds=-1)
    brief.keep(("old",), 1, size=1)

    assert recent.find(("large",)) is None
    assert brief.find(("old",)) is None
