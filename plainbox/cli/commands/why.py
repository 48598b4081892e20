# SPDX-License-Identifier: Apache-2.0
"""``plainbox why``.

Explain why a job ran, was skipped, was not selected or could not be put in order: the dependencies, the requirements with
the values that were seen, the manifest. It asks the newest stored session that knows the job, finished or not; without one
it shows what the job needs. A template is explained with all the jobs that were made of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from plainbox import dirs
from plainbox.cli.answer import Answer, answer_of_session, answer_without_session
from plainbox.cli.arguments import add_json, add_providers, find_session, load_catalogue
from plainbox.cli.console.reasons import AnswerText
from plainbox.cli.output import print_json, warn, write
from plainbox.cli.stored import open_stored
from plainbox.errors import PlainboxError, SessionError, UsageError
from plainbox.runner.manifest import load_manifest
from plainbox.session.storage import SessionStorage, SessionStorageRepository

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
        return _ask(find_session(arguments.session), arguments)
    readable = list(_readable())
    for storage, document in readable:
        if arguments.job in _names(document):
            return _ask(storage, arguments)
    # A session that has nothing stored of the job may know it all the same, and why it left it out.
    for storage, _ in readable[:_MAX_OPENED]:
        try:
            return _ask(storage, arguments, _providers_of(storage))
        except UsageError:
            continue
    catalogue = load_catalogue(arguments.providers)
    return answer_without_session(catalogue, arguments.job, _stored_manifest())


def _ask(storage: SessionStorage, arguments: argparse.Namespace, providers: frozenset[str] | None = None) -> Answer:
    with open_stored(storage, arguments.providers) as manager:
        return answer_of_session(manager, arguments.job, _stored_manifest(), providers)


def _readable() -> Iterator[tuple[SessionStorage, Mapping[str, dict[str, dict[str, object]]]]]:
    """Yield the sessions with what they have stored, newest first; of those that cannot be read a warning tells."""
    for storage in SessionStorageRepository().get_storage_list():
        try:
            yield storage, json.loads(storage.load_checkpoint())
        except FileNotFoundError:
            continue
        except (SessionError, OSError) as error:
            warn(f"session {storage.id} is passed over: {error}")


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
