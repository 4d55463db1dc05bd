"""Everything of the codecs that takes bytes from a line, for the fuzz of tests and the growth of its corpus."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from importlib import resources
from string import Formatter

from acquisition.codecs import cjt188, cjt188_blocks, dlt645, dlt645_steps
from acquisition.codecs.cjt188_detect import detect
from acquisition.codecs.cjt188_profiles import profile
from acquisition.codecs.exchange import Answer, Exchange
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import Register, RegisterType
from nengliu.errors import InputError, LinkError

METER, WATER = "000000000161", "78330011223344"
MOST_ASKED = 70
"""Requests that one exchange may send: 64 parts and some."""
_HEAT = {"layout": "heat", "meter_type": "20"}
_WORDS = (
    Register("energy", 3, 0, RegisterType.BCD32),
    Register("power", 3, 2, RegisterType.F32, exponent=Register("place", 3, 4, RegisterType.I16)),
    Register("text", 3, 5, RegisterType.STRING, size=2),
)

EXCHANGES: dict[str, Callable[[], Exchange]] = {
    "645 energy": lambda: dlt645_steps.block("dlt645-2007", "00010000").exchange(METER),
    "645 block": lambda: dlt645_steps.block("dlt645-2007", "0001FF00").exchange("A" * 12),
    "645 power": lambda: dlt645_steps.block("dlt645-2007", "0203FF00").exchange(METER),
    "645 demand": lambda: dlt645_steps.block("dlt645-2007", "01010000").exchange(METER),
    "645 frozen": lambda: dlt645_steps.block("dlt645-2007", "05040101").exchange(METER),
    "645 clock": lambda: dlt645_steps.block("dlt645-2007", "04000101").exchange(METER),
    "645 text": lambda: dlt645_steps.block("dlt645-2007", "04000404").exchange(METER),
    "645 status": lambda: dlt645_steps.block("dlt645-2007", "040005FF").exchange(METER),
    "645 address": lambda: dlt645_steps.block("dlt645-2007", "address").exchange("A" * 12),
    "645 1997": lambda: dlt645_steps.block("dlt645-1997", "901F").exchange("9" * 12),
    "188 water": lambda: cjt188_blocks.block(profile({})).exchange(WATER),
    "188 heat": lambda: cjt188_blocks.block(profile(_HEAT)).exchange("A" * 14),
    "188 unit first": lambda: cjt188_blocks.block(profile(_HEAT | {"unit_first": True})).exchange("A" * 14),
    "188 address": lambda: cjt188_blocks.AddressBlock().exchange(),
    "rtu": lambda: RegisterBlock(3, 0, 7, _WORDS).exchange("1"),
}
DECODERS: dict[str, Callable[[], dlt645.Decoder | cjt188.Decoder]] = {
    "645 decoder": dlt645.Decoder,
    "188 decoder": cjt188.Decoder,
}
TARGETS = [*EXCHANGES, *DECODERS, "detect"]


def told(target: str, pieces: list[bytes]) -> tuple[object, ...]:
    """What a target makes of what came: the same for the same bytes, however they were cut.

    Raises
    ------
    Exception
        Anything but a verdict: that is what the fuzz looks for.
    """
    if target == "detect":
        try:
            return (detect(b"".join(pieces)),)
        except InputError as error:
            return ("refused", type(error).__name__)
    if target in DECODERS:
        decoder = DECODERS[target]()
        return (*[frame for piece in pieces for frame in decoder.feed(piece)], decoder.noise)
    return _exchanged(EXCHANGES[target](), pieces)


def _exchanged(exchange: Exchange, pieces: list[bytes]) -> tuple[object, ...]:
    """The requests an exchange sends, and its end."""
    asked = 0
    try:
        for piece in pieces:
            found = exchange.feed(piece)
            if isinstance(found, Answer):
                assert all(is_tellable(error) for error in found.lost.values())
                lost = tuple((name, error.reason) for name, error in found.lost.items())
                return (asked, tuple(found.values.items()), lost, found.raw, found.at_ms)
            if found is not None:
                asked += 1
                assert len(found) < 64
                assert asked <= MOST_ASKED
    except LinkError as error:
        assert is_tellable(error)
        return (asked, "error", error.reason, tuple(error.parameters.items()))
    assert is_tellable(exchange.silence())
    return (asked, "silence", exchange.silence().reason)


def is_tellable(error: LinkError) -> bool:
    """Whether a verdict brings along all that its text speaks of; the line adds its own name and the meter's."""
    return _spoken_of()[error.reason] <= {*error.parameters, "meter", "line"}


@functools.cache
def _spoken_of() -> dict[str, set[str]]:
    text = resources.files("schemas").joinpath("codes/reasons.csv").read_text(encoding="utf-8")
    return {
        row["code"]: {
            name for told in (row["zh"], row["en"]) for _, name, _, _ in Formatter().parse(told) if name
        }
        for row in csv.DictReader(text.splitlines())
    }
