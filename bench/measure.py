"""The measurements: each runs on both servers in turn, for several rounds, and takes medians."""

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, get_args

import uvloop

from bench import chat, growth, pdfs
from bench.load import FRESH_MARK, Connection, fresh, get, keep_asking, post_json, post_pdf, probe, saturate
from bench.servers import Server, another_process
from bench.table import Row, Target
from documents.list_queries import Sort
from pdf import PdfEngine, PdfFile

PASSWORD = "correct horse battery"
CONVERSATION_MESSAGES = 200
CONVERSATION_LIMIT = 50
CONNECTIONS = 16  # all busy, when processor time is measured
PROBES = 8  # connections at a steady rate, when latency is measured
PROBES_PER_SECOND = 50.0  # a light load for both servers
UPLOADERS = 2
LOGINS_AT_ONCE = 8
SETTLE_SECONDS = 0.2  # until processes that have just exited are accounted for
WARM_UP_SECONDS = 0.5
LARGE_UPLOAD_BYTES = 50 * 1024 * 1024
CROWDS = ((50, 50, 40), (500, 60, 70))  # users, target ratios of processor time and of messages per second
TALKERS = 50  # users, when chat is the load
LOAD_NICE = 10  # of the process that generates the chat
TALKERS_ACROSS = 500  # when one process is compared with two
SMALL_TABLE, LARGE_TABLE = 10_000, 1_000_000  # messages
MANY_DOCUMENTS = 100_000
STEADY_USERS = 500
STEADY_RATE = 100.0  # messages per second
FILES_AT_ONCE = 20
BOOKS_AT_ONCE = 4
PAGES_PER_BOOK = 350
MB = 1024 * 1024


class Effort(NamedTuple):
    """How long and how often to measure."""

    cpu_rounds: int
    cpu_seconds: float
    upload_rounds: int  # of 10 pages
    long_upload_rounds: int  # of 100 pages
    latency_rounds: int
    latency_seconds: float
    memory_rounds: int
    chat_seconds: float
    chat_rounds: int
    growth_rounds: int


QUICK = Effort(
    cpu_rounds=5,
    cpu_seconds=0.4,
    upload_rounds=2,
    long_upload_rounds=1,
    latency_rounds=4,
    latency_seconds=3.0,
    memory_rounds=1,
    chat_seconds=3.0,
    chat_rounds=3,
    growth_rounds=9,
)
LONG = Effort(
    cpu_rounds=15,
    cpu_seconds=2.0,
    upload_rounds=9,
    long_upload_rounds=3,
    latency_rounds=7,
    latency_seconds=6.0,
    memory_rounds=3,
    chat_seconds=15.0,
    chat_rounds=7,
    growth_rounds=25,
)


class Side(NamedTuple):
    """One of the two servers and its users: alice and bob have a conversation, carol and dave write to each other."""

    server: Server
    tokens: dict[str, str]
    ids: dict[str, int]

    @contextlib.asynccontextmanager
    async def connections(self, count: int) -> AsyncIterator[list[Connection]]:
        opened = [await Connection.open(self.server.port) for _ in range(count)]
        try:
            yield opened
        finally:
            for connection in opened:
                connection.close()

    def get_me(self) -> bytes:
        return get("/me", self.tokens["alice"])

    def upload(self, data: bytes) -> bytes:
        """An upload to pass through `fresh` before sending."""
        return post_pdf("/upload-pdf", data + b"\n" + FRESH_MARK, self.tokens["alice"])

    def login(self) -> bytes:
        return post_json("/login", {"email": "alice@example.com", "password": PASSWORD})


Sides = Sequence[Side]  # plain, product


async def prepare(server: Server) -> Side:
    """Register the users and fill the conversation of alice and bob."""
    connection = await Connection.open(server.port)
    tokens: dict[str, str] = {}
    ids: dict[str, int] = {}
    for name in ("alice", "bob", "carol", "dave"):
        account = {"email": f"{name}@example.com", "password": PASSWORD, "name": name.capitalize()}
        tokens[name] = json.loads(await connection.ask(post_json("/register", account)))["access_token"]
        ids[name] = json.loads(await connection.ask(get("/me", tokens[name])))["id"]
    for number in range(CONVERSATION_MESSAGES):
        sender, recipient = ("alice", "bob") if number % 2 else ("bob", "alice")
        message = {"recipient_id": ids[recipient], "content": f"Page {number} has the figures, see the table."}
        await connection.ask(post_json("/messages", message, tokens[sender]))
    connection.close()
    return Side(server, tokens, ids)


# Processor time


async def measure_me(sides: Sides, effort: Effort) -> list[Row]:
    return [await _compare_cpu("GET /me", sides, effort, lambda side: [side.get_me()], Target(">=", 25, "x"))]


async def measure_post(sides: Sides, effort: Effort) -> list[Row]:
    def requests(side: Side) -> list[bytes]:
        pairs = (("carol", "dave"), ("dave", "carol"))
        content = "Have you seen the table on page 57? The totals do not match."
        return [
            post_json("/messages", {"recipient_id": side.ids[recipient], "content": content}, side.tokens[sender])
            for sender, recipient in pairs
        ]

    return [await _compare_cpu("POST /messages", sides, effort, requests, Target(">=", 20, "x"))]


async def measure_conversation(sides: Sides, effort: Effort) -> list[Row]:
    def requests(side: Side) -> list[bytes]:
        return [get(f"/messages/{side.ids['bob']}?limit={CONVERSATION_LIMIT}", side.tokens["alice"])]

    for side in sides:
        async with side.connections(1) as (connection,):
            answer = json.loads(await connection.ask(requests(side)[0]))
            assert len(answer) == CONVERSATION_LIMIT, answer
    return [await _compare_cpu(f"GET /messages/{{id}}, {CONVERSATION_LIMIT}", sides, effort, requests)]


async def _compare_cpu(
    name: str, sides: Sides, effort: Effort, requests: Callable[[Side], list[bytes]], target: Target | None = None
) -> Row:
    async def one_round(side: Side, seconds: float) -> float:
        async with side.connections(CONNECTIONS) as connections:
            before = side.server.cpu_seconds()
            count = await saturate(connections, requests(side), seconds=seconds)
            await asyncio.sleep(SETTLE_SECONDS)
            return (side.server.cpu_seconds() - before) / count

    for side in sides:
        await one_round(side, WARM_UP_SECONDS)
    plain, product, ratio = await _alternate(effort.cpu_rounds, sides, lambda side: one_round(side, effort.cpu_seconds))
    return Row(f"{name}: CPU", _milliseconds(plain), _milliseconds(product), ratio, target)


async def _alternate(
    rounds: int, sides: Sides, one_round: Callable[[Side], Awaitable[float]]
) -> tuple[float, float, float]:
    """Return the medians of both sides, and of each round's ratio."""
    pairs = [(await one_round(sides[0]), await one_round(sides[1])) for _ in range(rounds)]
    return (
        median(plain for plain, _ in pairs),
        median(product for _, product in pairs),
        median(plain / product for plain, product in pairs),
    )


# Uploads


async def measure_uploads(sides: Sides, effort: Effort) -> list[Row]:
    rows: list[Row] = []
    for pages, rounds, target in (
        (10, effort.upload_rounds, None),
        (100, effort.long_upload_rounds, Target(">=", 8, "x")),
    ):
        data = pdfs.make_report(pages)
        cpu: dict[str, list[float]] = {side.server.name: [] for side in sides}
        for side in sides:
            await _upload(side, pdfs.make_report(1), 1)

        async def one_round(
            side: Side, data: bytes = data, pages: int = pages, cpu: dict[str, list[float]] = cpu
        ) -> float:
            before = side.server.cpu_seconds()
            seconds = await _upload(side, data, pages)
            await asyncio.sleep(SETTLE_SECONDS)
            cpu[side.server.name].append(side.server.cpu_seconds() - before)
            return seconds

        plain, product, ratio = await _alternate(rounds, sides, one_round)
        rows.append(Row(f"Upload of {pages} pages: time", _seconds(plain), _seconds(product), ratio, target))
        plain, product = (median(cpu[side.server.name]) for side in sides)
        rows.append(Row(f"Upload of {pages} pages: CPU", _seconds(plain), _seconds(product), plain / product))
    return rows


async def _upload(side: Side, data: bytes, pages: int) -> float:
    async with side.connections(1) as (connection,):
        request = fresh(side.upload(data))
        began = time.perf_counter()
        answer = json.loads(await connection.ask(request))
        seconds = time.perf_counter() - began
    found = (answer["page_count"], answer["tables_found"])
    assert found == (pages, pages // pdfs.PAGES_PER_TABLE), (side.server.name, found)
    return seconds


# Latency


Load = Callable[[Side], tuple[int, bytes]]  # the number of busy connections, and their request


class Percentiles(NamedTuple):
    p50: float  # seconds
    p99: float


async def measure_latency(sides: Sides, effort: Effort) -> list[Row]:
    data = pdfs.make_report(10)

    def no_load(side: Side) -> tuple[int, bytes]:
        return 0, b""

    def uploads(side: Side) -> tuple[int, bytes]:
        return UPLOADERS, side.upload(data)

    def logins(side: Side) -> tuple[int, bytes]:
        return LOGINS_AT_ONCE, side.login()

    latencies: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    loads: dict[str, Load] = {"idle": no_load, "uploads": uploads, "logins": logins}
    for _ in range(effort.latency_rounds):
        for (name, load), side in itertools.product(loads.items(), sides):
            latencies[side.server.name, name] += await _measure_me_under(side, load(side), effort.latency_seconds)
    found = {key: _percentiles(seconds) for key, seconds in latencies.items()}

    rows: list[Row] = []
    for name, title in (("idle", "idle"), ("uploads", "during uploads"), ("logins", "during a login storm")):
        plain, product = (found[side.server.name, name] for side in sides)
        rows.append(
            Row(
                f"GET /me, {title}: p50 / p99",
                f"{_milliseconds(plain.p50)} / {_milliseconds(plain.p99)}",
                f"{_milliseconds(product.p50)} / {_milliseconds(product.p99)}",
                plain.p99 / product.p99,
            )
        )
        if name != "idle":
            plain_times, product_times = (
                found[side.server.name, name].p99 / found[side.server.name, "idle"].p99 for side in sides
            )
            rows.append(
                Row(
                    "    p99, relative to idle",
                    f"{plain_times:.2f}x",
                    f"{product_times:.2f}x",
                    target=Target("<=", 3, "x"),
                    judged=product_times,
                )
            )
    return rows


async def _measure_me_under(side: Side, load: tuple[int, bytes], seconds: float) -> list[float]:
    count, request = load
    stop = asyncio.Event()
    async with side.connections(PROBES) as probes, side.connections(count) as others:
        await asyncio.gather(*(connection.ask(side.get_me()) for connection in probes))
        background = asyncio.create_task(keep_asking(others, request, stop))
        await asyncio.sleep(SETTLE_SECONDS)
        latencies = await probe(probes, side.get_me(), per_second=PROBES_PER_SECOND, seconds=seconds, stop=stop)
        await background
    return latencies


def _percentiles(latencies: Sequence[float]) -> Percentiles:
    hundredths = quantiles(latencies, n=100, method="inclusive")
    return Percentiles(hundredths[49], hundredths[98])


# Memory


async def measure_memory(sides: Sides, effort: Effort) -> list[Row]:
    """Peak memory of the server process, less what it held just before the upload."""
    data = pdfs.pad(pdfs.make_report(3), LARGE_UPLOAD_BYTES - len(FRESH_MARK) - 1)

    async def one_round(side: Side) -> float:
        await _upload(side, pdfs.make_report(3), 3)
        side.server.forget_peak()
        before = side.server.resident_bytes()
        await _upload(side, data, 3)
        return max(side.server.peak_resident_bytes() - before, 1)

    plain, product, ratio = await _alternate(effort.memory_rounds, sides, one_round)
    return [
        Row(
            "Upload of 50 MB: memory added",
            f"{plain / MB:.0f} MB",
            f"{product / MB:.0f} MB",
            ratio,
            Target("<", 64, " MB"),
            judged=product / MB,
        )
    ]


# Chat


async def measure_chat(sides: Sides, effort: Effort) -> list[Row]:
    rows: list[Row] = []
    for side in sides:
        chat.make_users(side.server, max(users for users, _, _ in CROWDS))
    for users, cpu_target, rate_target in CROWDS:
        rounds = [
            [
                await chat.measure_full_rate([side.server], users=users, seconds=effort.chat_seconds / 2)
                for side in sides
            ]
            for _ in range(effort.chat_rounds)
        ]
        plain_cpu, cpu = (median(figures[side].cpu_seconds for figures in rounds) for side in (0, 1))
        plain_rate, rate = (median(figures[side].delivered_per_second for figures in rounds) for side in (0, 1))
        plain_lost, lost = (sum(figures[side].lost for figures in rounds) for side in (0, 1))
        rows += [
            Row(
                f"Chat, {users} users: CPU per message",
                _milliseconds(plain_cpu),
                _milliseconds(cpu),
                median(plain.cpu_seconds / product.cpu_seconds for plain, product in rounds),
                Target(">=", cpu_target, "x"),
            ),
            Row(
                f"Chat, {users} users: messages per second",
                f"{plain_rate:.0f}",
                f"{rate:.0f}",
                median(product.delivered_per_second / plain.delivered_per_second for plain, product in rounds),
                Target(">=", rate_target, "x"),
            ),
            Row(f"Chat, {users} users: lost", str(plain_lost), str(lost), None, Target("<=", 0, ""), lost),
        ]
    steady = await chat.measure_steady_rate(
        [sides[1].server], users=STEADY_USERS, per_second=STEADY_RATE, seconds=effort.chat_seconds
    )
    name = f"Chat, {STEADY_RATE:.0f} messages per second over {STEADY_USERS} sockets: p99"
    p99 = steady.p99_seconds * 1000
    return [*rows, Row(name, "", _milliseconds(steady.p99_seconds), None, Target("<=", 10, " ms"), p99)]


# Extracting PDFs


async def measure_workers(_sides: Sides, effort: Effort) -> list[Row]:
    """Extract reports of 10 pages with the engine alone: one worker and two, in turn."""
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as folder:
        path = Path(folder, "report.pdf")
        await asyncio.to_thread(path.write_bytes, pdfs.make_report(10))
        engines = [
            PdfEngine(workers=count, deadline_seconds=60, cpu_seconds=60, memory_bytes=1536 * MB, max_pages=1000)
            for count in (1, 2)
        ]

        async def one_round(engine: PdfEngine) -> float:
            began = time.perf_counter()
            await asyncio.gather(*(engine.extract(PdfFile(path)) for _ in range(FILES_AT_ONCE)))
            return time.perf_counter() - began

        for engine in engines:
            await one_round(engine)  # starts them
        pairs = [(await one_round(engines[0]), await one_round(engines[1])) for _ in range(2 * effort.upload_rounds)]
        for engine in engines:
            await asyncio.to_thread(engine.close)
    one, two = (median(seconds) for seconds in zip(*pairs, strict=True))
    ratio = median(alone / together for alone, together in pairs)
    name = f"{FILES_AT_ONCE} reports of 10 pages: one worker, two workers"
    return [Row(name, _seconds(one), _seconds(two), ratio, Target(">=", 1.8, "x"))]


def _times_row(idle: Percentiles, busy: Percentiles) -> Row:
    times = busy.p99 / idle.p99
    return Row("    p99, relative to idle", "", f"{times:.2f}x", target=Target("<=", 3, "x"), judged=times)


async def measure_books(sides: Sides, effort: Effort) -> list[Row]:
    """GET /me of Pagewire while four books are extracted at once; the plain server would take minutes."""
    _, side = sides
    upload = side.upload(pdfs.make_report(PAGES_PER_BOOK))
    idle, busy = [
        _percentiles(await _measure_me_under(side, (count, upload), effort.latency_seconds * effort.latency_rounds / 2))
        for count in (0, BOOKS_AT_ONCE)
    ]
    return [
        Row(
            f"GET /me, during {BOOKS_AT_ONCE} uploads of {PAGES_PER_BOOK} pages: p50 / p99",
            "",
            f"{_milliseconds(busy.p50)} / {_milliseconds(busy.p99)}",
        ),
        _times_row(idle, busy),
    ]


async def measure_repeats(sides: Sides, effort: Effort) -> list[Row]:
    """Pagewire answers the same search of the same file again; the first time, the file is new."""
    _, side = sides
    times: list[tuple[float, float]] = []
    async with side.connections(1) as (connection,):
        for number in range(effort.upload_rounds):
            request = post_pdf("/search-pdf?search_term=report", pdfs.make_report(100 + number), side.tokens["alice"])
            seconds: list[float] = []
            for _ in range(6):
                began = time.perf_counter()
                await connection.ask(request)
                seconds.append(time.perf_counter() - began)
            times.append((seconds[0], median(seconds[1:])))
    first, again = (median(seconds) for seconds in zip(*times, strict=True))
    ratio = median(before / after for before, after in times)
    name = "/search-pdf of 100 pages: first time, again"
    return [Row(name, _milliseconds(first), _milliseconds(again), ratio, Target(">=", 50, "x"))]


# Chat across processes, and as a load


async def measure_processes(sides: Sides, effort: Effort) -> list[Row]:
    """The same pairs write to each other within one process, then across two."""
    product = sides[1].server
    chat.make_users(product, TALKERS_ACROSS)

    async def one_round(servers: Sequence[Server]) -> float:
        figures = await chat.measure_full_rate(servers, users=TALKERS_ACROSS, seconds=effort.chat_seconds / 2)
        assert figures.lost == 0, figures
        return 1 / figures.cpu_seconds

    with another_process(product) as another:
        pairs = [
            (await one_round([product, product]), await one_round([product, another]))
            for _ in range(effort.chat_rounds)
        ]
    one, two, share = (median(values) for values in zip(*((a, b, b / a) for a, b in pairs), strict=True))
    return [
        Row(f"Chat, {TALKERS_ACROSS} users, one process: messages per CPU second", "", f"{one:.0f}"),
        Row(f"Chat, {TALKERS_ACROSS} users, across two: messages per CPU second", "", f"{two:.0f}"),
        Row("    relative to one process", "", f"{share:.2f}x", target=Target(">=", 0.85, "x"), judged=share),
    ]


async def measure_crowded(sides: Sides, effort: Effort) -> list[Row]:
    """GET /me while users write at full rate, from a process of lower priority than the servers and the probes."""
    product = sides[1]
    chat.make_users(product.server, TALKERS)
    loop = asyncio.get_running_loop()
    latencies: dict[str, list[float]] = {"idle": [], "crowded": []}
    rates: list[float] = []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        await loop.run_in_executor(apart, os.nice, LOAD_NICE)
        for _ in range(effort.chat_rounds):
            latencies["idle"] += await _measure_me_under(product, (0, b""), effort.latency_seconds)
            talk = loop.run_in_executor(apart, _talk_apart, product.server, 2 * effort.latency_seconds)
            await asyncio.sleep(effort.latency_seconds / 2)  # until everyone is connected
            latencies["crowded"] += await _measure_me_under(product, (0, b""), effort.latency_seconds)
            rates.append(await talk)
    idle, crowded = (_percentiles(seconds) for seconds in latencies.values())
    return [
        Row("GET /me, idle: p50 / p99", "", f"{_milliseconds(idle.p50)} / {_milliseconds(idle.p99)}"),
        Row(
            f"GET /me, during chat of {TALKERS} users at {median(rates):.0f} a second: p50 / p99",
            "",
            f"{_milliseconds(crowded.p50)} / {_milliseconds(crowded.p99)}",
        ),
        _times_row(idle, crowded),
    ]


def _talk_apart(server: Server, seconds: float) -> float:
    """Return the messages delivered per second."""

    async def run() -> float:
        async with chat.open_crowd([server], TALKERS) as crowd:
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(seconds, stop.set)
            await chat.keep_talking(crowd, stop)
            return len(crowd.latencies) / seconds

    return uvloop.run(run())


# A growing table


async def measure_growth(sides: Sides, effort: Effort) -> list[Row]:
    """The last page of a conversation, by messages.queries.list_conversation, in a small table and a large one."""
    async with (
        growth.open_table(sides[1].server, SMALL_TABLE) as small,
        growth.open_table(sides[1].server, LARGE_TABLE) as large,
    ):
        for table in (small, large):
            await table.ask(CONVERSATION_LIMIT)
        pairs = [
            (await small.ask(CONVERSATION_LIMIT), await large.ask(CONVERSATION_LIMIT))
            for _ in range(effort.growth_rounds)
        ]
    few, many, times = (median(values) for values in zip(*((a, b, b / a) for a, b in pairs), strict=True))
    return [
        Row(f"Last {CONVERSATION_LIMIT} of a conversation, {SMALL_TABLE:,} messages in all", "", _milliseconds(few)),
        Row(f"Last {CONVERSATION_LIMIT} of a conversation, {LARGE_TABLE:,} messages in all", "", _milliseconds(many)),
        Row("    relative to the small table", "", f"{times:.2f}x", target=Target("<=", 1.3, "x"), judged=times),
    ]


async def measure_library(sides: Sides, effort: Effort) -> list[Row]:
    """The first page of a library by documents.list_queries, of people with few documents and with many."""
    rows: list[Row] = []
    async with growth.open_shelves(sides[1].server, MANY_DOCUMENTS) as shelves:
        for sort in get_args(Sort):
            await shelves.ask(many=True, sort=sort)
            pairs = [
                (await shelves.ask(many=False, sort=sort), await shelves.ask(many=True, sort=sort))
                for _ in range(effort.growth_rounds)
            ]
            few, many, times = (median(values) for values in zip(*((a, b, b / a) for a, b in pairs), strict=True))
            name = f"{growth.FEW_DOCUMENTS} documents by {sort}"
            rows += [
                Row(f"{name}, of {growth.FEW_DOCUMENTS}", "", _milliseconds(few)),
                Row(f"{name}, of {MANY_DOCUMENTS:,}", "", _milliseconds(many)),
                Row("    relative to few", "", f"{times:.2f}x", target=Target("<=", 2, "x"), judged=times),
            ]
    return rows


MEASUREMENTS: dict[str, Callable[[Sides, Effort], Awaitable[list[Row]]]] = {
    "me": measure_me,
    "post": measure_post,
    "conversation": measure_conversation,
    "chat": measure_chat,
    "uploads": measure_uploads,
    "latency": measure_latency,
    "memory": measure_memory,
    "workers": measure_workers,
    "books": measure_books,
    "repeats": measure_repeats,
    "processes": measure_processes,
    "crowded": measure_crowded,
    "growth": measure_growth,
    "library": measure_library,
}


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{2 if seconds < 0.1 else 0}f} ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"
