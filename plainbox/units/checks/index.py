# SPDX-License-Identifier: Apache-2.0
"""All units by kind and id, and what templates could make of them: what the checks look references up in.

Nothing here compares all with all: ids are found by hash, patterns in the sorted ids, possible instances by the text that
their ids begin with.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from plainbox.units.fields import closest
from plainbox.units.job import JobDefinition
from plainbox.units.patterns import Pattern
from plainbox.units.selection import literal_start
from plainbox.units.template import TemplateUnit
from plainbox.units.unit import Unit

__all__ = ["UnitIndex", "is_open", "shape_of"]


class _AnyText(str):
    """A text that stays as it is in whatever format: a width or a precision says nothing of a value that is not known."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


#: Stands for a value that only a resource knows, in the units that templates could make.
_ANY = _AnyText("\ue000")
_LAST = chr(0x10FFFF)  # no id goes on with the very last of all characters
_NAMESPACE = re.compile(r"(?:[\w.\-]|\\\.)+")
_GLOB = re.compile(r"[^:]+::[^.^$*+?{}\[\]\\|()]+\*")
_GUESSES = 8  # ids that are compared closely with one that is not known
_MAX_GUESSES = 200  # whoever has more ids that are not known has another problem than a mistyped one


def is_open(text: str) -> bool:
    """Tell whether a text of a :func:`shape <shape_of>` depends on what a resource says."""
    return _ANY in text or "{" in text


def shape_of(template: TemplateUnit) -> Unit | None:
    """Return what the instances of a template have in common, with a mark where a resource decides; see ``is_open``."""
    kind = template.instance_kind
    if kind is None or issubclass(kind, TemplateUnit):
        return None
    parameters = dict.fromkeys((*template.instance_parameters, "__index__"), _ANY)
    return kind(template.instance_data(), provider=template.provider, parameters=parameters)


@attrs.frozen(eq=False, slots=False)
class UnitIndex:
    """``units`` are all that are loaded, those with an id that is taken included; the first unit with an id counts."""

    units: tuple[Unit, ...]

    @classmethod
    def of(cls, units: Iterable[Unit]) -> UnitIndex:
        return cls(tuple(units))

    # -- ids

    @functools.cached_property
    def _named(self) -> Mapping[str, Mapping[str, Unit]]:
        """The units by kind and id, siblings of jobs among the jobs."""
        result: dict[str, dict[str, Unit]] = {}
        for unit in self.units:
            if unit.id:
                result.setdefault(unit.kind, {}).setdefault(unit.id, unit)
        for sibling, _ in self.siblings:
            result.setdefault(sibling.kind, {}).setdefault(sibling.id, sibling)
        return result

    @functools.cached_property
    def siblings(self) -> tuple[tuple[JobDefinition, JobDefinition], ...]:
        """The siblings of all jobs that are written out, each with the job that brings it along."""
        return tuple(
            (sibling, unit) for unit in self.units if isinstance(unit, JobDefinition) for sibling in unit.descendants()
        )

    def of_kind(self, kind: str) -> Mapping[str, Unit]:
        """Return the units of a kind by full id."""
        return self._named.get(kind, {})

    def of_any_kind(self, identifier: str) -> Unit | None:
        """Return some unit that has this full id."""
        return next((units[identifier] for units in self._named.values() if identifier in units), None)

    @functools.cached_property
    def namespaces(self) -> frozenset[str]:
        return frozenset(unit.namespace for unit in self.units if unit.namespace)

    @functools.cached_property
    def manifest_keys(self) -> frozenset[str]:
        """What the records of the manifest resource hold."""
        return frozenset(str(getattr(unit, "resource_key", "")) for unit in self.of_kind("manifest entry").values())

    # -- what templates could make

    @functools.cached_property
    def _shapes(self) -> Mapping[str, _Shapes]:
        ids: dict[str, list[str]] = {}
        for unit in self.units:
            shape = shape_of(unit) if isinstance(unit, TemplateUnit) else None
            if shape is not None:
                family = (shape, *shape.descendants()) if isinstance(shape, JobDefinition) else (shape,)
                ids.setdefault(shape.kind, []).extend(member.id for member in family if member.id)
        return {kind: _Shapes.of(members) for kind, members in ids.items()}

    def could_become(self, kind: str, identifier: str) -> bool:
        """Tell whether an instance of some template could be a unit of this kind with this id."""
        shapes = self._shapes.get(kind)
        return shapes is not None and shapes.include(identifier)

    # -- patterns

    @functools.cached_property
    def _selectable(self) -> Sequence[str]:
        """The ids that a test plan can select, sorted."""
        return sorted({*self.of_kind(JobDefinition.kind), *self.of_kind(TemplateUnit.kind)})

    def selected_by(self, pattern: Pattern) -> Iterator[str]:
        """Yield the ids of jobs and templates that a pattern means."""
        pattern = _narrowed(pattern)
        if pattern.is_fixed:
            if pattern.full in self.of_kind(JobDefinition.kind) or pattern.full in self.of_kind(TemplateUnit.kind):
                yield pattern.full
            return
        start = literal_start(pattern)
        first = bisect.bisect_left(self._selectable, start)
        last = bisect.bisect_right(self._selectable, start + _LAST, first)
        yield from (item for item in self._selectable[first:last] if pattern.matches(item))

    def means_something(self, pattern: Pattern) -> bool:
        """Tell whether a pattern means a job, a sibling, a template, or could mean an instance of one."""
        if any(True for _ in self.selected_by(pattern)):
            return True
        shapes = self._shapes.get(JobDefinition.kind)
        if shapes is None:
            return False
        pattern = _narrowed(pattern)
        if pattern.is_fixed:
            return shapes.include(pattern.full)
        if _GLOB.fullmatch(pattern.full):
            # "disk/*" is no glob: it means "disk", "disk/", "disk//"...
            return shapes.include(pattern.full[:-1]) or shapes.include(pattern.full[:-2])
        return shapes.begin_like(literal_start(pattern))

    # -- guesses

    def guess(self, kinds: Sequence[str], identifier: str, namespace: str | None) -> str | None:
        """Return what to do about an id that is not known: the id that was meant, or the provider that is missing."""
        own, colons, partial = identifier.rpartition("::")
        if colons and own not in self.namespaces:
            return self._missing(own)
        elsewhere = self.elsewhere(kinds, partial)
        if elsewhere is not None:
            return f"did you mean {elsewhere!r}?"
        key = (tuple(kinds), identifier)
        if key not in self._near:
            if len(self._near) == _MAX_GUESSES:
                return None
            self._near[key] = self._ids_near(kinds, own, partial)
        near = self._near[key]
        return (
            closest(partial, near)
            if own == (namespace or "")
            else closest(identifier, [f"{own}::{item}" for item in near])
        )

    def elsewhere(self, kinds: Sequence[str], partial: str) -> str | None:
        """Return the full id of a unit of these kinds that has this partial id, in whatever namespace."""
        candidates = (f"{namespace}::{partial}" for namespace in sorted(self.namespaces))
        return next((item for item in candidates if any(item in self.of_kind(kind) for kind in kinds)), None)

    def guess_namespace(self, pattern: Pattern) -> str | None:
        """Return what to do about a pattern for the ids of a namespace that no provider has."""
        namespace, colons, _ = literal_start(_narrowed(pattern)).partition("::")
        return self._missing(namespace) if colons and namespace not in self.namespaces else None

    def _missing(self, namespace: str) -> str:
        return closest(namespace, self.namespaces) or f"no provider with the namespace {namespace!r} is loaded"

    @functools.cached_property
    def _near(self) -> dict[tuple[tuple[str, ...], str], Sequence[str]]:
        """The ids that look like those that are not known."""
        return {}

    def _ids_near(self, kinds: Sequence[str], namespace: str, partial: str) -> Sequence[str]:
        known = {item for kind in kinds for item in self._partial_ids.get((kind, namespace), ())}
        wanted = _pieces(partial)
        likely = heapq.nlargest(_GUESSES, known, key=lambda item: (len(wanted & _pieces(item)), item))
        return [item for item in likely if _alike(partial, item)]

    @functools.cached_property
    def _partial_ids(self) -> Mapping[tuple[str, str], Sequence[str]]:
        """The ids without their namespace, by kind and namespace."""
        result: dict[tuple[str, str], list[str]] = {}
        for kind, units in self._named.items():
            for identifier in units:
                namespace, _, partial = identifier.rpartition("::")
                result.setdefault((kind, namespace), []).append(partial)
        return result


@attrs.frozen
class _Shapes:
    """Ids of possible instances, as the texts between the marks, by the first of these texts."""

    by_start: Mapping[str, Sequence[Sequence[str]]]
    starts: Sequence[str]
    longest: int  # characters of the longest start

    @classmethod
    def of(cls, ids: Iterable[str]) -> _Shapes:
        by_start: dict[str, list[Sequence[str]]] = {}
        for identifier in ids:
            # A text that could not be filled in may become anything behind its first brace.
            parts = re.split(f"{_ANY}|{{.*", identifier, flags=re.DOTALL)
            by_start.setdefault(parts[0], []).append(parts)
        return cls(by_start, sorted(by_start), max(map(len, by_start), default=-1))

    def include(self, identifier: str) -> bool:
        """Tell whether one of the shapes could have this id."""
        return any(
            _fits(parts, identifier)
            for length in range(min(len(identifier), self.longest) + 1)
            for parts in self.by_start.get(identifier[:length], ())
        )

    def begin_like(self, start: str) -> bool:
        """Tell whether one of the shapes could have an id that begins so."""
        if any(start[:length] in self.by_start for length in range(min(len(start), self.longest) + 1)):
            return True
        position = bisect.bisect_left(self.starts, start)
        return position < len(self.starts) and self.starts[position].startswith(start)


def _fits(parts: Sequence[str], text: str) -> bool:
    """Tell whether a text has all the parts in their order, with anything between them."""
    first, *middle, last = parts if len(parts) > 1 else (*parts, "")
    position, end = len(first), len(text) - len(last)
    if position > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in middle:
        position = text.find(part, position, end) + len(part)
        if position < len(part):
            return False
    return len(parts) > 1 or text == first


@functools.lru_cache(maxsize=8192)
def _narrowed(pattern: Pattern) -> Pattern:
    """Return the same pattern with the dots of its namespace taken for dots, which is what everybody means."""
    namespace, _, rest = pattern.full.partition("::")
    is_full = pattern.expression.startswith("(?:")
    if not (is_full and rest and _NAMESPACE.fullmatch(namespace)) or "|" in rest or "::" in rest:
        return pattern
    return Pattern.parse(rest, namespace.replace("\\.", "."))


def _alike(one: str, other: str) -> bool:
    """Tell whether ids look alike part by part: a long folder in common makes no two jobs alike."""
    parts, others = one.split("/"), other.split("/")
    return len(parts) == len(others) and all(
        part == near or closest(part, [near]) is not None for part, near in zip(parts, others, strict=True)
    )


@functools.lru_cache(maxsize=65536)
def _pieces(text: str) -> frozenset[str]:
    """Return the characters and the pairs of characters in a text: texts that share many of them look alike."""
    padded = f" {text} "
    return frozenset((*text, *(padded[index : index + 2] for index in range(len(padded) - 1))))
