# SPDX-License-Identifier: Apache-2.0
"""One change, several signals."""

from __future__ import annotations

import logging

import pytest

from plainbox.errors import PlainboxError
from plainbox.session.announcement import Announcement


def failing(error: Exception) -> None:
    raise error


def test_all_steps_are_taken_and_the_first_error_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """An error does not keep the following steps from being taken; later errors are logged."""
    taken: list[int] = []

    def change() -> None:
        with Announcement() as announcement:
            announcement.step(taken.append, 1)
            announcement.step(failing, ValueError("first"))
            announcement.step(failing, PlainboxError("second"))
            announcement.step(taken.append, 2)

    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="first"):
        change()
    assert taken == [1, 2]
    assert "second" in caplog.text
    assert "first" not in caplog.text


def test_an_error_of_the_change_itself_ends_it() -> None:
    """What raises outside of a step is not held back, and not replaced by the error of a step."""

    def change() -> None:
        with Announcement() as announcement:
            announcement.step(failing, ValueError("inside"))
            raise KeyError("outside")

    with pytest.raises(KeyError, match="outside"):
        change()


def test_an_interrupt_is_not_held_back() -> None:
    """Only errors wait for the end: an interrupt ends the change at once."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    taken: list[int] = []

    def change() -> None:
        with Announcement() as announcement:
            announcement.step(interrupt)
            announcement.step(taken.append, 1)

    with pytest.raises(KeyboardInterrupt):
        change()
    assert taken == []
