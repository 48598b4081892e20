# SPDX-License-Identifier: Apache-2.0
"""Chains: which one a job gets, what is in it, where that comes from, and what is wrong with one."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.config import AdviceSettings, RemoteSection, Text
from plainbox.errors import ChainError
from plainbox.tasks import Advice, Configuration, ExecutionEngine, MemorySink, Surroundings
from plainbox.tasks import registry as registry_module
from plainbox.tasks.chains import Chains
from plainbox.tasks.parameters import Secret, parameters_of
from plainbox.tasks.specs import Writing, parse_specs, quoted
from plainbox.units import JobDefinition, Origin


def job(name: str = "job", **fields: str) -> JobDefinition:
    data = {"id": name, "plugin": "shell", "command": "true"}
    return JobDefinition(
        {**data, **{key.replace("_", "-"): value for key, value in fields.items()}}, origin=Origin("units.pxu", 1)
    )


def chains(*layers: dict[str, str], rules: dict[str, str] | None = None, **given) -> Chains:
    """Return the chains of layers, the weakest first."""
    texts = [
        {name: Text(text, f"file-{number}", 7) for name, text in layer.items()}
        for number, layer in enumerate(layers, 1)
    ]
    remotes = {"bench-3": RemoteSection({"host": "dut"}, "file-1", 20), **given.pop("remotes", {})}
    ruled = tuple((pattern, Text(name, "file-1", 30)) for pattern, name in (rules or {}).items())
    return Chains(AdviceSettings(tuple(texts), remotes, ruled), **given)


def names(found: Chains, of: JobDefinition | None = None) -> list[str]:
    return [link.name for link in found.of(of or job()).links]


class Talkative(Advice):
    """Has parameters of every kind."""

    operator_only = ("place",)

    def __init__(
        self,
        word: str,
        token: Secret | None = None,
        kind: Literal["a", "b"] = "a",
        loud: bool = False,
        place: str = "here",
        inner: object = None,
    ) -> None:
        if word == "bad":
            raise ValueError("that word is bad")
        self.given = (word, token, kind, loud, place)


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be an advice of another package."""
    known = registry_module.advice_class
    found = lambda name: Talkative if name == "talk" else known(name)  # noqa: E731
    monkeypatch.setattr("plainbox.tasks.links.advice_class", found)
    monkeypatch.setattr("plainbox.tasks.links.known_advices", lambda: ["retry", "talk", "timeout"])


# -- the grammar


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("log", [("log", [])]),
        ("none", []),
        (" log ,\n trace() ", [("log", []), ("trace", [])]),
        ("skip-if(\"a.b == 'x, (y)'\")", [("skip-if", [(None, "a.b == 'x, (y)'")])]),
        ("r(on=timeout fail, delay= 1m 30s )", [("r", [("on", "timeout fail"), ("delay", "1m 30s")])]),
        (r'x(a="say \"hi\" \d \\")', [("x", [("a", 'say "hi" \\d \\')])]),
        ("x(max-bytes=3)", [("x", [("max_bytes", "3")])]),
        ("x(a='')", [("x", [("a", "")])]),
    ],
)
def test_grammar(text, specs):
    """Names, parameters, quoted values, and ``none`` for nothing."""
    found = parse_specs(Writing(text, "file"))
    assert [(spec.name, [(argument.name, argument.value) for argument in spec.arguments]) for spec in found] == specs


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("log,", "the name of an advice is wanted here", 4),
        ("log trace", "a comma, or the end is wanted here", 4),
        ("log(", "a value is wanted here", 4),
        ("log(a=1", "a comma or ')' is wanted here", 7),
        ("log(a=,)", "a value is wanted here", 6),
        ('log(a="x)', "a quote that is never closed", 6),
        ("log(a=x(1))", "a comma or ')' is wanted here", 7),
        ("(log)", "the name of an advice is wanted here", 0),
    ],
)
def test_mistakes_of_the_grammar(text, message, column):
    """A mistake is shown in its line, with a mark below the place."""
    with pytest.raises(ChainError) as caught:
        parse_specs(Writing(text, "file", 3))
    first, line, mark = str(caught.value).split("\n")
    assert first == f"file:3: {message}"
    assert line == f"    {text}"
    assert mark == " " * (4 + column) + "^"


def test_line_of_a_mistake():
    """A mistake in a later line of a value is told with that line."""
    with pytest.raises(ChainError, match=r"file:4: a comma.*\n    trace x\n          \^"):
        parse_specs(Writing("log,\ntrace x", "file", 3))


@given(st.text(max_size=30))
def test_any_text(text):
    """Any text is a chain or a mistake."""
    with suppress(ChainError):
        assert all(spec.name for spec in parse_specs(Writing(text, "file", 1)))


@given(st.text(max_size=30))
def test_quoted(value):
    """A value can be written so that it is read as it was."""
    [spec] = parse_specs(Writing(f"x(a={quoted(value)})", "file"))
    assert spec.arguments[0].value == value


# -- layers


def test_built_in():
    """Without any definition a job has the built-in chain; the outermost advice comes first."""
    assert names(Chains()) == ["log", "trace", "cache", "timeout"]


def test_stronger_layer():
    """A definition takes the place of a weaker one of its name as a whole."""
    assert names(chains({"default": "log, trace"}, {"default": "timeout"})) == ["timeout"]


def test_inherit():
    """``inherit`` splices in the weaker chain of the name, at any place, or the strongest default one."""
    found = chains(
        {"default": "log"},
        {"default": "trace, inherit, timeout", "dut": "inherit, retry"},
        {"dut": "skip-if('a.b'), inherit"},
    )
    assert names(found) == ["trace", "log", "timeout"]
    assert names(found, job(advice_chain="dut")) == ["skip-if", "trace", "log", "timeout", "retry"]


def test_empty_definition():
    """An empty text takes nothing away; ``none`` is a chain without advice."""
    assert names(chains({"default": ""})) == names(Chains())
    assert names(chains({"default": "none"})) == []


def test_longest_chain():
    """A chain has 64 advices at most, spliced ones counted."""
    assert len(names(chains({"default": ", ".join(["log"] * 60)}, {"default": "inherit, log, log, log, log"}))) == 64
    with pytest.raises(ChainError, match="'default' has more than 64 advices"):
        chains({"default": ", ".join(["log"] * 60)}, {"default": "inherit, inherit"})


def test_command_line():
    """Definitions of the command line are the strongest, each splices in the one before it."""
    found = chains({"default": "log"}, commands=["default=inherit, trace", "default=inherit, timeout"])
    assert names(found) == ["log", "trace", "timeout"]
    assert found.of(job()).links[-1].source == "command line: --advice default"


# -- which chain


def test_choice():
    """The command line comes before the first rule that matches the whole id, that before the unit, then the default."""
    layer = {"a": "log", "b": "trace", "c": "timeout"}
    rules = {"x.*": "a", "xy": "b"}
    found = chains(layer, rules=rules)
    assert found.of(job("xy", advice_chain="c")).name == "a"
    assert found.of(job("yx", advice_chain="c")).name == "c"
    assert found.of(job("yx")).name == "default"
    assert [found.choice(job(name, advice_chain="c")) for name in ("xy", "yx")] == [
        "file-1:30",
        "units.pxu:1: advice-chain",
    ]
    chosen = chains(layer, rules=rules, chosen="b")
    assert chosen.of(job("xy", advice_chain="c")).name == "b"
    assert chosen.choice(job("xy")) == "command line: --chain b"


def test_made_once():
    """Jobs that share a chain share its advices; those with parameters of their own do not."""
    found = Chains()
    own = job("b", advice_parameters="timeout.limit: 3")
    assert found.of(job("a")) is found.of(job("b"))
    assert found.of(own) is found.of(own) is not found.of(job("a"))


def test_engine_uses_the_chain_of_the_job():
    """A job is executed with the chain that is meant for it."""
    configuration = Configuration().use_job_chains(chains({"limited": "timeout(limit=0.2s, grace=0.1s)"}))
    engine = ExecutionEngine(configuration)
    sleeper = JobDefinition({"id": "a", "plugin": "shell", "command": "sleep 60", "advice-chain": "limited"})
    result = engine.execute(sleeper, Surroundings(os.environ, MemorySink(), lambda process: None))
    assert result.get().timed_out


def test_unit_with_an_unknown_chain_is_not_executed():
    """A job that turns up during a run with a chain that is not known is an execution that could not be carried out."""
    started = []
    surroundings = Surroundings(os.environ, MemorySink(), started.append)
    result = ExecutionEngine().execute(job(advice_chain="dut"), surroundings)
    assert isinstance(result.exception, ChainError)
    assert started == []


# -- parameters


def test_parameters_and_sources():
    """Each parameter knows who says it: the configuration, the unit, or nobody."""
    found = chains({"default": "retry(attempts=2, delay=1m 30s)"})
    [link] = found.of(job(advice_parameters="retry.attempts: 5\nretry.on: fail timeout")).links
    assert (link.advice.attempts, link.advice.delay, link.advice.on) == (5, 90.0, ("fail", "timeout"))
    assert [(parameter.name, parameter.text, parameter.source) for parameter in link.parameters] == [
        ("attempts", "5", "units.pxu:1: advice-parameters"),
        ("delay", "1m 30s", "file-1:7"),
        ("backoff", "2", "default"),
        ("jitter", "0.1", "default"),
        ("on", "fail timeout", "units.pxu:1: advice-parameters"),
    ]
    assert str(link) == "retry(attempts=5, delay=1m 30s, on=fail timeout)"


def test_command_line_wins_over_the_unit():
    """What is given on the command line holds against the parameters of units; the rest they may set."""
    [link] = (
        chains(commands=["default=retry(attempts=2)"])
        .of(job(advice_parameters="retry.attempts: 5\nretry.delay: 3"))
        .links
    )
    assert (link.advice.attempts, link.advice.delay) == (2, 3.0)


def test_parameters_of_an_absent_advice():
    """Parameters of an advice that the chain does not have change nothing."""
    assert names(Chains(), job(advice_parameters="retry.attempts: 5")) == names(Chains())


def test_kinds(talkative):
    """Values are read as the annotations of the constructor say; what has no written form cannot be given."""
    [link] = chains({"default": "talk(word='x y', kind=b, loud=on)"}).of(job()).links
    assert link.advice.given == ("x y", None, "b", True, "here")
    assert "inner" not in parameters_of(Talkative)
    for wrong, message in {
        "talk(x, kind=c)": "kind: 'c' is none of a, b",
        "talk(x, loud=maybe)": "loud: 'maybe' is neither yes nor no",
        "talk(x, inner=1)": "unknown parameter of talk 'inner'; known: kind, loud, place, token, word",
        "talk": "talk needs a value for 'word'",
        "talk(x, y)": "write KEY=VALUE",
        "talk(x, word=y)": "'word' is given twice",
        "talk(bad)": "talk: that word is bad",
    }.items():
        with pytest.raises(ChainError, match=re.escape(f"file-1:7: {message}")):
            chains({"default": wrong})


def test_secrets(talkative):
    """A secret is never shown, and cannot be given on the command line."""
    found = chains({"default": "talk(word=x, token=hush)"})
    [link] = found.of(job()).links
    assert link.advice.given[1] == "hush"
    assert str(link) == "talk(word=x, token=***)"
    assert "hush" not in repr(found.described())
    with pytest.raises(ChainError, match="everybody on this machine sees 'token'"):
        chains(commands=["default=talk(word=x, token=hush)"])


def test_operator_only(talkative):
    """A provider cannot set what only operators may."""
    found = chains({"default": "talk(word=x, place=there)"})
    assert found.of(job()).links[0].advice.given[4] == "there"
    with pytest.raises(ChainError, match=r"units.pxu:1: advice-parameters: talk.place: only configuration files"):
        found.of(job(advice_parameters="talk.place: mine"))


@pytest.mark.parametrize(
    "text",
    [
        "talk(word=x, token=hush, loud=maybe)",
        "talk(loud=maybe, token='hu, sh')",
        "talk(word=x, token=hush), retry(attempts=two)",
        "talk(word=x, token = hush), log(",
        "talk(word=x, token='hush",
        "talk(word=bad, token=hush)",
    ],
)
def test_secret_beside_a_mistake(talkative, text):
    """The line that shows where a mistake is shows no secret of it, and still marks the mistake."""
    with pytest.raises(ChainError) as caught:
        chains({"default": text})
    assert "hu" not in str(caught.value)
    assert "***" in str(caught.value)
    _, line, marks = str(caught.value).split("\n")
    marked = line[marks.index("^") : marks.rindex("^") + 1]
    assert marked in ("maybe", "two", "talk", "***") or marks.index("^") == len(line)


def test_secret_by_its_declaration(monkeypatch):
    """A parameter that is declared to be a secret is one, whatever its name."""

    class Quiet(Advice):
        def __init__(self, key: Secret, count: int = 0) -> None:
            pass

    monkeypatch.setattr("plainbox.tasks.links.advice_class", lambda name: Quiet)
    for text in ("quiet(hush, count=x)", "quiet(key=hush, count=x)", 'quiet(count=x, key="hush")'):
        with pytest.raises(ChainError) as caught:
            Chains(commands=[f"other={text}"])
        assert "hush" not in str(caught.value)


# -- what is refused


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("log, retyr", "unknown advice 'retyr'; known: attach, .*", "did you mean 'retry'?"),
        ("retry(attempt=2)", "unknown parameter of retry 'attempt'; known: attempts, .*", "did you mean 'attempts'?"),
        ("retry(attempts=two)", "attempts: 'two' is no whole number from 0 on", None),
        ("retry(attempts=0)", "retry: attempts=0: from 1 to 1000 are possible", None),
        ("timeout(limit=soon)", "limit: 'soon' is no duration .*", None),
        ("cache, cache", "two 'cache' cannot be in one chain", None),
        (
            "retry, timeout(limit=1m, scope=total)",
            r"'timeout\(limit=1m, scope=total\)' cannot be inside of 'retry'.*",
            None,
        ),
        ("inherit(log)", "inherit has no parameters", None),
        ("cache, inherit", "two 'cache' cannot be in one chain", None),
        ("retry, cache", "'cache' cannot be inside of 'retry'.*", None),
        ("subprocess, cache", "'cache' cannot be inside of 'subprocess'.*", None),
    ],
)
def test_refused(text, message, hint):
    """Whatever is wrong with a chain is told with its place before anything runs."""
    with pytest.raises(ChainError) as caught:
        chains({"default": text})
    assert re.fullmatch(f"file-1:7: {message}", str(caught.value).split("\n")[0])
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


def test_all_mistakes_at_once():
    """Several mistakes are one error that tells of all, one that several chains share only once."""
    with pytest.raises(ChainError) as caught:
        chains({"default": "lgo", "a": "inherit", "b": "retry("}, rules={"(": "b", "x": "c"}, chosen="d")
    text = str(caught.value)
    assert text.startswith("5 mistakes in advice chains\n")
    assert text.count("unknown advice 'lgo'") == 1
    for part in (
        "a value is wanted here",
        "'(' is no regular",
        "unknown advice chain 'c'",
        "--chain: unknown advice chain 'd'",
    ):
        assert part in text


def test_unit_that_means_nothing():
    """A chain, an advice and a parameter that a unit names must be known."""
    found = chains({"default": "retry"})
    for fields, message in {
        ("advice_chain", "dut"): "units.pxu:1: unknown advice chain 'dut'; known: default",
        ("advice_parameters", "retyr.on: x"): "units.pxu:1: advice-parameters: unknown advice 'retyr'",
        (
            "advice_parameters",
            "retry.no: x",
        ): "units.pxu:1: advice-parameters: retry.no: unknown parameter of retry 'no'",
        (
            "advice_parameters",
            "retry.attempts: x",
        ): "units.pxu:1: advice-parameters: retry.attempts: attempts: 'x' is no",
        ("advice_parameters", "timeout.limt: 3"): "timeout.limt: unknown parameter of timeout 'limt'",
        ("advice_parameters", "timeout.scope: all"): "timeout.scope: scope: 'all' is none of",
        ("advice_parameters", "cache.directory: /x"): "cache.directory: only configuration files",
    }.items():
        with pytest.raises(ChainError, match=re.escape(message)):
            found.of(job(**{fields[0]: fields[1]}))


def test_unit_and_a_limit_of_the_operator():
    """What a unit says counts for the innermost advice of the name: a limit for all attempts is the operator's."""
    found = chains({"default": "cache, timeout(limit=10s, scope=total), retry, timeout"})
    total, each = (
        link.advice for link in found.of(job(advice_parameters="timeout.limit: 1h")).links if "time" in str(link)
    )
    assert (total.limit, total.scope) == (10, "total")
    assert (each.limit, each.scope) == (3600, "attempt")


def test_mistake_of_a_splice():
    """What does not fit into a chain is shown at the word that brings it there."""
    for text in ("log, cache, inherit", "inherit, inherit"):
        with pytest.raises(ChainError, match=r"^file-1:7: two 'cache'") as caught:
            chains({"default": text})
        _, line, marks = str(caught.value).split("\n")
        assert line.rstrip()[marks.index("^") :] == "inherit"


def test_remote_that_no_chain_names():
    """A remote that means nothing is told, though no chain names it."""
    remotes = {"odd": RemoteSection({"host": "dut", "prot": "22"}, "file-2", 4)}
    with pytest.raises(ChainError, match=r"file-2:4: \[remote:odd\] unknown setting 'prot'.*") as caught:
        chains(remotes=remotes)
    assert caught.value.hint == "did you mean 'port'?"


def test_remotes(monkeypatch: pytest.MonkeyPatch):
    """A remote that no operator has defined is an error that lists those there are; only operators say where one is."""

    class Moving(Advice):
        def __init__(self, remote: Remote) -> None:  # noqa: F821 - annotations are read as text
            self.remote = remote

    monkeypatch.setattr("plainbox.tasks.links.advice_class", lambda name: Moving)
    monkeypatch.setattr("plainbox.tasks.links.known_advices", lambda: ["move"])
    with pytest.raises(ChainError, match="unknown remote 'bench-4'; known: bench-3") as caught:
        chains({"default": "move(remote=bench-4)"})
    assert caught.value.hint == "did you mean 'bench-3'?"
    found = chains({"default": "move(remote='ssh://tester@dut:2222')"})
    assert found.of(job()).advices[0].remote.port == 2222
    with pytest.raises(ChainError, match=r"advice-parameters: move.remote: unknown remote 'ssh://evil'"):
        found.of(job(advice_parameters="move.remote: ssh://evil"))


def test_described():
    """What decides about all executions is told as texts that differ when it does."""
    one = chains({"dut": "inherit, retry(attempts=2)"}, rules={"x": "dut"})
    assert one.described() == {
        "chain default": "log, trace, cache, timeout",
        "chain dut": "log, trace, cache, timeout, retry(attempts=2)",
        "rule x": "dut",
    }
    assert chains({"dut": "none"}, chosen="dut").described() == {"chain dut": "none"}


def test_chain_of_a_program():
    """A chain that a program has set comes before one that is written."""
    advice = Advice()
    configuration = Configuration().use_job_chains(chains({"dut": "log"})).add_advice_chain(advice)
    assert configuration.chain_of(job()).advices == (advice,)
    assert [link.name for link in configuration.chain_of(job(advice_chain="dut")).links] == ["log"]
    assert [link.name for link in configuration.chain_of(job(), "dut").links] == ["log"]
