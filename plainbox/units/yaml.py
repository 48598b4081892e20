# SPDX-License-Identifier: Apache-2.0
"""The YAML syntax: one unit per document, a mapping from field names to scalars, lists and mappings.

Documents are composed, never constructed: no tag can make an object, and scalars stay text (``yes``, ``1.0`` and
``2024-01-01`` mean what their field makes of them). Line numbers are kept for every field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import yaml

from plainbox.errors import UnitSyntaxError
from plainbox.units.origin import Origin
from plainbox.units.record import Record, Value

__all__ = ["parse"]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_NODES = 200_000  # aliases of aliases can make a small file stand for a huge tree
_MAX_DEPTH = 50


def parse(text: str, source: str, *, on_error: Callable[[UnitSyntaxError], None] | None = None) -> Iterator[Record]:
    """Yield a record for each document of ``text``; an empty document is none.

    A bad document raises :class:`UnitSyntaxError` with its place, or goes to ``on_error`` and is left out. A text that
    is not YAML ends the reading there, since nothing tells where the next document begins.
    """

    def report(error: UnitSyntaxError) -> None:
        if on_error is None:
            raise error
        on_error(error)

    loader = _Loader(text)
    try:
        while loader.check_node():
            node: yaml.Node | None = loader.get_node()
            try:
                record = _record(node, source) if node is not None else None
            except UnitSyntaxError as error:
                report(error)
            else:
                if record is not None:
                    yield record
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report(
            UnitSyntaxError(
                f"not YAML: {error.problem or error.context}",
                origin=Origin(source, mark.line + 1 if mark is not None else None),
            )
        )
    except yaml.YAMLError as error:
        report(UnitSyntaxError(f"not YAML: {str(error).splitlines()[0]}", origin=Origin(source)))
    except RecursionError:
        report(UnitSyntaxError("nested too deeply", origin=Origin(source)))
    finally:
        loader.dispose()


def _record(node: yaml.Node, source: str) -> Record | None:
    start = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and _is_null(node):
        return None
    if not isinstance(node, yaml.MappingNode):
        raise UnitSyntaxError("a unit is a mapping of fields", origin=Origin(source, start))
    builder = _Builder(source)
    data = builder.mapping(node, 0)
    if not data:
        return None
    end_mark = node.end_mark
    end = end_mark.line + (1 if end_mark.column else 0)
    # A literal block keeps its last line end; units mean the text.
    clean = {key: value.strip() if isinstance(value, str) else value for key, value in data.items()}
    origin = Origin(source, start, max(start, end))
    return Record(clean, clean, origin, {key: line - start for key, line in builder.lines.items()})


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.style is None and node.value in ("", "~", "null", "Null", "NULL")


class _Builder:
    """Turns composed nodes into values; one per document, since it counts the nodes."""

    def __init__(self, source: str) -> None:
        self.lines: dict[str, int] = {}
        self._source = source
        self._nodes = 0

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "the name of a field is a plain word")
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge" or key == "<<":
                for merged_key, value in self._merged(value_node, depth).items():
                    result.setdefault(merged_key, value)
                continue
            if key in seen:
                raise self._error(key_node, f"the field {key!r} is given twice")
            seen.add(key)
            if depth == 0:
                self.lines[key] = key_node.start_mark.line + 1
            if isinstance(value_node, yaml.ScalarNode) and _is_null(value_node):
                continue
            result[key] = self._value(value_node, depth + 1)
        return result

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Value]:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth + 1)
        raise self._error(node, "only a mapping can be merged with '<<'")

    def _value(self, node: yaml.Node, depth: int) -> Value:
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise self._error(node, "the document is too large or nested too deeply")
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            raise self._error(node, f"the tag {node.tag} has no meaning in a unit")
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.MappingNode)
        return self.mapping(node, depth + 1)

    def _error(self, node: yaml.Node, message: str) -> UnitSyntaxError:
        return UnitSyntaxError(message, origin=Origin(self._source, node.start_mark.line + 1))
