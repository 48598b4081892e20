# SPDX-License-Identifier: Apache-2.0
"""The job: the smallest thing that has an outcome."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

from plainbox.units import converters, fields
from plainbox.units.expressions import ResourceExpression, ResourceProgram, check_lines, parse_imports
from plainbox.units.fields import Field, InTemplate, choice, closest
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.record import Value
from plainbox.units.unit import Unit

__all__ = ["AUTOMATED_PLUGINS", "FLAGS", "JobDefinition"]

AUTOMATED_PLUGINS = ("shell", "resource", "attachment", "function")
_MANUAL_PLUGINS = ("manual", "user-interact", "user-verify", "user-interact-verify")
PLUGINS = (*AUTOMATED_PLUGINS, *_MANUAL_PLUGINS)

#: Flag -> what it does.
FLAGS: Mapping[str, str] = {
    "simple": "the plugin is shell",
    "pty": "the output of the job goes to a terminal of its own, for programs that show nothing in a pipe",
    "noreturn": "the job ends the program that runs it: a reboot, a power-off",
    "autorestart": "the session goes on by itself after a reboot",
    "preserve-cwd": "run in the directory of Plainbox, not in a temporary one",
    "has-leftovers": "files left in the temporary directory are no surprise",
    "reset-locale": "run in the C.UTF-8 locale",
    "preserve-locale": "run in the locale of the user, which is the default",
    "cachable": "the records of a resource job are kept for later sessions",
    "fail-on-resource": "an unmet requirement is a failure, not a skip",
    "also-after-suspend": "a sibling runs after the automatic suspend",
    "also-after-suspend-manual": "a sibling runs after the manual suspend",
    "suppress-output": "the output is not shown while the job runs",
    "use-chunked-io": "accepted for existing providers; output is always shown as it comes",
    "expect-reboot": "an unchanged boot id after the job is a crash",
    "explicit-fail": "accepted for existing providers; no effect",
    "win32": "accepted for existing providers; no effect",
    "deprecated": "accepted for existing providers; no effect",
}

_SUSPEND_NAMESPACE = "com.canonical.certification"
#: Flag -> (prefix of the sibling's id and group, the job that suspends the machine).
_AFTER_SUSPEND = {
    "also-after-suspend": ("after-suspend-", f"{_SUSPEND_NAMESPACE}::suspend/suspend_advanced_auto"),
    "also-after-suspend-manual": ("after-suspend-manual-", f"{_SUSPEND_NAMESPACE}::suspend/suspend_advanced"),
}


_CHAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADVICE_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\.[A-Za-z][A-Za-z0-9_-]*\s*:\s*\S.*")


def _default_plugin(job: JobDefinition) -> str | None:
    return "shell" if "simple" in job.flags else None


def _described(purpose: str | None, steps: str | None, verification: str | None) -> str | None:
    parts = {"PURPOSE": purpose, "STEPS": steps, "VERIFICATION": verification}
    return "\n\n".join(f"{title}:\n{text}" for title, text in parts.items() if text) or None


class JobDefinition(Unit):
    """A job as its provider defines it; what became of it belongs to a session."""

    kind = "job"

    _id = Field(
        fields.IDENTIFIER,
        "Name of the job, unique in its namespace; letters, digits and `._/-`.",
        key="id",
        required=lambda job: "name" not in job.data,
        template=InTemplate.MUST_VARY,
    )
    _name = Field(
        fields.TEXT,
        "Old name of the field id.",
        key="name",
        deprecated="write 'id'",
        template=InTemplate.MUST_VARY,
    )
    summary = Field(
        fields.LINE,
        "What the job is about, in one line of at most 80 characters.",
        default=lambda job: job.partial_id or "",
        translatable=True,
    )
    description = Field(
        fields.TEXT,
        "What the job does; by default made of purpose, steps and verification.",
        default=lambda job: _described(job.purpose, job.steps, job.verification),
        translatable=True,
        required=lambda job: job.plugin == "manual" and not (job.purpose or job.steps or job.verification),
        severity=Severity.WARNING,
        template=InTemplate.MAY_VARY,
    )
    purpose = Field(fields.TEXT, "What the job is for, shown before it runs.", translatable=True)
    steps = Field(fields.TEXT, "What the operator does, shown while the job runs.", translatable=True)
    verification = Field(fields.TEXT, "How the operator decides, shown after the job.", translatable=True)
    plugin = Field(
        choice(*PLUGINS),
        "The kind of job: who runs it and who decides.",
        default=_default_plugin,
        required=lambda job: "simple" not in job.flags,
        template=InTemplate.CONSTANT,
    )
    command = Field(
        fields.SCRIPT,
        "The shell script that the job runs.",
        required=lambda job: job.plugin not in ("manual", "function", None),
    )
    user = Field(
        fields.TEXT,
        "The account that the command runs as; the normal user by default.",
        template=InTemplate.CONSTANT,
    )
    environ = Field(fields.NAMES, "Environment variables that are kept when the user changes.", default=())
    shell = Field(
        choice("bash", "/bin/bash", "/bin/sh"),
        "The interpreter of the command.",
        default="bash",
        template=InTemplate.CONSTANT,
    )
    estimated_duration = Field(
        fields.DURATION,
        "How long the job takes, in seconds or as 1h 2m 3s.",
        severity=Severity.WARNING,
        template=InTemplate.CONSTANT,
    )
    depends = Field(fields.REFERENCES, "Jobs that must have passed before this one can run.", default=())
    after = Field(fields.REFERENCES, "Jobs that run before this one, whatever their outcome.", default=())
    before = Field(fields.REFERENCES, "Jobs that run after this one, if they run.", default=())
    salvages = Field(fields.REFERENCES, "Jobs whose failure this one is for: it runs only if they failed.", default=())
    group = Field(fields.TEXT, "Name of a group: its jobs run one after the other, with nothing between.")
    requires = Field(fields.LINES, "Resource expressions that must all hold, one on a line.", default=())
    imports = Field(
        fields.IMPORTS,
        "Names for resources of other namespaces: `from NAMESPACE import ID [as NAME]`.",
        default=(),
        template=InTemplate.CONSTANT,
    )
    category_id = Field(
        fields.REFERENCE,
        "The category that the job is reported in.",
        default="com.canonical.plainbox::uncategorised",
        template=InTemplate.CONSTANT,
    )
    certification_status = Field(
        choice("blocker", "non-blocker"),
        "Whether a failure keeps the machine from being certified.",
        key="certification-status",
        default="non-blocker",
        severity=Severity.WARNING,
        template=InTemplate.CONSTANT,
    )
    auto_retry = Field(
        choice("unspecified", "no"),
        "Whether a failed job may be tried again automatically.",
        key="auto-retry",
        default="unspecified",
        severity=Severity.WARNING,
        template=InTemplate.CONSTANT,
    )
    flags = Field(
        fields.FLAGS,
        "Words that switch behaviour on; see the flags.",
        default=frozenset(),
        template=InTemplate.CONSTANT,
    )
    siblings = Field(
        fields.MAPPINGS,
        "Further jobs like this one: each a mapping of the fields that differ.",
        default=(),
        translatable=True,
    )
    template_engine = Field(
        choice("default", "jinja2"),
        "The engine that fills in the fields.",
        key="template-engine",
        default="default",
    )
    template_id = Field(
        fields.REFERENCE,
        "Full id of the template that the job is an instance of; set by Plainbox.",
        key="template-id",
    )
    # What Plainbox adds to jobs
    function = Field(
        fields.FUNCTION,
        "The Python function that a function job calls: package.module:name.",
        required=lambda job: job.plugin == "function",
    )
    args = Field(fields.VALUES, "Positional arguments of the function.", default=())
    kwargs = Field(fields.MAPPING, "Keyword arguments of the function.", default=None)
    timeout = Field(fields.DURATION, "How long the job may take before it is ended; no limit by default.")
    uses = Field(fields.WORDS, "Names of locks: jobs that share one never run at the same time.", default=())
    on_crash = Field(
        choice("crash", "retry"),
        "What becomes of the job after an interrupted run.",
        key="on-crash",
        default="crash",
    )
    advice_chain = Field(fields.TEXT, "The advice chain that the job runs in.", key="advice-chain")
    advice_parameters = Field(
        fields.LINES,
        "Parameters of advices: advice.key: value, one on a line.",
        key="advice-parameters",
        default=(),
    )
    cache = Field(fields.FLAG, "Whether an earlier result may be used again.", default=False)
    tags = Field(fields.WORDS, "Words to select the job by.", default=())

    @functools.cached_property
    def partial_id(self) -> str | None:
        value = self.value_of("id") or self.value_of("name")
        return value if isinstance(value, str) and value else None

    @property
    def automated(self) -> bool:
        """Whether the job runs without a person."""
        return self.plugin in AUTOMATED_PLUGINS

    @property
    def resource_program(self) -> ResourceProgram | None:
        """The requirements as a program, ``None`` without any; a bad one raises :class:`ExpressionError`."""
        return self._resource_program if self.requires else None

    @functools.cached_property
    def _resource_program(self) -> ResourceProgram:
        return ResourceProgram(self.requires, self.namespace, parse_imports(self.imports))

    def tr_summary(self) -> str:
        """The summary in the reader's language."""
        return self.translated("summary") or self.summary

    def tr_purpose(self) -> str | None:
        """The purpose in the reader's language."""
        return self.translated("purpose")

    def tr_steps(self) -> str | None:
        """The steps in the reader's language."""
        return self.translated("steps")

    def tr_verification(self) -> str | None:
        """The verification in the reader's language."""
        return self.translated("verification")

    def tr_description(self) -> str | None:
        """The description in the reader's language, made of its parts when it is not written."""
        parts = (self.tr_purpose(), self.tr_steps(), self.tr_verification())
        return self.translated("description") or _described(*parts)

    @property
    def precedes(self) -> tuple[str, ...]:
        """Full ids of the jobs that run after this one, if they run.

        Beside ``before`` these are the jobs that suspend the machine for a sibling and not for this job: what is to be
        compared with the time after a suspend is done before it.
        """
        return self.before if self._is_alone else self._precedes

    @functools.cached_property
    def _precedes(self) -> tuple[str, ...]:
        waited_for = {target for sibling in self.siblings_units() for target in (*sibling.depends, *sibling.after)}
        own = {*self.before, *self.depends, *self.after, self.id}
        return (*self.before, *(job for _, job in _AFTER_SUSPEND.values() if job in waited_for and job not in own))

    # -- siblings

    @property
    def _is_alone(self) -> bool:
        """Whether the job brings no other one along."""
        return not self.siblings and self.flags.isdisjoint(_AFTER_SUSPEND)

    def siblings_units(self) -> tuple[JobDefinition, ...]:
        """Return the jobs that this one brings along: the declared siblings, then those after a suspend."""
        if self._is_alone:
            return ()
        result = [self._sibling(dict(overrides)) for overrides in self.siblings]
        for flag, (prefix, suspend_job) in _AFTER_SUSPEND.items():
            if flag in self.flags:
                result.append(self._sibling(self._after_suspend(prefix, suspend_job)))
        return tuple(result)

    def descendants(self) -> Iterator[JobDefinition]:
        """Yield the siblings of the job, each followed by those that it brings along itself."""
        pending = list(reversed(self.siblings_units()))
        while pending:
            sibling = pending.pop()
            yield sibling
            pending.extend(reversed(sibling.siblings_units()))

    def _sibling(self, overrides: Mapping[str, Value]) -> JobDefinition:
        return type(self)(
            _overridden(self.data, overrides),
            raw=_overridden(self.raw, overrides),
            origin=self.origin,
            offsets=self._offsets,
            provider=self.provider,
            parameters=self.parameters,
            environment=self._environment,
        )

    def _after_suspend(self, prefix: str, suspend_job: str) -> dict[str, Value]:
        # Made of the texts as they are written: those of a template are filled in when the sibling is read.
        partial_id = self._written("id") or self._written("name")
        needed = [converters.qualify(partial_id, self.namespace), suspend_job]
        depends = self.data.get("depends", "")
        # In quotes: what a template is filled in with may have blanks.
        more: Value = (
            [*depends, *needed]
            if isinstance(depends, list)
            else "\n".join([str(depends), *(f'"{identifier}"' for identifier in needed)])
        )
        overrides: dict[str, Value] = {
            "id": f"{prefix}{partial_id}",
            "_summary": f"{self._written('summary') or partial_id} after suspend (S3)",
            "flags": " ".join(sorted(self.flags - _AFTER_SUSPEND.keys())),
            "depends": more,
        }
        if self.group:
            overrides["group"] = f"{prefix}{self._written('group')}"
        return overrides

    def _written(self, key: str) -> str:
        """Return the text of a field before anything is filled in."""
        value = self.data.get("_" + key, self.data.get(key))
        return value if isinstance(value, str) else ""

    # -- checks

    def check(self) -> Iterator[Issue]:
        yield from super().check()
        for flag in sorted(self.flags - FLAGS.keys()):
            yield self.issue(
                Code.UNKNOWN_FLAG,
                f"no such flag: {flag!r}",
                severity=Severity.WARNING,
                field="flags",
                hint=closest(flag, FLAGS),
            )
        if self.plugin == "user-verify":
            yield self.issue(
                Code.DEPRECATED,
                "user-verify is deprecated",
                severity=Severity.ADVICE,
                field="plugin",
                hint="write user-interact-verify",
            )
        if self.plugin == "manual" and self.command:
            yield self._useless("command", "a manual job runs no command")
        if self.command == "" and self.plugin != "manual":
            yield self._useless("command", "an empty command always passes")
        if not self.command and self.plugin != "function":
            for field in ("user", "environ"):
                if field in self.data:
                    yield self._useless(field, "there is no command that it would be for")
        if self.user not in (None, "root"):
            yield self.issue(Code.WRONG, f"{self.user!r} is not root", severity=Severity.WARNING, field="user")
        yield from self._check_siblings()
        yield from self._check_program()
        yield from self._check_advice()

    def _useless(self, field: str, message: str) -> Issue:
        return self.issue(Code.USELESS, message, severity=Severity.WARNING, field=field)

    def _check_siblings(self) -> Iterator[Issue]:
        for overrides in self.siblings:
            for key in overrides:
                name = key.removeprefix("_")
                if name not in self.fields and name != "unit":
                    yield self.issue(
                        Code.UNKNOWN_FIELD,
                        f"a sibling has no field {key[:60]!r}",
                        severity=Severity.WARNING,
                        field="siblings",
                        hint=closest(name, self.fields),
                    )

    def _check_advice(self) -> Iterator[Issue]:
        if self.advice_chain is not None and not _CHAIN_NAME.fullmatch(self.advice_chain):
            message = f"{self.advice_chain[:60]!r} is no name of an advice chain"
            yield self.issue(Code.WRONG, message, field="advice-chain", hint="letters, digits, '.', '_' and '-'")
        for number, line in converters.numbered(self.value_of("advice-parameters") or "", lambda error: None):
            if not _ADVICE_PARAMETER.fullmatch(line):
                message = f"{line[:60]!r} is no parameter of an advice"
                hint = "write advice.parameter: value"
                yield self.issue(Code.WRONG, message, field="advice-parameters", line=number, hint=hint)

    def _check_program(self) -> Iterator[Issue]:
        imports: dict[str, str] = {}
        for line, error in check_lines(self.value_of("imports"), lambda text: imports.update(parse_imports([text]))):
            yield self.issue(Code.BAD_EXPRESSION, error.message, field="imports", line=line, hint=error.hint)
        requires = self.value_of("requires")
        for line, error in check_lines(requires, lambda text: ResourceExpression(text, self.namespace, imports)):
            yield self.issue(Code.BAD_EXPRESSION, error.message, field="requires", line=line, hint=error.hint)


def _overridden(data: Mapping[str, Value], overrides: Mapping[str, Value]) -> dict[str, Value]:
    """Return the fields of a job without its siblings, with those of one sibling in place of the same fields."""
    replaced = {key.removeprefix("_") for key in overrides}
    kept = {
        key: value
        for key, value in data.items()
        if not key.endswith("siblings") and key.removeprefix("_") not in replaced
    }
    return {**kept, **overrides}
