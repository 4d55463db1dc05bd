"""Chunks of raw readings, made reading by reading from narrow rows: what the product makes from matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.block import Arrays, Labels, Lists, Rows

_HOUR_S = 3600
_LISTS = {"at": "u4", "ticks": "i8", "received_at": "u4", "sequence": "u8", "position": "u8"}
_SPARSE = {"quality": "u1", "reason": "u2"}


def chunk_rows(rows: Rows) -> Rows:
    """Rows of `reading_chunk` from rows with the columns of `reading_superseded`, one per reading (times in ms)."""
    chunks: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in _plain(rows):
        start_s = row["read_at"] // 1000 // _HOUR_S * _HOUR_S
        row["at"] = row["read_at"] - start_s * 1000
        chunks.setdefault((row["enterprise"], row["point"], start_s, row["origin"]), []).append(row)
    columns: dict[str, Any] = {
        "enterprise": np.array([key[0] for key in chunks], dtype=object),
        "point": np.array([key[1] for key in chunks], dtype=object),
        "period_start": np.array([key[2] for key in chunks]),
        "origin": np.array([key[3] for key in chunks]),
        "revision": np.array([max(r["position"] for r in each) for each in chunks.values()], np.uint64),
    }
    said = [_said(_standing(each)) for each in chunks.values()]
    for name, kind in (_LISTS | _SPARSE | {"sent": "i8", "sent_decimals_each": "u1"}).items():
        columns[name] = _arrays([one[name] for one in said], kind)
    columns["sent_unit_each"] = Lists(tuple(tuple(one["sent_unit_each"]) for one in said))
    columns["sent_unit"] = np.array([one["sent_unit"] for one in said], dtype=object)
    columns["sent_decimals"] = np.array([one["sent_decimals"] for one in said])
    return Rows("reading_chunk", columns)


def _standing(each: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the readings in order of time, of several at one time the one with the latest sequence."""
    newest = {row["at"]: row for row in sorted(each, key=lambda row: int(row["sequence"]))}
    return [newest[at] for at in sorted(newest)]


def _said(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Give one chunk's columns; what is nothing throughout is left out, one unit is said once."""
    found = {name: [row[name] for row in each] for name in (*_LISTS, *_SPARSE, "sent")}
    for name in _SPARSE:
        found[name] = found[name] if any(found[name]) else []
    found["sent"] = [] if found["sent"] == found["ticks"] else found["sent"]
    units = [(row["sent_unit"], row["sent_decimals"]) for row in each]
    if len(set(units)) == 1:
        one = {"sent_unit": units[0][0], "sent_decimals": units[0][1]}
        return found | one | {"sent_unit_each": [], "sent_decimals_each": []}
    each_unit, each_decimals = ([pair[i] for pair in units] for i in (0, 1))
    mixed = {"sent_unit_each": each_unit, "sent_decimals_each": each_decimals}
    return found | {"sent_unit": "", "sent_decimals": 0} | mixed


def _arrays(lists: list[list[int]], kind: str) -> Arrays:
    values = np.array([value for one in lists for value in one], kind)
    return Arrays(np.cumsum([len(one) for one in lists], dtype=np.int64), values)


def _plain(rows: Rows) -> list[dict[str, Any]]:
    columns = {name: _values(column) for name, column in rows.columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column: Any) -> list[Any]:
    if isinstance(column, Labels):
        return [column.dictionary[code] for code in column.codes.tolist()]
    return list(np.asarray(column).tolist())
