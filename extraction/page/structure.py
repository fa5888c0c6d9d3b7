"""The structure of a file, as qpdf reads it: what PDFium does not tell of it."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import pikepdf

from extraction.notices import ATTACHMENTS, XFA_FORM
from extraction.page.boxes import draw_boxes, has_places
from extraction.page.layers import find_hidden, hide

MAXIMUM_DEPTH = 100  # of a page tree
MAXIMUM_XMP_BYTES = 1_000_000


class Structure(NamedTuple):
    xmp: bytes = b""  # a packet of metadata, or nothing
    warnings: Sequence[str] = ()  # codes
    rewritten: bytes | None = None  # the file with its hidden layers marked and its boxes drawn, if it has such
    has_hidden_layers: bool = False
    is_damaged: bool = False


def read_structure(file: BinaryIO, password: str | None) -> Structure:
    """*password* is the right one, if there is one."""
    try:
        with pikepdf.open(
            file,
            password=password or "",
            attempt_recovery=False,
            inherit_page_attributes=False,  # which would walk all pages
            suppress_warnings=True,
        ) as pdf:
            if not is_tree(pdf):
                return Structure(is_damaged=True)
            hidden = _try(lambda: find_hidden(pdf)) or []
            if hidden:
                hide(pdf, hidden)
            is_drawn = _try(lambda: draw_boxes(pdf))
            return Structure(
                _try(lambda: _read_packet(pdf)) or b"",
                _try(lambda: list(_list_warnings(pdf))) or [],
                save(pdf) if hidden or is_drawn else None,
                bool(hidden),
            )
    except pikepdf.PasswordError:
        return Structure()
    except MemoryError:
        raise
    except Exception:  # qpdf and damaged dictionaries raise anything
        return Structure(is_damaged=True)


def save(pdf: pikepdf.Pdf) -> bytes:
    target = io.BytesIO()
    pdf.save(
        target,
        compress_streams=False,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        object_stream_mode=pikepdf.ObjectStreamMode.preserve,
        fix_metadata_version=False,  # for which pikepdf would import lxml, where it may open no file
    )
    return target.getvalue()


def _try(work: Any) -> Any:
    """Return what *work* finds, None if a damaged dictionary stops it."""
    with contextlib.suppress(Exception):
        return work()
    return None


def _list_warnings(pdf: pikepdf.Pdf) -> Iterator[str]:
    catalog = pdf.Root
    if _has_files(catalog):
        yield ATTACHMENTS
    form: Any = catalog.get("/AcroForm", {})
    if "/XFA" in form and (catalog.get("/NeedsRendering", False) or not has_places(form)):
        yield XFA_FORM


def _has_files(catalog: pikepdf.Object) -> bool:
    names: Any = catalog.get("/Names", {})
    files: Any = names.get("/EmbeddedFiles", {})
    lists = (files.get("/Names", None), files.get("/Kids", None), catalog.get("/AF", None))
    return "/Collection" in catalog or any(isinstance(held, pikepdf.Array) and len(held) > 0 for held in lists)


def is_tree(pdf: pikepdf.Pdf) -> bool:
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
