# SPDX-License-Identifier: Apache-2.0
"""PXU files as YAML: what a person would have written, and the same units whatever the file holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import (
    durations,
    expressions,
    identifiers,
    include_lists,
    json_texts,
    override_lists,
    pxu_texts,
    raw_values,
    templates,
)

from plainbox.errors import UnitError
from plainbox.units import KINDS, read_units
from plainbox.units.translation import Translation, difference, translate


def translated(directory: Path, text: str) -> Translation:
    path = directory / "x.pxu"
    path.write_bytes(text.encode())
    return translate(path)


TEXTS = [
    ("id: a\n_summary: Translated\n", "id: a\n_summary: Translated\n"),
    ("id: a\nsummary: yes\n", "id: a\nsummary: 'yes'\n"),
    ("id: a\nsummary: a: b # c\n", "id: a\nsummary: 'a: b # c'\n"),
    ("id: a\nsummary:\n", "id: a\nsummary: ''\n"),
    ("id: a\nsummary: ä €\n", "id: a\nsummary: ä €\n"),
    (f"id: a\nsummary: {'long ' * 60}end\n", f"id: a\nsummary: {'long ' * 60}end\n"),
    ("id: a\ncommand:\n if x\n .\n   y: z\n", "id: a\ncommand: |\n  if x\n\n    y: z\n"),
    ("id: a\ncommand:\n a\n \tb\n c  \n d\n", "id: a\ncommand: |\n  a\n  \tb\n  c  \n  d\n"),
    ("id: a\ncommand:\n a\x07\n b\n", 'id: a\ncommand: "a\\a\\nb\\n"\n'),
    ("id: a\ncommand: a\u2028b\n", 'id: a\ncommand: "a\\Lb"\n'),
    ("id: a\nx-my-field: a, b\n", "id: a\nx-my-field: a, b\n"),
]


@pytest.mark.parametrize(("pxu", "expected"), TEXTS)
def test_texts(tmp_path: Path, pxu: str, expected: str) -> None:
    """Texts stay texts, with quotes where a reader of YAML would take them for something else, as blocks over lines."""
    assert translated(tmp_path, pxu).text == expected


LISTS = [
    ("flags: simple, preserve-cwd\n", "flags:\n  - simple\n  - preserve-cwd\n"),
    ("environ: A\n B C\n", "environ:\n  - A\n  - B\n  - C\n"),
    ("environ:\n", "environ: []\n"),
    ('depends: b, "c d"\n', "depends:\n  - b\n  - c d\n"),
    ("depends:\n b # why\n # c\n d e # both\n # end\n",
     "depends:\n  - b  # why\n  # c\n  # both\n  - d\n  - e\n  # end\n"),
    ("depends:\n # nothing\n", "depends: []\n  # nothing\n"),
    ("requires:\n r.a == 'b'\n r.c in ['d']\n", "requires:\n  - r.a == 'b'\n  - r.c in ['d']\n"),
    ("imports: from x import r\n", "imports:\n  - from x import r\n"),
    ("estimated_duration: 5\n", "estimated_duration: 5\n"),
    ("estimated_duration: 0.50\n", "estimated_duration: 0.50\n"),
    ("estimated_duration: 1h 5m\n", "estimated_duration: 1h 5m\n"),
    ("cache: yes\n", "cache: true\n"),
    ('kwargs: {"a": [1, 2.5, "3", true], "b": {}, "c": null}\n',
     "kwargs: '{\"a\": [1, 2.5, \"3\", true], \"b\": {}, \"c\": null}'\n"),
    ('siblings: [{"id": "b", "_summary": "x"}]\n', "siblings:\n  - id: b\n    _summary: x\n"),
    # What is no good value stays what it is.
    ("estimated_duration: soon\n", "estimated_duration: soon\n"),
    ("kwargs: {broken\n", "kwargs: '{broken'\n"),
    ('depends: a "b\n', "depends: a \"b\n"),
    ("args: [null]\n", "args: '[null]'\n"),
]  # fmt: skip


@pytest.mark.parametrize(("pxu", "expected"), LISTS)
def test_native_values_of_jobs(tmp_path: Path, pxu: str, expected: str) -> None:
    """The type of a field says what becomes a list, a mapping, a number; a value that is no good is kept as it is."""
    assert translated(tmp_path, f"id: a\n{pxu}").text == f"id: a\n{expected}"


PLANS = [
    ("include:\n", "include: []\n"),
    ("include: a\n b/.*\n", "include:\n  - a\n  - b/.*\n"),
    ("include:\n a category-id=x, certification-status = blocker # why\n",
     "include:\n  # why\n  - a:\n      category-id: x\n      certification-status: blocker\n"),
    (f"include:\n {'long/' * 40}.* certification-status=blocker\n",
     f"include:\n  - {'long/' * 40}.*:\n      certification-status: blocker\n"),
    ("exclude:\n a # b\n# c\n d\n", "exclude:\n  - a  # b\n  # c\n  - d\n"),
    ("category_overrides:\n apply x to a # b\n", "category_overrides:\n  - apply x to a  # b\n"),
    ("bootstrap_include: a b\n", "bootstrap_include:\n  - a\n  - b\n"),
    # A list with an entry that is wrong stays a text, with its error.
    ("include:\n a b\n", "include: a b\n"),
    ("include:\n a x=1\n b\n", "include: |\n  a x=1\n  b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("pxu", "expected"), PLANS)
def test_native_values_of_plans(tmp_path: Path, pxu: str, expected: str) -> None:
    """Patterns are items, overrides mappings below them."""
    head = "unit: test plan\nid: p\n"
    assert translated(tmp_path, f"{head}{pxu}").text == f"{head}{expected}"


TEMPLATES = [
    ("depends: a-{x} b\n", "depends:\n  - a-{x}\n  - b\n"),
    ("depends: a-{x!s:s} b\n", "depends:\n  - a-{x!s:s}\n  - b\n"),
    # The blanks that it is filled in with part words.
    ("depends: a-{x:>5} b\n", "depends: a-{x:>5} b\n"),
    ("command: echo {x} {{y}}\n", "command: echo {x} {{y}}\n"),
    # What types count in stays the text of a JSON object.
    ('kwargs: {{"a": "{x}", "{x}": "{{{{"}}\n', "kwargs: '{{\"a\": \"{x}\", \"{x}\": \"{{{{\"}}'\n"),
    ("template-filter: r.a == '{{'\n", "template-filter:\n  - r.a == '{{'\n"),
    ("template-engine: jinja2\ndepends: a-{{ x }} b\n",
     "template-engine: jinja2\ndepends:\n  - a-{{ x }}\n  - b\n"),
    ('template-engine: jinja2\nsiblings: [{"id": "b-{{ x }}"}]\n',
     "template-engine: jinja2\nsiblings:\n  - id: b-{{ x }}\n"),
    ("template-engine: jinja2\nrequires:\n {% if x %}\n r.a\n {% endif %}\n",
     "template-engine: jinja2\nrequires: |\n  {% if x %}\n  r.a\n  {% endif %}\n"),
    ("template-engine: jinja2\nflags: a {# b #} c\n", "template-engine: jinja2\nflags: 'a {# b #} c'\n"),
    ("template-engine: jinja2\ndepends: {{ x\n  }} b\n", 'template-engine: jinja2\ndepends: |\n  {{ x\n   }} b\n'),
]  # fmt: skip


@pytest.mark.parametrize(("pxu", "expected"), TEMPLATES)
def test_native_values_of_templates(tmp_path: Path, pxu: str, expected: str) -> None:
    """What an engine fills in stays together; what it writes itself is no list before it has."""
    head = "unit: template\ntemplate-resource: r\nid: a-{x}\n"
    assert translated(tmp_path, f"{head}{pxu}").text == f"{head}{expected}"


def test_a_job_with_an_engine_is_like_a_template(tmp_path: Path) -> None:
    """Jinja2 texts need no template around them."""
    text = translated(tmp_path, "id: a\ntemplate-engine: jinja2\ndepends: {{ x }} b\n").text
    assert text == "id: a\ntemplate-engine: jinja2\ndepends:\n  - '{{ x }}'\n  - b\n"


def test_comments_stay_where_they_stand(tmp_path: Path) -> None:
    """Before a unit, before a field, before a list item; those inside a text come before its field."""
    pxu = (
        "# The file.\n\n\n# The unit.\nid: a\n#summary\nsummary: b\ncommand:\n c\n# inside\n d\n# last\n\n"
        "# Between.\n\nid: b\nenviron: A\n# item\n B\n\n# The end.\n"
    )
    assert translated(tmp_path, pxu).text == (
        "# The file.\n\n# The unit.\nid: a\n#summary\nsummary: b\n# inside\ncommand: |\n  c\n  d\n# last\n"
        "---\n# Between.\n\nid: b\nenviron:\n  - A\n  # item\n  - B\n\n# The end.\n"
    )


def test_a_file_of_comments_alone(tmp_path: Path) -> None:
    """No unit is no error."""
    assert translated(tmp_path, "# Nothing yet.\n\n") == Translation("# Nothing yet.\n", (), ())


def test_a_comment_that_yaml_cannot_hold(tmp_path: Path) -> None:
    """Control characters of a comment are shown as question marks; they must not end its line."""
    assert translated(tmp_path, "# a\rb: c\x07\nid: a\n").text == "# a?b: c?\nid: a\n"


@pytest.mark.parametrize(
    ("pxu", "message"),
    [
        ("id: a\nnonsense\n", "x.pxu:2: not translated: neither a field"),
        ("id: a\n\nunit: tst\nid: b\n", "x.pxu:3: not translated: unknown unit type"),
        ("id: a\nbad\n\n b\n", "(and 1 more)"),
    ],
)
def test_a_file_with_errors_is_refused(tmp_path: Path, pxu: str, message: str) -> None:
    """A unit that does not load would get lost."""
    with pytest.raises(UnitError, match="not translated") as caught:
        translated(tmp_path, pxu)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("id: a\nflags: simple\n", "id: a\nflags: [simple]\n", None),
        ("id: a\n", "unit: category\nid: a\n", "the kind"),
        ("id: a\n", "id: b\n", "the id"),
        ("id: a\nsummary: b\n", "id: a\nsummary: c\n", "the field 'summary'"),
        ("id: a\nsummary: b\n", "id: a\n_summary: b\n", "the field '_summary'"),
        ("id: a\nx: b\n", "id: a\nx: [b]\n", "the field 'x'"),
        ("id: a\ndepends: b c\n", "id: a\ndepends: b c d\n", "the field 'depends'"),
        (
            "unit: template\ntemplate-resource: r\nid: a-{x}\ndepends: b{x} c\n",
            "unit: template\ntemplate-resource: r\nid: a-{x}\ndepends: ['b{x} c']\n",
            "the field 'depends'",
        ),
    ],
)
def test_what_two_units_differ_in(read, one: str, other: str, expected: str | None) -> None:
    """The first field that does not mean the same is told, also one that only instances show."""
    [[first], _], [[second], _] = read(one), read(other, "y.yaml")
    assert difference(first, second) == expected


# -- any file

VALUES = st.one_of(
    durations,
    expressions,
    identifiers,
    include_lists,
    json_texts,
    override_lists,
    raw_values,
    templates,
    st.text(max_size=20),
)
HEADS = ("unit: template\ntemplate-resource: r\n", "unit: template\ntemplate-resource: r\ntemplate-engine: jinja2\n", *(
    f"unit: {kind}\n" for kind in KINDS if kind != "template"
))  # fmt: skip
KEYS = sorted({key for cls in KINDS.values() for key in cls.fields if not key.startswith("template-")} - {"id", "name"})


@st.composite
def pxu_records(draw: st.DrawFn) -> str:
    """Draw a record with any values for fields that mean something, and comments between its lines."""
    lines = [f"id: {draw(identifiers)}", *draw(st.sampled_from(HEADS)).splitlines()]
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4)):
        value = draw(VALUES).encode("utf-8", "replace").decode()
        first, *rest = value.replace("\r", "").split("\n")
        underscore = draw(st.sampled_from(["", "_"]))
        lines.append(f"{underscore}{key}: {first}")
        for line in rest:
            lines += draw(st.sampled_from([[], ["# comment"]]))
            lines.append(f" {line}" if line and not line.isspace() else " .")
    return "\n".join(lines) + "\n"


@given(st.lists(pxu_records() | pxu_texts, min_size=1, max_size=3).map("\n".join))
@example("id: a\ncommand:\n .\n  x\n .\n")
def test_any_file_means_the_same_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever loads without a problem is translated, and every reader of YAML can read it."""
    directory = tmp_path_factory.getbasetemp() / "any"
    directory.mkdir(exist_ok=True)
    path = directory / "x.pxu"
    path.write_bytes(text.encode("utf-8", "replace"))
    problems: list[UnitError] = []
    read_units(path, on_error=problems.append)
    if problems:
        return
    translation = translate(path)
    assert len(list(pyyaml.compose_all(translation.text, Loader=pyyaml.SafeLoader))) >= len(translation.after)
    for before, after in zip(translation.before, translation.after, strict=True):
        assert [(issue.code, issue.field) for issue in before.errors] == [
            (issue.code, issue.field) for issue in after.errors
        ]
