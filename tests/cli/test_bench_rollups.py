"""The benchmark of windows: no speed without equal windows, and well-formed tables, JSON and picture."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import click
import numpy as np
import pytest
from click.testing import CliRunner

from nengliu.cli import bench_ours as ours
from nengliu.cli import bench_peers as peers
from nengliu.cli.bench import bench
from nengliu.cli.bench_data import Telemetry
from nengliu.cli.bench_equal import Windows, compare, windows_of
from nengliu.cli.bench_report import DEFAULT, LIMIT, Fact, Figure, as_json, chart, facts_of, table, write
from nengliu.domain.times import Level
from schemas.block import Labels, Rows

DATA = Telemetry(100, minutes=45)


@pytest.fixture(scope="module")
def truth() -> ours.Truth:
    """Windows of the small data by Polars."""
    return peers.by_polars(DATA)[1]


def planted(windows: Windows, name: str, by: float) -> Windows:
    """The same windows but for one value in the middle."""
    changed = getattr(windows, name).copy()
    changed[len(changed) // 2] += by
    return replace(windows, **{name: changed})


@pytest.mark.parametrize(
    ("name", "by"), [("used", 1), ("received", 1), ("low", 0.01), ("last", 0.01), ("mean", 1e-3)]
)
def test_planted_difference_is_found_and_named(truth: ours.Truth, name: str, by: float) -> None:
    """One value of one window that is off by the last digit is refused with the window's point and time."""
    right = truth[Level.QUARTER]
    middle = len(right) // 2

    with pytest.raises(click.ClickException, match=rf"point {right.point[middle]}, 2026-01-01 08:.*{name}"):
        compare("path", Level.QUARTER, planted(right, name, by), right)


def test_missing_window_is_found_and_named(truth: ours.Truth) -> None:
    """A window too few is refused, and said which."""
    right = truth[Level.QUARTER]
    fewer = Windows(**{name: getattr(right, name)[1:] for name in Windows.__dataclass_fields__})

    with pytest.raises(click.ClickException, match=r"point 0, 2026-01-01 08:00.*window"):
        compare("path", Level.QUARTER, fewer, right)


def test_means_may_differ_by_the_order_of_their_sums(truth: ours.Truth) -> None:
    """A billionth of a billionth is no difference."""
    right = truth[Level.QUARTER]

    compare("path", Level.QUARTER, replace(right, mean=right.mean * (1 + 1e-13)), right)


def test_a_path_with_another_result_has_no_figure(truth: ours.Truth) -> None:
    """The operator runs, its windows are not the expected ones, and there is no speed to print."""
    wrong = {**truth, Level.HOUR: planted(truth[Level.HOUR], "received", 1)}

    with pytest.raises(click.ClickException, match=r"frames of 400.*hour"):
        ours.frames(DATA, wrong, 400, None)


def test_newest_revision_of_a_window_counts() -> None:
    """Of three rows of a window the one with the highest revision stands, whenever it was said."""
    one = {
        "enterprise": Labels(np.zeros(3, np.int32), ("913200000000000002",)),
        "point": Labels(np.zeros(3, np.int32), ("p001",)),
    }
    values = {name: np.zeros(3) for name in ("low", "high", "mean", "last")}
    columns = {"period_start": np.full(3, 900), "used": np.array([5, 7, 6]), "received": np.ones(3, np.int64)}
    found = windows_of(
        [Rows("window_15min", one | values | columns | {"revision": np.array([1, 3, 2])})], Level.QUARTER, 4
    )

    assert found.point.tolist() == [9]
    assert found.used.tolist() == [7]


def test_every_reading_arrives_some_late_some_twice() -> None:
    """Nothing is lost on the way, a few come an hour late, a few again, and never before their time."""
    arrivals = Telemetry(1000).arrivals(1000)
    sent = arrivals.minute * 1000 + arrivals.unit
    delay = arrivals.at_s - 1_767_225_600 - 60 * arrivals.minute

    assert len(np.unique(sent)) == 120_000
    assert 300 < len(sent) - 120_000 < 900
    assert 300 < int((delay > 1200).sum()) < 900
    assert int(delay.min()) >= 0
    assert (np.diff(arrivals.at_s) >= 0).all()


@pytest.mark.parametrize("width", [40, 8])
def test_frames_give_the_windows_of_the_peer(truth: ours.Truth, width: int) -> None:
    """Disorder, late rows and repetitions settled, all levels are equal, so there is a figure."""
    figure = ours.frames(DATA, truth, width, 1.0)

    assert figure.readings > 0.8 * DATA.readings
    assert figure.cpu_s > 0


def test_rows_and_json_give_the_windows_of_the_peer(truth: ours.Truth) -> None:
    """Arrow rows and both forms of JSON end in the same windows."""
    figures = [
        ours.arrow_rows(DATA, truth, None),
        ours.json_columns(DATA, truth, None),
        ours.json_single(DATA, truth, None),
    ]

    assert all(figure.readings > 0 for figure in figures)


def test_ingest_before_the_windows_changes_none_of_them(truth: ours.Truth) -> None:
    """Records of the log, checked and deduplicated, end in the same windows."""
    assert ours.through_ingest(DATA, truth, "JSON, an object a reading").rate > 0


def test_peers_give_the_same_windows(truth: ours.Truth) -> None:
    """Stock Bytewax and DuckDB are right, too, before their speed is shown."""
    figures = [
        peers.stock(DATA, tuned=False),
        peers.stock(DATA, tuned=True),
        peers.duckdb(DATA, truth),
    ]

    assert [figure.missing for figure in figures] == ["", "", ""]


def test_peer_that_is_not_installed_is_said_so(truth: ours.Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is not there has a word in the table instead of a figure."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    missing = [peers.flink(DATA, truth), peers.pathway(DATA, truth)]

    assert all(figure.missing for figure in missing)
    assert missing[0].missing in table(missing)
    assert facts_of(missing) == []


def test_table_compares_with_peer_and_limit() -> None:
    """Ten times the stock rate, and a tenth of the limit."""
    figures = [
        Figure("nengliu: frames", 1000, 1.0, 500.0),
        Figure(DEFAULT, 100, 1.0),
        Figure(LIMIT, 10_000, 1.0),
    ]
    cells = [cell.strip() for cell in table(figures).splitlines()[2].split("|")]

    assert cells[3:9] == ["1.000", "**1,000**", "10.0", "", "0.1000", "500"]


def test_json_says_what_holds() -> None:
    """A rate below its goal does not hold; a limit is kept from below."""
    facts = [
        *facts_of([Figure("a", 100, 1.0, 200.0)]),
        Fact("b", 5.0, "B", 6.0, most=True),
        Fact("c", 1.0, "s"),
    ]
    told = json.loads(as_json(facts))

    assert [(row["name"], row["value"], row["goal"], row["holds"], row["equal"]) for row in told["rows"]] == [
        ("a", 100.0, 200.0, False, True),
        ("b", 5.0, 6.0, True, True),
        ("c", 1.0, None, True, True),
    ]


def test_chart_has_a_bar_for_each_path() -> None:
    """The picture is XML; longer bars are faster paths, and words are escaped."""
    picture = ElementTree.fromstring(chart([Figure("nengliu: a & b", 10_000, 1.0), Figure("peer", 100, 1.0)]))
    _background, *found = picture.iter("{http://www.w3.org/2000/svg}rect")
    bars = [float(str(bar.get("width"))) for bar in found]

    assert len(bars) == 2
    assert bars[0] > bars[1]


def test_written_part_replaces_its_own_only(tmp_path: Path) -> None:
    """A part that is measured again takes its old place; what stands around stays."""
    page = tmp_path / "benchmarks.md"
    page.write_text(
        "# Benchmarks\n\n<!-- bench watch -->\nold\n<!-- /bench watch -->\n\nthe end\n", encoding="utf-8"
    )
    write(page, "watch", "new")
    write(page, "national", "more")
    text = page.read_text(encoding="utf-8")

    assert "<!-- bench watch -->\nnew\n<!-- /bench watch -->\n\nthe end" in text
    assert "<!-- bench national -->\nmore\n" in text
    assert "old" not in text


def test_command_prints_json_alone_where_it_is_asked_to() -> None:
    """`--json -` gives one object with the goals of the frames and the limit beside them."""
    done = CliRunner().invoke(bench, ["rollups", "--scale", "0.001", "--only", "frames", "--json", "-"])

    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["nengliu: frames of 400"]["goal"] == 80e6
    assert rows[LIMIT]["value"] > rows["nengliu: frames of 400"]["value"]


def test_path_that_differs_has_no_figure_and_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong peer is named on the error output, has a word in the table, and the others keep their figures."""
    right = peers.by_polars

    def wrong(data: Telemetry) -> tuple[Figure, dict[Level, Windows]]:
        figure, truth = right(data)
        return figure, truth | {Level.DAY: planted(truth[Level.DAY], "received", 1)}

    monkeypatch.setattr(peers, "by_polars", wrong)
    done = CliRunner().invoke(bench, ["rollups", "--scale", "0.001", "--only", "frames", "--only", "stock"])
    lines = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("|")}

    assert done.exit_code == 1
    assert "frames of 400: day" in done.stderr
    assert "**" not in lines["nengliu: frames of 400"]
    assert "**" in lines[DEFAULT]
