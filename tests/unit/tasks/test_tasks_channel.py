# SPDX-License-Identifier: Apache-2.0
"""A far end that is hostile, broken or silent: a typed error, bounded, and nothing written where it should not be."""

from __future__ import annotations

import json
import os
import threading

import pytest
from far_rig import Execution, Far

from plainbox.errors import PlaceError, RemoteSetupError, RemoteVersionError, TransportLost
from plainbox.tasks.channel import Limits


@pytest.fixture
def pretend(tmp_path, children):
    """Run a job at a far end that follows a script; afterwards no process and no file is left."""
    (tmp_path / "far").mkdir()
    (tmp_path / "home" / "attached").mkdir(parents=True)
    place = Far(tmp_path / "far")
    execution = Execution(place, attachments_dir=tmp_path / "home" / "attached")
    place.beat_s = 20.0

    def run(script, **arguments):
        place.script = script
        return execution("true", **arguments)

    run.execution = execution
    yield run
    assert not children()
    assert os.listdir(tmp_path / "far") == []
    assert os.listdir(tmp_path / "home") == ["attached"]


DELIVER = "result(ending=ending()); bye()\n"
START = "begin(); hello(); heard(2); ready(); heard(GO)\n"


def test_pretender(pretend):
    """A far end that says all the right things has delivered, whatever its exit status."""
    ending = pretend(START + "frame(7, struct.pack('>QQ', 0, 5) + b'out')\n" + DELIVER + "sys.exit(255)")
    assert ending.return_code == 0
    assert pretend.execution.sink.stdout == b"out"


def test_foreign_talk(pretend):
    """What a login shell or a banner says before the start marker is passed on, and changes nothing."""
    talk = "raw(b'Welcome to \\x1b[31mdut\\n** no news **\\r\\nplainbox-ptx/1 other 3.1.1 have\\nprompt> ')\n"
    assert pretend(talk + START + DELIVER).return_code == 0
    assert pretend.execution.sink.notes == [
        "Welcome to  [31mdut",
        "** no news **",
        "plainbox-ptx/1 other 3.1.1 have",
        "prompt>",
    ]


def test_words_on_standard_error(pretend):
    """What the process says on its standard error is passed on as remarks, and never as escapes for the terminal."""
    assert pretend("os.write(2, b'warning: \\x1b]0;x\\x07\\n')\n" + START + DELIVER).return_code == 0
    assert pretend.execution.sink.notes == ["warning:  ]0;x"]


BEFORE_READY = [
    ("sys.exit(3)", "did not start .it ended with code 3"),
    ("os.write(2, b'first\\nlast words\\n'); sys.exit(127)", "code 127.: last words"),
    ("begin(); sys.exit(75)", "could not begin .it ended with code 75"),
    ("begin(); os.write(2, b'no space\\n'); sys.exit(75)", "could not begin .*: no space"),
    ("raw(b'x' * 10_000_000); wait()", "talks without end"),
    ("begin(); raw(bytes(10_000_000)); wait()", "unknown kind 0"),
    ("begin(); raw(b'motd: hello' * 10); wait()", "unknown kind|a frame of"),
    ("begin(); say(1); wait()", "nothing sensible about protocol"),
    ("begin(); hello(protocol='ptx/9'); wait()", "speaks 'ptx/9'"),
    ("begin(); hello(python=[3, 11]); hello(); wait()", "out of turn"),
    ("begin(); hello(python='3'); wait()", "python of its greeting"),
    ("begin(); hello(python=[1] * 99); wait()", "python of its greeting"),
    ("begin(); hello(python=[True, 1, 1]); wait()", "Python version"),
    ("begin(); hello(host='h' * 5000); wait()", "host of its greeting"),
    ("begin(); hello(host=7); wait()", "host of its greeting"),
    ("begin(); hello(clock=float('nan')); wait()", "clock of its greeting"),
    ("begin(); hello(process=[]); wait()", "process of its greeting"),
    ("begin(); hello(process={'pid': 1 << 70, 'process_group': 1, 'start_ticks': 1}); wait()", "pid of a process"),
    ("begin(); frame(1, b'\\xff'); wait()", "no JSON"),
    ("begin(); frame(1, b'[' * 100000); wait()", "no JSON"),
    ("begin(); frame(1, b'{\"a\":' + b'9' * 10000 + b'}'); wait()", "no JSON|protocol"),
    ("begin(); ready(); wait()", "READY out of turn"),
    ("begin(); hello(); hello(); wait()", "HELLO out of turn"),
    ("begin(); hello(); frame(7, bytes(17)); wait()", "OUT out of turn"),
    ("begin(); hello(); heard(2); bye(); wait()", "BYE out of turn"),
    ("begin(); hello(); heard(2); say(3, digests=['a' * 64]); wait()", "needs|asks for files"),
    ("begin(); hello(); heard(2); say(3); wait()", "the files that it needs"),
    ("begin(); hello(); heard(2); frame(2); wait()", "unknown kind 2"),
    ("begin(); hello(); heard(2); result(ending=ending()); bye()", "has not started"),
    ("begin(); hello(); heard(2); result(failure={}); bye()", "does not say how"),
    ("begin(); hello(); heard(2); result(failure=7, hint=7); bye()", "does not say how"),
]


@pytest.mark.parametrize(("script", "message"), BEFORE_READY, ids=range(len(BEFORE_READY)))
def test_before_it_runs(pretend, script, message):
    """Whatever is wrong before the program is held is an error of the place, and nothing was told to have started."""
    with pytest.raises(PlaceError, match=message) as caught:
        pretend(script)
    assert isinstance(caught.value, (RemoteSetupError, TransportLost))
    assert pretend.execution.started == []


OUTPUT = "frame(7, struct.pack('>QQ', {}, {}) + b'x')\n"
RUNNING = [
    ("sys.exit(0)", "connection ended"),
    ("os.kill(os.getpid(), 9)", "code -9"),
    ("result(ending=ending()); sys.exit(0)", "connection ended"),
    (OUTPUT.format(1, 0), "output number 1, and 0 was next"),
    (OUTPUT.format(0, 9) + OUTPUT.format(0, 9), "output number 0, and 1 was next"),
    (OUTPUT.format(0, 9) + OUTPUT.format(1, 8), "output number 1"),
    ("frame(7, bytes(16))", "without any bytes"),
    ("raw(struct.pack('>IB', 1 << 31, 7)); wait()", "a frame of 2147483648 bytes"),
    ("raw(struct.pack('>IB', 100, 7) + b'half'); sys.exit(0)", "connection ended"),
    ("ready()", "READY out of turn"),
    ("say(3, digests=[])", "NEED out of turn"),
    ("frame(16)", "unknown kind 16"),
    ("frame(13, b'\\0' + b'x' * 1000000); frame(13, b'\\0' + b'x' * 1000000); wait()", "more than 1048576 bytes"),
    ("frame(13, b'\\0{}'); frame(13, b'\\1' + bytes(32))", "has changed"),
    ("document(13, b'garbage'); bye()", "no JSON"),
    ("document(13, b'[]\\n'); bye()", "no object"),
    ("result(); bye()", "ending of its result"),
    ("result(ending=ending(return_code='0')); bye()", "return_code"),
    ("result(ending=ending(return_code=1 << 40)); bye()", "return_code"),
    ("result(ending=ending(return_code=True)); bye()", "return_code"),
    ("result(ending=ending(ended_by='me')); bye()", "ended by 'me'"),
    ("result(ending=ending(duration=-1)); bye()", "duration"),
    ("result(ending=ending(duration=1e999)); bye()", "duration"),
    ("result(ending=ending(left=[{}])); bye()", "pid of a process"),
    ("result(ending=ending(left=[1])); bye()", "a process"),
    ("result(ending=ending(leftovers=['x'] * 1000)); bye()", "leftovers"),
    ("result(ending=ending(leftovers=[1])); bye()", "a file"),
    ("result(ending=ending()); result(ending=ending()); bye()", "RESULT out of turn"),
    ("result(ending=ending()); " + OUTPUT.format(0, 0), "OUT out of turn"),
    ("for n in range(80): frame(11, b'\\0' + bytes(1000000))", "more than 69206016 bytes"),
    ("document(11, b'no header')", "not what it says"),
    ('document(11, b\'{"name": "x", "size": 1}\\nxx\')', "not what it says"),
]


@pytest.mark.parametrize(("script", "message"), RUNNING, ids=range(len(RUNNING)))
def test_while_it_runs(pretend, script, message):
    """Whatever is wrong while the program runs is a lost transport."""
    with pytest.raises(TransportLost, match=message):
        pretend(START + script + "\nwait()" if "wait" not in script and "exit" not in script else START + script)
    assert len(pretend.execution.started) == 1


@pytest.mark.parametrize(
    "name",
    ["../x", "/tmp/x", "a/../../x", "", ".", "..", "a//b", "a/", "./a", "a\0b", "a\nb", "x" * 300, "a/" * 20 + "a", 7],
)
def test_names_of_files(pretend, name):
    """A file whose name leads elsewhere, or is none, is refused."""
    document = json.dumps({"name": name, "size": 1}).encode() + b"\nx"
    with pytest.raises(TransportLost, match="name"):
        pretend(START + f"document(11, {document!r}); wait()")
    assert os.listdir(pretend.execution.attachments_dir) == []


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_files_in_each_others_way(pretend, names):
    """A file is not replaced by another one, nor by a directory."""
    documents = [json.dumps({"name": name, "size": 1}).encode() + b"\nx" for name in names]
    with pytest.raises((TransportLost, FileExistsError)):
        pretend(START + "".join(f"document(11, {document!r})\n" for document in documents) + "wait()")


def test_files_that_nobody_asked_for(pretend):
    """Without a place for files there are none."""
    pretend.execution.attachments_dir, directory = None, pretend.execution.attachments_dir
    with pytest.raises(TransportLost, match="nobody has asked for"):
        pretend(START + 'document(11, b\'{"name": "x", "size": 1}\\nx\'); wait()')
    assert os.listdir(directory) == []


def test_version(pretend):
    """A version below the oldest is told with both."""
    with pytest.raises(RemoteVersionError, match=r"Python 3\.8 or newer is needed, and this is 3\.7\.99"):
        pretend("begin('3.7.99'); sys.exit(78)")


def test_failure_never_ends_this_program(pretend):
    """The far end cannot have this program ended by the exception that it tells of."""
    record = {"type": "SystemExit", "module": "builtins", "message": "0", "args": [0], "notes": [], "frames": []}
    with pytest.raises(Exception, match="SystemExit"):
        pretend(f"begin(); hello(); heard(2); result(failure={record!r}, hint=None); bye()")


def test_flood_of_remarks(pretend):
    """Remarks beyond measure are dropped; the job is none the worse."""
    ending = pretend(START + "for n in range(3000): frame(10, b'note' * 1000)\n" + DELIVER)
    assert ending.return_code == 0
    assert len(pretend.execution.sink.notes) == Limits().notes
    assert max(map(len, pretend.execution.sink.notes)) == Limits().note_length


def test_lines(pretend):
    """Lines of the result file come as they are, up to a size of all."""
    script = "frame(9, b'\\xff{}')\nfor n in range(20): frame(9, b'x' * 1000000)\n"
    assert pretend(START + script + DELIVER).return_code == 0
    first, *others = pretend.execution.lines
    assert first == b"\xff{}"
    assert len(others) == 16


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("wait()", "did not start: nothing has happened for 0.3 s"),
        ("begin(); wait()", "could not begin: nothing has happened"),
        ("begin(); hello(); wait()", "could not begin: nothing has happened"),
        ("begin(); hello()\nfor n in range(200): frame(12); time.sleep(0.02)", "could not begin: nothing has happened"),
        (
            "begin(); raw(bytes([0, 0, 1, 0, 7]))\nfor n in range(200): raw(b'x'); time.sleep(0.02)",
            "nothing has happened",
        ),
    ],
)
def test_silence_at_the_start(pretend, monkeypatch, script, message):
    """A far end that never gets ready is given up, also when it keeps saying that it is there."""
    monkeypatch.setattr(Limits, "__init__", _impatient(setup_s=0.3))
    with pytest.raises(RemoteSetupError, match=message):
        pretend(script)


def test_silence_while_it_runs(pretend):
    """A far end of which nothing is heard for three beats is lost."""
    pretend.execution.place.beat_s = 0.1
    with pytest.raises(TransportLost, match=r"nothing was heard for 0\.3"):
        pretend(START + "wait()")


def test_beats_keep_it(pretend):
    """Beats alone are enough to be there."""
    pretend.execution.place.beat_s = 0.1
    assert pretend(START + "for n in range(40): frame(12); time.sleep(0.02)\n" + DELIVER).return_code == 0


def test_this_side_beats(pretend):
    """This side says that it is there, even while it is busy noting the start."""

    class Busy(list):
        def append(self, process):
            super().append(process)
            heard.wait(30)

    heard = threading.Event()
    pretend.execution.place.beat_s = 0.05
    pretend.execution.started = Busy()
    pretend.execution.sink.note = lambda text: heard.set()
    # The remark comes through once the far end has heard two beats, and both threads wait for it.
    script = "begin(); hello(); heard(2); ready(); heard(12); heard(12); os.write(2, b'x'); heard(GO)\n" + DELIVER
    timer = threading.Timer(0.5, heard.set)
    timer.start()
    assert pretend(script).return_code == 0
    timer.cancel()


@pytest.mark.parametrize("by", ["deadline", "cancel"])
def test_program_that_is_not_ended(pretend, monkeypatch, by):
    """A far end that is to end its program and does not is left, in a bounded time."""
    monkeypatch.setattr(Limits, "__init__", _impatient(overtime_s=0.3))
    pretend.execution.place.beat_s = 0.1
    script = START + "frame(12)\n" + "while True: frame(12); time.sleep(0.02)"
    if by == "cancel":
        pretend.execution.started = _Cancelling(pretend.execution.cancel)
    with pytest.raises(TransportLost, match="was to end the job and has not done it"):
        pretend(script, limit_s=0.5 if by == "deadline" else None)


class _Cancelling(list):
    def __init__(self, cancel):
        self.cancel = cancel

    def append(self, process):
        super().append(process)
        self.cancel.cancel("enough")


def test_cancel_is_told(pretend):
    """Who cancels is heard at the far end, whose ending counts."""
    pretend.execution.started = _Cancelling(pretend.execution.cancel)
    ending = pretend(
        "begin(); hello(); heard(2); ready(); heard(CANCEL)\nresult(ending=ending(ended_by='cancel')); bye()"
    )
    assert ending.ended_by == "cancel"


def _impatient(**values):
    original = Limits.__init__

    def init(self, **arguments):
        original(self, **{**values, **arguments})

    return init
