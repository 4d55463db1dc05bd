"""`nengliu acquire plan`: what fits is said to fit, what does not is said with its cure, in both languages."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import ENTERPRISE

from acquisition.drivers.lines.sampling import floors
from nengliu.cli.main import group
from nengliu.errors import InputError

HEAD = f"""
name = "c1"
[enterprise]
enterprise = "{ENTERPRISE}"
[[points]]
point = "e0"
name = "总进线"
name_en = "Main"
kind = "counter"
item = "electricity"
unit = "kWh"
decimals = 2
[[lines]]
name = "bus"
kind = "serial"
device = "/dev/ttyUSB0"
baud = {{baud}}
"""
METER = """
[[lines.meters]]
name = "m{n}"
address = "{n}"
map = "dlt645_2007"
interval_s = {interval_s}
schema = {n}
[lines.meters.points]
energy = "e{n}"
"""


def plan(folder: Path, *options: str, baud: int = 2400, interval_s: int = 900, meters: int = 32) -> Result:
    text = HEAD.format(baud=baud)
    text += "".join(METER.format(n=n, interval_s=interval_s) for n in range(1, meters + 1))
    text = text.replace('"e1"', '"e0"')
    file = folder / "collector.toml"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(group(), ["acquire", "plan", "--config", str(file), *options])


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))


def test_plan_shows_the_cycle_of_the_table(tmp_path: Path) -> None:
    """32 meters, energy alone, 2400 baud: 13.5 s, which fits a quarter of an hour."""
    told = plan(tmp_path)

    assert told.exit_code == 0
    (row,) = [line.split() for line in told.output.splitlines() if line.startswith("bus ")]
    assert row[:7] == ["bus", "/dev/ttyUSB0", "2400", "32", "32", str(32 * 44), "13.5"]
    assert row[-1] == "fits"
    assert "1 lines, 0 warnings" in told.output


def test_plan_warns_where_the_interval_does_not_fit(tmp_path: Path) -> None:
    """With the interval that would; a slower answer makes it worse."""
    over = plan(tmp_path, interval_s=10)
    tight = plan(tmp_path, interval_s=15)
    slow = plan(tmp_path, "--reply-ms", "500", interval_s=15)

    assert "does not fit" in over.output
    assert "10 -> 20" in over.output
    assert "tight" in tight.output
    assert "15 -> 20" in tight.output
    assert "does not fit" in slow.output


def test_plan_names_points_that_are_read_too_seldom(tmp_path: Path) -> None:
    """Electricity wants two readings an hour; a point that somebody else introduces is not judged."""
    told = plan(tmp_path, interval_s=3600, meters=2)

    (warning,) = [line for line in told.output.splitlines() if "technical code" in line]
    assert "bus m1: e0 (Main) is read every 3600 s" in warning
    assert "at least every 1800 s (technical code 4.3.6-1)" in warning
    assert "1 lines, 1 warnings" in told.output


def test_plan_is_written_as_csv(tmp_path: Path) -> None:
    """One row a line, with what was shown; a place that cannot be written is the user's to mend."""
    file = tmp_path / "plan.csv"

    assert plan(tmp_path, "--export", str(file)).exit_code == 0

    (row,) = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    assert (row["line"], row["meters"], row["cycle_s"], row["fits"]) == ("bus", "32", "13.5", "1")
    refused = CliRunner().invoke(
        group(), ["acquire", "plan", "--config", str(tmp_path / "collector.toml"), "--export", str(tmp_path)]
    )
    assert isinstance(refused.exception, InputError)
    assert "expected a file that can be written" in str(refused.exception)


def test_plan_speaks_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns, verdicts and warnings, and the names of points."""
    monkeypatch.setenv("NENGLIU_LANG", "zh")

    told = plan(tmp_path, interval_s=3600, meters=2)

    assert "可行" in told.output
    assert "e0（总进线）每 3600 秒采集一次；耗电量、发电量、蒸汽量" in told.output


def test_floors_are_those_of_the_technical_code() -> None:
    """Two an hour for electricity, steam and fuels, one for heat and water, twelve for the environment."""
    assert {floor.clause: floor.per_hour for floor in floors()} == {
        "4.3.6-1": 2,
        "4.3.6-2": 2,
        "4.3.6-3": 1,
        "4.3.6-4": 1,
        "4.3.6-5": 12,
    }
