# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exporter_samples import EXPORTERS, job, manager_of, result

from plainbox import dirs
from plainbox.errors import ExporterError, UnitError
from plainbox.session.manager import SessionManager
from plainbox.units import ExporterUnit, Severity, Unit, read_units
from plainbox.units import exporter as exporter_module
from plainbox.units.exporter import ENTRY_POINT_GROUP

GOOD = {"id": "mine", "_summary": "Mine", "entry_point": "text", "file_extension": "txt"}


def _bundled() -> list[Unit]:
    problems: list[UnitError] = []
    path = dirs.bundled_providers() / "plainbox" / "units" / "exporters.pxu"
    units = list(read_units(path, None, on_error=problems.append))
    assert problems == []
    return units


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let more names be installed."""
    installed = {item.name: item for item in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}

    def add(name: str, value: str) -> None:
        installed[name] = importlib.metadata.EntryPoint(name, value, ENTRY_POINT_GROUP)

    monkeypatch.setattr(exporter_module, "_entry_points", lambda: installed)
    return add


def test_bundled_units_make_their_exporters() -> None:
    """Each bundled unit has no issue and leads to the class of its name."""
    units = _bundled()
    assert [unit.partial_id for unit in units] == ["html", "json", "junit", "text", "xlsx"]
    for unit in units:
        assert isinstance(unit, ExporterUnit)
        assert unit.issues == ()
        assert unit.support is not None
        assert unit.support.exporter_cls is EXPORTERS[unit.partial_id or ""]


def test_support_has_plain_values() -> None:
    """Options are split at blanks, commas and semicolons, data are a mapping, and there may be no provider."""
    unit = ExporterUnit({**GOOD, "options": "with-io-log;with-comments, max-log-bytes=5", "data": '{"a": 1}'})
    support = unit.support
    assert support is not None
    assert support.option_list == ["with-io-log", "with-comments", "max-log-bytes=5"]
    assert dict(support.data) == {"a": "1"} or dict(support.data) == {"a": 1}
    assert support.data_dir is None
    assert (support.file_extension, support.summary) == ("txt", "Mine")
    assert unit.support is support


@pytest.mark.parametrize("missing", ["entry_point", "file_extension"])
def test_unit_with_an_error_has_no_support(missing: str) -> None:
    """A unit that cannot work has no support."""
    assert ExporterUnit({key: value for key, value in GOOD.items() if key != missing}).support is None


def test_unit_with_a_warning_has_support() -> None:
    """What is only odd does not hide a report."""
    unit = ExporterUnit({**GOOD, "colour": "blue"})
    assert [issue.severity for issue in unit.issues] == [Severity.WARNING]
    assert unit.support is not None


def test_unknown_entry_point_is_an_issue() -> None:
    """A name that no exporter has is an error of the unit that names the field and what there is."""
    unit = ExporterUnit({**GOOD, "entry_point": "carrier-pigeon"})
    (issue,) = unit.issues
    assert issue.severity is Severity.ERROR
    assert issue.field == "entry_point"
    assert "no exporter is called 'carrier-pigeon'" in str(issue)
    assert "html, " in str(issue)
    assert unit.support is None
    assert "did you mean 'html'" in str(ExporterUnit({**GOOD, "entry_point": "htlm"}).issues[0])


def test_class_is_imported_when_it_is_asked_for(entry_points: Callable[..., None]) -> None:
    """Listing units imports no exporter; asking for one that cannot be imported is an ExporterError."""
    entry_points("broken", "plainbox_no_such_module:Exporter")
    support = ExporterUnit({**GOOD, "entry_point": "broken"}).support
    assert support is not None
    with pytest.raises(ExporterError, match="'broken' cannot be loaded: No module named 'plainbox_no_such_module'"):
        _ = support.exporter_cls


def test_entry_point_that_is_no_exporter(entry_points: Callable[..., None]) -> None:
    """An entry point that leads to something else is an ExporterError."""
    entry_points("odd", "collections:OrderedDict")
    support = ExporterUnit({**GOOD, "entry_point": "odd"}).support
    assert support is not None
    with pytest.raises(ExporterError, match="is not an exporter class"):
        _ = support.exporter_cls


def test_manager_makes_exporters_from_units(tmp_path: Path, export: Callable[..., bytes]) -> None:
    """The manager finds a unit's exporter by id, with the unit's options over the caller's."""
    unit = ExporterUnit({**GOOD, "options": "max-log-bytes=7"})
    manager: SessionManager = manager_of(tmp_path, {job("a"): [result("pass")]}, [unit])
    assert list(manager.exporter_map) == ["mine"]
    exporter = manager.create_exporter("mine", ["max-log-bytes=9", "ascii"])
    assert exporter.options == {"max-log-bytes": "7", "ascii": ""}
    assert b"\n1 test: 1 passed" in export(exporter, manager)
    with pytest.raises(ValueError, match="wings"):
        manager.create_exporter("mine", ["wings"])
    assert manager.create_exporter("mine", ["wings", "max-log-bytes=3"], strict=False).max_log_bytes == 7


def test_importing_units_imports_no_exporter() -> None:
    """Neither exporters nor the metadata of distributions are read when units are imported."""
    import subprocess

    code = "import sys, plainbox.units; print([m for m in sys.modules if 'exporters' in m or 'metadata' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
