"""Find a term in a text as people see it: whatever its case, its form, its quotes, dashes and blanks."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from extraction.folding import MARKS, fold, fold_character, strip_accents

EXCERPT_CHARS = 60  # shown on each side of a match
MAXIMUM_EXCERPTS = 100  # a page; the counts have no limit


class Excerpt(NamedTuple):
    position: int  # of the match in the page's text
    before: str
    match: str
    after: str


class Matches(NamedTuple):
    total: int
    excerpts: list[Excerpt]  # of the first 100 matches


_SYLLABLE = "[\u1100-\u115f]+[\u1160-\u11a7]*[\u11a8-\u11ff]*"  # of conjoining Hangul letters
_PARTED = re.compile(r"(?<=[^\W_])[-\u2010\u2011][^\S\n]*\n\s*(?=[^\W_])")  # a hyphen at a line end, within a word
_BLANKS = re.compile(r"\s\s+")
_OTHER_BLANK = re.compile(r"[^\S ]")
_FOREIGN = re.compile("[^\x00-\x7f]+")
_SHORT = 4  # characters of a run that is folded once for all: a quote, a dash, a letter with its accent

_Piece = tuple[int, int, str]  # start and end in the original, and what it becomes


def find_matches(text: str, term: str) -> Matches:
    """Find *term* in *text*: both are folded, see `folding`; accents count only if the term has some.

    White space in the term matches any run of white space, and a word that a hyphen parts at a line end is found whole,
    with or without the hyphen. Matches do not overlap. The time is proportional to both lengths, whatever they hold.
    """
    needle = " ".join(fold(term).split())
    if not needle:
        return Matches(0, [])
    has_accents = strip_accents(needle) != needle
    folded = _FoldedText(text, fold_blanks=" " in needle, keep_accents=has_accents, hyphen="-" * ("-" in needle))
    excerpts: list[Excerpt] = []
    position = folded.text.find(needle)
    while position >= 0 and len(excerpts) < MAXIMUM_EXCERPTS:
        start, end = folded.original_span(position, position + len(needle))
        excerpts.append(
            Excerpt(
                start, text[max(0, start - EXCERPT_CHARS) : start], text[start:end], text[end : end + EXCERPT_CHARS]
            )
        )
        position = folded.text.find(needle, position + len(needle))
    return Matches(folded.text.count(needle), excerpts)


class _FoldedText:
    """A folded text, which knows where each of its characters came from."""

    def __init__(self, text: str, *, fold_blanks: bool, keep_accents: bool, hyphen: str) -> None:
        """*hyphen*: what one at a line end, and the line end, become."""
        fold_all = fold if keep_accents else _fold_without_accents
        self._starts = array("q")  # of each piece that changes its length: in the folded text,
        self._origins = array("q")  # in the original,
        self._lengths = array("q")  # its length folded,
        self._original_lengths = array("q")  # and in the original
        parts: list[str] = []
        place = end = 0
        for start, stop, folded in _find_pieces(text, fold_all, fold_blanks=fold_blanks, hyphen=hyphen):
            if start < end:
                continue  # white space between two parts of a word
            between = _fold_foreign(text[end:start], fold_all)
            parts += [between, folded]
            place += len(between)
            self._starts.append(place)
            self._origins.append(start)
            self._lengths.append(len(folded))
            self._original_lengths.append(stop - start)
            place += len(folded)
            end = stop
        parts.append(_fold_foreign(text[end:], fold_all))
        self.text = "".join(parts)
        if fold_blanks:
            self.text = _OTHER_BLANK.sub(" ", self.text.replace("\n", " "))

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        return self._locate(start)[0], self._locate(end - 1)[1]

    def _locate(self, position: int) -> tuple[int, int]:
        """Return the start and the end, in the original, of the character at *position*."""
        piece = bisect_right(self._starts, position) - 1
        if piece < 0:
            return position, position + 1
        beyond = position - self._starts[piece] - self._lengths[piece]
        after = self._origins[piece] + self._original_lengths[piece]
        return (self._origins[piece], after) if beyond < 0 else (after + beyond, after + beyond + 1)


def _fold_without_accents(text: str) -> str:
    return strip_accents(fold(text))


def _fold_foreign(text: str, fold_all: Callable[[str], str]) -> str:
    """Return *text* folded; most of it is ASCII, which is quick."""
    if text.isascii():
        return text.lower()
    parts: list[str] = []
    end = 0
    for run in _FOREIGN.finditer(text):
        found = run[0]
        folded = _fold_short(found, fold_all) if len(found) <= _SHORT else fold_all(found)
        parts += [text[end : run.start()].lower(), folded]
        end = run.end()
    return "".join([*parts, text[end:].lower()])


@lru_cache(maxsize=5_000)
def _fold_short(run: str, fold_all: Callable[[str], str]) -> str:
    return fold_all(run)


def _find_pieces(text: str, fold_all: Callable[[str], str], *, fold_blanks: bool, hyphen: str) -> list[_Piece]:
    """Return what may change its length when it is folded: all else is folded character by character."""
    pieces: list[_Piece] = [(*found.span(), hyphen) for found in _PARTED.finditer(text)]
    if fold_blanks:
        pieces += [(*found.span(), " ") for found in _BLANKS.finditer(text)]
    if not text.isascii():
        for run in _FOREIGN.finditer(text):
            start, stop = max(0, run.start() - 1), run.end()  # a mark may follow a plain letter
            changed = _find_changed_in_short if stop - start <= _SHORT else _find_changed
            for first, last, folded in changed(text[start:stop], fold_all):
                pieces.append((start + first, start + last, folded))
    pieces.sort()
    return pieces


def _find_changed(run: str, fold_all: Callable[[str], str]) -> list[_Piece]:
    changing = _changing(keep_accents=fold_all is fold)
    return [(*found.span(), fold_all(found[0])) for found in changing.finditer(run) if not found[0].isspace()]


_find_changed_in_short = lru_cache(maxsize=5_000)(_find_changed)


@cache
def _changing(*, keep_accents: bool) -> re.Pattern[str]:
    fold_one: Callable[[str], str] = fold if keep_accents else fold_character
    single = "".join(char for char in map(chr, range(0x80, 0x10000)) if len(fold_one(char)) != 1)
    return re.compile("|".join([rf"[^{MARKS}][{MARKS}]+", _SYLLABLE, f"[{re.escape(single)}]"]), re.DOTALL)
