"""`nengliu logs`: one view of what all parts wrote, from files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nengliu.cli.logs import Tail, read, seconds_of
from nengliu.cli.main import group
from nengliu.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the log files of an installation that does not run."""
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    monkeypatch.setenv("NENGLIU_LANG", "en")
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def write(file: Path, *lines: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def show(*words: str) -> Result:
    return CliRunner().invoke(group(), ["logs", *words])


def texts(*words: str) -> list[str]:
    result = show("--json", *words)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["text"] for line in result.output.splitlines()]


def test_logs_are_merged_by_time_with_the_name_of_the_part(folder: Path) -> None:
    """One reads what happened in the order in which it happened, whoever wrote it."""
    write(folder / "flow.log", "2026-03-01T00:00:01Z INFO one", "2026-03-01T00:00:03Z WARNING three")
    write(folder / "store.log", "2026-03-01T00:00:02Z INFO two", "2026-03-01T00:00:04Z ERROR four")
    lines = show().output.splitlines()

    assert [line.split()[1] for line in lines] == ["flow", "store", "flow", "store"]
    assert [line.split()[-1] for line in lines] == ["one", "two", "three", "four"]


def test_lines_of_one_message_stay_together(folder: Path) -> None:
    """A traceback is not torn apart by what another part wrote meanwhile, and it is an error."""
    write(
        folder / "flow.log",
        "2026-03-01T00:00:01Z INFO start",
        "Traceback (most recent call last):",
        "ValueError: x",
    )
    write(folder / "store.log", "2026-03-01T00:00:01Z INFO beside")

    assert texts("--level", "error") == ["start\nTraceback (most recent call last):\nValueError: x"]


def test_file_set_aside_is_read_first(folder: Path) -> None:
    """A rotation tears no hole into the story."""
    write(folder / "flow.log.1", "2026-03-01T00:00:01Z INFO old")
    write(folder / "flow.log", "2026-03-01T00:00:02Z INFO new")

    assert texts() == ["old", "new"]


def test_line_without_a_time_is_shown_at_the_first_time_of_its_file(folder: Path) -> None:
    """What a program writes before its log is set up is not lost; a file without any time has that of its end."""
    write(folder / "dashboard.log", "You can now view the page")
    os.utime(folder / "dashboard.log", (1_772_323_202, 1_772_323_202))
    write(folder / "flow.log", "loading", "2026-03-01T00:00:01Z INFO one", "2026-03-01T00:00:03Z INFO three")

    assert texts() == ["loading", "one", "You can now view the page", "three"]


def test_since_part_and_level_choose(folder: Path) -> None:
    """One asks for the parts, the time and the gravity one is interested in."""
    write(folder / "flow.log", "2020-03-01T00:00:01Z ERROR old", "2199-03-01T00:00:01Z WARNING new")
    write(folder / "store.log", "2199-03-01T00:00:02Z INFO quiet")

    assert texts("--since", "10m") == ["new", "quiet"]
    assert texts("flow", "--level", "error") == ["old"]


def test_part_that_never_wrote_is_an_error_with_the_known_ones(folder: Path) -> None:
    """A misspelt part is not an empty answer."""
    write(folder / "flow.log", "x")

    with pytest.raises(InputError, match=r"flows.*flow"):
        CliRunner().invoke(group(), ["logs", "flows"], catch_exceptions=False)


@pytest.mark.parametrize("text", ["", "10", "m", "1w", "-1m"])
def test_span_that_is_none_is_an_error(text: str) -> None:
    """A span that cannot be read is not taken for everything."""
    with pytest.raises(InputError, match="10m"):
        seconds_of(text)


def test_what_is_added_is_read_on(folder: Path) -> None:
    """Following shows each complete line once, also over a rotation by name or by copying and emptying."""
    file, tails = folder / "flow.log", {"flow": Tail("flow", folder)}

    def new() -> list[str]:
        return [entry.text for entry in read(tails)]

    write(file, "2026-03-01T00:00:01Z INFO one")
    assert new() == ["one"]
    with file.open("a") as stream:
        stream.write("2026-03-01T00:00:02Z INFO tw")
    assert new() == []
    write(file, "o")
    assert new() == ["two"]
    write(file, "2026-03-01T00:00:03Z INFO three")
    file.replace(folder / "flow.log.1")
    write(file, "2026-03-01T00:00:04Z INFO four")
    assert new() == ["three", "four"]
    write(file, "2026-03-01T00:00:05Z INFO five")
    (folder / "flow.log.1").write_bytes(file.read_bytes())
    os.truncate(file, 0)
    assert new() == ["five"]
    write(file, "2026-03-01T00:00:06Z INFO six")
    assert new() == ["six"]
    assert new() == []
