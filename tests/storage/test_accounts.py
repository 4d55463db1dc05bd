"""Accounts, unit consumption, cost and the reasons of changes, as the store tells them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA
from nengliu.storage import Writer, ask
from schemas.block import Rows

Write = Callable[..., Rows]
E = "91110000TESTNORTH1"
NAN = float("nan")
DAY_S = 86_400
JANUARY_S = 1_767_196_800
"""2026-01-01 in China [s]."""
SPAN = {"start": datetime(2026, 1, 1, tzinfo=CHINA), "end": datetime(2026, 3, 1, tzinfo=CHINA)}


def described(rows: Write, flows: dict[str, tuple[str, str]]) -> Rows:
    """Points of the boundary by name: item and flow."""
    definitions = [json.dumps({"flow": flow, "meters": [1]}) for _, flow in flows.values()]
    items = [item for item, _ in flows.values()]
    return rows("point", point=[*flows], item=items, definition=definitions, position=2)


def days(rows: Write, point: str, used: list[int], **more: Any) -> Rows:
    """Days of a point from New Year on."""
    start = [JANUARY_S + i * DAY_S for i in range(len(used))]
    return rows("window_day", point=point, period_start=start, used=used, **more)


def test_accounts_count_nothing_twice_and_deduct_by_rule(client: Client, writer: Writer, rows: Write) -> None:
    """Inputs less what is supplied out; made inside counts not at all; feedstock is deducted from the rule's day on."""
    flows = {
        "grid": ("electricity", "in"),
        "sold": ("heat", "out"),
        "boiler": ("heat", "own"),
        "chem": ("natural_gas", "feedstock"),
        "sun": ("electricity", "renewable"),
        "odd": ("unobtainium", "in"),
    }
    rule = {"factor": "deductible", "valid_to": "", "value": "1"}
    feedstock = rule | {"item": "", "basis": "feedstock", "valid_from": "2026-01-02"}
    half = rule | {"item": "electricity", "basis": "renewable", "valid_from": "2026-01-01", "value": "0.5"}
    writer.write(rows("enterprise"))
    writer.write(described(rows, flows))
    writer.write(rows("book", definition=json.dumps({"factors": [feedstock, half]})))
    coal = {"grid": 100.1, "sold": 10.2, "boiler": 55.0, "chem": 30.3, "sun": 4.0, "odd": NAN}
    for point, worth in coal.items():
        more = {
            "coal_kgce": worth,
            "coal_equal_kgce": 2 * worth,
            "co2_kg": NAN if point == "odd" else worth / 2,
        }
        writer.write(days(rows, point, [1000, 1000], estimated=500 if point == "chem" else 0, **more))
    writer.flush()

    first, second = ask(client, "accounts", SYSTEM, level="day", **SPAN).to_pylist()
    gross = 100.1 - 10.2 + 30.3 + 4.0
    assert first["gross_kgce"] == pytest.approx(gross, abs=1e-9)
    assert (first["deductible_kgce"], second["deductible_kgce"]) == (2.0, 30.3 + 2.0)
    assert second["controlled_kgce"] == pytest.approx(gross - 32.3, abs=1e-9)
    assert second["controlled_equal_kgce"] == pytest.approx(2 * (gross - 32.3), abs=1e-9)
    parts = first["co2_electricity_kg"] + first["co2_heat_kg"] + first["co2_fuel_kg"]
    assert first["co2_kg"] == pytest.approx(parts) == pytest.approx(gross / 2)
    assert (first["unknown_items"], first["points"], first["heard"]) == ("unobtainium", 5, 5)
    assert first["estimated_share"] == pytest.approx(30.3 / 2 / (100.1 + 10.2 + 30.3 + 4.0))


def test_accounts_as_of_a_day_are_what_was_known_then(client: Client, writer: Writer, rows: Write) -> None:
    """An earlier number, and an earlier catalogue: what was then taken for made inside does not count yet."""
    known, later = JANUARY_S + 10 * DAY_S, JANUARY_S + 40 * DAY_S
    writer.write(rows("enterprise"))
    writer.write(described(rows, {"grid": ("electricity", "in")}))
    for position, at, flow in ((8, known, "own"), (9, later, "in")):
        writer.write(
            rows("point", point="new", position=position, known_at=at, definition=json.dumps({"flow": flow}))
        )
    writer.write(days(rows, "grid", [1000], coal_kgce=2.0, known_at=later, revision=20))
    writer.write(days(rows, "new", [1000], coal_kgce=8.0, known_at=known, revision=9))
    old = {"period_start": JANUARY_S, "coal_kgce": 1.0, "known_at": known, "revision": 10, "used": 500}
    writer.write(rows("window_day_history", point="grid", **old))
    writer.flush()

    then = ask(client, "accounts", SYSTEM, as_of=date(2026, 1, 20), level="day", **SPAN)
    now = ask(client, "accounts", SYSTEM, level="day", **SPAN)
    assert (then["gross_kgce"].to_pylist(), now["gross_kgce"].to_pylist()) == ([1.0], [10.0])


def test_unit_consumption_without_output_is_undefined(client: Client, writer: Writer, rows: Write) -> None:
    """Output 0 gives no number; of two products the energy is shared by their output; money without products works."""
    writer.write(rows("enterprise"))
    writer.write(described(rows, {"grid": ("electricity", "in")}))
    months = [JANUARY_S, JANUARY_S + 31 * DAY_S]
    writer.write(
        rows("window_month", point="grid", period_start=months, used=[40_000_00] * 2, coal_kgce=[4000.0] * 2)
    )
    told = [
        ("output:clinker", "2026-01", 30.0),
        ("output:cement", "2026-01", 10.0),
        ("output_value", "2026-01", 8.0),
    ]
    told += [("output", "2026-02", 0.0), ("value_added", "2026-02", 0.0)]
    measure, period, value = (list(column) for column in zip(*told, strict=True))
    writer.write(rows("activity", measure=measure, period=period, value=value))
    writer.flush()

    found = ask(client, "unit_consumption", SYSTEM, **SPAN).to_pylist()
    shown = [(row["product"], row["share"], row["kgce_per_t"], row["kwh_per_t"]) for row in found]
    assert shown == [
        ("cement", 0.25, 100.0, 1000.0),
        ("clinker", 0.75, 100.0, 1000.0),
        ("", None, None, None),
    ]
    assert [row["tce_per_output_value"] for row in found] == [0.5, 0.5, None]
    assert [row["tce_per_value_added"] for row in found] == [None, None, None]


def test_cost_of_a_month_adds_its_days_by_band(client: Client, writer: Writer, rows: Write) -> None:
    """Bands without energy are left out; a band of which a part has no price has no cost, and is not cheap."""
    writer.write(rows("point"))
    amount = [(0.0, 0.0, 1.5, 0.5, 0.0, 0.0), (0.0, 0.0, 2.5, NAN, 0.0, 0.0)]
    writer.write(rows("cost_day", period_start=[JANUARY_S, JANUARY_S + DAY_S], amount=amount))
    writer.flush()

    found = ask(client, "cost", SYSTEM, level="month", **SPAN).to_pylist()
    shown = [(row["band"], row["used"], row["amount"], row["price"], row["days"]) for row in found]
    assert shown == [("peak", 2.0, 4.0, 2.0, 2), ("flat", 1.0, None, None, 2)]


def test_unit_consumption_tells_no_electricity_from_none_known(
    client: Client, writer: Writer, rows: Write
) -> None:
    """A meter that stood still used nothing; of an enterprise without such a meter nothing is known."""
    writer.write(rows("enterprise", enterprise=[E, "gas only"]))
    writer.write(described(rows, {"grid": ("electricity", "in")}))
    writer.write(rows("point", enterprise="gas only", point="gas", item="natural_gas"))
    month = {"period_start": JANUARY_S, "used": 0, "coal_kgce": 0.0}
    writer.write(rows("window_month", enterprise=[E, "gas only"], point=["grid", "gas"], **month))
    writer.flush()

    found = ask(client, "unit_consumption", SYSTEM, **SPAN).to_pylist()
    assert {row["enterprise"]: row["electricity_kwh"] for row in found} == {E: 0.0, "gas only": None}


def test_cost_in_another_unit_has_no_price_for_a_kwh(client: Client, writer: Writer, rows: Write) -> None:
    """What is counted in MWh has its cost; a price by kWh is not made up."""
    writer.write(rows("point", unit="MWh"))
    writer.write(rows("cost_day", period_start=JANUARY_S))
    writer.flush()

    found = ask(client, "cost", SYSTEM, level="day", **SPAN).to_pylist()
    assert [(row["band"], row["amount"], row["price"]) for row in found] == [
        ("peak", 1.2, None),
        ("flat", 0.5, None),
    ]


def _change(rows: Write, **after: Any) -> list[Rows]:
    """A day of 10.00 kWh known on 2 January, and what it became by position 100 on 20 January."""
    day = {"point": "main", "period_start": JANUARY_S, "coal_kgce": 1.0, "book": "a"}
    before = day | {"used": 1000, "known_at": JANUARY_S + DAY_S, "revision": 50}
    now = day | {"used": 1500, "known_at": JANUARY_S + 19 * DAY_S, "revision": 100, "coal_kgce": 1.5} | after
    return [
        rows("point", definition='{"meters": []}'),
        rows("window_day_history", **before),
        rows("window_day", **now),
    ]


def _read(rows: Write, table: str = "reading", **values: Any) -> Rows:
    """A reading of noon of the day that came in time, unless said otherwise."""
    noon = JANUARY_S + DAY_S // 2
    return rows(table, **({"read_at": noon * 1000, "received_at": noon + 5, "position": 100} | values))


@pytest.mark.parametrize(
    ("why", "more", "after"),
    [
        ("on_time", [("reading", {})], {}),
        ("late", [("reading", {"received_at": JANUARY_S + 19 * DAY_S})], {}),
        ("late", [("reading", {"reason": 408})], {}),
        ("correction", [("reading", {"ticks": 7}), ("reading_superseded", {"ticks": 3, "position": 40})], {}),
        ("factor", [("reading", {"position": 40})], {"used": 1000, "book": "b"}),
        ("unknown", [], {}),
        ("meter", [("point", {"position": 100, "definition": '{"meters": [1]}'})], {}),
        ("definition", [("point", {"position": 100, "definition": '{"meters": [], "formulas": [1]}'})], {}),
    ],
)
def test_revisions_say_why_a_number_changed(
    client: Client, writer: Writer, rows: Write, why: str, more: list[tuple[str, Any]], after: dict[str, Any]
) -> None:
    """Each cause is told by what came into the log between both revisions, and by nothing else."""
    for each in _change(rows, **after):
        writer.write(each)
    for table, values in more:
        writer.write(rows(table, **values) if table == "point" else _read(rows, table, **values))
    writer.flush()

    (found,) = ask(client, "revisions", SYSTEM, level="day", enterprise=E, **SPAN).to_pylist()
    assert found["why"] == why
    used = after.get("used", 1500) / 100
    assert (found["old"], found["new"], found["difference"]) == (10.0, used, used - 10.0)
    assert (found["position"], found["coal_difference_kgce"]) == (100, 0.5)
    assert (
        ask(client, "revisions", SYSTEM, as_of=date(2026, 1, 10), level="day", enterprise=E, **SPAN).num_rows
        == 0
    )


@pytest.mark.parametrize(("settled_s", "found"), [(17 * DAY_S, 1), (19 * DAY_S, 0)])
def test_revisions_can_leave_out_what_came_soon(
    client: Client, writer: Writer, rows: Write, settled_s: int, found: int
) -> None:
    """A change 18 days after the day was over is one of more than 17 days, and none of more than 19."""
    for each in _change(rows):
        writer.write(each)
    writer.flush()
    wanted = {"level": "day", "enterprise": E, "settled_s": settled_s, **SPAN}
    assert ask(client, "revisions", SYSTEM, **wanted).num_rows == found


def test_revisions_of_a_month_do_not_count_its_growth(client: Client, writer: Writer, rows: Write) -> None:
    """A month grows day by day; only the day that was corrected is a change, within the whole as it stood."""
    for each in _change(rows):
        writer.write(each)
    second = JANUARY_S + DAY_S
    writer.write(
        rows("window_day", period_start=second, used=700, known_at=second, revision=60, coal_kgce=0.7)
    )
    writer.flush()

    (found,) = ask(client, "revisions", SYSTEM, level="month", enterprise=E, **SPAN).to_pylist()
    assert (found["old"], found["new"], found["difference"]) == (17.0, 22.0, 5.0)
