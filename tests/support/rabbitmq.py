"""A RabbitMQ for the tests, where the system has one (`apt-get install rabbitmq-server`)."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

from support.servers import wait_until

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitServer:
    """A broker with a folder and ports of its own; after it was killed it comes back with what it had stored."""

    def __init__(self, folder: Path) -> None:
        self._port, lines, self._mapper = (_find_free_port() for _ in range(3))
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RABBITMQ_NODENAME": "pagewire@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(lines),
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(folder / "db"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "no-plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "no-settings"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",  # one thread, which does not spin
        }
        self._processes = [self._run("epmd")]  # else the broker starts one, which stays

    def start(self) -> "RabbitServer":
        self._processes.append(self._run(str(PROGRAM)))
        wait_until(self._answers)
        return self

    def _run(self, program: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [program],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """kill -9, with all that it has started."""
        process = self._processes.pop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        while self._processes:
            self.kill()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as line:
            line.sendall(b"AMQP\0\0\x09\x01")
            return line.recv(1) != b""
        return False


def _find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
