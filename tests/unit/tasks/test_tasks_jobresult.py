# SPDX-License-Identifier: Apache-2.0
"""What a job says about itself: single lines, and what the lines of one execution come to."""

from __future__ import annotations

import json
import re
import time

import pytest

from plainbox.tasks import jobresult
from plainbox.tasks.jobresult import (
    AttachmentLine,
    Collector,
    Measurement,
    OutcomeLine,
    Progress,
    Subtest,
    is_within,
    parse_line,
)


def line(**content) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "item"),
    [
        ({"t": "subtest", "name": "left", "outcome": "skip"}, Subtest("left", "skip")),
        ({"t": "subtest", "name": " a\nb ", "outcome": "fail", "comment": "x\ny "}, Subtest("a b", "fail", "x\ny")),
        ({"t": "measurement", "name": "m", "value": 3}, Measurement("m", 3)),
        ({"t": "measurement", "name": "m", "value": None}, Measurement("m", None)),
        ({"t": "measurement", "name": "m", "value": [1, {"a": True}]}, Measurement("m", [1, {"a": True}])),
        (
            {"t": "measurement", "name": "m", "value": 3, "unit": "V", "lower": 3, "upper": 4.5},
            Measurement("m", 3, "V", 3, 4.5, "pass"),
        ),
        ({"t": "measurement", "name": "m", "value": "3", "lower": 1}, Measurement("m", "3", None, 1, None, "fail")),
        (
            {"t": "measurement", "name": "m", "value": 9, "upper": 1, "verdict": "pass"},
            Measurement("m", 9, None, None, 1, "pass"),
        ),
        ({"t": "measurement", "name": "m", "value": 2**60}, Measurement("m", 2.0**60)),
        ({"t": "attachment", "path": "logs/a.txt"}, AttachmentLine("a.txt", "logs/a.txt")),
        ({"t": "attachment", "path": "a", "name": "../x"}, AttachmentLine(" x", "a")),
        ({"t": "progress", "current": 1, "total": 4, "text": "two", "group": "g"}, Progress(1, 4, "two", "g")),
        ({"t": "outcome", "outcome": "skip", "comment": "no"}, OutcomeLine("skip", "no")),
        ({"t": "subtest", "name": "n", "outcome": "pass", "more": 1}, Subtest("n", "pass")),
    ],
)
def test_good_lines(content, item):
    """Each kind of line is read as what it says; what is not known of it is left out."""
    found = parse_line(line(**content))
    assert found == item


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x01", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "no JSON object"),
        (b'{"t": "subtest"', "not JSON"),
        (b'{"a":' * 20000 + b"1" + b"}" * 20000, "bytes"),
        (b"[" * 60000, "nested too deeply"),
        (b"{}", "'t' is None"),
        (b'{"t": "nosuch"}', "'t' is 'nosuch'"),
        (b'{"t": ["subtest"]}', "'t' is"),
        (b'{"t": "subtest", "name": "n"}', "'outcome' is missing"),
        (b'{"t": "subtest", "name": "n", "outcome": {}}', "'outcome' is {}"),
        (b'{"t": "subtest", "name": " ", "outcome": "pass"}', "'name' is missing"),
        (b'{"t": "subtest", "name": 3, "outcome": "pass"}', "'name' is no text"),
        (b'{"t": "measurement", "name": "m"}', "'value' is missing"),
        (b'{"t": "measurement", "name": "m", "value": NaN}', "NaN is no number"),
        (b'{"t": "measurement", "name": "m", "value": -Infinity}', "-Infinity is no number"),
        (b'{"t": "measurement", "name": "m", "value": 1e999}', "too large"),
        (b'{"t": "measurement", "name": "m", "value": 1' + b"0" * 4000 + b"}", "too large"),
        (b'{"t": "measurement", "name": "m", "value": ' + b"[" * 20 + b"]" * 20 + b"}", "nested too deeply"),
        (b'{"t": "measurement", "name": "m", "value": "' + b"x" * 5000 + b'"}', "4096 characters"),
        (b'{"t": "measurement", "name": "m", "value": 1, "lower": "1"}', "'lower' is '1'"),
        (b'{"t": "measurement", "name": "m", "value": 1, "upper": true}', "'upper' is True"),
        (b'{"t": "attachment", "name": "a"}', "'path' is missing"),
        (b'{"t": "attachment", "path": "a\\nb"}', "no path"),
        (b'{"t": "progress"}', "'current' is missing"),
        (b"x" * 70000, "more than 65536 bytes"),
    ],
)
def test_bad_lines(data, why):
    """A line that says nothing is an error that says why."""
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_line(data)


def test_texts_can_be_stored():
    """Lone surrogates, NUL and terminal sequences do not get into a result."""
    item = parse_line(line(t="subtest", name="a\ud800\x00\x1b[31m", outcome="pass", comment="b\x00\udc00\nc"))
    assert isinstance(item, Subtest)
    for text in (item.name, item.comment):
        assert text.encode()
        assert not {"\x00", "\x1b"} & set(text)


@pytest.mark.parametrize(
    ("value", "lower", "upper", "good"),
    [(1, 1, 1, True), (1, None, None, True), ("x", None, None, True), (0.9, 1, None, False), (1.1, None, 1, False),
     (True, 0, 2, False), ("1", 0, 2, False), (None, 0, None, False), (1, 2, 0, False)],
)  # fmt: skip
def test_limits(value, lower, upper, good):
    """Limits are included, and only numbers keep them."""
    assert is_within(value, lower, upper) is good


class Told:
    """A collector, and what it has passed on."""

    def __init__(self) -> None:
        self.items = []
        self.notes = []
        self.collector = Collector(self.items.append, self.notes.append)

    def __call__(self, **content) -> None:
        self.collector.take(line(**content))


@pytest.fixture
def told() -> Told:
    return Told()


def test_kept_in_order(told):
    """What is said is passed on at once, and kept; progress is passed on and not kept."""
    told(t="subtest", name="a", outcome="pass")
    told(t="progress", current=1)
    told(t="measurement", name="m", value=1)
    assert [type(item).__name__ for item in told.items] == ["Subtest", "Progress", "Measurement"]
    assert told.collector.items(None) == (told.items[0], told.items[2])
    assert told.collector.judged("pass") == ("pass", [])


def test_progress_is_seldom_and_complete(told):
    """Of a thousand steps in a moment few are passed on, in any case the last."""
    start_s = time.monotonic()
    for number in range(1000):
        told(t="progress", current=number)
    told.collector.items(None)
    took_s = time.monotonic() - start_s
    assert told.items[-1] == Progress(999)
    assert len(told.items) <= 2 + took_s / jobresult.PROGRESS_EVERY_S


def test_waiting_progress_comes_with_a_tick(told, monkeypatch):
    """The last step before a silence is not kept back for longer than the pause."""
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    told(t="progress", current=1)
    told(t="progress", current=2)
    told.collector.tick()
    assert told.items == [Progress(1)]
    now_s[0] += jobresult.PROGRESS_EVERY_S
    told.collector.tick()
    told.collector.tick()
    assert told.items == [Progress(1), Progress(2)]


def test_failures_make_a_failure(told):
    """A subtest or a measurement that fails makes the job fail, and the comment says which."""
    told(t="subtest", name="left", outcome="fail", comment="no sound\nat all")
    told(t="measurement", name="volume", value=3, unit="dB", lower=10, upper=20)
    told(t="measurement", name="noise", value=3, upper=2)
    told(t="subtest", name="right", outcome="crash")
    outcome, comments = told.collector.judged("pass")
    assert outcome == "fail"
    assert comments == ["left: no sound; volume: 3 dB is not within 10 to 20; noise: 3 is not at most 2; and 1 more"]
    assert told.collector.judged("crash")[0] == "crash"


@pytest.mark.parametrize(
    ("process", "said", "outcome"),
    [("pass", "skip", "skip"), ("pass", "fail", "fail"), ("pass", "crash", "crash"), ("fail", "pass", "fail"),
     ("fail", "skip", "fail"), ("fail", "crash", "crash"), ("crash", "pass", "crash"), ("pass", "pass", "pass")],
)  # fmt: skip
def test_the_worse_counts(told, process, said, outcome):
    """What the job says of the whole counts when it is worse than its exit code."""
    told(t="outcome", outcome=said, comment="because")
    assert told.collector.judged(process) == (outcome, ["because"])


def test_the_job_decides_over_its_parts(told):
    """A job that says that it passes does so, whatever it has measured."""
    told(t="measurement", name="m", value=3, upper=2)
    told(t="outcome", outcome="pass")
    assert told.collector.judged("pass") == ("pass", [])


def test_bad_lines_are_told(told):
    """Lines that are no good are told, and told less when there are many."""
    for _ in range(100):
        told.collector.take(b"nonsense")
    assert len(told.notes) == 20
    outcome, comments = told.collector.judged("pass")
    assert outcome == "pass"
    assert comments[0] == "line 1 of its result file is no good: it is not JSON"
    assert len(comments) <= 4


def test_too_much_is_counted(told):
    """Of more than can be kept the rest is dropped, which is told, and still counts as a failure."""
    for number in range(1500):
        told(t="subtest", name=str(number), outcome="pass")
    told(t="subtest", name="last", outcome="fail")
    assert len(told.collector.items(None)) == 1000
    assert len(told.notes) == 1
    outcome, comments = told.collector.judged("pass")
    assert (outcome, comments[0]) == ("fail", "last: failed")
    assert "501 of what it told" in comments[1]


def test_all_of_it_is_bounded(told):
    """Values of the largest size do not add up to a result that cannot be stored."""
    for number in range(1000):
        told(t="measurement", name=str(number), value="x" * 4000)
        told(t="subtest", name=str(number), outcome="pass", comment="y" * 4000)
    assert sum(len(repr(item)) for item in told.collector.items(None)) < 1.1 * jobresult.MOST_CHARACTERS


def test_attachments(told, tmp_path):
    """Files are named as the job names them, each name once; what is not there is told."""
    (tmp_path / "logs").mkdir()
    for name in ("a.txt", "logs/a.txt", "more.bin"):
        (tmp_path / name).write_text(name)
    told(t="attachment", path="./a.txt", media_type="text/plain")
    told(t="attachment", path="/tmp/plainbox-job-1/logs/a.txt")
    told(t="attachment", path="/etc/passwd")
    files = told.collector.items(tmp_path)
    assert [(file.name, file.path, file.size, file.media_type) for file in files] == [
        ("a.txt", "a.txt", 5, "text/plain"),
        ("a-2.txt", "logs/a.txt", 10, None),
        ("more.bin", "more.bin", 8, None),
    ]
    [note] = told.notes
    assert "passwd" in note
