"""Tables that run over pages are joined, without what each page repeats."""

from typing import NamedTuple

import pytest

from extraction.tables.joining import join_tables
from extraction.tables.tabular import Rows, Spans, take_tables

HEIGHTS = dict.fromkeys(range(1, 10), 800.0)
HEAD: list[str | None] = ["item", "price"]


class Found(NamedTuple):
    page_number: int
    table_index: int
    data: Rows
    bbox: tuple[float, float, float, float]
    kind: str = "ruled"
    header_rows: int = 0
    spans: Spans = ()
    title: str = ""


def top(page_number: int, index: int, *rows: list[str | None], x: float = 72, bottom: float = 200) -> Found:
    return Found(page_number, index, rows, (x, 72, x + 400, bottom))


def foot(page_number: int, index: int, *rows: list[str | None], x: float = 72) -> Found:
    return Found(page_number, index, rows, (x, 500, x + 400, 720))


def full(page_number: int, index: int, *rows: list[str | None]) -> Found:
    return top(page_number, index, *rows, bottom=720)


def test_a_table_that_runs_over_pages_is_joined_without_its_repeated_head() -> None:
    found = [
        top(1, 0, ["other"]),
        foot(1, 1, HEAD, ["paper", "1"]),
        full(2, 2, ["item ", " price"], ["ink", "2"]),
        top(3, 3, HEAD, ["pens", "3"], x=74),
        foot(3, 4, ["last"]),
    ]

    first, whole, last = join_tables(found, HEIGHTS)

    assert (first.pages, last.pages) == ([1], [3])
    assert (whole.pages, whole.table_index, whole.bbox) == ([1, 2, 3], 1, (72, 500, 472, 720))
    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"], ["pens", "3"]]


def test_a_row_that_is_no_repeated_head_is_kept() -> None:
    (whole,) = join_tables([foot(1, 0, ["", None], ["a", "1"]), top(2, 1, ["", ""], ["a", "1"])], HEIGHTS)

    assert whole.data == [["", None], ["a", "1"], ["", ""], ["a", "1"]]


def test_a_repeated_head_joins_wherever_it_stands_on_its_page() -> None:
    (whole,) = join_tables([top(1, 0, HEAD, ["paper", "1"]), foot(2, 1, HEAD, ["ink", "2"])], {})

    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"]]


def test_a_repeated_head_joins_parts_that_stand_beside_each_other_as_in_a_book() -> None:
    (whole,) = join_tables([foot(1, 0, HEAD, ["paper", "1"]), top(2, 1, HEAD, ["ink", "2"], x=100)], HEIGHTS)

    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"]]


def test_a_last_row_that_only_says_that_the_table_goes_on_is_dropped() -> None:
    upper = foot(1, 0, HEAD, ["paper", "1"], ["Continued on next page", None])._replace(spans=[[2, 0, 2, 1]])

    (whole,) = join_tables([upper, top(2, 1, HEAD, ["ink", "2"])], HEIGHTS)

    assert (whole.data, whole.spans) == ([HEAD, ["paper", "1"], ["ink", "2"]], [])


@pytest.mark.parametrize("said", ["Suite 200", "Junior Suite", "Continued operations", "Notes continued in Annex B"])
def test_a_last_row_of_one_cell_that_says_something_else_is_kept(said: str) -> None:
    (whole,) = join_tables([foot(1, 0, HEAD, [said, None]), top(2, 1, HEAD, ["ink", "2"])], HEIGHTS)

    assert whole.data == [HEAD, [said, None], ["ink", "2"]]


@pytest.mark.parametrize(
    "said",
    [
        "(continued)",
        "Table to be continued",
        "Table 3 – continued",
        "Continued on the following page",
        "continued overleaf",
        "cont'd",
        "Fortsetzung auf Seite 4",
        "Suite à la page 3",
    ],
)
def test_spans_end_where_a_row_that_says_that_the_table_goes_on_is_dropped(said: str) -> None:
    upper = foot(1, 0, HEAD, ["a", "1"], [said, None])._replace(spans=[[1, 1, 2, 1], [0, 0, 2, 0]])

    (whole,) = join_tables([upper, top(2, 1, HEAD, ["ink", "2"])], HEIGHTS)

    assert (whole.data, whole.spans) == ([HEAD, ["a", "1"], ["ink", "2"]], [[0, 0, 1, 0]])


def test_a_single_row_may_end_a_table() -> None:
    (whole,) = join_tables([foot(1, 0, HEAD, ["paper", "1"]), top(2, 1, ["total", "1"])], HEIGHTS)

    assert (whole.pages, whole.data) == ([1, 2], [HEAD, ["paper", "1"], ["total", "1"]])


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        (foot(1, 0, HEAD), top(2, 1, ["a", "b", "c"])),
        (foot(1, 0, HEAD), top(2, 1, ["paper", "1"], x=80)),
        (foot(1, 0, HEAD), top(3, 1, HEAD)),
        (foot(1, 0, HEAD), foot(1, 1, HEAD)),
        (top(1, 0, HEAD), top(2, 1, ["paper", "1"])),
        (foot(1, 0, HEAD), foot(2, 1, ["paper", "1"])),
        (foot(1, 0, ["a frame"]), top(2, 1, ["another"])),
        (foot(11, 0, HEAD), top(12, 1, ["paper", "1"])),
    ],
    ids=["columns", "place", "a page between", "one page", "room left", "far down", "one column", "heights unknown"],
)
def test_tables_that_do_not_go_on_stay_apart(upper: Found, lower: Found) -> None:
    assert join_tables([upper, lower], HEIGHTS) == take_tables([upper, lower])


def test_only_the_last_of_a_page_goes_on_in_the_first_of_the_next() -> None:
    found = [foot(1, 0, HEAD), foot(1, 1, ["in between"]), top(2, 2, HEAD)]

    assert [joined.pages for joined in join_tables(found, HEIGHTS)] == [[1], [1], [2]]


HEADS: list[list[str | None]] = [[None, "Package", None], ["Part", "LQFP", "BGA"]]


def test_a_repeated_head_of_two_rows_is_dropped_whole() -> None:
    upper = foot(1, 0, *HEADS, ["PA0", "1", "2"])._replace(header_rows=2, spans=[[0, 1, 0, 2]])
    lower = top(2, 1, *HEADS, ["PA1", "3", "4"])._replace(header_rows=2, spans=[[0, 1, 0, 2]])

    (whole,) = join_tables([upper, lower], HEIGHTS)

    assert whole.data == [*HEADS, ["PA0", "1", "2"], ["PA1", "3", "4"]]
    assert (whole.header_rows, whole.spans) == (2, [[0, 1, 0, 2]])


@pytest.mark.parametrize("word", ["(continued)", "– Continued", "cont'd", "(contd.)", "(Fortsetzung)", "(suite)"])
def test_a_head_that_says_that_the_table_goes_on_is_a_repeated_one(word: str) -> None:
    lower = top(2, 1, [f"item {word}", "price"], ["ink", "2"])

    (whole,) = join_tables([foot(1, 0, HEAD, ["paper", "1"]), lower], HEIGHTS)

    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"]]


def test_a_row_that_only_says_that_the_table_goes_on_is_dropped() -> None:
    lower = top(2, 1, ["Table 3 (continued)", None], HEAD, ["ink", "2"])

    (whole,) = join_tables([foot(1, 0, HEAD, ["paper", "1"]), lower], HEIGHTS)

    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"]]


def test_the_spans_of_later_parts_move_with_their_rows() -> None:
    lower = top(2, 1, HEAD, ["ink", "2"], ["both", None])._replace(spans=[[2, 0, 2, 1]])

    (whole,) = join_tables([foot(1, 0, HEAD, ["paper", "1"]), lower], HEIGHTS)

    assert whole.spans == [[3, 0, 3, 1]]


def test_parts_without_rules_may_begin_at_other_places() -> None:
    upper = foot(1, 0, HEAD, ["paper", "1"])._replace(kind="unruled", header_rows=1)
    lower = top(2, 1, HEAD, ["ink", "2"], x=84)._replace(kind="unruled", header_rows=1)

    (whole,) = join_tables([upper, lower], HEIGHTS)

    assert whole.data == [HEAD, ["paper", "1"], ["ink", "2"]]


def test_a_table_without_rules_that_has_another_head_stays_apart() -> None:
    upper = foot(1, 0, HEAD, ["paper", "1"])._replace(kind="unruled", header_rows=1)
    lower = top(2, 1, ["town", "people"], ["Leeds", "2"])._replace(kind="unruled", header_rows=1)

    assert len(join_tables([upper, lower], HEIGHTS)) == 2
