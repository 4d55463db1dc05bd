"""Messages that wait for their column list: counted, kept whole, and opened where the list is declared."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from factories import (
    AT_MS,
    AT_S,
    GENERATION,
    TIME,
    make_frame,
    make_json,
    make_log,
    make_point,
    make_record,
    make_rows,
    make_schema,
    payload_of,
)
from ingest_store import IngestStore, Row
from intake_mix import shard, table

from nengliu.analysis.intake.shard import Outcome
from nengliu.analysis.intake.waiting import WAIT_ITEM, WAIT_LIMIT, Waiting, WaitingRoom
from nengliu.domain.quality import Reason
from schemas.messages import MAX_BODY, PointNotice, SchemaNotice, encode

POINT, LIST = PointNotice(make_point()), SchemaNotice(make_schema())
JSON = make_json(schema=1, times=[TIME], values=[["1.00"]], source="gateway")


def waiting_rows(outcome: Outcome) -> list[Row]:
    """Rows of the quarantine that hold messages which wait, or waited."""
    return [row for row in table(outcome, "quarantine") if row["item"] == WAIT_ITEM]


@pytest.mark.parametrize("message", [make_frame(), make_rows(), JSON], ids=["frame", "rows", "json"])
def test_message_waits_whole_and_is_taken_in_where_its_list_is_declared(message: Any) -> None:
    """It counts as one while it waits; then its tally is said anew, and its readings stand at the notice."""
    record = make_record(message, 1)
    one = shard()
    held = one.add([make_record(POINT), record])
    came = one.add([make_record(LIST, 7)])
    (waits,), (came_row,) = waiting_rows(held), waiting_rows(came)

    assert (Reason(waits["reason"]), payload_of(waits["payload"])) == (Reason.UNKNOWN_SCHEMA, record.value)
    assert [(t.received, t.quarantined, t.source != "") for t in held.tallies] == [(1, 1, True)]
    assert [(t.received, t.valid, t.record) for t in came.tallies] == [(1, 1, record)]
    keys = ("enterprise", "source", "partition", "position", "received_at")
    before, after = ([row[key] for key in keys] for row in table(held, "intake") + table(came, "intake"))
    assert before == after
    assert Reason(came_row["reason"]) is Reason.SCHEMA_CAME
    assert json.loads(came_row["parameters"])["released"] == str(GENERATION + 7)
    assert [row["position"] for row in table(came, "reading")] == [GENERATION + 7]


def test_reading_refused_after_the_wait_has_a_row_of_its_own() -> None:
    """What was wrong with it is said as ever, under the message it came in."""
    one = shard()
    one.add([make_record(POINT), make_record(make_frame(((-1,),)), 1)])
    rows = table(one.add([make_record(LIST, 2)]), "quarantine")

    assert [(row["item"], Reason(row["reason"]).name, row["position"] - GENERATION) for row in rows] == [
        (0, "NEGATIVE_REGISTER", 1),
        (WAIT_ITEM, "SCHEMA_CAME", 1),
    ]


def test_other_lists_and_other_enterprises_go_on_waiting() -> None:
    """Only the list that is declared lets its messages go, in order of the log."""
    room = WaitingRoom()
    records = [make_record(make_frame(), offset) for offset in range(3)]
    for record, schema in zip(records, (1, 2, 1), strict=True):
        assert room.admit(record, schema, 0)

    assert room.release("somebody else", 1, 0) == []
    assert room.release(records[0].key, 1, 0) == [records[0], records[2]]
    assert room.release(records[0].key, 1, 0) == []
    assert room.release(records[0].key, 2, 0) == [records[1]]


def test_no_more_messages_wait_than_there_is_room_for() -> None:
    """One too many, or too large, is refused with its own reason."""
    outcome = shard().add(make_log([encode(make_frame(schema=9))] * (WAIT_LIMIT + 1)))
    last = table(outcome, "quarantine")[-1]

    assert (Reason(last["reason"]), last["item"]) == (Reason.TOO_MANY_WAIT, 0)
    assert json.loads(last["parameters"]) == {"got": "9", "limit": str(WAIT_LIMIT)}
    assert not WaitingRoom().admit(make_record(b"x" * (MAX_BODY + 1)), 1, 0)


@pytest.mark.parametrize("before", [2, 3])
def test_resume_knows_who_waited_then(before: int) -> None:
    """A message released behind the place of a resume waits again; one released before it does not."""
    store, records = IngestStore(), make_log([POINT, make_frame(), LIST])
    store.write(shard(store).add(records).rows)
    store.flush()
    found = store.waiting(GENERATION + before)

    assert found == ([Waiting(records[1], 1)] if before == 2 else [])


def test_notice_of_a_list_follows_what_it_released() -> None:
    """The readings come first, with the notice's position; everything up to it is said with the notice."""
    one = shard()
    one.add([make_record(POINT), make_record(make_frame(), 1)])
    outcome = one.add([make_record(LIST, 2)])

    assert [(at - GENERATION, type(message).__name__) for at, message in outcome.onward] == [
        (1, "Sheaf"),
        (2, "SchemaNotice"),
    ]
    assert outcome.onward[0][1].position.tolist() == [GENERATION + 2]


def test_mixed_message_is_refused_part_by_part() -> None:
    """Parts by a list nobody knows do not wait among others: each is held with its reason."""
    entries = [make_json(), JSON]
    outcome = shard().add(make_log([POINT, entries], appended_at_s=AT_S + 86_400 * 2))

    assert waiting_rows(outcome) == []
    assert [(t.received, t.valid, t.quarantined) for t in outcome.tallies] == [(2, 1, 1)]


def test_late_list_finds_its_frames_in_time() -> None:
    """Lateness is measured by the receipt in the message, however long it waited."""
    one = shard()
    one.add([make_record(POINT), make_record(make_frame(read_at_ms=np.array([AT_MS])), 1)])

    assert [row["quality"] for row in table(one.add([make_record(LIST, 2)]), "reading")] == [0]
