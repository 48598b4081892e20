# SPDX-License-Identifier: Apache-2.0
"""``plainbox cache``.

Look at the kept results of jobs that say "cache: yes", check them, and clear them away. What is removed is computed anew
when it is needed; a result that a run is about to keep stays.
"""

from __future__ import annotations

import argparse
import fnmatch
import math
import time
from collections.abc import Iterable

from plainbox.cli.arguments import add_json
from plainbox.cli.output import clean, print_json, print_table, say, write
from plainbox.cli.sessions.facts import shown_size, shown_time
from plainbox.errors import FieldError, UsageError
from plainbox.tasks.cache import CacheItem, CacheStore, Entry
from plainbox.tasks.cache.user import user_store

EXIT_REPAIRED = 1
_SHORT = 16
_DAY_S = 86_400
_LARGEST_SIZE = 2**62


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, action in _ACTIONS.items():
        summary = (action.__doc__ or "").rstrip(".")
        added = actions.add_parser(name, help=summary[:1].lower() + summary[1:], description=action.__doc__)
        added.set_defaults(carry_out=action)
        if name == "info":
            added.add_argument("key", metavar="KEY", help="key of the result, or the beginning of it")
        if name == "evict":
            _configure_evict(added)
        add_json(added)


def _configure_evict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        type=_age,
        help="those that were not used for so long: 30d, 12h, 90 (seconds)",
    )
    parser.add_argument("--job", metavar="PATTERN", help="those of the jobs or functions that this pattern matches")
    parser.add_argument(
        "--max-size", metavar="SIZE", type=_size, help="those unused for the longest time, until SIZE is left: 100 MiB"
    )


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.carry_out(arguments, user_store())
    return code


def _list(arguments: argparse.Namespace, store: CacheStore) -> int:
    """List the kept results, those that were used last first."""
    entries = store.entries()
    if arguments.json:
        print_json(
            "plainbox.cache-list/1",
            directory=str(store.directory),
            size_bytes=sum(entry.size_bytes for entry in entries),
            max_size_bytes=store.max_size_bytes,
            items=[_row(entry, entry.about()) for entry in entries],
        )
        return 0
    if not entries:
        say("There are no kept results.")
        return 0
    print_table(
        (
            (
                entry.key[:_SHORT],
                shown_size(entry.size_bytes),
                shown_time(item.created if item is not None else None),
                shown_time(entry.used),
                _name(item) or "(unreadable)",
            )
            for entry in entries
            for item in [entry.about()]
        ),
        ("key", "size", "kept", "used", "of"),
    )
    say(f"{_results(len(entries))}, {shown_size(sum(entry.size_bytes for entry in entries))} of {_limit(store)}")
    return 0


def _info(arguments: argparse.Namespace, store: CacheStore) -> int:
    """Show of what a kept result is, and what its key is made of."""
    found = [entry for entry in store.entries() if entry.key.startswith(arguments.key)]
    if len(found) != 1:
        what = f"{arguments.key!r} means several kept results" if found else f"no kept result {arguments.key!r}"
        raise UsageError(what, hint="plainbox cache list shows those there are")
    entry, item = found[0], found[0].about()
    if arguments.json:
        print_json("plainbox.cache-info/1", **_row(entry, item), path=entry.path, parts=_parts(item))
        return 0
    write(f"key          {entry.key}")
    write(clean(f"of           {_name(item) or '(unreadable)'}"))
    write(f"kept         {shown_time(item.created if item is not None else None)}")
    write(f"used         {shown_time(entry.used)}")
    write(f"size         {shown_size(entry.size_bytes)}")
    write(clean(f"file         {entry.path}"))
    for name, text in sorted(_parts(item).items()):
        write(clean(f"{name:<12} {text}"))
    return 0


def _verify(arguments: argparse.Namespace, store: CacheStore) -> int:
    """Read every kept result, and remove those that are damaged and what killed processes have left behind."""
    found = store.verify()
    if arguments.json:
        removed = [{"key": key, "reason": reason} for key, reason in found.removed]
        print_json(
            "plainbox.cache-verification/1",
            good=found.good,
            size_bytes=found.size_bytes,
            removed=removed,
            leftovers=found.leftovers,
        )
    else:
        for key, reason in found.removed:
            write(clean(f"{key[:_SHORT]} removed: {reason}"))
        write(f"{_results(found.good)} good, {shown_size(found.size_bytes)}")
        if found.leftovers:
            say(f"{found.leftovers} unfinished {'file' if found.leftovers == 1 else 'files'} removed")
    return EXIT_REPAIRED if found.removed else 0


def _evict(arguments: argparse.Namespace, store: CacheStore) -> int:
    """Remove some of the kept results."""
    age_s, pattern, size = arguments.older_than, arguments.job, arguments.max_size
    if age_s is None and pattern is None and size is None:
        raise UsageError(
            "nothing says which results are to go",
            hint="give --older-than, --job or --max-size; plainbox cache clear removes all",
        )

    def is_meant(entry: Entry) -> bool:
        if age_s is None and pattern is None:
            return False
        old_enough = age_s is None or entry.used < time.time() - age_s
        return old_enough and (pattern is None or fnmatch.fnmatchcase(_name(entry.about()), pattern))

    return _tell_gone(arguments, store, store.evict(which=is_meant, max_size_bytes=size))


def _clear(arguments: argparse.Namespace, store: CacheStore) -> int:
    """Remove all kept results."""
    store.sweep()
    return _tell_gone(arguments, store, store.evict(which=lambda entry: True))


def _tell_gone(arguments: argparse.Namespace, store: CacheStore, gone: Iterable[Entry]) -> int:
    gone = list(gone)
    freed, left = sum(entry.size_bytes for entry in gone), store.entries()
    if arguments.json:
        keys = [entry.key for entry in gone]
        print_json("plainbox.cache-eviction/1", removed=keys, freed_bytes=freed, left=len(left))
    else:
        say(f"{_results(len(gone))} removed, {shown_size(freed)}; {len(left)} left")
    return 0


#: Action -> what carries it out; its docstring is the help.
_ACTIONS = {"list": _list, "info": _info, "verify": _verify, "evict": _evict, "clear": _clear}


def _row(entry: Entry, item: CacheItem | None) -> dict[str, object]:
    return {
        "key": entry.key,
        "of": _name(item) or None,
        "created": None if item is None else item.created,
        "used": entry.used,
        "size_bytes": entry.size_bytes,
    }


def _name(item: CacheItem | None) -> str:
    """Return the job or the function whose result this is; the empty text when that is not known."""
    parts = _parts(item)
    return parts.get("job") or parts.get("function") or ""


def _parts(item: CacheItem | None) -> dict[str, str]:
    return {} if item is None else {str(name): str(text) for name, text in item.about.items()}


def _results(number: int) -> str:
    return f"{number} result" if number == 1 else f"{number} results"


def _limit(store: CacheStore) -> str:
    return shown_size(store.max_size_bytes)


def _age(text: str) -> float:
    from plainbox.units.converters import duration

    try:
        seconds = float(text[:-1]) * _DAY_S if text.endswith("d") else duration(text)
    except (ValueError, FieldError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 30d, 12h or 90 (seconds)")
    return seconds


def _size(text: str) -> int:
    from plainbox.config.kinds import BYTES

    try:
        size = 0 if text == "0" else BYTES.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None
    assert isinstance(size, int)
    return min(size, _LARGEST_SIZE)
