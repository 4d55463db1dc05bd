"""What holds for every detector of the registry, whatever it looks for."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from factories import make_meter, make_point
from hypothesis import given, settings
from hypothesis import strategies as st
from watch.scene import Scene, block

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.watch.detector import Findings, Logic
from nengliu.analysis.watch.registry import detectors
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.shard import WatchShard
from nengliu.analysis.watch.sweep import Sweep
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from schemas.block import Block, Verdict, join
from schemas.messages import Notice, PointNotice

NAMES = tuple(detectors(WatchSettings()))
Message = list[dict[str, Any]]


def mixed() -> list[Notice]:
    """A counter, a feeder below a supply, a supply, an interval amount."""
    meter = (make_meter(modulus=10_000),)
    return [
        PointNotice(make_point("counter", meters=meter, rated=4000)),
        PointNotice(make_point("other", meters=meter)),
        PointNotice(make_point("main", Kind.GAUGE, unit="kW", place="plant", minimum=0)),
        PointNotice(make_point("feeder", Kind.GAUGE, unit="kW", place="plant/feeder")),
        PointNotice(make_point("amount", Kind.PERIOD)),
    ]


READINGS = st.fixed_dictionaries(
    {
        "point": st.sampled_from(("counter", "other", "main", "feeder", "amount")),
        "at": st.integers(0, 40),
        "ticks": st.sampled_from((-5, 0, 0, 7, 7, 100, 2000, 9900)),
        "late_s": st.sampled_from((-120, 5, 5, 5, 400, 9000)),
        "verdict": st.sampled_from(
            (Verdict.NEW, Verdict.NEW, Verdict.REPLACED, Verdict.DUPLICATE, Verdict.LOST)
        ),
        "quality": st.sampled_from((0, 0, 0, 5)),
        "reason": st.sampled_from((Reason.NONE, Reason.OVER_RANGE, Reason.BACKFILLED)),
    }
)
MESSAGES = st.lists(st.lists(READINGS, min_size=1, max_size=12), min_size=1, max_size=25)


def orderly(seed: int, n: int = 60) -> list[Message]:
    """Messages of a plant with standstills, catch-ups, holes, repetitions and dead supplies in turn."""
    rng, found = np.random.default_rng(seed), []
    register, alive = {"counter": 10, "other": 10}, True
    for at in range(n):
        frozen, alive = rng.random() < 0.5, alive if rng.random() < 0.9 else not alive
        register = {name: value + 30 for name, value in register.items()}
        shown = {"counter": register["counter"] // 240 * 240 if at > 20 and frozen else register["counter"]}
        values = register | shown | {"main": 500 * alive, "feeder": 300 * alive, "amount": 20}
        rows = [{"point": p, "at": at, "ticks": v} for p, v in values.items() if rng.random() < 0.9]
        rows = [row | {"quality": 6 * (rng.random() < 0.1)} for row in rows]
        again = [row | {"late_s": 40, "verdict": Verdict.DUPLICATE} for row in rows if rng.random() < 0.1]
        if rows:
            found.append(rows + again)
    return found


class Probe:
    """A logic in the place of the shard's own, that keeps what it says."""

    def __init__(self, logic: Logic) -> None:
        self.logic = logic
        self.said: list[tuple[Any, ...]] = []
        self.positions: Any = None

    def judge(self, sweep: Sweep) -> list[Findings]:
        found = self.logic.judge(sweep)
        assert pickle.dumps(self._spelt(found)) == pickle.dumps(self._spelt(self.logic.judge(sweep)))
        self.said += self._spelt(found)
        return []

    def learn(self, sweep: Sweep) -> None:
        self.logic.learn(sweep)

    def snapshot(self) -> object:
        return self.logic.snapshot()

    def _spelt(self, found: list[Findings]) -> list[tuple[Any, ...]]:
        return [
            (
                f.evidence.value,
                int(self.positions[f.index[i]]),
                int(f.slot[i]),
                int(f.at_ms[i]),
                int(f.since_ms[i]),
                int(f.clock_s[i]),
            )
            for f in found
            for i in range(len(f.slot))
        ]


def watched(name: str, blocks: list[Block], resume: bool = False) -> list[tuple[Any, ...]]:
    """What one detector says of blocks, sorted; with `resume` it goes on from a pickled snapshot between them."""
    shard = Scene(mixed()).shard
    probe = Probe(shard.logics[name])
    said: list[tuple[Any, ...]] = []
    for one in blocks:
        if resume:
            state = pickle.loads(pickle.dumps(shard.snapshot()))
            said += probe.said
            shard = WatchShard(shard.catalogue, state=state)
            probe = Probe(detectors(WatchSettings())[name].build(state["detectors"][name]))
        shard.logics = {name: probe}
        order = np.lexsort((one.read_at_ms, one.received_at_s, one.position))
        probe.positions = one.position[order]
        shard.add(one)
    return sorted(said + probe.said)


def blocks_of(messages: list[Message]) -> list[Block]:
    return [block(100 + i, message) for i, message in enumerate(messages)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(messages=MESSAGES, cut=st.integers(1, 7))
def test_cuts_and_resumes_change_nothing(name: str, messages: list[Message], cut: int) -> None:
    """A detector says the same of one block, of many, and over a snapshot between any two of them."""
    blocks = blocks_of(messages)
    parts = [join(blocks[at : at + cut]) for at in range(0, len(blocks), cut)]
    whole = watched(name, [join(blocks)])

    assert watched(name, parts) == whole
    assert watched(name, parts, resume=True) == whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_orderly_plants_are_judged_alike_in_any_cut(name: str, seed: int) -> None:
    """The same over plants that stand, catch up, lose and repeat readings."""
    blocks = blocks_of(orderly(seed))
    whole = watched(name, [join(blocks)])

    assert watched(name, blocks) == whole
    assert watched(name, blocks, resume=True) == whole


@pytest.mark.parametrize("name", NAMES)
def test_orderly_plants_give_every_detector_work(name: str) -> None:
    """The tests above are not about silence: each detector finds something in some plant."""
    assert any(watched(name, blocks_of(orderly(seed))) for seed in range(6))


@pytest.mark.parametrize("name", NAMES)
def test_no_reading_is_evidence_twice(name: str) -> None:
    """A kind of evidence names a reading once."""
    said = watched(name, blocks_of(orderly(3) + orderly(3)))
    assert len(said) == len(set(said))


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_judges_before_it_learns(name: str) -> None:
    """What a sweep shows does not bear on its own judgement: judging again says the same, and keeps nothing."""
    shard = Scene(mixed()).shard
    logic = shard.logics[name]
    shard.add(join(blocks_of(orderly(1))))
    before = pickle.dumps(logic.snapshot())
    shard.logics = {name: _Idle(logic)}  # type: ignore[dict-item]
    shard.add(
        block(999, [{"point": "counter", "at": 90, "ticks": 0}, {"point": "main", "at": 90, "ticks": -7}])
    )

    assert pickle.dumps(logic.snapshot()) == before


class _Idle:
    """Judges and does not learn."""

    def __init__(self, logic: Logic) -> None:
        self.judge, self.snapshot = logic.judge, logic.snapshot

    def learn(self, sweep: Sweep) -> None:
        """Nothing."""


@pytest.mark.parametrize("name", NAMES)
def test_unknown_points_and_nothing_at_all_do_no_harm(name: str) -> None:
    """Readings of points nobody declared, and an empty block, are no evidence."""
    shard = WatchShard(Catalogue())
    probe = Probe(shard.logics[name])
    shard.logics = {name: probe}
    probe.positions = np.zeros(3, np.uint64)
    unknown = block(1, [{"point": "nobody", "at": at, "ticks": -at} for at in range(3)])
    shard.add(unknown)
    shard.add(unknown.take(slice(0, 0)))

    assert probe.said == []
