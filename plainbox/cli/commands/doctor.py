# SPDX-License-Identifier: Apache-2.0
"""``plainbox doctor``.

Check this machine for what sessions need: the place where they are stored, and who goes on with them after a restart.
With --install-resume it is systemd who does, by a unit that every session enables for itself when it needs it. The
system's units start with the machine, and only root can write them; those of a user need 'loginctl enable-linger' for it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

from plainbox.cli.arguments import add_json
from plainbox.cli.output import print_json, say, warn, write
from plainbox.errors import PlainboxError, UsageError
from plainbox.runner.health import Check, Grade, check_machine
from plainbox.session.files import FileOps
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.systemd import ResumeUnit, Scope
from plainbox.streams import clean

EXIT_PROBLEM = 4


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--install-resume", action="store_true", help="let systemd go on with sessions after a restart"
    )
    actions.add_argument("--remove-resume", action="store_true", help="undo that")
    scopes = parser.add_mutually_exclusive_group()
    scopes.add_argument("--system", dest="scope", action="store_const", const="system", help="as a unit of the system")
    scopes.add_argument("--user", dest="scope", action="store_const", const="user", help="as a unit of this user")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    acts = arguments.install_resume or arguments.remove_resume
    if arguments.scope is not None and not acts:
        raise UsageError("--system and --user belong to --install-resume and --remove-resume")
    if arguments.install_resume:
        _install(_unit(arguments.scope))
    elif arguments.remove_resume:
        _remove([_unit(arguments.scope)] if arguments.scope is not None else [ResumeUnit("system"), ResumeUnit("user")])
    if acts and not arguments.json:
        return 0
    checks = list(check_machine())
    if arguments.json:
        print_json("plainbox.doctor/1", checks=[_described(check) for check in checks])
    else:
        _show(checks)
    return EXIT_PROBLEM if any(check.grade == Grade.PROBLEM for check in checks) else 0


def _unit(scope: Scope | None) -> ResumeUnit:
    return ResumeUnit(scope or ("system" if os.geteuid() == 0 else "user"))


def _install(unit: ResumeUnit) -> None:
    repository = SessionStorageRepository().location
    try:
        unit.install(repository, FileOps())
    except OSError as error:
        raise _refused(unit, "installed", error) from error
    say(f"Installed {unit.path}")
    say(f"Sessions in {repository} go on after a restart.")
    if unit.scope == "user":
        say("So that they need not wait for a login: loginctl enable-linger")


def _remove(units: Iterable[ResumeUnit]) -> None:
    removed = False
    refused: list[PlainboxError] = []
    for unit in units:
        try:
            if unit.remove(FileOps()):
                removed = True
                say(f"Removed {unit.path}")
        except OSError as error:
            refused.append(_refused(unit, "removed", error))
    # What stays in one scope is no reason to leave it in the other, too.
    for problem in refused[:-1]:
        warn(str(problem), problem.hint)
    if refused:
        raise refused[-1]
    if not removed:
        say("Nothing is installed.")


def _refused(unit: ResumeUnit, what: str, error: OSError) -> PlainboxError:
    hint = "only root can do that; --user needs no rights" if unit.scope == "system" and os.geteuid() else None
    return PlainboxError(f"{unit.path} cannot be {what}: {error.strerror or error}", hint=hint)


def _described(check: Check) -> dict[str, str | None]:
    return {"name": check.name, "grade": check.grade.value, "message": check.message, "advice": check.advice}


def _show(checks: Iterable[Check]) -> None:
    for check in checks:
        write(clean(f"{check.grade.value:7}  {check.name}: {check.message}"))
        if check.advice is not None and check.grade != Grade.OK:
            write(clean(f"         {check.advice}"))
