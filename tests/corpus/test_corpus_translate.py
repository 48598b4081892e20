# SPDX-License-Identifier: Apache-2.0
"""Every unit file of existing providers as YAML: the same units, the same instances, the same plans."""

from __future__ import annotations

import shutil

import pytest
from checkbox_record import FIVE, load

from plainbox.cli.main import main
from plainbox.providers import Catalogue
from plainbox.units import JobDefinition, TemplateUnit, TestPlanUnit
from plainbox.units.selection import OverrideRules, flatten, select_units
from plainbox.units.translation import difference


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, Catalogue]:
    """The providers as they are, and after all of their files were translated."""
    before = load("expected-with-stub.json", (*FIVE, "stub")).catalogue
    sources = [provider.base_dir for provider in before.providers if provider.base_dir.name in (*FIVE, "stub")]
    target = tmp_path_factory.mktemp("translated")
    for source in sources:
        shutil.copytree(source, target / source.name, copy_function=shutil.copyfile)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert main(["translate", "--remove", str(target)]) == 0
    assert not list(target.rglob("*.pxu"))
    return before, Catalogue.load([target / source.name for source in sources], installed=False)


def test_every_field_of_every_unit(pair: tuple[Catalogue, Catalogue]) -> None:
    """Units in their order, the values of their fields, siblings, instances."""
    before, after = pair
    assert [str(problem) for problem in after.problems] == []
    assert [unit.id for unit in before.units] == [unit.id for unit in after.units]
    found = {one.id: difference(one, other) for one, other in zip(before.units, after.units, strict=True)}
    assert {identifier: what for identifier, what in found.items() if what is not None} == {}


def test_every_unit_has_the_same_issues(pair: tuple[Catalogue, Catalogue]) -> None:
    """What is good stays good, what is wrong stays wrong."""
    before, after = pair
    for one, other in zip(before.units, after.units, strict=True):
        assert [(issue.code, issue.field) for issue in one.errors] == [
            (issue.code, issue.field) for issue in other.errors
        ]


def test_every_instance_of_a_bootstrap(pair: tuple[Catalogue, Catalogue]) -> None:
    """A template makes the same instances of any record: here all of its parameters have two values."""
    for one, other in zip(*(catalogue.of_kind(TemplateUnit).values() for catalogue in pair), strict=True):
        for number in ("1", "22"):
            record = {name: f"{name}{number}" for name in one.instance_parameters}
            first, second = one.instantiate(record, 1), other.instantiate(record, 1)
            assert (first is None) == (second is None)
            if first is not None and second is not None:
                assert difference(first, second) is None


def test_every_plan_expands_to_the_same(pair: tuple[Catalogue, Catalogue]) -> None:
    """Jobs and templates in their order, with their overrides."""

    def expanded(catalogue: Catalogue) -> dict[str, object]:
        plans = catalogue.of_kind(TestPlanUnit)
        result: dict[str, object] = {}
        for plan in plans.values():
            flat = flatten([plan], plans)
            rules = OverrideRules(flat.overrides)
            jobs, templates = catalogue.of_kind(JobDefinition).values(), catalogue.of_kind(TemplateUnit).values()
            units = select_units(flat, jobs, templates)
            result[plan.id] = [(unit.id, rules.of(unit.id, None)) for unit in units], flat.bootstrap
        return result

    assert expanded(pair[0]) == expanded(pair[1])
