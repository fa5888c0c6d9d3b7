"""A PDF in the body of a request: the form around it, its name, its password, its file."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from documents.storage import Incoming, Storage, storage_error
from edge.answers import SIGNED_IN, WITH_BODY
from edge.engines import get_engine
from edge.fields import UNPRINTABLE, Storable
from edge.forms import read_form
from errors import (
    BadPdfError,
    ExtractionLimitError,
    NotPdfError,
    PasswordRequiredError,
    StorageFullError,
    StorageUnavailableError,
)
from pdf import PdfFile
from settings import Settings

MAX_FILENAME_CHARACTERS = 255
MAX_PASSWORD_CHARACTERS = 255
CONTROL_CHARACTERS = re.compile(f"[{UNPRINTABLE}]")

WITH_PDF = (
    *SIGNED_IN,
    *WITH_BODY,
    NotPdfError,
    BadPdfError,
    PasswordRequiredError,
    ExtractionLimitError,
    StorageUnavailableError,
    StorageFullError,
)  # the errors of a route that takes a PDF

_password: TypeAdapter[str] = TypeAdapter(Annotated[Storable, Field(max_length=MAX_PASSWORD_CHARACTERS)])


class Upload(NamedTuple):
    """A PDF in the body of a request, in a file that lives as long as the request."""

    incoming: Incoming
    filename: str
    password: str | None
    form: FormData

    def file_for(self, user_id: int) -> PdfFile:
        return PdfFile(self.incoming.path, self.password, self.incoming.sha256, user_id)

    def field(self, name: str, kind: TypeAdapter[str]) -> str | None:
        return form_field(self.form, name, kind)


def upload_body(**fields: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a form with a PDF.

    The route parses the form itself, so that authentication comes first.
    """
    file = {"type": "string", "format": "binary", "contentMediaType": "application/pdf", "description": "The PDF."}
    password = {"type": "string", "maxLength": MAX_PASSWORD_CHARACTERS, "description": "The password of the PDF."}
    form = {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": file, "password": password, **fields},
        },
        "encoding": {"file": {"contentType": "application/pdf"}},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


@asynccontextmanager
async def received_pdf(request: Request) -> AsyncIterator[Upload]:
    """The PDF in the form field `file`, copied to the upload folder; gone after the block unless it was kept.

    Raises:
        NotPdfError, PayloadTooLargeError, StorageFullError, StorageUnavailableError, RequestValidationError
    """
    storage, settings = get_engine(request, Storage), get_engine(request, Settings)
    try:
        form = await read_form(request, max_files=1, max_field_bytes=64 * 1024)
    except OSError as error:
        raise storage_error(error) from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestValidationError([{"type": "missing", "loc": ("body", "file"), "msg": "Field required"}])
        filename = clean_filename(file.filename)
        password = form_field(form, "password", _password)
        async with storage.receive(file.file, max_bytes=settings.max_upload_bytes) as incoming:
            await file.close()
            if not incoming.looks_like_pdf and not filename.lower().endswith(".pdf"):
                raise NotPdfError
            yield Upload(incoming, filename, password, form)
    finally:
        await form.close()


def form_field(form: FormData, name: str, kind: TypeAdapter[str]) -> str | None:
    """A text field of the form; None if it is missing or empty.

    Raises:
        RequestValidationError
    """
    value = form.get(name)
    if not isinstance(value, str) or not value:
        return None
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", name)} for e in error.errors()]) from error


def clean_filename(name: str | None) -> str:
    """The last component of *name*, without control characters, at most 255 characters; never empty."""
    base = CONTROL_CHARACTERS.sub("", re.split(r"[/\\]", name or "")[-1]).strip()
    base = base.encode("utf-8", "replace").decode()
    if base in ("", ".", ".."):
        return "document.pdf"
    stem, dot, extension = base.rpartition(".")
    if len(base) > MAX_FILENAME_CHARACTERS and stem and len(extension) <= 10:
        return stem[: MAX_FILENAME_CHARACTERS - len(dot + extension)] + dot + extension
    return base[:MAX_FILENAME_CHARACTERS]
