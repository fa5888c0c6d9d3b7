"""Commands for who runs the server and is locked out: `python main.py create-admin EMAIL`, `reset-password EMAIL`."""

from accounts import people_queries, queries
from accounts.addresses import as_registered
from accounts.audit_queries import Actor, insert_audit
from accounts.people import LINK_SECONDS, link_address
from auth import hash_secret, new_secret
from db import Database
from errors import StartupError

COMMANDS = ("create-admin", "reset-password")
COMMAND_LINE = Actor(None, None)


async def run_command(database: Database, *, base: str, command: str, email: str) -> str:
    """Carry it out, on a server that runs or not; return a link to choose a password by.

    Raises:
        StartupError: if there is no such account.
    """
    address = as_registered(email)
    async with database.transaction() as tx:
        found = await queries.find_credentials(tx, email=address)
        user = None if found is None else found.user
        if command == "create-admin":
            if "@" not in address:
                raise StartupError(f"{email} is not an e-mail address")
            if user is None:
                user = await queries.insert_user(
                    tx, email=address, name=address.partition("@")[0], password_hash="", is_admin=True
                )
                assert user is not None
                await insert_audit(tx, "account_created", COMMAND_LINE, user_id=user.id)
                await insert_audit(tx, "admin_granted", COMMAND_LINE, user_id=user.id)
            elif not user.is_admin:
                user = await people_queries.update_user(tx, user_id=user.id, is_admin=True)
                assert user is not None
                await insert_audit(tx, "admin_granted", COMMAND_LINE, user_id=user.id)
        if user is None:
            raise StartupError(f"{email} has no account")
        token = new_secret()
        await people_queries.insert_link(
            tx,
            token_hash=hash_secret(token),
            user_id=user.id,
            purpose="password",
            seconds=LINK_SECONDS,
            is_mailed=False,
        )
        await insert_audit(tx, "password_link_made", COMMAND_LINE, user_id=user.id)
    return link_address(base, "reset-password", token)
