# SPDX-License-Identifier: Apache-2.0
"""What a test plan contains before anything has run: its jobs and templates, and what they ask the manifest for.

The commands that show a plan call it. Instances of templates are not there: only a resource job knows how many there
are.
"""

from __future__ import annotations

import attrs

from plainbox.providers.catalogue import Catalogue
from plainbox.units import JobDefinition, ManifestEntryUnit, SetupJobDefinition, TemplateUnit, TestPlanUnit
from plainbox.units.selection import FlatPlan, flatten, manifest_ids, select_units

__all__ = ["Expansion", "expand"]


@attrs.frozen
class Expansion:
    """``units`` are in the order in which the plan means them, ``manifest_entries`` in that of their ids."""

    plan: TestPlanUnit
    flat: FlatPlan
    setup_jobs: list[SetupJobDefinition]
    units: list[JobDefinition | TemplateUnit]
    manifest_entries: list[ManifestEntryUnit]


def expand(plan: TestPlanUnit, catalogue: Catalogue) -> Expansion:
    """Return what a plan and its nested parts contain."""
    flat = flatten([plan], catalogue.of_kind(TestPlanUnit))
    known_setup = catalogue.of_kind(SetupJobDefinition)
    setup_jobs = [known_setup[job_id] for job_id in flat.setup if job_id in known_setup]
    units = select_units(flat, catalogue.jobs_and_siblings().values(), catalogue.of_kind(TemplateUnit).values())
    entries = catalogue.of_kind(ManifestEntryUnit)
    wanted = [entries[identifier] for identifier in manifest_ids([*setup_jobs, *units]) if identifier in entries]
    return Expansion(plan, flat, setup_jobs, units, wanted)
