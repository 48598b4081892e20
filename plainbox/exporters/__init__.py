# SPDX-License-Identifier: Apache-2.0
"""Reports of sessions, each made by an exporter that is found by name and imported when it is used."""

from plainbox.exporters.exporter import Exporter
from plainbox.exporters.record import JobRecord
from plainbox.exporters.report import Category, Report

__all__ = ["Category", "Exporter", "JobRecord", "Report"]
