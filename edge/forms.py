"""Read a body: JSON, a form, or whichever of the two it is."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.routing import BaseRoute

from edge.answers import INVALID_JSON
from edge.dispositions import parse_disposition

MAX_FIELDS = 20
MAX_FIELD_BYTES = 4096
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model]) -> Model:
    """The body as *model*, in one step from bytes.

    Raises:
        RequestValidationError: as FastAPI's own.
    """
    body = await request.body()  # first: one that is too large is a 413, whatever its type
    kind = _content_type(request)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        message = "Input should be JSON, with Content-Type: application/json"
        raise RequestValidationError([{"type": "model_type", "loc": ("body",), "msg": message}])
    try:
        return model.model_validate_json(_in_utf8(body))
    except ValidationError as error:
        raise _located(error, "body") from error


def _in_utf8(body: bytes) -> bytes:
    """JSON as pydantic takes it: the standard library's parser, which FastAPI uses, ignores a BOM, and reads UTF-16."""
    encoding = json.detect_encoding(body)
    if encoding != "utf-8":
        with suppress(UnicodeError):  # else it is no JSON, as pydantic will say
            return body.decode(encoding).encode()
    return body


async def read_body(request: Request, *, required: bool = True, max_field_bytes: int = MAX_FIELD_BYTES) -> Any:
    """The fields of a form, else the body as JSON whatever its Content-Type; {} if it is empty and not *required*.

    Raises:
        RequestValidationError: if it is neither.
        HTTPException: 400, if a form is malformed or holds too much.
    """
    if _content_type(request) in FORMS:
        return dict(await read_form(request, max_field_bytes=max_field_bytes))
    if not required and not await request.body():
        return {}
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise RequestValidationError([INVALID_JSON]) from error


def validate(model: type[Model], values: object, *, where: str = "body") -> Model:
    """*values*, which came in the body or the query, as *model*.

    Raises:
        RequestValidationError: as FastAPI's own.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _located(error, where) from error


async def read_form(
    request: Request, *, file_field: str | None = None, max_field_bytes: int = MAX_FIELD_BYTES
) -> FormData:
    """The fields of a form of either kind, and the file in *file_field*; none if the body is something else.

    The charset that a header may name is dropped (RFC 7578, section 5.1.2: text is UTF-8): Python knows some that crash
    while decoding, and some that produce lone surrogates.

    Raises:
        HTTPException: 400, if it is malformed or holds too much.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        return await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=max_field_bytes)
    header = kind
    if b"boundary" in options:
        header += b'; boundary="' + options[b"boundary"].replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    parser = _FormParser(
        Headers(raw=[(b"content-type", header)]),
        request.stream(),
        max_files=0 if file_field is None else 1,
        max_fields=MAX_FIELDS,
        max_part_size=max_field_bytes,
    )
    parser.file_field = file_field
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error


class _FormParser(MultiPartParser):
    """Starlette's parser, for file names as clients write them, and a file without one."""

    file_field: str | None = None

    def on_headers_finished(self) -> None:
        part = self._current_part
        name, filename = parse_disposition(part.content_disposition or b"")
        part.content_disposition = b"form-data" if name is None else b"form-data; name=x"
        if filename is not None or (name is not None and name == self.file_field):
            part.content_disposition += b"; filename=x"
        super().on_headers_finished()
        part.field_name = name or ""
        if part.file is not None:
            part.file.filename = filename


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _located(error: ValidationError, where: str) -> RequestValidationError:
    found = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**problem, "loc": (where, *problem["loc"])} for problem in found])


# In the OpenAPI description


def described_json(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The `openapi_extra=` of a route that reads *model* as JSON by itself."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"content": content, "required": required}}


def json_or_form(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra=` of a route that takes *model* as JSON or as a form."""
    schema = {"schema": model.model_json_schema()}
    content = {"application/json": schema, "application/x-www-form-urlencoded": schema}
    return {"requestBody": {"required": True, "content": content}}


def list_paths_with_files(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """The paths of those *routes* whose body is described as a form with a file."""
    bodies = {
        route.path: route.openapi_extra for route in routes if isinstance(route, APIRoute) and route.openapi_extra
    }
    return frozenset(
        path
        for path, extra in bodies.items()
        if "multipart/form-data" in extra.get("requestBody", {}).get("content", {})
    )
