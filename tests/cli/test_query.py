"""`nengliu query`: parameters by kind, answers in four forms."""

from __future__ import annotations

import csv
import json
import re
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from click.testing import CliRunner

from nengliu.cli.main import group
from nengliu.cli.query import instant, known_by, read_parameters, show
from nengliu.domain.times import CHINA
from nengliu.errors import InputError
from nengliu.settings import Settings
from nengliu.storage.queries import questions

TABLE = pa.table(
    {
        "point": ["grid", "gas"],
        "used": [1.5, None],
        "at": [datetime(2026, 3, 1, 8, tzinfo=CHINA), datetime(2026, 3, 2, tzinfo=CHINA)],
    }
)


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")


def test_parameters_are_read_by_the_kind_of_the_question() -> None:
    """Times become instants in China time, numbers numbers, everything else stays text."""
    found = read_parameters(("enterprise=X=Y", "start=2026-03-01", "limit=5"), questions()["quarantine"])

    assert found == {"enterprise": "X=Y", "start": datetime(2026, 3, 1, tzinfo=CHINA), "limit": 5}


@pytest.mark.parametrize("text", ["enterprise", "start=yesterday", "limit=-1", "limit=x"])
def test_parameter_that_cannot_be_read_is_the_users_input(text: str) -> None:
    """A parameter without =, a time that is none, a number that is none are told."""
    with pytest.raises(InputError):
        read_parameters((text,), questions()["quarantine"])


def test_instant_with_a_zone_keeps_it() -> None:
    """A time that names its zone is taken at its word."""
    assert instant("x", "2026-03-01T00:00+00:00").isoformat() == "2026-03-01T00:00:00+00:00"


def test_day_of_knowledge_means_its_end_as_on_the_page() -> None:
    """A day is handed on as a day, whose end counts; a time as that instant."""
    assert known_by("2026-03-01") == date(2026, 3, 1)
    assert not isinstance(known_by("2026-03-01"), datetime)
    assert known_by("2026-03-01T00:00") == datetime(2026, 3, 1, tzinfo=CHINA)
    with pytest.raises(InputError, match="--as-of"):
        known_by("yesterday")


def test_csv_and_json_can_be_read_back(tmp_path: Path) -> None:
    """The answer loses nothing on its way into other programs."""
    show(TABLE, "csv", tmp_path / "a.csv")
    show(TABLE, "json", tmp_path / "a.json")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    objects = [json.loads(line) for line in (tmp_path / "a.json").read_text().splitlines()]

    assert rows[0] == {"point": "grid", "used": "1.5", "at": "2026-03-01 08:00:00+08:00"}
    assert rows[1]["used"] == ""
    assert objects[1] == {"point": "gas", "used": None, "at": "2026-03-02T00:00:00+08:00"}


def test_xlsx_holds_the_same_rows(tmp_path: Path) -> None:
    """A spreadsheet has a head line and one line per row."""
    show(TABLE, "xlsx", tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert sheet is not None

    assert list(sheet.values)[:2] == [("point", "used", "at"), ("grid", 1.5, "2026-03-01 08:00:00+08:00")]


def test_table_says_how_many_rows_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people ends with its count."""
    show(TABLE, "table", None)

    assert "2 rows" in capsys.readouterr().out


def test_query_without_a_name_lists_the_questions() -> None:
    """Whoever knows no name finds all of them with what they ask; those of flows and audit are left out."""
    result = CliRunner().invoke(group(), ["query"])

    assert result.exit_code == 0
    assert all(name in result.output for name in questions() if not name.startswith(("state_", "audit_")))
    assert not re.search("(?:state|audit)_", result.output)


def test_xlsx_without_a_file_is_refused(tmp_path: Path) -> None:
    """A spreadsheet is not printed on the terminal."""
    result = CliRunner().invoke(group(), ["query", "enterprises", "--format", "xlsx"])

    assert isinstance(result.exception, InputError)


def test_query_answers_from_the_store(
    store_settings: Settings, client: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command reaches the store of the settings."""
    del client  # its tables are needed
    monkeypatch.setenv("NENGLIU_HOME", str(store_settings.home))
    monkeypatch.setenv("NENGLIU_STORE", store_settings.store)
    monkeypatch.setenv("NENGLIU_DATABASE", store_settings.database)
    result = CliRunner().invoke(group(), ["query", "enterprises", "--format", "csv"])

    assert result.exit_code == 0, result.exception
    assert result.output.startswith("enterprise,name,name_en")
