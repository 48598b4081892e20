# SPDX-License-Identifier: Apache-2.0
"""The units of the machine provider: sound, complete, and in agreement with its scripts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from machine_scripts import MACHINE, RunScript

from plainbox.errors import UnitError
from plainbox.providers.definition import from_file
from plainbox.providers.provider import Provider
from plainbox.units import JobDefinition, TemplateUnit, TestPlanUnit, Unit, pxu

NAMESPACE = "org.plainbox"
SCRIPTS = sorted((MACHINE / "bin").iterdir())


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    return Provider(from_file(MACHINE / "machine.provider")).unit_list


@pytest.fixture(scope="module")
def jobs(units: list[Unit]) -> dict[str, JobDefinition]:
    return {unit.id: unit for unit in units if isinstance(unit, JobDefinition)}


@pytest.fixture(scope="module")
def templates(units: list[Unit]) -> list[TemplateUnit]:
    return [unit for unit in units if isinstance(unit, TemplateUnit)]


def instance(template: TemplateUnit) -> JobDefinition:
    record = {"name": "a-name", "access": "yes", "kind": "physical", "mountpoint": "/a"}
    unit = template.instantiate(record, 1)
    assert isinstance(unit, JobDefinition)
    return unit


def test_definition() -> None:
    """The provider loads from its definition under the name and namespace that other text relies on."""
    definition = from_file(MACHINE / "machine.provider")
    assert (definition.name, definition.namespace) == (f"{NAMESPACE}:machine", NAMESPACE)
    assert definition.bin_dir == MACHINE / "bin"


def test_units_have_no_issues(units: list[Unit], templates: list[TemplateUnit]) -> None:
    """No unit and no instance of a template has an error, a warning or an advice."""
    assert [str(issue) for unit in units for issue in unit.issues] == []
    assert [str(issue) for template in templates for issue in instance(template).issues] == []


def test_ids_are_unique(units: list[Unit]) -> None:
    """No two units share an id."""
    ids = [unit.template_id if isinstance(unit, TemplateUnit) else unit.id for unit in units]
    assert len(ids) == len(set(ids))


def test_jobs_are_complete(jobs: dict[str, JobDefinition], templates: list[TemplateUnit]) -> None:
    """Every job has a short summary, a text that explains it, a duration, and a limit if it runs a command."""
    for job in [*jobs.values(), *map(instance, templates)]:
        assert job.summary != job.partial_id, job.id
        assert len(job.summary or "") <= 80, job.id
        assert job.description or job.purpose, job.id
        assert job.estimated_duration, job.id
        assert job.timeout or not job.command, job.id
        assert (job.category_id or "").startswith("com.canonical.plainbox::"), job.id


def test_commands_exist(run_script: RunScript, jobs: dict[str, JobDefinition], templates: list[TemplateUnit]) -> None:
    """Every script that a command names is there and accepts the arguments that are given to it."""
    seen = set()
    for job in [*jobs.values(), *map(instance, templates)]:
        for script, check in re.findall(r"\b(machine-[a-z]+) ([a-z_-]+)", job.command or ""):
            seen.add((script, check))
    assert {script for script, _ in seen} == {path.name for path in SCRIPTS}
    help_texts = {path.name: run_script(path.name, "--help").stdout for path in SCRIPTS}
    for script, check in seen:
        assert re.search(rf"[{{,]{check}[,}}]", help_texts[script]), (script, check)


def test_resources_exist(jobs: dict[str, JobDefinition], templates: list[TemplateUnit]) -> None:
    """Every resource that a requirement or a template names is a resource job of this provider."""
    wanted = {template.resource_id for template in templates}
    for job in [*jobs.values(), *map(instance, templates)]:
        wanted.update(job.resource_program.resource_ids if job.resource_program else ())
    assert {jobs[name].plugin for name in wanted} == {"resource"}


def test_plans(units: list[Unit], jobs: dict[str, JobDefinition], templates: list[TemplateUnit]) -> None:
    """The automated plan takes all automated jobs, bootstraps every resource, and is done in a minute."""
    plans = {unit.partial_id: unit for unit in units if isinstance(unit, TestPlanUnit)}
    assert set(plans) == {"machine-automated", "machine-quick", "machine-full"}
    text = str(plans["machine-automated"].value_of("include"))
    patterns = [f"{NAMESPACE}::{line}" for line in text.split()]
    checks = [job for job in jobs.values() if job.automated and job.plugin != "resource"]
    for name in [*(job.id for job in checks), *(template.template_id for template in templates)]:
        assert any(re.fullmatch(pattern, name) for pattern in patterns), name
    bootstrap = str(plans["machine-automated"].value_of("bootstrap_include")).split()
    assert sorted(bootstrap) == sorted(str(job.partial_id) for job in jobs.values() if job.plugin == "resource")
    assert sum(job.estimated_duration or 0 for job in checks) < 45


def test_quick_plan_is_supplied(units: list[Unit], jobs: dict[str, JobDefinition]) -> None:
    """The quick plan bootstraps all that its jobs and templates need."""
    (plan,) = [unit for unit in units if isinstance(unit, TestPlanUnit) and unit.partial_id == "machine-quick"]
    bootstrap = {f"{NAMESPACE}::{name}" for name in str(plan.value_of("bootstrap_include")).split()}
    for name in str(plan.value_of("include")).split():
        job = jobs.get(f"{NAMESPACE}::{name}")
        if job is not None:
            assert set(job.resource_program.resource_ids if job.resource_program else ()) <= bootstrap, name
        else:
            (template,) = [u for u in units if isinstance(u, TemplateUnit) and u.template_id.endswith(f"::{name}")]
            assert template.resource_id in bootstrap


def test_a_hostile_record_makes_a_harmless_job(templates: list[TemplateUnit]) -> None:
    """Text from the system is never part of a command, and does not become a field or a parameter of a unit."""
    record = {
        "name": "x",
        "access": "yes",
        "kind": "physical",
        "mountpoint": "/$(reboot){name}{{ name }}",
        "label": "`",
    }
    for template in templates:
        job = template.instantiate(record, 1)
        assert isinstance(job, JobDefinition)
        assert re.fullmatch(r"machine-[a-z]+ [a-z-]+ x", job.command or "")
        assert "{mountpoint}" not in str(job.description)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_programs(path: Path) -> None:
    """Every file in bin can be executed by everybody and says its licence."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["#!/usr/bin/env python3", "# SPDX-License-Identifier: Apache-2.0"]
    assert os.access(path, os.X_OK)
    assert path.stat().st_mode & 0o111 == 0o111


def test_resource_jobs_print_records(search_path: str, jobs: dict[str, JobDefinition]) -> None:
    """On this machine every resource job succeeds and prints records that the parser takes without a complaint."""
    environment = {"PATH": f"{MACHINE / 'bin'}:{search_path}"}
    for job in jobs.values():
        if job.plugin == "resource":
            run = subprocess.run(
                [job.shell, "-c", str(job.command)], env=environment, stdout=subprocess.PIPE, check=True
            )
            problems: list[UnitError] = []
            records = list(pxu.parse(run.stdout.decode().splitlines(True), job.id, on_error=problems.append))
            assert problems == []
            names = [record.data["name"] for record in records if "name" in record.data]
            assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*", str(name)) for name in names)
            assert len(names) == len(set(map(str, names)))
