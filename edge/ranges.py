"""A stored file over HTTP: all of its bytes, some, or none because the client has them (RFC 9110)."""

import logging
import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import formatdate
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from edge.answers import error_response
from errors import PagewireError, RequestedRangeError

MEDIA_TYPE = "application/pdf"
MAX_RANGES = 100  # only attackers ask for more: they get the whole file
RANGE = re.compile(r"[ \t]*(?:([0-9]{1,20})-([0-9]{0,20})|-([0-9]{1,20}))[ \t]*", re.ASCII)
logger = logging.getLogger("pagewire.files")

ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class StoredFile(Protocol):
    """A file to be sent, wherever it is stored."""

    size: int
    modified_at: float

    def read(self, first: int, stop: int) -> AsyncGenerator[bytes]:
        """Its bytes from *first* to before *stop*, in parts."""


def file_response(
    request: Request,
    file: StoredFile,
    *,
    etag: str | None,
    filename: str,
    headers: dict[str, str],
    download: bool = False,
) -> Response:
    """Answer 200, 206, 304 or 416, as the request's conditions and ranges say.

    *etag* is without quotes; None makes one from the size and the age of the file.
    """
    etag = f'"{etag or sha256(f"{file.modified_at}-{file.size}".encode()).hexdigest()[:32]}"'
    last_modified = formatdate(file.modified_at, usegmt=True)
    headers = {**headers, "ETag": etag, "Last-Modified": last_modified}
    if knows_etag(", ".join(request.headers.getlist("if-none-match")), etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = content_disposition(filename, download=download)
    headers["Accept-Ranges"] = "bytes"
    ranges = None
    if request.method == "GET" and request.headers.get("if-range") in (None, etag, last_modified):
        ranges = find_ranges(request.headers.get("range", ""), file.size)
    if ranges == []:
        where = {"Content-Range": f"bytes */{file.size}"}
        error = RequestedRangeError()
        return error_response(request.scope, error.status, error.code, error.detail, headers=where)
    if ranges is not None and len(ranges := merge_ranges(ranges)) > 1:
        return _ranges_response(file, ranges, headers)
    first, last = ranges[0] if ranges else (0, file.size - 1)
    headers["Content-Length"] = str(last + 1 - first)
    if ranges:
        headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    if request.method == "HEAD":
        return Response(headers=headers, media_type=MEDIA_TYPE)
    return StreamingResponse(_unless_lost(file.read(first, last + 1)), 206 if ranges else 200, headers, MEDIA_TYPE)


def _ranges_response(file: StoredFile, ranges: list[tuple[int, int]], headers: dict[str, str]) -> Response:
    """Several ranges, as a multipart body (RFC 9110, section 14.6)."""
    boundary = secrets.token_hex(13)
    begin = f"--{boundary}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Range: bytes"
    heads = [f"{begin} {first}-{last}/{file.size}\r\n\r\n".encode() for first, last in ranges]
    end = f"--{boundary}--".encode()

    async def write() -> AsyncGenerator[bytes]:
        for head, (first, last) in zip(heads, ranges, strict=True):
            yield head
            async for part in file.read(first, last + 1):
                yield part
            yield b"\r\n"
        yield end

    length = sum(len(head) + last + 1 - first + 2 for head, (first, last) in zip(heads, ranges, strict=True)) + len(end)
    headers["Content-Length"] = str(length)
    return StreamingResponse(_unless_lost(write()), 206, headers, f"multipart/byteranges; boundary={boundary}")


async def _unless_lost(parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Where the storage is lost in the middle, the connection is closed: so the client knows that some is missing."""
    async with aclosing(parts):
        try:
            async for part in parts:
                yield part
        except PagewireError as error:
            logger.warning("a file was not sent to its end: %s", error)
            raise ClientDisconnect from error


def merge_ranges(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """*ranges* in order, those that touch or overlap as one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def find_ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """The first and last byte of each satisfiable range of a file of *size* bytes; None: ignore the header."""
    unit, _, ranges = header.partition("=")
    found = [RANGE.fullmatch(part) for part in ranges.split(",")]
    if unit.strip().lower() != "bytes" or len(found) > MAX_RANGES:
        return None
    satisfiable = []
    for match in found:
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            span = (max(size - int(suffix), 0), size - 1)
        else:
            if last and int(last) < int(first):
                return None
            span = (int(first), min(int(last or size), size - 1))
        if span[0] <= span[1]:
            satisfiable.append(span)
    return satisfiable


def knows_etag(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names *etag*, strongly or weakly."""
    return if_none_match.strip() == "*" or etag in ENTITY_TAG.findall(if_none_match)


def content_disposition(filename: str, *, download: bool = False) -> str:
    """Display inline unless *download*, save as *filename* (RFC 6266); the plain name is for clients that ignore
    `filename*`."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    return (
        f"{'attachment' if download else 'inline'}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
    )
