"""Work that outlives its request: PostgreSQL is the record, and what a crash left unfinished is found again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import db
from db import NotificationRow, PageRow, TableRow
from errors import BusyError, DatabaseUnavailableError, DocumentNotFoundError, PagewireError
from extraction import Extraction
from mail import Mail, MailDelayedError, Mailer, MailRefusedError
from pdf import PdfEngine
from pool import Database
from storage import Storage

RECOVERY_SECONDS = 30.0  # between two looks for work that a dead process left
SAVE_SECONDS = 60.0
MAIL_ATTEMPTS = 80  # about three days
MAIL_LONGEST_WAIT_SECONDS = 3600.0
RECONNECT_SECONDS = 0.5

logger = logging.getLogger("pagewire.jobs")


class Jobs:
    """The jobs of this process. Each is a function of an id and safe to run twice.

    A process holds a lock in the database while it lives (Bus); rows whose *worker_id* has no such lock are taken
    over by any other.
    """

    def __init__(
        self,
        database: Database,
        engine: PdfEngine,
        storage: Storage,
        mailer: Mailer,
        *,
        worker_id: int,
        mail_retry_seconds: float,
    ) -> None:
        self.worker_id = worker_id
        self._database = database
        self._engine = engine
        self._storage = storage
        self._mailer = mailer
        self._mail_retry_seconds = mail_retry_seconds
        self._extractions: dict[int, asyncio.Task[None]] = {}
        self._mail_due = asyncio.Event()
        self._mails: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        await self._sweep()
        self._recovery = asyncio.create_task(self._recover())
        self._mails = asyncio.create_task(self._send_mails())

    async def close(self, *, seconds: float) -> None:
        """Give what is under way *seconds* to end; the rest is found again at the next start."""
        self._closing = True
        self._mail_due.set()
        if self._recovery is not None:
            self._recovery.cancel()
        tasks = {task for task in (self._mails, self._recovery, *self._extractions.values()) if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Documents

    def extract_document(self, document_id: int) -> "asyncio.Task[None]":
        """Read a stored document; the task is done when it is ready.

        A document that cannot be read is removed with its file, and the task raises why (BadPdfError, …).
        """
        task = self._extractions.get(document_id)
        if task is None:
            task = self._extractions[document_id] = asyncio.create_task(self._extract(document_id))
            task.add_done_callback(lambda done: self._extraction_done(document_id, done))
        return task

    def _extraction_done(self, document_id: int, task: "asyncio.Task[None]") -> None:
        del self._extractions[document_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.INFO if isinstance(error, PagewireError) else logging.ERROR
            logger.log(
                level, "document %d was not read: %s", document_id, error, exc_info=error if level > 20 else None
            )

    async def _extract(self, document_id: int) -> None:
        document = await db.find_document(self._database, document_id=document_id)
        if document is None or document.status == "ready":
            return
        path = self._storage.path_of(document.file_path)
        try:
            if not path.exists():
                raise DocumentNotFoundError
            extraction = await self._engine.extract(path, document.password)
        except PagewireError as error:
            if error.status < 500:
                await self.remove_document(document_id)
            raise
        try:
            await self._save(document_id, extraction)
        except PagewireError:
            raise  # the database is away: read again when it is back
        except Exception:
            await self.remove_document(document_id)  # it would be refused for ever
            raise

    async def _save(self, document_id: int, extraction: Extraction) -> None:
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            await db.save_extraction(
                tx,
                document_id=document_id,
                pages=[PageRow(*page) for page in extraction.pages],
                tables=[TableRow(t.page_number, t.table_index, t.data, list(t.bbox)) for t in extraction.tables],
                metadata=extraction.metadata,
                encrypted=extraction.encrypted,
                warnings=extraction.warnings,
            )

    async def remove_document(self, document_id: int) -> bool:
        """Forget a document, then its file: a crash between leaves a file that the next start sweeps away."""
        file_path = await db.delete_document(self._database, document_id=document_id)
        if file_path is None:
            return False
        await self._storage.delete(file_path)
        return True

    # Mail

    def send_mail(self) -> None:
        """Look at the outbox soon."""
        self._mail_due.set()

    async def _send_mails(self) -> None:
        while not self._closing:
            self._mail_due.clear()
            due_in: float | None = RECONNECT_SECONDS
            try:
                notification = await db.claim_notification(self._database, worker_id=self.worker_id)
                if notification is not None:
                    await self._send(notification)
                    continue
                due_in = await db.seconds_to_next_notification(self._database, worker_id=self.worker_id)
            except PagewireError as error:
                logger.info("the outbox of mails: %s", error)
            except Exception:
                logger.exception("the outbox of mails")
                due_in = RECOVERY_SECONDS
            wait = RECOVERY_SECONDS if due_in is None else min(max(due_in, 0.05), RECOVERY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._mail_due.wait()

    async def _send(self, notification: NotificationRow) -> None:
        record = await self._attempt(notification)
        while True:  # a mail that went out must not go out again because the database was away
            try:
                await record(self._database, notification_id=notification.id)
                return
            except (DatabaseUnavailableError, BusyError) as error:
                logger.info("the outbox of mails: %s", error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _attempt(self, notification: NotificationRow) -> Callable[..., Awaitable[None]]:
        """Try once; return what is to be written down of it."""
        if not self._mailer.is_configured:
            logger.warning("notification %d to %s not sent: SMTP_HOST is not set", notification.id, notification.email)
            return partial(db.finish_notification, status="not_sent")
        mail = Mail(
            message_id=f"<notification-{notification.id}@{self._mailer.domain}>",
            to=notification.email,
            subject=f"A message from {notification.sender_name or 'Pagewire'}",
            text=notification.message,
        )
        try:
            await self._mailer.send(mail)
        except MailRefusedError as error:
            logger.error("notification %d refused: %s", notification.id, error)
            return partial(db.finish_notification, status="failed", last_error=str(error))
        except MailDelayedError as error:
            return self._postponed(notification, str(error))
        except Exception as error:
            logger.exception("notification %d", notification.id)
            return self._postponed(notification, f"{type(error).__name__}: {error}")
        return partial(db.finish_notification, status="sent")

    def _postponed(self, notification: NotificationRow, reason: str) -> Callable[..., Awaitable[None]]:
        if notification.attempts >= MAIL_ATTEMPTS:
            logger.error("notification %d given up: %s", notification.id, reason)
            return partial(db.finish_notification, status="failed", last_error=reason)
        wait = min(self._mail_retry_seconds * 2 ** (notification.attempts - 1), MAIL_LONGEST_WAIT_SECONDS)
        logger.warning("notification %d delayed by %.0f s: %s", notification.id, wait, reason)
        return partial(db.postpone_notification, seconds=wait, last_error=reason)

    # Recovery

    async def _recover(self) -> None:
        while True:
            try:
                for document_id in await db.claim_documents(
                    self._database, worker_id=self.worker_id, busy_with=list(self._extractions)
                ):
                    logger.info("document %d is read again: its reader did not finish", document_id)
                    self.extract_document(document_id)
            except PagewireError as error:
                logger.warning("looking for unfinished work: %s", error)
            except Exception:
                logger.exception("looking for unfinished work")
            await asyncio.sleep(RECOVERY_SECONDS)

    async def _sweep(self) -> None:
        """Delete the files that a crash left without a document."""
        names = await self._storage.list_orphans()
        kept = [name for name in names if not self._storage.is_temporary(name)]
        known = await db.list_known_files(self._database, file_paths=kept)
        orphans = [name for name in names if name not in known]
        if orphans:
            logger.info("removing %d unfinished uploads", len(orphans))
            await self._storage.delete_orphans(orphans)
