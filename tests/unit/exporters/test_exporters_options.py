# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import attrs
import pytest

from plainbox.exporters.exporter import Exporter
from plainbox.exporters.json import JsonExporter


class _Sample(Exporter):
    supported_option_list = ("bold", "size", "max-log-bytes")


@attrs.frozen
class _Support:
    option_list: list[str]


def test_option_with_and_without_value() -> None:
    """An option has its value, or the empty text."""
    exporter = _Sample(["bold", "size=3=4"])
    assert exporter.options == {"bold": "", "size": "3=4"}
    assert exporter.has_option("bold")
    assert not exporter.has_option("italic")


def test_unknown_option_is_refused_by_name() -> None:
    """An option that is not supported raises ValueError that names it and those that are."""
    with pytest.raises(ValueError, match=r"'italic'; supported are bold, size"):
        _Sample(["italic=1"])


def test_options_of_the_unit_win() -> None:
    """The unit's options override the caller's, and the caller's list is as it was."""
    given = ["size=1", "bold"]
    exporter = _Sample(given, exporter_unit=_Support(["size=2"]))
    assert exporter.options == {"size": "2", "bold": ""}
    assert given == ["size=1", "bold"]


def test_unknown_option_of_the_unit_is_refused() -> None:
    """A unit cannot give an option that its exporter does not have."""
    with pytest.raises(ValueError, match="italic"):
        _Sample(exporter_unit=_Support(["italic"]))


def test_options_in_one_text() -> None:
    """A text is split into options at blanks, commas and semicolons, never into letters."""
    assert _Sample("bold, size=2;max-log-bytes=5").options == {"bold": "", "size": "2", "max-log-bytes": "5"}


@pytest.mark.parametrize(("options", "limit"), [([], 262144), (["max-log-bytes=0"], 0), (["max-log-bytes=70"], 70)])
def test_max_log_bytes(options: list[str], limit: int) -> None:
    """The option changes how much of a log is kept, 0 keeps all."""
    assert JsonExporter(options).max_log_bytes == limit


@pytest.mark.parametrize("value", ["", "-1", "many", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_max_log_bytes_is_a_number(value: str) -> None:
    """A limit that is no number is refused when the exporter is made, not when it runs."""
    with pytest.raises(ValueError, match="number of bytes"):
        JsonExporter([f"max-log-bytes={value}"])
