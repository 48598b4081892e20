# SPDX-License-Identifier: Apache-2.0
"""Tells the log about every execution, and keeps what is logged during it when it is asked to.

Values of arguments and results are never logged: they may be long, and secret.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextvars import ContextVar, Token
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from typing import TYPE_CHECKING, Literal, cast

from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice
from plainbox.tasks.identifier import short_form
from plainbox.tasks.report import JobReport

if TYPE_CHECKING:
    from plainbox.tasks.invocation import Invocation

__all__ = ["JsonFormatter", "LoggingAdvice"]

_log = logging.getLogger(__name__)
_ENTERED = "_log.entered"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_TEXT = "%(asctime)s %(levelname)s %(process)d %(threadName)s %(name)s: %(message)s"

#: The invocations whose log is kept and in which the code that runs now is, the outermost first.
_inside: ContextVar[tuple[Invocation, ...]] = ContextVar("plainbox_logged", default=())


class LoggingAdvice(Advice):
    """Writes one record before an execution and one after it, at ``level``.

    With ``attach``, or a ``formatter``, all that the execution logs in its thread at that level or above becomes the
    attachment ``invocation.log``, in the form of ``formatter``, else of ``format``. What the loggers themselves leave
    out is not in it: their levels stay as they are.
    """

    changes_results = False

    def __init__(
        self,
        level: Literal["debug", "info", "warning", "error"] | int | None = None,
        formatter: logging.Formatter | None = None,
        *,
        attach: bool = False,
        format: Literal["text", "json"] = "text",
    ) -> None:
        """Raise :class:`~plainbox.errors.ChainError` when there is no such level or format."""
        self.level = _level(level)
        if format not in ("text", "json"):
            raise ChainError(f"a log has no format {format!r}; known: json, text")
        self.attach = attach or formatter is not None
        self.formatter = formatter or (JsonFormatter() if format == "json" else logging.Formatter(_TEXT))

    def before(self, invocation: Invocation) -> None:
        entered = _Entered(time.monotonic())
        _entered(invocation).append(entered)
        if self.attach:
            entered.kept = _KeptLog(invocation, self.level, self.formatter)
        _log.log(self.level, "%s: started, invocation %s", _name(invocation), short_form(invocation.invocation_id))
        invocation.proceed()

    def after(self, invocation: Invocation) -> None:
        entered = _entered(invocation)  # empty where the invocation came from a process that has entered this advice
        took_s = time.monotonic() - entered[-1].started_s if entered else 0.0
        _log.log(self.level, "%s: %s after %.3f s", _name(invocation), _ending(invocation), took_s)
        invocation.proceed()

    def finally_(self, invocation: Invocation) -> None:
        kept = _entered(invocation).pop().kept
        if kept is not None:
            kept.end(invocation)


class JsonFormatter(logging.Formatter):
    """One JSON object for each record, with the identifiers of the invocation that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),  # noqa: UP017 - Python 3.8 has no UTC
            "logger": record.name,
            "level": record.levelname,
            "message": record.getMessage(),
            "threadId": record.thread,
            "threadName": record.threadName,
            "processId": record.process,
            "processName": record.processName,
            "module": record.module,
            "function": record.funcName,
            "path": record.pathname,
            "line_no": record.lineno,
        }
        if record.exc_info and record.exc_info[1] is not None:
            found["exception"] = repr(record.exc_info[1])
            found["traceback"] = self.formatException(record.exc_info)
        inside = _inside.get()
        if inside:
            ids = inside[-1].ids
            found.update(sessionId=ids.session_id, runId=ids.run_id, taskId=ids.task_id)
            found.update(executionId=ids.execution_id, invocationId=ids.invocation_id)
        return json.dumps(found)


class _KeptLog(logging.Handler):
    """Writes the records of one invocation to a file."""

    def __init__(self, invocation: Invocation, level: int, formatter: logging.Formatter) -> None:
        super().__init__(level)
        self.setFormatter(formatter)
        self._path = invocation.new_directory() / "log"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = open(descriptor, "w", 1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed by end()
        self._invocation = invocation
        self._token: Token[tuple[Invocation, ...]] = _inside.set((*_inside.get(), invocation))
        logging.getLogger().addHandler(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._invocation in _inside.get() and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._file.write(self.format(record) + "\n")
        except (OSError, ValueError):
            self.handleError(record)

    def end(self, invocation: Invocation) -> None:
        """Stop, and attach the file under the first name that is free."""
        logging.getLogger().removeHandler(self)
        _inside.reset(self._token)
        self._file.close()
        self.close()
        names = ("invocation.log" if number == 1 else f"invocation-{number}.log" for number in count(1))
        invocation.attachments.add(next(name for name in names if name not in invocation.attachments), self._path)


@dataclass
class _Entered:
    """What one advice keeps from its ``before`` on."""

    started_s: float
    kept: _KeptLog | None = None


def _entered(invocation: Invocation) -> list[_Entered]:
    """Return what the advices of this kind that are entered have kept, the outermost first: there may be several."""
    return cast("list[_Entered]", invocation.context.attributes.setdefault(_ENTERED, []))


def _level(level: str | int | None) -> int:
    if level is None:
        return logging.INFO
    if isinstance(level, int):
        return level
    try:
        return _LEVELS[level]
    except KeyError:
        raise ChainError(f"a log has no level {level!r}; known: {', '.join(_LEVELS)}") from None


def _name(invocation: Invocation) -> str:
    return invocation.job_id or f"task {short_form(invocation.task.task_id)}"


def _ending(invocation: Invocation) -> str:
    result = invocation.result
    if result is None:
        return "no result"
    if result.exception is not None:
        what = "raised" if invocation.job is None else "not carried out"
        return f"{what} ({type(result.exception).__name__}: {result.exception})"
    return result.value.outcome if isinstance(result.value, JobReport) else "done"
