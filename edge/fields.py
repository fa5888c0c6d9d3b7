"""Field types that several packages share, as pydantic validates them and OpenAPI describes them."""

import re
import unicodedata
from typing import Annotated, LiteralString

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_ID = 2**63 - 1
# OpenAPI's numbers are floats, which would round MAX_ID up: the largest one below it.
DESCRIBED_MAX_ID = 2**63 - 1024

# Characters that some fields refuse, as ranges for the brackets of a regular expression.
NUL = r"\u0000"  # PostgreSQL does not store it
SURROGATES = r"\ud800-\udfff"  # halves of a pair, which only JSON can express
CONTROLS = r"\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
SEPARATORS = r"\u2028-\u202e\u2066-\u2069"  # they break a line, or change the direction of its text
UNPRINTABLE = CONTROLS + SEPARATORS

# Letters and symbols that look like nothing: Hangul fillers, the blank Braille pattern, the null notehead, blank
# hieroglyphs, the object replacement character. All other invisible characters are neither letters nor symbols.
BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159\U00013441\U00013442\ufffc")
VISIBLE = frozenset("LNPS")  # general categories: letters, numbers, punctuation, symbols

_SURROGATE = re.compile(f"[{SURROGATES}]")
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")


def pattern_without(refused: str, *, not_only: str) -> str:
    """A pattern for text without *refused* and with at least one character that is not in *not_only*."""
    return rf"^[^{refused}]*[^{refused}{not_only}][^{refused}]*$"


def is_visible(text: str) -> bool:
    """Whether a reader would see anything: marks, fillers, unassigned and private characters alone do not count."""
    return any(unicodedata.category(char)[0] in VISIBLE and char not in BLANKS for char in text)


def refusal(message: LiteralString) -> PydanticCustomError:
    """What a validator raises: *message* is for people, and does not repeat what they sent."""
    return PydanticCustomError("value_error", message)


def check_storable(text: str) -> str:
    if "\0" in text:
        raise refusal("Should not contain NUL characters")
    if _SURROGATE.search(text):
        raise refusal("Should not contain half of a surrogate pair")
    return text


def check_one_line(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise refusal("Should be one line, without control characters")
    return check_storable(text)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise refusal("Should not be empty")
    return check_storable(text)


def check_number(value: object) -> object:
    """Of JSON: `true` and "5" are no numbers. 5.0 is the integer 5, as JSON Schema has it."""
    if type(value) not in (int, float):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Numbers: Id in JSON, IdParameter in a path or a query, where everything is text.

IdParameter = Annotated[int, Field(ge=1, le=MAX_ID, json_schema_extra={"maximum": DESCRIBED_MAX_ID})]
Id = Annotated[IdParameter, BeforeValidator(check_number)]
SequenceNumber = Annotated[int, Field(ge=0, le=MAX_ID), BeforeValidator(check_number)]  # in JSON

# Text. The limits stand before the validator: after one, pydantic calls characters items.

_NO_NUL = {"pattern": f"^[^{NUL}]*$"}

Storable = Annotated[str, Field(json_schema_extra=_NO_NUL), AfterValidator(check_storable)]
NotBlank = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"pattern": pattern_without(NUL, not_only=r"\s")}),
    AfterValidator(_not_blank),
]
Download = Annotated[bool, Query(description="save it, rather than display it")]
ClientId = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=_NO_NUL), AfterValidator(check_storable)]
