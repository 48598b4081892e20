# SPDX-License-Identifier: Apache-2.0
"""Telling what is wrong with a test plan that is used nevertheless."""

from __future__ import annotations

from plainbox.cli.output import warn
from plainbox.providers import Catalogue
from plainbox.units import TestPlanUnit
from plainbox.units.checks import plans
from plainbox.units.checks.index import UnitIndex
from plainbox.units.issues import Code
from plainbox.units.selection import flatten

__all__ = ["report_plan"]

#: What keeps a plan from containing what it seems to contain.
_TOLD = (Code.DEAD_ENTRY, Code.UNKNOWN_REFERENCE, Code.WRONG_REFERENCE)
_LISTS = ("include", "mandatory_include", "setup_include", "bootstrap_include")


def report_plan(catalogue: Catalogue, plan: TestPlanUnit) -> None:
    """Warn of unknown parts and of entries of the plan and its parts that mean nothing."""
    for issue in plan.errors:
        warn(str(issue))
    flat = flatten([plan], catalogue.of_kind(TestPlanUnit))
    for problem in flat.problems:
        warn(str(problem), problem.hint)
    index = UnitIndex.of(catalogue.units)
    for part in flat.plans:
        for issue in plans.check(part, index):
            if issue.code in _TOLD and issue.field in _LISTS:
                warn(str(issue))
