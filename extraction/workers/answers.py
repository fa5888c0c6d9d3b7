"""Answers of workers as bytes. A worker may be in the hands of its file, so the server trusts nothing in them:
sizes are checked before anything is made of them, values against the types that the task returns.
"""

import json
import struct
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from errors import BadPdfError, ExtractionLimitError, PagewireError, PasswordRequiredError
from extraction.values import MAXIMUM_TEXT_CHARS, Part, too_much_text

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MEGABYTE = 1024 * 1024
MAXIMUM_BYTES = 256 * MEGABYTE  # of an answer
MAXIMUM_JSON_BYTES = 48 * MEGABYTE  # of it, to be parsed
MAXIMUM_BLOBS = 100_000  # that it consists of
MAXIMUM_DETAIL_CHARS = 300  # of an error that people read
MAXIMUM_TRACE_CHARS = 4000

_HEAD = struct.Struct(">cI")  # what kind, how many blobs; their sizes follow, then the blobs
_SIZE = struct.Struct(">Q")
_VALUE, _ERROR, _OUT_OF_MEMORY, _DEFECT = b"V", b"E", b"M", b"D"
_ERRORS: dict[str, type[PagewireError]] = {
    kind.code: kind for kind in (BadPdfError, ExtractionLimitError, PasswordRequiredError)
}


class BadAnswerError(Exception):
    """What a worker answered is not what its task returns."""


class TaskFailedError(Exception):
    """What a task has raised, with its traceback: a defect of ours, or the cause of an error."""

    def __init__(self, trace: str) -> None:
        super().__init__(_printable(trace[:MAXIMUM_TRACE_CHARS]))


def pack(value: object) -> list[bytes]:
    """Return *value* as bytes, in parts to be written one after the other."""
    if value is None:
        return _frame(_VALUE, [])
    if isinstance(value, bytes):
        return _frame(_VALUE, [value])
    if isinstance(value, Part):
        bare = value._replace(pages=[page._replace(text="") for page in value.pages], vectors=())
        texts = [text.encode() for text in (*(page.text for page in value.pages), *value.vectors)]
        return _frame(_VALUE, [_to_json(bare), *texts])
    if isinstance(value, tuple) and value and all(isinstance(part, bytes) for part in value):
        return _frame(_VALUE, list(value))
    return _frame(_VALUE, [_to_json(value)])


def pack_error(error: Exception) -> list[bytes]:
    if isinstance(error, MemoryError):
        return _frame(_OUT_OF_MEMORY, [])
    if isinstance(error, PagewireError) and error.code in _ERRORS:
        trace = "" if error.__cause__ is None else _trace(error.__cause__)
        return _frame(_ERROR, [_to_json([error.code, error.detail, trace])])
    return _frame(_DEFECT, [_to_json(_trace(error))])


def unpack(answer: bytes, task: Callable[..., object]) -> Any:
    """Return the value that *task* has returned, or raise what it has raised.

    Raises:
        BadAnswerError: if it is not of the type that *task* is declared to return; a task without a declaration may
            return what JSON can say.
        TaskFailedError: if it raised something that is no PagewireError, nor a MemoryError.
    """
    kind, blobs = _split(answer)
    if kind == _OUT_OF_MEMORY:
        raise MemoryError
    if kind == _DEFECT:
        raise TaskFailedError(_parse(str, _one(blobs)))
    if kind == _ERROR:
        code, detail, trace = _parse(tuple[str, str, str], _one(blobs))
        if code not in _ERRORS:
            raise BadAnswerError("an unknown error")
        raise _ERRORS[code](_printable(detail[:MAXIMUM_DETAIL_CHARS])) from (TaskFailedError(trace) if trace else None)
    if kind != _VALUE:
        raise BadAnswerError("an unknown kind")
    return _read_value(_returned_by(task), blobs)


def _read_value(returned: Any, blobs: Sequence[bytes]) -> Any:
    kinds = get_args(returned) or (returned,)
    if not blobs:
        if returned is not Any and NoneType not in kinds:
            raise BadAnswerError("nothing")
        return None
    if returned is Part:
        return _read_part(blobs)
    if returned == tuple[bytes, bytes]:
        if len(blobs) != 2:
            raise BadAnswerError("not two parts")
        return tuple(blobs)
    if bytes in kinds:
        return _one(blobs)
    return _parse(returned, _one(blobs))


def _read_part(blobs: Sequence[bytes]) -> Part:
    bare: Part = _parse(Part, blobs[0])
    count = len(bare.pages)
    if len(blobs) not in (1 + count, 1 + 2 * count):
        raise BadAnswerError("not a text for each page")
    if sum(map(len, blobs[1 : 1 + count])) > 4 * MAXIMUM_TEXT_CHARS:
        raise ExtractionLimitError(too_much_text(MAXIMUM_TEXT_CHARS))
    try:
        texts = [blob.decode() for blob in blobs[1:]]
    except UnicodeDecodeError as error:
        raise BadAnswerError("not UTF-8") from error
    if any("\0" in text for text in texts):
        raise BadAnswerError("a NUL")
    pages = [page._replace(text=text) for page, text in zip(bare.pages, texts, strict=False)]
    _check_numbers(bare)
    return bare._replace(pages=pages, vectors=texts[count:])


def _check_numbers(part: Part) -> None:
    """Refuse a part that no file can have: others rely on its numbers."""
    numbers = [page.page_number for page in part.pages]
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise BadAnswerError("pages that do not follow each other")
    if not 1 <= numbers[0] <= numbers[-1] <= part.page_count:
        raise BadAnswerError("pages that there are not")
    if min(part.unreadable_count, part.cpu_seconds, part.rescue_seconds) < 0:
        raise BadAnswerError("less than nothing")
    for table in part.tables:
        width = len(table.data[0]) if table.data else 0
        if not width or any(len(row) != width for row in table.data):
            raise BadAnswerError("a table that is no grid")
        if not numbers[0] <= table.page_number <= numbers[-1] or not 0 <= table.header_rows <= len(table.data):
            raise BadAnswerError("a table out of place")
        for row, column, last_row, last_column in table.spans:
            if not (0 <= row <= last_row < len(table.data) and 0 <= column <= last_column < width):
                raise BadAnswerError("a cell out of its table")


def _frame(kind: bytes, blobs: list[bytes]) -> list[bytes]:
    return [_HEAD.pack(kind, len(blobs)), *(_SIZE.pack(len(blob)) for blob in blobs), *blobs]


def _split(answer: bytes) -> tuple[bytes, list[bytes]]:
    """Return the kind of an answer, and its blobs."""
    view = memoryview(answer)
    try:
        kind, count = _HEAD.unpack_from(view)
        if count > MAXIMUM_BLOBS:
            raise BadAnswerError("too many parts")
        sizes = [_SIZE.unpack_from(view, _HEAD.size + _SIZE.size * number)[0] for number in range(count)]
    except struct.error as error:
        raise BadAnswerError("too short") from error
    start = _HEAD.size + _SIZE.size * count
    if start + sum(sizes) != len(view):
        raise BadAnswerError("not as long as it says")
    blobs: list[bytes] = []
    for size in sizes:
        blobs.append(bytes(view[start : start + size]))
        start += size
    return kind, blobs


def _one(blobs: Sequence[bytes]) -> bytes:
    if len(blobs) != 1:
        raise BadAnswerError("not one part")
    return blobs[0]


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _parse(kind: Any, blob: bytes) -> Any:
    if len(blob) > MAXIMUM_JSON_BYTES:
        raise BadAnswerError("too long")
    try:
        value = _adapter(kind).validate_json(blob)
    except ValueError as error:
        raise BadAnswerError(_printable(str(error)[:MAXIMUM_DETAIL_CHARS])) from None
    if rb"\u0000" in blob and _has_nul(value):  # rare, and then mostly the text of a manual
        raise BadAnswerError("a NUL")
    return value


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for item in value.items() for part in item)
    return isinstance(value, list | tuple) and any(map(_has_nul, value))


def _trace(error: BaseException) -> str:
    """Return the end of its traceback."""
    text = "".join(traceback.format_exception(error))[-MAXIMUM_TRACE_CHARS:]
    return text.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    """Return text that a terminal takes for nothing else."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


@cache
def _returned_by(task: Callable[..., object]) -> Any:
    return get_type_hints(task).get("return", Any)


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter  # workers, which only pack, are forked faster without it

    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))
