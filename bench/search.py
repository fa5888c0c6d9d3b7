"""Measure the search over HTTP, beside GET /me and beside ILIKE: python -m bench.search [--full]

5,000 pages and 50,000 messages take about a minute; --full has 100,000 pages of 1,000 documents and 1,000,000 messages.
Words are drawn as in real text (Zipf), a page has about 330 of them; pages hold phrases, Chinese, codes and amounts.
Half of all documents are shared with one reader; one owner has twenty documents.
"""

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import httpx
import psycopg2
from psycopg2.extensions import make_dsn

from bench.servers import PAGEWIRE, PAGEWIRE_ENVIRONMENT, SECRET_KEY, _server
from extraction.tokens import make_message_vector, make_name_vector, make_page_vector
from postgres.embedded import EmbeddedServer

VOCABULARY = 200_000  # words
PAGE_WORDS = 330
MESSAGE_WORDS = 12
PAGES_OF_A_DOCUMENT = 100
ROUNDS = 60  # questions of each kind
ILIKE_ROUNDS = 3
PASSWORD = "correct horse battery"
HAN = "中华人民共和国宪法序言是世界上历史最悠久的国家之一"


class Size(NamedTuple):
    documents: int
    messages: int
    people: int


SMALL = Size(documents=50, messages=50_000, people=50)
FULL = Size(documents=1000, messages=1_000_000, people=500)


class Words:
    """Made-up words, the common ones first."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
        self.all = [
            "".join(dice.choices(syllables, k=1 + min(3, rank // 200 + 1))) + "nr"[rank % 2]
            for rank in range(VOCABULARY)
        ]
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))

    def draw(self, count: int) -> list[str]:
        return self._dice.choices(self.all, cum_weights=self._weights, k=count)

    def common(self) -> str:
        return self.all[self._dice.randrange(5, 60)]

    def rare(self) -> str:
        return self.all[self._dice.randrange(VOCABULARY // 4, VOCABULARY // 2)]


class Figures(NamedTuple):
    kind: str
    asker: str
    milliseconds: list[float]
    ilike: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="100,000 pages and 1,000,000 messages; a quarter of an hour"
    )
    size = FULL if parser.parse_args().full else SMALL
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        place = Path(name)
        place.chmod(0o711)
        with contextlib.ExitStack() as stack:
            postgres = EmbeddedServer(place)
            stack.callback(postgres.release)
            postgres.ensure_started()
            url = str(make_dsn(**postgres.connect_kwargs))
            pid = int((postgres.folders.cluster / "postmaster.pid").read_text().split()[0])
            server = stack.enter_context(
                _server(
                    "product",
                    PAGEWIRE,
                    place / "product",
                    pid,
                    url,
                    **{**PAGEWIRE_ENVIRONMENT, "SECRET_KEY": SECRET_KEY},
                )
            )
            client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60))
            database = stack.enter_context(contextlib.closing(psycopg2.connect(url)))
            database.autocommit = True
            report(fill(database.cursor(), client, size), measure(database.cursor(), client, size), size)


# The library


def fill(cursor: psycopg2.extensions.cursor, client: httpx.Client, size: Size) -> list[str]:
    """Fill the tables; return what that took."""
    dice = random.Random(7)
    words = Words(dice)
    for number in range(2):
        register(client, f"asker{number}@example.com")
    cursor.execute(
        "INSERT INTO users (email, password_hash, name) "
        "SELECT 'user' || n || '@example.com', 'none', 'User ' || n FROM generate_series(3, %s) AS n",
        (size.people,),
    )
    owners = [1] * 20 + [2] * 20 + [dice.randrange(3, 50) for _ in range(size.documents - 40)]
    for owner in owners:
        cursor.execute(
            "INSERT INTO documents (user_id, filename, file_path, file_size, page_count, tokens_version) "
            "VALUES (%s, %s, md5(random()::text), 1, %s, 1)",
            (owner, f"{words.rare()} report.pdf", PAGES_OF_A_DOCUMENT),
        )
    cursor.execute("INSERT INTO document_shares SELECT id, 2 FROM documents WHERE user_id > 2 AND id %% 2 = 0", ())
    pages, page_seconds = [], 0.0
    for document_id in range(1, size.documents + 1):
        names = make_name_vector("report.pdf")
        for number in range(1, PAGES_OF_A_DOCUMENT + 1):
            text = make_text(dice, words, PAGE_WORDS)
            began = time.process_time()
            vector = f"{names} {make_page_vector(text)}"
            page_seconds += time.process_time() - began
            keys = f"{{{document_id},{-(document_id // 32) - 1}}}"
            pages.append((document_id, number, text, keys, vector))
        if len(pages) >= 2000 or document_id == size.documents:
            copy(cursor, "pages (document_id, page_number, text, width, height)", [(*p[:3], 595, 842) for p in pages])
            copy(cursor, "page_search (document_id, page_number, keys, vec)", [(*p[:2], *p[3:]) for p in pages])
            pages.clear()
    messages, message_seconds = [], 0.0
    cursor.execute("SET session_replication_role = replica")
    for number in range(1, size.messages + 1):
        people = (dice.randrange(1, size.people), dice.randrange(1, size.people))
        content = " ".join(words.draw(MESSAGE_WORDS))
        began = time.process_time()
        vector = make_message_vector(content, sender_id=people[0], recipient_id=people[1])
        message_seconds += time.process_time() - began
        messages.append((number, *people, content, vector))
        if len(messages) == 20_000 or number == size.messages:
            copy(cursor, "messages (id, sender_id, recipient_id, content)", [m[:4] for m in messages])
            copy(cursor, "message_search (message_id, vec)", [(m[0], m[4]) for m in messages])
            messages.clear()
    cursor.execute("SELECT setval(pg_get_serial_sequence('messages', 'id'), %s)", (size.messages,))
    cursor.execute("UPDATE search_progress SET messages_up_to = %s", (size.messages,))
    began = time.monotonic()
    cursor.execute("SELECT gin_clean_pending_list('page_search_words'), gin_clean_pending_list('message_search_words')")
    clean_seconds = time.monotonic() - began
    cursor.execute("VACUUM ANALYZE")
    page_count = size.documents * PAGES_OF_A_DOCUMENT
    cursor.execute("SELECT pg_total_relation_size('page_search'), pg_total_relation_size('message_search')")
    ((page_bytes, message_bytes),) = cursor.fetchall()
    return [
        f"tokens: {1000 * page_seconds / page_count:.2f} ms a page, "
        f"{1e6 * message_seconds / size.messages:.0f} µs a message",
        f"sorted into the index at the end: {1000 * clean_seconds / page_count:.2f} ms a page, messages included",
        f"index: {page_bytes / page_count:.0f} bytes a page, {message_bytes / size.messages:.0f} bytes a message",
    ]


def make_text(dice: random.Random, words: Words, count: int) -> str:
    drawn = words.draw(count)
    if dice.random() < 0.3:
        start = dice.randrange(len(HAN) - 6)
        drawn.insert(dice.randrange(count), HAN[start : start + 6])
    drawn.insert(dice.randrange(count), f"AB-{dice.randrange(10_000)}/{dice.randrange(10)}")
    drawn.insert(dice.randrange(count), f"{dice.randrange(1000)}.{dice.randrange(1000):03},{dice.randrange(100):02}")
    return " ".join(drawn)


def copy(cursor: psycopg2.extensions.cursor, table: str, rows: Sequence[Sequence[object]]) -> None:
    lines = StringIO("".join("\t".join(str(value).replace("\\", "\\\\") for value in row) + "\n" for row in rows))
    cursor.copy_expert(f"COPY {table} FROM STDIN", lines)


def register(client: httpx.Client, email: str) -> None:
    client.post("/register", json={"email": email, "password": PASSWORD, "name": "Asker"}).raise_for_status()


def sign_in(client: httpx.Client, email: str) -> dict[str, str]:
    answer = client.post("/login", json={"email": email, "password": PASSWORD}).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


# Questions


def kinds(words: Words, dice: random.Random) -> dict[str, Callable[[], str]]:
    return {
        "rare word": words.rare,
        "two common words": lambda: f"{words.common()} {words.common()}",
        "common word": words.common,
        "phrase": lambda: f'"{words.common()} {words.common()}"',
        "prefix of three letters": lambda: words.rare()[:3],
        "Chinese term": lambda: HAN[(start := dice.randrange(len(HAN) - 4)) : start + 3],
        "code": lambda: f"AB-{dice.randrange(10_000)}/{dice.randrange(10)}",
        "no hit": lambda: f"{words.rare()}qx",
    }


def measure(cursor: psycopg2.extensions.cursor, client: httpx.Client, size: Size) -> Iterator[Figures]:
    askers = [
        ("owner of 20", sign_in(client, "asker0@example.com")),
        (f"reader of {size.documents // 2}", sign_in(client, "asker1@example.com")),
    ]
    dice = random.Random(7)
    words = Words(dice)
    time.sleep(2.0)  # the statistics are read every second at first
    for name, headers in askers:
        yield Figures("GET /me", name, [ask(client, "/me", headers) for _ in range(5 * ROUNDS)], [])
    for kind, make in kinds(words, dice).items():
        for user_id, (name, headers) in enumerate(askers, 1):
            for _ in range(3):
                ask(client, "/search", headers, q=make())
            questions = [make() for _ in range(ROUNDS)]
            taken = [ask(client, "/search", headers, q=question, type="page") for question in questions]
            ilike = [ask_ilike(cursor, user_id, question.strip('"')) for question in questions[:ILIKE_ROUNDS]]
            yield Figures(kind, name, taken, ilike)


def ask(client: httpx.Client, path: str, headers: dict[str, str], **query: str) -> float:
    began = time.perf_counter()
    client.get(path, headers=headers, params=query).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def ask_ilike(cursor: psycopg2.extensions.cursor, user_id: int, words: str) -> float:
    began = time.perf_counter()
    cursor.execute(
        "SELECT document_id, page_number FROM pages WHERE text ILIKE %s AND document_id IN (SELECT id FROM documents "
        "WHERE user_id = %s UNION SELECT document_id FROM document_shares WHERE user_id = %s) "
        "ORDER BY document_id DESC LIMIT 20",
        (f"%{words}%", user_id, user_id),
    )
    cursor.fetchall()
    return 1000 * (time.perf_counter() - began)


def report(facts: list[str], figures: Iterator[Figures], size: Size) -> None:
    print(f"{size.documents * PAGES_OF_A_DOCUMENT:,} pages, {size.messages:,} messages\n" + "\n".join(facts) + "\n")
    print("| | asker | p50, ms | p99, ms | ILIKE, ms | ratio |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for each in figures:
        p50, p99 = median(each.milliseconds), quantiles(each.milliseconds, n=100)[98]
        ilike = f"{median(each.ilike):.1f} | {median(each.ilike) / p50:.1f}x" if each.ilike else " | "
        print(f"| {each.kind} | {each.asker} | {p50:.2f} | {p99:.2f} | {ilike} |", flush=True)


main()
