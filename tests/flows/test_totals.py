"""Totals beside a real store: what a resumed shard asks of it, and what the named queries say of its rows."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client
from memory_store import block_of

from flows.totals import TotalLoader
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.domain.points import Enterprise, Kind, Meter, Point
from nengliu.domain.scope import SYSTEM, Scope
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer, ask
from schemas.messages import EnterpriseNotice, PointNotice

E = "91320000MA1EXAMPL3"
START = 1_772_323_200_000  # 2026-03-01 08:00 in China
QUARTER = 900_000


def _catalogue():
    catalogue = Catalogue()
    catalogue.take(EnterpriseNotice(Enterprise(E, "e", region="320100", industry="C31")), 1)
    for position, (name, place, level) in enumerate((("grid", "n", 1), ("a", "n/a", 2), ("b", "n/b", 2)), 2):
        meters = (Meter(0, "kWh", 2),)
        point = Point(
            E,
            name,
            name,
            Kind.COUNTER,
            "electricity",
            "kWh",
            2,
            metering_level=level,
            place=place,
            meters=meters,
        )
        catalogue.take(PointNotice(point), position)
    return catalogue


def _block(point, position, *steps):
    fixed = {
        "enterprise": E,
        "point": point,
        "quality": 0,
        "reason": 0,
        "origin": 0,
        "sent": 0,
        "sequence": 1,
    }
    fixed |= {"position": position}
    times = (
        {"read_at": START + i * QUARTER, "received_at": START // 1000 + i * 900} for i in range(len(steps))
    )
    return block_of([fixed | {"ticks": n} | at for n, at in zip(steps, times, strict=True)])


@pytest.fixture
def written(store_settings: Settings) -> Settings:
    """A store that has the windows of two points and the totals over them."""
    catalogue = _catalogue()
    shard, totals = WindowShard(catalogue), TotalShard(catalogue)
    with Writer(store_settings) as writer:
        for block in (_block("grid", 10, 0, 1000, 2000), _block("a", 11, 0, 300, 700)):
            windows = shard.add(block)
            for rows in [*totals.add(windows, 10), *windows]:
                writer.write(rows)
    return store_settings


def test_resumed_shard_sums_what_the_store_has_with_what_comes(written: Settings, client: Client) -> None:
    """A shard that begins anew knows the rows of the other points of the plant."""
    catalogue = _catalogue()
    windows = WindowShard(catalogue).add(_block("b", 20, 0, 500, 900))
    totals = TotalShard(catalogue, TotalLoader(Asker(written)))
    with Writer(written) as writer:
        for rows in [*totals.add(windows, 20), *windows]:
            writer.write(rows)
    span = {"start": START, "end": START + 2 * QUARTER}
    rows = ask(client, "balance", SYSTEM, level="15min", enterprise=E, **span).to_pylist()
    node = next(row for row in rows if row["node"] == "n")
    assert (node["metered"], node["parts"]) == (20.0, 16.0)
    assert node["loss"] == pytest.approx(4.0)
    assert (node["members"], node["revision"]) == (2, 20)


def test_nodes_of_a_day_say_value_and_coverage(written: Settings, client: Client) -> None:
    """The silent point is missed in the coverage and in nothing else."""
    day = {"start": START - 8 * 3_600_000, "end": START + 16 * 3_600_000}
    rows = ask(client, "nodes", SYSTEM, level="day", enterprise=E, **day).to_pylist()
    assert {row["node"]: (row["used"], row["points"], row["points_due"]) for row in rows} == {
        "": (20.0, 1, 1),
        "n": (20.0, 1, 1),
    }


def test_totals_by_region_keep_the_scope(written: Settings, client: Client) -> None:
    """The nation's sum is that of its only enterprise; another province sees nothing."""
    span = {"level": "15min", "start": START, "end": START + QUARTER, "by": "region", "digits": 2}
    (row,) = ask(client, "totals_by", SYSTEM, **span).to_pylist()
    assert (row["node"], row["used"], row["enterprises"]) == ("320000", 10.0, 1)
    assert ask(client, "totals_by", Scope("analyst", region="33"), **span).num_rows == 0


def test_days_with_totals_are_known_by_enterprise(written: Settings) -> None:
    """A notice looks for totals to write anew where there are some."""
    midnight = START - 8 * 3_600_000
    assert TotalLoader(Asker(written)).days(100) == {E: (midnight, midnight + 86_400_000)}


def test_writer_sends_totals_before_the_windows_they_rest_on() -> None:
    """Law 7: a window row in the store implies the totals said before it; see docs/decisions/0026."""
    from nengliu.storage.writer import _rank

    tables = [
        f"{kind}_{level}" for kind in ("window", "total") for level in ("15min", "hour", "day", "month")
    ]
    assert [name.split("_")[0] for name in sorted(tables, key=_rank)] == ["total"] * 4 + ["window"] * 4
