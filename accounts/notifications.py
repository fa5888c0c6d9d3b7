"""E-mail to a user: stored first, sent after the answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, EmailStr, Field, ValidationError

from accounts import queries
from auth import CurrentUser, Db, Limits
from delivery.outbox import Outbox
from edge.answers import SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.engines import opened
from edge.fields import NotBlank
from edge.forms import read_form
from edge.health import Greeting
from errors import ForbiddenError, RateLimitedError

MAX_MESSAGE_CHARACTERS = 10_000

router = APIRouter(tags=["notifications"], generate_unique_id_function=operation_id)


class Notification(BaseModel):
    """A message to one address."""

    model_config = {"json_schema_extra": {"examples": [{"email": "bob@example.com", "message": "The invoice is in."}]}}

    email: EmailStr
    message: Annotated[NotBlank, Field(max_length=MAX_MESSAGE_CHARACTERS)]


NOTIFICATION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Notification.model_json_schema()},
            "application/x-www-form-urlencoded": {"schema": Notification.model_json_schema()},
        },
    }
}


async def read_notification(
    request: Request,
    email: Annotated[str | None, Query(max_length=320, include_in_schema=False)] = None,
    message: Annotated[str | None, Query(max_length=MAX_MESSAGE_CHARACTERS, include_in_schema=False)] = None,
) -> Notification:
    """From the query, a form or JSON; the body counts where both name a value."""
    values: dict[str, Any] = {}
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        values = dict(await read_form(request, max_field_bytes=64 * 1024))
    elif await request.body():
        try:
            body = await request.json()
        except (ValueError, RecursionError) as error:
            raise RequestValidationError(
                [{"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error"}]
            ) from error
        if not isinstance(body, dict):
            raise RequestValidationError([{"type": "dict_type", "loc": ("body",), "msg": "must be an object"}])
        values = body
    given = {name: value for name, value in (("email", email), ("message", message)) if value is not None}
    try:
        return Notification.model_validate({**given, **values})
    except ValidationError as error:
        where = "body" if values or not given else "query"
        raise RequestValidationError([{**e, "loc": (where, *e["loc"])} for e in error.errors()]) from error


@router.post(
    "/send-notification",
    summary="Send an e-mail to a user",
    openapi_extra=NOTIFICATION_BODY,
    responses=may_fail(*SIGNED_IN, *WITH_BODY, ForbiddenError, RateLimitedError),
)
async def send_notification(
    database: Db,
    limits: Limits,
    outbox: Annotated[Outbox, opened(Outbox)],
    user: CurrentUser,
    notification: Annotated[Notification, Depends(read_notification)],
) -> Greeting:
    """Queue an e-mail. Only addresses of registered users, for anybody but an admin.

    `email` and `message` may stand in the query instead of a body.
    """
    if not user.is_admin and not await queries.email_exists(database, email=notification.email):
        raise ForbiddenError("Only registered users can be notified.")
    await limits.hit(limits.notification, str(user.id))
    await outbox.queue(sender_id=user.id, email=notification.email, message=notification.message)
    return Greeting(message="Notification queued")
