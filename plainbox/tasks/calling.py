# SPDX-License-Identifier: Apache-2.0
"""The process of a function job: calls one function, and tells what came of it.

Run by a place as a program, with the call in JSON as its only argument. A function that returns has passed, whatever it
returns; ``AssertionError`` is a failure, :class:`~plainbox.tasks.reporting.SkipJob` skips the job, ``sys.exit`` ends it
with that code, and anything else is a crash. The traceback goes to standard error, what went wrong to the result.

Modules are looked for in the directory ``python`` of the job's provider first, then where this Python has them.
"""

from __future__ import annotations

import faulthandler
import importlib
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import cast

from plainbox.tasks.reporting import SkipJob, report_outcome

__all__ = ["main"]

PASSED, FAILED = 0, 1
#: What a comment tells of an exception; the log has all of it.
_MOST_CAUSES = 5
_MOST_FRAMES = 3
_MOST_NOTES = 10
_LONGEST_MESSAGE = 1000


class _BadCall(Exception):
    """The job is written wrongly: there is nothing to call."""


def main(argv: Sequence[str]) -> int:
    """Call the function; return the exit code of the job."""
    call = json.loads(argv[0])
    _prepare()
    try:
        function = _find(call["function"])
        _check_arguments(function, call["function"], call["args"], call["kwargs"])
    except _BadCall as error:
        sys.stderr.write(f"{error}\n")
        _report("crash", str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
        return _crashed(error, f"{call['function']} cannot be imported: ")
    try:
        _finish(function(*call["args"], **call["kwargs"]))
    except SkipJob as error:
        return PASSED if _report("skip", str(error) or "skipped by the job") else FAILED
    except AssertionError as error:
        _print(error)
        _report("fail", _comment(error, str(error) or _asserted(error)))
        return FAILED
    except SystemExit as error:
        return _exited(error.code)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the result tells of it
        return _crashed(error)
    return PASSED


def _prepare() -> None:
    """Have output seen at once, modules of the provider found, and the place shown where a job is ended or dies."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    with suppress(OSError, ValueError, RuntimeError, AttributeError):
        faulthandler.enable()
        faulthandler.register(signal.SIGTERM, all_threads=True, chain=True)
    # Nothing is left behind in the directory of the provider.
    sys.dont_write_bytecode = True
    provided = os.environ.get("PLAINBOX_PROVIDER_PYTHON")
    if provided:
        sys.path.insert(0, provided)


def _find(name: str) -> Callable[..., object]:
    module_name, _, path = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something that the module itself imports
        where = "the directory python of its provider and " if os.environ.get("PLAINBOX_PROVIDER_PYTHON") else ""
        raise _BadCall(f"there is no module {error.name!r} for the function {name!r} in {where}this Python") from None
    found: object = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise _BadCall(f"there is no {part!r} in {module_name!r}{_like(part, found)}") from None
    if not callable(found):
        raise _BadCall(f"{name!r} is {type(found).__name__}, which cannot be called")
    if inspect.isgeneratorfunction(found) or inspect.isasyncgenfunction(found):
        raise _BadCall(f"{name!r} is a generator function: calling it runs nothing of it")
    return cast("Callable[..., object]", found)


def _like(name: str, owner: object) -> str:
    import difflib

    close = difflib.get_close_matches(name, [each for each in dir(owner) if not each.startswith("_")], 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check_arguments(function: Callable[..., object], name: str, args: list[object], kwargs: dict[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # one that is not written in Python says it itself
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise _BadCall(f"{name}{signature} does not take these arguments: {error}") from None


def _finish(value: object) -> None:
    """Run what a coroutine function has returned; any other value is of no interest."""
    if inspect.iscoroutine(value):
        import asyncio

        asyncio.run(value)


def _report(outcome: str, comment: str) -> bool:
    """Tell what it came to; where the function has taken the result file away the log gets it, and this is False."""
    try:
        report_outcome(outcome, comment)
    except OSError as error:
        sys.stderr.write(f"{outcome}: {comment}\nThis cannot be told: {error}\n")
        return False
    return True


def _exited(code: object) -> int:
    if code is None or code == 0:
        return PASSED
    if isinstance(code, int):
        _report("fail", f"it has called sys.exit({code})")
        return code & 0xFF or FAILED
    sys.stderr.write(f"{code}\n")
    _report("fail", str(code))
    return FAILED


def _crashed(error: BaseException, prefix: str = "") -> int:
    _print(error)
    _report("crash", _comment(error, f"{prefix}{_titled(error)}"))
    return FAILED


def _print(error: BaseException) -> None:
    """Write the traceback of what was called, without our part of it."""
    shown = _own(error.__traceback__)
    traceback.print_exception(type(error), error, shown)


def _own(frames: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame on that is not ours or the import system's."""
    rest = frames
    while rest is not None:
        name = rest.tb_frame.f_globals.get("__name__", "")
        if name != __name__ and not name.startswith("importlib"):
            return rest
        rest = rest.tb_next
    return frames


def _comment(error: BaseException, first: str) -> str:
    """Return what went wrong, where, and why, in a few lines."""
    lines = [first, *_details(error)]
    seen = {id(error)}
    for _ in range(_MOST_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            break
        lines += [f"{'caused by' if error.__cause__ else 'while handling'} {_titled(cause)}", *_details(cause)]
        seen.add(id(cause))
        error = cause
    return "\n".join(lines)


def _details(error: BaseException) -> Iterator[str]:
    for note in list(getattr(error, "__notes__", ()))[:_MOST_NOTES]:
        yield f"  {str(note)[:_LONGEST_MESSAGE]}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    for frame in frames[-_MOST_FRAMES:]:
        yield f"  at {frame.name} ({os.path.basename(frame.filename)}:{frame.lineno})"


def _titled(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whoever wrote it did not try it
        text = "(its text cannot be made)"
    return f"{type(error).__name__}: {text}"[:_LONGEST_MESSAGE] if text else type(error).__name__


def _asserted(error: AssertionError) -> str:
    """Return the assertion that did not hold, as it is written."""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[-1].line if frames else None
    return f"it does not hold: {line}" if line else "AssertionError"
