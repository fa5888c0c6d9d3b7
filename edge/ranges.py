"""A stored file over HTTP: all of its bytes, some, or none because the client has them (RFC 9110)."""

import re
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from edge.answers import error_response
from errors import RequestedRangeError

MAX_RANGES = 100  # only attackers ask for more: they get the whole file
RANGE = re.compile(r"[ \t]*(?:([0-9]{1,20})-([0-9]{0,20})|-([0-9]{1,20}))[ \t]*", re.ASCII)
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


def file_response(
    request: Request, path: Path, *, etag: str | None, filename: str, headers: dict[str, str], download: bool = False
) -> Response:
    """Answer 200, 206, 304 or 416, as the request's conditions and ranges say.

    *etag* is without quotes; None makes one from the size and the age of the file.

    Raises:
        OSError: if there is no such file.
    """
    stat_result = path.stat()
    headers = {**headers, "Content-Disposition": content_disposition(filename, download=download)}
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    response = _FileResponse(path, headers=headers, media_type="application/pdf", stat_result=stat_result)
    if knows_etag(", ".join(request.headers.getlist("if-none-match")), response.headers["etag"]):
        kept = ("etag", "cache-control", "last-modified")
        return Response(
            status_code=304, headers={name: response.headers[name] for name in kept if name in response.headers}
        )
    if request.method == "GET" and response.is_range_wanted(request):
        response.ranges = find_ranges(request.headers.get("range", ""), stat_result.st_size)
        if response.ranges == []:
            where = {"Content-Range": f"bytes */{stat_result.st_size}"}
            error = RequestedRangeError()
            return error_response(request.scope, error.status, error.code, error.detail, headers=where)
    return response


class _FileResponse(FileResponse):
    """FileResponse for ranges parsed by us: Starlette answers a malformed one with an error in plain text."""

    ranges: list[tuple[int, int]] | None = None

    def is_range_wanted(self, request: Request) -> bool:
        """Whether If-Range, where it is sent, names this version of the file."""
        return request.headers.get("if-range") in (None, self.headers["etag"], self.headers["last-modified"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [item for item in scope["headers"] if item[0] not in (b"range", b"if-range")]
        if self.ranges:
            wanted = ",".join(f"{first}-{last}" for first, last in self.ranges)
            headers.append((b"range", f"bytes={wanted}".encode()))
        await super().__call__({**scope, "headers": headers}, receive, send)


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
