# SPDX-License-Identifier: Apache-2.0
"""Why a resource expression holds or does not: its parts, and the values that were looked at.

``plainbox why`` shows it; whoever reports that a requirement is not met can. Nothing here knows what an expression means:
every verdict is asked of :mod:`plainbox.units.evaluation`, so an explanation never says anything else than the evaluation.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from plainbox.units.evaluation import Part, Record, Resources, Unanswerable
from plainbox.units.expressions import ResourceExpression
from plainbox.units.fields import closest

__all__ = ["AttributeSeen", "Explanation", "ResourceSeen", "ValueSeen", "details", "explain", "in_lines"]

_MAX_VALUES = 8  # of one attribute
_MAX_FAILURES = 3  # of one part
_MAX_NAMES = 12  # of attributes that a resource has
_MAX_CHARS = 80  # of one value


@attrs.frozen
class ValueSeen:
    """A value and how many records have it."""

    value: str
    records: int


@attrs.frozen
class AttributeSeen:
    """``values`` are the most frequent of the ``distinct`` ones; ``absent`` records do not have the attribute.

    ``hint`` is the name that may have been meant when no record has it.
    """

    name: str
    values: tuple[ValueSeen, ...]
    distinct: int
    absent: int
    hint: str | None = None


@attrs.frozen
class ResourceSeen:
    """What a part has looked at in one resource.

    ``records`` is ``None`` when the resource did not run and 0 when it gave nothing; ``known`` are the names of the
    attributes that its records have, the first of them.
    """

    resource_id: str
    variable: str
    records: int | None
    attributes: tuple[AttributeSeen, ...]
    known: tuple[str, ...]


@attrs.frozen
class Explanation:
    """Whether a part of an expression holds.

    With ``operator`` it is made of ``parts``. Where they are satisfied ``together`` one combination of records must
    satisfy all of it, and each of the parts tells what it would be alone; otherwise each may be satisfied by other records.
    ``seen`` is what a part without an operator looked at; ``remarks`` are operations without a result and the like.
    """

    text: str
    holds: bool
    operator: str | None = None
    together: bool = False
    parts: tuple[Explanation, ...] = ()
    seen: tuple[ResourceSeen, ...] = ()
    remarks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the explanation as plain JSON values."""
        return attrs.asdict(self)


def explain(expression: ResourceExpression, resources: Resources) -> Explanation:
    """Return why an expression holds over these records, or why not."""
    source = expression.text.strip()
    return _explained(expression.root, source, source, resources)


def _explained(part: Part, text: str, source: str, resources: Resources) -> Explanation:
    if part.operator is not None:
        parts = tuple(_explained(item, _written(item, source), source, resources) for item in part.parts)
        return Explanation(text, part.holds(resources), part.operator, False, parts)
    failures: dict[str, None] = {}

    def note(failure: Unanswerable) -> None:
        if len(failures) < _MAX_FAILURES:
            failures[str(failure)] = None

    holds = part.holds(resources, note)
    operands = part.operands
    if operands is not None:
        operator, alone = operands
        parts = tuple(_explained(item, _written(item, source), source, resources) for item in alone)
        return Explanation(text, holds, operator, True, parts, remarks=_beyond(part, resources, holds))
    remarks = [] if holds else [f"{failure} is not possible" for failure in failures]
    remarks += () if holds else _confused(part.node)
    seen = tuple(
        _seen(part, variable, resource_id, resources.get(resource_id))
        for variable, resource_id in part.variables.items()
    )
    return Explanation(text, holds, seen=seen, remarks=(*remarks, *_beyond(part, resources, holds)))


def _written(part: Part, source: str) -> str:
    return ast.get_source_segment(source, part.node) or ast.unparse(part.node)


def _beyond(part: Part, resources: Resources, holds: bool) -> tuple[str, ...]:
    return (
        () if holds or not part.is_too_wide(resources) else ("there are more combinations of records than were tried",)
    )


def _confused(node: ast.expr) -> Iterator[str]:
    """Yield what is to be said about comparisons of a value with a number or a truth value: every value is text."""
    for item in ast.walk(node):
        if not isinstance(item, ast.Compare):
            continue
        sides = [item.left, *item.comparators]
        value = next((side for side in sides if isinstance(side, ast.Attribute)), None)
        other = next((side for side in sides if isinstance(side, ast.Constant) and _is_number(side.value)), None)
        if value is None or other is None:
            continue
        text, wanted = ast.unparse(value), ast.unparse(other)
        better = "" if isinstance(other.value, bool) else f", or int({text})"
        yield f"{text} is text and {wanted} is not: write '{wanted}'{better}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _seen(part: Part, variable: str, resource_id: str, records: Sequence[Record] | None) -> ResourceSeen:
    # A resource job that printed no record has one without attributes.
    found = [record for record in records or () if record]
    names = dict.fromkeys(
        node.attr
        for node in ast.walk(part.node)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == variable
    )
    known = dict.fromkeys(name for record in found for name in record)
    attributes = tuple(_attribute(name, found, tuple(known)) for name in names)
    return ResourceSeen(
        resource_id, variable, None if records is None else len(found), attributes, tuple(known)[:_MAX_NAMES]
    )


def _attribute(name: str, records: Sequence[Record], known: Sequence[str]) -> AttributeSeen:
    counts = Counter(record[name] for record in records if name in record)
    values = tuple(ValueSeen(_short(value), count) for value, count in counts.most_common(_MAX_VALUES))
    hint = closest(name, known) if records and not counts else None
    return AttributeSeen(name, values, len(counts), len(records) - counts.total(), hint)


def _short(value: str) -> str:
    return value if len(value) <= _MAX_CHARS else f"{value[:_MAX_CHARS]}..."


# -- for people


def in_lines(explanation: Explanation) -> list[str]:
    """Return the explanation as lines of text: the expression, then below it what made it hold or not."""
    return [f"{_verdict(explanation)}: {explanation.text}", *(f"  {line}" for line in details(explanation))]


def details(explanation: Explanation) -> list[str]:
    """Return the lines that stand below the expression."""
    if explanation.operator is None:
        return [*explanation.remarks, *(line for seen in explanation.seen for line in _looked(seen))]
    lines = []
    if explanation.together:
        which = "one of these" if explanation.operator == "or" else "all of these"
        lines = [f"{which} must be true for one combination of records; each alone is:", *explanation.remarks]
    return lines + [line for part in explanation.parts for line in in_lines(part)]


def _verdict(explanation: Explanation) -> str:
    return "true" if explanation.holds else "not true"


def _looked(seen: ResourceSeen) -> Iterator[str]:
    if seen.records is None:
        yield f"{seen.resource_id} has given nothing: it did not run"
        return
    if seen.records == 0:
        yield f"{seen.resource_id} gave no records"
        return
    count = f"{seen.records} record{'s' if seen.records > 1 else ''} of {seen.resource_id}"
    if not seen.attributes:
        yield count
    for attribute in seen.attributes:
        if attribute.distinct:
            yield f"{attribute.name} in {count}: {_values(attribute, seen.records)}"
        else:
            yield _nobody_has(attribute, seen, count)


def _values(attribute: AttributeSeen, records: int) -> str:
    shown = [
        f"{item.value!r}{f' ({item.records} times)' if item.records > 1 and records > item.records else ''}"
        for item in attribute.values
    ]
    rest = attribute.distinct - len(shown)
    text = ", ".join(shown) + (f" and {rest} more" if rest else "")
    return text + (f"; not there in {attribute.absent}" if attribute.absent else "")


def _nobody_has(attribute: AttributeSeen, seen: ResourceSeen, count: str) -> str:
    subject = f"{attribute.name} is not there in the {count}"
    if attribute.hint:
        return f"{subject}; {attribute.hint}"
    return f"{subject}; they have {', '.join(seen.known)}"
