"""The peers in this process: Bytewax's own windows, Polars, DuckDB, Flink SQL, Pathway, and the memcpy limit.

All but Bytewax get the readings without repetitions, in order of time, as columns that lie in memory (Flink and
Pathway: as a file); what it costs to get there is not counted against them.  Polars' windows are the truth all others
are compared with.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv

from nengliu.cli.bench_data import DELAY_S, START_S, Columns, Telemetry, as_table
from nengliu.cli.bench_equal import Windows, compare, in_units
from nengliu.cli.bench_report import DEFAULT, LIMIT, TUNED, Figure
from nengliu.cli.language import say
from nengliu.domain.times import STORED, Level

if TYPE_CHECKING:
    import polars as pl

QUARTER_S = 900
EAST_S = 8 * 3600
STOCK_READINGS = 600_000
"""As many readings stock Bytewax gets; more take minutes, and its rate stays."""
REPEATS = 3
T = TypeVar("T")
Truth = Mapping[Level, Windows]


def best(work: Callable[[], T], repeats: int = REPEATS) -> tuple[float, T]:
    """CPU-seconds of the best of some runs, and what the last one gave."""
    least = np.inf
    for _ in range(repeats):
        began = time.process_time()
        found = work()
        least = min(least, time.process_time() - began)
    return least, found


def memcpy(data: Telemetry) -> Figure:
    """The limit: copy the columns of all readings once."""
    columns = data.columns()
    copies = {name: np.empty_like(column) for name, column in columns.items()}

    def work() -> None:
        for name, column in columns.items():
            np.copyto(copies[name], column)

    cpu_s, _ = best(work, 5)
    note = f"{sum(column.itemsize for column in columns.values())} B a reading"
    return Figure(LIMIT, data.readings, cpu_s, note=note)


# -- group-by -------------------------------------------------------------------------------------


def by_polars(data: Telemetry) -> tuple[Figure, dict[Level, Windows]]:
    """Polars: the figure of its quarter-hours, and its windows of every level."""
    import polars as pl

    frame = pl.DataFrame(data.columns())
    cpu_s, quarters = best(lambda: _by_polars(frame, Level.QUARTER))
    found = {Level.QUARTER: _windows(quarters.to_arrow())}
    found |= {level: _windows(_by_polars(frame, level).to_arrow()) for level in STORED[1:]}
    note = f"{pl.__version__}, the truth of the comparison"
    return Figure("Polars group_by", data.readings, cpu_s, note=note), found


def _by_polars(frame: pl.DataFrame, level: Level) -> pl.DataFrame:
    """Windows with the consumption from register to register over the edges."""
    import polars as pl

    at, ticks = pl.col("at"), pl.col("ticks")
    fixed = {Level.QUARTER: QUARTER_S, Level.HOUR: 3600, Level.DAY: 86_400}
    local = at + EAST_S
    start = local // fixed[level] * fixed[level] if level in fixed else _month_start(local)
    found = (
        frame.lazy()
        .with_columns(start_s=start - EAST_S)
        .group_by("point", "start_s")
        .agg(
            received=pl.len(),
            mean=ticks.mean(),
            low=ticks.min(),
            high=ticks.max(),
            first=ticks.get(at.arg_min()),
            last=ticks.get(at.arg_max()),
        )
        .sort("point", "start_s")
    )
    end = pl.coalesce(pl.col("first").shift(-1).over("point"), "last")
    return found.with_columns(used=end - pl.col("first")).collect()


def _month_start(local: pl.Expr) -> pl.Expr:
    import polars as pl

    return pl.from_epoch(local, time_unit="s").dt.truncate("1mo").dt.epoch("s")


def duckdb(data: Telemetry, truth: Truth) -> Figure:
    """DuckDB over a table of its own."""
    name = "DuckDB GROUP BY"
    if importlib.util.find_spec("duckdb") is None:
        return Figure(name, missing=say("bench.not_installed"))
    import duckdb as engine

    with engine.connect() as connection:
        connection.register("given", as_table(data.columns()))
        connection.execute("CREATE TABLE reading AS SELECT * FROM given")
        cpu_s, found = best(lambda: connection.sql(_DUCK).to_arrow_table())
    assert found is not None
    compare(name, Level.QUARTER, _windows(found), truth[Level.QUARTER])
    return Figure(name, data.readings, cpu_s, note=engine.__version__)


_DUCK = f"""
SELECT *, coalesce(lead(first) OVER (PARTITION BY point ORDER BY start_s), last) - first AS used
FROM (
    SELECT point, "at" // {QUARTER_S} * {QUARTER_S} AS start_s, count(*) AS received, avg(ticks) AS mean,
        min(ticks) AS low, max(ticks) AS high, arg_min(ticks, "at") AS first, arg_max(ticks, "at") AS last
    FROM reading GROUP BY ALL
)
"""


def _windows(table: pa.Table) -> Windows:
    """Windows of a peer's answer, whose values are ticks."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return ticks_windows(columns)


def ticks_windows(columns: Columns) -> Windows:
    """Windows from columns in ticks, sorted anew."""
    return Windows.of(columns | {name: in_units(columns[name]) for name in ("low", "high", "mean", "last")})


# -- stock Bytewax --------------------------------------------------------------------------------


def stock(data: Telemetry, *, tuned: bool) -> Figure:
    """Bytewax's fold_window over readings as they arrive, the late ones left out, which it would only drop.

    It gets repetitions and counts them; its windows are compared with a group-by of the same readings.
    """
    from flows.stock import fold

    name = TUNED if tuned else DEFAULT
    columns = _prompt(data)
    base = datetime.fromtimestamp(START_S, UTC)
    times = {at: base + timedelta(seconds=at - START_S) for at in np.unique(columns["at"]).tolist()}
    keys = [str(point) for point in range(data.points)]
    readings = [
        (keys[point], (times[at], ticks))
        for point, at, ticks in zip(
            *(columns[part].tolist() for part in ("point", "at", "ticks")), strict=True
        )
    ]
    began = time.process_time()
    found = fold(readings, timedelta(seconds=QUARTER_S), batch=100_000 if tuned else 1000, ordered=not tuned)
    cpu_s = time.process_time() - began
    rows = np.array([(int(key), start, *folded) for (key, start), folded in found.items()], np.int64)
    names = ("point", "start_s", "received", "total", "low", "high", "last")
    ours = dict(zip(names, rows.T, strict=True))
    ours |= {"start_s": ours["start_s"] * QUARTER_S, "mean": ours["total"] / ours["received"]}
    compare(name, Level.QUARTER, ticks_windows(_unused(ours)), ticks_windows(_unused(_reduced(columns))))
    note = "batches of 100,000, unordered" if tuned else "batches of 1,000"
    return Figure(name, len(readings), cpu_s, note=note)


def _prompt(data: Telemetry) -> Columns:
    """The first readings to arrive, without those that come too late."""
    arrivals = data.arrivals(data.points)
    at = START_S + 60 * arrivals.minute
    some = np.flatnonzero(arrivals.at_s - at < DELAY_S)[:STOCK_READINGS]
    point = arrivals.unit[some]
    return {"point": point, "at": at[some], "ticks": data.values[arrivals.minute[some], point]}


def _reduced(columns: Columns) -> Columns:
    """Windows of readings by Polars, repetitions counted."""
    import polars as pl

    at, ticks = pl.col("at"), pl.col("ticks")
    found = (
        pl.DataFrame(columns)
        .group_by("point", start_s=at // QUARTER_S * QUARTER_S)
        .agg(
            received=pl.len(),
            mean=ticks.mean(),
            low=ticks.min(),
            high=ticks.max(),
            last=ticks.get(at.arg_max()),
        )
    )
    return {name: found[name].to_numpy() for name in found.columns}


def _unused(columns: Columns) -> Columns:
    """Consumption is not among what this peer computes."""
    return columns | {"used": np.zeros(len(columns["point"]), np.int64)}


# -- Flink SQL and Pathway ------------------------------------------------------------------------


def flink(data: Telemetry, truth: Truth) -> Figure:
    """Flink SQL: tumbling windows over a file, one slot; a small file before lets its machine start."""
    name = "Flink SQL, tumbling windows"
    if importlib.util.find_spec("pyflink") is None:
        return Figure(name, missing=say("bench.not_installed"))
    from pyflink.table import EnvironmentSettings, TableEnvironment

    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in {"parallelism.default": "1", "table.local-time-zone": "UTC"}.items():
        table.get_config().set(key, value)
    _by_flink(table, replace(data, meters=100, minutes=15))
    cpu_s, columns = _by_flink(table, data)
    _compare_unused(name, columns, truth[Level.QUARTER])
    return Figure(name, data.readings, cpu_s, note="without the start of the JVM")


def _by_flink(table: Any, data: Telemetry) -> tuple[float, Columns]:
    """CPU-seconds, the JVM's among them, and the windows."""
    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        given, made = Path(folder, "given.csv"), Path(folder, "made")
        pacsv.write_csv(as_table(data.columns()), given, pacsv.WriteOptions(include_header=False))
        began = _cpu_s()
        for statement in _flink_tables(given, made):
            table.execute_sql(statement)
        table.execute_sql(_FLINK).wait()
        cpu_s = _cpu_s() - began
        parts = [pacsv.read_csv(file, _HEADLESS) for file in made.rglob("*") if file.is_file()]
    for name in ("given", "made"):
        table.execute_sql(f"DROP TABLE {name}")
    found = pa.concat_tables(parts).rename_columns(_FLINK_COLUMNS)
    return cpu_s, {part: found.column(part).to_numpy() for part in found.column_names}


_HEADLESS = pacsv.ReadOptions(autogenerate_column_names=True)
_FLINK_COLUMNS = ["point", "start_s", "received", "mean", "low", "high", "last"]
_FLINK = f"""
INSERT INTO made
SELECT point, UNIX_TIMESTAMP(DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss')), COUNT(*), AVG(CAST(ticks AS DOUBLE)),
    MIN(ticks), MAX(ticks), LAST_VALUE(ticks)
FROM TABLE(TUMBLE(TABLE given, DESCRIPTOR(rt), INTERVAL '{QUARTER_S // 60}' MINUTES))
GROUP BY point, window_start, window_end
"""


def _flink_tables(given: Path, made: Path) -> Sequence[str]:
    file = "'connector' = 'filesystem', 'format' = 'csv', 'path'"
    come = (
        "point INT, `at` BIGINT, ticks BIGINT, rt AS TO_TIMESTAMP_LTZ(`at`, 0), "
        "WATERMARK FOR rt AS rt - INTERVAL '3' MINUTE"
    )
    go = "point INT, start_s BIGINT, received BIGINT, mean DOUBLE, low BIGINT, high BIGINT, `last` BIGINT"
    return (
        f"CREATE TABLE given ({come}) WITH ({file} = '{given.as_uri()}')",
        f"CREATE TABLE made ({go}) WITH ({file} = '{made.as_uri()}')",
    )


def pathway(data: Telemetry, truth: Truth) -> Figure:
    """Pathway: tumbling windows over a file."""
    name = "Pathway windowby"
    if importlib.util.find_spec("pathway") is None:
        return Figure(name, missing=say("bench.not_installed"))
    import pathway as pw

    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        given, made = Path(folder, "given.csv"), Path(folder, "made.csv")
        pacsv.write_csv(as_table(data.columns()), given)
        began = _cpu_s()
        schema = pw.schema_from_types(point=int, at=int, ticks=int)
        table = pw.io.csv.read(str(given), schema=schema, mode="static")
        tumbling = pw.temporal.tumbling(duration=QUARTER_S, origin=START_S)
        here = pw.this
        windows = table.windowby(table.at, window=tumbling, instance=table.point).reduce(
            point=here._pw_instance,  # noqa: SLF001 - its documented name
            start_s=here._pw_window_start,  # noqa: SLF001
            received=pw.reducers.count(),
            mean=pw.reducers.avg(here.ticks),
            low=pw.reducers.min(here.ticks),
            high=pw.reducers.max(here.ticks),
            last=pw.reducers.argmax(here.at),
        )
        windows = windows.with_columns(last=table.ix(windows.last).ticks)
        pw.io.csv.write(windows, str(made))
        pw.run(monitoring_level=pw.MonitoringLevel.NONE)
        cpu_s = _cpu_s() - began
        found = pacsv.read_csv(made)
    columns = {part: found.column(part).to_numpy() for part in _FLINK_COLUMNS}
    _compare_unused(name, columns, truth[Level.QUARTER])
    return Figure(name, data.readings, cpu_s, note="file read and written")


def _compare_unused(name: str, columns: Columns, expected: Windows) -> None:
    """Compare windows of a peer that computes no consumption."""
    zero = np.zeros(len(expected), np.int64)
    shown = {part: getattr(expected, part) for part in Windows.__dataclass_fields__} | {"used": zero}
    compare(name, Level.QUARTER, ticks_windows(_unused(columns)), Windows(**shown))


def _cpu_s() -> float:
    """CPU-seconds of this process and of those it started that still run."""
    total = 0.0
    for process in [own := psutil.Process(), *own.children(recursive=True)]:
        times: Any = process.cpu_times()
        total += times.user + times.system
    return total
