# SPDX-License-Identifier: Apache-2.0
"""``plainbox why``.

Explain why a job ran, was skipped, was not selected or could not be put in order: the dependencies, the requirements with
the values that were seen, the manifest. It asks the newest stored session that knows the job, finished or not; without one
it shows what the job needs. A template is explained with all the jobs that were made of it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from plainbox import dirs
from plainbox.cli.answer import Answer, answer_of_session, answer_without_session
from plainbox.cli.arguments import add_json, add_providers, find_session, load_catalogue
from plainbox.cli.console.reasons import AnswerText
from plainbox.cli.names import NOTHING_NEAR, ids_with_name, makers_of, several
from plainbox.cli.output import print_json, warn, write
from plainbox.cli.stored import open_stored
from plainbox.config import load_settings
from plainbox.errors import PlainboxError, SessionError, UsageError
from plainbox.providers import Catalogue
from plainbox.providers.discovery import named_providers
from plainbox.runner.manifest import load_manifest
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.storage import SessionStorage
from plainbox.units import SetupJobDefinition, TemplateUnit

_MAX_OPENED = 3  # sessions that are asked for a job that did not run in them


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="full or partial id of a job or of a template")
    parser.add_argument(
        "--session", metavar="SESSION", help="id of a session, or a part of it (the newest that knows the job)"
    )
    add_providers(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    answer = _find(arguments)
    if arguments.json:
        print_json("plainbox.why/1", **answer.as_dict())
    else:
        for line in AnswerText(answer, _directories(answer, arguments.providers)).lines():
            write(line)
    return 0


def _directories(answer: Answer, named: Iterable[Path]) -> list[Path]:
    """Return the directories of providers that a command about the same job has to name."""
    stored = map(Path, answer.session.providers if answer.session is not None else ())
    return list(dict.fromkeys([*(path.resolve() for path in named), *(path for path in stored if path.is_dir())]))


def _find(arguments: argparse.Namespace) -> Answer:
    if arguments.session:
        storage = find_session(arguments.session)
        return _ask(storage, _meant(arguments, frozenset()), arguments)
    stored = [(storage, _names(document), _is_early(document)) for storage, document in _readable()]
    name = _meant(arguments, frozenset().union(*(names for _, names, _ in stored)))
    for storage, names, is_early in stored:
        if name in names:
            return _ask(storage, name, arguments)
        if is_early:
            # It has stored nothing of the jobs that are still to come.
            with contextlib.suppress(UsageError):
                answer = _ask(storage, name, arguments, _providers_of(storage))
                if any(job.membership is not None and job.membership.member for job in answer.jobs):
                    return answer
    errors = []
    # A session that has nothing stored of the job may know it all the same, and why it left it out.
    for storage, _, _ in stored[:_MAX_OPENED]:
        try:
            return _ask(storage, name, arguments, _providers_of(storage))
        except UsageError as error:
            errors.append(error)
    try:
        return answer_without_session(load_catalogue(arguments.providers), name, _stored_manifest())
    except UsageError as error:
        # The newest session that knows better tells what may have been meant.
        raise next((item for item in errors if item.hint != NOTHING_NEAR), error) from None


def _meant(arguments: argparse.Namespace, stored: Collection[str]) -> str:
    """Return the full id of the job or template that the name means among the units of the providers that were named.

    If it means none of these, and no job in a session (``stored``) that one of their templates may have made, it stays as
    it is; if it means several, :class:`UsageError` is raised.
    """
    name: str = arguments.job
    if not arguments.providers:
        return name
    environment = load_settings().environment
    named = Catalogue(
        provider for directory in arguments.providers for provider in named_providers(directory, environment)
    )
    templates = named.of_kind(TemplateUnit)
    found = ids_with_name(name, [*named.jobs_and_siblings(), *named.of_kind(SetupJobDefinition), *templates])
    if len(found) > 1:
        raise several(name, found)
    made = (full_id for _, full_id in makers_of(name, templates.values()) if full_id in stored)
    return next(iter(found), None) or next(made, name)


def _ask(
    storage: SessionStorage, name: str, arguments: argparse.Namespace, providers: frozenset[str] | None = None
) -> Answer:
    with open_stored(storage, arguments.providers) as manager:
        return answer_of_session(manager, name, _stored_manifest(), providers)


def _readable() -> Iterator[tuple[SessionStorage, Mapping[str, dict[str, dict[str, object]]]]]:
    """Yield the sessions with what they have stored, newest first; of those that cannot be read a warning tells."""
    for storage in SessionStorageRepository().get_storage_list():
        try:
            yield storage, json.loads(storage.load_checkpoint())
        except FileNotFoundError:
            continue
        except (SessionError, OSError) as error:
            warn(f"session {storage.id} is passed over: {error}")


def _is_early(document: Mapping[str, Mapping[str, object]]) -> bool:
    """Tell whether a session has not selected its jobs yet."""
    flags = document.get("meta", {}).get("flags")
    return isinstance(flags, list) and not {"setting_up", "bootstrapping"}.isdisjoint(flags)


def _names(document: Mapping[str, dict[str, dict[str, object]]]) -> set[str]:
    """Return the full and partial ids of the jobs that a session has stored, and of their templates."""
    ids = set(document.get("jobs", {}))
    for definition in document.get("units", {}).values():
        fields = definition.get("fields")
        template_id = fields.get("template-id") if isinstance(fields, dict) else None
        if isinstance(template_id, str):
            ids.add(template_id)
    return ids | {full_id.partition("::")[2] for full_id in ids}


def _providers_of(storage: SessionStorage) -> frozenset[str]:
    """Return the names of the providers that a session has been opened with."""
    names: set[str] = set()
    for record in storage.records():
        environment = record.get("env") if record.get("t") == "open" else None
        providers = environment.get("providers") if isinstance(environment, dict) else None
        names.update(providers if isinstance(providers, dict) else ())
    return frozenset(names)


def _stored_manifest() -> dict[str, bool | int]:
    try:
        return load_manifest(dirs.machine_manifest())
    except PlainboxError as error:
        warn(str(error), error.hint)
        return {}
