# SPDX-License-Identifier: Apache-2.0
"""What an archive does when it is run as a program: take an invocation on that a file holds.

For whoever moves invocations by files; everything else goes through :mod:`plainbox.tasks.worker`. Exit codes: 0 the
output is written, even if the task failed; 64 usage; 65 a bundle that is none; 70 an internal error; 75 no space or no
right to write; 78 the configuration is not there, or Python is too old.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence

from plainbox.errors import ChainError, SerializationError
from plainbox.tasks.invocation import Invocation
from plainbox.tasks.run import set_run_id

__all__ = ["main"]

DELIVERED, USAGE, BAD_BUNDLE, INTERNAL, TEMPORARY, CONFIGURATION = 0, 64, 65, 70, 75, 78

_log = logging.getLogger(__name__)


def main(args: Sequence[str] | None = None) -> int:
    """Restore the invocation of ``--input``, do what is left of it here, and save it to ``--output``."""
    options = _parser().parse_args(args)
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {socket.gethostname()} %(process)d %(threadName)s %(levelname)s %(name)s: %(message)s",
    )
    if options.run_id is not None:
        set_run_id(options.run_id)
    try:
        return _take_on(options.input, options.output)
    except SerializationError as error:
        return _fail(f"{options.input}: {error}", BAD_BUNDLE)
    except (ChainError, ModuleNotFoundError, LookupError) as error:
        return _fail(f"the configuration cannot be used: {error}", CONFIGURATION)
    except OSError as error:
        return _fail(f"{error}", TEMPORARY)
    except Exception:  # noqa: BLE001 - the top of a program
        _log.exception("The invocation of %s could not be carried out", options.input)
        return INTERNAL


def _take_on(source: str, target: str) -> int:
    invocation = Invocation()
    try:
        with open(source, "rb") as file:
            invocation.restore(file)
        _log.info("The invocation %s was read from %s", invocation.invocation_id, source)
        invocation.proceed()
        aside = f"{target}.new"
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            invocation.save(file)
        os.replace(aside, target)
        _log.info("What it came to was written to %s", target)
    finally:
        invocation.close()
    return DELIVERED


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(description="Take an invocation on that was saved by another process.")
    parser.add_argument("--input", required=True, metavar="FILE", help="the bundle to take on")
    parser.add_argument("--output", required=True, metavar="FILE", help="where its result goes, as a bundle")
    parser.add_argument("--run-id", metavar="ID", help="the run that it belongs to")
    return parser
