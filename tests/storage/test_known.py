"""As of an instant: what was known then of readings, notices, incidents and tallies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA
from nengliu.errors import InputError
from nengliu.storage import Writer, ask
from nengliu.storage.queries import questions
from schemas.block import Rows

Write = Callable[..., Rows]
E = "91110000TESTNORTH1"
NOON_S = 1_767_240_000
"""Noon of 2026-01-01 in China [s]."""
DAY_S = 86_400
SPAN = {"start": datetime(2025, 1, 1, tzinfo=CHINA), "end": datetime(2027, 1, 1, tzinfo=CHINA)}


@pytest.mark.parametrize("name", [name for name in questions() if not name.startswith(("state_", "audit_"))])
def test_question_has_a_past_or_says_why_not(name: str) -> None:
    """Nothing that takes an as_of ignores it: it has a mark of the past, or a sentence instead."""
    question = questions()[name]

    assert question.has_past != bool(question.present)


def test_question_of_the_present_refuses_a_past_with_its_reason(client: Client) -> None:
    """Who asks live links for last week is told what to ask instead."""
    with pytest.raises(InputError, match="link_events can be asked"):
        ask(client, "links", SYSTEM, as_of=date(2026, 1, 1))


def test_readings_as_of_a_day_are_those_that_stood(client: Client, writer: Writer, rows: Write) -> None:
    """A value that was replaced on the third stood on the second; one that came on the third was not there."""
    writer.write(rows("point"))
    stood = {"read_at": NOON_S * 1000, "received_at": NOON_S + DAY_S, "sequence": 1, "ticks": 100}
    writer.write(rows("reading_superseded", **stood))
    writer.write(
        rows("reading", **(stood | {"received_at": NOON_S + 2 * DAY_S, "sequence": 2, "ticks": 900}))
    )
    other = {"read_at": (NOON_S + 3600) * 1000, "received_at": NOON_S + 2 * DAY_S}
    writer.write(rows("reading", **other, ticks=500))
    writer.flush()

    wanted = {"enterprise": E, "point": "main", **SPAN}
    found = {
        day: ask(client, "readings", SYSTEM, as_of=date(2026, 1, day), **wanted)["value"].to_pylist()
        for day in (1, 2, 3)
    }
    assert found == {1: [], 2: [1.0], 3: [9.0, 5.0]}
    assert ask(client, "readings", SYSTEM, **wanted)["value"].to_pylist() == [9.0, 5.0]


VERSIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "point": ("points", "name", {"enterprise": E, "position": [1, 2]}),
    "region": ("regions", "name", {"position": [1, 2]}),
    "incident": ("incidents", "comment", {"revision": [1, 2]}),
}


@pytest.mark.parametrize("table", VERSIONS)
def test_catalogue_as_of_a_day_is_the_version_of_then(
    client: Client, writer: Writer, rows: Write, table: str
) -> None:
    """Each version is known from its own day on, also where the table itself keeps only the newest."""
    known = "updated_at" if table == "incident" else "known_at"
    name, column, said = VERSIONS[table]
    asked = {"enterprise": E} if table == "point" else {}
    writer.write(rows("enterprise", known_at=0))
    writer.write(rows(table, **said, **{known: [NOON_S, NOON_S + 2 * DAY_S], column: ["old", "new"]}))
    writer.flush()
    client.command(f"OPTIMIZE TABLE {table} FINAL")

    def shown(day: int) -> list[Any]:
        return ask(client, name, SYSTEM, as_of=date(2026, 1, day), **asked)[column].to_pylist()

    assert (shown(2), shown(3)) == (["old"], ["new"])
    assert ask(client, name, SYSTEM, **asked)[column].to_pylist() == ["new"]


@pytest.mark.parametrize(("table", "name"), [("intake", "intake"), ("quarantine", "quarantine")])
def test_tallies_as_of_a_day_leave_out_what_came_later(
    client: Client, writer: Writer, rows: Write, table: str, name: str
) -> None:
    """What was received on the third is not in the tally of the second."""
    writer.write(rows(table, received_at=[NOON_S, NOON_S + 2 * DAY_S], position=[1, 2]))
    writer.flush()

    assert ask(client, name, SYSTEM, as_of=date(2026, 1, 2), **SPAN).num_rows == 1
    assert ask(client, name, SYSTEM, as_of=date(2026, 1, 3), **SPAN).num_rows == 2


def test_target_as_of_a_day_is_the_plan_of_then(client: Client, writer: Writer, rows: Write) -> None:
    """The budget path of January stood on January's plan, whatever was decided in March."""
    writer.write(rows("enterprise", known_at=0))
    both = {"period": "2026", "position": [1, 2], "value": [1000.0, 3000.0]}
    writer.write(rows("target", **both, known_at=[NOON_S, NOON_S + 60 * DAY_S]))
    writer.flush()
    client.command("OPTIMIZE TABLE target FINAL")
    end = datetime(2026, 4, 1, tzinfo=CHINA)

    plans = [
        ask(client, "budget", SYSTEM, as_of=as_of, by="enterprise", end=end)["target_tce"].to_pylist()[0]
        for as_of in (date(2026, 1, 31), None)
    ]
    assert plans == [1000.0, 3000.0]


def test_totals_as_of_a_day_are_those_it_ended_with(client: Client) -> None:
    """Each day of knowledge keeps its last version; of quarter-hours there is none, and that is said."""
    day_s = NOON_S - 12 * 3600
    versions = [(NOON_S + 60, 1, 100), (NOON_S + 120, 2, 250), (NOON_S + 2 * DAY_S, 3, 900)]
    for known_at, revision, used in versions:
        values = f"'{E}', '', 'electricity', 'kWh', {day_s}, 2, {used}, 1, 1, {known_at}, {revision}"
        client.command(
            "INSERT INTO total_day (enterprise, node, item, unit, period_start, decimals, used, points, points_due, "
            f"known_at, revision) VALUES ({values})"
        )
    for table in ("total_day", "total_day_history"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    wanted = {"enterprise": E, "level": "day", **SPAN}

    found = [
        ask(client, "nodes", SYSTEM, as_of=date(2026, 1, day), **wanted)["used"].to_pylist()
        for day in (1, 2, 3)
    ]
    assert found == [[2.5], [2.5], [9.0]]
    assert client.query("SELECT count() FROM total_day_history").result_rows == [(2,)]
    with pytest.raises(InputError, match="from the level day up"):
        ask(client, "nodes", SYSTEM, as_of=date(2026, 1, 2), **(wanted | {"level": "hour"}))


def test_totals_as_of_a_day_count_an_enterprise_in_one_region(
    client: Client, writer: Writer, rows: Write
) -> None:
    """An enterprise that was moved afterwards counts where it was known to be, and no longer where it was."""
    versions = {"region": ["110105", "440300"], "revision": [1, 2]}
    writer.write(rows("total_day", **versions, known_at=[NOON_S, NOON_S + 2 * DAY_S]))
    writer.flush()
    wanted = {"level": "day", "start": datetime(2018, 1, 1, tzinfo=CHINA), "end": SPAN["end"]}

    def counted(day: int) -> list[int]:
        answers = [
            ask(client, "totals_by", SYSTEM, as_of=date(2026, 1, day), region=region, **wanted)
            for region in ("11", "44")
        ]
        return [table.num_rows for table in answers]

    assert (counted(2), counted(3)) == ([1, 0], [0, 1])
