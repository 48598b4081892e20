# SPDX-License-Identifier: Apache-2.0
"""Which chain of advices a job gets, and what is in it: from the texts of the configuration to advices.

Made once for a run, before its first job. Layers of definitions stand above each other, the built-in one at the bottom,
then the configuration files, then the command line; a definition takes the place of a weaker one of its name, which it
may splice in with ``inherit``. A provider names chains and sets parameters, and defines nothing.

What must stay true: a chain is made once for all jobs that share it, and everything that is wrong with one is a
:class:`~plainbox.errors.ChainError` when it is asked for, not when an execution needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from plainbox.config import AdviceSettings
from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice
from plainbox.tasks.configuration import LONGEST_CHAIN
from plainbox.tasks.links import (
    ChainLink,
    UnitParameters,
    check_remotes,
    join_chain_errors,
    located,
    make_link,
    secrets_in,
    unit_parameters,
)
from plainbox.tasks.registry import unknown
from plainbox.tasks.specs import INHERIT, AdviceSpec, Writing, parse_specs
from plainbox.units.origin import Origin

if TYPE_CHECKING:
    from plainbox.units import JobDefinition

__all__ = ["BUILT_IN", "DEFAULT", "Chain", "Chains"]

DEFAULT: Final = "default"
#: What there is around a job when nobody says anything else.
BUILT_IN: Final = Writing("log, trace, cache, timeout", "built in")

_COMMAND_LINE: Final = "command line"
_PLACES: Final[Mapping[str | None, int]] = {"outer": 0, "middle": 1, "inner": 2}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@attrs.frozen
class Chain:
    """Advices around an execution, the outermost first."""

    name: str
    advices: tuple[Advice, ...]
    #: Nothing is known of the links of a chain that a program has made.
    links: tuple[ChainLink, ...] = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self.links)) or "none"


@attrs.frozen
class _Definition:
    writing: Writing
    specs: tuple[AdviceSpec, ...]
    #: Parameters that are given here hold against those of units.
    commanded: bool = False


@attrs.frozen(eq=False)
class _Entry:
    """An advice of a chain; ``outer`` is what stands for it in the definition of the chain itself."""

    spec: AdviceSpec
    definition: _Definition
    outer_spec: AdviceSpec
    outer_writing: Writing


@attrs.frozen
class _Rule:
    pattern: re.Pattern[str]
    chain: str
    source: str


class Chains:
    """All chains of one run.

    ``commands`` are definitions of the command line, ``NAME=SPECS``, each stronger than those before it; ``chosen`` is the
    chain that all jobs get.
    """

    def __init__(
        self, settings: AdviceSettings | None = None, *, commands: Sequence[str] = (), chosen: str | None = None
    ) -> None:
        """Raise :class:`ChainError` for whatever is wrong with any of it, all mistakes in one."""
        settings = settings if settings is not None else AdviceSettings()
        self._remotes = settings.remotes
        self._chosen = chosen
        self._made: dict[tuple[str, tuple[str, ...]], Chain] = {}
        problems: list[ChainError] = []
        self._layers: list[Mapping[str, _Definition]] = [{DEFAULT: _Definition(BUILT_IN, parse_specs(BUILT_IN))}]
        for layer in settings.layers:
            writings = {name: Writing(found.text, found.source, found.line) for name, found in layer.items()}
            self._layers.append(dict(_definitions(writings, problems)))
        for command in commands:
            name, separator, text = command.partition("=")
            writing = Writing(text, f"{_COMMAND_LINE}: --advice {name}")
            if not separator:
                problems.append(ChainError(f"--advice {command} defines nothing", hint="write --advice NAME=ADVICES"))
            self._layers.append(dict(_definitions({name.strip(): writing}, problems, commanded=True)))
        self._rules = tuple(self._read_rules(settings, problems))
        problems += check_remotes(settings.remotes)
        self._check(problems)
        if problems:
            raise join_chain_errors(problems)

    @property
    def names(self) -> list[str]:
        """The names of all chains there are."""
        return sorted({name for layer in self._layers for name in layer})

    def of(self, job: JobDefinition, *, as_id: str | None = None) -> Chain:
        """Return the chain of a job, one that a template makes ``as_id`` maybe.

        :class:`ChainError` when what its unit says about it means nothing.
        """
        name = self._chosen or self._ruled(as_id or job.id) or job.advice_chain or DEFAULT
        parameters = job.advice_parameters
        chain = self._made.get((name, parameters))
        if chain is None:
            field = "advice-parameters" if name in self.names else "advice-chain"
            chain = self.named(name, parameters, job.origin_of(field))
        return chain

    def choice(self, job: JobDefinition, *, as_id: str | None = None) -> str:
        """Return who says which chain a job gets, one that a template makes ``as_id`` maybe."""
        if self._chosen is not None:
            return f"{_COMMAND_LINE}: --chain {self._chosen}"
        rule = next((rule for rule in self._rules if rule.pattern.fullmatch(as_id or job.id)), None)
        if rule is not None:
            return rule.source
        return f"{job.origin_of('advice-chain')}: advice-chain" if job.advice_chain else DEFAULT

    def named(self, name: str, parameters: tuple[str, ...] = (), origin: Origin | None = None) -> Chain:
        """Return the chain of a name, with what a unit says about ``parameters``; ``origin`` is that of the unit.

        Of several advices of one name that is meant for the innermost.
        """
        made = self._made.get((name, parameters))
        if made is not None:
            return made
        if name not in self.names:
            raise located(unknown("advice chain", name, self.names), origin)
        of_unit = unit_parameters(parameters, origin)
        links: list[ChainLink] = []
        entries = list(self._entries(name, len(self._layers)))
        innermost = {entry.spec.name: entry for entry in entries}
        for entry in entries:
            meant = of_unit if innermost[entry.spec.name] is entry else UnitParameters(origin, {})
            writing = entry.definition.writing
            link = make_link(entry.spec, writing, meant, self._remotes, commanded=entry.definition.commanded)
            problem = _objection(link, links)
            if len(links) == LONGEST_CHAIN:
                problem = f"the chain {name!r} has more than {LONGEST_CHAIN} advices"
            if problem is not None:
                raise entry.outer_writing.error(problem, entry.outer_spec.position, len(entry.outer_spec.name))
            links.append(link)
        chain = Chain(name, tuple(link.advice for link in links), tuple(links))
        self._made[name, parameters] = chain
        return chain

    def described(self) -> dict[str, str]:
        """Return what decides about all executions, as texts that can be compared; secrets are masked.

        That are the chains that a job could get, the rules, and the remotes that these chains name.
        """
        chains = [self.named(name) for name in (self.names if self._chosen is None else [self._chosen])]
        texts = {f"chain {chain.name}": str(chain) for chain in chains}
        if self._chosen is None:
            texts.update({f"rule {rule.pattern.pattern}": rule.chain for rule in reversed(self._rules)})
        named = {parameter.text for chain in chains for link in chain.links for parameter in link.parameters}
        for name in sorted(named & self._remotes.keys()):
            values = self._remotes[name].values
            texts[f"remote {name}"] = ", ".join(f"{key}={value}" for key, value in sorted(values.items()))
        return texts

    # -- definitions

    def _entries(self, name: str, below: int) -> Iterator[_Entry]:
        """Yield what the strongest definition under layer number ``below`` is made of."""
        level = next((level for level in reversed(range(below)) if name in self._layers[level]), None)
        if level is None:
            yield from self._entries(DEFAULT, len(self._layers))
            return
        definition = self._layers[level][name]
        for spec in definition.specs:
            if spec.name == INHERIT:
                # Whatever does not fit in there, it is this that brings it.
                spliced = self._entries(name, level)
                yield from (attrs.evolve(entry, outer_spec=spec, outer_writing=definition.writing) for entry in spliced)
            else:
                yield _Entry(spec, definition, spec, definition.writing)

    # -- rules and checks

    def _ruled(self, job_id: str) -> str | None:
        for rule in self._rules:
            if rule.pattern.fullmatch(job_id):
                return rule.chain
        return None

    def _read_rules(self, settings: AdviceSettings, problems: list[ChainError]) -> Iterator[_Rule]:
        for pattern, found in settings.rules:
            origin = Origin(found.source, found.line)
            if not found.text:
                continue
            if found.text not in self.names:
                problems.append(located(unknown("advice chain", found.text, self.names), origin, "[advice-rules]"))
            try:
                yield _Rule(re.compile(pattern), found.text, str(origin))
            except (re.error, RecursionError, OverflowError) as error:
                problems.append(
                    ChainError(f"[advice-rules]: {pattern!r} is no regular expression: {error}", origin=origin)
                )

    def _check(self, problems: list[ChainError]) -> None:
        """Make every chain once: what is wrong with one is told, even if no job of this run gets it."""
        if self._chosen is not None and self._chosen not in self.names:
            problems.append(located(unknown("advice chain", self._chosen, self.names), None, "--chain"))
        for name in self.names:
            try:
                self.named(name)
            except ChainError as error:
                # A chain that splices in another one has the mistakes of that, too.
                if str(error) not in map(str, problems):
                    problems.append(error)


def _definitions(
    writings: Mapping[str, Writing], problems: list[ChainError], *, commanded: bool = False
) -> Iterator[tuple[str, _Definition]]:
    for name, writing in writings.items():
        if not writing.text.strip():
            continue
        try:
            if not _NAME.fullmatch(name):
                raise ChainError(f"{name!r} is no name of a chain", origin=writing.origin)
            specs = parse_specs(writing)
            _check_inherit(specs, writing)
            yield name, _Definition(attrs.evolve(writing, secrets=tuple(secrets_in(specs))), specs, commanded)
        except ChainError as error:
            problems.append(error)
            # Whoever names it is not wrong, too.
            yield name, _Definition(writing, (), commanded)


def _check_inherit(specs: Iterable[AdviceSpec], writing: Writing) -> None:
    for spec in specs:
        if spec.name == INHERIT and spec.arguments:
            raise writing.error(f"{INHERIT} has no parameters", spec.position, len(INHERIT))


def _objection(link: ChainLink, outer: Iterable[ChainLink]) -> str | None:
    """Return why an advice cannot be inside of those that are around it, None when it can."""
    for around in outer:
        if around.name in link.advice.excludes or link.name in around.advice.excludes:
            what = f"two {link.name!r}" if link.name == around.name else f"{around.name!r} and {link.name!r}"
            return f"{what} cannot be in one chain"
        places = _PLACES.get(around.advice.placement), _PLACES.get(link.advice.placement)
        if places[0] is not None and places[1] is not None and places[1] < places[0]:
            return f"{str(link)!r} cannot be inside of {str(around)!r}: it has to come before that"
    return None
