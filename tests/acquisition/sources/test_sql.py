"""A database as a feed: exact values, an overlap read again, every row once, restarts and outages."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from feed_desk import MemoryDesk, PowerCut, settled, told
from feed_plans import ENERGY, HEAD, QUERY, TIME, sql_plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.sources.database import Page
from acquisition.drivers.sources.sql import SqlFeed
from acquisition.drivers.sources.watermark import before, read, spelled, taken
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import InputError, LinkError

START = dt.datetime(2026, 3, 2, 8, 0)  # noqa: DTZ001 - as the plant's clock shows it
START_MS = 1_772_409_600_000
"""08:00 of China."""


class Plant:
    """A plant database: readings with a stamp, and when they were changed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "plant.db"
        self.do("CREATE TABLE reading (at TEXT PRIMARY KEY, kwh TEXT, kw REAL, changed TEXT)")

    def do(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)
        connection.close()

    def write(self, minute: int, kwh: object, changed: int | None = None, kw: object = 1.5) -> None:
        """Write the reading of a minute, at another one."""
        at, mark = spell(minute), spell(minute if changed is None else changed)
        self.do("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?)", at, kwh, kw, mark)


def spell(minute: int) -> str:
    return (START + dt.timedelta(minutes=minute)).isoformat(sep=" ")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def look(folder: Path, desk: MemoryDesk | None = None, times: int = 1, **given: Any) -> MemoryDesk:
    """Let a new feed, as after a start, look so often."""

    async def script() -> MemoryDesk:
        made = MemoryDesk(desk, given.pop("cut_after", 10**9))
        feed = SqlFeed(sql_plan(folder, **given), SystemClock())
        feed.remember(made)
        for _ in range(times):
            await feed.look(made)
            await asyncio.sleep(0)
        return made

    return asyncio.run(script())


def energies(desk: MemoryDesk) -> list[tuple[int, int]]:
    """Minute and ticks of what was handed in."""
    return [((one.at_ms - START_MS) // 60_000, one.ticks) for one in desk.taken if one.point == "e-main"]


def test_values_keep_their_last_digit_and_their_instant(plant: Plant) -> None:
    """Text, whole numbers and floats become exact ticks at the instant the plant's clock meant."""
    plant.write(0, "90071992547409.93")
    plant.write(15, 12)
    plant.write(30, 0.07, kw=2.25)
    desk = look(plant.path.parent)
    assert energies(desk) == [(0, 9_007_199_254_740_993), (15, 1200), (30, 7)]
    assert [one.ticks for one in desk.taken if one.point == "p-main"] == [15, 15, 22]
    assert {(one.origin, one.quality) for one in desk.taken} == {(Origin.SQL, Quality.GOOD)}


def test_rows_are_read_again_and_handed_in_once(plant: Plant) -> None:
    """Five looks over the same overlap give every row once."""
    for minute in range(10):
        plant.write(minute, minute)
    assert energies(look(plant.path.parent, times=5)) == [(n, n * 100) for n in range(10)]


def test_row_written_late_within_the_overlap_is_found(plant: Plant) -> None:
    """A row that appears behind the watermark is handed in by the next look."""
    plant.write(0, 1)
    plant.write(9, 2)
    desk = look(plant.path.parent)
    plant.write(4, 3)
    assert energies(look(plant.path.parent, desk)) == [(0, 100), (9, 200), (4, 300)]


def test_row_beyond_the_overlap_is_not_read_again(plant: Plant) -> None:
    """What appears further back than the overlap stays unread: the overlap is a promise of the plant."""
    plant.write(0, 1)
    plant.write(60, 2)
    desk = look(plant.path.parent)
    plant.write(20, 3)
    assert energies(look(plant.path.parent, desk)) == [(0, 100), (60, 200)]


def test_row_changed_and_changed_back_comes_each_time(plant: Plant) -> None:
    """A value corrected twice, the second time to what it was, is told three times."""
    desk = None
    for kwh in (5, 6, 5):
        plant.write(0, kwh, changed=1)
        desk = look(plant.path.parent, desk)
    assert desk is not None
    assert energies(desk) == [(0, 500), (0, 600), (0, 500)]


def test_two_rows_of_one_stamp_do_not_alternate_for_ever(plant: Plant) -> None:
    """Two values for one instant are both told, in their order, and neither again."""
    plant.do("CREATE TABLE twice (at TEXT, kwh TEXT, kw REAL, changed TEXT)")
    for kwh in ("1", "2"):
        plant.do("INSERT INTO twice VALUES (?, ?, 0, ?)", spell(0), kwh, spell(0))
    desk = look(plant.path.parent, times=4, query=QUERY.replace("reading", "twice"))
    assert energies(desk) == [(0, 100), (0, 200)]


def test_more_rows_of_one_watermark_than_a_page_are_all_read(plant: Plant) -> None:
    """A batch insert with one time of change does not stop the reader."""
    for minute in range(57):
        plant.write(minute, minute, changed=60)
    plant.write(61, 61)
    desk = look(plant.path.parent, times=2, page=5)
    assert sorted(energies(desk)) == [(n, n * 100) for n in (*range(57), 61)]


@pytest.mark.parametrize("cut_after", [0, 1, 7, 20, 29])
def test_power_cut_in_a_backlog_loses_and_repeats_nothing(plant: Plant, cut_after: int) -> None:
    """However far it came, the next start goes on where the disk ends."""
    for minute in range(30):
        plant.write(minute, minute)
    disk = MemoryDesk()

    async def life() -> None:
        disk.__init__(disk, cut_after)  # type: ignore[misc]
        feed = SqlFeed(sql_plan(plant.path.parent, page=4), SystemClock())
        with pytest.raises(PowerCut):
            await feed.look(disk)

    asyncio.run(life())
    assert len(energies(disk)) <= cut_after
    assert sorted(energies(look(plant.path.parent, disk, page=4))) == [(n, n * 100) for n in range(30)]


def test_memory_holds_the_overlap_and_no_more(plant: Plant) -> None:
    """What is kept over restarts does not grow with the database."""
    sizes = []
    desk = None
    for hour in range(4):
        for minute in range(60):
            plant.write(60 * hour + minute, minute)
        desk = look(plant.path.parent, desk, page=25)
        sizes.append(len(desk.states["feed/mes"][0]))
    assert desk is not None
    assert len(energies(desk)) == 240
    assert len(set(sizes)) == 1  # eleven digests of the last ten minutes


def test_first_look_begins_where_it_is_told(plant: Plant) -> None:
    """A database of many years need not be read from its beginning."""
    for minute in (0, 30, 60):
        plant.write(minute, minute)
    assert energies(look(plant.path.parent, start=spell(30), times=2)) == [(30, 3000), (60, 6000)]


def test_watermark_of_numbers_goes_by_number(plant: Plant) -> None:
    """A serial number is a watermark too; rows without one are passed over."""
    plant.do("CREATE TABLE numbered (at TEXT, kwh TEXT, kw REAL, id INTEGER)")
    for number in (1, 2, None, 12):
        plant.do("INSERT INTO numbered VALUES (?, ?, 0, ?)", spell(number or 3), number or 3, number)
    told_as = {"query": "SELECT * FROM numbered", "watermark": "id", "overlap": 5}
    desk = look(plant.path.parent, times=2, **told_as)
    plant.do("INSERT INTO numbered VALUES (?, 8, 0, 8)", spell(8))
    plant.do("INSERT INTO numbered VALUES (?, 5, 0, 5)", spell(5))  # beyond the overlap
    assert energies(look(plant.path.parent, desk, **told_as)) == [(1, 100), (2, 200), (12, 1200), (8, 800)]


def test_cells_that_are_no_values_are_held_back_once(plant: Plant) -> None:
    """What cannot be a reading goes to the quarantine with its reason; its neighbours arrive."""
    plant.write(0, "n/a?")
    plant.write(1, None)
    plant.write(2, "1.234")
    plant.write(3, 4)
    desk = look(plant.path.parent, times=3)
    assert energies(desk) == [(3, 400)]
    assert sorted(desk.reasons()) == sorted([Reason.NOT_A_NUMBER, Reason.EMPTY_VALUE, Reason.NOT_EXACT])
    assert {row.point for row in desk.rejected} == {"e-main"}


def test_column_that_is_missing_is_named(plant: Plant) -> None:
    """A query that lacks a column of the map is told with the nearest one."""
    with pytest.raises(LinkError, match=r"'kwh'.*at, kwhs, kw, changed") as error:
        look(plant.path.parent, query="SELECT at, kwh AS kwhs, kw, changed FROM reading")
    assert error.value.reason == "CONFIG"


def test_database_that_goes_and_comes_is_told_and_loses_nothing(plant: Plant) -> None:
    """The way is down, told once, and up again; what was written meanwhile arrives."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        feed = asyncio.create_task(SqlFeed(sql_plan(plant.path.parent, every_s=1), SystemClock()).run(desk))
        plant.write(0, 1)
        await settled(desk, 2)
        plant.do("ALTER TABLE reading RENAME TO gone")
        await told(desk, LinkKind.LINE_DOWN)
        plant.do("ALTER TABLE gone RENAME TO reading")
        plant.write(5, 2)
        await settled(desk, 4)
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        assert feed.cancelled()
        return desk

    desk = asyncio.run(script())
    assert desk.kinds() == [LinkKind.LINE_UP, LinkKind.LINE_DOWN, LinkKind.LINE_UP]
    assert desk.events[1].parameters == {"line": "mes", "got": "no such table: reading"}
    assert energies(desk) == [(0, 100), (5, 200)]


def test_database_that_hangs_is_not_asked_twice_at_a_time(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query without an end is a timeout; while it runs, no second one is sent."""
    free, asked = threading.Event(), []

    def hang(*_: object) -> Page:
        asked.append(1)
        free.wait(20)
        return Page(("at", "kwh", "kw", "changed"), [])

    monkeypatch.setattr("acquisition.drivers.sources.database.Database.page", hang)

    async def script() -> None:
        feed, desk = SqlFeed(sql_plan(plant.path.parent, timeout_s=0.05), SystemClock()), MemoryDesk()
        for _ in range(3):
            with pytest.raises(LinkError) as error:
                await feed.look(desk)
            assert error.value.reason == "TIMEOUT"
        assert len(asked) == 1
        free.set()
        await feed.idle()
        assert await feed.look(desk) is False
        assert len(asked) == 2

    asyncio.run(script())


def test_source_that_gives_nothing_for_long_is_told(plant: Plant) -> None:
    """Silence beyond the limit is a meter that is down; the next row brings it up."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        plan = sql_plan(plant.path.parent, every_s=1, silent_s=1)
        feed = asyncio.create_task(SqlFeed(plan, SystemClock()).run(desk))
        await told(desk, LinkKind.METER_DOWN)
        plant.write(0, 1)
        await told(desk, LinkKind.METER_UP)
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        return desk

    desk = asyncio.run(script())
    assert desk.kinds()[:3] == [LinkKind.LINE_UP, LinkKind.METER_DOWN, LinkKind.METER_UP]
    assert desk.events[1].parameters == {"meter": "mes"}


def test_driver_that_is_missing_is_named(tmp_path: Path) -> None:
    """A database whose package is not there is refused before anything runs."""
    with pytest.raises(InputError, match=r"psycopg2.*install"):
        SqlFeed(sql_plan(tmp_path, url="postgresql+psycopg2://reader@db/mes"), SystemClock())


def test_database_file_is_never_written_nor_made(tmp_path: Path) -> None:
    """A file that is not there is not made; one that is there is opened for reading only."""
    with pytest.raises(LinkError, match="unable to open"):
        look(tmp_path)
    assert not (tmp_path / "plant.db").exists()
    Plant(tmp_path)
    with pytest.raises(LinkError, match=r"syntax error"):
        look(tmp_path, query="WITH gone AS (DELETE FROM reading RETURNING *) SELECT * FROM gone")


@pytest.mark.parametrize("url", ["plant.db", "://", "nosuch://x"])
def test_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """A URL that names no database is told as such."""
    with pytest.raises(InputError, match="feed mes"):
        SqlFeed(sql_plan(tmp_path, url=url), SystemClock())


def test_password_comes_from_its_file_and_stays_out_of_messages(tmp_path: Path) -> None:
    """The password is read from a file and given to the driver; what is told of a failure does not hold it."""
    (tmp_path / "secret").write_text("hunter2\n")
    plan = sql_plan(tmp_path, password_file="secret")
    assert plan.password() == "hunter2"
    with pytest.raises(InputError, match="feed mes: url") as error:  # SQLite wants no password: it did get it
        SqlFeed(plan, SystemClock())
    assert "hunter2" not in str(error.value)
    assert error.value.__suppress_context__
    with pytest.raises(InputError, match="password_file"):
        look(tmp_path, password_file="missing")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 5), st.integers(0, 3)),
            st.tuples(st.sampled_from(["look", "restart"]), st.just(0), st.just(0)),
        ),
        max_size=25,
    ),
    page=st.integers(1, 4),
)
def test_whatever_is_written_the_last_word_is_told_and_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], page: int
) -> None:
    """After a look the newest value of each stamp is the database's, and no unchanged row came again."""
    folder = tmp_path_factory.mktemp("plant")
    plant = Plant(folder)

    async def script() -> None:
        desk = MemoryDesk()
        feed = SqlFeed(sql_plan(folder, page=page), SystemClock())
        stood: dict[int, int] = {}
        changes = 0
        for what, minute, kwh in [*steps, ("look", 0, 0)]:
            if what == "write":
                plant.write(minute, kwh, changed=7)
                stood[minute] = kwh
                continue
            if what == "restart":
                desk, feed = MemoryDesk(desk), SqlFeed(sql_plan(folder, page=page), SystemClock())
                feed.remember(desk)
            known = dict(energies(desk))
            changes += sum(known.get(one) != value * 100 for one, value in stood.items())
            await feed.look(desk)
            await asyncio.sleep(0)
            assert dict(energies(desk)) == {one: value * 100 for one, value in stood.items()}
            assert len(energies(desk)) == changes

    asyncio.run(script())


def test_watermarks_of_every_kind_shift_and_survive_a_restart() -> None:
    """Instants, numbers and texts keep their manner of writing, so that the database sorts them alike."""
    at = dt.datetime(2026, 1, 1, 0, 0, 30, 250_000, dt.UTC)
    assert before(at, 30) == dt.datetime(2026, 1, 1, 0, 0, 0, 250_000, dt.UTC)
    assert read(*spelled(at)) == at
    for text, shifted in {
        "2026-01-01 00:00:30": "2025-12-31 23:59:30",
        "2026-01-01T00:00:30.5+08:00": "2025-12-31T23:59:30.5+08:00",
        "2026-01-01 00:00:30.1234567": "2025-12-31 23:59:30.1234560",
        "2026-03-02": "2026-03-01",
        "batch-7": "batch-7",
    }.items():
        assert before(text, 60) == shifted, text
        assert read(*spelled(text)) == text
    assert taken(dt.date(2026, 1, 1), "day") == dt.datetime(2026, 1, 1)  # noqa: DTZ001 - as the database means it
    assert taken(7.0, "id") == 7
    for cell in (None, True, 1.5, b"x"):
        with pytest.raises(LinkError):
            taken(cell, "id")


def test_map_of_a_long_table_is_read(plant: Plant) -> None:
    """Tags in rows, as historians keep them, are read by the same map as a long file."""
    plant.do("CREATE TABLE tag (tag TEXT, at TEXT, value TEXT, changed TEXT)")
    plant.do("INSERT INTO tag VALUES ('M1.E', ?, '12.34', ?)", spell(0), spell(0))
    plant.do("INSERT INTO tag VALUES ('M1.X', ?, '1', ?)", spell(0), spell(0))
    long = '[points]\ncolumn = "tag"\nvalue = "value"\n'
    point = ENERGY.replace('column = "kwh"', 'match = "M1.E"')
    desk = look(plant.path.parent, query="SELECT * FROM tag", map_text=HEAD + TIME + long + point)
    assert energies(desk) == [(0, 1234)]
    assert desk.reasons() == [Reason.UNKNOWN_POINT]
