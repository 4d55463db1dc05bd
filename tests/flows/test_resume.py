"""What a log may forget: a flow's note is never ahead of where a resume would begin."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.connectors import LogSource
from flows.resume import FILE, ResumeNotes, resume_points
from nengliu.bus import partition_of
from nengliu.bus.open import open_log, trim_logs
from nengliu.bus.sqlite import SqliteLog
from nengliu.settings import Settings
from schemas.topics import RAW, VALID

COPYING = Path(__file__).with_name("copying.py")
DAY_S = 86_400


def note(settings: Settings, flow: str, places: object) -> None:
    """Write the note of a flow that has run."""
    folder = settings.recovery_path / flow
    folder.mkdir(parents=True)
    (folder / "part-0.sqlite3").touch()
    (folder / FILE).write_text(json.dumps(places))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation whose log holds ten records in each partition of the raw topic."""
    found = Settings(home=tmp_path, partitions=2)
    with open_log(found) as log:  # the book is the first record of each partition
        for key in ("a", "b", "c", "d"):
            log.append(RAW, [(key, b"")] * 10)
    return found


def test_opening_notes_the_resume_and_a_snapshot_the_one_before(
    log: SqliteLog, open_log: Callable[[], SqliteLog], tmp_path: Path
) -> None:
    """A note is there at once; the last snapshot may not be committed yet, so the one before it is noted."""
    log.append("in", [("a", b"")] * 5)
    source = LogSource(open_log, "in", batch_records=2)
    source.notes = notes = ResumeNotes(tmp_path / FILE)
    name = str(partition_of("a", log.partitions("in")))
    part = source.build_part("flow.in", name, None)
    said = [json.loads((tmp_path / FILE).read_text())["in"][name]]
    part.next_batch()
    for _ in range(3):
        part.snapshot()
        notes.write()
        said.append(json.loads((tmp_path / FILE).read_text())["in"][name])
        part.next_batch()

    assert said == [[1, 0], [1, 0], [1, 2], [1, 4]]


def test_note_that_cannot_be_written_stops_no_flow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An old note only keeps more of the log; a full disk is the store's to complain about."""
    (tmp_path / "resume.new").mkdir()
    ResumeNotes(tmp_path / FILE).note("in", 0, (1, 5))

    assert "cannot note what was read" in caplog.text
    assert not (tmp_path / FILE).exists()


def test_points_are_the_minimum_over_the_flows_that_read_a_topic(settings: Settings) -> None:
    """The slowest reader of a topic decides; who does not read it has no say."""
    note(settings, "ingest", {RAW: {"0": [1, 7], "1": [1, 9]}})
    note(settings, "anomaly", {RAW: {"0": [1, 9], "1": [1, 3]}, VALID: {"0": [1, 0], "1": [1, 0]}})

    assert resume_points(settings) == {RAW: {0: 7, 1: 3}, VALID: {0: 0, 1: 0}}


def test_points_of_a_flow_shared_out_are_those_of_its_shares(settings: Settings) -> None:
    """Each share speaks for its partitions; one that nobody takes is kept whole."""
    note(settings, "ingest-0", {RAW: {"0": [1, 7]}})
    assert resume_points(settings) == {RAW: {0: 7, 1: 0}}
    note(settings, "ingest-1", {RAW: {"1": [1, 9]}})
    assert resume_points(settings) == {RAW: {0: 7, 1: 9}}
    note(settings, "anomaly", {RAW: {"0": [1, 9], "1": [1, 3]}})
    assert resume_points(settings) == {RAW: {0: 7, 1: 3}}


@pytest.mark.parametrize(
    "places",
    [{RAW: {"0": [1, 7]}}, {RAW: {"0": [1, 7], "1": [2, 9]}}, {RAW: {"0": [1, 7], "1": [0, 9]}}],
    ids=["not noted", "newer generation", "older generation"],
)
def test_points_of_a_partition_not_known_are_its_first_offset(settings: Settings, places: object) -> None:
    """Not noted, or noted in another generation of the log: nothing of it may go."""
    note(settings, "ingest", places)

    assert resume_points(settings) == {RAW: {0: 7, 1: 0}}


@pytest.mark.parametrize("text", [None, "", "[1, 2]", '{"readings.raw": 3}', '{"readings.raw": {"0": [1]}}'])
def test_points_beside_a_flow_without_a_note_name_nothing(settings: Settings, text: str | None) -> None:
    """A flow that ran and left no readable note may read everything again."""
    note(settings, "ingest", {RAW: {"0": [1, 7], "1": [1, 9]}})
    note(settings, "anomaly", {})
    file = settings.recovery_path / "anomaly" / FILE
    if text is None:
        file.unlink()
    else:
        file.write_text(text)

    assert resume_points(settings) == {}


def test_trim_takes_what_is_old_and_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both must hold: older than `log_days`, and below what every flow has read."""
    note(settings, "ingest", {RAW: {"0": [1, 7], "1": [1, 0]}})
    points = resume_points(settings)
    now = time.time()

    assert trim_logs(settings, points) == 0
    monkeypatch.setattr("nengliu.bus.open.time.time", lambda: now + (settings.log_days - 1) * DAY_S)
    assert trim_logs(settings, points) == 0
    monkeypatch.setattr("nengliu.bus.open.time.time", lambda: now + (settings.log_days + 1) * DAY_S)
    assert trim_logs(settings, {}) == 0
    assert trim_logs(settings, points) == 7
    with open_log(settings) as log:
        assert [log.bounds(RAW, p).first for p in range(2)] == [7, 0]


def test_trim_up_to_the_notes_of_a_killed_flow_takes_nothing_it_needs(
    log: SqliteLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed at random moments and trimmed as far as it had noted, a flow still copies every record."""
    caplog.set_level(logging.ERROR)
    chance, trimmed, rounds = random.Random(3), 0, 0
    while rounds < 6 or trimmed <= 600:  # a busy machine copies little before it is killed
        rounds += 1
        if rounds <= 6:
            log.append("in", [(f"k{n}", b"%06d" % n) for n in range(600)])
        assert rounds < 60
        run = subprocess.Popen(
            [sys.executable, str(COPYING), str(tmp_path), "0.03", "1"], stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None
        assert run.stdout.readline() == "on\n"
        time.sleep(chance.uniform(0.05, 0.3))
        run.kill()
        run.communicate()
        places = json.loads((tmp_path / "recovery" / FILE).read_text())["in"]
        trimmed += log.trim("in", 2**40, {int(part): at[1] for part, at in places.items()})
    done = subprocess.run(
        [sys.executable, str(COPYING), str(tmp_path), "0.03", "1", "--to-end"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (
        0,
        "",
    )  # "were trimmed before this flow read them" would stand there
    stored = set(map(int, (tmp_path / "store").read_text().split()))
    ends = [log.bounds("in", partition).end for partition in range(4)]
    assert sum(ends) == 3600
    assert len(stored) == len({(1 << 48) | offset for end in ends for offset in range(end)})
