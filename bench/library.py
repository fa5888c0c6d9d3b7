"""A made-up library of any size, as its people would have filled it: put straight into the tables, once.

Words are drawn as in real text (Zipf, 200,000 of them), a page has about 330; some pages hold Chinese, each a code and
an amount. Two people search in it: one owns 20 documents, the other owns 20 and reads about half of all. Each has some
words that are on eight of their own pages and nowhere else, however large the library is.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from itertools import accumulate
from typing import NamedTuple

import psycopg2.extensions

from bench.servers import HOUSE
from extraction.tokens import TOKENS_VERSION, make_message_vector, make_name_vector, make_page_vector

VOCABULARY = 200_000  # words
PAGE_WORDS = 330
MESSAGE_WORDS = 12
PAGES_OF_A_DOCUMENT = 100
DOCUMENTS_OF_AN_ASKER = 20
OWNERS = 50  # of documents
PEOPLE = 500
RARE_WORDS = 100  # of each asker
PAGES_OF_A_RARE_WORD = 8
DOCUMENTS_AT_ONCE = 10
MESSAGES_AT_ONCE = 20_000
OWNER, READER = 1, 2  # the two askers
HAN = "中华人民共和国宪法序言是世界上历史最悠久的国家之一"

Cursor = psycopg2.extensions.cursor


class Size(NamedTuple):
    documents: int
    messages: int

    @property
    def pages(self) -> int:
        return self.documents * PAGES_OF_A_DOCUMENT


class Words:
    """The vocabulary, the common words first."""

    def __init__(self) -> None:
        dice = random.Random(7)
        syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
        self._all = [
            "".join(dice.choices(syllables, k=1 + min(3, rank // 200 + 1))) + "nr"[rank % 2]
            for rank in range(VOCABULARY)
        ]
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))

    def draw(self, dice: random.Random, count: int) -> list[str]:
        return dice.choices(self._all, cum_weights=self._weights, k=count)

    def draw_common(self, dice: random.Random) -> str:
        return self._all[dice.randrange(5, 60)]

    def draw_prefix(self, dice: random.Random) -> str:
        return self._all[dice.randrange(1000, VOCABULARY)][:3]


def rare_word(asker: int, number: int) -> str:
    return f"{'qx'[asker - 1]}{number:03}".translate(str.maketrans("0123456789", "abcdefghij")) + "quoll"


def draw_code(dice: random.Random) -> str:
    return f"AB-{dice.randrange(10_000)}/{dice.randrange(10)}"


def draw_han(dice: random.Random, count: int) -> str:
    start = dice.randrange(len(HAN) - count)
    return HAN[start : start + count]


class Library:
    """Filled in portions, so that it can be gone on with another time."""

    def __init__(self, cursor: Cursor, size: Size) -> None:
        self._cursor = cursor
        self.size = size
        self.words = Words()
        self._owners = self._draw_owners()
        self._planted = self._plant()

    def is_full(self) -> bool:
        return self._has("page_search_words") and self._count("documents") == self.size.documents

    def fill(self, *, until: float) -> Iterator[str]:
        """Go on until it is full, or *until* (by the monotonic clock); yield what is done."""
        if self.is_full():
            return
        self._cursor.execute("DROP INDEX IF EXISTS page_search_words, message_search_words")
        for add, table, total in (
            (self._add_documents, "documents", self.size.documents),
            (self._add_messages, "messages", self.size.messages),
        ):
            while (count := self._count(table)) < total:
                if time.monotonic() > until:
                    yield f"{count:,} of {total:,} {table}; call it again"
                    return
                add(count + 1)
        if time.monotonic() < until:
            yield from self._close()

    def _draw_owners(self) -> list[int]:
        """The owner of each document, from the first on."""
        dice = random.Random(7)
        owners = [dice.randrange(3, OWNERS + 1) for _ in range(self.size.documents)]
        chosen = dice.sample(range(self.size.documents), k=2 * DOCUMENTS_OF_AN_ASKER)
        for number, place in enumerate(chosen):
            owners[place] = OWNER if number % 2 else READER
        return owners

    def _plant(self) -> dict[tuple[int, int], list[str]]:
        """The rare words of each page, by document and page."""
        dice = random.Random(8)
        planted: dict[tuple[int, int], list[str]] = {}
        for asker in (OWNER, READER):
            own = [number for number, owner in enumerate(self._owners, 1) if owner == asker]
            for number in range(RARE_WORDS):
                for _ in range(PAGES_OF_A_RARE_WORD):
                    page = (dice.choice(own), dice.randrange(1, PAGES_OF_A_DOCUMENT + 1))
                    planted.setdefault(page, []).append(rare_word(asker, number))
        return planted

    def _add_documents(self, first: int) -> None:
        last = min(first + DOCUMENTS_AT_ONCE - 1, self.size.documents)
        pages = []
        for document_id in range(first, last + 1):
            owner = self._owners[document_id - 1]
            dice = random.Random(document_id)
            name = f"{' '.join(self.words.draw(dice, 3))}.pdf"
            self._cursor.execute(
                "INSERT INTO documents (id, user_id, filename, file_path, file_size, page_count, tokens_version) "
                "VALUES (%s, %s, %s, md5(random()::text), 1, %s, %s)",
                (document_id, owner, name, PAGES_OF_A_DOCUMENT, TOKENS_VERSION),
            )
            if owner > READER and document_id % 2:
                self._cursor.execute("INSERT INTO document_shares VALUES (%s, %s)", (document_id, READER))
            names = make_name_vector(name)
            keys = f"{{{document_id},{-(document_id // 32) - 1}}}"
            for number in range(1, PAGES_OF_A_DOCUMENT + 1):
                text = self._make_page(dice, self._planted.get((document_id, number), []))
                pages.append((document_id, number, text, keys, f"{names} {make_page_vector(text)}"))
        self._copy("pages (document_id, page_number, text, width, height)", [(*page[:3], 595, 842) for page in pages])
        self._copy("page_search (document_id, page_number, keys, vec)", [(*page[:2], *page[3:]) for page in pages])
        self._cursor.connection.commit()

    def _make_page(self, dice: random.Random, planted: Sequence[str]) -> str:
        drawn = self.words.draw(dice, PAGE_WORDS)
        if dice.random() < 0.3:
            drawn.insert(dice.randrange(PAGE_WORDS), draw_han(dice, 6))
        amount = f"{dice.randrange(1000)}.{dice.randrange(1000):03},{dice.randrange(100):02}"
        for word in (draw_code(dice), amount, *planted):
            drawn.insert(dice.randrange(PAGE_WORDS), word)
        return " ".join(drawn)

    def _add_messages(self, first: int) -> None:
        dice = random.Random(first)
        messages = []
        for number in range(first, min(first + MESSAGES_AT_ONCE, self.size.messages + 1)):
            people = (dice.randrange(1, PEOPLE + 1), dice.randrange(1, PEOPLE + 1))
            content = " ".join(self.words.draw(dice, MESSAGE_WORDS))
            vector = make_message_vector(content, sender_id=people[0], recipient_id=people[1])
            messages.append((number, *people, content, vector))
        self._cursor.execute("SET session_replication_role = replica")  # without triggers
        self._copy("messages (id, sender_id, recipient_id, content)", [message[:4] for message in messages])
        self._copy("message_search (message_id, vec)", [(message[0], message[4]) for message in messages])
        self._cursor.execute("SET session_replication_role = origin")
        self._cursor.connection.commit()

    def _close(self) -> Iterator[str]:
        """Build the indexes at once, which is cheaper than page by page."""
        schema = (HOUSE / "schema.sql").read_text()
        for name in ("message_search_words", "page_search_words"):
            (statement,) = re.findall(rf"CREATE INDEX IF NOT EXISTS {name} [^;]*;", schema)
            began = time.monotonic()
            self._cursor.execute(statement)
            yield f"{name} built in {time.monotonic() - began:.0f} s"
        for table in ("documents", "messages"):
            self._cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
        self._cursor.execute("UPDATE search_progress SET messages_up_to = %s", (self.size.messages,))
        self._cursor.connection.commit()
        self._cursor.connection.autocommit = True
        self._cursor.execute("VACUUM ANALYZE")
        self._cursor.connection.autocommit = False

    def describe(self) -> str:
        """How large its index is."""
        self._cursor.execute(
            "SELECT pg_total_relation_size('page_search'), pg_relation_size('page_search_words'), "
            "pg_total_relation_size('pages'), pg_total_relation_size('message_search')"
        )
        ((pages, words, texts, messages),) = self._cursor.fetchall()
        count = self.size.pages
        return (
            f"{count:,} pages, {self.size.messages:,} messages: the index takes {pages / count:,.0f} bytes a page "
            f"({words / count:,.0f} of them the GIN, beside {texts / count:,.0f} of the text) and "
            f"{messages / self.size.messages:,.0f} bytes a message"
        )

    def _has(self, name: str) -> bool:
        self._cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
        ((found,),) = self._cursor.fetchall()
        return bool(found)

    def _count(self, table: str) -> int:
        self._cursor.execute(f"SELECT count(*) FROM {table}")
        ((count,),) = self._cursor.fetchall()
        return int(count)

    def _copy(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        lines = ("\t".join(str(value).replace("\\", "\\\\") for value in row) for row in rows)
        self._cursor.copy_expert(f"COPY {table} FROM STDIN", StringIO("\n".join(lines)))


def questions(words: Words, asker: int) -> dict[str, Callable[[random.Random], str]]:
    """A question of each kind."""
    common = words.draw_common
    return {
        "rare word": lambda dice: rare_word(asker, dice.randrange(RARE_WORDS)),
        "two common words": lambda dice: f"{common(dice)} {common(dice)}",
        "common word": common,
        "phrase of common words": lambda dice: f'"{common(dice)} {common(dice)} {common(dice)}"',
        "prefix of three letters": words.draw_prefix,
        "Chinese term": lambda dice: draw_han(dice, 3),
        "code": draw_code,
        "no hit": lambda dice: f"{rare_word(asker, dice.randrange(RARE_WORDS))}less",
    }
