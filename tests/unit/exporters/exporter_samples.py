# SPDX-License-Identifier: Apache-2.0
"""The exporters, and sessions to export: one with everything that can happen, and large ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plainbox.exporters.exporter import Exporter
from plainbox.exporters.html import HtmlExporter
from plainbox.exporters.json import JsonExporter
from plainbox.exporters.junit import JUnitExporter
from plainbox.exporters.text import TextExporter
from plainbox.exporters.xlsx import XlsxExporter
from plainbox.session.files import FileOps
from plainbox.session.iolog import IOLogWriter
from plainbox.session.manager import SessionManager
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.result import DiskJobResult, MemoryJobResult
from plainbox.units import CategoryUnit, JobDefinition, Unit

EXPORTERS: dict[str, type[Exporter]] = {
    "html": HtmlExporter,
    "json": JsonExporter,
    "junit": JUnitExporter,
    "text": TextExporter,
    "xlsx": XlsxExporter,
}

START = 1_790_000_000.0
CATEGORIES = ("audio", "cpu", "disk", "graphics", "memory", "networking", "usb")

HOSTILE = (
    "<script>alert('x')</script>",
    "\"quotes' & <b>bold</b> ]]> {{ 7*7 }} {% if %}",
    "nul\x00 bell\x07 escape\x1b[31mred\x1b[0m vertical\x0b",
    "=cmd|'/c calc'!A1",
    "<r><t>rich</t></r>",
    "_x0041_ \ufffe \U0001f600 \u202egnp.exe",
    "lone \udcff surrogate",
    "W" * 5000,
    "line\nline\r\nline\rline",
    "https://example.invalid/\tlink",
    "</style></title></textarea>--><img src=x onerror=alert(1)>",
)

ANSI_LOG = [
    (0.0, "stdout", b"\x1b[32mok\x1b[0m 1 - memory at 0x1000\n"),
    (0.1, "stdout", "Größe: 12 µm, 温度 42 °C\n".encode()),
    (0.1, "stderr", b"\x1b[1;31mwarning:\x1b[0m the fan spins at 0 rpm\n"),
    (0.2, "stdout", b"progress 10%\rprogress 50%\rprogress 100%\r\n"),
    (0.1, "stdout", b"\xff\xfe broken bytes \x00\x07\n"),
    (0.1, "note", b"the job left 2 processes behind; they were ended"),
]


def job(partial_id: str, **fields: Any) -> JobDefinition:
    data = {"id": partial_id, "plugin": "shell", "command": "true", "_summary": partial_id.replace("/", " ")}
    data.update({key.replace("__", "-"): value for key, value in fields.items()})
    return JobDefinition(data)


def result(outcome: str | None, **data: Any) -> MemoryJobResult:
    return MemoryJobResult({"outcome": outcome, **data})


def manager_of(
    tmp_path: Path, results: Mapping[JobDefinition, list[MemoryJobResult]], extra: list[Unit] | None = None
) -> SessionManager:
    """Return a session that has run these jobs, in this order, with these results."""
    units: list[Unit] = [*(extra or ()), *results]
    manager = SessionManager.create_with_unit_list(units, SessionStorageRepository(tmp_path / "sessions"))
    state = manager.state
    assert state is not None
    state.update_desired_job_list(list(results))
    for item, attempts in results.items():
        for attempt in attempts:
            state.update_job_result(item, attempt)
    return manager


def full_session(tmp_path: Path) -> SessionManager:
    """Return a session of about 70 jobs with every outcome, unicode, hostile text, retries, resources, attachments."""
    categories: list[Unit] = [CategoryUnit({"id": name, "_name": f"{name.title()} tests"}) for name in CATEGORIES]
    found: dict[JobDefinition, list[MemoryJobResult]] = {}
    clock = START

    def add(item: JobDefinition, *attempts: MemoryJobResult) -> None:
        nonlocal clock
        timed = []
        for attempt in attempts:
            timed.append(MemoryJobResult({"start_time": clock, "origin": "run", **attempt.as_dict()}))
            clock += attempt.execution_duration or 0.1
        found[item] = timed

    def resource(partial_id: str, records: list[dict[str, str]], outcome: str = "pass") -> None:
        text = "\n".join("".join(f"{key}: {value}\n" for key, value in record.items()) for record in records)
        add(
            job(partial_id, plugin="resource", category_id="info"),
            result(outcome, execution_duration=0.02, return_code=0, io_log=[(0.0, "stdout", text.encode())]),
        )

    resource("lsb", [{"distributor_id": "Debian", "description": "Debian GNU/Linux 12 (bookworm)", "release": "12"}])
    resource("uname", [{"nodename": "bench-07", "release": "6.1.0-28-amd64", "machine": "x86_64"}])
    resource("cpuinfo", [{"count": "16", "model": "AMD Ryzen 7 PRO 7840U w/ Radeon 780M", "speed": "3300"}])
    resource("meminfo", [{"total": str(32 * 1024**3), "swap": "0"}])
    resource("dmi", [{"category": "SYSTEM", "vendor": "Example Systems", "product": "Workbook 14 G3"}])
    resource(
        "mount",
        [
            {"name": f"disk-{n}", "device": f"/dev/nvme0n1p{n}", "fstype": "ext4", "writable": "yes"}
            for n in range(1, 9)
        ],
    )
    for name in CATEGORIES:
        for number in range(1, 6):
            add(
                job(f"{name}/check-{number}", _summary=f"{name.title()} check number {number}", category_id=name),
                result("pass", execution_duration=0.3 * number, return_code=0, io_log=ANSI_LOG if number == 1 else []),
            )
    for text in HOSTILE:
        number = len(found)
        add(
            job(
                f"hostile-{number}",
                _summary=text,
                _description=f"Shows {text}\n\nand goes on.",
                category_id="usb",
            ),
            result(
                "pass", execution_duration=0.01, comments=text, io_log=[(0.0, "stdout", text.encode(errors="replace"))]
            ),
        )
    add(
        job(
            "memory/pattern",
            _summary="Write and verify a pattern over all free memory",
            _description="Fills the free memory with four patterns and reads them back.\nA wrong bit is a defect.",
            category_id="memory",
            certification__status="blocker",
        ),
        result(
            "fail", execution_duration=61.4, return_code=1, io_log=[(0.0, "stdout", b"pattern 0x55: 1 wrong bit\n")]
        ),
        result(
            "fail",
            execution_duration=62.8,
            return_code=1,
            comments="Still the same address after the second attempt.",
            io_log=[
                (0.0, "stdout", b"".join(b"pattern 0x%02x: verified %d MiB\n" % (n, n * 512) for n in range(40))),
                (0.1, "stderr", b"address 0x7f2a9c004000: wrote 0x55555555, read 0x55555557\n"),
            ],
        ),
    )
    add(
        job("graphics/vulkan", _summary="Draw a triangle with Vulkan", category_id="graphics"),
        result(
            "crash",
            execution_duration=2.1,
            return_code=-11,
            io_log=[(0.0, "stderr", b"vkcube: loader_scanned_icd_add: no driver\nSegmentation fault\n")],
        ),
    )
    add(
        job("usb/storage", _summary="Copy 1 GiB to a USB stick and back", category_id="usb", plugin="user-interact"),
        result("fail", execution_duration=190.0, comments="The stick was not recognised in the left port 🔌"),
        result("pass", execution_duration=203.7, comments="Right port works."),
    )
    add(
        job("audio/speakers", _summary="Listen to a tone from both speakers", category_id="audio", plugin="manual"),
        result("undecided", execution_duration=12.0, comments="Nobody was in the room."),
    )
    add(
        job("audio/microphone", _summary="Record and play a sentence", category_id="audio", plugin="manual"),
        result("skip", comments="No microphone here."),
    )
    add(
        job("memory/ecc", _summary="Inject and count a correctable error", category_id="memory"),
        result(
            "skipped-resource",
            comments="job cannot be started: resource expression \"edac.count != '0'\" evaluates to false",
            skip_reason={
                "related_dependencies": [],
                "related_resources": ["edac.count != '0'"],
                "related_manifests": [],
            },
        ),
    )
    add(
        job("memory/pattern-hot", _summary="Repeat the pattern test on a warm machine", category_id="memory"),
        result(
            "skipped-dependency",
            comments="job cannot be started: required dependency 'memory/pattern' has failed",
            skip_reason={
                "related_dependencies": ["memory/pattern"],
                "related_resources": [],
                "related_manifests": [],
            },
        ),
    )
    add(
        job("networking/wwan", _summary="Connect through the mobile network", category_id="networking"),
        result(
            "skipped-manifest",
            skip_reason={
                "related_dependencies": [],
                "related_resources": [],
                "related_manifests": ["com.canonical.plainbox::has_wwan"],
            },
        ),
    )
    add(job("disk/trim", _summary="Trim the file systems", category_id="disk"), result("not-supported"))
    add(job("disk/raid", _summary="Rebuild a RAID array", category_id="disk"), result("not-implemented"))
    add(job("networking/iperf", _summary="Measure the throughput to the lab", category_id="networking"))
    add(
        job("attachments/lspci", _summary="Attach the list of PCI devices", plugin="attachment", category_id="info"),
        result(
            "pass",
            execution_duration=0.05,
            io_log=[(0.0, "stdout", b"00:00.0 Host bridge\n00:02.0 VGA compatible controller\n")],
        ),
    )
    add(
        job("attachments/dmesg", _summary="Attach the end of the kernel log", plugin="attachment", category_id="info"),
        result("pass", execution_duration=0.05, io_log=[(0.0, "stdout", b"\xff\xfe not text")]),
    )
    rejected = job("disk/wipe", _summary="Erase the disk", category_id="disk")
    manager = manager_of(tmp_path, found, [*categories, rejected])
    state = manager.state
    assert state is not None
    state.metadata.title = "Laptop acceptance, full run"
    state.metadata.test_plan_ids = ["com.example.lab::laptop-full"]
    state.metadata.rejected_jobs = ["disk/wipe", "disk/gone"]
    state.metadata.custom_joblist = True
    state.metadata.app_blob = json.dumps(
        {"description": "Third unit of the batch.", "launcher": "[launcher]\nstock_reports = text\n"}
    ).encode()
    state.system_information = {
        "uname": {"tool_version": "1", "success": True, "outputs": {"payload": {"Release": "6.1.0"}, "stderr": ""}}
    }
    return manager


def large_session(tmp_path: Path, count: int, *, on_disk: bool = False) -> SessionManager:
    """Return a session of ``count`` jobs with ten lines of output each, in memory or in log files."""
    categories: list[Unit] = [CategoryUnit({"id": name, "_name": f"{name.title()} tests"}) for name in CATEGORIES]
    log = [(0.01, "stdout", b"line %d of the output of a job, as long as lines are\n" % n) for n in range(10)]
    jobs = [
        job(
            f"generated/job-{n}",
            _summary=f"Generated job number {n}",
            _description="One of many.\nSays nothing.",
            category_id=CATEGORIES[n % 7],
        )
        for n in range(count)
    ]
    manager = manager_of(tmp_path, {item: [] for item in jobs}, categories)
    state = manager.state
    assert state is not None
    for n, item in enumerate(jobs):
        data = {
            "outcome": "pass" if n % 50 else "fail",
            "execution_duration": n % 13 / 10,
            "return_code": 0 if n % 50 else 1,
            "start_time": START + n,
            "origin": "run",
        }
        if on_disk:
            data["log"] = write_log(manager, item.id, [(stream, text) for _, stream, text in log])
            state.update_job_result(item, DiskJobResult(data, manager.storage.location))
        else:
            state.update_job_result(item, MemoryJobResult({**data, "io_log": log}))
    return manager


def write_log(manager: SessionManager, job_id: str, output: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """Write the log of an attempt into the session and return the reference to it."""
    writer = IOLogWriter(manager.storage.location, job_id, 1, files=FileOps(durable=False), background=False)
    for stream, data in output:
        writer.write(stream, data)
    return dict(writer.close())
