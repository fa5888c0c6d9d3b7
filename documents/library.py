"""What may be done with documents, independent of HTTP: add, find, rename, delete."""

import asyncio
from typing import NamedTuple

from db import Database
from delivery.feed import Feed
from documents import queries
from documents.queries import DocumentRow, InsertedDocument
from documents.readings import Readings
from documents.storage import Incoming, Storage
from documents.withdrawals import Withdrawals
from errors import (
    DatabaseUnavailableError,
    DocumentFileMissingError,
    DocumentNotFoundError,
    DocumentNotReadyError,
    PagewireError,
)
from pdf import PdfFile

PREVIEW_CHARACTERS = 500
CHECK_EVERY_SECONDS = 2.0  # that the database answers, while an upload waits for its extraction


class AddedDocument(NamedTuple):
    document: DocumentRow
    text_preview: str | None
    duplicate: bool


class Library:
    """The documents of all users; what a user may not read does not exist for them (DocumentNotFoundError)."""

    def __init__(self, database: Database, storage: Storage, readings: Readings, feed: Feed) -> None:
        self._database = database
        self._storage = storage
        self._readings = readings
        self._feed = feed
        self._withdrawals = Withdrawals(database, storage, feed)

    async def close(self) -> None:
        await self._withdrawals.close()

    async def add(
        self, file: Incoming, *, user_id: int, filename: str, password: str | None, client_id: str | None, wait: bool
    ) -> AddedDocument:
        """Keep a received file as a document and have it extracted; if *wait*, return when that is done.

        A file that cannot be extracted leaves nothing behind if the caller waits; else it stays, with the status
        `failed`. Nor does an upload that the server cannot complete (a status of 500 or more). A known *client_id*
        returns the first document.

        Raises:
            ClientIdReusedError: if *client_id* came with other content before.
            DocumentNotFoundError: if the document was deleted meanwhile.
            What PdfEngine raises, if *wait*.
        """
        document: InsertedDocument | None = None
        try:
            async with self._storage.keep(file):
                document = await queries.insert_document(
                    self._database,
                    user_id=user_id,
                    filename=filename,
                    file_path=file.file_path,
                    file_size=file.size,
                    sha256=file.sha256,
                    client_id=client_id,
                    password=password,
                    keep_failed=not wait,
                    node_id=self._feed.node_id,
                    file_exists=lambda path: self._storage.path_of(path).exists(),
                )
                if not document.has_new_file:
                    await self._storage.delete(file.file_path)
            return await self._extract(document, user_id=user_id, wait=wait)
        except PagewireError as error:
            if error.status >= 500 and (document is None or not document.duplicate):
                if document is not None:
                    self._readings.stop(document.id)
                await self._withdrawals.withdraw(file.file_path)
            raise

    async def _extract(self, document: InsertedDocument, *, user_id: int, wait: bool) -> AddedDocument:
        if document.duplicate and document.has_new_file:
            self._readings.stop(document.id)  # it was about the old one
        if wait:
            await self._wait_for_extraction(document.id)
        else:
            self._readings.extract_later(document.id)
        row = await self.get_document(document.id, user_id=user_id)
        return AddedDocument(row, await self.get_preview(row), document.duplicate)

    async def _wait_for_extraction(self, document_id: int) -> None:
        """A client that disconnects does not stop it; a database that is away ends the wait, but not the extraction."""
        extraction = self._readings.extract(document_id)
        while not (await asyncio.wait({extraction}, timeout=CHECK_EVERY_SECONDS))[0]:
            await self._database.check_alive()
        if extraction.cancelled():
            raise DatabaseUnavailableError(retry_after=2)  # another request for this document has given up
        extraction.result()

    async def get_document(self, document_id: int, *, user_id: int) -> DocumentRow:
        """The document, if *user_id* may read it.

        Raises:
            DocumentNotFoundError: also when it exists but is another user's.
        """
        row = await queries.find_document(self._database, document_id=document_id)
        if row is None or row.user_id != user_id:
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
        text = await queries.get_document_text(self._database, document_id=row.id, characters=PREVIEW_CHARACTERS + 1)
        return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + "..."

    def file_of(self, row: DocumentRow, *, user_id: int) -> PdfFile:
        """The document's file, for a question of *user_id*; it may be missing."""
        return PdfFile(self._storage.path_of(row.file_path), row.password, row.sha256, user_id)

    def get_file(self, row: DocumentRow, *, user_id: int) -> PdfFile:
        """The document's file, for a question of *user_id*.

        Raises:
            DocumentFileMissingError
        """
        file = self.file_of(row, user_id=user_id)
        if not file.path.exists():
            raise DocumentFileMissingError
        return file

    async def rename(self, document_id: int, *, user_id: int, filename: str) -> DocumentRow:
        """Raises: DocumentNotFoundError"""
        row = await self.get_document(document_id, user_id=user_id)
        if not await queries.rename_document(self._database, document_id=document_id, filename=filename):
            raise DocumentNotFoundError
        return row._replace(filename=filename)

    async def delete(self, document_id: int, *, user_id: int) -> None:
        """Delete a document, then its file: a crash in between leaves a file for the next sweep.

        Raises:
            DocumentNotFoundError, StorageUnavailableError
        """
        row = await self.get_document(document_id, user_id=user_id)
        async with self._database.transaction() as tx:
            if not await queries.delete_document(tx, document_id=document_id):
                raise DocumentNotFoundError
            deliveries = await self._feed.notify(
                tx, user_ids=[row.user_id], kind="document.deleted", ref_id=document_id
            )
        self._feed.expect(deliveries)
        await self._storage.delete(row.file_path)


def check_ready(row: DocumentRow) -> None:
    """Raise DocumentNotReadyError unless the document was extracted."""
    if row.status == "failed":
        raise DocumentNotReadyError(f"This document could not be processed. {row.error_detail}")
    if row.status != "ready":
        raise DocumentNotReadyError
