"""What an installation is to somebody who comes to it for the first time."""

import hmac

from starlette.requests import HTTPConnection

from auth import Gatekeeper
from edge.hosts import host_name, is_loopback
from edge.limits import client_address

NAME = "Pagewire"
CODE_CHARACTERS = 12


class Installation:
    """Its version, and who may make its first account: on this machine, or with a code that only its log has.

    The code is the same in every process; it is worth nothing once there is an account.
    """

    def __init__(self, gatekeeper: Gatekeeper, *, mark: str, version: str) -> None:
        self.name = NAME
        self.version = version
        self.setup_code = gatekeeper.tokens.derive_secret(mark, "the first account")[:CODE_CHARACTERS]

    def may_set_up(self, connection: HTTPConnection, code: str | None) -> bool:
        """Whether the first account may be made from there. A proxy's clients may all seem to be on this machine."""
        if is_loopback(client_address(connection)) and is_loopback(
            host_name(connection.headers.get("host", "localhost"))
        ):
            return True
        return code is not None and hmac.compare_digest(code.strip().encode(), self.setup_code.encode())
