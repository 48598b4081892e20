# SPDX-License-Identifier: Apache-2.0
"""``plainbox doctor`` as its user sees it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from e2e_support import Plainbox

REFUSED = """
from plainbox.session.systemd import ResumeUnit

remove = ResumeUnit.remove


def refuse(unit, files):
    if unit.scope == "system":
        raise PermissionError(1, "Operation not permitted")
    return remove(unit, files)


ResumeUnit.remove = refuse
"""


def test_install_and_remove(plainbox: Plainbox) -> None:
    """The unit of a user is installed, seen as current, and removed; doing it again does no harm."""
    path = plainbox.home / ".config" / "systemd" / "user" / "plainbox-resume@.service"
    for _ in range(2):
        done = plainbox.run("doctor", "--install-resume", "--user")
        assert str(path) in done.stderr
    assert f"RequiresMountsFor={plainbox.sessions}\n" in path.read_text()
    shown = plainbox.run("doctor").stdout
    assert "installed and current" in shown
    assert "loginctl enable-linger" in shown
    plainbox.run("doctor", "--remove-resume", "--user")
    assert not path.exists()
    assert "Nothing is installed" in plainbox.run("doctor", "--remove-resume", "--user").stderr


def test_problem_is_in_the_exit_code(plainbox: Plainbox) -> None:
    """With a problem the exit code is 4, and the JSON document says what it is."""
    (plainbox.home / "file").write_text("")
    done = plainbox.run("doctor", "--json", code=4, PLAINBOX_SESSION_REPO=str(plainbox.home / "file"))
    document = json.loads(done.stdout)
    assert document["schema"] == "plainbox.doctor/1"
    [problem] = [check for check in document["checks"] if check["grade"] == "problem"]
    assert problem["name"] == "repository"
    assert problem["advice"]


def test_refusals(plainbox: Plainbox) -> None:
    """What cannot be installed is an error with the place in it; options that mean nothing together are refused."""
    (plainbox.home / ".config").write_text("")
    done = plainbox.run("doctor", "--install-resume", "--user", code=4)
    assert "plainbox-resume@.service cannot be installed" in done.stderr
    plainbox.run("doctor", "--user", code=2)
    plainbox.run("doctor", "--install-resume", "--remove-resume", code=2)
    odd = plainbox.run("doctor", "--install-resume", "--user", code=2, PLAINBOX_SESSION_REPO="/line\nbreak")
    assert "cannot be named" in odd.stderr


def test_removed_in_both_scopes(plainbox: Plainbox, tmp_path: Path) -> None:
    """What cannot be removed in one scope is an error at the end, and is still removed in the other."""
    plainbox.run("doctor", "--install-resume", "--user")
    path = plainbox.home / ".config" / "systemd" / "user" / "plainbox-resume@.service"
    # No unit is to be removed from the machine of the test: in its place there is one that nobody can remove.
    refused = tmp_path / "refused"
    refused.mkdir()
    (refused / "sitecustomize.py").write_text(REFUSED)
    done = plainbox.run("doctor", "--remove-resume", code=4, PYTHONPATH=f"{refused}:{os.getcwd()}")
    assert "/etc/systemd/system/plainbox-resume@.service cannot be removed" in done.stderr
    assert not path.exists()
