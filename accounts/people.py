"""What happens to a person's account: passwords, addresses, links that work once, and its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from accounts import people_queries, queries
from accounts.audit_queries import Actor, insert_audit
from accounts.audit_trail import AuditTrail
from accounts.sign_ins import ALL_KINDS, SignIns
from auth import Gatekeeper, UserRow, hash_secret, new_secret
from db import Connection, Database, Executor, IntegrityError
from delivery.feed import Feed
from delivery.outbox import Outbox
from errors import (
    EmailTakenError,
    ForbiddenError,
    InvalidCredentialsError,
    LastAdminError,
    LinkExpiredError,
    UserNotFoundError,
)
from settings import Settings

LINK_SECONDS = 30 * 60.0
INVITATION_SECONDS = 7 * 24 * 3600.0
CLOSE_SECONDS = 2.0

RESET_MAIL = """\
Somebody, probably you, asked for a new password for {email} on Pagewire.

Choose one here within 30 minutes:

{link}

If it was not you, do nothing: your password stays as it is.
"""
ADDRESS_MAIL = """\
Somebody, probably you, wants to use {email} on Pagewire.

If it was you, confirm it here within 30 minutes:

{link}

If it was not you, do nothing.
"""
NOTICE_MAIL = """\
Your address on Pagewire is to be changed from {email} to {new_email}.

If it was not you, change your password now.
"""

CHANGE_MAIL = """\
The password of {email} on Pagewire was changed.

If it was not you, ask for a new one at once, and tell who runs your Pagewire.
"""

# Forgets what a person wrote, in the transaction that ends the account; what it returns is done after the commit.
Farewell = Callable[[Connection, int], Awaitable[Callable[[], Awaitable[None]]]]
logger = logging.getLogger("pagewire.people")


def link_address(base: str, page: str, token: str) -> str:
    """The token stands in the fragment: it reaches neither a log nor a Referer, and no mail scanner uses it up."""
    return f"{base}/app/{page}#token={token}"


class People:
    """Changes accounts. Whatever takes one out of another's hands also ends that one's sessions, keys and links."""

    def __init__(
        self,
        settings: Settings,
        gatekeeper: Gatekeeper,
        database: Database,
        feed: Feed,
        sign_ins: SignIns,
        outbox: Outbox,
        audit_trail: AuditTrail,
        farewells: Sequence[Farewell],
    ) -> None:
        self._base = settings.public_url
        self.sends_mail = settings.smtp_host is not None
        self._may_mail = self.sends_mail and settings.public_url is not None
        self._gatekeeper = gatekeeper
        self._database = database
        self._feed = feed
        self._sign_ins = sign_ins
        self._outbox = outbox
        self._audit_trail = audit_trail
        self._farewells = farewells
        self._later: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        if self._later:
            await asyncio.wait(self._later, timeout=CLOSE_SECONDS)

    # Passwords

    async def check_password(self, user_id: int, password: str, actor: Actor) -> str:
        """Return the hash of this person's password, for *known* below: it may be changed before they go on.

        A wrong one is audited as a failed login: somebody may have found an open screen.

        Raises:
            InvalidCredentialsError: unless it is theirs.
        """
        known = await people_queries.get_password_hash(self._database, user_id=user_id)
        if not await self._gatekeeper.passwords.matches(password, known, by=f"user {user_id}") or known is None:
            self._audit_trail.note_failed_login(actor, user_id=user_id)
            raise InvalidCredentialsError
        return known

    async def change_password(
        self, user_id: int, actor: Actor, password: str, *, session_id: int | None, known: str | None
    ) -> None:
        """All sessions but that one end, and all API keys and links; the account's owner gets a mail about it.

        Raises:
            InvalidCredentialsError: if the password is not the *known* one any more; UserNotFoundError
        """
        password_hash = await self._gatekeeper.passwords.hash(password, by=f"user {user_id}")
        async with self._database.transaction() as tx:
            await _hold_password(tx, user_id, known)
            email = await people_queries.set_password(tx, user_id=user_id, password_hash=password_hash)
            if email is None:
                raise UserNotFoundError
            await self._tell_of_new_password(tx, email)
            ended = await self._sign_out(tx, user_id, actor, except_id=session_id)
            await insert_audit(tx, "password_changed", actor, user_id=user_id)
        self._feed.drop_sessions(user_id, ended)
        self._outbox.look()

    async def _tell_of_new_password(self, tx: Connection, email: str) -> None:
        if self.sends_mail:
            await self._outbox.queue_within(tx, email=email, message=CHANGE_MAIL.format(email=email))

    async def _sign_out(self, tx: Connection, user_id: int, actor: Actor, *, except_id: int | None = None) -> list[int]:
        await people_queries.delete_links(tx, user_id=user_id)
        return await self._sign_ins.end_within(tx, user_id, actor, kinds=ALL_KINDS, except_id=except_id)

    def forget_password(self, email: str, actor: Actor) -> None:
        """Send a link to the address as it is stored, if there is one: later, so that the answer tells nothing."""
        if self._may_mail:
            task = asyncio.create_task(self._mail_reset(email, actor))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _mail_reset(self, email: str, actor: Actor) -> None:
        try:
            found = await queries.find_credentials(self._database, email=email)
            if found is not None:
                async with self._database.transaction() as tx:
                    token = await _make_link(tx, found.user.id, "password", LINK_SECONDS, is_mailed=True)
                    await insert_audit(tx, "password_link_mailed", actor, user_id=found.user.id)
                text = RESET_MAIL.format(email=found.user.email, link=self._address("reset-password", token))
                await self._outbox.queue(sender_id=None, email=found.user.email, message=text)
        except Exception as error:
            logger.warning("a link for a forgotten password could not be sent: %s", type(error).__name__)

    async def make_password_link(self, user_id: int, actor: Actor, *, seconds: float = LINK_SECONDS) -> str:
        """A link by which *user_id* chooses a password, to be handed over by an admin; a path without PUBLIC_URL."""
        async with self._database.transaction() as tx:
            token = await _make_link(tx, user_id, "password", seconds, is_mailed=False)
            await insert_audit(tx, "password_link_made", actor, user_id=user_id)
        return self._address("reset-password", token)

    async def reset_password(self, token: str, password: str, actor: Actor) -> None:
        """Choose a password by a link: every session, key and link of the account ends.

        Raises:
            LinkExpiredError
        """
        token_hash = hash_secret(token)
        found = await people_queries.find_link(self._database, token_hash=token_hash, purpose="password")
        if found is None:
            raise LinkExpiredError
        password_hash = await self._gatekeeper.passwords.hash(password, by=f"user {found.user_id}")
        async with self._database.transaction() as tx:
            link = await people_queries.take_link(tx, token_hash=token_hash, purpose="password")
            if link is None:
                raise LinkExpiredError
            email = await people_queries.set_password(
                tx, user_id=link.user_id, password_hash=password_hash, is_verified=link.is_mailed
            )
            if email is None:
                raise LinkExpiredError
            await self._tell_of_new_password(tx, email)
            ended = await self._sign_out(tx, link.user_id, actor)
            await insert_audit(tx, "password_reset", actor, user_id=link.user_id)
        self._feed.drop_sessions(link.user_id, ended)
        self._outbox.look()

    # Names and addresses

    async def change(
        self, user: UserRow, actor: Actor, *, name: str | None, email: str | None, known: str | None
    ) -> tuple[UserRow, str | None]:
        """Change a name; a new address at once, or where mail is sent, once the link to it comes back.

        Return the account, and the address that is to be confirmed.

        Raises:
            InvalidCredentialsError: if the password is not the *known* one any more.
            EmailTakenError, UserNotFoundError
        """
        if email is not None and email != user.email and self._may_mail:
            await self.check_free(email, user.id)
            async with self._database.transaction() as tx:
                await _hold_password(tx, user.id, known)
                token = await _make_link(tx, user.id, "email", LINK_SECONDS, is_mailed=True, email=email)
            text = ADDRESS_MAIL.format(email=email, link=self._address("confirm-email", token))
            await self._outbox.queue(sender_id=None, email=email, message=text)
            notice = NOTICE_MAIL.format(email=user.email, new_email=email)
            await self._outbox.queue(sender_id=None, email=user.email, message=notice)
            return await self.update(user.id, actor, name=name), email
        new_email = None if email == user.email else email
        return await self.update(user.id, actor, name=name, email=new_email, known=known), None

    async def check_free(self, email: str, user_id: int) -> None:
        """Raises EmailTakenError if another account has *email*."""
        found = await queries.find_credentials(self._database, email=email)
        if found is not None and found.user.id != user_id:
            raise EmailTakenError

    async def confirm_email(self, token: str, actor: Actor) -> None:
        """Raises LinkExpiredError, EmailTakenError."""
        try:
            async with self._database.transaction() as tx:
                link = await people_queries.take_link(tx, token_hash=hash_secret(token), purpose="email")
                if link is None:
                    raise LinkExpiredError
                await people_queries.update_user(tx, user_id=link.user_id, email=link.email, is_verified=True)
                await insert_audit(tx, "email_changed", actor, user_id=link.user_id)
        except IntegrityError as error:
            raise EmailTakenError from error

    async def update(
        self,
        user_id: int,
        actor: Actor,
        *,
        name: str | None = None,
        email: str | None = None,
        is_admin: bool | None = None,
        known: str | None = None,
    ) -> UserRow:
        """Change what is not None; *email* and *is_admin* are other than before.

        Raises:
            InvalidCredentialsError: if the password is not the *known* one any more.
            EmailTakenError, UserNotFoundError, LastAdminError
        """
        try:
            async with self._database.transaction() as tx:
                if is_admin is False and await people_queries.is_last_admin(tx, user_id=user_id):
                    raise LastAdminError
                await _hold_password(tx, user_id, known)
                user = await people_queries.update_user(tx, user_id=user_id, name=name, email=email, is_admin=is_admin)
                if user is None:
                    raise UserNotFoundError
                if email is not None:
                    await insert_audit(tx, "email_changed", actor, user_id=user_id)
                if is_admin is not None:
                    await insert_audit(tx, "admin_granted" if is_admin else "admin_revoked", actor, user_id=user_id)
        except IntegrityError as error:
            raise EmailTakenError from error
        return user

    def _address(self, page: str, token: str) -> str:
        return link_address(self._base or "", page, token)

    # The end

    async def delete(self, user_id: int, actor: Actor, *, known: str | None) -> None:
        """End an account: what this person wrote and owns goes, what others wrote to them stays.

        Raises:
            InvalidCredentialsError: if the password is not the *known* one any more.
            UserNotFoundError, LastAdminError
        """
        afterwards: list[Callable[[], Awaitable[None]]] = []
        async with self._database.transaction() as tx:
            if await people_queries.is_last_admin(tx, user_id=user_id):
                raise LastAdminError
            if await queries.find_user(tx, user_id=user_id) is None:
                raise UserNotFoundError
            afterwards = [await farewell(tx, user_id) for farewell in self._farewells]
            await _hold_password(tx, user_id, known)  # accounts are locked last
            await people_queries.bury_user(tx, user_id=user_id)
            await self._sign_ins.end_within(tx, user_id, actor, kinds=ALL_KINDS)
            await self._feed.announce_ended(tx, user_id)
            await insert_audit(tx, "account_deleted", actor, user_id=user_id)
        self._feed.drop_sessions(user_id)
        for finish in afterwards:
            await finish()


async def _hold_password(tx: Connection, user_id: int, known: str | None) -> None:
    if known is not None and not await people_queries.hold_password(tx, user_id=user_id, password_hash=known):
        raise InvalidCredentialsError


async def _make_link(
    conn: Executor, user_id: int, purpose: str, seconds: float, *, is_mailed: bool, email: str | None = None
) -> str:
    token = new_secret()
    await people_queries.insert_link(
        conn,
        token_hash=hash_secret(token),
        user_id=user_id,
        purpose=purpose,
        seconds=seconds,
        is_mailed=is_mailed,
        email=email,
    )
    return token


def check_not_oneself(user: UserRow, user_id: int) -> None:
    """Raise ForbiddenError: one's own account ends by DELETE /me, with the password."""
    if user.id == user_id:
        raise ForbiddenError("Use DELETE /me for your own account.")
