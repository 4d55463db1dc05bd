"""A small plant as rows of the store: deterministic, with gaps, late, estimated and suspect values."""

# ruff: noqa: DTZ001 - frames carry naive China civil time
from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

PLANT = "91320500MA1NLDEMO1"
OLD = "91320500MA1NLDEMO2"
EMPTY = "91320500MA1NLDEMO3"
UNTIL = datetime(2026, 3, 18, 9, 15)
COUNTS = ("good", "late", "substituted", "manual", "suspect", "bad")

# point, name, name_en, kind, item, unit, decimals, metering level, place, size per quarter, shape
POINTS = [
    ("E01", "总进线", "Incoming supply", "counter", "electricity", "kWh", 2, 1, "plant", 640.0, "shift"),
    (
        "E11",
        "熔炼车间",
        "Melting shop",
        "counter",
        "electricity",
        "kWh",
        2,
        2,
        "plant/melting",
        360.0,
        "shift",
    ),
    (
        "E12",
        "机加工车间",
        "Machining shop",
        "counter",
        "electricity",
        "kWh",
        2,
        2,
        "plant/machining",
        150.0,
        "day",
    ),
    ("E13", "涂装车间", "Paint shop", "counter", "electricity", "kWh", 2, 2, "plant/paint", 105.0, "day"),
    ("G01", "天然气总表", "Natural gas main", "counter", "natural_gas", "m3", 2, 1, "plant", 96.0, "shift"),
    ("H01", "外购蒸汽", "Purchased steam", "counter", "heat", "GJ", 3, 1, "plant", 2.4, "day"),
    ("W01", "新水总表", "Fresh water main", "counter", "water", "m3", 2, 1, "plant", 7.5, "day"),
    ("P01", "铸件产量", "Castings", "period", "product", "t", 3, 0, "plant", 2.1, "day"),
    (
        "A01",
        "主变有功功率",
        "Main transformer power",
        "gauge",
        "active_power",
        "kW",
        2,
        0,
        "plant",
        2560.0,
        "shift",
    ),
]
FACTORS = {  # kgce calorific, kgce equivalent, kg CO2 per unit; figures of the test only
    "electricity": (0.1229, 0.295, 0.5366),
    "natural_gas": (1.33, 1.33, 2.162),
    "heat": (34.12, 38.0, 110.0),
}


@dataclass(frozen=True)
class Tables:
    """The rows by table name."""

    rows: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.rows[name]


def tables(until: datetime = UNTIL, quarter_days: int = 16, days: int = 460) -> Tables:
    """Make a year and more of days and months, and some days of quarter-hours, ending at `until`."""
    points, quarters, daily, readings = [], [], [], []
    for number, point in enumerate(POINTS):
        random = np.random.default_rng(number)
        points.append(_point(PLANT, point))
        rows = _quarters(point, until, quarter_days, random)
        quarters.append(rows)
        daily.append(_days(point, rows, until, days, random))
        readings.append(
            _last_reading(PLANT, point[0], until - timedelta(hours=31 if point[0] == "E13" else 0))
        )
    points.append(_point(OLD, POINTS[0]))
    readings.append(_last_reading(OLD, "E01", datetime(2018, 12, 31, 23, 45), until))
    old = _days(POINTS[0], None, datetime(2018, 12, 31, 23, 59), 40, np.random.default_rng(99))
    day = pd.concat([*daily, old.assign(enterprise=OLD)], ignore_index=True)
    return Tables(
        {
            "enterprise": pd.DataFrame(
                [
                    (PLANT, "江南精密铸造有限公司", "Jiangnan Precision Casting", "320500", "3391", True),
                    (OLD, "旧历史数据有限公司", "Old History Works", "320500", "3110", False),
                    (EMPTY, "尚无测点有限公司", "No Points Yet Ltd", "320500", "3110", False),
                ],
                columns=["enterprise", "name", "name_en", "region", "industry", "simulated"],
            ),
            "point": pd.concat(points, ignore_index=True),
            "reading": pd.concat(readings, ignore_index=True),
            "link_event": _link_events(datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)),
            "missed": _missed(until),
            "window_15min": pd.concat(quarters, ignore_index=True),
            "window_day": day,
            "window_month": _months(day),
        }
    )


def _link_events(now: datetime) -> pd.DataFrame:
    """Give what three collectors said: one heard now, with a line and a meter down; one all up; one silent.

    The heartbeats lie in the hour to come too, so that the tests may take their time.
    """
    rows = []

    def say(source: str, hours: float, kind: int, line: str = "", meter: str = "", reason: int = 0) -> None:
        told = {"queued": "128" if source == "gw-1" else "0"} if kind == 3 else {}
        told |= {"code": "2"} if reason == 506 else {}
        at = pd.Timestamp(now - timedelta(hours=hours)).floor("ms")
        rows.append((source, kind, at, line, meter, reason, json.dumps(told)))

    for source in ("gw-1", "gw-2", "gw-3"):
        say(source, 96, 1)
        for line in ("rs485-1", "rs485-2"):
            say(source, 96, 11, line)
            for meter in range(1, 7 if source == "gw-1" else 4):
                say(source, 96, 21, line, f"{line[-1]}{meter:02d}")
    say("gw-1", 30, 12, "rs485-2", reason=502)
    say("gw-1", 3.2, 22, "rs485-1", "103", 501)
    say("gw-1", 50, 23, "rs485-1", "105", 506)
    say("gw-3", 26, 3)
    for source in ("gw-1", "gw-2"):
        for minute in range(60):
            say(source, -minute / 60, 3)
    names = ["source", "kind", "at", "line", "meter", "reason", "parameters"]
    frame = pd.DataFrame(rows, columns=names).assign(enterprise=PLANT, since=pd.Timestamp("1970-01-01 08:00"))
    return frame.assign(sequence=np.arange(1, len(frame) + 1), received_at=frame["at"].dt.floor("s"))


def _missed(until: datetime) -> pd.DataFrame:
    """Give the readings of the paint shop that were not taken, and some of other points."""
    day = pd.Timestamp(until).normalize() - pd.Timedelta(days=1)
    rows = [("E13", day + pd.Timedelta(minutes=15 * i), 501) for i in range(9, 96)]
    rows += [("E12", day + pd.Timedelta(minutes=15 * i), 502) for i in range(30, 44)]
    rows += [("A01", day + pd.Timedelta(minutes=15 * i), 508) for i in (3, 17, 50)]
    frame = pd.DataFrame(rows, columns=["point", "first_at", "reason"])
    frame = frame.assign(enterprise=PLANT, last_at=frame["first_at"], count=1)
    return frame.assign(received_at=frame["first_at"] + pd.Timedelta(seconds=2))


def _point(enterprise: str, point: tuple) -> pd.DataFrame:
    names = ["point", "name", "name_en", "kind", "item", "unit", "decimals", "metering_level", "place"]
    row = dict(zip(names, point[:9], strict=True)) | {"enterprise": enterprise, "interval_s": 900}
    return pd.DataFrame([row | {"valid_from": pd.Timestamp("2017-01-01")}])


def _last_reading(
    enterprise: str, point: str, at: datetime, received: datetime | None = None
) -> pd.DataFrame:
    """Give the newest reading; history that is imported today is received today, or it would expire."""
    received = received or at + timedelta(seconds=40)
    return pd.DataFrame([{"enterprise": enterprise, "point": point, "read_at": at, "received_at": received}])


def _shape(starts: pd.DatetimeIndex, kind: str) -> np.ndarray:
    hour = starts.hour.to_numpy() + starts.minute.to_numpy() / 60
    week = np.where(starts.day_of_week.to_numpy() >= 5, 0.55, 1.0)
    if kind == "shift":
        return week * (
            0.62 + 0.3 * np.exp(-(((hour - 10) / 3.0) ** 2)) + 0.34 * np.exp(-(((hour - 15.5) / 2.8) ** 2))
        )
    return week * (0.16 + 0.92 / (1 + np.exp(-(hour - 7.6) * 2)) / (1 + np.exp((hour - 19) * 1.6)))


def _quarters(point: tuple, until: datetime, days: int, random: np.random.Generator) -> pd.DataFrame:
    first = pd.Timestamp(until).normalize() - pd.Timedelta(days=days - 1)
    starts = pd.date_range(first, pd.Timestamp(until), freq="15min", inclusive="left")
    n = len(starts)
    used = point[9] * _shape(starts, point[10]) * (1 + random.normal(0, 0.045, n))
    frame = _blank(point, starts)
    scale = 10 ** point[6]
    frame["received"], frame["good"], frame["covered_s"] = 1, 1, 900
    if point[3] == "gauge":
        frame["mean"], frame["low"], frame["high"], frame["last"] = (
            used,
            used * 0.94,
            used * 1.07,
            used * 1.01,
        )
    else:
        frame["used"] = np.round(used * scale).astype(np.int64)
    frame["due"] = 1
    return _defects(point[0], frame, until)


def _blank(point: tuple, starts: pd.DatetimeIndex) -> pd.DataFrame:
    frame = pd.DataFrame({"enterprise": PLANT, "point": point[0], "period_start": starts})
    for name in ("used", "estimated", "covered_s", "received", "due", *COUNTS, "reason"):
        frame[name] = 0
    for name in ("mean", "low", "high", "last"):
        frame[name] = np.nan
    frame["decimals"] = point[6]
    frame["known_at"] = frame["period_start"] + pd.Timedelta(minutes=16)
    return frame


def _defects(point: str, frame: pd.DataFrame, until: datetime) -> pd.DataFrame:
    """Put in what goes wrong: an estimated stretch, late arrivals, a silence, a suspect step."""
    clock = frame["period_start"].dt.strftime("%H:%M")
    ago = (pd.Timestamp(until).normalize() - frame["period_start"].dt.normalize()).dt.days

    def mark(rows: pd.Series, kind: str) -> None:
        frame.loc[rows, ["good", kind]] = [0, 1]

    if point in ("E01", "E12", "G01"):
        gone = (ago % 5 == 1) & (clock >= "10:15") & (clock < "12:00")
        frame.loc[gone, ["received", "good"]] = 0
        frame.loc[gone, "estimated"] = frame.loc[gone, "used"]
    if point in ("E01", "W01", "A01"):
        mark((ago % 4 == 1) & (clock >= "05:30") & (clock < "07:15"), "late")
    if point in ("E01", "H01"):
        mark((ago % 6 == 1) & (clock == "16:30"), "suspect")
    if point == "E11":
        mark((ago % 7 == 2) & (clock == "08:00"), "manual")
    silent = (
        (ago % 5 == 1) & (clock >= "19:30") & (clock < "21:15")
        if point in ("E01", "E11", "A01")
        else clock == ""
    )
    if point == "E13":
        silent = frame["period_start"] > pd.Timestamp(until) - pd.Timedelta(hours=31)
    return frame[~silent]


def _days(
    point: tuple, quarters: pd.DataFrame | None, until: datetime, days: int, random: np.random.Generator
) -> pd.DataFrame:
    """Sum the days that have quarters; make the earlier ones."""
    last = pd.Timestamp(until).normalize()
    starts = pd.date_range(last - pd.Timedelta(days=days - 1), last, freq="D")
    frame = _blank(point, starts)
    season = 1 + 0.14 * np.cos((starts.day_of_year.to_numpy() - 20) / 365 * 2 * np.pi)
    week = np.where(starts.day_of_week.to_numpy() >= 5, 0.58, 1.0)
    used = point[9] * 58 * season * week * (1 + random.normal(0, 0.05, len(starts)))
    frame["received"] = 96 - random.binomial(9, 0.04, len(starts)) * (random.random(len(starts)) < 0.3)
    frame.loc[random.random(len(starts)) < 0.012, "received"] = 41
    frame["due"], frame["good"], frame["covered_s"] = 96, frame["received"], 86_400
    if point[3] == "gauge":
        frame["mean"], frame["low"], frame["high"], frame["last"] = used / 58, used / 90, used / 40, used / 58
    else:
        frame["used"] = np.round(used * 10 ** point[6]).astype(np.int64)
        frame["estimated"] = np.where(
            frame["received"] < 94, frame["used"] * (96 - frame["received"]) // 96, 0
        )
    if quarters is not None:
        frame = _with_sums(frame, quarters)
    return _factored(frame, point[4])


def _with_sums(frame: pd.DataFrame, quarters: pd.DataFrame) -> pd.DataFrame:
    grouped = quarters.groupby(quarters["period_start"].dt.normalize())
    sums = grouped[["used", "estimated", "covered_s", "received", "due", *COUNTS]].sum()
    sums = sums.join(
        grouped[["mean", "last", "known_at"]].agg({"mean": "mean", "last": "last", "known_at": "max"})
    )
    sums["low"], sums["high"] = grouped["low"].min(), grouped["high"].max()
    sums["due"] = 96
    frame = frame.set_index("period_start")
    frame = frame[(frame.index < sums.index.min()) | frame.index.isin(sums.index)]  # a silent day has no row
    common = frame.index.intersection(sums.index)
    frame.loc[common, sums.columns] = sums.loc[common]
    return frame.reset_index().astype({"used": "int64", "estimated": "int64"})


def _factored(frame: pd.DataFrame, item: str) -> pd.DataFrame:
    amount = frame["used"] / 10 ** frame["decimals"]
    factors = FACTORS.get(item, (np.nan, np.nan, np.nan))
    for name, factor in zip(("coal_kgce", "coal_equal_kgce", "co2_kg"), factors, strict=True):
        frame[name] = amount * factor
    return frame


def _months(day: pd.DataFrame) -> pd.DataFrame:
    start = day["period_start"].dt.to_period("M").dt.to_timestamp()
    grouped = day.assign(period_start=start).groupby(["enterprise", "point", "period_start"], as_index=False)
    sums = (
        "used",
        "estimated",
        "covered_s",
        "received",
        "due",
        *COUNTS,
        "coal_kgce",
        "coal_equal_kgce",
        "co2_kg",
    )
    how = {n: pd.NamedAgg(n, lambda v: v.sum(min_count=1)) for n in sums}
    how |= {
        n: pd.NamedAgg(n, a) for n, a in (("mean", "mean"), ("low", "min"), ("high", "max"), ("last", "last"))
    }
    frame = grouped.agg(decimals=("decimals", "first"), known_at=("known_at", "max"), **how)
    frame["reason"] = 0
    return frame
