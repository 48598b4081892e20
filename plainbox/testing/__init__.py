# SPDX-License-Identifier: Apache-2.0
"""Twins of the seams of Plainbox for tests, ours and other people's: small, real, and without a machine behind them."""

from plainbox.testing.files import FaultyFiles, Stopped

__all__ = ["FaultyFiles", "Stopped"]
