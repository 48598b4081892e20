# SPDX-License-Identifier: Apache-2.0
"""From the work of translators to what users see; nothing of that work is ever lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workshop_rig import Workshop

from plainbox import i18n
from plainbox.providers import Provider
from plainbox.providers.definition import from_source_tree
from plainbox.units.writer import to_yaml

UNITS = """\
id: a
plugin: manual
_summary: Look at the screen
_description:
 Two paragraphs,
 .
 both of them.
_steps: Look.

unit: template
template-resource: r
id: b-{x}
_summary: About {x}
command: true
"""
GERMAN = {
    "Look at the screen": "Schau auf den Bildschirm",
    "Two paragraphs,\\n.\\nboth of them.": "Zwei Absätze,\\n.\\nalle beide.",
    "About {x}": "Über {x}",
}


@pytest.fixture(autouse=True)
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    i18n._catalogue.cache_clear()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path / "tree")
    workshop.manage()
    workshop.file("units/a.pxu", UNITS)
    return workshop


def begin(workshop: Workshop) -> None:
    """Begin a German catalogue and translate most of it."""
    workshop.file("po/de.po", "")
    assert workshop.run("i18n", "--dont-build-mo") == 0
    text = workshop.text("po/de.po")
    for message, translation in GERMAN.items():
        lines = '"\n"'.join(["", *re.split(r"(?<=\\n)", message)]) if "\\n" in message else message
        text, count = re.subn(
            rf'^(msgid "{re.escape(lines)}"\n)msgstr ""$',
            lambda match, translation=translation: f'{match[1]}msgstr "{translation}"',
            text,
            flags=re.MULTILINE,
        )
        assert count == 1, f"{message!r} is not in\n{text}"
    workshop.file("po/de.po", text)


def test_round_trip(workshop: Workshop) -> None:
    """Collected, translated, compiled: the texts of the loaded provider are in the reader's language."""
    begin(workshop)
    assert workshop.run("i18n") == 0
    assert workshop.said[-1] == "wrote build/mo/de/LC_MESSAGES/demo.mo"
    job, template = Provider(from_source_tree(workshop.directory)).unit_list
    assert job.tr_summary() == "Schau auf den Bildschirm"
    assert job.translated("description") == "Zwei Absätze,\n\nalle beide."
    assert job.translated("steps") == "Look."
    assert template.instantiate({"x": "y"}, 1).tr_summary() == "Über y"


def test_nothing_to_do_writes_nothing(workshop: Workshop) -> None:
    """A second run finds everything as it should be, whatever the time."""
    begin(workshop)
    workshop.run("i18n")
    pot = workshop.text("po/demo.pot")
    workshop.file("po/demo.pot", re.sub("POT-Creation-Date: ....", "POT-Creation-Date: 1999", pot))
    workshop.file("po/de.po", re.sub("POT-Creation-Date: ....", "POT-Creation-Date: 1999", workshop.text("po/de.po")))
    assert workshop.run("i18n") == 0
    assert workshop.said == ["wrote build/mo/de/LC_MESSAGES/demo.mo"]
    assert workshop.run("i18n") == 0
    assert workshop.said == []
    assert "POT-Creation-Date: 1999" in workshop.text("po/demo.pot")


@pytest.mark.parametrize("domain", ["demo", "checkbox-provider-demo", "org_example_demo", "de"])
def test_any_domain(domain: str, workshop: Workshop) -> None:
    """The name of the domain is no language."""
    workshop.manage(f', gettext_domain="{domain}"')
    for _ in range(2):
        assert workshop.run("i18n") == 0
    assert workshop.said == []
    assert "Language:" not in workshop.text(f"po/{domain}.pot")


@pytest.mark.parametrize("language", ["ca@valencia", "zh_Hans", "en-GB", "sr@latin", "tlh", "de_x.y"])
def test_any_language(language: str, workshop: Workshop) -> None:
    """Also a language that nobody has plural rules for can be translated into."""
    workshop.file(f"po/{language}.po", 'msgid "Look."\nmsgstr "Nuq"\n')
    for _ in range(2):
        assert workshop.run("i18n") == 0
    assert workshop.said == []
    assert 'msgstr "Nuq"' in workshop.text(f"po/{language}.po")


def test_begun_language(workshop: Workshop) -> None:
    """An empty file becomes a catalogue of the language in its name."""
    workshop.file("po/pt_BR.po", "")
    assert workshop.run("i18n") == 0
    text = workshop.text("po/pt_BR.po")
    assert text.startswith("# Messages of the provider org.example:demo.\nmsgid")
    assert '"Language: pt_BR\\n"' in text
    assert '"Project-Id-Version: org.example:demo 1.0\\n"' in text
    assert "Plural-Forms" in text


def test_changed_message_keeps_its_translation(workshop: Workshop) -> None:
    """The translation of a message that has changed a little stays, marked for a look, and is not shown until then."""
    begin(workshop)
    workshop.file("units/a.pxu", UNITS.replace("Look at the screen", "Look at the screens"))
    for _ in range(3):
        assert workshop.run("i18n") == 0
        assert (
            '#: units/a.pxu:3\n#, fuzzy\n#| msgid "Look at the screen"\nmsgid "Look at the screens"\n'
            'msgstr "Schau auf den Bildschirm"\n'
        ) in workshop.text("po/de.po")
    job = Provider(from_source_tree(workshop.directory)).job_list[0]
    assert job.tr_summary() == "Look at the screens"


def test_languages_are_apart(workshop: Workshop) -> None:
    """What one language has for a changed message says nothing about another."""
    begin(workshop)
    for language in ("cs", "fr"):
        workshop.file(f"po/{language}.po", "")
    workshop.run("i18n")
    workshop.file("units/a.pxu", UNITS.replace("Look at the screen", "Look at the screens"))
    assert workshop.run("i18n") == 0
    for language in ("cs", "fr"):
        assert 'msgid "Look at the screens"\nmsgstr ""\n' in workshop.text(f"po/{language}.po")
        assert "fuzzy" not in workshop.text(f"po/{language}.po")


def test_message_that_is_still_there_keeps_its_translation_for_itself(workshop: Workshop) -> None:
    """A new message like one that is still there begins without a translation."""
    begin(workshop)
    workshop.file("units/a.pxu", UNITS + "\nid: c\nplugin: manual\n_summary: Look at the screens\n")
    assert workshop.run("i18n") == 0
    assert 'msgid "Look at the screens"\nmsgstr ""\n' in workshop.text("po/de.po")


def test_change_that_is_taken_back(workshop: Workshop) -> None:
    """When a message is again what it was, its translation is as it was."""
    begin(workshop)
    workshop.run("i18n")
    before = workshop.text("po/de.po")
    workshop.file("units/a.pxu", UNITS.replace("Look at the screen", "Look at the screens"))
    workshop.run("i18n")
    workshop.file("units/a.pxu", UNITS)
    workshop.run("i18n")
    text = workshop.text("po/de.po")
    start = before.index("#: units/a.pxu:3")
    assert before[start:] in text


def test_former_text_of_several_lines(workshop: Workshop) -> None:
    """The former text of a changed message stays beside it, also one of several lines, however often i18n runs."""
    begin(workshop)
    workshop.file("units/a.pxu", UNITS.replace("both of them", "both of these"))
    assert workshop.run("i18n") == 0
    text = workshop.text("po/de.po")
    assert re.search(r'#\| msgid "" "Two paragraphs,\\n" "\.\\n" "both of them\."\n', text)
    assert workshop.run("i18n") == 0
    assert workshop.said == []


def test_message_that_goes_and_comes_back(workshop: Workshop) -> None:
    """The translation of a message that is gone is kept, and used when the message is back."""
    begin(workshop)
    workshop.file("units/a.pxu", UNITS.split("\n\n")[0] + "\n")
    assert workshop.run("i18n") == 0
    assert '#~ msgid "About {x}"\n#~ msgstr "Über {x}"\n' in workshop.text("po/de.po")
    workshop.file("units/a.pxu", UNITS)
    assert workshop.run("i18n") == 0
    text = workshop.text("po/de.po")
    assert '#: units/a.pxu:13\nmsgid "About {x}"\nmsgstr "Über {x}"\n' in text
    assert "#~" not in text


def test_a_file_that_is_now_yaml(workshop: Workshop) -> None:
    """A text that means the same keeps its translation, and is as finished as it was before."""
    begin(workshop)
    marked = workshop.text("po/de.po").replace("#: units/a.pxu:5\n", "# Or three?\n#: units/a.pxu:5\n")
    workshop.file("po/de.po", marked)
    pxu = workshop.directory / "units" / "a.pxu"
    workshop.file("units/a.yaml", to_yaml(UNITS.splitlines(keepends=True), "a.pxu"))
    pxu.unlink()
    assert workshop.run("i18n") == 0
    text = workshop.text("po/de.po")
    assert "fuzzy" not in text
    assert (
        '# Or three?\n#: units/a.yaml:5\nmsgid ""\n"Two paragraphs,\\n"\n"\\n"\n"both of them."\n'
        'msgstr ""\n"Zwei Absätze,\\n"\n"\\n"\n"alle beide."\n'
    ) in text
    assert Provider(from_source_tree(workshop.directory)).job_list[0].translated("description") == (
        "Zwei Absätze,\n\nalle beide."
    )


def test_a_file_that_is_now_yaml_finishes_nothing(workshop: Workshop) -> None:
    """A translation that nobody has confirmed waits for its translator as before."""
    begin(workshop)
    workshop.file("po/de.po", workshop.text("po/de.po").replace("#: units/a.pxu:5\n", "#: units/a.pxu:5\n#, fuzzy\n"))
    workshop.file("units/a.yaml", to_yaml(UNITS.splitlines(keepends=True), "a.pxu"))
    (workshop.directory / "units" / "a.pxu").unlink()
    assert workshop.run("i18n") == 0
    assert '#: units/a.yaml:5\n#, fuzzy\nmsgid ""\n"Two paragraphs,' in workshop.text("po/de.po")
    assert Provider(from_source_tree(workshop.directory)).job_list[0].translated("description") == (
        "Two paragraphs,\n\nboth of them."
    )


def test_translators_comments_and_header_stay(workshop: Workshop) -> None:
    """Comments and the header are the translators' own."""
    begin(workshop)
    text = workshop.text("po/de.po").replace("# Messages of the provider org.example:demo.", "# Ours.\n# All of it.")
    text = text.replace("FULL NAME <EMAIL@ADDRESS>", "A Person <a@example.org>")
    workshop.file("po/de.po", text.replace("#: units/a.pxu:3\n", "# Or monitor?\n#: units/a.pxu:3\n"))
    workshop.file("units/a.pxu", "\n" + UNITS)
    assert workshop.run("i18n") == 0
    text = workshop.text("po/de.po")
    assert text.startswith("# Ours.\n# All of it.\nmsgid")
    assert "Last-Translator: A Person <a@example.org>" in text
    assert "# Or monitor?\n#: units/a.pxu:4\n" in text


def test_other_character_set(workshop: Workshop) -> None:
    """A catalogue in another character set is read, and written as UTF-8."""
    (workshop.directory / "po").mkdir()
    (workshop.directory / "po" / "de.po").write_bytes(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=iso-8859-1\\n"\n\n'
        'msgid "About {x}"\nmsgstr "Über {x}"\n'.encode("latin-1")
    )
    assert workshop.run("i18n") == 0
    assert 'msgstr "Über {x}"' in workshop.text("po/de.po")
    template = Provider(from_source_tree(workshop.directory)).unit_list[1]
    assert template.instantiate({"x": "y"}, 1).tr_summary() == "Über y"


@pytest.mark.parametrize(
    ("broken", "line", "message"),
    [
        ('msgid "a"\nmsgstr "b\n', 2, "not a line"),
        ('msgid "a"\nmsgstr b\n', 2, "not a line"),
        ('msgid "a"\n\nmsgid "b"\nmsgstr "c"\n', 1, "missing msgstr"),
        ('msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n', 4, "twice"),
        ('msgid "a"\nmsgstr "b"\n<<<<<<< HEAD\n', 3, "not a line"),
        ('# x\nmsgid "About {x}"\nmsgstr "Über {y}"\n', 2, "no {y}"),
        ('# x\nmsgid "About {x}"\nmsgstr "Über {x"\n', 2, "not a good template"),
        ('#: bin/tool:4\n#, python-format\nmsgid "About %s"\nmsgstr "Über %d"\n', 3, "incompatible"),
        ('msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\nmsgid "\udcfc"\nmsgstr ""\n', 3, "not utf-8"),
        ('msgid ""\nmsgstr "Content-Type: text/plain; charset=klingon\\n"\nmsgid "a"\nmsgstr ""\n', None, "klingon"),
        ('msgid ""\nmsgstr "Plural-Forms: nplurals=x;\\n"\nmsgid "a"\nmsgstr ""\n', None, "not a message catalogue"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr[7] "c"\n', 1, "more translations"),
        ('"a"\n', 1, "not in msgid"),
    ],
)
def test_broken_catalogue(broken: str, line: int | None, message: str, workshop: Workshop) -> None:
    """A catalogue with a mistake is told with its line, the command ends with 1, and no file at all changes."""
    begin(workshop)
    workshop.run("i18n")
    workshop.file("units/a.pxu", UNITS.replace("Look.", "Look twice."))
    (workshop.directory / "po" / "fr.po").write_bytes(broken.encode("utf-8", "surrogateescape"))
    before = {path: path.read_bytes() for path in workshop.directory.rglob("*") if path.is_file()}
    assert workshop.run("i18n") == 1
    assert workshop.said[-1] == "nothing was written"
    assert message in workshop.said[0]
    place = f"{workshop.directory}/po/fr.po" + (f":{line}:" if line else ":")
    assert workshop.said[0].startswith(place)
    assert {path: path.read_bytes() for path in workshop.directory.rglob("*") if path.is_file()} == before


def test_steps_can_be_left_out(workshop: Workshop) -> None:
    """Each step can be left out, and a dry run takes none."""
    workshop.file("po/de.po", "")
    assert workshop.run("i18n", "--dry-run") == 0
    assert workshop.said == [
        "would write po/demo.pot",
        "would write po/de.po",
        "would write build/mo/de/LC_MESSAGES/demo.mo",
    ]
    assert workshop.text("po/de.po") == ""
    assert workshop.run("i18n", "--dont-update-pot") == 0
    assert workshop.said == ["wrote build/mo/de/LC_MESSAGES/demo.mo"]
    assert workshop.run("i18n", "--dont-merge-po", "--dont-build-mo") == 0
    assert workshop.said == ["wrote po/demo.pot"]
    assert workshop.run("i18n", "--dont-update-pot", "--dont-build-mo") == 0
    assert workshop.said == ["wrote po/de.po"]
    assert "Look at the screen" in workshop.text("po/de.po")


def test_file_that_is_no_language(workshop: Workshop) -> None:
    """A file whose name is no language is left alone, and told."""
    workshop.file("po/old backup.po", "no catalogue")
    assert workshop.run("i18n") == 0
    assert "no language" in workshop.warned[0]


def test_permissions_stay(workshop: Workshop) -> None:
    """A file that is written anew keeps its permissions."""
    workshop.file("po/de.po", "", 0o640)
    workshop.run("i18n")
    assert (workshop.directory / "po" / "de.po").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in (workshop.directory / "po").iterdir()) == ["de.po", "demo.pot"]
