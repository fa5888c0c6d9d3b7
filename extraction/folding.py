"""Text as people find it: what looks the same is the same, whatever its case, its form or its quotes."""

import re
import unicodedata
from functools import cache

# Scripts that are written without spaces between words, and Hangul: found by any two neighbouring characters.
UNSPACED = (
    "\u0e00-\u0e3a\u0e40-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u3005-\u3007\u3021-\u3029\u3040-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Kana and marks
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)


def _find_marks() -> str:
    codes = {code for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in ("Mn", "Mc")}
    firsts = sorted(code for code in codes if code - 1 not in codes)
    lasts = sorted(code for code in codes if code + 1 not in codes)
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))


# Combining characters: vowel signs of Indian scripts belong to the word, though regular expressions do not think so.
MARKS = _find_marks()

_UNCOUNTED = "\u00ad\u034f\u061c\u0640\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u02b9\u02bb\u02bc\u2039\u203a\uff07\u0060\u00b4"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u301d\u301e\u301f\uff02"
_DASHES = "\u2010-\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"

_ODD = re.compile(f"[{_UNCOUNTED}{_QUOTES}{_DOUBLE_QUOTES}{_DASHES}]")
_IS_UNCOUNTED = re.compile(f"[{_UNCOUNTED}]")
_IS_QUOTE = re.compile(f"[{_QUOTES}]")
_IS_DASH = re.compile(f"[{_DASHES}]")

# Letters whose stroke is no combining mark
_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
)


def fold(text: str) -> str:
    """*text* without case, in compatibility form, with one kind of quotes and dashes, and without what has no width."""
    if text.isascii():
        return text.lower()
    text = _ODD.sub(_replace_odd, text)  # first: the compatibility form of some of them begins with a space
    if not unicodedata.is_normalized("NFKC", text):
        text = _ODD.sub(_replace_odd, unicodedata.normalize("NFKC", text))
    folded = text.casefold()
    return folded if unicodedata.is_normalized("NFKC", folded) else unicodedata.normalize("NFKC", folded)


def strip_accents(folded: str) -> str:
    """*folded* without the accents of letters; vowel signs that are letters of their script stay."""
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFD", folded.translate(_STROKES))
    return unicodedata.normalize("NFC", "".join([char for char in decomposed if not _is_accent(char)]))


@cache
def fold_character(char: str) -> str:
    """One character of a text folded, without accents: what remains of a combining accent is nothing."""
    return strip_accents(fold(char))


def _is_accent(char: str) -> bool:
    """Whether *char* combines as an accent of Latin, Greek, Cyrillic, or a vowel point of Hebrew or Arabic."""
    combining = unicodedata.combining(char)
    return combining >= 200 or 10 <= combining <= 36


def _replace_odd(found: re.Match[str]) -> str:
    char = found[0]
    if _IS_UNCOUNTED.match(char):
        return ""
    if _IS_DASH.match(char):
        return "-"
    return "'" if _IS_QUOTE.match(char) else '"'
