"""The injected faults and the heating plant's outages as messages of the log, and incidents as the score wants them.

A point exists as long as its series: sites and sensors of these extracts end at different dates.
What is commissioned of a meter (its rated power) is seen in its clean training days only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.quality import Origin
from schemas.messages import (
    EnterpriseNotice,
    Message,
    PointNotice,
    RowsFrame,
    SchemaNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    encode,
)

Messages = Iterator[tuple[str, bytes]]
ENTERPRISES = {
    "inj_dev": "91990000MA0PRV00A1",
    "inj_dev_hard": "91990000MA0PRV00B2",
    "ubc": "91990000MA0PRV00C3",
}
UBC = "ubc_heatplant_cov_2021.parquet"
INTERVAL_S, STEPS = 900, 100
HEADROOM = 1.25
"""Rated power over the highest quarter-hour of the clean training days: supply contracts leave a quarter of room."""
PER_MESSAGE_S = 3600
CLASSES = {"link": "comm", "meter": "device"}


def messages(folder: Path, name: str) -> Messages:
    """Tell a set into the log: its catalogue, then its readings in the order of receipt."""
    told = ubc(folder) if name == "ubc" else injected(folder, name)
    for message in told:
        yield ENTERPRISES[name], encode(message)


def injected(folder: Path, name: str) -> Iterator[Message]:
    """Messages of an injection set: an hour's receipts of all meters in each."""
    meters = pd.read_csv(folder / f"{name}_meters.csv")
    records = pd.read_parquet(folder / f"{name}_records.parquet").sort_values("t_recv", kind="stable")
    enterprise = ENTERPRISES[name]
    yield EnterpriseNotice(Enterprise(enterprise, "注入数据集", name, "990100", "C31", simulated=True))
    for meter in meters.itertuples():
        training = records[(records.meter_id == meter.meter_id) & (records.t_dev < meter.test_from_ts)]
        yield PointNotice(_point(enterprise, meter, training))
    yield SchemaNotice(Schema(enterprise, 1, tuple(Column(meter, "kWh", 2) for meter in meters.meter_id)))
    for gateway, group in meters.groupby("gateway_id"):
        wired = tuple(WiredMeter(meter, (meter,)) for meter in group.meter_id)
        yield WiringNotice(enterprise, str(gateway), (WiredLine("line", wired),))
    number = {meter: i for i, meter in enumerate(meters.meter_id)}
    rows = pd.DataFrame(
        {
            "column": records.meter_id.map(number).astype(np.uint32),
            "at_s": records.t_dev,
            "value": np.rint(records.reg * STEPS).astype(np.int64),
            "received_s": records.t_recv,
        }
    )
    yield from _frames(enterprise, rows, PER_MESSAGE_S)


def _point(enterprise: str, meter: object, training: pd.DataFrame) -> Point:
    multiplier = int(meter.multiplier)  # type: ignore[attr-defined]
    modulus = round(meter.register_capacity * STEPS)  # type: ignore[attr-defined]
    steps = np.diff(np.rint(training.sort_values("t_dev").reg * STEPS))
    most = steps[steps >= 0].max() * multiplier
    return Point(
        enterprise,
        str(meter.meter_id),  # type: ignore[attr-defined]
        str(meter.meter_id),  # type: ignore[attr-defined]
        Kind.COUNTER,
        "electricity",
        "kWh",
        2,
        INTERVAL_S,
        valid_to_ms=int(meter.last_ts) * 1000 + 1,  # type: ignore[attr-defined]
        meters=(Meter(0, "kWh", 2, multiplier, modulus),),
        rated=round(most * HEADROOM * 3600 / INTERVAL_S),
    )


def ubc(folder: Path) -> Iterator[Message]:
    """Messages of the heating plant's change-of-value telemetry, received three seconds after each stamp."""
    records = pd.read_parquet(folder / UBC)
    records["at_s"] = records.ts_utc.to_numpy("datetime64[s]").astype(np.int64)
    records = records.sort_values("at_s", kind="stable")
    enterprise, points = ENTERPRISES["ubc"], sorted(records.point.unique())
    yield EnterpriseNotice(Enterprise(enterprise, "供热站", "Heating plant", "990100", "D44", simulated=True))
    for point in points:
        of_point = records[records.point == point].at_s
        span = int(of_point.min()) * 1000, int(of_point.max()) * 1000 + 1
        yield PointNotice(
            Point(
                enterprise,
                point,
                point,
                Kind.GAUGE,
                "temperature",
                "1",
                3,
                0,
                valid_from_ms=span[0],
                valid_to_ms=span[1],
            )
        )
    yield SchemaNotice(Schema(enterprise, 1, tuple(Column(point, "1", 3) for point in points)))
    wired = tuple(WiredMeter(point, (point,)) for point in points)
    yield WiringNotice(enterprise, "ems", (WiredLine("bus", wired),))
    number = {point: i for i, point in enumerate(points)}
    rows = pd.DataFrame(
        {
            "column": records.point.map(number).astype(np.uint32),
            "at_s": records.at_s,
            "value": np.rint(records.value * 1000).astype(np.int64),
            "received_s": records.at_s + 3,
        }
    )
    yield from _frames(enterprise, rows, PER_MESSAGE_S)


def _frames(enterprise: str, rows: pd.DataFrame, every_s: int) -> Iterator[RowsFrame]:
    for sequence, (_, part) in enumerate(rows.groupby(rows.received_s // every_s), 1):
        n = len(part)
        yield RowsFrame(
            enterprise,
            1,
            "proof",
            sequence,
            part["column"].to_numpy(),
            part.at_s.to_numpy() * 1000,
            part.value.to_numpy(),
            part.received_s.to_numpy(),
            np.zeros(n, np.uint8),
            np.zeros(n, np.uint16),
            Origin.TIMED,
        )


def scored(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Incidents as `nengliu query incidents` gives them, one row per member, as `score_inject.py` takes them."""
    columns = ["meter_id", "start", "end", "raised", "cls"]
    found = [
        (member, _s(row["opened_at"]), _s(row["cleared_at"] or row["updated_at"]), _s(row["raised_at"]), cls)
        for row in rows
        if (cls := CLASSES.get(str(row["class"])))
        for member in row["members"]  # type: ignore[attr-defined]
    ]
    return pd.DataFrame(found, columns=columns)


def _s(instant: object) -> float:
    """Second of an instant as the query writes it."""
    return pd.Timestamp(str(instant)).timestamp()
