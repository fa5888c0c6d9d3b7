"""Messages that point at a document: they quote what their sender may read, and share what their sender owns."""

import asyncio
from collections.abc import Sequence

from accounts.audit_queries import Actor, insert_audit
from db import Connection, Database
from delivery.protocol import MAX_MATCH_CHARACTERS
from delivery.queries import Delivery, insert_events, lock_mailboxes
from errors import ClientIdReusedError, DocumentNotFoundError, PageNotFoundError, UserNotFoundError
from extraction.matching import EXCERPT_CHARS, find_matches
from messages import attachment_queries as queries
from messages.queries import DocumentPointer, MessageDraft, StoredMessage, insert_messages

Quote = tuple[dict[str, object], ...]


async def quote_document(database: Database, draft: MessageDraft) -> MessageDraft:
    """*draft* with the file name and the hit as its sender sees them now.

    A message that was sent before is not quoted again, and may repeat what its sender can no longer read.

    Raises:
        DocumentNotFoundError: if the sender may not read it; PageNotFoundError
    """
    document = draft.document
    if document is None:
        return draft
    try:
        return draft._replace(document=await _quote(database, document, draft.sender_id))
    except (DocumentNotFoundError, PageNotFoundError):
        if draft.client_id is None or not await queries.was_sent(
            database, sender_id=draft.sender_id, client_id=draft.client_id
        ):
            raise
    return draft


async def _quote(database: Database, document: DocumentPointer, sender_id: int) -> DocumentPointer:
    page = await queries.find_quoted_page(
        database, document_id=document.document_id, reader_id=sender_id, page_number=document.page
    )
    if page is None:
        raise DocumentNotFoundError
    if document.page is not None and page.page_count is not None and document.page > page.page_count:
        raise PageNotFoundError
    quote: Quote = ()
    if page.text and document.match:
        quote = await asyncio.to_thread(find_quote, page.text, document.match)
    return document._replace(filename=page.filename, quote=quote)


def find_quote(text: str, term: str) -> Quote:
    """The first hit of *term* with the words around it, as [{text, hit}]; empty if there is none."""
    found = find_matches(text, term).excerpts
    if not found:
        return ()
    hit = found[0]
    before, after = hit.before, hit.after
    if len(before) == EXCERPT_CHARS:  # cut off, perhaps within a word
        before = before.partition(" ")[2] or before
    if len(after) == EXCERPT_CHARS:
        after = after.rpartition(" ")[0] or after
    parts = ((before, False), (hit.match[:MAX_MATCH_CHARACTERS], True), (after, False))
    return tuple({"text": part, "hit": is_hit} for part, is_hit in parts if part)


async def store_messages(
    tx: Connection, drafts: Sequence[MessageDraft], *, node_id: int | None, only_new_readers: bool = False
) -> tuple[list[StoredMessage], list[Delivery]]:
    """Store one sender's *drafts* about one document, and share it with their recipients if its owner wants it.

    *only_new_readers*: nothing is sent to people who could read it before. Returns what was stored, and the events of
    those with whom the document is now shared. Locked in this order: the document, mailboxes, accounts, shares.

    Raises:
        DocumentNotFoundError: if the sender may not read it, or a recipient may not and the sender does not share it.
        UserNotFoundError, ClientIdReusedError
    """
    sender_id, document = drafts[0].sender_id, drafts[0].document
    assert document is not None
    document_id = document.document_id
    owner_id = await queries.hold_document(tx, document_id=document_id)
    if only_new_readers:
        recipients = {draft.recipient_id for draft in drafts}
        await lock_mailboxes(tx, user_ids={sender_id, *recipients})
        readers = await queries.list_readers(tx, document_id=document_id, among=recipients)
        drafts = [draft for draft in drafts if draft.recipient_id not in readers]
        if not drafts:
            return [], []
    stored = await insert_messages(tx, [draft._replace(is_first=True) for draft in drafts], node_id=node_id)
    if len(stored) < len(drafts):
        raise UserNotFoundError
    if any(not row.is_repeat for row in stored):
        raise ClientIdReusedError
    new = [row for row in stored if not row.duplicate]
    if not new:
        return stored, []
    people = {sender_id, *(row.message.recipient_id for row in new)}
    readers = await queries.list_readers(tx, document_id=document_id, among=people)
    may_share = document.shares and sender_id == owner_id
    if sender_id not in readers or (readers != people and not may_share):
        raise DocumentNotFoundError
    granted = await queries.insert_shares(tx, document_id=document_id, user_ids=sorted(people - readers))
    shown = await queries.attach_document(tx, message_ids=[row.message.id for row in new], document=document)
    stored = [
        row if row.duplicate else row._replace(message=row.message._replace(attachment=shown[row.message.id]))
        for row in stored
    ]
    if not granted:
        return stored, []
    for reader_id in granted:
        await insert_audit(tx, "document_shared", Actor(sender_id, None), user_id=reader_id, document_id=document_id)
    deliveries = await insert_events(tx, user_ids=granted, kind="document.shared", ref_id=document_id, node_id=node_id)
    return stored, deliveries
