"""Windows of every level in Polars alone, from readings and the catalogue's JSON: the definition of ADR 0012 again."""

from __future__ import annotations

import json

import polars as pl
from clickhouse_connect.driver.client import Client

QUARTER, CHINA = 900_000, 28_800_000
LEVELS = ("15min", "hour", "day", "month")
KEY = ["enterprise", "point"]
READINGS = """
SELECT enterprise, point, toUnixTimestamp64Milli(read_at) AS at, toInt64(origin) AS origin, ticks FROM reading
"""
POINTS = """
SELECT enterprise, point, argMax(kind, position) AS kind, toInt64(argMax(decimals, position)) AS decimals,
    argMax(unit, position) AS unit, toInt64(argMax(interval_s, position)) AS interval_s,
    argMax(definition, position) AS definition
FROM point GROUP BY enterprise, point
"""
WINDOWS = """
SELECT enterprise, point, toInt64(toUnixTimestamp(period_start)) * 1000 AS at, used, estimated,
    toInt64(received) AS received, mean, low, high, last FROM window_{level} FINAL
"""
UNITS = {("MWh", "kWh"): 1000}


def compare(client: Client) -> dict[str, dict[str, float]]:
    """Compare each level with what this file makes of the readings; the client's database has the tables."""
    points = table(client, POINTS)
    said = (
        table(client, READINGS)
        .sort([*KEY, "at", "origin"])
        .unique([*KEY, "at"], keep="first", maintain_order=True)
    )
    said = said.drop("origin").join(points.drop("definition"), on=KEY)
    own = quarters(said, meters(points), holds(points))
    return {
        level: differences(fold(own, level), table(client, WINDOWS.format(level=level))) for level in LEVELS
    }


def table(client: Client, query: str) -> pl.DataFrame:
    """An answer as a frame."""
    found = pl.from_arrow(client.query_arrow(query, settings={"output_format_arrow_string_as_string": 1}))
    assert isinstance(found, pl.DataFrame)
    return found.with_columns(pl.col(KEY).cast(pl.String))


def holds(points: pl.DataFrame) -> pl.DataFrame:
    """How long the value of each gauge holds [ms]."""
    hold = [json.loads(text)["hold_s"] * 1000 for text in points["definition"]]
    return points.select(KEY).with_columns(hold=pl.Series(hold, dtype=pl.Int64))


def meters(points: pl.DataFrame) -> pl.DataFrame:
    """Dated meters of the counters: since when, worth of a step, modulus, first and last register."""
    rows = []
    for row in points.filter(kind="counter").iter_rows(named=True):
        for number, meter in enumerate(json.loads(row["definition"])["meters"]):
            factor = 1 if meter["unit"] == row["unit"] else UNITS[meter["unit"], row["unit"]]
            worth = meter["multiplier"] * factor * 10 ** (row["decimals"] - meter["decimals"])
            since = meter["from_ms"] if number else 0
            known = (since, number, worth, meter["modulus"], meter["first"], meter["last"])
            rows.append((row["enterprise"], row["point"], *known))
    names = [*KEY, "since", "meter", "worth", "modulus", "first", "last"]
    kinds = [pl.String, pl.String, *[pl.Int64] * 6]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def quarters(said: pl.DataFrame, known: pl.DataFrame, hold: pl.DataFrame) -> pl.DataFrame:
    """Quarter-hours of all points."""
    spans = pl.concat([registers(said, known), amounts(said), values(said, hold)])
    pieces = cut(spans).group_by([*KEY, "q"]).agg(
        used=pl.col("share").sum(),
        estimated=pl.col("share").filter(pl.col("split") & pl.col("value").is_null()).sum(),
        covered=pl.col("span").sum(),
        weighted=(pl.col("value") * pl.col("span")).sum(),
        low=pl.col("value").min(),
        high=pl.col("value").max(),
        last=pl.col("value").sort_by("a").last(),
    )  # fmt: skip
    return pieces.join(counted(said), on=[*KEY, "q"], how="full", coalesce=True).with_columns(
        pl.col("used", "estimated", "covered", "received", "weighted").fill_null(0)
    )


def registers(said: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Amounts between neighbouring registers of one meter; at an exchange both are known, or there is no amount."""
    shown = said.filter(kind="counter").sort("at").join_asof(
        known.sort("since"), left_on="at", right_on="since", by=KEY, check_sortedness=False
    )  # fmt: skip
    real = shown.select(*KEY, "at", "meter", after=pl.lit(1), steps="ticks")
    span = shown.group_by(KEY).agg(begin=pl.col("at").min(), end=pl.col("at").max())
    gone = known.select(*KEY, meter=pl.col("meter") + 1, old="last")
    change = known.join(gone, on=[*KEY, "meter"]).join(span, on=KEY).drop_nulls(["old", "first"])
    change = change.filter((pl.col("begin") < pl.col("since")) & (pl.col("since") <= pl.col("end")))
    both = [
        change.select(*KEY, at="since", meter=pl.col("meter") - 1, after=pl.lit(0), steps="old"),
        change.select(*KEY, at="since", meter="meter", after=pl.lit(0), steps="first"),
    ]
    stops = pl.concat([real, *both]).sort([*KEY, "at", "meter", "after"])
    pairs = stops.with_columns(
        a=pl.col("at").shift().over(KEY),
        before=pl.col("steps").shift().over(KEY),
        was=pl.col("meter").shift().over(KEY),
    ).filter(pl.col("was") == pl.col("meter")).join(known, on=[*KEY, "meter"])  # fmt: skip
    fell, top = pl.col("steps") < pl.col("before"), pl.col("modulus").cast(pl.Float64)
    rolled = fell & (pl.col("before") > 0.9 * top) & (pl.col("steps") < 0.1 * top)
    grown = pl.col("steps") - pl.col("before") + pl.when(rolled).then(pl.col("modulus")).otherwise(0)
    return pairs.select(*KEY, "a", b="at", amount=grown * pl.col("worth"), value=pl.lit(None, pl.Float64))


def amounts(said: pl.DataFrame) -> pl.DataFrame:
    """Amounts of intervals, stamped at their start."""
    end = pl.col("at") + pl.col("interval_s") * 1000
    found = said.filter(kind="period")
    return found.select(*KEY, a="at", b=end, amount="ticks", value=pl.lit(None, pl.Float64))


def values(said: pl.DataFrame, hold: pl.DataFrame) -> pl.DataFrame:
    """Values that hold until the next one, at most as long as they may."""
    found = said.filter(kind="gauge").join(hold, on=KEY).sort([*KEY, "at"])
    until = pl.col("at") + pl.col("hold")
    end = pl.min_horizontal(until, pl.col("at").shift(-1).over(KEY).fill_null(2**62))
    value = pl.col("ticks") / pl.lit(10.0).pow(pl.col("decimals"))
    return found.select(*KEY, a="at", b=end, amount=pl.lit(0, pl.Int64), value=value)


def cut(spans: pl.DataFrame) -> pl.DataFrame:
    """Cut spans at the quarter-hours, amounts by whole ticks of the running share."""
    first, last = pl.col("a") // QUARTER, pl.max_horizontal(pl.col("b") - 1, pl.col("a")) // QUARTER
    pieces = spans.with_columns(split=first != last, q=pl.int_ranges(first, last + 1)).explode("q")
    pieces = pieces.with_columns(
        q=pl.col("q") * QUARTER, unit=pl.when(pl.col("b") - pl.col("a") > 3e9).then(1000).otherwise(1)
    )
    left, right = pl.max_horizontal("q", "a"), pl.min_horizontal(pl.col("q") + QUARTER, "b")
    before = pl.when(left <= pl.col("a")).then(0).otherwise(until(left))
    return pieces.with_columns(share=until(right) - before, span=right - left)


def until(at: pl.Expr) -> pl.Expr:
    """Whole ticks of a span up to an instant of it."""
    whole = pl.max_horizontal((pl.col("b") - pl.col("a")) // pl.col("unit"), pl.lit(1)).cast(pl.Int128)
    running = (
        pl.col("amount").cast(pl.Int128) * ((at - pl.col("a")) // pl.col("unit")).cast(pl.Int128) // whole
    )
    return pl.when(at >= pl.col("b")).then(pl.col("amount")).otherwise(running.cast(pl.Int64))


def counted(said: pl.DataFrame) -> pl.DataFrame:
    """Readings received: the first of each due interval."""
    step = pl.col("interval_s") * 1000
    cell = (
        pl.when(step > 0)
        .then((pl.col("at") + CHINA) // pl.max_horizontal(step, pl.lit(1)))
        .otherwise(pl.col("at"))
    )
    first = said.with_columns(cell=cell).group_by([*KEY, "cell"]).agg(pl.col("at").min())
    return first.group_by([*KEY, (pl.col("at") // QUARTER * QUARTER).alias("q")]).agg(
        received=pl.len().cast(pl.Int64)
    )


def fold(own: pl.DataFrame, level: str) -> pl.DataFrame:
    """Sum quarter-hours to periods of China civil time."""
    every = {"15min": "15m", "hour": "1h", "day": "1d", "month": "1mo"}[level]
    local = (pl.col("q") + CHINA).cast(pl.Datetime("ms")).dt.truncate(every)
    rows = own.sort([*KEY, "q"]).with_columns(at=local.cast(pl.Int64) - CHINA)
    return rows.group_by([*KEY, "at"]).agg(
        pl.col("used", "estimated", "received", "weighted").sum(),
        covered=pl.col("covered").sum(),
        low=pl.col("low").min(),
        high=pl.col("high").max(),
        last=pl.col("last").drop_nulls().last(),
    ).with_columns(mean=pl.when(pl.col("low").is_not_null()).then(pl.col("weighted") / pl.col("covered")))  # fmt: skip


def differences(own: pl.DataFrame, stored: pl.DataFrame) -> dict[str, float]:
    """Count what differs, and the most by which it does."""
    stored = stored.with_columns(pl.col("mean", "low", "high", "last").fill_nan(None))
    both = own.join(stored, on=[*KEY, "at"], how="full", coalesce=True, suffix="_stored")
    alone = both.filter(pl.col("used").is_null() | pl.col("used_stored").is_null())
    pair = both.drop_nulls(["used", "used_stored"])
    whole = pl.any_horizontal(pl.col(n) != pl.col(f"{n}_stored") for n in ("used", "estimated", "received"))
    real = pl.any_horizontal(pl.col(n).ne_missing(pl.col(f"{n}_stored")) for n in ("low", "high", "last"))
    away = (pl.col("mean") - pl.col("mean_stored")).abs() / pl.max_horizontal(
        pl.col("mean").abs(), pl.lit(1.0)
    )
    return {
        "n": both.height,
        "alone": alone.height,
        "unequal": pair.filter(whole).height,
        "most_ticks": float(pair.select((pl.col("used") - pl.col("used_stored")).abs().max()).item() or 0),
        "gauges": pair.filter(pl.col("mean").is_not_null()).height,
        "extremes": pair.filter(real | (pl.col("mean").is_null() != pl.col("mean_stored").is_null())).height,
        "most_mean": float(pair.select(away.max()).item() or 0),
    }
