"""FastAPI's own OpenTelemetry, switched on by the variables that OpenTelemetry has for it."""

import importlib.util
import os
from collections.abc import Mapping

from fastapi.telemetry import TelemetryConfig

ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_", "LOGS_"))
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether traces, metrics or logs are to be sent to a collector."""
    return environment.get("OTEL_SDK_DISABLED", "").lower() != "true" and any(map(environment.get, ENDPOINTS))


def describe_telemetry() -> TelemetryConfig:
    """What FastAPI records: nothing, at no cost, unless it is wanted."""
    wanted = is_wanted()
    return {"tracing": wanted, "metrics": wanted, "logs": wanted, "auto_configure": wanted}


def lacks_packages() -> bool:
    """Whether it is wanted, and what sends it is not installed: it takes 7 MB that most servers do not need."""
    return is_wanted() and not all(map(_is_installed, PACKAGES))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # its parent
        return False
