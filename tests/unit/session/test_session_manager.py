# SPDX-License-Identifier: Apache-2.0
"""The manager: its fields, its constructors and the order of their effects, its signals, loading, checkpoints."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from manager_rig import Provider, full, give, job, job_state, plan, reload, result, session, state_of

from plainbox.errors import (
    DependencyDuplicateError,
    LockedStorageError,
    StorageClosedError,
    StorageError,
    StorageFullError,
    StorageGoneError,
)
from plainbox.session import (
    SessionDeviceContext,
    SessionManager,
    SessionState,
    SessionStorage,
    SessionStorageRepository,
)
from plainbox.session.files import FileOps
from plainbox.session.manager import at_most_one_context_filter
from plainbox.session.tree import Tree
from plainbox.testing import FaultyFiles, MemoryStorage
from plainbox.units import ExporterUnit


@pytest.fixture
def repo(tmp_path: Path) -> SessionStorageRepository:
    return SessionStorageRepository(tmp_path / "repository")


@pytest.fixture
def storage(repo: SessionStorageRepository) -> SessionStorage:
    return SessionStorage.create(repo.location, durable=False)


class Heard:
    """Remembers what signals said."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def __call__(self, *args: object) -> None:
        self.calls.append(args)


class RecordingContext(SessionDeviceContext):
    """A context that remembers the test plans it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def set_test_plan_list(self, test_plan_list) -> None:
        self.told.append(tuple(test_plan_list))
        super().set_test_plan_list(test_plan_list)


# -- fields


def test_bare_manager(storage: SessionStorage) -> None:
    """A manager without a device has no state and no test plans."""
    manager = SessionManager([], storage)
    assert manager.device_context_list == []
    assert manager.default_device_context is None
    assert manager.state is None
    assert manager.test_plans == ()
    assert manager.storage is storage


@pytest.mark.parametrize(
    ("positional", "named"),
    [
        (0, {}),
        (1, {}),
        (2, {"unknown": 1}),
        (2, {"storage": None}),
        (4, {}),
    ],
)
def test_wrong_arguments(storage: SessionStorage, positional: int, named: dict[str, object]) -> None:
    """Missing, unknown, doubled and superfluous arguments are type errors."""
    values: list[object] = [[], storage, (), 1]
    with pytest.raises(TypeError):
        SessionManager(*values[:positional], **named)


@pytest.mark.parametrize("contexts", [(), ["text"], [SessionDeviceContext(), None], None])
def test_context_list_of_a_wrong_type(storage: SessionStorage, contexts: object) -> None:
    """The contexts are a list of contexts and nothing else."""
    with pytest.raises(TypeError):
        SessionManager(contexts, storage)


def test_storage_of_a_wrong_type(tmp_path: Path) -> None:
    """A path is no storage."""
    with pytest.raises(TypeError):
        SessionManager([], tmp_path)


def test_two_contexts(storage: SessionStorage) -> None:
    """A session has one device at most."""
    with pytest.raises(ValueError, match="several devices"):
        SessionManager([SessionDeviceContext(), SessionDeviceContext()], storage)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [("device_context_list", [], ()), ("storage", "storage", "text")],
)
def test_constants(storage: SessionStorage, field: str, good: object, bad: object) -> None:
    """A second assignment is refused: for its type when that is wrong, else because it is a second one."""
    manager = SessionManager([], storage)
    before = getattr(manager, field)
    with pytest.raises(TypeError):
        setattr(manager, field, bad)
    with pytest.raises(AttributeError):
        setattr(manager, field, storage if good == "storage" else good)
    assert getattr(manager, field) is before


def test_bad_test_plans(storage: SessionStorage) -> None:
    """Whatever is no tuple of different plans is refused, changes nothing and tells nobody."""
    one = plan("one")
    context = RecordingContext()
    manager = SessionManager([context], storage, (one,))
    heard = Heard()
    manager.on_test_plans_changed.connect(heard)
    told = list(context.told)
    for bad, error in (([one], TypeError), ((one, "two"), TypeError), ((one, one), ValueError), (None, TypeError)):
        with pytest.raises(error):
            manager.test_plans = bad
        assert manager.test_plans == (one,)
    assert heard.calls == []
    assert context.told == told


def test_new_test_plans(storage: SessionStorage) -> None:
    """New plans are announced once, with the old and the new ones, and reach the contexts; equal ones are no news."""
    one = plan("one")
    context = RecordingContext()
    manager = SessionManager([context], storage)
    heard = Heard()
    manager.on_test_plans_changed.connect(heard)
    manager.test_plans = (one,)
    manager.test_plans = (plan("one"),)
    assert heard.calls == [((), (one,))]
    assert context.told == [(), (one,)]


def test_a_listener_may_choose_other_test_plans(storage: SessionStorage) -> None:
    """Plans that a listener assigns are not overwritten by the assignment that it hears of."""
    one, two = plan("one"), plan("two")
    context = RecordingContext()
    manager = SessionManager([context], storage)

    def prefer_two(old: object, new: object) -> None:
        if new == (one,):
            manager.test_plans = (two,)

    manager.on_test_plans_changed.connect(prefer_two)
    manager.test_plans = (one,)
    assert manager.test_plans == (two,)
    assert context.told == [(), (one,), (two,)]


def test_context_of_the_constructor_hears_of_the_plans(storage: SessionStorage) -> None:
    """A context that is given to the constructor is told of the plans once, in whatever order arguments come."""
    for named in ("device_context_list", "storage"):
        context = RecordingContext()
        arguments = {"device_context_list": [context], "storage": storage}
        SessionManager(**{named: arguments.pop(named)}, **arguments)
        assert context.told == [()]


def test_plans_given_to_the_constructor(storage: SessionStorage) -> None:
    """Plans that are given to the constructor are in effect when it returns."""
    one = plan("one")
    context = RecordingContext()
    assert SessionManager([context], storage, (one,)).test_plans == (one,)
    assert context.told[-1] == (one,)


def test_error_of_a_context_keeps_the_new_plans(storage: SessionStorage) -> None:
    """When a context refuses the plans they are assigned all the same, and the error reaches who assigned."""

    class Refusing(SessionDeviceContext):
        def set_test_plan_list(self, test_plan_list) -> None:
            if test_plan_list:
                raise RuntimeError("not these")

    manager = SessionManager([Refusing()], storage)
    heard = Heard()
    manager.on_test_plans_changed.connect(heard)
    with pytest.raises(RuntimeError, match="not these"):
        manager.test_plans = (plan("one"),)
    assert [item.partial_id for item in manager.test_plans] == ["one"]
    assert len(heard.calls) == 1


def test_filter_of_contexts() -> None:
    """The filter lets a list of one or none through, itself and not a copy."""
    for accepted in ([], [SessionDeviceContext()]):
        assert at_most_one_context_filter(None, None, None, accepted) is accepted
    with pytest.raises(ValueError):
        at_most_one_context_filter(None, None, None, [SessionDeviceContext(), SessionDeviceContext()])


def test_identity(storage: SessionStorage) -> None:
    """Managers are equal to themselves only and can be keys."""
    one, two = SessionManager([], storage), SessionManager([], storage)
    assert one != two
    assert {one: 1, two: 2}[one] == 1


# -- devices


def test_the_list_is_the_callers(storage: SessionStorage) -> None:
    """The list that was given is the live one."""
    contexts: list[SessionDeviceContext] = []
    manager = SessionManager(contexts, storage)
    context = manager.add_local_device_context()
    assert manager.device_context_list is contexts
    assert contexts == [context]
    assert context.device is None
    assert state_of(manager).job_list == []
    assert manager.state is context.state


def test_added_context_is_announced(storage: SessionStorage) -> None:
    """A context is announced once, when it is in the list and has heard of the plans."""
    one = plan("one")
    manager = SessionManager([], storage, (one,))
    context = RecordingContext()
    seen: list[object] = []
    manager.on_device_context_added.connect(lambda added: seen.append((added, list(manager.device_context_list))))
    assert manager.add_device_context(context) is context
    assert seen == [(context, [context])]
    assert context.told == [(one,)]


def test_second_context_is_refused(storage: SessionStorage) -> None:
    """A second context, the same one too, is refused without a word to anybody."""
    manager = SessionManager([], storage)
    context = manager.add_local_device_context()
    heard = Heard()
    manager.on_device_context_added.connect(heard)
    for other in (context, SessionDeviceContext()):
        with pytest.raises(ValueError):
            manager.add_device_context(other)
    assert manager.device_context_list == [context]
    assert heard.calls == []


def test_removed_context(storage: SessionStorage) -> None:
    """Removing is announced once, needs a context that is there, and makes room for another one."""
    manager = SessionManager([], storage)
    context = manager.add_local_device_context()
    heard = Heard()
    manager.on_device_context_removed.connect(heard)
    with pytest.raises(ValueError):
        manager.remove_device_context(SessionDeviceContext())
    manager.remove_device_context(context)
    assert heard.calls == [(context,)]
    assert manager.state is None
    with pytest.raises(ValueError):
        manager.remove_device_context(context)
    assert manager.add_local_device_context() is manager.default_device_context


def test_plans_reach_a_later_context(storage: SessionStorage) -> None:
    """Overrides of plans that were set before the context came are in effect in it."""
    target = job("one")
    manager = SessionManager([], storage, (plan("p", include="one certification-status=blocker"),))
    context = manager.add_device_context(SessionDeviceContext(SessionState([target])))
    assert context.state.job_state_map[target.id].effective_certification_status == "blocker"


def test_another_device_starts_over_on_disk(tmp_path: Path) -> None:
    """After an exchange of the device the next checkpoint is about the new one alone."""
    manager = session(tmp_path, one := job("one"), run=[one])
    give(manager, "one", result())
    manager.checkpoint()
    context = manager.default_device_context
    assert context is not None
    manager.remove_device_context(context)
    two = job("two")
    other = manager.add_device_context(SessionDeviceContext(SessionState([two])))
    other.state.update_desired_job_list([two])
    manager.checkpoint()
    # What happens to the former device does not concern this session any more.
    context.state.update_job_result(one, result("fail"))
    manager.checkpoint()
    assert b"one" not in manager.storage.load_checkpoint()


# -- constructors


def test_create(repo: SessionStorageRepository) -> None:
    """A new session is one directory in the repository, with room for logs and nothing checkpointed."""
    manager = SessionManager.create(repo)
    [directory] = os.listdir(repo.location)
    assert directory.startswith("pbox-")
    assert directory.endswith(".session")
    assert os.path.isdir(os.path.join(repo.location, directory, "io-logs"))
    assert manager.device_context_list == []
    with pytest.raises(FileNotFoundError):
        manager.storage.load_checkpoint()
    assert [item.location for item in repo] == [manager.storage.location]


def test_create_with_a_strange_prefix(repo: SessionStorageRepository) -> None:
    """What does not belong into a file name becomes an underscore."""
    assert SessionManager.create(repo, "a/b c").storage.id.startswith("a_b_c")


def test_a_new_session_is_locked(repo: SessionStorageRepository) -> None:
    """A new session belongs to its maker until it is closed."""
    manager = SessionManager.create(repo)
    with pytest.raises(LockedStorageError):
        SessionStorage(manager.storage.location).lock()
    manager.close()
    manager.close()
    SessionStorage(manager.storage.location).lock()


def _create_many(location: str, count: int) -> None:
    for _ in range(count):
        SessionManager.create(SessionStorageRepository(location)).close()


def test_many_rapid_creations(tmp_path: Path) -> None:
    """Sessions that several processes make at the same time are all there and complete."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_create_many, args=(str(tmp_path), 100)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    names = os.listdir(tmp_path)
    assert len(names) == 400
    assert all((tmp_path / name / "io-logs").is_dir() and (tmp_path / name / "lock").is_file() for name in names)


def test_create_with_unit_list(repo: SessionStorageRepository) -> None:
    """The units given are those of the state; none is an empty state."""
    assert state_of(SessionManager.create_with_unit_list(None, repo)).unit_list == []
    units = [job("one")]
    state = state_of(SessionManager.create_with_unit_list(units, repo))
    assert state.unit_list is units
    assert list(state.job_state_map) == [full("one")]


def test_clashing_units_leave_nothing(repo: SessionStorageRepository) -> None:
    """Different jobs with one id are refused before anything appears on disk."""
    with pytest.raises(DependencyDuplicateError):
        SessionManager.create_with_unit_list([job("one"), job("one", command="false")], repo)
    assert not os.path.exists(repo.location)


def test_create_with_state(repo: SessionStorageRepository) -> None:
    """The state given is the state of the session."""
    state = SessionState([])
    assert SessionManager.create_with_state(state, repo).state is state


def test_create_with_something_else_than_a_state(repo: SessionStorageRepository) -> None:
    """What is no state is refused, and no directory is left."""
    with pytest.raises(TypeError):
        SessionManager.create_with_state("state", repo)
    assert repo.get_storage_list() == []


def test_failure_after_the_storage_was_made(repo: SessionStorageRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constructor that fails leaves no directory, whatever it had made; the first error is the one that is seen."""

    class Refusing(SessionManager):
        def _propagate_test_plans(self) -> None:
            raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        Refusing.create(repo)
    assert os.listdir(repo.location) == []


def test_failure_that_cannot_be_cleared_away(
    repo: SessionStorageRepository, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the fresh directory cannot be removed either, the first error is the one that is seen."""

    class Refusing(SessionManager):
        def _propagate_test_plans(self) -> None:
            raise RuntimeError("refused")

    def fail(storage: SessionStorage) -> None:
        raise StorageError("it stays", errno=errno.EIO)

    monkeypatch.setattr(SessionStorage, "remove", fail)
    with pytest.raises(RuntimeError, match="refused"):
        Refusing.create(repo)
    assert "is left behind: it stays" in caplog.text


def test_default_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repository the one of the environment is used, and without that the state home of the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PLAINBOX_SESSION_REPO", str(tmp_path / "named"))
    assert Path(SessionManager.create().storage.location).parent == tmp_path / "named"
    monkeypatch.delenv("PLAINBOX_SESSION_REPO")
    assert Path(SessionManager.create().storage.location).parent == tmp_path / "state" / "plainbox" / "sessions"


def test_relative_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are told an absolute directory, wherever the repository was named from."""
    from plainbox.session.dirs import WellKnownDirsHelper

    monkeypatch.chdir(tmp_path)
    manager = SessionManager.create(SessionStorageRepository("here"))
    assert WellKnownDirsHelper(manager.storage).share_pathname.startswith(f"{tmp_path}/here/")
    monkeypatch.setenv("PLAINBOX_SESSION_REPO", "there")
    assert SessionStorageRepository().location == str(tmp_path / "there")


# -- well-known directories


def test_well_known_directories(storage: SessionStorage) -> None:
    """The logs come first; populating makes what is missing, for the owner alone, and leaves the rest alone."""
    from plainbox.session.dirs import WellKnownDirsHelper

    helper = WellKnownDirsHelper(storage)
    assert helper.all_directories[0] == helper.io_log_pathname == os.path.join(storage.location, "io-logs")
    kept = Path(helper.io_log_pathname, "kept")
    kept.write_text("x")
    helper.populate()
    helper.populate()
    assert kept.read_text() == "x"
    assert {os.stat(path).st_mode & 0o777 for path in helper.all_directories} == {0o700}
    os.rmdir(helper.share_pathname)
    Path(helper.share_pathname).write_text("in the way")
    helper.populate()
    assert os.listdir(helper.share_pathname) == []
    os.rmdir(helper.share_pathname)
    os.symlink("io-logs", helper.share_pathname)
    helper.restore()
    assert not os.path.islink(helper.share_pathname)
    assert kept.read_text() == "x"
    before = os.lstat(helper.share_pathname).st_ctime_ns
    helper.restore()
    assert os.lstat(helper.share_pathname).st_ctime_ns == before


def test_well_known_directories_fields(storage: SessionStorage) -> None:
    """The storage is needed, of the right type, and given once."""
    from plainbox.session.dirs import WellKnownDirsHelper

    with pytest.raises(TypeError):
        WellKnownDirsHelper()
    with pytest.raises(TypeError):
        WellKnownDirsHelper("text")
    helper = WellKnownDirsHelper(storage)
    with pytest.raises(TypeError):
        helper.storage = "text"
    with pytest.raises(AttributeError):
        helper.storage = storage


def test_throwaway_directories_are_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is thrown away syncs nothing, its directories included."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: pytest.fail("a sync"))
    manager = session(tmp_path, files=FileOps(durable=False))
    manager.checkpoint()


# -- loading


def test_load_without_a_checkpoint(repo: SessionStorageRepository) -> None:
    """A session that was never checkpointed is a fresh state, and the callback sees it."""
    SessionManager.create(repo).close()
    [storage] = repo
    seen: list[SessionState] = []
    manager = SessionManager.load_session([job("one")], storage, seen.append)
    assert seen == [manager.state]
    assert list(state_of(manager).job_state_map) == [full("one")]
    assert manager.storage is storage


def test_load_a_fresh_state_that_the_callback_replaces(repo: SessionStorageRepository) -> None:
    """A state that the callback returns is the one of the session, also when nothing is stored."""
    SessionManager.create(repo).close()
    [storage] = repo
    other = SessionState([])
    assert SessionManager.load_session([job("one")], storage, lambda state: other).state is other


def test_load_a_session_that_is_gone(repo: SessionStorageRepository) -> None:
    """No session is invented where there is no directory."""
    manager = SessionManager.create(repo)
    storage = SessionStorage(manager.storage.location)
    manager.destroy()
    with pytest.raises(FileNotFoundError) as raised:
        SessionManager.load_session([], storage)
    assert isinstance(raised.value, StorageGoneError)
    assert raised.value.errno == errno.ENOENT
    assert not os.path.exists(storage.location)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_load_with_trouble_of_the_medium(storage: SessionStorage, number: int) -> None:
    """Any other trouble than a missing checkpoint passes through with its number."""

    class Failing(SessionStorage):
        def load_tree(self) -> Tree:
            raise OSError(number, os.strerror(number))

    with pytest.raises(OSError) as raised:
        SessionManager.load_session([], Failing(storage.location))
    assert raised.value.errno == number


def test_loading_leaves_the_cycle_collector_as_it_was(tmp_path: Path) -> None:
    """Loading switches the collector off for its time only, also when it fails."""
    import gc

    manager = session(tmp_path, one := job("one"), run=[one])
    manager.checkpoint()
    assert gc.isenabled()
    reload(manager, job("one")).close()
    assert gc.isenabled()
    with pytest.raises(FileNotFoundError):
        SessionManager.load_session([], SessionStorage(tmp_path / "none.session"))
    assert gc.isenabled()


# -- checkpoints


def test_checkpoint_without_a_device(storage: SessionStorage) -> None:
    """There is nothing to store without a device."""
    with pytest.raises(ValueError, match="no device context"):
        SessionManager([], storage).checkpoint()


def test_checkpoint_without_changes(tmp_path: Path) -> None:
    """Nothing changed, nothing written and nothing synced; the same right after loading."""
    ops = FaultyFiles()
    manager = session(tmp_path, one := job("one"), files=ops, run=[one])
    give(manager, "one", result())
    manager.checkpoint()
    ops.forget()
    manager.checkpoint()
    assert ops.written == []
    assert ops.names("fdatasync", "fsync", "pwrite") == []
    manager.close()
    ops.forget()
    loaded = SessionManager.load_session([job("one")], SessionStorage(manager.storage.location, files=ops))
    loaded.checkpoint()
    assert ops.names("fdatasync", "fsync", "pwrite", "ftruncate") == []


def test_first_checkpoint(tmp_path: Path) -> None:
    """The first checkpoint is a file that is synced before it has its name, and a name that is synced too."""
    ops = FaultyFiles()
    manager = session(tmp_path, one := job("one"), files=ops, run=[one])
    ops.forget()
    manager.checkpoint()
    order = [step for step in ops.names("fdatasync", "rename", "fsync") if step[1] != "head.json"]
    assert [name for name, _ in order] == ["fdatasync", "rename", "fsync"]


@pytest.mark.parametrize("count", [100, 2000])
def test_checkpoint_of_one_result(tmp_path: Path, count: int) -> None:
    """One result is one append and one sync, of a size that has nothing to do with that of the session."""
    ops = FaultyFiles()
    jobs = [job(f"job-{number:05}") for number in range(count)]
    manager = session(tmp_path, *jobs, files=ops, run=jobs)
    manager.checkpoint()
    give(manager, "job-00001", result())
    manager.checkpoint()
    sizes = []
    for number in (0, count // 2, count - 1):
        ops.forget()
        give(manager, f"job-{number:05}", result(return_code=0, execution_duration=0.5))
        manager.checkpoint()
        appended = [size for name, size in ops.written if name.startswith("journal-")]
        assert len(appended) == 1
        # The double knows a file by the name under which it was made.
        assert ops.names("fdatasync", "fsync") == [("fdatasync", "journal-000001.pbj.tmp")]
        sizes += appended
    assert max(sizes) < 300


def test_flags_changed_in_place(tmp_path: Path) -> None:
    """Metadata that is changed inside of a value is stored like any other."""
    manager = session(tmp_path)
    manager.checkpoint()
    state_of(manager).metadata.flags.add("submitted")
    manager.checkpoint()
    assert state_of(reload(manager)).metadata.flags == {"submitted"}


def test_full_disk(tmp_path: Path) -> None:
    """Without space the checkpoint fails with its number, and the next one has everything that was pending."""
    ops = FaultyFiles()
    one, two = job("one"), job("two")
    manager = session(tmp_path, one, two, files=ops, run=[one, two])
    manager.checkpoint()
    good = (Path(manager.storage.location) / "journal-000001.pbj").read_bytes()
    ops.fail("pwrite", errno.ENOSPC)
    give(manager, "one", result("fail"))
    with pytest.raises(StorageFullError) as raised:
        manager.checkpoint()
    assert raised.value.errno == errno.ENOSPC
    assert (Path(manager.storage.location) / "journal-000001.pbj").read_bytes() == good
    give(manager, "two", result())
    with pytest.raises(StorageFullError):
        manager.checkpoint()
    ops.heal()
    manager.checkpoint()
    loaded = reload(manager, job("one"), job("two"))
    assert [job_state(loaded, name).result.outcome for name in ("one", "two")] == ["fail", "pass"]


def test_failed_first_checkpoint(tmp_path: Path) -> None:
    """A first checkpoint that failed is made in full the next time."""
    ops = FaultyFiles()
    manager = session(tmp_path, one := job("one"), files=ops, run=[one])
    ops.fail("pwrite", errno.ENOSPC)
    with pytest.raises(StorageFullError):
        manager.checkpoint()
    ops.heal()
    manager.checkpoint()


def test_lock_is_broken_once() -> None:
    """A checkpoint that meets a lock asks for it to be broken and tries once more; a second refusal passes through."""
    storage = MemoryStorage.create()
    manager = SessionManager([SessionDeviceContext()], storage)
    leftover = Path(storage.location, "of-a-dead-writer.tmp")
    leftover.touch()
    storage.fail_next(LockedStorageError("in use"))
    manager.checkpoint()
    assert not leftover.exists()
    stored = storage.load_checkpoint()
    state_of(manager).metadata.title = "later"
    storage.fail_next(LockedStorageError("in use"))
    storage.fail_next(LockedStorageError("still in use"))
    with pytest.raises(LockedStorageError, match="still"):
        manager.checkpoint()
    assert storage.load_checkpoint() == stored
    manager.checkpoint()
    assert storage.load_checkpoint() != stored


def test_second_manager_of_one_session(tmp_path: Path) -> None:
    """A second manager in this process cannot write to the session of the first."""
    manager = session(tmp_path)
    manager.checkpoint()
    other = SessionManager.load_session([], SessionStorage(manager.storage.location))
    state_of(other).metadata.title = "mine"
    with pytest.raises(LockedStorageError):
        other.checkpoint()
    manager.close()
    other.checkpoint()


_OWNER = """
import sys, time
from plainbox.session import SessionManager, SessionStorage
manager = SessionManager.load_session([], SessionStorage(sys.argv[1]))
manager.state.metadata.title = "the other's"
manager.checkpoint()
print("ready", flush=True)
time.sleep(60)
"""


def test_other_process(tmp_path: Path) -> None:
    """What another process owns cannot be written to; once it was killed the next checkpoint succeeds by itself."""
    manager = session(tmp_path)
    manager.checkpoint()
    manager.close()
    location = manager.storage.location
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, location], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        mine = SessionManager.load_session([], SessionStorage(location))
        state_of(mine).metadata.title = "mine"
        with pytest.raises(LockedStorageError) as refused:
            mine.checkpoint()
        assert refused.value.pid == owner.pid
        with pytest.raises(LockedStorageError):
            mine.storage.break_lock()
    finally:
        owner.kill()
        owner.communicate()
    mine.checkpoint()


def test_close_and_destroy(tmp_path: Path) -> None:
    """A closed session keeps what was stored; a destroyed one is gone, and is not written to any more."""
    manager = session(tmp_path)
    with manager as entered:
        assert entered is manager
        manager.checkpoint()
    state_of(manager).metadata.title = "late"
    with pytest.raises(StorageClosedError):
        manager.checkpoint()
    again = SessionManager.load_session([], SessionStorage(manager.storage.location))
    again.destroy()
    again.destroy()
    assert os.listdir(tmp_path) == []
    with pytest.raises(StorageClosedError):
        again.checkpoint()


def test_destroying_what_somebody_else_uses(tmp_path: Path) -> None:
    """A session in use is not destroyed, and can be once it is free."""
    owner = session(tmp_path)
    owner.checkpoint()
    other = SessionManager.load_session([], SessionStorage(owner.storage.location))
    with pytest.raises(LockedStorageError):
        other.destroy()
    owner.close()
    other.destroy()
    assert os.listdir(tmp_path) == []


# -- throw-away sessions


def test_throwaway_manager() -> None:
    """A throw-away manager has one empty device, and its directory goes with it."""
    with SessionManager.get_throwaway_manager([]) as manager:
        assert len(manager.device_context_list) == 1
        assert state_of(manager).unit_list == []
        location = manager.storage.location
        assert os.path.isdir(location)
    assert not os.path.exists(location)
    with pytest.raises(StorageClosedError):
        manager.checkpoint()


def test_throwaway_manager_after_an_error() -> None:
    """An error inside is seen as it is, and the directory goes all the same."""
    error = RuntimeError("mine")
    places = []

    def fail() -> None:
        with SessionManager.get_throwaway_manager([]) as manager:
            places.append(manager.storage.location)
            raise error

    with pytest.raises(RuntimeError) as raised:
        fail()
    assert raised.value is error
    assert not os.path.exists(os.path.dirname(places[0]))


def test_throwaway_manager_with_providers() -> None:
    """The units of the providers are there, in their order."""
    one, two = Provider(unit_list=[job("one")]), Provider(name="org.example:two", unit_list=[job("two")])
    with SessionManager.get_throwaway_manager([one, two]) as manager:
        assert list(state_of(manager).job_state_map) == [full("one"), full("two")]
        context = manager.default_device_context
        assert context is not None
        assert context.provider_list == [one, two]


def test_throwaway_manager_with_a_broken_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that fails to load is seen as it failed, and nothing is left."""

    class Broken(Provider):
        @property
        def unit_list(self):
            raise RuntimeError("broken provider")

        @unit_list.setter
        def unit_list(self, value) -> None: ...

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match="broken provider"), SessionManager.get_throwaway_manager([Broken()]):
        pytest.fail("it loaded")
    assert os.listdir(tmp_path) == []


# -- reports


def test_no_device_no_exporters(storage: SessionStorage) -> None:
    """Without a device there are no reports; asking for one names it."""
    manager = SessionManager([], storage)
    assert manager.exporter_map == {}
    with pytest.raises(LookupError, match="'text'"):
        manager.create_exporter("text")


def exporter(partial_id: str, **fields: str) -> ExporterUnit:
    data = {"id": partial_id, "_summary": partial_id, "entry_point": "text", "file_extension": "txt", **fields}
    return ExporterUnit(data, provider=PLAINBOX)


PLAINBOX = Provider("com.canonical.plainbox", "com.canonical.plainbox:exporters")


def test_exporters_by_id_and_short_name(tmp_path: Path) -> None:
    """Good exporter units are there in their order, then the short names of those that Plainbox brings along."""
    units = [exporter("text"), exporter("own"), exporter("broken", entry_point=""), exporter("html")]
    manager = session(tmp_path, *units)
    names = [f"com.canonical.plainbox::{name}" for name in ("text", "own", "html")]
    assert list(manager.exporter_map) == [*names, "html", "text"]
    assert manager.exporter_map["text"] is manager.exporter_map["com.canonical.plainbox::text"]
    late = exporter("json")
    state_of(manager).add_unit(late)
    assert "json" in manager.exporter_map
    manager.exporter_map.clear()
    assert "json" in manager.exporter_map


def test_exporters_are_those_of_the_present_device(tmp_path: Path) -> None:
    """After an exchange of the device the reports are those of the new one."""
    manager = session(tmp_path, exporter("text"))
    assert "text" in manager.exporter_map
    context = manager.default_device_context
    assert context is not None
    manager.remove_device_context(context)
    assert manager.exporter_map == {}
    manager.add_device_context(SessionDeviceContext(SessionState([exporter("html")])))
    assert list(manager.exporter_map) == ["com.canonical.plainbox::html", "html"]


def test_an_exporter_that_is_not_there_is_explained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Why a unit makes no reports is in the log, once for all the times that it is asked for."""
    manager = session(tmp_path, exporter("broken", entry_point="pdff"))
    with caplog.at_level("INFO"):
        assert manager.exporter_map == {}
        assert manager.exporter_map == {}
    [message] = [record.message for record in caplog.records if record.name == "plainbox.session.manager"]
    assert message.startswith("com.canonical.plainbox::broken makes no reports: ")
    assert "no exporter is called 'pdff'" in message


def test_unit_with_a_short_name(tmp_path: Path) -> None:
    """A unit whose id is a short name keeps it."""
    own = ExporterUnit({"id": "text", "_summary": "x", "entry_point": "text", "file_extension": "txt"})
    manager = session(tmp_path, exporter("text"), own)
    assert manager.exporter_map["text"] is not manager.exporter_map["com.canonical.plainbox::text"]


def test_options_of_exporters(tmp_path: Path) -> None:
    """Unknown options are refused or left out, as asked; those of the unit win; the caller's list is not touched."""
    manager = session(tmp_path, exporter("text", options="max-log-bytes=7"))
    options = ["ascii", "wings", "max-log-bytes=9", "other=1"]
    given = list(options)
    with pytest.raises(ValueError, match="wings"):
        manager.create_exporter("text", options)
    made = manager.create_exporter("text", options, strict=False)
    assert dict(made.options) == {"ascii": "", "max-log-bytes": "7"}
    assert options == given
    state_of(manager).add_unit(exporter("own"))
    own = manager.create_exporter("com.canonical.plainbox::own", options, strict=False)
    assert dict(own.options) == {"ascii": "", "max-log-bytes": "9"}
    with pytest.raises(LookupError, match="'pdf'"):
        manager.create_exporter("pdf")
