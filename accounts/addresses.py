"""E-mail addresses: which are accepted, and in which spelling they are stored."""

import re
from contextlib import suppress
from typing import Annotated

import email_validator
from pydantic import AfterValidator, Field, validate_email
from pydantic_core import PydanticCustomError

from edge.fields import BLANKS, refusal

MAX_EMAIL_CHARACTERS = 254  # RFC 5321, section 4.5.3.1.3
MAX_LOCAL_CHARACTERS = 64  # RFC 5321, section 4.5.3.1.1

# Marks without an appearance; invisible characters of other kinds are refused by email_validator.
UNSEEN = re.compile(rf"[{''.join(BLANKS)}\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # a company's own network may have mail at .local or .test


def _check_address(text: str) -> str:
    """The address in *text*, normalized. The reason of a refusal does not repeat what was sent."""
    try:
        _, address = validate_email(text)
    except PydanticCustomError as error:
        reason = re.split("[:(]", str((error.context or {}).get("reason")))[0].strip(" .")
        raise PydanticCustomError("value_error", "{reason}", {"reason": reason}) from None
    local_part = address.rpartition("@")[0]
    if UNSEEN.search(local_part):
        raise refusal("The email address contains invisible characters")
    if len(local_part) > MAX_LOCAL_CHARACTERS:
        raise PydanticCustomError(
            "string_too_long",
            "The part before the @-sign should have at most {max_length} characters",
            {"max_length": MAX_LOCAL_CHARACTERS},
        )
    return address


Email = Annotated[
    str,
    Field(max_length=MAX_EMAIL_CHARACTERS, json_schema_extra={"format": "email"}),
    AfterValidator(_check_address),
]


def as_registered(text: str) -> str:
    """The spelling that registration stores; text that is not an address stays as it is, and matches no account."""
    with suppress(ValueError):
        return validate_email(text)[1]
    return text.strip()
