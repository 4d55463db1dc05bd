"""Evidence: what intake hands on beside the accepted readings, and that neither cuts nor crashes change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import intake_mix as mix
import numpy as np
from factories import (
    AT_MS,
    AT_S,
    ENTERPRISE,
    GENERATION,
    POINT_ID,
    make_block,
    make_frame,
    make_json,
    make_links,
    make_log,
    make_notices,
    make_point,
    make_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_store import IngestStore
from intake_mix import LATE_S, shard
from interrupted import Crash, crashes, cuts, forget, seeds
from msgspec.structs import replace as changed

from nengliu.analysis.intake.shard import IngestShard, Outcome
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.bus import Record
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality, Reason
from schemas.block import ARRAYS, Block, Sheaf, Verdict, join
from schemas.messages import (
    ActionNotice,
    Notice,
    RejectedNotice,
    RejectedRow,
    TickNotice,
    WiredLine,
    WiringNotice,
    encode,
)

LAW = settings(max_examples=120, deadline=None)
Said = tuple[Any, ...]


def told(*messages: Any, points: Sequence[Any] = (make_point(),)) -> list[Said]:
    """What goes on of messages behind the notices of some points, those notices left out."""
    log = make_log([*make_notices(*points), *messages], appended_at_s=LATE_S)
    return [one for one in said(shard().add(log).onward) if one[0] >= GENERATION + len(points) + 1]


def said(onward: Iterable[tuple[int, Block | Sheaf | Notice]]) -> list[Said]:
    """What is handed on, reading by reading in order of the log; position first, the cuts left out."""
    found: list[Said] = []
    onward = list(onward)
    assert [position for position, _ in onward] == sorted(position for position, _ in onward)
    for position, message in onward:
        if not isinstance(message, Block | Sheaf):
            found.append((position, message))
            continue
        block = spelled_out(message)
        columns = [getattr(block, name).tolist() for name in ARRAYS if name not in ("slot", "sent_unit")]
        names = [block.points[slot] for slot in block.slot.tolist()]
        units = [block.units[unit] for unit in block.sent_unit.tolist()]
        rows = zip(block.position.tolist(), names, units, *columns, strict=True)
        found.extend(rows)
    return sorted(found, key=lambda entry: entry[0])


def spelled_out(message: Block | Sheaf) -> Block:
    """Readings of a sheaf or a block, in order of the log."""
    block = message.block() if isinstance(message, Sheaf) else message
    assert (np.diff(block.position.astype(np.int64)) >= 0).all()
    return block


def blocks(outcome: Outcome) -> Block:
    """All readings that are handed on, in one block."""
    found = [spelled_out(message) for _, message in outcome.onward if isinstance(message, Block | Sheaf)]
    block = join(found)
    return block.take(np.argsort(block.position, kind="stable"))


def verdicts(*messages: Any) -> list[tuple[int, str]]:
    """Ticks and verdict of what is handed on of messages."""
    block = blocks(shard().add(make_log([*make_notices(make_point()), *messages], appended_at_s=LATE_S)))
    return [(t, Verdict(v).name) for t, v in zip(block.ticks.tolist(), block.verdict.tolist(), strict=True)]


# -- what is evidence ------------------------------------------------------------------------------------------------


def test_message_delivered_twice_says_nothing() -> None:
    """The same receipt is the same message: law 2 lets nobody see that it came again, sooner or later numbered."""
    one = make_frame(((5,),), sequence=1)

    assert verdicts(one, one, changed(one, sequence=2)) == [(5, "NEW")]


def test_equal_value_under_another_receipt_is_a_repetition() -> None:
    """A gateway that repeats itself shows by its receipts, whether the sequence is later, equal or earlier."""
    one = make_frame(((5,),), sequence=5)
    for sequence in (4, 5, 6):
        again = changed(one, sequence=sequence, received_at_s=one.received_at_s + 7)
        assert verdicts(one, again) == [(5, "NEW"), (5, "DUPLICATE")]


def test_repetition_is_measured_by_the_value_that_stands() -> None:
    """A repetition does not move the receipt of what stands: the third of three is judged by the first."""
    one = make_frame(((5,),), sequence=1)
    other = changed(one, sequence=2, received_at_s=one.received_at_s + 7)

    assert verdicts(one, other, changed(other, sequence=3), one) == [
        (5, "NEW"),
        (5, "DUPLICATE"),
        (5, "DUPLICATE"),
    ]


def test_conflict_goes_on_from_both_sides() -> None:
    """A value that wins over another and one that loses are both told."""
    values = [make_frame(((v,),), sequence=s) for v, s in ((5, 5), (6, 6), (4, 4))]

    assert verdicts(*values) == [(5, "NEW"), (6, "REPLACED"), (4, "LOST")]


def test_refused_reading_goes_on_with_its_reason_and_as_much_as_is_known() -> None:
    """A refused reading bears point, time, receipt, order and ticks where they could be worked out."""
    (one,) = [
        block for _, block in shard().add(
            make_log([*make_notices(make_point()), make_frame(((-5,),), sequence=77)], appended_at_s=LATE_S)
        ).onward if isinstance(block, Block)
    ]  # fmt: skip

    assert one.points == ((ENTERPRISE, POINT_ID),)
    assert {name: getattr(one, name).tolist() for name in ARRAYS} == {
        "slot": [0],
        "read_at_ms": [AT_MS],
        "ticks": [-5],
        "quality": [Quality.GOOD],
        "reason": [Reason.NEGATIVE_REGISTER],
        "origin": [0],
        "received_at_s": [AT_S + 900],
        "sequence": [77],
        "position": [GENERATION + 2],
        "sent": [-5],
        "sent_unit": [0],
        "verdict": [Verdict.REFUSED],
    }


def test_refused_thing_without_a_reading_is_told_at_its_receipt() -> None:
    """Unknown points bear the name they came with; whole messages and rows of files the time the log or file says."""
    rejected = RejectedNotice(ENTERPRISE, "a.csv", AT_S, (RejectedRow(3, Reason.EMPTY_VALUE, "e-1"),))
    outcome = shard().add(
        make_log([make_json(point="nobody"), b"rubbish beyond an envelope", rejected], appended_at_s=LATE_S)
    )
    block = blocks(outcome)

    assert [block.points[slot][1] for slot in block.slot.tolist()] == ["nobody", "", "e-1"]
    assert block.reason.tolist() == [Reason.UNKNOWN_POINT, Reason.NOT_A_MESSAGE, Reason.EMPTY_VALUE]
    assert block.received_at_s.tolist() == [LATE_S, LATE_S, AT_S]
    assert block.read_at_ms.tolist() == [AT_MS, LATE_S * 1000, AT_S * 1000]
    assert block.ticks.tolist() == [0, 0, 0]
    assert set(block.verdict.tolist()) == {Verdict.REFUSED}


def test_wild_times_of_a_refused_reading_give_way() -> None:
    """A receipt after the log's clock or before 1970 is the log's, a stamp that is no time is the receipt's."""
    frames = [
        make_frame(received_at_s=2**40),
        make_frame(received_at_s=-3, read_at_ms=np.array([7])),
        make_frame(read_at_ms=np.array([-5])),
        make_frame(read_at_ms=np.array([2**50])),
        make_frame(read_at_ms=np.array([AT_MS + 10**9])),
    ]
    received = make_frame().received_at_s
    block = blocks(shard().add(make_log([*make_notices(make_point()), *frames], appended_at_s=LATE_S)))

    assert block.received_at_s.tolist() == [LATE_S, LATE_S, received, received, received]
    assert block.read_at_ms.tolist() == [AT_MS, 7, received * 1000, received * 1000, AT_MS + 10**9]


def test_evidence_of_one_message_stands_together_in_its_order() -> None:
    """Accepted and refused readings of a frame have one position; nothing of it leaves after a later one."""
    two = make_frame(((1,), (-2,), (3,)))
    outcome = told(two, make_links(), make_frame(((9,),), sequence=9, read_at_ms=np.array([AT_MS + 1])))

    assert [one[0] - GENERATION for one in outcome] == [2, 2, 2, 3, 4]
    assert [one[-1] for one in outcome if len(one) > 2] == [
        Verdict.NEW,
        Verdict.NEW,
        Verdict.REFUSED,
        Verdict.NEW,
    ]


# -- order, cuts and crashes (laws 2 and 7) --------------------------------------------------------------------------

BESIDE: list[Notice] = [
    make_links(),
    TickNotice(AT_S),
    TickNotice(-1),
    ActionNotice(ENTERPRISE, "0123456789abcdef", "close", "li", AT_S),
    ActionNotice(ENTERPRISE, "no incident", "close", "li", AT_S),
    WiringNotice(ENTERPRISE, "c", (WiredLine("l", ()),)),
    WiringNotice(ENTERPRISE, "c", ()),
]


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Draw a log of readings of every kind, good, bad and repeated under other receipts, among notices."""
    values: list[Any] = [*make_notices(*mix.POINTS), *(sent.value for sent in draw(mix.messages))]
    for _ in range(draw(st.integers(0, 5))):
        ticks, sequence, late = (draw(st.integers(0, n)) for n in (1, 3, 2))
        at = np.array([AT_MS + draw(st.integers(0, 1)) * 900_000])
        frame = make_frame(
            ((ticks, ticks),), sequence=sequence, read_at_ms=at, received_at_s=AT_S + 900 + late
        )
        values.insert(draw(st.integers(2, len(values))), encode(frame))
    for notice in draw(st.lists(st.sampled_from(BESIDE), max_size=5)):
        values.insert(draw(st.integers(0, len(values))), encode(notice))
    return make_log(values, appended_at_s=LATE_S)


@LAW
@given(records=logs(), seed=seeds)
def test_batch_cuts_and_eviction_change_nothing_that_is_handed_on(records: list[Record], seed: int) -> None:
    """Law 2: in one batch, or in many with everything forgotten that may be, the same goes on in the same order."""
    whole = said(shard().add(records).onward)
    store = IngestStore()
    one, found = shard(store), []
    for batch in cuts(records, seed):
        forget(one)
        outcome = one.add(batch)
        store.write(outcome.rows)
        one.seal()
        store.end_epoch()
        found += said(outcome.onward)

    assert found == whole
    assert [entry[0] for entry in whole] == sorted(entry[0] for entry in whole)


@LAW
@given(records=logs(), seed=seeds, crash=crashes)
def test_replay_after_a_crash_hands_on_the_same(records: list[Record], seed: int, crash: Crash) -> None:
    """Law 7: crash anywhere with part of the writes stored, resume from an earlier commit: the same evidence."""
    whole, resumed = said(shard().add(records).onward), crash.resumes_at(records)
    store = IngestStore()
    first = _fed(shard(store), records[:resumed], store, seed)
    crash.kill(shard(store), store, records, seed)

    assert first + _fed(shard(store), records[resumed:], store, seed + 1) == whole


def _fed(one: IngestShard, records: list[Record], store: IngestStore, seed: int) -> list[Said]:
    """What a shard hands on of records, all of its rows stored in the end."""
    found = []
    for batch in cuts(records, seed):
        outcome = one.add(batch)
        store.write(outcome.rows)
        found += said(outcome.onward)
    store.flush()
    return found


@LAW
@given(records=logs(), seed=seeds)
def test_windows_are_the_same_with_and_without_evidence(records: list[Record], seed: int) -> None:
    """Rollups take what was accepted, however it is cut by notices that are not theirs."""

    def final(take: Any) -> dict[Any, Any]:
        store, intake, windows = IngestStore(), shard(), WindowShard()
        found: dict[Any, Any] = {}
        for batch in cuts(records, seed):
            outcome = intake.add(batch)
            store.write(outcome.rows)
            for rows in take(windows, outcome.onward):
                for row in mix.rows_of(rows):
                    key = rows.table, row["enterprise"], row["point"], row["period_start"]
                    key += (row["revision"],) if "history" in rows.table else ()
                    found[key] = max(found.get(key, (0, "")), (row["revision"], repr(sorted(row.items()))))
        return found

    def one_by_one(windows: WindowShard, onward: Any) -> Any:
        for position, message in onward:
            if isinstance(message, Block | Sheaf):
                block = spelled_out(message)
                yield from windows.add(block.take(block.verdict <= Verdict.REPLACED))
            else:
                yield from windows.take(message, position)

    assert final(lambda windows, onward: windows.run(onward)) == final(one_by_one)


# -- blocks ----------------------------------------------------------------------------------------------------------


def test_blocks_of_other_points_and_units_are_joined_by_name() -> None:
    """A slot means the same point and a unit the same unit before and after."""
    one = make_block([{"point": "a", "ticks": 1}, {"point": "b", "ticks": 2}])
    other = make_block([{"point": "b", "ticks": 3}, {"point": "c", "ticks": 4}], units=(("MWh", 1),))
    both = join([one, other])

    assert [both.points[slot][1] for slot in both.slot.tolist()] == ["a", "b", "b", "c"]
    assert [both.units[unit] for unit in both.sent_unit.tolist()] == [("kWh", 2)] * 2 + [("MWh", 1)] * 2
    assert both.ticks.tolist() == [1, 2, 3, 4]
    assert join([one]) is one


def test_block_of_accepted_readings_is_itself() -> None:
    """Nothing is copied where nothing is left out."""
    block = make_block([{"verdict": 0}, {"verdict": 1}])

    assert block.accepted() is block
    assert len(make_block([{"verdict": v} for v in Verdict]).accepted()) == 2


def test_gauge_over_its_range_is_no_evidence_but_a_reading() -> None:
    """A doubtful value is accepted with its mark; only what is refused is evidence."""
    gauge = make_point("t", Kind.GAUGE, unit="kW", maximum=10)
    rows = make_rows((11,), received_at_s=np.array([AT_S]))
    ((_, *_, verdict),) = told(rows, points=[gauge])

    assert verdict == Verdict.NEW
