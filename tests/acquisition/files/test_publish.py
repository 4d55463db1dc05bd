"""An import is a sequence of messages that comes out the same however often it is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.files.mapping import Map, load_map, parse_map
from acquisition.files.order import ByReceipt
from acquisition.files.preview import preview
from acquisition.files.publish import ImportReport, Options, Run, import_file, new_base, plan_run, schema_of
from acquisition.files.rows import Readings, join
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import InputError
from schemas.messages import ImportNotice, RejectedNotice, RejectedRow, RowsFrame

Write = Callable[..., Path]
MakeMap = Callable[..., Map]
CODE = "91320000MA1EXAMPL3"
BASE = 1_600_000_000 << 32
LONG = f"""
[enterprise]
code = "{CODE}"
[time]
column = "t"
received = {{ column = "r" }}
[points]
column = "p"
value = "v"
unit = "u"
[defaults]
kind = "gauge"
item = "measurement"
unit = "kPa"
[[point]]
match = "a"
[[point]]
match = "b"
"""


def frames(log) -> list[RowsFrame]:  # type: ignore[no-untyped-def]
    """The frames of a log."""
    return [one for one in log.messages() if isinstance(one, RowsFrame)]


def year(rows: int) -> str:
    """A regular file."""
    stamps = np.datetime64("2018-01-01T00:15") + np.arange(rows) * np.timedelta64(15, "m")
    return "date,kwh\n" + "".join(f"{s},{n % 100}.5\n" for n, s in enumerate(stamps))


@pytest.fixture
def plan(make_map: MakeMap) -> Map:
    """A map with ISO stamps."""
    return make_map(time='[time]\ncolumn="date"\nstamp="end"\ninterval="15min"\n')


def test_import_publishes_catalogue_frames_and_counts_in_order(write: Write, plan: Map, log) -> None:  # type: ignore[no-untyped-def]
    """Begun and catalogue come first, then full frames with rising sequence, then the counts."""
    report = import_file(
        write(year(9000)), plan, log, run=Run(CODE, "d" * 64, BASE, again=False, catalogue=True)
    )
    kinds = [type(one).__name__ for one in log.messages()]
    catalogue = ["ImportNotice", "EnterpriseNotice", "PointNotice", "SchemaNotice"]
    assert kinds == [*catalogue, "RowsFrame", "RowsFrame", "RowsFrame", "ImportNotice"]
    assert [(len(one.column), one.sequence - BASE) for one in frames(log)] == [(4096, 0), (4096, 1), (808, 2)]
    first = frames(log)[0]
    assert (first.source, first.origin, first.schema) == (
        "file:" + "d" * 12,
        Origin.FILE,
        schema_of(plan).schema,
    )
    assert (int(first.read_at_ms[0]), int(first.values[1]), int(first.received_at_s[0])) == (
        1_514_736_000_000,
        150,
        BASE >> 32,
    )
    assert log.messages()[-1] == ImportNotice(CODE, "d" * 64, BASE, "data.csv", BASE >> 32, 9000, 9000, 0, 0)
    assert (report.values, report.readings, report.rejected) == (9000, 9000, 0)


def test_import_again_gives_the_same_frames_without_the_catalogue(
    write: Write, plan: Map, log, make_log
) -> None:  # type: ignore[no-untyped-def]
    """What the store knows is not sent again, and the frames are equal byte by byte."""
    path = write(year(5000))
    first = import_file(path, plan, log)
    second_log = make_log(10**9)
    second = import_file(path, plan, second_log, find_import=lambda enterprise, digest: first.sequence_base)
    assert second.again
    assert second.sequence_base == first.sequence_base
    assert [r.value for r in second_log.records] == [r.value for r in log.records[4:]]


@pytest.mark.parametrize("budget", [4, 5])
def test_import_cut_off_goes_on_with_the_same_sequence(
    budget: int, write: Write, plan: Map, make_log
) -> None:  # type: ignore[no-untyped-def]
    """After a break the base is known from before the first message, no reading gets a second sequence."""
    path, broken, bases = write(year(300_000 if budget == 5 else 9000)), make_log(budget), []
    with pytest.raises(KeyboardInterrupt):
        import_file(path, plan, broken, options=Options(on_begin=lambda run: bases.append(run.base)))
    begun = broken.messages()[0]
    assert isinstance(begun, ImportNotice)
    assert (begun.rows, begun.sequence_base) == (0, bases[0])
    whole = make_log(10**9)
    run = plan_run(plan, begun.digest, lambda enterprise, digest: None, remembered=bases[0])
    import_file(path, plan, whole, run=run)
    assert (run.again, run.catalogue, frames(whole)[0].sequence) == (True, True, bases[0])


def test_new_base_rises_within_a_second_and_keeps_the_second() -> None:
    """Two imports of one second have different, rising sequences."""
    assert new_base(5.001) < new_base(5.002)
    assert new_base(5.999) >> 32 == 5
    assert new_base(5.001) + 2**22 <= new_base(5.002)


def test_import_rejected_rows_are_published_in_batches_and_told(write: Write, plan: Map, log) -> None:  # type: ignore[no-untyped-def]
    """Every rejected value is in a notice with its reason, and the sums agree."""
    text = year(2000) + "2018-12-01,x\n" * 700 + "soon,1\n1\n"
    told: list[RejectedRow] = []
    report = import_file(write(text), plan, log, options=Options(on_rejected=told.extend))
    notices = [one for one in log.messages() if isinstance(one, RejectedNotice)]
    assert [len(one.rows) for one in notices] == [500, 202]
    assert [row for one in notices for row in one.rows] == told
    assert report.reasons == {"RAGGED_ROW": 1, "NOT_A_NUMBER": 700, "NOT_A_TIME": 1}
    assert report.values == report.readings + report.rejected == 2702
    assert told[0] == RejectedRow(2002, Reason.NOT_A_NUMBER, "e-main", "x", {"got": "x"})


def test_import_with_a_wrong_map_publishes_nothing(write: Write, make_map: MakeMap, log) -> None:  # type: ignore[no-untyped-def]
    """A thousand rows without one reading are the map's mistake, not the meter's."""
    with pytest.raises(InputError, match="nothing was published"):
        import_file(write(year(2000)), make_map(), log)
    assert not log.records


def test_import_wide_rows_count_one_value_per_point(write: Write, log) -> None:  # type: ignore[no-untyped-def]
    """A bad stamp in a row of two columns is two rejected values; a bad cell is one."""
    plan = parse_map(
        f'[enterprise]\ncode="{CODE}"\n[time]\ncolumn="t"\nstamp="end"\ninterval="1h"\n'
        '[[point]]\ncolumn="e"\nkind="period"\nitem="electricity"\n[[point]]\ncolumn="g"\nkind="counter"\nitem="natural_gas"\n'
    )
    path = write(
        "t,e,g\n2018-01-01 01:00,1,10\n2018-01-01 02:00,x,11\nsoon,3,12\n"
        "2018-01-01 00:30,4,13\n9\n2018-01-01 03:00,5,\n"
    )
    report = import_file(path, plan, log)
    assert (report.rows, report.values, report.readings, report.rejected) == (6, 12, 4, 8)
    assert report.reasons == {
        "RAGGED_ROW": 2,
        "NOT_A_NUMBER": 1,
        "NOT_A_TIME": 2,
        "CLOCK_STEP_BACK": 2,
        "EMPTY_VALUE": 1,
    }
    (frame,) = frames(log)
    hours = (frame.read_at_ms + 8 * 3_600_000) // 3_600_000 % 24
    assert list(zip(frame.column.tolist(), hours.tolist(), frame.values.tolist(), strict=True)) == [
        (0, 0, 100), (1, 1, 1000), (1, 2, 1100), (0, 2, 500),
    ]  # fmt: skip


def test_import_repairs_and_marks_backward_midnights_of_each_point(write: Write, log) -> None:  # type: ignore[no-untyped-def]
    """In long form each point has its own clock, whatever the order of the points."""
    plan = parse_map(
        f'[enterprise]\ncode="{CODE}"\n[time]\ncolumn="t"\nformat="%Y-%m-%d %H:%M"\n'
        'stamp="end"\ninterval="6h"\nclock="repair"\n'
        '[points]\ncolumn="p"\nvalue="v"\n[defaults]\nkind="period"\nitem="electricity"\n'
        '[[point]]\nmatch="a"\n[[point]]\nmatch="b"\n'
    )
    stamps = [f"2018-01-0{day} {hour:02}:00" for day in (1, 2, 3) for hour in (6, 12, 18, 0)]
    text = "p,t,v\n" + "".join(f"{p},{s},1\n" for s in stamps for p in "ab")
    report = import_file(write(text), plan, log)
    assert (report.readings, report.repaired, report.rejected) == (24, 6, 0)
    (frame,) = frames(log)
    for column in (0, 1):
        times = frame.read_at_ms[frame.column == column]
        assert (np.diff(times) == 6 * 3_600_000).all()
    marked = frame.reason == Reason.CLOCK_REPAIRED
    assert (frame.quality[marked] == Quality.LATE).all()
    assert (frame.quality[~marked] == Quality.GOOD).all()


def test_import_stamp_in_the_future_is_rejected_and_leaves_the_clock(write: Write, plan: Map, log) -> None:  # type: ignore[no-untyped-def]
    """One wild stamp takes no other row with it."""
    text = "date,kwh\n2018-01-01 00:15,1\n2099-01-01 00:30,2\n2018-01-01 00:45,3\n"
    report = import_file(write(text), plan, log)
    assert (report.readings, report.reasons) == (2, {"STAMP_IN_FUTURE": 1})


def test_import_with_a_received_column_is_published_by_receipt(write: Write, log) -> None:  # type: ignore[no-untyped-def]
    """Readings go out in the order they were received, unsorted stamps and all, each day of receipt by itself."""
    rows = [
        "a,2018-01-01 00:00,1,2018-01-03,kPa",
        "b,2018-01-02 00:00,2,2018-01-02,kPa",
        "a,2018-01-01 12:00,3,2018-01-04,千帕",
    ]
    rows += [
        "c,2018-01-01,4,2018-01-04,kPa",
        "a,2018-01-01,5,2018-01-04,MPa",
        "a,2018-01-01,6,never,kPa",
        "b,2018-01-01,7,2018-01-03,kPa",
    ]
    report = import_file(write("p,t,v,r,u\n" + "\n".join(rows)), parse_map(LONG), log)
    found = frames(log)
    assert [frame.values.tolist() for frame in found] == [[2000], [1000, 7000], [3000]]
    assert (np.diff(np.concatenate([frame.received_at_s for frame in found])) >= 0).all()
    assert report.reasons == {"UNKNOWN_POINT": 1, "WRONG_UNIT": 1, "NOT_A_TIME": 1}
    assert report.values == 7


def readings(received: list[int]) -> Readings:
    """Readings with the given receipts, numbered in order."""
    n = len(received)
    row, zero = np.arange(n, dtype=np.int64), np.zeros(n, np.int64)
    return Readings(
        row,
        zero.astype(np.uint32),
        zero,
        row,
        np.array(received, np.int64),
        zero.astype(np.uint8),
        zero.astype(np.uint16),
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_by_receipt_is_a_stable_sort_whatever_the_sizes(
    received: list[int], run_rows: int, block_rows: int
) -> None:
    """Runs and blocks of any size give the same stable order."""
    whole = readings(received)
    with ByReceipt(None, run_rows, block_rows) as sorter:
        for start in range(0, len(received), 4):
            sorter.add(whole.take(slice(start, start + 4)))
        found = join(list(sorter.drain()))
    assert found.row.tolist() == np.argsort(np.array(received), kind="stable").tolist()


REAL = [
    ("steel_kr_2018_15min.csv.gz", "steel_kr_2018", (35_040, 365, 0)),
    ("cn_region_15min_2018_2021.csv.gz", "cn_region", (128_156, 0, 0)),
    ("ubc_heatplant_cov_2021.parquet", "ubc_cov", (233_690, 0, 3)),
    ("ubc_heatplant_daily_heat_2020.csv.gz", "ubc_daily", (366, 0, 0)),
    ("enernoc_5min_dev.parquet", "enernoc_5min", (3_583_778, 0, 0)),
]


@pytest.mark.parametrize(("name", "map_name", "counts"), REAL, ids=[one[1] for one in REAL])
def test_import_real_file_keeps_every_row(  # type: ignore[no-untyped-def]
    name: str, map_name: str, counts: tuple[int, int, int], real_file, example_map, log
) -> None:
    """Every row of the real files becomes a reading; what was repaired or rounded is counted."""
    report: ImportReport = import_file(real_file(name), load_map(example_map(map_name)), log)
    assert (report.readings, report.rejected) == (report.rows, 0)
    assert (report.rows, report.repaired, report.rounded) == counts
    assert sum(len(one.column) for one in frames(log)) == report.rows


def test_import_steel_gives_the_gold_sums_and_a_gapless_clock(real_file, example_map, log) -> None:  # type: ignore[no-untyped-def]
    """Year and months to the cent, the largest interval in its place, no gap and no duplicate."""
    import_file(real_file("steel_kr_2018_15min.csv.gz"), load_map(example_map("steel_kr_2018")), log)
    times = np.concatenate([one.read_at_ms for one in frames(log)])
    values = np.concatenate([one.values for one in frames(log)])
    months = (times + 8 * 3_600_000).astype("datetime64[ms]").astype("datetime64[M]")
    gold = [
        12623829,
        9149734,
        8023041,
        7876980,
        7905928,
        6540464,
        8167441,
        6855943,
        5788307,
        8466565,
        8621761,
        5943678,
    ]
    assert [int(values[months == month].sum()) for month in np.unique(months)] == gold
    assert int(values.sum()) == 95_963_671
    assert (np.diff(times) == 900_000).all()
    top = (times[values.argmax()] + 8 * 3_600_000).astype("datetime64[ms]")
    assert (str(top)[:16], int(values.max())) == ("2018-11-22T09:30", 15718)


def test_preview_counts_the_whole_file_and_shows_the_first(write: Write, plan: Map) -> None:
    """The preview reads everything and publishes nothing."""
    seen = preview(write(year(20_000)), plan, 5)
    assert (len(seen.readings), seen.counts.readings) == (5, 20_000)


_MEASURE = """
import resource, sys
from pathlib import Path
from acquisition.files.mapping import load_map
from acquisition.files.publish import import_file
class Null:
    def append(self, topic, messages): return []
plan = load_map(Path(sys.argv[1]))
import_file(Path(sys.argv[2]), plan, Null())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import_file(Path(sys.argv[3]), plan, Null())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("received", ["now", "stamp"])
def test_import_of_a_large_file_runs_in_constant_memory(received: str, write: Write, tmp_path: Path) -> None:
    """Twelve times as many rows need no more than 50 MB more, sorted by receipt or not."""
    text = f'[enterprise]\ncode="{CODE}"\n[time]\ncolumn="t"\nformat="epoch_s"\nreceived="{received}"\n'
    plan = write(text + '[[point]]\ncolumn="v"\nkind="gauge"\nitem="active_power"\n', "m.toml")
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    for path, rows in ((small, 100_000), (large, 1_200_000)):
        lines = (f"{1_500_000_000 + n * 60},{n % 1000}.25,{'x' * 20}\n" for n in range(rows))
        path.write_text("t,v,note\n" + "".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, plan, small, large], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 50_000
