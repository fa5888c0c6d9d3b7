"""JavaScript as a browser would run it."""

import shutil
import subprocess
from functools import cache


@cache
def node() -> tuple[str, ...] | None:
    """A Node with WebSocket, from version 22 on without being asked."""
    for command in (("node",), ("node", "--experimental-websocket")):
        if shutil.which("node"):
            probe = [*command, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
            if subprocess.run(probe, capture_output=True).returncode == 0:
                return command
    return None
