# SPDX-License-Identifier: Apache-2.0
"""What a job sees: the variables that existing providers use, and their programs by bare name."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from plainbox.runner.environment import JobEnvironment
from plainbox.units import JobDefinition


@attrs.define(eq=False)
class Provider:
    """As much of a provider as the environment asks for."""

    base_dir: Path
    namespace: str = "org.example"
    name: str = "org.example:demo"
    version: str = "1"
    gettext_domain: str | None = None
    units_dir: Path | None = None
    jobs_dir: Path | None = None
    data_dir: Path | None = None
    bin_dir: Path | None = None
    locale_dir: Path | None = None
    executable_list: list[Path] = attrs.field(factory=list)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {text}\n")
    path.chmod(0o755)
    return path


def environment_of(
    base: dict[str, str], provider: Provider | None = None, flags: str = "", providers: Iterable[Provider] = ()
) -> dict[str, str]:
    job = JobDefinition({"id": "a", "plugin": "shell", "command": "true", "flags": flags}, provider=provider)
    every = [*providers, *([provider] if provider is not None else [])]
    with JobEnvironment(every, "/session/share", base) as environment:
        return environment.of(job)


def test_without_a_provider() -> None:
    """A job without a provider has the caller's variables and what belongs to the session."""
    assert environment_of({"PATH": "/bin", "MINE": "kept"}) == {
        "PATH": "/bin",
        "MINE": "kept",
        "PLAINBOX_SESSION_SHARE": "/session/share",
        "PYTHONUNBUFFERED": "1",
        "SYSTEMD_IGNORE_CHROOT": "1",
    }


def test_everything_of_a_provider(tmp_path: Path) -> None:
    """The folders of the provider of a job are named as existing providers expect it."""
    provider = Provider(
        tmp_path,
        gettext_domain="domain",
        units_dir=tmp_path / "units",
        data_dir=tmp_path / "data",
        locale_dir=tmp_path / "locale",
    )
    found = environment_of({"PATH": "/bin"}, provider)
    assert {name: found[name] for name in sorted(found) if name not in ("PATH", "PYTHONUNBUFFERED")} == {
        "CHECKBOX_SHARE": str(tmp_path),
        "PLAINBOX_PROVIDER_DATA": str(tmp_path / "data"),
        "PLAINBOX_PROVIDER_GETTEXT_DOMAIN": "domain",
        "PLAINBOX_PROVIDER_LOCALE_DIR": str(tmp_path / "locale"),
        "PLAINBOX_PROVIDER_UNITS": str(tmp_path / "units"),
        "PLAINBOX_SESSION_SHARE": "/session/share",
        "SYSTEMD_IGNORE_CHROOT": "1",
        "TEXTDOMAIN": "domain",
        "TEXTDOMAINDIR": str(tmp_path / "locale"),
    }


def test_nothing_of_a_provider(tmp_path: Path) -> None:
    """A provider that has no such folders leaves their variables out."""
    found = environment_of({"PATH": "/bin"}, Provider(tmp_path))
    assert {name for name in found if name.startswith(("PLAINBOX_", "TEXT", "CHECKBOX_"))} == {
        "CHECKBOX_SHARE",
        "PLAINBOX_SESSION_SHARE",
    }


def test_reset_locale(tmp_path: Path) -> None:
    """A job that wants the plain locale has that and no translations; the folder of them is named all the same."""
    provider = Provider(tmp_path, gettext_domain="domain", locale_dir=tmp_path)
    base = {"PATH": "/bin", "LANG": "pl_PL.UTF-8", "LANGUAGE": "pl", "LC_ALL": "pl_PL.UTF-8", "LC_TIME": "C"}
    found = environment_of(base, provider, "reset-locale")
    assert {name: value for name, value in found.items() if name.startswith(("LANG", "LC_", "TEXTDOMAIN"))} == {
        "LANG": "C.UTF-8",
        "TEXTDOMAINDIR": str(tmp_path),
    }
    assert "PLAINBOX_PROVIDER_GETTEXT_DOMAIN" not in found
    kept = environment_of(base, provider)
    assert {name: kept[name] for name in base if name != "PATH"} == {k: v for k, v in base.items() if k != "PATH"}


def test_the_callers_choice_of_buffering() -> None:
    """What the caller says about Python's output counts."""
    assert environment_of({"PYTHONUNBUFFERED": ""})["PYTHONUNBUFFERED"] == ""


def test_the_callers_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being given one, the environment of this process is passed on, as it was when the run began."""
    monkeypatch.setenv("MARK", "before")
    environment = JobEnvironment([], "/share")
    monkeypatch.setenv("MARK", "after")
    assert environment.of(JobDefinition({"id": "a"}))["MARK"] == "before"


def test_programs_of_the_namespace(tmp_path: Path) -> None:
    """A job calls the programs of all providers of its namespace by their bare names, before those of the system."""
    one = Provider(tmp_path / "one", executable_list=[program(tmp_path / "one" / "bin" / "own", "own")])
    two = Provider(tmp_path / "two", executable_list=[program(tmp_path / "two" / "bin" / "deep" / "ls", "theirs")])
    other = Provider(tmp_path / "o", "org.other", executable_list=[program(tmp_path / "o" / "bin" / "foreign", "no")])
    job = JobDefinition({"id": "a"}, provider=one)
    with JobEnvironment([one, two, other], "/share", {"PATH": "/usr/bin:/bin"}) as environment:
        found = environment.of(job)
        said = subprocess.run(
            ["/bin/sh", "-c", "own; ls; command -v foreign || echo none"], env=found, stdout=subprocess.PIPE, text=True
        )
        assert said.stdout == "own\ntheirs\nnone\n"
        nest = found["PATH"].partition(os.pathsep)[0]
        assert environment.of(JobDefinition({"id": "b"}, provider=two))["PATH"] == found["PATH"]
        assert nest not in environment.of(JobDefinition({"id": "c"}, provider=other))["PATH"]
    assert not os.path.exists(nest)


def test_two_programs_of_one_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of two programs with one name the first counts; the other one is told."""
    programs = [program(tmp_path / name / "same", name) for name in ("first", "second")]
    provider = Provider(tmp_path, executable_list=programs)
    job = JobDefinition({"id": "a"}, provider=provider)
    with caplog.at_level(logging.WARNING), JobEnvironment([provider], "/share", {}) as environment:
        said = subprocess.run(["same"], env=environment.of(job), stdout=subprocess.PIPE, text=True)
    assert said.stdout == "first\n"
    assert str(programs[1]) in caplog.text


def test_empty_path(tmp_path: Path) -> None:
    """An empty search path stays free of the current directory."""
    found = environment_of({"PATH": ""}, Provider(tmp_path))
    assert os.pathsep not in found["PATH"]


def test_closing() -> None:
    """Closing twice, or without any job, is as good as once."""
    environment = JobEnvironment([], "/share", {})
    environment.close()
    environment.close()
