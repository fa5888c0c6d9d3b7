"""The engines that main opens, asked for by their type."""

from functools import cache
from typing import Any, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

Engine = TypeVar("Engine")


class Engines:
    """Everything that is open while the server runs, one engine of each type."""

    def __init__(self, *engines: object) -> None:
        self._by_type = {type(engine): engine for engine in engines}

    def __getitem__(self, kind: type[Engine]) -> Engine:
        engine = self._by_type[kind]
        assert isinstance(engine, kind)
        return engine


def get_engine(connection: HTTPConnection, kind: type[Engine]) -> Engine:
    """The engine of this type; for a route, `Annotated[kind, opened(kind)]` says the same."""
    engines: Engines = connection.app.state.engines
    return engines[kind]


@cache
def opened(kind: type[Engine]) -> Any:
    """The dependency of a route on the engine of this type."""

    async def get(connection: HTTPConnection) -> Engine:
        return get_engine(connection, kind)

    return Depends(get)
