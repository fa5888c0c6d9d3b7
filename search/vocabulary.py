"""How common words are over the whole library, by PostgreSQL's own statistics: what makes a rare word count more."""

import math
from collections.abc import Mapping

from extraction.tokens import WHOLE
from search.terms import Query, Term

RARE_HITS = 1500  # pages; the index finds so few faster than it would a part of them
UNKNOWN_SHARE = 0.01  # of the pages, while there are no statistics


class Vocabulary:
    """The shares of the commonest words; every other word is rare."""

    def __init__(self) -> None:
        self._shares: Mapping[str, float] = {}
        self._rarest_share = 4 * UNKNOWN_SHARE
        self._page_count = 0

    def learn(self, shares: Mapping[str, float], *, page_count: int) -> None:
        self._shares = shares
        self._rarest_share = min(shares.values(), default=4 * UNKNOWN_SHARE)
        self._page_count = page_count

    def weigh(self, term: Term) -> float:
        """The weight of *term*: of its rarest word."""
        unknown = self._rarest_share / 4
        share = min(self._shares.get(token.text, unknown) for token in term.tokens if token.kind != WHOLE)
        return round(math.log(1 + 1 / max(share, 1e-6)), 2)

    def is_rare(self, query: Query, *, longer: bool) -> bool:
        """Whether few pages can match: a short beginning of a word may be that of many."""
        return sum(self._estimate(terms, longer=longer) for terms, _ in query.groups) <= RARE_HITS

    def _estimate(self, terms: list[Term], *, longer: bool) -> float:
        return min(self._estimate_term(term, longer=longer) for term in terms) * self._page_count

    def _estimate_term(self, term: Term, *, longer: bool) -> float:
        if longer and not term.is_quoted and len(term.lexemes) == 1:
            (word,) = term.lexemes
            return sum(share for token, share in self._shares.items() if token.startswith(word)) + 0.1 * (len(word) < 4)
        return min(self._shares.get(word, 0.0) for word in term.lexemes)
