"""Stations by the name of their protocol, as a scenario writes it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from acquisition.simulator.cjt188 import TYPES, Cjt188Station, Habit
from acquisition.simulator.dlt645 import EDITION_1997, EDITION_2007, LONGEST, Dlt645Station
from acquisition.simulator.meters import Meter, daily_meter
from acquisition.simulator.modbus import ModbusStation
from acquisition.simulator.station import Station
from nengliu.errors import InputError, nearest

PROTOCOLS = ("modbus-rtu", "modbus-tcp", "dlt645-2007", "dlt645-1997", "cjt188")
SHARE = {"modbus-rtu": 1.0, "modbus-tcp": 1.0, "dlt645-2007": 0.08, "dlt645-1997": 0.08, "cjt188": 0.05}
"""Use of a meter as a share of a bench meter's, so that its power fits the protocol's digits (ours)."""


class _NoOptions(msgspec.Struct, forbid_unknown_fields=True):
    """A Modbus meter has none."""


class _Dlt645Options(msgspec.Struct, forbid_unknown_fields=True):
    """As the fields of `Dlt645Station`."""

    wake: int = 4
    longest: int = LONGEST
    lacks: tuple[str, ...] = ()


class _Cjt188Options(msgspec.Struct, forbid_unknown_fields=True):
    """As the fields of `Habit`, and `wake` of `Cjt188Station`."""

    wake: int = 2
    high_first: bool = False
    unit_first: bool = False
    clock_high_first: bool = False
    serial: Literal["echo", "zero", "free"] = "echo"
    flow_decimals: int = 4
    answers_as: int = 0


def make_station(
    protocol: str,
    name: str,
    address: str,
    *,
    seed: int = 1,
    number: int = 1,
    carrier: str = "",
    **options: Any,
) -> Station:
    """Make a meter with a load of its own.

    Parameters
    ----------
    protocol
        One of `PROTOCOLS`.
    address
        Unit of Modbus ("3"), 12 digits of DL/T 645, 14 of CJ/T 188; shorter ones are filled with zeros.
    seed, number
        Which load and which first register.
    carrier
        Of CJ/T 188: water, heat or gas.
    options
        Of DL/T 645: `wake`, `longest`, `lacks`; of CJ/T 188: `wake` and the fields of `Habit`.

    Raises
    ------
    InputError
        There is no such protocol, carrier or option, or the address is none.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"meter {name}: no protocol {protocol!r}; {nearest(protocol, PROTOCOLS)}")
    digits = {"dlt645-2007": 12, "dlt645-1997": 12, "cjt188": 14}.get(protocol, 3)
    if not address.isdecimal() or len(address) > digits or (digits == 3 and not 1 <= int(address) <= 247):
        told = "a unit from 1 to 247" if digits == 3 else f"at most {digits} digits"
        raise InputError(f"meter {name}: address: expected {told}, got {address!r}")
    meter = daily_meter(seed, number, name, int(address) if digits == 3 else 0, SHARE[protocol])
    try:
        return _made(
            protocol, (name, address.zfill(digits) if digits > 3 else address, meter), carrier, options
        )
    except msgspec.ValidationError as error:
        raise InputError(f"meter {name}: options: {error}") from error


def _made(protocol: str, known: tuple[str, str, Meter], carrier: str, options: dict[str, Any]) -> Station:
    if protocol == "cjt188":
        if (carrier or "water") not in TYPES:
            raise InputError(f"meter {known[0]}: no carrier {carrier!r}; {nearest(carrier, TYPES)}")
        habit = msgspec.structs.asdict(msgspec.convert(options, _Cjt188Options))
        wake = habit.pop("wake")
        return Cjt188Station(*known, carrier=carrier or "water", habit=Habit(**habit), wake=wake)
    if protocol.startswith("dlt645"):
        edition = EDITION_2007 if protocol == "dlt645-2007" else EDITION_1997
        given = msgspec.structs.asdict(msgspec.convert(options, _Dlt645Options))
        return Dlt645Station(*known, edition=edition, **given)
    msgspec.convert(options, _NoOptions)
    return ModbusStation(*known, is_tcp=protocol == "modbus-tcp")
