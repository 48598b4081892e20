# SPDX-License-Identifier: Apache-2.0
"""The cycle collector and the objects of a large session.

Everything that is made while a session is read is kept, and to look for what is not takes as long as the reading. Used
by whatever makes a session out of its journal. What must stay true: the collector runs afterwards as it did before.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collector_at_rest"]


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the cycle collector from running in the block, and from looking at what was made in it right afterwards.

    What was made counts as old: it is looked at when everything is. Blocks may be nested.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # else they are somebody's who wants them to stay frozen
            gc.freeze()
            gc.unfreeze()  # into the oldest generation
        gc.enable()
