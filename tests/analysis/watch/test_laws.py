"""Laws of the watch as a whole: cuts of batches, snapshots and later messages of a day change no row."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from factories import AT_S, ENTERPRISE
from hypothesis import given, settings
from hypothesis import strategies as st
from watch.scene import METERS, QUARTER_S, Scene, block, plant

from nengliu.analysis.watch.shard import WatchShard
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from schemas.block import Block, Verdict, join
from schemas.messages import LinkEvent, LinkNotice, Notice, TickNotice

Item = tuple[int, Block | Notice]
DAY = 96


@st.composite
def stories(draw: st.DrawFn) -> list[Item]:
    """A day of the plant with spells of faults, ticks and link events, each message at a position of its own."""
    spells = draw(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ("silent", "frozen", "late", "again", "clock", "refused", "stop", "link", "back")
                ),
                st.sampled_from((*METERS, "ab", "abcd")),
                st.integers(8, DAY - 4),
                st.integers(1, 24),
            ),
            max_size=5,
        )
    )
    items: list[Item] = []
    held: list[dict[str, Any]] = []
    register = dict.fromkeys(METERS, 100_000)
    for at in range(DAY):
        now = {
            (kind, meter) for kind, meters, start, n in spells if start <= at < start + n for meter in meters
        }
        rows = []
        for meter in METERS:
            if ("stop", meter) not in now:
                register[meter] += -90 if ("back", meter) in now else 100
            rows += _readings(meter, at, register[meter], now, held)
        if not any(kind == "late" for kind, _ in now):
            rows, held = rows + held, []
        if rows:
            items.append((len(items) + 50, block(len(items) + 50, rows)))
        if ("link", "a") in now:
            event = LinkEvent((AT_S + at * QUARTER_S) * 1000, LinkKind.METER_DOWN, "l1", "a", Reason.TIMEOUT)
            items.append(
                (len(items) + 50, LinkNotice(ENTERPRISE, "gateway", at, AT_S + at * QUARTER_S + 60, (event,)))
            )
        if at % 7 == 0:
            items.append((len(items) + 50, TickNotice(AT_S + at * QUARTER_S + 300)))
    return items


def _readings(
    meter: str, at: int, ticks: int, now: set[tuple[str, str]], held: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    row: dict[str, Any] = {"point": meter, "at": at, "ticks": ticks}
    if ("silent", meter) in now:
        return []
    if ("late", meter) in now:
        held.append(row | {"late_s": 8000})
        return []
    if ("frozen", meter) in now:
        row["ticks"] = 100_100
    if ("clock", meter) in now:
        row["late_s"] = 305
    if ("refused", meter) in now:
        row |= {"verdict": Verdict.REFUSED, "reason": Reason.WRONG_UNIT}
    again = [row | {"late_s": 40, "verdict": Verdict.DUPLICATE}] if ("again", meter) in now else []
    return [row, *again]


def told(items: list[Item], *, resume: bool = False) -> tuple[object, object]:
    """Newest rows and journal of a story; with `resume` a pickled snapshot lies between any two items."""
    scene = Scene(plant())
    for position, item in items:
        if resume:
            scene.shard = WatchShard(
                scene.shard.catalogue, state=pickle.loads(pickle.dumps(scene.shard.snapshot()))
            )
        scene.keep(scene.shard.add(item) if isinstance(item, Block) else scene.shard.take(item, position))
    journal = sorted(
        (row["incident"], row["position"], row["item"], *map(str, row.values())) for row in scene.journal
    )
    return scene.rows, journal


def joined(items: list[Item], size: int) -> list[Item]:
    """The story with up to `size` messages between two notices in one block."""
    found: list[Item] = []
    for position, item in items:
        last = found[-1][1] if found else None
        if isinstance(item, Block) and isinstance(last, Block) and len(set(last.position.tolist())) < size:
            found[-1] = position, join([last, item])
        else:
            found.append((position, item))
    return found


@settings(max_examples=60, deadline=None)
@given(items=stories(), size=st.integers(2, 40))
def test_cuts_and_resumes_change_no_row(items: list[Item], size: int) -> None:
    """One message at a time, many at once, or over snapshots: the same rows and the same journal."""
    alone = told(items)

    assert told(joined(items, size)) == alone
    assert told(items, resume=True) == alone


@pytest.mark.parametrize("kind", ["silent", "frozen", "late", "again", "refused", "back"])
def test_stories_have_incidents(kind: str) -> None:
    """The law above is not about silence: a spell of each fault is seen."""
    found = set()
    for meters in ("a", "ab"):
        items: list[Item] = []
        held: list[dict[str, Any]] = []
        register = 100_000
        for at in range(60):
            register += -90 if kind == "back" and 20 <= at < 40 else 100
            now = {(kind, meter) for meter in meters if 20 <= at < 40}
            rows = [
                row for m in METERS for row in _readings(m, at, register, now if m in meters else set(), held)
            ]
            if at == 45:
                rows, held = rows + held, []
            items.append((at + 50, block(at + 50, rows)))
        rows_found, _ = told(items)
        assert isinstance(rows_found, dict)
        found |= {row["cause"] for row in rows_found.values()}
    assert found
