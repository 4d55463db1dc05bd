"""The horizon: readings of an earlier time are held for a person, whichever way they come, and it never moves back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import make_frame, make_log, make_notices, make_point, make_rows

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard, Outcome
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality
from nengliu.domain.retention import DAYS_MIN, gone_before_ms, horizon_ms
from nengliu.domain.times import CHINA, DAY_MS, from_ms
from schemas.messages import RetentionNotice
from tests.ingest_store import IngestStore, rows_of

AT_MS = horizon_ms(1_790_000_000_000, DAYS_MIN)
"""The horizon of an evening in September 2026: 2023-09-01 00:00 in China."""
TOLD = RetentionNotice(AT_MS, 1_790_000_000)
POINT = make_point("e", Kind.GAUGE, unit="kW", item="active_power", decimals=0)


def stamps(*around_ms: int) -> Any:
    return np.array([AT_MS + ms for ms in around_ms], np.int64)


def frame(*around_ms: int, **given: Any) -> Any:
    """A frame of the point, received when it was told."""
    values = tuple((i + 1,) for i in range(len(around_ms)))
    return make_frame(values, read_at_ms=stamps(*around_ms), received_at_s=1_790_000_000, **given)


def taken(*messages: Any, shard: IngestShard | None = None, first: int = 0) -> tuple[IngestShard, Outcome]:
    """A shard that has taken the point's notices and some messages in, and what became of the last ones."""
    shard = shard or IngestShard(Catalogue())
    log = make_log([*make_notices(POINT), *messages], appended_at_s=1_790_000_100)
    outcome = shard.add(log[first:])
    return shard, outcome


def held(outcome: Outcome) -> list[dict[str, Any]]:
    return [row for rows in outcome.rows if rows.table == "quarantine" for row in rows_of(rows)]


def accepted(outcome: Outcome) -> int:
    return sum(tally.valid for tally in outcome.tallies)


def test_horizon_is_the_start_of_the_month_three_years_ago_and_a_month_more_is_kept() -> None:
    """Whole months; the one before lies there still."""
    assert from_ms(AT_MS).astimezone(CHINA).isoformat() == "2023-09-01T00:00:00+08:00"
    assert from_ms(gone_before_ms(AT_MS)).isoformat() == "2023-08-01T00:00:00+08:00"


@pytest.mark.parametrize(
    "message",
    [
        frame(-1, 0, 900_000),
        frame(-1, 0, 900_000, quality=np.full((3, 1), Quality.LATE, np.uint8)),
        make_rows((1, 2, 3), read_at_ms=stamps(-1, 0, 900_000), received_at_s=np.full(3, 1_790_000_000)),
    ],
    ids=["plain frame", "marked frame", "loose readings"],
)
def test_reading_before_the_horizon_is_held_and_those_after_it_go_on(message: Any) -> None:
    """The last millisecond before is held with its payload and why; the first one of the month is not."""
    _, outcome = taken(TOLD, message)
    (row,) = held(outcome)
    assert (row["reason"], row["point"]) == (317, "e")
    assert str(AT_MS) in row["parameters"]
    assert str(AT_MS - 1) in row["payload"]
    assert accepted(outcome) == 2
    (tally,) = [tally for tally in outcome.tallies if tally.received]
    assert (tally.received, tally.quarantined) == (3, 1)


def test_horizon_holds_from_its_place_in_the_log_on() -> None:
    """What stands before the notice was taken in while its neighbours were there."""
    _, outcome = taken(frame(-900_000), TOLD, frame(-450_000, sequence=2))
    assert accepted(outcome) == 1
    assert [row["position"] for row in held(outcome)] == [outcome.tallies[-1].record.position]


def test_horizon_is_kept_in_its_table_goes_on_once_and_never_moves_back() -> None:
    """An older one, or the same again, says nothing new."""
    older = RetentionNotice(gone_before_ms(AT_MS), TOLD.at_s)
    shard, outcome = taken(TOLD, older, TOLD)
    (row,) = [row for rows in outcome.rows if rows.table == "horizon" for row in rows_of(rows)]
    assert (row["flow"], row["partition"], row["begins_at"]) == ("ingest", 0, AT_MS)
    assert [notice for _, notice in outcome.onward if isinstance(notice, RetentionNotice)] == [TOLD]
    assert shard.catalogue.begins_ms == AT_MS


def test_shard_that_resumes_behind_the_notice_knows_the_horizon() -> None:
    """It is told with the first enterprise the shard meets."""
    store = IngestStore()
    _, outcome = taken()
    store.write(outcome.rows)
    store.flush()

    def load(enterprise: str, before: int) -> Any:
        return [*store.notices(enterprise, before), (before - 1, TOLD)]

    resumed = IngestShard(Catalogue(load), store.readings)
    _, outcome = taken(frame(-1), shard=resumed, first=len(make_notices(POINT)))
    assert [row["reason"] for row in held(outcome)] == [317]


@pytest.mark.parametrize("begins_ms", [AT_MS + 1, AT_MS - DAY_MS, AT_MS + 400 * DAY_MS, -1])
def test_horizon_that_is_no_month_or_too_young_is_refused(begins_ms: int) -> None:
    """Three years are kept whatever is told, and months whole."""
    shard, outcome = taken(RetentionNotice(begins_ms, TOLD.at_s))
    assert shard.catalogue.begins_ms == 0
    assert [row["reason"] for row in held(outcome)] == [205]
