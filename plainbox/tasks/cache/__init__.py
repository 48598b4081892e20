# SPDX-License-Identifier: Apache-2.0
"""Results that are used again: where they are kept, and what makes two executions the same.

Used by the advice ``cache`` and by ``plainbox cache``. A cache can lose everything at any time; what it must never do is
serve something that the same execution would not have come to.
"""

from plainbox.tasks.cache.item import CacheItem
from plainbox.tasks.cache.key import CacheKey, key_of
from plainbox.tasks.cache.store import CacheStore, Entry, Verification

__all__ = ["CacheItem", "CacheKey", "CacheStore", "Entry", "Verification", "key_of"]
