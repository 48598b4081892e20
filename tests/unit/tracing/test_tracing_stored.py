# SPDX-License-Identifier: Apache-2.0
"""Reading trace files, good and hostile ones."""

from __future__ import annotations

import json
import os

import pytest

from plainbox.tracing import Action, SpanContext
from plainbox.tracing.stored import last_run, last_span, read_spans


def test_what_was_written_is_read(tracer, clock, file):
    """A span comes back with all that was said of it; of one that was announced the end counts."""
    with Action("outer", tags={"a": 1}) as outer:
        tracer.announce(outer)
        outer.links.append(SpanContext("c" * 32, "d" * 16))
        clock.advance(1)
        with pytest.raises(ValueError), Action("inner", parent=outer):
            raise ValueError
    first, second = read_spans(file)
    assert (first.name, first.attributes, first.links) == ("outer", {"a": 1}, (SpanContext("c" * 32, "d" * 16),))
    assert (first.context, first.start_ns, first.end_ns) == (outer.context, outer.start_ns, outer.end_ns)
    assert (second.status, second.parent_id) == ("error", first.span_id)


def test_bad_lines(tracer, file):
    """Lines that are no spans are left out, whatever they are."""
    Action("good").finish()
    good = file.read_bytes()
    record = json.loads(good)
    bad = [
        b"",
        b"torn {",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({**record, "span_id": "../../x"}).encode(),
        json.dumps({**record, "start_ns": -1}).encode(),
        json.dumps({**record, "start_ns": 1e300}).encode(),
        json.dumps({**record, "parent_id": 5}).encode(),
        json.dumps({**record, "links": [5]}).encode(),
        b'{"start_ns": ' + b"9" * 5000 + b"}",
    ]
    file.write_bytes(b"\n".join([*bad, good]))
    assert [span.name for span in read_spans(file)] == ["good"]


def test_other_things_than_files(tmp_path):
    """A link, a FIFO and a directory are not read, and nobody waits for them."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", ".", "none"):
        with pytest.raises(OSError):
            read_spans(tmp_path / name)
        assert last_span(tmp_path / name, "a", "b", "c") is None


def test_last_span(tracer, file):
    """Of several spans with a name and an attribute the last one is found, and one of another value is not."""
    for value in ("mine", "mine", "other"):
        Action("running session", tags={"id": value}).finish()
    Action("else", tags={"id": "mine"}).finish()
    found = last_span(file, "running session", "id", "mine")
    assert found is not None
    assert found == [span for span in read_spans(file) if span.attributes["id"] == "mine"][1]
    assert last_span(file, "running session", "id", "nobody") is None


def test_last_run(tracer, clock, file):
    """The last run is shown with everything below it, parents first, siblings in the order of their start."""
    with Action("first run"):
        clock.advance(1)
    with Action("second run") as root:
        for label in ("a", "b"):
            clock.advance(1)
            with Action(label, parent=root) as action:
                clock.advance(1)
                Action(f"below {label}", parent=action).finish()
    shown = [(depth, span.name) for depth, span in last_run(read_spans(file))]
    assert shown == [(0, "second run"), (1, "a"), (2, "below a"), (1, "b"), (2, "below b")]


def test_lost_run(tracer, clock, file):
    """What has ended below something that never did is below the last span that was announced."""
    root = Action("session")
    tracer.announce(root)
    clock.advance(1)
    job = Action("job", parent=root)
    clock.advance(1)
    Action("checkpoint", parent=job).finish()
    clock.advance(1)
    shown = [(depth, span.name, span.end_ns is None) for depth, span in last_run(read_spans(file))]
    assert shown == [(0, "session", True), (1, "checkpoint", False)]
    # Both runs may have been started by the same program.
    again = Action("next session")
    again.trace_id, again.parent_id = root.trace_id, "f" * 16
    again.finish()
    assert [span.name for _, span in last_run(read_spans(file))] == ["next session"]


def test_loops(file):
    """Spans that are each other's parents are no endless run."""
    ids = ["a" * 16, "b" * 16]
    lines = [
        {"name": "x", "trace_id": "c" * 32, "span_id": ids[n], "parent_id": ids[1 - n], "start_ns": n} for n in range(2)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert last_run(read_spans(file)) == []
    assert last_run([]) == []
