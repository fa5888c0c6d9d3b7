"""E-mail to a user: stored first, sent after the answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from accounts import queries
from accounts.addresses import Email
from auth import CurrentUser, Db, Limits
from db import fold_address
from delivery.outbox import Outbox
from edge.answers import MAY_WRITE, WITH_BODY, may_fail, operation_id
from edge.engines import opened
from edge.fields import NotBlank
from edge.forms import json_or_form, read_body, validate
from edge.health import Greeting
from edge.limits import client_network
from errors import ForbiddenError, RateLimitedError

MAX_MESSAGE_CHARACTERS = 10_000
MAX_FIELD_BYTES = 64 * 1024

router = APIRouter(tags=["notifications"], generate_unique_id_function=operation_id)


class Notification(BaseModel):
    """A message to one address."""

    model_config = {"json_schema_extra": {"examples": [{"email": "bob@example.com", "message": "The invoice is in."}]}}

    email: Email
    message: Annotated[NotBlank, Field(max_length=MAX_MESSAGE_CHARACTERS)]


async def read_notification(
    request: Request,
    email: Annotated[str | None, Query(max_length=320, include_in_schema=False)] = None,
    message: Annotated[str | None, Query(max_length=MAX_MESSAGE_CHARACTERS, include_in_schema=False)] = None,
) -> Notification:
    """From the query, a form or JSON; the body takes precedence over the query."""
    values = await read_body(request, required=False, max_field_bytes=MAX_FIELD_BYTES)
    if not isinstance(values, dict):
        raise RequestValidationError([{"type": "dict_type", "loc": ("body",), "msg": "Input should be an object"}])
    given = {name: value for name, value in (("email", email), ("message", message)) if value is not None}
    return validate(Notification, {**given, **values}, where="body" if values or not given else "query")


@router.post(
    "/send-notification",
    summary="Send an e-mail to a user",
    openapi_extra=json_or_form(Notification),
    responses=may_fail(*MAY_WRITE, *WITH_BODY, ForbiddenError, RateLimitedError),
)
async def send_notification(
    request: Request,
    database: Db,
    limits: Limits,
    outbox: Annotated[Outbox, opened(Outbox)],
    user: CurrentUser,
    notification: Annotated[Notification, Depends(read_notification)],
) -> Greeting:
    """Queue an e-mail. Only an admin may write to an address that is not a user's. An address that nobody has confirmed
    gets at most six an hour.

    `email` and `message` may be in the query instead of a body.
    """
    mailbox = await queries.find_mailbox(database, email=notification.email)
    if mailbox is None and not user.is_admin:
        raise ForbiddenError("Only registered users can be notified.")
    await limits.hit(limits.notification, str(user.id))
    await limits.hit(limits.notification_ip, client_network(request))
    await limits.hit(limits.notification_recipient, fold_address(notification.email))
    if mailbox is not None and not mailbox.is_verified:
        await limits.hit(limits.notification_unconfirmed, fold_address(notification.email))
    await limits.hit(limits.notification_all, "")
    # Addresses that are equal to the database may be two mailboxes: the one that was registered is meant.
    email = notification.email if mailbox is None else mailbox.email
    await outbox.queue(sender_id=user.id, email=email, message=notification.message)
    return Greeting(message="Notification queued")
