# SPDX-License-Identifier: Apache-2.0
"""Looking units up: by id, by pattern, and among what templates could make."""

from __future__ import annotations

import pytest

from plainbox.units import JobDefinition, TemplateUnit, Unit
from plainbox.units.checks.index import UnitIndex, shape_of
from plainbox.units.patterns import Pattern


def template(identifier: str, **fields: str) -> TemplateUnit:
    more = {key.replace("_", "-"): value for key, value in fields.items()}
    return TemplateUnit({"id": identifier, "template-resource": "r", "template-id": f"t-{hash(identifier)}", **more})


def index(*ids: str, **fields: str) -> UnitIndex:
    return UnitIndex.of([template(identifier, **fields) for identifier in ids])


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("disk_{name}", ["disk_sda", "disk_", "disk_a/b"], ["disk", "xdisk_sda", "dis"]),
        ("{name}", ["anything", ""], []),
        ("{a}-{b}-x", ["1-2-x", "--x", "1-2-3-x"], ["1-2-y", "1-x", "x"]),
        ("a{x}a", ["aa", "aba"], ["a", "ab"]),
        ("no-parameter", ["no-parameter"], ["no-parameter-at-all", "no"]),
        ("n_{__index__:03}", ["n_001"], ["m_001"]),
        ("{{literal}}_{x}", ["{literal}_1"], []),
    ],
)
def test_instances(pattern: str, good: list[str], bad: list[str]) -> None:
    """An id that an instance could have is told from one that none could have."""
    known = index(pattern)
    assert [text for text in good if not known.could_become("job", text)] == []
    assert [text for text in bad if known.could_become("job", text)] == []
    assert not any(known.could_become("category", text) for text in good)


def test_instances_of_jinja2_templates() -> None:
    """What Jinja2 leaves open is open; its other text counts."""
    known = index("{% if a %}x{% endif %}_{{ name }}_y", template_engine="jinja2")
    assert known.could_become("job", "x_1_y")
    assert not known.could_become("job", "x_1_z")


def test_many_marks_take_no_long_time() -> None:
    """An id of nothing but parameters is compared in one pass."""
    known = index("a{x}" * 500 + "b")
    assert not known.could_become("job", "a" * 5000)
    assert known.could_become("job", "a" * 5000 + "b")


def test_shape_of_another_kind() -> None:
    """A template may make categories; one that makes nothing known has no shape."""
    assert index("c-{x}", template_unit="category").could_become("category", "c-1")
    assert shape_of(template("x-{y}", template_unit="nothing")) is None
    assert shape_of(template("x-{y}", template_unit="template")) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("disk/read", True),
        ("disk/(read|write)", True),
        (".*write", True),
        ("disk", False),
        ("disk/*", False),
        ("x-1", True),
        ("x-.*", True),
        ("x-*", True),
        ("y-*", False),
        ("[xy]-1", True),
        ("disk/r?e?a?d?", True),
    ],
)
def test_patterns(text: str, meant: bool) -> None:
    """A pattern means something when a job has such an id, or an instance could have it."""
    units: list[Unit] = [JobDefinition({"id": name, "plugin": "shell"}) for name in ("disk/read", "disk/write", "usb")]
    known = UnitIndex.of([*units, template("x-{y}")])
    assert known.means_something(Pattern.parse(text, None)) is meant


def test_guesses_are_bounded() -> None:
    """Ids that are asked for again cost nothing; after many unknown ones no more guesses are made."""
    known = UnitIndex.of(JobDefinition({"id": f"job-{number}", "plugin": "shell"}) for number in range(3))
    assert known.guess(["job"], "jobb-1", None) == "did you mean 'job-1'?"
    guesses = [known.guess(["job"], f"jb-{number}", None) for number in range(300)]
    assert guesses[0] is not None
    assert guesses[-1] is None
    assert known.guess(["job"], "jobb-1", None) == "did you mean 'job-1'?"
