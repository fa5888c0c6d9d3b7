"""Field types that several packages share, as pydantic validates them and OpenAPI describes them."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_ID = 2**63 - 1

# Characters that some fields refuse, as ranges for the brackets of a regular expression.
NUL = r"\u0000"  # PostgreSQL does not store it
SURROGATES = r"\ud800-\udfff"  # halves of a pair, which only JSON can express
CONTROLS = r"\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
SEPARATORS = r"\u2028-\u202e\u2066-\u2069"  # they break a line, or change the direction of its text
UNPRINTABLE = CONTROLS + SEPARATORS

_SURROGATE = re.compile(f"[{SURROGATES}]")


def pattern_without(refused: str, *, not_only: str) -> str:
    """A pattern for text without *refused* and with at least one character that is not in *not_only*."""
    return rf"^[^{refused}]*[^{refused}{not_only}][^{refused}]*$"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    if _SURROGATE.search(text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _storable(text)


Id = Annotated[int, Field(ge=1), AfterValidator(lambda number: min(number, MAX_ID))]  # larger ones do not exist either
Storable = Annotated[str, AfterValidator(_storable), Field(json_schema_extra={"pattern": f"^[^{NUL}]*$"})]
NotBlank = Annotated[
    str,
    AfterValidator(_not_blank),
    Field(min_length=1, json_schema_extra={"pattern": pattern_without(NUL, not_only=r"\s")}),
]
ClientId = Annotated[Storable, Field(min_length=1, max_length=64)]
