"""Notices of wiring, people, clocks, regions, targets, output and entries: kept, passed on, or refused whole."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from factories import (
    AT_S,
    ENTERPRISE,
    GENERATION,
    OTHER,
    POINT_ID,
    make_catalogue,
    make_frame,
    make_log,
    make_notices,
    make_point,
    make_record,
    make_schema,
)
from ingest_store import IngestStore
from intake_mix import shard, table

from nengliu.analysis.checks import ENTRY_LIMIT
from nengliu.analysis.intake.shard import IngestShard
from nengliu.bus import Record
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Origin, Quality, Reason
from schemas.block import Block, Verdict
from schemas.messages import (
    ActionNotice,
    Activity,
    ActivityNotice,
    Entered,
    EnterpriseNotice,
    EntryNotice,
    Notice,
    RegionNotice,
    Target,
    TargetNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
)

INCIDENT = "0123456789abcdef"
AHEAD_S = AT_S + 86_400 + 301
"""First second too far ahead of the log's clock."""
WIRING = WiringNotice(
    ENTERPRISE,
    "采集器",
    (WiredLine("rs485-1", (WiredMeter("m1", ("e", "t")), WiredMeter("m2", ()))), WiredLine("rs485-2", ())),
)
SHELVED = ActionNotice(ENTERPRISE, INCIDENT, "shelve", "li.wei", AT_S, "大修", AT_S + 86_400)
ACKNOWLEDGED = ActionNotice(ENTERPRISE, INCIDENT, "acknowledge", "li.wei", AT_S)
CITY = RegionNotice("990100", "示例市", "Example city", "990000", 2, 3)
PLAN = Target("energy_total", "2026", 1.5e6, "tce", "2026年度计划")
TARGETS = TargetNotice(
    ENTERPRISE, "990100", (PLAN, Target("energy_intensity", "2026-03", 0.6, "tce/10k CNY", ""))
)
OUTPUT = Activity("output", "2026-03", 12.5, "t", "直报")
SAID = ActivityNotice(ENTERPRISE, (OUTPUT,), "entered", "li.wei", AT_S)
VALUE = Entered(POINT_ID, AT_S * 1000 - 900_000, "123.45", "kWh", "表计显示屏损坏")
BEFORE = Entered(POINT_ID, AT_S * 1000 - 1_800_000, "1.2e2", "kWh", "表计显示屏损坏")
ENTRY = EntryNotice(ENTERPRISE, "li.wei", AT_S, (VALUE, BEFORE))
ACTIVITIES = ActivityNotice(ENTERPRISE, (OUTPUT, Activity("value_added", "2026-03", -3.0, "10k CNY", "")))


def of_region(notice: Notice, **given: Any) -> Record:
    """Record of a notice that speaks for a region: its key is no enterprise."""
    return make_record(notice, key="region-990100", **given)


def but(notice: Any, **given: Any) -> Any:
    """The notice with some fields changed."""
    return msgspec.structs.replace(notice, **given)


def test_wiring_is_kept_passed_on_and_known() -> None:
    """The newest wiring of a collector holds; told again it leaves no second row and does not go on."""
    one, changed = shard(), but(WIRING, lines=WIRING.lines[:1])
    outcome = one.add(make_log([WIRING, WIRING, changed]))

    rows = table(outcome, "wiring")
    assert [(r["enterprise"], r["source"], r["position"] - GENERATION) for r in rows] == [
        (ENTERPRISE, "采集器", 0),
        (ENTERPRISE, "采集器", 2),
    ]
    assert msgspec.json.decode(rows[0]["definition"], type=WiringNotice) == WIRING
    assert outcome.onward == [(GENERATION, WIRING), (GENERATION + 2, changed)]
    assert one.catalogue.wiring == {ENTERPRISE: {"采集器": changed}}


def test_wiring_is_known_again_after_a_restart() -> None:
    """A resumed shard has the wiring that was stored, and does not store it again."""
    store, log = IngestStore(), make_log([WIRING, WIRING])
    store.write(shard(store).add(log[:1]).rows)
    store.flush()

    assert shard(store).add(log[1:]).onward == []


@pytest.mark.parametrize("notice", [ACKNOWLEDGED, SHELVED, TickNotice(AT_S)])
def test_action_and_tick_go_on_and_leave_no_row(notice: Notice) -> None:
    """What people do and how late it is concerns the watch alone; it takes it from its place in the log."""
    outcome = shard().add([make_record(notice)])

    assert (outcome.rows, outcome.tallies) == ([], [])
    assert outcome.onward == [(GENERATION, notice)]


def test_region_target_and_activity_are_rows_and_stay_here() -> None:
    """What consumption is measured against is kept for the pages; the flows have no use for it."""
    own = but(TARGETS, enterprise="", targets=(PLAN,))
    log = [of_region(CITY), of_region(own, offset=1), make_record(TARGETS, 2), make_record(ACTIVITIES, 3)]
    outcome = shard().add(log)

    assert outcome.onward == []
    assert table(outcome, "region") == [
        msgspec.structs.asdict(CITY) | {"position": GENERATION, "known_at": log[0].appended_at_s}
    ]
    assert [(r["enterprise"], r["metric"], r["value"]) for r in table(outcome, "target")] == [
        ("", "energy_total", 1.5e6),
        (ENTERPRISE, "energy_total", 1.5e6),
        (ENTERPRISE, "energy_intensity", 0.6),
    ]
    assert [(r["measure"], r["value"], r["position"] - GENERATION) for r in table(outcome, "activity")] == [
        ("output", 12.5, 3),
        ("value_added", -3.0, 3),
    ]


def test_figure_says_who_told_it_and_one_taken_back_is_no_number() -> None:
    """Origin, person and time are columns; a figure without a value keeps its place without one."""
    told = but(SAID, activities=(OUTPUT, but(OUTPUT, period="2026-03-15", value=None)))
    rows = table(shard().add([make_record(told)]), "activity")

    assert [(r["origin"], r["by"], r["at"], r["period"]) for r in rows] == [
        ("entered", "li.wei", AT_S, "2026-03"),
        ("entered", "li.wei", AT_S, "2026-03-15"),
    ]
    assert rows[0]["value"] == 12.5
    assert np.isnan(rows[1]["value"])


def test_figure_of_a_sender_without_origin_was_uploaded() -> None:
    """A notice of before says what it said, and that no person of ours entered it."""
    (row,) = table(shard().add([make_record(but(ACTIVITIES, activities=(OUTPUT,)))]), "activity")

    assert (row["origin"], row["by"], row["at"]) == ("uploaded", "", 0)


def test_entry_is_kept_as_an_act_and_goes_on_as_readings() -> None:
    """Each value is a row with who, when and why, and a reading of origin and quality manual, in log order."""
    record = make_record(ENTRY)
    outcome = IngestShard(make_catalogue(make_point())).add([record])

    assert [
        (
            r["point"],
            r["sent"],
            r["sent_decimals"],
            r["sent_unit"],
            r["by"],
            r["at"],
            r["why"],
            r["item"],
            r["position"],
        )
        for r in table(outcome, "manual_entry")
    ] == [
        (POINT_ID, 12345, 2, "kWh", "li.wei", AT_S, "表计显示屏损坏", 0, GENERATION),
        (POINT_ID, 120, 0, "kWh", "li.wei", AT_S, "表计显示屏损坏", 1, GENERATION),
    ]
    ((position, block),) = outcome.onward
    assert isinstance(block, Block)
    assert position == GENERATION
    assert (block.ticks.tolist(), set(block.quality.tolist()), set(block.origin.tolist())) == (
        [12345, 12000],
        {Quality.MANUAL},
        {Origin.MANUAL},
    )
    assert set(block.sequence.tolist()) == {record.appended_at_s << 32 | record.offset}
    assert block.received_at_s.tolist() == [AT_S, AT_S]
    (tally,) = outcome.tallies
    assert (tally.source, tally.received, tally.valid, tally.quarantined) == ("manual", 2, 2, 0)


def test_entry_beside_plain_frames_leaves_them_as_they_are() -> None:
    """A collector's frames of the same hour keep their readings; the manual one stands beside."""
    point, schema = make_point(), make_schema()
    at = np.array([VALUE.read_at_ms], np.int64)
    frame = make_frame(((500,),), read_at_ms=at, received_at_s=AT_S)
    store = IngestStore()
    store.write(shard(store).add(make_log([*make_notices(point, schema=schema), frame, ENTRY])).rows)
    store.flush()

    found = {(r["origin"], r["read_at"]): r["ticks"] for r in store.standing()}
    assert found[Origin.TIMED, VALUE.read_at_ms] == 500
    assert found[Origin.MANUAL, VALUE.read_at_ms] == 12345


def test_notice_that_says_nothing_leaves_nothing() -> None:
    """An empty list is no error and no row."""
    outcome = shard().add(make_log([but(ACTIVITIES, activities=()), but(TARGETS, targets=())]))

    assert [row for rows in outcome.rows for row in range(len(rows))] == []
    assert outcome.onward == []


def test_later_notice_replaces_the_earlier_whatever_order_rows_are_written_in() -> None:
    """The position decides, so a replay that writes an old version again changes nothing."""
    store, log = IngestStore(), [of_region(CITY), of_region(but(CITY, name="新名"), offset=1)]
    rows = [row for record in log for row in shard().add([record]).rows]
    store.write([*rows, rows[0]])
    store.flush()

    assert [row["name"] for row in store.tables["region"].values()] == ["新名"]


REFUSED: list[tuple[Record, str, str | None]] = [
    (make_record(but(WIRING, enterprise=OTHER)), "WRONG_ENTERPRISE", None),
    (make_record(but(WIRING, enterprise="")), "BAD_FIELD", "enterprise"),
    (make_record(but(WIRING, source="")), "BAD_FIELD", "source"),
    (make_record(but(WIRING, source="a\nb")), "BAD_FIELD", "source"),
    (make_record(but(WIRING, lines=(WiredLine("", ()),))), "BAD_FIELD", "line"),
    (make_record(but(WIRING, lines=(WiredLine("l", ()),) * 2)), "BAD_FIELD", "line"),
    (make_record(but(WIRING, lines=(WiredLine("l", (WiredMeter("m", ()),) * 2),))), "BAD_FIELD", "meter"),
    (make_record(but(WIRING, lines=(WiredLine("l", (WiredMeter("m\x00", ()),)),))), "BAD_FIELD", "meter"),
    (
        make_record(but(WIRING, lines=(WiredLine("l", (WiredMeter("m", ("e", "e")),)),))),
        "BAD_FIELD",
        "points",
    ),
    (
        make_record(but(WIRING, lines=(WiredLine("l", (WiredMeter("m", ("e",) * ENTRY_LIMIT),)),))),
        "BAD_FIELD",
        "lines",
    ),
    (make_record(but(SHELVED, enterprise=OTHER)), "WRONG_ENTERPRISE", None),
    (make_record(but(SHELVED, enterprise="")), "BAD_FIELD", "enterprise"),
    (make_record(but(SHELVED, incident="0123456789ABCDEF")), "BAD_FIELD", "incident"),
    (make_record(but(SHELVED, action="delete")), "BAD_FIELD", "action"),
    (make_record(but(SHELVED, by="")), "BAD_FIELD", "by"),
    (make_record(but(SHELVED, by="\u202eli")), "BAD_FIELD", "by"),
    (make_record(but(SHELVED, reason=" ")), "BAD_FIELD", "reason"),
    (make_record(but(SHELVED, reason="x" * 1001)), "BAD_FIELD", "reason"),
    (make_record(but(SHELVED, until_s=AT_S)), "BAD_FIELD", "until_s"),
    (make_record(but(SHELVED, until_s=2**32)), "BAD_FIELD", "until_s"),
    (make_record(but(ACKNOWLEDGED, at_s=AHEAD_S)), "STAMP_IN_FUTURE", None),
    (make_record(but(ACKNOWLEDGED, at_s=-1)), "NOT_A_TIME", None),
    (make_record(TickNotice(AHEAD_S)), "STAMP_IN_FUTURE", None),
    (make_record(TickNotice(-1)), "NOT_A_TIME", None),
    (make_record(TickNotice(2**33), appended_at_s=2**34), "BAD_FIELD", "at_s"),
    (of_region(but(CITY, region="9901")), "BAD_FIELD", "region"),
    (of_region(but(CITY, region="99010\uff10")), "BAD_FIELD", "region"),
    (of_region(but(CITY, parent="x")), "BAD_FIELD", "parent"),
    (of_region(but(CITY, parent="990100")), "BAD_FIELD", "parent"),
    (of_region(but(CITY, name="")), "BAD_FIELD", "name"),
    (of_region(but(CITY, name="a" * 201)), "BAD_FIELD", "name"),
    (of_region(but(CITY, name_en="a\u2028b")), "BAD_FIELD", "name_en"),
    (of_region(but(CITY, row=256)), "BAD_FIELD", "row"),
    (of_region(but(CITY, column=-1)), "BAD_FIELD", "column"),
    (make_record(but(TARGETS, enterprise=OTHER)), "WRONG_ENTERPRISE", None),
    (make_record(but(TARGETS, region="")), "BAD_FIELD", "region"),
    (make_record(but(TARGETS, targets=(but(PLAN, metric="carbon"),))), "BAD_FIELD", "metric"),
    (make_record(but(TARGETS, targets=(but(PLAN, unit="kgce"),))), "BAD_FIELD", "unit"),
    (make_record(but(TARGETS, targets=(but(PLAN, period="2026-13"),))), "BAD_FIELD", "period"),
    (make_record(but(TARGETS, targets=(but(PLAN, period="26"),))), "BAD_FIELD", "period"),
    (make_record(but(TARGETS, targets=(but(PLAN, value=-1.0),))), "BAD_FIELD", "value"),
    (make_record(but(TARGETS, targets=(but(PLAN, source="a\tb"),))), "BAD_FIELD", "source"),
    (make_record(but(TARGETS, targets=(PLAN, PLAN))), "BAD_FIELD", "period"),
    (make_record(but(ACTIVITIES, enterprise="")), "BAD_FIELD", "enterprise"),
    (make_record(but(ACTIVITIES, activities=(but(OUTPUT, period="2026"),))), "BAD_FIELD", "period"),
    (make_record(but(ACTIVITIES, activities=(but(OUTPUT, measure="rain"),))), "BAD_FIELD", "measure"),
    (make_record(but(ACTIVITIES, activities=(but(OUTPUT, unit="kg"),))), "BAD_FIELD", "unit"),
    (make_record(but(ACTIVITIES, activities=(but(OUTPUT, period="2026-02-30"),))), "BAD_FIELD", "period"),
    (
        make_record(but(ACTIVITIES, activities=(but(OUTPUT, measure="staff:x", unit="persons"),))),
        "BAD_FIELD",
        "measure",
    ),
    (
        make_record(but(ACTIVITIES, activities=(but(OUTPUT, measure="staff", unit="persons", value=-1.0),))),
        "BAD_FIELD",
        "value",
    ),
    (
        make_record(but(ACTIVITIES, activities=(but(OUTPUT, measure="plan:水泥", value=-1.0),))),
        "BAD_FIELD",
        "value",
    ),
    (make_record(but(SAID, origin="guessed")), "BAD_FIELD", "origin"),
    (make_record(but(SAID, by="")), "BAD_FIELD", "by"),
    (make_record(but(SAID, by="a\u200bb")), "BAD_FIELD", "by"),
    (make_record(but(SAID, at_s=AHEAD_S)), "STAMP_IN_FUTURE", None),
    (make_record(but(ENTRY, enterprise=OTHER)), "WRONG_ENTERPRISE", None),
    (make_record(but(ENTRY, enterprise="")), "BAD_FIELD", "enterprise"),
    (make_record(but(ENTRY, by="")), "BAD_FIELD", "by"),
    (make_record(but(ENTRY, at_s=AHEAD_S)), "STAMP_IN_FUTURE", None),
    (make_record(but(ENTRY, at_s=-1)), "NOT_A_TIME", None),
    (make_record(but(ENTRY, rows=())), "BAD_FIELD", "rows"),
    (make_record(but(ENTRY, rows=(VALUE, but(VALUE, value="9")))), "BAD_FIELD", "read_at_ms"),
    (make_record(but(ENTRY, rows=(but(VALUE, value="many"),))), "NOT_A_NUMBER", None),
    (make_record(but(ENTRY, rows=(but(VALUE, value="inf"),))), "NOT_FINITE", None),
    (make_record(but(ENTRY, rows=(but(VALUE, value=""),))), "EMPTY_VALUE", None),
    (make_record(but(ENTRY, rows=(but(VALUE, value="1" * 41),))), "BAD_FIELD", "value"),
    (make_record(but(ENTRY, rows=(but(VALUE, why=" "),))), "BAD_FIELD", "why"),
    (make_record(but(ENTRY, rows=(but(VALUE, why="x" * 1001),))), "BAD_FIELD", "why"),
    (make_record(but(ENTRY, rows=(but(VALUE, point=""),))), "BAD_FIELD", "point"),
    (make_record(but(ENTRY, rows=(but(VALUE, unit="k\nWh"),))), "BAD_FIELD", "unit"),
]


@pytest.mark.parametrize(("record", "reason", "field"), REFUSED)
def test_notice_that_cannot_be_meant_so_is_refused_whole(
    record: Record, reason: str, field: str | None
) -> None:
    """A strange notice is quarantined with its reason and field; nothing of it is kept, only its refusal goes on."""
    outcome = shard().add([record])

    (held,) = table(outcome, "quarantine")
    assert Reason(held["reason"]).name == reason
    assert field is None or msgspec.json.decode(held["parameters"])["field"] == field
    assert {rows.table for rows in outcome.rows} == {"quarantine", "intake"}
    ((position, evidence),) = outcome.onward
    assert isinstance(evidence, Block)
    assert (position, evidence.verdict.tolist()) == (record.position, [Verdict.REFUSED])


@pytest.mark.parametrize("value", [b'{"notice":"activity"}', b'{"notice":"target","value":1e999}'])
def test_notice_with_missing_fields_is_no_message(value: bytes) -> None:
    """What lacks a field is refused by the reader already; JSON beside the envelope is for readings only."""
    (held,) = table(shard().add([make_record(value)]), "quarantine")

    assert Reason(held["reason"]) in (Reason.WRONG_VERSION, Reason.NOT_A_MESSAGE)


def test_name_in_any_script_is_taken() -> None:
    """Only what cannot be seen is refused: rare characters, wide spaces and emoji are names."""
    for name in ("𠮷野家", "示例　市", "Ёж 🦔", "İzmir'in"):
        assert len(table(shard().add([of_region(but(CITY, name=name))]), "region")) == 1


def test_key_of_a_region_may_not_speak_for_an_enterprise() -> None:
    """A notice speaks for the enterprise of its key, or for none."""
    for notice in (TARGETS, ACTIVITIES, WIRING, EnterpriseNotice(Enterprise(ENTERPRISE, "厂"))):
        (held,) = table(shard().add([of_region(notice)]), "quarantine")
        assert held["reason"] == Reason.WRONG_ENTERPRISE
