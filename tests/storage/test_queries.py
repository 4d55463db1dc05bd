"""Named questions: asked by name, answered within the scope, as of any day."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.quality import Reason
from nengliu.domain.scope import SYSTEM, Scope
from nengliu.errors import InputError
from nengliu.storage import Asker, Writer, ask
from nengliu.storage.queries import Question, questions
from nengliu.storage.since import readings_since
from schemas.block import Rows

_ALL = sorted(questions())
_AUDITS = [name for name in _ALL if name.startswith("audit_")]
_BY_ENTERPRISE = [name for name in _ALL if "enterprise" in questions()[name].columns and name not in _AUDITS]
"""Of all others, sums and counts and what does not agree, the scope is proved in test_tenants.py."""
_POINTS = {"points": "points", "from_ms": "instants", "before_ms": "instants", "items": "texts"}
_NAIVE = datetime(2018, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_EMPTY = [
    Scope("analyst"),
    Scope("planner", enterprise="91110000TESTNORTH1"),
    Scope("enterprise"),
    Scope("enterprise", region="11"),
    Scope(""),
    Scope("stranger", region="11", enterprise="91110000TESTNORTH1"),
    Scope("analyst", region="99"),
    Scope("enterprise", enterprise="' OR 1 = 1 --"),
    Scope("analyst", region="%"),
]


def _parameters(question: Question, world: SimpleNamespace) -> dict[str, Any]:
    points = [(world.north, "main"), (world.south, "main")]
    values = {
        "level": "day",
        "enterprise": "",
        "start": 0,
        "end": 2**42,
        "enterprises": [world.north, world.south],
        "points": points,
        "from_ms": 1_514_736_000_000,
        "at": 1_514_736_000_000,
        "before_ms": 1_514_736_000_001,
        "position": 2**63,
        "spans": [(world.north, 0, 2**42), (world.south, 0, 2**42)],
        "partition": 0,
        "partitions": 1,
        "digest": "another",
        "items": ["electricity"],
        "point": "main",
        "incident": "0123456789abcdef",
        "read_from": 0,
        "services": [[*point, 0, 0, 1, 0, False, 0, 0, 0, 1] for point in points],
    }
    return {
        parameter.name: values[parameter.name]
        for parameter in question.parameters
        if parameter.name in values
        and parameter.kind == _POINTS.get(parameter.name, parameter.kind)
        and (parameter.default is None or parameter.name in ("start", "end"))
    }


def _enterprises(name: str, scope: Scope, world: SimpleNamespace) -> set[str]:
    """The enterprises an answer speaks of."""
    table = ask(world.client, name, scope, **_parameters(questions()[name], world))
    return set(table["enterprise"].to_pylist())


# -- what every file promises --------------------------------------------------------------------------


@pytest.mark.parametrize("name", _ALL)
def test_question_says_what_it_asks_takes_and_gives(world: SimpleNamespace, name: str) -> None:
    """The header is true: the columns are those of the answer, each parameter is used, the scope is there."""
    question = questions()[name]
    table = ask(world.client, name, SYSTEM, **_parameters(question, world))
    assert tuple(table.column_names) == question.columns
    assert question.asks.endswith(("?", "?  (for flows)", ".")) or "?" in question.asks
    body = re.sub(r"--[^\n]*", "", question.sql)
    assert "{scope}" in body or "{scope_region_rows}" in body
    bound = set(re.findall(r"\{(\w+):\w+\}", body)) - {"level"}
    in_sql = {p.name for p in question.parameters if p.kind in ("text", "integer", "instant")}
    assert bound == in_sql
    assert "as_of" not in {p.name for p in question.parameters}


@pytest.mark.parametrize("name", _ALL)
def test_question_reads_windows_under_the_scope(name: str) -> None:
    """Each predicate of the windows names the scope."""
    body = re.sub(r"--[^\n]*", "", questions()[name].sql)
    windows = re.findall(r"\{windows\((.*?)\)\}", body, re.DOTALL)
    assert all("{scope}" in predicate for predicate in windows)


# -- scope (law 10) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _BY_ENTERPRISE)
def test_scope_without_a_valid_limit_sees_nothing(world: SimpleNamespace, name: str) -> None:
    """A forgotten, unknown or forged limit fails closed."""
    for scope in _EMPTY:
        assert _enterprises(name, scope, world) == set(), scope


@pytest.mark.parametrize("name", _BY_ENTERPRISE)
def test_scope_of_the_nation_sees_all_and_can_be_narrowed(world: SimpleNamespace, name: str) -> None:
    """The nation sees everything; a region or enterprise given beside it narrows even that."""
    assert _enterprises(name, Scope("nation"), world) == {world.north, world.south}
    assert _enterprises(name, Scope("nation", region="11"), world) == {world.north}
    assert _enterprises(name, Scope("analyst", "44", world.north), world) == set()


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (Scope("nation"), {"110100", "440300"}),
        (Scope("nation", region="44"), {"440300"}),
        (Scope("planner", region="11"), {"110100"}),
        (Scope("analyst"), set()),
        (Scope("analyst", region="%"), set()),
        (Scope("analyst", region="11", enterprise="91110000TESTNORTH1"), set()),
        (Scope("enterprise", enterprise="91110000TESTNORTH1"), set()),
        (Scope("stranger", region="11"), set()),
    ],
)
def test_scope_over_rows_of_regions(world: SimpleNamespace, scope: Scope, seen: set[str]) -> None:
    """Government sees the rows of its own region, the nation all, an enterprise none."""
    assert set(ask(world.client, "regions", scope)["region"].to_pylist()) == seen


def test_scope_follows_the_newest_region_of_an_enterprise(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """An enterprise that moved is seen by its new region and no longer by the old one."""
    writer.write(rows("enterprise", region=["110105", "440101"], position=[1, 900]))
    writer.flush()
    assert ask(client, "enterprises", Scope("analyst", region="11")).num_rows == 0
    assert ask(client, "enterprises", Scope("analyst", region="44")).num_rows == 1


# -- names and parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("window", {}, "no question 'window'; did you mean windows"),
        ("zzz", {}, "known are accounts, "),
        ("points", {"enterprize": "x"}, "no parameter 'enterprize'; did you mean enterprise"),
        ("points", {}, "parameter 'enterprise' is missing (text)"),
        ("points", {"enterprise": 3}, "expected a text, got 3"),
        ("quarantine", {"start": 0, "end": 1, "limit": -1}, "whole number of at least 0, got -1"),
        ("quarantine", {"start": _NAIVE, "end": 1}, "expected a datetime with a zone"),
        (
            "totals",
            {"level": "decade", "enterprise": "", "start": 0, "end": 1},
            "expected one of 15min, hour",
        ),
        ("structure", {"level": "hour", "enterprise": "", "start": 0, "end": 1}, "expected day, week, month"),
        ("state_points", {"enterprises": "abc", "position": 1}, "expected a list of texts"),
        ("state_readings", {"points": ["ab"], "from_ms": 1, "position": 1}, "pairs (enterprise, point)"),
        (
            "state_readings",
            {"points": [("a", "b")], "from_ms": [1, 2], "position": 1},
            "1 points, 2 instants",
        ),
    ],
)
def test_ask_wrongly_says_what_is_right(
    client: Client, name: str, parameters: dict[str, Any], said: str
) -> None:
    """Names are suggested, kinds are named; nothing of it reaches the store."""
    with pytest.raises(InputError) as caught:
        ask(client, name, SYSTEM, **parameters)
    assert said in str(caught.value)


def test_ask_as_of_where_there_is_no_history_is_refused(client: Client) -> None:
    """An as_of that changed nothing would be a lie."""
    with pytest.raises(InputError, match="knows only the present"):
        ask(client, "freshness", SYSTEM, as_of=date(2018, 1, 1), enterprise="")


def test_ask_values_are_bound_and_never_part_of_the_text(world: SimpleNamespace) -> None:
    """Quotes, braces and line ends in a value find nothing and break nothing."""
    for value in ("' OR 1=1 --", "{scope}", "%(x)s", "a\n\tb\\", "能'流"):
        assert ask(world.client, "points", SYSTEM, enterprise=value).num_rows == 0


def test_ask_takes_datetimes_and_milliseconds_alike(
    world: SimpleNamespace, china: Callable[..., int]
) -> None:
    """An instant is an instant."""
    spans = [
        (china(2018, 1, 1), china(2018, 1, 2)),
        (datetime(2017, 12, 31, 16, tzinfo=UTC), datetime(2018, 1, 1, 16, tzinfo=UTC)),
    ]
    tables = [
        ask(world.client, "windows", SYSTEM, level="day", enterprise=world.north, start=start, end=end)
        for start, end in spans
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 1


def test_asker_finds_the_store_and_answers(world: SimpleNamespace) -> None:
    """A process that lives long asks through one object."""
    asker = Asker(world.settings, patience_s=1)
    assert asker.ask("enterprises", SYSTEM).num_rows == 2
    asker.close()
    assert asker.ask("points", SYSTEM, enterprise=world.north)["point"].to_pylist() == ["main"]
    asker.close()


# -- answers -------------------------------------------------------------------------------------------


def test_windows_are_in_the_unit_of_the_point(world: SimpleNamespace, china: Callable[..., int]) -> None:
    """150 ticks of a point with two decimals are 1.5 kWh; NaN is NULL; coal only from the day up."""
    span = {"enterprise": world.north, "start": china(2018, 1, 1), "end": china(2018, 2, 1)}
    (day,) = ask(world.client, "windows", SYSTEM, level="day", **span).to_pylist()
    assert (day["used"], day["unit"], day["mean"], day["coal_kgce"]) == (1.5, "kWh", None, 0.184)
    assert day["period_start"] == datetime(2017, 12, 31, 16, tzinfo=UTC)
    (hour,) = ask(world.client, "windows", SYSTEM, level="hour", **span).to_pylist()
    assert (hour["coal_kgce"], hour["co2_kg"]) == (None, None)
    assert ask(world.client, "windows", SYSTEM, level="day", point="other", **span).num_rows == 0


@pytest.mark.parametrize("level", ["hour", "month"])
def test_windows_as_of_of_everything_known_equal_the_stored_ones(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int], level: str
) -> None:
    """An hour summed from quarter-hours, and a month from days, is the row the rollups write.

    Two readings are due in each part, in the last one too, of which nothing is known.
    """
    base, step, whole = ("15min", 900, 4) if level == "hour" else ("day", 86_400, 31)
    start, n = china(2018, 1, 1) // 1000, whole - 1
    writer.write(rows("enterprise"))
    writer.write(rows("point", interval_s=step // 2, definition='{"valid_to_ms": 4611686018427387904}'))
    mean, low = [1.0] * n, [float(i) for i in range(n)]
    starts = [start + step * i for i in range(n)]
    writer.write(
        rows(
            f"window_{base}",
            period_start=starts,
            used=list(range(n)),
            mean=mean,
            low=low,
            due=2,
            reason=[Reason.BACKFILLED, Reason.REGISTER_BACKWARD, *[Reason.ARRIVED_LATE] * (n - 2)],
            revision=list(range(n)),
        )
    )
    total = {
        "used": sum(range(n)),
        "mean": 1.0,
        "low": 0.0,
        "revision": n - 1,
        "received": n,
        "due": 2 * whole,
    }
    total |= {"covered_s": 900 * n, "good": n, "reason": Reason.REGISTER_BACKWARD}
    if level == "month":
        total |= {"coal_kgce": 0.184 * n, "coal_equal_kgce": 0.45 * n, "co2_kg": 0.9 * n}
    writer.write(rows(f"window_{level}", period_start=start, **total))
    writer.flush()
    span = {"level": level, "enterprise": "", "start": start * 1000, "end": start * 1000 + 1}
    (now,) = ask(client, "windows", SYSTEM, **span).to_pylist()
    (then,) = ask(client, "windows", SYSTEM, as_of=date(2030, 1, 1), **span).to_pylist()
    for name, value in now.items():
        assert then[name] == (pytest.approx(value) if isinstance(value, float) else value), name


def test_windows_as_of_find_what_was_known_on_each_day(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """A row corrected on later days is found as it stood at the end of each of them."""
    start = china(2018, 1, 1) // 1000
    known = [china(2018, 1, day, 12) // 1000 for day in (2, 5, 9)]
    for table, which in (("window_15min_history", [0, 1]), ("window_15min", [2])):
        writer.write(
            rows(
                table,
                period_start=start,
                used=[100 * (i + 1) for i in which],
                revision=[i + 1 for i in which],
                known_at=[known[i] for i in which],
            )
        )
    writer.write(rows("point"))
    writer.flush()
    span = {"enterprise": "", "start": start * 1000, "end": start * 1000 + 3_600_000}
    for level in ("15min", "hour"):
        for day, used in ((1, []), (2, [1.0]), (4, [1.0]), (5, [2.0]), (8, [2.0]), (9, [3.0]), (30, [3.0])):
            table = ask(client, "windows", SYSTEM, as_of=date(2018, 1, day), level=level, **span)
            assert table["used"].to_pylist() == used, (level, day)
    noon = datetime(2018, 1, 5, 4, tzinfo=UTC)  # 12:00 in China: known at that very second
    assert ask(client, "totals", SYSTEM, as_of=noon, level="15min", **span)["used"].to_pylist() == [200]


def test_windows_span_that_cuts_a_period_gives_whole_periods_only(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """A period belongs to the span that holds its start, now and as of a day, whole."""
    start = china(2018, 1, 1) // 1000
    writer.write(rows("point"))
    writer.write(rows("window_15min", period_start=[start + 900 * i for i in range(12)], used=[100] * 12))
    writer.write(rows("window_hour", period_start=[start + 3600 * i for i in range(3)], used=[400] * 3))
    writer.flush()
    span = {"level": "hour", "enterprise": "", "start": start * 1000 + 1, "end": (start + 7300) * 1000}
    for as_of in (None, date(2030, 1, 1)):
        table = ask(client, "windows", SYSTEM, as_of=as_of, **span)
        assert table["used"].to_pylist() == [4.0, 4.0]


def test_totals_are_exact_beyond_what_a_float_holds(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """Ticks are summed as whole numbers; the highest period is the first of equal ones."""
    start, big = china(2018, 1, 1) // 1000, 2**53 + 1
    writer.write(rows("point"))
    writer.write(
        rows("window_day", period_start=[start, start + 86_400, start + 172_800], used=[big, 1, big])
    )
    writer.flush()
    (row,) = ask(
        client, "totals", SYSTEM, level="day", enterprise="", start=start * 1000, end=china(2018, 2, 1)
    ).to_pylist()
    assert (row["used"], row["highest"], row["periods"]) == (2 * big + 1, big, 3)
    assert row["highest_at"] == datetime(2017, 12, 31, 16, tzinfo=UTC)


def test_structure_counts_the_boundary_only(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """Sub-meters (level 2) are inside the boundary meter; a part without a factor makes the coal unknown."""
    start = china(2018, 1, 1)
    writer.write(rows("point", point=["main", "sub", "steam"], metering_level=[1, 2, 1], decimals=[2, 2, 0]))
    writer.write(rows("window_day", point=["main", "sub", "steam"], coal_kgce=[0.5, 0.5, float("nan")]))
    writer.flush()
    span = {"level": "day", "enterprise": "", "start": start, "end": start + 86_400_000}
    (row,) = ask(client, "structure", SYSTEM, **span).to_pylist()
    assert (row["used"], row["coal_kgce"], row["co2_kg"], row["received"]) == (3.0, None, 1.8, 2)


def test_completeness_says_how_much_is_estimated(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """A share of the consumption, and NULL where there was none."""
    start = china(2018, 1, 1)
    writer.write(rows("window_day", point=["a", "b"], used=[200, 0], estimated=[50, 0]))
    writer.flush()
    table = ask(client, "completeness", SYSTEM, enterprise="", start=start, end=start + 86_400_000)
    assert table["estimated_share"].to_pylist() == [0.25, None]


def test_intake_adds_up_per_source_and_china_day(
    client: Client, writer: Writer, rows: Callable[..., Rows], china: Callable[..., int]
) -> None:
    """Messages of one day are one row; what does not add up shows as a difference."""
    day = china(2026, 3, 2) // 1000
    received = [day, day + 86_399, day + 86_400]
    writer.write(rows("intake", position=[1, 2, 3], received_at=received, received=[10, 10, 11]))
    writer.flush()
    table = ask(client, "intake", SYSTEM, start=day * 1000, end=(day + 172_800) * 1000)
    assert table["received"].to_pylist() == [20, 11]
    assert table["difference"].to_pylist() == [0, 1]
    assert ask(client, "intake", SYSTEM, enterprise="nobody", start=0, end=2**42).num_rows == 0


def test_quarantine_gives_the_newest_first_up_to_the_limit(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """The payload is kept as it came, and rows of no known enterprise are for the nation's eyes."""
    writer.write(rows("quarantine", position=[1, 2, 3], enterprise="", payload="\x00'\\\n能"))
    writer.flush()
    table = ask(client, "quarantine", SYSTEM, start=0, end=2**42, limit=2)
    assert table["position"].to_pylist() == [3, 2]
    assert table["payload"].to_pylist() == ["\x00'\\\n能"] * 2


def test_freshness_names_points_that_never_spoke(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """Silence is visible: a point without a reading stands there with NULL."""
    writer.write(rows("enterprise"))
    writer.write(rows("point", point=["main", "silent"]))
    writer.write(rows("point_newest"))
    writer.flush()
    silent = ask(client, "freshness", SYSTEM, enterprise="").to_pylist()[1]
    assert (silent["point"], silent["last_read_at"], silent["last_received_at"]) == ("silent", None, None)
    (row,) = ask(client, "enterprises", SYSTEM).to_pylist()
    assert (row["points"], row["last_at"]) == (2, datetime(2017, 12, 31, 16, tzinfo=UTC))


def test_newest_times_of_a_point_come_from_whatever_was_written_in_any_order(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """Each batch says its own first and last times; together they are those of all, and a replay changes nothing."""
    writer.write(rows("enterprise"))
    writer.write(rows("point"))
    for first, last, received in ((5000, 9000, 20), (1000, 2000, 30), (5000, 9000, 20)):
        writer.write(rows("point_newest", first_read_at=first, last_read_at=last, last_received_at=received))
        writer.flush()
    (fresh,) = ask(client, "freshness", SYSTEM, enterprise="").to_pylist()
    (works,) = ask(client, "enterprises", SYSTEM).to_pylist()

    assert [fresh[name].timestamp() for name in ("last_read_at", "last_received_at")] == [9, 30]
    assert [works[name].timestamp() for name in ("first_at", "last_at")] == [1, 9]


def test_state_wiring_is_the_newest_of_each_collector_before_the_position(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """A resumed shard gets each collector's wiring as it stood, and nothing the replay will tell again."""
    writer.write(
        rows("wiring", source=["a", "a", "a", "b"], position=[1, 5, 9, 2], definition=["x", "y", "z", "b"])
    )
    writer.flush()
    found = ask(client, "state_wiring", SYSTEM, enterprises=["91110000TESTNORTH1"], position=9)

    assert found["definition"].to_pylist() == ["y", "b"]


def test_points_are_as_last_described(client: Client, writer: Writer, rows: Callable[..., Rows]) -> None:
    """Of several descriptions the one of the newest position holds."""
    writer.write(rows("point", position=[5, 9, 7], name=["a", "newest", "b"]))
    writer.flush()
    assert ask(client, "points", SYSTEM, enterprise="")["name"].to_pylist() == ["newest"]


# -- what flows ask ------------------------------------------------------------------------------------


def test_state_book_is_the_newest_before_the_position(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """A flow that starts at a position sees what lay before it, of its own partition."""
    writer.write(rows("book", partition=[0, 0, 1], position=[5, 9, 7], digest=["old", "new", "other"]))
    writer.flush()
    for position, digest in ((5, []), (6, ["old"]), (9, ["old"]), (10, ["new"])):
        table = ask(client, "state_book", SYSTEM, partition=0, position=position)
        assert table["digest"].to_pylist() == digest


@pytest.mark.parametrize("seed", range(4))
def test_state_readings_are_those_a_plain_loop_finds(
    client: Client, writer: Writer, rows: Callable[..., Rows], seed: int
) -> None:
    """For each point all from its instant on and the last before it: near or far, winner or loser."""
    chance = np.random.default_rng(seed)
    day, n = 86_400_000, 120
    stored = []
    for table in ("reading", "reading_superseded"):
        columns = {
            "point": [f"p{i}" for i in chance.integers(0, 4, n)],
            "read_at": [int(i) * day // 4 + 1_700_000_000_000 for i in chance.integers(0, 200, n)],
            "position": chance.integers(1, 100, n).tolist(),
            "sequence": chance.integers(1, 2**40, n).tolist(),
        }
        writer.write(rows(table, **columns))
        writer.flush()
        names = "point, toUnixTimestamp64Milli(read_at), position, sequence"
        stored += client.query(f"SELECT {names} FROM {table} FINAL").result_rows
    starts = {f"p{i}": 1_700_000_000_000 + int(chance.integers(0, 50)) * day for i in range(5)}
    position = int(chance.integers(20, 100))
    expected = []
    for point, start in starts.items():
        own = [row for row in stored if row[0] == point and row[2] < position]
        last = max((row[1] for row in own if row[1] < start), default=None)
        expected += [row for row in own if row[1] >= start or row[1] == last]
    asked = [("91110000TESTNORTH1", point) for point in starts]
    store = SimpleNamespace(ask=partial(ask, client))
    table = readings_since(store, asked, np.array(list(starts.values())), position)
    found = [(row["point"], row["read_at_ms"], row["position"], row["sequence"]) for row in table.to_pylist()]
    assert sorted(found) == sorted(expected)
    assert readings_since(store, [], np.empty(0, np.int64), 1).num_rows == 0
