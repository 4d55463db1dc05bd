"""Link notices in intake: stored and passed on, or refused with a reason; a mark of backfill makes late readings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from factories import (
    AT_MS,
    AT_S,
    ENTERPRISE,
    GENERATION,
    OTHER,
    make_block,
    make_frame,
    make_links,
    make_log,
    make_notices,
    make_point,
    make_record,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_store import IngestStore, rows_of

from nengliu.analysis.checks import ENTRY_LIMIT, TEXT_LIMIT
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Quality, Reason
from schemas.block import Block, Rows, Verdict
from schemas.messages import (
    EnterpriseNotice,
    LinkEvent,
    LinkNotice,
    Missed,
    encode,
    mark_backfilled,
)
from tests.analysis.intake_mix import shard, table

AHEAD_MS = AT_MS + 86_400_000 + 301_000
DOWN = LinkEvent(AT_MS + 7, LinkKind.METER_DOWN, "rs485", "m3", Reason.TIMEOUT, 0, {"meter": "m3"})
GONE = Missed(AT_MS, AT_MS + 1_800_000, 3, Reason.TIMEOUT, ("e-main", "t"), {"meter": "m3"})


def test_notice_of_links_becomes_rows_and_goes_on() -> None:
    """Each event and each point of a missed range is a row with the collector's own key; the notice is passed on."""
    notice = make_links((DOWN, LinkEvent(AT_MS, LinkKind.LINE_UP, "rs485", since_ms=5)), (GONE,), number=4)
    record = make_record(notice, 9)
    outcome = shard().add([record])

    events, missed = table(outcome, "link_event"), table(outcome, "missed")
    own = {"enterprise": ENTERPRISE, "source": "collector-1", "sequence": AT_S << 32 | 4}
    own |= {"received_at": AT_S, "position": record.position}
    assert events[0] == own | {
        "kind": 22,
        "item": 0,
        "at": AT_MS + 7,
        "line": "rs485",
        "meter": "m3",
        "reason": 501,
        "since": 0,
        "parameters": '{"meter": "m3"}',
    }
    assert [(row["item"], row["kind"], row["since"]) for row in events] == [(0, 22, 0), (1, 11, 5)]
    assert [row["point"] for row in missed] == ["e-main", "t"]
    assert missed[1] == own | {
        "point": "t",
        "first_at": AT_MS,
        "last_at": AT_MS + 1_800_000,
        "count": 3,
        "reason": 501,
        "parameters": '{"meter": "m3"}',
    }
    assert outcome.onward == [(record.position, notice)]
    assert outcome.tallies == []


@pytest.mark.parametrize(
    ("notice", "reason", "field"),
    [
        (make_links(enterprise=OTHER), "WRONG_ENTERPRISE", None),
        (make_links(enterprise=""), "BAD_FIELD", "enterprise"),
        (make_links(source=""), "BAD_FIELD", "source"),
        (make_links(source="x" * (TEXT_LIMIT + 1)), "BAD_FIELD", "source"),
        (make_links(sequence=2**64), "BAD_FIELD", "sequence"),
        (make_links(received_at_s=-1), "NOT_A_TIME", None),
        (make_links(received_at_s=AHEAD_MS // 1000), "STAMP_IN_FUTURE", None),
        (make_links([LinkEvent(AT_MS, 4)]), "BAD_FIELD", "kind"),
        (make_links([LinkEvent(AT_MS, 22, reason=999)]), "BAD_FIELD", "reason"),
        (make_links([LinkEvent(AT_MS, 22, reason=Reason.OVER_RANGE)]), "BAD_FIELD", "reason"),
        (make_links([LinkEvent(AHEAD_MS, 3)]), "STAMP_IN_FUTURE", None),
        (make_links([LinkEvent(-1, 3)]), "NOT_A_TIME", None),
        (make_links([LinkEvent(AT_MS, 21, since_ms=AHEAD_MS)]), "STAMP_IN_FUTURE", None),
        (make_links([LinkEvent(AT_MS, 21, since_ms=-5)]), "NOT_A_TIME", None),
        (make_links([LinkEvent(AT_MS, 21, "l" * 201)]), "BAD_FIELD", "line, meter"),
        (make_links([LinkEvent(AT_MS, 21, parameters={"a": "b" * 1001})]), "BAD_FIELD", "parameters"),
        (make_links([LinkEvent(AT_MS, 21, parameters={"a" * 201: "b"})]), "BAD_FIELD", "parameters"),
        (
            make_links([LinkEvent(AT_MS, 21, parameters={str(i): "" for i in range(201)})]),
            "BAD_FIELD",
            "parameters",
        ),
        (make_links(missed=[Missed(AT_MS, AT_MS - 1, 1, 501, ("e",))]), "BAD_FIELD", "last_ms"),
        (make_links(missed=[Missed(AT_MS, AHEAD_MS, 1, 501, ("e",))]), "STAMP_IN_FUTURE", None),
        (make_links(missed=[Missed(-1, AT_MS, 1, 501, ("e",))]), "NOT_A_TIME", None),
        (make_links(missed=[Missed(AT_MS, AT_MS, 0, 501, ("e",))]), "BAD_FIELD", "count"),
        (make_links(missed=[Missed(AT_MS, AT_MS, 2, 501, ("e",))]), "BAD_FIELD", "count"),
        (make_links(missed=[Missed(0, AT_MS, 2**32, 501, ("e",))]), "BAD_FIELD", "count"),
        (make_links(missed=[Missed(AT_MS, AT_MS, 1, 0, ("e",))]), "BAD_FIELD", "reason"),
        (make_links(missed=[Missed(AT_MS, AT_MS, 1, 501, ())]), "BAD_FIELD", "points"),
        (make_links(missed=[Missed(AT_MS, AT_MS, 1, 501, ("e", ""))]), "BAD_FIELD", "points"),
        (make_links(missed=[Missed(AT_MS, AT_MS, 1, 501, ("p" * 201,))]), "BAD_FIELD", "points"),
        (
            make_links(missed=[Missed(AT_MS, AT_MS, 1, 501, ("e",) * (ENTRY_LIMIT + 1))]),
            "BAD_FIELD",
            "entries",
        ),
    ],
)
def test_notice_that_cannot_be_meant_so_is_refused_whole(
    notice: LinkNotice, reason: str, field: str | None
) -> None:
    """A strange notice goes to the quarantine with its reason and its field; only that it was refused goes on."""
    outcome = shard().add([make_record(notice)])

    (held,) = table(outcome, "quarantine")
    assert held["reason"] == Reason[reason]
    assert field is None or f'"field": "{field}"' in held["parameters"]
    assert (outcome.tallies[0].received, outcome.tallies[0].valid) == (1, 0)
    ((_, evidence),) = outcome.onward
    assert isinstance(evidence, Block)
    assert (evidence.verdict.tolist(), evidence.reason.tolist()) == ([Verdict.REFUSED], [Reason[reason]])
    assert table(outcome, "link_event") == table(outcome, "missed") == []


def test_notice_at_the_edge_of_the_tolerance_is_taken() -> None:
    """A collector whose clock is as far ahead as a reading's may be is heard."""
    edge = make_links([LinkEvent(AHEAD_MS - 1000, 3)], received_at_s=AHEAD_MS // 1000 - 1)

    assert len(shard().add([make_record(edge)]).onward) == 1


def test_notices_among_readings_go_on_in_log_order() -> None:
    """Readings and notices leave in the order of the log: who resumes at them meets no later position first."""
    works = EnterpriseNotice(Enterprise(ENTERPRISE, "厂"))
    frames = [make_frame(((i,),), sequence=i, read_at_ms=np.array([AT_MS + i])) for i in (1, 2, 3)]
    log = [*make_notices(make_point()), frames[0], make_links(), frames[1], works, frames[2], make_links()]
    onward = shard().add(make_log(log)).onward

    assert [type(message).__name__ for _, message in onward] == [
        "PointNotice",
        "SchemaNotice",
        "Sheaf",
        "LinkNotice",
        "Sheaf",
        "EnterpriseNotice",
        "Sheaf",
        "LinkNotice",
    ]
    assert [position - GENERATION for position, _ in onward] == list(range(8))


def test_windows_take_no_notice_of_missing_readings() -> None:
    """Whatever a collector says it missed, rollups write the same rows: a missing reading is no zero (ADR 0004)."""
    told = [make_record(notice, i) for i, notice in enumerate(make_notices(make_point(interval_s=900)))]
    readings = make_block(
        [{"at_ms": AT_MS + 900_000 * i, "ticks": 100 * i, "sequence": i} for i in (0, 1, 4)]
    )

    def written(with_links: bool) -> list[dict[str, Any]]:
        rollups = WindowShard()
        intake = shard()
        for position, notice in intake.add(told).onward:
            assert not isinstance(notice, Block)
            rollups.take(notice, position)
        rows = rollups.take(make_links(missed=[GONE]), 3) if with_links else []
        assert rows == []
        rows = rollups.add(readings)
        assert not with_links or rollups.take(make_links(missed=[GONE]), 9) == []
        return [row for r in rows for row in table_rows(r)]

    assert written(with_links=True) == written(with_links=False)
    said = [row for row in written(with_links=True) if row["table"] == "window_15min"]
    newest = {row["period_start"]: row for row in sorted(said, key=lambda row: row["revision"])}
    assert sum(row["received"] for row in newest.values()) == 3


def test_backfilled_reading_does_not_hide_a_register_that_ran_backward() -> None:
    """A window bears the gravest reason: how a value came is less than what is wrong with it."""
    rollups = WindowShard()
    for position, notice in enumerate(make_notices(make_point())):
        rollups.take(notice, position)
    late = {"quality": Quality.LATE, "reason": Reason.BACKFILLED}
    reads = ((100, 0), (90, 1000), (95, 2000))
    block = make_block(
        [late | {"at_ms": AT_MS + ms, "ticks": ticks, "sequence": i} for i, (ticks, ms) in enumerate(reads)]
    )
    rows = [row for r in rollups.add(block) for row in table_rows(r)]

    assert {row["table"]: row["reason"] for row in rows} == dict.fromkeys(
        ("window_15min", "window_hour", "window_day", "window_month"), Reason.REGISTER_BACKWARD
    )


def table_rows(rows: Rows) -> list[dict[str, Any]]:
    """Rows as dictionaries that can be compared: NaN equals itself as a text."""
    plain = [
        {name: repr(v) if isinstance(v, float) else v for name, v in row.items()} for row in rows_of(rows)
    ]
    return [row | {"table": rows.table} for row in plain]


# -- readings sent after a break ---------------------------------------------------------------------------------


def test_good_reading_of_a_backfilled_frame_is_late() -> None:
    """What was sent after a break is late with its reason; what is suspect or bad stays so."""
    quality = np.array([[Quality.GOOD, Quality.SUSPECT, Quality.BAD, Quality.ESTIMATED]], np.uint8)
    points = [make_point(name) for name in "abcd"]
    frame = mark_backfilled(encode(make_frame(((1, 2, 3, 4),), quality=quality)))
    rows = table(shard().add(make_log([*make_notices(*points), frame])), "reading")

    assert [(row["quality"], row["reason"]) for row in rows] == [
        (Quality.LATE, Reason.BACKFILLED),
        (Quality.SUSPECT, 0),
        (Quality.BAD, 0),
        (Quality.ESTIMATED, 0),
    ]


def test_backfilled_reading_outside_its_limits_is_suspect() -> None:
    """Doubt is graver than lateness."""
    log = [*make_notices(make_point(maximum=50)), mark_backfilled(encode(make_frame(((100,),))))]
    (row,) = table(shard().add(make_log(log)), "reading")

    assert (row["quality"], row["reason"]) == (Quality.SUSPECT, Reason.OVER_RANGE)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_backfilled_frame_that_came_already_is_a_duplicate(order: tuple[int, int]) -> None:
    """The same frame live and after the break counts once, whichever came first; the first one's class stays."""
    frame = encode(make_frame())
    both = frame, mark_backfilled(frame)
    outcome = shard().add(make_log([*make_notices(make_point()), *(both[i] for i in order)]))

    assert [(tally.valid, tally.duplicate) for tally in outcome.tallies] == [(1, 0), (0, 1)]
    (row,) = table(outcome, "reading")
    assert row["quality"] == (Quality.GOOD, Quality.LATE)[order[0]]


# -- law 2 and 7 for links ---------------------------------------------------------------------------------------

kinds = st.sampled_from(LinkKind)
names = st.sampled_from(["", "a", "b"])
times = st.integers(0, 5).map(lambda n: AT_MS + n * 60_000)
events = st.builds(LinkEvent, times, kinds, names, names, st.sampled_from([0, 501, 502]))
ranges = st.builds(
    lambda at, n, reason, points: Missed(at, at + (n - 1) * 60_000, n, reason, points),
    times,
    st.integers(1, 3),
    st.sampled_from([501, 502, 503]),
    st.sampled_from([("e",), ("e", "t")]),
)


@st.composite
def notices(draw: st.DrawFn) -> list[LinkNotice]:
    """Draw what two collectors say, each notice with a number of its own."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from(["collector-1", "collector-2"]))
        said, lost = draw(st.lists(events, max_size=3)), draw(st.lists(ranges, max_size=2))
        distinct = {(m.first_ms, m.last_ms): m for m in lost}
        found.append(make_links(said, list(distinct.values()), number, source=source))
    return found


def _final(log: list[LinkNotice], cuts: set[int]) -> dict[str, Any]:
    """What the tables hold after a log that was taken in pieces, positions left out."""
    store, intake = IngestStore(), shard()
    records = make_log(log)
    edges = [0, *sorted(cut % (len(records) + 1) for cut in cuts), len(records)]
    for start, end in itertools.pairwise(edges):
        store.write(intake.add(records[start:end]).rows)
    store.flush()
    return {
        name: {
            key: {column: value for column, value in row.items() if column != "position"}
            for key, row in store.tables[name].items()
        }
        for name in ("link_event", "missed")
    }


@settings(max_examples=150, deadline=None)
@given(said=notices(), data=st.data(), cuts=st.sets(st.integers(0, 20), max_size=3))
def test_links_in_any_order_doubled_and_cut_leave_the_same_rows(
    said: list[LinkNotice], data: st.DataObject, cuts: set[int]
) -> None:
    """Duplicated, reordered, cut into batches: the tables hold the same in the end."""
    doubled = said + data.draw(st.lists(st.sampled_from(said), max_size=4))
    shuffled = data.draw(st.permutations(doubled))

    assert _final(list(shuffled), cuts) == _final(said, set())
