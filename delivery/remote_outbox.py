"""The outbox of a server whose e-mails Celery workers send: it stores and publishes them."""

from db import Connection, Database
from delivery import queries
from delivery.outbox import Outbox
from delivery.smtp import Mailer
from delivery.task_queue import MAIL, TaskQueue


class RemoteOutbox(Outbox):
    """Workers send what is stored here, and look in the database for tasks that they missed."""

    def __init__(
        self, database: Database, mailer: Mailer, tasks: TaskQueue, *, node_id: int, retry_seconds: float
    ) -> None:
        super().__init__(database, mailer, node_id=node_id, retry_seconds=retry_seconds)
        self._tasks = tasks
        self._stored: list[int] = []  # since the last look; some perhaps by a transaction that was rolled back

    def start(self) -> None:
        """There is nothing to do in the background."""

    async def queue(self, *, sender_id: int | None, email: str, message: str) -> None:
        stored = await queries.insert_notification(self._database, sender_id=sender_id, email=email, message=message)
        self._tasks.publish(MAIL, stored)

    async def queue_within(self, tx: Connection, *, email: str, message: str) -> None:
        self._stored.append(await queries.insert_notification(tx, sender_id=None, email=email, message=message))

    def look(self) -> None:
        stored, self._stored = self._stored, []
        for notification_id in stored:
            self._tasks.publish(MAIL, notification_id)
