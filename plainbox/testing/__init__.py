# SPDX-License-Identifier: Apache-2.0
"""Twins of the seams of Plainbox for tests, ours and other people's: small, real, and without a machine behind them."""

from plainbox.testing.clock import ManualClock
from plainbox.testing.execution import ScriptedEngine, ScriptedJob
from plainbox.testing.files import FaultyFiles, Stopped
from plainbox.testing.sessions import catalogue_of, resume_session, run_session
from plainbox.testing.storage import MemoryStorage

__all__ = [
    "FaultyFiles",
    "ManualClock",
    "MemoryStorage",
    "ScriptedEngine",
    "ScriptedJob",
    "Stopped",
    "catalogue_of",
    "resume_session",
    "run_session",
]
