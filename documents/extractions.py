"""What is stored of an extraction: its pages with their tables and search vectors, part by part."""

from typing import NamedTuple

from db import Connection
from documents import queries
from documents.queries import PageRow, TableRow
from extraction.notices import Finding, to_warnings
from extraction.values import READER_VERSION, Note, Part
from index import queries as index


class Seen(NamedTuple):
    """What the parts of a document tell besides their pages."""

    findings: list[Finding]
    notes: list[Note]

    def add(self, part: Part) -> None:
        self.findings.extend(part.findings)
        self.notes.extend(part.notes)


class Stored(NamedTuple):
    is_ours: bool  # False: the document was deleted, or is another node's now
    owner_id: int | None = None  # with the last part


async def store_part(tx: Connection, *, document_id: int, node_id: int, part: Part, seen: Seen) -> Stored:
    """Store one part, and with the last one the state of the whole."""
    ours = {"document_id": document_id, "node_id": node_id}
    if part.pages[0].page_number == 1 and not await queries.begin_extraction(
        tx, **ours, page_count=part.page_count, metadata=part.metadata, encrypted=part.encrypted
    ):
        return Stored(is_ours=False)
    pages = [PageRow(*page) for page in part.pages]
    tables = [TableRow(*table) for table in part.tables]
    if not await queries.save_pages(tx, **ours, pages=pages, tables=tables):
        return Stored(is_ours=False)
    await index.put_pages(
        tx,
        document_id=document_id,
        names=await index.get_name_vector(tx, document_id=document_id),
        page_numbers=[page.page_number for page in pages],
        vectors=part.vectors,
    )
    if pages[-1].page_number < part.page_count:
        return Stored(is_ours=True)
    owner_id = await queries.finish_extraction(
        tx,
        **ours,
        warnings=to_warnings(seen.findings, part.page_count),
        notes=seen.notes,
        reader_version=READER_VERSION,
    )
    return Stored(is_ours=True, owner_id=owner_id)
