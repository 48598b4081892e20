# SPDX-License-Identifier: Apache-2.0
"""From an idea to an installed provider, with the commands that authors type, as real processes."""

from __future__ import annotations

import gettext
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import Plainbox

from plainbox import __version__
from plainbox.providers import Provider
from plainbox.providers.definition import from_source_tree

EXISTING = """\
#!/usr/bin/env python3
from plainbox.provider_manager import setup
from plainbox.provider_manager import N_

setup(
    name='plainbox-provider-camera',
    namespace='2013.com.example.camera',
    version="0.28.1",
    description=N_("Camera provider"),
    gettext_domain='plainbox-provider-camera',
    strict=False, deprecated=False,
)
"""
UNITS = """\
id: camera/info
plugin: shell
_summary: Information about the camera
command:
 camera-info
 camera-built
 cat "$PLAINBOX_PROVIDER_DATA"/picture
estimated_duration: 1.0

id: camera/look
plugin: user-verify
_summary: Look into the camera
_description:
 PURPOSE:
  This test checks that the camera looks back
command: true
estimated_duration: 10.0

unit: test plan
id: camera-full
_name: Camera
include:
 camera/info
"""
EXTENDED = """\
#!/usr/bin/env python3
import os
import shutil

from plainbox.provider_manager import InstallCommand
from plainbox.provider_manager import ManageCommand
from plainbox.provider_manager import SourceDistributionCommand
from plainbox.provider_manager import _logger
from plainbox.provider_manager import manage_py_extension
from plainbox.provider_manager import setup, N_, _


@manage_py_extension
class SourceDistributionCommandExt(SourceDistributionCommand):
    __doc__ = SourceDistributionCommand.__doc__
    _INCLUDED_ITEMS = SourceDistributionCommand._INCLUDED_ITEMS + ['launcher']

    @property
    def src_dir(self):
        return os.path.join(self.definition.location, "src")

    def invoked(self, ns):
        with open(os.path.join(self.src_dir, 'configure'), 'w'):
            pass
        super().invoked(ns)
        os.remove(os.path.join(self.src_dir, 'configure'))


@manage_py_extension
class InstallCommandExt(InstallCommand):
    __doc__ = InstallCommand.__doc__
    name = 'install'

    def invoked(self, ns):
        super().invoked(ns)
        destination = ns.root + os.path.join(ns.prefix, 'share', 'applications')
        os.makedirs(destination, exist_ok=True)
        shutil.copy(os.path.join(self.definition.location, 'launcher', 'camera.desktop'), destination)
        _logger.warning(_("copied to %s"), destination)
        dest_map = self._get_dest_map(ns.layout, ns.prefix)
        provider = self.get_provider()
        shutil.copy(os.path.join(provider.bin_dir, 'camera-info'), os.path.join(ns.root + dest_map['bin'], 'more'))


@manage_py_extension
class PlanReport(ManageCommand):
    '''
    list the test plans

    Writes their names into a file.

    @EPILOG@

    Nothing else, 100 % sure.
    '''
    name = 'plan-report'

    def register_parser(self, subparsers):
        parser = self.add_subcommand(subparsers)
        parser.add_argument('output', metavar=_("FILE"), help=_("path of the file"))

    def invoked(self, ns):
        with open(ns.output, 'w') as stream:
            for unit in self.get_provider().unit_list:
                if unit.Meta.name == 'test plan':
                    print(unit.name, file=stream)


@manage_py_extension
class CrashCommand(ManageCommand):
    '''fall over'''

    def register_parser(self, subparsers):
        self.add_subcommand(subparsers)

    def invoked(self, ns):
        raise RuntimeError('fell over')


setup(
    name='2013.com.example:extended',
    version="1.0",
    description=N_("Extended provider"),
    gettext_domain="2013_com_example_extended",
)
"""

#: A tree as the older ones of a series look: units in folders and in jobs, programs of all sorts, translations, sources.
ROUTER = {
    "manage.py": """\
#!/usr/bin/env python3
import os
import shutil
import plainbox

from plainbox.provider_manager import InstallCommand
from plainbox.provider_manager import SourceDistributionCommand
from plainbox.provider_manager import manage_py_extension
from plainbox.provider_manager import setup, N_


@manage_py_extension
class SourceDistributionCommandExt(SourceDistributionCommand):
    __doc__ = SourceDistributionCommand.__doc__
    _INCLUDED_ITEMS = SourceDistributionCommand._INCLUDED_ITEMS + ['COPYING', 'requirements']
    _GENERATED_ITEMS = ['CHANGES']

    def invoked(self, ns):
        for item in self._GENERATED_ITEMS:
            with open(os.path.join(self.definition.location, 'data', item), 'wt') as stream:
                print(self.definition.version, file=stream)
        super().invoked(ns)
        for item in self._GENERATED_ITEMS:
            os.remove(os.path.join(self.definition.location, 'data', item))


@manage_py_extension
class InstallCommandExt(InstallCommand):
    __doc__ = InstallCommand.__doc__
    name = 'install'

    def invoked(self, ns):
        super().invoked(ns)
        dest_map = self._get_dest_map(ns.layout, ns.prefix)
        shutil.copy(os.path.join(self.definition.location, 'requirements', 'packages.txt'), ns.root + dest_map['data'])


setup(
    name='checkbox-provider-router',
    namespace='com.example.certification',
    version=plainbox.__version__,
    description=N_("Checks of routers"),
    gettext_domain='checkbox-provider-router',
    strict=False, deprecated=False,
)
""",
    "units/router/resource.pxu": """\
id: router
plugin: resource
_summary: Routers that are there
command: router_resource.py
estimated_duration: 1
flags: preserve-locale
""",
    "units/router/jobs.pxu": """\
unit: template
template-resource: router
template-unit: job
id: router/ping-{name}
plugin: shell
category_id: com.example.certification::router
_summary: The router {name} answers
_description:
 Steps:
     1. Call {name}
     2. Wait for the answer
 .
 The answer is all that counts.
command: router_ping.sh {name}
estimated_duration: 2.0
flags: also-after-suspend preserve-locale
""",
    "units/packaging.pxu": "unit: packaging meta-data\nos-id: debian\nDepends: iputils-ping\n",
    "units/router/category.pxu": "unit: category\nid: router\n_name: Routers\n",
    "units/router/test-plan.pxu": """\
id: router-full
unit: test plan
_name: All router checks
_description: Everything about routers
bootstrap_include:
 router
include:
 router/ping-.*   certification-status=blocker
 router/count
 router/memory
""",
    "jobs/router.txt": """\
plugin: shell
id: router/count
_summary: Count the routers
command:
 router-count
 cat "$PLAINBOX_PROVIDER_DATA"/names "$PLAINBOX_PROVIDER_DATA"/packages.txt
estimated_duration: 1.0
""",
    "jobs/more/router.txt.in": """\
plugin: shell
id: router/memory
_summary: Look at the memory
command: grep MemTotal /proc/meminfo
estimated_duration: 1.0
""",
    "bin/router_resource.py": """\
#!/usr/bin/env python3
import os

with open(os.path.join(os.environ["PLAINBOX_PROVIDER_DATA"], "names")) as stream:
    for line in stream:
        print("name: " + line)
""",
    "bin/router_ping.sh": '#!/bin/sh\necho "$1 answers"\n',
    "data/names": "north\nsouth\n",
    "data/deep/er/picture": "a picture\n",
    "po/POTFILES.in": """\
[encoding: UTF-8]
[type: gettext/rfc822deb] jobs/more/router.txt.in
[type: gettext/rfc822deb] jobs/router.txt
[type: gettext/rfc822deb] units/router/category.pxu
[type: gettext/rfc822deb] units/router/jobs.pxu
[type: gettext/rfc822deb] units/router/test-plan.pxu
bin/router_resource.py
manage.py
src/router-count.c
""",
    "po/de.po": """\
# German translations
msgid ""
msgstr ""
"Project-Id-Version: router\\n"
"Language: de\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

#. summary
#: ../jobs/router.txt.in:3
msgid "Count the routers"
msgstr "Zähle die Router"

#: ../units/router/jobs.pxu:6
#, python-brace-format
msgid "The router {name} answers"
msgstr "Der Router {name} antwortet"
""",
    "src/Makefile": """\
.PHONY: all
all: router-count

router-count: router-count.o

CFLAGS += -Wall
""",
    "src/router-count.c": '#include <stdio.h>\n\nint main(void) { puts("two"); return 0; }\n',
    "src/EXECUTABLES": "router-count\n",
    "src/AUTHORS": "They\n",
    "tests/__init__.py": "",
    "tests/test_router_resource.py": """\
import unittest
from unittest.mock import mock_open, patch


class ResourceTests(unittest.TestCase):
    @patch.dict("os.environ", {"PLAINBOX_PROVIDER_DATA": "x"})
    @patch("builtins.print")
    def test_names(self, printed):
        with patch("builtins.open", mock_open(read_data="one\\n")):
            import router_resource
        self.assertTrue(router_resource)
        printed.assert_called_once_with("name: one\\n")
""",
    "requirements/packages.txt": "iputils-ping\n",
    "README.rst": "Routers\n",
    "COPYING": "As you like\n",
    "debian/control": "Source: router\n\nPackage: router-checks\nX-Plainbox-Provider: yes\n",
    "os-release": "ID=debian\n",
    ".gitignore": "build\n",
}


class Tree:
    """A source tree whose manage.py is run."""

    def __init__(self, directory: Path, plainbox: Plainbox) -> None:
        self.directory = directory
        # The first python3 is the one that knows plainbox.
        path = f"{Path(sys.executable).parent}:{plainbox.environment['PATH']}"
        self._environment = {**plainbox.environment, "PATH": path}

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if path.parent.name == "bin" or name == "manage.py" else 0o644)

    def manage(self, *words: str | Path, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["./manage.py", *map(str, words)],
            cwd=self.directory,
            env={**self._environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def tree(tmp_path: Path, plainbox: Plainbox) -> Callable[[str], Tree]:
    def make(manage: str) -> Tree:
        tree = Tree(tmp_path / "tree", plainbox)
        tree.write(
            **{
                "manage.py": manage,
                "units/jobs.pxu": UNITS,
                "bin/camera-info": "#!/bin/sh\necho camera\n",
                "data/picture": "a picture\n",
                "src/Makefile": "camera-built: camera-built.in\n\tcp $< $@\n\tchmod +x $@\n",
                "src/camera-built.in": "#!/bin/sh\necho built\n",
                "po/POTFILES.in": "[encoding: UTF-8]\n[type: gettext/rfc822deb] units/jobs.pxu\nmanage.py\n",
                "launcher/camera.desktop": "[Desktop Entry]\n",
            }
        )
        return tree

    return make


# -- a new provider


def test_from_nothing_to_a_passed_run(plainbox: Plainbox) -> None:
    """A provider is made, is without fault, and runs, as the three commands are typed."""
    plainbox.run("provider", "new", "demo")
    plainbox.run("lint", "--strict", "demo")
    plainbox.run("run", "--provider", "demo")
    outcomes = {job_id: job["outcome"] for job_id, job in plainbox.jobs().items()}
    assert {outcomes[f"local.demo::{name}"] for name in ("memory", "free-space", "interface")} == {"pass"}
    assert outcomes["local.demo::screen-colours"].startswith("skip")
    assert "fail" not in outcomes.values()


def test_from_nothing_to_an_installed_provider(plainbox: Plainbox) -> None:
    """The commands of plainbox provider lead all the way, without the manage.py being run."""
    plainbox.run("provider", "new", "org.example:demo", "--pxu")
    directory = plainbox.home / "demo"
    manage = directory / "manage.py"
    manage.write_text(f"open('{plainbox.home}/ran', 'w')\n{manage.read_text()}")
    for words in (["validate", "--strict"], ["test", "-u"], ["info"], ["i18n"], ["build"], ["sdist"], ["clean"]):
        plainbox.run("provider", *words, "--provider", directory)
    assert (directory / "dist" / "org.example.demo-1.0.tar.gz").is_file()
    plainbox.run("provider", "develop", "--provider", "demo", "--directory", plainbox.home / "there")
    assert (plainbox.home / "there" / "org.example.demo.provider").is_file()
    plainbox.run("provider", "develop", "--provider", "demo")
    plainbox.run("run", "--no-input", "org.example::demo")
    plainbox.run("provider", "develop", "--uninstall", "--provider", "demo")
    plainbox.run("expand", "org.example::demo", code=2)
    plainbox.run("provider", "install", "--provider", "demo", "--prefix", plainbox.home / "prefix")
    plainbox.run("run", "--no-input", "demo", XDG_DATA_DIRS=str(plainbox.home / "prefix" / "share"))
    assert not (plainbox.home / "ran").exists()


def test_translations_outlive_a_new_syntax(plainbox: Plainbox) -> None:
    """After translate and i18n the texts of several lines are in German as before, without anybody's help."""
    plainbox.run("provider", "new", "demo", "--pxu")
    directory = plainbox.home / "demo"
    (directory / "po" / "de.po").touch()
    plainbox.run("provider", "i18n", "--provider", "demo")
    german = (directory / "po" / "de.po").read_text()
    steps = '"1. Look at the screen.\\n"\n"2. Open a picture, if you see black and white only."\nmsgstr ""\n'
    assert steps in german
    translated = steps + '"1. Schau hin.\\n"\n"2. Öffne ein Bild."\n'
    (directory / "po" / "de.po").write_text(german.replace(steps, translated))
    plainbox.run("translate", "--remove", directory / "units")
    said = plainbox.run("provider", "i18n", "--provider", "demo", code=2).stderr
    assert "write units/jobs.yaml, which has taken its place" in said
    potfiles = directory / "po" / "POTFILES.in"
    potfiles.write_text(potfiles.read_text().replace(".pxu", ".yaml"))
    plainbox.run("provider", "i18n", "--provider", "demo")
    assert "fuzzy" not in (directory / "po" / "de.po").read_text()
    compiled = gettext.translation("local_demo_demo", directory / "build" / "mo", ["de"])
    [job] = [unit for unit in Provider(from_source_tree(directory)).job_list if unit.partial_id == "screen-colours"]
    assert compiled.gettext(job.steps) == "1. Schau hin.\n2. Öffne ein Bild."


def test_bad_use_of_new(plainbox: Plainbox) -> None:
    """What is there is not overwritten, and a bad name is answered with a good one."""
    plainbox.run("provider", "new", "demo")
    assert "is there already" in plainbox.run("provider", "new", "demo", code=2).stderr
    assert "org.example:demo" in plainbox.run("provider", "new", "Demo", code=2).stderr
    plainbox.run("provider", "new", "demo", "--empty", "--pxu", "--directory", "other", code=2)
    assert not (plainbox.home / "other").exists()


def test_no_provider_here(plainbox: Plainbox) -> None:
    """A command without a provider to work on says where it looked and how to name one; its help needs none."""
    done = plainbox.run("provider", "validate", code=2)
    assert f"{plainbox.home}: no provider in it" in done.stderr
    assert "--provider DIR" in done.stderr
    assert "--loose" in plainbox.run("provider", "validate", "--help").stdout


# -- the manage.py of existing providers


@pytest.mark.parametrize("layout", ["flat", "unix", "relocatable"])
def test_an_existing_provider_from_build_to_run(tree, plainbox: Plainbox, layout: str) -> None:
    """It is built, installed in each layout, and a job calls its programs and finds its data where they are now."""
    camera = tree(EXISTING)
    camera.manage("build")
    prefix = plainbox.home / "prefix"
    camera.manage("install", f"--prefix={prefix}", f"--layout={layout}")
    (camera.directory / "bin" / "camera-info").unlink()
    place = prefix if layout == "relocatable" else prefix / "share" / "plainbox-providers-1"
    plainbox.run("run", "--no-input", "--provider", place, "camera-full")
    assert plainbox.jobs()["2013.com.example.camera::camera/info"]["outcome"] == "pass"


def test_the_commands_of_an_existing_provider(tree, plainbox: Plainbox) -> None:
    """Each command of an unchanged manage.py does its work."""
    camera = tree(EXISTING)
    camera.manage("validate")
    assert "2013.com.example.camera::camera/info" in camera.manage("info").stdout
    assert json.loads(camera.manage("info", "--json").stdout)["provider"]["version"] == "0.28.1"
    camera.manage("i18n")
    assert "Look into the camera" in (camera.directory / "po" / "plainbox-provider-camera.pot").read_text()
    camera.manage("build")
    assert os.access(camera.directory / "build" / "bin" / "camera-built", os.X_OK)
    camera.manage("clean")
    assert not (camera.directory / "build" / "bin").exists()
    [tarball] = camera.manage("sdist").stdout.split()
    with tarfile.open(tarball) as archive:
        assert "plainbox-provider-camera-0.28.1/src/Makefile" in archive.getnames()
    camera.manage("develop")
    assert "plainbox-provider-camera" in plainbox.run("list", "providers").stdout
    assert "nothing is done" in camera.manage("develop", code=1).stderr
    camera.manage("develop", "--force")
    camera.manage("develop", "--uninstall")
    assert "plainbox-provider-camera" not in plainbox.run("list", "providers").stdout


def test_a_tree_of_a_series(tmp_path: Path, plainbox: Plainbox) -> None:
    """Each command of its manage.py does its work, with its own extensions, and what is installed loads and runs."""
    router = Tree(tmp_path / "router", plainbox)
    router.write(**ROUTER)
    full = "com.example.certification::"
    router.manage("validate")
    said = router.manage("info").stdout
    assert all(f"{full}{name}" in said for name in ("router", "router/count", "router/memory", "router-full"))
    router.manage("i18n")
    assert '"Zähle die Router"' in (router.directory / "po" / "de.po").read_text()
    assert "Steps:" in (router.directory / "po" / "checkbox-provider-router.pot").read_text()
    router.manage("build")
    router.manage("test", "-u")
    [tarball] = router.manage("sdist").stdout.split()
    with tarfile.open(tarball) as archive:
        top = f"checkbox-provider-router-{__version__}"
        packed = set(archive.getnames())
    wanted = ("COPYING", "data/CHANGES", "jobs/more/router.txt.in", "requirements/packages.txt", "src/EXECUTABLES")
    assert {f"{top}/{name}" for name in wanted} < packed
    assert not any("debian" in name or "build" in name for name in packed)
    router.manage("packaging", "--os-release", "os-release")
    assert "plainbox:Depends=iputils-ping\n" in (router.directory / "debian/router-checks.substvars").read_text()
    prefix = plainbox.home / "prefix"
    router.manage("install", f"--prefix={prefix}", "--layout=unix")
    router.manage("develop", "--directory", plainbox.home / "there")
    assert (plainbox.home / "there" / "checkbox-provider-router.provider").is_file()
    router.manage("clean")
    shutil.rmtree(router.directory)
    plainbox.run(
        *("run", "--no-input", "--provider", prefix / "share" / "plainbox-providers-1", "-o", "text:report.txt"),
        f"{full}router-full",
        LANGUAGE="de",
    )
    outcomes = {job_id: job["outcome"] for job_id, job in plainbox.jobs().items() if job_id.startswith(full)}
    assert outcomes == {
        f"{full}{name}": "pass"
        for name in ("router", "router/ping-north", "router/ping-south", "router/count", "router/memory")
    }
    report = (plainbox.home / "report.txt").read_text()
    assert "Der Router north antwortet" in report
    assert "Zähle die Router" in report


def test_a_keyword_of_its_own(tree) -> None:
    """A keyword that setup() does not know is told, and stops nothing."""
    camera = tree(EXISTING.replace("strict=False", "maintainer='They', strict=False"))
    assert "manage.py:5: setup() has no keyword 'maintainer'" in camera.manage("info").stderr


def test_what_is_calculated_is_left_out_from_outside(tree, plainbox: Plainbox) -> None:
    """plainbox provider says what it cannot know, to whom it matters; the manage.py itself knows it."""
    camera = tree(EXISTING.replace("strict=False", "strict=not 1, build_cmd='touch '.strip() + ' made'"))
    place = f"{camera.directory}/manage.py:5"
    done = plainbox.run("provider", "build", "--provider", camera.directory)
    assert f"{place}: build_cmd of setup() is calculated" in done.stderr
    assert "./manage.py build knows it" in done.stderr
    assert "strict" not in done.stderr
    assert "strict of setup() is" in plainbox.run("provider", "validate", "--provider", camera.directory).stderr
    assert "calculated" not in plainbox.run("provider", "info", "--provider", camera.directory).stderr
    assert "touch made" in camera.manage("build").stderr


def test_help_and_switches(tree) -> None:
    """Help names every command with what it does; the switches of old scripts are accepted."""
    camera = tree(EXISTING)
    said = camera.manage("--help").stdout
    for name in ("info", "validate", "develop", "install", "sdist", "i18n", "build", "clean", "packaging", "test"):
        assert f"\n    {name} " in said
    assert "--layout" in camera.manage("install", "--help").stdout
    assert camera.manage("--version").stdout.startswith("plainbox-provider-camera 0.28.1")
    camera.manage("-v", "-D", "-C", "-T", "plainbox", "-P", "-I", "info")
    camera.manage("no-such-command", code=2)
    camera.manage(code=2)


def test_an_error_of_an_existing_provider(tree) -> None:
    """A unit that is wrong fails validation with its place."""
    camera = tree(EXISTING)
    camera.write(**{"units/jobs.pxu": UNITS.replace("plugin: shell", "plugin: shall")})
    assert camera.manage("validate", code=1).stdout.startswith("units/jobs.pxu:2: PB102 error:")


def test_extensions(tree, plainbox: Plainbox) -> None:
    """Classes of a manage.py take the place of commands, and new commands stand beside them."""
    extended = tree(EXTENDED)
    extended.manage("sdist")
    with tarfile.open(extended.directory / "dist" / "2013.com.example.extended-1.0.tar.gz") as archive:
        names = archive.getnames()
    assert {f"2013.com.example.extended-1.0/{name}" for name in ("launcher/camera.desktop", "src/configure")} < set(
        names
    )
    done = extended.manage("install", f"--root={plainbox.home}/root")
    assert (plainbox.home / "root/usr/local/share/applications/camera.desktop").is_file()
    assert "manage.py: warning: copied to " in done.stderr
    programs = plainbox.home / "root/usr/local/lib/plainbox-providers-1/2013.com.example:extended/bin"
    assert sorted(path.name for path in programs.iterdir()) == ["camera-info", "more"]
    extended.manage("plan-report", "names")
    assert (extended.directory / "names").read_text() == "Camera\n"
    assert "list the test plans" in extended.manage("--help").stdout
    assert "100 % sure" in extended.manage("plan-report", "--help").stdout


def test_an_extension_that_falls_over(tree) -> None:
    """A fault of its own is one line, with the file that has the details."""
    said = tree(EXTENDED).manage("crash", code=70).stderr
    assert "manage.py: internal error: RuntimeError: fell over\n" in said
    assert Path(said.rpartition(" ")[2].strip()).is_file()


def test_extensions_do_not_count_from_outside(tree, plainbox: Plainbox) -> None:
    """plainbox provider runs nothing of a manage.py, and says what is left out and how to have it."""
    extended = tree(EXTENDED)
    done = plainbox.run("provider", "sdist", "--provider", extended.directory)
    assert "SourceDistributionCommandExt" in done.stderr
    assert "./manage.py sdist" in done.stderr
    with tarfile.open(done.stdout.strip()) as archive:
        assert not any("launcher" in name for name in archive.getnames())


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("name='a.b:c', vrsion='1'", "setup() has no keyword 'vrsion'\n  did you mean 'version'?"),
        ("name='a.b:c'", "'' is not a version"),
        ("name='C', version='1'", "'C' is not a provider name"),
        ("name='a.b:c', version=1", "setup(): version is no text"),
        ("name='a.b:c', version='1', strict='no'", "setup(): strict is no True or False"),
    ],
)
def test_bad_setup(tree, keywords: str, message: str) -> None:
    """A mistake in the call of setup() is told with its line."""
    bad = tree(f"#!/usr/bin/env python3\nfrom plainbox.provider_manager import setup\nsetup({keywords})\n")
    said = bad.manage("info", code=2).stderr
    assert message in said
    assert "manage.py:3: " in said


def test_a_version_that_is_calculated(tree, plainbox: Plainbox) -> None:
    """What setup() is given counts, however the manage.py came by it; from outside that is an error with a way out."""
    calculated = tree(EXISTING.replace('"0.28.1"', '".".join(["3", "4"])'))
    assert "3.4" in calculated.manage("info").stdout
    said = plainbox.run("provider", "info", "--provider", calculated.directory, code=2).stderr
    assert "manage.py:8: version of setup() is calculated; manage.py is read, not run" in said
    calculated.manage("develop")
    assert ["plainbox-provider-camera", "3.4"] in [
        line.split()[:2] for line in plainbox.run("list", "providers").stdout.splitlines()
    ]


def test_from_another_directory(tree, plainbox: Plainbox) -> None:
    """The provider is where its manage.py is, not where it is called from, nor where a link to that file leads."""
    camera = tree(EXISTING)
    (camera.directory / "manage.py").rename(plainbox.home / "shared.py")
    (camera.directory / "manage.py").symlink_to(plainbox.home / "shared.py")
    done = subprocess.run(
        [sys.executable, camera.directory / "manage.py", "info"],
        cwd=plainbox.home,
        env=plainbox.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert f"{camera.directory}\n" in done.stdout
