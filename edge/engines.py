"""The engines that main opens, asked for by their type."""

from typing import TypeVar

from fastapi import params
from starlette.requests import HTTPConnection

Engine = TypeVar("Engine")


class Engines:
    """Everything that is open while the server runs, one engine of each type; a base class names its subclass."""

    def __init__(self, *engines: object) -> None:
        self._by_type = {kind: engine for engine in engines for kind in type(engine).__mro__}

    def __getitem__(self, kind: type[Engine]) -> Engine:
        engine = self._by_type[kind]
        assert isinstance(engine, kind)
        return engine


def get_engine(connection: HTTPConnection, kind: type[Engine]) -> Engine:
    engines: Engines = connection.app.state.engines
    return engines[kind]


def opened(kind: type[Engine]) -> params.Depends:
    """A route's dependency on the engine of type *kind*, as in `Annotated[Database, opened(Database)]`."""

    async def get(connection: HTTPConnection) -> Engine:
        return get_engine(connection, kind)

    return params.Depends(get)
