# SPDX-License-Identifier: Apache-2.0
"""Output without end: a stream without a line feed, a great many tiny lines, both streams at once.

Jobs print and say themselves, in a file of their own, what they have printed; the tester that runs them must keep every
byte, or exactly as much as its limit says, in memory that does not grow with the output. A log that was cut anywhere must
yield its whole frames.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import attrs
from kills_support import drain, start_child
from manager_rig import job
from scale import Figures, Tally

from plainbox.runner.environment import JobEnvironment
from plainbox.runner.executor import JobExecutor
from plainbox.runner.runner import Runner
from plainbox.runner.stop import StopRequest
from plainbox.session.dirs import WellKnownDirsHelper
from plainbox.session.iolog import IOLogWriter
from plainbox.session.iolog_reader import Frame, read_frames
from plainbox.session.manager import SessionManager
from plainbox.session.repository import SessionStorageRepository
from plainbox.tasks import ExecutionEngine, OutputSink, Result, Surroundings
from plainbox.units import JobDefinition

__all__ = ["DecodingEngine", "HoardingEngine", "cut_everywhere", "print_much", "run"]

_GROWTH_KIB = 32 * 1024
_LINES_PER_MIB = 500
_MIB = 1024 * 1024

#: Prints ``sys.argv[2]`` MiB without a line feed, then ``sys.argv[3]`` tiny lines, and notes what that was.
_PRINTER = """
import hashlib, json, os, random, sys
note, mib, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sums = {1: hashlib.blake2b(), 2: hashlib.blake2b()}
sizes = {1: 0, 2: 0}
def put(fd, data):
    sums[fd].update(data)
    sizes[fd] += len(data)
    while data:
        data = data[os.write(fd, data):]
block = random.Random(mib).randbytes(1 << 20).replace(b"\\n", b"\\xff")
for number in range(mib):
    put(1, block[number:] + block[:number])
    if number % 16 == 0:
        put(2, block[:999])
for number in range(lines):
    put(1, b"%d\\n" % number)
    if number % 3 == 0:
        put(2, b"\\xe2%d\\n" % number)
with open(note, "w") as file:
    json.dump({"out": sums[1].hexdigest(), "err": sums[2].hexdigest(), "sizes": [sizes[1], sizes[2]]}, file)
"""


def run(*, trials: int, seed: int, base: Path) -> Figures:
    """Print ``trials`` MiB without a line feed and 500 times as many lines, then less with a limit, then cut a log."""
    tally = Tally()
    base.mkdir(exist_ok=True)
    grown = print_much(tally, trials, base / "much")
    print_much(tally, min(trials, 64), base / "limited", limit=3 * _MIB)
    cut_everywhere(tally, seed, base / "cut")
    return tally.figures("output", f"{trials} MiB and {trials * _LINES_PER_MIB} lines: the tester grew by {grown} KiB")


class DecodingEngine(ExecutionEngine):
    """A planted bug: output is taken for text on its way to the log."""

    def execute(self, job: JobDefinition, surroundings: Surroundings, *, advice_chain: str = "default") -> Result:
        sink = _DecodingSink(surroundings.output)
        return super().execute(job, attrs.evolve(surroundings, output=sink), advice_chain=advice_chain)


@attrs.frozen
class _DecodingSink:
    _sink: OutputSink

    def write(self, stream: str, data: bytes) -> None:
        self._sink.write(stream, data.decode("utf-8", "replace").encode())  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self._sink.note(text)


class HoardingEngine(ExecutionEngine):
    """A planted bug: output is also kept in memory."""

    def execute(self, job: JobDefinition, surroundings: Surroundings, *, advice_chain: str = "default") -> Result:
        sink = _HoardingSink(surroundings.output)
        return super().execute(job, attrs.evolve(surroundings, output=sink), advice_chain=advice_chain)


@attrs.frozen
class _HoardingSink:
    _sink: OutputSink
    _kept: list[bytes] = attrs.field(factory=list)

    def write(self, stream: str, data: bytes) -> None:
        self._kept.append(bytes(data))
        self._sink.write(stream, data)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self._sink.note(text)


def run_jobs(base: str, mib: int, limit: int, engine: type[ExecutionEngine], pipe: Connection) -> None:
    """Run a job that prints next to nothing, then the one that prints; say where, and by how much this process grew."""
    printer = Path(base, "printer.py")
    printer.write_text(_PRINTER)
    words = f"{sys.executable} {printer} {base}"
    little = job("little", command=f"{words}/little 1 10")
    much = job("much", command=f"{words}/printed {mib} {mib * _LINES_PER_MIB}")
    manager = SessionManager.create_with_unit_list([little, much], SessionStorageRepository(base))
    assert manager.state is not None
    state, stop = manager.state, StopRequest()
    share_dir = WellKnownDirsHelper(manager.storage).share_pathname
    with JobEnvironment([], share_dir) as environment:
        executor = JobExecutor(manager, engine(), environment, stop, max_log_bytes=limit)
        peaks = []
        for wanted in ([little], [little, much]):
            state.update_desired_job_list(wanted)
            Runner(manager, executor, stop).run()
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    result = state.job_state_map[much.id].result
    said = {
        "location": manager.storage.location,
        "grown_kib": peaks[1] - peaks[0],
        "outcome": result.outcome,
        "log": dict(result.get("log")),
    }
    manager.close()
    os.write(pipe.fileno(), json.dumps(said).encode())


def print_much(
    tally: Tally, mib: int, base: Path, *, limit: int = 1 << 40, engine: type[ExecutionEngine] = ExecutionEngine
) -> int:
    """Let a job print so much and compare the log with what it says that it has printed; return the growth in KiB."""
    base.mkdir()
    process, pipe = start_child(run_jobs, str(base), mib, limit, engine)
    said = drain(pipe)
    process.join()
    tally.trials += 1
    trial = f"{mib} MiB, at most {limit} bytes kept"
    if not said:
        tally.violations.append(f"{trial}: the tester has failed")
        return 0
    found = json.loads(said)
    printed = json.loads((base / "printed").read_text())
    tally.expect(found["outcome"] == "pass", f"{trial}: the job ended with {found['outcome']}")
    grown = int(found["grown_kib"])
    tally.expect(grown < _GROWTH_KIB, f"{trial}: the tester grew by {grown} KiB")
    log = Path(found["location"], found["log"]["path"])
    sums = {"stdout": hashlib.blake2b(), "stderr": hashlib.blake2b()}
    sizes = {"stdout": 0, "stderr": 0}
    for frame in read_frames(log):
        if frame.stream != "note":
            sums[frame.stream].update(frame.data)
            sizes[frame.stream] += len(frame.data)
    if sum(printed["sizes"]) <= limit:
        tally.expect(
            [sizes["stdout"], sizes["stderr"]] == printed["sizes"], f"{trial}: {sizes}, not {printed['sizes']}"
        )
        tally.expect(sums["stdout"].hexdigest() == printed["out"], f"{trial}: stdout is not what was printed")
        tally.expect(sums["stderr"].hexdigest() == printed["err"], f"{trial}: stderr is not what was printed")
    else:
        tally.expect(sum(sizes.values()) == limit, f"{trial}: {sum(sizes.values())} bytes were kept")
        tally.expect(found["log"].get("truncated") is True, f"{trial}: the result does not say that its log was cut")
    tally.expect(
        log.stat().st_size < 1.05 * sum(sizes.values()) + 65536 * 20, f"{trial}: a log of {log.stat().st_size}"
    )
    log.unlink()
    return grown


def cut_everywhere(tally: Tally, seed: int, base: Path) -> None:
    """Cut a log after each of its bytes: its whole frames are there, and nothing else."""
    chance = random.Random(seed)
    session = base / "cut.session"
    (session / "io-logs").mkdir(parents=True)
    writer = IOLogWriter(session, "org.example::job", 1, background=False)
    frames: list[tuple[str, bytes]] = []
    for number in range(24):
        stream = ("stdout", "stderr")[number % 2]
        data = chance.randbytes(chance.randrange(1, 120))
        writer.write(stream, data)
        frames.append((stream, data))
    path = session / writer.path
    writer.close()
    whole = path.read_bytes()
    ends = _ends(whole, [Frame(0, stream, data) for stream, data in frames])
    cut = session / "io-logs" / "cut.iolog"
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        expected = [frame for frame, end in zip(frames, ends, strict=True) if end <= size]
        found = [(frame.stream, frame.data) for frame in read_frames(cut)]
        tally.trials += 1
        tally.expect(found == expected, f"a log cut after {size} bytes: {len(found)} frames, not {len(expected)}")


def _ends(whole: bytes, frames: list[Frame]) -> list[int]:
    ends, position = [], 0
    for frame in frames:
        position = whole.index(frame.data + b"\n", position) + len(frame.data) + 1
        ends.append(position)
    return ends
