# SPDX-License-Identifier: Apache-2.0
"""What can be found about units only when all of them are known: one module for each family of findings.

Each check takes units and the :class:`~plainbox.units.checks.index.UnitIndex` of everything that is loaded and yields
issues; nothing here is run when units are merely loaded.
"""
