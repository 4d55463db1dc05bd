"""Kill -9 of the store while rows are written: what was acknowledged is there, and everything once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_store import kill_store, start_store

from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage import Writer, connect, migrate
from schemas.block import Rows

_BATCH = 500


class _Scribe(threading.Thread):
    """Writes batches until it is told to stop, and counts what was acknowledged."""

    def __init__(self, settings: Settings, rows: Callable[..., Rows]) -> None:
        super().__init__()
        self.writer, self.rows = Writer(settings, patience_s=30), rows
        self.enough, self.acknowledged = threading.Event(), 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.enough.is_set():
                stamps = [900 * i for i in range(self.acknowledged, self.acknowledged + _BATCH)]
                self.writer.write(self.rows("window_15min", period_start=stamps, used=stamps))
                self.writer.write(self.rows("reading_superseded", read_at=stamps, ticks=stamps))
                self.writer.flush()
                self.acknowledged += _BATCH
        except StorageError as error:
            self.failure = error


@pytest.mark.parametrize(("seed", "kills"), [(1, 3), pytest.param(2, 15, marks=pytest.mark.slow)])
def test_writer_store_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, rows: Callable[..., Rows], seed: int, kills: int
) -> None:
    """Every acknowledged row is there, every row once in FINAL, none twice even in the parts."""
    process, chance = start_store(tmp_path), random.Random(seed)
    settings = Settings(home=tmp_path)
    migrate(connect(settings), settings.database)
    scribe = _Scribe(settings, rows)
    scribe.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 0.3))
            kill_store(process)
            process = start_store(tmp_path)  # on another port
        time.sleep(0.3)
        scribe.enough.set()
        scribe.join()
        assert scribe.failure is None
        n, client = scribe.acknowledged, connect(settings)
        keys = {"window_15min": ("period_start", "used"), "reading_superseded": ("read_at", "ticks")}
        for table, (key, value) in keys.items():
            query = f"SELECT count(), uniqExact({key}), sum({value}) FROM {table}"
            expected = (n, n, 900 * n * (n - 1) // 2)
            assert client.query(f"{query} FINAL").result_rows == [expected]
            assert client.query(query).result_rows == [expected]
        assert n > 0
    finally:
        scribe.enough.set()
        kill_store(process)
