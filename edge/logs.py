"""Log lines for the operator, as text or JSON, without secrets."""

import json
import logging
import re
import sys
from typing import Any

from settings import Settings

QUERY = re.compile(r"(?<=\?)[^\s\"]+")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")  # but tabs; a terminal takes some for its own
MAX_PATH_CHARACTERS = 256  # so that a line of the log, in JSON too, has at most 1 kB


class _TextFormatter(logging.Formatter):
    """One line a record, whatever is in it; a traceback has its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return escape_controls(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(map(escape_controls, super().formatException(ei).split("\n")))


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
    """uvicorn logs the URL of a socket with its query, which may hold a browser's token."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(cut_path(mask_secrets(arg)) if isinstance(arg, str) else arg for arg in record.args)
        return True


class _EndWithTheReason(logging.Filter):
    """uvicorn adds a line without news to the one that says why a start failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "Application startup failed. Exiting."


def escape_controls(text: str) -> str:
    """*text* with control characters and line ends as escapes: neither a terminal nor a reader takes them for more."""
    return text if text.isprintable() else CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def cut_path(path: str) -> str:
    return path if len(path) <= MAX_PATH_CHARACTERS else path[:MAX_PATH_CHARACTERS] + "..."


def mask_secrets(text: str) -> str:
    return QUERY.sub("***", text)  # all of it: the name of a token may be escaped, as in %74oken=


def configure_logging(settings: Settings) -> None:
    """Send our log, uvicorn's and Celery's warnings to standard error.

    Not uvicorn's access log: the envelope writes one.
    """
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    level = settings.log_level.upper()
    for name, least in (("pagewire", level), ("uvicorn", level), ("celery", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(least)
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
    error = logging.getLogger("uvicorn.error")
    error.handlers = []
    error.propagate = True
    for kind in (_MaskTokens, _EndWithTheReason):
        if not any(isinstance(known, kind) for known in error.filters):
            error.addFilter(kind())
