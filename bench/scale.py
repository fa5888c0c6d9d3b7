"""Chat in 1 to 16 server processes on one PostgreSQL: what a message costs as processes are added.

`python -m bench scale`: each process has 125 users, who send 25 messages a second to users of other processes; by
PostgreSQL's NOTIFY, and by Redis. Each arrangement has servers and a database of its own. At full rate few cores would
give each of many processes a small part of the messages: what grows then is the cost of small batches.
"""

from functools import partial

import uvloop

from bench import chat
from bench.nodes import running_parts
from bench.table import Row, Target, format_table

COUNTS = (1, 2, 4, 8, 16)
USERS = 125  # of each process
PER_SECOND = 25.0  # of each process
SECONDS = 10.0
FLAT = Target("<=", 1.2, "x")
POOL = {"DB_POOL_SIZE": "3", "PDF_WORKERS": "1"}  # 16 of these have 64 connections


def main() -> str:
    rows: list[Row] = []
    with running_parts() as parts:
        for by_redis in (False, True):
            alone = None
            for count in COUNTS:
                users, per_second = USERS * count, PER_SECOND * count
                work = partial(chat.measure_steady_rate, users=users, per_second=per_second, seconds=SECONDS)
                name = f"scale_{count}_{'redis' if by_redis else 'notify'}"
                with parts.running(name, count, users, **POOL, **parts.line(by_redis=by_redis)) as arrangement:
                    everything, database = uvloop.run(arrangement.measure(work))
                alone = alone or everything
                rows.append(_row(count, by_redis, everything, database, everything / alone))
                print(*rows[-1][:3], flush=True)
    return "\n".join([*format_table(rows), ""])


def _row(count: int, by_redis: bool, everything: float, database: float, growth: float) -> Row:
    line = "Redis" if by_redis else "NOTIFY"
    name = f"{count} process{'es' * (count > 1)}, {line}: a message (PostgreSQL), relative to one"
    figures = f"{everything * 1e3:.2f} ms ({database * 1e3:.2f}), {growth:.2f}x"
    return Row(name, "", figures, None, FLAT if count > 1 else None, growth)
