"""What a browser says of the page that sends a request, and the cookie that counts only for our own pages."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from errors import CrossSiteError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443}
BY_COOKIE = "pagewire.by_cookie"  # in the scope of a request whose session cookie counted, or whose answer sets one
MAX_COOKIE_CHARACTERS = 128

# On every answer: it is what it says, and pages of other origins cannot embed it.
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]
# Where there is no other. Browsers style the pages that they make around a picture by themselves.
POLICY = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
BY_HTTPS = (b"strict-transport-security", b"max-age=31536000")  # next time, too
# On every answer to a request with a cookie.
GUARDS = [(b"vary", b"Cookie"), (b"cross-origin-opener-policy", b"same-origin")]


def scheme_of(connection: HTTPConnection) -> str:
    """http or https, as the browser sees it: a trusted proxy says so in X-Forwarded-Proto."""
    return "https" if connection.scope["scheme"] in ("https", "wss") else "http"


def is_own_origin(connection: HTTPConnection, origin: str) -> bool:
    """Whether *origin* is this server itself: scheme, host and port, as the browser knows them."""
    scheme, host = scheme_of(connection), connection.headers.get("host", "")
    own, theirs = _split(f"{scheme}://{host}"), _split(origin)
    return own is not None and own == theirs


def _split(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def is_from_own_page(connection: HTTPConnection) -> bool:
    """Whether the cookie counts for this request.

    SameSite is no protection: a page on another port of this host is of the same site, and may send POSTs and open
    sockets with the cookie. Fetch Metadata tells it apart; over plain http to any host but localhost Chromium sends
    none, and names the Origin of unsafe requests and sockets only. So no safe request may change anything.
    """
    headers = connection.headers
    if (site := headers.get("sec-fetch-site")) is not None:
        is_navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return site == "same-origin" or (_is_safe(connection) and is_navigation)
    if (origin := headers.get("origin")) is not None:
        return is_own_origin(connection, origin)
    return _is_safe(connection)


def _is_safe(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS


def refuse_other_sites(connection: HTTPConnection) -> None:
    """Raise CrossSiteError for a page that is not our own; programs name no page."""
    headers = connection.headers
    if (site := headers.get("sec-fetch-site")) is not None:
        is_own = site == "same-origin"
    else:
        is_own = (origin := headers.get("origin")) is None or is_own_origin(connection, origin)
    if not is_own:
        raise CrossSiteError


class SessionCookie:
    """The session cookie of this installation; *mark* tells it from that of another one on the same host."""

    def __init__(self, mark: str) -> None:
        self._names = {"http": f"pagewire_{mark}", "https": f"__Host-pagewire_{mark}"}

    def find(self, connection: HTTPConnection) -> str | None:
        """The secret in the cookie, if it counts. Two of one name are none: one was set by somebody else's page."""
        raw = connection.headers.get("cookie")
        if raw is None or "authorization" in connection.headers:
            return None
        name = self._names[scheme_of(connection)] + "="
        raw = "; ".join(connection.headers.getlist("cookie"))
        found = [part.strip()[len(name) :] for part in raw.split(";") if part.strip().startswith(name)]
        if len(found) != 1 or not 0 < len(found[0]) <= MAX_COOKIE_CHARACTERS or not is_from_own_page(connection):
            return None
        connection.scope[BY_COOKIE] = True
        return found[0]

    def put(self, connection: HTTPConnection, response: Response, secret: str, *, max_age: int | None) -> None:
        """Set it; *max_age* None: until the browser is closed."""
        self._set(connection, response, secret, max_age)

    def remove(self, connection: HTTPConnection, response: Response) -> None:
        self._set(connection, response, "", 0)

    def _set(self, connection: HTTPConnection, response: Response, value: str, max_age: int | None) -> None:
        scheme = scheme_of(connection)
        parts = [f"{self._names[scheme]}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if scheme == "https":
            parts.append("Secure")
        if max_age is not None:
            parts.append(f"Max-Age={max_age}")
        connection.scope[BY_COOKIE] = True
        response.headers.append("Set-Cookie", "; ".join(parts))


def protect(scope: Scope, status: int, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of any answer, with those that tell a browser what others may do with it."""
    protected = headers + ALWAYS
    if status != 304 and all(name != POLICY[0] for name, _ in headers):  # a 304 would change the policy of what is kept
        protected.append(POLICY)
    if scope["scheme"] == "https":
        protected.append(BY_HTTPS)
    return protected


def guard(scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer to a request with a cookie: for this browser alone, and for our own pages alone."""
    is_by_cookie = scope.get(BY_COOKIE, False)
    kept = []
    is_cached_privately = False
    for name, value in headers:
        if is_by_cookie and name.startswith(b"access-control-"):
            continue
        if name == b"cache-control":
            is_cached_privately = True
            if b"private" not in value and b"no-store" not in value:
                value = b"private, " + value
        kept.append((name, value))
    if not is_cached_privately:
        kept.append((b"cache-control", b"private"))
    return kept + GUARDS
