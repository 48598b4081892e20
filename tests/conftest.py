# SPDX-License-Identifier: Apache-2.0
"""What all tests share: this folder on the path (for ``strategies``) and one way to run property tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

# The machines that run the tests are shared and slow at times: no example fails for its time alone.
settings.register_profile("plainbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# HYPOTHESIS_PROFILE=thorough looks longer than every run of the tests can.
settings.register_profile("thorough", settings.get_profile("plainbox"), max_examples=3000)
# HYPOTHESIS_PROFILE=steady tries the same examples each time.
settings.register_profile("steady", settings.get_profile("plainbox"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "plainbox"))

# What tests parse is kept apart from what the user of this machine has.
_cache = tempfile.mkdtemp(prefix="plainbox-tests-cache-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ["XDG_CACHE_HOME"] = _cache

# Every checkpoint, of child processes too, is compared with the state that it was made of.
os.environ.setdefault("PLAINBOX_AUDIT", "1")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: what they hold may change with the time, and the workers must find the same tests."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and not val.isascii() else None
