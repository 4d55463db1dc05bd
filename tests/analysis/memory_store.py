"""A store in memory that keeps rows as ReplacingMergeTree does, and serves the loaders of a shard."""

from __future__ import annotations

import numpy as np

from schemas.block import Block, Labels

KEYS = {
    "window_15min": ("enterprise", "point", "period_start"),
    "window_hour": ("enterprise", "point", "period_start"),
    "window_day": ("enterprise", "point", "period_start"),
    "window_month": ("enterprise", "point", "period_start"),
    "window_15min_history": ("enterprise", "point", "period_start", "revision"),
    "window_day_history": ("enterprise", "point", "period_start", "revision"),
    "reading": ("enterprise", "point", "read_at", "origin"),
    "reading_superseded": ("enterprise", "point", "read_at", "origin", "sequence", "ticks", "position"),
}
VERSION = {"reading": "sequence"}


def plain(column):
    """Values of a column as Python values."""
    if isinstance(column, Labels):
        return [column.dictionary[code] for code in column.codes.tolist()]
    return np.asarray(column).tolist()


class MemoryStore:
    """Tables as dictionaries by key; of two rows with one key the higher version stays, of equals the later."""

    def __init__(self):
        self.tables = {name: {} for name in KEYS}

    def write(self, rows):
        """Insert the rows of one table."""
        names = list(rows.columns)
        for values in zip(*(plain(rows.columns[name]) for name in names), strict=True):
            row = dict(zip(names, values, strict=True))
            table, key = self.tables[rows.table], tuple(row[name] for name in KEYS[rows.table])
            version = VERSION.get(rows.table, "revision")
            if key not in table or row.get(version, 0) >= table[key].get(version, 0):
                table[key] = row

    def readings(self, points, from_ms, before):
        """Serve `Ledger`: readings and losers of each point from its time on, and the last before it."""
        every = [*self.tables["reading"].values(), *self.tables["reading_superseded"].values()]
        found = []
        for point, start in zip(points, np.asarray(from_ms).tolist(), strict=True):
            own = [r for r in every if (r["enterprise"], r["point"]) == point and r["position"] < before]
            earlier = [r["read_at"] for r in own if r["read_at"] < start]
            since = max(earlier) if earlier else start
            found += [r for r in own if r["read_at"] >= since]
        return block_of(found) if found else None

    def days(self, points, month_ms, before):
        """Serve `Days`: the stored days of each point's month."""
        newest = self._newest_days(before)
        said, rows = [], []
        for point, month in zip(points, (np.asarray(month_ms) // 1000).tolist(), strict=True):
            end = np.datetime64(month + 8 * 3600, "s").astype("datetime64[M]") + np.timedelta64(1, "M")
            end_s = int(end.astype("datetime64[s]").astype(int)) - 8 * 3600
            for (who, start), row in newest.items():
                if who == point and month <= start < end_s:
                    if point not in said:
                        said.append(point)
                    rows.append(row | {"index": said.index(point), "period_start_s": start})
        return (said, _day_columns(rows)) if rows else None

    def _newest_days(self, before):
        """The newest row of each day, of those below a position."""
        newest = {}
        for row in [*self.tables["window_day"].values(), *self.tables["window_day_history"].values()]:
            key = (row["enterprise"], row["point"]), row["period_start"]
            if row["revision"] < before and row["revision"] >= newest.get(key, row)["revision"]:
                newest[key] = row
        return newest


def _day_columns(rows):
    left_out = ("enterprise", "point", "period_start", "book", "decimals", "due")
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0] if name not in left_out}
    covered, mean = columns.pop("covered_s").astype(np.int64) * 1000, columns.pop("mean")
    columns["covered_ms"] = covered
    columns["weighted"] = np.where(covered > 0, np.nan_to_num(mean), 0.0) * covered
    columns["known_at_s"] = columns.pop("known_at")
    columns["reason"] = columns["reason"].astype(np.uint16)
    columns["revision"] = columns["revision"].astype(np.uint64)
    return columns


def block_of(rows):
    """A block of rows that carry the names of the table `reading`."""
    points = list(dict.fromkeys((r["enterprise"], r["point"]) for r in rows))
    n = len(rows)

    def column(name, dtype):
        return np.array([r[name] for r in rows], dtype)

    return Block(
        points=tuple(points),
        slot=np.array([points.index((r["enterprise"], r["point"])) for r in rows], np.int32),
        read_at_ms=column("read_at", np.int64),
        ticks=column("ticks", np.int64),
        quality=column("quality", np.uint8),
        reason=column("reason", np.uint16),
        origin=column("origin", np.uint8),
        received_at_s=column("received_at", np.int64),
        sequence=column("sequence", np.uint64),
        position=column("position", np.uint64),
        sent=column("sent", np.int64),
        units=(("kWh", 2),),
        sent_unit=np.zeros(n, np.uint16),
        verdict=np.zeros(n, np.uint8),
    )
