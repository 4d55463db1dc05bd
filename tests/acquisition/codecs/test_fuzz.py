"""Whatever comes over a line is answered by values or a verdict: nothing else is raised, nothing hangs or grows.

`tests/data/frames/corpus` keeps what `tests/acquisition/grow_corpus.py` found: one line of hex for each input
that reached lines of the codecs which none before it had.
"""

from __future__ import annotations

import pytest
from frames import closed, reply188, reply645, rtu
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import EXCHANGES, METER, TARGETS, WATER, told
from vectors import CORPUS, vectors

SEEDS = [one.frame for one in [*vectors("dlt645"), *vectors("cjt188")]]
IDENTIFIERS = st.sampled_from(
    [
        bytes.fromhex(one)[::-1]
        for one in ("00010000", "0001FF00", "0203FF00", "05040001", "05040101", "04000101", "901F")
    ]
)
DATA = st.binary(max_size=60)


@st.composite
def dirty(draw: st.DrawFn) -> bytes:
    """A published frame with some bytes changed, doubled or missing."""
    frame = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(frame) - 1))
        frame[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        frame = frame or bytearray(b"\x68")
    return closed(bytes(frame[:-2])) if draw(st.booleans()) else bytes(frame)


LAID = st.one_of(
    st.builds(
        lambda di, data, c: reply645(METER, c, di + data),
        IDENTIFIERS,
        DATA,
        st.sampled_from([0x91, 0xB1, 0x92, 0xB2, 0x81, 0xD1, 0x93]),
    ),
    st.builds(
        lambda data, c: reply188(WATER, c, b"\x1f\x90\x00" + data, 0x20),
        st.binary(min_size=43, max_size=43),
        st.sampled_from([0x81, 0x83, 0xC1]),
    ),
    st.builds(
        lambda data: reply188(WATER, 0x81, b"\x90\x1f\x00" + data), st.binary(min_size=19, max_size=19)
    ),
    st.builds(lambda data: rtu(b"\x01\x03\x0e" + data), st.binary(min_size=14, max_size=14)),
    st.builds(lambda code: rtu(bytes([1, 0x83, code])), st.integers(0, 255)),
)
STREAM = st.lists(st.one_of(LAID, LAID, dirty(), st.binary(max_size=20)), min_size=1, max_size=5)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=150)
@given(pieces=STREAM)
def test_bytes_of_any_kind_end_in_a_verdict(target: str, pieces: list[bytes]) -> None:
    """Frames of any content, damaged frames and noise raise nothing but a LinkError, in any pieces."""
    assert told(target, pieces)
    assert told(target, [b"".join(pieces)])


@pytest.mark.parametrize("target", [name for name in TARGETS if "frozen" not in name and "clock" not in name])
@settings(max_examples=60)
@given(pieces=st.lists(st.one_of(LAID, dirty()), min_size=1, max_size=3))
def test_verdict_does_not_depend_on_the_pieces(target: str, pieces: list[bytes]) -> None:
    """Up to the first request that follows, byte by byte is like whole."""
    stream = b"".join(pieces)
    whole = told(target, [stream])
    if whole[0] == 0 or target not in EXCHANGES:
        assert told(target, [bytes([one]) for one in stream]) == whole


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_ends_in_a_verdict(target: str) -> None:
    """Every input that once reached something new is still answered, whole and byte by byte."""
    lines = [
        bytes.fromhex(one)
        for file in sorted(CORPUS.glob("*.hex"))
        for one in file.read_text().split("\n")
        if one
    ]

    assert len(lines) >= 50
    for line in lines:
        assert told(target, [line])
        assert told(target, [bytes([one]) for one in line])
