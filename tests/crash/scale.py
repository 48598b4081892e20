# SPDX-License-Identifier: Apache-2.0
"""What a rig is asked for and what it reports.

Each rig module in this folder has a function ``run(*, trials, seed, base) -> Figures``. Its short test calls it with few
trials; ``python -m tests.crash`` with many. The same seed makes the same trials.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import attrs

__all__ = ["Figures", "Rig", "Tally"]


@attrs.frozen
class Figures:
    """The outcome of one rig.

    ``trials`` counts kills, images, mutations or whatever the rig repeats, ``kills`` the processes that were killed;
    ``acknowledged`` the saves that returned and ``lost`` those of them that were gone afterwards; ``unreadable`` the
    sessions that could not be loaded and should have been. ``violations`` says in words what else went wrong, and how to
    see it again.
    """

    name: str
    trials: int
    acknowledged: int = 0
    lost: int = 0
    unreadable: int = 0
    violations: tuple[str, ...] = ()
    remarks: str = ""
    kills: int = 0

    @property
    def good(self) -> bool:
        """Whether the rig tried anything at all and nothing went wrong."""
        return self.trials > 0 and not (self.lost or self.unreadable or self.violations)

    def line(self) -> str:
        """Return the figures as one line, followed by a line for each of the first ten violations."""
        text = (
            f"{self.name:<11} {'good' if self.good else 'BAD':<4} {self.trials:>8} trials  "
            f"{self.acknowledged:>8} acknowledged  {self.lost:>3} lost  {self.unreadable:>3} unreadable  "
            f"{len(self.violations):>3} violations"
        )
        text += f"  {self.remarks}" if self.remarks else ""
        return "\n".join([text, *(f"  - {violation}" for violation in self.violations[:10])])


@attrs.define
class Tally:
    """Figures in the making."""

    trials: int = 0
    acknowledged: int = 0
    lost: int = 0
    unreadable: int = 0
    violations: list[str] = attrs.field(factory=list)
    kills: int = 0

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a violation unless it holds."""
        if not holds:
            self.violations.append(otherwise)

    def figures(self, name: str, remarks: str = "") -> Figures:
        return Figures(
            name,
            self.trials,
            acknowledged=self.acknowledged,
            lost=self.lost,
            unreadable=self.unreadable,
            violations=tuple(self.violations),
            remarks=remarks,
            kills=self.kills,
        )


class Rig(Protocol):
    """The function ``run`` of a rig module."""

    def __call__(self, *, trials: int, seed: int, base: Path) -> Figures: ...
