"""My own account over HTTP: change it, leave, and what to do about a forgotten password."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from accounts.addresses import Email, as_registered
from accounts.audit_trail import actor_of, stranger
from accounts.people import People
from accounts.routes import Me, Name, Password
from auth import MAX_PASSWORD_BYTES, Caller, CurrentCaller, CurrentPerson, Limits, check_person
from db import fold_address
from edge.answers import MAY_WRITE, WITH_BODY, may_fail, operation_id
from edge.browsers import SessionCookie
from edge.engines import opened
from edge.fields import Storable, check_storable
from edge.health import Greeting
from edge.limits import RateLimits, client_network
from errors import (
    DatabaseUnavailableError,
    EmailTakenError,
    InvalidCredentialsError,
    KeyNotAllowedError,
    LastAdminError,
    LinkExpiredError,
    RateLimitedError,
)

router = APIRouter(tags=["accounts"], generate_unique_id_function=operation_id)

Persons = Annotated[People, opened(People)]
CurrentPassword = Annotated[Storable, Field(max_length=MAX_PASSWORD_BYTES, examples=["correct horse battery"])]
LinkToken = Annotated[Storable, Field(min_length=1, max_length=200, examples=["Zk3v0Qm1…"])]


class MePatch(BaseModel):
    """What to change; what is left out stays."""

    name: Name | None = Field(default=None, examples=["Alice"])
    email: Email | None = Field(default=None, examples=["alice@example.com"])
    current_password: CurrentPassword | None = Field(default=None, description="to change the address")


class MeChanged(Me):
    """The account as it is now."""

    pending_email: str | None = Field(
        description="the new address, until the link that was sent to it comes back", examples=[None]
    )


class PasswordChange(BaseModel):
    """The password that is, and the one that is to be."""

    current_password: CurrentPassword
    new_password: Password = Field(examples=["a longer horse battery"])


class AccountEnd(BaseModel):
    """The password, so that nobody ends an account by accident or at an open screen."""

    password: CurrentPassword


class ForgottenPassword(BaseModel):
    """The address of the account."""

    email: Annotated[
        str,
        Field(max_length=320, examples=["alice@example.com"]),
        AfterValidator(check_storable),
        AfterValidator(as_registered),
    ]


class PasswordReset(BaseModel):
    """The token of a link, and the new password."""

    token: LinkToken
    password: Password = Field(examples=["a longer horse battery"])


class EmailConfirmation(BaseModel):
    """The token of a link."""

    token: LinkToken


async def count_mails(people: People, limits: RateLimits, caller: Caller, *, new_email: str | None = None) -> None:
    """Count the mails that a change sends to unconfirmed addresses, before it is made.

    Mails from others to my address do not count for my own changes: nobody can keep me from a new password.

    Raises:
        EmailTakenError, RateLimitedError
    """
    if not people.sends_mail:
        return
    if new_email is not None:
        await people.check_free(new_email, caller.user.id)
        await limits.hit(limits.reset_ip, caller.network)
        await limits.hit(limits.notification_unconfirmed, fold_address(new_email))
    if not caller.user.is_verified:
        await limits.hit(limits.notification_unconfirmed, f"changes by {caller.user.id}")


@router.patch(
    "/me",
    summary="Change my name or address",
    responses=may_fail(
        *MAY_WRITE, EmailTakenError, InvalidCredentialsError, KeyNotAllowedError, RateLimitedError, *WITH_BODY
    ),
)
async def change_me(people: Persons, limits: Limits, caller: CurrentCaller, body: MePatch) -> MeChanged:
    """A new address takes the password, and where mail is sent, the link to it that `/confirm-email` takes."""
    user = caller.user
    known = None
    if body.email is not None and body.email != user.email:
        check_person(caller)
        await limits.hit(limits.login, fold_address(user.email))
        known = await people.check_password(user.id, body.current_password or "", actor_of(caller))
        await count_mails(people, limits, caller, new_email=body.email)
    changed, pending = await people.change(user, actor_of(caller), name=body.name, email=body.email, known=known)
    return MeChanged(**Me.from_row(changed).model_dump(), pending_email=pending)


@router.post(
    "/me/password",
    status_code=204,
    summary="Change my password",
    responses=may_fail(*MAY_WRITE, InvalidCredentialsError, KeyNotAllowedError, RateLimitedError, *WITH_BODY),
)
async def change_password(people: Persons, limits: Limits, caller: CurrentPerson, body: PasswordChange) -> None:
    """All my other sessions end, and all API keys and pending links."""
    await limits.hit(limits.login, fold_address(caller.user.email))
    known = await people.check_password(caller.user.id, body.current_password, actor_of(caller))
    await count_mails(people, limits, caller)
    await people.change_password(
        caller.user.id, actor_of(caller), body.new_password, session_id=caller.session.id, known=known
    )


@router.delete(
    "/me",
    status_code=204,
    summary="Delete my account",
    responses=may_fail(
        *MAY_WRITE, InvalidCredentialsError, KeyNotAllowedError, LastAdminError, RateLimitedError, *WITH_BODY
    ),
)
async def delete_me(
    request: Request,
    response: Response,
    people: Persons,
    limits: Limits,
    caller: CurrentPerson,
    cookie: Annotated[SessionCookie, opened(SessionCookie)],
    body: AccountEnd,
) -> None:
    """My documents, keys, sessions and everything I wrote go at once. What others wrote to me stays with them."""
    await limits.hit(limits.login, fold_address(caller.user.email))
    known = await people.check_password(caller.user.id, body.password, actor_of(caller))
    await people.delete(caller.user.id, actor_of(caller), known=known)
    if caller.session.kind == "browser":
        cookie.remove(request, response)


@router.post(
    "/forgot-password",
    status_code=202,
    summary="Send me a link for a new password",
    responses=may_fail(RateLimitedError, DatabaseUnavailableError, *WITH_BODY),
)
async def forgot_password(request: Request, people: Persons, limits: Limits, body: ForgottenPassword) -> Greeting:
    """The answer is the same whether the address has an account or not. The link works once, for 30 minutes."""
    await limits.hit(limits.reset_ip, client_network(request))
    await limits.hit(limits.reset, fold_address(body.email))
    people.forget_password(body.email, stranger(request))
    return Greeting(message="If the address has an account, a link is on its way.")


@router.post(
    "/reset-password",
    status_code=204,
    summary="Choose a password by a link",
    responses=may_fail(LinkExpiredError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY),
)
async def reset_password(request: Request, people: Persons, limits: Limits, body: PasswordReset) -> None:
    """All sessions, API keys and links of the account end."""
    await limits.hit(limits.reset_ip, client_network(request))
    await people.reset_password(body.token, body.password, stranger(request))


@router.post(
    "/confirm-email",
    status_code=204,
    summary="Confirm a new address by a link",
    responses=may_fail(LinkExpiredError, EmailTakenError, RateLimitedError, DatabaseUnavailableError, *WITH_BODY),
)
async def confirm_email(request: Request, people: Persons, limits: Limits, body: EmailConfirmation) -> None:
    await limits.hit(limits.reset_ip, client_network(request))
    await people.confirm_email(body.token, stranger(request))
