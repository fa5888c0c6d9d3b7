"""The tokens of a text, as the index has them: words, parts of codes, pairs of characters, each at its places."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, repeat
from operator import add
from string import punctuation
from typing import NamedTuple

from extraction.folding import MARKS, UNSPACED, fold, strip_accents

TOKENS_VERSION = 1  # raise it when a text gets other tokens, so that what is stored is indexed again
FIRST_PLACE = 101  # of a page's text: the words of its document's name stand before it
MAX_TOKEN_CHARACTERS = 60
MAX_CHARACTERS = 1_000_000  # of a text; what comes after is not indexed
MAX_NAME_CHARACTERS = 1000
LAST_PLACE = 16_383  # PostgreSQL's
MAX_VECTOR_BYTES = 800_000  # as text; PostgreSQL takes one megabyte
MAX_KNOWN_CHUNKS = 30_000

_PART = re.compile(rf"(?:[^\W_]|[{MARKS}])+")
_ASCII_PART = re.compile("[a-z0-9]+")
_EDGES = punctuation.replace("_", "")
_EDGE = re.compile(r"^\W+|\W+$")
_IS_CODE = re.compile(r"[\d@_.]")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUN = re.compile(f"([{UNSPACED}]+)")
_PARTED = re.compile(f"(?<=[{UNSPACED}])[ \t]*\n[ \t]*(?=[{UNSPACED}])")


class Token(NamedTuple):
    text: str
    place: int  # in its text, from 0
    kind: str  # see below


WORD = "word"
WHOLE = "whole"  # a code as it is written; its parts are tokens too, from the same place on
PAIR = "pair"  # of characters
LAST = "last"  # the last character of a run that is found by pairs


def find_tokens(text: str) -> Iterator[Token]:
    """The tokens of *text* in order; an accent is part of them."""
    place = 0
    for chunk in _split(text):
        tokens = _find_in_chunk(chunk)
        for token in tokens:
            yield token._replace(place=place + token.place)
        place += _width(tokens)


def _split(text: str) -> list[str]:
    """What stands between white space; a script that has none runs on over the ends of lines."""
    if not text.isascii() and _UNSPACED.search(text):
        text = _PARTED.sub("", text)
    return text.split()


def _find_in_chunk(chunk: str) -> list[Token]:
    """The tokens of a text without spaces, with places from 0."""
    tokens: list[Token] = []
    place = 0
    for piece in fold(chunk).split():  # the compatibility form of a character may have spaces
        if piece.isascii():
            place = _add_words(tokens, piece, place)
            continue
        for number, run in enumerate(_RUN.split(piece)):
            place = (_add_pairs if number % 2 else _add_words)(tokens, run, place)
    return tokens


def _width(tokens: list[Token]) -> int:
    return tokens[-1].place + 1 if tokens else 0


def _add_words(tokens: list[Token], run: str, place: int) -> int:
    parts = _PART.findall(run)
    written = _EDGE.sub("", run) if len(parts) > 1 else ""
    if _IS_CODE.search(written):
        tokens.append(Token(written[:MAX_TOKEN_CHARACTERS], place, WHOLE))
    for part in parts:
        tokens.append(Token(part[:MAX_TOKEN_CHARACTERS], place, WORD))
        place += 1
    return place


def _add_pairs(tokens: list[Token], run: str, place: int) -> int:
    for first, second in pairwise(run):
        tokens.append(Token(first + second, place, PAIR))
        place += 1
    tokens.append(Token(run[-1], place, LAST))
    return place + 1


# Vectors, as PostgreSQL reads a tsvector


def make_page_vector(text: str) -> str:
    """The tokens of a page's text."""
    return _make_vector(text[:MAX_CHARACTERS], _PAGE_PLACES)


def make_name_vector(*names: str) -> str:
    """The tokens of what a document is called; they count more than those of its text."""
    text = " \n ".join(re.sub(r"\.pdf\s*$", "", name, flags=re.IGNORECASE) for name in names)
    return _make_vector(text[:MAX_NAME_CHARACTERS], _NAME_PLACES)


def make_message_vector(content: str, *, sender_id: int, recipient_id: int) -> str:
    """The tokens of a message, and who its two people are: no text has a token with an equals sign."""
    people = " ".join(f"'{key}'" for key in dict.fromkeys(message_keys(sender_id, recipient_id)))
    return f"{people} {_make_vector(content, _MESSAGE_PLACES)}"


def message_keys(sender_id: int, recipient_id: int) -> list[str]:
    return [party_key(sender_id), party_key(recipient_id), sender_key(sender_id)]


def party_key(user_id: int) -> str:
    """The token of every message that *user_id* has sent or received."""
    return f"=u{user_id}"


def sender_key(user_id: int) -> str:
    """The token of every message that *user_id* has sent."""
    return f"=s{user_id}"


_PAGE_PLACES = [str(place) for place in range(FIRST_PLACE, LAST_PLACE + 1)]
_MESSAGE_PLACES = [str(place) for place in range(1, LAST_PLACE + 1)]
_NAME_PLACES = [f"{place}A" for place in range(1, FIRST_PLACE - 1)]


class _KnownChunks(dict[str, tuple[str, ...]]):
    """The tokens of chunks as a vector has them, without their places: one for each place, made when asked for.

    What else stands at the place of a token is in `others`: the first part of a code, a word without its accents.
    """

    def __init__(self) -> None:
        self.others: dict[str, list[str]] = {}

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        known = self._read_ascii(chunk) if chunk.isascii() else self._read(chunk)
        if len(chunk) <= MAX_TOKEN_CHARACTERS:
            self[chunk] = known
        return known

    def _read_ascii(self, chunk: str) -> tuple[str, ...]:
        """The same as _read, in a third of the time."""
        written = chunk.strip(_EDGES).lower()
        if len(written) > MAX_TOKEN_CHARACTERS or "\\" in written:
            return self._read(chunk)
        if written.isalnum():
            return (f"'{written}':",)
        parts = [f"'{part}':" for part in _ASCII_PART.findall(written)]
        if len(parts) > 1 and _IS_CODE.search(written):
            whole = f"{quote(written)}:"
            self.others[whole] = parts[:1]
            parts[0] = whole
        return tuple(parts)

    def _read(self, chunk: str) -> tuple[str, ...]:
        at: dict[int, list[str]] = {}
        for token in _find_in_chunk(chunk):
            at.setdefault(token.place, []).extend(f"{quote(form)}:" for form in _forms(token.text))
        self.others.update((first, others) for first, *others in at.values() if others)
        return tuple(first for first, *_ in at.values())

    def forget_many(self) -> None:
        if len(self) > MAX_KNOWN_CHUNKS:
            self.clear()
            self.others.clear()


_known_chunks = _KnownChunks()


def _make_vector(text: str, places: list[str]) -> str:
    """A token that stands at several places is repeated: PostgreSQL joins them faster than we would."""
    _known_chunks.forget_many()
    others = _known_chunks.others
    tokens = list(chain.from_iterable(map(_known_chunks.__getitem__, _split(text))))
    written: Iterable[str] = map(add, tokens, chain(places, repeat(places[-1])))
    if not others.keys().isdisjoint(tokens):
        written = [*written]
        written += [
            other + places[min(number, len(places) - 1)]
            for number, token in enumerate(tokens)
            if token in others
            for other in others[token]
        ]
    vector = " ".join(written)
    if len(vector) > MAX_VECTOR_BYTES // 4 and len(packed := vector.encode()) > MAX_VECTOR_BYTES:
        return packed[:MAX_VECTOR_BYTES].rpartition(b" ")[0].decode()
    return vector


def _forms(token: str) -> tuple[str, ...]:
    """A token as it is written, and without its accents."""
    if token.isascii() or _UNSPACED.search(token):
        return (token,)
    bare = strip_accents(token)[:MAX_TOKEN_CHARACTERS]
    return (token,) if bare in (token, "") else (token, bare)


def quote(token: str) -> str:
    """A token as tsvector and tsquery are written."""
    if "'" in token or "\\" in token:
        token = token.replace("\\", "\\\\").replace("'", "''")
    return f"'{token}'"
