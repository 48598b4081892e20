# SPDX-License-Identifier: Apache-2.0
"""What another machine may do to the session share here, and what it may not."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from plainbox.errors import TransportLost
from plainbox.tasks.connection import Attendance
from plainbox.tasks.share import LARGEST_FILE, SharedFiles
from plainbox.tasks.sharing import Sharing


class Pretender:
    """A connection whose far end says anything."""

    def __init__(self, header, body=b""):
        self.remote = SimpleNamespace(name="bench")
        self.opened = 1
        self._answer = header, body

    def ask(self, attendance, request, body=b""):
        return self._answer


def fetch(share, header, body=b""):
    notes = []
    Sharing(Pretender(header, body), str(share)).fetch(Attendance(), notes.append)
    return notes


@pytest.fixture
def share(tmp_path):
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "a//b", "x" * 300, "a/" * 40 + "b", 7, None]
)
def test_a_name_without_a_place(share, tmp_path, name):
    """A name that leads out of the share, or nowhere, ends the conversation and writes nothing."""
    for header in ({"files": [[name, 1, False]]}, {"removed": [name]}, {"left_out": [name]}):
        with pytest.raises(TransportLost):
            fetch(share, {"files": [], "removed": [], "left_out": [], **header}, b"x")
    assert os.listdir(tmp_path) == ["share"]
    assert os.listdir(share) == []


@pytest.mark.parametrize("size", [-1, 2, LARGEST_FILE + 1, 10**12, "1", None])
def test_a_size_that_cannot_be(share, size):
    """A size beyond what has come is believed by nobody."""
    with pytest.raises(TransportLost):
        fetch(share, {"files": [["a", size, False]], "removed": [], "left_out": []}, b"x")
    assert os.listdir(share) == []


def test_links_are_not_followed(share, tmp_path):
    """A link in the share leads nothing out of it, whether a directory or a file is put in its place."""
    (tmp_path / "outside").mkdir()
    (share / "dir").symlink_to(tmp_path / "outside")
    (share / "file").symlink_to(tmp_path / "outside" / "file")
    with pytest.raises(OSError, match="dir"):
        fetch(share, {"files": [["dir/x", 1, False]], "removed": [], "left_out": []}, b"x")
    fetch(share, {"files": [["file", 1, True]], "removed": [], "left_out": []}, b"x")
    assert os.listdir(tmp_path / "outside") == []
    assert not (share / "file").is_symlink()
    assert (share / "file").stat().st_mode & 0o777 == 0o700
    assert set(SharedFiles(str(share)).look()) == {"file"}


def test_what_is_not_known_is_not_removed(share):
    """Only what both sides had is removed here when it is gone there."""
    (share / "mine").write_text("")
    fetch(share, {"files": [], "removed": ["mine"], "left_out": ["big"]})
    assert os.listdir(share) == ["mine"]


def test_what_is_being_written_is_no_file_of_the_share(share):
    """The name that a file has until it is whole is passed by."""
    (share / ".new-0123456789abcdef").write_text("half")
    (share / ".new-things").write_text("whole")
    assert set(SharedFiles(str(share)).look()) == {".new-things"}


def test_jobs_at_the_same_time(share, tmp_path):
    """What several jobs write there at the same time all comes here, and nothing older goes back."""
    (tmp_path / "far").mkdir()
    far = SharedFiles(str(tmp_path / "far"))
    connection = _Twin(far)
    sharing = Sharing(connection, str(share))

    def work(name):
        for number in range(20):
            sharing.send(Attendance(), lambda text: None)
            with (tmp_path / "far" / name).open("a") as file:
                file.write(f"{number}\n")
            sharing.fetch(Attendance(), lambda text: None)

    threads = [threading.Thread(target=work, args=(f"file-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        for place in ("far", "share"):
            assert (tmp_path / place / f"file-{number}").read_text().split() == [str(line) for line in range(20)]


class _Twin:
    """A connection to another directory, one question at a time, that knows what it has told."""

    def __init__(self, files):
        self.remote = SimpleNamespace(name="bench")
        self.opened = 1
        self._files = files
        self._told = {}
        self._lock = threading.Lock()

    def ask(self, attendance, request, body=b""):
        with self._lock:
            if request["do"] == "put":
                start = 0
                for name, size, executable in request["files"]:
                    self._told[name] = self._files.write(name, body[start : start + size], executable=executable)
                    start += size
                return {}, b""
            now = self._files.look()
            changed = [name for name, seen in now.items() if self._told.get(name) != seen]
            read = {name: self._files.read(name) for name in changed}
            self._told.update({name: seen for name, (_, seen) in read.items()})
            files = [[name, len(data), seen.executable] for name, (data, seen) in read.items()]
            return {"files": files, "removed": [], "left_out": []}, b"".join(data for data, _ in read.values())
