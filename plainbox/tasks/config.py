# SPDX-License-Identifier: Apache-2.0
"""The older name of :mod:`plainbox.tasks.configuration`, for code that imports from here."""

from __future__ import annotations

from plainbox.tasks.configuration import Configuration, get_configuration

__all__ = ["Configuration", "get_configuration"]
