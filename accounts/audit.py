"""The audit over HTTP: who did what, for admins."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from accounts import audit_queries
from accounts.audit_queries import Action, AuditRow, Person
from auth import CurrentAdmin, Db
from edge.answers import SIGNED_IN, may_fail, operation_id
from edge.fields import MAX_ID, IdParameter
from errors import AdminRequiredError

router = APIRouter(tags=["accounts"], generate_unique_id_function=operation_id)


class AuditPerson(BaseModel):
    """Somebody who did something, or to whom it was done, under the name of today."""

    id: int = Field(examples=[2])
    name: str | None = Field(description="null if nothing of the account is left", examples=["Bob"])

    @classmethod
    def from_row(cls, row: Person | None) -> "AuditPerson | None":
        return None if row is None else cls(id=row.id, name=row.name)


class AuditEntry(BaseModel):
    """What happened."""

    id: int = Field(examples=[57])
    action: Action = Field(examples=["key_created"])
    created_at: datetime = Field(examples=["2026-11-23T09:30:00.123456Z"])
    last_at: datetime = Field(description="of the last that is counted here", examples=["2026-11-23T09:30:00.123456Z"])
    times: int = Field(
        description="how often; a row that ends a crowd of its kind also counts those that have no row of their own",
        examples=[1],
    )
    actor: AuditPerson | None = Field(description="null: nobody who was signed in, or the command line")
    user: AuditPerson | None = Field(description="whom it is about")
    session_id: int | None = Field(description="the session, or the API key", examples=[9])
    document_id: int | None = Field(examples=[None])
    network: str | None = Field(
        description="the address that it came from; of IPv6 the first half", examples=["192.0.2.7"]
    )

    @classmethod
    def from_row(cls, row: AuditRow) -> "AuditEntry":
        people = {"actor": AuditPerson.from_row(row.actor), "user": AuditPerson.from_row(row.user)}
        return cls.model_validate(row._asdict() | people)


class AuditPage(BaseModel):
    """Entries, newest first."""

    audit: list[AuditEntry]
    next_cursor: str | None = Field(examples=[None])


@router.get("/admin/audit", summary="Who did what", responses=may_fail(*SIGNED_IN, AdminRequiredError))
async def list_audit(
    response: Response,
    database: Db,
    _admin: CurrentAdmin,
    action: Annotated[Action | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[IdParameter | None, Query()] = None,
) -> AuditPage:
    """Newest first; of one action, or of all. Failed logins appear after two seconds."""
    rows = await audit_queries.list_audit(database, action=action, before_id=cursor or MAX_ID, limit=limit + 1)
    response.headers["Cache-Control"] = "no-store"
    shown = [AuditEntry.from_row(row) for row in rows[:limit]]
    return AuditPage(audit=shown, next_cursor=str(shown[-1].id) if len(rows) > limit else None)
