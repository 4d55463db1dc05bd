"""ClickHouse as a peer, in an embedded store of its own: GROUP BY over a plain table, over our raw chunks, and a view.

The CPU of the store counts, merges included; what it costs to send the readings there counts for the materialized view
alone, which computes while they come.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from nengliu import settings as own_settings
from nengliu.analysis.intake.shard import IngestShard
from nengliu.cli.bench_chain import environment, serving, settle
from nengliu.cli.bench_data import Telemetry, as_table
from nengliu.cli.bench_equal import Windows, compare
from nengliu.cli.bench_ours import WIDTH, in_turn, records_of
from nengliu.cli.bench_peers import REPEATS, Truth, ticks_windows
from nengliu.cli.bench_report import Figure
from nengliu.domain.times import Level
from nengliu.settings import Settings
from nengliu.storage import Writer, connect, disconnect, migrate

TICK_S = 0.01
"""Least CPU time the system tells of another process [s]."""
BLOCK_ROWS = 100_000
"""Rows of an insert while a materialized view computes."""
WINDOWS = """(
    point UInt32, start_s UInt32, received UInt64, mean Float64, low Int64, high Int64, first Int64, last Int64
) ENGINE = Memory"""
AGGREGATES = {
    "received": "count()",
    "mean": "avg(ticks)",
    "low": "min(ticks)",
    "high": "max(ticks)",
    "first": "argMin(ticks, at)",
    "last": "argMax(ticks, at)",
}
_SELECT = ", ".join(f"{what} AS {name}" for name, what in AGGREGATES.items())
_LATE = (
    "SELECT point, start_s, received, mean, low, high, last, "
    "if(start_s = max(start_s) OVER (PARTITION BY point), last, "
    "leadInFrame(first) OVER (PARTITION BY point ORDER BY start_s ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)) "
    "- first AS used "
    "FROM bench_window"
)
"""Windows with the consumption from register to register."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running store and its client."""

    settings: Settings
    process: psutil.Process
    client: Any

    def cpu_s(self, work: Callable[[], object]) -> float:
        """CPU-seconds of the store while it does some work, merges included; the system counts in ticks."""
        before: float = sum(self.process.cpu_times()[:2])
        work()
        settle(self.client)
        after: float = sum(self.process.cpu_times()[:2])
        return max(after - before, TICK_S)

    def grouped(self, statement: str) -> float:
        """Fill the windows by a SELECT; CPU of the best of some runs."""
        self.client.command(f"CREATE TABLE IF NOT EXISTS bench_window {WINDOWS}")
        runs = []
        for _ in range(REPEATS):
            self.client.command("TRUNCATE TABLE bench_window")
            runs.append(self.cpu_s(lambda: self.client.command(f"INSERT INTO bench_window {statement}")))
        return min(runs)

    def figure(self, name: str, cpu_s: float, data: Telemetry, expected: Windows) -> Figure:
        """The figure, once the windows were found to be right."""
        found = self.client.query_arrow(_LATE)
        compare(
            name,
            Level.QUARTER,
            ticks_windows({c: found.column(c).to_numpy() for c in found.column_names}),
            expected,
        )
        return Figure(name, data.readings, cpu_s, note=str(self.client.server_version))


def clickhouse(data: Telemetry, truth: Truth, way: str) -> Figure:
    """One of `WAYS`, in a store of its own."""
    with _store() as store:
        return WAYS[way](store, data, truth[Level.QUARTER])


@contextmanager
def _store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        settings = own_settings.load(environment(Path(folder), ""))
        with serving(settings) as process:
            client = connect(settings)
            migrate(client, settings.database)
            yield Store(settings, process, client)
            disconnect(client)


def _plain(store: Store, data: Telemetry, expected: Windows) -> Figure:
    store.client.command(
        "CREATE TABLE bench_reading (point UInt32, at UInt32, ticks Int64) ENGINE = MergeTree ORDER BY (point, at)"
    )
    store.client.insert_arrow("bench_reading", _table(data))
    settle(store.client)
    cpu_s = store.grouped(
        f"SELECT point, intDiv(at, 900) * 900 AS start_s, {_SELECT} FROM bench_reading GROUP BY point, start_s"
    )
    return store.figure("ClickHouse GROUP BY", cpu_s, data, expected)


def _chunks(store: Store, data: Telemetry, expected: Windows) -> Figure:
    """Our own raw readings, as ingest lays them down, by way of the view `reading`."""
    notices, messages = records_of(data, "frames of 400")
    ingest = IngestShard()
    ingest.add(notices)
    with Writer(store.settings) as writer:
        for item in in_turn(messages, data):
            for rows in ingest.add(item).rows:
                if rows.table == "reading_chunk":
                    writer.write(rows)
    settle(store.client)
    point = f"toUInt32(substring(enterprise, 9)) * {WIDTH} + toUInt32(substring(point, 2)) AS point"
    inner = (
        f"SELECT enterprise, point, intDiv(toUnixTimestamp(read_at), 900) * 900 AS start_s, "
        f"{_SELECT.replace('at)', 'read_at)')} FROM reading GROUP BY enterprise, point, start_s"
    )
    cpu_s = store.grouped(f"SELECT {point}, start_s, {', '.join(AGGREGATES)} FROM ({inner})")
    return store.figure("ClickHouse GROUP BY over our raw chunks", cpu_s, data, expected)


def _view(store: Store, data: Telemetry, expected: Windows) -> Figure:
    """Windows kept by a materialized view while the readings come, in blocks of 100,000."""
    states = ", ".join(f"{_combined(what, 'State')} AS {name}" for name, what in AGGREGATES.items())
    types = ", ".join(
        f"{name} AggregateFunction({what.partition('(')[0]}{_TYPES[what]})"
        for name, what in AGGREGATES.items()
    )
    run, key = store.client.command, "point UInt32, start_s UInt32"
    run("CREATE TABLE bench_feed (point UInt32, at UInt32, ticks Int64) ENGINE = Null")
    run(f"CREATE TABLE bench_state ({key}, {types}) ENGINE = AggregatingMergeTree ORDER BY (point, start_s)")
    run(
        "CREATE MATERIALIZED VIEW bench_view TO bench_state AS "
        f"SELECT point, toUInt32(intDiv(at, 900) * 900) AS start_s, {states} FROM bench_feed GROUP BY point, start_s"
    )
    table = _table(data)

    def feed() -> None:
        for start in range(0, table.num_rows, BLOCK_ROWS):
            store.client.insert_arrow("bench_feed", table.slice(start, BLOCK_ROWS))

    cpu_s = store.cpu_s(feed)
    merged = ", ".join(f"{_combined(what, 'Merge', name)} AS {name}" for name, what in AGGREGATES.items())
    cpu_s += store.grouped(f"SELECT point, start_s, {merged} FROM bench_state GROUP BY point, start_s")
    return store.figure("ClickHouse materialized view", cpu_s, data, expected)


WAYS = {"table": _plain, "chunks": _chunks, "view": _view}
"""GROUP BY over a plain table, GROUP BY over our raw chunks, a materialized view."""
_TYPES = dict(zip(AGGREGATES.values(), ("", *[", Int64"] * 3, *[", Int64, UInt32"] * 2), strict=True))
"""Types of the arguments of each aggregate, as its state's type names them."""


def _combined(what: str, combinator: str, argument: str | None = None) -> str:
    """``argMin(ticks, at)`` as ``argMinState(ticks, at)``, or of another argument."""
    function, _, rest = what.partition("(")
    return f"{function}{combinator}({rest}" if argument is None else f"{function}{combinator}({argument})"


def _table(data: Telemetry) -> pa.Table:
    columns = data.columns()
    return as_table(
        {
            "point": columns["point"].astype("uint32"),
            "at": columns["at"].astype("uint32"),
            "ticks": columns["ticks"],
        }
    )
