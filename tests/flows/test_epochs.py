"""What the flows rely on in Bytewax: the order of epochs, operators and sinks."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.runner import run_flow

Event = tuple[str, str, int, int]


class _Numbered(StatefulSourcePartition[tuple[str, tuple[str, int, int]], int]):
    """Gives ``(part, number, epoch)``; counts its epochs by its snapshots."""

    def __init__(self, part: str, last: int) -> None:
        self.part, self.number, self.epoch, self.last = part, 0, 0, last

    def next_batch(self) -> list[tuple[str, tuple[str, int, int]]]:
        if self.number == self.last:
            raise StopIteration
        if random.random() < 0.2:
            return []
        self.number += 1
        return [(self.part, (self.part, self.number, self.epoch))]

    def snapshot(self) -> int:
        self.epoch += 1
        return self.number


class _Source(FixedPartitionedSource[tuple[str, tuple[str, int, int]], int]):
    def list_parts(self) -> list[str]:
        return ["0", "1", "2"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Numbered:
        return _Numbered(for_part, 30 + 10 * int(for_part))


class _Part(StatefulSinkPartition[tuple[str, int, int], None]):
    def __init__(self, name: str, events: list[Event]) -> None:
        self.name, self.events, self.held = name, events, list[tuple[str, int, int]]()

    def write_batch(self, values: list[tuple[str, int, int]]) -> None:
        time.sleep(0.001 * random.random())
        self.held += values

    def snapshot(self) -> None:
        time.sleep(0.003 * random.random())
        self.events += [(self.name, *item) for item in self.held]
        self.held = []


class _Sink(FixedPartitionedSink[tuple[str, int, int], None]):
    def __init__(self, name: str, events: list[Event]) -> None:
        self.name, self.events = name, events

    def list_parts(self) -> list[str]:
        return ["0", "1"]

    def part_fn(self, item_key: str) -> int:
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Part:
        return _Part(self.name, self.events)


@pytest.mark.parametrize("recovery", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_epoch_next_reaches_no_operator_before_all_sinks_flushed_the_last(
    tmp_path: Path, workers: int, recovery: bool
) -> None:
    """An operator gets items of epoch e + 1 only when every sink has run snapshot() for epoch e.

    The flows rest on it: what they drop from memory at an epoch's end is in the store already.
    """
    events: list[Event] = []
    lock = threading.Lock()

    class Watch(op.StatefulBatchLogic[tuple[str, int, int], tuple[str, int, int], None]):
        def on_batch(self, values: list[tuple[str, int, int]]) -> tuple[list[tuple[str, int, int]], bool]:
            with lock:
                events.extend(("operator", *item) for item in values)
            return values, False

        def snapshot(self) -> None:
            return None

    flow = Dataflow("epochs")
    items = op.stateful_batch("watch", op.input("in", flow, _Source()), lambda _: Watch())
    op.output("first", items, _Sink("first", events))
    op.output("second", op.map("more", items, lambda item: item), _Sink("second", events))
    run_flow(flow, tmp_path / "recovery" if recovery else None, 0.01, workers)

    waiting: dict[tuple[str, int, int], set[str]] = {}
    for name, part, number, epoch in events:
        item = (part, number, epoch)
        if name == "operator":
            assert all(earlier[2] >= epoch for earlier in waiting), f"{item} came while {waiting} waited"
            waiting[item] = {"first", "second"}
        else:
            waiting[item].discard(name)
            if not waiting[item]:
                del waiting[item]
    assert waiting == {}
    assert max(event[3] for event in events) >= 3
