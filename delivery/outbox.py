"""The outbox of e-mails: stored first, sent after the answer, retried, never lost by a restart."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from prometheus_client import Counter

from db import Connection, Database
from delivery import queries
from delivery.queries import NotificationRow
from delivery.smtp import Mail, MailDelayedError, Mailer, MailRefusedError
from edge.background import cancel, repeat
from errors import BusyError, DatabaseUnavailableError, PagewireError

LOOK_EVERY_SECONDS = 30.0  # for e-mails that a dead node left behind
CLOSE_SECONDS = 2.0  # for the e-mail under way when the server stops
MAX_ATTEMPTS = 80  # about three days
LONGEST_WAIT_SECONDS = 3600.0
RECONNECT_SECONDS = 0.5

FORGET_EVERY_SECONDS = 3600.0
KEPT_DAYS = 30  # notifications that were sent, or given up

logger = logging.getLogger("pagewire.outbox")

MAILS = Counter("pagewire_mails", "E-mails that were tried: sent, delayed, failed, not_sent.", ("outcome",))

Record = Callable[..., Awaitable[None]]


class Outbox:
    """Sends queued e-mails one after the other; what a dead node left behind, any other node takes over."""

    def __init__(self, database: Database, mailer: Mailer, *, node_id: int, retry_seconds: float) -> None:
        """*retry_seconds* is the first wait after a failure; it doubles each time."""
        self._database = database
        self._mailer = mailer
        self._node_id = node_id
        self._retry_seconds = retry_seconds
        self._is_due = asyncio.Event()
        self._turn = asyncio.Lock()  # one e-mail after the other
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._forgetting = asyncio.create_task(
            repeat(self._forget, every_seconds=FORGET_EVERY_SECONDS, logger=logger, name="deleting old notifications")
        )

    async def _forget(self) -> None:
        await queries.forget_notifications(self._database, days=KEPT_DAYS)

    async def close(self) -> None:
        """Give the e-mail under way a moment; the others are sent after the next start."""
        self._closing = True
        self._is_due.set()
        await cancel(self._forgetting)
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def queue(self, *, sender_id: int | None, email: str, message: str) -> None:
        """Store an e-mail; it is sent soon. Without a sender it is Pagewire's own: once sent, its text goes."""
        await queries.insert_notification(self._database, sender_id=sender_id, email=email, message=message)
        self.look()

    async def queue_within(self, tx: Connection, *, email: str, message: str) -> None:
        """Store an e-mail of Pagewire's own in a transaction of the caller's, who calls `look` after the commit."""
        await queries.insert_notification(tx, sender_id=None, email=email, message=message)

    def look(self) -> None:
        """Send what was stored."""
        self._is_due.set()

    async def send(self, notification_id: int) -> None:
        """Send one e-mail, unless it was sent, is not due, or another living node sends it."""
        async with self._turn:
            await self._send_next(notification_id)

    async def _send_next(self, notification_id: int | None = None) -> bool:
        """Send what is due, or that one; False if there was nothing."""
        notification = await queries.claim_notification(
            self._database, node_id=self._node_id, notification_id=notification_id
        )
        if notification is None:
            return False
        await self._send(notification)
        return True

    async def _run(self) -> None:
        while not self._closing:
            self._is_due.clear()
            due_in: float | None = RECONNECT_SECONDS
            try:
                async with self._turn:
                    if await self._send_next():
                        continue
                due_in = await queries.seconds_to_next_notification(self._database, node_id=self._node_id)
            except PagewireError as error:
                logger.info("outbox: %s", error)
            except Exception:
                logger.exception("outbox")
                due_in = LOOK_EVERY_SECONDS
            wait = LOOK_EVERY_SECONDS if due_in is None else min(max(due_in, 0.05), LOOK_EVERY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._is_due.wait()

    async def _send(self, notification: NotificationRow) -> None:
        record = await self._attempt(notification)
        while True:  # an e-mail that was sent must not be sent again because the database was away
            try:
                await record(self._database, notification_id=notification.id)
                return
            except (DatabaseUnavailableError, BusyError) as error:
                logger.info("outbox: %s", error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _attempt(self, notification: NotificationRow) -> Record:
        """Try once; return what records the outcome."""
        if not self._mailer.is_configured:
            logger.warning("notification %d to %s not sent: SMTP_HOST is not set", notification.id, notification.email)
            return _finished("not_sent")
        mail = Mail(
            message_id=f"<notification-{notification.id}@{self._mailer.domain}>",
            to=notification.email,
            subject=f"A message from {notification.sender_name or 'Pagewire'}",
            text=_introduce(notification) + notification.message,
            reply_to=notification.sender_email if notification.is_sender_verified else None,
        )
        try:
            await self._mailer.send(mail)
        except MailRefusedError as error:
            logger.error("notification %d refused: %s", notification.id, error)
            return _finished("failed", last_error=str(error))
        except MailDelayedError as error:
            return self._postpone(notification, str(error))
        except Exception as error:
            logger.exception("notification %d", notification.id)
            return self._postpone(notification, f"{type(error).__name__}: {error}")
        return _finished("sent")

    def _postpone(self, notification: NotificationRow, reason: str) -> Record:
        if notification.attempts >= MAX_ATTEMPTS:
            logger.error("giving up notification %d: %s", notification.id, reason)
            return _finished("failed", last_error=reason)
        wait = min(self._retry_seconds * 2 ** (notification.attempts - 1), LONGEST_WAIT_SECONDS)
        logger.warning("notification %d delayed by %.0f s: %s", notification.id, wait, reason)
        MAILS.labels("delayed").inc()
        return partial(queries.postpone_notification, seconds=wait, last_error=reason)


def _introduce(notification: NotificationRow) -> str:
    """Who wrote it: nothing in an e-mail of a user's may pass for Pagewire's own."""
    if notification.sender_name is None:
        return ""
    name = " ".join(notification.sender_name.split())
    if notification.is_sender_verified:
        return f"{name} <{notification.sender_email}> wrote to you in Pagewire:\n\n"
    return f"{name}, with the unconfirmed address {notification.sender_email}, wrote to you in Pagewire:\n\n"


def _finished(status: str, *, last_error: str | None = None) -> Record:
    MAILS.labels(status).inc()
    return partial(queries.finish_notification, status=status, last_error=last_error)
