# SPDX-License-Identifier: Apache-2.0
"""What all kinds of units share: the record, the namespace, lazily converted fields, checks and identity."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Protocol

from plainbox.errors import FieldError, MissingParameterError
from plainbox.units import converters, fields
from plainbox.units.checksum import checksum
from plainbox.units.fields import Field, InTemplate, closest
from plainbox.units.interpolation import Environment, interpolate, names_in
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.origin import Origin
from plainbox.units.record import Place, Record, Value

__all__ = ["Unit", "UnitProvider"]


#: Types whose values mean nothing when they are empty, unlike lists.
_NOT_EMPTY = (fields.TEXT, fields.LINE, fields.IDENTIFIER)


class UnitProvider(Protocol):
    """What a unit needs to know of the provider that it comes from."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def gettext_domain(self) -> str | None: ...
    @property
    def base_dir(self) -> Path: ...
    @property
    def units_dir(self) -> Path | None: ...
    @property
    def jobs_dir(self) -> Path | None: ...
    @property
    def data_dir(self) -> Path | None: ...
    @property
    def bin_dir(self) -> Path | None: ...
    @property
    def locale_dir(self) -> Path | None: ...


class Unit:
    """A unit built from a mapping of its fields, or by the loader with origin and provider.

    ``parameters`` make it an instance of a template; its fields are filled in when they are read. Units are equal when
    kind and checksum are.
    """

    kind: ClassVar[str] = "unit"
    #: All fields of the kind by their name in files, in the order of their declaration.
    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    #: Fields of the class above that units of this kind do not have.
    not_fields: ClassVar[tuple[str, ...]] = ()
    #: For code written against Checkbox, which asks for ``unit.Meta.name``.
    Meta: ClassVar[SimpleNamespace]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {item.key: item for item in vars(cls).values() if isinstance(item, Field)}
        cls.fields = {key: item for key, item in {**cls.fields, **own}.items() if key not in cls.not_fields}
        if "Meta" not in vars(cls):
            cls.Meta = SimpleNamespace(name=cls.kind)

    def __init__(
        self,
        data: Mapping[str, object],
        *,
        raw: Mapping[str, Value] | None = None,
        origin: Origin | None = None,
        offsets: Mapping[str, Place] | None = None,
        provider: UnitProvider | None = None,
        parameters: Mapping[str, str] | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.data: dict[str, Value] = {key: _plain(value) for key, value in data.items() if value is not None}
        self.raw: Mapping[str, Value] = raw if raw is not None else self.data
        self.origin = origin
        self.provider = provider
        self.parameters = parameters
        self.field_cache: dict[str, Any] = {}
        self._offsets = offsets or {}
        self._environment = environment

    @classmethod
    def from_record(
        cls, record: Record, provider: UnitProvider | None = None, environment: Environment | None = None
    ) -> Unit:
        # The record's values are plain already; copying them again would cost a third of the loading time.
        unit = cls(
            {},
            raw=record.raw,
            origin=record.origin,
            offsets=record.offsets,
            provider=provider,
            environment=environment,
        )
        unit.data = dict(record.data)
        return unit

    # -- identity

    @property
    def namespace(self) -> str | None:
        return self.provider.namespace if self.provider is not None else None

    @functools.cached_property
    def partial_id(self) -> str | None:
        """The id as it is written; kinds without an id have none."""
        value = self.value_of("id")
        return value if isinstance(value, str) and value else None

    @functools.cached_property
    def id(self) -> str:
        """The full id; the empty text for kinds without one."""
        partial = self.partial_id
        return "" if partial is None else converters.qualify(partial, self.namespace)

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of what the unit says, 64 hexadecimal digits."""
        return checksum(self.data, self.namespace, self.parameters)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Unit):
            return NotImplemented
        return self.kind == other.kind and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id or self.origin}>"

    # -- values

    @property
    def engine(self) -> str:
        """The template engine in force for the fields; ``none`` for a unit that is written out."""
        declared = self.data.get("template-engine")
        if declared == "jinja2":
            return "jinja2"
        return "default" if self.parameters is not None else "none"

    def value_of(self, key: str) -> Value | None:
        """Return the value of a field as its record has it, filled in for an instance of a template.

        ``_key`` wins over ``key``. A parameter that is missing shows as ``MISSING_PARAM_<index>``.
        """
        value = self.data.get("_" + key)
        if value is None:
            value = self.data.get(key)
        if value is None:
            return None
        engine = self.engine
        if engine == "none" or key.startswith("template-"):
            return value
        parameters: Mapping[str, str] = self.parameters or {}
        try:
            return interpolate(value, parameters, engine, environment=self._environment)
        except MissingParameterError:
            marker = f"MISSING_PARAM_{parameters.get('__index__', '0')}"
        except FieldError:
            return value
        try:
            known = {name: parameters.get(name, marker) for name in names_in(value, engine)}
            return interpolate(value, known, engine, environment=self._environment)
        except FieldError:
            return value

    def translated(self, key: str) -> str | None:
        """Return the text of a field in the reader's language, as far as the provider has it."""
        raw = self.raw.get("_" + key)
        value = self.value_of(key)
        provider = self.provider
        # The empty message would be answered with the header of the catalogue.
        if not isinstance(raw, str) or not raw or provider is None or not provider.gettext_domain:
            return value if isinstance(value, str) else None
        from plainbox import i18n
        from plainbox.units.pxu import normalise

        message = i18n.provider_text(provider.gettext_domain, provider.locale_dir, raw)
        if message == raw:
            return value if isinstance(value, str) else None
        text = normalise(message)
        if self.engine == "none":
            return text
        try:
            filled = interpolate(text, self.parameters or {}, self.engine, environment=self._environment)
        except FieldError:
            return value if isinstance(value, str) else None
        return filled if isinstance(filled, str) else None

    def origin_of(self, key: str, line: int = 0) -> Origin | None:
        """Return where a field is: line ``line`` of its text or item ``line`` of its list, counted from 0."""
        if self.origin is None:
            return None
        place = self._offsets.get("_" + key, self._offsets.get(key, 0))
        if isinstance(place, tuple):
            return self.origin.line(place[min(line, len(place) - 1)])
        return self.origin.line(place + line)

    @functools.cached_property
    def parameter_names(self) -> frozenset[str]:
        """The template parameters that any field asks for."""
        engine = "jinja2" if self.data.get("template-engine") == "jinja2" else "default"
        names: set[str] = set()
        for key, value in self.data.items():
            if not key.startswith("template-"):
                names |= names_in(value, engine)
        return frozenset(names)

    # -- checks

    @functools.cached_property
    def issues(self) -> tuple[Issue, ...]:
        """Everything that is wrong with the unit as far as it can be known from the unit alone."""
        return tuple(self.check())

    @property
    def errors(self) -> tuple[Issue, ...]:
        return tuple(issue for issue in self.issues if issue.severity is Severity.ERROR)

    def check(self) -> Iterator[Issue]:
        """Yield what the fields' descriptions forbid; kinds add what they know themselves."""
        for key in self.data:
            yield from self._check_known(key)
        for field in self.fields.values():
            yield from self._check_field(field)

    def issue(
        self,
        code: Code,
        message: str,
        *,
        severity: Severity = Severity.ERROR,
        field: str | None = None,
        line: int = 0,
        hint: str | None = None,
    ) -> Issue:
        """Return an issue about this unit."""
        origin = self.origin_of(field, line) if field is not None else self.origin and self.origin.line()
        return Issue(code, severity, message, self.id or None, field, origin, hint)

    def _check_known(self, key: str) -> Iterator[Issue]:
        name = key.removeprefix("_")
        if key == "unit" or key in self.fields:
            return
        if self.parameters is not None and key.startswith("template-"):
            return  # what an instance has from its template
        if key.startswith("_") and name in self.fields:
            if not self.fields[name].translatable:
                yield self._not_translated(name)
            if name in self.data:
                yield self.issue(
                    Code.USELESS,
                    f"this field is given as {key!r} too, which counts",
                    severity=Severity.WARNING,
                    field=name,
                    hint="remove one of them",
                )
            return
        yield self.issue(
            Code.UNKNOWN_FIELD,
            "no such field",
            severity=Severity.WARNING,
            field=key,
            hint=closest(name, self.fields),
        )

    def _not_translated(self, name: str) -> Issue:
        return self.issue(
            Code.USELESS,
            "this field is not translated",
            severity=Severity.WARNING,
            field=name,
            hint=f"write {name!r}",
        )

    def _check_field(self, field: Field[Any]) -> Iterator[Issue]:
        key = field.key
        value = self.data.get("_" + key, self.data.get(key))
        if value is None:
            if self._requires(field):
                yield self.issue(Code.MISSING, "this field is required", severity=field.severity, field=key)
            return
        if value == "" and field.type in _NOT_EMPTY and self._requires(field):
            yield self.issue(Code.MISSING, "this field is required and empty", severity=field.severity, field=key)
            return
        if field.deprecated:
            yield self.issue(Code.DEPRECATED, "deprecated", severity=Severity.ADVICE, field=key, hint=field.deprecated)
        try:
            if self.engine != "none" and not key.startswith("template-"):
                interpolate(value, self.parameters or {}, self.engine, environment=self._environment)
        except MissingParameterError as error:
            yield self.issue(Code.UNKNOWN_PARAMETER, error.message, field=key)
            return
        except FieldError as error:
            yield self.issue(Code.TEMPLATE_SYNTAX, error.message, field=key, line=error.line, hint=error.hint)
            return
        found: list[FieldError] = []
        field.salvaged(self, found.append)
        for problem in found:
            yield self.issue(
                field.type.code,
                problem.message,
                severity=field.severity,
                field=key,
                line=problem.line,
                hint=problem.hint,
            )
        if field.type is fields.LINE and not found:
            yield from self._check_line(key)

    def _requires(self, field: Field[Any]) -> bool:
        return bool(field.required(self) if callable(field.required) else field.required)

    def _check_line(self, key: str) -> Iterator[Issue]:
        value = str(self.value_of(key))
        if "\n" in value:
            yield self.issue(Code.NOT_A_LINE, "this is shown in one line", severity=Severity.WARNING, field=key)
        elif len(value) > fields.MAX_LINE:
            yield self.issue(
                Code.NOT_A_LINE,
                f"{len(value)} characters, more than the {fields.MAX_LINE} that are shown",
                severity=Severity.WARNING,
                field=key,
            )

    @classmethod
    def check_template_field(cls, field: Field[Any], value: Value, engine: str) -> tuple[Code, str] | None:
        """Return what is wrong with a field of a template for units of this kind, if anything.

        A text that is no good template raises :class:`FieldError`.
        """
        names = names_in(value, engine, strict=True)
        if field.template is InTemplate.MUST_VARY and not names:
            return Code.TEMPLATE_CONSTANT, "the instances of a template need different values here"
        if field.template is InTemplate.CONSTANT and names:
            return Code.TEMPLATE_VARIABLE, "the instances of a template have one value here"
        return None


def _plain(value: object) -> Value:
    """Turn a Python value into what a file could have given."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)
