"""The SQL of files' passwords."""

from collections.abc import Mapping
from typing import NamedTuple

from db import Executor


class _Sealed(NamedTuple):
    sealed_password: str | None


class OpenPassword(NamedTuple):
    id: int
    sha256: str | None
    password: str
    is_needed: bool  # its file is encrypted and was read, or is still to be read


async def find_sealed_password(conn: Executor, *, document_id: int) -> str | None:
    row = await conn.fetch_one(_Sealed, "SELECT sealed_password FROM documents WHERE id = %(id)s", {"id": document_id})
    return None if row is None else row.sealed_password


async def list_open_passwords(conn: Executor, *, limit: int) -> list[OpenPassword]:
    """Those that an older version stored."""
    return await conn.fetch_all(
        OpenPassword,
        """
        SELECT id, sha256, password, status = 'processing' OR (status = 'ready' AND encrypted)
          FROM documents WHERE password IS NOT NULL ORDER BY id LIMIT %(limit)s
        """,
        {"limit": limit},
    )


async def seal_passwords(conn: Executor, *, sealed: Mapping[int, str | None]) -> None:
    await conn.execute(
        """
        UPDATE documents d SET password = NULL, sealed_password = s.password
          FROM unnest(%(ids)s::bigint[], %(passwords)s::text[]) AS s (id, password)
         WHERE d.id = s.id AND d.password IS NOT NULL
        """,
        {"ids": list(sealed), "passwords": list(sealed.values())},
    )
