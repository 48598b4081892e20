# SPDX-License-Identifier: Apache-2.0
"""A provider of the size that real ones have together: the material of the benchmarks.

The mix of kinds, fields, flags, expressions and include entries follows what the stock providers of Checkbox hold: 1163
jobs, 832 test plans, 359 templates and 125 manifest entries in about 44 000 lines; other sizes keep the shares. The text
depends on the seed and the size alone, and every reference in it leads to a unit of the same provider or of the bundled
ones.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["JOBS", "MANIFEST_ENTRIES", "NAMESPACE", "PLANS", "TEMPLATES", "UNITS", "write_provider"]

NAMESPACE = "com.example.generated"
JOBS = 1163
PLANS = 832
TEMPLATES = 359
MANIFEST_ENTRIES = 125
UNITS = JOBS + PLANS + TEMPLATES + MANIFEST_ENTRIES

_AREAS = str.split(
    "audio bluetooth camera cpu disk ethernet firmware graphics info input led mediacard memory miscellanea monitor"
    " networking optical power-management stress suspend touchpad touchscreen usb virtualization wireless"
)
_WORDS = str.split(
    "check that the device under test keeps its settings after every step and compare what it reports with the values"
    " which were written before measure how long it takes read the log look for errors and tell the operator what to do"
    " when nothing happens within a minute"
)
_RESOURCES = ("device", "package", "executable", "environment", "net", "block_device", "graphics_card", "cpuinfo")
_FILES_PER_AREA = 4


def write_provider(directory: Path, seed: int = 1, size: int = UNITS) -> Path:
    """Write a provider of ``size`` units into ``directory``, which need not exist, and return its definition's path."""
    units = directory / "units"
    units.mkdir(parents=True, exist_ok=True)
    writer = _Writer(seed, size)
    for name, records in writer.files():
        path = units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(records), encoding="utf-8")
    definition = directory / "generated.provider"
    definition.write_text(
        "[PlainBox Provider]\n"
        f"name = {NAMESPACE}:generated\n"
        "version = 1.0\n"
        "description = A generated provider for benchmarks\n"
        "gettext_domain = generated\n"
        "relocatable = True\n",
        encoding="utf-8",
    )
    return definition


class _Writer:
    def __init__(self, seed: int, size: int) -> None:
        plans, templates, entries = (round(size * share / UNITS) for share in (PLANS, TEMPLATES, MANIFEST_ENTRIES))
        jobs = size - plans - templates - entries
        self._random = random.Random(seed)
        self._resources = [f"{area}/{name}".replace("-", "_") for area in _AREAS[:4] for name in _RESOURCES]
        self._manifest = [f"has_{self._area(number).replace('-', '_')}_{number}" for number in range(entries)]
        self._job_ids = [f"{self._area(number)}/check-{number}" for number in range(jobs - len(self._resources))]
        self._template_ids = [f"{self._area(number)}/each-{number}" for number in range(templates)]
        self._plan_ids = [f"{self._area(number)}-plan-{number}" for number in range(plans)]

    def files(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (path below the units, its records)."""
        records: dict[str, list[str]] = {}
        for identifier in self._manifest:
            records.setdefault("manifest.pxu", []).append(self._manifest_entry(identifier))
        for identifier in self._resources:
            records.setdefault("resource.pxu", []).append(self._resource(identifier))
        for number, identifier in enumerate(self._job_ids):
            records.setdefault(self._file(identifier, number, "jobs"), []).append(self._job(number, identifier))
        for number, identifier in enumerate(self._template_ids):
            records.setdefault(self._file(identifier, number, "jobs"), []).append(self._template(number, identifier))
        for number, identifier in enumerate(self._plan_ids):
            area = identifier.partition("-plan-")[0]
            records.setdefault(f"{area}/test-plan.pxu", []).append(self._plan(number, identifier))
        yield from records.items()

    @staticmethod
    def _area(number: int) -> str:
        return _AREAS[number % len(_AREAS)]

    @staticmethod
    def _file(identifier: str, number: int, name: str) -> str:
        return f"{identifier.partition('/')[0]}/{name}-{number // len(_AREAS) % _FILES_PER_AREA}.pxu"

    # -- pieces

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _sentence(self, words: int) -> str:
        return " ".join(self._random.choice(_WORDS) for _ in range(words)).capitalize() + "."

    def _lines(self, count: int, indent: str = "    ") -> list[str]:
        return [f"{indent}{self._sentence(self._random.randint(9, 15))}" for _ in range(count)]

    def _requires(self) -> list[str]:
        name = self._random.choice(_RESOURCES)
        word = self._random.choice(_WORDS)
        kind = self._random.random()
        if kind < 0.35:
            return [
                "imports: from com.canonical.plainbox import manifest",
                "requires:",
                f"    manifest.{self._random.choice(self._manifest)} == 'True'",
            ]
        resource = self._resource_named(name)
        imports = f"imports: from {NAMESPACE} import {resource} as {name}"
        if kind < 0.42:
            return [imports, "requires:", f"    {name}.name == '{word}' or {name}.name == '{word}-2'"]
        if kind < 0.46:
            return [imports, "requires:", f"    ({name}.name == '{word}' and {name}.kind in ['a', 'b'])"]
        if kind < 0.48:
            return [imports, "requires:", f"    {name}.kind == 'a' and int({name}.version) >= 2"]
        return [imports, "requires:", f"    {name}.name == '{word}'"]

    def _resource_named(self, name: str) -> str:
        return self._random.choice([item for item in self._resources if item.endswith(f"/{name}")])

    # -- units

    def _manifest_entry(self, identifier: str) -> str:
        return _record(
            [
                "unit: manifest entry",
                f"id: {identifier}",
                f"_name: {identifier.replace('_', ' ').capitalize()}",
                "_prompt: Does this machine have this piece of hardware?",
                "value-type: bool",
            ]
        )

    def _resource(self, identifier: str) -> str:
        return _record(
            [
                f"id: {identifier}",
                "plugin: resource",
                "category_id: com.canonical.plainbox::info",
                f"_summary: Collect information about {identifier}",
                "estimated_duration: 1",
                "command:",
                "    for name in first second third; do",
                "        printf 'name: %s\\nkind: a\\nversion: 2\\n\\n' \"$name\"",
                "    done",
            ]
        )

    def _job(self, number: int, identifier: str) -> str:
        area = identifier.partition("/")[0]
        manual = self._chance(0.35)
        lines = [f"id: {identifier}", f"category_id: com.canonical.plainbox::{area}"]
        if self._chance(0.5):
            lines.insert(0, "unit: job")
        if manual:
            plugin = self._random.choice(("manual", "user-interact-verify", "user-interact"))
            lines += [f"plugin: {plugin}", f"_summary: {self._sentence(6)}", f"estimated_duration: {30 + number % 90}"]
            lines += ["_purpose:", *self._lines(2), "_steps:"]
            lines += [f"    {step}. {self._sentence(8)}" for step in range(1, 5)]
            lines += ["_verification:", *self._lines(2)]
        else:
            plugin = "attachment" if self._chance(0.15) else "shell"
            lines += [f"plugin: {plugin}", f"_summary: {self._sentence(6)}"]
            lines += [f"estimated_duration: {self._random.choice(('1.2', '20s', '1m 10s', '2h'))}"]
            lines += ["_description:", *self._lines(4)]
        if not (manual and plugin == "manual"):
            lines += ["command:", f"    check_{area.replace('-', '_')}.py --number {number} --verbose"]
            lines += [f"    test -e /sys/class/{area} || echo 'nothing there: {number}'"] * self._random.randint(0, 4)
            if self._chance(0.3):
                lines += ["user: root", "environ: LD_LIBRARY_PATH PLAINBOX_SESSION_SHARE"]
        if self._chance(0.6):
            lines += self._requires()
        flags = [
            flag
            for flag, share in (("also-after-suspend", 0.4), ("preserve-locale", 0.15), ("simple", 0.1))
            if self._chance(share)
        ]
        if flags:
            lines.append(f"flags: {' '.join(flags)}")
        if number > len(_AREAS) and self._chance(0.25):
            lines.append(f"depends: {self._job_ids[number - len(_AREAS)]}")
        if number > len(_AREAS) and self._chance(0.05):
            lines.append(f"after: {self._job_ids[number - 1]}")
        if self._chance(0.08):
            lines.append(f"group: {area}-{number % 7}")
        return _record(lines)

    def _template(self, number: int, identifier: str) -> str:
        area = identifier.partition("/")[0]
        resource = self._random.choice(self._resources)
        jinja = number % 3 == 0
        name = "{{ name }}" if jinja else "{name}"
        lines = [
            "unit: template",
            f"template-resource: {resource}",
            f"template-id: {identifier}",
            f"_template-summary: {self._sentence(6)}",
            "template-unit: job",
        ]
        if self._chance(0.4):
            variable = resource.rpartition("/")[2]
            lines += [
                f"template-imports: from {NAMESPACE} import {resource} as {variable}",
                f"template-filter: {variable}.kind == 'a'",
            ]
            lines[1] = f"template-resource: {variable}"
        if jinja:
            lines.append("template-engine: jinja2")
        lines += [
            f"id: {identifier}-{name}",
            "plugin: shell",
            f"category_id: com.canonical.plainbox::{area}",
            f"_summary: {self._sentence(4)[:-1]} {name}",
            "_description:",
            *self._lines(3),
            f"    It looks at {name}.",
            "command:",
            f"    check_{area.replace('-', '_')}.py --device {name} --number {number}",
            f"    echo {'{{ __index__ }}' if jinja else '{__index__}'} of {name}",
        ]
        if jinja:
            lines.append("    {%- if name == 'first' %} echo first {%- endif %}")
        lines.append("estimated_duration: 30s")
        if self._chance(0.5):
            lines.append("flags: preserve-locale also-after-suspend")
        if self._chance(0.4):
            lines += ["imports: from com.canonical.plainbox import manifest", "requires:"]
            lines.append(f"    manifest.{self._random.choice(self._manifest)} == 'True'")
        return _record(lines)

    def _plan(self, number: int, identifier: str) -> str:
        area = identifier.partition("-plan-")[0]
        lines = [
            "unit: test plan",
            f"id: {identifier}",
            f"_name: {self._sentence(5)[:-1]} {number}",
            "_description:",
            *self._lines(2),
        ]
        mine = [item for item in self._job_ids if item.startswith(f"{area}/")]
        templates = [item for item in self._template_ids if item.startswith(f"{area}/")]
        lines.append("include:")
        for _ in range(self._random.randint(1, 6)):
            lines.append("    " + self._entry(area, mine, templates))
        if self._chance(0.3):
            lines += ["mandatory_include:", "    com.canonical.plainbox::manifest"]
        if self._chance(0.4):
            lines += ["bootstrap_include:"]
            lines += [f"    {item}" for item in self._random.sample(self._resources, 2)]
        if self._chance(0.1):
            lines += ["exclude:", f"    {self._random.choice(mine)}"]
        if number >= 40 and self._chance(0.5):
            # Earlier plans only, so that no plan is part of itself.
            lines.append("nested_part:")
            lines += [
                f"    {self._plan_ids[self._random.randrange(number)]}" for _ in range(self._random.randint(1, 3))
            ]
        if self._chance(0.1):
            lines += ["certification_status_overrides:", f"    apply blocker to {area}/check-.*"]
        if self._chance(0.05):
            lines += ["category_overrides:", f"    apply com.canonical.plainbox::stress to {self._random.choice(mine)}"]
        return _record(lines)

    def _entry(self, area: str, jobs: Sequence[str], templates: Sequence[str]) -> str:
        kind = self._random.random()
        if kind < 0.65:
            text = self._random.choice(jobs)
        elif kind < 0.72:
            text = self._random.choice(templates)
        elif kind < 0.97:
            text = f"{self._random.choice(('', 'after-suspend-'))}{area}/(check|each)-{self._random.randint(1, 9)}.*"
        else:
            text = f"{NAMESPACE}::{self._random.choice(jobs)}"
        if self._chance(0.5):
            text = f"{text:<40} certification-status={'blocker' if self._chance(0.8) else 'non-blocker'}"
        return text


def _record(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(write_provider(Path(sys.argv[1]), *map(int, sys.argv[2:4])))
