# SPDX-License-Identifier: Apache-2.0
"""The entry points that read what others wrote, each as a function of any bytes.

A target ends quietly or with an assertion. Errors of our own tree are the right answer to bad input and are caught here;
every other exception is a find, and so is an error without its place.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from plainbox.errors import ExpressionError, FieldError, PlainboxError, ProviderError, UnitError
from plainbox.providers.definition import from_file, from_source_tree
from plainbox.units import KINDS, JobDefinition, ResourceExpression, TemplateUnit, TestPlanUnit, pxu, read_units, yaml
from plainbox.units import converters as convert
from plainbox.units.expressions import check_lines, parse_imports
from plainbox.units.interpolation import interpolate, names_in
from plainbox.units.kinds import unit_from_record
from plainbox.units.overrides import parse_overrides
from plainbox.units.patterns import parse_include
from plainbox.units.record import Record
from plainbox.units.scanner import Token, scan
from plainbox.units.translation import translate

__all__ = ["TARGETS", "Target"]

_NAMESPACE = "org.example"
_VALUES = {"x": "1", "name": "a b", "y": ""}


@attrs.frozen
class Target:
    """``seeds`` are inputs to begin with; ``words`` are what the language is made of."""

    run: Callable[[bytes], None]
    seeds: tuple[str, ...]
    words: str = ""


def _is_good(error: PlainboxError, *, placed: bool = False) -> None:
    """Look at an error that was expected: it says something and, about a file, where; if ``placed``, the line."""
    assert error.message
    assert len(error.message) < 1000
    assert error.origin is not None or not isinstance(error, ProviderError)
    if placed:
        assert error.origin is not None
        assert error.origin.line_start is not None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _check_units(records: list[Record]) -> None:
    """Make units of the records and ask them for all that they know."""
    for record in records:
        try:
            unit = unit_from_record(record)
        except UnitError as error:
            _is_good(error, placed=True)
            continue
        for issue in unit.issues:
            assert str(issue)
            assert issue.origin is not None
            assert issue.origin.line_start is not None
        assert len(unit.checksum) == 64
        if isinstance(unit, JobDefinition):
            for sibling in unit.siblings_units()[:20]:
                assert isinstance(sibling.issues, tuple)
        if isinstance(unit, TemplateUnit):
            made = unit.instantiate(_VALUES, 1)
            assert made is None or isinstance(made.issues, tuple)
        if isinstance(unit, TestPlanUnit):
            assert isinstance(list(unit.own_overrides()), list)


def pxu_file(data: bytes) -> None:
    """The PXU parser and the units of what it reads."""
    found: list[UnitError] = []
    lines = list(io.StringIO(_text(data), newline="\n"))
    records = list(pxu.parse(lines, "x.pxu", on_error=found.append))
    for error in found:
        assert error.origin is not None
        assert 1 <= (error.origin.line_start or 0) <= len(lines)
    _check_units(records)


def yaml_file(data: bytes) -> None:
    """The YAML reader and the units of what it reads."""
    found: list[UnitError] = []
    records = list(yaml.parse(_text(data), "x.yaml", on_error=found.append))
    assert all(error.origin is not None for error in found)
    _check_units(records)


def unit_file(data: bytes) -> None:
    """A file as the loader meets it: any bytes, in both syntaxes."""
    for name in ("x.pxu", "x.yaml"):
        path = _DIRECTORY / name
        path.write_bytes(data)
        found: list[UnitError] = []
        read_units(path, on_error=found.append)
        assert all(error.origin is not None for error in found)


def translation(data: bytes) -> None:
    """A file that loads without a problem is translated, and means the same."""
    path = _DIRECTORY / "translate.pxu"
    path.write_bytes(data)
    found: list[UnitError] = []
    read_units(path, on_error=found.append)
    if not found:
        translate(path)


def lists(data: bytes) -> None:
    """The scanner, word lists, include lists and override lists."""
    text = _text(data)
    lines = text.count("\n") + 1
    assert all(0 <= lexeme.line < lines and isinstance(lexeme.kind, Token) for lexeme in scan(text))
    found: list[FieldError] = []
    for entry in parse_include(text, _NAMESPACE, found.append):
        assert 0 <= entry.line < lines
        entry.pattern.matches("org.example::foo")
    parse_overrides(text, _NAMESPACE, found.append)
    convert.references(text, _NAMESPACE, found.append)
    assert all(0 <= error.line < lines for error in found)


def values(data: bytes) -> None:
    """Every converter, and every field of every kind of unit."""
    text = _text(data)
    for function in (convert.duration, convert.flag, convert.identifier, convert.mapping, convert.mappings,
                     convert.values, convert.names, convert.lines, convert.words):  # fmt: skip
        try:
            function(text, _NAMESPACE)
        except FieldError as error:
            _is_good(error)
    for kind, cls in KINDS.items():
        unit = cls({"unit": kind, **dict.fromkeys(cls.fields, text)})
        assert all(str(issue) for issue in unit.issues)


def expressions(data: bytes) -> None:
    """Resource expressions and imports: read, checked, evaluated."""
    text = _text(data)
    records = {name: [_VALUES, {}] for name in ("org.example::r", "org.example::x")}
    imports: dict[str, str] = {}
    assert all(
        line >= 0 and error.message
        for line, error in check_lines(text, lambda one: imports.update(parse_imports([one])))
    )
    try:
        expression = ResourceExpression(text, _NAMESPACE, imports)
    except ExpressionError as error:
        _is_good(error)
        return
    assert expression.evaluate(records) in (True, False)
    assert expression.evaluate({name: [_VALUES] for name in expression.resource_ids}) in (True, False)


def templates(data: bytes) -> None:
    """Both engines: names, and filling in."""
    text = _text(data)
    for engine in ("default", "jinja2"):
        names_in(text, engine)
        try:
            filled = interpolate(text, {**_VALUES, "__index__": "1"}, engine)
        except FieldError as error:
            _is_good(error)
        else:
            assert len(str(filled)) <= 100_000 + 1000 * len(text)


def provider_file(data: bytes) -> None:
    """The definition of a provider."""
    path = _DIRECTORY / "x.provider"
    path.write_bytes(data)
    try:
        assert from_file(path).namespace
    except ProviderError as error:
        _is_good(error)


def manage_py(data: bytes) -> None:
    """The definition that a source tree gives, read and never run."""
    (_DIRECTORY / "manage.py").write_bytes(data)
    try:
        assert from_source_tree(_DIRECTORY).namespace
    except ProviderError as error:
        _is_good(error)


_DIRECTORY = Path(tempfile.gettempdir())

_JOB = "id: a\nplugin: shell\nflags: simple\ndepends: b\nrequires: r.x == '1'\ncommand:\n true\n .\n # x\n"
_TEMPLATE = 'unit: template\ntemplate-resource: r\nid: a-{x}\n_summary: {x}\nsiblings: [{{"id": "b"}}]\n'
_PLAN = (
    "unit: test plan\nid: p\ninclude:\n a.* certification-status=blocker # c\n# c\ncategory_overrides: apply x to y\n"
)
_PXU_WORDS = (
    "id: |unit: template|unit: test plan|template-engine: jinja2|template-resource: r|include: |requires: |siblings: "
    "|kwargs: |estimated_duration: |flags: |depends: |command:|_summary: |\n |\n\n|#|{x}|{{ x }}|{%|[{\"id\": \"b\"}]"
)  # fmt: skip

TARGETS: Mapping[str, Target] = {
    "pxu": Target(pxu_file, (_JOB, _TEMPLATE, _PLAN), _PXU_WORDS),
    "yaml": Target(
        yaml_file,
        (
            "id: a\nflags: [simple]\n---\nid: b\ncommand: |\n  x\n",
            "unit: test plan\nid: p\ninclude:\n  - a: {b: c}\n",
            "id: a\nkwargs: &a {b: &b [c], d: *b}\nsiblings: [*a]\n<<: *a\n",
        ),
        "id: |unit: test plan\n|---\n|&a |*a|<<: |!!python/object:x |- |? |: |[|]|{|}|, |\n  |# |%YAML 1.1\n|null|>-\n",
    ),
    "files": Target(unit_file, (_JOB, "id: a\nflags: [simple]\n"), _PXU_WORDS),
    "translation": Target(translation, (_JOB, _TEMPLATE, _PLAN, f"{_JOB}\n{_TEMPLATE}\n{_PLAN}"), _PXU_WORDS),
    "lists": Target(
        lists,
        ('foo/.* category-id=x, auto-retry=no # c\n"a b"', "apply x to y.*\n"),
        'apply | to |blocker|=|,|"|#|::|(|)|[|]|*|{2}',
    ),
    "values": Target(values, ("1h 2m", '[{"a": 1}]', "a, b c", "yes"), '{"a": |[|]|null|1e9|h |m |s|true|, |"'),
    "expressions": Target(
        expressions,
        ("r.x == '1' and (x.y != 'b' or not r.z in ['c'])", "int(r.x) - 1 >= 2", "from a import b as c"),
        " and | or |not | in |int(|len(|r.x|'1'| == | >= |(|)|[|]|lambda |if |else |import |from | as |**|[0]",
    ),
    "templates": Target(
        templates,
        (
            "{x} {{y}} {__index__:02d}",
            "{{ x }} {% if y %}{{ name|upper }}{% endif %}",
            "{% for a in x %}{{ a }}{% endfor %}",
        ),
        "{|}|{{|}}|{%|%}|{#|#}|x|__index__|!r|:>9|if |for a in x|endif|endfor|range(9)|'a' * 9|.__class__|[0]",
    ),
    "provider": Target(
        provider_file,
        ("[PlainBox Provider]\nname = org.example:x\nversion = 1.0\nrelocatable = True\n",),
        "[PlainBox Provider]\n|name = |version = |location = /|relocatable = True\n|namespace = |units_dir = /|%(|[D]",
    ),
    "manage": Target(
        manage_py,
        ("from plainbox.provider_manager import setup, N_\nsetup(name='org.example:x', version='1.0')\n",),
        "setup(|name=|version=|'1.0'|N_(|\\x00|lambda: |(|)|\n|#|\"\"\"|namespace=",
    ),
}  # fmt: skip
