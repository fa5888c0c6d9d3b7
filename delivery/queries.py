"""Every SQL statement about delivery: the numbered events that notify each user, and the outbox of e-mails."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from db import NODE_IS_GONE, Connection, Executor, Prepared, hold_node_lock, take_lock
from delivery.attachments import READERS, attachment_column
from delivery.events import Event

NOTES_PER_CALL = 190  # users in one NOTIFY, whose payload has less than 8,000 bytes: two numbers of 19 digits each
FORGOTTEN_PER_CALL = 5000  # events
MARK_BYTES = 8  # of a note's signature, in hex at its end
RETENTION_DAYS = 30  # of events


class _Total(NamedTuple):
    value: int


# Notes between nodes


def notify_nodes(payloads: str) -> str:
    """SQL that sends each `payload` that the query *payloads* returns, signed (`sign`).

    Any role that may connect to the database may send to a channel, too, but only our own role reads `installation`.
    """
    return f"""
        SELECT pg_notify(i.channel, n.payload || encode(substr(
                   sha256(i.note_key || sha256(i.note_key || convert_to(n.payload, 'UTF8'))), 1, {MARK_BYTES}), 'hex'))
          FROM ({payloads}) AS n, installation i"""


def sign(key: bytes, payload: str) -> str:
    """The signature of a note, as `notify_nodes` makes it. Hashed twice, as HMAC does it."""
    inner = hashlib.sha256(key + payload.encode()).digest()
    return hashlib.sha256(key + inner).digest()[:MARK_BYTES].hex()


class Line(NamedTuple):
    """Where notes go, and the key that signs them, in hex."""

    channel: str
    note_key: str


async def get_line(conn: Executor) -> Line:
    line = await conn.fetch_one(Line, "SELECT channel, encode(note_key, 'hex') FROM installation")
    assert line is not None
    return line


async def send_note(conn: Executor, *, payload: str) -> None:
    """Send the other nodes something that is not stored."""
    await conn.execute(notify_nodes("SELECT %(payload)s::text AS payload"), {"payload": payload})


# Events


class Delivery(NamedTuple):
    """An event's number for one user."""

    user_id: int
    seq: int


_NUMBERS = """
    SELECT 'e' || %(node_id)s || ' ' || string_agg(user_id || ':' || seq, ' ') AS payload
      FROM (SELECT user_id, seq, (row_number() OVER () - 1) / %(notes_per_call)s AS call FROM box) AS boxes
     GROUP BY call
"""


async def insert_events(
    tx: Connection, *, user_ids: Sequence[int], kind: str, ref_id: int, node_id: int | None
) -> list[Delivery]:
    """Number and store an event for each of *user_ids*, and with *node_id* notify the other nodes at the commit."""
    note = "SELECT" if node_id is None else notify_nodes(_NUMBERS)
    return await tx.fetch_all(
        Delivery,
        f"""
        WITH box AS (
            INSERT INTO mailboxes (user_id, seq)
            SELECT id, 1 FROM unnest(%(user_ids)s::bigint[]) AS id ORDER BY id
            ON CONFLICT (user_id) DO UPDATE SET seq = mailboxes.seq + 1
            RETURNING user_id, seq
        ), stored AS (
            INSERT INTO events (user_id, seq, kind, ref_id) SELECT user_id, seq, %(kind)s, %(ref_id)s FROM box
        ), note AS ({note}
        )
        SELECT user_id, seq FROM box WHERE (SELECT count(*) FROM note) >= 0
        """,
        {
            "user_ids": list(user_ids),
            "kind": kind,
            "ref_id": ref_id,
            "node_id": node_id,
            "notes_per_call": NOTES_PER_CALL,
        },
    )


class _UserId(NamedTuple):
    user_id: int


async def lock_mailboxes(tx: Connection, *, user_ids: Collection[int]) -> None:
    """Let nobody else notify *user_ids* before this transaction ends. In the order of the users, as everywhere."""
    await tx.fetch_all(
        _UserId,
        """
        SELECT user_id FROM mailboxes WHERE user_id = ANY(%(user_ids)s::bigint[]) ORDER BY user_id FOR NO KEY UPDATE
        """,
        {"user_ids": list(user_ids)},
    )


class EventRow(NamedTuple):
    user_id: int
    seq: int
    event: Event


async def list_events(conn: Executor, *, after: Mapping[int, int], limit: int) -> list[EventRow]:
    """For each user in *after*, the events after that number, in order, at most *limit* a user; as they look now."""
    return await conn.fetch_all(
        EventRow,
        Prepared(f"""
        SELECT e.user_id, e.seq, e.kind, e.ref_id,
               m.id, m.sender_id, m.recipient_id, m.content, m.created_at, s.name, m.client_id, m.edited_at, m.deleted_at,
               {attachment_column("e.user_id")},
               a.id, a.sender_id, a.content, a.created_at, s.name,
               CASE WHEN e.kind LIKE 'document.%%' THEN (
                   SELECT json_build_object('document_id', d.id, 'filename', d.filename, 'status', d.status,
                                            'page_count', d.page_count, 'tables_found', d.tables_found,
                                            'code', d.error_code, 'detail', d.error_detail,
                                            'owner_id', o.id, 'owner_name', o.name)
                     FROM documents d
                     JOIN {READERS} AS r ON r.document_id = d.id AND r.user_id = e.user_id
                     JOIN users o ON o.id = d.user_id
                    WHERE d.id = e.ref_id) END
          FROM unnest(%(user_ids)s::bigint[], %(seqs)s::bigint[]) AS w (user_id, seq)
         CROSS JOIN LATERAL (
               SELECT user_id, seq, kind, ref_id FROM events
                WHERE user_id = w.user_id AND seq > w.seq
                ORDER BY seq LIMIT %(limit)s::bigint) AS e
          LEFT JOIN messages m ON m.id = e.ref_id AND e.kind IN ('message', 'edited', 'deleted')
          LEFT JOIN announcements a ON a.id = e.ref_id AND e.kind = 'announcement'
          LEFT JOIN users s ON s.id = coalesce(m.sender_id, a.sender_id)
         ORDER BY e.user_id, e.seq
        """),
        {"user_ids": list(after), "seqs": list(after.values()), "limit": limit},
    )


class Mailbox(NamedTuple):
    user_id: int
    seq: int  # of the last event
    forgotten_seq: int  # of the last event past its retention


async def list_mailboxes(conn: Executor, *, user_ids: Sequence[int]) -> list[Mailbox]:
    """The last event of each of *user_ids*; a user without one has no row."""
    return await conn.fetch_all(
        Mailbox,
        Prepared("SELECT user_id, seq, forgotten_seq FROM mailboxes WHERE user_id = ANY(%(user_ids)s::bigint[])"),
        {"user_ids": list(user_ids)},
    )


async def list_behind(conn: Executor, *, tails: Mapping[int, int]) -> list[Delivery]:
    """The last event of each user who has one after the number in *tails*."""
    return await conn.fetch_all(
        Delivery,
        Prepared("""
        SELECT m.user_id, m.seq
          FROM unnest(%(user_ids)s::bigint[], %(seqs)s::bigint[]) AS w (user_id, seq)
          JOIN mailboxes m ON m.user_id = w.user_id AND m.seq > w.seq
        """),
        {"user_ids": as_array(tails), "seqs": as_array(tails.values())},
    )


def as_array(values: Iterable[int]) -> str:
    """Numbers or booleans as PostgreSQL writes an array: one constant, where psycopg2 would make it parse one for each."""
    return "{" + ",".join(map(str, values)) + "}"


class _IsPart(NamedTuple):
    is_part: bool


async def is_part_of_history(conn: Executor, *, user_id: int, seq: int, epoch: str) -> bool:
    """Whether what a client received as *user_id*'s event *seq*, in an epoch that may be over, is in this database.

    It is not if the epoch is unknown here, or was over before that event was stored: then it was another event.
    """
    row = await conn.fetch_one(
        _IsPart,
        """
        SELECT next.began_at IS NULL OR %(seq)s = 0
               OR coalesce((SELECT created_at FROM events WHERE user_id = %(user_id)s AND seq = %(seq)s),
                           now() - %(days)s * interval '1 day') < next.began_at
          FROM epochs e
          LEFT JOIN LATERAL (
               SELECT began_at FROM epochs WHERE ordinal > e.ordinal ORDER BY ordinal LIMIT 1) AS next ON true
         WHERE e.id = %(epoch)s
        """,
        {"user_id": user_id, "seq": seq, "epoch": epoch, "days": RETENTION_DAYS},
    )
    return row is not None and row.is_part


async def forget_events(conn: Executor, *, days: int) -> bool:
    """Delete events older than *days*, a batch at a time; False if there were none."""
    row = await conn.fetch_one(
        _Total,
        """
        WITH gone AS (
            DELETE FROM events WHERE ctid = ANY (ARRAY (
                SELECT ctid FROM events WHERE created_at < now() - %(days)s * interval '1 day'
                 LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            RETURNING user_id, seq
        ), last AS (
            SELECT user_id, max(seq) AS seq FROM gone GROUP BY user_id
        ), locked AS (
            SELECT m.user_id, last.seq FROM mailboxes m JOIN last USING (user_id) ORDER BY m.user_id FOR UPDATE OF m
        ), marked AS (
            UPDATE mailboxes m SET forgotten_seq = GREATEST(m.forgotten_seq, locked.seq)
              FROM locked WHERE m.user_id = locked.user_id
        )
        SELECT count(*) FROM gone
        """,
        {"days": days, "limit": FORGOTTEN_PER_CALL},
    )
    return row is not None and row.value > 0


# Epochs


class Epoch(NamedTuple):
    id: str
    place: str  # which cluster, database and table
    lsn: int  # how much the cluster had written when it was asked

    def was_put_back(self, known: "Epoch") -> bool:
        """Whether the database is in an older state, or another copy, than where *known* was seen."""
        return self.place != known.place or self.lsn < known.lsn


class _MayAsk(NamedTuple):
    value: bool


async def get_epoch(conn: Executor) -> Epoch:
    """The present epoch. Where the role may not ask which cluster it is, only its database and table tell a copy."""
    may_ask = await conn.fetch_one(_MayAsk, "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
    cluster = "(SELECT system_identifier FROM pg_control_system())" if may_ask and may_ask.value else "0"
    epoch = await conn.fetch_one(
        Epoch,
        Prepared(f"""
        SELECT coalesce((SELECT id FROM epochs ORDER BY ordinal DESC LIMIT 1), ''),
               md5(concat_ws(' ', {cluster}, (SELECT oid FROM pg_database WHERE datname = current_database()),
                             'events'::regclass::oid)),
               (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint
        """),
    )
    assert epoch is not None
    return epoch


async def count_other_nodes(conn: Executor, *, node_id: int) -> int:
    """Those that are alive, by the locks that they hold."""
    row = await conn.fetch_one(
        _Total,
        Prepared("""
        SELECT count(*) FROM pg_locks
         WHERE locktype = 'advisory' AND classid = (SELECT node_lock FROM installation)
           AND objid <> %(node_id)s::integer::oid AND objsubid = 2 AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """),
        {"node_id": node_id},
    )
    return 0 if row is None else row.value


async def join_epoch(
    connection: Connection, *, node_id: int, known: Epoch | None, promised: Mapping[int, int]
) -> Epoch:
    """Hold this node's lock, and return the epoch; a new one, if this node is the first or the database was put back.

    *known* is the epoch this node was in before it lost its connection: then being the first is no reason, since its
    clients are still there. Signs of an older state are another place, a cluster that has written less than it had, or
    an event that was committed (*promised*, by user) and is not there.
    """
    await connection.execute("BEGIN")
    await take_lock(connection, "epoch")
    current = await get_epoch(connection)
    others = await count_other_nodes(connection, node_id=node_id)
    lacking = await connection.fetch_one(
        _Total,
        """
        SELECT count(*) FROM unnest(%(user_ids)s::bigint[], %(seqs)s::bigint[]) AS p (user_id, seq)
          LEFT JOIN mailboxes m ON m.user_id = p.user_id
         WHERE coalesce(m.seq, 0) < p.seq
        """,
        {"user_ids": list(promised), "seqs": list(promised.values())},
    )
    last = await connection.fetch_one(_LastEpoch, "SELECT id, place FROM epochs ORDER BY ordinal DESC LIMIT 1")
    assert lacking is not None
    is_copy = last is None or last.place != current.place
    is_first = known is None and others == 0
    # Where another epoch began since *known*, another node has seen the same: one is enough.
    is_known = known is not None and last is not None and last.id == known.id
    is_older = is_known and known is not None and (current.was_put_back(known) or lacking.value > 0)
    if is_copy or is_first or is_older:
        await connection.execute("INSERT INTO epochs (place) VALUES (%(place)s)", {"place": current.place})
        await connection.execute(
            "DELETE FROM epochs WHERE ordinal < (SELECT max(ordinal) FROM epochs WHERE began_at < now() - %(days)s * interval '1 day')",
            {"days": RETENTION_DAYS},
        )
        current = await get_epoch(connection)
    await hold_node_lock(connection, node_id=node_id)
    await connection.execute("COMMIT")
    return current


class _LastEpoch(NamedTuple):
    id: str
    place: str


# Notifications


class NotificationRow(NamedTuple):
    id: int
    email: str
    message: str
    attempts: int
    sender_name: str | None
    sender_email: str | None
    is_sender_verified: bool  # the address is known to be theirs


class _NotificationId(NamedTuple):
    id: int


async def insert_notification(conn: Executor, *, sender_id: int | None, email: str, message: str) -> int:
    row = await conn.fetch_one(
        _NotificationId,
        """
        INSERT INTO notifications (sender_id, email, message, is_own)
        VALUES (%(sender_id)s, %(email)s, %(message)s, %(sender_id)s::bigint IS NULL)
        RETURNING id
        """,
        {"sender_id": sender_id, "email": email, "message": message},
    )
    assert row is not None
    return row.id


async def claim_notification(
    conn: Executor, *, node_id: int, notification_id: int | None = None
) -> NotificationRow | None:
    """Claim the next notification that is due and that no other living node is sending, or only that with the id; its
    attempts count this one.

    Pagewire's own come first: who waits for a link does not wait for a crowd of users.
    """
    return await conn.fetch_one(
        NotificationRow,
        f"""
        UPDATE notifications AS n SET node_id = %(node_id)s, attempts = attempts + 1
         WHERE id = (SELECT id FROM notifications
                      WHERE status = 'queued' AND next_attempt_at <= now()
                        AND id = coalesce(%(notification_id)s, id)
                        AND (node_id = %(node_id)s OR {NODE_IS_GONE})
                      ORDER BY is_own DESC, next_attempt_at
                        FOR UPDATE SKIP LOCKED LIMIT 1)
        RETURNING n.id, n.email, n.message, n.attempts, (SELECT name FROM users WHERE id = n.sender_id),
                  (SELECT email FROM users WHERE id = n.sender_id),
                  EXISTS (SELECT 1 FROM users WHERE id = n.sender_id AND verified_at IS NOT NULL)
        """,
        {"node_id": node_id, "notification_id": notification_id},
    )


async def finish_notification(
    conn: Executor, *, notification_id: int, status: str, last_error: str | None = None
) -> None:
    """*status* is sent, not_sent or failed."""
    await conn.execute(
        """
        UPDATE notifications
           SET status = %(status)s, last_error = %(last_error)s, node_id = NULL, finished_at = now(),
               message = CASE WHEN is_own THEN '' ELSE message END
         WHERE id = %(notification_id)s
        """,
        {"notification_id": notification_id, "status": status, "last_error": last_error},
    )


async def postpone_notification(conn: Executor, *, notification_id: int, seconds: float, last_error: str) -> None:
    await conn.execute(
        """
        UPDATE notifications
           SET next_attempt_at = now() + %(seconds)s * interval '1 second', last_error = %(last_error)s, node_id = NULL
         WHERE id = %(notification_id)s
        """,
        {"notification_id": notification_id, "seconds": seconds, "last_error": last_error},
    )


async def forget_notifications(conn: Executor, *, days: int) -> None:
    """Delete those that were finished more than *days* ago."""
    await conn.execute(
        "DELETE FROM notifications WHERE finished_at < now() - %(days)s * interval '1 day'", {"days": days}
    )


class _Seconds(NamedTuple):
    value: float | None


async def seconds_to_next_notification(conn: Executor, *, node_id: int) -> float | None:
    """How long until a queued notification is due (negative when overdue); None if none is queued."""
    row = await conn.fetch_one(
        _Seconds,
        """
        SELECT extract(epoch FROM min(next_attempt_at) - now())::float8
          FROM notifications WHERE status = 'queued' AND (node_id IS NULL OR node_id = %(node_id)s)
        """,
        {"node_id": node_id},
    )
    return None if row is None else row.value
