# SPDX-License-Identifier: Apache-2.0
"""``info``: what a provider is called and what it holds, with the places of everything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from plainbox.providers.authoring.command import Command
from plainbox.streams import clean
from plainbox.units import Unit
from plainbox.units.kinds import KINDS

__all__ = ["InfoCommand"]


class InfoCommand(Command):
    """tell what this provider is and holds"""

    name = "info"

    def register_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")

    def invoked(self, ns: argparse.Namespace) -> int | None:
        if ns.json:
            import json

            self.output.write(json.dumps({"schema": "plainbox.provider-info/1", **self._facts()}, indent=2))
        else:
            for line in self._lines():
                self.output.write(clean(line))
        for problem in self.get_provider().problem_list:
            self.output.warn(str(problem), problem.hint)
        return 0

    def _metadata(self) -> dict[str, str | None]:
        return {
            "name": self.tree.name,
            "namespace": self.tree.namespace,
            "version": self.tree.version,
            "description": self.tree.description,
            "gettext_domain": self.tree.gettext_domain,
            "directory": str(self.tree.base_dir),
        }

    def _facts(self) -> dict[str, object]:
        provider = self.get_provider()
        return {
            "provider": self._metadata(),
            "units": [{"kind": unit.kind, "id": unit.id, "origin": self._place(unit)} for unit in provider.unit_list],
            "executables": [self._relative(str(path)) for path in provider.executable_list],
        }

    def _lines(self) -> Iterator[str]:
        metadata = self._metadata()
        width = max(map(len, metadata)) + 2
        for key, value in metadata.items():
            if value:
                yield f"{key.replace('_', ' ') + ':':<{width}}{value}"
        provider = self.get_provider()
        for kind in KINDS:
            units = [unit for unit in provider.unit_list if unit.kind == kind]
            if units:
                yield f"\n{kind} ({len(units)})"
                yield from (f"  {unit.id}  {self._place(unit)}".rstrip() for unit in units)
        if provider.executable_list:
            yield f"\nexecutable ({len(provider.executable_list)})"
            yield from (f"  {path.name}  {self._relative(str(path))}" for path in provider.executable_list)

    def _place(self, unit: Unit) -> str:
        return self._relative(str(unit.origin)) if unit.origin is not None else ""

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self.tree.base_dir}/")
