# SPDX-License-Identifier: Apache-2.0
"""What can become of a job, and how each outcome is shown to people and reported to machines.

The values are part of the stored format and of the reports: they never change. A job that did not run has no outcome,
which is ``None``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

__all__ = ["OUTCOME_METADATA_MAP", "Outcome", "OutcomeMetadata", "failed"]


class Outcome(enum.StrEnum):
    """Every member is the text that is stored, so it compares equal to it."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIP = "skip"
    SKIPPED_DEPENDENCY = "skipped-dependency"
    SKIPPED_RESOURCE = "skipped-resource"
    SKIPPED_MANIFEST = "skipped-manifest"
    NOT_SUPPORTED = "not-supported"
    NOT_IMPLEMENTED = "not-implemented"
    UNDECIDED = "undecided"
    CRASH = "crash"


@attrs.frozen
class OutcomeMetadata:
    """``text`` is a sentence about the job, ``label`` a word for tables, ``sigil`` one column wide, ``colour`` written
    ``#rrggbb``, ``submission_status`` the coarse status in a submission."""

    value: str | None
    text: str
    label: str
    sigil: str
    colour: str
    submission_status: str


def _not_run(value: str, text: str, label: str) -> OutcomeMetadata:
    return OutcomeMetadata(value, text, label, "\N{BALLOT BOX}", "#FF9900", "skip")


_ALL = (
    OutcomeMetadata(None, "job didn't run", "not started", " ", "#000000", "none"),
    OutcomeMetadata("pass", "job passed", "passed", "\N{BALLOT BOX WITH CHECK}", "#6AA84F", "pass"),
    OutcomeMetadata("fail", "job failed", "failed", "\N{BALLOT BOX WITH X}", "#DC3912", "fail"),
    _not_run("skip", "job manually skipped", "manually skipped"),
    _not_run("skipped-dependency", "job cannot be started (failed dependency)", "skipped (failed dependency)"),
    _not_run("skipped-resource", "job cannot be started (unmet resource)", "skipped (unmet resource)"),
    _not_run("skipped-manifest", "job cannot be started (unmet manifest)", "skipped (unmet manifest)"),
    _not_run("not-supported", "job cannot be started", "not supported"),
    OutcomeMetadata("not-implemented", "job is not implemented", "not implemented", "-", "#DC3912", "skip"),
    OutcomeMetadata("undecided", "job needs verification", "undecided", "\N{DOUBLE QUESTION MARK}", "#FF00FF", "skip"),
    OutcomeMetadata("crash", "job crashed", "crashed", "\N{WARNING SIGN}", "#FF0000", "fail"),
)

#: How to show an outcome, by the outcome; ``None`` is the job that did not run.
OUTCOME_METADATA_MAP: Mapping[str | None, OutcomeMetadata] = MappingProxyType({item.value: item for item in _ALL})


def failed(outcome: str | None) -> bool:
    """Tell whether the job ran and did not end well: a crash is a failure."""
    return outcome in ("fail", "crash")
