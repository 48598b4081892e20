# SPDX-License-Identifier: Apache-2.0
"""What a person sees in a terminal while a session runs, and what it asks."""
