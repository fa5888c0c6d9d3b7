"""Every SQL statement about an installation as a whole."""

from collections.abc import Sequence
from typing import NamedTuple

from db import Connection, Executor


class FileRow(NamedTuple):
    document_id: int
    file_path: str
    sha256: str | None  # None: an older installation stored none


async def list_files(conn: Executor, *, after_id: int, limit: int) -> list[FileRow]:
    """The files of all documents, by document."""
    return await conn.fetch_all(
        FileRow,
        """
        SELECT id, file_path, sha256 FROM documents WHERE id > %(after_id)s ORDER BY id LIMIT %(limit)s
        """,
        {"after_id": after_id, "limit": limit},
    )


class _Text(NamedTuple):
    value: str


async def export_snapshot(tx: Connection) -> str:
    """What this transaction sees, for pg_dump to see, too, while it lasts."""
    row = await tx.fetch_one(_Text, "SELECT pg_export_snapshot()")
    assert row is not None
    return row.value


class Occupancy(NamedTuple):
    has_tables: bool
    sessions: int  # of others


async def get_occupancy(conn: Executor) -> Occupancy:
    row = await conn.fetch_one(
        Occupancy,
        """
        SELECT to_regclass('users') IS NOT NULL,
               (SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')
        """,
    )
    assert row is not None
    return row


class _Flag(NamedTuple):
    value: bool


async def has_accounts(conn: Executor) -> bool:
    row = await conn.fetch_one(_Flag, "SELECT EXISTS (SELECT FROM users)")
    assert row is not None
    return row.value


async def become_another_installation(tx: Connection, *, mark: str, gone: Sequence[int]) -> None:
    """Call it *mark*, in the names of its files too; delete the documents in *gone*."""
    await tx.execute("DELETE FROM documents WHERE id = ANY(%(gone)s::bigint[])", {"gone": list(gone)})
    await tx.execute(
        """
        UPDATE documents d SET file_path = %(mark)s || substr(d.file_path, length(i.mark) + 1)
          FROM installation i WHERE d.file_path ~ ('^' || i.mark || '-[0-9a-f]{32}[.]pdf$')
        """,
        {"mark": mark},
    )
    await tx.execute(
        "UPDATE installation SET mark = %(mark)s, channel = DEFAULT, note_key = DEFAULT, node_lock = DEFAULT",
        {"mark": mark},
    )
