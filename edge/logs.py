"""What the operator sees: log lines, without secrets, as text or JSON."""

import json
import logging
import re
import sys
from typing import Any

from settings import Settings

QUERY = re.compile(r"(?<=\?)[^\s\"]+")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _MaskTokens(logging.Filter):
    """uvicorn logs the query of a socket's address, and a browser's token stands in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(mask_secrets(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


def mask_secrets(text: str) -> str:
    return QUERY.sub("***", text)  # whole: a token's name may be escaped, %74oken=


def configure_logging(settings: Settings) -> None:
    """Send our lines, and uvicorn's, to standard error; the access log is ours."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    for name in ("pagewire", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(settings.log_level.upper())
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
    error = logging.getLogger("uvicorn.error")
    error.handlers = []
    error.propagate = True
    if not any(isinstance(known, _MaskTokens) for known in error.filters):
        error.addFilter(_MaskTokens())
