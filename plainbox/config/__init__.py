# SPDX-License-Identifier: Apache-2.0
"""The settings of the machine and of its user."""

from plainbox.config.advice import AdviceSettings, RemoteSection, Text, load_advice_settings
from plainbox.config.settings import Setting, Settings, declared_settings, load_settings

__all__ = [
    "AdviceSettings",
    "RemoteSection",
    "Setting",
    "Settings",
    "Text",
    "declared_settings",
    "load_advice_settings",
    "load_settings",
]
