# SPDX-License-Identifier: Apache-2.0
"""What a provider cannot say of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from plainbox.errors import ProviderError
from plainbox.providers.definition import from_file

DEFINITION = "[PlainBox Provider]\nname = org.example:demo\nversion = 1.0\nrelocatable = True\n"


@pytest.mark.parametrize("section", ["remote:bench", "advice-chain:default", "advice-rules"])
def test_sections_of_operators(tmp_path: Path, section: str) -> None:
    """A provider that defines a remote or a chain is refused as a whole."""
    path = tmp_path / "demo.provider"
    path.write_text(f"{DEFINITION}[{section}]\nhost = evil\n")
    with pytest.raises(ProviderError, match=r"a provider cannot define") as caught:
        from_file(path)
    assert f"[{section}]" in caught.value.message
