"""The field types that several rooms share, as pydantic checks them and OpenAPI describes them."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_ID = 2**63 - 1
SURROGATE = re.compile("[\ud800-\udfff]")
CONTROLS = (
    r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"  # in a regex's brackets; also what turns the text's direction
)


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    if SURROGATE.search(text):  # JSON has escapes for them
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _storable(text)


Id = Annotated[int, Field(ge=1), AfterValidator(lambda number: min(number, MAX_ID))]  # larger ones name nothing either
Storable = Annotated[str, AfterValidator(_storable), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})]
NotBlank = Annotated[
    str,
    AfterValidator(_not_blank),
    Field(min_length=1, json_schema_extra={"pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"}),
]
ClientId = Annotated[Storable, Field(min_length=1, max_length=64)]
