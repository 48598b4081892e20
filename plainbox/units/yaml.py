# SPDX-License-Identifier: Apache-2.0
"""The YAML syntax: one unit per document, a mapping from field names to scalars, lists and mappings.

Values are built from the events of the parser and never constructed by it: no tag can make an object, scalars stay text
(``yes``, ``1.0`` and ``2024-01-01`` mean what their field makes of them), and both the depth and the size of a document
are bounded, aliases counted as often as they are used. The line of every field, line of text and item is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import attrs
import yaml

from plainbox.errors import UnitSyntaxError
from plainbox.units.converters import typed_scalar
from plainbox.units.origin import Origin
from plainbox.units.record import Place, Record, Value

__all__ = ["parse"]

OnError: TypeAlias = Callable[[UnitSyntaxError], None]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_NODES = 200_000  # aliases of aliases can make a small file stand for a huge tree
_MAX_DEPTH = 50
_MAX_SKIPPED_DEPTH = 1000
_CORE_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
#: Fields in whose lists and mappings scalars keep their types.
_TYPED = ("args", "kwargs")
_SHOWN = 60  # characters of a name that an error quotes
_TOO_DEEP = "the document is nested too deeply"


def parse(text: str, source: str, *, on_error: OnError | None = None) -> Iterator[Record]:
    """Yield a record for each document of ``text``; an empty document is none.

    A bad document raises :class:`UnitSyntaxError` with its place, or goes to ``on_error`` and is left out. A text that
    is not YAML, or nested beyond all measure, ends the reading there.
    """

    def report(error: UnitSyntaxError) -> None:
        if on_error is None:
            raise error
        on_error(error)

    loader = None
    try:
        loader = _Loader(text)
        while loader.check_event():
            if not isinstance(loader.get_event(), yaml.DocumentStartEvent):
                continue
            document = _Document(loader, source)
            record = None
            try:
                record = document.read()
            except UnitSyntaxError as error:
                document.skip()
                report(error)
                if document.hopeless:
                    return
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
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        report(UnitSyntaxError(f"not YAML: {error.reason}", origin=Origin(source, line)))
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        report(UnitSyntaxError(f"not YAML: {str(error).splitlines()[0]}", origin=Origin(source)))
    finally:
        if loader is not None:
            loader.dispose()


class _Events(Protocol):
    """What is used of the parser, which has no types of its own."""

    def get_event(self) -> yaml.Event | None: ...


_Tagged: TypeAlias = "yaml.ScalarEvent | yaml.CollectionStartEvent"


@attrs.frozen
class _Node:
    """A value, the number of nodes in it and of levels below it, and the lines of its text or items (from 0)."""

    value: Value | None
    size: int
    height: int
    place: Place


class _Document:
    """Reads one document, from the event behind its start to that of its end."""

    def __init__(self, events: _Events, source: str) -> None:
        self._events = events
        self._source = source
        self._anchors: dict[str, _Node | None] = {}
        self._ended = False
        self._level = 0
        self._last_line = 0
        #: Whether what is read belongs to a field in which types count.
        self._typed = False

    def read(self) -> Record | None:
        event = self._next()
        start = _line(event)
        if isinstance(event, yaml.ScalarEvent) and _is_null(event):
            self.skip()
            return None
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._error(event, "a unit is a mapping of fields")
        places: dict[str, Place] = {}
        node = self._mapping(event, 0, places)
        self.skip()
        if not isinstance(node.value, dict) or not node.value:
            return None
        # A literal block keeps its last line end; units mean the text.
        data = {key: value.strip() if isinstance(value, str) else value for key, value in node.value.items()}
        origin = Origin(self._source, start + 1, max(start, self._last_line) + 1)
        return Record(data, data, origin, {key: _below(place, start) for key, place in places.items()})

    def skip(self) -> None:
        """Go on to the end of the document, whatever is left of it, unless it is hopeless."""
        while not self._ended and not self.hopeless:
            self._next()

    @property
    def hopeless(self) -> bool:
        """Whether the document is so deep that its end is not worth the search: the parser takes quadratic time."""
        return self._level > _MAX_SKIPPED_DEPTH

    def _next(self) -> yaml.Event:
        event = self._events.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            self._level += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            self._level -= 1
        if event is None or isinstance(event, yaml.DocumentEndEvent):
            self._ended = True
        assert event is not None  # the stream has not ended inside a document
        return event

    # -- values

    def _value(self, event: yaml.Event, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if depth > _MAX_DEPTH:
            raise self._error(event, _TOO_DEEP)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth, None)
        assert isinstance(event, yaml.ScalarEvent)
        return self._scalar(event)

    def _value_of(self, key: str, event: yaml.Event, depth: int) -> _Node:
        """Read the value of a field; the text of one is what its field makes of it, whatever it looks like."""
        outside = self._typed
        self._typed = outside or (key in _TYPED and isinstance(event, yaml.CollectionStartEvent))
        try:
            return self._value(event, depth)
        finally:
            self._typed = outside

    def _alias(self, event: yaml.AliasEvent, depth: int) -> _Node:
        name = event.anchor or ""
        node = self._anchors.get(name)
        self._last_line = _line(event)
        if node is None:
            problem = "stands inside what it means" if name in self._anchors else "is used before it is defined"
            raise self._error(event, f"the alias *{name[:_SHOWN]} {problem}")
        if depth + node.height > _MAX_DEPTH:
            raise self._error(event, _TOO_DEEP)
        return attrs.evolve(node, place=(self._last_line,))

    def _scalar(self, event: yaml.ScalarEvent) -> _Node:
        self._check_tag(event)
        if self._typed:
            value: Value | None = typed_scalar(str(event.value), plain=not event.style and event.tag is None)
        else:
            value = None if _is_null(event) else str(event.value)
        return self._remember(event, _Node(value, 1, 0, self._text_place(event)))

    def _text_place(self, event: yaml.ScalarEvent) -> Place:
        start, end = _line(event), event.end_mark.line if event.end_mark is not None else 0
        if event.style not in ("|", ">"):
            self._last_line = end
            return (start,)
        if event.style == ">":
            # The mark at the end of a block is that of what follows it.
            self._last_line = max(start + 1, end - 1)
            return (start + 1,)
        self._last_line = start + event.value.rstrip("\n").count("\n") + 1
        empty = len(event.value) - len(event.value.lstrip("\n"))
        return start + 1 + empty

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> _Node:
        self._check_tag(event)
        self._open(event)
        items: list[Value] = []
        places: list[int] = []
        size, height = 1, 0
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            node = self._value(item, depth + 1)
            size = self._checked(size + node.size, item)
            height = max(height, node.height)
            if node.value is not None:
                items.append(node.value)
                places.append(_line(item))
        self._close(item)
        return self._remember(event, _Node(items, size, height + 1, tuple(places) or (_line(event),)))

    def _mapping(self, event: yaml.MappingStartEvent, depth: int, places: dict[str, Place] | None) -> _Node:
        """Return the mapping that begins with ``event``; ``places`` receives where its values are."""
        self._check_tag(event)
        self._open(event)
        merged: dict[str, Value] = {}
        own: dict[str, Value | None] = {}
        size, height = 1, 0
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent):
                raise self._error(key_event, "the name of a field is a plain word")
            self._check_tag(key_event)
            key = str(key_event.value)
            if key in own:
                raise self._error(key_event, f"the field {key[:_SHOWN]!r} is given twice")
            node = self._value_of(key, self._next(), depth + 1)
            size = self._checked(size + node.size, key_event)
            height = max(height, node.height)
            if key == _MERGE and not key_event.style:
                self._merge(merged, node.value, key_event)
                continue
            own[key] = node.value
            if places is not None:
                places[key] = (_line(key_event),) if node.value is None else node.place
        self._close(key_event)
        # What is given here counts more than what is merged in, wherever it stands; null takes a field away.
        value = {key: item for key, item in {**merged, **own}.items() if item is not None}
        return self._remember(event, _Node(value, size, height + 1, _line(event)))

    def _merge(self, merged: dict[str, Value], value: Value | None, event: yaml.ScalarEvent) -> None:
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise self._error(event, "only mappings can be merged with '<<'")
            for key, item in mapping.items():
                merged.setdefault(key, item)

    # -- guards

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        """Mark the anchor of a collection as not complete, for an alias inside it."""
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _close(self, event: yaml.Event) -> None:
        """Take note of the line of a closing bracket; without one, a collection ends with its last item."""
        start, end = event.start_mark, event.end_mark
        if start is not None and end is not None and end.index > start.index:
            self._last_line = end.line

    def _remember(self, event: _Tagged, node: _Node) -> _Node:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _checked(self, size: int, event: yaml.Event) -> int:
        if size > _MAX_NODES:
            raise self._error(event, "the document is too large")
        return size

    def _check_tag(self, event: _Tagged) -> None:
        tag = event.tag
        if tag is None or tag == "!" or (tag.startswith(_CORE_TAG) and not tag.startswith(f"{_CORE_TAG}python")):
            return
        raise self._error(event, f"the tag {tag[:_SHOWN]} has no meaning in a unit")

    def _error(self, event: yaml.Event, message: str) -> UnitSyntaxError:
        return UnitSyntaxError(message, origin=Origin(self._source, _line(event) + 1))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line if event.start_mark is not None else 0


def _is_null(event: yaml.ScalarEvent) -> bool:
    return not event.style and event.tag is None and event.value in ("", "~", "null", "Null", "NULL")


def _below(place: Place, start: int) -> Place:
    return place - start if isinstance(place, int) else tuple(line - start for line in place)
