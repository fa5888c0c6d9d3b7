"""The one shape of every error: as an answer, and in the OpenAPI description."""

import json
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from errors import (
    BadRequestError,
    BusyError,
    DatabaseUnavailableError,
    InvalidTokenError,
    NotAuthenticatedError,
    PagewireError,
    PayloadTooLargeError,
    RequestTimeoutError,
    TokenExpiredError,
)

SIGNED_IN = (
    NotAuthenticatedError,
    InvalidTokenError,
    TokenExpiredError,
    DatabaseUnavailableError,
    BusyError,
)  # what any route for users may answer
WITH_BODY = (BadRequestError, PayloadTooLargeError, RequestTimeoutError)  # what any route with a body may answer


class ErrorAnswer(BaseModel):
    """What every error looks like."""

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


class ValidationAnswer(BaseModel):
    """A 422: what is wrong, field by field, or in one sentence."""

    detail: list[FieldProblem] | str
    code: str
    request_id: str


class DirectRoute(APIRoute):
    """A route whose function takes the request and answers a Response: FastAPI only describes it (65 µs less)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


def operation_id(route: APIRoute) -> str:
    """What a generated client calls the route: its function's name."""
    return route.name


def may_fail(*errors: type[PagewireError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may raise *errors*; any route may answer 422."""
    by_status: defaultdict[int, list[type[PagewireError]]] = defaultdict(list)
    for error in errors:
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
    """Plain ASCII, so that whatever was sent in can be shown back."""
    body: dict[str, object] = {"detail": detail, "code": code, "request_id": scope.get("request_id")}
    if status == 404:
        body["error"] = "Resource not found"
    headers = dict(headers or {})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers.setdefault("Retry-After", "5")
    return Response(json.dumps(body), status, headers, "application/json")
