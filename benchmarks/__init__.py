# SPDX-License-Identifier: Apache-2.0
"""Measurements of Plainbox, beside the figures that it wants to reach: ``python -m benchmarks``.

Absolute times depend on the machine; what counts is that a figure does not grow with the size of a session, and how it
compares with the last run on the same machine.
"""
