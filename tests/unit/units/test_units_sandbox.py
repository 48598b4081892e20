# SPDX-License-Identifier: Apache-2.0
"""Bounds of Jinja2 texts: whatever a text tries, it ends soon and stays small, and ordinary texts do not notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from plainbox.errors import FieldError
from plainbox.units.interpolation import interpolate

VALUES = {"x": "v", "__index__": "1"}


def grown(step: str, shown: str) -> str:
    """A text that makes a value of itself sixty times."""
    return "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = " + step + " %}{% endfor %}" + shown


BLOCKS = "{% set x0 %}aaaaaaaaaa{% endset %}" + "".join(
    f"{{% set x{number + 1} %}}{f'{{{{ x{number} }}}}' * 10}{{% endset %}}" for number in range(8)
)

HOSTILE = {
    "numbers": grown("(ns.x | int(9)) * (ns.x | int(9))", "{{ ns.x % 7 }}").replace("'a'", "9"),
    "concatenation": grown("ns.x ~ ns.x", "{{ ns.x | length }}"),
    "addition": grown("ns.x + ns.x", "{{ ns.x | length }}"),
    "blocks": BLOCKS + "{{ x8 | length }}",
    "lists": grown("[ns.x, ns.x]", "{{ ns.x | string | length }}"),
    "tuples": grown("(ns.x, ns.x)", "{{ ns.x == ns.x }}"),
    "mappings": grown("{'a': ns.x, 'b': ns.x}", "{{ ns.x | tojson | length }}"),
    "macros": "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{{ " + "m(" * 40 + "'a'" + ")" * 40 + " }}",
    "replacement": "{{ ('x' * 9999) | replace('x', 'y' * 9999) | length }}",
    "replacement of a method": "{{ ('x' * 9999).replace('x', 'y' * 9999) | length }}",
    "joining": "{{ ('x' * 9999).join(['a'] * 9999) | length }}",
    "joining of a generator": "{{ range(99999) | map('replace', '', 'x' * 999) | join | length }}",
    "a filter block": "{% filter replace('a', 'b' * 9999) %}{{ 'a' * 9999 }}{% endfilter %}",
    "loops": "{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}",
    "long steps": "{% for i in range(99999) %}{% set a = ('x' * 9999) | upper | lower | upper %}{% endfor %}",
    "filler": "{{ lipsum(n=99999) | length }}",
    "powers": "{{ 10 ** 999 * 10 ** 999 }}",
}

#: Renders its argument where memory is short, and ends with 0 when that is refused in the proper way.
SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (800 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
from plainbox.errors import FieldError
from plainbox.units.interpolation import interpolate
try:
    interpolate(sys.argv[1], {"x": "v", "__index__": "1"}, "jinja2")
except FieldError as error:
    sys.exit(0 if "Memory" not in str(error) else str(error))
sys.exit("rendered")
"""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_refused(text: str) -> None:
    """A text that would grow or go on without end is refused, with little memory and little time."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x | default('a') }} {{ [1, 'b', x] | join(', ') }}", "v 1, b, v"),
        ("{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }} {% endfor %}", "12 34 "),
        ("{{ {'k': 1}['k'] }} {{ 'a' ~ 1 ~ x }} {{ 5 - 3 }} {{ __index__ * 2 }} {{ 7 % 4 }}", "1 a1v 2 2 3"),
        ("{% if x in ['v', 'w'] %}yes{% endif %} {{ 'abc'[1:] }} {{ x.upper() }}", "yes bc V"),
        ("{{ 'a,b'.split(',') | join('-') }} {{ '%03d' % 5 }} {{ '%s-%s' | format('a', 'b') }}", "a-b 005 a-b"),
        ("{{ 'x' * 3 }}{% set a %}{{ x }}{{ x }}{% endset %} {{ a }} {{ 2 ** 10 }}", "xxx vv 1024"),
        ("{{ [3, 1, 2] | sort | map('string') | join }} {{ 'a-b' | replace('-', '+') }}", "123 a+b"),
    ],
)
def test_ordinary_texts(text: str, expected: str) -> None:
    """What the bounds surround means what it always means."""
    assert interpolate(text, VALUES, "jinja2") == expected


def test_the_tracer_of_somebody_else_comes_back() -> None:
    """A debugger or a coverage tool goes on behind a rendering, also behind one that was refused."""

    def tracer(frame: object, event: str, argument: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        interpolate("{{ x }}", VALUES, "jinja2")
        assert sys.gettrace() is tracer
        with pytest.raises(FieldError):
            interpolate(HOSTILE["loops"], VALUES, "jinja2")
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
