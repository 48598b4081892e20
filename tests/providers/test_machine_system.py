# SPDX-License-Identifier: Apache-2.0
"""The checks of file systems, network, kernel and services, on this machine and on broken ones."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from machine_scripts import MakeRoot, RunScript

Alter = Callable[[str, str, str], str]
Load = Callable[[str], types.ModuleType]


def file_system(
    options: str = "rw", fstype: str = "ext4", super_options: str = "rw", point: str = "/"
) -> dict[str, str]:
    return {"proc/self/mountinfo": f"30 1 8:1 / {point} {options} - {fstype} /dev/sda1 {super_options}\n"}


def leftovers(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".plainbox")]


@pytest.mark.parametrize(
    ("options", "arguments", "code"),
    [
        ("rw", ["--percent", "0", "--mebibytes", "0"], 0),
        ("rw", ["--percent", "100", "--mebibytes", "1e12"], 1),
        ("rw", ["--percent", "100", "--mebibytes", "0"], 0),
        ("ro", ["--percent", "100", "--mebibytes", "1e12"], 0),
    ],
)
def test_free_space(run_script: RunScript, make_root: MakeRoot, options: str, arguments: list[str], code: int) -> None:
    """Too little space is both less than a share and less than an amount; nothing is too little for read-only."""
    root = make_root(file_system(options))
    run = run_script("machine-disk", "free-space", "root", *arguments, MACHINE_ROOT=root)
    assert run.returncode == code, run.stdout
    assert "MiB available to users" in run.stdout


FSTAB = "# /dev/sda1 / ext4 ro 0 0\nUUID=x / ext4 {} 0 1\n"


@pytest.mark.parametrize(
    ("mount", "files", "wrong"),
    [
        pytest.param(file_system(), {}, "", id="writable"),
        pytest.param(file_system("ro", super_options="ro"), {}, "", id="read-only, and nobody says otherwise"),
        pytest.param(file_system("ro", super_options="rw"), {}, "", id="a read-only view"),
        pytest.param(
            file_system("ro", super_options="ro"), {"etc/fstab": FSTAB.format("ro,noatime")}, "", id="wanted read-only"
        ),
        pytest.param(
            file_system("ro", super_options="ro"),
            {"etc/fstab": FSTAB.format("defaults")},
            "fstab wants it writable",
            id="wanted writable",
        ),
        pytest.param(file_system(super_options="ro"), {}, "became read-only", id="after an error"),
        pytest.param(file_system(super_options="ro", fstype="overlay"), {}, "", id="layers without an upper one"),
        pytest.param(file_system(super_options="rw,emergency_ro"), {}, "stopped writing", id="emergency"),
        pytest.param(file_system(), {"sys/dev/block/8:1/ro": "1"}, "accepts no writes", id="write-protected device"),
        pytest.param(file_system(), {"sys/dev/block/8:1/ro": "0"}, "", id="writable device"),
    ],
)
def test_read_only_surprises(
    run_script: RunScript, make_root: MakeRoot, mount: dict[str, str], files: dict[str, str], wrong: str
) -> None:
    """Read-only against somebody's will fails the check, read-only on purpose does not."""
    run = run_script("machine-disk", "read-only", "root", MACHINE_ROOT=make_root(mount | files))
    assert run.returncode == (1 if wrong else 0), run.stdout
    assert wrong in run.stdout


def test_recorded_errors(run_script: RunScript, make_root: MakeRoot) -> None:
    """Errors that a file system has recorded about itself fail the check."""
    files = file_system() | {"sys/devices/sda1/size": "1", "sys/fs/ext4/sda1/errors_count": "3\n"}
    root = Path(make_root(files))
    (root / "sys/dev/block").mkdir(parents=True)
    (root / "sys/dev/block/8:1").symlink_to("../../devices/sda1")
    run = run_script("machine-disk", "read-only", "root", MACHINE_ROOT=str(root))
    assert run.returncode == 1
    assert "recorded 3 errors" in run.stdout


@pytest.mark.parametrize("point", ["/", "/a\\040b$(c)", "/é"])
def test_write(run_script: RunScript, make_root: MakeRoot, point: str) -> None:
    """A file is written, synced, read and compared in any directory and any locale, and removed."""
    folder = point.replace("\\040", " ").strip("/")
    root = make_root(file_system(point=point) | {f"{folder}/x": ""})
    environment = {"MACHINE_ROOT": root, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    names = run_script("machine-resource", "mount", **environment).stdout.splitlines()
    name = names[0].removeprefix("name: ")
    assert f"write_check: {name}" in names
    run = run_script("machine-disk", "write", name, "--mebibytes", "1", **environment)
    assert run.returncode == 0, run.stdout
    assert "what was read is what was written" in run.stdout
    assert leftovers(f"{root}/{folder}") == []


def test_write_compares(run_script: RunScript, make_root: MakeRoot, altered_script: Alter) -> None:
    """A byte that comes back changed fails the check, which tells its place."""
    verdict = "    if found == data:\n"
    change = "    found = found[:4242] + bytes([found[4242] ^ 1]) + found[4243:]\n"
    script = altered_script("machine-disk", verdict, change + verdict)
    root = make_root(file_system())
    run = run_script(script, "write", "root", "--mebibytes", "1", MACHINE_ROOT=root)
    assert run.returncode == 1
    assert "the first difference at byte 4242" in run.stdout
    assert leftovers(root) == []


def test_write_that_the_system_refuses(run_script: RunScript, make_root: MakeRoot, altered_script: Alter) -> None:
    """An error of the system fails the check under its name, and nothing is left behind."""
    script = altered_script(
        "machine-disk", "            os.fsync(file.fileno())", "            raise OSError(5, 'broken')"
    )
    root = make_root(file_system())
    run = run_script(script, "write", "root", MACHINE_ROOT=root)
    assert run.returncode == 1
    assert "FAILED: broken (EIO)" in run.stdout
    assert leftovers(root) == []


def test_write_is_ended(search_path: str, make_root: MakeRoot, altered_script: Alter) -> None:
    """A check that is ended by a signal to its process group removes its file."""
    script = altered_script("machine-disk", "            os.fsync(file.fileno())", "            time.sleep(600)")
    root = make_root(file_system())
    environment = {"MACHINE_ROOT": root, "PATH": search_path}
    process = subprocess.Popen([script, "write", "root"], env=environment, start_new_session=True)
    deadline = time.monotonic() + 30
    while not leftovers(root) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert leftovers(root)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
    while leftovers(root) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert leftovers(root) == []


def test_disk_that_does_not_answer(script_module: Load) -> None:
    """A file system that gives no answer in time is a finding, and nobody waits for it any longer."""
    script = script_module("machine-disk")
    told, wrong, look_at = script.ask(lambda: time.sleep(600), 0.1)
    assert (told, wrong) == ([], "the file system gives no answer within 0.1 s")
    assert "kernel log" in look_at
    os.waitpid(-1, 0)


def test_disk_that_is_gone(run_script: RunScript, make_root: MakeRoot) -> None:
    """A file system that was unmounted in the meantime fails its check."""
    run = run_script("machine-disk", "free-space", "usb-stick", MACHINE_ROOT=make_root())
    assert run.returncode == 1
    assert "no file system called usb-stick any more" in run.stdout


def test_loopback_here(run_script: RunScript) -> None:
    """Data really goes through the loopback interface, which counts it."""
    run = run_script("machine-network", "loopback")
    assert run.returncode == 0, run.stdout
    assert "127.0.0.1 TCP: 8388608 bytes" in run.stdout
    assert "127.0.0.1 UDP: 100 datagrams" in run.stdout
    assert int(run.stdout.rpartition("counted by the interface: ")[2].split()[0]) > 8388608


@pytest.mark.parametrize(
    ("truth", "lie", "said"),
    [
        ("received.update(piece)", "received.update(piece[::-1])", "what arrived is not what was sent"),
        ("other.sendto(echo, sender)", "other.sendto(echo[:-1], sender)", "a datagram of 1 bytes came back changed"),
        ("            other.sendto(echo, sender)\n", "", "timed out"),
    ],
)
def test_loopback_compares(run_script: RunScript, altered_script: Alter, truth: str, lie: str, said: str) -> None:
    """Data that arrives changed, or does not arrive, fails the check."""
    script = altered_script("machine-network", truth, lie)
    Path(script).write_text(Path(script).read_text().replace("WAIT_S = 5.0", "WAIT_S = 0.2"))
    run = run_script(script, "loopback")
    assert run.returncode == 1
    assert said in run.stdout


def test_loopback_is_down(run_script: RunScript, make_root: MakeRoot) -> None:
    """A loopback interface that is down fails the check."""
    run = run_script("machine-network", "loopback", MACHINE_ROOT=make_root({"sys/class/net/lo/flags": "0x8"}))
    assert run.returncode == 1
    assert "the loopback interface is down" in run.stdout


def interface(**files: str) -> dict[str, str]:
    names = {"flags": "0x1003", "type": "1", "device/vendor": "0x8086", "address": "52:54:00:12:34:56"} | {
        name.replace("__", "/"): text for name, text in files.items()
    }
    return {f"sys/class/net/plain-test0/{name}": text for name, text in names.items()}


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        pytest.param({}, 0, "it has no address; nothing was exchanged", id="no address"),
        pytest.param({"flags": "0x1002"}, 0, "it is not up", id="down"),
        pytest.param({"address": "00:00:00:00:00:00"}, 1, "is no address for an interface", id="no hardware address"),
        pytest.param({"address": "53:54:00:12:34:56"}, 1, "is no address for an interface", id="address of a group"),
        pytest.param(
            {"statistics__rx_errors": "200", "statistics__rx_packets": "9800"}, 1, "200 of 10000 packets", id="errors"
        ),
        pytest.param({"statistics__rx_errors": "99", "statistics__rx_packets": "9"}, 0, "99 errors", id="few errors"),
        pytest.param(
            {"statistics__tx_errors": "200", "statistics__tx_packets": "9800", "phy80211__name": "phy0"},
            0,
            "200 errors",
            id="errors of radio",
        ),
        pytest.param({"speed": "1000", "duplex": "half"}, 0, "note: half duplex", id="half duplex"),
        pytest.param({"speed": "-1"}, 0, "MTU", id="no link"),
    ],
)
def test_interface(run_script: RunScript, make_root: MakeRoot, files: dict[str, str], code: int, said: str) -> None:
    """Only what cannot be right fails the check of an interface; the rest is told."""
    name = "plain-test0"
    run = run_script("machine-network", "interface", name, MACHINE_ROOT=make_root(interface(**files)))
    assert run.returncode == code, run.stdout
    assert said in run.stdout


def test_own_addresses(run_script: RunScript) -> None:
    """Data is exchanged over the address of an interface, here that of the loopback interface."""
    run = run_script("machine-network", "interface", "lo")
    assert run.returncode == 0, run.stdout
    assert "127.0.0.1: 262144 bytes" in run.stdout


@pytest.mark.parametrize(
    ("taint", "files", "code", "said"),
    [
        (0, {}, 0, "taint: 0"),
        (1 | 4096 | 512, {}, 0, "note: bit 9: the kernel gave a warning"),
        (128, {}, 1, "FAILED: the kernel died and went on"),
        (16 | 32, {}, 1, "FAILED: a processor reported a machine check; a page of memory was bad"),
        (16384, {}, 1, "FAILED: a processor was stuck"),
        (16384, {"proc/cpuinfo": "flags : hypervisor\n"}, 0, "note: bit 14"),
        (1 << 40, {}, 0, "note: other bits"),
    ],
)
def test_taint(
    run_script: RunScript, make_root: MakeRoot, taint: int, files: dict[str, str], code: int, said: str
) -> None:
    """Marks that mean a defect of the machine fail the check; the others are explained."""
    run = run_script(
        "machine-kernel", "taint", MACHINE_ROOT=make_root({"proc/sys/kernel/tainted": f"{taint}\n"} | files)
    )
    assert run.returncode == code, run.stdout
    assert said in run.stdout


def kmsg(*messages: str, level: int = 3, age_s: float = 60) -> str:
    stamp = int((time.monotonic() - age_s) * 1e6)
    return "".join(f"{level},{n},{stamp},-;{text}\n SUBSYSTEM=x\n" for n, text in enumerate(messages))


@pytest.mark.parametrize(
    "message",
    [
        "BUG: unable to handle page fault for address: ffff",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        "mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 5: bea0000000000108",
        "{1}[Hardware Error]: event severity: recoverable",
        "EDAC MC0: 1 UE memory read error on CPU_SrcID#0",
        "blk_update_request: I/O error, dev sda, sector 1234 op 0x0:(READ)",
        "Buffer I/O error on dev nvme0n1p2, logical block 0, async page read",
        "ata1.00: failed command: READ FPDMA QUEUED",
        "nvme nvme0: I/O 12 QID 3 timeout, aborting",
        "EXT4-fs error (device sda1): ext4_lookup:1611: inode #2: comm ls: deleted inode",
        "XFS (dm-0): Metadata corruption detected at xfs_agf_verify",
        "BTRFS error (device sda): bdev /dev/sda errs: wr 0, rd 0, flush 0, corrupt 1, gen 0",
        "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer",
        "thermal thermal_zone0: critical temperature reached (105 C), shutting down",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:0:123]",
        "INFO: task jbd2/sda1-8:321 blocked for more than 120 seconds.",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
    ],
)
def test_kernel_log_defects(script_module: Load, message: str) -> None:
    """What the kernel says of a defect is recognised."""
    script = script_module("machine-kernel")
    assert any(re.search(pattern, message) for pattern, _ in [*script.DEFECTS, *script.STALLS])


@pytest.mark.parametrize(
    "message",
    [
        "blk_update_request: I/O error, dev fd0, sector 0",
        "Buffer I/O error on dev sr0, logical block 0",
        "sr 11:0:0:0: [sr0] tag#0 Sense Key : Medium Error [current]",
        "I/O error, dev loop3, sector 0",
        "mce: [Hardware Error]: Machine check events logged",
        "[Hardware Error]: Corrected error, no action required.",
        "mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 5: 9c00000000000108",
        "{1}[Hardware Error]: event severity: corrected",
        "ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND",
        "i8042: No controller found",
        "EXT4-fs (sda1): mounted filesystem r/w with ordered data mode",
        "BTRFS error (device sda): bdev /dev/sda errs: wr 1, rd 0, flush 0",
        "traps: program[12] general protection fault ip:1 sp:2 error:0 in program[400000+1000]",
        "program[12]: segfault at 0 ip 1 sp 2 error 4",
        "mce: CPU0: Core temperature is above threshold, cpu clock is throttled (total events = 1)",
        "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer",
        "usb 1-1: device descriptor read/64, error -71",
        "ata2: SATA link down (SStatus 4 SControl 300)",
        "Memory cgroup out of memory: Killed process 12 (python3)",
        "rcu: Adjusting geometry for rcu_fanout_leaf=16, nr_cpu_ids=2",
        "rcu: \tRCU CPU stall warnings timeout set to 60",
    ],
)
def test_kernel_log_noise(script_module: Load, message: str) -> None:
    """What healthy machines say in their logs is not taken for a defect."""
    script = script_module("machine-kernel")
    assert not any(re.search(pattern, message) for pattern, _ in [*script.DEFECTS, *script.STALLS])


def test_kernel_log(run_script: RunScript, make_root: MakeRoot) -> None:
    """Recent messages of the kernel count; old ones, and what a program wrote into the log, do not."""
    error = "EXT4-fs error (device sda1): bad"
    root = make_root({"dev/kmsg": kmsg(error, age_s=200_000) + kmsg(error, level=3 + 8) + "broken line\n"})
    run = run_script("machine-kernel", "recent-errors", MACHINE_ROOT=root)
    assert run.returncode == 0, run.stdout
    root = make_root({"dev/kmsg": kmsg(error, "ACPI Error: token=abc", error) + kmsg("fine", level=6)})
    run = run_script("machine-kernel", "recent-errors", MACHINE_ROOT=root)
    assert run.returncode == 1
    assert "FAILED: a damaged file system (2)" in run.stdout
    assert "note: ACPI Error: token=***\n" in run.stdout


def test_kernel_log_of_a_virtual_machine(run_script: RunScript, make_root: MakeRoot) -> None:
    """A virtual machine that was paused says that a processor was stuck; that is told and does not count."""
    message = "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!"
    root = make_root({"dev/kmsg": kmsg(message)})
    assert run_script("machine-kernel", "recent-errors", MACHINE_ROOT=root).returncode == 1
    make_root({"proc/cpuinfo": "flags : hypervisor\n"})
    run = run_script("machine-kernel", "recent-errors", MACHINE_ROOT=root)
    assert run.returncode == 0, run.stdout
    assert f"note: {message}" in run.stdout


def test_log_tail(run_script: RunScript, make_root: MakeRoot) -> None:
    """The attachment holds the last messages, printable, without secrets."""
    root = make_root(
        {"dev/kmsg": kmsg("first", "second \x1b[31m", "cmd: luks.password=geheim", "usb 1-1: SerialNumber: 0815")}
    )
    run = run_script("machine-kernel", "log-tail", "--lines", "3", MACHINE_ROOT=root)
    assert run.returncode == 0
    assert "first" not in run.stdout
    assert "second \\x1b[31m" in run.stdout
    assert "luks.password=***" in run.stdout
    assert "geheim" not in run.stdout
    assert "0815" not in run.stdout


def test_secrets_of_the_command_line(run_script: RunScript, make_root: MakeRoot) -> None:
    """The values of passwords, tokens and keys are left out, everything else is as it was."""
    line = (
        'root=/dev/sda1 ro quiet iscsi_password=geheim PASSWD="ge heim" x.token=geheim "api_key=ge heim" '
        "netroot=iscsi:joe:geheim@10.0.0.1::3260 url=https://joe:geheim@host/x systemd.set_credential=a:geheim "
        "--token geheim --auth-required mac=00:11:22:33:44:55"
    )
    run = run_script("machine-kernel", "command-line", MACHINE_ROOT=make_root({"proc/cmdline": line + "\n"}))
    assert run.returncode == 0
    assert "heim" not in run.stdout
    for kept in ("root=/dev/sda1 ro quiet", "@10.0.0.1::3260", "@host/x", "--auth-required", "mac=00:11:22:33:44:55"):
        assert kept in run.stdout


def test_entropy_here(run_script: RunScript) -> None:
    """The machine that runs the tests gives random numbers."""
    run = run_script("machine-kernel", "entropy")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\0" * (1 << 20), "is not random"),
        ("".join(map(chr, range(128))) * 8192, "is not random"),
        ("short", "gave less than was asked for"),
    ],
)
def test_entropy_that_is_none(run_script: RunScript, make_root: MakeRoot, text: str, said: str) -> None:
    """Numbers that are all the same, too regular or too few fail the check."""
    run = run_script("machine-kernel", "entropy", MACHINE_ROOT=make_root({"dev/urandom": text}))
    assert run.returncode == 1
    assert said in run.stdout


@pytest.mark.parametrize(
    ("units", "container", "code", "said"),
    [
        ("", False, 0, "failed units: 0"),
        ("web.service loaded failed failed The web server\n", False, 1, "FAILED: 1 units have failed: web.service"),
        ("web.service loaded failed failed The web server\n", True, 1, "journalctl -b -u web.service"),
        ("sys-kernel-debug.mount loaded failed failed x\n", False, 1, "failed: sys-kernel-debug.mount"),
        ("sys-kernel-debug.mount loaded failed failed x\n", True, 0, "cannot work in a container"),
    ],
)
def test_failed_units(
    search_path: str,
    run_script: RunScript,
    make_root: MakeRoot,
    tmp_path: Path,
    units: str,
    container: bool,
    code: int,
    said: str,
) -> None:
    """A failed unit fails the check and is named, unless it needs a kernel of its own and is in a container."""
    (tmp_path / "units").write_text(units)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\ncase $1 in list-units) cat "{tmp_path}/units" ;; *) echo degraded; exit 1 ;; esac\n'
    )
    systemctl.chmod(0o755)
    root = make_root({"run/systemd/container": "lxc\n"} if container else {})
    run = run_script("machine-services", "failed-units", MACHINE_ROOT=root, PATH=f"{tmp_path}:{search_path}")
    assert run.returncode == code, run.stdout
    assert said in run.stdout
