# SPDX-License-Identifier: Apache-2.0
"""The interface of exporters: options, a view of the session, and that view written to a stream.

Exporters are found by entry-point name and made by the session manager. A new one sets ``supported_option_list`` and
writes :meth:`Exporter.dump`. What must stay true for each: the session is not changed, logs are streamed, and what is
wrong with one job becomes a note in the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol

from plainbox.exporters.report import Report

if TYPE_CHECKING:
    from plainbox.session.manager import SessionManager

__all__ = ["Exporter", "ExporterSupport"]

MAX_LOG_BYTES = "max-log-bytes"


class ExporterSupport(Protocol):
    """What an exporter asks of the unit that it was made for."""

    @property
    def option_list(self) -> list[str]: ...


class Exporter:
    """Makes one kind of report.

    An option is ``name`` or ``name=value``; a text holds several, apart by blanks, commas or semicolons. Those of the
    unit win over the caller's; one that is not in ``supported_option_list``, or has a value that it cannot have, raises
    :class:`ValueError`.
    """

    supported_option_list: ClassVar[tuple[str, ...]] = ()
    #: How much a report holds of one log unless the option ``max-log-bytes`` says otherwise; 0 is all.
    default_max_log_bytes: ClassVar[int] = 64 * 1024

    def __init__(self, option_list: Iterable[str] | None = None, exporter_unit: ExporterSupport | None = None) -> None:
        #: The options by name; one without a value has the empty text.
        self.options: dict[str, str] = {}
        self._take_options(option_list or ())
        if exporter_unit is not None:
            self._take_options(exporter_unit.option_list)
        self.max_log_bytes = _size(self.options.get(MAX_LOG_BYTES), self.default_max_log_bytes)

    def has_option(self, name: str) -> bool:
        """Whether an option was given."""
        return name in self.options

    def _take_options(self, options: Iterable[str]) -> None:
        for option in re.split(r"[;,\s]+", options) if isinstance(options, str) else options:
            if not option:
                continue
            name, _, value = option.partition("=")
            if name not in self.supported_option_list:
                known = ", ".join(self.supported_option_list) or "none"
                raise ValueError(f"unsupported option: {name!r}; supported are {known}")
            self.options[name] = value

    def get_session_data_subset(self, manager: SessionManager) -> Report:
        """Return what the report is made of; nothing in the session is changed, no log is read."""
        return Report.of(manager)

    def dump(self, data: Report, stream: BinaryIO) -> None:
        """Write the report; logs are read on the way, a piece at a time."""
        raise NotImplementedError

    def dump_from_session_manager(self, manager: SessionManager, stream: BinaryIO) -> None:
        """Write the report of a session."""
        self.dump(self.get_session_data_subset(manager), stream)


def _size(value: str | None, default: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"{MAX_LOG_BYTES} is a number of bytes, not {value!r}")
    return int(value)
