"""Answers the contract's named queries from frames, so that page and specs can be tested without a store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd
import pyarrow as pa

from dashboards.data import Value
from nengliu.domain.scope import Scope
from nengliu.errors import StorageError
from tests.dashboards.plant import COUNTS, Tables


class FakeQuestions:
    """The same questions as the store; remembers what was asked."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.asked: list[tuple[str, Scope, date | None]] = []

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        self.asked.append((name, scope, as_of))
        return pa.Table.from_pandas(getattr(self, "_" + name)(**parameters), preserve_index=False)

    def _enterprises(self) -> pd.DataFrame:
        points = self.tables["point"].groupby("enterprise").size().rename("points").reset_index()
        reading = self.tables["reading"].groupby("enterprise")["read_at"].agg(first_at="min", last_at="max")
        frame = self.tables["enterprise"].merge(points, how="left").merge(reading.reset_index(), how="left")
        return _zoned(frame.fillna({"points": 0}), ["first_at", "last_at"])

    def _points(self, enterprise: str) -> pd.DataFrame:
        frame = self.tables["point"]
        return frame[frame["enterprise"] == enterprise]

    def _freshness(self, enterprise: str) -> pd.DataFrame:
        points = self._points(enterprise)[["point", "name", "name_en"]]
        frame = self.tables["reading"]
        frame = frame[frame["enterprise"] == enterprise].rename(
            columns={"read_at": "last_read_at", "received_at": "last_received_at"}
        )
        merged = points.merge(frame.drop(columns="enterprise"), how="left")
        return _zoned(merged, ["last_read_at", "last_received_at"])

    def _windows(
        self, level: str, enterprise: str, point: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        frame = self.tables[f"window_{level}"]
        start, end = _naive(start), _naive(end)
        inside = (frame["period_start"] >= start) & (frame["period_start"] < end)
        frame = frame[(frame["enterprise"] == enterprise) & inside]
        if point:
            frame = frame[frame["point"] == point]
        catalogue = self.tables["point"][["enterprise", "point", "item", "kind", "unit", "metering_level"]]
        frame = frame.merge(catalogue)
        for name in ("used", "estimated"):
            frame[name] = frame[name] / 10.0 ** frame["decimals"]
        return _zoned(frame, ["period_start", "known_at"])

    def _structure(self, level: str, enterprise: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        frame = self._windows(level, enterprise, "", start, end)
        frame = frame[frame["metering_level"] == 1]
        names = ("used", "coal_kgce", "coal_equal_kgce", "co2_kg", "received", "due")
        sums = {n: pd.NamedAgg(n, lambda v: v.sum(min_count=1)) for n in names}
        return frame.groupby("item", as_index=False).agg(unit=("unit", "first"), **sums)

    def _completeness(self, enterprise: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        frame = self._windows("day", enterprise, "", start, end)
        share = (frame["estimated"] / frame["used"]).fillna(0.0)
        columns = ["point", "period_start", "received", "due", *COUNTS]
        return frame[columns].assign(estimated_share=share)


class NoStore:
    """A store that is away."""

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        raise StorageError("the store does not run; start it with `nengliu up`")


def _naive(at: pd.Timestamp) -> pd.Timestamp:
    return pd.Timestamp(at).tz_convert("Asia/Shanghai").tz_localize(None)


def _zoned(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    frame = frame.copy()
    for name in columns:
        frame[name] = pd.to_datetime(frame[name]).dt.tz_localize("Asia/Shanghai")
    return frame
