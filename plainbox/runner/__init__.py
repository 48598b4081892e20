# SPDX-License-Identifier: Apache-2.0
"""Drives a session: next job, execution, result, checkpoint."""

from plainbox.runner.phases import SessionRun
from plainbox.runner.runner import Runner
from plainbox.runner.selection import Selection
from plainbox.runner.stop import StopRequest

__all__ = ["Runner", "Selection", "SessionRun", "StopRequest"]
