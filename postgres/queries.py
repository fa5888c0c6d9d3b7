"""What the server says of itself and of its catalog, and the SQL of a migration that schema.sql cannot hold."""

from collections.abc import Sequence
from typing import NamedTuple

from db import Connection, Executor

SCHEMA_LOCK = 7_267_001  # any number, the same in every process; held while the schema is applied for the first time


# The server


class ServerRow(NamedTuple):
    """Names are quoted where SQL needs it."""

    version: int  # 180006
    encoding: str
    is_standby: bool
    is_read_only: bool
    read_only_source: str  # where default_transaction_read_only was set, as in pg_settings
    role: str
    database: str
    schema: str | None  # where tables are created
    may_create: bool


async def get_server(conn: Executor) -> ServerRow:
    row = await conn.fetch_one(
        ServerRow,
        """
        SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), pg_is_in_recovery(),
               current_setting('transaction_read_only')::boolean,
               (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only'),
               quote_ident(current_user), quote_ident(current_database()), quote_ident(current_schema()),
               COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)
        """,
    )
    assert row is not None
    return row


class ReachRow(NamedTuple):
    """Names are quoted where SQL needs it."""

    is_open: bool  # to every role of the server
    role: str
    database: str


async def get_reach(conn: Executor) -> ReachRow:
    """Who may connect to the database."""
    row = await conn.fetch_one(
        ReachRow,
        """
        SELECT has_database_privilege('public', current_database(), 'CONNECT'),
               quote_ident(current_user), quote_ident(current_database())
        """,
    )
    assert row is not None
    return row


class BackendRow(NamedTuple):
    """The process that serves a connection."""

    pid: int
    server_started_at: str  # tells two servers apart, should a connection be to either


async def get_backend(conn: Executor) -> BackendRow:
    row = await conn.fetch_one(BackendRow, "SELECT pg_backend_pid(), pg_postmaster_start_time()::text")
    assert row is not None
    return row


# The catalog: what is there under the names of schema.sql


class RelationRow(NamedTuple):
    name: str
    kind: str  # pg_class.relkind: "r" is a table
    owner: str  # quoted where SQL needs it
    is_ours: bool  # its owner's rights are ours
    may_write: bool


class ColumnRow(NamedTuple):
    relation: str
    name: str
    type: str
    is_required: bool
    has_default: bool


class FunctionRow(NamedTuple):
    name: str
    owner: str
    is_ours: bool


async def list_relations(conn: Executor, *, names: Sequence[str]) -> list[RelationRow]:
    return await conn.fetch_all(
        RelationRow,
        """
        SELECT c.relname, c.relkind::text, quote_ident(pg_get_userbyid(c.relowner)), pg_has_role(c.relowner, 'USAGE'),
               has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
               AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
               AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
                                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                                  AND d.refobjid = c.oid AND d.deptype = 'a'   -- not of an identity, which needs no right
                                  AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END)
          FROM pg_class c
         WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
           AND c.relname = ANY(%(names)s)
         ORDER BY c.relname
        """,
        {"names": list(names)},
    )


async def list_columns(conn: Executor, *, names: Sequence[str]) -> list[ColumnRow]:
    return await conn.fetch_all(
        ColumnRow,
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull, a.atthasdef OR a.attidentity <> ''
          FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
           AND c.relname = ANY(%(names)s)
         ORDER BY c.relname, a.attnum
        """,
        {"names": list(names)},
    )


async def list_functions(conn: Executor, *, names: Sequence[str]) -> list[FunctionRow]:
    """Functions of these names, each with the types of its arguments."""
    return await conn.fetch_all(
        FunctionRow,
        """
        SELECT oid::regprocedure::text, quote_ident(pg_get_userbyid(proowner)), pg_has_role(proowner, 'USAGE')
          FROM pg_proc
         WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
           AND proname = ANY(%(names)s)
         ORDER BY proname
        """,
        {"names": list(names)},
    )


class _NameRow(NamedTuple):
    name: str


async def list_foreign_keys(conn: Executor, *, table: str) -> list[str]:
    """Names of the table's constraints that refer to others, quoted where SQL needs it."""
    rows = await conn.fetch_all(
        _NameRow,
        "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype = 'f'",
        {"table": table},
    )
    return [row.name for row in rows]


async def list_sequences(conn: Executor, *, table: str) -> list[str]:
    """What numbers the ids of *table*, whether its own or one that its default names; quoted where SQL needs it."""
    rows = await conn.fetch_all(
        _NameRow,
        """
        SELECT DISTINCT format('%%I.%%I', n.nspname, s.relname)
          FROM pg_attribute a
          LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
          JOIN pg_depend d
            ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
            OR d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
          JOIN pg_class s
            ON s.oid = CASE d.classid WHEN 'pg_class'::regclass THEN d.objid ELSE d.refobjid END AND s.relkind = 'S'
          JOIN pg_namespace n ON n.oid = s.relnamespace
         WHERE a.attrelid = %(table)s::regclass AND a.attname = 'id'
        """,
        {"table": table},
    )
    return [row.name for row in rows]


async def get_time_zone(conn: Executor) -> str:
    """The server's, or the role's: not the one that our sessions set."""
    row = await conn.fetch_one(_NameRow, "SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'")
    assert row is not None
    return row.name


# The schema's version


class VersionRow(NamedTuple):
    version: int
    content_hash: str


class _MayLock(NamedTuple):
    value: bool


_MAY_LOCK = """
    SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('schema_version') AND relkind = 'r'
                      AND has_table_privilege(oid, 'UPDATE'))
"""


async def lock_schema(tx: Connection) -> None:
    """Let nobody else apply the schema until the transaction ends. Other roles could hold up an advisory lock."""
    may_lock = await tx.fetch_one(_MayLock, _MAY_LOCK)
    if may_lock is not None and not may_lock.value:
        await tx.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": SCHEMA_LOCK})
        may_lock = await tx.fetch_one(_MayLock, _MAY_LOCK)  # who was first has made it
    if may_lock is not None and may_lock.value:
        await tx.execute("LOCK TABLE schema_version IN EXCLUSIVE MODE")


async def find_version(conn: Executor) -> VersionRow | None:
    return await conn.fetch_one(
        VersionRow, "SELECT version, content_hash FROM schema_version ORDER BY version DESC, applied_at DESC LIMIT 1"
    )


async def insert_version(conn: Executor, *, version: int, content_hash: str) -> None:
    await conn.execute(
        "INSERT INTO schema_version (version, content_hash) VALUES (%(version)s, %(content_hash)s)",
        {"version": version, "content_hash": content_hash},
    )


# Addresses and names as they are compared


class AccountRow(NamedTuple):
    id: int
    email: str
    name: str
    email_key: str | None
    name_key: str | None


async def list_accounts(conn: Executor, *, after_id: int, limit: int) -> list[AccountRow]:
    return await conn.fetch_all(
        AccountRow,
        """
        SELECT id, email, name, email_key, name_key FROM users WHERE id > %(after_id)s ORDER BY id LIMIT %(limit)s
        """,
        {"after_id": after_id, "limit": limit},
    )


async def set_keys(
    conn: Executor, *, user_ids: Sequence[int], email_keys: Sequence[str], name_keys: Sequence[str]
) -> None:
    """The three run in parallel."""
    await conn.execute(
        """
        UPDATE users SET email_key = changed.email_key, name_key = changed.name_key
          FROM unnest(%(user_ids)s::bigint[], %(email_keys)s::text[], %(name_keys)s::text[])
               AS changed (id, email_key, name_key)
         WHERE users.id = changed.id
        """,
        {"user_ids": list(user_ids), "email_keys": list(email_keys), "name_keys": list(name_keys)},
    )


# The names of documents


class DocumentNameRow(NamedTuple):
    id: int
    filename: str
    name_key: str | None


async def list_document_names(conn: Executor, *, after_id: int, limit: int) -> list[DocumentNameRow]:
    return await conn.fetch_all(
        DocumentNameRow,
        "SELECT id, filename, name_key FROM documents WHERE id > %(after_id)s ORDER BY id LIMIT %(limit)s",
        {"after_id": after_id, "limit": limit},
    )


async def set_name_keys(conn: Executor, *, document_ids: Sequence[int], name_keys: Sequence[str]) -> None:
    """The two run in parallel."""
    await conn.execute(
        """
        WITH changed AS (SELECT * FROM unnest(%(document_ids)s::bigint[], %(name_keys)s::text[]) AS c (id, name_key)),
             renamed AS (UPDATE documents d SET name_key = changed.name_key FROM changed WHERE d.id = changed.id)
        UPDATE document_shares s SET name_key = changed.name_key FROM changed WHERE s.document_id = changed.id
        """,
        {"document_ids": list(document_ids), "name_keys": list(name_keys)},
    )


# The installation


class _MarkRow(NamedTuple):
    mark: str


async def get_installation_mark(conn: Executor) -> str:
    """Return the twelve hex digits in the name of every file that this installation stores."""
    row = await conn.fetch_one(_MarkRow, "SELECT mark FROM installation")
    assert row is not None
    return row.mark
