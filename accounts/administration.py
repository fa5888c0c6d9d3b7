"""What admins do with people: take them in, change them, help them back in, and delete them."""

from fastapi import APIRouter
from pydantic import BaseModel, Field, StrictBool

from accounts import queries
from accounts.addresses import Email
from accounts.audit_queries import insert_audit
from accounts.audit_trail import actor_of
from accounts.me import CurrentPassword, Persons, count_mails
from accounts.people import INVITATION_SECONDS, check_not_oneself
from accounts.routes import Me, Name, Password, Signing
from auth import Caller, CurrentCaller, CurrentPerson, Db, Gate, Limits, check_person
from db import fold_address
from edge.answers import MAY_WRITE, WITH_BODY, may_fail, operation_id
from edge.fields import IdParameter
from errors import (
    AdminRequiredError,
    EmailTakenError,
    ForbiddenError,
    InvalidCredentialsError,
    KeyNotAllowedError,
    LastAdminError,
    RateLimitedError,
    UserNotFoundError,
)

router = APIRouter(tags=["accounts"], generate_unique_id_function=operation_id)


class UserCreate(BaseModel):
    """A new person; without a password the answer has a link by which they choose one."""

    email: Email = Field(examples=["carol@example.com"])
    name: Name = Field(examples=["Carol"])
    password: Password | None = Field(default=None, examples=["correct horse battery"])
    is_admin: StrictBool = False


class UserPut(BaseModel):
    """A person as they are to be; the password stays unless there is a new one."""

    email: Email = Field(examples=["carol@example.com"])
    name: Name = Field(examples=["Carol"])
    password: Password | None = Field(default=None, examples=[None])
    is_admin: StrictBool | None = None
    current_password: CurrentPassword | None = Field(
        default=None, description="of who changes their own address or password"
    )


class UserCreated(Me):
    """The new account."""

    link: str | None = Field(description="to choose a password by, once, within a week", examples=[None])


class PasswordLink(BaseModel):
    """Hand it to its person; it works once, for 30 minutes."""

    link: str = Field(examples=["https://pagewire.example.com/app/reset-password#token=Zk3v0Qm1…"])


def check_admin(caller: Caller) -> None:
    if not caller.user.is_admin:
        raise AdminRequiredError


@router.post(
    "/users",
    status_code=201,
    summary="Take somebody in",
    responses=may_fail(
        *MAY_WRITE, AdminRequiredError, KeyNotAllowedError, EmailTakenError, RateLimitedError, *WITH_BODY
    ),
)
async def create_user(
    database: Db, gate: Gate, people: Persons, caller: CurrentPerson, body: UserCreate
) -> UserCreated:
    """Also where registration is closed."""
    check_admin(caller)
    password_hash = (
        "" if body.password is None else await gate.passwords.hash(body.password, by=f"user {caller.user.id}")
    )
    async with database.transaction() as tx:
        user = await queries.insert_user(
            tx, email=body.email, name=body.name, password_hash=password_hash, is_admin=body.is_admin
        )
        if user is None:
            raise EmailTakenError
        await insert_audit(tx, "account_created", actor_of(caller), user_id=user.id)
        if user.is_admin:
            await insert_audit(tx, "admin_granted", actor_of(caller), user_id=user.id)
    link = None
    if body.password is None:
        link = await people.make_password_link(user.id, actor_of(caller), seconds=INVITATION_SECONDS)
    return UserCreated(**Me.from_row(user).model_dump(), link=link)


@router.put(
    "/users/{user_id}",
    summary="Change somebody, or myself",
    responses=may_fail(
        *MAY_WRITE,
        AdminRequiredError,
        KeyNotAllowedError,
        InvalidCredentialsError,
        EmailTakenError,
        LastAdminError,
        UserNotFoundError,
        RateLimitedError,
        *WITH_BODY,
    ),
)
async def put_user(
    database: Db, limits: Limits, people: Persons, caller: CurrentCaller, user_id: IdParameter, body: UserPut
) -> Me:
    """Only an admin changes others, and who is an admin. A new password signs its person out everywhere else."""
    is_self = caller.user.id == user_id
    known = None
    if not is_self or body.is_admin not in (None, caller.user.is_admin):
        check_admin(caller)
    before = await queries.find_user(database, user_id=user_id)
    if before is None:
        raise UserNotFoundError
    new_email = None if body.email == before.email else body.email
    if body.password is not None or new_email is not None or body.is_admin not in (None, before.is_admin):
        check_person(caller)
    if is_self and (body.password is not None or new_email is not None):
        await limits.hit(limits.login, fold_address(before.email))
        known = await people.check_password(user_id, body.current_password or "", actor_of(caller))
        await count_mails(people, limits, caller, new_email=new_email)
    actor = actor_of(caller)
    new_role = None if body.is_admin == before.is_admin else body.is_admin
    if is_self and new_email is not None:
        user, _ = await people.change(before, actor, name=body.name, email=new_email, known=known)
        if new_role is not None:
            user = await people.update(user_id, actor, is_admin=new_role)
    else:
        user = await people.update(user_id, actor, name=body.name, email=new_email, is_admin=new_role)
    if body.password is not None:
        await people.change_password(
            user_id, actor, body.password, session_id=caller.session.id if is_self else None, known=known
        )
    return Me.from_row(user)


@router.delete(
    "/users/{user_id}",
    status_code=204,
    summary="Delete somebody's account",
    responses=may_fail(
        *MAY_WRITE, AdminRequiredError, KeyNotAllowedError, ForbiddenError, LastAdminError, UserNotFoundError
    ),
)
async def delete_user(people: Persons, caller: CurrentPerson, user_id: IdParameter) -> None:
    """As if they had left by DELETE /me."""
    check_admin(caller)
    check_not_oneself(caller.user, user_id)
    await people.delete(user_id, actor_of(caller), known=None)


@router.post(
    "/users/{user_id}/reset",
    summary="A link for somebody who forgot their password",
    responses=may_fail(*MAY_WRITE, AdminRequiredError, KeyNotAllowedError, UserNotFoundError),
)
async def create_password_link(
    database: Db, people: Persons, caller: CurrentPerson, user_id: IdParameter
) -> PasswordLink:
    """For an installation without mail. An earlier link works no more."""
    check_admin(caller)
    if await queries.find_user(database, user_id=user_id) is None:
        raise UserNotFoundError
    return PasswordLink(link=await people.make_password_link(user_id, actor_of(caller)))


@router.delete(
    "/users/{user_id}/sessions",
    status_code=204,
    summary="Sign somebody out everywhere",
    responses=may_fail(*MAY_WRITE, AdminRequiredError, KeyNotAllowedError, UserNotFoundError),
)
async def delete_users_sessions(database: Db, sign_ins: Signing, caller: CurrentPerson, user_id: IdParameter) -> None:
    """All sessions end; API keys stay."""
    check_admin(caller)
    if await queries.find_user(database, user_id=user_id) is None:
        raise UserNotFoundError
    await sign_ins.end(user_id, actor_of(caller))
