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

_HASH = "SELECT count(), sum(cityHash64(toString(enterprise), toString(point), {})) FROM layout FINAL {}"
_ROWS = _HASH.format(
    "toUnixTimestamp64Milli(read_at), ticks, toUnixTimestamp(received_at), sequence, position", ""
)
_EACH = _HASH.format(
    "toInt64(toUnixTimestamp(period_start)) * 1000 + a, t, r, s, p",
    "ARRAY JOIN at AS a, ticks AS t, received_at AS r, sequence AS s, position AS p",
)


@pytest.mark.parametrize("batch", [1, 5])
def test_chunks_of_any_span_say_the_readings_of_the_rows(
    client: Client, store_settings: Settings, batch: int
) -> None:
    """Written live or in bulk, ending inside a chunk or not."""
    load = Load("small", 2, 300, batch, 20 // batch)
    data, found = data_of(load), set()
    for span_s in (0, 900, 3600, 86_400):
        client.command(_LAID["chunk" if span_s else "rows"])
        with Writer(store_settings) as writer:
            for rows in chunk_batches(load, data, span_s) if span_s else row_batches(load, data):
                writer.write(rows)
                writer.flush()
        found |= set(client.query(_EACH if span_s else _ROWS).result_rows)
        client.command("DROP TABLE layout SYNC")
    assert len(found) == 1
    assert found.pop()[0] == 20 * 2 * POINTS


def test_layout_table_has_a_line_for_each_figure() -> None:
    """What a reader sees."""
    line = layout_table([Result("15 min, bulk", "hour", 0.181, 0.07, 1.6234, 6.21)]).splitlines()[-1]
    assert line == "| 15 min, bulk | hour | 0.18 | 0.07 | 1.62 | 6.2 |"
