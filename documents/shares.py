"""Who may read a document besides its owner: sharing it by a message that shows it, and taking it back."""

from collections.abc import Sequence

from accounts.audit_queries import Actor, insert_audit
from accounts.queries import find_user
from db import Connection, Database
from delivery.feed import Feed
from delivery.queries import lock_mailboxes
from documents import queries, share_queries
from documents.queries import DocumentRow
from documents.share_queries import ShareRow
from errors import DocumentNotFoundError, NotFoundError, PagewireError, UserNotFoundError
from messages.attachment_queries import hold_document
from messages.messenger import Messenger, Posted
from messages.queries import DocumentPointer, MessageDraft


class ShareNotFoundError(NotFoundError):
    """The document is not shared with this user."""

    code = "share_not_found"


class OwnDocumentError(PagewireError):
    """This document is your own: share it with somebody else."""

    status = 422
    code = "own_document"


async def get_document(database: Database, document_id: int, *, user_id: int) -> DocumentRow:
    """The document, if *user_id* may read it.

    Raises:
        DocumentNotFoundError
    """
    row = await queries.find_document(database, document_id=document_id, reader_id=user_id)
    if row is None:
        raise DocumentNotFoundError
    return row


async def get_owned_document(database: Database, document_id: int, *, user_id: int) -> DocumentRow:
    """The document, if it is *user_id*'s own.

    Raises:
        DocumentNotFoundError: also when *user_id* may only read it.
    """
    row = await get_document(database, document_id, user_id=user_id)
    if row.user_id != user_id:
        raise DocumentNotFoundError
    return row


class Shares:
    """The shares of all documents."""

    def __init__(self, database: Database, feed: Feed, messenger: Messenger) -> None:
        self._database = database
        self._feed = feed
        self._messenger = messenger

    async def share(self, document_id: int, *, user_id: int, reader_id: int) -> ShareRow:
        """Share a document of *user_id*'s; *reader_id* is sent it as a message, unless they could read it before.

        Raises:
            DocumentNotFoundError, UserNotFoundError, OwnDocumentError, RateLimitedError
        """
        await get_owned_document(self._database, document_id, user_id=user_id)
        found = await share_queries.find_share(self._database, document_id=document_id, user_id=reader_id)
        if found is not None:
            return found
        cards = await self.prepare_cards([reader_id], user_id=user_id)
        async with self._database.transaction() as tx:
            posted = await self._post_cards(tx, cards, document_id)
            share = await share_queries.find_share(tx, document_id=document_id, user_id=reader_id)
        self._messenger.publish_cards(posted)
        if share is None:
            raise UserNotFoundError  # the account was deleted in this moment
        return share

    async def prepare_cards(self, reader_ids: Sequence[int], *, user_id: int, content: str = "") -> list[MessageDraft]:
        """The messages by which *user_id* is about to share a document; they count in the message limit.

        Raises:
            UserNotFoundError, OwnDocumentError, PayloadTooLargeError, RateLimitedError
        """
        if user_id in reader_ids:
            raise OwnDocumentError
        for reader_id in reader_ids:
            if await find_user(self._database, user_id=reader_id) is None:
                raise UserNotFoundError
        for _ in reader_ids:
            await self._messenger.allow(user_id, content)
        return [MessageDraft(user_id, reader_id, content, client_id=None) for reader_id in reader_ids]

    async def post_cards_of_upload(self, tx: Connection, cards: Sequence[MessageDraft], document_id: int) -> Posted:
        """A repeated upload sends no card again, nor does it share again what was taken back."""
        cards = [card._replace(client_id=f"upload-{document_id}-{card.recipient_id}") for card in cards]
        return await self._post_cards(tx, cards, document_id)

    async def _post_cards(self, tx: Connection, cards: Sequence[MessageDraft], document_id: int) -> Posted:
        row = await queries.find_document(tx, document_id=document_id)
        if row is None:
            raise DocumentNotFoundError
        pointer = DocumentPointer(document_id, filename=row.filename)
        return await self._messenger.post_cards(tx, [card._replace(document=pointer) for card in cards])

    async def unshare(self, document_id: int, *, user_id: int, reader_id: int) -> None:
        """Take a document of *user_id*'s back from *reader_id*.

        Raises:
            DocumentNotFoundError, ShareNotFoundError
        """
        await get_owned_document(self._database, document_id, user_id=user_id)
        async with self._database.transaction() as tx:
            if await hold_document(tx, document_id=document_id) is None:
                raise DocumentNotFoundError
            await lock_mailboxes(tx, user_ids=[user_id, reader_id])
            if not await share_queries.delete_share(tx, document_id=document_id, user_id=reader_id):
                raise ShareNotFoundError
            deliveries = await self._feed.notify(tx, user_ids=[reader_id], kind="document.unshared", ref_id=document_id)
            await insert_audit(
                tx, "document_unshared", Actor(user_id, None), user_id=reader_id, document_id=document_id
            )
        self._feed.expect(deliveries)
