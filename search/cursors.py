"""Where a search goes on: all that decides the order is frozen in the cursor, so that pages neither repeat nor miss."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

from edge.fields import MAX_ID, refusal

NOT_A_CURSOR = "Should be a cursor of an earlier answer to the same search"
MAX_SECONDS = 1e12

Sort = Literal["best", "newest"]


class Place(NamedTuple):
    """A hit's place in the list: the best first, among equals the newest; or the newest, among equals the best."""

    score: float
    created_at: float  # seconds
    kind: int  # 0 a page, 1 a message
    id: int  # of the document or the message
    page: int

    def order(self, sort: Sort) -> tuple[float, ...]:
        if sort == "newest":
            return (-self.created_at, self.kind, -self.id, -self.score, self.page)
        return (-self.score, -self.created_at, self.kind, -self.id, self.page)


class Cursor(NamedTuple):
    """Candidates are ranked window by window, the newest first; see Finder."""

    tier: int = 0  # 0: words as they were typed, 1: longer words too; the newest are one list of both
    before_document: int = MAX_ID  # the window begins with the documents before this one; 0: there are no more
    after_page: int = 0  # of one document
    before_message: int = MAX_ID
    weights: tuple[float, ...] = ()  # of the terms
    after: Place | None = None  # the last hit that was shown of the window

    def write(self, fingerprint: str) -> str:
        fields = [fingerprint, *self[:4], self.weights, self.after]
        packed = json.dumps(fields, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, fingerprint: str, *, terms: int) -> Self:
        """Raises: PydanticCustomError"""
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            found, tier, before_document, after_page, before_message, weights, after = json.loads(packed)
            numbers = [before_document, after_page, before_message]
            if (
                found != fingerprint
                or tier not in (0, 1)
                or any(type(number) is not int or not 0 <= number <= MAX_ID for number in (tier, *numbers))
                or after_page > 2**31 - 1
                or len(weights) != terms
                or not all(_is_number(weight, 100) for weight in weights)
            ):
                raise ValueError
            place = None if after is None else Place(*after)
            if place is not None and not (
                _is_number(place.score, 1e6)
                and _is_number(place.created_at, MAX_SECONDS)
                and place.kind in (0, 1)
                and all(type(number) is int and 0 <= number <= MAX_ID for number in place[2:])
            ):
                raise ValueError
        except (ValueError, TypeError, RecursionError, binascii.Error) as error:
            raise refusal(NOT_A_CURSOR) from error
        return cls(tier, before_document, after_page, before_message, tuple(weights), place)


def fingerprint(*parts: object) -> str:
    """A short name of a search, so that a cursor is not taken for another's."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:12]


def _is_number(value: object, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most  # no NaN is


def first_after(places: Sequence[Place], after: Place | None, sort: Sort) -> int:
    """The number of the first of the sorted *places* that comes after one."""
    if after is None:
        return 0
    return next((number for number, place in enumerate(places) if place.order(sort) > after.order(sort)), len(places))
