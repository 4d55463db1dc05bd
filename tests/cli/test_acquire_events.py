"""`nengliu acquire events`: what a collector saw, from the log to a sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import ENTERPRISE

from flows import embedded
from nengliu.bus.open import open_log
from nengliu.cli.acquire_events import said
from nengliu.cli.main import group
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Enterprise
from nengliu.settings import Settings
from nengliu.storage import connect, migrate
from nengliu.storage.client import dsn
from schemas.messages import EnterpriseNotice, LinkEvent, LinkNotice, encode
from schemas.topics import RAW


@pytest.fixture
def installed(store_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose collector told of a clock that is off, and of a line that is gone."""
    settings = Settings(
        home=tmp_path, store=dsn(Settings(home=store_home)), database="acquire_events", epoch_s=1
    )
    client = connect(settings)
    migrate(client, settings.database)
    client.close()
    now_s = int(time.time()) - 60
    off = LinkEvent(now_s * 1000, LinkKind.METER_CLOCK_OFF, "north", "m3", parameters={"seconds": "420"})
    gone = LinkEvent(
        now_s * 1000 + 500, LinkKind.LINE_DOWN, "north", reason=502, parameters={"line": "north"}
    )
    told = LinkNotice(ENTERPRISE, "c1", 1, now_s + 1, (off, gone))
    with open_log(settings) as log:
        who = EnterpriseNotice(Enterprise(ENTERPRISE, "示例", region="370100"))
        log.append(RAW, [(ENTERPRISE, encode(who)), (ENTERPRISE, encode(told))])
    embedded.run(settings, stop_at_end=True)
    for name, value in (("HOME", settings.home), ("STORE", settings.store), ("DATABASE", settings.database)):
        monkeypatch.setenv(f"NENGLIU_{name}", str(value))
    return settings


@pytest.mark.parametrize(
    ("language", "clock", "line"),
    [
        ("en", "The clock of the meter m3 is off by 420 s", "The line north cannot be reached"),
        ("zh", "表计 m3 时钟偏差 420 秒", "线路 north 不通"),
    ],
)
def test_events_are_said_in_the_readers_language_newest_first(
    installed: Settings, monkeypatch: pytest.MonkeyPatch, language: str, clock: str, line: str
) -> None:
    """Each event is a sentence with its parameters."""
    monkeypatch.setenv("NENGLIU_LANG", language)
    answer = CliRunner().invoke(group(), ["acquire", "events", "--format", "json"])

    assert answer.exit_code == 0, answer.output
    rows = [list(json.loads(row).values()) for row in answer.output.splitlines()]
    assert [row[1:] for row in rows] == [["c1", "north", "", line], ["c1", "north", "m3", clock]]


@pytest.mark.parametrize("kind", LinkKind)
def test_every_kind_has_a_sentence(kind: LinkKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kind is without words, and a parameter that is not told leaves a mark, not an error."""
    for language in ("zh", "en"):
        monkeypatch.setenv("NENGLIU_LANG", language)
        sentence = said({"kind": kind.name, "line": "north", "meter": "m3", "parameters": ""})
        assert sentence
        assert "{" not in sentence
