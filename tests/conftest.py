# SPDX-License-Identifier: Apache-2.0
"""What all tests share: this folder on the path (for ``strategies``) and one way to run property tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The machines that run the tests are shared and slow at times: no example fails for its time alone.
settings.register_profile("plainbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("plainbox")
