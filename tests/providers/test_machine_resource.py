# SPDX-License-Identifier: Apache-2.0
"""The records of the machine provider, on machines made of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from machine_scripts import MakeRoot, RunScript

from plainbox.units import pxu


def records(run: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """Return what a session would make of the output."""
    assert run.returncode == 0, run.stdout
    parsed = pxu.parse(run.stdout.splitlines(keepends=True), "output")
    return [{key: str(value) for key, value in record.data.items()} for record in parsed]


def mountinfo(*mounts: tuple[str, str, str, str, str]) -> dict[str, str]:
    """Return the file that tells these mounts: device number, mount point, options, type, options of the device."""
    lines = [
        f"{number} 1 {device} / {point} {options} shared:1 - {fstype} /dev/sd{number} {super_options}\n"
        for number, (device, point, options, fstype, super_options) in enumerate(mounts, start=30)
    ]
    return {"proc/self/mountinfo": "".join(lines)}


def points(run: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    return [(record["mountpoint"], record["writable"]) for record in records(run)]


def test_mounts_of_other_kinds_are_left_out(run_script: RunScript, make_root: MakeRoot) -> None:
    """Only local file systems are records, and whatever holds the root; images and layers of containers are not."""
    wanted = ["0:30 / overlay", "8:2 /home xfs", "0:41 /data btrfs", "0:42 /pool zfs"]
    unwanted = [
        *("0:5 /proc proc", "0:6 /dev devtmpfs", "0:7 /tmp tmpfs", "0:8 /net nfs4", "0:9 /mnt fuse.sshfs"),
        *("7:1 /snap/core squashfs", "7:2 /cd iso9660", "0:55 /var/lib/docker/overlay2/x/merged overlay"),
    ]
    mounts = [tuple(text.split()) for text in unwanted + wanted]
    files = mountinfo(*((device, point, "rw", fstype, "rw") for device, point, fstype in mounts))
    root = make_root(files | {f"{point.strip('/')}/x": "" for _, point, _ in mounts})
    run = run_script("machine-resource", "mount", MACHINE_ROOT=root)
    assert points(run) == [("/", "yes"), ("/data", "yes"), ("/home", "yes"), ("/pool", "yes")]


def test_a_file_system_is_one_record(run_script: RunScript, make_root: MakeRoot) -> None:
    """A file system that is mounted many times is one record, and another one if it is also mounted read-only."""
    mounts = [
        ("8:1", point, options, "ext4", "rw")
        for point, options in [
            ("/srv/bind", "rw"),
            ("/", "rw"),
            ("/home", "rw,relatime"),
            ("/view", "ro"),
            ("/other/view", "ro"),
        ]
    ]
    root = make_root(mountinfo(*mounts) | {f"{m[1][1:]}/x": "" for m in mounts})
    assert points(run_script("machine-resource", "mount", MACHINE_ROOT=root)) == [("/", "yes"), ("/view", "no")]


def test_a_mounted_file_is_no_record(run_script: RunScript, make_root: MakeRoot) -> None:
    """Files that a container has mounted, and mount points that are not to be seen, are left out."""
    root = make_root(
        mountinfo(("8:1", "/etc/hosts", "rw", "ext4", "rw"), ("8:2", "/gone", "rw", "ext4", "rw")) | {"etc/hosts": ""}
    )
    assert records(run_script("machine-resource", "mount", MACHINE_ROOT=root)) == []


def test_hostile_mount_points(run_script: RunScript, make_root: MakeRoot) -> None:
    """Any mount point is one line of its record and has a name of its own that is safe in an id."""
    hostile = [
        r"/a\040b",
        r"/a\012name:\040x",
        r"/a\134b",
        "/A",
        "/a",
        "/a/b",
        "/a-b",
        "/root",
        "/é",
        "/\udcff",
        "/$(x)",
        "/\x1b[31m",
        "/" + "long/" * 40 + "end",
        r"/a\040",
    ]
    mounts = [(f"8:{n}", point, "rw", "ext4", "rw") for n, point in enumerate(["/", *hostile])]
    files = mountinfo(*mounts)
    plain = {r"/a\040b": "a b", r"/a\012name:\040x": "a\nname: x", r"/a\134b": "a\\b", r"/a\040": "a "}
    root = make_root(files | {f"{plain.get(point, point.strip('/'))}/x": "" for point in hostile})
    found = records(run_script("machine-resource", "mount", MACHINE_ROOT=root))
    assert len(found) == len(hostile) + 1
    names = {record["mountpoint"]: record["name"] for record in found}
    assert len(set(names.values())) == len(found)
    assert (names["/"], names["/a"], names["/a/b"]) == ("root", "a", "a-b")
    assert {"/a b", r"/a\012name: x", r"/a\134b", r"/\377", r"/\033[31m", r"/a\040", "/é"} < set(names)
    assert all(len(name) <= 50 and name.isascii() for name in names.values())


def test_names_do_not_depend_on_each_other(run_script: RunScript, make_root: MakeRoot) -> None:
    """A file system has the same name whatever else is mounted, so a resumed session finds its jobs again."""
    first = make_root(
        mountinfo(("8:1", "/a-b", "rw", "ext4", "rw"), ("8:2", "/a/b", "rw", "ext4", "rw")) | {"a-b/x": "", "a/b/x": ""}
    )
    before = {r["mountpoint"]: r["name"] for r in records(run_script("machine-resource", "mount", MACHINE_ROOT=first))}
    make_root(mountinfo(("8:1", "/a-b", "rw", "ext4", "rw")))
    after = records(run_script("machine-resource", "mount", MACHINE_ROOT=first))
    assert [record["name"] for record in after] == [before["/a-b"]]


def test_one_record_by_name(run_script: RunScript, make_root: MakeRoot) -> None:
    """A check gets the record of the name that it was given, and is told when there is none."""
    root = make_root({"sys/class/net/eth0/flags": "0x1003", "sys/class/net/eth1/flags": "0x1002"})
    (record,) = records(run_script("machine-resource", "network_interface", "eth1", MACHINE_ROOT=root))
    assert (record["interface"], record["up"]) == ("eth1", "no")
    assert run_script("machine-resource", "network_interface", "eth2", MACHINE_ROOT=root).returncode == 1


def test_network_interfaces(run_script: RunScript, make_root: MakeRoot) -> None:
    """Interfaces are sorted into loopback, physical, virtual and port; one with a hostile name has a safe one too."""
    net = "sys/class/net"
    root = make_root({
        f"{net}/lo/flags": "0x9", f"{net}/eth0/flags": "0x1003", f"{net}/eth0/device/vendor": "0x1af4",
        f"{net}/veth1/flags": "0x1003", f"{net}/veth1/brport/state": "3", f"{net}/br0/flags": "0x1003",
        f"{net}/$(reboot)/flags": "0x1003", f"{net}/wlP1/flags": "0x1003", f"{net}/wlP1/phy80211/name": "phy0",
        f"{net}/bonding_masters": "bond0\n",
    })  # fmt: skip
    found = {r["interface"]: r for r in records(run_script("machine-resource", "network_interface", MACHINE_ROOT=root))}
    assert {name: record["kind"] for name, record in found.items()} == {
        "lo": "loopback", "eth0": "physical", "veth1": "port", "br0": "virtual", "$(reboot)": "virtual", "wlP1": "virtual"
    }  # fmt: skip
    assert found["eth0"]["name"] == "eth0"
    assert found["$(reboot)"]["name"].startswith("reboot-")
    assert found["wlP1"]["wireless"] == "yes"


@pytest.mark.parametrize(
    ("groups", "limits", "usable_mib"),
    [
        pytest.param("", {}, 100, id="no group"),
        pytest.param("0::/\n", {"memory.max": 40, "memory.current": 10}, 30, id="the group of a container"),
        pytest.param("0::/a/b\n", {"a/memory.max": 64, "a/memory.current": 32}, 32, id="a group above"),
        pytest.param("0::/gone\n", {"memory.max": 40, "memory.current": 39}, 5, id="full of what can be dropped"),
        pytest.param(
            "4:cpu,cpuacct:/\n3:memory:/x\n",
            {"memory/x/memory.limit_in_bytes": 24, "memory/x/memory.usage_in_bytes": 4},
            20,
            id="the first version of groups",
        ),
    ],
)
def test_usable_memory(
    run_script: RunScript, make_root: MakeRoot, groups: str, limits: dict[str, int], usable_mib: int
) -> None:
    """What a process may take is what is available, within the limits of its control group and those above."""
    mebibyte = 1024 * 1024
    files = {"proc/meminfo": f"MemTotal: 204800 kB\nMemAvailable: {100 * 1024} kB\n", "proc/self/cgroup": groups}
    root = make_root(files | {f"sys/fs/cgroup/{name}": f"{value * mebibyte}\n" for name, value in limits.items()})
    (record,) = records(run_script("machine-resource", "memory", MACHINE_ROOT=root))
    assert (record["total_bytes"], record["swap_bytes"]) == (str(200 * mebibyte), "0")
    assert int(record["usable_bytes"]) == usable_mib * mebibyte


def test_what_is_missing_has_no_record(run_script: RunScript, make_root: MakeRoot) -> None:
    """On a machine that has none of it, a kind prints nothing and succeeds."""
    root = make_root()
    for kind in ("bus", "edac", "memory", "mount", "network_interface", "rtc", "thermal_sensor"):
        assert records(run_script("machine-resource", kind, MACHINE_ROOT=root)) == []


@pytest.mark.parametrize(
    ("files", "container", "virtual_machine"),
    [
        ({"proc/cpuinfo": "flags\t\t: fpu hypervisor sse\n"}, "no", "yes"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "no", "yes"),
        ({"sys/class/dmi/id/sys_vendor": "LENOVO\n", "proc/cpuinfo": "flags\t\t: fpu\n"}, "no", "no"),
        ({".dockerenv": ""}, "docker", "no"),
        ({"run/systemd/container": "lxc\n"}, "lxc", "no"),
        ({"proc/1/environ": "A=1\0container=systemd-nspawn\0B=container=x"}, "systemd-nspawn", "no"),
    ],
)
def test_kernel(
    run_script: RunScript, make_root: MakeRoot, files: dict[str, str], container: str, virtual_machine: str
) -> None:
    """Containers and virtual machines are recognised; what the kernel does not tell is empty."""
    (record,) = records(run_script("machine-resource", "kernel", MACHINE_ROOT=make_root(files)))
    assert (record["container"], record["virtual_machine"], record["taint"]) == (container, virtual_machine, "")


@pytest.mark.parametrize(
    ("answer", "state"),
    [("echo running", "running"), ("echo degraded; exit 1", "degraded"), ("echo offline; exit 1", "offline"),
     ("echo no bus >&2; exit 1", "offline")],
)  # fmt: skip
def test_systemd(
    search_path: str, run_script: RunScript, make_root: MakeRoot, tmp_path: Path, answer: str, state: str
) -> None:
    """The state is what systemctl says; one that cannot be asked is offline, for a reason."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\n{answer}\n")
    systemctl.chmod(0o755)
    root = make_root({"run/systemd/system/x": ""})
    (record,) = records(run_script("machine-resource", "systemd", MACHINE_ROOT=root, PATH=f"{tmp_path}:{search_path}"))
    assert record["state"] == state
    assert ("reason" in record) == (state == "offline")


def test_no_systemd(run_script: RunScript, make_root: MakeRoot) -> None:
    """Where systemd does not run its state is offline."""
    (record,) = records(run_script("machine-resource", "systemd", MACHINE_ROOT=make_root()))
    assert record["state"] == "offline"


def test_kernel_log(run_script: RunScript, make_root: MakeRoot) -> None:
    """The log is readable or not, and then there is a reason."""
    (record,) = records(run_script("machine-resource", "kernel_log", MACHINE_ROOT=make_root()))
    assert record == {"readable": "no", "reason": "/dev/kmsg: No such file or directory"}
    root = make_root({"dev/kmsg": "6,1,1,-;hello\n"})
    assert records(run_script("machine-resource", "kernel_log", MACHINE_ROOT=root)) == [{"readable": "yes"}]


def test_thermal_sensors(run_script: RunScript, make_root: MakeRoot) -> None:
    """A chip is one record with all its inputs, a zone is one, and two chips of one kind have different names."""
    files = {
        "sys/class/hwmon/hwmon0/name": "nvme", "sys/class/hwmon/hwmon0/temp1_input": "40000",
        "sys/class/hwmon/hwmon0/temp2_input": "41000", "sys/class/hwmon/hwmon1/name": "nvme",
        "sys/class/hwmon/hwmon1/temp1_input": "40000", "sys/class/hwmon/hwmon2/name": "fan only",
        "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp", "sys/class/thermal/thermal_zone0/temp": "45000",
        "sys/class/thermal/thermal_zone1/type": "asleep",
    }  # fmt: skip
    found = records(run_script("machine-resource", "thermal_sensor", MACHINE_ROOT=make_root(files)))
    assert [record["name"] for record in found] == ["nvme", "nvme-2", "zone0-x86_pkg_temp"]


def test_buses_clocks_and_controllers(run_script: RunScript, make_root: MakeRoot) -> None:
    """A bus without devices, a clock that cannot be read and a controller that counts nothing are no records."""
    root = make_root({
        "sys/bus/pci/devices/0000:00:00.0": "", "sys/bus/usb/drivers/hub": "",
        "sys/class/rtc/rtc0/since_epoch": "1", "sys/class/rtc/rtc1/name": "dead",
        "sys/devices/system/edac/mc/mc0/ue_count": "0", "sys/devices/system/edac/mc/mc1/mc_name": "x",
    })  # fmt: skip
    for kind, name in [("bus", "pci"), ("rtc", "rtc0"), ("edac", "mc0")]:
        found = records(run_script("machine-resource", kind, MACHINE_ROOT=root))
        assert [record["name"] for record in found] == [name]


def test_executables(run_script: RunScript, tmp_path: Path) -> None:
    """Programs on the search path are records, whatever blanks are in their paths; others are not."""
    folder = tmp_path / "a b"
    folder.mkdir()
    for name, mode in [("lspci", 0o755), ("lsusb", 0o644)]:
        (folder / name).write_text("")
        (folder / name).chmod(mode)
    python = tmp_path / "python"
    python.mkdir()

    (python / "python3").symlink_to(sys.executable)
    run = run_script("machine-resource", "executable", PATH=f"{folder}:{python}")
    assert records(run) == [{"name": "lspci", "path": f"{folder}/lspci"}]


def test_a_locale_that_cannot_print_it(run_script: RunScript, make_root: MakeRoot) -> None:
    """Records are UTF-8 in any locale."""
    root = make_root(mountinfo(("8:1", "/é☃", "rw", "ext4", "rw")) | {"é☃/x": ""})
    run = run_script(
        "machine-resource", "mount", MACHINE_ROOT=root, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"
    )
    assert records(run)[0]["mountpoint"] == "/é☃"
