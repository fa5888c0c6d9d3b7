"""The tasks of Celery workers: their names and queues, and how they are published."""

import logging
import queue
import threading
import time
from asyncio import Future, get_running_loop, wrap_future
from concurrent.futures import Future as ThreadFuture
from typing import NamedTuple

from celery import Celery
from kombu import Queue  # type: ignore[attr-defined]

PATIENCE_SECONDS = 1  # with the broker
RETRY_SECONDS = 1.0
MAX_UNPUBLISHED = 100_000  # tasks; more are found in the database by the workers
VISIBILITY_SECONDS = 3600  # until Redis gives what a dead worker had to another one; the database does so in seconds

logger = logging.getLogger("pagewire.tasks")


class Kind(NamedTuple):
    """A kind of task, and the queue of its own; the name is that in Celery."""

    name: str
    queue: str


EXTRACT = Kind("pagewire.extract", "extraction")  # a document, by its id
MAIL = Kind("pagewire.mail", "mail")  # a notification, by its id


def make_celery(url: str) -> Celery:
    """The app that publishes and that workers run. Tasks carry an id; the row with that id is the record."""
    app = Celery("pagewire", broker=url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_routes={kind.name: {"queue": kind.queue} for kind in (EXTRACT, MAIL)},
        task_default_queue=EXTRACT.queue,
        task_queues=[Queue(kind.queue) for kind in (EXTRACT, MAIL)],  # type: ignore[no-untyped-call]
        worker_prefetch_multiplier=1,
        worker_pool="threads",  # each task waits for the engines of the one process
        worker_hijack_root_logger=False,
        broker_connection_timeout=PATIENCE_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
    )
    return app


class TaskQueue:
    """Publishes tasks from a thread of its own, so that a broker that is down blocks no request.

    What it did not take is published when it is back; workers also find it in the database.
    """

    def __init__(self, url: str) -> None:
        self._celery = make_celery(url)
        self._celery.conf.broker_transport_options |= {
            "socket_timeout": PATIENCE_SECONDS,
            "socket_connect_timeout": PATIENCE_SECONDS,
            "max_retries": 0,
        }
        self._waiting: queue.SimpleQueue[tuple[Kind, int, ThreadFuture[bool]] | None] = queue.SimpleQueue()
        self._unpublished: dict[tuple[Kind, int], None] = {}
        self._retry_at = 0.0  # of time.monotonic; 0: the broker answers
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(2 * PATIENCE_SECONDS)

    def publish(self, kind: Kind, ref_id: int) -> "Future[bool]":
        """Have a worker do it. The future says whether the broker took it; if not, it is published again later."""
        taken: ThreadFuture[bool] = ThreadFuture()
        self._waiting.put((kind, ref_id, taken))
        return wrap_future(taken, loop=get_running_loop())

    def _run(self) -> None:
        while True:
            try:
                asked = self._waiting.get(timeout=RETRY_SECONDS if self._unpublished else None)
            except queue.Empty:
                self._publish_all()
                continue
            if asked is None:
                return
            kind, ref_id, taken = asked
            if len(self._unpublished) < MAX_UNPUBLISHED:
                self._unpublished[kind, ref_id] = None
            if time.monotonic() >= self._retry_at:
                self._publish_all()
            if taken.set_running_or_notify_cancel():
                taken.set_result(not self._unpublished)

    def _publish_all(self) -> None:
        while self._unpublished:
            kind, ref_id = next(iter(self._unpublished))
            try:
                self._celery.send_task(kind.name, args=[ref_id], queue=kind.queue, retry=False)
            except Exception as error:
                if not self._retry_at:
                    logger.warning("the broker is away; tasks are published when it is back: %s", error)
                self._retry_at = time.monotonic() + RETRY_SECONDS
                return
            del self._unpublished[kind, ref_id]
            if self._retry_at:
                self._retry_at = 0.0
                logger.info("the broker is back")
