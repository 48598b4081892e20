# SPDX-License-Identifier: Apache-2.0
"""A job takes the machine down, and what systemd would do brings the session to its end.

There is no machine to restart here: the boot id comes from a file, the tester and its job are killed together, and the
command of the installed unit is run as systemd would run it, in an environment of its own.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from e2e_support import Plainbox

REBOOTS = "kill -KILL -$PPID; kill -KILL $PPID; sleep 60"
PLAN = """
id: before
plugin: shell
command: true

id: reboots
plugin: shell
flags: noreturn expect-reboot
depends: before
command: echo reboot >> "$PLAINBOX_LEDGER"; {command}

id: after
plugin: shell
depends: reboots
command: echo after >> "$PLAINBOX_LEDGER"; test "$(cat "$PLAINBOX_BOOT_ID_FILE")" = second

unit: test plan
id: plan
name: Restart
include:
 before
 reboots
 after
"""


@attrs.frozen
class Machine:
    """The one machine of a test: what runs on it by hand, and what its systemd starts."""

    plainbox: Plainbox
    directory: Path

    @property
    def boot(self) -> Path:
        return self.directory / "boot id"

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger"

    @property
    def variables(self) -> dict[str, str]:
        return {"PLAINBOX_BOOT_ID_FILE": str(self.boot), "PLAINBOX_LEDGER": str(self.ledger)}

    @property
    def units(self) -> Path:
        return self.plainbox.home / ".config" / "systemd" / "user"

    @property
    def links(self) -> list[Path]:
        return list(self.units.glob("*.wants/*"))

    @property
    def session(self) -> Path:
        [session] = self.plainbox.sessions.glob("*.session")
        return session

    def run_until_killed(self, provider: Path, plan: str = "plan", **variables: str) -> str:
        """Run a plan that kills its tester, in a process group of its own; return what it said."""
        process = subprocess.Popen(
            self.plainbox.command("run", "--no-input", "--provider", provider, plan),
            env={**self.plainbox.environment, **self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.plainbox.home,
            start_new_session=True,
        )
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, stderr
        return stderr

    def wanted_services(self) -> list[tuple[list[str], dict[str, str]]]:
        """Return command and environment of each service that starts with the machine, as its unit says."""
        return [self._service(link) for link in self.links]

    def _service(self, link: Path) -> tuple[list[str], dict[str, str]]:
        escaped = link.name.partition("@")[2].removesuffix(".service")
        instance = re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), escaped.replace("-", "/"))

        def filled_in(text: str) -> str:
            return re.sub("%(.)", lambda match: {"I": instance, "%": "%"}[match[1]], text)

        lines = dict(line.split("=", 1) for line in link.read_text().splitlines() if "=" in line)
        command = [filled_in(word) for word in shlex.split(lines["ExecStart"].removeprefix(":"))]
        loaded = subprocess.run(
            ["env", "-i", "/bin/sh", "-c", 'set -a; . "$0"; env -0', filled_in(lines["EnvironmentFile"])],
            capture_output=True,
            text=True,
            check=True,
        )
        variables = dict(item.split("=", 1) for item in loaded.stdout.split("\0") if item)
        return command, {"HOME": "/", "PATH": "/usr/bin:/bin", **variables}

    def start(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Start the one service that is wanted, as systemd would when the machine comes up."""
        [(command, environment)] = self.wanted_services()
        return subprocess.run(
            command, env={**environment, **variables}, cwd="/", capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def machine(plainbox: Plainbox, tmp_path: Path) -> Machine:
    """Return a machine in its first boot, with the unit installed for its user."""
    machine = Machine(plainbox, tmp_path)
    machine.boot.write_text("first")
    plainbox.run("doctor", "--install-resume", "--user")
    return machine


def nothing_armed(machine: Machine) -> bool:
    left = ["resume.env", "watchdog-mark", "session-share/__respawn_plainbox", "session-share/__respawn_checkbox"]
    entries = machine.plainbox.home.glob(".config/autostart/*")
    return not machine.links and not any((machine.session / name).exists() for name in left) and not any(entries)


def test_reboot(machine: Machine, provider: Callable[..., Path]) -> None:
    """After a reboot the service goes on to the end; the job has passed and names both boots; nothing stays armed."""
    machine.run_until_killed(provider(PLAN.format(command=REBOOTS)))
    assert len(machine.links) == 1

    machine.boot.write_text("second")
    done = machine.start()

    assert done.returncode == 0, done.stderr
    jobs = machine.plainbox.jobs()
    assert {job["outcome"] for job in jobs.values()} == {"pass"}
    assert jobs["org.example::reboots"]["attempts"][-1]["origin"] == "resume"
    assert len(set(re.findall(r"\b[0-9a-f]{16}\b", jobs["org.example::reboots"]["comments"]))) == 2
    assert machine.ledger.read_text().split() == ["reboot", "after"]
    assert nothing_armed(machine)
    assert machine.plainbox.json("session", "list")["sessions"][0]["state"] == "complete"


def test_a_reboot_that_did_not_come(machine: Machine, provider: Callable[..., Path]) -> None:
    """In the same boot, a job that expects a reboot has crashed, and the session still comes to its end."""
    machine.run_until_killed(provider(PLAN.format(command=REBOOTS)))
    done = machine.start()
    assert done.returncode == 1, done.stderr
    jobs = machine.plainbox.jobs()
    assert jobs["org.example::reboots"]["outcome"] == "crash"
    assert machine.ledger.read_text().split() == ["reboot"]
    assert nothing_armed(machine)


def test_desktop_entry(machine: Machine, provider: Callable[..., Path]) -> None:
    """A desktop that starts the entry goes on with the session, with its variables."""
    machine.run_until_killed(
        provider(PLAN.format(command=REBOOTS)),
        PLAINBOX_CONF_SESSIONS__AUTO_RESUME="desktop",
        PLAINBOX_ODD='a "b" $c %d',
    )
    assert not machine.links
    [entry] = machine.plainbox.home.glob(".config/autostart/*.desktop")
    [line] = [line for line in entry.read_text().splitlines() if line.startswith("Exec=")]
    # The value is a string of a key file first, and a line of arguments then.
    text = line.removeprefix("Exec=").replace("\\\\", "\\")
    arguments = re.fullmatch(r'(\S+) -c "((?:[^"\\]|\\.)*)"', text)
    assert arguments is not None
    command = re.sub(r"\\(.)", r"\1", arguments[2]).replace("%%", "%")
    machine.boot.write_text("second")
    done = subprocess.run(
        [arguments[1], "-c", command],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert nothing_armed(machine)


def test_the_job_starts_the_tester(machine: Machine, provider: Callable[..., Path], tmp_path: Path) -> None:
    """The command in the session share, which a shell runs, goes on with this very session."""
    directory = provider(PLAN.format(command=f'cp "$PLAINBOX_SESSION_SHARE"/__respawn_* {tmp_path}; {REBOOTS}'))
    machine.run_until_killed(directory)
    machine.boot.write_text("second")
    command = (tmp_path / "__respawn_checkbox").read_text()
    assert command == (tmp_path / "__respawn_plainbox").read_text()
    assert (machine.session / "resume.env").stat().st_mode & 0o777 == 0o600
    done = subprocess.run(["sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, cwd="/", check=False)
    assert done.returncode == 0
    assert machine.plainbox.jobs()["org.example::after"]["outcome"] == "pass"


def test_loop_of_crashes(machine: Machine, provider: Callable[..., Path]) -> None:
    """A session that comes to nothing again and again is given up: code 6, and the next start leaves it alone."""
    directory = provider(
        "unit: setup job\nid: dies\nplugin: shell\nflags: autorestart\n"
        f"command: echo died >> $PLAINBOX_LEDGER; {REBOOTS}\n\nid: job\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\nsetup_include: dies\ninclude: job\n"
    )
    machine.run_until_killed(directory)
    codes = []
    while machine.links and len(codes) < 9:
        codes.append(machine.start().returncode)
    assert codes == [-signal.SIGKILL] * 4 + [6]
    assert machine.ledger.read_text().split() == ["died"] * 5
    assert nothing_armed(machine)
    left = machine.plainbox.run("resume", "--auto", machine.session.name.removesuffix(".session"))
    assert "stuck" in left.stderr
    assert any("--insist" in (check["advice"] or "") for check in machine.plainbox.json("doctor")["checks"])


def test_what_cannot_be_armed_does_not_run(machine: Machine, provider: Callable[..., Path]) -> None:
    """A strategy that was asked for by name and cannot be primed: the job has crashed, and its command did not run."""
    # No directory can be made where there is a file, whoever asks: rights would not keep root from it.
    (machine.plainbox.home / ".config" / "autostart").write_text("")
    done = machine.plainbox.run(
        *("run", "--no-input", "--provider", provider(PLAN.format(command=REBOOTS)), "plan"),
        code=1,
        PLAINBOX_CONF_SESSIONS__AUTO_RESUME="desktop",
        **machine.variables,
    )
    assert "Traceback" not in done.stderr
    job = machine.plainbox.jobs()["org.example::reboots"]
    assert job["outcome"] == "crash"
    assert "autostart" in job["comments"]
    assert os.strerror(errno.EEXIST) in job["comments"] or os.strerror(errno.ENOTDIR) in job["comments"]
    assert not machine.ledger.exists()


def test_unit_that_was_asked_for_is_not_there(machine: Machine, provider: Callable[..., Path]) -> None:
    """With systemd asked for and no unit installed, the reason of the crash names the command that installs it."""
    machine.plainbox.run("doctor", "--remove-resume", "--user")
    machine.plainbox.run(
        *("run", "--no-input", "--provider", provider(PLAN.format(command=REBOOTS)), "reboots"),
        code=1,
        PLAINBOX_CONF_SESSIONS__AUTO_RESUME="systemd",
        **machine.variables,
    )
    assert "plainbox doctor --install-resume" in machine.plainbox.jobs()["org.example::reboots"]["comments"]
    assert not machine.ledger.exists()


def test_nothing_installed(machine: Machine, provider: Callable[..., Path]) -> None:
    """Without a unit such jobs run, and one warning says how to install it."""
    machine.plainbox.run("doctor", "--remove-resume", "--user")
    directory = provider(
        "id: one\nplugin: shell\nflags: autorestart\ncommand: true\n\n"
        "id: two\nplugin: shell\nflags: autorestart\ncommand: true\n\nunit: test plan\nid: plan\nname: P\ninclude: .*\n"
    )
    done = machine.plainbox.run("run", "--no-input", "--provider", directory, "plan", **machine.variables)
    assert done.stderr.count("plainbox doctor --install-resume") == 1


def test_stopped_by_a_person(machine: Machine, provider: Callable[..., Path], tmp_path: Path) -> None:
    """A session that somebody has stopped does not start again with the machine; one that was terminated does."""
    started = tmp_path / "started"
    directory = provider(f"id: waits\nplugin: shell\nflags: noreturn\ncommand: touch {started}; sleep 60\n")
    for numbers, armed in (((signal.SIGINT, signal.SIGINT), 0), ((signal.SIGTERM,), 1)):
        started.unlink(missing_ok=True)
        process = machine.plainbox.start("run", "--no-input", "--provider", directory, "waits", **machine.variables)
        wait_for(started.exists)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.2)
        process.communicate(timeout=30)
        assert len(machine.links) == armed, numbers


def test_session_in_use_is_left(machine: Machine, provider: Callable[..., Path], tmp_path: Path) -> None:
    """The service leaves a session that somebody else goes on with, armed as it is."""
    started = tmp_path / "started"
    directory = provider(f"id: waits\nplugin: shell\nflags: noreturn\ncommand: touch {started}; sleep 60\n")
    process = machine.plainbox.start("run", "--no-input", "--provider", directory, "waits", **machine.variables)
    try:
        wait_for(started.exists)
        done = machine.start()
        assert (done.returncode, len(machine.links)) == (0, 1)
        assert "in use" in done.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_removed_session(machine: Machine, provider: Callable[..., Path]) -> None:
    """A session that is removed does not start with the machine."""
    machine.run_until_killed(provider(PLAN.format(command=REBOOTS)))
    assert machine.links
    machine.plainbox.run("session", "remove", "--yes", machine.session.name.removesuffix(".session"))
    assert not machine.links


def test_sessions_that_need_nobody(machine: Machine, provider: Callable[..., Path]) -> None:
    """A complete session and one that is gone are left alone with code 0, and their links go."""
    machine.plainbox.run(
        "run",
        "--no-input",
        "--provider",
        provider("id: job\nplugin: shell\ncommand: true\n"),
        "job",
        **machine.variables,
    )
    wants = machine.units / "default.target.wants"
    wants.mkdir()
    for session_id in (machine.session.name.removesuffix(".session"), "pbox-gone"):
        escaped = session_id.replace("-", r"\x2d")
        (wants / f"plainbox-resume@{escaped}.service").symlink_to("../plainbox-resume@.service")
        advice = f"plainbox resume --auto {session_id}"
        assert advice in [check["advice"] for check in machine.plainbox.json("doctor")["checks"]]
        machine.plainbox.run("resume", "--auto", session_id)
        assert not machine.links


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket that a service manager listens to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        yield listener


def heard(listener: socket.socket) -> bool:
    """Tell whether anything was said before the listener ran out of patience."""
    try:
        return bool(listener.recv(100))
    except TimeoutError:
        return False


def test_watchdog(machine: Machine, provider: Callable[..., Path], notify: socket.socket) -> None:
    """systemd is told that the start is over, then again and again that all is well - but not by a process that hangs."""
    ticks = "while test -e $PLAINBOX_LEDGER; do echo tick; sleep 0.02; done"
    machine.run_until_killed(
        provider(PLAN.format(command=REBOOTS) + f"\nid: long\nplugin: shell\ncommand: {ticks}\n"), ".*(reboots|long)"
    )
    machine.boot.write_text("second")
    [(command, environment)] = machine.wanted_services()
    process = subprocess.Popen(
        command,
        env={**environment, "NOTIFY_SOCKET": notify.getsockname(), "WATCHDOG_USEC": "200000"},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert notify.recv(100) == b"READY=1"
        assert [notify.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        notify.settimeout(0.5)
        while heard(notify):
            pass  # what was sent before the stop is still to be read
        process.send_signal(signal.SIGCONT)
        notify.settimeout(30)
        assert notify.recv(100) == b"WATCHDOG=1"
        machine.ledger.unlink()
        assert process.wait(30) in (0, 1)
    finally:
        process.kill()
        process.wait()


def test_tester_that_hung(machine: Machine, provider: Callable[..., Path]) -> None:
    """What the unit does when the watchdog has ended the tester lets the verdict say so, once."""
    directory = provider(PLAN.format(command=REBOOTS).replace("noreturn expect-reboot", "autorestart"))
    machine.run_until_killed(directory)
    [link] = machine.links
    [line] = [line for line in link.read_text().splitlines() if line.startswith("ExecStopPost=")]
    session_id = machine.session.name.removesuffix(".session")
    command = shlex.split(line.removeprefix("ExecStopPost=:").replace("%I", session_id))
    for result, marked in (("signal", False), ("watchdog", True)):
        subprocess.run(command, env={"SERVICE_RESULT": result}, check=True)
        assert (machine.session / "watchdog-mark").exists() is marked
    machine.start()
    assert "watchdog" in machine.plainbox.jobs()["org.example::reboots"]["comments"]
    assert nothing_armed(machine)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
