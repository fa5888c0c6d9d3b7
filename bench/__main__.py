"""Measure Pagewire against the plain server; print one table, and save it in bench/results.

`folder PATH…` compares extraction alone, over all PDFs in the given folders; it needs no servers.
`client` measures the web client in Chromium, `nodes` chat across several processes by NOTIFY and by Redis,
`scale` across 1 to 16, `sockets` the memory of 10,000 idle ones, `celery` extraction by Celery workers.
"""

import argparse
import asyncio
import gc
import os
import tempfile
import time
from pathlib import Path

import uvloop

from bench import celery_workers, client, folder, nodes, scale, sockets
from bench.measure import LONG, MEASUREMENTS, QUICK, Effort, prepare
from bench.servers import HOUSE, Server, running_servers
from bench.table import Row, format_table

RESULTS = HOUSE / "bench" / "results"
ALONE = {
    "celery": celery_workers.main,
    "client": client.main,
    "nodes": nodes.main,
    "scale": scale.main,
    "sockets": sockets.main,
}  # these start what they measure


async def measure(servers: tuple[Server, Server], names: list[str], effort: Effort) -> list[Row]:
    sides = await asyncio.gather(*map(prepare, servers))
    rows: dict[str, list[Row]] = {}
    for name in sorted(names, key=lambda name: name != "memory"):  # first, before free memory accumulates
        print(f"measuring {name} …", flush=True)
        rows[name] = await MEASUREMENTS[name](sides, effort)
    return [row for name in names for row in rows[name]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = list(MEASUREMENTS)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(names)}; default: all")
    parser.add_argument("--long", action="store_true", help="many rounds, about ten minutes")
    arguments = parser.parse_args()
    if arguments.names[:1] == ["folder"]:
        report(time.monotonic(), folder.main(arguments.names[1:]))
        return
    if len(arguments.names) == 1 and arguments.names[0] in ALONE:
        began = time.monotonic()
        report(began, ALONE[arguments.names[0]]())
        return
    if unknown := set(arguments.names) - set(MEASUREMENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pagewire-bench-") as name:
        place = Path(name)
        place.chmod(0o711)  # under root, PostgreSQL runs as another user, who must be able to pass
        with running_servers(place) as servers:
            gc.disable()  # a pause here would look like a slow server
            rows = uvloop.run(measure(servers, arguments.names or names, LONG if arguments.long else QUICK))
    report(began, "\n".join([*format_table(rows), ""]))


def report(began: float, figures: str) -> None:
    """Print the figures, and save them."""
    circumstances = (
        f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end"
    )
    text = f"{figures}\n{circumstances}\n"
    print(f"\n{text}", end="")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / time.strftime("%Y-%m-%dT%H%M%SZ.md", time.gmtime())).write_text(text)


main()
