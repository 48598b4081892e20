# SPDX-License-Identifier: Apache-2.0
"""The sub-commands, one module each: ``configure(parser)`` declares arguments, ``run(arguments)`` returns the exit code."""
