# SPDX-License-Identifier: Apache-2.0
"""What the tests of this room share: an environment without settings, a tracer, and its spans."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plainbox.testing.clock import ManualClock
from plainbox.tracing import Action, Tracer


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("PLAINBOX_TRACING_", "OTEL_", "GLUETOOL_", "TRACE", "BAGGAGE")):
            monkeypatch.delenv(name)
    yield
    if Tracer.TRACER is not None:
        Tracer.TRACER.close()
    Action._action_stack().clear()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


@pytest.fixture
def tracer(file: Path, clock: ManualClock) -> Tracer:
    return Tracer(file=file, clock=clock)


@pytest.fixture
def spans(file: Path) -> Callable[[], list[dict]]:
    """Return a function that reads the lines of the file with a reader of its own."""
    return lambda: [json.loads(line) for line in file.read_text("ascii").splitlines()]
