"""Audit: what differs between things that must agree, where, and what probably happened (design, law 3; TC 4.4.3).

The store finds the differences (questions ``audit_*``); here each becomes a finding with a likely reason.  Nothing is
changed: an audit only looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nengliu.analysis.catalogue import Catalogue, Service

Row = Mapping[str, Any]
Values = dict[str, int | float | None]


class Check(StrEnum):
    """What was compared."""

    REGISTER = "register"  # a register's difference with its point's windows, day by day
    LEVEL = "level"  # a window with the sum of those below it
    DECIMALS = "decimals"  # the decimals of windows with those of their point
    INTAKE = "intake"  # received with valid + duplicate + quarantined, and these with what is kept
    MESSAGE = "message"  # readings accepted of a message with readings stored
    REVISION = "revision"  # the revision of a window with the messages stored
    RECOMPUTED = "recomputed"  # a window with what the stored readings give
    TOTAL = "total"  # a total with the sum of its points


class Why(StrEnum):
    """What probably happened."""

    LOST_WINDOW = "lost_window"
    NO_SOURCE = "no_source"
    DOUBLED = "doubled"
    STALE = "stale"
    AHEAD = "ahead"
    OTHER_DECIMALS = "other_decimals"
    OVER_ESTIMATED = "over_estimated"
    CHANGED = "changed"
    LOST_READINGS = "lost_readings"
    STRANGE_READINGS = "strange_readings"
    STRANGE_TALLY = "strange_tally"
    LOST_QUARANTINE = "lost_quarantine"
    UNBALANCED = "unbalanced"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference: of what, where, and what was expected and found.

    Attributes
    ----------
    subject
        Point, or source of messages, or node of a total.
    level
        Level of the window or total; empty for what has none.
    at_ms
        Start of the period, or receipt of the message [ms, UTC].
    expected, got
        The values that differ, by name; amounts in whole ticks.
    """

    check: Check
    enterprise: str
    subject: str
    level: str
    at_ms: int
    expected: Values
    got: Values
    why: Why

    @property
    def place(self) -> tuple[str, str, str, str, int]:
        """What was compared where: the same place again is the same finding."""
        return str(self.check), self.enterprise, self.subject, self.level, self.at_ms


def services_of(catalogue: Catalogue, points: list[tuple[str, str]]) -> list[list[object]]:
    """Rows of the meters of counters, as `audit_registers` wants them; other kinds have none."""
    return [row for key in points for row in _services(key, catalogue.points[key].services)]


def _services(key: tuple[str, str], services: tuple[Service, ...]) -> Iterator[list[object]]:
    before: Service | None = None
    for service in services:
        meter, since = service.meter, 0 if before is None else service.meter.from_ms
        own = [*key, since, meter.modulus, service.ticks_per_step, meter.first or 0]
        gone = before.meter if before else meter
        known = before is not None and gone.last is not None and meter.first is not None
        worth = before.ticks_per_step if before else 1
        gone_since = 0 if before is services[0] else gone.from_ms
        yield [*own, known, gone.last or 0, gone_since, gone.modulus, worth]
        before = service


def register_finding(row: Row) -> Finding:
    """Tell of a day whose windows are not the register's difference."""
    expected: Values = {"used": int(row["expected"])}
    got: Values = {"used": int(row["used"])}
    why = Why.DOUBLED if row["used"] == 2 * row["expected"] else Why.CHANGED
    return _finding(Check.REGISTER, row, ("point", "day", row["at_ms"]), (expected, got), why)


def level_finding(row: Row) -> Finding:
    """Tell of a window that is not the sum of those below it; what agrees is left out."""
    names = ("used", "estimated", "received", "decimals", "revision")
    expected, got = {n: row[f"{n}_below"] for n in names}, {n: row[n] for n in names}
    if not row["own"] or not row["below"]:
        why = Why.LOST_WINDOW if not row["own"] else Why.NO_SOURCE
        expected, got = {"rows": int(row["below"])}, {"rows": int(row["own"])}
    else:
        why = reason_of(expected, got)
        expected, got = _unlike(expected, got)
    return _finding(Check.LEVEL, row, ("point", row["level"], row["at_ms"]), (expected, got), why)


def decimals_finding(row: Row) -> Finding:
    """Tell of windows counted in other decimals than their point."""
    expected, got = {"decimals": row["expected"]}, {"decimals": row["decimals"], "rows": row["rows"]}
    return _finding(
        Check.DECIMALS, row, ("point", row["level"], row["at_ms"]), (expected, got), Why.OTHER_DECIMALS
    )


def intake_finding(row: Row) -> Finding:
    """Tell of a source and day whose tally does not balance, or whose quarantine is not all there."""
    counted = row["valid"] + row["duplicate"] + row["quarantined"]
    expected, got = {"received": row["received"]}, {"received": counted}
    why = Why.UNBALANCED
    if row["received"] == counted:
        expected, got = {"quarantined": row["quarantined"]}, {"quarantined": row["held"]}
        why = Why.LOST_QUARANTINE if row["held"] < row["quarantined"] else Why.STRANGE_TALLY
    return _finding(Check.INTAKE, row, ("source", "", row["at_ms"]), (expected, got), why)


def message_finding(row: Row) -> Finding:
    """Tell of a message whose accepted readings are not those stored."""
    expected = {"position": row["position"], "valid": row["valid"]}
    got = {"stored": row["stored"], "superseded": row["superseded"]}
    why = Why.STRANGE_READINGS if row["stored"] > row["valid"] else Why.LOST_READINGS
    if row["stored"] + row["superseded"] == 0:
        why = Why.STRANGE_TALLY
    return _finding(Check.MESSAGE, row, ("source", "", row["at_ms"]), (expected, got), why)


def revision_finding(row: Row) -> Finding:
    """Tell of a quarter-hour whose newest message left nothing."""
    place, got = ("point", "15min", row["at_ms"]), {"revision": row["revision"]}
    return _finding(Check.REVISION, row, place, ({}, got), Why.AHEAD)


def total_finding(row: Row) -> Finding:
    """Tell of a total that is not the sum of its points; the subject is the item."""
    expected: Values = {"used": row["expected"]}
    got: Values = {"used": row["used"]}
    why = Why.CHANGED if row["revision"] >= row["revision_below"] else Why.STALE
    if not row["own"]:
        why, got = Why.LOST_WINDOW, {"rows": 0}
    return _finding(Check.TOTAL, row, ("item", row["level"], row["at_ms"]), (expected, got), why)


def reason_of(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Why:
    """Guess what happened to a window, from how it differs."""
    if expected["decimals"] != got["decimals"]:
        return Why.OTHER_DECIMALS
    if got["revision"] < expected["revision"]:
        return Why.STALE
    if got["used"] == 2 * expected["used"] and got["used"]:
        return Why.DOUBLED
    if got["estimated"] != expected["estimated"] and got["estimated"] > got["used"] >= 0:
        return Why.OVER_ESTIMATED
    return Why.AHEAD if got["revision"] > expected["revision"] else Why.CHANGED


def _unlike(expected: dict[str, Any], got: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in expected if expected[name] != got[name]]
    return {name: expected[name] for name in names}, {name: got[name] for name in names}


def _finding(
    check: Check, row: Row, place: tuple[str, str, int], differing: tuple[Values, Values], why: Why
) -> Finding:
    """A finding of a row of the store: the column of its subject, its level, its time; expected and got."""
    subject, level, at_ms = place
    return Finding(check, row["enterprise"], row[subject], level, int(at_ms), *differing, why)
