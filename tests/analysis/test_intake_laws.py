"""Laws 2, 3 and 7 for intake: nothing vanishes, no cut, crash or eviction changes what is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import intake_mix as mix
from factories import (
    AT_MS,
    ENTERPRISE,
    GENERATION,
    make_frame,
    make_log,
    make_meter,
    make_notices,
    make_point,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_store import IngestStore, rows_of
from intake_mix import LATE_S, PLACES, shard, table
from interrupted import Crash, crashes, cuts, forget, seeds

from nengliu.bus import Record
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Reason
from nengliu.domain.times import DAY_MS
from schemas.block import Block, Sheaf
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    ImportNotice,
    Notice,
    PointNotice,
    SchemaNotice,
    encode,
)

LAW = settings(max_examples=120, deadline=None)


def log_of(sent: Sequence[mix.Sent]) -> list[Record]:
    """Records of the notices of the mix and its messages."""
    return make_log([*make_notices(*mix.POINTS), *(s.value for s in sent)], appended_at_s=LATE_S)


@LAW
@given(sent=mix.messages, seed=seeds)
def test_every_message_balances_and_nothing_vanishes(sent: list[mix.Sent], seed: int) -> None:
    """Law 3: received = valid + duplicate + quarantined, message by message, as an independent clerk counts."""
    records, store, one = log_of(sent), IngestStore(), shard()
    tallies, valid_onward = [], 0
    for batch in cuts(records, seed):
        outcome = one.add(batch)
        store.write(outcome.rows)
        tallies += outcome.tallies
        valid_onward += sum(len(m.accepted()) for _, m in outcome.onward if isinstance(m, Block))
        valid_onward += sum(len(m) for _, m in outcome.onward if isinstance(m, Sheaf))
    written = [row for rows in store.pending for row in rows_of(rows) if rows.table == "quarantine"]
    store.flush()
    clerk, standing = mix.verdicts(sent)
    held = list(store.tables["quarantine"].values())

    assert [(t.received, t.valid, t.duplicate, t.conflicts) for t in tallies] == clerk
    assert all(t.received == t.valid + t.duplicate + t.quarantined for t in tallies)
    assert len(held) == len(written) == sum(t.quarantined for t in tallies)
    for number, message in enumerate(sent, len(records) - len(sent)):
        own = [row for row in held if row["position"] == GENERATION + number]
        assert Counter(Reason(row["reason"]).name for row in own) == message.refused
    rows = store.standing()
    assert {(r["point"], r["read_at"]): (r["sequence"], r["ticks"]) for r in rows} == standing
    assert valid_onward == sum(t.valid for t in tallies)
    kept = ("received", "valid", "duplicate", "quarantined")
    stored = {row["position"]: tuple(row[n] for n in kept) for row in store.tables["intake"].values()}
    assert stored == {t.record.position: tuple(getattr(t, n) for n in kept) for t in tallies if t.received}


@LAW
@given(sent=mix.messages, seed=seeds)
def test_evidence_fills_the_text_of_every_reason(sent: list[mix.Sent], seed: int) -> None:
    """What is held back says enough to be explained in any language."""
    for row in table(shard().add(log_of(sent)), "quarantine"):
        if json.loads(row["parameters"]).get("row") is None:  # rows of a file bring their own evidence
            assert PLACES[Reason(row["reason"]).name] <= json.loads(row["parameters"]).keys()


def run(store: IngestStore, records: Sequence[Record], seed: int, *, forgetful: bool = False) -> IngestStore:
    """Run a shard over records: an epoch per batch, each stored when the next one ends and no earlier."""
    one = shard(store)
    for batch in cuts(records, seed):
        if forgetful:
            forget(one)
        store.write(one.add(batch).rows)
        one.seal()
        store.end_epoch()
    store.flush()
    return store


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Draw a log of every kind of message with the catalogue told, told again and changed in between."""
    news: list[Notice] = [
        PointNotice(replace(mix.POINTS[0], name="新名")),
        PointNotice(replace(mix.POINTS[1], valid_to_ms=AT_MS + DAY_MS)),
        PointNotice(mix.POINTS[1]),
        SchemaNotice(make_notices(*mix.POINTS)[-1].value),
        PointNotice(
            replace(mix.POINTS[0], meters=(make_meter(), make_meter(from_ms=AT_MS + DAY_MS, decimals=0)))
        ),
        EnterpriseNotice(Enterprise(ENTERPRISE, "厂")),
        BookNotice("d", ()),
        ImportNotice(ENTERPRISE, "d", 1, "f", 1, 1, 1, 0, 0),
        PointNotice(make_point(unit="MWh")),
    ]
    sent = draw(mix.messages)
    values: list[Any] = [*make_notices(*mix.POINTS), *(s.value for s in sent)]
    for notice in draw(st.lists(st.sampled_from(news), max_size=4)):
        values.insert(draw(st.integers(0, len(values))), encode(notice))
    for value in draw(st.lists(st.sampled_from(values), max_size=4)):
        values.insert(draw(st.integers(0, len(values))), value)
    return make_log(values, appended_at_s=LATE_S)


@LAW
@given(records=logs(), seed=seeds)
def test_batch_cuts_and_eviction_change_no_row(records: list[Record], seed: int) -> None:
    """Law 2: one batch, or many with everything forgotten that may be: the same rows, position by position."""
    whole = IngestStore()
    whole.write(shard().add(records).rows)
    whole.flush()

    assert run(IngestStore(), records, seed).tables == whole.tables
    assert run(IngestStore(), records, seed, forgetful=True).tables == whole.tables


@LAW
@given(records=logs(), seed=seeds, crash=crashes)
def test_replay_after_a_crash_stores_the_same_rows(records: list[Record], seed: int, crash: Crash) -> None:
    """Law 7: crash anywhere with part of the writes stored, resume from an earlier commit: the same tables."""
    whole, resumed = run(IngestStore(), records, 0), crash.resumes_at(records)
    store = run(IngestStore(), records[:resumed], seed)
    crash.kill(shard(store), store, records, seed)

    assert run(store, records[resumed:], seed + 1, forgetful=True).tables == whole.tables


def test_replay_between_a_value_and_its_loss_counts_the_conflict_again() -> None:
    """A loser that is delivered once more is stored where it first lost, so a replay from between finds it."""
    frames = [
        make_frame(((5,),), sequence=1),
        make_frame(((6,),), sequence=2),
        make_frame(((5,),), sequence=1),
    ]
    records = make_log([*make_notices(make_point()), *frames], appended_at_s=LATE_S)
    whole = run(IngestStore(), records, 0)
    before = {name: dict(rows) for name, rows in whole.tables.items()}

    assert run(whole, records[3:], 1).tables == before
