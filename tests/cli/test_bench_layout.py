"""The benchmark of layouts: every layout says the same readings, or there is nothing to compare."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.cli.bench_layout import (
    _LAID,
    POINTS,
    Load,
    Result,
    chunk_batches,
    data_of,
    layout_table,
    row_batches,
)
from nengliu.settings import Settings
from nengliu.storage import Writer

_HASH = """count(), sum(cityHash64(
    toString(enterprise), toString(point), read_at, ticks, received_at, sequence, position))"""
_EACH = f"""SELECT {_HASH} FROM (
    SELECT enterprise, point, t AS ticks, toDateTime(r, 'Asia/Shanghai') AS received_at, s AS sequence, p AS position,
        fromUnixTimestamp64Milli(toInt64(toUnixTimestamp(period_start)) * 1000 + a, 'Asia/Shanghai') AS read_at
    FROM layout FINAL ARRAY JOIN at AS a, ticks AS t, received_at AS r, sequence AS s, position AS p
)"""


@pytest.mark.parametrize("span_s", [900, 3600, 86_400])
@pytest.mark.parametrize("batch", [1, 5])
def test_chunks_of_any_span_say_the_readings_of_the_rows(
    client: Client, store_settings: Settings, span_s: int, batch: int
) -> None:
    """Written live or in bulk, ending inside a chunk or not."""
    load = Load("small", 2, 300, batch, 20 // batch)
    found = []
    for kind, query in (("rows", f"SELECT {_HASH} FROM layout FINAL"), ("chunk", _EACH)):
        client.command(_LAID[kind])
        with Writer(store_settings) as writer:
            data = data_of(load)
            for rows in row_batches(load, data) if kind == "rows" else chunk_batches(load, data, span_s):
                writer.write(rows)
                writer.flush()
        found.append(client.query(query).result_rows)
        client.command("DROP TABLE layout SYNC")
    assert found[0] == found[1]
    assert found[0][0][0] == 20 * 2 * POINTS


def test_layout_table_has_a_line_for_each_figure() -> None:
    """What a reader sees."""
    line = layout_table([Result("15 min, bulk", "hour", 0.181, 0.07, 1.6234, 6.21)]).splitlines()[-1]
    assert line == "| 15 min, bulk | hour | 0.18 | 0.07 | 1.62 | 6.2 |"
