"""A drop folder as a feed: files that are whole, once, laid aside with what became of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from feed_desk import HandClock, MemoryDesk, PowerCut, settled, told
from feed_plans import ENERGY, HEAD, POWER, TIME, make_plan

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.sources import folder as module
from acquisition.drivers.sources.folder import FolderFeed
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import LinkError

START_MS = 1_772_409_600_000
"""2026-03-02 08:00 of China."""
NOW_MS = START_MS + 86_400_000


def table(first: int, count: int, kwh: int = 0) -> str:
    """CSV of a reading each minute."""
    rows = (
        f"2026-03-02 {8 + n // 60:02}:{n % 60:02}:00,{kwh + n}.25,1.5" for n in range(first, first + count)
    )
    return "\n".join(["at,kwh,kw", *rows, ""])


class Site:
    """A folder and a feed on it; time moves when it is told to."""

    def __init__(self, folder: Path, disk: MemoryDesk | None = None, **given: Any) -> None:
        self.drop = folder / "drop"
        self.clock = HandClock(NOW_MS)
        cut_after = given.pop("cut_after", 10**9)
        self.desk = MemoryDesk(disk, cut_after)
        self.feed = FolderFeed(make_plan(folder, "folder", folder="drop", settle_s=10, **given), self.clock)

    async def look(self, after_s: int = 0) -> bool:
        self.clock.at_ms += after_s * 1000
        return await self.feed.look(self.desk)

    async def take(self) -> None:
        """See what is there, and look again when it has settled."""
        await self.look()
        await self.look(10)

    def energies(self) -> list[tuple[int, int]]:
        return [
            ((one.at_ms - START_MS) // 60_000, one.ticks) for one in self.desk.taken if one.point == "e-main"
        ]

    def done(self) -> list[str]:
        return sorted(file.name for file in (self.drop / "done").iterdir())

    def failed(self) -> list[str]:
        return sorted(file.name for file in (self.drop / "failed").iterdir())


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    found = tmp_path / "drop"
    found.mkdir()
    return found


def test_file_becomes_readings_and_is_laid_aside(drop: Path) -> None:
    """A CSV file gives exact values at its stamps, and goes to done."""
    (drop / "a.csv").write_text(table(0, 3))
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert site.energies() == [(0, 25), (1, 125), (2, 225)]
    assert {(one.origin, one.quality) for one in site.desk.taken} == {(Origin.FILE, Quality.GOOD)}
    assert (site.done(), site.failed(), (drop / "a.csv").exists()) == (["a.csv"], [], False)


def test_workbook_is_read_as_well(drop: Path) -> None:
    """An XLSX file of the same columns gives the same."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["at", "kwh", "kw"], ["2026-03-02 08:00:00", 12.5, 1.5]):
        sheet.append(row)
    book.save(drop / "a.xlsx")
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert site.energies() == [(0, 1250)]


def test_file_that_is_still_written_is_not_taken(drop: Path) -> None:
    """A file that grows, or whose name says that it is not whole, waits."""
    site = Site(drop.parent)

    async def script() -> None:
        with (drop / "a.csv").open("w") as file:
            for n, line in enumerate(table(0, 3).splitlines()):
                file.write(line + "\n")
                file.flush()
                assert await site.look(9) is False, n
        for name in (".a.csv", "~$a.csv", "a.csv.part", "a.tmp"):
            (drop / name).write_text(table(0, 1))
        assert await site.look(9) is False
        assert await site.look(1) is True
        assert await site.look(60) is False

    asyncio.run(script())
    assert site.done() == ["a.csv"]
    assert len(site.energies()) == 3


def test_same_content_is_read_once_whatever_it_is_called(drop: Path) -> None:
    """A file that is sent again, also after a restart, gives nothing again."""
    (drop / "a.csv").write_text(table(0, 3))
    site = Site(drop.parent)
    asyncio.run(site.take())
    for name in ("a.csv", "b.csv"):
        (drop / name).write_text(table(0, 3))
    later = Site(drop.parent, site.desk)
    asyncio.run(later.take())
    assert len(later.energies()) == 3
    assert later.done() == ["a-1.csv", "a.csv", "b.csv"]


def test_older_file_goes_first(drop: Path) -> None:
    """A correction that was dropped later wins, since it is handed in later."""
    for name, kwh, at in (("z.csv", 1, 1_000), ("a.csv", 2, 2_000)):
        (drop / name).write_text(table(0, 1, kwh))
        os.utime(drop / name, (at, at))
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert site.energies() == [(0, 125), (0, 225)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "empty"),
        ("when,kwh,kw\n1,2,3\n", "'at'"),
        ("at,kwh,kw\nnever,x,y\n", "none can be understood"),
        ("%PDF-1.7", "PDF"),
    ],
)
def test_file_that_is_no_such_table_fails_with_a_reason(drop: Path, content: str, word: str) -> None:
    """It goes to failed with a text beside it and a line in the quarantine; the next file is read."""
    (drop / "a.csv").write_text(content)
    (drop / "b.csv").write_text(table(0, 1))
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert (site.failed(), site.done()) == (["a.csv", "a.csv.txt"], ["b.csv"])
    assert word in (drop / "failed" / "a.csv.txt").read_text()
    assert site.desk.reasons() == [Reason.BAD_FIELD]
    assert site.desk.rejected[0].text == "a.csv"


def test_cells_that_are_no_values_are_held_back_and_the_rest_arrives(drop: Path) -> None:
    """Each bad cell is in the quarantine with its row."""
    (drop / "a.csv").write_text("at,kwh,kw\n2026-03-02 08:00:00,bad,1\n2026-03-02 08:01:00,2,1\nshort,1\n")
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert site.energies() == [(1, 200)]
    assert [(row.row, Reason(row.reason)) for row in site.desk.rejected] == [
        (2, Reason.NOT_A_NUMBER),
        (4, Reason.RAGGED_ROW),
        (4, Reason.RAGGED_ROW),
    ]


@pytest.mark.parametrize("cut_after", [0, 1, 4, 9, 10, 11, 24])
def test_power_cut_in_a_file_loses_and_repeats_nothing(
    drop: Path, cut_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it came, the next start hands in the rest of the file, rejected rows once."""
    monkeypatch.setattr(module, "PIECE", 5)
    (drop / "a.csv").write_text(table(0, 25) + "2026-03-02 09:00:00,bad,1\n")
    site = Site(drop.parent, cut_after=cut_after)

    async def life() -> None:
        with pytest.raises(PowerCut):
            await site.take()

    asyncio.run(life())
    assert len(site.energies()) <= cut_after
    later = Site(drop.parent, site.desk)
    asyncio.run(later.take())
    assert later.energies() == [(n, n * 100 + 25) for n in range(25)]
    assert later.desk.reasons() == [Reason.NOT_A_NUMBER]
    assert later.done() == ["a.csv"]


def test_cut_between_storing_and_laying_aside_repeats_nothing(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was stored but still lies there is only laid aside."""
    (drop / "a.csv").write_text(table(0, 3))
    site = Site(drop.parent)

    def cut(*_: object) -> None:
        assert "a.csv" in [value for value, _ in site.desk.states.values()], (
            "its digest is on the disk by now"
        )
        raise PowerCut

    async def life() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(FolderFeed, "_lay_aside", cut)
            with pytest.raises(PowerCut):
                await site.take()

    asyncio.run(life())
    later = Site(drop.parent, site.desk)
    asyncio.run(later.take())
    assert (len(later.energies()), later.done()) == (3, ["a.csv"])


def test_nothing_is_laid_aside_before_it_is_durable(drop: Path) -> None:
    """While the disk of the buffer is full, the file stays where it is."""
    (drop / "a.csv").write_text(table(0, 3))

    async def script() -> None:
        site = Site(drop.parent)
        site.desk.full.clear()
        taking = asyncio.create_task(site.take())
        await asyncio.sleep(0.3)
        assert (drop / "a.csv").exists()
        site.desk.full.set()
        await taking
        assert (site.done(), len(site.energies())) == (["a.csv"], 3)

    asyncio.run(script())


def test_folder_that_goes_and_comes_is_told(drop: Path) -> None:
    """A share that vanishes is a line that is down; when it is back, its files are read."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        plan = make_plan(drop.parent, "folder", folder="drop", settle_s=1, every_s=1)
        feed = asyncio.create_task(FolderFeed(plan, SystemClock()).run(desk))
        await told(desk, LinkKind.LINE_UP)
        away = drop.rename(drop.with_name("away"))
        await told(desk, LinkKind.LINE_DOWN)
        (away / "a.csv").write_text(table(0, 1))
        away.rename(drop)
        await settled(desk, 2)
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        assert feed.cancelled()
        return desk

    desk = asyncio.run(script())
    assert desk.kinds() == [LinkKind.LINE_UP, LinkKind.LINE_DOWN, LinkKind.LINE_UP]
    assert desk.events[1].parameters["line"] == "mes"


def test_file_beyond_the_bound_is_refused_whole(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the memory of a collector cannot hold is named and left to the import."""
    monkeypatch.setattr(module, "MOST_VALUES", 10)
    (drop / "a.csv").write_text(table(0, 6))
    site = Site(drop.parent)
    asyncio.run(site.take())
    assert (site.energies(), site.failed()) == ([], ["a.csv", "a.csv.txt"])
    assert "nengliu import" in (drop / "failed" / "a.csv.txt").read_text()


def test_folder_that_cannot_be_written_stops_before_it_reads(drop: Path) -> None:
    """What cannot be laid aside afterwards is not read: it would be read for ever."""
    (drop / "a.csv").write_text(table(0, 1))
    (drop / "done").write_text("a file in the place of the folder")
    site = Site(drop.parent)
    with pytest.raises(LinkError) as error:
        asyncio.run(site.take())
    assert error.value.reason == "LINE_DOWN"
    assert site.desk.taken == []


def test_clock_of_the_map_repairs_across_the_file(drop: Path) -> None:
    """A file is read as an import reads it: what the order of rows proves is repaired and marked."""
    time = TIME + 'interval = "1min"\nclock = "repair"\n'
    rows = table(0, 5).replace("08:02:00", "08:00:00")
    (drop / "a.csv").write_text(rows)
    site = Site(drop.parent, map_text=HEAD + time + ENERGY + POWER)
    asyncio.run(site.take())
    assert site.energies() == [(n, n * 100 + 25) for n in range(5)]
    assert [one.quality for one in site.desk.taken if one.point == "p-main"].count(Quality.LATE) == 1
