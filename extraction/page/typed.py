"""Typed notes for which a file has no appearance: PDFium draws a single line for them, and of few letters."""

import io
import re
from collections.abc import Iterator
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from extraction.page.structure import save

MAXIMUM_NOTES = 5_000  # of a file; more are not looked at
_STYLE = b"/Helv 12 Tf 0 g"
_INVISIBLE = 1  # a flag of annotations, which hides fields but no notes
_LINES, _LOCKED = 1 << 12, 1 << 0  # flags of fields
_SIZED = re.compile(rb"/\S+\s+[\d.+-]+\s+Tf\b")


def draw_notes(content: bytes, password: str | None) -> bytes | None:
    """Return the file with such notes as fields of text, which PDFium draws line by line; None if there are none."""
    with pikepdf.open(
        io.BytesIO(content), password=password or "", inherit_page_attributes=False, suppress_warnings=True
    ) as pdf:
        notes = list(_list_notes(pdf))
        if not notes:
            return None
        form = pdf.Root.get("/AcroForm", None)
        if not isinstance(form, Dictionary):
            form = pdf.Root.AcroForm = Dictionary(Fields=Array())
        if not isinstance(form.get("/Fields", None), Array):
            form.Fields = Array()
        for number, note in enumerate(notes):
            _make_field(note, number)
            form.Fields.append(note)
        return save(pdf)


def _list_notes(pdf: pikepdf.Pdf) -> Iterator[Any]:
    count = 0
    for page in pdf.pages:
        annotations = page.obj.get("/Annots", None)
        for note in annotations if isinstance(annotations, Array) else ():
            if isinstance(note, Dictionary) and _is_bare(note):
                count += 1
                if count > MAXIMUM_NOTES:
                    return
                yield note


def _is_bare(note: Any) -> bool:
    return bool(note.get("/Subtype", None) == Name.FreeText and "/AP" not in note and "/Contents" in note)


def _make_field(note: Any, number: int) -> None:
    style = note.get("/DA", None)
    has_size = isinstance(style, String) and _SIZED.search(bytes(style))
    flags = note.get("/F", 0)
    note.F = flags & ~_INVISIBLE if isinstance(flags, int) else 0
    note.Subtype = Name.Widget
    note.FT = Name.Tx
    note.Ff = _LINES | _LOCKED
    note.T = String(f"typed note {number}")
    note.V = note.Contents
    note.DA = style if has_size else String(_STYLE)
