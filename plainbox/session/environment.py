# SPDX-License-Identifier: Apache-2.0
"""Where a session was opened: the machine, its boot, the programs and the providers.

Whoever opens a session to write puts a snapshot into the ``open`` record of its journal. What differs between two openings
is information for people; only a resume that is asked to be strict refuses to go on over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import attrs

from plainbox import __version__
from plainbox.errors import IncompatibleSessionError
from plainbox.session.boot import boot_id
from plainbox.session.codec import JsonObject

if TYPE_CHECKING:
    from plainbox.providers import Catalogue
    from plainbox.session.storage import SessionStorage

__all__ = ["EnvironmentSnapshot", "check_same_environment", "snapshot_of", "stored_snapshots"]

#: Key -> what it was, and what it is; ``None`` stands for what is not there.
Differences: TypeAlias = dict[str, tuple[str | None, str | None]]

_MACHINE_ID = "/etc/machine-id"


@attrs.frozen
class EnvironmentSnapshot:
    """What was the case at one opening; ``None`` when it is not known.

    ``machine_id`` is a digest that says nothing about the machine but that it is this one. ``providers`` maps names to
    versions.
    """

    boot_id: str | None = None
    machine_id: str | None = None
    kernel: str | None = None
    architecture: str | None = None
    python: str | None = None
    plainbox: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    providers: Mapping[str, str] | None = None

    @classmethod
    def taken(cls, catalogue: Catalogue) -> Self:
        """Return what is the case here and now."""
        import platform
        import time

        return cls(
            boot_id=boot_id(),
            machine_id=_machine_id(),
            kernel=platform.release(),
            architecture=platform.machine(),
            python=platform.python_version(),
            plainbox=__version__,
            locale=os.environ.get("LC_ALL") or os.environ.get("LANG") or "",
            # Both names of the zone: it is the same one in summer and in winter.
            time_zone="/".join(time.tzname),
            providers={provider.name: provider.version for provider in catalogue.providers},
        )

    def as_dict(self) -> JsonObject:
        """Return what is known as plain JSON values."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)

    @classmethod
    def of_stored(cls, data: object) -> Self:
        """Return what :meth:`as_dict` has described; whatever makes no sense is not known."""
        stored: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        known = {field.name: stored.get(field.name) for field in attrs.fields(cls)}
        providers = known.pop("providers")
        texts = {name: value for name, value in known.items() if isinstance(value, str)}
        return cls(**texts, providers=dict(providers) if providers is not None and _maps_texts(providers) else None)

    def diff(self, other: EnvironmentSnapshot) -> Differences:
        """Return what is another one in ``other``, by key; what only one of the two knows is no difference.

        The key of a provider is ``providers.`` and its name.
        """
        found: Differences = {}
        for field in attrs.fields(EnvironmentSnapshot):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is None or theirs is None or mine == theirs:
                continue
            if field.name == "providers":
                found |= {
                    f"providers.{name}": (mine.get(name), theirs.get(name))
                    for name in sorted({*mine, *theirs})
                    if mine.get(name) != theirs.get(name)
                }
            else:
                found[field.name] = (mine, theirs)
        return found


def snapshot_of(record: JsonObject) -> EnvironmentSnapshot:
    """Return the snapshot in an ``open`` record of a journal."""
    return EnvironmentSnapshot.of_stored(record.get("env"))


def stored_snapshots(records: Iterable[JsonObject]) -> list[EnvironmentSnapshot]:
    """Return the snapshots that the openings in a journal tell, oldest first; some, such as a compaction, have none."""
    snapshots = (snapshot_of(record) for record in records if record.get("t") == "open")
    return [snapshot for snapshot in snapshots if snapshot != EnvironmentSnapshot()]


def check_same_environment(storage: SessionStorage) -> None:
    """Raise :class:`IncompatibleSessionError` unless the session goes on where it was opened last.

    What is the case now is what the storage is to write into its next ``open`` record. Another boot is no difference:
    whole sessions are about starting the machine anew.
    """
    known = stored_snapshots(storage.records())
    if not known:
        return
    differences = known[-1].diff(EnvironmentSnapshot.of_stored(storage.environment))
    differences.pop("boot_id", None)
    if differences:
        details = ", ".join(
            f"{key}: {before or 'none'} -> {now or 'none'}" for key, (before, now) in differences.items()
        )
        raise IncompatibleSessionError(f"the session {storage.id} was opened in another environment; {details}")


def _maps_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) for pair in value.items() for item in pair)


def _machine_id() -> str | None:
    import hashlib

    try:
        with open(_MACHINE_ID, "rb") as file:
            number = file.read(256).strip()
    except OSError:
        return None
    # The number itself identifies a machine to everybody and is nobody's business.
    return hashlib.blake2b(number, key=b"plainbox", digest_size=8).hexdigest() if number else None
