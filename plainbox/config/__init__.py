# SPDX-License-Identifier: Apache-2.0
"""The settings of the machine and of its user."""

from plainbox.config.settings import Settings, load_settings

__all__ = ["Settings", "load_settings"]
