# SPDX-License-Identifier: Apache-2.0
"""Uses the result of an earlier execution again, when nothing has changed that is known to change it.

A function is cached when its chain has this advice; a job only when its unit says ``cache: yes``, or when it is a
resource job with the flag ``cachable``. What must stay true: trouble with the cache costs time and never a result, a job
that did not run says so in its report, and nobody can use a result that whoever asked for it may still lose.
"""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plainbox.errors import TaskError, UncacheableArgument
from plainbox.tasks.advice import Advice
from plainbox.tasks.output import TeeSink

if TYPE_CHECKING:
    from plainbox.tasks.cache.item import CacheItem
    from plainbox.tasks.cache.key import CacheKey
    from plainbox.tasks.cache.lock import KeyLock
    from plainbox.tasks.cache.output import Piece, Recorder
    from plainbox.tasks.cache.store import CacheStore
    from plainbox.tasks.cache.tree import Trees
    from plainbox.tasks.invocation import Invocation
    from plainbox.tasks.result import Result
    from plainbox.tasks.serialization import Serializer
    from plainbox.tasks.surroundings import Surroundings

__all__ = ["MODES", "CachingAdvice"]

_log = logging.getLogger(__name__)

#: Mode -> whether kept results are used, and whether new ones are kept.
MODES = {
    "off": (False, False),
    "read": (True, False),
    "write": (False, True),
    "readwrite": (True, True),
    "refresh": (False, True),
}

_MISS = "_cache.miss"
_LONGEST_PAUSE_S = 0.2
#: Whoever waits longer wants to know for what.
_TOLD_AFTER_S = 1.0


@dataclass(frozen=True)
class _Hit:
    """A kept result, and what was printed on the way to it."""

    result: Result
    output: list[Piece]
    created: float

    @classmethod
    def of(cls, item: CacheItem, invocation: Invocation) -> _Hit:
        """Return what an item holds; :class:`ValueError` when it is no good."""
        from plainbox.tasks.cache.output import read_log
        from plainbox.tasks.cache.record import restore_report, restore_value

        result = restore_value(item, _serializer(invocation)) if invocation.job is None else restore_report(item)
        return cls(result, read_log(item.log), item.created)

    def play(self, invocation: Invocation) -> None:
        """Tell whoever listens what was printed and found, and where it comes from."""
        from plainbox.tasks.cache.record import items_of

        kept_at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.created))
        invocation.context["cache"] = "hit"
        _log.info("%s: from the cache, kept at %s", _name(invocation), kept_at)
        if invocation.surroundings is not None:
            for piece in self.output:
                piece.pass_on(invocation.surroundings.output)
            invocation.surroundings.output.note(f"all of this is from the cache, kept at {kept_at}")
            for item in items_of(self.result):
                invocation.surroundings.on_item(item)


@dataclass
class _Miss:
    """An execution whose result may be kept: what it needs until there is one."""

    store: CacheStore
    key: CacheKey
    lock: KeyLock | None
    surroundings: Surroundings | None
    recorder: Recorder | None = None


class CachingAdvice(Advice):
    """Concludes with a kept result, or keeps the one that there is now.

    ``directory`` is where results are kept, by default the cache of the user. ``mode`` is one of ``MODES``: with *write*
    what is kept stays and with *refresh* it is replaced; by default the settings say. Results older than ``ttl`` seconds
    do not count. With ``on_error`` failures are kept too. While another process computes the same, this one waits for
    ``wait`` seconds at most and then computes it without keeping it. What an advice further inside leaves out is not
    looked for. Files that jobs use are looked at once, as :class:`~plainbox.tasks.cache.tree.Trees` says.
    """

    placement = "outer"
    excludes = ("cache",)
    operator_only = ("directory",)

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        mode: Literal["off", "read", "write", "readwrite", "refresh"] | None = None,
        ttl: float | None = None,
        on_error: bool = False,
        wait: float = 600.0,
    ) -> None:
        if mode is not None and mode not in MODES:
            raise ValueError(f"the mode of a cache is one of {', '.join(MODES)}, not {mode!r}")
        self.directory = None if directory is None else Path(directory)
        self._mode: str | None = mode
        self.ttl = ttl
        self.on_error = on_error
        self.wait = wait
        self._store: CacheStore | None = None
        self._trees: Trees | None = None
        self._complained = False

    # -- hooks

    def before(self, invocation: Invocation) -> None:
        found = None
        if self._is_wanted(invocation):
            try:
                found = self._look_up(invocation)
            except UncacheableArgument as error:
                _skip(invocation, str(error), tell=True)
            except (TaskError, OSError) as error:
                self._complain(error)
        if found is None:
            invocation.proceed()
        else:
            found.play(invocation)
            invocation.conclude(found.result)

    def after(self, invocation: Invocation) -> None:
        miss = invocation.context.get(_MISS)
        if isinstance(miss, _Miss) and invocation.result is not None:
            from plainbox.tasks.cache.record import has_passed

            try:
                self._keep(invocation, miss, invocation.result)
            except UncacheableArgument as error:
                _skip(invocation, str(error), tell=has_passed(invocation.result))
        invocation.proceed()

    def finally_(self, invocation: Invocation) -> None:
        miss = invocation.context.pop(_MISS, None)
        if isinstance(miss, _Miss):
            invocation.surroundings = miss.surroundings
            if miss.lock is not None:
                miss.lock.release()

    # -- looking up

    def _is_wanted(self, invocation: Invocation) -> bool:
        job = invocation.job
        if job is None:
            wanted = getattr(invocation.task, "kwargs", {}).get("cache") is not False
        else:
            wanted = job.cache or (job.plugin == "resource" and "cachable" in job.flags)
        if not wanted or self._mode_in_force() == "off":
            return False
        return not any(advice.leaves_out(invocation) for advice in invocation.inner_advices)

    def _look_up(self, invocation: Invocation) -> _Hit | None:
        """Return the kept result; without one, prepare to keep what comes."""
        from plainbox.tasks.cache.key import key_of
        from plainbox.tasks.cache.tree import Trees

        reads, writes = MODES[self._mode_in_force()]
        self._trees = self._trees or Trees()
        key = key_of(invocation, self._trees)
        store = self._opened()
        invocation.context["cache-item-path"] = store.path_of(key.digest)
        hit = self._kept(invocation, store, key) if reads else None
        if hit is not None or not writes:
            return hit
        lock = None
        if reads:
            lock = self._wait_for_turn(invocation, store, key)
            if lock is None:
                raise UncacheableArgument("another process computes the same and has not come to its end")
            hit = self._kept(invocation, store, key)  # whoever had the lock has kept it, perhaps
            if hit is not None:
                lock.release()
                return hit
        _prepare(invocation, _Miss(store, key, lock, invocation.surroundings))
        return None

    def _kept(self, invocation: Invocation, store: CacheStore, key: CacheKey) -> _Hit | None:
        from plainbox.tasks.cache.record import has_passed

        item = store.look_up(key.digest, ttl_s=self.ttl, touch=self._mode_in_force() != "read")
        if item is None:
            return None
        try:
            hit = _Hit.of(item, invocation)
        except ValueError as error:
            store.reject(key.digest, error)
            return None
        # A failure that was kept for somebody who wants failures is none for others.
        return hit if self.on_error or has_passed(hit.result) else None

    def _wait_for_turn(self, invocation: Invocation, store: CacheStore, key: CacheKey) -> KeyLock | None:
        until_s = time.monotonic() + self.wait
        if invocation.deadline is not None:
            until_s = min(until_s, invocation.deadline.at_s)
        pause_s = 0.005
        surroundings, tell_at_s = invocation.surroundings, time.monotonic() + _TOLD_AFTER_S
        while True:
            lock = store.lock(key.digest)
            now_s = time.monotonic()
            if lock is not None or now_s >= until_s or invocation.cancelled:
                return lock
            if surroundings is not None:
                if surroundings.stopping():
                    return None
                if now_s >= tell_at_s:
                    tell_at_s = math.inf
                    _tell_of_wait(surroundings, until_s - now_s)
                surroundings.tick()
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    # -- keeping

    def _keep(self, invocation: Invocation, miss: _Miss, result: Result) -> None:
        """Have the result stored once nobody can lose it any more; until then the lock stays taken."""
        from plainbox.tasks.cache.item import CacheItem
        from plainbox.tasks.cache.record import encode_report, encode_value

        if invocation.job is None:
            content = encode_value(result, _serializer(invocation), on_error=self.on_error)
        else:
            content = encode_report(result, on_error=self.on_error)
        if miss.recorder is not None and miss.recorder.overflowed:
            raise UncacheableArgument("its output is too long")
        if miss.surroundings is not None and _has_files(miss.surroundings.attachments_dir):
            raise UncacheableArgument("it has attached files")
        item = CacheItem(
            key=miss.key.digest,
            result=content,
            log=b"" if miss.recorder is None else miss.recorder.log(),
            created=time.time(),
            about=dict(miss.key.parts, invocation=invocation.invocation_id),
        )
        lock, miss.lock = miss.lock, None

        def publish(durable: bool) -> None:
            try:
                if durable and not (self._mode == "write" and miss.store.look_up(item.key, ttl_s=self.ttl)):
                    miss.store.publish(item)
            except (TaskError, OSError) as error:
                self._complain(error)
            except ValueError as error:
                _skip(invocation, str(error), tell=False)
            finally:
                if lock is not None:
                    lock.release()

        if miss.surroundings is None:
            publish(True)
        else:
            miss.surroundings.once_durable(publish)

    # -- the store

    def _mode_in_force(self) -> str:
        if self._mode is None:
            self._mode = "readwrite"
            if self.directory is None:
                from plainbox.tasks.cache.user import user_mode

                self._mode = user_mode()
        return self._mode

    def _opened(self) -> CacheStore:
        if self._store is None:
            if self.directory is None:
                from plainbox.tasks.cache.user import user_store

                self._store = user_store()
            else:
                from plainbox.tasks.cache.store import CacheStore

                self._store = CacheStore(self.directory)
        return self._store

    def _complain(self, error: Exception) -> None:
        """Warn once that there is trouble: everything is computed, as without a cache."""
        if not self._complained:
            self._complained = True
            text = str(error) if isinstance(error, TaskError) else f"the cache is not used: {error}"
            hint = getattr(error, "hint", None)
            _log.warning("%s", f"{text}; {hint}" if hint else text)


def _prepare(invocation: Invocation, miss: _Miss) -> None:
    invocation.context["cache"] = "miss"
    invocation.context[_MISS] = miss
    if invocation.surroundings is not None:
        from plainbox.tasks.cache.output import Recorder

        miss.recorder = Recorder()
        output = TeeSink(invocation.surroundings.output, miss.recorder)
        invocation.surroundings = replace(invocation.surroundings, output=output)


def _tell_of_wait(surroundings: Surroundings, limit_s: float) -> None:
    from plainbox.tasks.jobresult import Progress

    text = f"waiting for another run that computes the same, {limit_s:.0f} s at the most"
    surroundings.output.note(text)
    surroundings.on_item(Progress(0.0, text=text))


def _has_files(directory: Path | None) -> bool:
    try:
        return directory is not None and bool(os.listdir(directory))
    except FileNotFoundError:
        return False


def _serializer(invocation: Invocation) -> Serializer:
    """Return the serializer of the configuration when it makes nothing but data of bytes, else that for JSON."""
    from plainbox.tasks.serialization import JsonSerializer

    chosen: Serializer | None = getattr(invocation.configuration, "serializer", None)
    return chosen if chosen is not None and chosen.data_only else JsonSerializer()


def _skip(invocation: Invocation, reason: str, *, tell: bool) -> None:
    """Note why nothing is kept, and ``tell`` those who read the log of a job that wants to be."""
    invocation.context["cache"] = reason
    _log.info("%s: not kept for later: %s", _name(invocation), reason)
    if tell and invocation.surroundings is not None:
        invocation.surroundings.output.note(f"the result is not kept for later: {reason}")


def _name(invocation: Invocation) -> str:
    return invocation.job_id or f"task {invocation.task.task_id[:16]}"
