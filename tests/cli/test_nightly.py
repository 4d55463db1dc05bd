"""The nightly audit: once a day in its hour, its report kept whole, and told by the doctor."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from nengliu.cli import nightly
from nengliu.cli.nightly import Nightly, audit_check, report_file
from nengliu.domain.times import CHINA
from nengliu.settings import Settings

NIGHT = datetime(2026, 3, 1, 3, 20, tzinfo=CHINA).timestamp()
REPORT = {"from": "2026-02-01T00:00:00+08:00", "to": "2026-04-01T00:00:00+08:00", "findings": []}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation of which nothing runs."""
    monkeypatch.setenv("NENGLIU_LANG", "en")
    return Settings(home=tmp_path)


def reported(settings: Settings, at_s: float, **more: object) -> None:
    """Lay a report of an instant."""
    report_file(settings).write_text(json.dumps(REPORT | more), encoding="utf-8")
    os.utime(report_file(settings), (at_s, at_s))


@pytest.mark.parametrize(
    ("hour", "reported_s", "now_s", "due"),
    [
        (3, None, NIGHT, True),
        (3, NIGHT - 86_400, NIGHT, True),
        (3, NIGHT - 600, NIGHT, False),
        (3, None, NIGHT + 3600, False),
        (11, None, NIGHT, False),
        (-1, None, NIGHT, False),
    ],
)
def test_audit_is_due_once_a_day_in_its_hour(
    settings: Settings, hour: int, reported_s: float | None, now_s: float, due: bool
) -> None:
    """In China's hour, unless a report of the day is there."""
    one = Settings(home=settings.home, audit_hour=hour)
    if reported_s is not None:
        reported(one, reported_s)

    assert Nightly(one).is_due(now_s) is due


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, program: str) -> Nightly:
    """Let a night pass with some program in place of the audit."""
    script = settings.home / "program.py"
    script.write_text(program, encoding="utf-8")
    monkeypatch.setattr(nightly, "_COMMAND", (str(script),))
    one = Nightly(settings)
    one.tick(NIGHT)
    assert one._process is not None
    one._process.wait()
    one.tick(NIGHT + 1)
    return one


def test_report_is_kept_when_the_audit_has_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences are no failure of the audit: exit code 3, and a report."""
    told = json.dumps(REPORT | {"findings": [1, 2]})
    run(settings, monkeypatch, f"print({told!r}); raise SystemExit(3)")

    assert json.loads(report_file(settings).read_text())["findings"] == [1, 2]
    check = audit_check(settings)
    assert check is not None
    assert not check.ok
    assert check.found == "2026-02 .. 2026-04-01: 2 differences"
    assert not Nightly(settings).is_due(time.time())


def test_audit_that_failed_is_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a report is none; the old one stays, and the hour is not over."""
    one = run(settings, monkeypatch, 'print("{half"); raise SystemExit(1)')

    assert not report_file(settings).exists()
    assert one.is_due(NIGHT + 2)


def test_doctor_says_nothing_before_the_first_audit(settings: Settings) -> None:
    """There is nothing to say."""
    assert audit_check(settings) is None


def test_doctor_is_content_with_a_clean_audit(settings: Settings) -> None:
    """No difference: in order."""
    reported(settings, NIGHT)
    check = audit_check(settings)

    assert check is not None
    assert check.ok
