# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import exporter_samples
import pytest

from plainbox.exporters.exporter import Exporter
from plainbox.exporters.html import HtmlExporter
from plainbox.exporters.json import JsonExporter
from plainbox.exporters.junit import JUnitExporter
from plainbox.exporters.text import TextExporter
from plainbox.exporters.xlsx import XlsxExporter
from plainbox.session.manager import SessionManager

EXPORTERS: dict[str, type[Exporter]] = {
    "html": HtmlExporter,
    "json": JsonExporter,
    "junit": JUnitExporter,
    "text": TextExporter,
    "xlsx": XlsxExporter,
}


@pytest.fixture(params=EXPORTERS.values(), ids=EXPORTERS.keys())
def exporter_class(request: pytest.FixtureRequest) -> type[Exporter]:
    return request.param


@pytest.fixture
def session(tmp_path: Path) -> SessionManager:
    """A session with everything that can happen."""
    return exporter_samples.full_session(tmp_path)


@pytest.fixture
def export() -> Callable[..., bytes]:
    def run(exporter: Exporter, manager: SessionManager) -> bytes:
        stream = io.BytesIO()
        exporter.dump_from_session_manager(manager, stream)
        return stream.getvalue()

    return run
