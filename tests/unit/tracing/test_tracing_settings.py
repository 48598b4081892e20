# SPDX-License-Identifier: Apache-2.0
"""What the environment says about tracing, one line of the table after the other."""

from __future__ import annotations

import pytest

from plainbox.tracing.settings import TracingSettings, read_settings

URL = "http://host:4318/v1/traces"


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({}, "disabled", False),
        ({"PLAINBOX_TRACING_DISABLE": "1"}, "disabled", True),
        ({"PLAINBOX_TRACING_DISABLE": "no"}, "disabled", True),
        ({"PLAINBOX_TRACING_DISABLE": ""}, "disabled", False),
        ({"OTEL_SDK_DISABLED": "True"}, "disabled", True),
        ({"OTEL_SDK_DISABLED": "1"}, "disabled", False),
        ({"GLUETOOL_TRACING_DISABLE": "1"}, "disabled", True),
        ({}, "service_name", "plainbox"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name=from%20there"}, "service_name", "from there"),
        ({"OTEL_SERVICE_NAME": "b", "OTEL_RESOURCE_ATTRIBUTES": "service.name=c"}, "service_name", "b"),
        ({"PLAINBOX_TRACING_SERVICE_NAME": "a", "OTEL_SERVICE_NAME": "b"}, "service_name", "a"),
        ({"GLUETOOL_TRACING_SERVICE_NAME": "old", "OTEL_SERVICE_NAME": "b"}, "service_name", "b"),
        ({"GLUETOOL_TRACING_SERVICE_NAME": "old"}, "service_name", "old"),
        ({}, "endpoint", None),
        ({"PLAINBOX_TRACING_REPORTING_HOST": "host"}, "endpoint", URL),
        ({"PLAINBOX_TRACING_REPORTING_HOST": "::1"}, "endpoint", "http://[::1]:4318/v1/traces"),
        (
            {"PLAINBOX_TRACING_REPORTING_HOST": "host", "PLAINBOX_TRACING_REPORTING_PORT": "99"},
            "endpoint",
            "http://host:99/v1/traces",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, "endpoint", "http://c:1/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
            "endpoint",
            "http://d",
        ),
        ({"PLAINBOX_TRACING_REPORTING_HOST": "host", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, "endpoint", URL),
        ({"GLUETOOL_TRACING_REPORTING_HOST": "host"}, "endpoint", URL),
        ({"GLUETOOL_TRACING_REPORTING_HOST": "x", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, "endpoint", URL),
        ({}, "flush_timeout_s", 5.0),
        ({"PLAINBOX_TRACING_FLUSH_TIMEOUT": "1.5"}, "flush_timeout_s", 1.5),
        ({"PLAINBOX_TRACING_FLUSH_TIMEOUT": "soon"}, "flush_timeout_s", 5.0),
        ({"PLAINBOX_TRACING_FLUSH_TIMEOUT": "nan"}, "flush_timeout_s", 5.0),
        ({}, "exporters", ("file",)),
        ({"PLAINBOX_TRACING_REPORTING_HOST": "host"}, "exporters", ("otlp", "file")),
        ({"OTEL_TRACES_EXPORTER": "console, FILE,console"}, "exporters", ("console", "file")),
        ({"PLAINBOX_TRACING_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "file"}, "exporters", ()),
        ({"OTEL_TRACES_EXPORTER": "zipkin,file"}, "exporters", ("file",)),
        ({}, "file", None),
        ({"PLAINBOX_TRACING_FILE": "/a"}, "file", "/a"),
        ({}, "propagates", True),
        ({"OTEL_PROPAGATORS": "none"}, "propagates", False),
        ({"OTEL_PROPAGATORS": "baggage,tracecontext"}, "propagates", True),
    ],
)
def test_variables(variables, field, value):
    """The strongest variable that says something counts."""
    assert getattr(read_settings(variables), field) == value


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PLAINBOX_TRACING_REPORTING_PORT": "abc"}, "'abc' is no port"),
        ({"PLAINBOX_TRACING_REPORTING_PORT": "70000"}, "'70000' is no port"),
        ({"PLAINBOX_TRACING_FLUSH_TIMEOUT": "soon"}, "'soon' is no number of seconds"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "unknown exporter zipkin"),
        ({"GLUETOOL_TRACING_SERVICE_NAME": "old"}, "set PLAINBOX_TRACING_SERVICE_NAME"),
    ],
)
def test_problems(variables, words):
    """A value that cannot be used is told, once, and the rest holds."""
    settings = read_settings(variables)
    assert len(settings.problems) == 1
    assert words in settings.problems[0]
    assert not settings.disabled


def test_arguments_come_first():
    """What the program says is stronger than all variables."""
    variables = {
        "PLAINBOX_TRACING_SERVICE_NAME": "a",
        "PLAINBOX_TRACING_REPORTING_HOST": "b",
        "PLAINBOX_TRACING_REPORTING_PORT": "1",
        "PLAINBOX_TRACING_FILE": "c",
    }
    settings = read_settings(variables, service_name="mine", host="host", port=4318, file="d")
    assert settings == TracingSettings(
        service_name="mine", endpoint=URL, exporters=("otlp", "file"), file="d", problems=()
    )
