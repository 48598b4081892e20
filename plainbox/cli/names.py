# SPDX-License-Identifier: Apache-2.0
"""Which job or template a name means that somebody has typed, and what may have been meant when there is none.

``plainbox why`` asks: of the units of the providers that were named, and of those of a session.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from plainbox.errors import UsageError
from plainbox.units import JobDefinition, TemplateUnit
from plainbox.units.converters import qualify
from plainbox.units.fields import closest

__all__ = ["NOTHING_NEAR", "ids_with_name", "makers_of", "several", "unknown"]

#: The hint for a name that is like no other.
NOTHING_NEAR = "plainbox list jobs shows those there are"

_MAX_MAKERS = 3


def ids_with_name(name: str, ids: Iterable[str]) -> frozenset[str]:
    """Return the full ids that a name means: itself, or those of which it is the partial id."""
    known = frozenset(ids)
    return frozenset({name}) if name in known else frozenset(item for item in known if _partial(item) == name)


def makers_of(name: str, templates: Iterable[TemplateUnit]) -> Iterator[tuple[str, str]]:
    """Yield (id of the template, full id of the job) for each template that could make a job with this name."""
    from plainbox.units.checks.index import UnitIndex

    for template in templates:
        kind = template.instance_kind
        if kind is None or not issubclass(kind, JobDefinition):
            continue
        full_id = qualify(name, template.namespace)
        if UnitIndex.of([template]).could_become(kind.kind, full_id):
            yield template.id, full_id


def several(name: str, ids: Iterable[str]) -> UsageError:
    """Return the error for a name that means more than one."""
    return UsageError(f"{name!r} means several: {', '.join(sorted(ids))}", hint="write the full id")


def unknown(name: str, ids: Collection[str], templates: Iterable[TemplateUnit]) -> UsageError:
    """Return the error for a name that means nothing."""
    makers = [template_id for template_id, _ in makers_of(name, templates)]
    hints = [f"the template {maker} could make it: plainbox why {maker}" for maker in makers[:_MAX_MAKERS]]
    near = closest(name, [*ids, *map(_partial, ids)])
    return UsageError(f"no job or template {name!r}", hint="; ".join([*hints, near] if near else hints) or NOTHING_NEAR)


def _partial(full_id: str) -> str:
    return full_id.partition("::")[2]
