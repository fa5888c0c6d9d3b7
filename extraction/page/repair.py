"""Files that are cut off or damaged, as qpdf rebuilds them."""

import io
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import pikepdf

from errors import PasswordRequiredError
from extraction.page.structure import is_tree, save

MAXIMUM_UNPACKED = 50_000_000  # bytes of what object streams hold
_END = b"\nendstream\nendobj\n%%EOF\n"  # without an end, qpdf misses the last object, and with one more it ignores that
_CATALOG = re.compile(rb"(\d+)\s+(\d+)\s+obj\b(?:(?!endobj).)*?/Type\s*/Catalog\b", re.DOTALL)
_PAGE = re.compile(rb"(\d+)\s+(\d+)\s+obj\b(?:(?!endobj).)*?/Type\s*/Page\b", re.DOTALL)
_LOCK = re.compile(rb"(\d+)\s+(\d+)\s+obj\b(?:(?!endobj).)*?/Filter\s*/Standard\b(?:(?!endobj).)*", re.DOTALL)
_NEW_LOCK = re.compile(rb"/R\s+[56]\b")  # which needs nothing of the trailer
_IS_LOCKED = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R\b|<<)")
_ID = re.compile(rb"/ID\s*\[\s*(<[0-9A-Fa-f\s]*>)")
_OBJECT = re.compile(rb"(\d+)\s+\d+\s+obj\b")
_PACKED = re.compile(rb"obj\b((?:(?!\bobj\b).){0,300}?/ObjStm\b.{0,300}?)\bstream\r?\n", re.DOTALL)
_COUNT, _FIRST = re.compile(rb"/N\s+(\d+)"), re.compile(rb"/First\s+(\d+)")


class Repaired(NamedTuple):
    content: bytes  # decrypted
    was_encrypted: bool


def repair(content: bytes, password: str | None, *, thoroughly: bool = True) -> Repaired | None:
    """Return the file as qpdf rebuilds it; None if it cannot. If *thoroughly*, with a trailer that we find for it.

    Raises:
        PasswordRequiredError: if *password* does not open it.
    """
    lock = _find_lock(content) if thoroughly else None
    for attempt in _list_attempts(content, lock) if thoroughly else [content + _END]:
        try:
            with pikepdf.open(
                io.BytesIO(attempt), password=password or "", inherit_page_attributes=False, suppress_warnings=True
            ) as pdf:
                if is_tree(pdf) and len(pdf.pages):
                    pdf.trailer.Size = 1  # qpdf writes the true one where there is any
                    return Repaired(save(pdf), pdf.is_encrypted)
        except pikepdf.PasswordError as error:
            if lock and not _NEW_LOCK.search(lock[0]) and not _ID.search(content):
                return None  # the key is lost with the trailer
            raise PasswordRequiredError from error
        except MemoryError:
            raise
        except Exception:  # noqa: S112  qpdf raises anything on a damaged file
            continue
    return None


def _find_lock(content: bytes) -> re.Match[bytes] | None:
    """Return what encrypts the file, if no trailer says so."""
    return _LOCK.search(content) if b"/Standard" in content and not _IS_LOCKED.search(content) else None


def _list_attempts(content: bytes, lock: re.Match[bytes] | None) -> Iterator[bytes]:
    """Yield the file with an end, with the trailer that it lacks, and with a list of the pages that are left."""
    content += _END
    if lock is None:
        yield content
    content = b"".join(_unpack(content))
    trailer = b"\ntrailer\n<</Root %d %d R"
    if lock:
        name = (_ID.findall(content) or [b"<>"])[-1]
        trailer += b" /ID [%s %s] /Encrypt %s %s R" % (name, name, *lock.groups())
    trailer += b">>\nstartxref\n0\n%%%%EOF\n"
    catalogs = _CATALOG.findall(content)
    if catalogs:
        yield content + trailer % (int(catalogs[-1][0]), int(catalogs[-1][1]))
    pages = {int(number): int(generation) for number, generation in _PAGE.findall(content)}
    if pages:
        root = 1 + max(int(number) for number in _OBJECT.findall(content))
        kids = b" ".join(b"%d %d R" % page for page in pages.items())
        content += b"\n%d 0 obj\n<</Type /Catalog /Pages %d 0 R>>\nendobj" % (root, root + 1)
        content += b"\n%d 0 obj\n<</Type /Pages /MediaBox [0 0 612 792] /Count %d /Kids [%s]>>\nendobj" % (
            root + 1,
            len(pages),
            kids,
        )
        yield content + trailer % (root, 0)


def _unpack(content: bytes) -> Iterator[bytes]:
    """Yield the file with the objects that object streams hold behind these: without a trailer, qpdf misses them."""
    left = MAXIMUM_UNPACKED
    place = 0
    for packed in _PACKED.finditer(content):
        count, first = _COUNT.search(packed[1]), _FIRST.search(packed[1])
        if not (count and first and b"/FlateDecode" in packed[1]) or left <= 0:
            continue
        try:
            held = zlib.decompressobj().decompress(content[packed.end() :], left)
        except zlib.error:  # encrypted
            continue
        left -= len(held)
        start = int(first[1])
        numbers = [int(number) for number in held[:start].split() if number.isdigit()][: 2 * int(count[1])]
        ends = [*numbers[3::2], len(held) - start]
        yield content[place : packed.start()] + b"obj\nnull\nendobj\n"
        for number, begin, end in zip(numbers[::2], numbers[1::2], ends, strict=False):
            yield b"%d 0 obj\n%s\nendobj\n" % (number, held[start + begin : start + end])
        place = max(packed.start(), content.find(b"endobj", packed.end()))
        place = packed.end() if place < packed.end() else place + len(b"endobj")
    yield content[place:]
