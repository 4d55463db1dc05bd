"""`nengliu import` previews without a trace, imports once, and lists what it rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nengliu.bus.sqlite import SqliteLog
from nengliu.cli import imports
from nengliu.errors import InputError
from schemas import topics
from schemas.messages import BookNotice, ImportNotice, PointNotice, RowsFrame, decode

MAP = """
[enterprise]
code = "91320000MA1EXAMPL3"
[time]
column = "t"
stamp = "end"
interval = "15min"
[[point]]
column = "kwh"
id = "e-main"
kind = "period"
item = "electricity"
"""
DATA = "t,kwh\n2018-01-01 00:15,3.17\n2018-01-01 00:30,x\n2018-01-01 00:45,4\n2018-01-01 00:00,9\n"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on the small file, with a home of its own, in English."""
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NENGLIU_LANG", "en")
    monkeypatch.delenv("NENGLIU_STORE", raising=False)
    (tmp_path / "m.toml").write_text(MAP, encoding="utf-8")
    (tmp_path / "data.csv").write_text(DATA, encoding="utf-8")

    def call(*options: str, file: str = "data.csv") -> Result:
        arguments = [str(tmp_path / file), "--map", str(tmp_path / "m.toml"), *options]
        return CliRunner().invoke(imports.import_command, arguments)

    return call


def records(home: Path) -> list[object]:
    """Everything in the log of a home but the book, which every partition begins with."""
    with SqliteLog(home / "log.sqlite") as log:
        parts = [log.read(topics.RAW, n, 0, 1000) for n in range(log.partitions(topics.RAW))]
    assert all(isinstance(decode(part[0].value), BookNotice) for part in parts)
    return [decode(one.value) for part in parts for one in part[1:]]


def test_command_dry_run_shows_rows_and_leaves_no_trace(run: Run, tmp_path: Path) -> None:
    """The preview shows China time, point, value, unit and reasons, and makes no folder."""
    done = run("--dry-run")
    assert done.exit_code == 0
    for told in (
        "2018-01-01 00:00:00",
        "e-main",
        "3.17",
        "kWh",
        "Not a number: x",
        "steps back",
        "2 readings + 2 rejected",
    ):
        assert told in done.output
    assert not (tmp_path / "home").exists()


def test_command_import_writes_log_and_list_of_rejected(run: Run, tmp_path: Path) -> None:
    """Readings are in the log, and every rejected value with its reason in a file a spreadsheet opens."""
    done = run("--json")
    told = json.loads(done.output)
    assert (told["values"], told["readings"], told["rejected"], told["again"]) == (4, 2, 2, False)
    listed = Path(told["rejected_file"])
    assert listed.read_bytes().startswith(b"\xef\xbb\xbfrow,point,code,reason,text")
    assert listed.read_text(encoding="utf-8-sig").count("\ufeff") == 0
    assert listed.name == f"{told['digest']}-rejected.csv"
    messages = records(tmp_path / "home")
    assert sum(len(one.column) for one in messages if isinstance(one, RowsFrame)) == 2
    assert isinstance(messages[-1], ImportNotice)


def test_command_import_again_uses_the_same_sequence(run: Run, tmp_path: Path) -> None:
    """A second call is known as such even while no store runs, and says that nothing changes."""
    first = json.loads(run("--json").output)
    second = run("--yes")
    assert "imported with this map before" in second.output
    frames = [one for one in records(tmp_path / "home") if isinstance(one, RowsFrame)]
    assert {one.sequence for one in frames} == {first["sequence_base"]}
    assert frames[0].received_at_s.tolist() == frames[1].received_at_s.tolist()


def test_command_import_known_to_the_store_sends_no_catalogue(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store knows is asked before the own note."""
    first = json.loads(run("--json").output)
    monkeypatch.setattr(imports, "_find_in_store", lambda now, enterprise, digest: first["sequence_base"])
    assert json.loads(run("--json").output)["again"]
    points = [one for one in records(tmp_path / "home") if isinstance(one, PointNotice)]
    assert len(points) == 1


def test_command_speaks_both_languages(run: Run) -> None:
    """All texts are there in Chinese and in English, and --lang chooses."""
    assert imports.TEXTS["zh"].keys() == imports.TEXTS["en"].keys()
    assert "导入完成" in run("--yes", "--lang", "zh").output
    assert "Imported:" in run("--yes", "--lang", "en").output


def test_command_waits_until_the_store_knows_one_more_ended_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ended import is the last message of its run: when the store has it, the flows have it all."""
    monkeypatch.setattr(imports, "WAIT_S", 0)
    assert "not taken it in yet" in run("--wait").output
    ended = {"digest": "", "rows": 2, "sequence_base": 1}
    seen: list[int] = []

    def runs(_now: object, _enterprise: str, digest: str) -> list[dict[str, object]]:
        seen.append(1)
        return [ended | {"digest": digest}] * max(0, len(seen) - 4)

    monkeypatch.setattr(imports, "_runs_in_store", runs)
    monkeypatch.setattr(imports, "WAIT_S", 60)
    monkeypatch.setattr(imports, "LOOK_S", 0)
    assert "have taken it in" in run("--wait").output


def test_command_file_that_is_no_table_is_the_users_error(run: Run, tmp_path: Path) -> None:
    """An InputError reaches the caller, and nothing is left behind in the log."""
    (tmp_path / "bad.csv").write_text("t,kWh\n1,2\n", encoding="utf-8")
    done = run("--yes", file="bad.csv")
    assert isinstance(done.exception, InputError)
    assert "nearest: kWh" in str(done.exception)


def test_command_damaged_note_of_an_earlier_run_is_ignored(run: Run, tmp_path: Path) -> None:
    """A note that cannot be read only costs the old sequence."""
    first = json.loads(run("--json").output)
    (tmp_path / "home" / "imports" / f"{first['digest']}.json").write_text("{", encoding="utf-8")
    assert json.loads(run("--json").output)["again"] is False
