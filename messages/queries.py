"""Every SQL statement about messages, conversations and announcements, one function a question.

Those about the documents that messages point at are in attachment_queries.py.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from auth import UserRow
from db import Connection, Executor, Prepared
from delivery.attachments import attachment_column
from delivery.events import MessageRow
from delivery.queries import NOTES_PER_CALL, Delivery, as_array, insert_events, notify_nodes
from errors import ForbiddenError, MessageNotFoundError
from index.queries import put_message
from messages.portion_queries import IN_PORTION, Portion

MAX_UNREAD = 1000  # counted exactly up to here; more is "at least"
MAX_WHOLE_BYTES = 900  # of a message that other nodes receive whole; with WHOLE_BYTES_PER_CALL less than 8,000
WHOLE_BYTES_PER_CALL = 7000


def message_columns(reader: str) -> str:
    """A MessageRow of `messages m` and its sender `users s`, as *reader* (an SQL expression) sees it."""
    return f"""
    m.id, m.sender_id, m.recipient_id, m.content, m.created_at, s.name, m.client_id, m.edited_at, m.deleted_at,
    {attachment_column(reader)}
    """


# Sending


class DocumentPointer(NamedTuple):
    """The document that a message points at."""

    document_id: int
    page: int | None = None
    match: str | None = None  # the term to highlight
    shares: bool = True  # with a recipient who may not read it yet, if the sender is its owner
    filename: str = ""  # this and the quote are what the sender saw
    quote: tuple[dict[str, object], ...] = ()  # the hit: [{text, hit}]


class MessageDraft(NamedTuple):
    sender_id: int
    recipient_id: int
    content: str
    client_id: str | None
    is_first: bool = False  # perhaps the first between the two: the conversation may have to be written down
    document: DocumentPointer | None = None  # such a draft is stored by messages.attachments


class StoredMessage(NamedTuple):
    ordinal: int  # of its draft, from 0
    message: MessageRow
    duplicate: bool  # its client_id was known: this is the first message sent with it
    sender_seq: int | None  # the number of the sender's event; None for a duplicate
    recipient_seq: int | None
    begins_conversation: bool = False  # the two have had none before
    is_repeat: bool = True  # of a duplicate: the draft says what was first sent with its client_id

    @property
    def deliveries(self) -> list[Delivery]:
        """The numbers of a new message's event, a message to oneself has one."""
        assert self.sender_seq is not None
        assert self.recipient_seq is not None
        to_recipient = Delivery(self.message.recipient_id, self.recipient_seq)
        if self.message.sender_id == self.message.recipient_id:
            return [to_recipient]
        return [to_recipient, Delivery(self.message.sender_id, self.sender_seq)]


_INSERT = """
WITH turn AS MATERIALIZED (
    SELECT user_id, clock FROM mailboxes WHERE user_id = ANY (%(senders)s::bigint[] || %(recipients)s::bigint[])
     ORDER BY user_id FOR NO KEY UPDATE
), moment AS MATERIALIZED (
    SELECT GREATEST(clock_timestamp(), max(clock)) AS at FROM turn
), people AS MATERIALIZED (
    SELECT id, name FROM users
     WHERE id = ANY (%(senders)s::bigint[] || %(recipients)s::bigint[]) AND (SELECT count(*) FROM turn) >= 0
       AND deleted_at IS NULL
     ORDER BY id FOR KEY SHARE
), draft AS MATERIALIZED (
    SELECT d.ordinal - 1 AS ordinal, nextval((SELECT pg_get_serial_sequence('messages', 'id')::regclass)) AS id,
           d.sender_id, d.recipient_id, d.content, NULLIF(d.client_id, '') AS client_id, d.is_first,
           NULLIF(d.sent_hash, '') AS sent_hash, s.name AS sender_name
      FROM unnest(%(senders)s::bigint[], %(recipients)s::bigint[], %(contents)s::text[], %(client_ids)s::text[],
                  %(firsts)s::boolean[], %(hashes)s::text[])
           WITH ORDINALITY AS d (sender_id, recipient_id, content, client_id, is_first, sent_hash, ordinal)
      JOIN people s ON s.id = d.sender_id
      JOIN people r ON r.id = d.recipient_id
     ORDER BY d.ordinal
), inserted AS (
    INSERT INTO messages (id, sender_id, recipient_id, content, client_id, sent_hash, created_at)
    SELECT id, sender_id, recipient_id, content, client_id, sent_hash, moment.at FROM draft, moment
    ON CONFLICT (sender_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
    RETURNING id, sender_id, recipient_id, created_at
), talk AS (
    INSERT INTO conversations (user_id, other_id)
    SELECT sender_id, recipient_id FROM draft JOIN inserted USING (id, sender_id, recipient_id) WHERE is_first
    UNION
    SELECT recipient_id, sender_id FROM draft JOIN inserted USING (id, sender_id, recipient_id) WHERE is_first
    ON CONFLICT DO NOTHING
    RETURNING user_id, other_id
), event AS MATERIALIZED (
    SELECT user_id, message_id, row_number() OVER (PARTITION BY user_id ORDER BY message_id) AS nth
      FROM (SELECT sender_id AS user_id, id AS message_id FROM inserted
            UNION ALL
            SELECT recipient_id, id FROM inserted WHERE recipient_id <> sender_id) AS notified
), box AS (
    INSERT INTO mailboxes (user_id, seq, clock)
    SELECT user_id, count(*), (SELECT at FROM moment) FROM event GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET seq = mailboxes.seq + EXCLUDED.seq, clock = EXCLUDED.clock
    RETURNING user_id, seq
), numbered AS MATERIALIZED (
    SELECT event.user_id, event.message_id,
           box.seq - count(*) OVER (PARTITION BY event.user_id) + event.nth AS seq
      FROM event JOIN box USING (user_id)
), stored_events AS (
    INSERT INTO events (user_id, seq, kind, ref_id)
    SELECT user_id, seq, 'message', message_id FROM numbered
)"""

_STORED = """
SELECT draft.ordinal, draft.id, draft.sender_id, draft.recipient_id, draft.content, inserted.created_at,
       draft.sender_name, draft.client_id, NULL::timestamptz AS edited_at, NULL::timestamptz AS deleted_at,
       NULL::json AS attachment, inserted.id IS NULL AS duplicate,
       to_sender.seq AS sender_seq, to_recipient.seq AS recipient_seq,
       draft.is_first AND (draft.sender_id, draft.recipient_id) IN (SELECT user_id, other_id FROM talk) AS begins_conversation,
       true AS is_repeat
  FROM draft
  LEFT JOIN inserted USING (id)
  LEFT JOIN numbered AS to_sender
    ON to_sender.message_id = draft.id AND to_sender.user_id = draft.sender_id
  LEFT JOIN numbered AS to_recipient
    ON to_recipient.message_id = draft.id AND to_recipient.user_id = draft.recipient_id"""

_NUMBERS = """
SELECT 'e' || %(node_id)s::integer || ' ' || string_agg(user_id || ':' || seq, ' ') AS payload
  FROM (SELECT user_id, seq, (row_number() OVER () - 1) / %(notes_per_call)s::integer AS call FROM box) AS boxes
 GROUP BY call"""

# Small messages go to the other nodes whole, ahead of their numbers: then no node has to load them.
_WHOLE = f"""
SELECT 'm' || %(node_id)s::integer || ' [' || string_agg(body, ',' ORDER BY ordinal) || ']' AS payload
  FROM (SELECT ordinal, body, sum(octet_length(body) + 1) OVER (ORDER BY ordinal) / {WHOLE_BYTES_PER_CALL} AS call
          FROM (SELECT ordinal, json_build_array(id, sender_id, recipient_id, content, created_at, sender_name, client_id,
                                                 sender_seq, recipient_seq)::text AS body
                  FROM stored WHERE NOT duplicate) AS message
         WHERE octet_length(body) <= {MAX_WHOLE_BYTES}) AS messages
 GROUP BY call"""

_INSERT_MESSAGES_SILENTLY = Prepared(_INSERT + _STORED)

_INSERT_MESSAGES = Prepared(f"""
{_INSERT}, note AS ({notify_nodes(_NUMBERS)})
{_STORED}
 WHERE (SELECT count(*) FROM note) >= 0
""")

_INSERT_AND_SHOW_MESSAGES = Prepared(f"""
{_INSERT}, stored AS MATERIALIZED ({_STORED}), whole AS ({notify_nodes(_WHOLE)}),
note AS ({notify_nodes(f"{_NUMBERS} HAVING (SELECT count(*) FROM whole) >= 0")})
SELECT ordinal, id, sender_id, recipient_id, content, created_at, sender_name, client_id, edited_at, deleted_at, attachment,
       duplicate, sender_seq, recipient_seq, begins_conversation,
       is_repeat
  FROM stored
 WHERE (SELECT count(*) FROM note) >= 0
""")


async def insert_messages(
    conn: Executor, drafts: Sequence[MessageDraft], *, node_id: int | None, whole: bool = False
) -> list[StoredMessage]:
    """Store *drafts* in order with both users' events, in one statement, and with *node_id* notify the other nodes: of
    the numbers, and with *whole* of the small messages themselves.

    A draft whose recipient does not exist has no row in the answer. A draft whose client_id its sender has used before
    answers with that earlier message, as it is now; `is_repeat` says whether it is the same message again.

    Mailboxes are locked before anything else, in the order of their users, as every change of a user's messages does:
    no deadlocks, and a conversation's ids rise in the order of its events. Then the people, so that none of them is
    deleted meanwhile.
    """
    announcing = _INSERT_AND_SHOW_MESSAGES if whole else _INSERT_MESSAGES
    stored = await conn.fetch_all(
        StoredMessage,
        _INSERT_MESSAGES_SILENTLY if node_id is None else announcing,
        {
            "senders": as_array([draft.sender_id for draft in drafts]),
            "recipients": as_array([draft.recipient_id for draft in drafts]),
            "contents": [draft.content for draft in drafts],
            "client_ids": [draft.client_id or "" for draft in drafts],
            "firsts": as_array([draft.is_first for draft in drafts]),
            "hashes": [_hash(draft) if draft.client_id else "" for draft in drafts],
            "node_id": node_id,
            "notes_per_call": NOTES_PER_CALL,
        },
    )
    repeated = [row for row in stored if row.duplicate]
    if not repeated:
        return stored
    firsts = {(first.message.sender_id, first.message.client_id): first for first in await _list_firsts(conn, repeated)}
    found = []
    for row in stored:
        if row.duplicate:
            first = firsts.get((row.message.sender_id, row.message.client_id))
            if first is None:
                continue
            row = row._replace(message=first.message, is_repeat=first.was_sent_as(drafts[row.ordinal]))
        found.append(row)
    return found


def _hash(draft: MessageDraft) -> str:
    said = draft.content
    if draft.document is not None:
        said += "\0" + json.dumps(draft.document[:3])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


class _FirstMessage(NamedTuple):
    """The first message that was sent with a client_id, as it is now."""

    message: MessageRow
    sent_hash: str | None

    def was_sent_as(self, draft: MessageDraft) -> bool:
        """Whether *draft* says what it said at first. A deleted one keeps nothing to compare with: then it does."""
        if self.message.recipient_id != draft.recipient_id:
            return False
        if self.sent_hash is not None:
            return self.sent_hash == _hash(draft)
        is_changed = self.message.edited_at is not None or self.message.deleted_at is not None
        return is_changed or self.message.content == draft.content


def write_whole_message(stored: StoredMessage) -> str:
    """A new message for the other nodes, as the database writes it."""
    message = stored.message
    return json.dumps(
        (
            *(message.id, message.sender_id, message.recipient_id, message.content, message.created_at.isoformat()),
            *(message.sender_name, message.client_id, stored.sender_seq, stored.recipient_seq),
        ),
        ensure_ascii=False,
    )


def read_whole_messages(text: str) -> list[StoredMessage]:
    """The messages in another node's note, as it stored them."""
    return [
        StoredMessage(
            ordinal=0,
            message=MessageRow(
                id=message_id,
                sender_id=sender_id,
                recipient_id=recipient_id,
                content=content,
                created_at=datetime.fromisoformat(created_at),
                sender_name=sender_name,
                client_id=client_id,
                edited_at=None,
                deleted_at=None,
            ),
            duplicate=False,
            sender_seq=sender_seq,
            recipient_seq=recipient_seq,
        )
        for message_id, sender_id, recipient_id, content, created_at, sender_name, client_id, sender_seq, recipient_seq in (
            json.loads(text)
        )
    ]


async def _list_firsts(conn: Executor, repeated: Sequence[StoredMessage]) -> list[_FirstMessage]:
    return await conn.fetch_all(
        _FirstMessage,
        f"""
        SELECT {message_columns("m.sender_id")}, m.sent_hash
          FROM unnest(%(senders)s::bigint[], %(client_ids)s::text[]) AS k (sender_id, client_id)
          JOIN messages m ON m.sender_id = k.sender_id AND m.client_id = k.client_id
          JOIN users s ON s.id = m.sender_id
        """,
        {
            "senders": [row.message.sender_id for row in repeated],
            "client_ids": [row.message.client_id for row in repeated],
        },
    )


async def edit_message(
    tx: Connection, *, message_id: int, author_id: int, content: str | None, node_id: int | None
) -> tuple[MessageRow, list[Delivery]]:
    """Replace what a message says, or leave a tombstone (*content* None), and notify both users.

    Raises:
        MessageNotFoundError: also when it is between other people, or deleted; ForbiddenError: if the other person wrote it.
    """
    found = await tx.fetch_one(
        MessageRow,
        f"""
        WITH turn AS MATERIALIZED (
            SELECT user_id FROM mailboxes
             WHERE user_id IN (SELECT unnest(ARRAY[sender_id, recipient_id]) FROM messages
                                WHERE id = %(message_id)s AND sender_id = %(author_id)s)
             ORDER BY user_id FOR NO KEY UPDATE
        )
        SELECT {message_columns("%(author_id)s")} FROM messages m JOIN users s ON s.id = m.sender_id
         WHERE m.id = %(message_id)s AND %(author_id)s IN (m.sender_id, m.recipient_id) AND m.deleted_at IS NULL
           AND (SELECT count(*) FROM turn) >= 0
           FOR UPDATE OF m
        """,
        {"message_id": message_id, "author_id": author_id},
    )
    if found is None:
        raise MessageNotFoundError
    if found.sender_id != author_id:
        raise ForbiddenError("Only its author may change a message.")
    changed = await tx.fetch_one(
        MessageRow,
        f"""
        WITH m AS (
            UPDATE messages
               SET content = coalesce(%(content)s, ''),
                   edited_at = CASE WHEN %(content)s IS NULL THEN edited_at ELSE now() END,
                   deleted_at = CASE WHEN %(content)s IS NULL THEN now() END,
                   sent_hash = CASE WHEN %(content)s IS NULL THEN NULL ELSE sent_hash END,
                   document_id = CASE WHEN %(content)s IS NULL THEN NULL ELSE document_id END,
                   document_name = CASE WHEN %(content)s IS NULL THEN NULL ELSE document_name END,
                   page = CASE WHEN %(content)s IS NULL THEN NULL ELSE page END,
                   match = CASE WHEN %(content)s IS NULL THEN NULL ELSE match END,
                   quote = CASE WHEN %(content)s IS NULL THEN NULL ELSE quote END
             WHERE id = %(message_id)s
            RETURNING id, sender_id, recipient_id, content, created_at, client_id, edited_at, deleted_at,
                      document_id, document_name, page, match, quote
        )
        SELECT {message_columns("%(author_id)s")} FROM m JOIN users s ON s.id = m.sender_id
        """,
        {"message_id": message_id, "content": content, "author_id": author_id},
    )
    assert changed is not None
    await put_message(
        tx,
        message_id=message_id,
        sender_id=changed.sender_id,
        recipient_id=changed.recipient_id,
        content=content,
    )
    kind = "deleted" if content is None else "edited"
    people = {changed.sender_id, changed.recipient_id}
    return changed, await insert_events(tx, user_ids=sorted(people), kind=kind, ref_id=message_id, node_id=node_id)


# Announcements


class _Id(NamedTuple):
    id: int


async def insert_announcement(
    tx: Connection, *, sender_id: int, content: str, node_id: int | None
) -> tuple[int, list[Delivery]]:
    """Store an announcement with an event for every user."""
    row = await tx.fetch_one(
        _Id,
        "INSERT INTO announcements (sender_id, content) VALUES (%(sender_id)s, %(content)s) RETURNING id",
        {"sender_id": sender_id, "content": content},
    )
    assert row is not None
    # Locked, or one of them might be deleted before there is a mailbox to write to.
    user_ids = [
        user.id
        for user in await tx.fetch_all(_Id, "SELECT id FROM users WHERE deleted_at IS NULL ORDER BY id FOR KEY SHARE")
    ]
    return row.id, await insert_events(tx, user_ids=user_ids, kind="announcement", ref_id=row.id, node_id=node_id)


async def forget_person(tx: Connection, *, user_id: int) -> None:
    """Delete what *user_id* wrote, and their side of each conversation; what others wrote to them stays."""
    for statement in (
        "DELETE FROM message_search USING messages m WHERE m.id = message_search.message_id AND m.sender_id = %(id)s",
        "DELETE FROM messages WHERE sender_id = %(id)s",
        """
        DELETE FROM conversations theirs USING conversations mine
         WHERE mine.user_id = %(id)s AND theirs.user_id = mine.other_id AND theirs.other_id = %(id)s
           AND NOT EXISTS (SELECT 1 FROM messages WHERE sender_id = theirs.user_id AND recipient_id = %(id)s)
        """,
        "DELETE FROM conversations WHERE user_id = %(id)s",
    ):
        await tx.execute(statement, {"id": user_id})


# Reading


async def list_messages(
    conn: Executor, *, user_id: int, offset: int, limit: int, oldest_first: bool = False
) -> list[MessageRow]:
    """Messages to and from *user_id*, by id."""
    order = "ASC" if oldest_first else "DESC"
    return await conn.fetch_all(
        MessageRow,
        f"""
        SELECT {message_columns("%(user_id)s")}
          FROM (SELECT id FROM (
                  (SELECT id FROM messages WHERE sender_id = %(user_id)s ORDER BY id {order} LIMIT %(reach)s)
                  UNION
                  (SELECT id FROM messages WHERE recipient_id = %(user_id)s ORDER BY id {order} LIMIT %(reach)s)) AS mine
                 ORDER BY id {order} OFFSET %(offset)s LIMIT %(limit)s) AS page
          JOIN messages m ON m.id = page.id
          JOIN users s ON s.id = m.sender_id
         ORDER BY m.id {order}
        """,
        {"user_id": user_id, "reach": offset + limit, "offset": offset, "limit": limit},
    )


async def list_conversation(
    conn: Executor,
    *,
    user_id: int,
    other_id: int,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int,
) -> list[MessageRow]:
    """The messages between two users, oldest first: the latest before *before_id*, or the first after *after_id*."""
    portion = Portion(user_id, other_id, before_id, after_id, limit)
    rows = await conn.fetch_all(
        MessageRow,
        Prepared(f"""
        SELECT {message_columns("%(user_id)s::bigint")}
          FROM messages m
          JOIN users s ON s.id = m.sender_id
         WHERE {IN_PORTION}
         ORDER BY m.conv {portion.order}, m.id {portion.order}
         LIMIT %(limit)s::bigint
        """),
        portion.as_params(),
    )
    return rows if after_id is not None else rows[::-1]


class ConversationRow(NamedTuple):
    other: UserRow
    read_up_to_id: int
    their_read_up_to_id: int
    unread_count: int
    position_id: int  # its place in the list: of its last message when the first page was made
    last_message: MessageRow


async def list_conversations(
    conn: Executor, *, user_id: int, before_id: int | None = None, as_of_id: int | None = None, limit: int
) -> list[ConversationRow]:
    """*user_id*'s conversations with their last message, in the order of the last ones, the newest first.

    *before_id* leads to the next page: conversations whose place is before it. *as_of_id*, the first place of the first
    page, keeps the places as they were then, so that a conversation which moves up meanwhile is not missed.
    """
    return await conn.fetch_all(
        ConversationRow,
        f"""
        SELECT o.id, o.email, o.name, o.created_at, o.is_admin, o.verified_at IS NOT NULL, o.stored_bytes,
               c.read_up_to_id, coalesce(theirs.read_up_to_id, 0), unread.count, c.position_id,
               {message_columns("%(user_id)s")}
          FROM (SELECT c.user_id, c.other_id, c.read_up_to_id, place.id AS position_id,
                       LEAST(c.user_id, c.other_id)::text || ':' || GREATEST(c.user_id, c.other_id)::text AS conv
                  FROM conversations c
                 CROSS JOIN LATERAL (
                       SELECT id FROM messages
                        WHERE conv = LEAST(c.user_id, c.other_id)::text || ':' || GREATEST(c.user_id, c.other_id)::text
                          AND id <= %(as_of_id)s
                        ORDER BY conv DESC, id DESC LIMIT 1) AS place
                 WHERE c.user_id = %(user_id)s AND place.id < %(before_id)s
                 ORDER BY place.id DESC
                 LIMIT %(limit)s) AS c
         CROSS JOIN LATERAL (
               SELECT id FROM messages WHERE conv = c.conv ORDER BY conv DESC, id DESC LIMIT 1) AS last
          JOIN messages m ON m.id = last.id
          JOIN users s ON s.id = m.sender_id
          JOIN users o ON o.id = c.other_id
          LEFT JOIN conversations theirs ON theirs.user_id = c.other_id AND theirs.other_id = c.user_id
         CROSS JOIN LATERAL (
               SELECT count(*) FROM unread_messages(c.user_id, c.other_id, c.read_up_to_id, %(max_unread)s)) AS unread
         ORDER BY c.position_id DESC
        """,
        {
            "user_id": user_id,
            "before_id": before_id or 2**63 - 1,
            "as_of_id": as_of_id or 2**63 - 1,
            "limit": limit,
            "max_unread": MAX_UNREAD,
        },
    )


async def have_talked(conn: Executor, *, user_id: int, other_id: int) -> bool:
    """Whether the two have a conversation."""
    row = await conn.fetch_one(
        _Id,
        Prepared("""
        SELECT other_id FROM conversations WHERE user_id = %(user_id)s::bigint AND other_id = %(other_id)s::bigint
        """),
        {"user_id": user_id, "other_id": other_id},
    )
    return row is not None


async def mark_read(conn: Executor, *, user_id: int, other_id: int, up_to_id: int) -> bool | None:
    """Store that *user_id* has read what *other_id* wrote, up to a message; never backwards.

    Whether that is further than before; None if they have no conversation.
    """
    low, high = sorted((user_id, other_id))
    row = await conn.fetch_one(
        _Moved,
        """
        WITH before AS (
            SELECT read_up_to_id FROM conversations WHERE user_id = %(user_id)s AND other_id = %(other_id)s FOR UPDATE
        ), reach AS (
            SELECT max(id) AS id FROM messages WHERE conv = %(conv)s AND id <= %(up_to_id)s
        )
        UPDATE conversations SET read_up_to_id = GREATEST(conversations.read_up_to_id, reach.id)
          FROM before, reach
         WHERE user_id = %(user_id)s AND other_id = %(other_id)s
        RETURNING conversations.read_up_to_id > before.read_up_to_id
        """,
        {"user_id": user_id, "other_id": other_id, "up_to_id": up_to_id, "conv": f"{low}:{high}"},
    )
    return None if row is None else row.moved


class _Moved(NamedTuple):
    moved: bool


class Unread(NamedTuple):
    read_up_to_id: int
    unread_count: int  # of the other person's messages, up to MAX_UNREAD
    total: int  # of all conversations, up to MAX_UNREAD


async def find_unread(conn: Executor, *, user_id: int, other_id: int) -> Unread | None:
    """How much *user_id* has not read, of what *other_id* wrote and in all. None if they have no conversation."""
    return await conn.fetch_one(
        Unread,
        """
        SELECT mine.read_up_to_id,
               (SELECT count(*) FROM unread_messages(%(user_id)s, %(other_id)s, mine.read_up_to_id, %(max_unread)s)),
               (SELECT count(*) FROM (
                    SELECT 1 FROM conversations c
                     CROSS JOIN LATERAL unread_messages(c.user_id, c.other_id, c.read_up_to_id, %(max_unread)s)
                     WHERE c.user_id = %(user_id)s
                     LIMIT %(max_unread)s) AS counted)
          FROM conversations mine
         WHERE mine.user_id = %(user_id)s AND mine.other_id = %(other_id)s
        """,
        {"user_id": user_id, "other_id": other_id, "max_unread": MAX_UNREAD},
    )


class Totals(NamedTuple):
    conversations: int  # with something unread
    messages: int  # unread, up to MAX_UNREAD
    seq: int  # of the last event


async def get_totals(conn: Executor, *, user_id: int) -> Totals:
    """What *user_id* has not read, and the event up to which that is so."""
    row = await conn.fetch_one(
        Totals,
        Prepared("""
        SELECT count(*) FILTER (WHERE unread > 0), LEAST(coalesce(sum(unread), 0), %(max_unread)s::integer)::bigint,
               coalesce((SELECT seq FROM mailboxes WHERE user_id = %(user_id)s::bigint), 0)
          FROM (SELECT (SELECT count(*) FROM unread_messages(c.user_id, c.other_id, c.read_up_to_id,
                                                             %(max_unread)s::integer)) AS unread
                  FROM conversations c WHERE c.user_id = %(user_id)s::bigint) AS each
        """),
        {"user_id": user_id, "max_unread": MAX_UNREAD},
    )
    assert row is not None
    return row
