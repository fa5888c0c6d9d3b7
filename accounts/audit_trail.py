"""Who did what: failed logins are noted here and stored later; what else happened is stored with it."""

import asyncio
import logging

from starlette.requests import HTTPConnection

from accounts import audit_queries
from accounts.audit_queries import Actor
from auth import Caller
from db import Database
from edge.background import cancel, repeat
from edge.limits import client_network
from settings import Settings

STORE_EVERY_SECONDS = 2.0
SWEEP_EVERY_SECONDS = 3600.0
CLOSE_SECONDS = 2.0
MAX_NOTED = 200  # pairs of a network and an account; the failures of further ones are counted together

logger = logging.getLogger("pagewire.audit")


def actor_of(caller: Caller) -> Actor:
    return Actor(caller.user.id, caller.network)


def stranger(connection: HTTPConnection) -> Actor:
    """Somebody who is not signed in."""
    return Actor(None, client_network(connection))


class AuditTrail:
    """Keeps the audit small: failed logins are added up for two seconds before they are stored, old rows are deleted.

    A process that is killed loses the failed logins of its last two seconds; while the database is away they wait.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._days = settings.audit_days
        self._failed: dict[tuple[str, int | None], int] = {}  # by network and account
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(repeat(work, every_seconds=seconds, logger=logger, name=name))
            for work, seconds, name in (
                (self._store, STORE_EVERY_SECONDS, "storing failed logins"),
                (self._sweep, SWEEP_EVERY_SECONDS, "forgetting old parts of the audit"),
            )
        ]

    async def close(self) -> None:
        await cancel(*self._tasks)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._store()
        except Exception as error:
            logger.warning("the last failed logins could not be stored: %s", type(error).__name__)

    def note_failed_login(self, actor: Actor, *, user_id: int | None) -> None:
        """Somebody tried to sign in as *user_id*, or with an address that has no account."""
        key = (actor.network or "", user_id)
        if key not in self._failed and len(self._failed) >= MAX_NOTED:
            key = ("", None)
        self._failed[key] = self._failed.get(key, 0) + 1

    async def _store(self) -> None:
        for key in list(self._failed):
            times = self._failed[key]
            network, user_id = key
            await audit_queries.insert_audit(
                self._database, "login_failed", Actor(None, network), user_id=user_id, times=times
            )
            self._failed[key] -= times  # more may have come meanwhile
            if not self._failed[key]:
                del self._failed[key]

    async def _sweep(self) -> None:
        while await audit_queries.forget_old_audit(self._database, days=self._days):
            pass
        while await audit_queries.forget_audit_of_nobody(self._database):
            pass
