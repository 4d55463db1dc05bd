"""Writes the rows of the small plant into a real store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nengliu.settings import Settings
from nengliu.storage import Writer, connect, migrate
from schemas.block import Rows
from tests.chunks import chunk_rows
from tests.dashboards.plant import Tables

_OFFSET_S = 8 * 3600
_MORE: dict[str, dict[str, Any]] = {
    "enterprise": {"position": 1, "known_at": 0, "stays": "[]"},
    "point": {"position": 2, "definition": "{}", "known_at": 0},
    "reading": {
        "origin": 0,
        "ticks": 1,
        "quality": 0,
        "reason": 0,
        "sequence": 1,
        "position": 3,
        "sent": 1,
        "sent_unit": "kWh",
        "sent_decimals": 2,
    },
    "link_event": {"item": 0, "position": 4},
    "missed": {"source": "gw-1", "position": 5, "sequence": 1, "parameters": "{}"},
    "window_15min": {"revision": 10},
    "window_day": {"revision": 10, "book": "test"},
    "window_month": {"revision": 10, "book": "test"},
}
_MILLIS = {"valid_from", "read_at", "at", "first_at", "last_at", "since"}


def seed(settings: Settings, tables: Tables) -> None:
    """Lay the tables and write every row."""
    client = connect(settings)
    migrate(client, settings.database)
    client.close()
    with Writer(settings, patience_s=10) as writer:
        for name, frame in tables.rows.items():
            given = rows(name, frame)
            writer.write(chunk_rows(given) if name == "reading" else given)
    client = connect(settings)
    client.command(
        "INSERT INTO point_newest SELECT enterprise, point, min(read_at), max(read_at), max(received_at) "
        "FROM reading GROUP BY enterprise, point"
    )
    client.close()


def rows(table: str, frame: pd.DataFrame) -> Rows:
    """Give a frame as rows of a table: China civil times become seconds or milliseconds of UTC."""
    columns = {name: _column(name, frame[name]) for name in frame.columns}
    for name, value in _MORE[table].items():
        columns[name] = np.array([value] * len(frame), dtype=object if isinstance(value, str) else None)
    return Rows(table, columns)


def _column(name: str, values: pd.Series) -> np.ndarray[Any, Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        unit = "ms" if name in _MILLIS else "s"
        moved = values.to_numpy().astype(f"datetime64[{unit}]").astype(np.int64)
        return moved - _OFFSET_S * (1000 if unit == "ms" else 1)
    if values.dtype == object or pd.api.types.is_string_dtype(values):
        return values.astype(object).to_numpy()
    return values.to_numpy()
