# SPDX-License-Identifier: Apache-2.0
"""The command line: data on standard output, talk on standard error, never a prompt without a terminal."""
