"""The text of a page, cleaned: as it is stored, shown and searched."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from extraction.page.hyphens import HYPHEN_MARKS, Witness

# C0 but \n and \t, DEL, and the non-character PDFium uses for what it cannot map
_UNWANTED = "[\x00-\x08\x0b-\x1f\x7f\uffff]"
_BLANKS = "[ \t]+(?=\n)"  # at the ends of lines
_HYPHEN_MARK = re.compile(f"[{HYPHEN_MARKS}]\n?|(?<=\\w)[\u2010\u2011]\n")
# Those that PDFium does not mark, because they follow a figure: "10-year", "pages 12-15", "2024-05-01"
_HYPHEN_OF_NUMBER = re.compile(
    r"(?<![.,][0-9]{2})(?<![.,][0-9]{3})(?<=[0-9])-\n(?=[a-z])"  # not "980.00-", which is an amount
    r"|(?:(?i:\b(?:pages?|pp?\.|seiten?|s\.|isbn)) |(?<=-))[0-9]+-\n(?=[0-9])"  # not "balance 4500-"
)
_NONSENSE = re.compile("[\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]")
_SPECIAL = re.compile(f"{_UNWANTED[:-1]}\ud800-\udfff\ufffe\uf020-\uf0ff\ufb00-\ufb06]")
_SYMBOLS = re.compile("[\uf020-\uf0ff]+")
_LIGATURES = re.compile("[\ufb00-\ufb06]")

# What fonts of symbols draw for a code, where it stands alone: Symbol and Wingdings, as word processors use them
_BULLETS = {
    "\uf0b7": "•",
    "\uf0a7": "▪",
    "\uf0a8": "◻",
    "\uf06c": "●",
    "\uf06e": "■",
    "\uf06f": "□",
    "\uf071": "❑",
    "\uf076": "❖",
    "\uf0d8": "➢",
    "\uf0e0": "→",
    "\uf0e8": "➔",
    "\uf0f0": "⇨",
    "\uf0fc": "✓",
    "\uf0fb": "✗",
    "\uf0fe": "☑",
    "\uf0fd": "☒",
    "\uf02d": "−",
    "\uf0be": "—",
}


class _Draft:
    """A text that is rewritten; if *traced*, it knows where in the raw text each of its characters comes from."""

    def __init__(self, raw: str, *, traced: bool) -> None:
        self.text = raw
        self.origins: list[int] | None = list(range(len(raw))) if traced else None

    def replace(self, pattern: re.Pattern[str] | str, write: Callable[[re.Match[str]], str] | str) -> None:
        if self.origins is None:
            self.text = re.sub(pattern, write, self.text)
            return
        parts: list[str] = []
        origins: list[int] = []
        end = 0
        for match in re.finditer(pattern, self.text):
            written = write if isinstance(write, str) else write(match)
            parts += [self.text[end : match.start()], written]
            origins += self.origins[end : match.start()]
            last = match.end() - 1
            origins += [self.origins[min(match.start() + number, last)] for number in range(len(written))]
            end = match.end()
        self.text = "".join(parts) + self.text[end:]
        self.origins = origins + self.origins[end:]


def clean_text(raw: str) -> str:
    """Return *raw* as stored: LF line ends, hyphenated words joined, nothing that PostgreSQL or JSON refuses."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n")
    if _is_clean(text):
        return text
    return _clean(_Draft(text, traced=False)).text


def clean_rows(rows: Iterable[Sequence[str | None]]) -> list[list[str | None]]:
    """Return the cells of a table, each as `clean_text` returns it."""
    copied = [list(row) for row in rows]
    if _is_clean("|".join([cell for row in copied for cell in row if cell])):
        return copied
    return [[cell and clean_text(cell) for cell in row] for row in copied]


def trace_text(raw: str) -> tuple[str, list[int]]:
    """Return `clean_text(raw)`, and the position in *raw* of each of its characters."""
    draft = _clean(_Draft(raw, traced=True))
    return draft.text, draft.origins or []


def _is_clean(text: str) -> bool:
    """Whether there is nothing to do, as for most pages, words and cells."""
    if " \n" in text or "\t\n" in text or ("-\n" in text and _HYPHEN_OF_NUMBER.search(text)):
        return False
    if text.isascii() and text.replace("\n", "").isprintable():
        return True  # quicker than the search
    return not _SPECIAL.search(text) and "\u2010\n" not in text and "\u2011\n" not in text


def _clean(draft: _Draft) -> _Draft:
    draft.replace("\r\n?", "\n")
    if _is_clean(draft.text):
        return draft
    draft.replace("[\ud800-\udbff][\udc00-\udfff]", _join_surrogates)
    draft.replace(_BLANKS, "")
    if _SYMBOLS.search(draft.text):
        draft.replace(_SYMBOLS, _name_symbols)
    draft.replace(_LIGATURES, lambda ligature: unicodedata.normalize("NFKC", ligature[0]))
    if _HYPHEN_MARK.search(draft.text):
        witness = Witness(draft.text)
        draft.replace(_HYPHEN_MARK, witness.join)
    if "-\n" in draft.text:
        draft.replace(_HYPHEN_OF_NUMBER, lambda hyphen: hyphen[0].removesuffix("\n"))
    draft.replace(f"{_UNWANTED}|[\ud800-\udfff\ufffe]", "")
    return draft


def _join_surrogates(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _name_symbols(run: re.Match[str]) -> str:
    """Return the characters of a font of symbols: letters in private use, or a bullet."""
    symbols = run[0]
    if len(symbols) == 1 and symbols in _BULLETS:
        return _BULLETS[symbols]
    return "".join(_BULLETS[char] if char == "\uf0b7" else chr(ord(char) - 0xF000) for char in symbols)


def is_gibberish(text: str) -> bool:
    """Whether most of the text is characters that say nothing: private use, and what maps put for unknown ones."""
    if text.isascii():
        return False
    count = len(_NONSENSE.findall(text))
    return count > 0 and 2 * count > sum(not char.isspace() for char in text)
