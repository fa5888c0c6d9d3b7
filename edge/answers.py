"""The one shape of every error, as a response and in the OpenAPI description."""

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope

from errors import (
    BadRequestError,
    BusyError,
    CompressedBodyError,
    DatabaseUnavailableError,
    InvalidTokenError,
    NotAuthenticatedError,
    PagewireError,
    PayloadTooLargeError,
    RateLimitedError,
    ReadOnlyKeyError,
    RequestTimeoutError,
    TokenExpiredError,
)

SIGNED_IN = (
    NotAuthenticatedError,
    InvalidTokenError,
    TokenExpiredError,
    RateLimitedError,
    DatabaseUnavailableError,
    BusyError,
)  # errors of any route that needs a token
MAY_WRITE = (*SIGNED_IN, ReadOnlyKeyError)  # of any that changes something, too
WITH_BODY = (
    BadRequestError,
    PayloadTooLargeError,
    CompressedBodyError,
    RequestTimeoutError,
)  # errors of any route with a body
HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
LIMITS = {"min_length", "max_length", "max_bytes", "gt", "ge", "lt", "le", "multiple_of", "expected"}  # of a 422's ctx
INVALID_JSON: dict[str, Any] = {"type": "json_invalid", "loc": ("body",), "msg": "The body should be valid JSON"}


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    detail: str = Field(description="for people")
    code: str = Field(description="for programs: snake_case, never changed")
    request_id: str = Field(description="also in X-Request-ID and in the server's log")


class NotFoundAnswer(ErrorAnswer):
    """A 404."""

    error: str = "Resource not found"


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    type: str
    loc: list[str | int]
    msg: str
    ctx: dict[str, int | float | str] = Field(default={}, description="the limit it is about, if there is one")


class ValidationAnswer(BaseModel):
    """A 422: what is wrong, field by field, or in one sentence."""

    detail: list[FieldProblem] | str
    code: str
    request_id: str


class DirectRoute(APIRoute):
    """A route whose function takes a Request and returns a Response: FastAPI only describes it (saves 65 µs)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def operation_id(route: APIRoute) -> str:
    """The name of the route in a generated client: its function's."""
    return route.name


def routes_for_head(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """A twin of each of *routes* that answers GET, for HEAD: the server sends its headers alone (RFC 9110, 9.3.2).

    Starlette's own routes answer both already; FastAPI's do not. OpenAPI does not list the twins.
    """
    twins: list[BaseRoute] = []
    for route in routes:
        if isinstance(route, APIRoute) and route.methods == {"GET"}:
            twin = copy.copy(route)
            twin.methods = {"HEAD"}
            twin.include_in_schema = False
            twins.append(twin)
    return twins


def may_fail(*errors: type[PagewireError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may raise *errors*; every route may answer 422."""
    by_status: defaultdict[int, list[type[PagewireError]]] = defaultdict(list)
    for error in dict.fromkeys(errors):
        by_status[error.status].append(error)
    by_status.setdefault(422, [])
    return {status: _describe(status, kinds) for status, kinds in sorted(by_status.items())}


def _describe(status: int, kinds: list[type[PagewireError]]) -> dict[str, Any]:
    model = {404: NotFoundAnswer, 422: ValidationAnswer}.get(status, ErrorAnswer)
    examples: dict[str, dict[str, object]] = {kind.code: {"value": _example(kind)} for kind in kinds}
    if status == 422:
        problem = {"type": "missing", "loc": ["body", "field"], "msg": "Field required"}
        examples["validation_error"] = {
            "value": {"detail": [problem], "code": "validation_error", "request_id": "5f0c…"}
        }
    return {
        "model": model,
        "description": " · ".join(kind().detail for kind in kinds) or "A field is missing or wrong",
        "content": {"application/json": {"examples": examples}},
    }


def _example(kind: type[PagewireError]) -> dict[str, object]:
    example: dict[str, object] = {"detail": kind().detail, "code": kind.code, "request_id": "5f0c…"}
    return {**example, "error": "Resource not found"} if kind.status == 404 else example


def error_response(
    scope: Scope, status: int, code: str, detail: object, *, headers: dict[str, str] | None = None
) -> Response:
    """Plain ASCII: what the client sent may be quoted in it, lone surrogates too."""
    body: dict[str, object] = {"detail": detail, "code": code, "request_id": scope.get("request_id")}
    if status == 404:
        body["error"] = "Resource not found"
    headers = dict(headers or {})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers.setdefault("Retry-After", "5")
    if status == 415:
        headers["Accept-Encoding"] = "identity"  # RFC 7694: what is wrong is the coding
    if status == 426:
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    return Response(json.dumps(body), status, headers, "application/json")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    app.add_exception_handler(PagewireError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PagewireError)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return error_response(request.scope, error.status, error.code, error.detail, headers=headers)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and isinstance(error.__cause__, ValueError | RecursionError):
        # FastAPI could not parse JSON with a number too long, bytes that are no text, or too deep a structure.
        return _answer_problems(request, [INVALID_JSON])
    code = HTTP_CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    headers = dict(error.headers or {})
    if error.status_code == 405:  # the router lists the methods of the first route of this path only
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return error_response(request.scope, error.status_code, code, error.detail, headers=headers)


def _methods_of(request: Request) -> set[str]:
    methods: set[str] = set()
    scope = dict(request.scope)
    scope["root_path"] = scope.get("app_root_path", scope.get("root_path", ""))  # a mount adds its own path to it
    for route in request.app.routes:
        if isinstance(route, Route | Mount) and route.matches(scope)[0] is not Match.NONE:
            methods.update({"GET", "HEAD"} if isinstance(route, Mount) else route.methods or ())  # a mount has files
    return methods


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer_problems(request, error.errors())


def _answer_problems(request: Request, problems: Iterable[Mapping[str, Any]]) -> Response:
    return error_response(request.scope, 422, "validation_error", [_describe_problem(problem) for problem in problems])


def _describe_problem(problem: Mapping[str, Any]) -> dict[str, object]:
    """One item of a 422, in words: without `input`, which may be a secret, without patterns, with the limit."""
    kind, message = problem["type"], problem["msg"].removeprefix("Value error, ")
    context = problem.get("ctx") or {}
    limits = {name: limit for name, limit in context.items() if name in LIMITS}
    if kind == "string_pattern_mismatch":
        message = "Contains characters that are not allowed here, or has the wrong form"
    elif kind == "int_parsing_size":
        message = "Input should be a smaller number"
    elif message == "JSON decode error":  # FastAPI's
        message = INVALID_JSON["msg"]
    elif context.get("field_type") == "Value":  # text after a validator: pydantic does not know what it counts
        if kind == "too_short":
            kind, message = "string_too_short", f"String should have at least {limits['min_length']} characters"
        elif kind == "too_long":
            kind, message = "string_too_long", f"String should have at most {limits['max_length']} characters"
    described: dict[str, object] = {"type": kind, "loc": problem["loc"], "msg": message}
    return {**described, "ctx": limits} if limits else described
