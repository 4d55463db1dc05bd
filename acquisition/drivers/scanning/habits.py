"""Habits of a CJ/T 188 meter: which shipped map has them, or a map of the meter's own.

The codec says what a frame shows; here it is held against the profiles of the maps.
Source: vendor differences of protocols 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from acquisition.codecs.cjt188 import read_data
from acquisition.codecs.cjt188_detect import Detected, detect
from acquisition.codecs.cjt188_profiles import profile
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.meters.catalogue import about
from acquisition.drivers.meters.frame_maps import FrameMap, read_map
from acquisition.drivers.meters.meter_maps import shipped_maps
from acquisition.drivers.scanning.fitting import Fit, read_whole
from acquisition.drivers.scanning.search import Met, Searcher, tongue_188
from acquisition.drivers.scanning.writing import pairs, text_of
from nengliu.errors import InputError

PROTOCOL = "cjt188"


def strange(table: Mapping[str, Any], detected: Detected) -> int:
    """Count what a frame shows otherwise than a profile says; the type of meter is only a name."""
    told = profile(dict(table))
    shown = {key: value for key, value in detected.table.items() if key not in ("meter_type", "digits")}
    digits = detected.table.get("digits", {})
    flow = {one.name: one.digits.decimals for one in told.values}
    other = [key for key, value in shown.items() if getattr(told, key) != value]
    coarse = [name for name, decimals in digits.items() if flow.get(name) != decimals]
    return len(other) + len(coarse)


async def by_habits(transport: Transport, met: Met, fits: Sequence[Fit]) -> list[Fit]:
    """Order the fits of a meter by the habits that its frame shows; a map of its own comes first if none has them.

    Some meters repeat the type they are asked for, so their own is what they said when they were met.

    Raises
    ------
    LinkError
        LINE_DOWN: the line went.
    """
    detected = detected_of(fits)
    if detected is None:
        return list(fits)
    detected = replace(detected, meter_type=f"{met.meter_type:02X}")
    keys = {fit.map.name: _strangeness(fit, detected) for fit in fits}
    ordered = sorted(fits, key=lambda fit: keys[fit.map.name])
    best = keys[ordered[0].map.name]
    if not best[0]:
        return [fit for fit in ordered if keys[fit.map.name][:2] == best[:2]]
    own = await read_whole(transport, met.address, own_map(detected))
    return [own] if len(own.lost) <= len(ordered[0].lost) else ordered


def shipped_with(detected: Detected) -> list[str]:
    """Name the shipped maps whose profile says nothing else than a frame shows, those of the same type first."""
    plans = {name: about(name).profile for name in shipped_maps() if about(name).protocol == PROTOCOL}
    fitting = [name for name, plan in plans.items() if not strange(plan, detected)]
    return sorted(fitting, key=lambda name: plans[name].get("meter_type", "") != detected.meter_type)


async def listen(searcher: Searcher, meter_types: Iterable[int], address: str) -> bytes | None:
    """Ask for a reading, identifiers in both orders, and give the first answer; None if there is none.

    Raises
    ------
    LinkError
        LINE_DOWN: the line went.
    """
    for meter_type in meter_types:
        tongue = tongue_188(meter_type)
        for identifier in (b"\x1f\x90", b"\x90\x1f"):
            frames, _ = await searcher.replies(tongue, read_data(meter_type, address, identifier, 0))
            if frames:
                return frames[0].raw
    return None


def detected_of(fits: Sequence[Fit]) -> Detected | None:
    """Say what the frames of a meter show; None if there is none that shows anything."""
    for fit in fits:
        try:
            return detect(fit.raw)
        except InputError:
            continue
    return None


def own_map(detected: Detected) -> FrameMap:
    """Make the map of a meter's own, by what its frame shows; its name is that of the file it belongs in."""
    name = f"{PROTOCOL}_{detected.address}.toml"
    return replace(read_map(name, own_table(detected), name), name=name)


def own_table(detected: Detected) -> dict[str, Any]:
    """Give what the file of a meter's own map says."""
    table = {"title": f"The CJ/T 188 meter {detected.address}", "source": "what its own frame shows"}
    return table | {"verified": False, "protocol": PROTOCOL, "profile": detected.table}


def own_text(detected: Detected) -> str:
    """Write the file of a meter's own map."""
    table = own_table(detected)
    habits = table.pop("profile")
    return text_of([*pairs(table), "", "[profile]", *pairs(habits)])


def _strangeness(fit: Fit, detected: Detected) -> tuple[int, bool, int]:
    told = about(fit.map.name).profile
    other = told.get("meter_type", "") != detected.meter_type
    return strange(told, detected), other, len(told)
