# SPDX-License-Identifier: Apache-2.0
"""The units of real providers, as YAML: what the schema says of them and of units that are nearly like them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from agreement import documents, mutated, verdicts
from checkbox_record import FIVE, Corpus, load
from hypothesis import given
from hypothesis import strategies as st

from plainbox.units.writer import to_yaml


@functools.cache
def texts() -> list[str]:
    """Return the unit files of the corpus and of the bundled providers, as YAML."""
    corpus: Corpus = load("expected-with-stub.json", (*FIVE, "stub"))
    paths = sorted({Path(unit.origin.source) for unit in corpus.catalogue.units if unit.origin is not None})
    assert len(paths) > 10
    return [
        path.read_text(encoding="utf-8")
        if path.suffix in (".yaml", ".yml")
        else to_yaml(path.read_text(encoding="utf-8").splitlines(keepends=True), str(path))
        for path in paths
    ]


@functools.cache
def units() -> list[dict[str, Any]]:
    """Return the units of these files as an editor has them."""
    return [document for text in texts() for document in documents(text)]


def test_the_schema_takes_every_unit() -> None:
    """Real units are good, and schema and validator agree about that."""
    for text in texts():
        for verdict in verdicts(text):
            assert not verdict.schema
            assert verdict.agree, verdict


@given(st.data())
def test_schema_and_validator_agree_about_units_that_are_nearly_good(data: st.DataObject) -> None:
    """Fields that are gone, misspelt, or have a value of another form."""
    unit = data.draw(mutated(data.draw(st.sampled_from(units()))))
    for verdict in verdicts(yaml.safe_dump(unit, sort_keys=False, allow_unicode=True)):
        assert verdict.agree, verdict
