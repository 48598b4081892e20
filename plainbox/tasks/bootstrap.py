# SPDX-License-Identifier: Apache-2.0
"""The first words that a far interpreter hears: a few lines that any Python from 2.7 on understands.

They say on standard output that everything before was somebody else's talk, and which Python this is. One that is too
old says so in one line and is gone with code 78. The others take the archive of what travels, from the directory of
archives when it is there already and from standard input else, and run a module of it: :mod:`plainbox.tasks.worker`.

What must stay true: what is imported are the bytes whose digest was looked at, in a directory that nobody else can write
to. A directory of archives that somebody else can write to is refused.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

__all__ = [
    "BOOTSTRAP",
    "OLDEST_PYTHON",
    "VERSION_EXIT_CODE",
    "Greeting",
    "archive_header",
    "bootstrap_words",
    "greeting",
]

OLDEST_PYTHON = (3, 8)
VERSION_EXIT_CODE = 78

#: What every word of it does is told above. The arguments: a nonce, the digest of the archive, the directory that keeps
#: archives and the one in which the worker makes its own; an empty one of the latter two means that there is none. Then
#: the module that is run, and how the name of its directory begins.
BOOTSTRAP = r"""
import os, sys
nonce, digest, store, under, module, prefix = sys.argv[1:]
version = ".".join(map(str, sys.version_info[:3]))
old = sys.version_info < (3, 8)
import hashlib
def good(data):
    return hashlib.sha256(data).hexdigest() == digest
if store and not old:
    try:
        found = os.stat(store)
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o22:
            sys.stderr.write("%s is not ours alone: others can write to it\n" % store)
            sys.exit(75)
    except (IOError, OSError):
        pass
path = os.path.join(store, digest + ".pyz")
try:
    with open(path, "rb") as file:
        data = file.read() if store and not old else b""
    here = good(data)
except (IOError, OSError):
    here = False
os.write(1, ("\nplainbox-ptx/1 %s %s %s\n" % (nonce, version, "have" if here else "need")).encode("ascii"))
if old:
    sys.stderr.write("plainbox needs Python 3.8 or newer, and %s is %s\n" % (sys.executable, version))
    sys.exit(78)
import struct, tempfile
def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            sys.exit(75)
        data += piece
    return data
os.umask(0o077)
with open("/proc/self/stat", "rb") as file:
    owner = (os.getpid(), int(file.read().rpartition(b")")[2].split()[19]))
prefix = (prefix if under else "plainbox-worker-") + "%d-%d-" % owner
try:
    base = tempfile.mkdtemp(prefix=prefix, dir=under or None)
except (IOError, OSError) as error:
    sys.stderr.write("no directory could be made: %s\n" % error)
    sys.exit(75)
made = None
try:
    if not here:
        data = take(struct.unpack(">Q", take(8))[0])
        if not good(data):
            sys.stderr.write("the archive is not what was announced\n")
            sys.exit(65)
        if store:
            aside = os.path.join(store, ".new-" + nonce)
            with open(aside, "wb") as file:
                file.write(data)
            os.rename(aside, path)
    code = os.path.join(store, digest + ".code")
    if store and os.path.isfile(os.path.join(store, ".plainbox-run")) and os.path.isdir(code):
        sys.path[0] = code
    else:
        made = os.path.join(base, digest + ".pyz")
        with open(made, "wb") as file:
            file.write(data)
        sys.path[0] = made
    import importlib
    main = importlib.import_module(module).main
except BaseException as error:
    if made and os.path.exists(made):
        os.remove(made)
    os.rmdir(base)
    if isinstance(error, EnvironmentError) and not isinstance(error, ImportError):
        sys.stderr.write("the archive could not be kept: %s\n" % error)
        sys.exit(75)
    raise
code = main(base, store)
try:
    sys.stderr.flush()
finally:
    os._exit(code)
"""

_GREETING = re.compile(rb"\nplainbox-ptx/1 (\w+) (\d{1,3}(?:\.\d{1,3}){2}) (have|need)\n")


@dataclass(frozen=True)
class Greeting:
    """What the start marker says, and where it stands in what has come: foreign talk before it, frames after it."""

    version: tuple[int, ...]
    needs_archive: bool
    start: int
    end: int


def bootstrap_words(
    interpreter: str,
    nonce: str,
    digest: str,
    store: str,
    directory: str,
    *,
    module: str = "plainbox.tasks.worker",
    prefix: str = "w-",
) -> tuple[str, ...]:
    """Return the words that start the far end: to be executed there as they are, without a shell in between."""
    return (interpreter, "-c", BOOTSTRAP, nonce, digest, store, directory, module, prefix)


def greeting(data: bytes, nonce: str) -> Greeting | None:
    """Find the start marker with this nonce; None as long as it has not come."""
    for found in _GREETING.finditer(data):
        if found[1] == nonce.encode("ascii"):
            version = tuple(int(part) for part in found[2].split(b"."))
            return Greeting(version, found[3] == b"need", found.start(), found.end())
    return None


def archive_header(size: int) -> bytes:
    """Return what comes before the bytes of an archive."""
    return struct.pack(">Q", size)
