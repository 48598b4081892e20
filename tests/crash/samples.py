# SPDX-License-Identifier: Apache-2.0
"""Makes the stored sessions of tests/data/sessions: ``python tests/crash/samples.py DIRECTORY``.

Only called when a format is added; what is stored stays as it is. See the README.md there.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(place) for place in (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1])]

from invariants import Ledger  # noqa: E402
from steps_tester import Tester, generations, life  # noqa: E402

from plainbox.session.codec import JsonObject, decode_line, encode_line  # noqa: E402
from plainbox.session.files import FileOps  # noqa: E402
from plainbox.session.storage import SessionStorage  # noqa: E402

__all__ = ["main", "rewritten"]


class Abandoned(Tester):
    """Never ends well: its process is gone before it could."""

    def close(self) -> None:
        self.end()

    def reopen(self) -> None:
        pass


def _lived(script: Callable[[Tester], None], make: type[Tester], target: Path) -> None:
    """Store what a script leaves as ``target``."""
    with tempfile.TemporaryDirectory() as base:
        ledger = Ledger()
        tester = make(Path(base), FileOps(), ledger)
        script(tester)
        tester.end()
        assert ledger.name is not None
        shutil.copytree(Path(base, ledger.name), target)
    for directory in [path for path in target.iterdir() if path.is_dir() and not any(path.iterdir())]:
        directory.rmdir()
    (target / "lock").write_bytes(b"")


def rewritten(journal: bytes, change: Callable[[int, JsonObject], JsonObject]) -> bytes:
    """Return a journal whose payloads went through ``change``, with the number of their line, and are sound again."""
    lines, last = [], "0" * 16
    for number, line in enumerate(journal.splitlines(keepends=True)):
        lines.append(encode_line(number, last, change(number, decode_line(line).payload)))
        last = decode_line(lines[-1]).sum
    return b"".join(lines)


def _with_future(number: int, payload: JsonObject) -> JsonObject:
    if number == 0:
        return {**payload, "opt": ["colours"], "palette": {"of": "a later version"}}
    if payload["t"] == "ck":
        return {**payload, "colours": {"last": payload["n"]}}
    return payload


def _with_head(**fields: Any) -> Callable[[int, JsonObject], JsonObject]:
    return lambda number, payload: {**payload, **fields} if number == 0 else payload


def main(directory: Path) -> None:
    """Make all samples in a directory that does not exist yet."""
    directory.mkdir(parents=True)
    complete = directory / "complete-1.session"
    _lived(life, Tester, complete)
    _lived(generations, Abandoned, directory / "generations-1.session")
    journal = next(complete.glob("journal-*.pbj"))
    torn = directory / "torn-1.session"
    shutil.copytree(complete, torn)
    with (torn / journal.name).open("ab") as file:
        file.write(encode_line(10_000, "0" * 16, {"t": "ck", "meta": {"title": "in flight"}})[:60])
    for name, change in {
        "later-features-1": _with_future,
        "needs-feature-1": _with_head(req=["compressed"], by="plainbox 9.9"),
        "version-2": _with_head(schema="plainbox.session/2", by="plainbox 9.9"),
        "other-product": _with_head(schema="otherbox.session/1"),
    }.items():
        target = directory / f"{name}.session"
        shutil.copytree(complete, target)
        (target / "head.json").unlink()
        (target / journal.name).write_bytes(rewritten(journal.read_bytes(), change))
    foreign = directory / "checkbox.session"
    (foreign / "io-logs").mkdir(parents=True)
    document = {"session": {"desired_job_list": [], "jobs": {}, "metadata": {}, "results": {}}, "version": 8}
    (foreign / "session").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
    for name in ("complete-1", "torn-1", "generations-1", "later-features-1"):
        state = json.loads(SessionStorage(directory / f"{name}.session").load_checkpoint())
        text = json.dumps(state, indent=1, sort_keys=True, ensure_ascii=True)
        (directory / f"{name}.expected.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
