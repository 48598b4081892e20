# SPDX-License-Identifier: Apache-2.0
"""What a remote may be, the words that ssh is started with, and what its own words mean."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from plainbox.errors import ChainError, SshAuthError, SshConnectError, SshHostKeyError
from plainbox.tasks.interpreter import Interpreter
from plainbox.tasks.remote import Remote
from plainbox.tasks.ssh import client_words, error_of, master_words, remote_text
from plainbox.units.origin import Origin


def remote(**given):
    return Remote(**{"host": "dut", "interpreter": "python3", **given})


def section(**values):
    return Remote.from_section("bench", values, Origin("/etc/xdg/plainbox.conf", 7))


def test_defaults():
    """A remote needs a host and an interpreter, and has the usual values else."""
    found = Remote(host="dut", interpreter=Interpreter(executable="/usr/bin/python3"))
    assert (found.port, str(found.directory), found.key_file, found.mode) == (22, "/var/tmp", None, "python")
    assert found.user
    for given in ({"interpreter": "python3"}, {"host": "dut"}):
        with pytest.raises(ValueError, match="a remote needs"):
            Remote(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"host": "-oProxyCommand=touch canary"},
        {"host": "a b"},
        {"host": "a;b"},
        {"host": ""},
        {"user": "-x"},
        {"user": "a@b"},
        {"port": 0},
        {"port": 65536},
        {"directory": "relative"},
        {"directory": "/a/../b"},
        {"interpreter": "-c"},
        {"mode": "telnet"},
        {"key_file": "/a/%h"},
    ],
)
def test_refused(given):
    """What could be an option, a word of a shell, or nothing at all is refused."""
    with pytest.raises(ChainError):
        remote(**given)


def test_section():
    """A section has texts; names of files are relative to the file that they are in."""
    found = section(host="dut-3.lab", user="tester", port="2222", known_hosts="keys/bench", reboot_timeout="5m")
    assert (found.name, found.host, found.user, found.port) == ("bench", "dut-3.lab", "tester", 2222)
    assert str(found.known_hosts) == "/etc/xdg/keys/bench"
    assert found.reboot_timeout_s == 300
    assert section(host="x", host_keys="accept-new").accept_new


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"host": "x", "StrictHostKeyChecking": "no"}, "whoever answers would be believed"),
        ({"host": "x", "host_keys": "off"}, "whoever answers would be believed"),
        ({"host": "x", "colour": "red"}, "unknown setting 'colour'"),
        ({"host": "x", "port": "ssh"}, "no port"),
        ({"user": "x"}, "needs a host"),
        ({"host": "x", "reboot_timeout": "soon"}, "no duration"),
    ],
)
def test_section_refused(values, words):
    """What is wrong with a section is told with its name and its place."""
    with pytest.raises(ChainError, match=words) as caught:
        section(**values)
    assert "[remote:bench]" in caught.value.message
    assert str(caught.value.origin) == "/etc/xdg/plainbox.conf:7"


def test_url():
    """A URL says user, host, port and directory; anything else in it is refused."""
    found = Remote.from_url("ssh://tester@DUT.lab:2222/srv/a%20b")
    assert (found.user, found.host, found.port, str(found.directory)) == ("tester", "DUT.lab", 2222, "/srv/a b")
    assert Remote.from_url("ssh://[::1]:22").host == "::1"
    assert Remote.from_url("ssh://dut").given_user is None
    for url in ("http://dut", "ssh://", "ssh://a:b@dut", "ssh://dut?x=1", "ssh://dut:99999", "ssh://-oX"):
        with pytest.raises(ChainError):
            Remote.from_url(url)


def test_key_file(tmp_path):
    """A key file has to be a private file of the user, when a connection is made."""
    key = tmp_path / "key"
    found = remote(key_file=key)
    with pytest.raises(ChainError, match="cannot be read"):
        found.check_files()
    key.write_text("secret")
    key.chmod(0o644)
    with pytest.raises(ChainError, match="others can use"):
        found.check_files()
    key.chmod(0o600)
    found.check_files()


def test_words():
    """Fixed options stand first, the destination behind ``--``, and what runs there is one text."""
    found = remote(user="tester", port=2222, known_hosts="/tmp/a b", ssh_config="none")
    for words in (master_words(found, "/s", ("true",)), client_words(found, "/s", ("true",))):
        assert words[-3:] == ["--", "tester@dut", "exec true"]
        for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ForwardAgent=no", "PermitLocalCommand=no"):
            assert f"-o{option}" in words
        assert '-oUserKnownHostsFile="/tmp/a b"' in words
    shown = subprocess.run(
        [*master_words(found, "none", ("true",))[:-3], "-G", "--", "dut"], capture_output=True, text=True, check=True
    )
    assert "stricthostkeychecking true" in shown.stdout
    assert "batchmode yes" in shown.stdout
    assert "userknownhostsfile /tmp/a b" in shown.stdout


def test_literal_words():
    """A shell makes of the text exactly the words that it was made of."""
    words = ["printf", "%s|", "a b", "'\"", ";touch canary", "$(touch canary)", "a\nb", "-x", "", "*"]
    done = subprocess.run(["sh", "-c", remote_text(words)], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}|" for word in words[2:])
    assert shlex.split(remote_text(words))[1:] == words


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("No ED25519 host key is known for dut\nHost key verification failed.", SshHostKeyError),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", SshHostKeyError),
        ("tester@dut: Permission denied (publickey).", SshAuthError),
        ("ssh: connect to host dut port 22: Connection timed out", SshConnectError),
        ("ssh: Could not resolve hostname dut: Name or service not known", SshConnectError),
        ("", SshConnectError),
    ],
)
def test_meaning(words, error):
    """The last words of ssh say which of the three it was; each names the machine and a way out."""
    found = error_of(remote(name="bench"), words, 255)
    assert type(found) is error
    assert "bench" in found.message
    assert found.hint
