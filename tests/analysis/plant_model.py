"""A naive model of a plant for the laws of the rollups: everything by loops over dictionaries, nothing shared."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

QUARTER_MS = 900_000
DAY_MS = 86_400_000
OFFSET_MS = 8 * 3_600_000


def settle(readings):
    """Newest source sequence of each time wins: {at: (steps, position, received_at_s)}."""
    standing = {}
    for reading in sorted(readings, key=lambda r: r["position"]):
        old = standing.get(reading["at"])
        if old is None or (reading["steps"] != old["steps"] and _rank(reading) > _rank(old)):
            standing[reading["at"]] = dict(reading)
        elif reading["steps"] == old["steps"] and reading["sequence"] > old["sequence"]:
            old["sequence"] = reading["sequence"]
    return standing


def _rank(reading):
    return reading["sequence"], reading["steps"]


def register_ticks(standing, worth, modulus):
    """Amount between each two neighbouring readings: [(start, end, ticks, revision, known_at_s)]."""
    found = []
    times = sorted(standing)
    for start, end in pairwise(times):
        before, after = standing[start], standing[end]
        steps = after["steps"] - before["steps"]
        if steps < 0 and modulus and before["steps"] > 0.9 * modulus and after["steps"] < 0.1 * modulus:
            steps += modulus
        revision = max(before["position"], after["position"])
        known = max(before["received"], after["received"])
        found.append((start, end, steps * worth, revision, known))
    return found


def quarters(intervals, standing):
    """Windows by the book: {window start: {used, estimated, received, revision, known}}."""
    rows = {}

    def row(window):
        return rows.setdefault(window, {"used": 0, "estimated": 0, "received": 0, "revision": 0, "known": 0})

    for start, end, ticks, revision, known in intervals:
        first, last = start // QUARTER_MS, max((end - 1) // QUARTER_MS, start // QUARTER_MS)
        before = 0
        for window in range(first, last + 1):
            edge = min((window + 1) * QUARTER_MS, end)
            until = (
                ticks if edge == end else int((Fraction(ticks) * (edge - start) / (end - start)).__floor__())
            )
            found = row(window * QUARTER_MS)
            found["used"] += until - before
            if last > first:
                found["estimated"] += until - before
            found["revision"] = max(found["revision"], revision)
            found["known"] = max(found["known"], known)
            before = until
    for at, reading in standing.items():
        found = row(at // QUARTER_MS * QUARTER_MS)
        found["received"] = 1  # the model reads every quarter-hour: one is due in each
        found["revision"] = max(found["revision"], reading["position"])
        found["known"] = max(found["known"], reading["received"])
    return rows


def fold(rows, start_of):
    """Sum windows to longer periods."""
    folded = {}
    for window, row in rows.items():
        found = folded.setdefault(
            start_of(window), {"used": 0, "estimated": 0, "received": 0, "revision": 0, "known": 0}
        )
        for name in ("used", "estimated", "received"):
            found[name] += row[name]
        for name in ("revision", "known"):
            found[name] = max(found[name], row[name])
    return folded
