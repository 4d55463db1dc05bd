"""What intake hands on to the other flows: accepted readings, and beside them the evidence.

Evidence is what was repeated (an equal value under another receipt: a gateway repeats itself, while a message that
is merely delivered twice has the same receipt), contradicted or refused (docs/decisions/0017).
All in order of the log, so that neither the cuts of batches nor a replay change what is handed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.candidates import Candidates, Judged, Path
from nengliu.analysis.intake.rows import Held, Tally
from nengliu.analysis.ledger import TIME_BITS, Merge
from nengliu.analysis.sorted import compact
from nengliu.domain.quality import Origin, Quality, Reason
from schemas.block import Block, Sheaf, Verdict, join
from schemas.messages import Notice

Bools = npt.NDArray[np.bool_]
Pair = tuple[str, str]
Passing = tuple[int, Block | Sheaf | Notice]
"""Position up to which everything has been said once this is taken, and message."""


def block_of(
    candidates: Candidates, judged: Judged, mask: Bools, paths: list[Path], tallies: list[Tally]
) -> Block:
    """The candidates under `mask` as a block of new readings."""
    candidates = candidates.take(mask)
    used, path = compact(candidates.path)
    taken = [paths[number] for number in used.tolist()]
    points = {pair: i for i, pair in enumerate(dict.fromkeys(p.pair for p in taken))}
    units = {pair: i for i, pair in enumerate(dict.fromkeys((p.unit, p.decimals) for p in taken))}
    slot = np.arange(len(points), dtype=np.int32)
    if len(points) < len(taken):
        slot = np.array([points[p.pair] for p in taken], np.int32)
    unit = np.array([units[p.unit, p.decimals] for p in taken], np.uint16)
    position = np.array([tally.position for tally in tallies], np.uint64)
    return Block(
        points=tuple(points),
        slot=slot[path],
        read_at_ms=candidates.read_at_ms,
        ticks=judged.ticks[mask],
        quality=judged.quality[mask].astype(np.uint8),
        reason=judged.reason[mask].astype(np.uint16),
        origin=candidates.origin.astype(np.uint8),
        received_at_s=candidates.received_at_s,
        sequence=candidates.sequence,
        position=position[candidates.message],
        sent=candidates.sent,
        units=tuple(units),
        sent_unit=unit[path],
        verdict=np.zeros(len(slot[path]), np.uint8),
    )


def refused_block(
    candidates: Candidates, judged: Judged, refused: Bools, paths: list[Path], tallies: list[Tally]
) -> Block:
    """Readings that were refused, each with its reason; times that cannot be give way to those of the message."""
    block = block_of(candidates, judged, refused, paths, tallies)
    reason = np.zeros(len(refused), np.uint16)
    for name, mask in judged.refused.items():
        reason[mask] = Reason[name]
    appended = np.array([tally.record.appended_at_s for tally in tallies], np.int64)
    appended = appended[candidates.message[refused]]
    received = block.received_at_s
    received = np.where((received < 0) | (received > appended), appended, received)
    at = block.read_at_ms
    at = np.where((at < 0) | (at >= 2**TIME_BITS), received * 1000, at)
    verdict = np.full(len(at), Verdict.REFUSED, np.uint8)
    return replace(block, reason=reason[refused], received_at_s=received, read_at_ms=at, verdict=verdict)


def held_block(held: list[Held]) -> Block:
    """What was held back and is no reading: whole messages, objects of a message, rows of a file."""
    points = {pair: i for i, pair in enumerate(dict.fromkeys((h.tally.record.key, h.point) for h in held))}
    n = len(held)
    received = np.array([h.tally.received_at_s for h in held], np.int64)
    return Block(
        points=tuple(points),
        slot=np.array([points[h.tally.record.key, h.point] for h in held], np.int32),
        read_at_ms=received * 1000,
        ticks=np.zeros(n, np.int64),
        quality=np.full(n, Quality.BAD, np.uint8),
        reason=np.array([h.reason for h in held], np.uint16),
        origin=np.full(n, Origin.TIMED, np.uint8),
        received_at_s=received,
        sequence=np.zeros(n, np.uint64),
        position=np.array([h.tally.position for h in held], np.uint64),
        sent=np.zeros(n, np.int64),
        units=(("", 0),),
        sent_unit=np.zeros(n, np.uint16),
        verdict=np.full(n, Verdict.REFUSED, np.uint8),
    )


def merged_block(block: Block, merged: Merge) -> Block:
    """Accepted readings, repetitions and conflicts of a merged block.

    A repetition is a duplicate whether or not the ledger raised its sequence: after a crash it may have been raised
    already.
    """
    if not (merged.verdict > Verdict.REPLACED).any():
        return replace(block, verdict=merged.verdict)
    verdict = np.where(merged.verdict == Verdict.RAISED, np.uint8(Verdict.DUPLICATE), merged.verdict)
    said = (verdict != Verdict.DUPLICATE) | merged.repeated
    return replace(block, verdict=verdict).take(said)


def in_order(
    blocks: list[Block],
    sheaves: list[Sheaf],
    notices: list[tuple[int, Notice]],
    closing: tuple[int, Notice] | None = None,
) -> Iterator[Passing]:
    """Join blocks by position, and cut them and the sheaves where a notice stands between.

    Of what then lies between two notices, sheaves and a block whose positions may cross, only the last bears its
    newest position: up to there everything has been said.  Those before it bear the position before the first of them.
    A `closing` notice ends it all, even readings that bear its own position.
    """
    joined = [block for block in blocks if len(block)]
    block = join(joined) if joined else held_block([])
    if len(joined) > 1:
        block = block.take(np.argsort(block.position, kind="stable"))
    pieces: list[Block | Sheaf] = [*sheaves, block]
    starts = [0] * len(pieces)
    for passing in [*notices, closing]:
        stretch, ends = [], []
        for start, piece in zip(starts, pieces, strict=True):
            end = len(piece.position) if passing is closing else _end(piece, passing)
            ends.append(end)
            if end > start:
                whole = end - start == len(piece.position)
                stretch.append(piece if whole else piece.take(slice(start, end)))
        yield from _stretch(stretch, closed=passing is not None and passing is closing)
        starts = ends
        if passing is not None:
            yield passing


def _end(piece: Block | Sheaf, passing: Passing | None) -> int:
    return int(np.searchsorted(piece.position, np.uint64(passing[0] if passing else 0)))


def _stretch(pieces: list[Block | Sheaf], *, closed: bool) -> Iterator[Passing]:
    """What lies between two notices; if it is closed, the notice behind it bears the position of its end."""
    if not pieces:
        return
    said = min(int(piece.position[0]) for piece in pieces) - 1
    until = said if closed else max(int(piece.position[-1]) for piece in pieces)
    pieces = in_order_of_points(pieces)
    for piece in pieces[:-1]:
        yield said, piece
    yield until, pieces[-1]


def in_order_of_points(pieces: Sequence[Block | Sheaf]) -> list[Block | Sheaf]:
    """Let the readings of each point lie in one piece: lists that share a point with another piece join the block.

    What is made of a point's readings must never rest on a later one while an earlier one is still to come.
    """
    blocks = [piece for piece in pieces if isinstance(piece, Block)]
    sheaves = [piece for piece in pieces if isinstance(piece, Sheaf)]
    shared = _shared(
        sheaves, {block.points[slot] for block in blocks for slot in np.unique(block.accepted().slot)}
    )
    if not shared:
        return list(pieces)
    kept: list[Block | Sheaf] = []
    for sheaf in sheaves:
        spelled = np.array([not shared.isdisjoint(points) for points in sheaf.lists])[sheaf.row_list]
        blocks += [sheaf.take(spelled).block()] if spelled.any() else []
        kept += [sheaf.take(~spelled)] if not spelled.all() else []
    block = join(blocks)
    return [*kept, block.take(np.argsort(block.position, kind="stable"))]


def _shared(sheaves: Sequence[Sheaf], loose: set[Pair]) -> set[Pair]:
    """Points of lists that are also in another list, or in the same by another origin, or among the loose ones."""
    shared = set(loose)
    by_enterprise: dict[str, dict[tuple[tuple[Pair, ...], int], None]] = {}
    for sheaf in sheaves:
        for number in np.unique(sheaf.row_list).tolist():
            points = sheaf.lists[number]
            by_enterprise.setdefault(points[0][0], {})[points, sheaf.origin] = None
    for lists in by_enterprise.values():
        seen: set[Pair] = set()
        for points, _ in lists if len(lists) > 1 else ():
            shared |= seen.intersection(points)
            seen.update(points)
    return shared
