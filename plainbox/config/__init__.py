# SPDX-License-Identifier: Apache-2.0
"""The settings of the machine and of its user."""

from plainbox.config.settings import Setting, Settings, declared_settings, load_settings

__all__ = ["Setting", "Settings", "declared_settings", "load_settings"]
