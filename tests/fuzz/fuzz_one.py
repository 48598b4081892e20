# SPDX-License-Identifier: Apache-2.0
"""One target in a process of its own, under the control of ``__main__``: ``python -m tests.fuzz.fuzz_one TARGET ...``.

The words behind the target are for libFuzzer: directories of inputs, and its options.
"""

from __future__ import annotations

import sys
import warnings

import atheris


def main() -> None:
    # What Python thinks of the text of an input is no find.
    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["plainbox"], enable_loader_override=False):
        from tests.fuzz.fuzz_targets import TARGETS
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
