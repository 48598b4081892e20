# SPDX-License-Identifier: Apache-2.0
"""The change tracker: what a checkpoint holds, and that the folded journal is always the state."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from manager_rig import full, give, job, job_state, plan, records, reload, result, session, state_of, template

from plainbox.errors import SessionAuditError
from plainbox.session import SessionManager
from plainbox.session.audit import audit
from plainbox.session.changes import ChangeSet, ChangeTracker, represented
from plainbox.session.jobs import UndesiredJobReadinessInhibitor
from plainbox.session.metadata import RunningAttempt
from plainbox.session.state import SessionState


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SessionManager]:
    jobs = [job("a"), job("b"), job("c")]
    made = session(tmp_path, *jobs, run=jobs[:2])
    made.checkpoint()
    yield made
    made.close()


def last_change(manager: SessionManager) -> dict[str, object]:
    """What the last checkpoint has added to the journal."""
    record = manager.storage.records()[-1]
    return {key: value for key, value in record.items() if key not in ("t", "n", "w", "m")}


def pending(manager: SessionManager) -> ChangeSet:
    assert manager._tracker is not None
    return manager._tracker.pending()


# -- what a change holds


def test_nothing_has_changed(manager: SessionManager) -> None:
    """After a checkpoint nothing is pending, and asking again changes nothing."""
    assert not pending(manager)
    assert pending(manager) == ChangeSet() == pending(manager)


def test_result(manager: SessionManager) -> None:
    """A result is stored alone: neither the entry nor the definition of its job is written again."""
    give(manager, "a", result("fail", return_code=1))
    manager.checkpoint()
    assert last_change(manager) == {
        "res": [[full("a"), 1, {"attempt": 1, "outcome": "fail", "return_code": 1}]],
    }


def test_result_of_a_job_that_was_not_stored(manager: SessionManager) -> None:
    """A job outside of the run list is stored with its first result, its definition once."""
    give(manager, "c", result())
    manager.checkpoint()
    assert {"jobs", "units", "res"} == set(last_change(manager))
    give(manager, "c", result())
    manager.checkpoint()
    assert set(last_change(manager)) == {"res"}


def test_several_results_of_one_job(manager: SessionManager) -> None:
    """Equal results in a row are two attempts, and both are stored."""
    give(manager, "a", result("fail"))
    give(manager, "a", result("fail"))
    manager.checkpoint()
    stored = json.loads(manager.storage.load_checkpoint())["res"]
    assert [(item[0], item[1]) for item in stored] == [(full("a"), 1), (full("a"), 2)]


def test_replaced_result(manager: SessionManager) -> None:
    """A result that is seen otherwise takes the place of the stored one, in one record."""
    give(manager, "a", result("fail"))
    manager.checkpoint()
    give(manager, "a", result("pass", comments="on second thoughts"), replace=True)
    manager.checkpoint()
    assert [item[1:] for item in last_change(manager)["res"]] == [
        [1, {"attempt": 1, "comments": "on second thoughts", "outcome": "pass"}]
    ]
    assert len(json.loads(manager.storage.load_checkpoint())["res"]) == 1


def test_dropped_results(manager: SessionManager) -> None:
    """Results that are taken out of a history are taken out of the store."""
    for outcome in ("fail", "crash", "fail"):
        give(manager, "a", result(outcome))
    manager.checkpoint()
    state = job_state(manager, "a")
    state.result_history = state.result_history[:1]
    give(manager, "a", result("pass"))
    manager.checkpoint()
    assert last_change(manager)["drop"] == [[full("a"), 3]]
    stored = json.loads(manager.storage.load_checkpoint())["res"]
    assert [item[2]["outcome"] for item in stored] == ["fail", "pass"]


def test_job_that_starts(manager: SessionManager) -> None:
    """The start of a job stores what runs and how often the job may still be started, not its definition."""
    state = state_of(manager)
    state.metadata.running = {full("a"): RunningAttempt(1, 1.5, "boot", 7, 8, "io-logs/x")}
    job_state(manager, "a").attempts -= 1
    manager.checkpoint()
    change = last_change(manager)
    assert set(change) == {"jobs", "meta"}
    assert change["jobs"][full("a")]["attempts"] == 2
    assert set(change["meta"]) == {"running"}
    state.metadata.running = {}
    give(manager, "a", result())
    manager.checkpoint()
    assert set(last_change(manager)) == {"meta", "res"}


def test_metadata_in_place(manager: SessionManager) -> None:
    """Only the values that differ are stored, however they were changed."""
    metadata = state_of(manager).metadata
    metadata.flags.add("submitted")
    metadata.rejected_jobs.append("x")
    manager.checkpoint()
    assert last_change(manager) == {"meta": {"flags": ["submitted"], "rejected_jobs": ["x"]}}
    metadata.rejected_jobs.clear()
    manager.checkpoint()
    assert last_change(manager) == {"meta": {"rejected_jobs": []}}


def test_wish_list(manager: SessionManager) -> None:
    """A job that joins the run list is stored with the list; one that leaves it without a result is forgotten."""
    state = state_of(manager)
    jobs = {item.partial_id: item for item in state.job_list}
    give(manager, "a", result())
    state.update_desired_job_list([jobs["c"]])
    manager.checkpoint()
    change = last_change(manager)
    assert change["want"] == [full("c")]
    assert change["gone"] == [full("b")]
    assert list(change["jobs"]) == [full("c")]
    assert set(json.loads(manager.storage.load_checkpoint())["jobs"]) == {full("a"), full("c")}


def test_equal_lists_are_not_written_again(manager: SessionManager) -> None:
    """Setting the same wish list again is no change."""
    state = state_of(manager)
    state.update_mandatory_job_list([])
    state.update_desired_job_list(list(state.desired_job_list))
    assert not pending(manager)
    manager.checkpoint()
    assert pending(manager).lists.desired is state.desired_job_list


def test_mandatory_list(manager: SessionManager) -> None:
    """The mandatory list is stored when it changes, and comes back empty when it is emptied."""
    state = state_of(manager)
    state.update_mandatory_job_list([state.job_state_map[full("c")].job])
    manager.checkpoint()
    assert last_change(manager)["must"] == [full("c")]
    state.update_mandatory_job_list([])
    manager.checkpoint()
    assert "must" not in json.loads(manager.storage.load_checkpoint())


def test_mandatory_job_that_is_not_to_run(manager: SessionManager) -> None:
    """What is said about a mandatory job is stored with the list, and forgotten with it."""
    state = state_of(manager)
    mandatory = state.job_state_map[full("c")].job
    state.update_mandatory_job_list([mandatory])
    manager.checkpoint()
    stored = last_change(manager)
    assert [list(stored["jobs"]), list(stored["units"])] == [[mandatory.id], [mandatory.id]]
    state.update_mandatory_job_list([])
    manager.checkpoint()
    assert last_change(manager) == {"must": [], "gone": [mandatory.id]}


def test_generated_job(tmp_path: Path) -> None:
    """A job that a template makes is stored once it is to run, with the resource job that it comes from."""
    resource = job("res", plugin="resource")
    made = session(tmp_path, resource, template("made-{name}", "res"), run=[resource])
    made.checkpoint()
    give(made, "res", records("name: a"))
    made.checkpoint()
    assert set(last_change(made)) == {"res"}
    state = state_of(made)
    state.update_desired_job_list([resource, state.job_state_map[full("made-a")].job])
    made.checkpoint()
    assert last_change(made)["jobs"][full("made-a")]["via"] == full("res")
    made.close()


def test_removed_job(manager: SessionManager) -> None:
    """A job that is removed takes its results with it; one that was never stored is not spoken of."""
    state = state_of(manager)
    give(manager, "a", result())
    manager.checkpoint()
    never = job("never")
    state.add_unit(never)
    state.remove_unit(never)
    assert not pending(manager)
    state.update_desired_job_list([])
    removed = state.job_state_map[full("a")].job
    state.remove_unit(removed)
    manager.checkpoint()
    assert set(last_change(manager)["gone"]) == {full("a"), full("b")}
    assert "res" not in json.loads(manager.storage.load_checkpoint())


def test_job_that_leaves_and_comes_back(manager: SessionManager) -> None:
    """A job may be exchanged for another one of its id between two checkpoints."""
    state = state_of(manager)
    give(manager, "a", result("fail"))
    manager.checkpoint()
    state.update_desired_job_list([])
    state.remove_unit(state.job_state_map[full("a")].job)
    other = job("a", command="false")
    state.add_unit(other)
    state.update_desired_job_list([other])
    give(manager, "a", result("pass"))
    manager.checkpoint()
    stored = json.loads(manager.storage.load_checkpoint())
    assert stored["jobs"][full("a")]["sum"] == other.checksum[:32]
    assert [item[2]["outcome"] for item in stored["res"]] == ["pass"]


def test_system_information(manager: SessionManager) -> None:
    """What was found out about the machine is stored when it is there, and forgotten when it is taken back."""
    state = state_of(manager)
    state.system_information = {"machine": {"version": 1}}
    manager.checkpoint()
    assert last_change(manager) == {"sys": {"machine": {"version": 1}}}
    state.system_information = None
    manager.checkpoint()
    assert "sys" not in json.loads(manager.storage.load_checkpoint())


def test_hollow_result(manager: SessionManager) -> None:
    """A job that looks as if it had not run is nothing to store; its former results stay."""
    give(manager, "a", result("fail"))
    manager.checkpoint()
    for name in ("a", "c"):
        give(manager, name, type(result())({}))
    manager.checkpoint()
    assert set(json.loads(manager.storage.load_checkpoint())["jobs"]) == {full("a"), full("b")}


# -- the tracker itself


def test_what_changes_after_the_question_stays_pending() -> None:
    """A commit forgets what was in the change set and nothing that came afterwards."""
    jobs = [job("a"), job("b")]
    state = SessionState(list(jobs))
    state.update_desired_job_list(jobs)
    tracker = ChangeTracker(state)
    tracker.commit_full()
    state.update_job_result(jobs[0], result("fail"))
    asked = tracker.pending()
    state.update_job_result(jobs[0], result("pass"))
    state.update_job_result(jobs[1], result("pass"))
    state.metadata.title = "late"
    state.update_desired_job_list(jobs[:1])
    tracker.commit(asked)
    rest = tracker.pending()
    assert [(job_id, item.outcome) for job_id, item in rest.results] == [(full("a"), "pass"), (full("b"), "pass")]
    assert rest.meta == {"title": "late"}
    assert rest.want == (full("a"),)
    tracker.commit(rest)
    assert not tracker.pending()


def test_audit_of_the_readiness(manager: SessionManager) -> None:
    """A readiness that was not brought up to date is found at the next checkpoint."""
    state = state_of(manager)
    manager.audit = True
    manager.checkpoint()
    state.job_state_map[state.run_list[0].id].readiness_inhibitor_list = [UndesiredJobReadinessInhibitor]
    with pytest.raises(SessionAuditError, match=f"readiness is not up to date: {state.run_list[0].id}"):
        manager.checkpoint()


def test_detached_tracker() -> None:
    """A tracker that was detached hears nothing any more."""
    state = SessionState([one := job("a")])
    tracker = ChangeTracker(state)
    tracker.commit_full()
    tracker.detach()
    state.update_job_result(one, result())
    assert not tracker.pending()


def test_represented_jobs() -> None:
    """Stored are the jobs of the run list, in its order, and then those that have results."""
    jobs = [job("a"), job("b"), job("c"), job("d")]
    state = SessionState(list(jobs))
    state.update_desired_job_list([jobs[2], jobs[1]])
    state.update_job_result(jobs[0], result())
    assert list(represented(state)) == [full("c"), full("b"), full("a")]


# -- any sequence of changes


NAMES = [f"job-{number}" for number in range(6)]
UNITS = [job(name, depends="job-0") if name == "job-5" else job(name) for name in NAMES]
RESOURCES = [job(name, plugin="resource") for name in ("res-1", "res-2")]
#: Both resources make the same jobs, the second one resource jobs too, which a third template uses.
TEMPLATES = [
    template("made-{name}", "res-1", **{"template-id": "maker"}),
    template("made-{name}", "res-2", **{"template-id": "maker"}),
    template("res-of-{name}", "res-2", plugin="resource"),
    template("deep-{name}", "res-of-x"),
]
OUTCOMES = ["pass", "fail", "skip", "crash", "not-supported", "undecided"]
results = st.builds(
    lambda outcome, comments, seconds, code: result(
        outcome, comments=comments, execution_duration=seconds, return_code=code
    ),
    st.sampled_from(OUTCOMES),
    st.none() | st.text(max_size=20),
    st.none() | st.floats(0, 1e6),
    st.none() | st.integers(-64, 255),
)


class Sessions(RuleBasedStateMachine):
    """Whatever happens to a session: after each checkpoint the journal says what the state says, also for the next."""

    def units(self) -> list[object]:
        return [*UNITS, *RESOURCES, *TEMPLATES]

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.manager = session(Path(self.directory.name), *self.units())

    @property
    def state(self) -> SessionState:
        return state_of(self.manager)

    def pick(self, number: int):
        states = list(self.state.job_state_map.values())
        return states[number % len(states)] if states else None

    @rule(number=st.integers(0, 40), outcome=results)
    def take_result(self, number: int, outcome) -> None:
        chosen = self.pick(number)
        if chosen.job.plugin != "resource":
            self.state.update_job_result(chosen.job, outcome)

    @rule(which=st.integers(0, 40), names=st.lists(st.sampled_from(["x", "y", "z"]), max_size=3))
    def take_records(self, which: int, names: list[str]) -> None:
        resources = [item for item in self.state.job_state_map.values() if item.job.plugin == "resource"]
        if resources:
            chosen = resources[which % len(resources)]
            self.state.update_job_result(chosen.job, records(*(f"name: {name}" for name in names)))

    @rule(number=st.integers(0, 40), outcome=results)
    def replace_result(self, number: int, outcome) -> None:
        chosen = self.pick(number)
        if chosen.result_history and chosen.job.plugin != "resource":
            self.state.update_job_result(chosen.job, outcome, replace=True)

    @rule(number=st.integers(0, 40))
    def forget_that_it_ran(self, number: int) -> None:
        self.state.update_job_result(self.pick(number).job, type(result())({}))

    @rule(number=st.integers(0, 40), started=st.booleans())
    def start_or_end(self, number: int, started: bool) -> None:
        chosen = self.pick(number)
        running = dict(self.state.metadata.running)
        if started and chosen.attempts:
            running[chosen.job.id] = RunningAttempt(chosen.next_attempt, 1.0, "boot", 5, 6, "io-logs/x")
            self.state.metadata.running = running
            chosen.attempts -= 1
        elif running.pop(chosen.job.id, None) is not None:
            self.state.update_job_result(chosen.job, result("crash"))
            self.state.metadata.running = running

    @rule(numbers=st.lists(st.integers(0, 40), max_size=5))
    def wish(self, numbers: list[int]) -> None:
        self.state.update_desired_job_list([self.pick(number).job for number in numbers])

    @rule(numbers=st.lists(st.integers(0, 40), max_size=2))
    def insist(self, numbers: list[int]) -> None:
        self.state.update_mandatory_job_list([self.pick(number).job for number in numbers])

    @rule(include=st.sampled_from(["job-1", ".*", "made-.*", "res-.*"]))
    def take_plan(self, include: str) -> None:
        self.manager.test_plans = (plan("p", mandatory_include=include),)

    @rule(name=st.sampled_from(["new-1", "new-2"]), command=st.sampled_from(["true", "false"]))
    def add_unit(self, name: str, command: str) -> None:
        if full(name) not in self.state.job_state_map:
            self.state.add_unit(job(name, command=command))

    @rule(
        name=st.sampled_from(["new-1", "new-2"]), outcome=st.none() | results, command=st.sampled_from(["true", "no"])
    )
    def exchange_unit(self, name: str, outcome, command: str) -> None:
        chosen = self.state.job_state_map.get(full(name))
        listed = {item.id for item in (*self.state.run_list, *self.state.mandatory_job_list)}
        if chosen is not None and chosen.job.id not in listed and chosen.job.id not in self.state.metadata.running:
            self.state.remove_unit(chosen.job)
            if outcome is not None:
                self.state.add_unit(job(name, command=command))
                give(self.manager, name, outcome)

    @rule(flag=st.sampled_from(["incomplete", "submitted"]), present=st.booleans(), text=st.text(max_size=5))
    def change_metadata(self, flag: str, present: bool, text: str) -> None:
        metadata = self.state.metadata
        metadata.flags.symmetric_difference_update({flag})
        metadata.title = text if present else None
        metadata.rejected_jobs.append(text)
        metadata.app_blob = text.encode("utf-8", "surrogatepass")

    @rule(value=st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2))
    def find_out_about_the_machine(self, value) -> None:
        self.state.system_information = value

    @rule()
    def checkpoint(self) -> None:
        self.manager.checkpoint()
        assert not pending(self.manager)

    @rule()
    def reopen(self) -> None:
        self.manager.checkpoint()
        stored = self.manager.storage.load_checkpoint()
        units = [unit for unit in self.state.unit_list if unit.kind == "template" or unit.template_id is None]
        self.manager = reload(self.manager, *units)
        assert self.manager.storage.load_checkpoint() == stored
        assert not pending(self.manager)
        audit(state_of(self.manager), self.manager.storage)

    @invariant()
    def nothing_is_lost_by_asking(self) -> None:
        if hasattr(self, "manager") and self.manager._has_base:
            assert pending(self.manager) == pending(self.manager)

    def teardown(self) -> None:
        if hasattr(self, "manager"):
            self.manager.checkpoint()
            self.manager.close()
            self.directory.cleanup()


Sessions.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
