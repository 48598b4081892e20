# SPDX-License-Identifier: Apache-2.0
"""The test session: what is to run, what became of it, and the storage that does not lose it."""

from plainbox.session.context import SessionDeviceContext
from plainbox.session.jobs import InhibitionCause, JobReadinessInhibitor, JobState
from plainbox.session.manager import SessionManager
from plainbox.session.metadata import SessionMetaData
from plainbox.session.outcome import OUTCOME_METADATA_MAP, Outcome
from plainbox.session.repository import SessionStorageRepository
from plainbox.session.result import DiskJobResult, IOLogRecord, JobResult, JobResultBuilder, MemoryJobResult
from plainbox.session.resume import SessionPeekHelper, SessionResumeHelper
from plainbox.session.state import SessionState
from plainbox.session.storage import SessionStorage
from plainbox.session.suspend import SessionSuspendHelper

__all__ = [
    "DiskJobResult",
    "IOLogRecord",
    "InhibitionCause",
    "JobReadinessInhibitor",
    "JobResult",
    "JobResultBuilder",
    "JobState",
    "MemoryJobResult",
    "OUTCOME_METADATA_MAP",
    "Outcome",
    "SessionDeviceContext",
    "SessionManager",
    "SessionMetaData",
    "SessionPeekHelper",
    "SessionResumeHelper",
    "SessionState",
    "SessionStorage",
    "SessionStorageRepository",
    "SessionSuspendHelper",
]
