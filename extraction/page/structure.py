"""The structure of a file, as qpdf reads it: what PDFium does not tell of it, and the repair of what it refuses."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree

import pikepdf

from errors import PasswordRequiredError
from extraction.notices import ATTACHMENTS, REPAIRED, XFA_FORM
from extraction.page.layers import find_hidden, hide

MAXIMUM_DEPTH = 100  # of a page tree
MAXIMUM_XMP_BYTES = 1_000_000
_XMP_NAMES = {  # by the key of the information dictionary
    "Title": "{http://purl.org/dc/elements/1.1/}title",
    "Author": "{http://purl.org/dc/elements/1.1/}creator",
    "Subject": "{http://purl.org/dc/elements/1.1/}description",
    "Keywords": "{http://ns.adobe.com/pdf/1.3/}Keywords",
    "Creator": "{http://ns.adobe.com/xap/1.0/}CreatorTool",
    "Producer": "{http://ns.adobe.com/pdf/1.3/}Producer",
    "CreationDate": "{http://ns.adobe.com/xap/1.0/}CreateDate",
    "ModDate": "{http://ns.adobe.com/xap/1.0/}ModifyDate",
}
_CATALOG = re.compile(rb"(\d+)\s+(\d+)\s+obj\b(?:(?!endobj).)*?/Type\s*/Catalog\b", re.DOTALL)


class Structure(NamedTuple):
    xmp: bytes  # a packet of metadata, or nothing
    warnings: list[str]  # codes
    marked: bytes | None  # the file with its hidden layers marked, if it has any


def read_structure(file: BinaryIO, password: str | None) -> Structure:
    try:
        with pikepdf.open(
            file,
            password=password or "",
            attempt_recovery=False,
            inherit_page_attributes=False,  # which would walk all pages
            suppress_warnings=True,
        ) as pdf:
            if not _is_tree(pdf):
                return Structure(b"", [REPAIRED], None)
            hidden = _try(lambda: find_hidden(pdf)) or []
            marked = None
            if hidden:
                hide(pdf, hidden)
                marked = _save(pdf)
            warnings = _try(lambda: list(_list_warnings(pdf))) or []
            return Structure(_try(lambda: _read_packet(pdf)) or b"", warnings, marked)
    except pikepdf.PasswordError:
        return Structure(b"", [], None)
    except MemoryError:
        raise
    except Exception:  # qpdf and damaged dictionaries raise anything
        return Structure(b"", [REPAIRED], None)


class Repaired(NamedTuple):
    content: bytes  # decrypted
    was_encrypted: bool


def repair(content: bytes, password: str | None) -> Repaired | None:
    """Return the file as qpdf rebuilds it; None if it cannot.

    Raises:
        PasswordRequiredError: if *password* does not open it.
    """
    catalogs = _CATALOG.findall(content)
    attempts = [content + b"\n%%EOF\n"]  # without an end, qpdf misses the last object
    if catalogs:  # the trailer that a file without its end lacks
        number, generation = catalogs[-1]
        attempts.append(content + b"\ntrailer\n<</Root %s %s R>>\nstartxref\n0\n%%%%EOF\n" % (number, generation))
    for attempt in attempts:
        try:
            with pikepdf.open(io.BytesIO(attempt), password=password or "", suppress_warnings=True) as pdf:
                if len(pdf.pages):
                    return Repaired(_save(pdf), pdf.is_encrypted)
        except pikepdf.PasswordError as error:
            raise PasswordRequiredError from error
        except MemoryError:
            raise
        except Exception:  # noqa: S112  qpdf raises anything on a damaged file
            continue
    return None


def _save(pdf: pikepdf.Pdf) -> bytes:
    target = io.BytesIO()
    pdf.save(
        target,
        compress_streams=False,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        object_stream_mode=pikepdf.ObjectStreamMode.preserve,
    )
    return target.getvalue()


def _try(work: Any) -> Any:
    """Return what *work* finds, None if a damaged dictionary stops it."""
    with contextlib.suppress(Exception):
        return work()
    return None


def _list_warnings(pdf: pikepdf.Pdf) -> Iterator[str]:
    catalog = pdf.Root
    if "/Collection" in catalog:
        yield ATTACHMENTS
    if "/XFA" in catalog.get("/AcroForm", {}) and catalog.get("/NeedsRendering", False):
        yield XFA_FORM


def _is_tree(pdf: pikepdf.Pdf) -> bool:
    """Whether the way down the page tree ends: on the first page at the latest, and not in a circle."""
    kids: Any = pdf.Root.Pages.Kids
    for _ in range(MAXIMUM_DEPTH):
        if not isinstance(kids, pikepdf.Array):
            return False
        if not len(kids):
            return True
        node: Any = kids[0]
        if not isinstance(node, pikepdf.Dictionary) or "/Kids" not in node:
            return True
        kids = node.Kids
    return False


def _read_packet(pdf: pikepdf.Pdf) -> bytes:
    packet = pdf.Root.get("/Metadata")
    if not isinstance(packet, pikepdf.Stream):
        return b""
    content = packet.read_bytes()
    return content if len(content) <= MAXIMUM_XMP_BYTES else b""


def read_xmp(packet: bytes) -> dict[str, str]:
    """Return the metadata in the *packet*, by the keys of the information dictionary; none if it is damaged."""
    return (packet and _try(lambda: _parse_xmp(packet))) or {}


def _parse_xmp(packet: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    root = ElementTree.fromstring(packet.strip(b"\0 \n\r\t"))  # noqa: S314  expat limits what entities become
    for description in root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"):
        for key, name in _XMP_NAMES.items():
            element = description.find(name)
            text = description.get(name) or ("" if element is None else _join_text(element))
            if text and key not in found:
                found[key] = text
    return found


def _join_text(element: ElementTree.Element) -> str:
    """Return the text of a property, or of its items: the first of several languages, all of several authors."""
    items = [text for item in element.iter() if (text := (item.text or "").strip())]
    has_languages = any(child.tag.endswith("}Alt") for child in element)
    return "; ".join(items[:1] if has_languages else items)
