"""Read a body: JSON into a model, or a form, whose text is UTF-8 whatever its header says."""

from collections.abc import Iterable
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.routing import BaseRoute

MAX_FIELDS = 20
Model = TypeVar("Model", bound=BaseModel)


async def read_json(request: Request, model: type[Model]) -> Model:
    """The body as *model*, in one step from bytes.

    Raises:
        RequestValidationError: as FastAPI's own.
    """
    body = await request.body()  # first: one that is too large is told so, whatever it is
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        message = "Input should be JSON, with Content-Type: application/json"
        raise RequestValidationError([{"type": "model_type", "loc": ("body",), "msg": message}])
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found]) from error


async def read_form(request: Request, *, max_files: int = 0, max_field_bytes: int = 4096) -> FormData:
    """The fields and files of a form, of either kind; none, if the body is something else.

    The charset that a header may name is dropped (RFC 7578, section 5.1.2: text is UTF-8). Python knows some that crash
    while decoding, and some that make half surrogate pairs.

    Raises:
        HTTPException: 400, if it is broken or holds too much.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if b"charset" in options:
        header = kind
        if b"boundary" in options:
            boundary = options[b"boundary"].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            header += b'; boundary="' + boundary + b'"'
        headers = [item for item in request.scope["headers"] if item[0] != b"content-type"]
        request = Request({**request.scope, "headers": [*headers, (b"content-type", header)]}, request.receive)
    return await request.form(max_files=max_files, max_fields=MAX_FIELDS, max_part_size=max_field_bytes)


def list_paths_with_files(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """The paths of the *routes* whose description says that their body is a form with a file."""
    bodies = {
        route.path: route.openapi_extra for route in routes if isinstance(route, APIRoute) and route.openapi_extra
    }
    return frozenset(
        path
        for path, extra in bodies.items()
        if "multipart/form-data" in extra.get("requestBody", {}).get("content", {})
    )
