# SPDX-License-Identifier: Apache-2.0
"""What the environment says about tracing. The tracer reads it once, when it is made; nothing here raises.

The first text that is not empty counts: the argument, ``PLAINBOX_TRACING_*``, ``OTEL_*``, then the names of the seed
tool, ``GLUETOOL_TRACING_*``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["EXPORTERS", "TracingSettings", "read_settings"]

#: What can be named in the list of exporters; ``none`` stands for no other one.
EXPORTERS = ("otlp", "console", "file", "none")
_PORT = 4318
_FLUSH_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class TracingSettings:
    """``endpoint`` is the URL of a collector, ``file`` a trace file that is not that of the session.

    ``propagates`` tells whether the context of a trace comes from and goes into the environment. ``problems`` are
    sentences about values that cannot be used.
    """

    disabled: bool = False
    service_name: str = "plainbox"
    endpoint: str | None = None
    exporters: tuple[str, ...] = ("file",)
    file: str | None = None
    flush_timeout_s: float = _FLUSH_TIMEOUT_S
    propagates: bool = True
    problems: tuple[str, ...] = ()


def read_settings(
    environment: Mapping[str, str],
    *,
    service_name: str | None = None,
    host: str | None = None,
    port: int | str | None = None,
    file: str | os.PathLike[str] | None = None,
) -> TracingSettings:
    """Return the settings that the arguments and the environment make together."""
    reader = _Reader(environment)
    if reader.own("PLAINBOX_TRACING_DISABLE") or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return TracingSettings(disabled=True)
    endpoint = reader.endpoint(host, port)
    return TracingSettings(
        service_name=service_name or reader.service_name() or "plainbox",
        endpoint=endpoint,
        exporters=reader.exporters(("file",) if endpoint is None else ("otlp", "file")),
        file=(None if file is None else os.fspath(file)) or environment.get("PLAINBOX_TRACING_FILE") or None,
        flush_timeout_s=reader.flush_timeout_s(),
        propagates="tracecontext" in _words(environment.get("OTEL_PROPAGATORS") or "tracecontext"),
        problems=tuple(reader.problems),
    )


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def own(self, name: str, *others: str) -> str | None:
        """Return the variable ``name``, else the first of ``others``, else the one of the seed tool."""
        for variable in (name, *others):
            if self._environment.get(variable):
                return self._environment[variable]
        old = name.replace("PLAINBOX", "GLUETOOL")
        if self._environment.get(old):
            self.problems.append(f"{old} is an old name: set {name}")
            return self._environment[old]
        return None

    def service_name(self) -> str | None:
        return (
            self._environment.get("PLAINBOX_TRACING_SERVICE_NAME")
            or self._environment.get("OTEL_SERVICE_NAME")
            or _resource_attributes(self._environment.get("OTEL_RESOURCE_ATTRIBUTES", "")).get("service.name")
            or self.own("PLAINBOX_TRACING_SERVICE_NAME")
        )

    def endpoint(self, host: str | None, port: int | str | None) -> str | None:
        if not host:
            host = self._environment.get("PLAINBOX_TRACING_REPORTING_HOST")
        if not host:
            whole = self._environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            base = self._environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            if whole or base:
                return whole or f"{(base or '').rstrip('/')}/v1/traces"
            host = self.own("PLAINBOX_TRACING_REPORTING_HOST")
        given = port if port not in (None, "") else self.own("PLAINBOX_TRACING_REPORTING_PORT")
        number = _port(given)
        if number is None:
            self.problems.append(f"{given!r} is no port: spans are not sent to a collector")
            return None
        if not host:
            return None
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{number}/v1/traces"

    def exporters(self, default: tuple[str, ...]) -> tuple[str, ...]:
        text = self.own("PLAINBOX_TRACING_EXPORTER", "OTEL_TRACES_EXPORTER")
        if text is None:
            return default
        names = _words(text)
        unknown = [name for name in names if name not in EXPORTERS]
        if unknown:
            self.problems.append(f"unknown exporter {', '.join(unknown)}: known are {', '.join(EXPORTERS)}")
        return tuple(name for name in names if name in EXPORTERS and name != "none")

    def flush_timeout_s(self) -> float:
        text = self.own("PLAINBOX_TRACING_FLUSH_TIMEOUT")
        if text is None:
            return _FLUSH_TIMEOUT_S
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if 0 <= seconds < math.inf:
            return seconds
        self.problems.append(f"PLAINBOX_TRACING_FLUSH_TIMEOUT: {text!r} is no number of seconds")
        return _FLUSH_TIMEOUT_S


def _port(given: int | str | None) -> int | None:
    """Return a port, the default when none is given, ``None`` for what is none."""
    try:
        number = _PORT if given is None else int(given)
    except ValueError:
        return None
    return number if 0 < number < 65536 else None


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))


def _resource_attributes(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(","))
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}
