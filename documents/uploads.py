"""A PDF in the body of a request: the form around it, its name, its password, its file."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from documents.quotas import Quotas
from documents.storage import Incoming, Storage, storage_error
from edge.answers import SIGNED_IN, WITH_BODY
from edge.engines import get_engine
from edge.fields import UNPRINTABLE, IdParameter, check_one_line, check_storable, is_visible, pattern_without, refusal
from edge.forms import read_form
from errors import (
    BadPdfError,
    ExtractionLimitError,
    NotPdfError,
    PasswordRequiredError,
    RateLimitedError,
    StorageFullError,
    StorageUnavailableError,
)
from pdf import PdfFile
from settings import Settings

MAX_FILENAME_CHARACTERS = 255
MAX_PASSWORD_CHARACTERS = 255
CONTROL_CHARACTERS = re.compile(f"[{UNPRINTABLE}]")
FILE_NAME_PATTERN = pattern_without(rf"/\\{UNPRINTABLE}", not_only=". ")  # no slash, and more than dots and spaces

WITH_PDF = (
    *SIGNED_IN,
    *WITH_BODY,
    NotPdfError,
    BadPdfError,
    PasswordRequiredError,
    ExtractionLimitError,
    RateLimitedError,
    StorageUnavailableError,
    StorageFullError,
)  # the errors of a route that takes a PDF

T = TypeVar("T")

_id: TypeAdapter[int] = TypeAdapter(IdParameter)
_password: TypeAdapter[str] = TypeAdapter(
    Annotated[str, Field(max_length=MAX_PASSWORD_CHARACTERS), AfterValidator(check_storable)]
)


def _check_filename(name: str) -> str:
    name = check_one_line(name).strip()
    if "/" in name or "\\" in name:
        raise refusal("Should not contain slashes")
    if not name.strip(". ") or not _is_legible(name):
        raise refusal("Should have at least one visible character, besides dots")
    return name


FileName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_FILENAME_CHARACTERS, json_schema_extra={"pattern": FILE_NAME_PATTERN}),
    AfterValidator(_check_filename),
]


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

    def ids(self, name: str) -> list[int]:
        """The ids in the fields *name*, each once, in order; empty ones are left out."""
        values = [value for value in self.form.getlist(name) if isinstance(value, str) and value]
        return list(dict.fromkeys(_validated(value, name, _id) for value in values))


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
async def received_pdf(request: Request, *, user_id: int) -> AsyncIterator[Upload]:
    """The PDF in the form field `file`, copied to the upload folder; gone after the block unless it was kept.

    *user_id* sends it, and has so many at once.

    Raises:
        NotPdfError, PayloadTooLargeError, StorageFullError, StorageUnavailableError, RequestValidationError
        RateLimitedError: if too many of this user's uploads are under way.
    """
    async with get_engine(request, Quotas).receiving(user_id), _received_pdf(request) as upload:
        yield upload


@asynccontextmanager
async def _received_pdf(request: Request) -> AsyncIterator[Upload]:
    storage, settings = get_engine(request, Storage), get_engine(request, Settings)  # type: ignore[type-abstract]
    try:
        form = await read_form(request, file_field="file", max_field_bytes=64 * 1024)
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
    return _validated(value, name, kind)


def _validated(value: str, name: str, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", name)} for e in error.errors()]) from error


def clean_filename(name: str | None) -> str:
    """The last component of *name*, without control characters, at most 255 characters; never empty or invisible."""
    base = CONTROL_CHARACTERS.sub("", re.split(r"[/\\]", name or "")[-1]).strip()
    base = base.encode("utf-8", "replace").decode()
    if base in (".", "..") or not _is_legible(base):
        return "document.pdf"
    stem, dot, extension = base.rpartition(".")
    if len(base) > MAX_FILENAME_CHARACTERS and stem and len(extension) <= 10:
        return stem[: MAX_FILENAME_CHARACTERS - len(dot + extension)] + dot + extension
    return base[:MAX_FILENAME_CHARACTERS]


def name_as_pdf(name: str) -> str:
    """*name* as a file is saved under it: one that is a PDF and a program at once is never run."""
    return name if name.lower().endswith(".pdf") else f"{name}.pdf"


def _is_legible(name: str) -> bool:
    """Whether a reader would see a name, and not an ending alone; a name that begins with its last dot has none."""
    return is_visible(name.rpartition(".")[0] or name)
