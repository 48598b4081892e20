# SPDX-License-Identifier: Apache-2.0
"""What the corpus lacks - YAML units, ``after``, ``before``, ``group``, siblings - on providers made up by the machine.

Each provider is written twice, in PXU and in YAML. Both must say the same, and a plan must mean what a model of a few lines
says that it means: the rules of Checkbox, without their accidents.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plainbox.providers import Catalogue
from plainbox.providers.definition import from_file
from plainbox.providers.provider import Provider
from plainbox.session import SessionState
from plainbox.units import JobDefinition, TestPlanUnit, Unit
from plainbox.units.selection import OverrideRules, flatten, select
from plainbox.units.writer import to_yaml

NAMESPACE = "org.example"
NAMES = [f"{area}/{number}" for area in ("disk", "usb") for number in range(4)]

Fields = Mapping[str, str]


# -- providers


@st.composite
def jobs(draw: st.DrawFn, name: str) -> Fields:
    """A job whose edges lead to jobs of the same provider."""
    some = st.lists(st.sampled_from(NAMES).filter(lambda other: other != name), max_size=2, unique=True)
    fields = {"id": name, "plugin": "shell", "command": "true", "summary": f"The job {name}"}
    for key in ("depends", "after", "before"):
        if targets := draw(st.just([]) | some):
            fields[key] = draw(st.sampled_from([" ", ", ", "\n"])).join(targets)
    if draw(st.booleans()):
        fields["group"] = draw(st.sampled_from(["one", "two"]))
    relatives = draw(st.integers(0, 5))
    if relatives == 0:
        fields["siblings"] = json.dumps([{"id": f"{name}-again", "_summary": "Once more", "depends": name}])
    elif relatives == 1:
        fields["flags"] = "also-after-suspend preserve-locale"
    return fields


@st.composite
def plans(draw: st.DrawFn, name: str, others: list[str]) -> Fields:
    """A test plan of patterns, fixed or not, with overrides."""
    pattern = st.sampled_from([*NAMES, "disk/.*", "usb/[0-2]", ".*-again", "after-suspend-.*", "nothing/.*"])
    suffix = st.sampled_from(
        ["", "", " certification-status=blocker", " category-id=usb, certification-status=blocker"]
    )
    entries = st.lists(st.tuples(pattern, suffix).map("".join), max_size=4)
    fields = {"unit": "test plan", "id": name, "_name": f"The plan {name}", "include": "\n".join(draw(entries))}
    fields["mandatory_include"] = "\n".join(draw(st.lists(pattern, max_size=1)))
    fields["exclude"] = "\n".join(draw(st.lists(pattern, max_size=1)))
    fields["category_overrides"] = "\n".join(
        f"apply {category} to {target}"
        for category, target in draw(st.lists(st.tuples(st.sampled_from(["disk", "usb"]), pattern), max_size=2))
    )
    fields["nested_part"] = " ".join(draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if others else ())
    return {key: value for key, value in fields.items() if value or key == "include"}


@st.composite
def providers(draw: st.DrawFn) -> list[Fields]:
    records: list[Fields] = [{"unit": "category", "id": name, "_name": f"All {name}"} for name in ("disk", "usb")]
    records += [
        {"id": "suspend/suspend_advanced_auto", "plugin": "shell", "command": "true", "summary": "Suspend"},
        *(draw(jobs(name)) for name in NAMES),
    ]
    # A part may name a later one, and so one that leads back.
    return [*records, *(draw(plans(name, ["a", "b", "c"])) for name in ("a", "b", "c"))]


def pxu_text(records: Iterable[Fields]) -> str:
    def field(key: str, value: str) -> str:
        lines = value.split("\n")
        return f"{key}: {value}" if len(lines) == 1 else "\n".join([f"{key}:", *(f" {line}" for line in lines)])

    return "\n\n".join("\n".join(field(key, value) for key, value in record.items()) for record in records) + "\n"


def loaded(directory: Path, name: str, text: str) -> Catalogue:
    """Return the catalogue of one provider with one unit file."""
    (directory / name / "units").mkdir(parents=True)
    (directory / name / "units" / name).write_text(text)
    definition = directory / name / "made.provider"
    # The certification namespace is where the job is that suspends a machine.
    definition.write_text(
        "[PlainBox Provider]\nname = com.canonical.certification:made\nversion = 1\nrelocatable = yes\n"
    )
    catalogue = Catalogue([Provider(from_file(definition))])
    assert not catalogue.problems, [str(problem) for problem in catalogue.problems]
    return catalogue


# -- the model


def partial(identifier: str) -> str:
    return identifier.partition("::")[2]


def family(records: Iterable[Fields]) -> Iterator[Fields]:
    """Yield the jobs, each followed by the sibling that it brings along."""
    for record in records:
        if "unit" in record:
            continue
        base = dict(record)
        if "flags" in record:
            # The elder runs before the machine is suspended.
            base["before"] = f"{record.get('before', '')} {SUSPEND}"
        yield base
        if "siblings" in record:
            [overrides] = json.loads(record["siblings"])
            yield {**record, **overrides}
        if "flags" in record:
            yield {
                **record,
                "id": f"after-suspend-{record['id']}",
                "depends": f"{record.get('depends', '')} {record['id']} {SUSPEND}",
                "group": f"after-suspend-{record['group']}" if "group" in record else "",
            }


def words(record: Fields, key: str) -> list[str]:
    return re.split(r"[\s,]+", record.get(key, "").strip(", \n")) if record.get(key, "").strip() else []


def lines(record: Fields, key: str) -> list[str]:
    return [line.split()[0] for line in record.get(key, "").split("\n") if line]


def parts(records: Mapping[str, Fields], name: str, seen: list[str]) -> list[str]:
    """Return a plan and all that it is made of, itself first."""
    if name not in seen:
        seen.append(name)
        for part in words(records[name], "nested_part"):
            parts(records, part, seen)
    return seen


def meant(patterns: Iterable[str], ids: Iterable[str]) -> list[str]:
    found = [identifier for pattern in patterns for identifier in ids if re.fullmatch(pattern, identifier)]
    return list(dict.fromkeys(found))


class Model:
    """What a plan means, by the rules as they are written."""

    def __init__(self, records: list[Fields], plan: str) -> None:
        self.jobs = {record["id"]: record for record in family(records)}
        known = {record["id"]: record for record in records if record.get("unit") == "test plan"}
        self.parts = [known[name] for name in parts(known, plan, [])]
        everything = {key: [item for part in self.parts for item in lines(part, key)] for key in LISTS}
        self.mandatory = meant(everything["mandatory_include"], self.jobs)
        out = set(meant(everything["exclude"], self.jobs))
        self.included = [name for name in meant(everything["include"], self.jobs) if name not in out]

    def needed(self) -> set[str]:
        """Return what must run, when nothing stands in the way."""
        found: set[str] = set()
        pending = [*self.mandatory, *self.included]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.earlier(name)
        return found

    def earlier(self, name: str) -> list[str]:
        return [*words(self.jobs[name], "depends"), *words(self.jobs[name], "after")]

    def effective(self, name: str) -> tuple[str, str]:
        """Return category and certification status: what is said last counts."""
        category, status = "uncategorised", "non-blocker"
        for part in self.parts:
            for line in [*part.get("mandatory_include", "").split("\n"), *part["include"].split("\n")]:
                pattern, _, rest = line.partition(" ")
                if pattern and re.fullmatch(pattern, name):
                    status = "blocker" if "blocker" in rest else status
                    category = "usb" if "category-id" in rest else category
            for line in filter(None, part.get("category_overrides", "").split("\n")):
                _, value, _, pattern = line.split()
                category = value if re.fullmatch(pattern, name) else category
        return category, status


SUSPEND = "suspend/suspend_advanced_auto"
LISTS = ("mandatory_include", "include", "exclude")

generated = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def facts(unit: Unit) -> dict[str, object]:
    return {key: getattr(unit, name) for name, field in attributes(type(unit)) for key in [field.key]}


def attributes(cls: type[Unit]) -> list[tuple[str, object]]:
    names = {name for parent in cls.__mro__ for name in vars(parent)}
    return [(name, field) for name in sorted(names) if (field := getattr(cls, name)) in cls.fields.values()]


@generated
@given(providers())
def test_a_provider_in_both_syntaxes(records: list[Fields]) -> None:
    """PXU and YAML say the same of every unit: its id, its fields, its siblings."""
    with tempfile.TemporaryDirectory() as directory:
        pxu, yaml = both(Path(directory), records)
        assert [unit.id for unit in pxu.units] == [unit.id for unit in yaml.units]
        for one, other in zip(pxu.units, yaml.units, strict=True):
            assert facts(one) == facts(other), one.id
            if isinstance(one, JobDefinition) and isinstance(other, JobDefinition):
                assert [facts(item) for item in one.siblings_units()] == [
                    facts(item) for item in other.siblings_units()
                ]


def both(directory: Path, records: list[Fields]) -> tuple[Catalogue, Catalogue]:
    text = pxu_text(records)
    yaml = to_yaml(text.splitlines(keepends=True), "made.pxu")
    return loaded(directory, "made.pxu", text), loaded(directory, "made.yaml", yaml)


@generated
@given(providers(), st.sampled_from(["a", "b", "c"]))
def test_a_plan_means_what_the_model_says(records: list[Fields], name: str) -> None:
    """Selection, order, groups and overrides of a plan are those of the model, from YAML as from PXU."""
    model = Model(records, name)
    with tempfile.TemporaryDirectory() as directory:
        for catalogue in both(Path(directory), records):
            plan = catalogue.find(TestPlanUnit, name)
            flat = flatten([plan], catalogue.of_kind(TestPlanUnit))
            state = SessionState(list(catalogue.units))
            mandatory, included = select(flat, state.job_list)
            assert list(map(partial, mandatory)) == model.mandatory
            assert sorted(map(partial, included)) == sorted(model.included)
            rules = OverrideRules(flat.overrides)
            for job in state.job_list:
                said = {"category_id": "x::uncategorised", "certification_status": "non-blocker"}
                said |= dict(rules.of(job.id, None))
                found = (partial(said["category_id"]), said["certification_status"])
                assert found == model.effective(partial(job.id)), job.id
            run(state, mandatory, included)
            check_run_list(state, model)


def run(state: SessionState, mandatory: list[str], included: list[str]) -> None:
    state.update_mandatory_job_list([state.job_state_map[job_id].job for job_id in mandatory])
    state.update_desired_job_list([state.job_state_map[job_id].job for job_id in included])


def check_run_list(state: SessionState, model: Model) -> None:
    """Everything that is needed runs, or is said not to; what comes first comes first; a group is in one piece."""
    order = [partial(job.id) for job in state.run_list]
    dropped = {partial(job_id) for job_id in state.dropped}
    assert set(order).isdisjoint(dropped)
    assert set(order) | dropped <= model.needed()
    if not dropped:
        assert set(order) == model.needed()
    places = {name: place for place, name in enumerate(order)}
    for name, place in places.items():
        record = model.jobs[name]
        assert all(places[other] < place for other in model.earlier(name)), (name, order)
        assert all(places[other] > place for other in words(record, "before") if other in places), (name, order)
    for group in {record.get("group") for record in model.jobs.values()} - {None, ""}:
        members = sorted(place for name, place in places.items() if model.jobs[name].get("group") == group)
        assert not members or members == list(range(members[0], members[-1] + 1)), (group, order)
