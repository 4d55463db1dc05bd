"""The embedded flow: ingest, rollups and anomaly chained in one process, from the log to the store."""

from __future__ import annotations

from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows import anomaly, ingest, rollups
from flows.connectors import LogSource, StoreSink
from flows.loaders import meet_store
from flows.runner import run_flow
from flows.shares import Share
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from nengliu.storage import Writer
from schemas.topics import RAW


def build(settings: Settings, source: LogSource, sink: StoreSink, *, watch: bool = True) -> Dataflow:
    """Chain the flows; everything leaves through one sink, which flushes before an epoch commits.

    Without `watch` (the benchmark tells what it costs) nobody judges.
    """
    flow = Dataflow("embedded")
    records = op.input("read_raw", flow, source)
    taken = ingest.ingest("ingest", records, partial(ingest.shard_of, settings))
    windows = rollups.rollups("rollups", taken.passed, partial(rollups.shard_of, settings))
    rows = [taken.rows, windows]
    if watch:
        rows.append(anomaly.anomaly("anomaly", taken.passed, partial(anomaly.shard_of, settings)))
    op.output("store", op.merge("join_rows", *rows), sink)
    return flow


def run(
    settings: Settings,
    *,
    stop_at_end: bool = False,
    workers: int = 1,
    partitions: tuple[int, ...] = (),
    watch: bool = True,
) -> None:
    """Run the chained flows until they are stopped (or the log ends)."""
    meet_store(settings)
    share = Share("embedded", partitions)
    source = LogSource(partial(open_log, settings), RAW, stop_at_end=stop_at_end, partitions=share.partitions)
    sink = StoreSink(partial(Writer, settings))
    flow = build(settings, source, sink, watch=watch)
    run_flow(flow, settings.recovery_path / share.name, settings.epoch_s, workers)
