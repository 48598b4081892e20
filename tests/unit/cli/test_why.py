# SPDX-License-Identifier: Apache-2.0
"""``plainbox why``: what it says about jobs of real sessions, of sessions whose provider is gone, and of no session."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from plainbox.cli.main import main

RESOURCES = """
id: iface
plugin: resource
_summary: Network interfaces
command: printf 'name: eth0\\nstate: down\\n\\nname: wlan0\\nstate: down\\nspeed: n/a\\n'

id: nothing
plugin: resource
command: true
"""

JOBS = """
id: link
plugin: shell
_summary: The cable is in
command: true
requires: iface.state == 'up'

id: ping
plugin: shell
command: true
depends: link

id: far
plugin: shell
command: true
depends: ping

id: fails
plugin: shell
command: echo it broke; exit 3

id: after-failure
plugin: shell
command: true
depends: fails

id: good
plugin: shell
command: true

id: rescue
plugin: shell
command: true
salvages: good

id: person
plugin: manual
_description: look

id: cycle-1
plugin: shell
command: true
depends: cycle-2

id: cycle-2
plugin: shell
command: true
depends: cycle-1

id: misses
plugin: shell
command: true
depends: goood

id: strict
plugin: shell
flags: fail-on-resource
command: true
requires: nothing.x == '1'

id: camera
plugin: shell
command: true
imports: from com.canonical.plainbox import manifest
requires: manifest.has_camera == 'True'

id: other
plugin: shell
command: true

unit: manifest entry
id: has_camera
_name: A camera
_prompt: Does this machine have a camera?
value-type: bool

unit: template
template-resource: iface
template-filter: iface.name != 'wlan0'
template-id: per-iface
id: per-{name}
plugin: shell
command: true

unit: template
template-resource: nothing
template-id: never
id: never-{name}
plugin: shell
command: true

unit: test plan
id: plan
_name: The plan
include:
 link
 far
 after-failure
 rescue
 person
 cycle-1
 misses
 strict
 camera
 per-iface
 never
exclude:
 other
bootstrap_include:
 iface
 nothing
"""


UNITS = RESOURCES + JOBS
CYCLE = "org.example::cycle-1 -> org.example::cycle-2 -> org.example::cycle-1"
#: How values of the manifest are shown; how many records it has depends on the providers that are there.
MANIFEST_LINE = "  has_camera in N records of com.canonical.plainbox::manifest: 'False'"


def place(line: str) -> str:
    """Return where a line of the test plan is."""
    lines = UNITS.split("\n")
    start = lines.index("unit: test plan")
    return f"DEMO/units/units.pxu:{lines.index(' ' + line, start) + 1}"


@pytest.fixture
def directory(provider: Any) -> Path:
    made: Path = provider(UNITS)
    return made


@pytest.fixture
def own_session(run: Any, directory: Path) -> Path:
    """Run the plan; return the directory of its provider."""
    run("run", "plan", "--provider", directory, "--no-input", "-q")
    return directory


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the plan once; return the directory with the state and the provider."""
    home = tmp_path_factory.mktemp("why")
    directory = home / "provider-demo"
    (directory / "units").mkdir(parents=True)
    (directory / "units" / "units.pxu").write_text(UNITS)
    (directory / "demo.provider").write_text(
        "[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\ndescription = A\nrelocatable = True\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE", "DATA", "CONFIG", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        patch.setenv("XDG_DATA_DIRS", str(home / "no-data"))
        patch.delenv("PROVIDERPATH", raising=False)
        patch.delenv("PLAINBOX_SESSION_REPO", raising=False)
        main(["run", "plan", "--provider", str(directory), "--no-input", "-q"])
    return home


@pytest.fixture
def session(stored: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the one session of all tests that only look; return the directory of its provider."""
    monkeypatch.setenv("XDG_STATE_HOME", str(stored / "state"))
    return stored / "provider-demo"


def explained(run: Any, *words: str | Path, code: int = 0) -> str:
    """Return what the command prints, with the directory of the provider left out."""
    done = run("why", *words)
    assert done.code == code, done.err
    text: str = re.sub(r"/\S*/provider-demo", "DEMO", done.out)
    return re.sub(r"(has_camera in )\d+ records? (of \S+: 'False').*", r"\1N records \2", text)


def section(text: str, title: str) -> list[str]:
    """Return the lines below a title, without their first indentation."""
    lines = text.splitlines()
    start = lines.index(title) + 1
    end = next((place for place in range(start, len(lines)) if not lines[place].startswith("  ")), len(lines))
    return [line[2:] for line in lines[start:end]]


# -- what kept jobs from running


@pytest.mark.parametrize(
    ("job", "title", "lines"),
    [
        (
            "link",
            "Why it did not run:",
            [
                "its requirement is not met: iface.state == 'up'",
                "  state in 2 records of org.example::iface: 'down'",
            ],
        ),
        (
            "far",
            "Why it did not run:",
            [
                "it depends on org.example::ping, which was skipped",
                "  it depends on org.example::link, which was skipped",
                "    its requirement is not met: iface.state == 'up'",
                "      state in 2 records of org.example::iface: 'down'",
            ],
        ),
        (
            "after-failure",
            "Why it did not run:",
            ["it depends on org.example::fails, which failed", "  exit code 3"],
        ),
        ("rescue", "Why it did not run:", ["it runs only if org.example::good fails, and that one has not run"]),
        ("person", "Why it did not run:", ["a manual job needs a person, and this run asks nobody"]),
        (
            "cycle-1",
            "Why it did not run:",
            [f"it would have to run before itself: {CYCLE}"],
        ),
        (
            "misses",
            "Why it did not run:",
            ["it needs org.example::goood (depends), which is not defined (did you mean 'org.example::good'?)"],
        ),
        (
            "strict",
            "Why it failed:",
            ["its requirement is not met: nothing.x == '1'", "  org.example::nothing gave no records"],
        ),
        ("fails", "Why it failed:", ["it printed last: it broke"]),
        (
            "camera",
            "Why it did not run:",
            [
                "its requirement is not met: manifest.has_camera == 'True'",
                MANIFEST_LINE,
                "  manifest entry org.example::has_camera: nobody has answered it",
                "    question: Does this machine have a camera?",
                "    to answer: plainbox manifest set org.example::has_camera=VALUE --provider DEMO",
            ],
        ),
    ],
)
def test_what_kept_a_job_from_running(run: Any, session: Path, job: str, title: str, lines: list[str]) -> None:
    """Each reason is a sentence, and below it stand the values that were seen and the reasons of the others."""
    assert section(explained(run, job), title) == lines


# -- what brought them in


@pytest.mark.parametrize(
    ("job", "title", "lines"),
    [
        (
            "link",
            "Why it was to run:",
            [
                f"the plan org.example::plan includes it: link ({place('link')})",
                "org.example::ping needs it",
            ],
        ),
        ("ping", "Why it was to run:", ["org.example::far needs it"]),
        ("cycle-2", "Why it was to run:", ["org.example::cycle-1 needs it"]),
        (
            "nothing",
            "Why it was to run:",
            [
                f"the plan org.example::plan names it for the bootstrap ({place('iface')})",
                "org.example::strict needs it",
            ],
        ),
        (
            "other",
            "Why it was not to run:",
            [f"the plan org.example::plan excludes it: other ({place('other')})"],
        ),
        (
            "good",
            "Why it was not to run:",
            ["no entry of the plan org.example::plan means it"],
        ),
        ("collect-manifest", "Why it was not to run:", ["it is part of no run: plainbox manifest does its work"]),
    ],
)
def test_what_brought_a_job_in_or_kept_it_out(run: Any, session: Path, job: str, title: str, lines: list[str]) -> None:
    """The entries of the plan are named with their place, and the jobs that need it by their id."""
    assert section(explained(run, job), title) == lines


def test_a_job_that_was_not_selected_can_be_run(run: Any, session: Path) -> None:
    """The command that runs it is shown, with the provider that was named for the session."""
    text = explained(run, "good")
    assert text.splitlines()[0] == "org.example::good has not run"
    assert section(text, "To run it:") == ["plainbox run org.example::good --provider DEMO"]


def test_what_the_command_line_left_out(run: Any, directory: Path) -> None:
    """Patterns of the command line keep jobs out, and whoever needs such a job says so."""
    run("run", "plan", "--provider", directory, "--no-input", "-q", "--exclude", "link", "--match", "(far|link)")
    assert section(explained(run, "link"), "Why it was not to run:") == ["it was excluded on the command line: link"]
    assert section(explained(run, "camera"), "Why it was not to run:") == ["the command line kept only (far|link)"]
    reasons = section(explained(run, "far"), "Why it did not run:")
    assert reasons == [
        "it needs org.example::ping (depends), which cannot be put in order",
        "  it needs org.example::link (depends), which is excluded",
    ]


def test_jobs_named_on_the_command_line(run: Any, directory: Path) -> None:
    """Without a plan the patterns are what selects."""
    run("run", "goo.", "--provider", directory, "--no-input", "-q")
    assert section(explained(run, "good"), "Why it was to run:") == ["it was named on the command line: goo."]
    assert section(explained(run, "fails"), "Why it was not to run:") == ["the session was asked for goo."]


# -- templates


def test_a_template_is_explained_with_its_jobs(run: Any, session: Path) -> None:
    """Each record made a job, or the filter says why not."""
    text = explained(run, "per-iface")
    assert "  its resource org.example::iface gave 2 records, of which 1 made a job" in text.splitlines()
    assert section(text, "Why the others did not:") == [
        "name='wlan0', state='down', speed='n/a': the filter rejects it",
        "  not true: iface.name != 'wlan0'",
        "    name in 1 record of org.example::iface: 'wlan0'",
    ]
    assert "org.example::per-eth0 passed" in text.splitlines()


def test_a_template_without_jobs(run: Any, session: Path) -> None:
    """A resource without records makes none."""
    reasons = section(explained(run, "never"), "Why no job was made of it:")
    assert reasons == ["its resource org.example::nothing gave no records"]


def test_a_job_that_no_record_has_made(run: Any, session: Path) -> None:
    """The template that could make it is named, with the command that explains it, whether or not its id is full."""
    for name in ("per-wlan0", "org.example::per-wlan0"):
        done = run("why", name)
        assert done.code == 2
        assert f"no job or template {name!r}" in done.err
        assert "the template org.example::per-iface could make it: plainbox why org.example::per-iface" in done.err
    assert "per-iface" not in run("why", "org.other::per-wlan0", "--provider", session).err.partition("did you")[0]


def test_a_template_that_is_wrong(run: Any, provider: Any) -> None:
    """Its errors are told with their place, and what its filter rejects is not told as if the filter had a meaning."""
    directory = provider(
        RESOURCES + "\nunit: template\ntemplate-resource: iface\ntemplate-filter: nothing.name == 'eth0'\n"
        "template-id: bad\nid: bad-{name}\nplugin: shell\ncommand: true\n\nid: job\nplugin: shell\ncommand: true\n"
        "requires: iface.name == 'eth0'\n"
    )
    error = (
        "DEMO/units/units.pxu:13: PB110 error: org.example::bad: field 'template-filter': "
        "a filter knows the records of 'org.example::iface' alone, not 'nothing'"
    )
    assert section(explained(run, "bad", "--provider", directory), "What is wrong with it:") == [error]
    run("run", "job", "--provider", directory, "--no-input", "-q")
    text = explained(run, "bad")
    assert section(text, "What is wrong with it:") == [error]
    assert section(text, "Why the others did not:") == [
        "name='eth0', state='down': the filter is wrong and accepts nothing",
        "name='wlan0', state='down', speed='n/a': the filter is wrong and accepts nothing",
    ]


# -- setup and bootstrap


SETUP = """
unit: setup job
id: fine
command: true

unit: setup job
id: broken
command: echo no licence; test -e "$HOME/licence"

unit: setup job
id: asks
requires_manifest: has_camera
command: true

unit: setup job
id: nobody-wants
command: true

unit: setup job
id: elsewhere
command: true

unit: manifest entry
id: has_camera
_name: A camera
_prompt: Does this machine have a camera?
value-type: bool

id: iface
plugin: resource
command: echo 'name: eth0'

unit: template
template-resource: iface
template-id: per-iface
id: per-{name}
plugin: shell
command: true

id: helper
plugin: shell
command: true

id: test
plugin: shell
command: true
depends: helper

id: other
plugin: shell
command: true

unit: test plan
id: plan
_name: The plan
setup_include:
 fine
 broken
 asks
bootstrap_include: iface
include:
 test
 per-iface
 nobody-wants
exclude: asks

unit: test plan
id: second
_name: Another plan
setup_include: elsewhere
include: test
"""

BROKEN = [
    "org.example::broken failed in the setup, and nothing else runs before that passes",
    "  exit code 1",
    "  plainbox why org.example::broken tells more",
]


@pytest.fixture
def failed_setup(run: Any, provider: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a plan whose setup fails; return the directory of its provider."""
    monkeypatch.setenv("HOME", str(home))
    directory: Path = provider(SETUP)
    run("run", "plan", "--provider", directory, "--no-input", "-q", "--match", "(test|per-.*)")
    return directory


def test_jobs_that_wait_for_a_setup_that_failed(run: Any, failed_setup: Path) -> None:
    """Whatever the session will run names the setup jobs that failed, and says what brings it in."""
    [session] = run("session", "list", "--json").json["sessions"]
    text = explained(run, "test")
    assert f"  in session {session['id']}, which is not complete: it is in its setup" in text.splitlines()
    assert section(text, "What keeps it from running:")[:3] == BROKEN
    assert section(text, "Why it is to run later in the session:")[0].startswith("the plan org.example::plan includes")
    assert section(text, "To go on:") == [f"plainbox resume {session['id']}"]
    helper = explained(run, "helper")
    assert section(helper, "What keeps it from running:") == BROKEN
    assert section(helper, "Why it is to run later in the session:") == ["org.example::test needs it"]
    assert section(explained(run, "iface"), "What keeps it from running:") == BROKEN
    assert section(explained(run, "per-iface"), "Why no job was made of it:") == [
        "its resource org.example::iface has not run",
        *BROKEN,
    ]
    document = run("why", "test", "--json").json
    assert document["session"]["phase"] == "setup"
    assert document["jobs"][0]["selected"] is True
    assert document["jobs"][0]["reasons"][0]["kind"] == "phase"


def test_an_older_session_does_not_hide_a_setup_that_failed(run: Any, provider: Any, home: Path) -> None:
    """The newest session that is to run the job is asked, also when an older one has a result of it."""
    directory = provider(SETUP)
    assert run("run", "--provider", directory, "--no-input", "-q", "test").code == 0
    run("run", "plan", "--provider", directory, "--no-input", "-q", "--match", "(test|per-.*)")
    newest = run("session", "list", "--json").json["sessions"][0]["id"]
    document = run("why", "test", "--json").json
    assert document["session"]["id"] == newest
    assert document["jobs"][0]["reasons"][0]["kind"] == "phase"
    # What the newest one will not run is told of the session that has run it.
    assert run("run", "--provider", directory, "--no-input", "-q", "other").code == 0
    run("run", "plan", "--provider", directory, "--no-input", "-q", "--match", "(test|per-.*)")
    assert run("why", "other", "--json").json["jobs"][0]["selected"] is True


def test_a_job_that_a_session_in_its_setup_will_not_run(run: Any, failed_setup: Path) -> None:
    """It does not wait for the setup: it was not selected."""
    text = explained(run, "other")
    assert "What keeps it from running:" not in text
    assert section(text, "Why it was not to run:") == ["the command line kept only (test|per-.*)"]


def test_setup_jobs_are_explained(run: Any, failed_setup: Path) -> None:
    """One that failed can be tried again; one that was skipped shows what it asks for."""
    [session] = run("session", "list", "--json").json["sessions"]
    broken = explained(run, "broken")
    assert section(broken, "Why it failed:") == ["it printed last: no licence"]
    assert section(broken, "To try it again:") == [f"plainbox resume {session['id']}"]
    asks = explained(run, "asks")
    assert section(asks, "Why it did not run:") == [
        "it asks for other answers of the manifest: org.example::has_camera",
        "  manifest entry org.example::has_camera: nobody has answered it, and the job wants yes",
        "    question: Does this machine have a camera?",
        "    to answer: plainbox manifest set org.example::has_camera=yes --provider DEMO",
    ]
    [cause] = section(asks, "Why it was to run:")
    assert cause.startswith("the plan org.example::plan names it for the setup (DEMO/units/units.pxu:")


def test_setup_jobs_that_were_not_to_run(run: Any, failed_setup: Path) -> None:
    """Only setup_include brings them in, so no command claims that their name alone would."""
    nobody = explained(run, "nobody-wants")
    assert section(nobody, "Why it was not to run:") == [
        "a setup job runs only for a plan that names it in setup_include, and org.example::plan does not"
    ]
    assert "plainbox run" not in nobody
    elsewhere = explained(run, "elsewhere")
    assert section(elsewhere, "To run it:") == ["plainbox run org.example::second --provider DEMO"]


def test_setup_jobs_without_a_session(run: Any, provider: Any) -> None:
    """The plan that would run one is proposed; without such a plan there is nothing to propose."""
    directory = provider(SETUP)
    text = explained(run, "elsewhere", "--provider", directory)
    assert text.endswith("To get them:\n  plainbox run org.example::second --provider DEMO\n")
    text = explained(run, "nobody-wants", "--provider", directory)
    assert text.endswith("No stored session knows it, so there are no values to show.\n")


def test_a_setup_that_passes_in_the_end(run: Any, failed_setup: Path, home: Path) -> None:
    """When the session has gone on, nothing waits for the setup any more."""
    (home / "licence").touch()
    [session] = run("session", "list", "--json").json["sessions"]
    run("resume", session["id"], "--no-input", "-q")
    assert explained(run, "test").splitlines()[0] == "org.example::test passed"
    assert "setup" not in section(explained(run, "helper"), "Why it was to run:")


def test_a_resource_that_ran_for_a_template(run: Any, provider: Any) -> None:
    """Without a plan the template that was named is why its resource has run."""
    run("run", "per-iface", "--provider", provider(SETUP), "--no-input", "-q")
    assert section(explained(run, "iface"), "Why it was to run:") == [
        "a template that was named makes jobs of its records"
    ]


# -- which session


def other_namespace(directory: Path) -> Path:
    """Move a provider to another namespace; return its directory."""
    [definition] = directory.glob("*.provider")
    definition.write_text(definition.read_text().replace("org.example:", "org.other:"))
    return directory


def test_the_provider_that_is_named_has_the_job(run: Any, provider: Any, own_session: Path) -> None:
    """A partial id means a unit of the providers that were named, whatever the newest session has run."""
    other = other_namespace(
        provider(
            RESOURCES + "\nid: link\nplugin: shell\ncommand: true\n\nid: per-eth0\nplugin: shell\ncommand: true\n", "b"
        )
    )
    run("run", "(link|per-.*)", "--provider", other, "--no-input", "-q")
    assert explained(run, "link").splitlines()[0] == "org.other::link passed"
    assert explained(run, "link", "--provider", own_session).splitlines()[0] == "org.example::link was skipped"
    text = explained(run, "per-eth0", "--provider", own_session)
    assert text.splitlines()[0] == "org.example::per-eth0 passed"
    unknown = run("why", "person", "--provider", other)
    assert unknown.out.startswith("org.example::person was skipped")


def test_a_named_provider_that_no_session_has_used(run: Any, provider: Any, own_session: Path) -> None:
    """Its job is explained by its definition, although sessions know another one of that partial id."""
    other = other_namespace(provider("id: link\nplugin: shell\ncommand: true\n", "b"))
    text = explained(run, "link", "--provider", other)
    assert text.startswith("org.other::link\n")
    assert "No stored session knows it" in text
    [session] = run("session", "list", "--json").json["sessions"]
    assert run("why", "link", "--provider", other, "--session", session["id"]).out.startswith(
        "org.other::link has not run"
    )


def test_the_newest_session_that_has_the_job(run: Any, own_session: Path) -> None:
    """A newer session in which the job did not run is passed over; one that is named is asked."""
    first = run("session", "list", "--json").json["sessions"][0]["id"]
    run("run", "good", "--provider", own_session, "--no-input", "-q")
    second = run("session", "list", "--json").json["sessions"][0]["id"]
    assert f"in session {first}" in explained(run, "link")
    assert f"in session {second}" in explained(run, "good")
    assert f"in session {second}" in explained(run, "link", "--session", second)
    assert section(explained(run, "link", "--session", second), "What would keep it from running:") == [
        "its requirement waits for org.example::iface: iface.state == 'up'",
        "  org.example::iface has given nothing: it did not run",
        "  org.example::iface has not run (defined in DEMO/units/units.pxu:2-5)",
    ]


def test_without_a_session_it_shows_what_a_job_needs(run: Any, directory: Path) -> None:
    """The definitions tell what is needed and which plans have the job; values need a session, and it says so."""
    text = explained(run, "far", "--provider", directory)
    assert section(text, "It needs this:") == [
        "it needs org.example::ping to pass",
        "  it needs org.example::link to pass",
        "    it requires iface.state == 'up'",
        "      org.example::iface is a resource (defined in DEMO/units/units.pxu:2-5)",
    ]
    assert section(text, "It is part of:") == [f"the plan org.example::plan includes it: far ({place('far')})"]
    assert text.endswith("To get them:\n  plainbox run org.example::far --provider DEMO\n")


def test_a_session_of_other_providers_knows_nothing(run: Any, provider: Any, directory: Path) -> None:
    """A session that was run without the provider of the job is not asked."""
    foreign = provider("id: alone\nplugin: shell\ncommand: true\n", name="foreign")
    run("run", "alone", "--provider", foreign, "--no-input", "-q")
    assert "No stored session knows it" in explained(run, "good", "--provider", directory)


def test_a_session_whose_provider_is_gone(run: Any, own_session: Path) -> None:
    """What the session has stored is enough for the reasons: its records, its notes."""
    shutil.rmtree(own_session)
    assert section(explained(run, "link"), "Why it did not run:") == [
        "its requirement is not met: iface.state == 'up'",
        "  state in 2 records of org.example::iface: 'down'",
    ]
    assert section(explained(run, "camera"), "Why it did not run:") == [
        "its requirement is not met: manifest.has_camera == 'True'",
        MANIFEST_LINE,
        "  no provider defines the manifest entry org.example::has_camera",
    ]
    assert section(explained(run, "after-failure"), "Why it did not run:") == [
        "it waited for org.example::fails, which failed",
        "  exit code 3",
    ]
    assert (
        section(explained(run, "link"), "Why it was to run:")
        == [
            "the plan org.example::plan of the session is not known any more",
            "org.example::ping needs it",
        ][:1]
    )
    assert "  it is not defined any more; these jobs were made of it" in explained(run, "per-iface").splitlines()


def test_an_answer_that_was_given_later(run: Any, own_session: Path) -> None:
    """The values are those of the session, the answer is the present one."""
    run("manifest", "set", "org.example::has_camera=yes", "--provider", own_session)
    lines = section(explained(run, "camera"), "Why it did not run:")
    assert MANIFEST_LINE in lines
    assert "  manifest entry org.example::has_camera: the answer is now yes" in lines


def test_a_damaged_session_is_passed_over(run: Any, own_session: Path, home: Path) -> None:
    """Of a session that cannot be read a warning tells; asked for by name it ends the command with 3."""
    [stored] = (home / "state" / "plainbox" / "sessions").glob("*.session")
    [journal] = stored.glob("journal-*.pbj")
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    journal.write_bytes(content)
    done = run("why", "link", "--provider", own_session)
    assert done.code == 0
    assert "is passed over" in done.err
    assert "No stored session knows it" in done.out
    assert run("why", "link", "--session", stored.name).code == 3


# -- names and forms


def test_a_name_that_nobody_knows(run: Any, session: Path) -> None:
    """It ends with 2 and the name that may have been meant."""
    done = run("why", "lnk", "--provider", session)
    assert done.code == 2
    assert "no job or template 'lnk'" in done.err
    assert "did you mean 'link'?" in done.err
    assert run("why", "link", "--session", "nowhere").code == 2


def test_a_partial_id_of_several_jobs(run: Any, provider: Any, directory: Path) -> None:
    """It is refused with the full ids."""
    other = provider("id: link\nplugin: shell\ncommand: true\n", name="second")
    definition = other / "second.provider"
    definition.write_text(definition.read_text().replace("org.example:second", "org.other:second"))
    done = run("why", "link", "--provider", directory, "--provider", other)
    assert done.code == 2
    assert "org.example::link, org.other::link" in done.err


def test_json(run: Any, session: Path) -> None:
    """Programs get the same as one document."""
    document = run("why", "link", "--json").json
    assert document["schema"] == "plainbox.why/1"
    assert list(document) == ["schema", "id", "kind", "session", "jobs", "template"]
    assert document["session"]["state"] == "complete"
    [job] = document["jobs"]
    assert (job["id"], job["outcome"], job["selected"]) == ("org.example::link", "skipped-resource", True)
    assert [cause["kind"] for cause in job["causes"]] == ["included", "needed"]
    [reason] = job["reasons"]
    assert reason["kind"] == "requires"
    assert reason["explanation"]["holds"] is False
    [seen] = reason["explanation"]["seen"]
    assert seen["attributes"][0]["values"] == [{"value": "down", "records": 2}]
    template = run("why", "org.example::per-iface", "--json").json
    assert template["kind"] == "template"
    assert [record["instance_id"] for record in template["template"]["records"]] == ["org.example::per-eth0", None]
    static = run("why", "plainbox::nobody", "--json")
    assert static.code == 2


def test_hostile_output_does_nothing_to_the_terminal(run: Any, provider: Any) -> None:
    """Names and values that jobs print are shown with their control characters spelled out."""
    directory = provider(
        "id: evil\nplugin: resource\ncommand: printf 'k\\033[2Jey: v\\033[31m\\n'\n\n"
        "id: victim\nplugin: shell\ncommand: true\nrequires: evil.key == '1'\n"
    )
    run("run", "victim", "--provider", directory, "--no-input", "-q")
    text = explained(run, "victim")
    assert "\x1b" not in text
    assert "not met" in text
