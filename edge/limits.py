"""Rate limits: how often one key (an account, an address) may do one thing."""

import asyncio
import ipaddress
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Protocol

from limits import RateLimitItem, parse
from starlette.requests import HTTPConnection

from edge.background import cancel, repeat
from errors import PagewireError, RateLimitedError
from settings import Settings

LOGINS_FROM_ONE_IP = 6  # times the limit of one account
MAILS_FROM_ONE_IP = 6  # times the limit of one user; a recipient gets as many from all users as one may send
MAILS_OF_ALL = 60
MAILS_TO_UNCONFIRMED = "6/hour"  # to one address that nobody has shown to be theirs
FRAMES_OF_ONE_USER = "300/10 second"  # other than messages, by all their sockets here; more is a flood
SWEEP_EVERY_SECONDS = 600.0
FORGOTTEN_AT_ONCE = 2  # expired windows dropped at each hit: more than one, so that they cannot pile up

logger = logging.getLogger("pagewire.limits")


class Rate:
    """A named rule: *text* in the notation of `limits` ("10/minute"), or "off"; *times* multiplies the amount.

    *is_shared*: all nodes count it together, at the price of a query where there are several.
    """

    def __init__(self, name: str, text: str, *, times: int = 1, is_shared: bool = False) -> None:
        self.name = name
        self.is_shared = is_shared
        self.limit: RateLimitItem | None = None
        if text != "off":
            limit = parse(text)
            self.limit = type(limit)(limit.amount * times, limit.multiples)


class Counter(Protocol):
    """Counts hits for several nodes."""

    counts_messages: ClassVar[bool]  # whether it is cheap enough to be asked about each

    async def hit(self, rule: Rate, key: str) -> None:
        """Raises RateLimitedError, DatabaseUnavailableError, BusyError."""

    async def sweep(self) -> None:
        """Forget what has expired."""


class RateLimiter:
    """Counts in this process's memory, in a moving window: no key gets twice its share at a boundary.

    Not by `limits`' own memory storage, which at each hit visits every window in a thread (60 % of a core at 200
    messages a second from 200 people; this takes 0.1 %).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, OrderedDict[str, deque[float]]] = {}  # by rule and key, least recently used first

    async def hit(self, rule: Rate, key: str) -> None:
        """Count one; a refused hit does not count.

        Raises:
            RateLimitedError: if *key* has used up its limit; `retry_after` says when there is room again.
        """
        if rule.limit is None:
            return
        now, seconds = self._clock(), rule.limit.get_expiry()
        windows = self._windows.setdefault(rule.name, OrderedDict())
        _forget_expired(windows, before=now - seconds)
        hits = windows.setdefault(key, deque())
        while hits and hits[0] <= now - seconds:
            hits.popleft()
        if len(hits) >= rule.limit.amount:
            free_at = (hits[0] if hits else now) + seconds
            raise RateLimitedError(retry_after=max(1, math.ceil(free_at - now)))
        hits.append(now)
        windows.move_to_end(key)

    def _take_back(self, rule: Rate, key: str) -> None:
        """The last hit was refused elsewhere."""
        windows = self._windows[rule.name]
        if hits := windows.get(key):
            hits.pop()


def _forget_expired(windows: OrderedDict[str, deque[float]], *, before: float) -> None:
    for _ in range(FORGOTTEN_AT_ONCE):
        oldest = next(iter(windows.values()), None)
        if oldest is None or (oldest and oldest[-1] > before):
            return
        windows.popitem(last=False)


class RateLimits(RateLimiter):
    """The rules of this installation, and their counters: in memory, and where there are other nodes in *shared*, too.

    What memory refuses asks nobody else. Requests and frames are many, and cheap: each node counts its own, and
    messages, too, where *shared* is not made for so many.
    """

    def __init__(self, settings: Settings, *, shared: Counter, has_other_nodes: Callable[[], bool]) -> None:
        super().__init__()
        self._shared = shared
        self._has_other_nodes = has_other_nodes
        self._sweeping: asyncio.Task[None] | None = None
        logins, resets = settings.login_rate_limit, settings.reset_rate_limit
        self.login = Rate("login", logins, is_shared=True)
        self.login_ip = Rate("login-ip", logins, times=LOGINS_FROM_ONE_IP, is_shared=True)
        self.register = Rate("register", settings.register_rate_limit, is_shared=True)
        self.reset = Rate("reset", resets, is_shared=True)
        self.reset_ip = Rate("reset-ip", resets, times=LOGINS_FROM_ONE_IP, is_shared=True)
        self.notification = Rate("notification", settings.notification_rate_limit, is_shared=True)
        mails = settings.notification_rate_limit
        self.notification_recipient = Rate("notification-recipient", mails, is_shared=True)
        self.notification_ip = Rate("notification-ip", mails, times=MAILS_FROM_ONE_IP, is_shared=True)
        self.notification_all = Rate("notification-all", mails, times=MAILS_OF_ALL, is_shared=True)
        unconfirmed = "off" if mails == "off" else MAILS_TO_UNCONFIRMED
        self.notification_unconfirmed = Rate("notification-unconfirmed", unconfirmed, is_shared=True)
        self.request = Rate("request", settings.request_rate_limit)
        self.message = Rate("message", settings.message_rate_limit, is_shared=shared.counts_messages)
        self.upload = Rate("upload", settings.upload_rate_limit, is_shared=True)
        self.frame = Rate("frame", FRAMES_OF_ONE_USER)

    def start(self) -> None:
        work = repeat(self._shared.sweep, every_seconds=SWEEP_EVERY_SECONDS, logger=logger, name="sweeping rate limits")
        self._sweeping = asyncio.create_task(work)

    async def close(self) -> None:
        await cancel(self._sweeping)

    async def hit(self, rule: Rate, key: str) -> None:
        """Count one; a refused hit does not count.

        Raises:
            RateLimitedError; where other nodes count too, DatabaseUnavailableError and BusyError.
        """
        await super().hit(rule, key)
        if rule.is_shared and self._has_other_nodes():
            try:
                await self._shared.hit(rule, key)
            except PagewireError:
                self._take_back(rule, key)
                raise


def client_address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def client_network(connection: HTTPConnection) -> str:
    return network_of(client_address(connection))


def network_of(host: str) -> str:
    """A client's address as a key for rate limits; IPv6 by its /64, the network of one household."""
    with suppress(ValueError):
        if isinstance(address := ipaddress.ip_address(host), ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, 64), strict=False))
    return host
