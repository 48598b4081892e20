# SPDX-License-Identifier: Apache-2.0
"""What the configuration files and the environment say: the variables for templates and jobs, and the settings.

The files are ``checkbox.conf`` and ``plainbox.conf`` in the XDG configuration directories, each also in the folder
``plainbox`` there. Commands read them once, before they load units. Each setting is declared once, as a field of
:class:`Settings`; checking a value, what is said of a wrong one and the reference page come from there. Sections that
nothing here knows are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from plainbox.config.files import configuration_files, line_of, sections_of, variables
from plainbox.config.kinds import BOOLEAN, BYTES, DAYS, SECONDS, Kind, choice, whole_number
from plainbox.errors import UsageError

__all__ = ["AUTO_RESUME", "Setting", "Settings", "declared_settings", "load_settings"]

_ENVIRONMENT = "environment"
#: Sections that nobody else writes into: a key that is not known there is a mistake.
_OWN_SECTIONS: Final = frozenset({"cache", "sessions"})
#: What ``[sessions] auto_resume`` may say; the first is the default.
AUTO_RESUME = ("auto", "systemd", "desktop", "none")
_DECLARATION = "plainbox.config"

#: (section, key) -> (value, where it was set)
_Given = dict[tuple[str, str], tuple[str, "Path | str"]]


@attrs.frozen
class Setting:
    """One key of a configuration file: what it may say, what it means and what it is when nobody sets it."""

    section: str
    key: str
    kind: Kind
    default: object
    doc: str

    def __str__(self) -> str:
        return f"[{self.section}] {self.key}"


def _setting(section: str, key: str, kind: Kind, default: Any, doc: str) -> Any:
    return attrs.field(default=default, metadata={_DECLARATION: Setting(section, key, kind, default, doc)})


@attrs.frozen
class Settings:
    """``environment`` is what Jinja2 texts see as ``__checkbox_env__``; ``None`` stands for what is not set."""

    environment: Mapping[str, str] = attrs.field(factory=dict)
    strict_template_expansion: bool = _setting(
        "features",
        "strict_template_expansion",
        BOOLEAN,
        True,
        "With yes a job that a template cannot fill in is part of the session and fails with the reason. With no it is "
        "left out with a warning.",
    )
    keep: int | None = _setting(
        "sessions",
        "keep",
        whole_number(1),
        None,
        "The newest complete sessions to keep, in number. Older ones are removed when a run has ended and by "
        "plainbox session gc. When neither this nor keep_days is set, nothing is ever removed by itself.",
    )
    keep_days: float | None = _setting(
        "sessions",
        "keep_days",
        DAYS,
        None,
        "Complete sessions that are younger are kept. With keep set as well, a session is removed only when neither "
        "of the two keeps it.",
    )
    max_log_bytes: int | None = _setting(
        "sessions",
        "max_log_bytes",
        BYTES,
        None,
        "How much of the output of one attempt its log keeps; the job runs on. Without a setting 256 MiB.",
    )
    durability: str = _setting(
        "sessions",
        "durability",
        choice("full", "relaxed"),
        "full",
        "With full a result is on the medium before anybody sees it. With relaxed nothing waits for the medium: a killed "
        "process loses nothing, but a power loss may cost the last results.",
    )
    on_crash: str = _setting(
        "sessions",
        "on_crash",
        choice("crash", "retry"),
        "crash",
        "What becomes of a job that was running when its session was lost, unless the job says so itself: its outcome is "
        "crash, or it is run again.",
    )
    noreturn_same_boot: str = _setting(
        "sessions",
        "noreturn_same_boot",
        choice("pass", "crash"),
        "pass",
        "What becomes of a noreturn job whose session was ended while the machine was not started anew. With crash every "
        "noreturn job counts as expect-reboot.",
    )
    auto_resume: str = _setting(
        "sessions",
        "auto_resume",
        choice(*AUTO_RESUME),
        AUTO_RESUME[0],
        "Who goes on with a session after a restart of the machine that a job has made: a systemd unit, the user's "
        "desktop, nobody, or with auto what this machine has.",
    )
    session_timeout: float | None = _setting(
        "sessions",
        "timeout",
        SECONDS,
        None,
        "How many seconds run and resume may take as a whole. Then the job that runs is ended, and the session can be gone "
        "on with. Without a setting there is no limit.",
    )
    heartbeat: int = _setting(
        "sessions",
        "heartbeat",
        whole_number(1),
        60,
        "After how many seconds without output the progress says that a job still runs, and again after as many more.",
    )
    cache_mode: str = _setting(
        "cache",
        "mode",
        choice("off", "read", "write", "readwrite", "refresh"),
        "readwrite",
        "Whether kept results of jobs are used, and whether new ones are kept. With write what is kept stays, and with "
        "refresh new results replace it; both run every job.",
    )
    cache_max_size: int | None = _setting(
        "cache",
        "max_size",
        BYTES,
        None,
        "How much the cache of results may take up; beyond it the results that were not used for the longest time go. "
        "Without a setting 1 GiB.",
    )


_FIELDS: Final = {
    (declaration.section, declaration.key): (field.name, declaration)
    for field in attrs.fields(Settings)
    for declaration in [field.metadata.get(_DECLARATION)]
    if declaration is not None
}


def declared_settings() -> list[Setting]:
    """Return all settings there are, in the order of the reference."""
    return [declaration for _, declaration in _FIELDS.values()]


def load_settings() -> Settings:
    """Return the settings in force here; a file or a value that cannot be understood is a :class:`UsageError`."""
    given: _Given = {}
    for path in configuration_files():
        for section, texts in sections_of(path).items():
            given.update({(section, key): (text, path) for key, text in texts.items()})
    _read_variables(given)
    values: dict[str, Any] = {}
    for name, (text, place) in given.items():
        if name in _FIELDS:
            field, setting = _FIELDS[name]
            # An empty value takes back what a weaker file has set.
            if text.strip():
                values[field] = _value(setting, text.strip(), place)
        elif name[0] in _OWN_SECTIONS:
            raise _unknown(name, place)
    environment = {key: value for (section, key), (value, _) in given.items() if section == _ENVIRONMENT}
    return Settings(environment=environment, **values)


def _read_variables(given: _Given) -> None:
    for name, section, key, value in variables():
        given[section, key if section == _ENVIRONMENT else key.lower()] = (value, f"the variable {name}")


def _value(setting: Setting, text: str, place: Path | str) -> object:
    try:
        return setting.kind.read(text)
    except ValueError as error:
        name = setting.section, setting.key
        raise UsageError(
            f"{_where(place, name)}: {setting}: {text!r} {error}", hint=_near(text, setting.kind.words)
        ) from None


def _unknown(name: tuple[str, str], place: Path | str) -> UsageError:
    known = [key for section, key in _FIELDS if section == name[0]]
    return UsageError(
        f"{_where(place, name)}: [{name[0]}] {name[1]} is no setting",
        hint=_near(name[1], known) or f"known are {', '.join(known)}",
    )


def _near(word: str, words: list[str] | tuple[str, ...]) -> str | None:
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), words, n=1)
    return f"did you mean {near[0]!r}?" if near else None


def _where(place: Path | str, name: tuple[str, str]) -> str:
    """Return the place of a key: a file with the line, as far as that can still be found, or a variable."""
    line = None if isinstance(place, str) else line_of(place, *name)
    return str(place) if line is None else f"{place}:{line}"
