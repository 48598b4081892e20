# SPDX-License-Identifier: Apache-2.0
"""Where units live: directories that anyone can write, found, read and put into one catalogue."""

from plainbox.providers.catalogue import Catalogue
from plainbox.providers.provider import Provider

__all__ = ["Catalogue", "Provider"]
