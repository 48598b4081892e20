# SPDX-License-Identifier: Apache-2.0
"""Providers and the catalogue of their units: what is read, in which order, what clashes, what is found by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plainbox.errors import ProviderError, UsageError
from plainbox.providers import Catalogue, Provider
from plainbox.providers.discovery import named_providers
from plainbox.units import CategoryUnit, JobDefinition, TemplateUnit, TestPlanUnit

Make = Callable[..., Provider]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a provider from the texts of its files."""

    def provider(
        files: dict[str, str | bytes], name: str = "home", namespace: str = "org.example", *, directory: str = ""
    ) -> Provider:
        base = tmp_path / (directory or name)
        base.mkdir(exist_ok=True)
        (base / "x.provider").write_text(
            f"[PlainBox Provider]\nname = {name}\nnamespace = {namespace}\nversion = 1\nrelocatable = True\n"
        )
        for path, content in files.items():
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).write_bytes(content.encode() if isinstance(content, str) else content)
        [found] = named_providers(base)
        return found

    return provider


def job(identifier: str, **fields: str) -> str:
    lines = [
        f"id: {identifier}",
        "plugin: shell",
        "command: true",
        *(f"{key}: {value}" for key, value in fields.items()),
    ]
    return "\n".join(lines) + "\n"


def problems(catalogue: Catalogue, tmp_path: Path) -> list[str]:
    return [str(problem).replace(f"{tmp_path}/", "") for problem in catalogue.problems]


# -- the provider


def test_the_files_of_the_units_folder(make: Make) -> None:
    """PXU and YAML by their suffixes, in folders below it too; other files are no units."""
    provider = make(
        {
            "units/a.pxu": job("a"),
            "units/b.txt": job("b"),
            "units/c.yaml": "id: c\nplugin: shell\n",
            "units/d/e/f.yml": "id: f\nplugin: shell\n",
            "units/g.in": job("g"),
            "units/README.md": "words",
            "units/h.pxu~": "words",
            "jobs/i.in": job("i"),
            "jobs/j.pxu": job("j"),
            "data/k.pxu": job("k"),
        }
    )
    assert [unit.partial_id for unit in provider.unit_list] == ["a", "b", "c", "f", "i", "j"]
    assert provider.problem_list == []


def test_files_are_read_in_the_order_of_their_paths(make: Make) -> None:
    """By the text of the whole path, so that the order is the same everywhere."""
    names = ["b.pxu", "a/z.pxu", "a-b.pxu", "a.pxu", "B.pxu", "ä.pxu"]
    provider = make({f"units/{name}": job(name.replace("/", "-")) for name in names})
    folder = f"{provider.base_dir}/units/"
    files = [unit.origin.source.removeprefix(folder) for unit in provider.unit_list if unit.origin]
    assert files == ["B.pxu", "a-b.pxu", "a.pxu", "a/z.pxu", "b.pxu", "ä.pxu"]


def test_units_know_their_provider_and_their_place(make: Make) -> None:
    """The origin is what an editor opens."""
    provider = make({"units/a.pxu": "\n" + job("a")})
    [unit] = provider.job_list
    assert unit.provider is provider
    assert str(unit.origin) == f"{provider.base_dir}/units/a.pxu:2-4"
    assert unit.id == "org.example::a"


def test_a_bad_file_or_unit_does_not_keep_the_others_out(make: Make, tmp_path: Path) -> None:
    """Every problem is told with file and line, in the order of the files."""
    provider = make(
        {
            "units/a.pxu": job("a") + "\nwords\n\n" + job("b"),
            "units/c.pxu": b"\xff\xfe\0",
            "units/d.yaml": "id: d\nplugin: shell\n---\n- x\n",
            "units/e.pxu": job("e") + "\nunit: nosuch\nid: f\n",
        }
    )
    os.mkfifo(provider.base_dir / "units" / "g.pxu")
    assert [unit.partial_id for unit in provider.unit_list] == ["a", "b", "d", "e"]
    assert [str(problem).replace(f"{tmp_path}/home/units/", "") for problem in provider.problem_list] == [
        "a.pxu:5: neither a field ('name: value') nor a continuation: 'words'",
        "c.pxu:1: not a text file: byte 0 is not UTF-8",
        "d.yaml:4: a unit is a mapping of fields",
        "e.pxu:5: unknown unit type 'nosuch'",
        "g.pxu: cannot be read: not a file",
    ]


def test_executables_are_the_files_that_may_be_executed(make: Make) -> None:
    """Sorted by path; without a bin folder there are none."""
    provider = make({"bin/b": "#!/bin/sh\n", "bin/a": "#!/bin/sh\n", "bin/c": ""})
    for name in ("a", "b"):
        (provider.base_dir / "bin" / name).chmod(0o755)
    assert [path.name for path in provider.executable_list] == ["a", "b"]
    assert make({}, "empty").executable_list == []


def test_what_a_provider_tells_of_itself(make: Make) -> None:
    """All of its definition is there."""
    provider = make({"units/a.pxu": "", "jobs/a.pxu": "", "data/x": "", "bin/x": "", "locale/x": ""})
    assert (provider.name, provider.namespace, provider.version) == ("home", "org.example", "1")
    assert provider.description == ""
    for name in ("units", "jobs", "data", "bin", "locale"):
        assert getattr(provider, f"{name}_dir") == provider.base_dir / name
    assert (provider.gettext_domain, provider.base_dir.name, repr(provider)) == (None, "home", "<Provider home>")


# -- the catalogue


def test_units_are_kept_by_kind_in_the_order_of_loading(make: Make) -> None:
    """Providers in the order in which they are given."""
    first = make({"units/a.pxu": job("b") + "\n" + job("a") + "\nunit: category\nid: a\nname: A\n"})
    second = make({"units/a.pxu": job("c") + "\nunit: packaging meta-data\nos-id: debian\n"}, "other")
    catalogue = Catalogue([second, first])
    assert list(catalogue.of_kind(JobDefinition)) == ["org.example::c", "org.example::b", "org.example::a"]
    assert list(catalogue.of_kind(CategoryUnit)) == ["org.example::a"]
    assert (catalogue.of_kind(TestPlanUnit), catalogue.problems) == ({}, [])
    assert [unit.kind for unit in catalogue.units] == ["job", "packaging meta-data", "job", "job", "category"]
    assert catalogue.providers == [second, first]


def test_of_two_units_with_one_id_the_first_counts(make: Make, tmp_path: Path) -> None:
    """The other is left out and told, with both places."""
    catalogue = Catalogue([make({"units/a.pxu": job("a"), "units/b.pxu": "\n" + job("a", user="root")})])
    assert len(catalogue.units) == 1
    [problem] = problems(catalogue, tmp_path)
    assert problem == (
        "home/units/b.pxu:2-5: duplicate id: job 'org.example::a' is also defined at home/units/a.pxu:1-3;"
        " this one is left out"
    )


def test_ids_clash_across_the_providers_of_a_namespace(make: Make, tmp_path: Path) -> None:
    """Units that say the same are no problem, ids of another namespace or kind neither."""
    home = make({"units/a.pxu": job("a") + "\n" + job("b")})
    other = make(
        {"units/a.pxu": job("a") + "\n" + job("b", user="root") + "\nunit: category\nid: a\nname: A\n"}, "other"
    )
    far = make({"units/a.pxu": job("b", user="root")}, "far", "org.far")
    catalogue = Catalogue([home, other, far])
    assert [unit.id for unit in catalogue.units] == ["org.example::a", "org.example::b", "org.example::a", "org.far::b"]
    assert len(problems(catalogue, tmp_path)) == 1
    assert problems(catalogue, tmp_path)[0].startswith("other/units/a.pxu:5-8: duplicate id: job 'org.example::b'")


def test_a_provider_counts_once(make: Make, tmp_path: Path) -> None:
    """The same directory again is nothing; another provider of its name is left out and told."""
    home = make({"units/a.pxu": job("a")})
    again = make({}, directory="home")
    twin = make({"units/b.pxu": job("b")}, directory="twin")
    catalogue = Catalogue([home, again, twin])
    assert [unit.id for unit in catalogue.units] == ["org.example::a"]
    assert problems(catalogue, tmp_path) == [
        "twin/x.provider: provider 'home' is left out: there is another one of this name (home/x.provider)"
    ]


def test_the_problems_of_providers_are_those_of_the_catalogue(make: Make, tmp_path: Path) -> None:
    """Nothing that is left out is left out silently."""
    catalogue = Catalogue([make({"units/a.pxu": "words\n"})])
    assert problems(catalogue, tmp_path) == [
        "home/units/a.pxu:1: neither a field ('name: value') nor a continuation: 'words'"
    ]


def test_units_are_found_by_full_or_by_partial_id(make: Make) -> None:
    """A partial id must be the only one."""
    catalogue = Catalogue(
        [
            make({"units/a.pxu": job("a") + "\n" + job("b") + "\nunit: template\ntemplate-resource: r\nid: t-{x}\n"}),
            make({"units/a.pxu": job("b")}, "far", "org.far"),
        ]
    )
    assert catalogue.find(JobDefinition, "org.far::b").id == "org.far::b"
    assert catalogue.find(JobDefinition, "a").id == "org.example::a"
    assert catalogue.find(TemplateUnit, "t-x").id == "org.example::t-x"
    with pytest.raises(UsageError, match=r"means several: org[.]example::b, org[.]far::b"):
        catalogue.find(JobDefinition, "b")
    with pytest.raises(UsageError, match=r"no job 'org[.]far::a'") as caught:
        catalogue.find(JobDefinition, "org.far::a")
    assert caught.value.hint == "did you mean 'org.far::b'?"
    with pytest.raises(UsageError) as caught:
        catalogue.find(TestPlanUnit, "nothing-like-it")
    assert (caught.value.hint, caught.value.exit_code) == ("plainbox list 'test plan' shows those there are", 2)


def test_loading_puts_named_installed_and_bundled_together(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The named ones first; the environment reaches their Jinja2 texts."""
    make({"units/a.pxu": job("a", **{"template-engine": "jinja2", "_summary": "{{ __checkbox_env__.K }}"})})
    make({"units/b.pxu": job("b")}, "installed")
    monkeypatch.setenv("PROVIDERPATH", str(tmp_path / "installed"))
    catalogue = Catalogue.load([tmp_path / "home"], environment={"K": "v"})
    assert [provider.name for provider in catalogue.providers][:2] == ["home", "installed"]
    assert "com.canonical.plainbox:plainbox" in [provider.name for provider in catalogue.providers]
    assert catalogue.find(JobDefinition, "a").summary == "v"
    without = Catalogue.load([tmp_path / "home"], installed=False)
    assert "installed" not in [provider.name for provider in without.providers]


def test_a_named_directory_that_is_missing_raises(tmp_path: Path) -> None:
    """With the place in the message."""
    with pytest.raises(ProviderError, match="nosuch: no such provider directory"):
        Catalogue.load([tmp_path / "nosuch"])


def test_a_generated_provider_of_realistic_size_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The material of the benchmarks has the mix of real providers, no problems, and depends on its seed alone."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    from benchmarks import generate

    definition = generate.write_provider(tmp_path / "one", 7)
    generate.write_provider(tmp_path / "two", 7)
    texts = [
        sorted((path.name, path.read_text()) for path in (tmp_path / name).rglob("*.pxu")) for name in ("one", "two")
    ]
    assert texts[0] == texts[1]
    [provider] = named_providers(definition)
    catalogue = Catalogue([provider])
    counts = {
        kind: sum(unit.kind == kind for unit in catalogue.units)
        for kind in ("job", "test plan", "template", "manifest entry")
    }
    assert list(counts.values()) == [generate.JOBS, generate.PLANS, generate.TEMPLATES, generate.MANIFEST_ENTRIES]
    assert catalogue.problems == []
    assert [str(issue) for unit in catalogue.units for issue in unit.issues if issue.severity != "advice"][:5] == []
