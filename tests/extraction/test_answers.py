"""Answers of workers, whole and forged: the server makes nothing of what its task does not return."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from errors import BadPdfError, ExtractionLimitError, PagewireError, PasswordRequiredError
from extraction import search, tasks
from extraction.notices import Finding
from extraction.values import Note, PageText, Part, Table, Word
from extraction.workers import answers
from extraction.workers.answers import BadAnswerError, TaskFailedError, pack, pack_error, unpack

PART = Part(
    page_count=3,
    metadata={"Title": "Größe"},
    encrypted=False,
    pages=[PageText(2, "zwei\n\\u0000", 612.0, 792.0), PageText(3, "", 612.0, 792.0)],
    tables=[Table(2, 0, [["a", None], ["b", "\\u0000"]], (1.0, 2.0, 3.0, 4.0), "ruled", 1, [(0, 0, 0, 1)], "t")],
    notes=[Note(2, "a", "b")],
    findings=[Finding("repaired"), Finding("no_text", 3)],
    unreadable_count=0,
    began=1.0,
    ended=2.0,
    cpu_seconds=0.5,
    rescue_seconds=0.0,
    vectors=["'a':1", ""],
)


def send(value: object, task: Callable[..., object]) -> Any:
    return unpack(b"".join(pack(value)), task)


def forge(*blobs: bytes, kind: bytes = b"V") -> bytes:
    return b"".join(answers._frame(kind, list(blobs)))


@pytest.mark.parametrize(
    ("task", "value"),
    [
        (tasks.extract_part, PART),
        (tasks.extract_part, PART._replace(vectors=[])),
        (tasks.extract_json, b"{}"),
        (tasks.extract_tables, None),
        (tasks.extract_tables, b""),
        (search.search, (b"found", b"text")),
        (tasks.read_words, [Word("a", 1.0, 2.0, 3.0, 4.0)]),
        (tasks.read_words, None),
        (tasks.read_labels, {1: "i"}),
        (tasks.make_page_vectors, ["'a':1"]),
    ],
)
def test_an_answer_comes_back_as_it_was(task: Callable[..., object], value: object) -> None:
    assert send(value, task) == value


@pytest.mark.parametrize(
    "error", [BadPdfError("damaged"), PasswordRequiredError(), ExtractionLimitError("too long"), MemoryError()]
)
def test_an_error_comes_back_as_it_was(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        unpack(b"".join(pack_error(error)), tasks.inspect)

    assert str(raised.value) == str(error)


def test_the_cause_of_an_error_is_known_for_the_log() -> None:
    error = BadPdfError("damaged")
    error.__cause__ = ValueError("a dictionary without end")

    with pytest.raises(BadPdfError) as raised:
        unpack(b"".join(pack_error(error)), tasks.inspect)

    assert "a dictionary without end" in str(raised.value.__cause__)


def test_an_unexpected_error_is_told_with_its_place() -> None:
    with pytest.raises(TaskFailedError, match="division by zero"):
        unpack(b"".join(pack_error(ZeroDivisionError("division by zero"))), tasks.inspect)


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (tasks.extract_json, b""),
        (tasks.extract_json, b"V"),
        (tasks.extract_json, pickle.dumps("a pickle")),
        (tasks.extract_json, forge(b"x", kind=b"?")),
        (tasks.extract_json, forge()),
        (tasks.extract_json, forge(b"x", b"y")),
        (tasks.extract_json, forge(b"x") + b"more"),
        (tasks.extract_json, forge(b"more than there is")[:-1]),
        (tasks.extract_json, b"V\xff\xff\xff\xff"),
        (tasks.extract_json, b"V\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff"),
        (search.search, forge(b"one")),
        (tasks.read_labels, forge(b'{"one": "i"}')),
        (tasks.read_words, forge(b'[["a", NaN, 1, 1, 1]]')),
        (tasks.read_words, forge(b'[["a", 1e999, 1, 1, 1]]')),
        (tasks.read_words, forge(b'[["\\ud800", 1, 1, 1, 1]]')),
        (tasks.read_words, forge(b'[["\\u0000", 1, 1, 1, 1]]')),
        (tasks.read_words, forge(b'[["a", "1", 1, 1, 1]]')),
        (tasks.read_words, forge(b"[" * 100_000)),
        (tasks.inspect, forge(b"null")),
        (tasks.inspect, forge(json.dumps(["internal_error", "a", ""]).encode(), kind=b"E")),
        (tasks.inspect, forge(b'"no list"', kind=b"E")),
    ],
)
def test_a_forged_answer_is_refused(task: Callable[..., object], answer: bytes) -> None:
    with pytest.raises(BadAnswerError):
        unpack(answer, task)


TABLE = PART.tables[0]


@pytest.mark.parametrize(
    "part",
    [
        PART._replace(pages=PART.pages[::-1]),
        PART._replace(pages=[]),
        PART._replace(page_count=2),
        PART._replace(vectors=["one"]),
        PART._replace(cpu_seconds=-1.0),
        PART._replace(pages=[PART.pages[0]._replace(text="a\0b"), PART.pages[1]]),
        PART._replace(metadata={"Title": "a\0b"}),
        PART._replace(tables=[TABLE._replace(data=[])]),
        PART._replace(tables=[TABLE._replace(data=[["a"], ["b", "c"]])]),
        PART._replace(tables=[TABLE._replace(page_number=1)]),
        PART._replace(tables=[TABLE._replace(header_rows=9)]),
        PART._replace(tables=[TABLE._replace(spans=[(0, 0, 9, 9)])]),
        PART._replace(tables=[TABLE._replace(kind="a kind")]),  # type: ignore[arg-type]
    ],
)
def test_a_part_that_no_file_has_is_refused(part: Part) -> None:
    with pytest.raises(BadAnswerError):
        send(part, tasks.extract_part)


def test_what_people_read_of_an_error_is_short_and_plain() -> None:
    with pytest.raises(PagewireError) as raised:
        unpack(b"".join(pack_error(BadPdfError("\x1b[31m\x9b" + "a" * 10_000))), tasks.inspect)

    assert len(raised.value.detail) == answers.MAXIMUM_DETAIL_CHARS
    assert raised.value.detail.startswith("?[31m?aaa")


def test_an_answer_that_is_too_long_to_parse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAXIMUM_JSON_BYTES", 10)

    with pytest.raises(BadAnswerError, match="too long"):
        send(["a long enough text"], tasks.make_page_vectors)
