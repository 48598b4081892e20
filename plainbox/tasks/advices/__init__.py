# SPDX-License-Identifier: Apache-2.0
"""The advices that come with Plainbox, one in each module."""
