# SPDX-License-Identifier: Apache-2.0
"""Advice around jobs as an operator has it: configuration, options, reports, and a resume with other chains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_support import Plainbox

UNITS = """
id: flaky
plugin: shell
advice-parameters: retry.attempts: 4
command:
 echo x >> $PLAINBOX_SESSION_SHARE/runs
 n=$(wc -l < $PLAINBOX_SESSION_SHARE/runs)
 echo "output $n"
 [ $n -ge 3 ]

id: gpu
plugin: resource
command: echo "driver: nv"

id: on-gpu
plugin: shell
depends: gpu
command: echo never

unit: test plan
id: plan
name: Plan
include:
 flaky
 gpu
 on-gpu
"""


def configure(plainbox: Plainbox, text: str) -> None:
    path = plainbox.home / ".config" / "plainbox.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.fixture
def configured(plainbox: Plainbox) -> Plainbox:
    configure(
        plainbox,
        "[advice-chain:default]\nadvices = inherit, retry(delay=0s, on=fail)\n"
        "[advice-chain:no-gpu]\nadvices = skip-if(\"gpu.driver == 'nv'\")\n"
        "[advice-rules]\n.*::on-.* = no-gpu\n",
    )
    return plainbox


def test_run(configured: Plainbox, provider: Callable[..., Path]) -> None:
    """A flaky job passes in its third try, as one attempt that has the output of all; a rule skips where it makes no
    sense; the report says how often the job was run."""
    configured.run("run", "--no-input", "--provider", provider(UNITS), "plan", "-o", "json:report.json")
    jobs = configured.jobs()
    flaky = jobs["org.example::flaky"]
    assert flaky["comments"] == "this is try 3 of 4; try 1: fail (return code 1); try 2: fail (return code 1)"
    assert [attempt["attempt"] for attempt in flaky["attempts"]] == [1]
    assert jobs["org.example::on-gpu"]["outcome"] == "skip"
    results = json.loads((configured.home / "report.json").read_text())["results"]
    [reported] = [result for result in results if result["full_id"] == "org.example::flaky"]
    assert reported["tries"] == 3
    assert [reported["io_log"].count(f"output {number}") for number in (1, 2, 3)] == [1, 1, 1]


def test_show(configured: Plainbox, provider: Callable[..., Path]) -> None:
    """The chain of a job is shown with every parameter and where it comes from."""
    directory = provider(UNITS)
    conf = configured.home / ".config" / "plainbox.conf"
    shown = configured.json("chain", "show", "flaky", "--provider", directory)
    assert (shown["schema"], shown["chain"], shown["chosen_by"]) == ("plainbox.chain/1", "default", "default")
    assert [advice["name"] for advice in shown["advices"]] == ["log", "trace", "cache", "timeout", "retry"]
    retry = {
        parameter["name"]: (parameter["value"], parameter["source"]) for parameter in shown["advices"][-1]["parameters"]
    }
    assert retry["delay"] == ("0s", f"{conf}:2")
    assert retry["attempts"][0] == "4"
    assert retry["attempts"][1].endswith("units.pxu:4: advice-parameters")
    assert retry["jitter"] == ("0.1", "default")
    text = configured.run("chain", "show", "on-gpu", "--provider", directory).stdout
    assert text.startswith(f"org.example::on-gpu: chain no-gpu, chosen by {conf}:6\nskip-if")


def test_show_of_templates(configured: Plainbox, provider: Callable[..., Path]) -> None:
    """A job that only a run makes has a chain, too, and a template has the one of its jobs; rules see the id of the job."""
    units = (
        "unit: template\ntemplate-resource: gpu\ntemplate-id: for-gpu\nid: on-{driver}\nplugin: shell\n"
        "advice-parameters: retry.attempts: 7\ncommand: true\n\n"
        "id: gpu\nplugin: resource\ncommand: true\n"
    )
    directory = provider(units)
    made = configured.json("chain", "show", "on-nv", "--provider", directory)
    assert (made["job"], made["chain"]) == ("org.example::on-nv", "no-gpu")
    template = configured.json(
        "chain", "show", "for-gpu", "--provider", directory, "--chain", "x", "--advice", "x=retry"
    )
    assert template["job"] == "org.example::for-gpu"
    assert template["advices"][0]["parameters"][0] | {"source": ""} == {
        "name": "attempts",
        "value": "7",
        "source": "",
        "given": True,
    }
    refused = configured.run("chain", "show", "of-nv", "--provider", directory, code=2)
    assert "no job or template 'of-nv'" in refused.stderr


def test_attachments_of_advices(plainbox: Plainbox, provider: Callable[..., Path]) -> None:
    """What an advice attaches is in the session and in the report, beside what the job itself has attached."""
    configure(
        plainbox, "[advice-chain:default]\nadvices = log(level=warning, attach=yes), metrics(0.01s), attach('*.json')\n"
    )
    directory = provider("id: job\nplugin: shell\nflags: has-leftovers\ncommand: sleep 0.2; echo mine > metrics.json\n")
    plainbox.run("run", "--no-input", "--provider", directory, "job", "-o", "json:report.json")
    [result] = json.loads((plainbox.home / "report.json").read_text())["results"]
    attached = {item["name"]: item for item in result["attachments"]}
    assert sorted(attached) == ["invocation.log", "metrics-2.json", "metrics.json"]
    [session] = plainbox.sessions.glob("*.session")
    texts = {name: (session / item["path"]).read_text() for name, item in attached.items()}
    assert texts["metrics.json"] == "mine\n"
    assert json.loads(texts["metrics-2.json"])["schema"] == "plainbox.metrics/1"
    assert "job: pass after" in texts["invocation.log"]
    assert attached["metrics-2.json"]["media_type"] == "application/json"
    plainbox.run("session", "verify")


def test_skip_inside_of_the_cache(plainbox: Plainbox, provider: Callable[..., Path]) -> None:
    """A kept result does not keep a rule from skipping the job, nor limits from holding."""
    units = UNITS.replace("id: on-gpu\n", "id: on-gpu\ncache: yes\n")
    directory = provider(units)
    chosen = ("run", "--no-input", "--provider", directory, "gpu", "on-gpu")
    plainbox.run(*chosen)
    assert "(from the cache)" in plainbox.run(*chosen).stderr
    configure(plainbox, "[advice-chain:default]\nadvices = inherit, skip-if(\"gpu.driver == 'nv'\")\n")
    plainbox.run(*chosen)
    assert plainbox.jobs()["org.example::on-gpu"]["outcome"] == "skip"
    configure(plainbox, "[advice-chain:default]\nadvices = inherit, subprocess(limits='nofile=64')\n")
    assert "(from the cache)" not in plainbox.run(*chosen).stderr


@pytest.mark.parametrize(
    ("conf", "unit", "options", "message"),
    [
        ("[advice-chain:default]\nadvices = lgo\n", "", (), "plainbox.conf:2: unknown advice 'lgo'"),
        ("", "advice-chain: dut\n", (), "unknown advice chain 'dut'; known: default"),
        ("", "", ("--chain", "dut"), "--chain: unknown advice chain 'dut'; known: default"),
        ("", "", ("--advice", "default=retry(attempts=x)"), "command line: --advice default: attempts: 'x'"),
        ("", "advice-parameters: subprocess.interpretr: x\n", ("--advice", "default=subprocess"), "'interpretr'"),
        ("", "advice-parameters: subprocess.interpretr: x\n", (), "'interpretr'"),
        ("[remote:x]\nhost = a\nprot = 2\n", "", (), "plainbox.conf:2: [remote:x] unknown setting 'prot'"),
        ("[advice-chains:x]\nadvices = log\n", "", (), "[advice-chains:x] is no section"),
    ],
)
def test_mistakes(
    plainbox: Plainbox, provider: Callable[..., Path], conf: str, unit: str, options: tuple[str, ...], message: str
) -> None:
    """What means nothing stops a run before its first job, and leaves no session."""
    configure(plainbox, conf)
    directory = provider(f"id: a\nplugin: shell\ncommand: touch {plainbox.home}/ran\n{unit}")
    failed = plainbox.run("run", "--no-input", "--provider", directory, ".*::a", *options, code=2)
    assert message in failed.stderr
    assert not (plainbox.home / "ran").exists()
    assert not list(plainbox.sessions.glob("*.session"))


def test_job_with_bad_syntax_fails_alone(plainbox: Plainbox, provider: Callable[..., Path]) -> None:
    """A unit whose parameters are none is a bad unit like others: the job fails, the rest runs."""
    units = "id: a\nplugin: shell\ncommand: true\nadvice-parameters: nonsense\n\nid: b\nplugin: shell\ncommand: true\n"
    plainbox.run("run", "--no-input", "--provider", provider(units), ".*::[ab]", code=1)
    jobs = plainbox.jobs()
    assert [jobs[f"org.example::{name}"]["outcome"] for name in "ab"] == ["fail", "pass"]


SLOW = (
    "id: slow\nplugin: shell\ncommand: [ -e $HOME/again ] || touch $BEGUN; [ -e $HOME/again ] || sleep 60\n\n"
    "id: late\nplugin: shell\nafter: slow\ncommand: sleep 60\n\n"
    "unit: test plan\nid: plan\nname: Plan\ninclude:\n slow\n late\n"
)


def test_resume(plainbox: Plainbox, provider: Callable[..., Path], tmp_path: Path) -> None:
    """A resume uses the chains that the run was given; when they have become others, somebody has to accept that."""
    directory = provider(SLOW)
    begun = tmp_path / "begun"
    configure(plainbox, "[advice-chain:dut]\nadvices = timeout(limit=0.5s, grace=0s)\n")
    process = plainbox.start(
        "run",
        "--no-input",
        "--provider",
        directory,
        "plan",
        "--chain",
        "dut",
        "--advice",
        "dut=inherit, retry",
        BEGUN=str(begun),
    )
    while not begun.exists():
        assert process.poll() is None
    process.kill()
    process.communicate()
    configure(plainbox, "[advice-chain:dut]\nadvices = timeout(limit=0.6s, grace=0s)\n")
    refused = plainbox.run("resume", "--no-input", code=2)
    assert (
        "chain dut: was timeout(limit=0.5s, grace=0s), retry; is timeout(limit=0.6s, grace=0s), retry" in refused.stderr
    )
    assert "--chain-changed=accept" in refused.stderr
    assert plainbox.json("session", "list")["sessions"][0]["state"] == "incomplete"
    plainbox.run("resume", "--no-input", "--chain-changed=accept", code=1)
    assert plainbox.jobs()["org.example::late"]["comments"] == "ended after its limit of 0.6 s"
