"""Around every request, in plain ASGI: an id, deadlines and limits, safe headers, one log line, no bare crash."""

import asyncio
import itertools
import logging
import re
import time
import uuid
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.answers import error_response
from edge.browsers import BY_COOKIE, guard, protect
from edge.hosts import Hosts, is_address
from edge.logs import cut_path
from edge.metrics import count_request
from errors import CompressedBodyError, MisdirectedError, StartupError

MAX_BODY_BYTES = 400 * 1024  # 32,000 characters in any script, escaped
FORM_OVERHEAD_BYTES = 1024 * 1024  # of a form with a file, beside the file
BODY_IDLE_SECONDS = 30.0  # without a byte of the body
BODY_BYTES_PER_SECOND = 1024  # on average, after the first BODY_IDLE_SECONDS
# A body whose sender is not authenticated yet is small, and has to arrive soon.
MAX_OPEN_BODY_BYTES = 16 * 1024
OPEN_BODY_SECONDS = 10.0
KNOWN = "pagewire.known"  # in the scope of a request whose caller is known (auth.find_caller)
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

KNOWN_REASON = f"{StartupError.__module__}.{StartupError.__qualname__}: "  # in the last line of a traceback

access_log = logging.getLogger("pagewire.access")
logger = logging.getLogger("pagewire")


class Envelope:
    """The outermost layer. *large_bodies*: the paths where a body may have *max_upload_bytes*."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts, max_upload_bytes: int, large_bodies: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._max_upload_bytes = max_upload_bytes + FORM_OVERHEAD_BYTES
        self._large_bodies = large_bodies
        self._name = uuid.uuid4().hex[:16]  # of this process, in request ids
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _without_traceback(send))
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._name}{next(self._numbers):x}"
        scope["request_id"] = request_id
        if b"x-forwarded-for" in headers:
            _forget_false_address(scope)
        app = _refuse_host if self._hosts.refuses(scope, headers.get(b"host", b"")) else self._app
        status = 0
        if scope["type"] == "websocket":
            del headers  # a socket lives long
            await app(scope, receive, send)
        else:
            has_cookie = b"cookie" in headers

            async def send_with_headers(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    answered = list(message.get("headers", ()))
                    if has_cookie or BY_COOKIE in scope:
                        answered = guard(scope, answered)
                    message["headers"] = [*protect(scope, status, answered), (b"x-request-id", request_id.encode())]
                await send(message)

            await app(scope, self._bounded(scope, receive, headers), send_with_headers)
        seconds = time.perf_counter() - started
        if scope["type"] == "http":
            count_request(scope, status, seconds)
        _log(scope, status, request_id, seconds)

    def _bounded(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Receive:
        """Refuse a body that is compressed (415), is too large (413) or arrives too slowly (408).

        FastAPI reads the body of a route's parameter before it asks who sends it, so such a body is a stranger's, too.
        """
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        most = self._max_upload_bytes if scope["path"] in self._large_bodies else MAX_BODY_BYTES
        announced = int(headers.get(b"content-length", b"0") or 0)
        is_encoded = b"content-encoding" in headers and _is_encoded(scope)
        clock = asyncio.get_running_loop().time
        began: float | None = None  # to be read: an upload may wait for its turn before
        received = 0
        complete = False

        async def receive_within_limits() -> Message:
            nonlocal began, received, complete
            if complete:
                return await receive()
            limit, patience = MAX_OPEN_BODY_BYTES, OPEN_BODY_SECONDS
            if KNOWN in scope:
                limit, patience = most, BODY_IDLE_SECONDS
            if is_encoded:
                error = CompressedBodyError()
                raise HTTPException(error.status, error.detail)
            if announced > limit:
                raise HTTPException(413, f"The request is larger than {_describe_bytes(limit)}.")
            now = clock()
            began = now if began is None else began
            deadline = min(now, began + received / BODY_BYTES_PER_SECOND) + patience
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                detail = "The rest of the request did not arrive in time."
                raise HTTPException(408, detail, {"Connection": "close"}) from error
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise HTTPException(413, f"The request is larger than {_describe_bytes(limit)}.")
            return message

        return receive_within_limits


def _describe_bytes(count: int) -> str:
    return f"{count // 1024 // 1024} MB" if count >= 1024 * 1024 else f"{count // 1024} kB"


def _is_encoded(scope: Scope) -> bool:
    codings = b",".join(value for name, value in scope["headers"] if name == b"content-encoding").lower().split(b",")
    return any(coding.strip() not in (b"", b"identity") for coding in codings)


async def _refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    error = MisdirectedError()
    await error_response(scope, error.status, error.code, error.detail)(scope, receive, send)


class CrashBoundary:
    """Turn an unexpected exception into one logged 500, inside the CORS layer; a disconnect is not an error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting_start)
        except ClientDisconnect:
            pass
        except Exception:
            logger.exception("%s %s failed (request %s)", scope["method"], _path_of(scope), scope.get("request_id"))
            if started:
                raise
            response = error_response(scope, 500, "internal_error", HTTPStatus.INTERNAL_SERVER_ERROR.phrase)
            await response(scope, receive, send)


def _path_of(scope: Scope) -> str:
    """As the client sent it, so that an escaped newline stays escaped; not all of a long one."""
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return cut_path(raw_path.decode("ascii", "backslashreplace"))


def _forget_false_address(scope: Scope) -> None:
    """A client that is named by X-Forwarded-For counts only if that is an IP address; else its address is unknown."""
    if scope.get("client") and not is_address(scope["client"][0]):
        scope["client"] = None


def _log(scope: Scope, status: int, request_id: str, seconds: float) -> None:
    if not access_log.isEnabledFor(logging.INFO):
        return
    method = scope.get("method", "WS")
    client = scope["client"][0] if scope.get("client") else "-"
    path = _path_of(scope)
    milliseconds = round(seconds * 1000, 1)
    # Not `access_log.info`, which looks up its caller.
    record = logging.LogRecord(
        access_log.name,
        logging.INFO,
        __file__,
        0,
        "%s %s %s %s ms %s %s",
        (method, path, status or "-", milliseconds, client, request_id),
        None,
    )
    record.fields = {
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": milliseconds,
        "client": client,
        "request_id": request_id,
    }
    access_log.handle(record)


def _without_traceback(send: Send) -> Send:
    """Reduce the message of a start that failed with a StartupError to the reason."""

    async def send_reason(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            reason = message.get("message", "").strip().splitlines()[-1:]
            if reason and reason[0].startswith(KNOWN_REASON):
                message["message"] = reason[0].removeprefix(KNOWN_REASON)
        await send(message)

    return send_reason
