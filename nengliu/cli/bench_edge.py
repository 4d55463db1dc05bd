"""What `nengliu bench edge` measures of the codecs: answers of meters decoded on one core."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from acquisition.codecs.dlt645 import Decoder
from acquisition.codecs.dlt645_blocks import ReadBlock, edition_of, read_block
from acquisition.codecs.exchange import Answer
from nengliu.cli.bench_report import Fact

CODEC_GOAL = 250_000
"""Replies per second of CPU.  Source: ours (what a line of any speed can send, four hundred times over)."""
METERS = 64
ASKED = ("00010000", "00010000", "0001FF00", "0201FF00", "0203FF00")
"""What the meters of the measured line are asked: energies twice as often as the rest."""
DIRTY_EVERY = 20
"""One reply in so many comes after the echo of its request, noise, and a cut frame."""
_UNIT = "replies/CPU-s"
_NOISE = bytes.fromhex("00 68 ff 16 68 11 22 33 44 55 66 68 91 c8")


@dataclass(frozen=True, slots=True)
class Heard:
    """A question to one meter, and what comes over the line."""

    block: ReadBlock
    address: str
    came: bytes


def codec_figures(rounds: int = 200) -> list[Fact]:
    """Measure replies of DL/T 645: asked, found in a dirty stream, matched, and decoded to exact ticks."""
    clean = _line(dirty_every=0)
    mixed = _line(dirty_every=DIRTY_EVERY)
    return [
        Fact(f"DL/T 645 replies, one in {DIRTY_EVERY} amid garbage", _rate(mixed, rounds), _UNIT, CODEC_GOAL),
        Fact("DL/T 645 replies, clean", _rate(clean, rounds), _UNIT),
        Fact("DL/T 645 frames out of a dirty stream", _frame_rate(mixed, rounds), "frames/CPU-s"),
    ]


def _line(dirty_every: int) -> list[Heard]:
    """One round of a line of meters, with the replies of meters that show some value."""
    edition = edition_of("dlt645-2007")
    found: list[Heard] = []
    for meter in range(METERS):
        for identifier in ASKED:
            block = read_block(edition, identifier)
            address = f"{meter + 1:012d}"
            came = b"\xfe\xfe\xfe\xfe" + _reply(block, address, meter)
            if dirty_every and len(found) % dirty_every == 0:
                came = block.exchange(address).request + _NOISE + came
            found.append(Heard(block, address, came))
    return found


def _reply(block: ReadBlock, address: str, seed: int) -> bytes:
    """Lay what a meter answers, from the request it was sent."""
    asked = block.exchange(address).request[4:-2]
    shown = b"".join(_digits(seed, place, one.size) for place, one in enumerate(block.fields))
    shown = bytes((one + 0x33) & 0xFF for one in shown)
    body = asked[:8] + bytes([asked[8] | 0x80, asked[9] + len(shown)]) + asked[10:] + shown
    return body + bytes([sum(body) & 0xFF, 0x16])


def _digits(seed: int, place: int, size: int) -> bytes:
    """Lay a value whose first digit is free, as meters have it nearly always, lowest byte first."""
    value = 7_654_321 * (seed + 1) * (place + 1) % 10 ** (2 * size - 1)
    return bytes.fromhex(f"{value:0{2 * size}d}")[::-1]


def _rate(line: Sequence[Heard], rounds: int) -> float:
    """Replies decoded per second of CPU; each must be answered, or the figure is worth nothing."""
    answered = 0
    start = time.process_time()
    for _ in range(rounds):
        for heard in line:
            answered += type(heard.block.exchange(heard.address).feed(heard.came)) is Answer
    spent = time.process_time() - start
    if answered != rounds * len(line):
        raise AssertionError(f"expected {rounds * len(line)} replies to be decoded, got {answered}")
    return answered / spent


def _frame_rate(line: Sequence[Heard], rounds: int) -> float:
    stream = b"".join(heard.came for heard in line)
    decoder, frames = Decoder(), 0
    start = time.process_time()
    for _ in range(rounds):
        frames += len(decoder.feed(stream))
    return frames / (time.process_time() - start)
