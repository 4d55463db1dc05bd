"""Rows of `reading_chunk`: all readings of a point in one hour and of one origin, as lists; replaced whole.

A chunk's revision is the newest log position among the messages that changed it, so whatever the cuts of batches,
two rows of one key and revision say the same (docs/decisions/0023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.rack import Laid, Rack
from nengliu.analysis.ledger import ORIGIN_BITS, Ledger, at_of, key_of, origin_of, slot_of
from nengliu.analysis.sorted import Columns, compact, ranges
from nengliu.domain.times import HOUR_MS
from schemas.block import Arrays, Labels, Lists, Rows

Ints = npt.NDArray[np.int64]
LISTS = {
    "at": "u4",
    "ticks": "i8",
    "received_at": "u4",
    "sequence": "u8",
    "position": "u8",
}
"""Lists that every chunk has, one entry per reading."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Readings that changed what is stored: their keys, and the position of the message that did (n,)."""

    keys: npt.NDArray[np.uint64]
    position: npt.NDArray[np.uint64]


def hour_of(at_ms: Ints) -> Ints:
    """Start [ms] of the hour that holds each instant: China's hours begin with those of UTC."""
    return at_ms // HOUR_MS * HOUR_MS


# -- from the ledger ---------------------------------------------------------------------------------------------


def ledger_chunks(ledger: Ledger, changes: Changes) -> Rows:
    """Chunks of the hours of some readings, as the ledger holds them: it must know those hours whole."""
    hour = hour_of(at_of(changes.keys))
    key, place = np.unique(key_of(slot_of(changes.keys), hour, origin_of(changes.keys)), return_inverse=True)
    revision = np.zeros(len(key), np.uint64)
    np.maximum.at(revision, place, changes.position)
    first = key & ~np.uint64(2**ORIGIN_BITS - 1)
    low, high = (
        np.searchsorted(ledger.rows.keys, bound)
        for bound in (first, first + np.uint64(HOUR_MS << ORIGIN_BITS))
    )
    index, owner = ranges(low, high)
    own = origin_of(ledger.rows.keys[index]) == origin_of(key)[owner]
    index, owner = index[own], owner[own]
    rows = {name: column[index] for name, column in ledger.rows.columns.items()}
    at = at_of(ledger.rows.keys[index]) - at_of(key)[owner]
    lists = {"at": at, "received_at": rows["received_at_s"]} | rows
    ends = np.cumsum(np.bincount(owner, minlength=len(key)))
    used, codes = compact(slot_of(key))
    pairs = [ledger.points[slot] for slot in used.tolist()]
    return Rows(
        "reading_chunk",
        {
            "enterprise": Labels(codes, tuple(pair[0] for pair in pairs)),
            "point": Labels(codes, tuple(pair[1] for pair in pairs)),
            "period_start": at_of(key) // 1000,
            "origin": origin_of(key),
            **{name: Arrays(ends, lists[name].astype(dtype)) for name, dtype in LISTS.items()},
            "quality": _where(ends, owner, rows["quality"], rows["quality"] != 0),
            "reason": _where(ends, owner, rows["reason"], rows["reason"] != 0),
            "sent": _where(ends, owner, rows["sent"], rows["sent"] != rows["ticks"]),
            **_sent_units(ledger.units, ends, owner, rows["sent_unit"]),
            "revision": revision,
        },
    )


def _where(ends: Ints, owner: Ints, values: npt.NDArray[Any], telling: npt.NDArray[np.bool_]) -> Arrays:
    """Lists of the chunks in which at least one entry tells something, empty ones of the others."""
    tells = np.zeros(len(ends), bool)
    tells[owner[telling]] = True
    return Arrays(np.cumsum(np.where(tells, np.diff(ends, prepend=0), 0)), values[tells[owner]])


def _sent_units(
    units: list[tuple[str, int]], ends: Ints, owner: Ints, unit: npt.NDArray[np.uint16]
) -> dict[str, npt.NDArray[Any] | Labels | Lists | Arrays]:
    """Unit and decimals as sent: one for a chunk, or one for each of its readings where they differ."""
    common = unit[ends - 1].astype(np.int32)
    other = unit != common[owner]
    mixed = np.zeros(len(ends), bool)
    mixed[owner[other]] = True
    names = tuple(name for name, _ in units)
    decimals = np.array([decimals for _, decimals in units], np.uint8)
    each = _where(ends, owner, decimals[unit], other)
    return {
        "sent_unit": Labels(np.where(mixed, len(units), common), (*names, "")),
        "sent_decimals": np.where(mixed, 0, decimals[common]).astype(np.uint8),
        "sent_unit_each": _texts(names, unit, ends, mixed) if mixed.any() else nothing(len(ends)),
        "sent_decimals_each": each,
    }


def _texts(
    names: tuple[str, ...], unit: npt.NDArray[np.uint16], ends: Ints, mixed: npt.NDArray[np.bool_]
) -> Lists:
    starts = np.append(0, ends[:-1])
    spans = zip(starts.tolist(), ends.tolist(), mixed.tolist(), strict=True)
    return Lists(
        tuple(tuple(names[u] for u in unit[start:end].tolist()) if each else () for start, end, each in spans)
    )


def nothing(n: int) -> Arrays:
    """Empty lists for `n` rows."""
    return Arrays(np.zeros(n, np.int64), np.empty(0, np.int64))


# -- from a rack -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of the racks' labels, in the order of their numbers."""

    enterprises: tuple[str, ...]
    names: tuple[str, ...]
    units: tuple[tuple[str, int], ...]


def rack_chunks(rack: Rack, fresh: Ints, laid: Laid, words: Vocabulary) -> Rows:
    """Chunks of the hours of some rows that were laid in a rack: it must hold those hours whole.

    Column by column, so that one transposition of the matrix makes the lists: chunk ``j * hours + h`` is column `j`
    in the `h`-th pair of list and hour.
    """
    rows, c, index = rack.rows, rack.width, rack.around(fresh, laid)
    starts = _hours(rows["number"][index], rows["read_at_ms"][index])
    ends = np.append(starts[1:], len(index))
    each = np.append(0, np.arange(1, c) * len(index))[:, None]
    number, hour = rows["number"][index[starts]], hour_of(rows["read_at_ms"][index[starts]])
    at = rows["read_at_ms"][index] - np.repeat(hour, ends - starts)
    by_row = {
        "at": at,
        "received_at": rows["received_at_s"][index],
        "sequence": rows["sequence"][index],
        "position": rows["position"][index],
    }
    all_ends = (each + ends).ravel()
    lists = {name: np.tile(column.astype(LISTS[name]), c) for name, column in by_row.items()}
    lists["ticks"] = rows["ticks"][index].T.ravel()
    unit = rack.lists["units"][number].T.ravel()
    decimals = np.array([decimals for _, decimals in words.units], np.uint8)
    n = len(all_ends)
    return Rows(
        "reading_chunk",
        {
            **labels(rack, number, words),
            "period_start": np.tile(hour // 1000, c),
            "origin": np.full(n, rack.origin, np.uint8),
            **{name: Arrays(all_ends, lists[name]) for name in LISTS},
            **{name: _marks(rows[name][index], all_ends, c) for name in ("quality", "reason")},
            "sent": _sent(rack, index, all_ends, lists["ticks"]),
            "sent_unit": Labels(unit, tuple(name for name, _ in words.units)),
            "sent_decimals": decimals[unit],
            "sent_unit_each": nothing(n),
            "sent_decimals_each": nothing(n),
            "revision": np.tile(np.maximum.reduceat(by_row["position"], starts), c),
        },
    )


def labels(rack: Rack, number: npt.NDArray[np.int32], words: Vocabulary) -> dict[str, Labels]:
    """Enterprise and point of every column of some lists, column by column."""
    enterprise = np.tile(rack.lists["enterprise"][number], rack.width)
    return {
        "enterprise": _label(enterprise, words.enterprises),
        "point": _label(rack.lists["names"][number].T.ravel(), words.names),
    }


def _label(codes: npt.NDArray[np.int32], words: tuple[str, ...]) -> Labels:
    """Label rows by a vocabulary, or by the part of it that is used if there is much more."""
    if len(words) <= len(codes):
        return Labels(codes, words)
    used, place = compact(codes)
    return Labels(place, tuple(words[i] for i in used.tolist()))


def _hours(number: npt.NDArray[np.int32], at_ms: Ints) -> Ints:
    """Where each list and hour starts in rows by list and time."""
    hour = at_ms // HOUR_MS
    return np.flatnonzero(np.append(True, (number[1:] != number[:-1]) | (hour[1:] != hour[:-1])))


def _sent(rack: Rack, index: Ints, ends: Ints, ticks: Ints) -> Arrays:
    """Values as sent, of the chunks in which one differs from its ticks."""
    if not rack.converted:
        return nothing(len(ends))
    sent = rack.rows["sent"][index].T.ravel()
    owner = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    return _where(ends, owner, sent, sent != ticks)


def _marks(by_row: npt.NDArray[Any], ends: Ints, width: int) -> Arrays:
    """Marks of rows, of the chunks in which one has any."""
    if not by_row.any():
        return nothing(len(ends))
    owner = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    marks = np.tile(by_row, width)
    return _where(ends, owner, marks, marks != 0)


def newest_of(rack: Rack, rows: Columns, words: Vocabulary) -> Rows:
    """Rows of `point_newest`: when each point of some plain rows spoke first and last."""
    used, place = compact(rows["number"])
    first, last = np.full(len(used), 2**62), np.zeros(len(used), np.int64)
    received = np.zeros(len(used), np.int64)
    np.minimum.at(first, place, rows["read_at_ms"])
    np.maximum.at(last, place, rows["read_at_ms"])
    np.maximum.at(received, place, rows["received_at_s"])
    times: Columns = {"first_read_at": first, "last_read_at": last, "last_received_at": received}
    return Rows(
        "point_newest",
        {
            **labels(rack, used.astype(np.int32), words),
            **{name: np.tile(time, rack.width) for name, time in times.items()},
        },
    )
