"""Ticks: the log's clock goes on, in every partition, whatever becomes of log and disk in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nengliu.bus.open import open_log, publish_action, publish_tick
from nengliu.bus.sqlite import SqliteLog
from nengliu.cli import tick
from nengliu.cli.health import lives, sign_file
from nengliu.errors import NoTopic
from nengliu.settings import Settings
from schemas.messages import ActionNotice, Message, TickNotice, decode
from schemas.topics import RAW

CODE = "91320000MA1EXAMPL3"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An installation with three partitions whose log is laid."""
    found = Settings(home=tmp_path, partitions=3)
    open_log(found).close()
    return found


def told(settings: Settings) -> list[list[Message]]:
    """Messages of each partition behind the book that stands first."""
    with open_log(settings) as log:
        return [
            [decode(record.value) for record in log.read(RAW, part, 1, 100)]
            for part in range(log.partitions(RAW))
        ]


def test_tick_reaches_every_partition_once(settings: Settings) -> None:
    """No shard is without a clock, none has two."""
    with open_log(settings) as log:
        publish_tick(log, 1_771_050_600)
        publish_tick(log, 1_771_050_630)

    assert told(settings) == [[TickNotice(1_771_050_600), TickNotice(1_771_050_630)]] * 3


def test_action_goes_to_the_partition_of_its_enterprise(settings: Settings) -> None:
    """What a person does stands among the readings of the enterprise it concerns."""
    action = ActionNotice(CODE, "0123456789abcdef", "acknowledge", "li", 1)
    with open_log(settings) as log:
        publish_action(log, action)
        records = [record for part in range(3) for record in log.read(RAW, part, 1, 9)]

    assert [(record.key, decode(record.value)) for record in records] == [(CODE, action)]


def test_time_is_kept_until_the_end_of_the_body(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the body runs it ticks, and not before a first pause in which those who were away can report."""
    monkeypatch.setattr(tick, "TICK_S", 0.05)
    before_s = int(time.time())
    with tick.ticking(settings):
        assert told(settings) == [[], [], []]
        until = time.monotonic() + 20
        while len(told(settings)[0]) < 3 and time.monotonic() < until:
            time.sleep(0.02)
    time.sleep(0.2)
    ticks = told(settings)
    time.sleep(0.2)

    assert told(settings) == ticks
    assert len(ticks[0]) >= 3
    found = [one.at_s for one in ticks[0] if isinstance(one, TickNotice)]
    assert before_s <= found[0] <= found[-1] <= time.time()
    assert lives(settings, "tick")


def test_log_that_is_away_is_told_and_tried_again(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged log stops no supervisor; the sign of life grows old, and the next tick works again."""
    whole = settings.log_path.read_bytes()
    settings.log_path.write_bytes(b"no log at all" * 1000)
    tick.tick_once(settings)
    assert "LogNotTicked" in caplog.text
    assert not lives(settings, "tick")

    settings.log_path.write_bytes(whole)
    tick.tick_once(settings)
    assert [len(part) for part in told(settings)] == [1, 1, 1]
    assert lives(settings, "tick")


def test_sign_of_life_is_shown_at_the_start_and_grows_old(tmp_path: Path) -> None:
    """A service that just began is alive; one whose last tick is long ago is not."""
    ended = threading.Event()
    ended.set()
    settings = Settings(home=tmp_path / "new")
    tick.keep_time(settings, ended)
    assert lives(settings, "tick")
    assert not lives(settings, "tick", time.time() + 1)
    assert sign_file(settings, "tick").read_bytes() == b""


def test_tick_lays_no_topics_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who only tells the time does not decide how many partitions there are."""
    settings = Settings(home=tmp_path)
    tick.tick_once(settings)

    assert "LogNotTicked" in caplog.text
    with SqliteLog(settings.log_path) as log, pytest.raises(NoTopic):
        log.partitions(RAW)
