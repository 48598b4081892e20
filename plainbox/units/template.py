# SPDX-License-Identifier: Apache-2.0
"""The template: units made from the records of a resource."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

import attrs

from plainbox.errors import ExpressionError, FieldError
from plainbox.units import converters, fields
from plainbox.units.expressions import ResourceExpression, ResourceProgram, check_lines, parse_imports
from plainbox.units.fields import Field, choice
from plainbox.units.interpolation import names_in
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.record import Value
from plainbox.units.unit import Unit

__all__ = ["TemplateUnit"]

#: Findings about the text of a template, which are told without an instance.
_OF_THE_TEXT = (Code.TEMPLATE_SYNTAX, Code.UNKNOWN_FIELD)
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9\-_.:/\\]")


class TemplateUnit(Unit):
    """A template is named by its template id; its ``id`` field is the pattern of the instances' ids."""

    kind = "template"

    template_resource = Field(
        fields.TEXT,
        "The resource whose records make the instances: an id or a name from template-imports.",
        key="template-resource",
        required=True,
    )
    template_filter = Field(
        fields.LINES, "Resource expressions that a record must satisfy.", key="template-filter", default=()
    )
    template_imports = Field(
        fields.IMPORTS,
        "A name for a resource of another namespace: `from NAMESPACE import ID [as NAME]`.",
        key="template-imports",
        default=(),
    )
    template_unit = Field(fields.TEXT, "The kind of the instances.", key="template-unit", default="job")
    template_engine = Field(
        choice("default", "jinja2"),
        "The engine that fills in the fields.",
        key="template-engine",
        default="default",
    )
    template_partial_id = Field(
        fields.IDENTIFIER, "Name of the template; by default made of the field id.", key="template-id"
    )
    template_summary = Field(
        fields.LINE,
        "What the instances are about, in one line of at most 80 characters.",
        key="template-summary",
        translatable=True,
    )
    template_description = Field(fields.TEXT, "What the instances do.", key="template-description", translatable=True)

    @functools.cached_property
    def partial_id(self) -> str | None:
        declared = self.data.get("template-id")
        if isinstance(declared, str) and declared:
            return declared
        pattern = self.data.get("id", self.data.get("name"))
        return _NOT_IN_ID.sub("", pattern) or None if isinstance(pattern, str) else None

    @property
    def template_id(self) -> str:
        """The full id of the template, the same as :attr:`id`."""
        return self.id

    @property
    def engine(self) -> str:
        # The text of a template itself is never filled in.
        return "none"

    @property
    def instance_id_pattern(self) -> str:
        """The full id that instances have, with the parameters unfilled."""
        pattern = self.data.get("id", self.data.get("name", ""))
        return converters.qualify(str(pattern), self.namespace)

    @property
    def summary(self) -> str:
        summary = self.template_summary or self.data.get("_summary") or self.data.get("summary")
        return summary if isinstance(summary, str) else self.partial_id or ""

    @functools.cached_property
    def resource_id(self) -> str:
        """Full id of the resource job that the records come from."""
        try:
            imports = parse_imports(self.template_imports)
        except ExpressionError:
            imports = {}
        name = self.template_resource or ""
        return imports.get(name) or converters.qualify(name, self.namespace)

    @functools.cached_property
    def _filter(self) -> ResourceProgram | None:
        if not self.template_filter:
            return None
        return ResourceProgram(self.template_filter, self.namespace, parse_imports(self.template_imports))

    @functools.cached_property
    def instance_kind(self) -> type[Unit] | None:
        """The class of the instances, ``None`` when template-unit names no kind of unit."""
        from plainbox.units.kinds import KINDS

        return KINDS.get(self.template_unit)

    def instance_data(self) -> dict[str, Value]:
        """Return the fields that every instance has, unfilled."""
        data = {key: value for key, value in self.data.items() if not key.removeprefix("_").startswith("template-")}
        data["unit"] = self.template_unit
        data["template-engine"] = self.template_engine
        data["template-id"] = self.id
        return data

    @functools.cached_property
    def instance_parameters(self) -> frozenset[str]:
        """The names of the parameters that the instances' fields ask for."""
        return self.parameter_names

    def instantiate(self, record: Mapping[str, str], index: int) -> Unit | None:
        """Return the instance for a record, or ``None`` when the filter rejects the record.

        ``index`` counts the accepted records from 1. The instance is returned even when it is not a good unit; its
        ``issues`` say why.
        """
        try:
            if self._filter is not None and not self._filter.evaluate({self.resource_id: [record]}):
                return None
        except ExpressionError:
            return None
        kind = self.instance_kind
        if kind is None:
            return None
        return self._instance(kind, {name: record[name] for name in self.instance_parameters if name in record}, index)

    def unfilled(self) -> JobDefinition:
        """Return an instance without values: what the jobs made of the template have in common."""
        return JobDefinition(self.instance_data(), provider=self.provider, parameters={})

    def _instance(self, kind: type[Unit], parameters: Mapping[str, str], index: int) -> Unit:
        raw = {key: value for key, value in self.raw.items() if not key.removeprefix("_").startswith("template-")}
        return kind(
            self.instance_data(),
            raw=raw,
            origin=self.origin,
            offsets=self._offsets,
            provider=self.provider,
            parameters={**parameters, "__index__": str(index)},
            environment=self._environment,
        )

    # -- checks

    def check(self) -> Iterator[Issue]:
        for field in self.fields.values():
            yield from self._check_field(field)
        kind = self.instance_kind
        if kind is None:
            yield self.issue(Code.WRONG, f"no such kind of unit: {self.template_unit!r}", field="template-unit")
            return
        if issubclass(kind, TemplateUnit):
            yield self.issue(Code.WRONG, "a template makes no templates", field="template-unit")
            return
        if self.template_summary is None:
            yield self.issue(
                Code.MISSING,
                "a template has a summary of its own",
                severity=Severity.ADVICE,
                field="template-summary",
            )
        for key, value in self.data.items():
            name = key.removeprefix("_")
            known = self.fields.get(name) or kind.fields.get(name)
            is_own = name in self.fields or names_in(value, self.template_engine)  # an instance tells the others
            if key.startswith("_") and is_own and known is not None and not known.translatable:
                yield self._not_translated(name)
            if name in self.fields or key == "unit":
                continue
            if name not in kind.fields:
                yield self.issue(
                    Code.UNKNOWN_FIELD,
                    "no such field",
                    severity=Severity.WARNING,
                    field=key,
                    hint=fields.closest(name, {**kind.fields, **self.fields}),
                )
                continue
            try:
                found = self.check_template_field(kind.fields[name], value, self.template_engine)
            except FieldError as error:
                yield self.issue(Code.TEMPLATE_SYNTAX, error.message, field=name, line=error.line, hint=error.hint)
                continue
            if found is not None:
                yield self.issue(found[0], found[1], field=name)
        yield from self._check_filter()
        yield from self._check_instance(kind)

    def _check_filter(self) -> Iterator[Issue]:
        imports: dict[str, str] = {}
        for line, error in check_lines(
            self.data.get("template-imports"), lambda text: imports.update(parse_imports([text]))
        ):
            yield self.issue(Code.BAD_EXPRESSION, error.message, field="template-imports", line=line, hint=error.hint)
        if len(self.template_imports) > 1:
            yield self.issue(Code.WRONG, "a template imports one resource", field="template-imports", line=1)
        for line, error in check_lines(
            self.data.get("template-filter"), lambda text: self._check_filter_line(text, imports)
        ):
            yield self.issue(Code.BAD_EXPRESSION, error.message, field="template-filter", line=line, hint=error.hint)

    def _check_filter_line(self, text: str, imports: Mapping[str, str]) -> None:
        """Raise :class:`ExpressionError` for an expression that is none, or that asks another resource."""
        expression = ResourceExpression(text, self.namespace, imports)
        for variable, resource_id in expression.variables.items():
            if resource_id != self.resource_id:
                raise ExpressionError(
                    f"a filter knows the records of {self.resource_id!r} alone, not {variable!r}",
                    hint=fields.closest(variable, [self.template_resource or ""]),
                )

    def _check_instance(self, kind: type[Unit]) -> Iterator[Issue]:
        """Yield what would be wrong with an instance whatever the record says."""
        instance = self._instance(kind, {name: name.upper() for name in self.instance_parameters}, 1)
        for issue in instance.issues:
            if issue.code in _OF_THE_TEXT and issue.field != "siblings":
                continue
            value = instance.data.get(f"_{issue.field}", instance.data.get(issue.field or "", ""))
            if issue.code is Code.BAD_EXPRESSION or not names_in(value, self.template_engine):
                yield attrs.evolve(issue, unit_id=self.id)
