"""API keys over HTTP: for scripts, shown once, ended any time."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StrictBool

from accounts import people_queries
from accounts.audit_queries import insert_audit
from accounts.audit_trail import actor_of
from accounts.people_queries import KeyRow
from accounts.routes import Name, Signing
from auth import API_KEY_PREFIX, CurrentPerson, Db, check_still_signed_in, hash_secret, new_secret
from edge.answers import MAY_WRITE, SIGNED_IN, WITH_BODY, may_fail, operation_id
from edge.fields import MAX_ID, IdParameter, refusal
from errors import AdminRequiredError, ConflictError, KeyNotAllowedError, NotFoundError

MAX_KEYS = 100
PREFIX_CHARACTERS = 8

router = APIRouter(tags=["sessions"], generate_unique_id_function=operation_id)


class KeyNotFoundError(NotFoundError):
    """API key not found"""

    code = "api_key_not_found"


class TooManyKeysError(ConflictError):
    """You have as many API keys as one may have; delete one first."""

    code = "too_many_api_keys"


def _in_future(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC):
        raise refusal("Should be in the future")
    if moment.year >= datetime.max.year:  # in another time zone it may be a year that Python does not know
        raise refusal("Should be before the year 9999")
    return moment


class KeyCreate(BaseModel):
    """What the key is for, and what it may do."""

    name: Name = Field(examples=["nightly import"])
    expires_at: Annotated[AwareDatetime, AfterValidator(_in_future)] | None = Field(
        default=None, examples=["2099-01-01T00:00:00Z"]
    )
    read_only: StrictBool = Field(default=False, description="may change nothing, by REST and by socket")
    admin: StrictBool = Field(default=False, description="acts as admin, as long as its owner is one")


class ApiKey(BaseModel):
    """An API key; the key itself was shown once."""

    id: int = Field(examples=[9])
    name: str = Field(examples=["nightly import"])
    prefix: str = Field(examples=["pw_0u4Vb"])
    read_only: bool
    admin: bool
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    last_used_at: datetime | None = Field(description="to the minute", examples=["2026-11-23T09:45:00.123456Z"])
    ip: str | None = Field(description="of the last use", examples=["192.0.2.7"])
    expires_at: datetime | None = Field(examples=[None])

    @classmethod
    def from_row(cls, row: KeyRow) -> "ApiKey":
        return cls(**row._asdict())


class ApiKeyCreated(ApiKey):
    """The key, this once."""

    key: str = Field(examples=["pw_0u4Vb2Qy3l7c…"])


class ApiKeyPage(BaseModel):
    """API keys, newest first."""

    api_keys: list[ApiKey]
    next_cursor: str | None = Field(examples=[None])


@router.post(
    "/api-keys",
    status_code=201,
    summary="Make an API key",
    responses=may_fail(*MAY_WRITE, KeyNotAllowedError, AdminRequiredError, TooManyKeysError, *WITH_BODY),
)
async def create_key(
    request: Request, response: Response, database: Db, caller: CurrentPerson, body: KeyCreate
) -> ApiKeyCreated:
    """It is a Bearer token on every route and socket, and is shown in this answer alone."""
    if body.admin and not caller.user.is_admin:
        raise AdminRequiredError
    key = API_KEY_PREFIX + new_secret()
    async with database.transaction() as tx:
        row = await people_queries.insert_key(
            tx,
            user_id=caller.user.id,
            session_id=caller.session.id,
            name=body.name,
            key=hash_secret(key),
            prefix=key[:PREFIX_CHARACTERS],
            read_only=body.read_only,
            admin=body.admin,
            expires_at=body.expires_at,
            limit=MAX_KEYS,
        )
        if row is None:
            await check_still_signed_in(request, caller)
            raise TooManyKeysError
        await insert_audit(tx, "key_created", actor_of(caller), user_id=caller.user.id, session_id=row.id)
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyCreated(**row._asdict(), key=key)


@router.get("/api-keys", summary="My API keys", responses=may_fail(*SIGNED_IN, KeyNotAllowedError))
async def list_keys(
    database: Db,
    caller: CurrentPerson,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> ApiKeyPage:
    rows = await people_queries.list_keys(database, user_id=caller.user.id, before_id=cursor or MAX_ID, limit=limit + 1)
    keys = [ApiKey.from_row(row) for row in rows[:limit]]
    return ApiKeyPage(api_keys=keys, next_cursor=str(keys[-1].id) if len(rows) > limit else None)


@router.delete(
    "/api-keys/{key_id}",
    status_code=204,
    summary="Delete an API key",
    responses=may_fail(*MAY_WRITE, KeyNotAllowedError, KeyNotFoundError),
)
async def delete_key(sign_ins: Signing, caller: CurrentPerson, key_id: IdParameter) -> None:
    """It is refused at once; its sockets close within a second."""
    if not await sign_ins.end(caller.user.id, actor_of(caller), kinds=["key"], session_id=key_id):
        raise KeyNotFoundError
