"""Celery workers as they are run: `celery -A worker worker`, in a folder of their own."""

import sys
from pathlib import Path

from support.servers import HOUSE, Server

COMMAND = (str(Path(sys.executable).parent / "celery"), "--workdir", str(HOUSE), "-A", "worker", "worker")


class Worker(Server):
    def start(self, *command: str, says: str = "works for ") -> "Worker":
        super().start(*(command or COMMAND), says=says)
        return self


def make_worker(folder: Path, server: Server, **environment: str) -> Worker:
    """A worker with the settings of *server*, as far as they are not others."""
    return Worker(folder, None, **{**server.environment, "HOME": str(folder), **environment})


def start_worker(folder: Path, server: Server, *options: str, **environment: str) -> Worker:
    return make_worker(folder, server, **environment).start(*COMMAND, *options)
