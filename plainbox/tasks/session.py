# SPDX-License-Identifier: Apache-2.0
"""The older name of :class:`~plainbox.tasks.invocation.Invocation`, for code that imports it from here."""

from __future__ import annotations

from plainbox.tasks.invocation import Invocation

__all__ = ["Session"]

Session = Invocation
