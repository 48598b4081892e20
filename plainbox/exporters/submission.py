# SPDX-License-Identifier: Apache-2.0
"""The parts of a submission that are about the machine and the software, and not about results.

The keys are those that consumers of submissions know: each comes from a resource or an attachment of a well-known job,
and is absent when the job did not run. What is there but cannot be used is told in ``notes``.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator, Mapping, Sequence

import plainbox
from plainbox.exporters.logtext import LogText, document_problem
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import Report

__all__ = ["application_data", "launcher_of", "machine_members", "origin_of"]

_CERTIFICATION = "com.canonical.certification::"

#: Attachment jobs whose output is a JSON document.
_DOCUMENTS: Mapping[str, str] = {
    "dkms_info": "dkms_info_json",
    "devices": "udev_json",
    "raw-devices-dmi": "raw_devices_dmi_json",
    "modprobe-info": "modprobe_json",
    "pci_subsystem_id": "lspci_standard_config_json",
    "bto-info": "dell_bto_xml_attachment_json",
    "image-version": "recovery_info_attachment_json",
}
#: Attachment jobs whose output is one text.
_TEXTS: Mapping[str, str] = {
    "kernel-cmdline": "kernel_cmdline_attachment",
    "buildstamp": "info/buildstamp",
}
#: A document has to be held to be understood; one that is larger than this is none of the known ones.
_MAX_DOCUMENT_BYTES = 16 * 1024 * 1024


def origin_of() -> dict[str, object]:
    """Return what made the submission."""
    version = plainbox.__version__
    return {
        "name": "Plainbox",
        "version": version,
        "packaging": {"type": _packaging(), "name": "plainbox", "version": version},
    }


def _packaging() -> str:
    folder = plainbox.__file__ or ""
    if "/dist-packages/" in folder:
        return "debian"
    return "unknown" if "/site-packages/" in folder else "source"


def application_data(blob: bytes, notes: list[str]) -> Mapping[str, object]:
    """Return what the application has kept with the session, when that is a JSON object."""
    if not blob:
        return {}
    try:
        data = json.loads(blob)
    except (ValueError, RecursionError):
        notes.append("the application data of the session are no JSON and were left out")
        return {}
    return data if isinstance(data, dict) else {}


def launcher_of(application: Mapping[str, object], notes: list[str]) -> dict[str, dict[str, str]]:
    """Return the launcher as sections of texts; empty when the session was started without one."""
    launcher = application.get("launcher")
    if isinstance(launcher, dict):
        return {
            str(section): {str(key): str(value) for key, value in values.items()}
            for section, values in launcher.items()
            if isinstance(values, dict)
        }
    if not isinstance(launcher, str) or not launcher.strip():
        return {}
    parser = _LauncherParser(strict=False, delimiters=("=",), default_section="\0")
    try:
        parser.read_string(launcher)
    except configparser.Error:
        notes.append("the launcher cannot be parsed and was left out")
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}


class _LauncherParser(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        # Names of environment variables are among the keys.
        return optionstr


def machine_members(report: Report, notes: list[str]) -> Iterator[tuple[str, object]]:
    """Yield the members that the resources and attachments of this session give."""
    yield from _from_resources(report)
    records = {record.id: record for record in report.jobs}
    for key, job in _DOCUMENTS.items():
        text = _attachment(records.get(_CERTIFICATION + job), key, notes)
        if text is not None:
            try:
                yield key, json.loads(text)
            except (ValueError, RecursionError):
                notes.append(f"{key}: left out, the job {_CERTIFICATION}{job} gives none: the output is no JSON")
    for key, job in _TEXTS.items():
        text = _attachment(records.get(_CERTIFICATION + job), key, notes)
        if text is not None:
            yield key, text.strip()


def _from_resources(report: Report) -> Iterator[tuple[str, object]]:
    packages = _records(report, "package")
    if packages:
        yield "packages", [{"name": item.get("name", ""), "version": item.get("version", "")} for item in packages]
    snaps = _records(report, "snap")
    if snaps:
        yield "snap-packages", [{"name": item.get("name", ""), **item} for item in snaps]
    distribution = _first(report, "lsb")
    if distribution:
        yield "distribution", dict(distribution)
    kernel = _first(report, "uname").get("release")
    if kernel is not None:
        yield "kernel", kernel
    architecture = _first(report, "dpkg").get("architecture")
    if architecture is not None:
        yield "architecture", architecture
    memory = _first(report, "meminfo")
    if memory:
        yield "memory", {key: _whole_number(memory.get(key)) for key in ("swap", "total")}
    processor = _first(report, "cpuinfo")
    if processor:
        yield "processor", dict(processor)


def _records(report: Report, resource: str) -> Sequence[Mapping[str, str]]:
    # A resource that printed nothing has one empty record.
    return [record for record in report.resources.get(_CERTIFICATION + resource, ()) if record]


def _first(report: Report, resource: str) -> Mapping[str, str]:
    return next(iter(_records(report, resource)), {})


def _whole_number(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _attachment(record: JobRecord | None, key: str, notes: list[str]) -> str | None:
    """Return the document that a well-known job printed, ``None`` when there is none to use."""
    if record is None or record.outcome != "pass":
        return None
    log = LogText(record.result, _MAX_DOCUMENT_BYTES, streams=("stdout",), verbatim=True)
    problem = document_problem(record.result)
    text = str(log) if problem is None else ""
    if log.truncated:
        problem = "the output is too large"
    if problem is not None:
        notes.append(f"{key}: left out, the job {record.id} gives none: {problem}")
        return None
    return text
