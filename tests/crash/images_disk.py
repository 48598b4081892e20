# SPDX-License-Identifier: Apache-2.0
"""A disk that remembers what is certain to be on it.

Every call of the seam is really made, below a directory in memory, and is noted here too: a write stays uncertain until
its file is synced, a name until its directory is. When the power is lost at some moment,

* of each sector of 512 bytes any version is on the disk that was written since the last sync, or the one before;
* the size of a file is any that it had since then;
* of the changes of a directory since its last sync any beginning has happened.

A sync that fails makes nothing certain, and what it was to write is not written by a later sync either, because the
system takes these pages for clean.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from plainbox.session.files import Buffer, PathLike
from plainbox.testing.files import FaultyFiles

__all__ = ["DiskFiles", "Image", "LinkTarget", "SECTOR_BYTES", "materialise"]

SECTOR_BYTES = 512


class LinkTarget(bytes):
    """What a symbolic link in an image leads to."""


#: Path below the root to content, ``None`` for a directory.
Image: TypeAlias = "dict[str, bytes | None]"


@attrs.define(eq=False)
class File:
    """``content`` is what processes see, ``certain`` what is on the disk whatever happens.

    ``versions`` has the contents of sectors that may be there instead, ``sizes`` likewise.
    """

    content: bytearray = attrs.field(factory=bytearray)
    certain: bytes = b""
    versions: dict[int, list[bytes]] = attrs.field(factory=dict)
    sizes: list[int] = attrs.field(factory=list)
    #: Sectors whose sync has failed: until they are written again they stay as uncertain as they are.
    doomed: set[int] = attrs.field(factory=set)

    def write(self, data: bytes, offset: int) -> None:
        end = offset + len(data)
        if len(self.content) < end:
            self.content.extend(bytes(end - len(self.content)))
        self.content[offset:end] = data
        self._note(offset, end)

    def truncate(self, size: int) -> None:
        before = len(self.content)
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))
        self._note(min(before, size), max(before, size))

    def _note(self, start: int, end: int) -> None:
        for sector in range(start // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            now = bytes(self.content[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES]).ljust(SECTOR_BYTES, b"\0")
            found = self.versions.setdefault(sector, [])
            if now not in found:
                found.append(now)
            self.doomed.discard(sector)
        if len(self.content) not in self.sizes:
            self.sizes.append(len(self.content))

    def sync(self) -> None:
        """What processes see is certain now, doomed sectors left out: of these the disk has what it had."""
        former, self.certain = self.certain, bytes(self.content)
        for sector in self.doomed:
            start, end = sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES
            kept = former[start:end].ljust(SECTOR_BYTES, b"\0")[: len(self.certain[start:end])]
            self.certain = self.certain[:start] + kept + self.certain[end:]
        self.versions = {sector: self.versions[sector] for sector in self.doomed}
        self.sizes.clear()

    def doom(self) -> None:
        """A sync has failed."""
        self.doomed.update(self.versions)

    def choices(self) -> list[Sequence[object]]:
        """Return what is open: the size, then each sector that is not certain."""
        sizes = list(dict.fromkeys([len(self.certain), *self.sizes]))
        return [sizes, *([None, *self.versions[sector]] for sector in sorted(self.versions))]

    def as_chosen(self, chosen: Sequence[object]) -> bytes:
        size, *sectors = chosen
        assert isinstance(size, int)
        disk = bytearray(self.certain)
        for sector, version in zip(sorted(self.versions), sectors, strict=True):
            if isinstance(version, bytes):
                start = sector * SECTOR_BYTES
                if len(disk) < start + SECTOR_BYTES:
                    disk.extend(bytes(start + SECTOR_BYTES - len(disk)))
                disk[start : start + SECTOR_BYTES] = version
        if len(disk) < size:
            disk.extend(bytes(size - len(disk)))
        return bytes(disk[:size])


@attrs.define(eq=False)
class Link(File):
    """A symbolic link, on the disk as soon as its name is: ``certain`` is what it leads to."""

    def as_chosen(self, chosen: Sequence[object]) -> bytes:
        return LinkTarget(self.certain)


@attrs.define(eq=False)
class Directory:
    """``entries`` is what processes see; ``states`` are those that may be on the disk, the certain one first."""

    entries: dict[str, Node] = attrs.field(factory=dict)
    states: list[dict[str, Node]] = attrs.field(factory=lambda: [{}])

    def change(self) -> None:
        self.states.append(dict(self.entries))

    def sync(self) -> None:
        self.states = [dict(self.entries)]


Node: TypeAlias = "File | Directory"


class DiskFiles(FaultyFiles):
    """The seam over such a disk, rooted in ``root``; ``watch`` is called after each call that changed anything."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = Directory()
        self._root_path = os.path.abspath(root)
        self._nodes: dict[int, Node | None] = {}
        self.watch: Callable[[], None] = lambda: None

    def reach(self, point: str) -> None:
        pass

    # What may be on the disk

    def images(self, rng: random.Random, limit: int) -> Iterator[Image]:
        """Yield every image that a loss of power may leave now, or ``limit`` random ones when there are more."""
        open_now: list[tuple[Node, list[Sequence[object]]]] = []
        self._collect(self.root, open_now, set())
        choices = [choice for _, wanted in open_now for choice in wanted]
        total = 1
        for choice in choices:
            total *= len(choice)
        if total <= limit:
            picked: Iterator[Sequence[object]] = itertools.product(*choices)
        else:
            picked = ([rng.choice(choice) for choice in choices] for _ in range(limit))
        for chosen in picked:
            rest = iter(chosen)
            of_node = {id(node): [next(rest) for _ in wanted] for node, wanted in open_now}
            image: Image = {}
            self._build(self.root, "", of_node, image)
            yield image

    def _collect(self, node: Node, found: list[tuple[Node, list[Sequence[object]]]], seen: set[int]) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, File):
            found.append((node, node.choices()))
            return
        found.append((node, [node.states]))
        for state in node.states:
            for child in state.values():
                self._collect(child, found, seen)

    def _build(self, directory: Directory, prefix: str, chosen: dict[int, list[object]], image: Image) -> None:
        state = chosen[id(directory)][0]
        assert isinstance(state, dict)
        for name, child in state.items():
            if isinstance(child, File):
                image[prefix + name] = child.as_chosen(chosen[id(child)])
            else:
                image[prefix + name] = None
                self._build(child, f"{prefix}{name}/", chosen, image)

    # Names

    def _find(self, path: PathLike, dir_fd: int | None) -> tuple[Directory | None, str]:
        """Return the directory that a path leads to, and the last name; no directory for what lies elsewhere."""
        text = os.fspath(path)
        if dir_fd is not None:
            where = self._nodes.get(dir_fd)
            assert isinstance(where, Directory)
            parts = text.split("/")
        else:
            relative = os.path.relpath(os.path.abspath(text), self._root_path)
            if relative == "." or relative.startswith(".."):
                return None, ""
            where, parts = self.root, relative.split("/")
        for part in parts[:-1]:
            node = where.entries.get(part)
            if node is None:
                # Made by somebody who does not use the seam, and of no consequence when it is lost.
                node = where.entries[part] = Directory()
                for state in where.states:
                    state[part] = node
            assert isinstance(node, Directory)
            where = node
        return where, parts[-1]

    def _node_of(self, path: PathLike, dir_fd: int | None) -> Node | None:
        if dir_fd is None and os.path.abspath(path) == self._root_path:
            return self.root
        where, name = self._find(path, dir_fd)
        return None if where is None else where.entries.get(name)

    def _done(self) -> None:
        self.watch()

    # The seam

    def open(self, path: PathLike, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        where, name = self._find(path, dir_fd)
        node: Node | None = None
        if where is not None:
            node = where.entries.get(name)
            if node is None:
                node = where.entries[name] = File()
                where.change()
        self._nodes[fd] = node
        self._done()
        return fd

    def open_directory(self, path: PathLike, *, dir_fd: int | None = None) -> int:
        fd = super().open_directory(path, dir_fd=dir_fd)
        self._nodes[fd] = self._node_of(path, dir_fd)
        return fd

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        count = super().pwrite(fd, data, offset)
        node = self._nodes[fd]
        assert isinstance(node, File)
        node.write(bytes(memoryview(data)[:count]), offset)
        self._done()
        return count

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        return self.pwrite(fd, b"".join(buffers), offset)

    def ftruncate(self, fd: int, size: int) -> None:
        super().ftruncate(fd, size)
        node = self._nodes[fd]
        assert isinstance(node, File)
        node.truncate(size)
        self._done()

    def fdatasync(self, fd: int) -> None:
        node = self._nodes[fd]
        try:
            super().fdatasync(fd)
        except OSError:
            if isinstance(node, File):
                node.doom()
            self._done()
            raise
        if node is not None:
            node.sync()
        self._done()

    def fsync(self, fd: int) -> None:
        self._sync_directory_of(fd)

    def _sync_directory_of(self, fd: int) -> None:
        super().fsync(fd)
        node = self._nodes[fd]
        if node is not None:
            node.sync()
        self._done()

    def rename(self, source: PathLike, target: PathLike, *, dir_fd: int | None = None) -> None:
        super().rename(source, target, dir_fd=dir_fd)
        old, old_name = self._find(source, dir_fd)
        new, new_name = self._find(target, dir_fd)
        assert old is new is not None, "a rename stays in its directory"
        old.entries[new_name] = old.entries.pop(old_name)
        old.change()
        self._done()

    def unlink(self, path: PathLike, *, dir_fd: int | None = None) -> None:
        super().unlink(path, dir_fd=dir_fd)
        where, name = self._find(path, dir_fd)
        if where is not None:
            where.entries.pop(name, None)
            where.change()
        self._done()

    def symlink(self, target: PathLike, path: PathLike) -> None:
        super().symlink(target, path)
        where, name = self._find(path, None)
        if where is not None:
            where.entries[name] = Link(certain=os.fsencode(target))
            where.change()
        self._done()

    def mkdir(self, path: PathLike, mode: int = 0o700, *, dir_fd: int | None = None) -> None:
        super().mkdir(path, mode, dir_fd=dir_fd)
        where, name = self._find(path, dir_fd)
        if where is not None:
            where.entries[name] = Directory()
            where.change()
        elif os.path.abspath(path) == self._root_path:
            self.root = Directory()
        self._done()


def materialise(image: Image, target: Path) -> None:
    """Put an image below ``target``, which does not exist yet."""
    os.mkdir(target)
    for name, content in image.items():
        path = f"{target}/{name}"
        if content is None:
            os.mkdir(path)
        elif isinstance(content, LinkTarget):
            os.symlink(os.fsdecode(content), path)
        else:
            with open(path, "wb", buffering=0) as file:
                file.write(content)
