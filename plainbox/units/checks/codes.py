# SPDX-License-Identifier: Apache-2.0
"""What every code of a finding means, for ``plainbox lint --explain`` and the reference page."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from plainbox.units.issues import Code, Severity

__all__ = ["CODES", "Explanation"]

_ERROR, _WARNING, _ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE


@attrs.frozen
class Explanation:
    """``meaning`` is a sentence, ``remedy`` another; ``bad`` and ``good`` are lines of a unit file, where that helps."""

    severities: tuple[Severity, ...]
    meaning: str
    remedy: str
    bad: str = ""
    good: str = ""


CODES: Mapping[Code, Explanation] = {
    Code.SYNTAX: Explanation(
        (_ERROR,),
        "A line is neither a field nor the continuation of one, or the file is not YAML. The record is left out; of a YAML"
        " file, what follows the mistake.",
        "Write `name: value`; begin the lines that continue a value with a blank.",
        bad="id: disk/read\ncommand\n    dd if=/dev/sda of=/dev/null",
        good="id: disk/read\ncommand:\n    dd if=/dev/sda of=/dev/null",
    ),
    Code.NO_UNIT: Explanation(
        (_ERROR,),
        "A record is no unit: there is no such kind of unit, it has no id, or its id cannot be one. It is left out.",
        "Name a known kind in `unit`, and give it an `id` of one line without `::`.",
        bad="unit: jop\nid: disk/read",
        good="unit: job\nid: disk/read",
    ),
    Code.UNREADABLE: Explanation(
        (_ERROR,),
        "A file or a directory of the provider cannot be read.",
        "Look at its permissions and at what it is: unit files are UTF-8 text.",
    ),
    Code.MISSING: Explanation(
        (_ERROR, _WARNING, _ADVICE),
        "A field that this unit needs is not there or is empty. Advice for summaries. The description of a manual job is an"
        " error for `lint` and `validate`, a warning for a run, which can live without.",
        "Add the field.",
    ),
    Code.WRONG: Explanation(
        (_ERROR, _WARNING),
        "A value that its field does not accept. What a run can live with, such as an estimated duration that is none, is"
        " an error for `lint` and `validate` and a warning for a run.",
        "Write one of the values that the reference page of the field names.",
        bad="plugin: shel",
        good="plugin: shell",
    ),
    Code.UNKNOWN_FIELD: Explanation(
        (_ERROR, _WARNING),
        "No such field exists for this kind of unit, and it has no effect. An error for `lint` and `validate` in a sibling"
        " of a job.",
        "Correct the name, or remove the field.",
        bad="environment: LD_LIBRARY_PATH",
        good="environ: LD_LIBRARY_PATH",
    ),
    Code.DEPRECATED: Explanation(
        (_ADVICE,),
        "A field, a value or a variable of the environment that has a better successor, which the hint names.",
        "Write the successor.",
        bad="plugin: user-verify",
        good="plugin: user-interact-verify",
    ),
    Code.USELESS: Explanation(
        (_WARNING,),
        "A field that does nothing here, such as the `command` of a manual job.",
        "Remove the field, or what keeps it from its work.",
    ),
    Code.TEMPLATE_CONSTANT: Explanation(
        (_ERROR,),
        "All instances of a template would have the same `id`, `name` or the like.",
        "Use a parameter in it.",
        bad="unit: template\nid: net/link",
        good="unit: template\nid: net/link-{interface}",
    ),
    Code.TEMPLATE_VARIABLE: Explanation(
        (_ERROR,),
        "A field that must be the same for all instances of a template has a parameter.",
        "Write a fixed value, or two templates with different filters.",
        bad="category_id: {area}",
        good="category_id: com.canonical.plainbox::disk",
    ),
    Code.UNKNOWN_PARAMETER: Explanation(
        (_ERROR,),
        "The record of the resource has no value for a parameter of the template.",
        "Let the resource print it, or do not ask for it.",
    ),
    Code.UNKNOWN_FLAG: Explanation(
        (_WARNING,),
        "No flag of this name is known; it has no effect.",
        "Correct the name, or remove the flag.",
        bad="flags: preserve_locale",
        good="flags: preserve-locale",
    ),
    Code.BAD_EXPRESSION: Explanation(
        (_ERROR,),
        "A line of `requires`, `imports` or `template-filter` is outside the language.",
        "Compare attributes of resources; combine them with `and`, `or` and `not`.",
        bad="requires: package.name.startswith('lib')",
        good="requires: package.name in ['libfoo', 'libbar']",
    ),
    Code.BAD_PATTERN: Explanation(
        (_ERROR,),
        "An entry of an include, exclude or override list that cannot be understood.",
        "Write `PATTERN [FIELD=VALUE, ...]` in include lists and `apply VALUE to PATTERN` in override lists.",
        bad="include: disk/(read",
        good="include: disk/(read|write)",
    ),
    Code.TEMPLATE_SYNTAX: Explanation(
        (_ERROR,),
        "The braces of a template do not match, or its Jinja2 is wrong.",
        "Double the braces that mean themselves, `{{` and `}}`, unless the engine is jinja2.",
        bad="command: awk '{print $1}' {path}",
        good="command: awk '{{print $1}}' {path}",
    ),
    Code.NOT_A_LINE: Explanation(
        (_WARNING,),
        "A summary or a name has several lines, or more characters than are shown.",
        "Shorten it; the long text belongs into the description.",
    ),
    Code.SHELL_SYNTAX: Explanation(
        (_ERROR,),
        "The shell cannot read the command. Found by having the shell itself parse it; the command is not run.",
        "Close what is open: quotes, `if ... fi`, `$( ... )`.",
        bad="command: echo 'it is hot",
        good="command: echo 'it is hot'",
    ),
    Code.TEXT_FOR_LIST: Explanation(
        (_WARNING,),
        "A field of a YAML unit that is a list is written as one text. It works, as it does in PXU files.",
        "Write a YAML list.",
        bad="flags: simple preserve-locale",
        good="flags: [simple, preserve-locale]",
    ),
    Code.UNKNOWN_REFERENCE: Explanation(
        (_ERROR, _WARNING),
        "A unit that no loaded provider has, and that no template could make. A warning for what a run survives:"
        " `salvages`, `nested_part`, categories in overrides, entries of the manifest.",
        "Correct the id, write it with its namespace, or make the provider that has the unit available.",
        bad="depends: disk/detekt",
        good="depends: disk/detect",
    ),
    Code.WRONG_REFERENCE: Explanation(
        (_ERROR, _WARNING),
        "A reference to a unit that cannot serve here: a `requires` that names a job which is no resource, a bootstrap job"
        " that is not automated, a `setup_include` of what is no setup job, a dependency on a test plan.",
        "Name a unit of the kind that is wanted.",
    ),
    Code.NOT_UNIQUE: Explanation(
        (_ERROR, _WARNING),
        "Two units of one kind have the same id. The first counts, the other is left out. A warning when they are equal,"
        " or when one of them is a sibling of another job.",
        "Rename or remove one of them.",
    ),
    Code.DEAD_ENTRY: Explanation(
        (_WARNING,),
        "An entry of an include, exclude or override list that means no job, no sibling of a job, no template and nothing"
        " that a template could make.",
        "Correct the pattern, or remove the entry. A pattern matches the whole id.",
        bad="include: baskets/*",
        good="include: baskets/.*",
    ),
    Code.OVERLAP: Explanation(
        (_WARNING,),
        "What is mandatory, or runs in the bootstrap or setup phase, is also matched by `include`.",
        "Name it once.",
    ),
    Code.NESTED_LOOP: Explanation(
        (_ADVICE,),
        "A test plan is part of itself by way of `nested_part`. Each plan counts once here, but other programs may fail.",
        "Remove one of the parts.",
    ),
    Code.DEPENDENCY_CYCLE: Explanation(
        (_ERROR, _WARNING),
        "Jobs wait for each other, so that none of them can run. A warning when `before`, `salvages` or a group takes part:"
        " then it is so only if all of them are selected. The jobs of a group run with nothing between them, so no other"
        " job can run after one and before another of them.",
        "Remove one of the dependencies, or take a job out of the group.",
        bad="id: a\nafter: b\n\nid: b\nafter: a",
        good="id: a\n\nid: b\nafter: a",
    ),
    Code.NOT_EXECUTABLE: Explanation(
        (_WARNING,),
        "A program in `bin` without permission to be executed: jobs do not find it.",
        "`chmod +x` it.",
    ),
    Code.SKIPPED_FILE: Explanation(
        (_WARNING,),
        "A file among the unit files that is not read, because of the end of its name.",
        "Name it `*.pxu` or `*.yaml`, or put it elsewhere.",
    ),
    Code.NO_DATA_FILE: Explanation(
        (_ERROR,),
        "An exporter unit names a template that is not in the `data` directory of the provider.",
        "Add the file, or correct its name.",
    ),
    Code.BAD_SETTING: Explanation(
        (_WARNING,),
        "A section, a key or a code in `lint.conf`, or a `# noqa` comment or a code in one, that means nothing. Most values"
        " have no comments: behind them it is part of the value.",
        "Correct the name; the section is `[lint]` or `[lint:GLOB]`, the key is `ignore`. Put a comment in a line of its"
        " own above the field.",
        bad="[lint]\nignroe = PB104",
        good="[lint]\nignore = PB104",
    ),
}
