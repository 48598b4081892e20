# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from exporter_samples import EXPORTERS, full_session

from plainbox.exporters.exporter import Exporter
from plainbox.session.manager import SessionManager


@pytest.fixture(params=EXPORTERS.values(), ids=EXPORTERS.keys())
def exporter_class(request: pytest.FixtureRequest) -> type[Exporter]:
    return request.param


@pytest.fixture
def session(tmp_path: Path) -> SessionManager:
    """A session with everything that can happen."""
    return full_session(tmp_path)


@pytest.fixture
def export() -> Callable[..., bytes]:
    def run(exporter: Exporter, manager: SessionManager) -> bytes:
        stream = io.BytesIO()
        exporter.dump_from_session_manager(manager, stream)
        return stream.getvalue()

    return run
