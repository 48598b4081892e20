# SPDX-License-Identifier: Apache-2.0
"""The checks of processors, memory, clocks and temperatures, on this machine and on broken ones."""

from __future__ import annotations

import mmap
import os
import platform
import re
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from machine_scripts import MACHINE, MakeRoot, RunScript

Alter = Callable[[str, str, str], str]
Load = Callable[[str], types.ModuleType]

X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the base line is that of x86-64")
BRIEFLY = ("--seconds", "0.05")
BASE = "fpu cx8 cmov mmx fxsr sse sse2"


def cpuinfo(*features: str) -> dict[str, str]:
    blocks = [f"processor\t: {number}\nflags\t\t: {flags}\n" for number, flags in enumerate(features)]
    online = f"0-{len(features) - 1}\n"
    tree = "sys/devices/system/cpu"
    return {"proc/cpuinfo": "\n".join(blocks), f"{tree}/online": online, f"{tree}/present": online}


def test_features_here(run_script: RunScript) -> None:
    """The processors of the machine that runs the tests have the same instruction sets."""
    run = run_script("machine-cpu", "features")
    assert run.returncode == 0, run.stdout


def test_features_differ(run_script: RunScript, make_root: MakeRoot) -> None:
    """A processor that lacks an instruction set of the others fails the check and is named."""
    root = make_root(cpuinfo(f"{BASE} avx2", BASE, f"{BASE} avx2"))
    run = run_script("machine-cpu", "features", MACHINE_ROOT=root)
    assert run.returncode == 1
    assert "processor 1 lacks: avx2" in run.stdout
    assert "Look at: microcode" in run.stdout


def test_features_that_no_program_uses_may_differ(run_script: RunScript, make_root: MakeRoot) -> None:
    """Power management and the like may differ between the processors of one machine."""
    root = make_root(cpuinfo(f"{BASE} dtherm", f"{BASE} arat"))
    assert run_script("machine-cpu", "features", MACHINE_ROOT=root).returncode == 0


@X86_64
def test_features_of_the_architecture(run_script: RunScript, make_root: MakeRoot) -> None:
    """A processor without what every one of its architecture has fails the check."""
    run = run_script("machine-cpu", "features", MACHINE_ROOT=make_root(cpuinfo("fpu sse")))
    assert run.returncode == 1
    assert "has cmov cx8 fxsr mmx sse2" in run.stdout


def test_offline_processors_are_told(run_script: RunScript, make_root: MakeRoot) -> None:
    """Processors that were switched off, and weaknesses, are told and do not fail the check."""
    files = cpuinfo(BASE, BASE) | {
        "sys/devices/system/cpu/present": "0-3,8\n",
        "sys/devices/system/cpu/smt/control": "off\n",
        "sys/devices/system/cpu/vulnerabilities/meltdown": "Vulnerable\n",
        "sys/devices/system/cpu/vulnerabilities/mds": "Mitigation: done\n",
    }
    run = run_script("machine-cpu", "features", MACHINE_ROOT=make_root(files))
    assert run.returncode == 0
    assert "note: 3 offline; simultaneous threads: off" in run.stdout
    assert "not mitigated: meltdown" in run.stdout
    assert "mds" not in run.stdout


def test_arithmetic_here(run_script: RunScript) -> None:
    """Every usable processor calculates at least one round, however short the time."""
    run = run_script("machine-cpu", "arithmetic", "--seconds", "0")
    assert run.returncode == 0, run.stdout
    count = len(os.sched_getaffinity(0))
    assert f"processors: {count} usable, {count} calculated" in run.stdout
    assert int(re.findall(r"verified: (\d+) rounds", run.stdout)[0]) == count


@pytest.mark.parametrize(
    ("truth", "lie", "name"),
    [
        ("0xCBF43926", "0xCBF43927", "digests"),
        ("not is_prime(1277)", "is_prime(1277)", "big integers"),
        ("sum(numbers) ** 2", "sum(numbers) ** 2 + 1", "integers"),
        ("(2 * last + 1) // 6", "(2 * last + 1) // 6 + 1", "floating point"),
        ("== text", "!= text", "compression"),
    ],
)
def test_arithmetic_is_compared(run_script: RunScript, altered_script: Alter, truth: str, lie: str, name: str) -> None:
    """Each calculation is compared with what it must be; one that is not fails the check under its name."""
    run = run_script(altered_script("machine-cpu", truth, lie), "arithmetic", "--seconds", "0")
    assert run.returncode == 1
    assert f"{name} gave a wrong result after 0 rounds" in run.stdout
    assert "FAILED: a processor does not calculate correctly" in run.stdout


def test_arithmetic_worker_dies(run_script: RunScript, altered_script: Alter) -> None:
    """A worker that dies fails the check, which says how."""
    script = altered_script("machine-cpu", "        rounds, wrong = calculate(until)", "        os.abort()")
    run = run_script(script, "arithmetic", "--seconds", "0")
    assert run.returncode == 1
    assert "the worker was killed by SIGABRT" in run.stdout


def test_arithmetic_ends(run_script: RunScript, altered_script: Alter) -> None:
    """A worker that hangs does not hold up the check; without any result it fails."""
    script = altered_script("machine-cpu", "        rounds, wrong = calculate(until)", "        time.sleep(600)")
    Path(script).write_text(Path(script).read_text().replace("until + seconds + 10", "until + 0.2"))
    run = run_script(script, "arithmetic", "--seconds", "0")
    assert run.returncode == 1
    assert "no processor finished a single round in time" in run.stdout


def test_memory_here(run_script: RunScript) -> None:
    """All patterns are verified over the whole of what was asked for."""
    run = run_script("machine-memory", "pattern", "--mebibytes", "4", "--seconds", "30")
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("4 MiB verified\n") == 8
    assert "verified: 32 MiB" in run.stdout


def test_memory_is_bounded_in_size(run_script: RunScript, make_root: MakeRoot) -> None:
    """At most a quarter of what can be used is filled."""
    root = make_root({"proc/meminfo": f"MemTotal: 1048576 kB\nMemAvailable: {40 * 1024} kB\n"})
    run = run_script("machine-memory", "pattern", MACHINE_ROOT=root)
    assert run.returncode == 0
    assert "40 MiB can be used, 10 MiB are tested" in run.stdout


def test_memory_is_bounded_by_limits_of_the_process(run_script: RunScript, tmp_path: Path) -> None:
    """Where the process may not take what it wants, it takes what it may."""
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -v 160000\nexec "{MACHINE}/bin/machine-memory" "$@"\n')
    limited.chmod(0o755)
    run = run_script(str(limited), "pattern", "--mebibytes", "1024", "--seconds", "0.5")
    assert run.returncode == 0, run.stdout
    assert int(re.findall(r"(\d+) MiB are tested", run.stdout)[0]) < 160


def test_memory_is_bounded_in_time(script_module: Load) -> None:
    """When the time is over before it began, one block is verified, and no more."""
    script = script_module("machine-memory")
    with mmap.mmap(-1, 8 * script.BLOCK_BYTES) as memory:
        assert script.check_pattern(memory, script.PATTERNS["noise"], time.monotonic() - 1) == (1, "")
        assert memory[2 * script.BLOCK_BYTES] == 0


def test_memory_error_is_found(run_script: RunScript, altered_script: Alter) -> None:
    """A single bit that changed fails the check, which tells its place, both values and the bits."""
    loop = "    for block in range(filled):\n"
    script = altered_script("machine-memory", loop, f"    memory[0x12345A] ^= 0x10\n{loop}")
    run = run_script(script, "pattern", "--mebibytes", "4")
    assert run.returncode == 1
    expected = "byte 0x12345a of the tested memory: expected 0x00, found 0x10 (bits 0x10), read again 0x10"
    assert expected in run.stdout
    assert "Look at: the memory modules" in run.stdout


def test_every_byte_has_its_pattern(script_module: Load) -> None:
    """Patterns fill a block exactly, and tell a place of memory from the others in the block and among the blocks."""
    script = script_module("machine-memory")
    for pattern in script.PATTERNS.values():
        assert len(pattern(3)) == script.BLOCK_BYTES
    places = script.PATTERNS["place in the block"](0)
    words = {places[start : start + 8] for start in range(0, len(places), 8)}
    assert len(words) == len(places) // 8
    assert script.PATTERNS["number of the block"](1) != script.PATTERNS["number of the block"](2)


@pytest.mark.parametrize(("uncorrected", "corrected", "code"), [(0, 0, 0), (0, 7, 0), (2, 0, 1)])
def test_memory_controllers(
    run_script: RunScript, make_root: MakeRoot, uncorrected: int, corrected: int, code: int
) -> None:
    """Errors that could not be corrected fail the check; corrected ones are told."""
    folder = "sys/devices/system/edac/mc/mc0"
    root = make_root({f"{folder}/ue_count": f"{uncorrected}\n", f"{folder}/ce_count": f"{corrected}\n"})
    run = run_script("machine-memory", "ecc", MACHINE_ROOT=root)
    assert run.returncode == code
    assert f"mc0: {uncorrected} uncorrected, {corrected} corrected errors" in run.stdout
    assert ("note: corrected errors" in run.stdout) == bool(corrected)


def test_time_here(run_script: RunScript) -> None:
    """The clock of the machine that runs the tests is sound."""
    run = run_script("machine-clock", "time", *BRIEFLY)
    assert run.returncode == 0, run.stdout


def test_time_before_the_system(run_script: RunScript, make_root: MakeRoot) -> None:
    """A clock that is earlier than the installed system is wrong."""
    root = make_root({"etc/os-release": "ID=x\n"})
    future = time.time() + 10 * 86400
    os.utime(f"{root}/etc/os-release", (future, future))
    run = run_script("machine-clock", "time", *BRIEFLY, MACHINE_ROOT=root)
    assert run.returncode == 1
    assert "FAILED: it cannot be" in run.stdout


def test_time_that_goes_back(run_script: RunScript, altered_script: Alter) -> None:
    """A steady clock that goes back is wrong."""
    reading = "                    now = time.monotonic_ns()\n"
    script = altered_script("machine-clock", reading, f"{reading}                    now -= readings * readings\n")
    run = run_script(script, "time", *BRIEFLY)
    assert run.returncode == 1
    assert "FAILED: the clock went back by" in run.stdout


def test_time_that_jumps(run_script: RunScript, altered_script: Alter) -> None:
    """A wall clock that jumps whenever it is looked at is wrong."""
    script = altered_script("machine-clock", "abs(wall - steady)", "abs(wall + 1 - steady)")
    run = run_script(script, "time", *BRIEFLY)
    assert run.returncode == 1
    assert "FAILED: the wall clock jumps" in run.stdout


@pytest.mark.parametrize(
    ("target", "zone", "code", "said"),
    [
        (None, None, 0, "local time is UTC"),
        ("/usr/share/zoneinfo/Europe/Oslo", b"TZif2", 0, "time zone: Europe/Oslo"),
        ("../usr/share/zoneinfo/Europe/Oslo", b"TZif2", 0, "time zone: Europe/Oslo"),
        ("/usr/share/zoneinfo/Europe/Oslo", None, 1, "No such file"),
        ("/usr/share/zoneinfo/Europe/Oslo", b"", 1, "holds no time zone data"),
        ("/usr/share/zoneinfo/Etc/UTC", None, 0, "as it should be"),
    ],
)
def test_time_zone(
    run_script: RunScript, make_root: MakeRoot, target: str | None, zone: bytes | None, code: int, said: str
) -> None:
    """A time zone that leads nowhere is wrong, unless it is UTC, which is what programs then use."""
    root = Path(make_root({"etc/timezone": "Europe/Oslo\n"}))
    if target:
        (root / "etc/localtime").symlink_to(target)
    if zone is not None:
        path = root / "usr/share/zoneinfo/Europe/Oslo"
        path.parent.mkdir(parents=True)
        path.write_bytes(zone)
    run = run_script("machine-clock", "zone", MACHINE_ROOT=str(root))
    assert run.returncode == code, run.stdout
    assert said in run.stdout


@pytest.mark.parametrize(("hours", "said"), [(-30, "30.0 hours off"), (5, "stands still")])
def test_hardware_clock(run_script: RunScript, make_root: MakeRoot, hours: int, said: str) -> None:
    """A hardware clock that is a day off is wrong, one that keeps local time is not, one that stands still is."""
    root = make_root({"sys/class/rtc/rtc0/since_epoch": f"{int(time.time()) + hours * 3600}\n"})
    run = run_script("machine-clock", "rtc", "--wait", "0.1", MACHINE_ROOT=root)
    assert run.returncode == 1
    assert said in run.stdout


def sensor(**files: str) -> dict[str, str]:
    return {"sys/class/hwmon/hwmon3/name": "chip"} | {f"sys/class/hwmon/hwmon3/{k}": v for k, v in files.items()}


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        pytest.param({"temp1_input": "45000", "temp1_crit": "90000"}, 0, "temp1: 45.0 C, critical from 90.0", id="warm"),
        pytest.param({"temp1_input": "91000", "temp1_crit": "90000", "temp1_label": "Core 0"}, 1, "too hot: Core 0",
                     id="hot"),
        pytest.param({"temp1_input": "91000", "temp1_crit": "0"}, 0, "critical from 110.0", id="no believable limit"),
        pytest.param({"temp1_input": "255000"}, 0, "nothing is connected", id="no believable reading"),
        pytest.param({"temp1_input": "1000", "temp2_input": ""}, 0, "temp2: gives no reading", id="no reading"),
    ],
)  # fmt: skip
def test_chip(run_script: RunScript, make_root: MakeRoot, files: dict[str, str], code: int, said: str) -> None:
    """Only a believable temperature above a believable limit is too hot."""
    run = run_script("machine-sensor", "temperature", "chip", "--pause", "0", MACHINE_ROOT=make_root(sensor(**files)))
    assert run.returncode == code, run.stdout
    assert said in run.stdout


@pytest.mark.parametrize(("temperature", "code"), [(84999, 0), (85000, 1)])
def test_zone(run_script: RunScript, make_root: MakeRoot, temperature: int, code: int) -> None:
    """The limit of a zone is its critical trip point."""
    folder = "sys/class/thermal/thermal_zone0"
    root = make_root({
        f"{folder}/type": "soc", f"{folder}/temp": str(temperature),
        f"{folder}/trip_point_0_type": "passive", f"{folder}/trip_point_0_temp": "50000",
        f"{folder}/trip_point_1_type": "critical", f"{folder}/trip_point_1_temp": "85000",
    })  # fmt: skip
    run = run_script("machine-sensor", "temperature", "zone0-soc", "--pause", "0", MACHINE_ROOT=root)
    assert run.returncode == code, run.stdout


def test_sensor_that_is_gone(run_script: RunScript, make_root: MakeRoot) -> None:
    """A sensor that was there and no longer answers fails its check."""
    run = run_script("machine-sensor", "temperature", "chip", MACHINE_ROOT=make_root())
    assert run.returncode == 1
    assert "has stopped answering" in run.stdout
