# SPDX-License-Identifier: Apache-2.0
"""What a damaged session still proves: for :mod:`plainbox.session.verification` and :mod:`plainbox.session.salvage`.

From the bottom: ``sift`` finds the good lines of a file, ``survey`` looks at all files of a session, ``reconstruction``
puts the lines of all generations together, ``inspection`` is one whole look, ``plan`` what a repair makes of it.
``partial`` lets a damaged session be read as far as it can be. ``copying`` and ``quarantine`` keep the originals,
``writing`` carries the plan out.
"""
