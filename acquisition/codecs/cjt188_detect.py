"""What a CJ/T 188 frame shows of its meter's habits: a report for people, and the profile it suggests.

Nothing is decided while reading: `detect` says what fits, and says nothing where both ways fit or
neither does.
Source: vendor differences of `protocols.md` 2.2; the test of the flow's decimals is ours (heat = flow x difference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from acquisition.codecs.cjt188 import Decoder, Frame
from acquisition.codecs.cjt188_blocks import HEAD, ReadBlock, block
from acquisition.codecs.cjt188_profiles import HIGH_FIRST, LOW_FIRST, Profile, layouts, units
from nengliu.errors import InputError

_CENTURY = range(2000, 2100)
_KW_PER_M3_H_K = Fraction(1163, 1000)
"""Heat that one cubic metre of water an hour carries for each kelvin.  Source: 4.187 kJ/(kg K) at 1,000 kg/m3."""
_FLOW_DECIMALS = (4, 2)
"""Decimals that flow rates were seen with.  Source: protocols.md 2.1."""
_MOST_OFF = 2
"""A flow that explains the power within this factor is believed; its rivals are off by a hundred."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What one frame shows; None: it does not show it.

    Parameters
    ----------
    unit_first
        Whether units stand before their values; None if not all fit one side, or all fit both.
    units
        What each value with a unit is sent in, by item.
    clock_order
        None if there is no time, or both orders make one.
    clock_ms
        The meter's clock [ms, UTC].
    flow_decimals
        Decimals of the flow rate with which it explains the power.
    """

    address: str
    meter_type: str
    identifier: str
    identifier_order: str
    serial: int
    layout: str | None
    unit_first: bool | None
    units: Mapping[str, str]
    clock_order: str | None
    clock_ms: int | None
    flow_decimals: int | None

    @property
    def table(self) -> dict[str, Any]:
        """The table ``[profile]`` that fits, as far as the frame shows it; the rest is the standard's way."""
        found: dict[str, Any] = {"meter_type": self.meter_type, "identifier_order": self.identifier_order}
        shown = {"layout": self.layout, "unit_first": self.unit_first, "clock_order": self.clock_order}
        found |= {key: value for key, value in shown.items() if value is not None}
        if self.flow_decimals is not None:
            found["digits"] = {"volume_flow": self.flow_decimals}
        return found


def detect(raw: bytes) -> Detected:
    """Look at a frame that answers a reading (901F), wake-up and garbage around it allowed.

    Raises
    ------
    InputError
        There is no such frame in it.
    """
    frame = next((one for one in Decoder().feed(raw) if _is_reading(one)), None)
    if frame is None:
        raise InputError(
            f"frame: expected the answer to a reading (901F), got {raw[:16].hex(' ') or 'nothing'}"
        )
    low_first = frame.data[:2] == b"\x1f\x90"
    layout = _layout(frame)
    shown: dict[str, Any] = {"unit_first": None, "units": {}, "clock_order": None, "clock_ms": None}
    shown["flow_decimals"] = None
    if layout is not None:
        shown = _look(layout, frame)
    return Detected(
        address=frame.address,
        meter_type=f"{frame.meter_type:02X}",
        identifier="901F",
        identifier_order=LOW_FIRST if low_first else HIGH_FIRST,
        serial=frame.data[2],
        layout=layout,
        **shown,
    )


def _is_reading(frame: Frame) -> bool:
    return frame.control == 0x81 and len(frame.data) >= HEAD and frame.data[:2] in (b"\x1f\x90", b"\x90\x1f")


def _layout(frame: Frame) -> str | None:
    """Find the layout by its length; gas and water, which are alike, by the type of meter."""
    sizes = {name: block(Profile(layout=name)).data_size for name in layouts()}
    fits = [name for name, size in sizes.items() if size == len(frame.data) - HEAD]
    wanted = "gas" if 0x30 <= frame.meter_type < 0x40 else "water"
    return wanted if wanted in fits else next(iter(fits), None)


def _look(layout: str, frame: Frame) -> dict[str, Any]:
    data = frame.data[HEAD:]
    before, after = (_units(block(Profile(layout=layout, unit_first=side)), data) for side in (True, False))
    unit_first = None if (before is None) == (after is None) else before is not None
    orders = {order: _clock_ms(layout, order, data) for order in (LOW_FIRST, HIGH_FIRST)}
    told = {order: at for order, at in orders.items() if at is not None}
    order, at = next(iter(told.items())) if len(told) == 1 else (None, None)
    decimals = None if unit_first is None else _flow_decimals(layout, data, unit_first=unit_first)
    return {
        "unit_first": unit_first,
        "units": (before or after or {}) if unit_first is not None else {},
        "clock_order": order,
        "clock_ms": at,
        "flow_decimals": decimals,
    }


def _units(read: ReadBlock, data: bytes) -> dict[str, str] | None:
    """Units by item if all stand where this profile says; values that are none tell nothing."""
    found: dict[str, str] = {}
    for one, piece in read.pieces(data):
        if not one.coded:
            continue
        digits, code = read.apart(piece)
        if digits.count(0xFF) == len(digits):
            continue
        if one.worth(code) is None:
            return None
        found[one.name] = units()[code][0]
    return found


def _clock_ms(layout: str, order: str, data: bytes) -> int | None:
    """Read the clock in one order; a year outside this century is none."""
    read = block(Profile(layout=layout, clock_order=order), ("clock",))
    clock = next(piece for one, piece in read.pieces(data) if one.name == "clock")
    digits = clock[::-1].hex() if order == LOW_FIRST else clock.hex()
    if not digits[:4].isdecimal() or int(digits[:4]) not in _CENTURY:
        return None
    return read.decode(data, b"").values.get("clock")


def _flow_decimals(layout: str, data: bytes, *, unit_first: bool) -> int | None:
    """Find the decimals with which the flow rate and the two temperatures explain the power."""
    fits = []
    for decimals in _FLOW_DECIMALS:
        digits = {"volume_flow": decimals}
        finer = {"volume_flow": 12, "power": 12}
        profile = Profile(layout=layout, unit_first=unit_first, digits=digits, decimals=finer)
        values = block(profile).decode(data, b"").values
        try:
            power, flow = (Fraction(values[name], 10**12) for name in ("power", "volume_flow"))
            kelvin = Fraction(values["temperature_supply"] - values["temperature_return"], 100)
        except KeyError:
            return None
        carried = _KW_PER_M3_H_K * flow * kelvin
        if power > 0 and carried > 0 and Fraction(1, _MOST_OFF) <= carried / power <= _MOST_OFF:
            fits.append(decimals)
    return fits[0] if len(fits) == 1 else None
