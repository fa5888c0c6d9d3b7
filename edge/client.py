"""The web client under /app/: the files of web/dist, read and compressed once, with a strict policy for the page."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from edge.ranges import knows_etag

FOLDER = Path(__file__).parent.parent / "web" / "dist"
ASSETS = "assets/"  # names with a hash of their content
COMPRESSIBLE = ("text/", "application/json", "application/manifest+json", "image/svg+xml")
FOR_EVER = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
}

mimetypes.add_type("text/javascript", ".js")  # where the machine's own list says otherwise
mimetypes.add_type("font/woff2", ".woff2")


@dataclass(frozen=True)
class ClientFile:
    """One file of the client as it is sent."""

    body: bytes
    media_type: str
    etag: str
    cache_control: str

    @cached_property
    def zipped(self) -> bytes | None:
        """None if it would not get smaller."""
        if not self.media_type.startswith(COMPRESSIBLE):
            return None
        zipped = gzip.compress(self.body, mtime=0)
        return zipped if len(zipped) < len(self.body) else None

    @classmethod
    def read(cls, path: Path, name: str) -> "ClientFile":
        body = path.read_bytes()
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return cls(body, media_type, etag, FOR_EVER if name.startswith(ASSETS) else "no-cache")


class Client:
    """Serves the files; any other address is one of the client's own screens, and gets its page."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    @cached_property
    def files(self) -> dict[str, ClientFile]:
        """By their names below /app/; empty where the client was not built."""
        paths = sorted(path for path in self._folder.rglob("*") if path.is_file())
        names = {path: path.relative_to(self._folder).as_posix() for path in paths}
        return {name: ClientFile.read(path, name) for path, name in names.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        name = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/")
        file = self.files.get(name) or (None if name.startswith(ASSETS) else self.files.get("index.html"))
        if file is None:
            raise HTTPException(404)
        await _respond(file, Headers(scope=scope))(scope, receive, send)


def _respond(file: ClientFile, asked: Headers) -> Response:
    headers = {**PAGE_HEADERS, "ETag": file.etag, "Cache-Control": file.cache_control}
    if file.zipped is not None:
        headers["Vary"] = "Accept-Encoding"
    if knows_etag(", ".join(asked.getlist("if-none-match")), file.etag):
        return Response(status_code=304, headers=headers)
    body = file.body
    if file.zipped is not None and takes_gzip(asked.get("accept-encoding", "")):
        body = file.zipped
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type=file.media_type)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header names gzip (RFC 9110, 12.5.3); q=0 refuses it."""
    for part in accept_encoding.lower().split(","):
        coding, _, parameter = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            weight = parameter.replace(" ", "").removeprefix("q=")
            return not weight or weight.strip("0.") != ""
    return False


def is_browser(accept: str) -> bool:
    """Whether somebody opens the address in a browser, rather than a program."""
    return "text/html" in accept


def to_client() -> Response:
    return RedirectResponse("/app/", 307, {"Vary": "Accept"})
