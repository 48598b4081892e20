# SPDX-License-Identifier: Apache-2.0
"""Filling in: two engines, what they let a text reach, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import templates

from plainbox.errors import FieldError, MissingParameterError
from plainbox.units.interpolation import ENGINES, interpolate, names_in

VALUES = {"x": "one", "y": "2", "__index__": "7"}

# -- the default engine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{x}", "one"),
        ("a{x}b{y}", "aoneb2"),
        ("{{x}}", "{x}"),
        ("{x!r}", "'one'"),
        ("{x:>5}", "  one"),
        ("{x:*^7}", "**one**"),
        ("{x:.2}", "on"),
        ("{__index__}", "7"),
        ("{__index__:03d}", "007"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_format_fields_are_filled_in(text: str, expected: str) -> None:
    """Braces hold names, conversions and formats; doubled they are text; the index is a number."""
    assert interpolate(text, VALUES, "default") == expected


@pytest.mark.parametrize(
    "text",
    [
        "{", "}", "{x", "{x!}", "{x!q}", "{}", "{0}", "{x.upper}", "{x[0]}", "{x.__class__.__mro__}", "{x:{y}}",
        "{x:999999999}", "{x:.999999999}", "{x:>1000}", "{x:d}", "{__index__:c}{__index__:s}", "{x y}", "{a-b}",
    ],
)  # fmt: skip
def test_what_is_no_good_format(text: str) -> None:
    """Attributes, items, nested and huge formats are refused, and so is what does not fit the value."""
    with pytest.raises(FieldError):
        interpolate(text, VALUES, "default")


def test_a_missing_parameter_is_an_error_of_its_own() -> None:
    """It tells the name."""
    with pytest.raises(MissingParameterError) as caught:
        interpolate("{x} {nosuch}", VALUES, "default")
    assert caught.value.parameter == "nosuch"


def test_values_are_filled_in_once() -> None:
    """Braces in a value are text: a record cannot ask for anything."""
    assert interpolate("{x}", {"x": "{y} {{ y }} {% y %}"}, "default") == "{y} {{ y }} {% y %}"
    assert interpolate("{{ x }}", {"x": "{{ y }}{y}"}, "jinja2") == "{{ y }}{y}"


# -- jinja2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x }}", "one"),
        ("{% if y == '2' %}a{% else %}b{% endif %}", "a"),
        ("{{ nosuch }}", ""),
        ("{{ __index__ + 1 }}", "8"),
        ("{{ __checkbox_env__.get('K') }}", "v"),
        ("{{ __checkbox_env__['nosuch'] }}", ""),
        ("{{ x | upper }}", "ONE"),
        ("{{ '-' * 3 }}{{ 2 * 3 }}{{ 2 ** 3 }}", "---68"),
        ("<b>{{ '<' }}</b>", "<b><</b>"),
        ("a\n", "a\n"),
        ("{x}", "{x}"),
    ],
)
def test_jinja_texts_are_rendered(text: str, expected: str) -> None:
    """Parameters, the settings' environment and nothing escaped; a missing name is empty."""
    assert interpolate(text, VALUES, "jinja2", environment={"K": "v"}) == expected


def test_jinja_sees_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether it is on Ubuntu Core."""
    monkeypatch.setenv("PLAINBOX_TEST_X", "here")
    monkeypatch.delenv("SNAP_CORE", raising=False)
    text = "{{ __system_env__['PLAINBOX_TEST_X'] }} {{ __on_ubuntucore__ is boolean }}"
    assert interpolate(text, {}, "jinja2") == "here True"


@pytest.mark.parametrize(
    "text",
    [
        "{{ x.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__ }}{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context.x.y.z }}",
        "{{ '{0.__class__}'.format(x) }}{{ x.no.such }}",
        "{{ range(999999999) | list }}",
        "{{ 'x' * 999999999 }}",
        "{{ 999999999 * [x] }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 999999999) }}",
        "{{ x | center(999999999) }}",
        "{{ x.ljust(999999999) }}",
        "{{ x | indent(999999999) }}",
        "{% set a = range(99999) | list %}{% set b = a + a + a + a + a + a %}{{ b + b }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ __checkbox_env__.clear() }}",
        "{{ 1 / 0 }}",
        "{{ x() }}",
    ],
)
def test_what_the_sandbox_refuses(text: str) -> None:
    """Internals of Python, files, changes of the environment and errors while rendering are field errors."""
    with pytest.raises(FieldError):
        interpolate(text, VALUES, "jinja2", environment={"K": "v"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{", 0),
        ("a\nb\n{% if %}", 2),
        ("{% nosuch %}", 0),
        ("\n{{ x | nosuch }}", 1),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", 0),
        ("{% for a in x %}" * 60 + "{% endfor %}" * 60, 0),
        ("{{ " + "9" * 5000 + " }}", 0),
    ],
)
def test_what_is_no_good_jinja_text(text: str, line: int) -> None:
    """Bad syntax is told with its line, and no depth ends the process."""
    with pytest.raises(FieldError) as caught:
        interpolate(text, VALUES, "jinja2")
    assert caught.value.line == line


# -- both


@pytest.mark.parametrize("engine", ENGINES)
def test_lists_and_mappings_are_filled_in_item_by_item(engine: str) -> None:
    """Keys and values alike."""
    name = "{x}" if engine == "default" else "{{ x }}"
    value = [name, {name: [name, "b"]}]
    assert interpolate(value, VALUES, engine) == ["one", {"one": ["one", "b"]}]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "engine", "expected"),
    [
        ("{x} {y!r} {{z}}", "default", {"x", "y"}),
        (["{x}", {"{y}": "{z}"}], "default", {"x", "y", "z"}),
        ("{{ x }} {% if y %}{{ z }}{% endif %}", "jinja2", {"x", "y", "z"}),
        ("{% set x = 1 %}{{ x }}", "jinja2", set()),
        ("{x", "default", set()),
        ("{{ x", "jinja2", set()),
        ("none", "default", set()),
    ],
)
def test_names_of_parameters(value: object, engine: str, expected: set[str]) -> None:
    """The names that a text asks for; one that does not parse asks for none."""
    assert names_in(value, engine) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "engine"), [("}", "default"), ("{x", "default"), ("{{ x", "jinja2"), ("{% for %}", "jinja2")]
)
def test_names_of_a_bad_text_are_an_error_when_they_must_be_known(text: str, engine: str) -> None:
    """Checking a template wants to know."""
    with pytest.raises(FieldError):
        names_in(text, engine, strict=True)


@pytest.mark.parametrize("engine", ENGINES)
@given(text=templates, value=st.text(max_size=20))
def test_any_text_is_filled_in_or_refused(engine: str, text: str, value: str) -> None:
    """Nothing but text or a field error comes out, and the text is not out of all proportion."""
    names_in(text, engine)
    try:
        filled = interpolate(text, {"x": value, "__index__": "1"}, engine)
    except FieldError:
        return
    assert isinstance(filled, str)
    assert len(filled) <= 1000 * (len(text) + 1)
