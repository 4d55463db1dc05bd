"""A small province as rows of the store: three cities, seven enterprises, regions, targets, activity and incidents.

Deterministic; all its sums can be said by hand from `daily`.  What is judged against the clock of the reader (who is
online, which incident is fresh) lies beside the real now.
"""

# ruff: noqa: DTZ001 - rows carry naive China civil time
from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd

from nengliu.domain.points import Kind, Meter, Point
from nengliu.settings import Settings
from nengliu.storage import connect, migrate

UNTIL = datetime(2026, 3, 18, 9, 15)
FIRST = datetime(2024, 1, 1)
PROVINCE, NORTH, SOUTH, EAST = "990000", "990100", "990200", "990300"
STEEL, GLASS, CHEMICAL, SMELTER, MILL, POWER, NEW = (f"9199{n}000MA1NLDEMO{n}" for n in range(1, 8))

REGIONS = [  # region, name, name_en, parent, row, column
    (PROVINCE, "云川省（模拟）", "Yunchuan (simulated)", "", 0, 0),
    (NORTH, "北河市", "Beihe", PROVINCE, 1, 1),
    (SOUTH, "南屏市", "Nanping", PROVINCE, 2, 2),
    (EAST, "<东>港市", "Donggang", PROVINCE, 1, 3),
]
# enterprise, name, name_en, region, industry, size, growth of this year over last year
ENTERPRISES = [
    (STEEL, "北河钢铁（模拟）", "Beihe Steel (simulated)", NORTH, "C3110", 9.0, 0.06),
    (GLASS, "北河玻璃（模拟）", "Beihe Glass (simulated)", NORTH, "C3041", 2.0, -0.02),
    (CHEMICAL, "南屏化工（模拟）", "Nanping Chemical (simulated)", SOUTH, "C2614", 5.0, 0.01),
    (SMELTER, "南屏铜业（模拟）", "Nanping Copper (simulated)", SOUTH, "C3211", 3.0, -0.01),
    (MILL, "东港<水泥>（模拟）", "Donggang <Cement> (simulated)", EAST, "C3011", 4.0, -0.08),
    (POWER, "东港热电（模拟）", "Donggang Power (simulated)", EAST, "D4412", 6.0, -0.03),
    (NEW, "东港新厂（模拟）", "Donggang New Works (simulated)", EAST, "C3011", 0.0, 0.0),
]
SILENT = SMELTER  # has not been heard for two days; the new works never were
# item, unit, decimals, kgce per unit, amount per day and size, metering level
ITEMS = [
    ("electricity", "kWh", 2, 0.1229, 40_000.0, 1),
    ("natural_gas", "m3", 2, 1.2143, 2_000.0, 1),
    ("raw_coal", "t", 3, 714.3, 12.0, 1),
    ("coke_oven_gas", "m3", 2, float("nan"), 900.0, 1),  # has no factor here: only at the steel works
    ("water", "t", 2, 0.2571, 300.0, 1),  # no energy: never counts
    ("electricity", "kWh", 2, 0.1229, 25_000.0, 2),  # below the boundary: never counts
]
TARGET_TCE = {PROVINCE: 166_000.0, NORTH: 62_600.0, SOUTH: 46_200.0, EAST: 57_500.0}


def settle(settings: Settings) -> None:
    """Lay the tables and write every row."""
    client = connect(settings)
    migrate(client, settings.database)
    for table, frame in tables().items():
        rows = frame.to_json(orient="records", lines=True, date_format="iso", force_ascii=False)
        body = rows.replace("T00:00:00.000", " 00:00:00").encode()
        client.raw_insert(
            table, insert_block=body, fmt="JSONEachRow", settings={"date_time_input_format": "best_effort"}
        )
    client.close()


def tables(now: datetime | None = None) -> dict[str, pd.DataFrame]:
    """Give the rows by table; columns that are left out keep the default of the table."""
    now = now or datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None, microsecond=0)
    day = daily()
    return {
        "region": _frame(REGIONS, "region name name_en parent row column").assign(position=1),
        "enterprise": _frame(ENTERPRISES, "enterprise name name_en region industry size growth")
        .drop(columns=["size", "growth"])
        .assign(position=2, simulated=True),
        "point": _points(),
        "point_newest": _newest(now),
        "window_day": _windows(day),
        "window_month": _windows(_months(day)),
        "target": _targets(day),
        "activity": _activity(),
        "incident": _incidents(now),
        "incident_event": _events(now),
    }


def daily() -> pd.DataFrame:
    """Give what each point used on each day, and its standard coal [kgce], with the place of the point."""
    days = pd.date_range(FIRST, UNTIL, freq="D")
    season = 1 + 0.1 * np.cos((days.day_of_year.to_numpy() - 20) / 365 * 2 * np.pi)
    rows = []
    for enterprise, _, _, region, industry, size, growth in ENTERPRISES[:-1]:
        for n, (item, unit, decimals, factor, amount, level) in enumerate(ITEMS):
            if item == "coke_oven_gas" and enterprise != STEEL:
                continue
            used = amount * size * season * np.where(days.year == 2026, 1 + growth, 1.0)
            used = np.round(np.where(days == days[-1], used * 0.38, used), decimals)
            place = {"enterprise": enterprise, "region": region, "industry": industry, "level": level}
            about = {"point": f"P{n + 1:02d}", "item": item, "unit": unit, "decimals": decimals}
            rows.append(
                pd.DataFrame({**place, **about, "period_start": days, "used": used, "coal": used * factor})
            )
    return pd.concat(rows, ignore_index=True)


def _frame(rows: list[tuple[Any, ...]], columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def _points() -> pd.DataFrame:
    first = daily().drop_duplicates(["enterprise", "point"])
    frame = first[["enterprise", "point", "item", "unit", "decimals"]]
    names = {"electricity": "总进线", "natural_gas": "天然气总表", "raw_coal": "入炉煤", "water": "新水总表"}
    found = frame.assign(
        position=3,
        name=frame["item"].map(names).fillna(frame["item"]),
        name_en=frame["item"],
        kind="counter",
        interval_s=900,
        metering_level=first["level"],
        place="plant",
        valid_from="2017-01-01 00:00:00",
    )
    return found.assign(definition=[_definition(row) for _, row in found.iterrows()])


def _definition(row: pd.Series) -> str:
    """Give the whole point as its notice said it."""
    names = ("enterprise", "point", "name", "name_en", "item", "unit")
    numbers = {name: int(row[name]) for name in ("decimals", "interval_s", "metering_level")}
    meter = Meter(0, str(row["unit"]), numbers["decimals"])
    point = Point(**{name: str(row[name]) for name in names}, kind=Kind.COUNTER, meters=(meter,), **numbers)
    return msgspec.json.encode(point).decode()


def _newest(now: datetime) -> pd.DataFrame:
    """Online ones are received up to an hour ahead, so that the tests may take their time."""
    frame = daily().drop_duplicates(["enterprise", "point"])[["enterprise", "point"]]
    gone = frame["enterprise"] == SILENT
    received = np.where(gone, str(now - timedelta(days=2)), str(now + timedelta(minutes=50)))
    read = np.where(gone, str(UNTIL - timedelta(days=2)), str(UNTIL))
    return frame.assign(first_read_at=str(FIRST), last_read_at=read, last_received_at=received)


def _windows(day: pd.DataFrame) -> pd.DataFrame:
    """Give the window rows; of the glass works a twentieth is missing and spread over the gaps."""
    thin = day["enterprise"] == GLASS
    days = day["days"] if "days" in day else pd.Series(1, index=day.index)
    ticks = np.round(day["used"] * 10.0 ** day["decimals"]).astype("int64")
    received = np.where(thin, 91, 96) * days
    return pd.DataFrame(
        {
            "enterprise": day["enterprise"],
            "point": day["point"],
            "period_start": day["period_start"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            "used": ticks,
            "estimated": np.where(thin, ticks // 20, 0),
            "decimals": day["decimals"],
            "covered_s": 86_400 * days,
            "received": received,
            "due": 96 * days,
            "good": received,
            "coal_kgce": day["coal"].map(lambda v: "nan" if np.isnan(v) else v),
            "known_at": str(UNTIL),
            "revision": 10,
            "book": "test",
        }
    )


def _months(day: pd.DataFrame) -> pd.DataFrame:
    start = day["period_start"].dt.to_period("M").dt.to_timestamp()
    keys = ["enterprise", "point", "item", "decimals", "period_start"]
    grouped = day.assign(period_start=start, days=1).groupby(keys, as_index=False)
    return grouped.agg(
        used=("used", "sum"), coal=("coal", lambda v: v.sum(min_count=1)), days=("days", "sum")
    )


def _targets(day: pd.DataFrame) -> pd.DataFrame:
    """Give the regions' own targets, and 98 % of last year to each enterprise but the power plant."""
    boundary = day[(day["level"] == 1) & (day["item"] != "water") & (day["period_start"].dt.year == 2025)]
    last = boundary.groupby(["region", "enterprise"])["coal"].sum() / 1000
    rows = [(region, "", value) for region, value in TARGET_TCE.items()]
    rows += [(r, e, round(v * 0.98, 1)) for (r, e), v in last.items() if e != POWER]
    frame = pd.DataFrame(rows, columns=["region", "enterprise", "value"])
    return frame.assign(metric="energy_total", period="2026", unit="tce", source="test", position=5)


def _activity() -> pd.DataFrame:
    """Give the value added of each month up to February 2026, growing by 5 % a year; the power plant reports none."""
    rows = [
        (enterprise, "value_added", f"{month:%Y-%m}", size * 1000 * 1.05 ** (month.year - 2024), "10k CNY")
        for enterprise, _, _, _, _, size, _ in ENTERPRISES[:-1]
        if enterprise != POWER
        for month in pd.date_range(FIRST, "2026-02-01", freq="MS")
    ]
    return _frame(rows, "enterprise measure period value unit").assign(source="test", position=6)


# enterprise, class, cause, severity, state, root, source, line, meter, point, hours since it began, hours it lasted
INCIDENTS = [
    (SMELTER, "link", 101, 1, "active_unack", "collector", "gw-1", "", "", "", 48.0, 0.0),
    (STEEL, "meter", 203, 2, "active_unack", "point", "gw-1", "rs485-1", "101", "P02", 5.0, 0.0),
    (GLASS, "link", 103, 2, "active_ack", "meter", "gw-1", "rs485-1", "102", "P01", 30.0, 0.0),
    (CHEMICAL, "meter", 202, 1, "cleared_unack", "point", "gw-2", "rs485-2", "201", "P03", 80.0, 3.0),
    (MILL, "configuration", 301, 3, "active_unack", "point", "gw-1", "rs485-1", "101", "P01", 200.0, 0.0),
    (POWER, "link", 105, 3, "closed", "collector", "gw-1", "", "", "", 300.0, 20.0),
]


def incident_id(n: int) -> str:
    """Give the id of the n-th incident."""
    return f"{n + 1:016x}"


def _incidents(now: datetime) -> pd.DataFrame:
    columns = "enterprise class cause severity state root source line meter point began lasted"
    frame = _frame(INCIDENTS, columns)
    opened = [now - timedelta(hours=h) for h in frame["began"]]
    cleared = [
        str(o + timedelta(hours=h)) if h else "1970-01-01 08:00:00"
        for o, h in zip(opened, frame["lasted"], strict=True)
    ]
    evidence = json.dumps([{"code": "SILENT", "at_ms": 1_773_800_000_000, "parameters": {"minutes": "45"}}])
    closed = [
        c if s == "closed" else "1970-01-01 08:00:00" for c, s in zip(cleared, frame["state"], strict=True)
    ]
    return frame.drop(columns=["began", "lasted"]).assign(
        incident=[incident_id(n) for n in range(len(frame))],
        members=[["P01", "P02", "P03"] if p == "" else [p] for p in frame["point"]],
        opened_at=[str(o) for o in opened],
        raised_at=[str(o + timedelta(minutes=20)) for o in opened],
        cleared_at=cleared,
        closed_at=closed,
        updated_at=[str(o + timedelta(minutes=30)) for o in opened],
        acknowledged_at=[str(now) if s == "active_ack" else "1970-01-01 08:00:00" for s in frame["state"]],
        acknowledged_by=["zhang" if s == "active_ack" else "" for s in frame["state"]],
        evidence=evidence,
        count=3,
        revision=7,
    )


def _events(now: datetime) -> pd.DataFrame:
    frame = _incidents(now)
    return pd.DataFrame(
        {
            "enterprise": frame["enterprise"],
            "incident": frame["incident"],
            "position": 7,
            "item": 0,
            "at": frame["raised_at"],
            "what": "opened",
            "by": "",
            "cause": frame["cause"],
            "parameters": "{}",
        }
    )
