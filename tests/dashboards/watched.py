"""The small province under watch: more incidents of every kind and state, with the readings that prove them.

What is judged against the clock lies beside the real now.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nengliu.accounts import Account, Role
from nengliu.settings import Settings
from nengliu.storage import connect, migrate
from tests.dashboards.province import CHEMICAL, GLASS, MILL, POWER, SMELTER, STEEL, tables

SCRIPT = "<script>alert(1)</script>"
NEVER = "1970-01-01 08:00:00"
STOOD_STILL, LINE_LOST, SHELVED, DONE, UNNAMED = (f"{n:016x}" for n in (0xA1, 0xA2, 0xA3, 0xA4, 0xA5))
PEOPLE = (
    Account("chief", "省局值班", Role.OPERATOR),
    Account("south", "南屏分析", Role.ANALYST, region="9902"),
    Account("north", "北河监察", Role.ENFORCEMENT, region="9901"),
    Account("glass", "玻璃厂能源管理", Role.ENTERPRISE, enterprise=GLASS),
)
"""One account per role, as they fit the province."""


def now() -> datetime:
    """Give the China civil time without zone."""
    return datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None, microsecond=0)


def settle(settings: Settings, at: datetime | None = None) -> None:
    """Lay the tables and write the province with all that the watch found."""
    at = at or now()
    rows = tables(at)
    more = {
        "incident": incidents(at),
        "incident_event": journal(at),
        "window_15min": quarters(at),
        "reading_chunk": readings(at),
        "quarantine": quarantine(at),
    }
    write(settings, rows)
    write(settings, more)


def write(settings: Settings, rows: dict[str, pd.DataFrame]) -> None:
    """Write rows by table; columns that are left out keep the default of the table."""
    client = connect(settings)
    migrate(client, settings.database)
    for table, frame in rows.items():
        lines = frame.to_json(orient="records", lines=True, date_format="iso", force_ascii=False)
        options = {"date_time_input_format": "best_effort"}
        client.raw_insert(table, insert_block=lines.encode(), fmt="JSONEachRow", settings=options)
    client.close()


def incident(name: str, at: datetime, **given: Any) -> dict[str, Any]:
    """Make one incident; whatever is not given is a stuck register of the steel works since five hours."""
    begun = at - timedelta(hours=given.pop("hours", 5.0))
    row: dict[str, Any] = {
        "enterprise": STEEL,
        "incident": name,
        "class": "meter",
        "cause": 203,
        "severity": 1,
        "state": "active_unack",
        "shelved_until": NEVER,
        "shelve_reason": "",
        "root": "point",
        "source": "gw-1",
        "line": "rs485-1",
        "meter": "101",
        "point": "P02",
        "members": ["P02"],
        "opened_at": str(begun),
        "raised_at": str(begun + timedelta(minutes=40)),
        "cleared_at": NEVER,
        "updated_at": str(begun + timedelta(minutes=50)),
        "acknowledged_at": NEVER,
        "acknowledged_by": "",
        "closed_at": NEVER,
        "closed_by": "",
        "comment": "",
        "evidence": evidence("STOOD_STILL", begun, value="12345.00 m3", seconds=14_400),
        "count": 4,
        "revision": 20,
    }
    return row | given


def evidence(code: str, at: datetime, **parameters: object) -> str:
    """Write one piece of evidence as the store keeps it."""
    at_ms = int(at.replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    return json.dumps([{"code": code, "at_ms": at_ms, "parameters": parameters}])


def incidents(at: datetime) -> pd.DataFrame:
    """Give one of every kind: a stuck meter, a lost line with its meters, shelved, closed, and a nameless one."""
    hour = timedelta(hours=1)
    lost = {
        "class": "link",
        "cause": 102,
        "root": "line",
        "enterprise": GLASS,
        "meter": "",
        "point": "",
        "members": ["P01", "P02", "P03"],
        "evidence": evidence("LINE_DOWN", at - 2 * hour, line="rs485-1", reason="LINE_DOWN"),
        "hours": 2.0,
    }
    shelved = {
        "class": "configuration",
        "cause": 303,
        "severity": 2,
        "enterprise": MILL,
        "point": "P01",
        "shelved_until": str(at + 8 * hour),
        "shelve_reason": f"检修 {SCRIPT}",
        "hours": 30.0,
    }
    done = {
        "class": "power",
        "cause": 401,
        "severity": 2,
        "enterprise": CHEMICAL,
        "state": "closed",
        "cleared_at": str(at - 20 * hour),
        "closed_at": str(at - 19 * hour),
        "closed_by": "north",
        "comment": "现场核实为计划停电",
        "hours": 26.0,
    }
    nameless = {
        "cause": 999,
        "class": "strange",
        "severity": 3,
        "enterprise": POWER,
        "point": "GONE",
        "members": ["GONE"],
        "evidence": json.dumps([{"code": SCRIPT, "parameters": {"x": SCRIPT}}]),
    }
    return pd.DataFrame(
        [
            incident(STOOD_STILL, at),
            incident(LINE_LOST, at, **lost),
            incident(SHELVED, at, **shelved),
            incident(DONE, at, **done),
            incident(UNNAMED, at, **nameless),
        ]
    )


def many(at: datetime, count: int, hours: float = 3.0) -> pd.DataFrame:
    """Give a flood: so many damaged answers of one collector of the smelter."""
    flood = {
        "class": "link",
        "cause": 104,
        "severity": 2,
        "enterprise": SMELTER,
        "source": "gw-7",
        "point": "",
    }
    return pd.DataFrame(
        [
            incident(f"{0xF000 + n:016x}", at, **flood, meter=f"{n:03d}", hours=hours, raised_at=str(at))
            for n in range(count)
        ]
    )


def journal(at: datetime) -> pd.DataFrame:
    """Give what happened to the closed one."""
    told = [
        ("opened", "", {"evidence": "POWER_GONE", "parent": "P01"}, 26),
        ("cleared", "", {}, 20),
        ("acknowledged", "north", {}, 19.5),
        ("shelved", "north", {"reason": "x", "until_s": "1800000000"}, 19.2),
        ("closed", "north", {"reason": f"计划停电 {SCRIPT}"}, 19),
    ]
    return pd.DataFrame(
        [
            {
                "enterprise": CHEMICAL,
                "incident": DONE,
                "position": 30 + n,
                "item": 0,
                "at": str(at - timedelta(hours=hours)),
                "what": what,
                "by": by,
                "cause": 401,
                "parameters": json.dumps(given),
            }
            for n, (what, by, given, hours) in enumerate(told)
        ]
    )


def _starts(at: datetime, days: int = 3) -> pd.DatetimeIndex:
    last = pd.Timestamp(at).floor("15min")
    return pd.date_range(last - pd.Timedelta(days=days), last, freq="15min", inclusive="left")


def quarters(at: datetime) -> pd.DataFrame:
    """Give the quarter-hours of the last days: the lost line is silent, the stuck register uses nothing."""
    starts = _starts(at)
    rows = [
        _point_quarters(enterprise, point, starts, scale)
        for enterprise in (STEEL, GLASS)
        for point, scale in (("P01", 9000.0), ("P02", 400.0), ("P03", 2.5), ("P05", 60.0))
    ]
    frame = pd.concat(rows, ignore_index=True)
    began = pd.to_datetime(frame["period_start"])
    stuck = (frame["enterprise"] == STEEL) & (frame["point"] == "P02") & (began > at - timedelta(hours=5))
    frame.loc[stuck, "used"] = 0
    gone = (frame["enterprise"] == GLASS) & frame["point"].isin(["P01", "P02", "P03"])
    return frame[~(gone & (began > at - timedelta(hours=2)))]


def _point_quarters(enterprise: str, point: str, starts: pd.DatetimeIndex, scale: float) -> pd.DataFrame:
    hour = starts.hour.to_numpy() + starts.minute.to_numpy() / 60
    wave = 0.6 + 0.4 * np.exp(-(((hour - 13) / 5) ** 2)) + 0.05 * np.sin(np.arange(len(starts)) * 2.1)
    used = np.round(scale * wave * 100).astype(int)
    return pd.DataFrame(
        {
            "enterprise": enterprise,
            "point": point,
            "period_start": starts.strftime("%Y-%m-%d %H:%M:%S"),
            "used": used,
            "decimals": 2,
            "mean": "nan",
            "covered_s": 900,
            "received": 1,
            "due": 1,
            "good": 1,
            "known_at": str(starts[-1]),
            "revision": 11,
        }
    )


def readings(at: datetime) -> pd.DataFrame:
    """Give the registers behind those quarter-hours, hour by hour; three readings before the stuck one were lost."""
    frame = quarters(at)
    frame = frame[frame["enterprise"] == STEEL].copy()
    frame["ticks"] = frame.groupby("point")["used"].cumsum() + 1_000_000
    began = pd.to_datetime(frame["period_start"])
    lost = (frame["point"] == "P02") & (began > at - timedelta(hours=7)) & (began < at - timedelta(hours=6))
    kept = frame[~lost].assign(began=began)
    hours = kept.groupby(["enterprise", "point", kept["began"].dt.floor("h")])
    rows = [
        {
            "enterprise": enterprise,
            "point": point,
            "period_start": str(hour),
            "at": [int((each - hour).total_seconds() * 1000) for each in part["began"]],
            "ticks": part["ticks"].tolist(),
            "received_at": [int(each.tz_localize("Asia/Shanghai").timestamp()) for each in part["began"]],
            "sequence": [1] * len(part),
            "position": [12] * len(part),
            "revision": 12,
        }
        for (enterprise, point, hour), part in hours
    ]
    return pd.DataFrame(rows)


def quarantine(at: datetime) -> pd.DataFrame:
    """Give what was held back: an undeclared point, and stamps in the future."""
    told = [(301, {"point": SCRIPT}, 7), (306, {"got": "2031-01-01", "limit": "2026-01-01"}, 2)]
    return pd.DataFrame(
        [
            {
                "position": 100 * reason + n,
                "item": n,
                "partition": 0,
                "enterprise": STEEL,
                "point": "X",
                "source": "gw-1",
                "reason": reason,
                "parameters": json.dumps(given),
                "payload": "",
                "received_at": str(at - timedelta(hours=n + 1)),
            }
            for reason, given, count in told
            for n in range(count)
        ]
    )
