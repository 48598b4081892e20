# SPDX-License-Identifier: Apache-2.0
"""What a service manager hears of a session, and what a session hears of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from plainbox.runner.watchdog import Watchdog, take_watchdog_mark


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"plainbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}" if request.param == "abstract" else str(tmp_path / "notify"))
        channel.setblocking(False)
        yield channel, f"@{name}" if request.param == "abstract" else str(tmp_path / "notify")


def test_messages(listener: tuple[socket.socket, str]) -> None:
    """READY and the first tick are sent at once, further ticks only after a part of the limit."""
    channel, address = listener
    watchdog = Watchdog.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"})
    watchdog.ready()
    for _ in range(1000):
        watchdog.tick()
    assert [channel.recv(100), channel.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
    with pytest.raises(BlockingIOError):
        channel.recv(100)


def test_environment_is_not_for_jobs() -> None:
    """What systemd says to its service is taken out of the environment."""
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "/bin"}
    Watchdog.from_environment(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)
def test_nobody_waits_for_ticks(listener: tuple[socket.socket, str], environment: dict[str, str]) -> None:
    """Without a limit for this very process no tick is sent."""
    channel, address = listener
    Watchdog.from_environment({"NOTIFY_SOCKET": address, **environment}).tick()
    with pytest.raises(BlockingIOError):
        channel.recv(100)


@pytest.mark.parametrize("address", [None, "", "/nonexistent/socket", "@", "x" * 500])
def test_nobody_listens(address: str | None) -> None:
    """A socket that is not there, or is none, fails nothing."""
    environment = {"WATCHDOG_USEC": "1000"} | ({"NOTIFY_SOCKET": address} if address is not None else {})
    watchdog = Watchdog.from_environment(environment)
    watchdog.ready()
    watchdog.tick()


def test_mark(tmp_path: Path) -> None:
    """The mark is taken once; a directory in its place is none."""
    assert not take_watchdog_mark(str(tmp_path))
    (tmp_path / "watchdog-mark").touch()
    assert take_watchdog_mark(str(tmp_path))
    assert not take_watchdog_mark(str(tmp_path))
    (tmp_path / "watchdog-mark").mkdir()
    assert not take_watchdog_mark(str(tmp_path))
