"""Data of `nengliu bench rollups`: meters with two registers and two powers each, read every minute.

One matrix of values is the truth; every path gets it in an order of arrival of its own cut (frames of many meters,
of few, single readings): nearly all within two minutes, one message in two hundred 20 to 60 minutes late, one in two
hundred twice.  What arrives, repetitions taken out, is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nengliu.analysis.catalogue import Catalogue
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.times import from_ms
from schemas.block import Sheaf
from schemas.messages import EnterpriseNotice, Frame, Notice, PointNotice, SchemaNotice

START_S = 1_767_225_600  # 2026-01-01 08:00 in China
INTERVAL_S = 60
MINUTES = 120
CHANNELS = 4
UNITS = ("kWh", "kWh", "kW", "kW")
DECIMALS = 2
PER_SHEAF = 65_536
WARM = 0.1
"""Part of the sheaves after which every list is at home; it is told apart."""
DELAY_S, LATE_S, RARE = 120.0, (1200.0, 3600.0), 0.005

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[np.generic]]
PointList = tuple[tuple[str, str], ...]


class Arrivals(NamedTuple):
    """Messages in order of arrival: each is one unit (a list, a meter, a point) at one minute."""

    minute: Ints
    unit: Ints
    at_s: Ints


@dataclass(frozen=True)
class Telemetry:
    """Values of `meters` x 4 channels over `minutes`, as ticks; columns: the channels of meter 0, of meter 1, ..."""

    meters: int
    minutes: int = MINUTES
    seed: int = 7

    @property
    def points(self) -> int:
        """Columns of the matrix."""
        return self.meters * CHANNELS

    @property
    def readings(self) -> int:
        """Readings in all, without repetitions."""
        return self.points * self.minutes

    @property
    def batch(self) -> int:
        """Readings that come together: 65,536, or a twentieth of all if that is less."""
        return min(PER_SHEAF, self.readings // 20)

    @cached_property
    def is_register(self) -> npt.NDArray[np.bool_]:
        """Which columns are registers, (points,)."""
        return np.arange(self.points) % CHANNELS < CHANNELS // 2

    @cached_property
    def values(self) -> Ints:
        """Ticks, (minutes, points)."""
        rng = np.random.default_rng(self.seed)
        load = rng.uniform(500, 50_000, self.points)
        power = load * np.abs(1 + 0.2 * rng.standard_normal((self.minutes, self.points)))
        register = rng.integers(10**5, 10**8, self.points) + np.cumsum(power / 60, axis=0)
        return np.where(self.is_register, register, power).round().astype(np.int64)

    def arrivals(self, units: int) -> Arrivals:
        """Order in which the messages of `units` senders arrive."""
        rng = np.random.default_rng(self.seed + units)
        minute, unit = (side.ravel() for side in np.mgrid[: self.minutes, :units])
        delay = rng.uniform(0, DELAY_S, len(unit))
        late = rng.random(len(unit)) < RARE
        delay[late] = rng.uniform(*LATE_S, int(late.sum()))
        twice = np.flatnonzero(rng.random(len(unit)) < RARE)
        again = delay[twice] + rng.uniform(0, DELAY_S, len(twice))
        minute, unit = np.concatenate([minute, minute[twice]]), np.concatenate([unit, unit[twice]])
        at_s = START_S + minute * INTERVAL_S + np.concatenate([delay, again])
        order = np.argsort(at_s, kind="stable")
        return Arrivals(minute[order], unit[order], at_s[order].astype(np.int64))

    def lists(self, width: int) -> tuple[PointList, ...]:
        """Point lists of `width` columns each; the number of a point is list x width + column."""
        names = tuple(f"p{column:03d}" for column in range(width))
        return tuple(tuple((code(i), name) for name in names) for i in range(self.points // width))

    def notices(self, width: int) -> Iterator[Notice]:
        """The catalogue of these lists: enterprise, points and column list of each."""
        meters = (Meter(0, UNITS[0], DECIMALS),)
        for number, points in enumerate(self.lists(width)):
            name = code(number)
            yield EnterpriseNotice(
                Enterprise(name, "基准测试", "Benchmark", "320000", "C3110", simulated=True)
            )
            for column, (_, point) in enumerate(points):
                kind = Kind.COUNTER if column % CHANNELS < CHANNELS // 2 else Kind.GAUGE
                yield PointNotice(_point(name, point, kind, meters))
            columns = (Column(point, UNITS[i % CHANNELS], DECIMALS) for i, (_, point) in enumerate(points))
            yield SchemaNotice(Schema(name, 1, tuple(columns)))

    def catalogue(self, width: int) -> Catalogue:
        """A catalogue that was told these points."""
        catalogue = Catalogue()
        for notice in self.notices(width):
            catalogue.take(notice, 1)
        return catalogue

    def rows(self, arrivals: Arrivals, width: int) -> Ints:
        """Values of messages of `width` columns, (messages, width)."""
        return self.values.reshape(self.minutes, -1, width)[arrivals.minute, arrivals.unit]

    def sheaves(self, width: int, first: int) -> list[Sheaf]:
        """Frames of `width` joined to sheaves, positions from `first` on."""
        lists, arrivals = self.lists(width), self.arrivals(self.points // width)
        units = (tuple((UNITS[i % CHANNELS], DECIMALS) for i in range(width)),) * len(lists)
        found, per = [], max(1, self.batch // width)
        for start in range(0, len(arrivals.unit), per):
            part = Arrivals(*(column[start : start + per] for column in arrivals))
            position = np.arange(first + start, first + start + len(part.unit)).astype(np.uint64)
            ticks = self.rows(part, width)
            found.append(
                Sheaf(
                    lists=lists,
                    row_list=part.unit.astype(np.int32),
                    read_at_ms=_at_ms(part),
                    received_at_s=part.at_s,
                    sequence=position,
                    position=position,
                    ticks=ticks,
                    sent=ticks,
                    units=units,
                )
            )
        return found

    def batches(self) -> list[pa.RecordBatch]:
        """Single readings as Arrow batches: point (int32), time [ms], ticks, receipt [s]."""
        arrivals = self.arrivals(self.points)
        table = as_table(
            {
                "point": arrivals.unit.astype(np.int32),
                "at": _at_ms(arrivals),
                "ticks": self.values[arrivals.minute, arrivals.unit],
                "received": arrivals.at_s,
            }
        )
        return list(table.to_batches(max_chunksize=self.batch))

    def frames(self, width: int) -> list[Frame]:
        """Messages of `width` columns in order of arrival."""
        arrivals = self.arrivals(self.points // width)
        at_ms, values = _at_ms(arrivals), self.rows(arrivals, width)
        return [
            Frame(code(unit), 1, "bench", number, received, at_ms[number : number + 1], values[number][None])
            for number, (unit, received) in enumerate(
                zip(arrivals.unit.tolist(), arrivals.at_s.tolist(), strict=True)
            )
        ]

    def columns(self) -> Columns:
        """The readings without repetitions, in order of time: point (int32), at [s], ticks."""
        point = np.tile(np.arange(self.points, dtype=np.int32), self.minutes)
        at = np.repeat(START_S + INTERVAL_S * np.arange(self.minutes), self.points)
        return {"point": point, "at": at, "ticks": self.values.ravel()}


def as_table(columns: Columns) -> pa.Table:
    """Columns as an Arrow table, not copied."""
    return pa.table({name: pa.array(column) for name, column in columns.items()})


def code(number: int) -> str:
    """Code of the number-th sender."""
    return f"91320000{number:010d}"


def json_matrix(frame: Frame) -> bytes:
    """A frame as JSON by column list."""
    head = _json_head(frame) | {"schema": 1, "times": [from_ms(int(frame.read_at_ms[0])).isoformat()]}
    values = ",".join(f"{value:.2f}" for value in (frame.values[0] / 10**DECIMALS).tolist())
    return msgspec.json.encode(head)[:-1] + b',"values":[[' + values.encode() + b"]]}"


def json_readings(frame: Frame) -> bytes:
    """A frame as JSON, one object for each reading."""
    at = from_ms(int(frame.read_at_ms[0])).isoformat()
    values = (frame.values[0] / 10**DECIMALS).tolist()
    parts = (
        f'{{"v":1,"enterprise":"{frame.enterprise}","point":"p{column:03d}","unit":"{UNITS[column % CHANNELS]}",'
        f'"read_at":"{at}","value":{value:.2f}}}'
        for column, value in enumerate(values)
    )
    return b"[" + ",".join(parts).encode() + b"]"


def _json_head(frame: Frame) -> dict[str, object]:
    received = from_ms(frame.received_at_s * 1000).isoformat()
    return {"v": 1, "enterprise": frame.enterprise, "source": frame.source, "received_at": received}


def _at_ms(arrivals: Arrivals) -> Ints:
    return (START_S + INTERVAL_S * arrivals.minute) * 1000


def _point(enterprise: str, point: str, kind: Kind, meters: tuple[Meter, ...]) -> Point:
    is_register = kind is Kind.COUNTER
    return Point(
        enterprise,
        point,
        f"测点{point}",
        kind,
        "electricity" if is_register else "active_power",
        UNITS[0 if is_register else CHANNELS - 1],
        DECIMALS,
        interval_s=INTERVAL_S,
        hold_s=INTERVAL_S,
        metering_level=1 if is_register else 0,
        meters=meters if is_register else (),
    )
