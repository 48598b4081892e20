# SPDX-License-Identifier: Apache-2.0
"""The advice around the jobs of a run, as far as the command line has to do with it.

``run`` makes the chains from the configuration files and its options; what they were is kept with the session, and
``resume`` asks when they have become others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

import attrs

from plainbox.cli.console.choose import can_ask, confirm
from plainbox.cli.output import warn
from plainbox.config import AdviceSettings, load_advice_settings
from plainbox.errors import UsageError
from plainbox.runner.selection import Selection
from plainbox.tasks import Configuration, ExecutionEngine
from plainbox.tasks.chains import DEFAULT, Chains
from plainbox.tasks.registry import unknown
from plainbox.tasks.remote import Remote
from plainbox.tasks.specs import INHERIT, quoted
from plainbox.units import Origin

__all__ = [
    "accept_changes",
    "add_chain_changed",
    "add_chains",
    "add_on",
    "chains_of",
    "engine_with",
    "remote_named",
    "with_chains",
]


def add_chains(parser: argparse.ArgumentParser) -> None:
    """Declare ``--chain NAME`` and ``--advice NAME=ADVICES``, which may be given several times."""
    parser.add_argument("--chain", metavar="NAME", help="give all jobs this advice chain, whatever rules and units say")
    parser.add_argument(
        "--advice",
        dest="advices",
        metavar="NAME=ADVICES",
        action="append",
        default=[],
        help='define a chain, for example default="inherit, retry(on=fail)" (may be given again)',
    )


def add_on(parser: argparse.ArgumentParser) -> None:
    """Declare ``--on REMOTE``."""
    parser.add_argument(
        "--on",
        metavar="ssh://USER@HOST[:PORT]",
        help="run the jobs on this machine; the name of a remote of the configuration is good, too",
    )


def add_chain_changed(parser: argparse.ArgumentParser) -> None:
    """Declare ``--chain-changed``."""
    parser.add_argument(
        "--chain-changed", choices=("accept",), help="go on although the advice chains are defined in another way now"
    )


def chains_of(selection: Selection) -> Chains:
    """Return the chains that the configuration files and what was asked for make."""
    settings = load_advice_settings()
    if selection.on is None:
        return Chains(settings, commands=selection.advices, chosen=selection.chain)
    remote_named(selection.on, settings)
    chain = selection.chain or DEFAULT
    here = f"{chain}={INHERIT}, ssh({quoted(selection.on)})"
    return Chains(settings, commands=[*selection.advices, here], chosen=chain)


def remote_named(name: str, settings: AdviceSettings) -> Remote:
    """Return the remote that a name means, or a URL; :class:`ChainError` when it means none."""
    section = settings.remotes.get(name)
    if section is not None:
        return Remote.from_section(name, section.values, Origin(section.source, section.line))
    if "://" in name:
        return Remote.from_url(name)
    raise unknown("remote", name, settings.remotes)


def with_chains(selection: Selection, chains: Chains) -> Selection:
    """Return the selection that keeps what the chains are now."""
    return attrs.evolve(selection, advice_chains=chains.described())


def engine_with(chains: Chains) -> ExecutionEngine:
    """Return what executes jobs with these chains around them."""
    return ExecutionEngine(Configuration().use_job_chains(chains))


def accept_changes(stored: Selection, chains: Chains, arguments: argparse.Namespace) -> None:
    """Warn when a session was begun with other chains, and raise :class:`UsageError` unless somebody accepts that."""
    before = stored.advice_chains
    changes = [] if before is None else list(_changes(before, chains.described()))
    if not changes:
        return
    for change in changes:
        warn(change)
    if getattr(arguments, "chain_changed", None) == "accept":
        return
    asks = can_ask() and not arguments.no_input
    if not (asks and confirm("Go on with the advice chains as they are now?", default=False)):
        raise UsageError(
            "the advice chains are others than those that the session was begun with",
            hint="resume --chain-changed=accept goes on with those of now",
        )


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        was, is_now = before.get(name), now.get(name)
        if was != is_now:
            yield f"{name}: was {was or 'not there'}; is {is_now or 'not there'}"
