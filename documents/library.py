"""Who may read which document."""

from auth import CurrentUser, Db
from documents import queries
from documents.queries import DocumentRow
from documents.storage import Storage
from edge.fields import Id
from errors import DocumentFileMissingError, DocumentNotFoundError, DocumentNotReadyError
from pdf import PdfFile


async def get_readable_document(database: Db, user: CurrentUser, document_id: Id) -> DocumentRow:
    """The document, if *user* may read it.

    Raises:
        DocumentNotFoundError: also when it exists but is somebody else's.
    """
    row = await queries.find_document(database, document_id=document_id)
    if row is None or row.user_id != user.id:
        raise DocumentNotFoundError
    return row


async def get_ready_document(database: Db, user: CurrentUser, document_id: Id) -> DocumentRow:
    """The document, if *user* may read it and it was read from its file.

    Raises:
        DocumentNotFoundError, DocumentNotReadyError
    """
    row = await get_readable_document(database, user, document_id)
    check_ready(row)
    return row


def check_ready(row: DocumentRow) -> None:
    """Raise DocumentNotReadyError, if it was not read (yet)."""
    if row.status == "failed":
        raise DocumentNotReadyError(f"This document could not be read. {row.error_detail}")
    if row.status != "ready":
        raise DocumentNotReadyError


def stored_file(storage: Storage, user: CurrentUser, row: DocumentRow) -> PdfFile:
    """The document's file, for a question of *user*; it may be missing."""
    return PdfFile(storage.path_of(row.file_path), row.password, row.sha256, user.id)


def get_stored_file(storage: Storage, user: CurrentUser, row: DocumentRow) -> PdfFile:
    """The document's file, for a question of *user*.

    Raises:
        DocumentFileMissingError
    """
    file = stored_file(storage, user, row)
    if not file.path.exists():
        raise DocumentFileMissingError
    return file
