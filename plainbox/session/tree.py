# SPDX-License-Identifier: Apache-2.0
"""The folded state of a session, as the journal knows it.

A *change* and a *full* representation are JSON objects with the same keys, all optional:

========= ===================================== ==========================================================
``meta``  {key: value}                          each key replaces its former value
``jobs``  {id: {"sum", "attempts", "via"}}      each entry replaces the former one
``gone``  [id]                                  the job, its results and its definition are forgotten
``drop``  [[id, attempt]]                       the result of this attempt is forgotten
``res``   [[id, attempt, {result}]]             the result of this attempt, added or replaced
``want``  [id]                                  the whole list, replaced
``must``  [id]                                  the whole list, replaced
``units`` {id: definition}                      generated units; each entry replaces the former one
``sys``   object or null                        replaced
========= ===================================== ==========================================================

``t`` says which of the two it is (``ck`` or ``full``). Within one change ``gone`` and ``drop`` apply first, so a job
can leave and come back, and a result can be exchanged, in one record. Keys that are not in the table are kept as
they are, the last value winning, so that a later version's data survives a compaction by this one.

Used by the journal (to read, to compact), by the storage and by tests as the model of what must be on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from plainbox.session.codec import MAX_PAYLOAD_BYTES, JsonObject, encode_body, parse_object

__all__ = ["Tree", "canonical_full", "check_change", "fold", "slices"]

#: What folding looks at, and what the journal adds to every record and is not part of the state.
_KNOWN: Final = frozenset({"meta", "jobs", "units", "gone", "want", "must", "res", "drop", "sys"})
_ENVELOPE: Final = frozenset({"t", "n", "w", "m", "notes"})
_EXPECTED: Final = _KNOWN | _ENVELOPE

_SLICE_BYTES: Final = 1024 * 1024
#: An item is alone in its record, but for the names of the part that it belongs to.
_MAX_ITEM_BYTES: Final = MAX_PAYLOAD_BYTES - 64


@attrs.define
class Tree:
    """Everything a session holds; ``results`` maps job id to attempt to result."""

    meta: JsonObject = attrs.field(factory=dict)
    jobs: dict[str, JsonObject] = attrs.field(factory=dict)
    results: dict[str, dict[int, JsonObject]] = attrs.field(factory=dict)
    want: list[str] = attrs.field(factory=list)
    must: list[str] = attrs.field(factory=list)
    units: JsonObject = attrs.field(factory=dict)
    sys: Any = None
    extra: JsonObject = attrs.field(factory=dict)

    def as_full(self) -> JsonObject:
        """Return the full representation: results by job id and attempt, empty parts left out."""
        parts: JsonObject = {
            "meta": self.meta,
            "jobs": self.jobs,
            "res": [
                [job_id, attempt, self.results[job_id][attempt]]
                for job_id in sorted(self.results)
                for attempt in sorted(self.results[job_id])
            ],
            "want": self.want,
            "must": self.must,
            "units": self.units,
        }
        full: JsonObject = {**self.extra, **{key: value for key, value in parts.items() if value}}
        if self.sys is not None:
            full["sys"] = self.sys
        full["t"] = "full"
        return full

    def as_bytes(self) -> bytes:
        """Return the canonical bytes of the full representation: equal states give equal bytes."""
        return encode_body(self.as_full(), checked=True)


def _check_object(key: str, value: object) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{key!r} is not an object")


def _check_entries(key: str, value: object) -> None:
    _check_object(key, value)
    assert isinstance(value, dict)
    for job_id, entry in value.items():
        if not isinstance(entry, dict):
            raise ValueError(f"the entry of job {job_id!r} is not an object")


def _check_ids(key: str, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key!r} is not a list of ids")


def _check_attempts(key: str, value: object) -> None:
    if not isinstance(value, list):
        raise ValueError(f"{key!r} is not a list")
    length = 2 if key == "drop" else 3
    for item in value:
        if (
            not isinstance(item, list)
            or len(item) != length
            or not isinstance(item[0], str)
            or type(item[1]) is not int
            or item[1] < 1
            or not (length == 2 or isinstance(item[2], dict))
        ):
            raise ValueError(f"{key!r} has an item that names no attempt of a job")


_SHAPES: Final[dict[str, Callable[[str, object], None]]] = {
    "meta": _check_object,
    "jobs": _check_entries,
    "units": _check_object,
    "gone": _check_ids,
    "want": _check_ids,
    "must": _check_ids,
    "drop": _check_attempts,
    "res": _check_attempts,
}


def check_change(change: JsonObject) -> None:
    """Raise :class:`ValueError` unless every known key of the change has the shape that folding needs."""
    for key, value in change.items():
        check = _SHAPES.get(key)
        if check is not None:
            check(key, value)


def fold(tree: Tree, change: JsonObject) -> None:
    """Apply a checked change to the tree."""
    for job_id in change.get("gone", ()):
        tree.jobs.pop(job_id, None)
        tree.results.pop(job_id, None)
        tree.units.pop(job_id, None)
    for job_id, attempt in change.get("drop", ()):
        attempts = tree.results.get(job_id)
        if attempts is not None:
            attempts.pop(attempt, None)
            if not attempts:
                del tree.results[job_id]
    if "want" in change:
        tree.want = list(change["want"])
    if "must" in change:
        tree.must = list(change["must"])
    _add(tree, change)


def fold_slice(tree: Tree, part: JsonObject) -> None:
    """Add one checked slice of a full representation to the tree: long lists arrive in pieces."""
    tree.want.extend(part.get("want", ()))
    tree.must.extend(part.get("must", ()))
    _add(tree, part)


def _add(tree: Tree, change: JsonObject) -> None:
    if "meta" in change:
        tree.meta.update(change["meta"])
    if "jobs" in change:
        tree.jobs.update(change["jobs"])
    if "units" in change:
        tree.units.update(change["units"])
    if "res" in change:
        for job_id, attempt, result in change["res"]:
            tree.results.setdefault(job_id, {})[attempt] = result
    if "sys" in change:
        tree.sys = change["sys"]
    if not _EXPECTED.issuperset(change):
        tree.extra.update((key, value) for key, value in change.items() if key not in _EXPECTED)


def tree_of(full: JsonObject) -> Tree:
    """Return the tree of a full representation; a wrong shape raises :class:`ValueError`."""
    check_change(full)
    tree = Tree()
    fold_slice(tree, full)
    return tree


def canonical_full(data: bytes) -> bytes:
    """Return the canonical bytes of any full representation: the form in which a loaded checkpoint comes back."""
    full = parse_object(data)
    if full.get("t") != "full":
        raise ValueError("it is not a full representation of a session")
    return tree_of(full).as_bytes()


def _items(tree: Tree) -> Iterator[tuple[str, str | None, object]]:
    """Yield (part, key or None, value) for every item of the tree; without a key the part is a list."""
    for name, mapping in (("meta", tree.meta), ("jobs", tree.jobs), ("units", tree.units)):
        for key in sorted(mapping):
            yield name, key, mapping[key]
    for name, ids in (("want", tree.want), ("must", tree.must)):
        for job_id in ids:
            yield name, None, job_id
    for job_id, attempts in sorted(tree.results.items()):
        for attempt in sorted(attempts):
            yield "res", None, [job_id, attempt, attempts[attempt]]


def slices(tree: Tree, limit_bytes: int = _SLICE_BYTES) -> Iterator[JsonObject]:
    """Yield the tree as ``full`` payloads of about ``limit_bytes`` at most; a longer item has a slice of its own.

    An item that no record can hold raises :class:`ValueError` when its turn comes.
    """
    part: JsonObject = {"t": "full"}
    size = 0
    for name, key, value in _items(tree):
        # The length of the item alone; keys and brackets of the slice are few enough to be left out.
        item_size = len(encode_body({key or "": value}))
        if item_size > _MAX_ITEM_BYTES:
            owner = key or str(value[0] if isinstance(value, list) else value)
            raise ValueError(
                f"what the session has to say about {owner[:200]!r} ({name}) is too long: {item_size} bytes;"
                f" {_MAX_ITEM_BYTES} can be stored"
            )
        if size and size + item_size > limit_bytes:
            yield part
            part, size = {"t": "full"}, 0
        if key is None:
            part.setdefault(name, []).append(value)
        else:
            part.setdefault(name, {})[key] = value
        size += item_size
    if size:
        yield part
    whole = {**tree.extra, **({"sys": tree.sys} if tree.sys is not None else {})}
    for name, value in sorted(whole.items()):
        yield {"t": "full", name: value}


assert _SLICE_BYTES < MAX_PAYLOAD_BYTES  # a slice of ordinary items always fits into one record
