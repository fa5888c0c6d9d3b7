"""The answers that people expect come first: a later change of the ranking is judged by this.

Two kinds of questions: those about a made-up team's library and chat, whose answers are known; and known items, made
from random pages of Python's manual without a look at any score. A third of those is not to be looked at while tuning.
The manual is a hard one, because all of its pages are about the same: of several hundred items 0.85 to 0.89 (two
salient words) and 0.90 to 0.93 (three words that stand near each other) when this was written.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from pydoc_data.topics import topics

import pytest

from support.databases import TestDatabase
from support.library import add_document, say, search, wait_for_index
from support.servers import Person, Server, register
from support.team import CHAT, LIBRARY, QUESTIONS

PAGE_CHARACTERS = 2000
ITEMS = 150  # known items of each kind; every third is held out
Place = tuple[int, int] | int

# A team


@pytest.fixture(scope="module")
def team(server: Server, database: TestDatabase) -> tuple[Person, dict[object, Place]]:
    """Alice, who has the library and the chat; and where each answer is."""
    people = {name: register(server, name) for name in ("alice", "bob")}
    alice = people["alice"]
    answers: dict[object, Place] = {}
    for filename, pages in LIBRARY.items():
        document_id = add_document(database, alice, *pages, filename=filename)
        answers.update({(filename, page): (document_id, page) for page in range(1, len(pages) + 1)})
    for number, (name, content) in enumerate(CHAT):
        sender, recipient = people[name], people["bob" if name == "alice" else "alice"]
        answers[number] = say(sender, recipient, content)
    wait_for_index(database)
    return alice, answers


def first_three(person: Person, words: str) -> list[Place]:
    results = search(person, words, limit=3)["results"]
    return [(hit["document_id"], hit["page"]) if hit["type"] == "page" else hit["id"] for hit in results]


def test_nine_of_ten_answers_come_first_and_the_others_soon(team: tuple[Person, dict[object, Place]]) -> None:
    alice, answers = team
    found = {words: first_three(alice, words) for words, _ in QUESTIONS}

    late = [words for words, answer in QUESTIONS if found[words][:1] != [answers[answer]]]
    missed = [words for words, answer in QUESTIONS if answers[answer] not in found[words]]

    assert len(late) <= len(QUESTIONS) / 10, late
    assert missed == []


# Known items


@pytest.fixture(scope="module")
def manual(server: Server, database: TestDatabase) -> tuple[Person, dict[Place, str]]:
    """Carol, who has Python's manual, a document a topic; and the text of each page."""
    carol = register(server, "carol")
    pages: dict[Place, str] = {}
    for name, text in manual_topics():
        texts = [text[start : start + PAGE_CHARACTERS] for start in range(0, len(text), PAGE_CHARACTERS)]
        document_id = add_document(database, carol, *texts, filename=f"{name}.pdf")
        pages.update({(document_id, number): page for number, page in enumerate(texts, 1)})
    wait_for_index(database)
    database.query("ANALYZE page_search")
    return carol, pages


def manual_topics() -> list[tuple[str, str]]:
    """Those that do not repeat the lines of a longer one: else a page would be the answer to another's words."""
    known: set[str] = set()
    kept = []
    for name, text in sorted(topics.items(), key=lambda topic: (-len(topic[1]), topic[0])):
        lines = {line.strip() for line in text.splitlines() if len(line.strip()) > 40}
        if len(lines & known) < len(lines) / 20:
            kept.append((name, text))
            known |= lines
    return kept


def words_of(text: str) -> list[str]:
    return re.findall(r"(?<![\w])[a-z]{4,}(?![\w])", text.lower())


def salient_words(page: str, counts: Counter[str], page_count: int) -> list[str]:
    """The two words that tell a page from the others; *counts* are the pages that a word is on."""
    own = Counter(words_of(page))
    return sorted(own, key=lambda word: (-own[word] * math.log(page_count / counts[word]), word))[:2]


def near_words(page: str, dice: random.Random) -> list[str]:
    """Three words that stand near each other."""
    words = words_of(page)
    start = dice.randrange(max(len(words) - 6, 1))
    return dice.sample(words[start : start + 6], k=3)


def mean_reciprocal_rank(person: Person, asked: Sequence[tuple[Place, list[str]]]) -> float:
    """Of the page that was meant, within the first three."""
    ranks = []
    for place, words in asked:
        found = first_three(person, " ".join(words))
        ranks.append(1 / (found.index(place) + 1) if place in found else 0.0)
    return sum(ranks) / len(ranks)


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned on", "held out"])
@pytest.mark.parametrize(("kind", "least"), [("salient", 0.88), ("near", 0.94)])
def test_a_page_is_found_by_a_few_of_its_words(
    manual: tuple[Person, dict[Place, str]], kind: str, least: float, held_out: bool
) -> None:
    carol, pages = manual
    counts = Counter(word for text in pages.values() for word in set(words_of(text)))
    dice = random.Random(7)
    chosen = dice.sample(sorted(place for place, text in pages.items() if len(words_of(text)) > 60), k=ITEMS)
    asked = [
        (
            place,
            salient_words(pages[place], counts, len(pages)) if kind == "salient" else near_words(pages[place], dice),
        )
        for place in chosen
    ]

    asked = [item for number, item in enumerate(asked) if (number % 3 == 2) == held_out]

    assert mean_reciprocal_rank(carol, asked) >= least
