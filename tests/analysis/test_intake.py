"""Intake: every refusal with its reason and evidence (law 6), what is stored, passed on and tallied."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any

import intake_mix as mix
import numpy as np
import pytest
from factories import (
    AT_MS,
    AT_S,
    ENTERPRISE,
    GENERATION,
    OTHER,
    POINT_ID,
    make_block,
    make_frame,
    make_json,
    make_log,
    make_meter,
    make_notices,
    make_point,
    make_record,
    make_rows,
    payload_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_mix import LATE_S, PLACES, TEXT, shard, table
from msgspec.structs import replace as changed

from nengliu.analysis.intake.shard import Outcome
from nengliu.domain.points import Formula, Kind
from nengliu.domain.quality import Quality, Reason
from nengliu.domain.times import DAY_MS, Level, period_start_ms
from schemas.block import Block, Verdict
from schemas.messages import (
    ENVELOPE,
    MAX_BODY,
    BookNotice,
    ImportNotice,
    PointNotice,
    RejectedNotice,
    RejectedRow,
    RetentionNotice,
    encode,
)


def told(*messages: Any, points: Sequence[Any] = (make_point(),), **given: Any) -> Outcome:
    """Outcome of messages behind the notices of some points, which are told first."""
    return shard().add(make_log([*make_notices(*points), *messages], **({"appended_at_s": LATE_S} | given)))


def cut_envelope(**given: int) -> bytes:
    """A sound frame with one field of its envelope changed."""
    value = encode(make_frame())
    head = dict(
        zip(
            ("magic", "version", "kind", "codec", "a", "b", "crc", "size"),
            ENVELOPE.unpack_from(value),
            strict=True,
        )
    )
    return ENVELOPE.pack(*(head | given).values()) + value[ENVELOPE.size :]


OLD_POINT = make_point(valid_from_ms=AT_MS, valid_to_ms=AT_MS + DAY_MS)
SMALL = make_point(meters=(make_meter(modulus=1000),))
CASES: list[tuple[str, Any, Sequence[Any], dict[str, str]]] = [
    ("TRUNCATED", encode(make_frame())[:10], (), {"expected": "16", "got": "10"}),
    ("CORRUPT", encode(make_frame())[:-1], (), {}),
    ("NOT_A_MESSAGE", b"GET / HTTP/1.1\r\n\r\n", (), {"got": "b'GE'"}),
    ("NOT_A_MESSAGE", make_block([{}]), (), {"got": "VALID"}),
    ("NOT_A_MESSAGE", b"{oops", (), {"got": "{oops"}),
    ("TOO_LARGE", cut_envelope(size=MAX_BODY + 1), (), {"limit": str(MAX_BODY), "got": str(MAX_BODY + 1)}),
    ("WRONG_VERSION", cut_envelope(version=9), (), {"got": "9"}),
    ("WRONG_VERSION", make_json(v=2), (), {"expected": "1", "got": "2"}),
    ("UNKNOWN_SCHEMA", make_frame(schema=7), (), {"got": "7"}),
    ("WRONG_ENTERPRISE", make_frame(enterprise=OTHER), (), {"expected": ENTERPRISE, "got": OTHER}),
    (
        "WRONG_ENTERPRISE",
        PointNotice(make_point(enterprise=OTHER)),
        (),
        {"expected": ENTERPRISE, "got": OTHER},
    ),
    ("MISSING_FIELD", {"v": 1, "enterprise": ENTERPRISE}, (), {"field": "value"}),
    ("MISSING_FIELD", PointNotice(make_point("n", meters=())), (), {"field": "meters"}),
    ("BAD_FIELD", make_json(origin="?"), (), {"field": "Origin", "got": "?"}),
    ("BAD_FIELD", make_frame(quality=np.array([[9]], np.uint8)), (), {"field": "FRAME"}),
    ("BAD_FIELD", PointNotice(make_point(decimals=3)), (), {"field": "decimals", "got": "3"}),
    (
        "BAD_FIELD",
        PointNotice(make_point("n", metering_level=999)),
        (),
        {"field": "metering_level", "got": "999"},
    ),
    ("BAD_FIELD", BookNotice("d", ({"item": "heat"},)), (), {"field": "factors"}),
    (
        "BAD_FIELD",
        ImportNotice(ENTERPRISE, "d", 1, "f", -1, 1, 1, 0, 0),
        (),
        {"field": "started_at_s", "got": "-1"},
    ),
    (
        "BAD_FIELD",
        RejectedNotice(ENTERPRISE, "f", 1, (RejectedRow(1, 999),)),
        (),
        {"field": "reason", "got": "999"},
    ),
    ("UNKNOWN_POINT", make_json(point="nobody"), (), {"point": "nobody"}),
    ("WRONG_UNIT", make_json(unit="m3"), (), {"expected": "kWh", "got": "m3"}),
    ("NOT_A_NUMBER", make_json(value="on"), (), {"got": "on"}),
    ("NOT_FINITE", make_json(value="Infinity"), (), {"got": "Infinity"}),
    ("EMPTY_VALUE", make_json(value=""), (), {}),
    ("NOT_A_TIME", make_json(read_at="noon"), (), {"got": "noon"}),
    ("NOT_A_TIME", make_frame(read_at_ms=np.array([-5])), (), {"got": "-5"}),
    ("NOT_A_TIME", make_frame(received_at_s=-7, read_at_ms=np.array([0])), (), {"got": "-7000"}),
    (
        "STAMP_IN_FUTURE",
        make_frame(received_at_s=AT_S - 301),
        (),
        {"got": str(AT_MS), "limit": str(AT_MS - 301_000)},
    ),
    (
        "STAMP_IN_FUTURE",
        make_frame(received_at_s=LATE_S + 301),
        (),
        {"got": str(LATE_S * 1000 + 301_000), "limit": str(LATE_S * 1000)},
    ),
    (
        "STAMP_IN_FUTURE",
        make_frame(received_at_s=2**62),
        (),
        {"got": str(2**62 * 1000), "limit": str(LATE_S * 1000)},
    ),
    (
        "BEFORE_POINT",
        make_frame(read_at_ms=np.array([AT_MS - 1])),
        [OLD_POINT],
        {"got": str(AT_MS - 1), "limit": str(AT_MS)},
    ),
    (
        "AFTER_POINT",
        make_frame(read_at_ms=np.array([AT_MS + DAY_MS]), received_at_s=LATE_S),
        [OLD_POINT],
        {"got": str(AT_MS + DAY_MS), "limit": str(AT_MS + DAY_MS)},
    ),
    ("NEGATIVE_REGISTER", make_frame(((-1,),)), (), {"got": "-0.01 kWh"}),
    ("OVER_MODULUS", make_frame(((1000,),)), [SMALL], {"got": "10.00 kWh", "limit": "1000"}),
    ("OUT_OF_INT64", make_frame(((2**63 - 1,),)), (), {"got": "92233720368547758.07 kWh"}),
    ("OUT_OF_INT64", make_json(value="0.000000000000000001", unit="Wh"), (), {"got": "1e-18 Wh"}),
    ("NOT_EXACT", make_json(value="0.005"), (), {"got": "0.005 kWh"}),
    ("RAGGED_ROW", make_frame(((1, 2),)), (), {"expected": "1", "got": "2"}),
    ("RAGGED_ROW", make_rows((1,), column=np.array([5], np.uint32)), (), {"expected": "1", "got": "6"}),
    (
        "CLOCK_STEP_BACK",
        RejectedNotice(ENTERPRISE, "f", AT_S, (RejectedRow(9, 314, "p", "x", {"got": "1", "limit": "2"}),)),
        (),
        {"row": "9", "got": "1"},
    ),
]


@pytest.mark.parametrize(("reason", "message", "points", "evidence"), CASES)
def test_refused_thing_is_held_with_reason_evidence_and_payload(
    reason: str, message: Any, points: Sequence[Any], evidence: dict[str, str]
) -> None:
    """Law 6: bad data is one row with a closed reason, evidence for its text, and what was sent; neighbours pass."""
    outcome = told(
        message, make_frame(sequence=1, read_at_ms=np.array([AT_MS + 1])), points=points or (make_point(),)
    )
    (row,) = table(outcome, "quarantine")
    parameters = json.loads(row["parameters"])

    assert Reason(row["reason"]).name == reason
    assert evidence.items() <= parameters.items()
    assert PLACES[reason] <= parameters.keys()
    assert (row["enterprise"], row["partition"], row["position"]) == (ENTERPRISE, 0, GENERATION + 2)
    assert row["payload"] != "" or (isinstance(message, RejectedNotice) and message.rows[0].text == "")
    assert 0 <= row["received_at"] <= LATE_S + 300
    assert [t.valid for t in outcome.tallies] == [0, 1]
    assert all(0 <= r["received_at"] < 2**32 for r in table(outcome, "intake"))


def test_every_reason_that_holds_back_is_proved() -> None:
    """No reason of the network, communication and business layer is without a case."""
    layers = {row["code"] for row in csv.DictReader(TEXT.splitlines()) if row["class"] == "quarantine"}

    assert {case[0] for case in CASES} | {"COMPUTED_POINT", "TOO_MANY_WAIT", "BEYOND_RETENTION"} == layers


def test_reading_of_a_computed_point_is_held() -> None:
    """What a formula says is not read."""
    points = [make_point("b"), make_point(kind=Kind.PERIOD, interval_s=0, formulas=(Formula(0, "b"),))]
    (row,) = table(told(make_json(), points=points), "quarantine")

    assert (Reason(row["reason"]), json.loads(row["parameters"])) == (
        Reason.COMPUTED_POINT,
        {"point": POINT_ID},
    )


def test_reading_beyond_the_retention_is_held_for_a_person() -> None:
    """From the notice on, what lies before it is refused, reading by reading."""
    later = AT_S + 5 * 366 * 86_400
    month = int(period_start_ms(Level.MONTH, np.array([AT_MS]))[0])
    frame = make_frame(((1,), (2,)), read_at_ms=np.array([month - 1, month]), received_at_s=month // 1000 + 9)
    outcome = told(RetentionNotice(month, later), frame, changed(frame, sequence=2), appended_at_s=later)
    rows = table(outcome, "quarantine")

    assert [json.loads(row["parameters"]) for row in rows] == [
        {"got": str(month - 1), "limit": str(month)}
    ] * 2
    assert [(t.valid, t.duplicate, t.quarantined) for t in outcome.tallies] == [(1, 0, 1), (0, 1, 1)]


def test_message_refused_whole_is_kept_to_be_read_again() -> None:
    """The payload is the message itself, up to its limit."""
    value = cut_envelope(version=9)
    first, second = table(told(value, b"x" * 70_000), "quarantine")

    assert payload_of(first["payload"]) == value
    assert payload_of(second["payload"]) == b"x" * 64_000


def test_reading_held_back_keeps_every_number_it_had() -> None:
    """The payload of a reading says time, value, unit, decimals and order."""
    (row,) = table(told(make_frame(((-5,),), sequence=77)), "quarantine")
    payload = json.loads(row["payload"])

    assert (row["point"], row["item"], row["source"]) == (POINT_ID, 0, "collector-1")
    assert payload == {
        "read_at_ms": AT_MS,
        "sent": -5,
        "received_at_s": AT_S + 900,
        "sequence": 77,
        "origin": 0,
        "quality": 0,
        "point": POINT_ID,
        "unit": "kWh",
        "decimals": 2,
    }


def test_refusals_of_both_kinds_in_one_message_have_numbers_of_their_own() -> None:
    """A reading refused by judgement and an object refused by reading never share a key."""
    outcome = told([make_json(value="-1"), make_json(v=2), make_json(value="x"), make_json(value="-1")])
    items = [row["item"] for row in table(outcome, "quarantine")]

    assert len(items) == len(set(items)) == 4
    assert [(t.received, t.quarantined) for t in outcome.tallies] == [(4, 4)]


def test_accepted_reading_is_stored_and_passed_on_as_it_is() -> None:
    """Ticks, quality, receipt, position, and the value as sent."""
    outcome = told(make_frame(((5,), (7,)), quality=np.array([[0], [5]], np.uint8)))
    rows, ((position, block),) = table(outcome, "reading"), outcome.onward[-1:]

    assert [
        (r["ticks"], r["quality"], r["position"], r["sent"], r["sent_unit"], r["sent_decimals"]) for r in rows
    ] == [
        (5, Quality.LATE if AT_S + 1800 > AT_S + 3600 else Quality.GOOD, GENERATION + 2, 5, "kWh", 2),
        (7, Quality.SUSPECT, GENERATION + 2, 7, "kWh", 2),
    ]
    assert (position, block.ticks.tolist(), block.points) == (
        GENERATION + 2,
        [5, 7],
        ((ENTERPRISE, POINT_ID),),
    )


def test_marked_reading_is_accepted_with_its_mark() -> None:
    """Over the official range and late are marks of the business layer, not refusals."""
    gauge = make_point("t", Kind.GAUGE, unit="kW", maximum=10)
    rows = table(told(make_frame(((11,), (3,)), received_at_s=AT_S + 4501), points=[gauge]), "reading")

    assert [(r["quality"], r["reason"]) for r in rows] == [
        (Quality.SUSPECT, Reason.OVER_RANGE),
        (Quality.LATE, Reason.ARRIVED_LATE),
    ]


def test_conflict_keeps_the_later_sequence_and_the_loser() -> None:
    """Two values for one time: the later stands, the other is in its own table, both messages balance."""
    outcome = told(
        make_frame(((5,),), sequence=5), make_frame(((6,),), sequence=6), make_frame(((4,),), sequence=4)
    )

    assert [r["ticks"] for r in table(outcome, "reading")] == [6]
    assert sorted(r["ticks"] for r in table(outcome, "reading_superseded")) == [4, 5]
    assert [(t.valid, t.duplicate, t.conflicts) for t in outcome.tallies] == [(1, 0, 0), (1, 0, 1), (0, 1, 1)]


def test_notice_takes_effect_between_the_readings_around_it() -> None:
    """A reading before its point is told is unknown, the same reading after it is good."""
    notices = make_notices(make_point())
    outcome = shard().add(make_log([make_json(), *notices, make_json()], appended_at_s=LATE_S))

    assert [(t.valid, t.quarantined) for t in outcome.tallies] == [(0, 1), (1, 0)]
    kinds = ["Block", "PointNotice", "SchemaNotice", "Block"]
    assert [type(m).__name__ for _, m in outcome.onward] == kinds
    assert [m.verdict.tolist() for _, m in outcome.onward if isinstance(m, Block)] == [
        [Verdict.REFUSED],
        [Verdict.NEW],
    ]


def test_notice_told_again_leaves_no_second_row() -> None:
    """Only what changes something is stored and passed on."""
    point = PointNotice(make_point())
    outcome = shard().add(make_log([point, point, PointNotice(make_point(name="新")), point]))

    assert [r["position"] - GENERATION for r in table(outcome, "point")] == [0, 2, 3]
    assert [p - GENERATION for p, _ in outcome.onward] == [0, 2, 3]


def test_import_report_is_stored_and_not_passed_on() -> None:
    """Reports are for people."""
    outcome = shard().add([make_record(ImportNotice(ENTERPRISE, "d", 2**63, "f", 1, 2**63, 8, 0, 1))])

    assert [(r["sequence_base"], r["rows"], r["rejected"]) for r in table(outcome, "import_run")] == [
        (2**63, 2**63, 1)
    ]
    assert outcome.onward == []


def test_unreadable_receipt_dates_the_tally_by_the_log() -> None:
    """A wild receipt cannot date a tally, so the day it balances on is the day the log took it."""
    outcome = told(
        make_frame(received_at_s=2**40),
        make_frame(received_at_s=-1),
        RejectedNotice(ENTERPRISE, "f", 2**40, (RejectedRow(1, 315),)),
    )

    assert [r["received_at"] for r in table(outcome, "intake")] == [LATE_S] * 3
    assert [r["received_at"] for r in table(outcome, "quarantine")] == [LATE_S] * 3


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(
        st.binary(max_size=60) | st.sampled_from([encode(n) for n in make_notices(*mix.POINTS)]), max_size=8
    )
)
def test_bytes_of_any_kind_never_stop_the_shard(values: list[bytes]) -> None:
    """Whatever stands in the log, each record is a notice or is counted, and the shard goes on."""
    outcome = shard().add(make_log(values))
    notices = sum(value[:4] == encode(make_notices(*mix.POINTS)[0])[:4] for value in values)

    assert len(outcome.tallies) == len(values) - notices
    assert sum(t.received for t in outcome.tallies) == len(table(outcome, "quarantine"))


def test_loser_is_stored_before_the_winner_that_takes_its_place() -> None:
    """A crash between the two inserts must not leave a winner whose loser nobody knows any more."""
    outcome = told(make_frame(((5,),), sequence=1), make_frame(((6,),), sequence=2))

    assert [r.table for r in outcome.rows if r.table.startswith("reading")] == [
        "reading_superseded",
        "reading_chunk",
    ]
