# SPDX-License-Identifier: Apache-2.0
"""What the settings change in a run: variables of templates and jobs, and what becomes of bad instances."""

from __future__ import annotations

from pathlib import Path

import pytest

UNITS = """
id: res
plugin: resource
command: printf 'name: x\\n\\nname: y\\nother: 1\\n'

unit: template
template-resource: res
template-engine: jinja2
template-id: with-environment
id: env-{{ name }}
flags: simple
command: test "{{ __checkbox_env__.NETWORK }}" = lab && test "$NETWORK" = lab && test "{{ __system_env__.HOME }}" = "$HOME"

unit: template
template-resource: res
template-id: incomplete
id: other-{other}
flags: simple
command: true

unit: test plan
id: environment
_name: Environment
bootstrap_include: res
include: with-environment

unit: test plan
id: bad
_name: Bad instances
bootstrap_include: res
include: incomplete
"""


@pytest.fixture
def settings(home: Path) -> Path:
    path = home / "config" / "plainbox.conf"
    path.parent.mkdir(exist_ok=True)
    return path


def outcomes(run, demo: Path) -> dict[str, str]:
    jobs = run("session", "show", "--json", "--provider", demo).json["jobs"]
    return {job["id"].partition("::")[2]: job["outcome"] for job in jobs}


def test_environment(run, provider, settings: Path) -> None:
    """The section [environment] reaches Jinja2 texts and commands."""
    settings.write_text("[environment]\nNETWORK = lab\n")
    demo = provider(UNITS)
    assert run("run", "--provider", demo, "environment").code == 0
    assert outcomes(run, demo) == {"res": "pass", "env-x": "pass", "env-y": "pass"}


def test_environment_of_the_caller(run, provider, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that whoever starts the run has set reaches the commands as it is."""
    settings.write_text("[environment]\nNETWORK = lab\n")
    monkeypatch.setenv("NETWORK", "mine")
    demo = provider(UNITS)
    assert run("run", "--provider", demo, "environment").code == 1
    assert outcomes(run, demo)["env-x"] == "fail"


def test_strict(run, provider) -> None:
    """By default a job that a template cannot fill in is there, and fails with the reason."""
    demo = provider(UNITS)
    ran = run("run", "--provider", demo, "bad")
    assert ran.code == 1
    assert outcomes(run, demo) == {"res": "pass", "other-MISSING_PARAM_1": "fail", "other-1": "pass"}
    assert "'other' has no value" in ran.err


def test_lenient(run, provider, settings: Path) -> None:
    """Without strict expansion it is left out with a warning, now and when the session is looked at later."""
    settings.write_text("[features]\nstrict_template_expansion = no\n")
    demo = provider(UNITS)
    ran = run("run", "--provider", demo, "bad")
    assert ran.code == 0
    assert "other-MISSING_PARAM_1 is left out of the session" in ran.err
    settings.unlink()
    assert outcomes(run, demo) == {"res": "pass", "other-1": "pass"}


def test_bad_settings(run, provider, settings: Path) -> None:
    """A file that cannot be understood ends the command before anything runs."""
    settings.write_text("environment\n")
    ran = run("run", "--provider", provider(UNITS), "bad")
    assert ran.code == 2
    assert str(settings) in ran.err
