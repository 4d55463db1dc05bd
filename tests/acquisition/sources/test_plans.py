"""`[[feeds]]` of collector.toml: what is read, and what is refused with the key that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feed_desk import HandClock, MemoryDesk
from feed_plans import CODE, ENERGY, HEAD, POWER, TIME, make_plan, sql_plan

from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.sources.feed import FeedLink, rows_of
from acquisition.drivers.sources.start import feeds_of
from acquisition.files.rows import Readings
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Kind
from nengliu.domain.quality import Origin, Quality
from nengliu.errors import InputError, LinkError

FEED = '[[feeds]]\nname = "mes"\nkind = "folder"\nmap = "map.toml"\nfolder = "drop"\n'
LINE = (
    '[[lines]]\nname = "gateway"\nhost = "127.0.0.1"\n[[lines.meters]]\nname = "m"\nunit = 1\nmap = "generic"\n'
    'schema = 1\n[lines.meters.points]\nenergy = "e-line"\n'
)
POINTS = (
    '[[points]]\npoint = "e-main"\nname = "Main"\nkind = "counter"\nitem = "electricity"\n'
    f'unit = "kWh"\ndecimals = 2\nenterprise = "{CODE}"\n'
)
OTHER = HEAD.replace("EXAMPL3", "EXAMPL2").replace("[enterprise]", "[enterprise]\ncheck = false")
ONE = {"url": "sqlite://", "query": "SELECT 1", "watermark": "x"}
REPAIR = TIME + 'interval = "1h"\nclock = "repair"\n'


def load(folder: Path, text: str, map_text: str = HEAD + TIME + ENERGY + POWER) -> CollectorConfig:
    """Read a collector.toml with a map beside it."""
    (folder / "map.toml").write_text(map_text, encoding="utf-8")
    file = folder / "collector.toml"
    file.write_text(f'name = "c1"\n[enterprise]\nenterprise = "{CODE}"\n{text}', encoding="utf-8")
    return load_config(file)


def test_feed_brings_its_points_columns_and_wiring(tmp_path: Path) -> None:
    """What a map describes is introduced, declared and wired beside the meters of the lines."""
    config = load(tmp_path, LINE + FEED)
    assert [point.point for point in config.catalogue()] == ["e-main", "p-main"]
    assert config.catalogue()[0].kind is Kind.COUNTER
    line, feed = config.schemas()
    assert [column.point for column in feed.columns] == ["e-main", "p-main"]
    assert line.schema != feed.schema
    assert [(one.line, [m.points for m in one.meters]) for one in config.wiring().lines] == [
        ("gateway", [("e-line",)]),
        ("mes", [("e-main", "p-main")]),
    ]
    assert [feed.name for feed in feeds_of(config.feeds, HandClock(0))] == ["mes"]


def test_point_of_the_collector_wins_over_that_of_a_map(tmp_path: Path) -> None:
    """A point that collector.toml introduces itself is not introduced a second time."""
    config = load(tmp_path, POINTS + FEED)
    assert [(point.point, point.name) for point in config.catalogue()] == [
        ("e-main", "Main"),
        ("p-main", "p-main"),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (FEED.replace("folder", "ftp", 1), "kind: expected sql, mqtt, folder, got 'ftp'"),
        (FEED.replace('folder = "drop"', 'foldr = "drop"'), "nearest: folder"),
        (FEED.replace('"mes"', '"m e s"'), "name: expected letters"),
        (FEED.replace("map.toml", "mapp.toml"), "map: .*mapp.toml"),
        (FEED + "settle_s = 0\n", "settle_s"),
        (FEED + "silent_s = -1\n", "silent_s"),
        (FEED + FEED, "every feed once"),
        (FEED + FEED.replace("mes", "erp"), "every point of a feed once"),
        (LINE.replace("gateway", "mes") + FEED, "every line or feed once"),
        (LINE.replace("e-line", "e-main") + FEED, "every point that is read once"),
        ("", "at least one"),
    ],
)
def test_feed_that_cannot_be_is_refused_with_its_key(tmp_path: Path, text: str, word: str) -> None:
    """The message names the file, the key, what was expected and what was got."""
    with pytest.raises(InputError, match=word):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"query": "DELETE FROM reading"}, "a SELECT"),
        ({"query": "SELECT 1; DROP TABLE reading"}, "one statement"),
        ({"query": " "}, "a SELECT"),
        ({"watermark": ""}, "watermark"),
        ({"overlap": -1}, "overlap"),
        ({"page": 0}, "page"),
        ({"every_s": 0}, "every_s"),
        ({"timeout_s": 0.0}, "timeout_s"),
    ],
)
def test_query_that_cannot_be_is_refused(tmp_path: Path, given: dict[str, Any], word: str) -> None:
    """A collector only reads, and reads within bounds."""
    with pytest.raises(InputError, match=word):
        sql_plan(tmp_path, **given)


@pytest.mark.parametrize(
    ("map_text", "kind", "given", "word"),
    [
        (OTHER + TIME + ENERGY, "folder", {"folder": "d"}, "as the collector"),
        (HEAD + TIME + 'received = "stamp"\n' + ENERGY, "folder", {"folder": "d"}, "received"),
        (HEAD + TIME + ENERGY, "mqtt", {"host": "h", "topics": ["a"]}, "key"),
        (HEAD + TIME + ENERGY, "mqtt", {"host": "h", "topics": []}, "topics"),
        (HEAD + TIME + ENERGY, "mqtt", {"host": "h", "topics": ["a/#/b"]}, "topic filters"),
        (HEAD + TIME + ENERGY, "mqtt", {"host": "h", "topics": ["a"], "port": 0}, "port"),
        (HEAD + REPAIR + ENERGY, "sql", ONE, "no order"),
    ],
)
def test_map_that_does_not_fit_its_feed_is_refused(
    tmp_path: Path, map_text: str, kind: str, given: dict[str, Any], word: str
) -> None:
    """What a map may say of a file it may not always say of a query or of messages."""
    with pytest.raises(InputError, match=word):
        make_plan(tmp_path, kind, map_text, **given)


def test_collector_without_feeds_carries_nothing_of_theirs() -> None:
    """Readers of tables and the libraries of sources are loaded when there is a feed that needs them."""
    heavy = ("openpyxl", "pyarrow", "sqlalchemy", "aiomqtt", "asyncua")
    asked = (
        f"import sys, acquisition.drivers.collector; print([one for one in {heavy} if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_rows_join_readings_of_one_instant(tmp_path: Path) -> None:
    """Points of one instant share a row; of two values for one point the later one comes in a later row."""
    n = 5
    readings = Readings(
        row=np.arange(n),
        column=np.array([0, 1, 0, 0, 1], np.uint32),
        read_at_ms=np.array([2000, 1000, 1000, 2000, 2000]),
        values=np.arange(n),
        received_at_s=np.zeros(n, np.int64),
        quality=np.array([0, 0, Quality.LATE, 0, 0], np.uint8),
        reason=np.zeros(n, np.uint16),
    )
    rows = list(rows_of(readings, ("a", "b")))
    assert [(row.at_ms, row.values) for row in rows] == [
        (1000, {"b": 1, "a": 2}),
        (2000, {"a": 0}),
        (2000, {"a": 3, "b": 4}),
    ]
    assert rows[0].quality == {"a": Quality.LATE}
    assert sql_plan(tmp_path).origin is Origin.SQL


def test_state_of_the_way_survives_a_restart_and_is_told_once() -> None:
    """A way that was down before a restart is not told again, and its pause goes on."""
    clock, desk = HandClock(1_000_000), MemoryDesk(lasts=False)
    link = FeedLink("mes", clock, desk, silent_s=0)
    for _ in range(3):
        link.down(LinkError("LINE_DOWN", "gone", got="x" * 500))
        clock.at_ms += 1000
    assert desk.kinds() == [LinkKind.LINE_DOWN]
    assert len(desk.events[0].parameters["got"]) == 200
    again = FeedLink("mes", clock, desk, silent_s=0)
    assert again.link == link.link
    assert again.retry_ms == 3000  # four seconds after the third failure, one of them over
    again.up()
    assert desk.kinds() == [LinkKind.LINE_DOWN, LinkKind.LINE_UP]
    assert again.retry_ms == 0
    assert desk.events[1].since_ms == desk.events[0].at_ms


def test_silence_counts_only_while_the_way_is_up() -> None:
    """A source that cannot be reached is not called silent as well: one cause, one event."""
    clock, desk = HandClock(1_000_000), MemoryDesk(lasts=False)
    link = FeedLink("mes", clock, desk, silent_s=10)
    link.up()
    for _ in range(5):
        clock.at_ms += 9000
        link.down(LinkError("LINE_DOWN", "gone"))
        link.watch()
    assert LinkKind.METER_DOWN not in desk.kinds()
    link.up()
    for _ in range(3):
        clock.at_ms += 10_000
        link.watch()
    link.heard()
    assert desk.kinds()[-2:] == [LinkKind.METER_DOWN, LinkKind.METER_UP]
    assert desk.kinds().count(LinkKind.METER_DOWN) == 1
