# SPDX-License-Identifier: Apache-2.0
"""The tracer: it takes finished actions to where spans go.

The command line makes one for the time of a run; without one, actions write nothing. What must stay true: whatever goes
wrong here changes nothing about the run, and is told in one warning.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, ClassVar, Protocol

from plainbox.clock import SYSTEM_CLOCK, Clock
from plainbox.tracing.context import SpanContext

if TYPE_CHECKING:
    from plainbox.tracing.action import Action
    from plainbox.tracing.settings import TracingSettings

    _Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

__all__ = ["Exporter", "Tracer"]

_log = logging.getLogger(__name__)


class Exporter(Protocol):
    """Where spans go."""

    def export(self, action: Action) -> None:
        """Take an action that has ended, or one that is announced: that has no end yet, and comes again."""

    def set_file(self, path: str | os.PathLike[str]) -> None:
        """Hear of the place of the session's trace; for who writes one."""

    def close(self, limit_s: float) -> None:
        """Pass on what is left, within the limit."""


class Tracer:
    """Takes actions to the exporters that the settings name. ``Tracer.TRACER`` is the active one, or ``None``.

    Making one makes it the active one, unless tracing is switched off; it never raises. ``file`` is written at once;
    without it the file is that of the session, which :meth:`set_file` names later.
    """

    TRACER: ClassVar[Tracer | None] = None

    def __init__(
        self,
        service_name: str | None = None,
        logger: _Logger | None = None,
        reporting_host: str | None = None,
        reporting_port: int | str | None = None,
        *,
        exporter: Exporter | None = None,
        file: str | os.PathLike[str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        from plainbox.tracing.settings import read_settings

        self.logger = _log if logger is None else logger
        self.clock = clock
        self.settings: TracingSettings = read_settings(
            os.environ, service_name=service_name, host=reporting_host, port=reporting_port, file=file
        )
        #: The span that has started this program, if there is one.
        self.incoming: SpanContext | None = None
        self.exporters: list[Exporter] = []
        if self.settings.disabled:
            return
        if self.settings.problems:
            self.logger.warning("tracing: %s", "; ".join(self.settings.problems))
        if self.settings.propagates:
            self.incoming = SpanContext.parse(os.environ.get("TRACEPARENT"))
        self.exporters = [exporter] if exporter is not None else self._named_exporters()
        Tracer.TRACER = self

    def _named_exporters(self) -> list[Exporter]:
        made: list[Exporter] = []
        for name in self.settings.exporters:
            if name == "file":
                from plainbox.tracing.file import TraceFile

                made.append(TraceFile(self.settings.file, logger=self.logger, service_name=self.settings.service_name))
            elif name == "console":
                from plainbox.tracing.console import ConsoleExporter

                made.append(ConsoleExporter())
            else:
                self.logger.debug("tracing: there is no exporter %s here", name)
        return made

    @property
    def active(self) -> bool:
        return Tracer.TRACER is self

    def export(self, action: Action) -> None:
        """Pass on an action, unless whoever started this program does not want its trace to be recorded."""
        if not action.sampled:
            return
        for exporter in self.exporters[:]:
            try:
                exporter.export(action)
            except Exception as error:  # noqa: BLE001 - tracing changes no run
                self._give_up(exporter, error)

    #: Tell of an action that has just begun, so that a trace that is never completed shows it.
    announce = export

    def set_file(self, path: str | os.PathLike[str]) -> None:
        """Name the file of the session; spans that have ended before are written now. A file that is set stays."""
        for exporter in self.exporters[:]:
            try:
                exporter.set_file(path)
            except Exception as error:  # noqa: BLE001 - as above
                self._give_up(exporter, error)

    def close(self, flush_timeout: float | None = None, logger: _Logger | None = None) -> None:
        """End its actions that are still open in this thread, pass on what is left, and be inactive from here on.

        Takes ``flush_timeout`` seconds at the most. A second call does nothing.
        """
        if not self.active:
            return
        from plainbox.tracing.action import Action

        log = self.logger if logger is None else logger
        limit_s = self.settings.flush_timeout_s if flush_timeout is None else flush_timeout
        log.info("closing the trace")
        for action in [action for action in reversed(Action._action_stack()) if action.tracer is self]:
            action.tags["plainbox.unfinished"] = True
            action.finish()
        Tracer.TRACER = None
        for exporter in self.exporters:
            try:
                exporter.close(limit_s)
            except Exception as error:  # noqa: BLE001 - as above
                log.warning("the trace is not complete: %s", error)
        self.exporters = []

    def _give_up(self, exporter: Exporter, error: Exception) -> None:
        if exporter in self.exporters:
            self.exporters.remove(exporter)
        self.logger.warning("the trace of this run is not complete: %s", error)
