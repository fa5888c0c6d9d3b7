"""Which names this server answers to.

A page of any site can give its own name the address 127.0.0.1 (DNS rebinding), and is then of one origin with whatever
listens there: the browser lets it read everything. But it names itself in `Host`.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.types import Scope

from settings import Settings

MAX_KNOWN = 256  # Host headers that were accepted before


class Hosts:
    """Checks Host where ALLOWED_HOSTS is set, or the server listens on loopback and the connection came by it."""

    def __init__(self, settings: Settings) -> None:
        origins = [*settings.cors_origins, *([settings.public_url] if settings.public_url else [])]
        self._names = {*settings.allowed_hosts, *(urlsplit(origin).hostname for origin in origins)}
        self._is_always_checked = bool(settings.allowed_hosts)
        self._is_local = is_loopback(settings.host)
        self._known: set[bytes] = set()

    def refuses(self, scope: Scope, host: bytes) -> bool:
        """Whether a request with this Host header is not for this server."""
        if host in self._known or not (self._is_always_checked or (self._is_local and came_by_loopback(scope))):
            return False
        name = host_name(host.decode("latin-1"))
        if name and not is_address(name) and not is_loopback(name) and name not in self._names:
            return True
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(host)
        return False


def came_by_loopback(scope: Scope) -> bool:
    server = scope.get("server")
    return server is not None and is_loopback(server[0])


def host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.lower().strip()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def is_address(name: str) -> bool:
    try:
        return "%" not in name and bool(ipaddress.ip_address(name))  # after a % anything may follow
    except ValueError:
        return False


def is_loopback(name: str) -> bool:
    """Whether *name*, or an address, is this machine's own in any case: no DNS says otherwise (RFC 6761, 6.3)."""
    if is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")
