# SPDX-License-Identifier: Apache-2.0
"""The cache of unit files: when it is used, when it is not, and that nobody can tell by the units."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import pxu_texts, yaml_texts

from plainbox.providers import Catalogue, cache
from plainbox.providers.discovery import named_providers

PXU = """\
# A job with a comment in a value, lone dots and texts that are not what they stand for.
id: a
plugin: shell
_summary: Größe \N{GRINNING FACE}
_description:
  One
  # two
#   not a line of it
   three
  .
  five
command:
    true
requires:
 nothing.x == 'y' and
depends: b
 c

unit: template
id: t-{x}
template-resource: r
plugin: shell
command: echo {x}

unit: test plan
id: p
name: P
include:
    a
    t-.*
"""
YAML = """\
# Fields with texts, lists and mappings
id: y
plugin: shell
summary: >
  folded
  text
command: |
  one
  two
flags: [simple,
  preserve-locale]
nothing: ~
---
unit: template
template-id: ty
template-unit: job
id: "{{ x }}"
template-engine: jinja2
template-resource: r
plugin: shell
command: "true"
"""


@pytest.fixture(autouse=True, scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this module's own, and files that need not rest for seconds before they are kept."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(home))
        patch.delenv(cache.NO_CACHE, raising=False)
        patch.setattr(cache, "_SETTLED_NS", 0)
        yield home


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    return write_provider(tmp_path / "provider", {"a.pxu": PXU, "b.yaml": YAML})


@pytest.fixture
def stored(provider: Path) -> Path:
    """The cache file of the provider, filled."""
    facts(provider)
    return cache_file(provider)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the unit files that were really read."""
    names: list[str] = []
    real = cache.read_records

    def read(path: Path, **words: Callable[[Exception], None]) -> object:
        names.append(path.name)
        return real(path, **words)

    monkeypatch.setattr(cache, "read_records", read)
    return names


def write_provider(directory: Path, files: dict[str, str]) -> Path:
    (directory / "units").mkdir(parents=True)
    (directory / "x.provider").write_text(
        "[PlainBox Provider]\nname = org.example:x\nversion = 1\nrelocatable = True\n"
    )
    for name, text in files.items():
        (directory / "units" / name).write_text(text, encoding="utf-8", newline="")
    return directory


def cache_file(provider: Path) -> Path:
    path = cache.UnitCache(provider.resolve() / "units")._path
    assert path is not None
    return path


def facts(provider: Path) -> tuple[list[object], list[str]]:
    """Return all that can be asked of the units of a provider."""
    catalogue = Catalogue(named_providers(provider))
    units: list[object] = [
        (
            *(unit.kind, unit.id, unit.checksum, unit.origin, [str(issue) for issue in unit.issues]),
            *(list(unit.data.items()), list(unit.raw.items())),
            {key: [unit.origin_of(key, line) for line in range(6)] for key in (*unit.data, "nothing")},
        )
        for unit in catalogue.units
    ]
    return units, [str(problem) for problem in catalogue.problems]


def uncached(provider: Path) -> tuple[list[object], list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.NO_CACHE, "1")
        return facts(provider)


def rewrite(stored: Path, change: Callable[[dict], None]) -> None:
    """Change the index of a cache file and make its checksum right again."""
    _, index, *rest = stored.read_bytes().splitlines(keepends=True)
    document = json.loads(index)
    change(document)
    body = json.dumps(document).encode() + b"\n" + b"".join(rest)
    stored.write_bytes(b"%08x\n" % zlib.crc32(body) + body)


# -- what comes out


def test_units_from_the_cache_are_those_of_the_files(provider: Path, reads: list[str]) -> None:
    """Kinds, values, raw texts, places, checksums, issues and problems are the same, and no unit file is read."""
    expected = uncached(provider)
    assert len(expected[0]) == 5
    assert facts(provider) == expected
    reads.clear()
    assert facts(provider) == expected
    assert reads == []


@given(pxu_texts, yaml_texts)
@example("a:\n .\n x\n", "id: a\n")
@example("id: a\ncommand:\n x\n# c\n y\n", "id: a\ncommand: {a: [b, {c: d}]}\n")
def test_whatever_is_in_the_files(pxu: str, yaml: str) -> None:
    """Texts near the languages and far from them come out of the cache as out of the files."""
    with tempfile.TemporaryDirectory() as directory:
        files = {"a.pxu": pxu, "b.yaml": yaml, "c.pxu": PXU}
        clean = {name: text.encode("utf-8", "replace").decode() for name, text in files.items()}
        provider = write_provider(Path(directory, "provider"), clean)
        expected = uncached(provider)
        assert facts(provider) == expected
        assert facts(provider) == expected


def test_units_of_all_kinds_in_many_files(tmp_path: Path, reads: list[str]) -> None:
    """A provider with the mix of real ones, of the size that was asked for, is the same from the cache."""
    from benchmarks.generate import write_provider

    write_provider(tmp_path / "generated", size=300)
    expected = uncached(tmp_path / "generated")
    assert (len(expected[0]), expected[1]) == (300, [])
    facts(tmp_path / "generated")
    reads.clear()
    assert facts(tmp_path / "generated") == expected
    assert reads == []


def test_files_with_errors_are_read_each_time(provider: Path, reads: list[str]) -> None:
    """What is wrong with a file is told as often as it is loaded; the other files come from the cache."""
    (provider / "units" / "bad.pxu").write_text("id: good\nplugin: shell\ncommand: true\n\nnonsense\n")
    expected = uncached(provider)
    assert len(expected[1]) == 1
    facts(provider)
    reads.clear()
    assert facts(provider) == expected
    assert reads == ["bad.pxu"]


def test_units_that_cannot_be_are_told_from_the_cache(provider: Path, reads: list[str]) -> None:
    """A record that is no unit is no syntax error: its file is kept, and the error told each time."""
    (provider / "units" / "odd.pxu").write_text("unit: nonsense\nid: x\n")
    expected = uncached(provider)
    assert len(expected[1]) == 1
    facts(provider)
    reads.clear()
    assert facts(provider) == expected
    assert reads == []


# -- when a unit file is read again


@pytest.mark.parametrize("part", range(4), ids=["size", "mtime", "ctime", "inode"])
def test_every_part_of_the_key_counts(provider: Path, stored: Path, reads: list[str], part: int) -> None:
    """A file that differs in one thing from what was read is read again, and only that file."""

    def change(index: dict) -> None:
        [key] = [value for name, value in index["files"].items() if name.endswith("a.pxu")]
        key[0][part] += 1

    rewrite(stored, change)
    assert facts(provider) == uncached(provider)
    assert "b.yaml" not in reads[: reads.index("a.pxu") + 1]
    reads.clear()
    facts(provider)
    assert reads == []


def _grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("\nid: more\nplugin: shell\ncommand: true\n")


def _edit_unseen(path: Path) -> None:
    """Change a text, but neither the size nor the time of modification."""
    status = path.stat()
    path.write_text(path.read_text().replace("id: a", "id: z"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace_unseen(path: Path) -> None:
    """Put another file of the same size and time of modification in the place of this one."""
    status = path.stat()
    other = path.with_suffix(".new")
    other.write_text(path.read_text().replace("id: a", "id: z"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [_grow, _edit_unseen, _replace_unseen, os.unlink, os.utime])
def test_a_changed_file_is_read_again(provider: Path, stored: Path, change: Callable[[Path], None]) -> None:
    """However a file is changed, the units are those that it holds now."""
    change(provider / "units" / "a.pxu")
    assert facts(provider) == uncached(provider)
    assert facts(provider) == uncached(provider)


def test_new_and_removed_files(provider: Path, stored: Path, reads: list[str]) -> None:
    """Only a new file is read; a removed one leaves the cache."""
    (provider / "units" / "c.pxu").write_text("id: c\nplugin: shell\ncommand: true\n")
    facts(provider)
    assert reads == ["c.pxu"]
    (provider / "units" / "b.yaml").unlink()
    facts(provider)
    assert reads == ["c.pxu"]
    assert b"b.yaml" not in stored.read_bytes()


def test_a_fresh_file_is_not_kept(provider: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]) -> None:
    """A file that was written a moment ago could change again without a trace, so it is read until it has rested."""
    monkeypatch.setattr(cache, "_SETTLED_NS", 3600 * 10**9)
    for _ in range(2):
        reads.clear()
        facts(provider)
        assert reads == ["a.pxu", "b.yaml"]
    assert not cache_file(provider).exists()


def test_a_time_in_the_future_is_not_trusted(provider: Path, reads: list[str]) -> None:
    """The clock that made it was wrong, and may be so again."""
    os.utime(provider / "units" / "a.pxu", (time.time() + 3600, time.time() + 3600))
    facts(provider)
    reads.clear()
    facts(provider)
    assert reads == ["a.pxu"]


# -- when a cache file counts as none


@given(st.data())
def test_a_damaged_cache_file_is_not_used(data: st.DataObject) -> None:
    """Bytes flipped, cut off, put in or put behind: the units stay what the files say, and the cache is made anew."""
    with tempfile.TemporaryDirectory() as directory:
        provider = write_provider(Path(directory, "provider"), {"a.pxu": PXU, "b.yaml": YAML})
        expected = facts(provider)
        stored = cache_file(provider)
        whole = stored.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        damage = data.draw(st.sampled_from(("flip", "cut", "insert", "append")))
        if damage == "flip":
            damaged = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
        elif damage == "cut":
            damaged = whole[:place]
        else:
            garbage = data.draw(st.binary(min_size=1, max_size=20))
            damaged = whole[:place] + garbage + whole[place:] if damage == "insert" else whole + garbage
        stored.write_bytes(damaged)
        assert facts(provider) == expected
        assert stored.read_bytes() == whole


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(reader="another version"),
        lambda index: index.update(schema="plainbox.units-cache/0"),
        lambda index: index.pop("files"),
        lambda index: index.update(files=[]),
        lambda index: index.update(files={"x": 1}),
    ],
    ids=["reader", "schema", "no files", "files of another shape", "keys of another shape"],
)
def test_another_format_is_not_used(
    provider: Path, stored: Path, reads: list[str], change: Callable[[dict], None]
) -> None:
    """A cache file of another version, or one that only looks like one, is replaced."""
    rewrite(stored, change)
    expected = uncached(provider)
    reads.clear()
    assert facts(provider) == expected
    assert reads == ["a.pxu", "b.yaml"]
    reads.clear()
    assert facts(provider) == expected
    assert reads == []


def _link(stored: Path) -> None:
    target = stored.with_suffix(".target")
    stored.rename(target)
    stored.symlink_to(target)


def _pipe(stored: Path) -> None:
    stored.unlink()
    os.mkfifo(stored)


def _give_away(stored: Path) -> None:
    os.chown(stored, 65534, 65534)


@pytest.mark.parametrize(
    "change",
    [
        _link,
        _pipe,
        lambda stored: stored.chmod(0o666),
        lambda stored: os.truncate(stored, cache._MAX_BYTES + 1),
        pytest.param(_give_away, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")),
    ],
    ids=["a link", "a pipe", "others may write", "too large", "of somebody else"],
)
def test_a_file_that_is_not_ours_is_not_used(
    provider: Path, stored: Path, reads: list[str], change: Callable[[Path], None]
) -> None:
    """What another could have written is neither believed nor followed, but replaced by a file of our own."""
    change(stored)
    facts(provider)
    assert reads == ["a.pxu", "b.yaml"]
    status = stored.lstat()
    assert (stat.S_ISREG(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid) == (True, 0o600, os.geteuid())
    reads.clear()
    facts(provider)
    assert reads == []


# -- when nothing can be kept


def test_directories_and_files_are_private(stored: Path) -> None:
    """Nobody else reads what private providers say."""
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert [stat.S_IMODE(place.stat().st_mode) for place in (stored.parent, stored.parents[1])] == [0o700, 0o700]


@pytest.mark.parametrize("place", ["/proc/no/cache", "file", "~"])
def test_without_a_place_units_load_all_the_same(
    provider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A directory that cannot be made costs nothing but time."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", place if place.startswith("/") else str(tmp_path / place))
    if place == "~":
        monkeypatch.setattr(cache.dirs, "unit_cache", lambda: Path("~/.cache/plainbox/units"))
    expected = uncached(provider)
    before = sorted(tmp_path.rglob("*"))
    assert facts(provider) == expected
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could leave files in the home of another")
def test_root_leaves_nothing_in_the_home_of_another(
    provider: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under sudo with the caller's home, no directory is made that the caller could not write to."""
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 65534, 65534)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    facts(provider)
    assert list((tmp_path / "home").iterdir()) == []


# Files settle at once here, too.
_LOAD = """
import os, pathlib, sys
from plainbox.providers import Catalogue, cache
from plainbox.providers.discovery import named_providers
cache._SETTLED_NS = 0
directory = pathlib.Path(sys.argv[1])
def load():
    catalogue = Catalogue(named_providers(directory))
    return [(unit.checksum, str(unit.origin), dict(unit.raw)) for unit in catalogue.units]
"""


def test_a_full_disk_leaves_no_pieces(provider: Path, cache_home: Path) -> None:
    """When the file cannot be written to its end, the old state stays and nothing lies about."""
    before = sorted(cache_home.rglob("*"))
    code = f"{_LOAD}\nimport resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\nprint(len(load()))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(provider)], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("5\n", "")
    assert sorted(cache_home.rglob("*")) == before


def test_many_at_once(provider: Path, stored: Path) -> None:
    """Processes that read, remove and write one cache file never see a part of it, and a whole one stays."""
    code = (
        f"{_LOAD}\nos.environ[cache.NO_CACHE] = '1'; expected = load(); del os.environ[cache.NO_CACHE]\n"
        "for number in range(40):\n"
        "    if number % 3 == 0: pathlib.Path(sys.argv[2]).unlink(missing_ok=True)\n"
        "    assert load() == expected\n"
    )
    words = [sys.executable, "-c", code, str(provider), str(stored)]
    processes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
    assert len(cache._load(stored)) == 2
    assert list(stored.parent.glob(".*")) == []


def test_files_that_nobody_uses_are_removed(provider: Path, stored: Path) -> None:
    """What was neither read nor written for a month goes when something else is written; what is read stays."""
    long_ago = time.time() - 40 * 86_400
    unused = [stored.with_name("00000000.units"), stored.with_name(".00000000.units.torn")]
    for path in unused:
        path.touch()
        os.utime(path, (long_ago, long_ago))
    os.utime(stored, (long_ago, long_ago))
    facts(provider)
    assert time.time() - stored.stat().st_mtime < 86_400
    (provider / "units" / "b.yaml").unlink()
    facts(provider)
    assert [path.exists() for path in (*unused, stored)] == [False, False, True]


def test_a_cache_that_cannot_be_touched_is_used(
    provider: Path, stored: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    """On a read-only medium the sign of use is left out, not the use."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    long_ago = time.time() - 40 * 86_400
    os.utime(stored, (long_ago, long_ago))
    monkeypatch.setattr(os, "utime", refuse)
    facts(provider)
    assert reads == []


# -- switched off


def test_the_variable_switches_it_off(provider: Path, stored: Path, reads: list[str]) -> None:
    """With PLAINBOX_NO_CACHE the files are read, and the cache is left alone."""
    before = stored.stat()
    uncached(provider)
    assert reads == ["a.pxu", "b.yaml"]
    assert stored.stat() == before


def test_the_option_switches_it_off(provider: Path, tmp_path: Path) -> None:
    """A command with --no-cache prints the same, and neither reads nor makes a cache."""
    home = tmp_path / "home"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_DIRS": str(home / "no-data"),
        "LANG": "C.UTF-8",
    }

    def listing(*words: str) -> str:
        command = [sys.executable, "-m", "plainbox.cli.main", "list", "jobs", "--provider", str(provider), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    plain = listing("--no-cache")
    assert "org.example::a" in plain
    assert not home.exists()
    # The bundled providers have rested for long.
    assert listing() == plain
    assert list(home.glob("cache/plainbox/units/*.units"))
