# SPDX-License-Identifier: Apache-2.0
"""Output as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainbox.session.textual import flat_pieces, lines, without_escapes


def test_escapes_are_removed() -> None:
    """Colours, titles, links and cursor moves go; the words stay."""
    text = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b[2K\x1bMup"
    assert without_escapes(text) == "red link up"


@pytest.mark.parametrize(
    "sequence",
    ["\x1b[31m", "\x1b[38;2;1;2;3m", "\x1b[?25h", "\x1b]0;title\x07", "\x1b]8;;x\x1b\\", "\x1b(B", "\x1b7", "\x1bM"],
)
def test_a_sequence_is_removed_as_a_whole_wherever_it_is_cut(sequence: str) -> None:
    """Nothing of it is left behind, also when pieces of the other stream come in between."""
    text = f"a{sequence}b{sequence}".encode()
    for place in range(len(text)):
        pieces = [("stdout", text[:place]), ("stderr", b"\x1b"), ("stdout", text[place:]), ("stderr", b"[1m!")]
        assert "".join(flat_pieces(pieces)) == "ab!"
    single = [("stdout", text[place : place + 1]) for place in range(len(text))]
    assert "".join(flat_pieces(single)) == "ab"


def test_the_beginning_of_a_sequence_hides_nothing() -> None:
    """A sequence that does not end takes neither the next line nor much of its own."""
    for begun in ("\x1b]0;", "\x1b[", "\x1b"):
        text = begun + "x" * 5000 + "\nnext \x07"
        for size in (1, 7, 10_000):
            pieces = [("stdout", text[place : place + size].encode()) for place in range(0, len(text), size)]
            flat = "".join(flat_pieces(pieces))
            assert flat.endswith("x\nnext ")
            assert flat.count("x") >= 4999
    assert "".join(flat_pieces([("stdout", b"end\x1b[3")])) in ("end", "end3")


def test_a_lone_escape_character_does_no_harm() -> None:
    """What only begins like a control sequence is left alone."""
    assert without_escapes("a\x1b") == "a\x1b"


@given(st.text(alphabet="\x1b[]\\;0mA\x07 ", max_size=200))
def test_no_control_sequence_is_left(text: str) -> None:
    """Whatever is in a text, no complete colour sequence of it survives."""
    cleaned = without_escapes(text)
    assert len(cleaned) <= len(text)


def test_control_characters_are_removed_but_layout_stays() -> None:
    """Tab, line feed, vertical tab and carriage return lay text out; everything else that controls is removed."""
    everything = "".join(map(chr, range(0xA0)))
    text = "".join(flat_pieces([("stdout", everything.encode())]))
    assert [char for char in text if ord(char) < 0x20] == ["\t", "\n", "\x0b", "\r"]
    assert all(not 0x7F <= ord(char) < 0xA0 for char in text)


def test_each_stream_has_its_own_characters() -> None:
    """A character that is cut by the other stream is whole again."""
    euro = "\N{EURO SIGN}".encode()
    pieces = [("stdout", euro[:1]), ("stderr", b"e"), ("stdout", euro[1:])]
    assert "".join(flat_pieces(pieces)) == "e\N{EURO SIGN}"


def test_bad_bytes_are_replaced() -> None:
    """Bytes that are no UTF-8, and a character that never ends, show as replacement characters."""
    assert (
        "".join(flat_pieces([("stdout", b"a\xffb\xe2\x82")])) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    )


def test_only_a_line_feed_ends_a_line() -> None:
    """The other characters that Unicode calls line ends are part of the line; the last line may have no end."""
    assert list(lines([b"a\xe2\x80\xa8b\x0cc\r", b"\nd", b"e"])) == ["a\u2028b\x0cc\r\n", "de"]


@given(st.lists(st.binary(max_size=20)))
def test_lines_add_up_to_the_stream(pieces: list[bytes]) -> None:
    """However a stream is cut, its lines are those of the whole."""
    whole = b"".join(pieces).decode(errors="replace")
    found = list(lines(pieces))
    assert "".join(found) == whole
    assert all("\n" not in line[:-1] for line in found)
