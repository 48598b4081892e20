# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainbox.session.codec import MAX_PAYLOAD_BYTES, NO_SUM, decode_line, encode_body, encode_line, frame_body

VECTOR_PAYLOAD = {
    "m": 81234567890,
    "meta": {"running_job_name": None},
    "n": 7,
    "res": [["org.example::cpu/count", 1, {"outcome": "pass", "return_code": 0}]],
    "t": "ck",
    "w": 1735689600.5,
}
VECTOR = (
    b"PBJ1 9 0123456789abcdef 154 6ff1c85dc803229e "
    b'{"m":81234567890,"meta":{"running_job_name":null},"n":7,'
    b'"res":[["org.example::cpu/count",1,{"outcome":"pass","return_code":0}]],"t":"ck","w":1735689600.5}\n'
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
payloads = st.dictionaries(st.text(max_size=8), json_values, max_size=5)


def line_with(header: bytes, body: bytes) -> bytes:
    """A line whose sum is right, whatever its header says."""
    digest = hashlib.blake2b(header + body, digest_size=8).hexdigest().encode()
    return header + digest + b" " + body + b"\n"


def test_the_documented_line_is_what_is_written() -> None:
    """The example of the format is produced byte for byte."""
    assert encode_line(9, "0123456789abcdef", VECTOR_PAYLOAD) == VECTOR


def test_the_documented_line_is_read() -> None:
    """The example of the format is understood, with and without its line feed."""
    for line in (VECTOR, VECTOR[:-1]):
        decoded = decode_line(line)
        assert decoded == (9, "0123456789abcdef", "6ff1c85dc803229e", VECTOR_PAYLOAD)


@settings(max_examples=60)
@given(payloads)
def test_every_payload_comes_back_from_one_ascii_line(payload: dict[str, object]) -> None:
    """Any JSON object round-trips through one line of printable ASCII, lone surrogates included."""
    line = encode_line(3, "00000000000000ff", payload)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert all(32 <= byte < 127 for byte in line[:-1])
    assert decode_line(line).payload == payload


@given(st.integers(0, len(VECTOR) - 1), st.integers(1, 255))
def test_no_single_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    """A line with one changed byte is refused, wherever the byte is."""
    bad = bytearray(VECTOR)
    bad[place] ^= change
    with pytest.raises(ValueError):
        decode_line(bytes(bad))


@pytest.mark.parametrize(
    "header",
    [b"PBJ1 09 %b %d ", b"PBJ1 +9 %b %d ", b"PBJ1 9  %b %d ", b"PBJ1 -1 %b %d ", b"PBJ2 9 %b %d ", b"PBJ1 9 %b 0%d "],
)
def test_only_the_canonical_header_is_a_header(header: bytes) -> None:
    """Another spelling of the same numbers is refused even when its sum is right."""
    body = b'{"t":"note"}'
    good = b"PBJ1 9 %b %d " % (NO_SUM.encode(), len(body))
    assert decode_line(line_with(good, body)).seq == 9
    with pytest.raises(ValueError):
        decode_line(line_with(header % (NO_SUM.encode(), len(body)), body))


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"nul", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":"\xc3\xa4"}', b'{"a":1}x', b' {"a":1}', b"{}{}", b'{"a'],
)
def test_only_one_ascii_object_is_a_payload(body: bytes) -> None:
    """A payload that is not one JSON object in ASCII is refused even when its sum is right."""
    with pytest.raises(ValueError):
        decode_line(line_with(b"PBJ1 0 %b %d " % (NO_SUM.encode(), len(body)), body))


def test_blanks_behind_the_object_mean_nothing() -> None:
    """Padding belongs to the payload, is covered by the sum, and is ignored."""
    body = b'{"t":"note"}   '
    assert decode_line(line_with(b"PBJ1 0 %b %d " % (NO_SUM.encode(), len(body)), body)).payload == {"t": "note"}


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), [{"a": [2**60]}], {1: 2, "a": 3}, object(), b"bytes"]
)
def test_what_json_cannot_hold_exactly_is_refused(value: object) -> None:
    """Numbers that other readers would change, and values that are not JSON, raise before anything is written."""
    with pytest.raises(ValueError):
        encode_body({"value": value})


def test_long_digits_that_are_no_integers_are_fine() -> None:
    """A long number in a text or behind a decimal point is not an integer."""
    payload = {"text": "12345678901234567890", "number": 0.1234567890123456789, "limit": 2**53 - 1}
    assert json.loads(encode_body(payload)) == payload


def test_deep_nesting_is_refused_on_both_sides() -> None:
    """A payload deeper than the interpreter's stack is a ValueError, not a crash."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError):
        encode_body({"deep": deep})
    body = b'{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(ValueError):
        decode_line(line_with(b"PBJ1 0 %b %d " % (NO_SUM.encode(), len(body)), body))


def test_a_record_has_a_limit() -> None:
    """A payload longer than the limit is refused instead of being written."""
    with pytest.raises(ValueError, match="too long"):
        frame_body(0, NO_SUM, b"x" * (MAX_PAYLOAD_BYTES + 1))
