# SPDX-License-Identifier: Apache-2.0
"""Findings that nobody wants to hear of."""

from __future__ import annotations

import pytest
from linting import Workshop

from plainbox.errors import FieldError
from plainbox.providers.notes import COMMENTED
from plainbox.providers.silence import parse_code
from plainbox.units import Code
from plainbox.units.expressions import ResourceExpression, check_lines
from plainbox.units.kinds import KINDS

#: PB109 on line 2, PB201 on lines 5 and 6.
JOB = "id: a\nflags: simpel\nplugin: shell\ncommand: true\ndepends: b\nafter: c\nsummary: A\n"
ALL = [(2, "PB109"), (5, "PB201"), (6, "PB201")]


def after(found: list[tuple[int | None, str]], lines: int = 1) -> list[tuple[int | None, str]]:
    return [(line and line + lines, code) for line, code in found]


class TestNotes:
    def test_none(self, workshop: Workshop) -> None:
        """Without a comment everything is told."""
        assert workshop.codes(JOB) == ALL

    def test_on_the_line(self, workshop: Workshop) -> None:
        """A comment on the line silences the findings there."""
        report = workshop.report(JOB.replace("depends: b", "depends: b  # noqa: PB201"))
        assert [issue.origin and issue.origin.line_start for issue in report.issues] == [2, 6]
        assert report.silenced == 1

    def test_other_code_on_the_line(self, workshop: Workshop) -> None:
        """Only the codes that are named are silenced."""
        assert workshop.codes(JOB.replace("depends: b", "depends: b  # noqa: PB101, PB104")) == ALL

    @pytest.mark.parametrize(
        "note", ["# noqa", "#noqa", "# NOQA: pb201", "# noqa: PB101, PB201", "# noqa: PB101 PB201 why"]
    )
    def test_above_the_line(self, workshop: Workshop, note: str) -> None:
        """A comment line silences the line directly below it."""
        assert workshop.codes(JOB.replace("depends: b", f"{note}\ndepends: b")) == [(2, "PB109"), (7, "PB201")]

    def test_several_comment_lines(self, workshop: Workshop) -> None:
        """The comment lines above a line count together."""
        text = JOB.replace("depends: b", "# noqa: PB201\n# since b is in another provider\ndepends: b")
        assert workshop.codes(text) == [(2, "PB109"), (8, "PB201")]

    def test_in_a_list(self, workshop: Workshop) -> None:
        """Inside of a list a comment goes with its item."""
        text = JOB.replace("depends: b", "depends:\n b # noqa: PB201\n d")
        assert workshop.codes(text) == [(2, "PB109"), (7, "PB201"), (8, "PB201")]

    def test_above_the_unit(self, workshop: Workshop) -> None:
        """Above the first line of a unit a comment is for all of it, and for nothing else."""
        text = f"# noqa: PB201\n{JOB}\n{JOB.replace('id: a', 'id: z')}"
        assert workshop.codes(text) == [(3, "PB109"), (11, "PB109"), (14, "PB201"), (15, "PB201")]

    def test_all_of_the_unit(self, workshop: Workshop) -> None:
        """A bare comment silences everything in the unit."""
        report = workshop.report(f"# noqa\n{JOB}")
        assert (report.issues, report.silenced) == ((), 3)

    def test_not_directly_above(self, workshop: Workshop) -> None:
        """An empty line ends what a comment is for."""
        assert workshop.codes(f"# noqa\n\n{JOB}") == after(ALL, 2)

    def test_record_that_is_no_unit(self, workshop: Workshop) -> None:
        """A mistake that keeps a record from being read can be silenced too."""
        assert workshop.codes("# noqa: PB002\nunit: future\nid: a\n") == []

    def test_yaml(self, workshop: Workshop) -> None:
        """In YAML every comment counts, indented ones too."""
        text = "id: a\nplugin: shell\ncommand: 'true'\ndepends:\n  # noqa: PB201\n  - b\nafter: [c]  # noqa\n"
        assert workshop.codes({"units/x.yaml": text}) == []

    def test_indented_in_pxu(self, workshop: Workshop) -> None:
        """In PXU an indented line is text, not a comment for the next line."""
        text = "id: a\nplugin: shell\ncommand:\n # noqa\n echo )\n"
        assert [code for _, code in workshop.codes(text)] == ["PB114"]

    @pytest.mark.parametrize(
        ("text", "codes"),
        [
            ("id: a\nflags: simple preserve # noqa: PB109\ncommand: true\nsummary: A\n", [(2, "PB109")]),
            ("id: a\nflags: simple\ncommand: true\nsummary: A\ndepends: b\ngroup: g # noqa\n", [(5, "PB201")]),
            ("id: a\nflags: simple\ncommand: true\nsummary: A # noqa: PB113\n", []),
            ("id: a\nflags: simple\ncommand: true\ndescription:\n Look # noqa: PB113\n there\n", []),
            ("unit: jop # noqa: PB002\nid: a\n", [(1, "PB002")]),
        ],
    )
    def test_part_of_a_value(self, workshop: Workshop, text: str, codes: list[tuple[int, str]]) -> None:
        """Where a value has no comments, a note is part of it: it silences nothing, which is told."""
        line = next(number for number, line in enumerate(text.split("\n"), 1) if "noqa" in line)
        found = workshop.codes(text)
        assert (line, "PB304") in found
        assert set(found) - {(line, "PB304")} == set(codes)

    def test_part_of_a_value_is_explained(self, workshop: Workshop) -> None:
        """The finding names the field and says where a note goes."""
        assert workshop.found("id: a\nflags: simple\ncommand: true\n_summary: A # noqa\n") == [
            (
                "units/x.pxu:4: PB304 warning: field 'summary': a comment here is part of the value"
                " (put it in a line of its own above)"
            )
        ]
        assert workshop.found("id: a\nflags: simple\ncommand: true\n_summary: A # noqa: E501\n") == []

    def test_values_with_comments(self) -> None:
        """The fields whose notes count are those whose values do not change with a comment."""
        sample = {
            "requires": "r.x == '1'",
            "template-filter": "r.x == '1'",
            "category_overrides": "apply c to j",
            "certification_status_overrides": "apply blocker to j",
        }
        for kind in KINDS.values():
            for key, field in kind.fields.items():
                text = sample.get(key, "1")
                try:
                    same = field.type.convert(f"{text} # noqa", None) == field.type.convert(text, None)
                except FieldError:
                    same = False
                if key in ("requires", "template-filter"):
                    same = not list(check_lines(f"{text} # noqa", ResourceExpression))
                assert (key in COMMENTED) is (same or key == "command"), key

    @pytest.mark.parametrize("lines", ["depends:\n b\n c\n", "depends: x\n b\n# why\n c\n"])
    def test_above_the_field(self, workshop: Workshop, lines: str) -> None:
        """Above a field of several lines a comment is for all of them."""
        head = "id: a\nflags: simple\ncommand: true\n"
        assert workshop.codes(head + lines)
        assert workshop.codes(f"{head}# noqa: PB201\n{lines}after: d\n") == [(5 + lines.count("\n"), "PB201")]

    @pytest.mark.parametrize(
        "lines", ["depends:\n- b\n- c\n", "depends:\n  - b\n\n  # why\n  - c\n", "depends: [\n b,\n c\n]\n"]
    )
    def test_above_the_field_in_yaml(self, workshop: Workshop, lines: str) -> None:
        """So it is in YAML, however the list is written."""
        head = "id: a\nflags: [simple]\ncommand: 'true'\n"
        assert workshop.codes({"units/x.yaml": head + lines})
        text = f"{head}# noqa: PB201\n{lines}after:\n- d\n"
        assert workshop.codes({"units/x.yaml": text}) == [(6 + lines.count("\n"), "PB201")]

    def test_text_in_yaml(self, workshop: Workshop) -> None:
        """In YAML a note in a quoted text or in a block is part of it, behind one it is a comment."""
        head = "id: a\nflags: [simple]\ncommand: 'true'\n"
        long = "x" * 81
        assert workshop.codes({"units/x.yaml": f"{head}summary: {long}  # noqa\n"}) == []
        assert workshop.codes({"units/x.yaml": f"{head}summary: '{long}'  # noqa\n"}) == []
        for summary in (f"'{long} # noqa'", f"|\n  {long} # noqa"):
            found = {code for _, code in workshop.codes({"units/x.yaml": f"{head}summary: {summary}\n"})}
            assert found == {"PB113", "PB304"}

    def test_command_in_yaml(self, workshop: Workshop) -> None:
        """The comments of a shell script count, each for its line."""
        text = "id: a\nflags: [simple]\ncommand: |\n  echo )  # noqa: PB114\n"
        assert workshop.codes({"units/x.yaml": text}) == []

    def test_unit_before(self, workshop: Workshop) -> None:
        """What is above a unit is not for the broken record that follows it."""
        text = "# noqa\nid: a\nflags: simple\ncommand: true\n\nunit: jop\nid: b\n"
        assert workshop.codes(text) == [(6, "PB002")]

    def test_unknown_code(self, workshop: Workshop) -> None:
        """A code that looks like one of ours and is none is told; those of other tools are not our business."""
        text = JOB.replace("depends: b", "# noqa: PB2O1, PB999, E501, SC2086\ndepends: b")
        assert workshop.found(text)[1:4] == [
            "units/x.pxu:5: PB304 warning: there is no code 'PB2O1' (did you mean 'PB201'?)",
            "units/x.pxu:5: PB304 warning: there is no code 'PB999'",
            "units/x.pxu:6: PB201 error: org.example::a: field 'depends': no job 'org.example::b'",
        ]

    def test_codes_of_other_tools(self, workshop: Workshop) -> None:
        """A comment for another tool silences nothing here."""
        assert workshop.codes(f"# noqa: E501\n{JOB}") == after(ALL)


class TestConfiguration:
    def test_for_all(self, workshop: Workshop) -> None:
        """Codes in the section [lint] are silenced in the whole provider."""
        report = workshop.report({"units/x.pxu": JOB, "lint.conf": "[lint]\nignore = PB109, PB201\n"})
        assert (report.issues, report.silenced) == ((), 3)

    def test_for_some_files(self, workshop: Workshop) -> None:
        """Codes in a section with a pattern are silenced in the files that it matches."""
        files = {
            "units/x.pxu": JOB,
            "units/old/y.pxu": JOB.replace("id: a", "id: z"),
            "lint.conf": "[lint]\nignore = PB109\n\n[lint:units/old/*]\nignore =\n  PB201\n",
        }
        assert workshop.codes(files) == [(5, "PB201"), (6, "PB201")]

    def test_what_means_nothing(self, workshop: Workshop) -> None:
        """Unknown sections, keys and codes are findings with their line, and the others count."""
        files = {
            "units/x.pxu": JOB,
            "lint.conf": "[lint]\nignroe = PB109\n# a comment\nignore = PB201, PB22\n\n[lnit]\nignore = PB109\n",
        }
        assert workshop.found(files)[:3] == [
            "lint.conf:2: PB304 warning: no such key: 'ignroe' (did you mean 'ignore'?)",
            "lint.conf:4: PB304 warning: there is no code 'PB22' (did you mean 'PB202'?)",
            "lint.conf:6: PB304 warning: no such section: 'lnit' (did you mean 'lint'?)",
        ]
        assert workshop.codes(files)[3:] == [(2, "PB109")]

    @pytest.mark.parametrize("text", ["ignore = PB109\n", "[lint]\nignore\n", "[lint]\n[lint]\n", "[lint\n", "\udcff"])
    def test_no_configuration(self, workshop: Workshop, text: str) -> None:
        """A file that cannot be read is a finding and silences nothing."""
        base = workshop.provider(JOB)
        (base / "lint.conf").write_text(text, errors="surrogateescape")
        assert [code for _, code in workshop.codes(JOB)] == ["PB304", "PB109", "PB201", "PB201"]


@pytest.mark.parametrize("text", ["PB204", "pb204", " PB204 "])
def test_parse_code(text: str) -> None:
    """A code is known in any case."""
    assert parse_code(text) is Code.DEAD_ENTRY


def test_parse_unknown_code() -> None:
    """A code that is not known is an error with the one that was meant."""
    with pytest.raises(FieldError, match="no code 'PB2040'") as caught:
        parse_code("PB2040")
    assert caught.value.hint == "did you mean 'PB204'?"
