# SPDX-License-Identifier: Apache-2.0
"""The text of commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from linting import Workshop

from plainbox.units.checks.shell import syntax_errors


def job(command: str, extra: str = "") -> str:
    lines = "\n".join(f" {line}" for line in command.split("\n"))
    return f"id: a\nflags: simple\n{extra}command:\n{lines}\n"


GOOD = [
    "true",
    "echo 'it is hot'",
    "cat <<END\nit's hot\nEND",
    "cat <<'END'\nunclosed ( here\nEND",
    "case $x in a) echo a ;; *) echo b ;; esac",
    'if true; then\n  echo "$(date)"\nfi',
    "ls !(a|b)",
    "echo it is # don't worry",
    "for i in 1 2; do echo $i; done",
    "[[ $a =~ ^[0-9]+$ ]] && echo yes",
    "echo $((1 + 2))",
]
BAD = ["echo 'it is hot", "if true; then echo", "echo $(date", "( true", "echo )", "for i in 1 2; echo $i; done", "fi"]


@pytest.mark.parametrize("command", GOOD)
def test_good_commands(workshop: Workshop, command: str) -> None:
    """What the shell can read is no finding."""
    assert workshop.codes(job(command)) == []


@pytest.mark.parametrize("command", BAD)
def test_bad_commands(workshop: Workshop, command: str) -> None:
    """What the shell cannot read is an error."""
    assert [code for _, code in workshop.codes(job(command))] == ["PB114"]


def test_place_of_the_mistake(workshop: Workshop) -> None:
    """The finding is at the line that the shell names, in its words."""
    assert workshop.found(job("true\necho )\ntrue")) == [
        (
            "units/x.pxu:5: PB114 error: org.example::a: field 'command': the shell cannot read it: syntax error near"
            " unexpected token `)'"
        )
    ]


def test_bad_among_good() -> None:
    """Each bad script is found among many good ones, whatever it would swallow of them, and no good one is blamed."""
    scripts = [script for good in GOOD for script in (good, *BAD, good)]
    expected = {number for number, script in enumerate(scripts) if script in BAD}
    assert syntax_errors(scripts).keys() == expected
    assert syntax_errors([*scripts, "}", "{", "} ; {"]).keys() == expected | {len(scripts) + n for n in range(3)}


def test_scripts_that_would_complete_each_other() -> None:
    """Two halves of a quote or of a block do not make a good whole."""
    for one, other in (("echo 'a", "b'"), ("if true; then", "fi"), ("cat <<X", "X"), ("echo \\", "b"), ("}", "{")):
        assert syntax_errors(["true; true", one, other, "true; true"]).keys() - {1, 2} == set()
        if "X" not in one and "\\" not in one:
            assert syntax_errors([one, other]).keys() == {0, 1}


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a script, nor a substitution in it, nor what the environment names is run."""
    mark = tmp_path / "mark"
    startup = tmp_path / "startup"
    startup.write_text(f"touch {mark}\n")
    monkeypatch.setenv("BASH_ENV", str(startup))
    monkeypatch.setenv("ENV", str(startup))
    scripts = [
        f"touch {mark}",
        f"echo $(touch {mark})",
        f"set +n; touch {mark}",
        f"}}; touch {mark}; {{",
        "cat <<X\n$(touch",
    ]
    for shell in ("bash", "/bin/sh"):
        syntax_errors(scripts, shell)
        for script in scripts:
            syntax_errors([script], shell)
    assert not mark.exists()


def test_other_shell(workshop: Workshop) -> None:
    """A job for sh is read by sh, which has no [[ ]] patterns and no arrays."""
    assert workshop.codes(job("a=(1 2)")) == []
    assert [code for _, code in workshop.codes(job("a=(1 2)", "shell: /bin/sh\n"))] == ["PB114"]


def test_shell_that_is_not_there() -> None:
    """Without the shell nothing is found, and nothing breaks."""
    assert syntax_errors(BAD, "/no/such/shell") == {}


class TestTemplates:
    HEAD = (
        "id: r\nplugin: resource\ncommand: true\n\n"
        "unit: template\ntemplate-summary: S\ntemplate-resource: r\nflags: simple\n"
    )

    def test_parameters(self, workshop: Workshop) -> None:
        """Commands are read with the parameters filled in."""
        assert workshop.codes(f"{self.HEAD}id: a-{{x}}\ncommand: awk '{{{{print $1}}}}' {{x}}") == []
        assert workshop.codes(f"{self.HEAD}id: a-{{x}}\ncommand: awk '{{{{print $1}}}} {{x}}") == [(10, "PB114")]

    def test_branches(self, workshop: Workshop) -> None:
        """Where Jinja2 decides which lines there are, the shell is not asked."""
        text = f"{self.HEAD}id: a-{{{{ x }}}}\ntemplate-engine: jinja2\ncommand:\n"
        assert workshop.codes(text + " {% if x == 'y' %}echo 'a{% endif %}\n") == []
        assert workshop.codes(text + " echo '{{ x }}\n") == [(12, "PB114")]


def test_old_variables(workshop: Workshop) -> None:
    """Each old name of a variable is advice, at its line."""
    assert workshop.found(job('ls "$CHECKBOX_SHARE"\nls "$PLAINBOX_PROVIDER_DATA" $CHECKBOX_DATA/a')) == [
        (
            "units/x.pxu:4: PB104 advice: org.example::a: field 'command': $CHECKBOX_SHARE is deprecated"
            " (write $PLAINBOX_PROVIDER_DATA)"
        ),
        (
            "units/x.pxu:5: PB104 advice: org.example::a: field 'command': $CHECKBOX_DATA is deprecated"
            " (write $PLAINBOX_SESSION_SHARE)"
        ),
    ]
    assert workshop.codes(job("echo $MY_CHECKBOX_DATA $CHECKBOX_DATABASE")) == []
