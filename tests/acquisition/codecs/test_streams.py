"""Frames in a dirty stream: found whole however the bytes come, in bounded memory, without looking twice."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from frames import bcd, low_first, reply188, reply645
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs import cjt188, dlt645
from acquisition.codecs.stream import FrameScanner

LONGEST = 255 + 13
FRAMES = [
    reply645("000000000161", 0x91, low_first("00010000") + bcd("00000026")),
    reply645("686868686868", 0x91, low_first("00010000") + b"\x35\x35\x35\x35"),  # 68H nearly everywhere
    reply645("000000000161", 0x93, b""),
    reply188("78330011223344", 0x81, b"\x1f\x90\x00" + b"\x68" * 19),
    reply188("68686868686868", 0x83, b"\x81\x0a\x68"),
]
DIRT = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(FRAMES),
    st.sampled_from([b"\xfe" * 4, b"\x68", b"\x16", b"\x68" * 9, FRAMES[0][:11], FRAMES[3][:-1]]),
)


def decoders() -> tuple[dlt645.Decoder, cjt188.Decoder]:
    return dlt645.Decoder(), cjt188.Decoder()


@given(st.lists(DIRT, max_size=12), st.randoms(use_true_random=False))
def test_what_is_found_does_not_depend_on_the_pieces(parts: list[bytes], rng: random.Random) -> None:
    """Whole, byte by byte and in any pieces, a stream holds the same frames in the same order, and the same noise."""
    stream = b"".join(parts)
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(5))
    for kind in (dlt645.Decoder, cjt188.Decoder):
        whole, single, pieces = kind(), kind(), kind()
        found = [frame.raw for frame in whole.feed(stream)]

        assert [frame.raw for one in stream for frame in single.feed(bytes([one]))] == found
        bounds = [0, *cuts, len(stream)]
        assert [frame.raw for a, b in pairwise(bounds) for frame in pieces.feed(stream[a:b])] == found
        assert whole.noise == single.noise == pieces.noise


@given(st.binary(max_size=60), st.sampled_from(range(len(FRAMES))))
def test_whole_frame_after_any_garbage_is_found(garbage: bytes, which: int) -> None:
    """Nothing that came before can hide a whole frame, unless a frame ended inside of it."""
    frame, decoder = FRAMES[which], decoders()[which > 2]
    found = [one.raw for one in decoder.feed(garbage + frame + frame)]

    assert frame in found


def test_cut_frame_does_not_hold_back_the_next() -> None:
    """A long frame that broke off leaves the meter that answers after it unharmed, at once."""
    cut = reply645("000000000161", 0x91, bytes(200))[:20]

    assert [one.raw for one in dlt645.Decoder().feed(cut + FRAMES[0])] == [FRAMES[0]]


def test_frame_in_an_envelope_is_found() -> None:
    """A concentrator wraps the meter's frame in one of its own."""
    envelope = bytes.fromhex("68 4a 00 4a 00 68 88 01 02 03 04 05 00 60") + FRAMES[0] + b"\x77\x16"

    assert [one.raw for one in dlt645.Decoder().feed(envelope)] == [FRAMES[0]]


def test_glued_frames_are_all_found() -> None:
    """Ten thousand frames without a pause between them."""
    assert len(dlt645.Decoder().feed(FRAMES[0] * 10_000)) == 10_000


@pytest.mark.parametrize("piece", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("pattern", [b"\x68", FRAMES[1][:-1], b"\x68\x10\xff", bytes(range(256))])
def test_memory_is_bounded_by_the_longest_frame(pattern: bytes, piece: int) -> None:
    """However hostile a stream is, no more than one frame of it is kept."""
    stream = (pattern * (100_000 // len(pattern) + 1))[: 100_000 if piece > 1 else 5_000]
    for decoder in decoders():
        for at in range(0, len(stream), piece):
            decoder.feed(stream[at : at + piece])
            assert decoder._scanner.pending <= LONGEST


@pytest.mark.parametrize("piece", [1, 50, 100_000])
def test_work_grows_with_the_length_of_the_stream(piece: int) -> None:
    """The most hostile stream, every byte a beginning, costs so many looks for each byte and no more."""
    looks = 0

    def bounds(held: bytearray, at: int) -> int:
        nonlocal looks
        looks += 1
        return dlt645._bounds(held, at)

    stream = b"\x68" * 20_000
    scanner = FrameScanner(bounds)
    for at in range(0, len(stream), piece):
        scanner.feed(stream[at : at + piece])

    assert looks <= len(stream) * (LONGEST if piece == 1 else 1 + LONGEST / piece)


def test_noise_is_counted_without_wake_up() -> None:
    """FE before a frame is no noise; a byte that belongs to nothing is."""
    decoder = dlt645.Decoder()
    decoder.feed(b"\xfe\xfe\x01" + FRAMES[0] + b"\xfe\x02\x68")

    assert decoder.noise == 3
