"""What may be done with documents, independent of HTTP: add, find, rename, delete; and by whom."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from accounts.audit_queries import Actor, insert_audit
from db import Connection, Database
from delivery.feed import Feed
from delivery.queries import Delivery
from documents import copy_queries, list_queries, page_queries, queries, share_queries
from documents.list_queries import ListedDocument
from documents.passwords import FilePasswords
from documents.queries import DetailsRow, DocumentRow, InsertedDocument
from documents.quotas import Quotas
from documents.readings import Readings
from documents.shares import Shares, get_document, get_owned_document
from documents.storage import Incoming, Storage
from documents.withdrawals import Withdrawals
from edge.ranges import StoredFile
from errors import (
    ClientGoneError,
    DatabaseUnavailableError,
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    PagewireError,
)
from index.queries import rename_pages
from messages.messenger import Messenger, Posted
from messages.queries import MessageDraft
from pdf import PdfFile

PREVIEW_CHARACTERS = 500
CHECK_EVERY_SECONDS = 2.0  # that the database answers, while an upload waits for its extraction


logger = logging.getLogger("pagewire.library")


class AddedDocument(NamedTuple):
    document: DocumentRow
    text_preview: str | None
    duplicate: bool
    warnings: list[dict[str, Any]]


class Library:
    """The documents of all users; what a user may not read does not exist for them (DocumentNotFoundError)."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        readings: Readings,
        feed: Feed,
        messenger: Messenger,
        quotas: Quotas,
        passwords: FilePasswords,
    ) -> None:
        self._database = database
        self._storage = storage
        self._readings = readings
        self._feed = feed
        self._messenger = messenger
        self._quotas = quotas
        self._passwords = passwords
        self.shares = Shares(database, feed, messenger)
        self._withdrawals = Withdrawals(database, storage, feed)
        self._asking: Counter[int] = Counter()  # by document: uploads that wait for its extraction

    async def close(self) -> None:
        await self._withdrawals.close()

    async def add(
        self,
        file: Incoming,
        *,
        user_id: int,
        filename: str,
        password: str | None,
        client_id: str | None,
        wait: AbstractAsyncContextManager[None] | None,
        cards: Sequence[MessageDraft] = (),
    ) -> AddedDocument:
        """Keep a received file as a document and have it extracted. With *wait*, return when that is done; it is held
        meanwhile, and ends the extraction if it raises ClientGoneError. Share it by *cards* (see
        `Shares.prepare_cards`): when it is ready if the caller waits, else as it is stored.

        A file that cannot be extracted leaves nothing behind if the caller waits; else it stays, with the status
        `failed`. Nor does an upload that the server cannot complete (a status of 500 or more), or whose client is gone
        while nobody else waits for it. A known *client_id* returns the first document.

        Raises:
            ClientIdReusedError: if *client_id* came with other content before.
            QuotaExceededError: if *user_id* may not store so much.
            DocumentNotFoundError: if the document was deleted meanwhile; UserNotFoundError: if a recipient was.
            What PdfEngine and *wait* raise, if there is one.
        """
        document: InsertedDocument | None = None
        posted = Posted([], [])
        deliveries: list[Delivery] = []
        try:
            async with self._storage.keep(file):
                async with self._database.transaction() as tx:
                    document = await queries.insert_document(
                        tx,
                        user_id=user_id,
                        filename=filename,
                        file_path=file.file_path,
                        file_size=file.size,
                        sha256=file.sha256,
                        client_id=client_id,
                        sealed_password=self._passwords.seal(password, sha256=file.sha256),
                        keep_failed=wait is None,
                        node_id=self._readings.node_id,
                        file_exists=self._storage.find,
                    )
                    if not (wait or cards or document.duplicate):  # a card tells of it too
                        deliveries = await self._notify_readers(tx, "document.added", document.id)
                    if cards and not wait:
                        posted = await self.shares.post_cards_of_upload(tx, cards, document.id)
                    if not document.duplicate:
                        await self._quotas.check(tx, user_id=user_id)
                self._feed.expect(deliveries)
                if not document.has_new_file:
                    await self._storage.delete(file.file_path)
            self._messenger.publish_cards(posted)
            added = await self._extract(document, user_id=user_id, wait=wait)
            if cards and wait:
                self._messenger.publish_cards(await self._share_added(document, cards))
            return added
        except PagewireError as error:
            is_unwanted = isinstance(error, ClientGoneError) and document is not None and not self._asking[document.id]
            if (error.status >= 500 or is_unwanted) and (document is None or not document.duplicate):
                if document is not None:
                    self._readings.stop(document.id)
                await self._withdrawals.withdraw(file.file_path)
            raise

    async def _extract(
        self, document: InsertedDocument, *, user_id: int, wait: AbstractAsyncContextManager[None] | None
    ) -> AddedDocument:
        if document.duplicate and document.has_new_file:
            self._readings.stop(document.id)  # it was about the old one
        if wait is not None:
            async with wait:
                await self._wait_for_extraction(document.id)
        else:
            self._readings.extract_later(document.id)
        row = await self.get_document(document.id, user_id=user_id)
        details = await self.get_details(document.id)
        return AddedDocument(row, await self.get_preview(row), document.duplicate, details.warnings)

    async def _wait_for_extraction(self, document_id: int) -> None:
        """A database that is away ends the wait, but not the extraction."""
        extraction = self._readings.extract(document_id)
        self._asking[document_id] += 1
        try:
            while not (await asyncio.wait({extraction}, timeout=CHECK_EVERY_SECONDS))[0]:
                await self._database.check_alive()
        finally:
            self._asking[document_id] -= 1
            if not self._asking[document_id]:
                del self._asking[document_id]
        if extraction.cancelled():
            raise DatabaseUnavailableError(retry_after=2)  # another request for this document has given up
        extraction.result()

    async def _share_added(self, document: InsertedDocument, cards: Sequence[MessageDraft]) -> Posted:
        """An upload that cannot be shared leaves nothing behind."""
        try:
            async with self._database.transaction() as tx:
                return await self.shares.post_cards_of_upload(tx, cards, document.id)
        except PagewireError as error:
            if error.status < 500 and not document.duplicate:
                await self.delete(document.id, user_id=cards[0].sender_id)
            raise

    async def get_document(self, document_id: int, *, user_id: int) -> DocumentRow:
        """The document, if *user_id* may read it: its owner, or somebody it is shared with.

        Raises:
            DocumentNotFoundError: also when it exists but is not shared with *user_id*.
        """
        return await get_document(self._database, document_id, user_id=user_id)

    async def get_owned_document(self, document_id: int, *, user_id: int) -> DocumentRow:
        """The document, if *user_id* may change, share and delete it: its owner alone.

        Raises:
            DocumentNotFoundError: also when *user_id* may only read it.
        """
        return await get_owned_document(self._database, document_id, user_id=user_id)

    async def get_details(self, document_id: int) -> DetailsRow:
        """More about a document that its reader has been found to be allowed to read.

        Raises:
            DocumentNotFoundError: if it was deleted meanwhile.
        """
        details = await queries.find_details(self._database, document_id=document_id)
        if details is None:
            raise DocumentNotFoundError
        return details

    async def get_listed_document(self, document_id: int, *, user_id: int) -> ListedDocument:
        """The document as lists show it, if *user_id* may read it.

        Raises:
            DocumentNotFoundError
        """
        row = await list_queries.find_listed_document(self._database, document_id=document_id, user_id=user_id)
        if row is None:
            raise DocumentNotFoundError
        return row

    async def get_ready_document(self, document_id: int, *, user_id: int) -> DocumentRow:
        """The document, if *user_id* may read it and it was extracted.

        Raises:
            DocumentNotFoundError, DocumentNotReadyError
        """
        row = await self.get_document(document_id, user_id=user_id)
        check_ready(row)
        return row

    async def get_preview(self, row: DocumentRow) -> str | None:
        """The first 500 characters of its text, then "..." if there is more; None until it is ready."""
        if row.status != "ready":
            return None
        characters = PREVIEW_CHARACTERS + 1
        text = await page_queries.get_document_text(self._database, document_id=row.id, characters=characters)
        return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."

    async def file_of(self, row: DocumentRow, *, user_id: int) -> PdfFile:
        """The document's file, for a question of *user_id*; it may be missing."""
        password = await self._passwords.find(self._database, row)
        return PdfFile(self._storage.source_of(row.file_path), password, row.sha256, user_id, row.id)

    async def get_file(self, row: DocumentRow, *, user_id: int) -> PdfFile:
        """The document's file, fetched for a question of *user_id*.

        Raises:
            DocumentFileMissingError, StorageUnavailableError
        """
        await self._storage.fetch(row.file_path)
        return await self.file_of(row, user_id=user_id)

    async def find_stored_file(self, row: DocumentRow) -> StoredFile:
        """The document's file, to be sent.

        Raises:
            DocumentFileMissingError, StorageUnavailableError
        """
        file = await self._storage.find(row.file_path)
        if file is None:
            raise DocumentFileMissingError
        return file

    async def rename(self, document_id: int, *, user_id: int, filename: str) -> None:
        """Raises: DocumentNotFoundError"""
        await self.get_owned_document(document_id, user_id=user_id)
        async with self._database.transaction() as tx:
            if not await queries.lock_document(tx, document_id=document_id):
                raise DocumentNotFoundError
            await queries.rename_document(tx, document_id=document_id, filename=filename)
            await share_queries.update_sort_keys(tx, document_id=document_id)
            await rename_pages(tx, document_id=document_id)
            deliveries = await self._notify_readers(tx, "document.changed", document_id)
        self._feed.expect(deliveries)

    async def read_again(self, document_id: int, *, user_id: int, password: str | None) -> None:
        """Have a document of *user_id*'s extracted again, from its file.

        Raises:
            DocumentNotFoundError, DocumentFileMissingError; DocumentNotReadyError: if that is under way.
        """
        row = await self.get_owned_document(document_id, user_id=user_id)
        if row.status == "processing":  # what it extracts is being stored: do not wait for that
            raise DocumentNotReadyError
        await self.get_file(row, user_id=user_id)
        sealed_password = self._passwords.seal(password, sha256=row.sha256)
        async with self._database.transaction() as tx:
            if not await queries.lock_document(tx, document_id=document_id):
                raise DocumentNotFoundError
            if not await queries.restart_extraction(
                tx, document_id=document_id, node_id=self._readings.node_id, sealed_password=sealed_password
            ):
                raise DocumentNotReadyError
            deliveries = await self._notify_readers(tx, "document.changed", document_id)
        self._feed.expect(deliveries)
        self._readings.extract_later(document_id)

    async def _notify_readers(self, tx: Connection, kind: str, document_id: int) -> list[Delivery]:
        readers = await share_queries.lock_readers(tx, document_ids=[document_id])
        return await self._feed.notify(tx, user_ids=readers[document_id], kind=kind, ref_id=document_id)

    async def delete(self, document_id: int, *, user_id: int) -> None:
        """Delete a document and notify everybody who could read it, then delete its file.

        Raises:
            DocumentNotFoundError
        """
        row = await self.get_owned_document(document_id, user_id=user_id)
        async with self._database.transaction() as tx:
            if not await queries.lock_document(tx, document_id=document_id):
                raise DocumentNotFoundError
            await copy_queries.hand_over_content(tx, document_ids=[document_id])
            readers = await share_queries.lock_readers(tx, document_ids=[document_id])
            await queries.delete_documents(tx, document_ids=[document_id])
            deliveries = await self._feed.notify(
                tx, user_ids=readers[document_id], kind="document.deleted", ref_id=document_id
            )
            await insert_audit(tx, "document_deleted", Actor(user_id, None), document_id=document_id)
        self._feed.expect(deliveries)
        await self._delete_file(row.file_path)

    async def _delete_file(self, file_path: str) -> None:
        """Delete the file of a document that is gone; if that cannot be done now, a sweep does it."""
        try:
            await self._storage.delete(file_path)
        except PagewireError as error:
            logger.warning("the file of a deleted document stays for now: %s", error)

    async def forget_person(self, tx: Connection, user_id: int) -> Callable[[], Awaitable[None]]:
        """Delete all documents of *user_id*; await what this returns after the commit, for their readers and files."""
        owned = await share_queries.list_owned_files(tx, user_id=user_id)
        ids = [document.id for document in owned]
        await copy_queries.hand_over_content(tx, document_ids=ids)
        readers = await share_queries.lock_readers(tx, document_ids=ids, others=[user_id])
        await queries.delete_documents(tx, document_ids=ids)
        await share_queries.delete_shares_with(tx, user_id=user_id)
        deliveries = [
            delivery
            for document_id in ids
            for delivery in await self._feed.notify(
                tx,
                user_ids=[reader for reader in readers[document_id] if reader != user_id],
                kind="document.deleted",
                ref_id=document_id,
            )
        ]

        async def finish() -> None:
            self._feed.expect(deliveries)
            for document in owned:
                await self._delete_file(document.file_path)

        return finish


def check_ready(row: DocumentRow) -> None:
    """Raise DocumentNotReadyError unless the document was extracted."""
    if row.status == "failed":
        raise DocumentNotReadyError(f"This document could not be processed. {row.error_detail}")
    if row.status != "ready":
        raise DocumentNotReadyError
