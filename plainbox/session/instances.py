# SPDX-License-Identifier: Apache-2.0
"""What a template has made of the records of its resource, and why of some it has made nothing.

``plainbox why`` asks. Which record makes an instance is asked of the template itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from plainbox.errors import ExpressionError
from plainbox.session.state import SessionState
from plainbox.units.explanation import Explanation, explain
from plainbox.units.expressions import ResourceProgram, parse_imports
from plainbox.units.template import TemplateUnit

__all__ = ["RecordUse", "uses_of"]


@attrs.frozen
class RecordUse:
    """A record and the full id of what was made of it, ``None`` when nothing was.

    ``rejected_by`` are the expressions of the filter that do not hold for the record; ``problem`` says in a sentence what
    else was in the way.
    """

    record: Mapping[str, str]
    instance_id: str | None
    rejected_by: tuple[Explanation, ...] = ()
    problem: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain JSON values."""
        return attrs.asdict(self)


def uses_of(template: TemplateUnit, state: SessionState) -> tuple[RecordUse, ...] | None:
    """Return what became of each record, ``None`` when the resource has not run."""
    records = state.resource_map.get(template.resource_id)
    if records is None:
        return None
    uses: list[RecordUse] = []
    accepted = 0
    # A resource job that printed no record has one without attributes, of which nothing is made.
    for record in filter(None, records):
        unit = template.instantiate(record, accepted + 1)
        if unit is None:
            uses.append(_rejected(template, record))
        else:
            accepted += 1
            uses.append(RecordUse(record, unit.id))
    return tuple(uses)


def _rejected(template: TemplateUnit, record: Mapping[str, str]) -> RecordUse:
    if template.instance_kind is None:
        return RecordUse(record, None, problem=f"there is no kind of unit {template.template_unit!r}")
    if any(issue.field == "template-filter" for issue in template.errors):
        return RecordUse(record, None, problem="the filter is wrong and accepts nothing")
    try:
        program = ResourceProgram(
            template.template_filter, template.namespace, parse_imports(template.template_imports)
        )
    except ExpressionError as error:
        return RecordUse(record, None, problem=error.message)
    resources: dict[str, Sequence[Mapping[str, str]]] = {template.resource_id: [record]}
    explanations = [explain(expression, resources) for expression in program.expressions]
    return RecordUse(record, None, tuple(item for item in explanations if not item.holds))
