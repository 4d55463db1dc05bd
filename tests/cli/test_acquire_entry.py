"""`nengliu acquire enter` and `activity` on a real installation: from the command line to the store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from factories import make_frame, make_meter, make_point, make_schema

from flows import embedded
from nengliu.accounts import Account, Accounts, Role
from nengliu.bus.open import open_log
from nengliu.cli.main import group
from nengliu.domain.points import Enterprise, Kind
from nengliu.settings import Settings
from nengliu.storage import connect, migrate
from nengliu.storage.client import dsn
from schemas.messages import (
    ActivityNotice,
    EnterpriseNotice,
    EntryNotice,
    PointNotice,
    SchemaNotice,
    decode,
    encode,
)
from schemas.topics import RAW

WORKS, OTHER = "91370000MA1CLIEN01", "91370000MA1CLIEN02"
START_MS = 1_764_518_400_000
"""2025-12-01 00:00 in China."""
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def installed(store_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with two works, accounts, and one automatic reading."""
    home = tmp_path_factory.mktemp("enter")
    settings = Settings(home=home, store=dsn(Settings(home=store_home)), database="enter", epoch_s=1)
    client = connect(settings)
    migrate(client, settings.database)
    client.close()
    messages: list[tuple[str, bytes]] = []
    for code in (WORKS, OTHER):
        main = make_point("e-main", enterprise=code, meters=(make_meter(modulus=10**8),))
        oven = make_point(
            "oven", Kind.GAUGE, enterprise=code, unit="degC", item="temperature", metering_level=0
        )
        notices: list[Any] = [EnterpriseNotice(Enterprise(code, code, region="370100"))]
        notices += [
            PointNotice(main),
            PointNotice(oven),
            SchemaNotice(make_schema(enterprise=code, columns=(("e-main", "kWh", 2),))),
        ]
        notices += [
            make_frame(
                ((123_456,),),
                enterprise=code,
                read_at_ms=np.array([START_MS]),
                received_at_s=START_MS // 1000 + 3,
            )
        ]
        messages += [(code, encode(notice)) for notice in notices]
    with open_log(settings) as log:
        log.append(RAW, messages)
    embedded.run(settings, stop_at_end=True)
    accounts = Accounts(settings)
    for account in (
        Account("works", "a", Role.ENTERPRISE, enterprise=WORKS),
        Account("ops", "b", Role.OPERATOR),
        Account("gov", "c", Role.ANALYST, region="37"),
    ):
        accounts.add(account, "Trial-Barometer-77")
    accounts.close()
    return settings


@pytest.fixture
def run(installed: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as a person does, in English."""
    for name, value in (
        ("HOME", str(installed.home)),
        ("STORE", installed.store),
        ("DATABASE", "enter"),
        ("LANG", "en"),
    ):
        monkeypatch.setenv(f"NENGLIU_{name}", value)

    def run_it(*words: object, answer: str = "") -> Result:
        return CliRunner().invoke(group(), ["acquire", *map(str, words)], input=answer)

    return run_it


def told(settings: Settings, kind: type[EntryNotice] | type[ActivityNotice]) -> list[Any]:
    """Notices of a kind in the log, in order."""
    with open_log(settings) as log:
        records = [r for p in range(settings.partitions) for r in log.read(RAW, p, 0, 1000)]
    return [notice for record in records if isinstance(notice := decode(record.value), kind)]


def listed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


AT = ("--at", "2025-12-01 01:00", "--why", "display broken")


def test_value_entered_is_in_the_log_and_in_the_list(run: Run, installed: Settings) -> None:
    """Who, when and why travel with it; the list shows that it counts once the flow has taken it in."""
    done = run("enter", "value", WORKS, "e-main", "--value", "1240.00", *AT, "--by", "works")
    assert done.exit_code == 0, done.output
    assert "Sent 1 values (by works)" in done.output
    notice = told(installed, EntryNotice)[-1]
    assert (notice.by, notice.rows[0].value, notice.rows[0].unit, notice.rows[0].why) == (
        *("works", "1240.00", "kWh", "display broken"),
    )
    embedded.run(installed, stop_at_end=True)
    (row,) = listed(run("enter", "list", WORKS, "--format", "json"))
    assert (row["state"], row["value"], row["by"]) == ("counts", 1240.0, "works")
    accounts = Accounts(installed)
    assert [(deed.login, deed.action) for deed in accounts.deeds()][-1] == ("works", "entry")
    accounts.close()


def test_doubt_is_asked_about_and_yes_sends_without_asking(run: Run, installed: Settings) -> None:
    """A register below the one before it, or beside an automatic one: a question, no answer sends nothing."""
    before = len(told(installed, EntryNotice))
    words = ("enter", "value", WORKS, "e-main", "--at", "2025-12-01 00:30", "--why", "a", "--value", "1.00")
    refused = run(*words, answer="n\n")
    assert refused.exit_code != 0
    assert "seems to run backward" in refused.output
    beside = run(
        "enter",
        "value",
        WORKS,
        "e-main",
        "--at",
        "2025-12-01",
        "--why",
        "a",
        "--value",
        "1234.56",
        answer="n\n",
    )
    assert "an automatic value stands there and counts" in beside.output
    assert len(told(installed, EntryNotice)) == before
    assert run(*words, "--yes").exit_code == 0
    assert len(told(installed, EntryNotice)) == before + 1
    assert told(installed, EntryNotice)[-1].by == "command line"


@pytest.mark.parametrize(
    ("point", "value", "expected"),
    [
        ("nobody", "1", "The point nobody is not in the catalogue"),
        ("e-main", "many", "Not a number: many"),
        ("e-main", "1.005", "is not a whole number of ticks"),
        ("e-main", "1000000.00", "beyond its last value"),
    ],
)
def test_value_that_cannot_be_taken_is_told_and_not_sent(
    run: Run, installed: Settings, point: str, value: str, expected: str
) -> None:
    """The sentence of the reason, exit code 2, nothing in the log."""
    before = len(told(installed, EntryNotice))
    done = run("enter", "value", WORKS, point, "--value", value, *AT)
    assert done.exit_code != 0
    assert expected in done.output
    assert len(told(installed, EntryNotice)) == before


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_template_of_values_filled_in_is_entered(
    run: Run, installed: Settings, tmp_path: Path, kind: str
) -> None:
    """From an empty folder: take the form, fill it in, hand it in."""
    form = tmp_path / f"values.{kind}"
    assert run("enter", "template", WORKS, form, "--at", "2025-12-01 02:00").exit_code == 0
    assert "is there already" in str(run("enter", "template", WORKS, form).exception)
    _fill(form, {"e-main": "1250.00", "oven": "812.5"}, "read on site")
    done = run("enter", "file", WORKS, form, "--by", "ops", "--yes")
    assert done.exit_code == 0, done.output
    notice = told(installed, EntryNotice)[-1]
    assert sorted((row.point, row.value, row.why) for row in notice.rows) == [
        ("e-main", "1250.00", "read on site"),
        ("oven", "812.5", "read on site"),
    ]


def test_form_with_mistakes_is_not_taken_at_all(run: Run, installed: Settings, tmp_path: Path) -> None:
    """Every mistake is told with its row; a right row beside it is not sent either."""
    before = len(told(installed, EntryNotice))
    form = tmp_path / "values.csv"
    form.write_text("point,time,value,why\ne-main,2025-12-01 03:00,1260,a\noven,soon,1,a\nx,2025-12-01,1,a\n")
    done = run("enter", "file", WORKS, form)
    assert done.exit_code != 0
    assert "Row 3: Not a time: soon" in done.output
    assert "Row 4: The point x is not in the catalogue" in done.output
    assert "2 mistakes" in str(done.exception)
    assert len(told(installed, EntryNotice)) == before


def test_figures_are_told_corrected_taken_back_and_listed(run: Run, installed: Settings) -> None:
    """Entered one by one; every version can be listed, and what stands is what counts."""
    for words in (
        ("output", "1,250.5", "--product", "cement"),
        ("value_added", "10"),
        ("value_added", "12"),
        ("staff", "7"),
    ):
        done = run("activity", "set", WORKS, "2025-12", *words, "--by", "works")
        assert done.exit_code == 0, done.output
    assert run("activity", "set", WORKS, "2025-12", "staff", "withdrawn").exit_code == 0
    embedded.run(installed, stop_at_end=True)
    stands = {row["measure"]: row for row in listed(run("activity", "list", WORKS, "--format", "json"))}
    assert {name: row["value"] for name, row in stands.items()} == {"output": 1250.5, "value_added": 12.0}
    assert (stands["output"]["product"], stands["output"]["origin"], stands["output"]["by"]) == (
        "cement",
        "entered",
        "works",
    )
    versions = listed(run("activity", "list", WORKS, "--versions", "--format", "json"))
    assert sorted(
        (row["measure"], row["value"], row["stands"]) for row in versions if row["measure"] == "value_added"
    ) == [
        ("value_added", 10.0, False),
        ("value_added", 12.0, True),
    ]
    assert listed(run("activity", "list", WORKS, "--as-of", "2020-01-01", "--format", "json")) == []


def test_form_of_figures_is_imported_with_its_origin(run: Run, installed: Settings, tmp_path: Path) -> None:
    """The form names the products told before; handed in it says that it was imported, and by whom."""
    embedded.run(installed, stop_at_end=True)
    form = tmp_path / "figures.csv"
    assert (
        run("activity", "template", WORKS, form, "--period", "2026-01", "--period", "2026-02").exit_code == 0
    )
    rows = list(csv.reader(io.StringIO(form.read_text(encoding="utf-8-sig"))))
    assert len(rows) == 1 + 2 * 6
    assert {row[2] for row in rows[1:]} == {"", "cement"}
    form.write_text(
        "\n".join(",".join([*row[:3], "5", *row[4:]]) if n else ",".join(row) for n, row in enumerate(rows))
    )
    assert run("activity", "file", WORKS, form, "--by", "works").exit_code == 0
    notice = told(installed, ActivityNotice)[-1]
    assert (notice.origin, notice.by, len(notice.activities)) == ("imported", "works", 12)
    form.write_text("period,measure,value\n2026-13,Output,1\n2026-01,Output,x\n")
    done = run("activity", "file", WORKS, form)
    assert "Row 2: Not a time: 2026-13" in done.output
    assert "Row 3: Not a number: x" in done.output
    assert told(installed, ActivityNotice)[-1] == notice


@pytest.mark.parametrize(
    ("by", "enterprise", "said"),
    [
        ("works", OTHER, "not within the account's scope"),
        ("works", "91370000MA1NOBODY9", "not within the account's scope"),
        ("gov", WORKS, "may not enter"),
        ("nobody", WORKS, "no account"),
    ],
)
def test_account_enters_only_for_its_own(
    run: Run, installed: Settings, by: str, enterprise: str, said: str
) -> None:
    """What is another's and what does not exist are told alike; the government enters nothing."""
    before = len(told(installed, EntryNotice)) + len(told(installed, ActivityNotice))
    for words in (
        ("enter", "value", enterprise, "e-main", "--value", "1240.00", *AT),
        ("activity", "set", enterprise, "2025-12", "output", "1"),
        ("enter", "list", enterprise),
        ("activity", "list", enterprise),
    ):
        done = run(*words, "--by", by)
        assert said in str(done.exception), done.output
    assert len(told(installed, EntryNotice)) + len(told(installed, ActivityNotice)) == before


def _fill(form: Path, values: dict[str, str], why: str) -> None:
    """Fill in a form as a person does."""
    if form.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.load_workbook(form)
        for row in book.active.iter_rows(min_row=2):
            row[2].value, row[4].value = values[row[0].value], why
        book.save(form)
        return
    rows = list(csv.reader(io.StringIO(form.read_text(encoding="utf-8-sig"))))
    filled = [rows[0], *([row[0], row[1], values[row[0]], row[3], why] for row in rows[1:])]
    form.write_text("\n".join(map(",".join, filled)), encoding="utf-8")
