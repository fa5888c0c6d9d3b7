"""Many idle sockets: what one costs a server process in memory.

`python -m bench sockets`: 10,000 people open a socket each, and nobody writes; classic ones, then those of the web
client, which resume. The memory of the server process (PSS: its own pages, and its share of those that processes share)
before and after. It does not depend on how busy the machine is.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.chat import FIRST_USER, ChatSocket, Crowd, find_issuer, make_token, make_users
from bench.servers import Server, running_nodes, running_postgres
from bench.table import Row, Target, format_table
from edge.connections import raise_descriptor_limit

SOCKETS = 10_000
FIRST = 300  # opened before, and left open: what a process needs once is not counted
AT_ONCE = 20
PER_NETWORK = 1000  # of the client's addresses
SETTLE_SECONDS = 5.0
SMALL = Target("<=", 30, " KiB")


class TabSocket(ChatSocket):
    """A socket as the web client opens it."""

    def sign_in(self, token: str) -> tuple[str, str]:
        return "/ws", f"Sec-WebSocket-Protocol: pagewire.v2, bearer.{token}"


class Silence(Crowd):
    """Nobody writes: what comes is a greeting."""

    def received(self, frame: dict[str, str | int]) -> None:
        pass


def main() -> str:
    if raise_descriptor_limit() < SOCKETS + FIRST + 1000:
        raise SystemExit("raise the limit of open files: ulimit -n 20000")
    rows = [_measure(kind, name) for kind, name in ((ChatSocket, "classic"), (TabSocket, "of the web client"))]
    return "\n".join([*format_table(rows), ""])


def _measure(kind: type[ChatSocket], name: str) -> Row:
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as folder:
        Path(folder).chmod(0o711)
        with running_postgres(Path(folder)) as postgres:
            url = postgres.create_database("sockets")
            with running_nodes(Path(folder), postgres, url, 1) as (server,):
                make_users(server, SOCKETS + FIRST)
                before, after = uvloop.run(_open_all(server, kind))
    each = (after - before) / SOCKETS
    figures = f"{each:.1f} KiB ({before / 1024:.0f} to {after / 1024:.0f} MiB)"
    return Row(f"An idle socket, {name}, of {SOCKETS:,}", "", figures, None, SMALL, each)


async def _open_all(server: Server, kind: type[ChatSocket]) -> tuple[float, float]:
    """The memory of *server* in KiB, before and after."""
    user_ids = range(FIRST_USER, FIRST_USER + FIRST + SOCKETS)
    crowd = Silence([user_ids])
    issuer = find_issuer(server)

    async def open_one(user_id: int) -> None:
        def make() -> ChatSocket:
            return kind(user_id, crowd, make_token(user_id, issuer=issuer))

        near = (f"127.0.1.{1 + (user_id - FIRST_USER) // PER_NETWORK}", 0)
        _, socket = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", server.port, local_addr=near)
        await socket.opened
        if kind is TabSocket:
            socket.write(1, json.dumps({"type": "resume", "last_seq": 0}).encode())
        crowd.sockets[user_id] = socket

    async def open_these(user_ids: Sequence[int]) -> float:
        for start in range(0, len(user_ids), AT_ONCE):
            await asyncio.gather(*map(open_one, user_ids[start : start + AT_ONCE]))
        await asyncio.sleep(SETTLE_SECONDS)
        return proportional_kib(server)

    before = await open_these(user_ids[:FIRST])
    after = await open_these(user_ids[FIRST:])
    for socket in crowd.sockets.values():
        socket.close()
    return before, after


def proportional_kib(server: Server) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{server.pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return float(found[1])
