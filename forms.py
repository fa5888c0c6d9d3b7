"""Read a form: its text is UTF-8, whatever its header says."""

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.requests import Request

MAX_FIELDS = 20


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
