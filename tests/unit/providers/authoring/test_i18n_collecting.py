# SPDX-License-Identifier: Apache-2.0
"""What of a provider is to be translated, and where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from workshop_rig import Workshop

from plainbox.errors import ProviderError
from plainbox.providers import Provider
from plainbox.providers.definition import from_source_tree

PXU = """\
id: a
plugin: manual
_summary: The first
_description:
 Two lines,
 .
   the last indented.
_purpose: inline
# a comment in between
 and more
summary-of-nobody: not this

unit: template
template-resource: r
_template-summary: A template
id: b-{x}
_summary: About {x}
command: true
"""
YAML = "id: c\nplugin: manual\n_summary: In YAML\n_steps: |\n  one\n  two\n---\nunit: category\nid: d\n_name: A name\n"
PYTHON = """\
#!/usr/bin/env python3
from gettext import gettext as _, ngettext
# TRANSLATORS: said at the door
print(_("Hello"), ngettext("one", "many", 3), _("%s is 100 % sure") % "he")
"""
SHELL = '#!/bin/bash\ngettext "From the shell"\necho $"And this"\n'


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path / "tree")
    workshop.manage()
    return workshop


def collected(workshop: Workshop) -> dict[object, list[tuple[str, int | None]]]:
    """Return the messages of the template with their places."""
    with open(workshop.directory / "po" / "demo.pot", "rb") as stream:
        return {message.id: message.locations for message in read_po(stream, abort_invalid=True) if message.id}


def test_units(workshop: Workshop) -> None:
    """A message is the raw text of a field that begins with an underscore, placed at its first line."""
    workshop.file("units/a.pxu", PXU)
    workshop.file("units/deep/c.yaml", YAML)
    assert workshop.run("i18n") == 0
    assert workshop.warned == []
    assert collected(workshop) == {
        "A demo": [("manage.py", 3)],
        "The first": [("units/a.pxu", 3)],
        "Two lines,\n.\n  the last indented.": [("units/a.pxu", 5)],
        "inline\nand more": [("units/a.pxu", 8)],
        "A template": [("units/a.pxu", 15)],
        "About {x}": [("units/a.pxu", 17)],
        "In YAML": [("units/deep/c.yaml", 3)],
        "one\ntwo": [("units/deep/c.yaml", 5)],
        "A name": [("units/deep/c.yaml", 10)],
    }


def test_every_text_that_is_looked_up_is_collected(workshop: Workshop) -> None:
    """What a unit asks its catalogue for is in the template, to the letter."""
    workshop.file("units/a.pxu", PXU)
    workshop.file("units/deep/c.yaml", YAML)
    workshop.run("i18n")
    wanted = {
        text
        for unit in Provider(from_source_tree(workshop.directory)).unit_list
        for key, text in unit.raw.items()
        if key.startswith("_")
    }
    assert len(wanted) == 8
    assert wanted <= collected(workshop).keys()


def test_programs(workshop: Workshop) -> None:
    """Without a list the Python programs in bin count too, with comments for translators."""
    workshop.file("bin/tool", PYTHON, 0o755)
    workshop.file("bin/not-executable", PYTHON)
    workshop.file("bin/other.sh", SHELL, 0o755)
    workshop.run("i18n")
    assert collected(workshop) == {
        "A demo": [("manage.py", 3)],
        "Hello": [("bin/tool", 4)],
        ("one", "many"): [("bin/tool", 4)],
        "%s is 100 % sure": [("bin/tool", 4)],
    }
    text = workshop.text("po/demo.pot")
    assert '#. TRANSLATORS: said at the door\n#: bin/tool:4\nmsgid "Hello"' in text
    assert '#, python-format\nmsgid "%s is 100 % sure"' in text


def test_percent_in_a_unit_is_no_format(workshop: Workshop) -> None:
    """A text of a unit is not taken for a format of Python."""
    workshop.file("units/a.pxu", "id: a\nplugin: manual\n_summary: 100 % sure of {x}\n")
    workshop.run("i18n")
    assert '#: units/a.pxu:3\nmsgid "100 % sure of {x}"' in workshop.text("po/demo.pot")


def test_list_of_files(workshop: Workshop) -> None:
    """POTFILES.in names the files; a type is given or comes from the name or the first line."""
    workshop.file("units/a.pxu", "id: a\nplugin: manual\n_summary: Listed\n")
    workshop.file("units/b.pxu", "id: b\nplugin: manual\n_summary: Not listed\n")
    workshop.file("jobs/c.txt.in", "id: c\nplugin: manual\n_summary: Also listed\n")
    workshop.file("bin/tool", PYTHON)
    workshop.file("data/picture.svg", "<svg/>")
    workshop.file(
        "po/POTFILES.in",
        "[encoding: UTF-8]\n# the units\n\n[type: gettext/rfc822deb] units/a.pxu\n"
        "[type:gettext/rfc822deb]jobs/c.txt.in\n[type: python] bin/tool\nmanage.py\ndata/picture.svg\n",
    )
    workshop.run("i18n")
    assert list(collected(workshop)) == [
        "Listed",
        "Also listed",
        "Hello",
        ("one", "many"),
        "%s is 100 % sure",
        "A demo",
    ]
    assert [text.rpartition("/")[2] for text in workshop.warned] == ["picture.svg: its type is not known"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("units/gone.pxu", "no such file"),
        ("../secret", "outside"),
        ("units/link", "outside"),
        ("units", "no such file"),
    ],
)
def test_wrong_line_of_the_list(line: str, message: str, workshop: Workshop, tmp_path: Path) -> None:
    """A line that names no file of the provider ends the command, with the place of the line."""
    (tmp_path / "secret").write_text("_('secret')")
    workshop.file("units/a.pxu", "")
    (workshop.directory / "units" / "link").symlink_to(tmp_path / "secret")
    workshop.file("po/POTFILES.in", f"\n{line}\n")
    with pytest.raises(ProviderError, match=message) as caught:
        workshop.run("i18n")
    assert str(caught.value.origin) == f"{workshop.directory}/po/POTFILES.in:2"


def test_shell(workshop: Workshop) -> None:
    """Messages of shell scripts come from xgettext, on a machine that has it."""
    workshop.file("bin/tool.sh", SHELL)
    workshop.file("po/POTFILES.in", "bin/tool.sh\nmanage.py\n")
    workshop.run("i18n")
    found = collected(workshop)
    assert found.pop("A demo")
    if shutil.which("xgettext") is not None:
        assert found == {"From the shell": [("bin/tool.sh", 2)], "And this": [("bin/tool.sh", 3)]}
    else:
        assert found == {}
        assert "xgettext is not installed" in workshop.warned[0]


def test_shell_without_xgettext(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where xgettext is not installed, the messages that are missing are told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    workshop.file("bin/tool", SHELL)
    workshop.file("po/POTFILES.in", "[type: shell] bin/tool\nmanage.py\n")
    assert workshop.run("i18n") == 0
    assert collected(workshop).keys() == {"A demo"}
    assert len(workshop.warned) == 1
    assert workshop.warned[0].startswith("the messages of bin/tool are left out: xgettext is not installed")


def test_broken_files(workshop: Workshop) -> None:
    """Of a unit file with a mistake the rest counts and the mistake is told; a broken program ends the command."""
    workshop.file("units/a.pxu", "id: a\nplugin: manual\n_summary: Good\n\nbad line\n_summary: Bad\n")
    assert workshop.run("i18n") == 0
    assert "Good" in collected(workshop)
    assert "Bad" not in collected(workshop)
    assert "units/a.pxu:5" in workshop.warned[0]
    before = workshop.text("po/demo.pot")
    workshop.file("bin/tool", "#!/usr/bin/python3\nprint(_('x'\n", 0o755)
    with pytest.raises(ProviderError, match="bin/tool"):
        workshop.run("i18n")
    assert workshop.text("po/demo.pot") == before


def test_provider_with_units_elsewhere(workshop: Workshop, tmp_path: Path) -> None:
    """Also the units of a provider whose folders are in different places are looked into."""
    Workshop(tmp_path).file("elsewhere/a.pxu", "id: a\nplugin: manual\n_summary: Far away\n")
    (workshop.directory / "manage.py").unlink()
    workshop.file(
        "demo.provider",
        "[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\ngettext_domain = demo\n"
        f"units_dir = {tmp_path}/elsewhere\n",
    )
    assert workshop.run("i18n") == 0
    assert collected(workshop) == {"Far away": [("../elsewhere/a.pxu", 3)]}
    assert workshop.run("test", "-i", "-f", "-s") == 0


def test_provider_without_domain(workshop: Workshop) -> None:
    """Without a gettext domain nothing could be looked up, and the command says how to give one."""
    workshop.manage("")
    with pytest.raises(ProviderError) as caught:
        workshop.run("i18n")
    assert caught.value.hint == 'add gettext_domain="org-example-demo"'


def test_nothing_to_translate(workshop: Workshop) -> None:
    """A provider without messages is told so; no catalogue is emptied."""
    workshop.file("manage.py", workshop.text("manage.py").replace('N_("A demo")', '"A demo"'))
    workshop.file("po/de.po", 'msgid "a"\nmsgstr "b"\n')
    assert workshop.run("i18n") == 0
    assert "nothing to translate" in workshop.warned[0]
    assert workshop.text("po/de.po") == 'msgid "a"\nmsgstr "b"\n'
