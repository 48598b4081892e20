# SPDX-License-Identifier: Apache-2.0
"""What a provider says of itself: ``.provider`` files and the ``manage.py`` of source trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plainbox import __version__
from plainbox.errors import ProviderError
from plainbox.providers.definition import ProviderDefinition, from_file, from_source_tree

HEAD = "[PlainBox Provider]\n"
GOOD = HEAD + "name = org.example:home\nversion = 1.0\nrelocatable = True\n"


def write(directory: Path, text: str | bytes, name: str = "home.provider") -> Path:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problem(path: Path) -> str:
    with pytest.raises(ProviderError) as caught:
        from_file(path) if path.suffix == ".provider" else from_source_tree(path)
    return str(caught.value).removeprefix(f"{path.parent if path.suffix else path}/")


# -- .provider files


def test_a_relocatable_provider_is_beside_its_definition(tmp_path: Path) -> None:
    """Its folders are those that exist there."""
    (tmp_path / "units").mkdir()
    (tmp_path / "bin").mkdir()
    found = from_file(write(tmp_path, GOOD + "description = D\ngettext_domain = home\n"))
    assert found == ProviderDefinition(
        name="org.example:home",
        namespace="org.example",
        version="1.0",
        description="D",
        gettext_domain="home",
        base_dir=tmp_path,
        units_dir=tmp_path / "units",
        jobs_dir=None,
        data_dir=None,
        bin_dir=tmp_path / "bin",
        locale_dir=None,
        origin=found.origin,
    )
    assert str(found.origin) == str(tmp_path / "home.provider")


@pytest.mark.parametrize("word", ["True", "true", "yes", "1", "on"])
def test_relocatable_is_a_truth_value_and_wins(tmp_path: Path, word: str) -> None:
    """A location or a folder that is given beside it counts nothing."""
    (tmp_path / "units").mkdir()
    text = (
        HEAD
        + f"name = org.example:home\nversion = 1\nrelocatable = {word}\nlocation = /nowhere\nunits_dir = /nowhere\n"
    )
    assert from_file(write(tmp_path, text)).units_dir == tmp_path / "units"


def test_a_location_implies_the_folders(tmp_path: Path) -> None:
    """It is an absolute directory; a folder that is given wins over the one that is there."""
    base = tmp_path / "base"
    for name in ("units", "jobs", "data", "elsewhere"):
        (base / name).mkdir(parents=True)
    text = HEAD + f"name = org.example:home\nversion = 1\nlocation = {base}\ndata_dir = {base / 'elsewhere'}\n"
    found = from_file(write(tmp_path, text))
    assert (found.base_dir, found.units_dir, found.jobs_dir, found.data_dir, found.bin_dir) == (
        base, base / "units", base / "jobs", base / "elsewhere", None,
    )  # fmt: skip


def test_folders_alone_imply_nothing(tmp_path: Path) -> None:
    """Without a location only the folders that are given count."""
    (tmp_path / "units").mkdir()
    (tmp_path / "jobs").mkdir()
    text = HEAD + f"name = org.example:home\nversion = 1\nunits_dir = {tmp_path / 'units'}\n"
    found = from_file(write(tmp_path, text))
    assert (found.units_dir, found.jobs_dir) == (tmp_path / "units", None)


def test_built_catalogues_are_found(tmp_path: Path) -> None:
    """In a source tree the catalogues are where building leaves them; installed ones win."""
    (tmp_path / "build" / "mo").mkdir(parents=True)
    path = write(tmp_path, GOOD)
    assert from_file(path).locale_dir == tmp_path / "build" / "mo"
    (tmp_path / "locale").mkdir()
    assert from_file(path).locale_dir == tmp_path / "locale"


@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        ("org.example:home", None, "org.example"),
        ("2013.org.example:home-2", None, "2013.org.example"),
        ("org.example:home", "org.other", "org.other"),
        ("org.example:home", "2013.com.canonical.certification", "2013.com.canonical.certification"),
        ("org.example:home", "My_Own-1", "My_Own-1"),
        ("home", "org.example", "org.example"),
    ],
)
def test_names_and_namespaces(tmp_path: Path, name: str, namespace: str | None, expected: str) -> None:
    """The namespace is what is before the colon unless one is given; with one, a simple name is enough."""
    text = (
        HEAD + f"name = {name}\nversion = 1\nrelocatable = True\n" + (f"namespace = {namespace}\n" if namespace else "")
    )
    found = from_file(write(tmp_path, text))
    assert (found.name, found.namespace) == (name, expected)


@pytest.mark.parametrize("version", ["1", "1.0", "0.37.0", "5.0rc1", "1.0+git1", "1.0~beta1", "2!1.0.dev2"])
def test_versions(tmp_path: Path, version: str) -> None:
    """A version begins with a digit."""
    assert from_file(write(tmp_path, GOOD.replace("1.0", version))).version == version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "home.provider: the section [PlainBox Provider] is missing", id="nothing"),
        pytest.param(
            "[Other]\na = b\n", "home.provider: the section [PlainBox Provider] is missing", id="another section"
        ),
        pytest.param("\nname = x\n", "home.provider:2: not a provider definition", id="no section"),
        pytest.param(HEAD + "name = x\nname = y\n", "home.provider:3: not a provider definition", id="a key twice"),
        pytest.param(HEAD + "a = b\n\n" + HEAD, "home.provider:4: not a provider definition", id="a section twice"),
        pytest.param(HEAD + "\nwords\n", "home.provider:3: not a provider definition", id="no key"),
        pytest.param(HEAD + "name: x\n", "home.provider:2: not a provider definition", id="a colon for a sign"),
        pytest.param(HEAD, "home.provider: neither location nor relocatable nor any directory is given", id="no place"),
        pytest.param(HEAD + "relocatable = True\n", "home.provider: '' is not a provider name", id="no name"),
        pytest.param(
            GOOD.replace("org.example:home", "home"), "home.provider: 'home' is not a provider name", id="a simple name"
        ),
        pytest.param(
            GOOD.replace("org.example", "Org"), "home.provider: 'Org:home' is not a provider name", id="a bad name"
        ),
        pytest.param(GOOD.replace("1.0", "one"), "home.provider: 'one' is not a version", id="a bad version"),
        pytest.param(GOOD.replace("version = 1.0\n", ""), "home.provider: '' is not a version", id="no version"),
        pytest.param(GOOD + "namespace = a::b\n", "home.provider: 'a::b' is not a namespace", id="a bad namespace"),
        pytest.param(GOOD + "namespace = a\n  b\n", "home.provider: 'a\\nb' is not a namespace", id="two namespaces"),
        pytest.param(
            GOOD + "namespace = ../a\n", "home.provider: '../a' is not a namespace", id="a path for a namespace"
        ),
        pytest.param(GOOD + "namespace = a..b\n", "home.provider: 'a..b' is not a namespace", id="an empty word"),
        pytest.param(
            GOOD + "namespace = a\x1bb\n", "home.provider: 'a\\x1bb' is not a namespace", id="a control character"
        ),
        pytest.param(
            GOOD.replace("org.example:home", "..") + "namespace = a.b\n",
            "home.provider: '..' is not a provider name",
            id="a path for a name",
        ),
        pytest.param(
            GOOD + "gettext_domain = ../x\n", "home.provider: '../x' is not a gettext domain", id="a path for a domain"
        ),
        pytest.param(
            HEAD + "location = relative\n",
            "home.provider: location is no absolute path of a directory: 'relative'",
            id="relative",
        ),
        pytest.param(
            HEAD + "location = /no/where\n",
            "home.provider: location is no absolute path of a directory: '/no/where'",
            id="nowhere",
        ),
        pytest.param(
            HEAD + "bin_dir = /no/where\n",
            "home.provider: bin_dir is no absolute path of a directory: '/no/where'",
            id="no bin",
        ),
        pytest.param(b"\xff\xfe", "home.provider: not a text file", id="binary"),
    ],
)
def test_a_bad_definition_is_told_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """Whatever is wrong is an error of the provider that names the file, and the line when there is one."""
    assert problem(write(tmp_path, text)).startswith(expected)


def test_a_definition_that_cannot_be_read(tmp_path: Path) -> None:
    """A directory, a pipe or nothing in its place is an error of the provider."""
    (tmp_path / "a.provider").mkdir()
    os.mkfifo(tmp_path / "b.provider")
    for name in ("a.provider", "b.provider", "c.provider"):
        assert "cannot be read" in problem(tmp_path / name)


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    """Editors of other systems write them."""
    assert from_file(write(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n"))).name == "org.example:home"


def test_percent_signs_are_text(tmp_path: Path) -> None:
    """Nothing is interpolated."""
    assert from_file(write(tmp_path, GOOD + "description = 100 %(name)s\n")).description == "100 %(name)s"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from([HEAD, "name = org.example:home\n", "version = 1\n", "relocatable = True\n", "location = /\n"])
        | st.sampled_from(["namespace = x\n", " x\n", "units_dir = \0\n", "[DEFAULT]\n", "=\n", "# c\n", "\n", "%(\n"])
        | st.text(max_size=5),
        max_size=10,
    ).map("".join)
)
def test_any_text_is_a_definition_or_an_error(tmp_path: Path, text: str) -> None:
    """Nothing but a definition or an error of the provider comes out."""
    errors: list[ProviderError] = []
    try:
        assert from_file(write(tmp_path, text)).namespace
    except ProviderError as error:
        errors.append(error)
    assert all(error.origin is not None for error in errors)


# -- source trees

IMPORT = "from plainbox.provider_manager import setup, N_; "
MANAGE = """#!/usr/bin/env python3
from plainbox.provider_manager import setup, N_

setup(
    name='org.example:home',
    version="1.0",
    description=N_("What it is"),
    gettext_domain="home",
    strict=False, deprecated=VERSION,
)
"""


def test_a_source_tree_is_read(tmp_path: Path) -> None:
    """The definition is what manage.py gives to setup(), the folders are those beside it."""
    (tmp_path / "units").mkdir()
    write(tmp_path, MANAGE, "manage.py")
    found = from_source_tree(tmp_path)
    assert (found.name, found.namespace, found.version) == ("org.example:home", "org.example", "1.0")
    assert (found.description, found.gettext_domain, found.units_dir) == ("What it is", "home", tmp_path / "units")
    assert str(found.origin) == f"{tmp_path / 'manage.py'}:4"


def test_nothing_of_a_source_tree_is_executed(tmp_path: Path) -> None:
    """Pointing at a directory of somebody else is safe."""
    write(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')\n" + MANAGE, "manage.py")
    from_source_tree(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "manage.py: no call of setup() of plainbox.provider_manager in it", id="nothing"),
        pytest.param("setup(\n", "manage.py:1: not a Python file", id="no Python"),
        pytest.param(b"\nx = '\xff'\n", "manage.py:2: not a Python file: ", id="binary"),
        pytest.param(b"# coding: nope\n", "manage.py: not a Python file: unknown encoding", id="encoding"),
        pytest.param(b"# coding: ascii\nx = '\xe9'\n", "manage.py: not a Python file: ", id="another encoding"),
        pytest.param("x = '\0'", "manage.py: not a Python file", id="a NUL byte"),
        pytest.param("(" * 10_000, "manage.py:1: not a Python file", id="brackets"),
        pytest.param("-" * 100_000 + "1", "manage.py: not a Python file", id="depth"),
        pytest.param(f"\n{IMPORT}setup()\n", "manage.py:2: '' is not a provider name", id="no name"),
        pytest.param(f"{IMPORT}setup(\n  name='org.example:x')", "manage.py:1: '' is not a version", id="no version"),
        pytest.param(
            f"{IMPORT}setup(name='org.example:x', version=1.0)",
            "manage.py:1: setup(): version is no text",
            id="a number",
        ),
        pytest.param(
            f"{IMPORT}\nif x:\n  setup(name='a.b:c')\nelse:\n  setup(name='a.b:d')",
            "manage.py:3: setup() is called in several places: lines 3, 5",
            id="two calls",
        ),
        pytest.param(
            f"{IMPORT}setup(name='a.b:c', **{{'name': 'a.b:d'}})",
            "manage.py:1: setup(): name is given twice",
            id="twice",
        ),
    ],
)
def test_a_bad_source_tree_is_told_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """Whatever is wrong is an error of the provider."""
    write(tmp_path, text, "manage.py")
    assert problem(tmp_path).startswith(expected)


def test_what_python_thinks_of_the_style_is_not_told(tmp_path: Path) -> None:
    """A bad escape in somebody's manage.py is no warning of ours."""
    write(tmp_path, 'x = "\\d"\n' + MANAGE, "manage.py")
    assert from_source_tree(tmp_path).version == "1.0"


def read_with(directory: Path, before: str, version: str) -> ProviderDefinition:
    write(
        directory,
        f"{IMPORT.rstrip('; ')}\n{before}\nsetup(\n  name='org.example:x',\n  version={version})\n",
        "manage.py",
    )
    return from_source_tree(directory)


@pytest.mark.parametrize(
    ("before", "version", "expected"),
    [
        ("", "'1' '.2'", "1.2"),
        ("", "'1' + '.2'", "1.2"),
        ("A = '1.'\nB = '2'", "A + B", "1.2"),
        ("", "f'1.2'", "1.2"),
        ("A = '1'\nB = 2", "f'{A}.{B}'", "1.2"),
        ("A, B = 'a', '1.2'", "B", "1.2"),
        ("(A, [B, C]) = f(), ('1.1', '1.2')", "C", "1.2"),
        ("VERSION = '1.2'", "VERSION", "1.2"),
        ("VERSION: str = '1.2'", "VERSION", "1.2"),
        ("A = '1.2'\nB = C = A", "C", "1.2"),
        ("V = '1.1'\nV = '1.2'", "V", "1.2"),
        ("V = '1.2'\nclass A:\n  V = 3\ndef f(): V = 4", "V", "1.2"),
        ("V = _('1.2')", "N_(V)", "1.2"),
        ("import gettext", "gettext.gettext('1.2')", "1.2"),
        ("import plainbox", "plainbox.__version__", __version__),
        ("from plainbox import __version__", "__version__", __version__),
        ("from plainbox import __version__ as v", "v", __version__),
    ],
)
def test_what_is_known_without_running_it(tmp_path: Path, before: str, version: str, expected: str) -> None:
    """Literals, constants of the module and the version of Plainbox count, also inside a marker for translation."""
    assert read_with(tmp_path, before, version).version == expected


@pytest.mark.parametrize(
    ("before", "version"),
    [
        ("", "NAME"),
        ("", "'1' + 2"),
        ("V = 'a'", "f'{V!r}.0'"),
        ("V = 'a'", "f'{V:>9}.0'"),
        ("", "f'{V}.0'"),
        ("", f"f'{{{hex(10**5000)}}}'"),
        ("A = '1' * 2", "A"),
        ("A, B = B = 'a', '1', '2'", "B"),
        ("A, *B = 'a', '1'", "B"),
        ("A, V, *B = *a, '1', '2'", "V"),
        ("A = '1'\n" + "".join(f"A{'A' * n} = {'A' * n} + {'A' * n}\n" for n in range(1, 60)), "A" * 60),
        ("import plainbox\nimport other as plainbox", "plainbox.__version__"),
        ("", "plainbox.__version__"),
        ("V = '1'\nfrom other import *", "V"),
        ("V = '1'\ndef f():\n  global V\n  V = '2'", "V"),
        ("V = '1'\ntry: f()\nexcept E as V: pass", "V"),
        ("V = '1'\nmatch f():\n  case V: pass", "V"),
        ("", "open('1')"),
        ("", "str('1')"),
        ("", "N_('1', '2')"),
        ("V = '1'\nV = more()", "V"),
        ("V = '1'\nV += '2'", "V"),
        ("V = '1'\nif x:\n  V = '2'", "V"),
        ("try:\n  from a import V\nexcept ImportError:\n  V = '1'", "V"),
        ("V = '1'\nfrom a import V", "V"),
        ("V = '1'\ndef V(): pass", "V"),
        ("def f():\n  V = '1'", "V"),
        ("from other import __version__", "__version__"),
        ("V = " + "+".join(["1"] * 800), "V." + ".".join(["a"] * 500)),
    ],
)
def test_what_is_calculated_is_told(tmp_path: Path, before: str, version: str) -> None:
    """What only running the file could tell is an error with its line and a way out, never a guess."""
    with pytest.raises(
        ProviderError, match=r"version of setup\(\) is calculated; manage.py is read, not run"
    ) as caught:
        read_with(tmp_path, before, version)
    assert caught.value.origin is not None
    assert caught.value.origin.line_start == before.count("\n") + 5
    assert "./manage.py develop" in (caught.value.hint or "")
    assert "without --provider" in (caught.value.hint or "")


@pytest.mark.parametrize("keyword", ["name", "namespace", "description", "gettext_domain"])
def test_every_part_of_the_definition_counts(tmp_path: Path, keyword: str) -> None:
    """No part of a definition is left out because it is calculated."""
    words = {"name": "'org.example:x'", "version": "'1'"} | {keyword: "f()"}
    write(tmp_path, f"{IMPORT}setup({', '.join(f'{key}={value}' for key, value in words.items())})", "manage.py")
    assert f"manage.py:1: {keyword} of setup() is calculated" in problem(tmp_path)


def test_keywords_that_come_from_elsewhere(tmp_path: Path) -> None:
    """A mapping of keywords may hold any of them."""
    write(tmp_path, IMPORT + "setup(name='org.example:x', version='1',\n**more)", "manage.py")
    assert "manage.py:2: ** in the call of setup() is calculated" in problem(tmp_path)


def test_a_keyword_that_is_none_is_not_given(tmp_path: Path) -> None:
    """None stands for what is usual."""
    write(tmp_path, IMPORT + "setup(name='org.example:x', version='1', namespace=None, description=None)", "manage.py")
    found = from_source_tree(tmp_path)
    assert (found.namespace, found.description) == ("org.example", "")


@pytest.mark.parametrize("mapping", ["dict(version='1.2')", "{'version': '1.2'}", "{'version': '1', 'version': '1.2'}"])
def test_a_mapping_that_is_written_out_counts(tmp_path: Path, mapping: str) -> None:
    """Keywords may be written as a mapping in the call."""
    write(tmp_path, f"{IMPORT}setup(name='org.example:x', **{mapping})", "manage.py")
    assert from_source_tree(tmp_path).version == "1.2"


@pytest.mark.parametrize("mapping", ["{'a': 1, **b}", "{a: 1}", "dict(**a)", "dict(a)", "dict(version=f())"])
def test_a_mapping_that_is_calculated_is_told(tmp_path: Path, mapping: str) -> None:
    """A mapping of which any part is not known is no guess either."""
    write(tmp_path, f"{IMPORT}setup(name='org.example:x', **{mapping})", "manage.py")
    assert "of setup() is calculated" in problem(tmp_path)


@pytest.mark.parametrize(
    ("before", "call"),
    [
        ("from plainbox.provider_manager import setup", "setup"),
        ("from plainbox.provider_manager import setup as begin", "begin"),
        ("from plainbox.provider_manager import *", "setup"),
        ("import plainbox.provider_manager", "plainbox.provider_manager.setup"),
        ("import plainbox.provider_manager as pm", "pm.setup"),
        ("from plainbox import provider_manager", "provider_manager.setup"),
        ("from plainbox import provider_manager as pm", "pm.setup"),
    ],
)
def test_every_way_to_setup(tmp_path: Path, before: str, call: str) -> None:
    """setup() is what was imported from plainbox.provider_manager, under whatever name; no other function is."""
    others = "other.setup(name='a.b:c')\nf().setup()\nfrom setuptools import setup as install\ninstall(name='c')\n"
    write(tmp_path, f"{before}\n{others}{call}(name='org.example:x', version='1')\n", "manage.py")
    assert (from_source_tree(tmp_path).name, from_source_tree(tmp_path).origin.line_start) == ("org.example:x", 6)


@pytest.mark.parametrize(
    "text",
    ["from setuptools import setup\nsetup(name='x')", "setup()", "from plainbox import provider_manager\nsetup()"],
)
def test_a_setup_of_somebody_else_does_not_count(tmp_path: Path, text: str) -> None:
    """The manage.py of something else is not taken for a provider's."""
    write(tmp_path, text, "manage.py")
    assert problem(tmp_path).startswith("manage.py: no call of setup() of plainbox.provider_manager in it")


@pytest.mark.parametrize(
    ("inside", "after"),
    [
        ("def main(V):\n  {}", ""),
        ("def main(*, V='2'):\n  {}", ""),
        ("def main():\n  V = '2'\n  {}", ""),
        ("def main():\n  for V in f():\n    {}", ""),
        ("def main():\n  with f() as V:\n    {}", ""),
        ("def main():\n  V = '2'\n  def inner():\n    {}", ""),
        ("main = lambda V: {}", ""),
        ("def main():\n  {}", "main()\nV = '2'"),
        ("for V in f():\n  {}", ""),
    ],
)
def test_names_of_a_function_are_not_known(tmp_path: Path, inside: str, after: str) -> None:
    """A name that may be something else where setup() is called is no constant of the module."""
    call = inside.format("setup(name='org.example:x', version=V)")
    write(tmp_path, f"{IMPORT}\nV = '1'\n{call}\n{after}\n", "manage.py")
    assert "version of setup() is calculated" in problem(tmp_path)


@pytest.mark.parametrize("before", ["def main():\n  def f(V): pass\n", "if __name__ == '__main__':\n"])
@pytest.mark.parametrize("version", ["V", "plainbox.__version__"])
def test_constants_are_known_in_functions(tmp_path: Path, before: str, version: str) -> None:
    """A constant of the module counts wherever setup() is called."""
    text = f"{IMPORT}\nimport plainbox\nV = {__version__!r}\n{before}  setup(name='org.example:x', version={version})\n"
    write(tmp_path, text, "manage.py")
    assert from_source_tree(tmp_path).version == __version__


def test_what_comes_after_the_call_does_not_count(tmp_path: Path) -> None:
    """setup() never returns: later values are none that it saw."""
    write(tmp_path, f"{IMPORT}\nV = '1'\nsetup(name='org.example:x', version=V)\nV = '2'\n", "manage.py")
    assert from_source_tree(tmp_path).version == "1"


@pytest.mark.parametrize(
    ("declaration", "encoding"), [("# -*- coding: latin-1 -*-", "latin-1"), ("", "utf-8"), ("", "utf-8-sig")]
)
def test_an_encoding_is_what_the_file_declares(tmp_path: Path, declaration: str, encoding: str) -> None:
    """Python's own rules say how the text of a manage.py is encoded."""
    text = f"{declaration}\r\n{IMPORT}setup(name='org.example:x', version='1', description='\xe9')"
    write(tmp_path, text.encode(encoding), "manage.py")
    assert from_source_tree(tmp_path).description == "\xe9"
