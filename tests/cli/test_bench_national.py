"""The benchmark of a country: what it expects of the totals is what the product makes of its readings."""

from __future__ import annotations

import time

import numpy as np

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.rollups.steps import RollupShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.bus import Record
from nengliu.cli.bench_national import Nation, notice_key, registers
from nengliu.domain.times import QUARTER_MS
from schemas.messages import encode
from schemas.topics import RAW

START_MS = 1_767_225_600_000


def test_registers_never_run_backward() -> None:
    """Noise is smaller than a step, so every register rises or stands."""
    values = registers(7, np.arange(1_963_000, 1_963_500))

    assert (np.diff(values, axis=0) >= 0).all()
    assert values.min() > 0


def test_expected_total_is_the_one_the_rollups_make() -> None:
    """Three enterprises over an hour: the nation's totals of each whole quarter are those the benchmark waits for."""
    nation, catalogue = Nation(3, 900), Catalogue()
    shard = RollupShard(WindowShard(catalogue), ComputedShard(catalogue), TotalShard(catalogue))
    times = START_MS + QUARTER_MS * np.arange(5)
    messages = [(notice_key(m), encode(m)) for m in nation.notices(0, 3)]
    messages += [(f"91320000{e:010d}", encode(nation.frame(e, times))) for e in range(3)]
    now_s = int(time.time())
    records = [Record(RAW, 0, 1, i, key, value, now_s) for i, (key, value) in enumerate(messages)]

    newest: dict[tuple[str, int], tuple[int, int]] = {}
    for rows in shard.run(IngestShard().add(records).onward):
        if rows.table == "total_15min":
            columns = rows.columns
            enterprise = np.array(columns["enterprise"].dictionary)[columns["enterprise"].codes]  # type: ignore[union-attr]
            parts = (columns[name] for name in ("depth", "period_start", "used", "revision"))
            for name, depth, start_s, used, revision in zip(enterprise, *parts, strict=True):
                if depth == 0:
                    key = str(name), int(start_s)
                    newest[key] = max(newest.get(key, (0, 0)), (int(revision), int(used)))
    for quarter in range(4):
        start_s = START_MS // 1000 + 900 * quarter
        total = sum(used for (_, start), (_, used) in newest.items() if start == start_s)
        assert total == nation.used(0, 3, start_s * 1000)
