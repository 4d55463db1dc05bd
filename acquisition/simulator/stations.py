"""Stations by the name of their protocol, as a scenario writes it."""

from __future__ import annotations

from typing import Any

import msgspec

from acquisition.simulator.cjt188 import TYPES, Cjt188Station, Habit
from acquisition.simulator.dlt645 import EDITION_1997, EDITION_2007, Dlt645Station
from acquisition.simulator.meters import Meter, daily_meter
from acquisition.simulator.modbus import ModbusStation
from acquisition.simulator.station import Station
from nengliu.errors import InputError, nearest

PROTOCOLS = ("modbus-rtu", "modbus-tcp", "dlt645-2007", "dlt645-1997", "cjt188")
SHARE = {"modbus-rtu": 1.0, "modbus-tcp": 1.0, "dlt645-2007": 0.08, "dlt645-1997": 0.08, "cjt188": 0.05}
"""Use of a meter as a share of a bench meter's, so that its power fits the protocol's digits (ours)."""


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
            protocol, name, address.zfill(digits) if digits > 3 else address, meter, carrier, options
        )
    except (TypeError, msgspec.ValidationError) as error:
        raise InputError(f"meter {name}: {error}") from error


def _made(
    protocol: str, name: str, address: str, meter: Meter, carrier: str, options: dict[str, Any]
) -> Station:
    if protocol.startswith("modbus"):
        return ModbusStation(name, address, meter, is_tcp=protocol == "modbus-tcp", **options)
    if protocol == "cjt188":
        if (carrier or "water") not in TYPES:
            raise InputError(f"meter {name}: no carrier {carrier!r}; {nearest(carrier, TYPES)}")
        wake = options.pop("wake", 2)
        habit = msgspec.convert(options, Habit)
        return Cjt188Station(name, address, meter, carrier=carrier or "water", habit=habit, wake=wake)
    edition = EDITION_2007 if protocol == "dlt645-2007" else EDITION_1997
    return Dlt645Station(name, address, meter, edition=edition, **options)
