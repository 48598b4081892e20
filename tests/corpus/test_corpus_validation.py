# SPDX-License-Identifier: Apache-2.0
"""What Plainbox finds in existing providers is what Checkbox finds, or is different for a reason that is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs
import pytest
from checkbox_record import FIVE, Corpus, load

from plainbox.providers import Provider
from plainbox.providers.lint import lint
from plainbox.units import Code, Severity, TemplateUnit

#: What Checkbox calls the findings.
KINDS: Mapping[Code, str] = {
    Code.MISSING: "missing",
    Code.WRONG: "wrong",
    Code.DEPRECATED: "deprecated",
    Code.USELESS: "useless",
    Code.TEMPLATE_CONSTANT: "constant",
    Code.TEMPLATE_VARIABLE: "variable",
    Code.UNKNOWN_PARAMETER: "unknown_param",
    Code.TEXT_FOR_LIST: "deprecated",
    Code.NOT_UNIQUE: "not_unique",
    Code.UNKNOWN_REFERENCE: "bad_reference",
    Code.WRONG_REFERENCE: "bad_reference",
    Code.OVERLAP: "bad_reference",
}


@attrs.frozen(order=True)
class Finding:
    unit: str
    field: str
    kind: str
    severity: str


@attrs.frozen
class Both:
    """The findings of both programs in one provider, with their number."""

    ours: Counter[Finding]
    theirs: Counter[Finding]
    #: Whether Plainbox calls the provider valid where Checkbox is asked.
    valid: bool
    templates: frozenset[str]
    #: plan -> all plans that are part of it
    parts: Mapping[str, Sequence[str]]

    def with_parts(self, finding: Finding) -> int:
        """Return how often Plainbox has a finding in a plan or in one of its parts."""
        plans = (finding.unit, *self.parts.get(finding.unit, ()))
        return sum(self.ours[attrs.evolve(finding, unit=plan)] for plan in plans)


Rule = Callable[[Finding, Both], bool]

#: Why Plainbox has a finding that Checkbox has not.
MORE: Mapping[str, Rule] = {
    "Checkbox does not look up the references of templates": lambda finding, both: (
        finding.unit in both.templates and finding.kind == "bad_reference"
    ),
    "Checkbox does not look up nested parts": lambda finding, both: (
        (finding.field, finding.kind, finding.severity) == ("nested_part", "bad_reference", "warning")
    ),
    "Checkbox does not look up manifest entries": lambda finding, both: (
        (finding.field, finding.kind, finding.severity) == ("requires", "bad_reference", "warning")
    ),
    "Checkbox takes the id of a job for its summary and misses nothing": lambda finding, both: (
        (finding.field, finding.kind, finding.severity) == ("summary", "missing", "advice")
    ),
    "Checkbox does not look for entries that mean nothing": lambda finding, both: finding.kind == "dead entry",
}

#: Why Checkbox has a finding that Plainbox has not, or has it more often.
LESS: Mapping[str, Rule] = {
    "what is wrong with the bootstrap jobs of a nested part is told there alone": lambda finding, both: (
        finding.field == "bootstrap_include" and both.with_parts(finding) == both.theirs[finding]
    ),
    "a name that is imported from nowhere is told once, at its import": lambda finding, both: (
        finding.field == "requires" and both.ours[attrs.evolve(finding, field="imports")] >= both.theirs[finding]
    ),
}


@pytest.fixture(scope="module")
def validated(corpus: Corpus) -> dict[str, Both]:
    """The findings of each provider that Checkbox has validated."""
    return validate(corpus)


def validate(corpus: Corpus) -> dict[str, Both]:
    providers = {
        provider.name.rpartition(":")[2]: provider
        for provider in corpus.catalogue.providers
        if not provider.namespace.startswith("org.plainbox")
    }
    return {name: _both(corpus, providers[name], facts) for name, facts in corpus.expected["validation"].items()}


def _both(corpus: Corpus, provider: Provider, facts: dict) -> Both:
    report = lint([provider], corpus.catalogue)
    ours: Counter[Finding] = Counter(
        Finding(
            issue.unit_id or "",
            issue.field or "",
            KINDS.get(issue.code, issue.code.name.lower().replace("_", " ")),
            issue.severity,
        )
        for issue in report.issues
    )
    theirs: Counter[Finding] = Counter()
    for *words, count in facts["issues"]:
        theirs[Finding(*words)] += count
    templates = frozenset(unit.id for unit in provider.unit_list if isinstance(unit, TemplateUnit))
    parts = {plan: facts.get("nested_closure", ()) for plan, facts in corpus.expected["plans"].items()}
    return Both(ours, theirs, not report.failed(strict=True, as_checkbox=True), templates, parts)


def test_nothing_that_checkbox_finds_is_missed(validated: dict[str, Both]) -> None:
    """Unit, field, kind, severity and number are the same, but for what a rule explains."""
    missed = {
        finding: name
        for name, both in validated.items()
        for finding in both.theirs - both.ours
        if not any(rule(finding, both) for rule in LESS.values())
    }
    assert missed == {}


def test_nothing_is_found_without_a_reason(validated: dict[str, Both]) -> None:
    """What Checkbox does not find is something that it does not look for."""
    more = {
        finding: name
        for name, both in validated.items()
        for finding in both.ours - both.theirs
        if not any(rule(finding, both) for rule in MORE.values())
    }
    assert more == {}


def test_verdict(corpus: Corpus, validated: dict[str, Both]) -> None:
    """The strict validation of a provider ends as that of Checkbox, whatever Checkbox does not look for is found in it."""
    verdicts = {name: both.valid for name, both in validated.items()}
    assert verdicts == {name: facts["valid"] for name, facts in corpus.expected["validation"].items()}


def test_errors_are_those_of_checkbox(corpus: Corpus, validated: dict[str, Both]) -> None:
    """A provider that Checkbox takes for valid has errors only where Checkbox does not look."""
    for name, both in validated.items():
        errors = [finding for finding in both.ours if finding.severity == Severity.ERROR]
        looked_for = [finding for finding in errors if not any(rule(finding, both) for rule in MORE.values())]
        assert bool(looked_for) is not corpus.expected["validation"][name]["valid"]


def test_every_rule_explains_something() -> None:
    """No rule stands here for nothing: where references lead nowhere, each has something to explain."""
    validated = validate(load("expected.json", FIVE)).values()
    for reason, rule in MORE.items():
        assert any(rule(finding, both) for both in validated for finding in both.ours - both.theirs), reason
    for reason, rule in LESS.items():
        assert any(rule(finding, both) for both in validated for finding in both.theirs - both.ours), reason
