"""Loose readings give the rows of the general way, whether a message names a whole list, a part of it or one point."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore
from test_plates import CASES, _bare, _catalogue, _frames, _keep, _plant, _sheaves, _write

from nengliu.analysis.rollups.plates.loose import Loose
from nengliu.analysis.rollups.recompute import Recompute
from nengliu.analysis.rollups.shard import WindowShard
from schemas.block import Block, join

E = "91320000MA1EXAMP00"


def _block(lists, rows, pieces):
    """Rows as one block of loose readings, in order of position; of some messages only a part."""
    block = join([sheaf.block() for sheaf in _sheaves(lists, rows)])
    block = block.take(np.argsort(block.position, kind="stable"))
    said = [
        _is_said(*pair, pieces) for pair in zip(block.position.tolist(), block.slot.tolist(), strict=True)
    ]
    return block.take(np.array(said, bool))


def _is_said(position, slot, pieces):
    """Whether a message speaks of a point: the same in every batch it may come in."""
    in_pieces = random.Random(position).random() < pieces
    return not in_pieces or random.Random(1000 * position + slot).random() < 0.7


def _batches(rng, rows):
    at = 0
    while at < len(rows):
        size = rng.choice([1, 3, 10, 60, 200])
        yield rows[at : at + size]
        at += size


@CASES
@given(seed=st.integers(0, 10**9), pieces=st.sampled_from([0, 0.005, 0.05, 0.5]))
def test_loose_readings_give_the_rows_of_the_general_way(seed, pieces):
    """Lists that are learnt, kept and given up change no row of any level."""
    rng = random.Random(seed)
    lists = _plant(rng)
    rows = _frames(rng, lists, rng.choice([30, 120]))
    judge, store, judged = Recompute(_catalogue(lists), None, None), MemoryStore(), MemoryStore()
    shard = WindowShard(_catalogue(lists), store.readings, store.days)
    for batch in _batches(rng, rows):
        block = _block(lists, batch, pieces)
        if not len(block):
            continue
        _write(store, shard.pour(block))
        _keep(store, SimpleNamespace(block=lambda block=block: block))
        if rng.random() < 0.3:
            _write(store, shard.flush())
        shard.seal()
        _write(judged, judge.add(block))
    _write(store, shard.flush())
    assert _bare(store) == _bare(judged)


def _message(points, slots, at_ms, position, ticks=7):
    n = len(slots)
    byte, word = np.zeros(n, np.uint8), np.zeros(n, np.uint16)
    return Block(
        points=points,
        slot=np.array(slots, np.int32),
        read_at_ms=np.full(n, at_ms),
        ticks=np.full(n, ticks),
        quality=byte,
        reason=word,
        origin=byte,
        received_at_s=np.full(n, at_ms // 1000),
        sequence=np.full(n, position, np.uint64),
        position=np.full(n, position, np.uint64),
        sent=np.full(n, ticks),
        units=(("", 0),),
        sent_unit=word,
        verdict=byte,
    )


POINTS = tuple((E, f"p{i}") for i in range(4))


def test_points_of_one_message_come_back_as_one_row():
    """The points that came first together are a list, in the order they came in."""
    loose = Loose(lambda pair: pair[0])
    for at in range(3):
        (sheaf,), rest = loose.split(_message(POINTS, [2, 0, 3, 1], 60_000 * at, at))
        assert sheaf.lists == ((POINTS[2], POINTS[0], POINTS[3], POINTS[1]),)
        assert sheaf.ticks.shape == (1, 4)
        assert len(rest) == 0


def test_a_list_that_keeps_coming_in_pieces_is_given_up():
    """Three messages without one of the points, and each point is a list of its own."""
    loose = Loose(lambda pair: pair[0])
    loose.split(_message(POINTS, [0, 1, 2, 3], 0, 1))
    for at in range(1, 4):
        sheaves, rest = loose.split(_message(POINTS, [0, 1, 3], 60_000 * at, at))
        assert (sheaves, len(rest)) == ([], 3)
    (sheaf,), rest = loose.split(_message(POINTS, [0, 1, 3], 240_000, 5))
    assert sheaf.ticks.shape == (3, 1)
    assert len(rest) == 0


def test_a_row_that_names_one_point_twice_is_no_row():
    """Four readings are not the four points of a list."""
    loose = Loose(lambda pair: pair[0])
    loose.split(_message(POINTS, [0, 1, 2, 3], 0, 1))
    sheaves, rest = loose.split(_message(POINTS, [0, 1, 1, 3], 60_000, 2))
    assert (sheaves, len(rest)) == ([], 4)


def test_readings_of_one_message_with_other_receipts_are_no_row():
    """A row has one receipt; where a message names several, its windows are known by each."""
    loose = Loose(lambda pair: pair[0])
    loose.split(_message(POINTS, [0, 1, 2, 3], 0, 1))
    block = _message(POINTS, [0, 1, 2, 3], 60_000, 2)
    block.received_at_s[2] += 5
    sheaves, rest = loose.split(block)
    assert (sheaves, len(rest)) == ([], 4)


def test_points_that_are_not_akin_are_no_list():
    """Points due at other intervals are told apart, though one message names them."""
    loose = Loose(lambda pair: pair[1] in ("p0", "p1"))
    sheaves, rest = loose.split(_message(POINTS, [0, 2, 1, 3], 0, 1))
    assert [sheaf.lists for sheaf in sheaves] == [(POINTS[:2], POINTS[2:])]
    assert len(rest) == 0
