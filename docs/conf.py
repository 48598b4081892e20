# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built: ``make docs``. Nothing here asks the network; every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

from plainbox import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Plainbox"
author = "The Plainbox developers"
project_copyright = author
version = release = __version__
language = "en"

extensions = ["myst_parser", "plainbox_reference"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True
smartquotes = False  # options begin with two dashes

html_theme = "furo"
html_title = f"Plainbox {release}"
html_copy_source = False
html_show_copyright = False

man_pages = [
    ("man/plainbox", "plainbox", "run test plans and never lose a result", [], 1),
    ("man/plainbox-unit", "plainbox-unit", "units of test providers and their fields", [], 5),
]
