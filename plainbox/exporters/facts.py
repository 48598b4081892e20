# SPDX-License-Identifier: Apache-2.0
"""What a report says about the machine at its top: the few facts by which a person recognises it.

They come from whatever the session knows: well-known resources of any provider, then the system information. A fact that
nobody collected is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from plainbox.exporters.characters import one_line, shortened
from plainbox.exporters.report import Report

__all__ = ["Fact", "host_name", "machine_facts"]

_LONGEST = 120


class Fact(NamedTuple):
    label: str
    value: str


def machine_facts(report: Report) -> list[Fact]:
    """Return what is known of the machine, at most one fact for each label."""
    sources = _Sources(report)
    found = (
        ("Machine", _machine(sources)),
        ("Host", host_name(report)),
        (
            "System",
            sources.either(("lsb", "description"), ("os-release", "pretty_name"), ("distribution", "pretty_name")),
        ),
        ("Kernel", _kernel(sources)),
        ("Processor", _processor(sources)),
        ("Memory", _memory(sources)),
    )
    return [Fact(label, shortened(one_line(value), _LONGEST)) for label, value in found if value and value.strip()]


def host_name(report: Report) -> str:
    """Return the name of the machine as the session has it, or the empty text."""
    return _Sources(report).either(("uname", "nodename"), ("uname", "name"), ("host", "name"))


class _Sources:
    """The first record of each resource and the outputs of each collector, by their short names."""

    def __init__(self, report: Report) -> None:
        self._found: dict[str, dict[str, str]] = {}
        for resource_id, records in report.resources.items():
            for record in records[:1]:
                self._add(resource_id.rpartition("::")[2], record)
        for name, collected in report.system_information.items():
            payload = _payload(collected)
            if payload is not None:
                self._add(name, payload)

    def _add(self, name: str, values: Mapping[str, object]) -> None:
        known = self._found.setdefault(name, {})
        for key, value in values.items():
            if isinstance(value, (str, int, float)):
                known.setdefault(str(key).lower(), str(value))

    def get(self, name: str, key: str) -> str:
        return self._found.get(name, {}).get(key, "").strip()

    def either(self, *places: tuple[str, str]) -> str:
        return next(filter(None, (self.get(name, key) for name, key in places)), "")


def _payload(collected: object) -> Mapping[str, object] | None:
    outputs = collected.get("outputs") if isinstance(collected, Mapping) else None
    payload = outputs.get("payload") if isinstance(outputs, Mapping) else None
    return payload if isinstance(payload, Mapping) else None


def _machine(sources: _Sources) -> str:
    maker = sources.either(("dmi", "vendor"), ("bios", "system_vendor"), ("bios", "sys_vendor"))
    product = sources.either(("dmi", "product"), ("bios", "product_name"))
    return " ".join(filter(None, (maker, product)))


def _kernel(sources: _Sources) -> str:
    release = sources.either(("uname", "release"), ("kernel", "release"))
    architecture = sources.either(("dpkg", "architecture"), ("uname", "machine"), ("kernel", "architecture"))
    return " ".join(filter(None, (release, architecture)))


def _processor(sources: _Sources) -> str:
    model = sources.either(("cpuinfo", "model"), ("cpu", "model"))
    count = sources.either(("cpuinfo", "count"), ("cpu", "count"))
    return f"{count} \N{MULTIPLICATION SIGN} {model}" if model and count else model


def _memory(sources: _Sources) -> str:
    text = sources.either(("meminfo", "total"), ("memory", "total_bytes"), ("memory", "total"))
    return next(_binary_sizes(text), "")


def _binary_sizes(text: str) -> Iterator[str]:
    if text.isascii() and text.isdecimal() and len(text) < 20:
        size = float(text)
        for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
            if size < 1024 or unit == "TiB":
                yield f"{size:.3g} {unit}"
                return
            size /= 1024
