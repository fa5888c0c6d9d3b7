"""The text of a page: cleaning it, and finding a term in it."""

import re
from array import array
from bisect import bisect_right
from functools import cache
from typing import NamedTuple

EXCERPT_CHARS = 60  # shown on each side of a match
MAXIMUM_EXCERPTS = 100  # a page; the counts have no limit
HYPHEN_MARKS = "\x02\ufffe"  # what PDFium makes of a hyphen at the end of a line


class Excerpt(NamedTuple):
    position: int  # of the match in the page's text
    before: str
    match: str
    after: str


class Matches(NamedTuple):
    total: int
    excerpts: list[Excerpt]  # of the first 100 matches


# C0 but \n and \t, DEL, and the non-character PDFium uses for what it cannot map
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\uffff]")
_HYPHEN_MARK = re.compile(f"[{HYPHEN_MARKS}]\n?")
_HYPHENS = "-" + HYPHEN_MARKS
_SPECIAL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # all of them, and surrogates


def clean_text(raw: str) -> str:
    """Return *raw* as stored: LF line ends, hyphenated words joined, nothing that PostgreSQL or JSON refuses."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    if not _SPECIAL.search(text):
        return text
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return _UNWANTED.sub("", _HYPHEN_MARK.sub(_join, text))


def _join(mark: re.Match[str]) -> str:
    """Return the hyphen if it belongs to the word, line end or not: COVID-19, Franco-Prussian."""
    before, after = mark.string[mark.start() - 1 : mark.start()], mark.string[mark.end() : mark.end() + 1]
    return "-" if after.isdigit() or (after.isupper() and not before.isupper()) else ""


def trace_origins(raw: str, text: str) -> list[int]:
    """Return the position in *raw* of each character of *text*, which is `clean_text(raw)`."""
    origins: list[int] = []
    place = 0
    for char in text:
        if char == "\n":
            originals = "\r\n"
        elif char == "-":
            originals = _HYPHENS
        elif char > "\uffff":
            originals = char + chr(0xD7C0 + (ord(char) >> 10))  # whole, or the first of two surrogates
        else:
            originals = char
        while raw[place] not in originals:
            place += 1
        origins.append(place)
        place += 1
    return origins


def find_matches(text: str, term: str) -> Matches:
    """Find *term* in *text*, ignoring case; white space in it matches any run of white space.

    Matches do not overlap. The time is proportional to both lengths, whatever they hold.
    """
    needle = " ".join(term.split()).casefold()
    if not needle:
        return Matches(0, [])
    folded = _FoldedText(text, fold_spaces=" " in needle)
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
    """A text without case and with single spaces; it knows where each of its characters came from."""

    def __init__(self, text: str, *, fold_spaces: bool) -> None:
        spaced = re.sub(r"\s", " ", text) if fold_spaces else text
        pieces = re.compile(f"[{_expanding_chars()}]" + ("|  +" if fold_spaces else ""))
        self._starts = array("q")  # of each piece that changes its length: in the folded text,
        self._origins = array("q")  # in the original,
        self._lengths = array("q")  # its length folded,
        self._original_lengths = array("q")  # and in the original
        shift = 0
        for piece in pieces.finditer(spaced):
            length = 1 if piece[0].isspace() else len(piece[0].casefold())
            original_length = piece.end() - piece.start()
            self._starts.append(piece.start() + shift)
            self._origins.append(piece.start())
            self._lengths.append(length)
            self._original_lengths.append(original_length)
            shift += length - original_length
        self.text = (re.sub("  +", " ", spaced) if fold_spaces else spaced).casefold()

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


@cache
def _expanding_chars() -> str:
    """Return the characters that case folding expands to several, such as ß and the ligature ﬁ."""
    return "".join(char for char in map(chr, range(0x80, 0x10000)) if len(char.casefold()) > 1)
