"""GET /metrics, for Prometheus. Counters stand in the rooms whose work they count; levels are asked for here."""

import asyncio
import functools
import hmac
import inspect
import ipaddress
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import Scope

from edge.answers import operation_id
from edge.background import cancel, repeat
from edge.engines import opened
from edge.limits import client_address
from errors import NotFoundError
from settings import Settings

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own: the processes of one machine add up their figures
MEASURE_EVERY_SECONDS = 5.0  # the levels, for the other processes to show
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the answer

REQUESTS = Histogram(
    "pagewire_request_seconds",
    "HTTP requests, until their answer was sent.",
    ("method", "route", "status"),
    buckets=SECONDS,
)

router = APIRouter(generate_unique_id_function=operation_id)
logger = logging.getLogger("pagewire.metrics")


def count_request(scope: Scope, status: int, seconds: float) -> None:
    """*status* 0: the client hung up before there was one."""
    route = scope.get("route")
    path = getattr(route, "path", None) or (scope.get("root_path") or "none")
    method = scope["method"] if scope["method"] in METHODS else "other"
    _find_request(method, path, status).observe(seconds)


@functools.cache
def _find_request(method: str, path: str, status: int) -> Histogram:
    return REQUESTS.labels(method, path, status)


class Level(NamedTuple):
    """A figure that goes up and down; *measure* returns it, or awaits it."""

    description: str
    measure: Callable[[], float | Awaitable[float]]


class Metrics:
    """The figures of this process, or of all processes of this machine that share a folder."""

    def __init__(self, settings: Settings, levels: Mapping[str, Level]) -> None:
        token = settings.metrics_token
        self._token = None if token is None else f"Bearer {token.get_secret_value()}".encode()
        self._levels = levels
        self._own = CollectorRegistry()  # not the process-wide one: an app may be opened twice
        self._gauges = {
            name: Gauge(name, level.description, registry=self._own, multiprocess_mode="livesum")
            for name, level in levels.items()
        }
        folder = os.environ.get(SHARED_FOLDER)
        self._folder = Path(folder) if folder else None
        self._measuring: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._folder is not None:
            self._forget_dead_processes(self._folder)
            self._measuring = asyncio.create_task(
                repeat(self._measure, every_seconds=MEASURE_EVERY_SECONDS, logger=logger, name="measuring")
            )

    async def close(self) -> None:
        await cancel(self._measuring)
        if self._folder is not None:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def may_read(self, request: Request) -> bool:
        """With the token, or from this machine itself; not through a proxy on it."""
        sent = request.headers.get("authorization", "").encode()
        if self._token is not None and hmac.compare_digest(sent, self._token):
            return True
        if any(name in request.headers for name in FORWARDED):
            return False
        with suppress(ValueError):
            return ipaddress.ip_address(client_address(request)).is_loopback
        return False

    async def write(self) -> bytes:
        """All figures, in Prometheus' text format."""
        await self._measure()
        if self._folder is None:
            return generate_latest(self._own) + generate_latest(REGISTRY)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return await asyncio.to_thread(generate_latest, shared)

    async def _measure(self) -> None:
        for name, level in self._levels.items():
            value = level.measure()
            self._gauges[name].set(await value if inspect.isawaitable(value) else value)

    @staticmethod
    def _forget_dead_processes(folder: Path) -> None:
        for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
            if not Path(f"/proc/{pid}").exists():
                mark_process_dead(pid)  # type: ignore[no-untyped-call]


@router.get("/metrics", include_in_schema=False)
async def read_metrics(request: Request, metrics: Annotated[Metrics, opened(Metrics)]) -> Response:
    """For Prometheus.

    Raises:
        NotFoundError: without the token, from another machine.
    """
    if not metrics.may_read(request):
        raise NotFoundError
    return Response(await metrics.write(), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})
