"""The passwords of encrypted files, whose pages are shown long after they were extracted: sealed for this server."""

import base64
import hashlib
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from auth import Gatekeeper
from db import Database
from documents import password_queries as queries
from documents.queries import DocumentRow

PORTION = 1000  # of an older version's passwords, sealed at once


class FilePasswords:
    """Seals by a key that follows from *secret*.

    By AES-SIV (RFC 5297), which needs no nonce: the same password of the same file looks the same, so that a copy of
    what was extracted can ask for it, and of no other file does.
    """

    @classmethod
    def of_installation(cls, gatekeeper: Gatekeeper) -> Self:
        """By a key that all servers and workers of one SECRET_KEY share, also after a backup is restored."""
        return cls(gatekeeper.tokens.derive_secret("documents", "file passwords"))

    def __init__(self, secret: str) -> None:
        self._cipher = AESSIV(hashlib.sha256(secret.encode()).digest())

    def seal(self, password: str | None, *, sha256: str | None) -> str | None:
        """What is stored of the *password* of the file *sha256*."""
        if password is None:
            return None
        sealed = self._cipher.encrypt(password.encode("utf-8", "surrogatepass"), [(sha256 or "").encode()])
        return base64.b64encode(sealed).decode()

    async def find(self, database: Database, document: DocumentRow) -> str | None:
        """The password that opens the file; None if it needs none, or was sealed with another key."""
        if not document.has_password:
            return None
        sealed = await queries.find_sealed_password(database, document_id=document.id)
        try:
            opened = self._cipher.decrypt(base64.b64decode(sealed or ""), [(document.sha256 or "").encode()])
        except (InvalidTag, ValueError):
            return None
        return opened.decode("utf-8", "surrogatepass")

    async def seal_older(self, database: Database) -> None:
        """Seal what an older version kept as it was typed; forget what opened nothing."""
        while rows := await queries.list_open_passwords(database, limit=PORTION):
            sealed = {row.id: self.seal(row.password, sha256=row.sha256) if row.is_needed else None for row in rows}
            await queries.seal_passwords(database, sealed=sealed)
