"""`nengliu doctor`: finds what is wrong, says what to do, hides secrets."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client

from nengliu.cli import checks, doctor
from nengliu.cli.doctor import Check, examine, masked, origins
from nengliu.cli.main import group
from nengliu.domain.books import shipped_factors
from nengliu.settings import Settings, load
from nengliu.storage.client import dsn


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    monkeypatch.setenv("NENGLIU_LANG", "en")
    for name in ("STORE", "DATABASE", "PORT"):
        monkeypatch.delenv(f"NENGLIU_{name}", raising=False)


def found(name: str, *, offline: bool = True) -> Check:
    return next(check for check in examine(offline=offline) if check.name == name)


def test_every_failing_check_has_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever can fail says what to do: no line ends with a mere complaint."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("U", (), {"free": 1})())
    monkeypatch.setattr(doctor, "is_free", lambda *_: False)
    monkeypatch.setattr(doctor, "page_answers", lambda *_: False)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    failing = [check for check in examine() if not check.ok]

    assert {"disk", "port", "clock", "store"} <= {check.name for check in failing}
    assert all(check.cure for check in failing)


def test_store_that_is_away_fails_with_exit_code_3() -> None:
    """A script can tell a sick installation from a healthy one."""
    result = CliRunner().invoke(group(), ["doctor", "--json"])
    report = json.loads(result.output)

    assert result.exit_code == 3
    assert {"name", "ok", "found", "cure"} == set(report[0])
    assert not next(check["ok"] for check in report if check["name"] == "store")


def test_settings_are_told_with_their_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to guess where a value comes from."""
    (tmp_path / "nengliu.toml").write_text("partitions = 8")
    monkeypatch.setenv("NENGLIU_PORT", "8700")
    told = origins(load())

    assert told["port"] == "8700 (NENGLIU_PORT)"
    assert told["partitions"] == f"8 ({tmp_path / 'nengliu.toml'})"
    assert told["lateness_s"] == f"{Settings().lateness_s} (default)"


def test_password_of_the_store_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's address appears without its password, in every line."""
    monkeypatch.setenv("NENGLIU_STORE", "http://flow:s3cret@127.0.0.1:9/x")
    report = " ".join(check.found + check.cure for check in examine())

    assert "s3cret" not in report
    assert masked("http://h/?user=a&password=b&x=1") == "http://h/?user=a&password=***&x=1"


def test_broken_settings_file_ends_the_examination_with_a_cure(tmp_path: Path) -> None:
    """Without settings nothing else can be examined, and that is what it says."""
    (tmp_path / "nengliu.toml").write_text("port = ")
    *_, last = examine()

    assert (last.name, last.ok) == ("settings", False)
    assert last.cure


def test_stranger_in_our_packages_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution that lays files into `flows` is named: installers merge silently."""
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"flows": ["nengliu", "other"]})
    check = found("names")

    assert not check.ok
    assert "other" in check.found


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that lacks a package is told which."""
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _: ["click>=8", "not-there>=1; python_version>'3'"]
    )
    check = found("packages")

    assert not check.ok
    assert "not-there" in check.found
    assert "click" not in check.found


def test_package_of_an_extra_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who speaks no OPC UA needs no package for it: nothing is wrong."""
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _: ["click>=8", 'not-there>=1; extra == "opcua"']
    )

    assert found("packages").ok


def test_healthy_store_and_log_are_told(
    store_settings: Settings, client: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a store whose tables are laid and no log yet, every service line is well."""
    del client
    monkeypatch.setenv("NENGLIU_STORE", dsn(store_settings))
    monkeypatch.setenv("NENGLIU_DATABASE", store_settings.database)

    for name in ("store", "tables", "log"):
        check = found(name, offline=False)
        assert check.ok, check


@pytest.mark.parametrize(
    ("told", "ok", "words"),
    [
        ([], True, "none yet"),
        (["shipped", "shipped"], True, "ships with this version"),
        (["other", "other"], True, "nengliu restate"),
        (["other", "shipped"], False, "not the same everywhere"),
    ],
)
def test_book_of_factors_in_force_is_compared_with_the_shipped_one(
    store_settings: Settings,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
    ok: bool,
    words: str,
) -> None:
    """Another book than the shipped one is told with where to look; only partitions that disagree are a fault."""
    monkeypatch.setenv("NENGLIU_STORE", dsn(store_settings))
    monkeypatch.setenv("NENGLIU_DATABASE", store_settings.database)
    digests = {"shipped": shipped_factors()[0], "other": "0123456789abcdef"}
    rows = [[part, 2, digests[name], "{}"] for part, name in enumerate(told)]
    if told:
        columns = ["partition", "position", "digest", "definition"]
        client.insert("book", [[0, 1, "an older one", "{}"], *rows], column_names=columns)

    check = found("book", offline=False)
    assert (check.ok, words in check.found, bool(check.cure)) == (ok, True, True)


def test_waiting_migration_and_lag_are_found(
    store_settings: Settings, client: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tables that are not laid and a log nobody reads are faults with cures."""
    from nengliu.bus.open import open_log
    from schemas.topics import RAW

    del client
    monkeypatch.setenv("NENGLIU_STORE", dsn(store_settings))
    monkeypatch.setenv("NENGLIU_DATABASE", store_settings.database)
    with open_log(load()) as log:
        log.append(RAW, [("x", b"{}")] * (checks.MOST_BEHIND + 1))
    monkeypatch.setattr(checks, "SLOW_S", -1.0)
    monkeypatch.setattr(sys.modules["nengliu.storage.migrate"], "migrations", lambda: {"9999_new": ""})

    assert not found("tables", offline=False).ok
    assert not found("log", offline=False).ok


def test_machine_that_only_collects_is_not_blamed_for_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With brokers and neither a store nor the address of one, there is none to be examined."""
    monkeypatch.setenv("NENGLIU_BUS", "127.0.0.1:1")
    names = {check.name: check.ok for check in examine()}

    assert "store" not in names
    assert names["broker"] is False
    (tmp_path / "store").mkdir()
    assert "store" in {check.name for check in examine()}


def test_password_of_the_broker_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are told with their origin, a password only with its origin."""
    monkeypatch.setenv("NENGLIU_BUS_PASSWORD", "s3cret")
    report = " ".join(check.found + check.cure for check in examine(offline=True))

    assert "s3cret" not in report
    assert "bus_password = *** (NENGLIU_BUS_PASSWORD)" in report
