"""Sheaves: frames that are taken whole say exactly what they would have said reading by reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories import (
    AT_MS,
    ENTERPRISE,
    OTHER,
    make_frame,
    make_links,
    make_log,
    make_meter,
    make_point,
    make_rows,
    make_schema,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_store import IngestStore
from intake_mix import shard
from interrupted import Crash, crashes, cuts, forget, seeds
from msgspec.structs import replace as changed
from test_evidence import said

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard, Outcome
from nengliu.bus import Record
from nengliu.domain.points import Kind
from nengliu.domain.quality import Origin
from nengliu.domain.times import DAY_MS, HOUR_MS
from schemas.block import Sheaf
from schemas.messages import MISSING, Frame, Notice, PointNotice, SchemaNotice, TickNotice

LAW = settings(max_examples=150, deadline=None)
START_MS = AT_MS // DAY_MS * DAY_MS + 15 * HOUR_MS  # an hour before midnight in China
QUARTER_MS = 900_000
COUNTER = make_point("a")
GAUGE = make_point("b", Kind.GAUGE, unit="kW", item="active_power", decimals=1, maximum=400)
AMOUNT = make_point("c", Kind.PERIOD, meters=(), interval_s=900)
LISTS = {
    1: [("a", "kWh", 2), ("b", "kW", 1)],
    2: [("b", "kW", 1), ("c", "kWh", 2)],
    3: [("a", "Wh", 0), ("b", "W", 0)],
    4: [("c", "kWh", 2), ("c", "kWh", 2)],
}
"""Two lists share a point, one is converted, one names a point twice."""


class Slow(IngestShard):
    """Takes every frame reading by reading."""

    def _lay(self, frame: Frame, batch: Any) -> bool:
        return False


def declared() -> list[Notice]:
    """Notices of two enterprises, with the same points and lists."""
    found: list[Notice] = []
    for enterprise in (ENTERPRISE, OTHER):
        found += [PointNotice(replace(p, enterprise=enterprise)) for p in (COUNTER, GAUGE, AMOUNT)]
        found += [
            SchemaNotice(make_schema(columns, schema=number, enterprise=enterprise))
            for number, columns in LISTS.items()
        ]
    return found


def told(notices: Sequence[Any], **given: Any) -> list[Record]:
    """Records in order, each under the key it speaks for, taken into the log soon after their receipt."""
    records = make_log(notices, **({"appended_at_s": START_MS // 1000 + 9 * 86_400} | given))
    keys = [getattr(getattr(m, "value", m), "enterprise", ENTERPRISE) for m in notices]
    return [replace(record, key=key) for record, key in zip(records, keys, strict=True)]


def frame(values: Sequence[Sequence[int]], quarter: int = 0, **given: Any) -> Frame:
    """A frame of quarter-hours, received half a minute after its last."""
    at = START_MS + QUARTER_MS * (quarter + np.arange(len(values)))
    fixed = {"read_at_ms": at, "received_at_s": int(at[-1]) // 1000 + 30, "sequence": 5}
    return make_frame(values, **(fixed | given))


# -- laws: the same as reading by reading --------------------------------------------------------------------------

values = st.sampled_from([0, 1, 7, 7, 7, 13, 20, 4000, 5000])
odd = st.sampled_from([-1, MISSING, 2**61 + 1, 2**62, -(2**61) - 1])
NEWS: list[Notice] = [
    PointNotice(replace(COUNTER, meters=(make_meter(), make_meter(from_ms=START_MS + 3 * HOUR_MS, first=0)))),
    PointNotice(replace(COUNTER, meters=(make_meter(unit="Wh", decimals=0, modulus=10),), decimals=5)),
    PointNotice(replace(COUNTER, meters=(make_meter(modulus=10),))),
    PointNotice(replace(COUNTER, meters=(make_meter(multiplier=4),), maximum=30, minimum=2)),
    PointNotice(replace(GAUGE, valid_to_ms=START_MS + 2 * HOUR_MS)),
    PointNotice(replace(AMOUNT, valid_from_ms=START_MS + HOUR_MS)),
    SchemaNotice(make_schema(LISTS[1], schema=9)),
]
BESIDE: list[Notice] = [TickNotice(AT_MS // 1000), make_links()]


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Draw a frame of any list: mostly plain and in time, now and then of every other kind."""
    schema = draw(st.sampled_from([1, 1, 1, 2, 3, 4, 9]))
    rows = draw(st.integers(1, 3))
    cell = values if draw(st.integers(0, 5)) else values | odd
    given: dict[str, Any] = {
        "schema": schema,
        "enterprise": draw(st.sampled_from([ENTERPRISE, ENTERPRISE, OTHER])),
        "sequence": draw(st.integers(1, 4)),
        "origin": draw(st.sampled_from([Origin.TIMED, Origin.TIMED, Origin.TIMED, Origin.OPC])),
    }
    one = frame([[draw(cell), draw(cell)] for _ in range(rows)], draw(st.integers(0, 14)), **given)
    change = draw(st.integers(0, 14))
    if change == 0:
        return changed(one, received_at_s=one.received_at_s + draw(st.sampled_from([1, 7000, -4000, 2**40])))
    if change == 1:
        return changed(one, backfilled=True)
    if change == 2:
        return changed(one, quality=np.full(one.values.shape, draw(st.sampled_from([0, 5])), np.uint8))
    if change == 3:
        return changed(one, read_at_ms=one.read_at_ms[::-1].copy())
    if change == 4:
        return changed(one, read_at_ms=one.read_at_ms + draw(st.sampled_from([1, -(10**14), 2**45])))
    return one


@st.composite
def loose(draw: st.DrawFn) -> Any:
    """Draw loose readings of points that also come in frames."""
    at = [START_MS + QUARTER_MS * draw(st.integers(0, 14)) for _ in range(draw(st.integers(1, 3)))]
    return make_rows(
        [draw(values) for _ in at],
        column=np.array([draw(st.integers(0, 1)) for _ in at], np.uint32),
        schema=draw(st.sampled_from([1, 2])),
        read_at_ms=np.array(at),
        received_at_s=np.full(len(at), max(at) // 1000 + 40),
        origin=draw(st.sampled_from([Origin.TIMED, Origin.MANUAL])),
        sequence=draw(st.integers(1, 4)),
    )


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Draw a log: runs of frames in order of time, others in between, some told again, notices at any place."""
    found: list[Any] = []
    for quarter in range(draw(st.integers(0, 8))):
        found.append(frame([[draw(values), draw(values)]], quarter, sequence=draw(st.integers(1, 4))))
    for one in draw(st.lists(frames() | frames() | loose(), max_size=12)):
        found.insert(draw(st.integers(0, len(found))), one)
    if found:
        for one in draw(st.lists(st.sampled_from(found), max_size=4)):
            found.insert(draw(st.integers(0, len(found))), one)
    for one in draw(st.lists(st.sampled_from([*NEWS, *BESIDE]), max_size=3)):
        found.insert(draw(st.integers(0, len(found))), one)
    return told([*declared(), *found])


def fed(
    one: IngestShard, records: Sequence[Record], store: IngestStore, seed: int, *, forgetful: bool = False
) -> tuple[list[Any], list[Any]]:
    """Run a shard over records, cut anyhow, an epoch per batch; what it hands on, and its tallies."""
    onward, tallies = [], []
    for batch in cuts(records, seed):
        if forgetful:
            forget(one)
        outcome = one.add(batch)
        store.write(outcome.rows)
        one.seal()
        store.end_epoch()
        onward += said(outcome.onward)
        tallies += counted(outcome)
    return onward, tallies


def counted(outcome: Outcome) -> list[Any]:
    """Tallies as numbers."""
    return [
        (t.record.position, t.source, t.received, t.valid, t.duplicate, t.conflicts) for t in outcome.tallies
    ]


def judged_slowly(records: Sequence[Record]) -> tuple[IngestStore, list[Any], list[Any]]:
    """What comes of a log in one batch, reading by reading."""
    store = IngestStore()
    outcome = shard(kind=Slow).add(records)
    store.write(outcome.rows)
    store.flush()
    return store, said(outcome.onward), counted(outcome)


@LAW
@given(records=logs(), seed=seeds, forgetful=st.booleans())
def test_frames_taken_whole_say_what_their_readings_say(
    records: list[Record], seed: int, forgetful: bool
) -> None:
    """Law 2 and 3: tallies, quarantine, every stored row, and what is handed on, however the log is cut."""
    slow, onward, tallies = judged_slowly(records)
    store = IngestStore()
    found = fed(shard(store), records, store, seed, forgetful=forgetful)
    store.flush()

    assert found[1] == tallies
    assert store.tables == slow.tables
    assert found[0] == onward


@LAW
@given(records=logs(), seed=seeds, crash=crashes, forgetful=st.booleans())
def test_replay_after_a_crash_ends_with_the_same_rows(
    records: list[Record], seed: int, crash: Crash, forgetful: bool
) -> None:
    """Law 7: crash anywhere with part of the writes stored, resume from an earlier commit."""
    slow, onward, _ = judged_slowly(records)
    store, resumed = IngestStore(), crash.resumes_at(records)
    first, _ = fed(shard(store), records[:resumed], store, seed)
    store.flush()
    crash.kill(shard(store), store, records, seed)
    second, _ = fed(shard(store), records[resumed:], store, seed + 1, forgetful=forgetful)
    store.flush()

    assert store.tables == slow.tables
    assert first + second == onward


# -- the way of plain frames ---------------------------------------------------------------------------------------


def types(outcome: Outcome) -> list[str]:
    """Kinds of what is handed on, after the notices that declare."""
    return [type(message).__name__ for _, message in outcome.onward][len(declared()) :]


def test_plain_frames_go_on_as_one_sheaf_of_a_width_and_origin() -> None:
    """Lists of one width share a sheaf, whoever's they are; another origin and a converted list have their own."""
    tick = TickNotice(AT_MS // 1000)
    plain = [frame([[1, 2], [2, 3]]), frame([[5, 6]], enterprise=OTHER), frame([[3, 4]], 2)]
    odd = [frame([[7, 8]], 3, origin=Origin.OPC), tick, frame([[10, 100]], 4, schema=3)]
    outcome = shard().add(told([*declared(), *plain, tick, *odd]))
    sheaves = [message for _, message in outcome.onward if isinstance(message, Sheaf)]

    assert types(outcome) == ["Sheaf", "TickNotice", "Sheaf", "TickNotice", "Sheaf"]
    assert [sheaf.ticks.tolist() for sheaf in sheaves] == [
        [[1, 2], [2, 3], [5, 6], [3, 4]],
        [[7, 8]],
        [[1, 1]],
    ]
    assert sheaves[0].sent is sheaves[0].ticks
    assert sheaves[2].sent.tolist() == [[10, 100]]
    assert [(t.received, t.valid) for t in outcome.tallies] == [(4, 4), (2, 2), (2, 2), (2, 2), (2, 2)]


def test_last_of_a_stretch_bears_its_newest_position() -> None:
    """Sheaves first, then the block; up to the position of an item everything has been said once it is taken."""
    holed = frame([[1, MISSING]], 1, enterprise=OTHER)
    log = [frame([[1, 2]]), holed, frame([[3, 4]], 2), TickNotice(AT_MS // 1000), frame([[3, 4]], 3)]
    records = told([*declared(), *log])
    outcome = shard().add(records)
    first = records[len(declared())].position

    assert types(outcome) == ["Sheaf", "Block", "TickNotice", "Sheaf"]
    assert [at - first for at, _ in outcome.onward[len(declared()) :]] == [-1, 2, 3, 4]


def test_frame_that_is_not_surely_new_is_looked_at() -> None:
    """A frame told again in a batch, and one of another list with a point in common; an earlier one is new."""
    log = [
        frame([[1, 2]], 1),
        frame([[1, 2]], 1),
        frame([[1, 2]], 0),
        frame([[2, 9]], 1, schema=2),
        frame([[1, 2]], 2),
    ]
    outcome = shard().add(told([*declared(), *log]))

    assert [(t.valid, t.duplicate) for t in outcome.tallies] == [(2, 0), (0, 2), (2, 0), (1, 1), (2, 0)]


def test_frame_delivered_again_costs_no_look() -> None:
    """What the rack holds word for word is counted and leaves nothing; another receipt is a repetition."""
    one, first = shard(), frame([[1, 2], [3, 4]])
    one.add(told([*declared(), first]))
    again = one.add(told([first]))
    assert len(one.ledger.rows.keys) == 0
    repeated = one.add(told([changed(first, received_at_s=first.received_at_s + 1)]))

    assert [(t.received, t.duplicate, t.conflicts) for t in again.tallies] == [(4, 4, 0)]
    assert ([rows.table for rows in again.rows], again.onward) == (["intake"], [])
    assert [(t.received, t.duplicate) for t in repeated.tallies] == [(4, 4)]
    assert [message.verdict.tolist() for _, message in repeated.onward] == [[2, 2, 2, 2]]


def test_loader_is_asked_once_for_the_lists_of_a_batch() -> None:
    """What stands of new lists is asked for together, and not again while they go on."""
    asked: list[int] = []
    store = IngestStore()

    def readings(points: Any, from_ms: Any, before: int) -> Any:
        asked.append(len(points))
        return store.readings(points, from_ms, before)

    one = IngestShard(Catalogue(store.notices), readings)
    one.add(told([*declared(), frame([[1, 2]]), frame([[1, 2]], enterprise=OTHER)]))
    one.add(told([frame([[1, 2]], 1), frame([[1, 2]], 90)]))

    assert asked == [4]


@pytest.mark.parametrize(("most", "kept"), [(200, 120), (0, 50)])
def test_racks_forget_what_is_surely_stored(most: int, kept: int) -> None:
    """Beyond the limit only the newest day and what may not be stored yet are kept; beyond another, two hours."""
    store = IngestStore()
    one = shard(store)
    one.ledger.max_rows = one.racks._trim_beyond = 40
    one.racks.most = most
    one.add(told(declared()))
    held = []
    for day in range(12):
        for part in range(5):
            at = START_MS + DAY_MS * day + 2 * QUARTER_MS * part + QUARTER_MS * np.arange(2)
            two = frame([[1, 1], [2, 2]], read_at_ms=at, received_at_s=int(at[-1]) // 1000 + 1)
            (record,) = told([two], appended_at_s=START_MS // 1000 + 99 * 86_400)
            outcome = one.add([replace(record, offset=100 + 5 * day + part)])
            store.write(outcome.rows)
            one.seal()
            store.end_epoch()
            assert [type(message) for _, message in outcome.onward] == [Sheaf]
        held.append(sum(map(len, one.racks._racks.values())))
    store.flush()
    again = one.add(told([frame([[2, 2]], 3, sequence=1)]))

    assert max(held) <= kept
    assert len(store.standing()) == 240
    assert [(t.valid, t.duplicate) for t in again.tallies] == [(0, 2)]
