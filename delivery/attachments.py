"""Documents as messages and events show them: who may read one, and how it looks to one reader."""

from typing import Any
from urllib.parse import quote

THUMBNAIL_WIDTH = 240  # pixels

# Who may read which document: its owner, and the people it is shared with. Every query that asks joins this.
READERS = """
    (SELECT id AS document_id, user_id FROM documents
      UNION ALL
     SELECT document_id, user_id FROM document_shares)
"""

Attachment = dict[str, Any]  # as attachment_column() builds it


def may_read(reader: str, document_id: str) -> str:
    """SQL that is true if *reader* may read *document_id*; both are SQL expressions."""
    return f"EXISTS (SELECT 1 FROM {READERS} AS r WHERE r.document_id = {document_id} AND r.user_id = {reader})"


def attachment_column(reader: str) -> str:
    """SQL for the document that `messages m` points at, as *reader* (an SQL expression) may see it now; else NULL.

    What was quoted stays in the conversation. Of a document that is deleted or taken back, nothing newer is shown.
    """
    return f"""
    CASE WHEN m.document_id IS NOT NULL THEN (
        SELECT json_build_object(
                   'document_id', m.document_id, 'filename', coalesce(d.filename, m.document_name),
                   'page_count', d.page_count, 'page', m.page, 'match', m.match,
                   'snippet', coalesce(m.quote, '[]'), 'status', d.status, 'available', d.id IS NOT NULL,
                   'version', left(d.sha256, 8))
          FROM (SELECT 1) AS card
          LEFT JOIN documents d ON d.id = m.document_id AND {may_read(reader, "m.document_id")}) END
    """


def describe_attachment(attachment: Attachment | None) -> dict[str, object] | None:
    """The field `attachment` of frames and answers."""
    if attachment is None:
        return None
    names = ("document_id", "filename", "page_count", "page", "match", "snippet")
    is_shown = attachment["available"] and attachment["status"] != "failed"
    return {
        **{name: attachment[name] for name in names},
        "thumbnail": _thumbnail(attachment) if is_shown else None,
        "status": attachment["status"],
        "available": attachment["available"],
    }


def _thumbnail(attachment: Attachment) -> str:
    page, term = attachment["page"] or 1, attachment["match"]
    painted = f"&q={quote(term, safe='')}" if term else ""
    return thumbnail_address(attachment["document_id"], attachment["version"], page) + painted


def thumbnail_address(document_id: int, version: str | None, page: int = 1) -> str:
    """Of a small picture of a page; *version*, the first 8 characters of the sha256, lets browsers keep it."""
    kept = f"&v={version}" if version else ""
    return f"/documents/{document_id}/pages/{page}/image?width={THUMBNAIL_WIDTH}{kept}"
