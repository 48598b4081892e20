# SPDX-License-Identifier: Apache-2.0
"""``plainbox run --on``: every job of a session on another machine, over a real sshd on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from e2e_support import Plainbox, write_provider
from sshd_rig import serving

UNITS = """
unit: manifest entry
id: has_it
value-type: bool

id: found
plugin: resource
command:
 echo name: one
 echo
 echo name: two

unit: template
template-resource: found
template-unit: job
plugin: shell
id: part-{name}
command: tool {name}; test -n "$SSH_CONNECTION"

id: attached
plugin: attachment
command: cat $PLAINBOX_PROVIDER_DATA/text

id: leaves
plugin: shell
command:
 grep has_it "$PLAINBOX_SESSION_SHARE/manifest.records" && echo hello > "$PLAINBOX_SESSION_SHARE/a file"

id: takes
plugin: shell
after: leaves
command: cat "$PLAINBOX_SESSION_SHARE/a file"

id: function
plugin: function
function: sample:check
args: ["value"]

id: fails
plugin: shell
command: echo oops; exit 255

unit: test plan
id: plan
name: Plan
bootstrap_include: found
include:
 part-.*
 attached
 leaves
 takes
 function
 fails
"""
FILES = {
    "bin/tool": '#!/bin/sh\necho "the tool has $1"\n',
    "data/text": "text of there\n",
    "python/sample.py": "import os\ndef check(value):\n    print(value, os.environ['SSH_CONNECTION'])\n",
}


class There:
    """A server, and a command line that knows how to log in."""

    def __init__(self, server, base: Path, home: Path) -> None:
        self.server = server
        self.base = base
        self.far = base / "far"
        self.far.mkdir(mode=0o700)
        (base / "far-home").mkdir()
        self.plainbox = Plainbox(home)
        settings = f"Host *\n  IdentityFile {server.key_file}\n  UserKnownHostsFile {server.known_hosts}\n"
        (base / "ssh_config").write_text(settings)
        self.variables = {"PLAINBOX_SSH_CONFIG": str(base / "ssh_config")}

    @property
    def url(self) -> str:
        return f"{self.server.url}{self.far}"

    def run(self, *words, code=0):
        return self.plainbox.run(*words, code=code, **self.variables)

    def start(self, *words, **variables):
        return self.plainbox.start("run", "--no-input", "--on", self.url, *words, **self.variables, **variables)


@pytest.fixture
def there(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "boot").write_text("boot-1\n")
    more = f"SetEnv HOME={tmp_path}/far-home PLAINBOX_BOOT_ID_FILE={tmp_path}/boot"
    with serving(tmp_path / "sshd", more) as server:
        yield There(server, tmp_path, tmp_path / "home")


def _until(condition, limit_s=30.0):
    give_up_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def _running(word: str) -> bool:
    shown = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return any(line.startswith(word) for line in shown.splitlines())


def test_a_whole_plan(there, tmp_path):
    """Every kind of job runs there with the files and variables that it has here, and the reports say where."""
    provider = write_provider(tmp_path / "provider", UNITS, **FILES)
    reports = [word for form in ("json", "html", "junit") for word in ("-o", f"{form}:{tmp_path}/out.{form}")]
    done = there.run("run", "--no-input", "--on", there.url, "--provider", provider, "-v", *reports, "plan", code=1)
    assert "the tool has one" in done.stderr
    assert "text of there" in done.stderr
    assert "value 127.0.0.1" in done.stderr
    outcomes = {
        name.partition("::")[2]: (job["outcome"], job["return_code"]) for name, job in there.plainbox.jobs().items()
    }
    assert outcomes.pop("fails") == ("fail", 255)
    assert set(outcomes.values()) == {("pass", 0)}, outcomes
    assert len(outcomes) == 7, outcomes
    report = json.loads((tmp_path / "out.json").read_text())
    assert {result["host"] for result in report["results"]} == {there.url}
    assert there.url in (tmp_path / "out.html").read_text()
    assert there.url in (tmp_path / "out.junit").read_text()
    assert os.listdir(there.far) == []


def test_killed_and_resumed(there, tmp_path):
    """When Plainbox is killed the job ends there and nothing is left; resume goes on there without being told."""
    units = (
        "id: a\nplugin: shell\ncommand: echo fine\n\n"
        f"id: b\nplugin: shell\ncommand: echo begun; touch {tmp_path}/begun; setsid sleep 971 & sleep 971\n\n"
        'id: c\nplugin: shell\ncommand: test -n "$SSH_CONNECTION"\n\n'
        "unit: test plan\nid: plan\nname: P\ninclude:\n a\n b\n c\n"
    )
    provider = write_provider(tmp_path / "provider", units)
    process = there.start("--provider", provider, "plan")
    _until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
    process.kill()
    process.communicate()
    _until(lambda: not _running("sleep 971") and os.listdir(there.far) == [], limit_s=20)
    there.run("resume", "--no-input", code=1)
    outcomes = {name.partition("::")[2]: job["outcome"] for name, job in there.plainbox.jobs().items()}
    assert outcomes == {"a": "pass", "b": "crash", "c": "pass"}
    assert os.listdir(there.far) == []


def test_interrupted_by_hand(there, tmp_path):
    """Control-C ends the job there, and everything of the run with it."""
    units = f"id: b\nplugin: shell\ncommand: touch {tmp_path}/begun; sleep 972\n"
    provider = write_provider(tmp_path / "provider", units)
    process = there.start("--provider", provider, "b")
    _until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (6, 130), (process.returncode, out, err)
    _until(lambda: not _running("sleep 972") and os.listdir(there.far) == [])


def test_a_job_that_restarts_the_machine(there, tmp_path):
    """After a restart of the machine there the same run goes on; only one that came counts for expect-reboot."""
    units = (
        "id: a\nplugin: shell\nflags: noreturn expect-reboot\n"
        f"command: echo x > $PLAINBOX_SESSION_SHARE/kept; touch {tmp_path}/begun; sleep 973\n\n"
        'id: b\nplugin: shell\ncommand: cat $PLAINBOX_SESSION_SHARE/kept; test -n "$SSH_CONNECTION"\n\n'
        "unit: test plan\nid: plan\nname: P\ninclude:\n a\n b\n"
    )
    provider = write_provider(tmp_path / "provider", units)

    def run(boot_id):
        (tmp_path / "begun").unlink(missing_ok=True)
        process = there.start("--provider", provider, "plan")
        _until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
        everybody = there.server.sessions()
        there.server.stop()
        for one in everybody:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        (tmp_path / "boot").write_text(f"{boot_id}\n")
        there.server.start()
        _out, err = process.communicate(timeout=90)
        jobs = {
            name.partition("::")[2]: (job["outcome"], job["comments"]) for name, job in there.plainbox.jobs().items()
        }
        assert "Traceback" not in err, err
        return process.returncode, jobs

    code, jobs = run("boot-2")
    assert code == 0, jobs
    assert jobs["b"][0] == "pass", jobs
    assert jobs["a"][0] == "pass"
    assert "boot-1 before, boot-2 now" in jobs["a"][1]
    code, jobs = run("boot-2")
    assert code == 1
    assert jobs["a"][0] == "crash"
    assert "not started anew" in jobs["a"][1]
    assert jobs["b"][0] == "pass"


def test_the_connection_breaks(there, tmp_path):
    """A job whose connection breaks has crashed, with what it had printed, and the next one is run."""
    units = (
        f"id: a\nplugin: shell\ncommand: echo begun; touch {tmp_path}/begun; sleep 974\n\n"
        "id: b\nplugin: shell\ncommand: true\n\nunit: test plan\nid: plan\nname: P\ninclude:\n a\n b\n"
    )
    provider = write_provider(tmp_path / "provider", units)
    process = there.start("--provider", provider, "-o", f"json:{tmp_path}/out.json", "plan")
    _until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
    there.server.stop()
    there.server.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, (out, err)
    first, second = json.loads((tmp_path / "out.json").read_text())["results"]
    assert first["outcome"] == "crash"
    assert "begun" in first["io_log"]
    assert "not known" in first["comments"]
    assert second["outcome"] == "pass"
    _until(lambda: os.listdir(there.far) == [])


def test_looking_and_trusting(there, tmp_path):
    """A machine can be looked at, and a key is relied on once somebody has said that it is the right one."""
    checked = json.loads(there.run("remote", "check", there.url, "--json").stdout)
    assert checked["user"] == there.server.user
    assert checked["boot_id"] == "boot-1"
    assert os.listdir(there.far) == []
    (there.base / "ssh_config").write_text(
        f"Host *\n  IdentityFile {there.server.key_file}\n  UserKnownHostsFile {tmp_path}/none\n"
    )
    failed = there.run("remote", "check", there.url, code=4)
    assert "the host key is not known" in failed.stderr
    assert f"plainbox remote trust {there.url}" in failed.stderr
    refused = there.run("remote", "trust", there.url, "--fingerprint", "SHA256:other", code=2)
    assert "another key" in refused.stderr
    print_of = there.run("remote", "trust", there.url, "--yes").stdout.split()[-1]
    key = subprocess.run(
        ["ssh-keygen", "-lf", there.server.base / "host_key.pub"], capture_output=True, text=True, check=True
    )
    assert print_of == key.stdout.split()[1]
    there.run("remote", "check", there.url)


def test_what_means_nothing(there, tmp_path):
    """A machine that means nothing is told before there is a session."""
    provider = write_provider(tmp_path / "provider", "id: a\nplugin: shell\ncommand: true\n")
    for on, words in (
        ("ftp://x", "is no machine"),
        ("nobody", "unknown remote"),
        ("ssh://-oProxyCommand=x", "no host"),
    ):
        refused = there.run("run", "--no-input", "--on", on, "--provider", provider, "a", code=None)
        assert refused.returncode in (2, 4), refused.stderr
        assert words in refused.stderr, refused.stderr
    assert not there.plainbox.sessions.exists() or not os.listdir(there.plainbox.sessions)


def test_programs_are_there():
    """The tests need OpenSSH."""
    assert shutil.which("ssh")
