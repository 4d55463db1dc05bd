"""Windows taken away because nothing gives them, or because a row of a lower revision must stand in their place."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from nengliu.storage.client import speaking

_AT_ONCE = 500
"""Windows of one statement, which name them in its address: 50 bytes each."""


def take_away(client: Client, table: str, windows: list[tuple[str, str, int]]) -> None:
    """Delete windows, named by enterprise, point and start of the period [s, UTC]; again does nothing."""
    for start in range(0, len(windows), _AT_ONCE):
        some = windows[start : start + _AT_ONCE]
        query = (
            f"DELETE FROM {table} WHERE (toString(enterprise), toString(point), toUnixTimestamp(period_start)) "
            "IN (SELECT t.1, t.2, t.3 FROM (SELECT arrayJoin({windows:Array(Tuple(String, String, UInt32))}) AS t))"
        )
        with speaking(client.uri):
            client.command(query, parameters={"windows": some})
