# SPDX-License-Identifier: Apache-2.0
"""The units of existing providers read as Checkbox reads them.

What differs deliberately is written beside the comparison that leaves it out. Not compared at all: the virtual units of
kind ``file`` (Plainbox makes none) and the checks that need other units than the one checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from checkbox_record import Corpus

from plainbox.units import (
    CategoryUnit,
    ExporterUnit,
    JobDefinition,
    ManifestEntryUnit,
    PackagingMetaDataUnit,
    TemplateUnit,
    TestPlanUnit,
    Unit,
)

BUILT_IN = "com.canonical.plainbox"


def is_built_in(identifier: str) -> bool:
    return identifier.startswith(f"{BUILT_IN}::")


def place(unit: Unit) -> str:
    """Return where a unit is, relative to its provider."""
    assert unit.provider is not None
    return str(unit.origin).removeprefix(f"{unit.provider.base_dir}/")


def raw_digest(unit: Unit) -> str:
    return hashlib.sha256(json.dumps(dict(unit.raw), sort_keys=True).encode()).hexdigest()[:16]


def identity(unit: Unit) -> dict[str, object]:
    assert unit.provider is not None
    return {
        "checksum": unit.checksum,
        "raw": raw_digest(unit),
        "origin": place(unit),
        "provider": unit.provider.name,
    }


def expected_identity(facts: dict[str, Any]) -> dict[str, object]:
    return {key: facts[key] for key in ("checksum", "raw", "origin", "provider")}


def job_facts(job: JobDefinition) -> dict[str, object]:
    program = job.resource_program
    return {
        "plugin": job.plugin,
        "summary": job.summary,
        "user": job.user,
        "category_id": job.category_id,
        "certification_status": job.certification_status,
        "estimated_duration": job.estimated_duration,
        "environ": set(job.environ),
        "flags": job.flags,
        "depends": set(job.depends),
        "after": set(job.after),
        "before": set(job.before),
        "requires": [
            (expression.text, set(expression.resource_ids), expression.manifest_ids)
            for expression in (program.expressions if program is not None else ())
        ],
        "resources": set(program.resource_ids if program is not None else ()),
    }


def expected_job_facts(facts: dict[str, Any]) -> dict[str, object]:
    same = ("plugin", "summary", "user", "category_id", "certification_status", "estimated_duration")
    sets = ("environ", "depends", "after", "before", "resources")
    return {
        **{key: facts.get(key) for key in same},
        **{key: set(facts.get(key, ())) for key in sets},
        # Checkbox cuts the text also-after-suspend out of a sibling's flags: an empty word is left, or the end of
        # also-after-suspend-manual. Plainbox takes both flags away as words.
        "flags": frozenset(facts.get("flags", ())) - {"", "-manual"},
        "requires": [(text, set(resources), tuple(ids)) for text, resources, ids in facts.get("requires", ())],
    }


def differences(mine: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[object, object]]:
    """Return what differs: id -> (ours, Checkbox's)."""
    ids = dict.fromkeys((*expected, *mine))
    return {key: (mine.get(key), expected.get(key)) for key in ids if mine.get(key) != expected.get(key)}


def static(units: Iterable[Unit]) -> dict[str, Unit]:
    return {unit.id: unit for unit in units if not is_built_in(unit.id)}


# -- what is there


def test_everything_loads_without_a_problem(corpus: Corpus) -> None:
    """As in Checkbox, where no provider of the corpus has a load problem."""
    assert [str(problem) for problem in corpus.catalogue.problems] == []
    assert all(facts["load_problems"] == [] for facts in corpus.expected["providers"].values())


@pytest.mark.parametrize("kind", ["job", "template", "test plan", "category", "manifest entry"])
def test_the_same_units_are_there(corpus: Corpus, kind: str) -> None:
    """By kind and full id; those of the built-in providers of Checkbox are in ours."""
    assert set(corpus.units(kind)) == set(corpus.expected["units"][kind])


def test_each_provider_has_as_many_units(corpus: Corpus) -> None:
    """Name, namespace, version, gettext domain and the number of units of each kind are the same."""
    mine = {
        provider.name: {
            "namespace": provider.namespace,
            "version": provider.version,
            "gettext_domain": provider.gettext_domain,
            "unit_counts": Counter(unit.kind for unit in provider.unit_list),
        }
        for provider in corpus.catalogue.providers
    }
    for name, facts in corpus.expected["providers"].items():
        if name.startswith(f"{BUILT_IN}:"):
            # Checkbox has three built-in providers (categories, exporters, manifest), Plainbox has one for all.
            continue
        # Checkbox counts a virtual unit for each file of a provider.
        counts = {kind: number for kind, number in facts["unit_counts"].items() if kind != "file"}
        assert mine[name] == {
            **{key: facts[key] for key in ("namespace", "version", "gettext_domain")},
            "unit_counts": counts,
        }


def test_units_come_from_the_same_files(corpus: Corpus) -> None:
    """Every file that Checkbox takes for a source of units is one of ours."""
    for provider in corpus.catalogue.providers:
        if provider.name in corpus.expected["files"] and not provider.name.startswith(f"{BUILT_IN}:"):
            files = {path for role, path in corpus.expected["files"][provider.name] if role == "unit-source"}
            assert {place(unit).rpartition(":")[0] for unit in provider.unit_list} == files


# -- identity


@pytest.mark.parametrize(("section", "kind"), [("jobs", "job"), ("templates", "template"), ("plans", "test plan")])
def test_units_are_the_same_to_the_letter(corpus: Corpus, section: str, kind: str) -> None:
    """Checksum, raw text, file and lines agree."""
    # The built-in jobs (the manifest resource and its questions) are written anew: their text is our own.
    mine = {identifier: identity(unit) for identifier, unit in static(corpus.units(kind).values()).items()}
    expected = {
        identifier: expected_identity(facts)
        for identifier, facts in corpus.expected[section].items()
        if not is_built_in(identifier)
    }
    assert differences(mine, expected) == {}


# -- jobs


def test_the_facts_of_jobs(corpus: Corpus) -> None:
    """All fields that a session uses agree; what is a list there is compared as a set, since its order is random there."""
    jobs = {unit.id: unit for unit in static(corpus.units("job").values()).values() if isinstance(unit, JobDefinition)}
    expected = {
        identifier: expected_job_facts(facts)
        for identifier, facts in corpus.expected["jobs"].items()
        if not is_built_in(identifier)
    }
    assert differences({identifier: job_facts(job) for identifier, job in jobs.items()}, expected) == {}


def test_the_built_in_jobs(corpus: Corpus) -> None:
    """The manifest and its questions are there by id; the manifest is a resource in the same category."""
    jobs = {identifier: job for identifier, job in corpus.units("job").items() if is_built_in(identifier)}
    expected = {identifier: facts for identifier, facts in corpus.expected["jobs"].items() if is_built_in(identifier)}
    assert set(jobs) == set(expected)
    manifest = jobs[f"{BUILT_IN}::manifest"]
    assert isinstance(manifest, JobDefinition)
    # The questions are a job with a program in Checkbox, which never runs it; in Plainbox they are no program at all.
    assert (manifest.plugin, manifest.category_id) == tuple(
        expected[manifest.id][key] for key in ("plugin", "category_id")
    )


def test_the_siblings_of_jobs(corpus: Corpus) -> None:
    """The jobs that a session adds: ids and all facts but the flags' empty word."""
    siblings = {
        sibling.id: sibling
        for unit in corpus.units("job").values()
        if isinstance(unit, JobDefinition)
        for sibling in unit.siblings_units()
    }
    # Their checksums differ with the text of the flags.
    expected = {identifier: expected_job_facts(facts) for identifier, facts in corpus.expected["siblings"].items()}
    assert differences({identifier: job_facts(job) for identifier, job in siblings.items()}, expected) == {}
    assert {identifier: place(job) for identifier, job in siblings.items()} == {
        identifier: facts["origin"] for identifier, facts in corpus.expected["siblings"].items()
    }


def test_jobs_with_siblings_run_before_the_suspend(corpus: Corpus) -> None:
    """Those that Checkbox puts before the suspend job are those that have a sibling behind it."""
    mine: dict[str, set[str]] = {}
    for unit in corpus.units("job").values():
        if isinstance(unit, JobDefinition):
            for sibling in unit.siblings_units():
                mine.setdefault(unit.id, set()).update(set(sibling.depends) - {unit.id} - set(unit.depends))
    expected = {identifier: set(before) for identifier, before in corpus.expected["session_before"].items()}
    assert mine == expected


# -- templates


def test_the_facts_of_templates(corpus: Corpus) -> None:
    """The pattern of the ids, the resource, the filter, the engine, the parameters."""
    templates = {unit.id: unit for unit in corpus.units("template").values() if isinstance(unit, TemplateUnit)}
    mine = {
        identifier: {
            "id": unit.instance_id_pattern,
            "resource": unit.resource_id,
            "engine": unit.template_engine,
            # The three names that the engine itself provides are no parameters in the records of Checkbox either.
            "parameters": sorted(name for name in unit.instance_parameters if not name.startswith("__")),
            "unit": unit.template_unit,
            "filter": "\n".join(unit.template_filter) or None,
            "category_id": unit.data.get("category_id"),
            "flags": unit.data.get("flags"),
            "plugin": unit.data.get("plugin"),
            "summary": unit.data.get("_summary", unit.data.get("summary")),
        }
        for identifier, unit in templates.items()
    }
    expected = {
        identifier: {key: facts.get(key) for key in next(iter(mine.values()))}
        | {"parameters": sorted(name for name in facts["parameters"] if not name.startswith("__"))}
        for identifier, facts in corpus.expected["templates"].items()
    }
    assert differences(mine, expected) == {}


def test_instances_are_those_of_a_real_bootstrap(corpus: Corpus) -> None:
    """Ids and summaries of the instances that a bootstrap listed come out of their templates again.

    The records are not recorded; each instance's id is matched with the pattern to find the values, so only templates
    with plain patterns take part.
    """
    templates = {unit.id: unit for unit in corpus.units("template").values() if isinstance(unit, TemplateUnit)}
    checked = 0
    for facts in corpus.expected["bootstrapped"].values():
        for identifier, _, template_id, summary in facts["jobs"]:
            template = templates.get(template_id or "")
            if template is None or "::after-suspend-" in identifier:
                continue
            pattern = re.sub(
                r"\\\{(?:\\\{\\?\s?)?(\w+)(?:\\?\s?\\\})?\\\}", r"(?P<\1>.+)", re.escape(template.instance_id_pattern)
            )
            match = re.fullmatch(pattern, identifier)
            if match is None or set(match.groupdict()) != set(template.instance_parameters):
                continue
            unit = TemplateUnit(template.data | {"template-filter": ""}, provider=template.provider).instantiate(
                match.groupdict(), 1
            )
            assert isinstance(unit, JobDefinition)
            assert (unit.id, unit.template_id, unit.errors) == (identifier, template_id, ())
            assert unit.summary == summary
            checked += 1
    assert checked or not any(facts["jobs"] for facts in corpus.expected["bootstrapped"].values())


# -- plans


def test_the_facts_of_plans(corpus: Corpus) -> None:
    """Name, duration and the plans that are part of them; unknown parts are named all the same."""
    plans = {unit.id: unit for unit in corpus.units("test plan").values() if isinstance(unit, TestPlanUnit)}
    mine = {
        identifier: (plan.name, plan.estimated_duration, set(plan.nested_part)) for identifier, plan in plans.items()
    }
    expected = {
        identifier: (
            facts["name"],
            # Recorded as it is written.
            float(facts["estimated_duration"]) if "estimated_duration" in facts else None,
            {*facts.get("nested_part", ()), *facts.get("nested_missing", ())}
            if not nested(plans, identifier)
            else None,
        )
        for identifier, facts in corpus.expected["plans"].items()
    }
    for identifier, (name, duration, parts) in expected.items():
        assert mine[identifier][:2] == (name, duration), identifier
        if parts is not None:
            assert mine[identifier][2] == parts, identifier


def nested(plans: dict[str, TestPlanUnit], identifier: str) -> bool:
    """Tell whether the parts of a plan have parts of their own: missing ones are recorded for all levels together."""
    return any(part in plans and plans[part].nested_part for part in plans[identifier].nested_part)


def test_every_direct_part_is_known_or_recorded_as_missing(corpus: Corpus) -> None:
    """A part that is not there is not there in Checkbox either."""
    plans = {unit.id: unit for unit in corpus.units("test plan").values() if isinstance(unit, TestPlanUnit)}
    for identifier, plan in plans.items():
        unknown = {part for part in plan.nested_part if part not in plans}
        assert unknown <= set(corpus.expected["plans"][identifier].get("nested_missing", ()))


def test_the_bootstrap_of_plans_without_parts(corpus: Corpus) -> None:
    """The ids in their order; those that are not known are left out of Checkbox's record."""
    jobs = corpus.units("job")
    for unit in corpus.units("test plan").values():
        assert isinstance(unit, TestPlanUnit)
        if not unit.nested_part:
            known = [identifier for identifier in unit.bootstrap_include if identifier in jobs]
            recorded = [
                identifier for identifier in corpus.expected["plans"][unit.id]["bootstrap"] if identifier in jobs
            ]
            assert known == recorded


# -- the other kinds


def test_the_facts_of_categories(corpus: Corpus) -> None:
    """Id and name; those of the built-in provider are there under their ids, with names of our own."""
    mine = {unit.id: unit.name for unit in corpus.units("category").values() if isinstance(unit, CategoryUnit)}
    expected = {identifier: facts["name"] for identifier, facts in corpus.expected["categories"].items()}
    assert set(mine) == set(expected)
    assert {i: n for i, n in mine.items() if not is_built_in(i)} == {
        i: n for i, n in expected.items() if not is_built_in(i)
    }


def test_the_facts_of_manifest_entries(corpus: Corpus) -> None:
    """What is asked, of which type, under which key."""
    mine = {
        unit.id: {
            "hidden": unit.is_hidden,
            "name": unit.name,
            # Recorded as it is written; the default question is the same.
            "prompt": unit.prompt if "_prompt" in unit.data or "prompt" in unit.data else None,
            "provider": unit.provider.name if unit.provider is not None else None,
            "resource_key": unit.resource_key,
            "value_type": unit.value_type,
            "value_unit": unit.value_unit,
        }
        for unit in corpus.units("manifest entry").values()
        if isinstance(unit, ManifestEntryUnit)
    }
    assert differences(mine, corpus.expected["manifest_entries"]) == {}


def test_packaging(corpus: Corpus) -> None:
    """The relations, system by system, in their order."""
    mine = [
        {
            "os-id": unit.os_id,
            "os-version-id": unit.os_version_id,
            "Depends": ", ".join(unit.depends),
            "origin": place(unit),
            "provider": unit.provider.name if unit.provider is not None else None,
        }
        for unit in corpus.catalogue.units
        if isinstance(unit, PackagingMetaDataUnit)
    ]
    expected = [{"os-version-id": None} | facts for facts in corpus.expected["packaging"]]

    def order(facts: dict[str, Any]) -> tuple[str, str]:
        return str(facts["provider"]), str(facts["origin"])

    assert sorted(mine, key=order) == sorted(expected, key=order)


#: Exporter units of Checkbox that Plainbox does not have yet.
LATER = frozenset(f"{BUILT_IN}::{name}" for name in ("global", "html-multi-page", "tar", "tp-export"))


def test_the_exporters(corpus: Corpus) -> None:
    """Under their ids and with their file extensions; the entry points behind them are our own."""
    mine = {
        unit.id: unit.file_extension for unit in corpus.units("exporter").values() if isinstance(unit, ExporterUnit)
    }
    expected = {identifier: facts["file_extension"] for identifier, facts in corpus.expected["exporters"].items()}
    assert set(expected) - set(mine) <= LATER
    assert {identifier: mine[identifier] for identifier in expected if identifier in mine} == {
        identifier: extension for identifier, extension in expected.items() if identifier in mine
    }


# -- checks


def test_the_checks_of_single_units_agree(corpus: Corpus) -> None:
    """Kind of mistake, field and severity, counted for each provider."""
    words = {"PB101": "missing"}
    mine = {
        provider.name: Counter(
            f"{issue.severity}/{words.get(issue.code, issue.code)}/{issue.field}"
            for unit in provider.unit_list
            for issue in unit.issues
        )
        for provider in corpus.catalogue.providers
    }
    for name, facts in corpus.expected["validation"].items():
        # References to other units are not checked with the unit alone.
        alone = {kind: number for kind, number in facts["by_kind"].items() if "/bad_reference/" not in kind}
        assert mine[name] == alone, name


def test_the_corpus_is_the_one_that_was_recorded(corpus: Corpus) -> None:
    """Every provider of the record was loaded: an empty comparison proves nothing."""
    loaded = {provider.name for provider in corpus.catalogue.providers}
    recorded = {name for name in corpus.expected["providers"] if not name.startswith(f"{BUILT_IN}:")}
    assert recorded <= loaded
    assert len(corpus.expected["jobs"]) > 190
    assert Path(corpus.catalogue.providers[0].base_dir).is_dir()
