# SPDX-License-Identifier: Apache-2.0
"""Plainbox runs test plans on real machines and never loses a result."""

__version__ = "0.1.0"
