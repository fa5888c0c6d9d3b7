"""FastAPI's own OpenTelemetry, switched on by the variables that OpenTelemetry has for it."""

import os
from collections.abc import Mapping

from fastapi.telemetry import TelemetryConfig

ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_", "LOGS_"))


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether traces, metrics or logs are to be sent to a collector."""
    return environment.get("OTEL_SDK_DISABLED", "").lower() != "true" and any(map(environment.get, ENDPOINTS))


def describe_telemetry() -> TelemetryConfig:
    """What FastAPI records: nothing, at no cost, unless it is wanted. FastAPI warns if what sends is not installed."""
    wanted = is_wanted()
    return {"tracing": wanted, "metrics": wanted, "logs": wanted, "auto_configure": wanted}
