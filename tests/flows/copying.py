"""A flow to be killed: copies topic ``in`` to ``out`` and writes a row per record to a file.

Run as ``python copying.py FOLDER EPOCH_S WORKERS [--to-end]``; prints ``on`` when the first
records pass.  The log is a file of FOLDER, or the brokers that the environment names.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow

from flows import resume
from flows.connectors import LogSource, Message, StoreThenLogSink
from flows.runner import run_flow
from nengliu.bus import Log, Record
from nengliu.bus.kafka import Access, KafkaLog
from nengliu.bus.sqlite import SqliteLog
from schemas.block import Rows


class FileWriter:
    """A store of one file: a line per position, on the disk when `flush` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []

    def write(self, rows: Rows) -> None:
        """Hold a line per row."""
        self.lines += [f"{position}\n" for position in np.asarray(rows.columns["position"])]

    def flush(self) -> None:
        """Append the lines, slowly: a kill shall meet a message that overtook its row."""
        time.sleep(0.005)
        with self.path.open("a") as file:
            file.writelines(self.lines)
            file.flush()
            os.fsync(file.fileno())
        self.lines = []


def copied(item: tuple[str, list[Record]]) -> list[tuple[str, Rows | Message]]:
    """Turn records into messages and, *behind* them, the rows that must be durable first."""
    shard, records = item
    sys.stdout.write("on\n")
    sys.stdout.flush()
    time.sleep(0.0005)
    positions = np.array([record.position for record in records], np.uint64)
    messages = [(shard, (record.key, record.value)) for record in records]
    return [*messages, (shard, Rows("t", {"position": positions}))]


def build(folder: Path, *, to_end: bool) -> Dataflow:
    """Wire source, copy and sink."""

    def open_log() -> Log:
        brokers = os.environ.get("BROKERS")
        return KafkaLog(Access(brokers)) if brokers else SqliteLog(folder / "log.sqlite")

    flow = Dataflow("copying")
    items = op.input(
        "read",
        flow,
        LogSource(open_log, "in", batch_records=9, batch_bytes=14, poll_s=0.01, stop_at_end=to_end),
    )
    both = op.flat_map("copy", items, copied)
    op.output("write", both, StoreThenLogSink(lambda: FileWriter(folder / "store"), open_log, "out"))
    return flow


if __name__ == "__main__":
    resume.NOTE_EVERY_S = 0.0  # a kill shall meet a note that is as far as it may be
    where = Path(sys.argv[1])
    run_flow(
        build(where, to_end="--to-end" in sys.argv), where / "recovery", float(sys.argv[2]), int(sys.argv[3])
    )
