"""Documents that an older reader extracted are extracted again, in the background, while nobody waits for one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from db import Database
from documents import queries
from documents.extractions import Seen, store_part
from documents.passwords import FilePasswords
from documents.queries import DocumentRow
from documents.storage import Storage
from edge.background import cancel, repeat
from errors import PagewireError
from extraction.values import READER_VERSION, Part
from pdf import PdfEngine, PdfFile

RENEW_EVERY_SECONDS = 20.0
SAVE_SECONDS = 60.0
EACH = 16  # of one owner, until the owners are listed again
AT_ONCE = 256

logger = logging.getLogger("pagewire.renewals")


class Renewals:
    """One document at a time, each owner's newest first; owners take turns.

    Until the new text is complete, the old one is shown and found.
    """

    def __init__(
        self,
        database: Database,
        engine: PdfEngine,
        storage: Storage,
        passwords: FilePasswords,
        *,
        node_id: int,
        wait_for_others: Callable[[], Awaitable[None]],
    ) -> None:
        """*wait_for_others*: until this node extracts nothing else."""
        self._database = database
        self._engine = engine
        self._storage = storage
        self._passwords = passwords
        self._node_id = node_id
        self._wait_for_others = wait_for_others
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(
            repeat(self._renew_all, every_seconds=RENEW_EVERY_SECONDS, logger=logger, name="extracting documents again")
        )

    async def close(self) -> None:
        await cancel(self._task)

    async def _renew_all(self) -> None:
        while any([await self._renew_one(document_id) for document_id in await self._list_older()]):
            pass

    async def _list_older(self) -> list[int]:
        return await queries.list_older_extractions(
            self._database, node_id=self._node_id, reader_version=READER_VERSION, each=EACH, limit=AT_ONCE
        )

    async def _renew_one(self, document_id: int) -> bool:
        """False if another node has taken it, or extracts something else."""
        await self._wait_for_others()
        if not await queries.claim_older_extraction(
            self._database, document_id=document_id, node_id=self._node_id, reader_version=READER_VERSION
        ):
            return False
        document = await queries.find_document(self._database, document_id=document_id)
        if document is not None:
            await self._renew(document)
        return True

    async def _renew(self, document: DocumentRow) -> None:
        try:
            parts = await self._read(document)
        except Exception as error:
            # What is wrong with the file will not change: its old text stays. Anything else may pass.
            is_final = isinstance(error, PagewireError) and error.status < 500
            await queries.release_extraction(
                self._database,
                document_id=document.id,
                node_id=self._node_id,
                reader_version=READER_VERSION if is_final else None,
            )
            if not is_final:
                raise
            logger.info("document %d keeps its older text: %s", document.id, error)
            return
        async with self._database.transaction(seconds=SAVE_SECONDS) as tx:
            if await queries.reopen_extraction(tx, document_id=document.id, node_id=self._node_id):
                seen = Seen([], [])
                for part in parts:
                    seen.add(part)
                    await store_part(tx, document_id=document.id, node_id=self._node_id, part=part, seen=seen)

    async def _read(self, document: DocumentRow) -> list[Part]:
        source = await self._storage.fetch(document.file_path)
        password = await self._passwords.find(self._database, document)
        parts: list[Part] = []
        async for part in self._engine.extract_parts(PdfFile(source, password), with_vectors=True, in_background=True):
            parts.append(part)
            await self._wait_for_others()
        return parts
