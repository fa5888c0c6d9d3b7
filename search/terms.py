"""What people type into the search, parsed: words, "phrases", -not, or."""

import re
from itertools import pairwise
from typing import NamedTuple, Self

from edge.fields import refusal
from extraction.folding import fold, strip_accents
from extraction.tokens import LAST, PAIR, WHOLE, WORD, Token, find_tokens, quote

MAX_TERMS = 32
MAX_TOKENS = 200
MIN_PREFIX_CHARACTERS = 3  # of a word that finds longer ones

_OPENING = '"“”„‟«»〝〞＂'
_PIECE = re.compile(
    rf"""(?P<minus>(?<!\S)[-\u2212\u2013](?![-\s]))?  # only before a word
         (?: [{_OPENING}](?P<phrase>[^{_OPENING}]*)(?:[{_OPENING}]|$)
           | (?P<word>[^\s{_OPENING}]+) )""",
    re.VERBOSE,
)


class Term(NamedTuple):
    """A word, a code or a phrase."""

    tokens: tuple[Token, ...]
    is_quoted: bool

    @classmethod
    def read(cls, text: str, *, is_quoted: bool) -> Self | None:
        """None if there is nothing in *text* to look for."""
        tokens = tuple(find_tokens(text))
        return cls(tokens, is_quoted) if tokens else None

    @property
    def parts(self) -> list[Token]:
        """Its tokens side by side: a code by its parts; a character alone only where it has no neighbour."""
        kept: list[Token] = []
        for token in self.tokens:
            if token.kind == WHOLE or (token.kind == LAST and kept and _is_end_of(kept[-1], token)):
                continue
            kept.append(token)
        return kept

    @property
    def lexemes(self) -> list[str]:
        return [token.text for token in self.parts]

    def as_tsquery(self, *, longer: bool) -> str:
        """*longer*: also longer words that begin with its last one."""
        longer = longer and not self.is_quoted
        parts = self.parts
        query = quote(parts[0].text) + _star(parts[0], longer=longer and len(parts) == 1)
        for before, part in pairwise(parts):
            step = part.place - before.place
            query += f" {'<->' if step == 1 else f'<{step}>'} {quote(part.text)}"
            query += _star(part, longer=longer and part is parts[-1])
        wholes = [token for token in self.tokens if token.kind == WHOLE]
        if len(wholes) == 1 and not self.is_quoted and all(token.kind in (WORD, WHOLE) for token in self.tokens):
            query = f"{quote(wholes[0].text)}{':*' if longer else ''} | ({query})"
        return f"({query})" if len(parts) > 1 or wholes else query

    @property
    def accents(self) -> list[str]:
        """The words of it that were typed with an accent, which a hit must have, too."""
        return [part.text for part in self.parts if part.text != strip_accents(part.text)]


class Query(NamedTuple):
    """Any of *groups*: each is terms that must be there, and terms that must not."""

    groups: list[tuple[list[Term], list[Term]]]

    @property
    def wanted(self) -> list[Term]:
        return [term for terms, _ in self.groups for term in terms]

    @property
    def has_longer(self) -> bool:
        """Whether it finds more when its words may be the beginning of longer ones."""
        return self.as_tsquery(longer=True) != self.as_tsquery(longer=False)

    def as_tsquery(self, *, longer: bool, also: str = "") -> str:
        """*also* is a lexeme that must be there besides."""
        alternatives = []
        for terms, unwanted in self.groups:
            query = [term.as_tsquery(longer=longer) for term in terms]
            query += [f"!{_bracketed(term.as_tsquery(longer=False))}" for term in unwanted]
            alternatives.append(" & ".join(query))
        joined = alternatives[0] if len(alternatives) == 1 else " | ".join(f"({query})" for query in alternatives)
        return f"({joined}) & {quote(also)}" if also else joined

    def as_any_word(self, *, longer: bool) -> str:
        """Any of its terms, also those that must not be there."""
        return " | ".join(
            term.as_tsquery(longer=longer) for terms, unwanted in self.groups for term in (*terms, *unwanted)
        )

    def as_proximity(self, *, longer: bool) -> str:
        """The same without what must not be there, for the rank; empty if there is one term."""
        if len(self.wanted) < 2:
            return ""
        return Query([(terms, []) for terms, _ in self.groups]).as_tsquery(longer=longer)

    def as_phrase(self) -> str:
        """All words side by side, as they were typed; empty if there are no such words."""
        if len(self.groups) != 1 or len(self.wanted) < 2:
            return ""
        tokens: list[Token] = []
        place = 0
        for term in self.wanted:
            tokens += [token._replace(place=place + token.place) for token in term.tokens]
            place = tokens[-1].place + 1
        return Term(tuple(tokens), is_quoted=True).as_tsquery(longer=False)


def parse(text: str) -> Query:
    """What *text* asks for.

    Raises:
        PydanticCustomError: if it asks for nothing, or for too much.
    """
    groups: list[tuple[list[Term], list[Term]]] = [([], [])]
    pieces = list(_PIECE.finditer(text))
    for number, piece in enumerate(pieces):
        word, phrase = piece["word"], piece["phrase"]
        is_inner = 0 < number < len(pieces) - 1
        if word is not None and fold(word) == "or" and not piece["minus"] and is_inner:
            if any(groups[-1]):
                groups.append(([], []))
            continue
        term = Term.read(word if phrase is None else phrase, is_quoted=phrase is not None)
        if term is not None:
            groups[-1][1 if piece["minus"] else 0].append(term)
    groups = [group for group in groups if any(group)]
    if not groups or any(not terms for terms, _ in groups):
        raise refusal("Should have a word to look for, besides those that must not be there")
    count = sum(len(terms) + len(unwanted) for terms, unwanted in groups)
    tokens = sum(len(term.tokens) for terms, unwanted in groups for term in (*terms, *unwanted))
    if count > MAX_TERMS or tokens > MAX_TOKENS:
        raise refusal("Should have at most 32 words")
    return Query(groups)


def _is_end_of(pair: Token, last: Token) -> bool:
    return pair.kind == PAIR and pair.place + 1 == last.place


def may_be_longer(token: Token) -> bool:
    """Whether longer words that begin with it are found, too."""
    return len(token.text) >= MIN_PREFIX_CHARACTERS


def _star(token: Token, *, longer: bool) -> str:
    return ":*" if token.kind == LAST or (longer and may_be_longer(token)) else ""


def _bracketed(query: str) -> str:
    return query if query.startswith("(") else f"({query})"
