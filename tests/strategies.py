# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies that several tests share: text near the languages of Plainbox, and far from them."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = [
    "any_text",
    "durations",
    "expressions",
    "identifiers",
    "include_lists",
    "json_texts",
    "override_lists",
    "pxu_texts",
    "raw_values",
    "templates",
    "yaml_texts",
]

any_text = st.text(max_size=200)

identifiers = st.from_regex(r"[a-z][a-z0-9_/.-]{0,12}", fullmatch=True)


def _soup(*pieces: str) -> st.SearchStrategy[str]:
    """Return texts made of the pieces of a language in any order, with some other text between them.

    The pieces stand apart by ``~`` signs, since they hold every other character that matters.
    """
    words = [word for text in pieces for word in text.split("~")]
    return st.lists(st.sampled_from(words) | st.text(max_size=4), max_size=24).map("".join)


pxu_texts = any_text | _soup(
    "id: a\n~unit: job\n~plugin: shell\n~command:\n~ true\n~  x\n~ .\n~ ..\n~#c\n~\n~\n\n~\t~ ~:~_summary: x",
    "unit: template\n~template-resource: r\n~id: a{x}\n~id:~\r\n~\x0b",
)

#: Values as records hold them before they are normalised.
raw_values = st.text(alphabet="ab. \t\n", max_size=40)

yaml_texts = any_text | _soup(
    "id: a\n~unit: test plan\n~include:\n~  - x\n~- ~---\n~...\n~&a ~*a ~<<: ~{~}~[~]~'~\"~: ~# c\n~\n~\t~? ~| \n~>\n",
    "!!python/object/apply:os.system ~!x ~%YAML 1.2\n~null",
)

expressions = any_text | _soup(
    "a.x~b~ == ~ != ~ and ~ or ~ not ~ in ~'1'~2~(~)~[~]~,~int~len~-~ + ~**~.~ is ~None~\n~\\~\"~{~}~:=~*",
    "lambda: ~f''~__import__~ if ",
)

include_lists = any_text | _soup(
    'foo~foo/.*~ category-id=x~ certification-status=blocker~,~=~"~#~\n~ ~::~(~)~[~]~*~+~?~{2}~|~^~$~\\~(?P<~(?i)~\0'
)

override_lists = any_text | _soup('apply ~blocker~non-blocker~ to ~foo/.*~\n~#~,~=~"~ ~(~[~*~apply x to y\n')

durations = (
    any_text | st.from_regex(r"[0-9]{0,30}[hms.e: -]{0,6}[0-9]{0,30}[hms]?", fullmatch=True) | st.floats().map(str)
)

templates = any_text | _soup(
    "{x}~{~}~{{~}}~{x!r}~{x:>9}~{x.y}~{x[0]}~{0}~{x:999999999}~{__index__:02d}~x~ ~.__class__",
    "{%~%}~{{ x }}~{% if x %}~{% endif %}~{% for a in x %}~{% endfor %}~{#~#}~|",
)

json_texts = any_text | _soup('{~}~[~]~"a"~:~,~1~null~true~1e999~-~NaN~\n')
