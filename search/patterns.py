"""Terms as they are found in a text that was folded, without the index."""

import re
from collections.abc import Iterator
from functools import cache

from extraction.folding import MARKS, UNSPACED, strip_accents
from extraction.tokens import MAX_TOKEN_CHARACTERS, PAIR, WORD, Token
from search.terms import Term, may_be_longer

_OF_A_WORD = re.compile(rf"[^\W_{UNSPACED}]|[{MARKS}]")


class TermPattern:
    """Where a term is in a folded text without accents."""

    def __init__(self, term: Term, *, longer: bool) -> None:
        """*longer*: also in longer words that begin with its last one."""
        parts = term.parts
        first, last = parts[0], parts[-1]
        self._regex = re.compile(_join(parts))
        self._begins_word = first.kind == WORD
        self._ends_word = last.kind == WORD and len(last.text) < MAX_TOKEN_CHARACTERS
        self._goes_on = longer and not term.is_quoted and may_be_longer(last)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """The start and the end of each hit; they do not overlap."""
        place = 0
        while match := self._regex.search(text, place):
            start, end = match.span()
            place = _end_of_word(text, start) if self._begins_word else start + 1  # no other hit begins in this word
            if self._begins_word and start and _is_of_a_word(text[start - 1]):
                continue
            if self._ends_word:
                stop = _end_of_word(text, end)
                if stop > end and not self._goes_on:
                    continue
                end = stop
            yield start, end
            place = max(place, end)

    def is_in(self, text: str) -> bool:
        return next(self.find(text), None) is not None


def _join(parts: list[Token]) -> str:
    pattern = ""
    before: Token | None = None
    for part in parts:
        text = strip_accents(part.text) or part.text
        if before is not None:
            if before.kind == PAIR and part.kind == PAIR and part.place == before.place + 1:
                pattern += r"\s*"
                text = text[1:]
            else:
                pattern += r"[\W_]+" if part.kind == before.kind == WORD else r"[\W_]*"
        pattern += re.escape(text) if part.kind == WORD else r"\s*".join(map(re.escape, text))
        before = part
    return pattern


def _end_of_word(text: str, place: int) -> int:
    while place < len(text) and _is_of_a_word(text[place]):
        place += 1
    return place


@cache
def _is_of_a_word(char: str) -> bool:
    return _OF_A_WORD.match(char) is not None
