"""The Celery worker: `celery -A worker worker` extracts documents and sends e-mails for servers with the same settings.

It works in one process with a loop of its own, a node like any server: tasks wait for it in threads. `-Q extraction` or
`-Q mail` takes one queue.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from celery import Celery
from celery.platforms import EX_FAILURE
from celery.signals import celeryd_after_setup, setup_logging, worker_shutdown, worker_shutting_down

from auth import Gatekeeper
from delivery.feed import Feed
from delivery.outbox import Outbox
from delivery.smtp import Mailer
from delivery.task_queue import EXTRACT, MAIL, make_celery
from documents.passwords import FilePasswords
from documents.quotas import Quotas
from documents.remote_readings import WorkerReadings
from documents.stores import make_storage
from edge.logs import configure_logging
from errors import PagewireError, StartupError
from main import VERSION, make_bus, open_redis
from pdf import PdfEngine
from postgres.location import locate_database
from postgres.opening import opened_database
from postgres.queries import get_installation_mark
from settings import Settings, get_settings

START_SECONDS = 120.0
RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0
MORE_THAN_PROCESSES = 2  # tasks at once, besides one for each PDF process: one may copy, one may send

logger = logging.getLogger("pagewire.worker")


class Work(NamedTuple):
    readings: WorkerReadings
    outbox: Outbox


@asynccontextmanager
async def open_work(settings: Settings, queues: frozenset[str]) -> AsyncIterator[Work]:
    """Open what the tasks of these *queues* need, in order, and close it in reverse.

    Raises:
        StartupError: if something cannot be opened.
    """
    async with AsyncExitStack() as stack:
        location = locate_database(settings)
        database = await stack.enter_async_context(opened_database(location, size=settings.db_pool_size))
        mark = await get_installation_mark(database)
        redis = await stack.enter_async_context(open_redis(settings, database))
        storage = make_storage(settings.storage, settings, mark=mark)
        await asyncio.to_thread(storage.open)
        stack.callback(storage.close)
        engine = PdfEngine.from_settings(settings)
        stack.push_async_callback(asyncio.to_thread, engine.close)
        bus = make_bus(database, redis)
        feed = Feed(database, bus)
        gatekeeper = Gatekeeper(settings, mark=mark)
        stack.callback(gatekeeper.close)
        passwords = FilePasswords.of_installation(gatekeeper)
        readings = WorkerReadings(database, engine, storage, feed, Quotas(settings), passwords)
        outbox = Outbox(database, Mailer(settings), node_id=bus.node_id, retry_seconds=settings.smtp_retry_seconds)
        bus.on_settled(outbox.look)
        await bus.start()
        stack.push_async_callback(bus.close)
        if EXTRACT.queue in queues:
            engine.start()
            stack.push_async_callback(readings.close)
            await readings.start()
        if MAIL.queue in queues:
            stack.push_async_callback(outbox.close)
            outbox.start()
        logger.info("Pagewire %s works for %s; database: %s", VERSION, ", ".join(sorted(queues)), location.description)
        yield Work(readings, outbox)


class Worker:
    """The loop, in a thread of its own, and what is open in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._work: Work | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_open = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, queues: frozenset[str]) -> None:
        """Raises: StartupError"""
        self._thread = threading.Thread(target=self._run, args=(queues,), name="work", daemon=True)
        self._thread.start()
        if not self._is_open.wait(START_SECONDS) or self._failure is not None:
            raise self._failure or StartupError("the worker did not start in time")

    def stop(self) -> None:
        if (
            self._work is not None
            and self._loop is not None
            and self._stopping is not None
            and self._thread is not None
        ):
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_SECONDS)

    def do(self, work: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        """Do it in the loop, and wait until it is done."""
        assert self._work is not None
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work(self._work), self._loop).result()

    def _run(self, queues: frozenset[str]) -> None:
        try:
            asyncio.run(self._stay_open(queues))
        except BaseException as error:
            self._failure = error
            self._is_open.set()

    async def _stay_open(self, queues: frozenset[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with open_work(self._settings, queues) as self._work:
            self._is_open.set()
            await self._stopping.wait()


def _make_app() -> Celery:
    # Celery has the folder in the path for this import alone; PDF processes look for their modules there.
    sys.path.append(str(Path(__file__).resolve().parent))
    settings = get_settings()
    if settings.celery_broker_url is None:
        raise StartupError("CELERY_BROKER_URL: name the broker, as for the servers")
    app = make_celery(settings.celery_broker_url.get_secret_value())
    app.conf.worker_concurrency = settings.pdf_workers + MORE_THAN_PROCESSES
    worker = Worker(settings)

    @app.task(name=EXTRACT.name)
    def extract(document_id: int) -> None:
        worker.do(lambda work: work.readings.extract_and_tell(document_id))

    @app.task(name=MAIL.name)
    def send_mail(notification_id: int) -> None:
        worker.do(lambda work: work.outbox.send(notification_id))

    @setup_logging.connect(weak=False)
    def log(**_: object) -> None:
        configure_logging(settings)

    @celeryd_after_setup.connect(weak=False)
    def start(instance: Any, **_: object) -> None:
        if instance.pool_cls.__module__.rpartition(".")[2] not in ("thread", "solo"):
            raise _fail(StartupError("--pool: the tasks run in threads of one process; leave the option out"))
        try:
            worker.start(frozenset(app.amqp.queues.consume_from))
        except PagewireError as error:
            raise _fail(error) from None
        except Exception as error:  # Celery would log it, and go on with a worker that does nothing
            raise _fail(StartupError(f"the worker cannot start: {error or type(error).__name__}")) from None

    @worker_shutting_down.connect(weak=False)
    def end_in_time(**_: object) -> None:
        ending = threading.Timer(STOP_SECONDS, _end, [worker])
        ending.daemon = True
        ending.start()

    @worker_shutdown.connect(weak=False)
    def stop(sender: Any, **_: object) -> None:
        worker.stop()
        # kombu (5.7) asks a connection that it has just closed for its address: an AttributeError, which Celery takes
        # for a fault of its own, not for the loss of a broker.
        if sender.exitcode == EX_FAILURE:
            logger.warning("Celery has given up; restarting the worker")
            time.sleep(RESTART_SECONDS)
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606

    return app


def _end(worker: Worker) -> None:
    """End the process although Celery does not: it waits without a limit for a broker that hangs."""
    logger.warning("Celery does not stop; ending the worker")
    worker.stop()
    os._exit(0)


def _fail(error: PagewireError) -> SystemExit:
    print(error.detail, file=sys.stderr)  # noqa: T201
    return SystemExit(3)


try:
    app = _make_app()
except StartupError as problem:
    raise _fail(problem) from None
