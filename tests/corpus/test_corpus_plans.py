# SPDX-License-Identifier: Apache-2.0
"""The test plans of existing providers mean what they mean to Checkbox: expanded, planned, and bootstrapped for real."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from checkbox_record import OURS, Corpus

from plainbox.cli import main as cli
from plainbox.errors import NothingSelectedError
from plainbox.runner import Selection, SessionRun
from plainbox.session import SessionDeviceContext, SessionState, SessionStorageRepository
from plainbox.units import TestPlanUnit
from plainbox.units.selection import excluded_ids, flatten, matching, select

LETTERS = {"job": "j", "template": "t", "manifest entry": "m"}
WORDS = {
    "jobs": "job",
    "plans": "test plan",
    "templates": "template",
    "categories": "category",
    "exporters": "exporter",
    "manifest": "manifest entry",
}

#: Jobs whose work is done before a run, so that no run of Plainbox contains them: the questions of the manifest.
NEVER_RUN = "com.canonical.plainbox::collect-manifest"


@pytest.fixture
def run_json(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command line on the corpus in this process and returns the JSON that it prints."""

    def run(*words: str) -> dict[str, Any]:
        module = cli._module(words[0])
        monkeypatch.setattr(module, "load_catalogue", lambda named, **options: corpus.catalogue)
        assert cli.main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def plans_of(corpus: Corpus) -> dict[str, TestPlanUnit]:
    return corpus.catalogue.of_kind(TestPlanUnit)


def flat(corpus: Corpus, plan_id: str):
    return flatten([plans_of(corpus)[plan_id]], plans_of(corpus))


def expected(corpus: Corpus, key: str, default: object) -> dict[str, Any]:
    return {plan_id: facts.get(key, default) for plan_id, facts in corpus.expected["plans"].items()}


# -- listings


@pytest.mark.parametrize("word", sorted(WORDS))
def test_listing(corpus: Corpus, run_json, word: str) -> None:
    """A listing has all units of its kind, each once, under the ids that they have everywhere."""
    listed = run_json("list", word)
    assert listed["schema"] == "plainbox.list/1"
    kind = WORDS[word]
    assert {unit["kind"] for unit in listed["units"]} <= {kind}
    ours = Counter(unit["id"] for unit in listed["units"] if unit.get("provider") not in OURS)
    assert ours == Counter(corpus.units(kind).keys())
    wanted = set(corpus.expected["units"].get(kind, ()))
    missing = wanted - ours.keys()
    # Exporters and jobs of Checkbox itself that Plainbox does not bring along.
    assert all(identifier.startswith("com.canonical.plainbox::") for identifier in missing)
    assert {identifier for identifier in ours if not identifier.startswith("com.canonical.plainbox::")} == {
        identifier for identifier in wanted if not identifier.startswith("com.canonical.plainbox::")
    }


# -- what plans mean


def test_expand(corpus: Corpus, run_json) -> None:
    """Every plan expands to the jobs, templates and manifest entries that Checkbox names, with their status."""
    found = {}
    for plan_id in corpus.expected["plans"]:
        document = run_json("expand", plan_id)
        assert (document["schema"], document["plan"]) == ("plainbox.expand/1", plan_id)
        found[plan_id] = sorted(
            [LETTERS[unit["kind"]], unit["id"], unit["certification_status"]] for unit in document["units"]
        )
    wanted = {
        plan_id: sorted([*item, None][:3] for item in items)
        for plan_id, items in expected(corpus, "expand", []).items()
    }
    assert found == wanted


def test_nested_parts(corpus: Corpus) -> None:
    """Plans reach the parts that Checkbox reaches, and miss those that it misses."""
    for plan_id, facts in corpus.expected["plans"].items():
        reached = {plan.id for plan in flat(corpus, plan_id).plans}
        assert reached == {plan_id, *facts.get("nested_closure", ())}
        parts = plans_of(corpus)[plan_id].nested_part
        assert list(parts) == facts.get("nested_part", [])
        assert {part for part in parts if part not in plans_of(corpus)} == set(facts.get("nested_missing", ()))
        told = " ".join(map(str, flat(corpus, plan_id).problems))
        assert all(repr(part) in told for part in facts.get("nested_missing", ()))


def test_mandatory_and_bootstrap(corpus: Corpus) -> None:
    """Mandatory jobs and bootstrap jobs are the same, in the same order; Plainbox names each once."""
    jobs = _jobs(corpus)
    found = {plan_id: flat(corpus, plan_id) for plan_id in corpus.expected["plans"]}
    assert {key: matching(plan.mandatory, jobs) for key, plan in found.items()} == {
        key: list(dict.fromkeys(ids)) for key, ids in expected(corpus, "mandatory", []).items()
    }
    assert {key: list(plan.bootstrap) for key, plan in found.items()} == {
        key: list(dict.fromkeys(ids)) for key, ids in expected(corpus, "bootstrap", []).items()
    }


def test_selected_jobs(corpus: Corpus) -> None:
    """Without any instance every plan selects the jobs that it selects in Checkbox."""
    jobs = _jobs(corpus)
    for plan_id, wanted in expected(corpus, "desired", []).items():
        plan = flat(corpus, plan_id)
        assert sorted(select(plan, jobs)[1]) == sorted(wanted), plan_id


def test_run_lists(corpus: Corpus) -> None:
    """Every plan pulls in the jobs that it pulls in there, and leaves out those that cannot be put in order."""
    context = SessionDeviceContext(SessionState(list(corpus.catalogue.units)))
    state = context.state
    differing = {}
    for plan_id, facts in corpus.expected["plans"].items():
        context.set_test_plan_list([plans_of(corpus)[plan_id]])
        chosen = select(context.flat_plan(), state.job_list)[1]
        problems = state.update_desired_job_list([state.job_state_map[job_id].job for job_id in chosen])
        run_list = sorted(job.id for job in state.run_list)
        if run_list != facts["run_list"]:
            differing[plan_id] = sorted(set(run_list) ^ set(facts["run_list"]))
        told = {problem.affected_job_id for problem in problems}
        always = {item[1] for item in facts.get("problems", ()) if item[3]}
        # Checkbox stops at the first of several missing jobs; Plainbox tells them all.
        assert told >= always
    assert differing == {}


def test_effective_values(corpus: Corpus) -> None:
    """Overrides give jobs the values that they have in a session of Checkbox.

    Where several patterns mean one job Checkbox lets the last one of the alphabet win and Plainbox the last one of the
    file. No plan of the corpus depends on it. Jobs that a plan excludes are not in a session of Checkbox.
    """
    context = SessionDeviceContext(SessionState(list(corpus.catalogue.units)))
    for plan_id, facts in corpus.expected["plans"].items():
        context.set_test_plan_list([plans_of(corpus)[plan_id]])
        excluded = excluded_ids(context.flat_plan(), context.state.job_list)
        found = {
            job_id: [
                item.effective_category_id,
                item.effective_certification_status,
                item.effective_auto_retry,
            ]
            for job_id, item in context.state.job_state_map.items()
            if (item.effective_category_id, item.effective_certification_status, item.effective_auto_retry)
            != (item.job.category_id, item.job.certification_status, item.job.auto_retry)
            and job_id not in excluded
        }
        assert found == facts.get("effective", {}), plan_id


def test_exclusions_of_plans(corpus: Corpus) -> None:
    """No selected job is an excluded one."""
    jobs = _jobs(corpus)
    for plan_id in corpus.expected["plans"]:
        plan = flat(corpus, plan_id)
        assert not set(select(plan, jobs)[1]) & excluded_ids(plan, jobs)


def _jobs(corpus: Corpus):
    return SessionState(list(corpus.catalogue.units)).job_list


# -- bootstrapped for real


def test_bootstrapped_plans(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bootstrap jobs have really run, the same jobs are to run as in Checkbox, instances included.

    The summaries of jobs that are not from the corpus may differ.
    """
    for name in ("STATE", "DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr("plainbox.runner.executor.obstacle_to", lambda job, configuration: None)
    repository = SessionStorageRepository(tmp_path / "sessions")
    for plan_id, facts in corpus.expected["bootstrapped"].items():
        wanted = [item for item in facts["jobs"] if item[0] != NEVER_RUN]
        with SessionRun.start(corpus.catalogue, Selection(plan_id=plan_id), repository=repository) as run:
            try:
                assert run.prepare()
            except NothingSelectedError:
                assert not wanted, plan_id
                continue
            state = run.state
            states = [state.job_state_map[job.id] for job in state.run_list]
            found = [
                [item.job.id, item.effective_certification_status, item.job.template_id, item.job.summary]
                for item in states
            ]
            assert _without_own_summaries(found) == _without_own_summaries(wanted), plan_id


def _without_own_summaries(rows: list[list[Any]]) -> dict[str, list[Any]]:
    return {row[0]: row[1:3] if row[0].startswith("com.canonical.plainbox::") else row[1:] for row in rows}
