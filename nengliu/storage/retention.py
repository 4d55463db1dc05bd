"""Months of raw readings and histories in the store: how much they hold, who has passed the horizon, and their end.

Whole partitions go: a month is dropped at once, without a mutation and without reading a row (docs/decisions/0009).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clickhouse_connect.driver.client import Client

from nengliu.domain.times import CHINA, to_ms
from nengliu.storage.client import speaking

RAW = ("reading_chunk", "reading_superseded")
HISTORIES = ("window_15min_history", "window_day_history", "cost_day_history")
"""Histories in partitions of a month; what a history of the catalogue holds is small and stays."""


@dataclass(frozen=True, slots=True)
class Month:
    """What one table holds of a China month: rows (of `reading_chunk`: chunks) and bytes on the disk."""

    table: str
    start_ms: int
    rows: int
    disk_bytes: int


def months(client: Client, tables: tuple[str, ...], before_ms: int) -> list[Month]:
    """Months of some tables that lie wholly before an instant [ms, UTC], the start of a China month; oldest first."""
    query = (
        "SELECT table, partition, sum(rows), sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)} "
        "GROUP BY table, partition ORDER BY partition, table"
    )
    with speaking(client.uri):
        rows = client.query(query, parameters={"tables": list(tables)}).result_rows
    found = [Month(table, _start(str(partition)), count, size) for table, partition, count, size in rows]
    return [month for month in found if month.start_ms < before_ms]


def horizons(client: Client) -> dict[tuple[str, int], int]:
    """Since when each flow keeps readings [ms, UTC], by flow and partition; who was told nothing is not named."""
    query = (
        "SELECT flow, partition, max(toUnixTimestamp64Milli(begins_at)) FROM horizon GROUP BY flow, partition"
    )
    with speaking(client.uri):
        return {(str(flow), int(part)): int(at) for flow, part, at in client.query(query).result_rows}


def drop(client: Client, month: Month) -> None:
    """Let a month go; again does nothing."""
    partition = f"{datetime.fromtimestamp(month.start_ms / 1000, CHINA):%Y%m}"
    with speaking(client.uri):
        client.command(f"ALTER TABLE {month.table} DROP PARTITION {partition}")


def _start(partition: str) -> int:
    return to_ms(datetime(int(partition[:4]), int(partition[4:6]), 1, tzinfo=CHINA))
