"""The lines of a page's words, and the chunks into which wide gaps part them."""

import re
import string
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import NamedTuple

from extraction.page.scripts import join_words
from extraction.values import Box

GAP = 0.72  # line heights; a space is at most half of one, justified lines seldom reach .7
LINE_SHIFT = 0.4  # line heights between the middles of words on one line: raised figures lie within, next lines beyond
LARGE = 2.5  # times as high is no part of a line: an initial, a watermark
NUMBER_GAP = 0.05  # line heights; two numbers that stand further apart are two, unless they are parts of one
GROUP_GAP = 0.4  # line heights between the parts of "1 234": a thin or a plain space
RULE_LENGTH = 4  # signs; shorter runs of dashes are cells that say "none"
LONG = 40  # characters; no number is as long

_SIGNS = r"[<>≤≥=±~+\-–—−]"
_NUMBER = re.compile(
    rf"[(\[]?{_SIGNS}?[$€£¥]?{_SIGNS}?(?:\d[\d.,'’/:]*\d|\d)(?:[–\-—][$€£]?\d[\d.,]*|[–\-—])?[%)\]*†‡°]*"
    rf"|[(\[]?\.\d+[%)\]*]*|[–—−\-]{{1,3}}|[.…]{{2,3}}|[†‡*]+|[nN]\.?/?[aA]\.?|%|\$|€|£"
)
_GROUP_START, _GROUP = re.compile(r"[$€£+\-–−(]*\d{1,3}(?: \d{3})*"), re.compile(r"\d{3}(?:[.,]\d+)?[)%]?")
_LEADERS = re.compile(r"[.…·‧_]{4,}|(?:[.…·] ?){4,}")
_DASHES = re.compile(rf"[-–—=_]{{{RULE_LENGTH},}}")
_ODD = re.compile(rf"(?:{_LEADERS.pattern})|{_DASHES.pattern}|^[.…·_]$", re.MULTILINE)  # what only `_part` can part
_ODD_SIGNS = (
    "..",
    ". .",
    "…",
    "·",
    "‧",
    "_",
    "–",
    "—",
    "--",
    "==",
    "-=",
    "=-",
    "\n.\n",
)  # what is odd has one
_WORD_STARTS = frozenset(string.ascii_letters) - {"n", "N"}  # no number begins so
_LETTER = re.compile(r"[^\W\d_]")


class Token(NamedTuple):
    """A word, upright, top and bottom measured downwards."""

    text: str
    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def is_number(self) -> bool:
        return is_number(self.text)


def is_number(text: str) -> bool:
    """Whether a cell of this text is a figure, or says that there is none."""
    return _is_short_number(text) if len(text) < LONG else _NUMBER.fullmatch(text) is not None


@lru_cache(maxsize=10_000)
def _is_short_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def is_years(text: str) -> bool:
    """Whether this is a year or two, as heads have them: 2003, 2003–04."""
    return text[:2] in {"19", "20"} and text[:4].isdigit() and len(text) <= 9 and not text[4:5].isdigit()


def has_letters(text: str) -> bool:
    return _LETTER.search(text) is not None


_Placed = tuple[float, int, float, Token]  # the middle of a word, its number, its height, and itself


class Chunk:
    """Words of one line without a wide gap between them."""

    __slots__ = ("number", "text", "tokens", "x0", "x1")

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.x0 = tokens[0].x0
        if len(tokens) == 1:
            self.x1 = tokens[0].x1
            self.text = tokens[0].text
        else:
            self.x1 = max([token.x1 for token in tokens])
            self.text = join_words([token.text for token in tokens])
        self.number = (
            self.text[0] not in _WORD_STARTS and len(self.text) < LONG and is_number(self.text.replace(" ", ""))
        )

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def word_count(self) -> int:
        return sum(1 for token in self.tokens if has_letters(token.text))


class Line:
    """Chunks from left to right; *height* is that of its words, *top* and *bottom* those of the middle ones."""

    __slots__ = ("bottom", "chunks", "has_leaders", "height", "middle", "top", "x0", "x1")

    def __init__(self, chunks: list[Chunk], middle: float, height: float, *, has_leaders: bool = False) -> None:
        self.chunks = chunks
        self.x0, self.x1 = chunks[0].x0, chunks[-1].x1
        self.middle = middle
        self.height = height
        self.top, self.bottom = middle - height / 2, middle + height / 2
        self.has_leaders = has_leaders

    @property
    def text(self) -> str:
        return " ".join(chunk.text for chunk in self.chunks)

    def with_chunks(self, chunks: list[Chunk]) -> "Line":
        return Line(chunks, self.middle, self.height, has_leaders=self.has_leaders)


def read_lines(words: Sequence[Token]) -> tuple[list[Line], list[Box]]:
    """Return the lines from top to bottom, and the rules that are written as dashes."""
    rules: list[Box] = []
    lines: list[Line] = []
    placed = [
        ((top + bottom) / 2, number, bottom - top, word)
        for number, (word, (_, _, top, _, bottom)) in enumerate(zip(words, words, strict=True))
    ]
    text = "\n".join(["", *map(itemgetter(0), words), ""])
    is_plain = not any(map(text.__contains__, _ODD_SIGNS)) or not _ODD.search(text)
    placed.sort()
    for group in _group_by_line(placed):
        middles, _, heights, own = zip(*group, strict=True)
        height, middle = _median(sorted(heights)), _median(middles)
        tokens = sorted(own, key=itemgetter(1))  # by x0
        chunks, has_leaders = (_part_plain(tokens, height), False) if is_plain else _part(tokens, height, rules)
        if chunks:
            lines.append(Line(chunks, middle, height, has_leaders=has_leaders))
    lines.sort(key=attrgetter("middle"))
    return lines, rules


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _group_by_line(words: list[_Placed]) -> list[list[_Placed]]:
    """Group words, sorted by their middles; a line's middle is that of its first word of full height."""
    groups: list[list[_Placed]] = []
    line_middle = height = 0.0
    for placed in words:
        middle, _, own, _ = placed
        alike = own < LARGE * height and height < LARGE * own
        if groups and alike and middle - line_middle <= LINE_SHIFT * (own if own > height else height):
            groups[-1].append(placed)
            if own > 1.2 * height:  # the first was a raised figure
                line_middle, height = middle, own
        else:
            groups.append([placed])
            line_middle, height = middle, own
    return groups


def _part_plain(tokens: list[Token], height: float) -> list[Chunk]:
    """Part a line on whose page nothing is written as leaders or rules."""
    chunks: list[Chunk] = []
    narrow, wide = NUMBER_GAP * height, GAP * height
    last = tokens[0]
    parts = [last]
    for token in tokens[1:]:
        gap = token.x0 - last.x1
        if gap > wide or (
            gap > narrow
            and token.text[0] not in _WORD_STARTS
            and is_number(token.text)
            and _is_gap(last, token, height)
        ):
            chunks.append(Chunk(tuple(parts)))
            parts = []
        parts.append(token)
        last = token
    chunks.append(Chunk(tuple(parts)))
    return chunks


def _part(tokens: list[Token], height: float, rules: list[Box]) -> tuple[list[Chunk], bool]:
    chunks: list[Chunk] = []
    parts: list[Token] = []
    has_leaders = False
    leaders: list[Token] = []  # ". . . ." as single dots

    def end() -> None:
        if parts:
            chunks.append(Chunk(tuple(parts)))
            parts.clear()

    for token in tokens:
        if token.text in {".", "…", "·", "_"}:
            leaders.append(token)
            continue
        if leaders:
            if len(leaders) >= RULE_LENGTH:
                has_leaders = True
                end()
            else:
                parts.extend(leaders)
            leaders.clear()
        if _DASHES.fullmatch(token.text):
            rules.append((token.x0, token.middle, token.x1, token.middle))
            end()
            continue
        pieces = _without_leaders(token) if len(token.text) >= RULE_LENGTH else [token]
        if pieces != [token]:
            has_leaders = True
        for number, piece in enumerate(pieces):
            if (
                number
                or (pieces[0] is not token and piece.x0 > token.x0)
                or (parts and _is_gap(parts[-1], piece, height))
            ):
                end()
            parts.append(piece)
        if pieces and pieces[-1].x1 < token.x1 - 0.1:
            end()
    if leaders and len(leaders) < RULE_LENGTH:
        parts.extend(leaders)
    end()
    return chunks, has_leaders or len(leaders) >= RULE_LENGTH


def _without_leaders(token: Token) -> list[Token]:
    """Part "Total........12" at its dots; places by the share of its signs."""
    if not _LEADERS.search(token.text):
        return [token]
    step = (token.x1 - token.x0) / len(token.text)
    pieces: list[Token] = []
    place = 0
    for match in [*_LEADERS.finditer(token.text), None]:
        stop = match.start() if match else len(token.text)
        if stop > place:
            pieces.append(
                token._replace(text=token.text[place:stop], x0=token.x0 + step * place, x1=token.x0 + step * stop)
            )
        place = match.end() if match else stop
    return pieces


def _is_gap(left: Token, right: Token, height: float) -> bool:
    gap = right.x0 - left.x1
    if gap > GAP * height:
        return True
    if not (left.is_number and right.is_number) or gap <= NUMBER_GAP * height:
        return False
    if left.text in "$€£+-–±" or right.text in "%":
        return False
    if _GROUP.fullmatch(right.text) and _GROUP_START.fullmatch(left.text):
        return gap > GROUP_GAP * height
    return not left.text.endswith((",", "(", "/")) and not _is_range(left.text, right.text)


def _is_range(left: str, right: str) -> bool:
    return left in "–—-−" or right in "–—-−"
