"""How links stand, what happened to them, and which readings were missed: asked of a real store."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.links import LinkKind as K
from nengliu.domain.quality import Reason
from nengliu.domain.scope import SYSTEM
from nengliu.storage import Writer, ask
from schemas.block import Rows

T = 1_514_736_000_000
"""2018-01-01 00:00 in China."""
MINUTE = 60_000
NOW = T + 60 * MINUTE
Make = Callable[..., Rows]
Event = tuple[int, K] | tuple[int, K, dict[str, Any]]


def tell(writer: Writer, rows: Make, *said: Event, **own: Any) -> list[Rows]:
    """Write events of one collector, minutes after T, numbered in the order given."""
    found = []
    for number, (minute, kind, *more) in enumerate(said, 1):
        given = dict(*more)
        given["reason"] = int(given.get("reason", 0))
        fixed = {"sequence": number, "kind": int(kind), "at": T + minute * MINUTE}
        found.append(rows("link_event", **(fixed | own | given)))
        writer.write(found[-1])
    writer.flush()
    return found


def links(client: Client, **given: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Answer of `links` an hour after T, by line and meter; `since` in minutes after T."""
    table = ask(client, "links", SYSTEM, **({"now": NOW} | given))
    found = {}
    for row in table.to_pylist():
        row["since"] = _minute(row["since"])
        found[row["line"], row["meter"]] = row
    return found


def state(row: dict[str, Any]) -> tuple[str, float, str]:
    return row["state"], row["since"], row["reason"]


@pytest.fixture
def beat() -> Event:
    """A heartbeat half a minute ago."""
    return 59, K.HEARTBEAT, {"parameters": '{"queued": "17", "meters": "3", "down": "1"}'}


LINE = {"line": "rs485"}
M1, M2 = LINE | {"meter": "m1"}, LINE | {"meter": "m2"}
OUT = {"reason": Reason.TIMEOUT, "parameters": '{"meter": "m2"}'}


def test_links_of_a_running_collector_say_what_is_down_and_since_when(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """Collector, line and meter are up since their start; the meter that fell silent comes first, with its reason."""
    tell(
        writer,
        rows,
        (0, K.COLLECTOR_STARTED),
        (1, K.LINE_UP, LINE),
        (2, K.METER_UP, M1),
        (2, K.METER_UP, M2),
        (30, K.METER_DOWN, M2 | OUT),
        beat,
    )
    found = links(client)

    assert list(found) == [("rs485", "m2"), ("", ""), ("rs485", ""), ("rs485", "m1")]
    assert state(found["rs485", "m2"]) == ("down", 30, "TIMEOUT")
    assert found["rs485", "m2"]["parameters"] == '{"meter": "m2"}'
    assert state(found["rs485", "m1"]) == ("up", 2, "")
    assert state(found["rs485", ""]) == ("up", 1, "")
    assert state(found["", ""]) == ("up", 0, "")
    assert found["", ""]["queued"] == 17
    assert found["rs485", ""]["queued"] is None


def test_link_that_is_down_over_a_restart_keeps_its_since(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """A state that is said again goes on; the newest reason holds; a collector that restarted is up since then."""
    tell(
        writer,
        rows,
        (0, K.COLLECTOR_STARTED),
        (1, K.METER_UP, M2),
        (5, K.METER_DOWN, M2 | OUT),
        (40, K.COLLECTOR_STARTED),
        (41, K.METER_DOWN, M2 | OUT | {"reason": Reason.GATEWAY}),
        beat,
    )
    found = links(client)

    assert state(found["rs485", "m2"]) == ("down", 5, "GATEWAY")
    assert state(found["", ""]) == ("up", 40, "")


def test_link_that_answered_in_between_is_down_since_the_second_time(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """An answer ends a state, however short."""
    tell(writer, rows, (5, K.METER_DOWN, M2), (6, K.METER_UP, M2), (7, K.METER_DOWN, M2), beat)

    assert state(links(client)["rs485", "m2"]) == ("down", 7, "")


def test_meter_that_refuses_is_neither_up_nor_down(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """A meter that answers with an exception refuses, one whose answers are broken is damaged: it was heard."""
    refuses, broken = M1 | {"reason": Reason.CONFIG}, M2 | {"reason": Reason.DAMAGED}
    tell(writer, rows, (5, K.METER_UP, M1), (9, K.METER_REFUSES, refuses), beat)
    tell(writer, rows, (5, K.METER_DOWN, M2), (8, K.ANSWER_DAMAGED, broken), beat, item=1)

    assert state(links(client)["rs485", "m1"]) == ("refuses", 9, "CONFIG")
    assert state(links(client)["rs485", "m2"]) == ("damaged", 8, "DAMAGED")


def test_collector_not_heard_for_long_is_silent_and_its_meters_unknown(
    client: Client, writer: Writer, rows: Make
) -> None:
    """Silence begins with the last message; of what is below nothing is known since then."""
    tell(
        writer,
        rows,
        (0, K.COLLECTOR_STARTED),
        (1, K.LINE_UP, LINE),
        (3, K.METER_DOWN, M2 | OUT),
        (57, K.HEARTBEAT),
    )

    assert state(links(client, silent_s=180)["", ""]) == ("up", 0, "")
    found = links(client, silent_s=179)
    assert state(found["", ""]) == ("silent", 57, "")
    assert {state(found[key]) for key in (("rs485", ""), ("rs485", "m2"))} == {("unknown", 57, "")}
    assert found["", ""]["last_at"].timestamp() * 1000 == T + 57 * MINUTE


def test_collector_that_was_stopped_is_down_with_what_is_below_unknown(
    client: Client, writer: Writer, rows: Make
) -> None:
    """A clean stop is no silence: since when and why is known."""
    tell(writer, rows, (0, K.COLLECTOR_STARTED), (1, K.METER_UP, M1), (20, K.COLLECTOR_STOPPED))
    found = links(client)

    assert state(found["", ""]) == ("down", 20, "COLLECTOR_DOWN")
    assert state(found["rs485", "m1"]) == ("unknown", 20, "COLLECTOR_DOWN")


def test_line_that_is_down_explains_its_meters(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """Meters behind a line that cannot be reached are unknown since the line went; other lines are not touched."""
    tell(
        writer,
        rows,
        (1, K.METER_UP, M1),
        (2, K.METER_DOWN, {"line": "other", "meter": "m9", "reason": Reason.TIMEOUT}),
        (8, K.LINE_DOWN, LINE | {"reason": Reason.LINE_DOWN}),
        beat,
    )
    found = links(client)

    assert state(found["rs485", ""]) == ("down", 8, "LINE_DOWN")
    assert state(found["rs485", "m1"]) == ("unknown", 8, "LINE_DOWN")
    assert state(found["other", "m9"]) == ("down", 2, "TIMEOUT")


def test_links_asked_at_an_earlier_time_forget_what_came_later(
    client: Client, writer: Writer, rows: Make
) -> None:
    """`now` is the time of asking: what was said later does not count."""
    tell(writer, rows, (0, K.COLLECTOR_STARTED), (1, K.METER_UP, M1), (30, K.METER_DOWN, M1))

    assert state(links(client, now=T + 2 * MINUTE)["rs485", "m1"]) == ("up", 1, "")
    assert links(client, now=T - 1) == {}


def test_links_without_a_time_are_those_of_now(client: Client, writer: Writer, rows: Make) -> None:
    """By default the question is asked at the present time: a collector of 2018 has long been silent."""
    tell(writer, rows, (0, K.COLLECTOR_STARTED))

    assert links(client, now=0)["", ""]["state"] == "silent"


def test_links_of_collectors_with_equal_names_stay_apart(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """Two enterprises, and two collectors of one, may use the same names for lines and meters."""
    north, south = "91110000TESTNORTH1", "91440000TESTSOUTH2"
    tell(writer, rows, (1, K.METER_UP, M1), beat)
    tell(writer, rows, (2, K.METER_DOWN, M1), beat, source="second")
    tell(writer, rows, (3, K.METER_REFUSES, M1), beat, enterprise=south)
    table = ask(client, "links", SYSTEM, now=NOW).to_pylist()
    found = {(r["enterprise"], r["source"]): r["state"] for r in table if r["meter"]}

    assert found == {(north, "collector"): "up", (north, "second"): "down", (south, "collector"): "refuses"}
    assert {r["enterprise"] for r in ask(client, "links", SYSTEM, enterprise=south, now=NOW).to_pylist()} == {
        south
    }


@pytest.mark.parametrize("seed", range(6))
def test_links_stand_the_same_however_the_events_came(
    client: Client, writer: Writer, rows: Make, beat: Event, seed: int
) -> None:
    """Doubled, reordered and in several inserts: state, since and reason are the same."""
    dice = random.Random(seed)
    kinds = [K.COLLECTOR_STARTED, K.LINE_UP, K.LINE_DOWN, K.METER_UP, K.METER_DOWN, K.METER_REFUSES]
    said: list[Event] = []
    for minute in range(40):
        kind = dice.choice(kinds)
        own = {} if kind is K.COLLECTOR_STARTED else LINE if "LINE" in kind.name else dice.choice((M1, M2))
        said.append((minute, kind, own | {"reason": dice.choice((0, 501, 502))}))
    told = tell(writer, rows, *said, beat)
    expected = ask(client, "links", SYSTEM, now=NOW)
    client.command("TRUNCATE TABLE link_event")
    again = told + dice.sample(told, 15)
    dice.shuffle(again)
    for position, row in enumerate(again):
        row.columns["position"][:] = position  # type: ignore[index]
        writer.write(row)
        if dice.random() < 0.2:
            writer.flush()
    writer.flush()

    assert ask(client, "links", SYSTEM, now=NOW).equals(expected)
    assert expected.num_rows > 2


def test_link_events_tell_the_history_without_heartbeats(
    client: Client, writer: Writer, rows: Make, beat: Event
) -> None:
    """What happened between two times, newest first, in words; heartbeats are left out."""
    up = M2 | {"since": T + 5 * MINUTE}
    tell(writer, rows, (1, K.LINE_UP, LINE), (5, K.METER_DOWN, M2 | OUT), (9, K.METER_UP, up), beat)
    table = ask(client, "link_events", SYSTEM, start=T + 2 * MINUTE, end=NOW).to_pylist()

    assert [(r["kind"], r["meter"], r["reason"]) for r in table] == [
        ("METER_UP", "m2", ""),
        ("METER_DOWN", "m2", "TIMEOUT"),
    ]
    assert table[1]["since"] is None
    assert table[0]["since"].timestamp() * 1000 == T + 5 * MINUTE
    assert ask(client, "link_events", SYSTEM, start=T, end=NOW, limit=1).num_rows == 1


# -- missed readings ---------------------------------------------------------------------------------------------


def missed(client: Client, start: int = T, end: int = NOW) -> list[tuple[Any, ...]]:
    """Answer of `missed`: point, first and last minute after T, count, reason."""
    table = ask(client, "missed", SYSTEM, start=start, end=end)
    return [
        (r["point"], _minute(r["first_at"]), _minute(r["last_at"]), r["count"], r["reason"])
        for r in table.to_pylist()
    ]


def _minute(at: datetime) -> float:
    return (at.timestamp() * 1000 - T) / MINUTE


def lose(writer: Writer, rows: Make, *ranges: tuple[int, int, int], **own: Any) -> None:
    """Write missed ranges: first and last minute after T and count."""
    for number, (first, last, count) in enumerate(ranges, 1):
        times = {"first_at": T + first * MINUTE, "last_at": T + last * MINUTE, "count": count}
        writer.write(rows("missed", **({"sequence": number} | times | own)))
    writer.flush()


def test_missed_readings_one_after_the_other_are_one_row(client: Client, writer: Writer, rows: Make) -> None:
    """Slots with the same reason and no slot in between make one row; another reason or a gap begins another."""
    writer.write(rows("point", interval_s=60))
    lose(writer, rows, (1, 1, 1), (2, 2, 1), (3, 5, 3), (7, 7, 1))
    lose(writer, rows, (8, 8, 1), reason=502)

    assert missed(client) == [
        ("main", 1, 5, 5, "TIMEOUT"),
        ("main", 7, 7, 1, "TIMEOUT"),
        ("main", 8, 8, 1, "LINE_DOWN"),
    ]


def test_missed_range_across_a_border_counts_what_was_due_inside(
    client: Client, writer: Writer, rows: Make
) -> None:
    """Start counts, end does not: the parts of neighbouring spans add up to the whole."""
    writer.write(rows("point", interval_s=60))
    lose(writer, rows, (0, 20, 21))

    assert missed(client, T + 5 * MINUTE, T + 10 * MINUTE) == [("main", 5, 9, 5, "TIMEOUT")]
    parts = [missed(client, T + i * MINUTE, T + (i + 7) * MINUTE) for i in range(0, 28, 7)]
    assert sum(row[3] for part in parts for row in part) == 21
    assert missed(client, T + 21 * MINUTE, T + 30 * MINUTE) == []
    off = [missed(client, T + i * MINUTE + 1, T + (i + 7) * MINUTE + 1) for i in range(-7, 28, 7)]
    assert sum(row[3] for part in off for row in part) == 21


def test_missed_reading_said_twice_counts_once_and_the_later_word_holds(
    client: Client, writer: Writer, rows: Make
) -> None:
    """A repetition changes nothing; of two reasons for one range the collector's later one stands."""
    lose(writer, rows, (1, 1, 1), (1, 1, 1), (1, 1, 1))
    lose(writer, rows, (1, 1, 1), reason=508, sequence=9)
    lose(writer, rows, (1, 1, 1), reason=502, sequence=8)

    assert missed(client) == [("main", 1, 1, 1, "DAMAGED")]


def test_missed_point_that_nobody_declared_is_told_all_the_same(
    client: Client, writer: Writer, rows: Make
) -> None:
    """A point without an interval has a row per slot."""
    lose(writer, rows, (1, 1, 1), (2, 2, 1), point="new")

    assert [row[:3] for row in missed(client)] == [("new", 1, 1), ("new", 2, 2)]
