"""What a route may ask for: typed aliases of the engines that main opens."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bus import Bus
from jobs import Jobs
from messenger import Messenger
from pdf import PdfEngine
from pool import Database
from rates import Rate, RateLimiter
from settings import Settings
from storage import Storage

LOGINS_FROM_ONE_IP = 6  # times what one address may
FRAMES_OF_ONE_SOCKET = "300/10 second"  # other than messages; more is a flood


class Rates:
    """The rules of this installation, a name for each."""

    def __init__(self, settings: Settings) -> None:
        self.login = Rate("login", settings.login_rate_limit)
        self.login_ip = Rate("login-ip", settings.login_rate_limit, times=LOGINS_FROM_ONE_IP)
        self.register = Rate("register", settings.register_rate_limit)
        self.message = Rate("message", settings.message_rate_limit)
        self.frame = Rate("frame", FRAMES_OF_ONE_SOCKET)
        self.notification = Rate("notification", settings.notification_rate_limit)


@dataclass
class Engines:
    """Everything that is opened when the server starts."""

    settings: Settings
    database: Database
    storage: Storage
    pdf: PdfEngine
    jobs: Jobs
    bus: Bus
    messenger: Messenger
    limiter: RateLimiter
    rates: Rates
    draining: bool = False


async def get_engines(connection: HTTPConnection) -> Engines:
    engines: Engines = connection.app.state.engines
    return engines


async def _get_database(connection: HTTPConnection) -> Database:
    return (await get_engines(connection)).database


AllEngines = Annotated[Engines, Depends(get_engines)]
Db = Annotated[Database, Depends(_get_database)]
