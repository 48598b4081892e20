# SPDX-License-Identifier: Apache-2.0
"""One advice of a chain: made of what its definition and the unit of a job say about its parameters.

Called for every spec of a chain when :mod:`plainbox.tasks.chains` makes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from plainbox.config import RemoteSection
from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice
from plainbox.tasks.parameters import MASK, REMOTE, ParameterDeclaration, parameters_of, shown
from plainbox.tasks.registry import advice_class, known_advices, unknown
from plainbox.tasks.specs import AdviceSpec, Argument, Writing, quoted
from plainbox.units.origin import Origin

if TYPE_CHECKING:
    from plainbox.tasks.remote import Remote

__all__ = [
    "UNIT_LINE",
    "ChainLink",
    "Parameter",
    "UnitParameters",
    "check_of_unit",
    "check_remotes",
    "join_chain_errors",
    "located",
    "make_link",
    "secrets_in",
    "unit_parameters",
]

UNIT_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\.([A-Za-z][A-Za-z0-9_-]*)\s*:\s*(.*)", re.DOTALL)
_IN_UNIT = "advice-parameters"


@attrs.frozen
class Parameter:
    """What a parameter of an advice is, as text, and who says so; secrets are masked."""

    name: str
    text: str
    source: str
    given: bool = True


@attrs.frozen
class ChainLink:
    """An advice in its chain, with all its parameters that can be written."""

    name: str
    advice: Advice
    parameters: tuple[Parameter, ...]
    source: str

    def __str__(self) -> str:
        """Return the spec with the parameters that somebody has given."""
        given = [f"{parameter.name}={quoted(parameter.text)}" for parameter in self.parameters if parameter.given]
        return f"{self.name}({', '.join(given)})" if given else self.name


@attrs.frozen
class UnitParameters:
    """What a unit says about advices: name of the advice -> parameter -> text."""

    origin: Origin | None
    texts: Mapping[str, Mapping[str, str]]


def unit_parameters(lines: Sequence[str], origin: Origin | None) -> UnitParameters:
    """Return what the lines ``advice.parameter: value`` of a unit say; :class:`ChainError` when any of it means nothing."""
    texts: dict[str, dict[str, str]] = {}
    for line in lines:
        match = UNIT_LINE.fullmatch(line)
        if match is None:
            error = ChainError(f"{line[:80]!r} is no parameter of an advice", hint="write advice.parameter: value")
            raise located(error, origin, _IN_UNIT)
        if match[1] not in known_advices():
            raise located(unknown("advice", match[1], known_advices()), origin, _IN_UNIT)
        name = match[2].replace("-", "_")
        try:
            check_of_unit(match[1], name, match[3].strip())
        except ChainError as error:
            raise located(error, origin, f"{_IN_UNIT}: {match[1]}.{name}") from None
        texts.setdefault(match[1], {})[match[2].replace("-", "_")] = match[3].strip()
    return UnitParameters(origin, texts)


def check_of_unit(advice: str, name: str, text: str) -> None:
    """Raise :class:`ChainError` when a unit cannot say this about an advice, whatever chain its job gets."""
    cls = advice_class(advice)
    if name in cls.operator_only:
        raise ChainError(
            f"only configuration files and the command line set {name!r} of {advice}, not a provider",
            hint="leave it out, and name a chain that an operator has defined",
        )
    declared = parameters_of(cls)
    if name not in declared:
        raise unknown(f"parameter of {advice}", name, declared)
    declared[name].read(text)


def secrets_in(specs: Iterable[AdviceSpec]) -> Iterator[tuple[int, int]]:
    """Yield where in a text values are that their advices declare as secret."""
    for spec in specs:
        try:
            declared = parameters_of(advice_class(spec.name))
        except (ChainError, ValueError, TypeError):
            continue  # told where the advice is made
        for argument in spec.arguments:
            declaration = declared.get(argument.name or next(iter(declared), ""))
            if declaration is not None and declaration.secret:
                yield argument.position, argument.end


def located(error: ChainError, origin: Origin | None, what: str | None = None) -> ChainError:
    """Return the error with the place that it is about."""
    return ChainError(error.message if what is None else f"{what}: {error.message}", origin=origin, hint=error.hint)


def join_chain_errors(errors: Sequence[ChainError]) -> ChainError:
    """Return the error that tells of all of ``errors``, of which there is one at least."""
    if len(errors) == 1:
        return errors[0]
    shown = [f"- {error}" + (f"\n  {error.hint}" if error.hint else "") for error in errors]
    return ChainError("\n".join([f"{len(errors)} mistakes in advice chains", *shown]))


def make_link(
    spec: AdviceSpec,
    writing: Writing,
    of_unit: UnitParameters,
    remotes: Mapping[str, RemoteSection],
    *,
    commanded: bool = False,
) -> ChainLink:
    """Return the advice that ``spec`` of ``writing`` means.

    What the unit of the job says counts more than the spec, unless that is ``commanded``. :class:`ChainError` when any of
    it means nothing.
    """
    try:
        cls = advice_class(spec.name)
        declared = parameters_of(cls)
    except (ChainError, ValueError, TypeError) as error:
        raise _at(spec, writing, error) from None
    reader = _Reader(spec, writing, declared, remotes)
    for argument in spec.arguments:
        reader.take(argument, commanded=commanded)
    for name, text in of_unit.texts.get(spec.name, {}).items():
        reader.take_of_unit(name, text, of_unit.origin, commanded=commanded)
    parameters = reader.complete()
    try:
        advice = cls(**reader.values)
    except (ChainError, ValueError, TypeError) as error:
        raise _at(spec, writing, error, f"{spec.name}: ") from None
    return ChainLink(spec.name, advice, parameters, str(writing.origin))


class _Reader:
    """Collects the values of one advice."""

    def __init__(
        self,
        spec: AdviceSpec,
        writing: Writing,
        declared: Mapping[str, ParameterDeclaration],
        remotes: Mapping[str, RemoteSection],
    ) -> None:
        self._spec = spec
        self._writing = writing
        self._declared = declared
        self._remotes = remotes
        self._parameters: dict[str, Parameter] = {}
        self.values: dict[str, object] = {}

    def take(self, argument: Argument, *, commanded: bool) -> None:
        """Take what the spec says."""
        try:
            name = self._name(argument)
            if commanded and self._declared[name].secret:
                raise ChainError(
                    f"everybody on this machine sees {name!r} on the command line, and the session would keep it",
                    hint="define the chain in a configuration file",
                )
            if name in self.values:
                raise ChainError(f"{name!r} is given twice")
            self._set(name, argument.value, str(self._writing.origin))
        except ChainError as error:
            length = max(1, len(argument.value))
            raise self._writing.error(str(error), argument.position, length, hint=error.hint) from None

    def take_of_unit(self, name: str, text: str, origin: Origin | None, *, commanded: bool) -> None:
        """Take what the unit of the job says, which is known to be possible."""
        try:
            if not (commanded and name in self.values):
                self._set(name, text, f"{origin}: {_IN_UNIT}", of_provider=True)
        except ChainError as error:
            raise located(error, origin, f"{_IN_UNIT}: {self._spec.name}.{name}") from None

    def complete(self) -> tuple[Parameter, ...]:
        """Return all parameters in the order of their declarations, those that nobody has given with their defaults."""
        for name, declaration in self._declared.items():
            if name not in self._parameters:
                if declaration.required:
                    error = ChainError(f"{self._spec.name} needs a value for {name!r}")
                    raise _at(self._spec, self._writing, error)
                text = MASK if declaration.secret and declaration.default else shown(declaration.default)
                self._parameters[name] = Parameter(name, text, "default", given=False)
        return tuple(self._parameters[name] for name in self._declared)

    def _name(self, argument: Argument) -> str:
        if argument.name is not None:
            self._check_known(argument.name)
            return argument.name
        if argument is not self._spec.arguments[0] or not self._declared:
            raise ChainError("write KEY=VALUE" if self._declared else f"{self._spec.name} has no parameters")
        return next(iter(self._declared))

    def _check_known(self, name: str) -> None:
        if name not in self._declared:
            raise unknown(f"parameter of {self._spec.name}", name, self._declared)

    def _set(self, name: str, text: str, source: str, *, of_provider: bool = False) -> None:
        declaration = self._declared[name]
        masked = MASK if declaration.secret else text
        if declaration.kind is REMOTE:
            self.values[name] = _remote(text, self._remotes, of_provider=of_provider)
        else:
            self.values[name] = declaration.read(text)
        self._parameters[name] = Parameter(name, masked, source)


def check_remotes(remotes: Mapping[str, RemoteSection]) -> list[ChainError]:
    """Return what is wrong with remotes, whether or not a chain names them."""
    if not remotes:
        return []
    from plainbox.tasks.remote import Remote

    problems = []
    for name, section in remotes.items():
        try:
            Remote.from_section(name, section.values, Origin(section.source, section.line))
        except ChainError as error:
            problems.append(error)
    return problems


def _remote(name: str, remotes: Mapping[str, RemoteSection], *, of_provider: bool) -> Remote:
    """Return the remote of a name; an operator may as well say with a URL where it is."""
    from plainbox.tasks.remote import Remote

    if "://" in name and not of_provider:
        return Remote.from_url(name)
    section = remotes.get(name)
    if section is None:
        raise unknown("remote", name, remotes)
    return Remote.from_section(name, section.values, Origin(section.source, section.line))


def _at(spec: AdviceSpec, writing: Writing, error: Exception, before: str = "") -> ChainError:
    message, hint = (error.message, error.hint) if isinstance(error, ChainError) else (str(error), None)
    return writing.error(f"{before}{message}", spec.position, len(spec.name), hint=hint)
