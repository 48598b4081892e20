# SPDX-License-Identifier: Apache-2.0
"""Making, checking, building and installing providers: one module per command."""
