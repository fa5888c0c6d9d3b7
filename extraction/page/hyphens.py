"""Hyphens at line ends: which of them belong to the word."""

import re
from functools import cached_property

HYPHEN_MARKS = "\x02\ufffe"  # what PDFium makes of a hyphen at the end of a line

_FIRST_PART = re.compile(r"[^\s]*")
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"://|www\.|@|\w[/\\_]\w|\w\.\w", re.IGNORECASE)
# "pre- and post-war": what stands between a prefix and the word that it goes with, in the languages that do so
_CONJUNCTIONS = frozenset(
    [
        "and",
        "or",
        "to",
        "und",
        "oder",
        "bis",
        "et",
        "ou",
        "y",
        "e",
        "o",
        "i",
        "en",
        "of",
        "och",
        "eller",
        "og",
        "and/or",
    ]
)
# "mother-in-law", "Stratford-upon-Avon", "step-by-step": what links the parts of such words
_LINK = re.compile(
    "in|of|to|the|up|on|upon|by|and|for|at|de|la|le|les|sur|sous|en|du|am|an|im|der|und|et|con|del|y|van|aan",
    re.IGNORECASE,
)
NEARBY = 200  # characters on each side that are looked at: no word and no address is longer


class Witness:
    """Tells by a page's text what a hyphen at a line end is; no dictionary is asked."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _words(self) -> set[str]:
        """The words and the hyphenated compounds of the text, but those that a line end parts."""
        whole = re.sub(rf"(?<!\S)\S*[{HYPHEN_MARKS}]\n?\S*", " ", self._text).casefold()
        whole = re.sub("[\u2010\u2011]", "-", whole)
        return set(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", whole))

    @cached_property
    def _compounds(self) -> list[str]:
        return [word for word in self._words if "-" in word]

    def join(self, mark: re.Match[str]) -> str:
        """Return what takes the place of a mark and its line end: a hyphen, nothing, or a hyphen and a blank."""
        text = mark.string
        nearby = text[max(0, mark.start() - NEARBY) : mark.start()].removesuffix("\n")
        after_match = _FIRST_PART.match(text[mark.end() : mark.end() + NEARBY])
        before = "" if not nearby or nearby[-1].isspace() else nearby.rsplit(maxsplit=1)[-1]
        after = after_match[0] if after_match else ""
        if after.casefold() in _CONJUNCTIONS and before:
            return "- "
        if not before or not after:
            return "-"
        if _ADDRESS.search(before) or _ADDRESS.search(after.rstrip(".,;:!?)")) or not (before[-1] + after[0]).isalpha():
            return "-" if before[-1].isalnum() or after[0].isalnum() else ""
        if after[0].isupper() and not before[-1].isupper():
            return "-"
        first, second = _last_word(before), _first_word(after)
        if len(first) > 1 and first.isupper() and second.islower():
            return "-"  # "EU-wide": no other word changes its case there
        if any(char.isdigit() for char in before + after) or len(first) == 1 or len(second) == 1:
            return "-"
        if ("-" in after and _LINK.fullmatch(second)) or ("-" in before and _LINK.fullmatch(first)):
            return "-"
        return "-" if self._is_compound(first, second) else ""

    def _is_compound(self, first: str, second: str) -> bool:
        first, second = first.casefold(), second.casefold()
        if first + second in self._words:
            return False
        # also within a longer one: "state-of-" and "the-art"; and in the plural
        parts = (f"-{first}-{second}-", f"-{first}-{second}s-")
        return any(part in f"-{word}-" for word in self._compounds for part in parts)


def _last_word(part: str) -> str:
    words = _WORD.findall(part)
    return words[-1] if words else ""


def _first_word(part: str) -> str:
    word = _WORD.search(part)
    return word[0] if word else ""
