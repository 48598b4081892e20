# SPDX-License-Identifier: Apache-2.0
"""The language of providers: text in, unit objects with places, checks and identity out."""

from plainbox.units.category import CategoryUnit
from plainbox.units.exporter import ExporterUnit
from plainbox.units.expressions import ResourceExpression, ResourceProgram
from plainbox.units.issues import Code, Issue, Severity
from plainbox.units.job import JobDefinition
from plainbox.units.kinds import KINDS
from plainbox.units.manifest import ManifestEntryUnit
from plainbox.units.origin import Origin
from plainbox.units.packaging import PackagingMetaDataUnit
from plainbox.units.reader import read_units
from plainbox.units.setup_job import SetupJobDefinition
from plainbox.units.template import TemplateUnit
from plainbox.units.test_plan import TestPlanUnit
from plainbox.units.unit import Unit, UnitProvider

__all__ = [
    "CategoryUnit",
    "Code",
    "ExporterUnit",
    "Issue",
    "JobDefinition",
    "KINDS",
    "ManifestEntryUnit",
    "Origin",
    "PackagingMetaDataUnit",
    "ResourceExpression",
    "ResourceProgram",
    "SetupJobDefinition",
    "Severity",
    "TemplateUnit",
    "TestPlanUnit",
    "Unit",
    "UnitProvider",
    "read_units",
]
