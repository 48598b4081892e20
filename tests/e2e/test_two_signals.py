# SPDX-License-Identifier: Apache-2.0
"""Two signals at once, as a shutdown and a person at the keyboard send them: the run ends in order."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from plainbox.session.repository import SessionStorageRepository

ROUNDS = 10


def start(plainbox, provider, tmp_path: Path, number: int):
    begun = tmp_path / f"begun-{number}"
    directory = provider(
        "id: long\nplugin: shell\ncommand: touch $BEGUN; sleep 60\n\nid: next\nplugin: shell\ncommand: true\n\n"
        "unit: test plan\nid: plan\nname: Plan\ninclude:\n long\n next\n"
    )
    process = plainbox.start("run", "--no-input", "--provider", directory, "plan", BEGUN=str(begun))
    deadline = time.monotonic() + 60
    while not begun.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("order", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_both_at_once(plainbox, provider, tmp_path: Path, order: tuple[signal.Signals, signal.Signals]) -> None:
    """Whatever comes first, and however close the other follows, the code is that of a signal and the session goes on."""
    for number in range(ROUNDS):
        process = start(plainbox, provider, tmp_path, number)
        process.send_signal(order[0])
        # At once, and in ever later moments of the shutdown that the first one began.
        time.sleep(number * 0.02)
        process.send_signal(order[1])
        _, stderr = process.communicate(timeout=60)
        assert process.returncode in (130, 143), (number, stderr)
        assert "plainbox resume" in stderr
        assert "Traceback" not in stderr
        storage = SessionStorageRepository(plainbox.sessions).get_storage_list()[0]
        stored = storage.peek_metadata()
        assert "incomplete" in stored["meta"]["flags"]
        assert list(stored["meta"]["running"]) == ["org.example::long"] or stored["outcomes"] == {"crash": 1}
    plainbox.run("resume", "--no-input", code=1)
    assert plainbox.jobs()["org.example::next"]["outcome"] == "pass"


def test_many_interrupts_in_the_shutdown(plainbox, provider, tmp_path: Path) -> None:
    """Whoever holds the keys down while the run ends on SIGTERM gets the same orderly end."""
    process = start(plainbox, provider, tmp_path, 0)
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (130, 143), stderr
    assert "Traceback" not in stderr
    assert "plainbox resume" in stderr
    plainbox.run("resume", "--no-input", code=1)
