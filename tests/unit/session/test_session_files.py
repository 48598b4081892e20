# SPDX-License-Identifier: Apache-2.0
"""The seam to the system: signals that wait, and files that are what they should be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from plainbox.errors import CorruptedSessionError
from plainbox.session import files
from plainbox.session.files import deferred_signals, open_regular
from plainbox.session.generation import generation_name, read_generation, read_head
from plainbox.session.hint import HINT_NAME, read_hint

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """What the handler of a signal raises."""


@pytest.fixture
def handlers() -> Iterator[list[int]]:
    """Handlers that raise for the three signals; the list has the numbers that reached them."""
    called: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        called.append(number)
        raise Interrupted(number)

    former = {number: signal.signal(number, handle) for number in NUMBERS}
    try:
        yield called
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def are_in_place() -> bool:
    """Whether the handlers of the fixture are in effect again, and a further block would defer."""
    names = {getattr(signal.getsignal(number), "__qualname__", "") for number in NUMBERS}
    return names == {"handlers.<locals>.handle"} and not files._deferring


def test_signals_wait_for_the_end_of_the_block(handlers: list[int]) -> None:
    """Inside of the block nothing is raised, also in a block within the block; afterwards it is."""
    heard: list[list[int]] = []

    def work() -> None:
        with deferred_signals():
            with deferred_signals():
                signal.raise_signal(signal.SIGTERM)
            heard.append(handlers.copy())

    with pytest.raises(Interrupted):
        work()
    assert heard == [[]]
    assert handlers == [signal.SIGTERM]
    assert are_in_place()


def test_every_signal_that_has_arrived_is_handled(handlers: list[int]) -> None:
    """What the handler of the first one raises does not keep the others from being called."""

    def work() -> None:
        with deferred_signals():
            for number in NUMBERS:
                signal.raise_signal(number)

    with pytest.raises(Interrupted):
        work()
    assert handlers == list(NUMBERS)
    assert are_in_place()


@pytest.mark.parametrize("fired", NUMBERS)
@pytest.mark.parametrize("place", range(1, 4))
def test_a_signal_while_handlers_are_put_back(
    handlers: list[int], monkeypatch: pytest.MonkeyPatch, fired: signal.Signals, place: int
) -> None:
    """Whichever handler raises at whichever step, all are in place afterwards and later blocks defer again."""
    set_handler = files._set_handler
    steps = 0

    def set_and_fire(number: int, handler: object) -> object:
        nonlocal steps
        result = set_handler(number, handler)
        steps += 1
        if steps == 3 + place:
            signal.raise_signal(fired)
        return result

    monkeypatch.setattr(files, "_set_handler", set_and_fire)
    with pytest.raises(Interrupted), deferred_signals():
        pass
    assert handlers == [fired]
    assert are_in_place()


@pytest.mark.timeout(20)
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A FIFO in the place of a journal or of its hint is refused at once, and a listing does without its head."""
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in (generation_name(1), HINT_NAME, "x"):
            os.mkfifo(tmp_path / name)
        with pytest.raises(CorruptedSessionError, match="not a regular file"):
            read_generation(directory, 1)
        with pytest.raises(CorruptedSessionError, match="not a regular file"):
            read_hint(directory)
        assert read_head(directory) is None
    finally:
        os.close(directory)
    with pytest.raises(CorruptedSessionError, match="not a regular file"):
        open_regular(tmp_path / "x")
    (tmp_path / "link").symlink_to("x")
    with pytest.raises(CorruptedSessionError, match="not a regular file"):
        open_regular(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")
