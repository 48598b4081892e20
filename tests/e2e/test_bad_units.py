# SPDX-License-Identifier: Apache-2.0
"""Units that are strange or hostile, through the commands in which a user meets them."""

from __future__ import annotations

import json
import re
import resource
import subprocess
from pathlib import Path

import pytest
from e2e_support import Plainbox, write_provider

GOOD = "\nid: good\nplugin: shell\ncommand: true\n"
PLAN = "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"
JOB = "\nid: {0}\nplugin: shell\ncommand: {1}\n"


def outcomes(plainbox: Plainbox) -> dict[str, str]:
    return {job_id.partition("::")[2]: job["outcome"] for job_id, job in plainbox.jobs().items()}


def expanded(plainbox: Plainbox, directory: Path, plan: str = "plan") -> dict[str, dict[str, str]]:
    """Return what a plan contains, by partial id."""
    units = plainbox.json("expand", "--provider", directory, plan)["units"]
    return {unit["id"].partition("::")[2]: unit for unit in units}


def test_backslash_in_a_summary(plainbox, provider, tmp_path: Path) -> None:
    """Every report is made, and shows the summary as it is written."""
    summary = r"Path C:\new\table, \"quoted\" and \u0041"
    directory = provider(f"id: a\nplugin: shell\n_summary: {summary}\ncommand: echo 'back\\slash'\n" + PLAN)
    reports = [f"{kind}:{tmp_path}/report.{kind}" for kind in ("json", "html", "junit", "text", "xlsx")]
    options = [word for report in reports for word in ("-o", report)]
    plainbox.run("run", "--no-input", "--provider", directory, *options, "plan")
    [result] = json.loads((tmp_path / "report.json").read_text())["results"]
    assert result["name"] == summary
    assert result["io_log"] == "back\\slash\n"
    assert summary in (tmp_path / "report.text").read_text()


def test_percent_signs(plainbox, provider) -> None:
    """They are text in units and in the definition of the provider."""
    directory = provider("id: a\nplugin: shell\n_summary: 100% (%s)\ncommand: test \"$(printf 50%%)\" = '50%'\n" + PLAN)
    definition = directory / "demo.provider"
    definition.write_text(definition.read_text() + "description = 100% %(name)s\n")
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {"a": "pass"}
    assert "100% (%s)" in plainbox.run("list", "jobs", "--provider", directory).stdout
    assert "100% %(name)s" in plainbox.run("list", "providers", "--provider", directory, "--json").stdout


def test_template_by_its_full_id(plainbox, provider) -> None:
    """A fully qualified template id selects, although its dots mean something in a regular expression."""
    directory = provider(
        "id: r\nplugin: resource\ncommand: printf 'x: 1\\n\\nx: 2\\n'\n\n"
        "unit: template\ntemplate-resource: r\ntemplate-id: made\nid: made-{x}\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\nbootstrap_include: r\ninclude: org.example::made\n"
    )
    assert list(expanded(plainbox, directory)) == ["made"]
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {"r": "pass", "made-1": "pass", "made-2": "pass"}


def test_overrides_count_in_the_order_of_the_file(plainbox, provider) -> None:
    """The last of them wins; a malformed one is told with its line by lint and changes nothing."""
    directory = provider(
        JOB.format("ok", "true") + "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\n"
        "category_overrides:\n apply org.example::audio to o.*\n apply org.example::disk to .*\n aply x to ok\n"
    )
    assert expanded(plainbox, directory)["ok"]["category_id"] == "org.example::disk"
    done = plainbox.run("lint", directory, code=1)
    assert "units/units.pxu:13: " in done.stdout
    assert "aply x to ok" in done.stdout


@pytest.mark.parametrize("parts", ["plan", "other", "deep"])
def test_plans_that_are_parts_of_each_other(plainbox, provider, parts: str) -> None:
    """A loop of any length ends, each plan counts once."""
    directory = provider(
        JOB.format("a", "true")
        + JOB.format("b", "true")
        + f"\nunit: test plan\nid: plan\nname: Plan\ninclude: a\nnested_part: {parts}\n"
        "\nunit: test plan\nid: other\nname: Other\ninclude: b\nnested_part: plan\n"
        "\nunit: test plan\nid: deep\nname: Deep\ninclude:\nnested_part: other deep\n"
    )
    wanted = ["a"] if parts == "plan" else ["a", "b"]
    assert list(expanded(plainbox, directory)) == wanted
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == dict.fromkeys(wanted, "pass")


def test_the_order_does_not_depend_on_chance(plainbox, provider) -> None:
    """Dependencies run in the order in which they are written, whatever hashes are."""
    names = ["needs", *"hgfedcba"]
    directory = provider(
        f"id: needs\nplugin: shell\ncommand: true\ndepends: {' '.join(names[1:])}\n"
        + "".join(JOB.format(name, "true") for name in sorted(names[1:]))
        + "\nunit: test plan\nid: plan\nname: Plan\ninclude: needs\n"
    )
    for seed in ("1", "2", "3"):
        done = plainbox.run("run", "--no-input", "--provider", directory, "plan", PYTHONHASHSEED=seed)
        assert re.findall(r"^\[./9\] passed +org\.example::(\S+)", done.stderr, re.MULTILINE) == [*names[1:], "needs"]


def test_expressions_are_read_and_never_executed(plainbox, provider, tmp_path: Path) -> None:
    """not, - and + are of the language; what would call something fails its job with the place."""
    marker = tmp_path / "executed"
    hostile = {
        "system": f"__import__('os').system('touch {marker}')",
        "argument": f"int(__import__('os').system('touch {marker}')) >= 0 and r.n == '3'",
        "attribute": "r.n.__class__.__bases__ == ''",
        "lambda": "(lambda: r.n)() == '3'",
    }
    directory = provider(
        "id: r\nplugin: resource\ncommand: echo 'n: 3'\n"
        "\nid: not\nplugin: shell\ncommand: true\nrequires: not r.n == '4'\n"
        "\nid: minus\nplugin: shell\ncommand: true\nrequires: int(r.n) - 1 == 2\n"
        "\nid: plus\nplugin: shell\ncommand: true\nrequires: int(r.n) + 1 == 4\n"
        + "".join(JOB.format(name, "true") + f"requires: {text}\n" for name, text in hostile.items())
        + PLAN
    )
    plainbox.run("run", "--no-input", "--provider", directory, "plan", code=1)
    assert outcomes(plainbox) == {
        **dict.fromkeys(("r", "not", "minus", "plus"), "pass"),
        **dict.fromkeys(hostile, "fail"),
    }
    comments = plainbox.jobs()["org.example::system"]["comments"]
    assert "units/units.pxu:23" in comments
    assert not marker.exists()


def test_one_id_in_two_providers(plainbox, provider, tmp_path: Path) -> None:
    """The first counts, both places are told, and nothing else is held up; units that are equal are no clash."""
    first = provider(JOB.format("job", "true") + JOB.format("same", "true") + PLAN)
    second = write_provider(tmp_path / "second", JOB.format("job", "false") + JOB.format("same", "true") + GOOD)
    definition = second / "demo.provider"
    definition.write_text(definition.read_text().replace("example:demo", "example:second"))
    done = plainbox.run("run", "--no-input", "--provider", first, "--provider", second, "plan")
    assert done.stderr.count("duplicate id") == 1
    assert "second/units/units.pxu:2-4: duplicate id: job 'org.example::job'" in done.stderr
    assert f"{first}/units/units.pxu:2-4" in done.stderr
    assert outcomes(plainbox) == {"job": "pass", "same": "pass", "good": "pass"}


def test_excluded_jobs_stay_out(plainbox, provider) -> None:
    """An excluded job does not come back as a dependency; what needs it says so."""
    directory = provider(
        JOB.format("out", "true")
        + JOB.format("needs", "true")
        + "depends: out\n"
        + GOOD
        + "\nunit: test plan\nid: plan\nname: Plan\ninclude: .*\nexclude: out\n"
    )
    assert "out" not in expanded(plainbox, directory)
    plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert outcomes(plainbox) == {"needs": "skipped-dependency", "good": "pass"}
    assert "org.example::out" in plainbox.jobs()["org.example::needs"]["comments"]


def test_unknown_id_in_salvages(plainbox, provider) -> None:
    """Lint tells it with its place."""
    directory = provider(JOB.format("saves", "true") + "salvages: nobody\n" + GOOD + PLAN)
    done = plainbox.run("lint", "--strict", directory, code=1)
    assert "units/units.pxu:5: " in done.stdout
    assert "nobody" in done.stdout


def test_a_tab_is_no_continuation(plainbox, provider) -> None:
    """The record with the tab is told with its line and left out, the others run."""
    directory = provider("id: tabbed\nplugin: shell\ncommand:\n\techo\n" + GOOD + PLAN)
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/units.pxu:4: neither a field" in done.stderr
    assert outcomes(plainbox) == {"good": "pass"}
    assert "units/units.pxu:4: " in plainbox.run("lint", directory, code=1).stdout


def test_yaml_that_is_empty_or_makes_objects(plainbox, provider, tmp_path: Path) -> None:
    """Empty documents are nothing, a tag that would make an object is told and makes none; the rest runs."""
    marker = tmp_path / "made"
    directory = provider(GOOD + PLAN)
    (directory / "units" / "more.yaml").write_text(
        "---\n---\nid: first\nplugin: shell\ncommand: 'true'\n---\n# nothing\n---\n"
        f'id: hostile\nplugin: shell\ncommand: !!python/object/apply:os.system ["touch {marker}"]\n---\n'
        "id: last\nplugin: shell\ncommand: 'true'\nestimated_duration: 1.5\n---\n"
    )
    done = plainbox.run("run", "--no-input", "--provider", directory, "plan")
    assert "units/more.yaml:11: the tag tag:yaml.org,2002:python/object/apply:os.system has no meaning" in done.stderr
    assert outcomes(plainbox) == {"first": "pass", "last": "pass", "good": "pass"}
    assert not marker.exists()


@pytest.mark.parametrize("name", ["nul.pxu", "nul.yaml"])
def test_nul_bytes(plainbox, provider, name: str) -> None:
    """A file with a NUL byte is told with the line and left out."""
    directory = provider(GOOD + PLAN)
    (directory / "units" / name).write_bytes(b"id: a\nplugin: shell\ncommand: tr\0ue\n")
    done = plainbox.run("expand", "--provider", directory, "plan")
    assert f"units/{name}:3: not a text file: it holds a NUL byte" in done.stderr
    assert f"units/{name}:3: " in plainbox.run("lint", directory, code=1).stdout


LONG = 10_000_000
LONG_LINES = {
    "noise.pxu": "a" * LONG,
    "id.pxu": "id: " + "a" * LONG,
    "command.pxu": "id: big\nplugin: shell\ncommand: " + "true; " * (LONG // 6),
    "requires.pxu": "id: big\nplugin: shell\ncommand: true\nrequires: " + "(" * LONG,
    "depends.pxu": "id: big\nplugin: shell\ncommand: true\ndepends: " + "abc " * (LONG // 4),
    "siblings.pxu": "id: big\nplugin: shell\ncommand: true\nsiblings: " + "[" * LONG,
    "unit.pxu": "unit: " + "k" * LONG + "\nid: big",
    "template.pxu": "unit: template\ntemplate-resource: r\nid: big-{x}\ncommand: " + "{" * LONG,
    "brackets.yaml": "[" * LONG,
    "text.yaml": "id: big\nplugin: shell\ncommand: '" + "true; " * (LONG // 6) + "'",
}


@pytest.mark.parametrize("name", LONG_LINES)
def test_lines_of_ten_megabytes(plainbox, provider, name: str) -> None:
    """Time and memory are bounded, messages are short, other files count."""
    directory = provider(GOOD + "\nunit: test plan\nid: plan\nname: Plan\ninclude: good\n")
    (directory / "units" / name).write_text(LONG_LINES[name] + "\n")

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))

    done = subprocess.run(
        plainbox.command("expand", "--provider", directory, "plan"),
        env=plainbox.environment,
        preexec_fn=bound,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["job", "org.example::good"])
    assert len(done.stderr) < 1000
