"""Celery workers as they are run: `celery -A worker worker`, in a folder of their own."""

import sys
from pathlib import Path

from support.servers import HOUSE, Server

COMMAND = (str(Path(sys.executable).parent / "celery"), "--workdir", str(HOUSE), "-A", "worker", "worker")


def start_worker(folder: Path, server: Server, *options: str, **environment: str) -> Server:
    """A worker with the settings of *server*, as far as they are not others."""
    worker = Server(folder, None, **{**server.environment, "HOME": str(folder), **environment})
    return worker.start(*COMMAND, *options, says="works for ")
