# SPDX-License-Identifier: Apache-2.0
"""What the configuration says about advice around executions: chains, remotes, and which job gets which chain.

The sections ``[advice-chain:NAME]``, ``[remote:NAME]`` and ``[advice-rules]``. Here they are texts with their places;
:mod:`plainbox.tasks.chains` knows what they mean. Only operators write these files: what is in here no provider can say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from plainbox.config.files import PREFIX, configuration_files, line_of, sections_of, variables
from plainbox.errors import UsageError

__all__ = ["AdviceSettings", "RemoteSection", "Text", "load_advice_settings"]

_CHAIN: Final = "advice-chain:"
_REMOTE: Final = "remote:"
_RULES: Final = "advice-rules"
_CHAIN_WORDS: Final = "advice-chain-"
_REMOTE_WORDS: Final = "remote-"
_ADVICES: Final = "advices"


@attrs.frozen
class Text:
    """A text and where it is written; ``line`` counts from 1, None when the source has none."""

    text: str
    source: str
    line: int | None = None


@attrs.frozen
class RemoteSection:
    """The keys of one ``[remote:NAME]``, and the place of the first."""

    values: Mapping[str, str]
    source: str
    line: int | None = None


@attrs.frozen
class AdviceSettings:
    """``layers`` are the chains by their names, one mapping for each source, the weakest first.

    ``rules`` are patterns of job ids with the names of chains, the one that is asked first at the front.
    """

    layers: tuple[Mapping[str, Text], ...] = ()
    remotes: Mapping[str, RemoteSection] = MappingProxyType({})
    rules: tuple[tuple[str, Text], ...] = ()


def load_advice_settings() -> AdviceSettings:
    """Return what the files and variables say; a file or a key that cannot be understood is a :class:`UsageError`."""
    layers: list[Mapping[str, Text]] = []
    remotes: dict[str, RemoteSection] = {}
    rules: list[tuple[str, Text]] = []
    for path in configuration_files():
        sections = sections_of(path)
        chains = {}
        for section, texts in sections.items():
            _check_section(path, section)
            if section.startswith(_CHAIN):
                _check_keys(path, section, texts)
                if _ADVICES in texts:
                    name = section.removeprefix(_CHAIN).strip()
                    chains[name] = Text(texts[_ADVICES], str(path), line_of(path, section, _ADVICES))
            elif section.startswith(_REMOTE) and texts:
                line = line_of(path, section, next(iter(texts)))
                # As a whole: the host of one file with the key of another would be neither of the two.
                remotes[section.removeprefix(_REMOTE).strip()] = RemoteSection(texts, str(path), line)
        own = sections.get(_RULES, {})
        rules = [(key, Text(text.strip(), str(path), line_of(path, _RULES, key))) for key, text in own.items()] + rules
        layers.append(chains)
    layers.append(_of_variables(remotes))
    return AdviceSettings(tuple(layer for layer in layers if layer), remotes, tuple(rules))


def _of_variables(remotes: dict[str, RemoteSection]) -> Mapping[str, Text]:
    """Return the chains of the variables and put the remotes of theirs in place of others.

    In a variable the name stands behind ``ADVICE_CHAIN_`` or ``REMOTE_``, with ``_`` for every ``-``.
    """
    chains, found = {}, dict[str, dict[str, str]]()
    for variable, section, key, value in variables():
        source = f"the variable {variable}"
        words = section.replace("_", "-").replace(":", "-")
        if words.startswith(_CHAIN_WORDS) and words != _CHAIN_WORDS:
            if key.lower() != _ADVICES:
                raise UsageError(f"{source}: a chain has no {key.lower()!r}", hint=f"write {_ADVICES.upper()}")
            chains[words.removeprefix(_CHAIN_WORDS)] = Text(value, source)
        elif words.startswith(_REMOTE_WORDS) and words != _REMOTE_WORDS:
            name = words.removeprefix(_REMOTE_WORDS)
            found.setdefault(name, {})[key.lower()] = value
            remotes[name] = RemoteSection(found[name], source)
        else:
            _check_variable(variable, section)
    return chains


def _check_section(path: Path, section: str) -> None:
    """Raise :class:`UsageError` for a section that is nothing, and nearly one of these."""
    if section == _RULES or any(section.startswith(kind) and section != kind for kind in (_CHAIN, _REMOTE)):
        return
    kind, name = _nearly(section)
    if kind is not None:
        meant = kind if kind == _RULES else f"{kind}:{name}"
        raise UsageError(f"{path}: [{section}] is no section", hint=f"did you mean [{meant}]?")


def _check_variable(variable: str, section: str) -> None:
    """The same for the section that a variable names."""
    kind, name = _nearly(section)
    if kind == _RULES:
        raise UsageError(f"the variable {variable} sets nothing", hint=f"[{_RULES}] stands in configuration files")
    if kind is not None:
        key = "ADVICES" if f"{kind}:" == _CHAIN else "KEY"
        meant = f"{kind}_{name}".replace("-", "_").upper()
        raise UsageError(f"the variable {variable} sets nothing", hint=f"did you mean {PREFIX}{meant}__{key}?")


def _nearly(section: str) -> tuple[str, str] | tuple[None, None]:
    """Return the kind of section that may have been meant, and the name behind it; None when there is none."""
    import difflib

    words = re.split(r"[-_ .:]+", section.lower())
    for kind in (_CHAIN.rstrip(":"), _RULES, _REMOTE.rstrip(":")):
        count = kind.count("-") + 1
        if difflib.get_close_matches("-".join(words[:count]), [kind], cutoff=0.85):
            return kind, "-".join(filter(None, words[count:])) or "NAME"
    return None, None


def _check_keys(path: Path, section: str, texts: Mapping[str, str]) -> None:
    for key in texts:
        if key != _ADVICES:
            line = line_of(path, section, key)
            raise UsageError(
                f"{path}{'' if line is None else f':{line}'}: [{section}] {key} is no setting",
                hint=f"did you mean {_ADVICES!r}? An advice and its parameters stand in the value: retry(attempts=2)",
            )
