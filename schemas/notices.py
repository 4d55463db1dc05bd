"""Notices: everything in the log that is no reading, as JSON objects; `notice` names the kind.

The structs are the contract; what a value may be is checked where ingest takes it in
(`nengliu.analysis.notices`, `nengliu.analysis.intake.links`).
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import TypeVar

import msgspec

from nengliu.domain.points import Enterprise, Point, Schema

_X = TypeVar("_X", bound=Hashable)
_ALIKE = (
    "enterprise",
    "point",
    "name",
    "name_en",
    "item",
    "unit",
    "place",
    "meters",
    "tariffs",
    "interval_s",
    "valid_from_ms",
    "valid_to_ms",
)
"""What many points say in the same words: a million of them keep it once."""


@lru_cache(maxsize=1 << 16)
def _kept_once(value: _X) -> _X:
    return value


class EnterpriseNotice(msgspec.Struct, tag="enterprise", tag_field="notice", frozen=True):
    """An enterprise is (again) described."""

    value: Enterprise


class PointNotice(msgspec.Struct, tag="point", tag_field="notice", frozen=True):
    """A point is (again) described; the newest position holds."""

    value: Point

    def __post_init__(self) -> None:
        """Let the point share its words with those before it."""
        for name in _ALIKE:
            object.__setattr__(self.value, name, _kept_once(getattr(self.value, name)))


class SchemaNotice(msgspec.Struct, tag="schema", tag_field="notice", frozen=True):
    """A column list is declared; a number, once used, keeps its columns."""

    value: Schema

    def __post_init__(self) -> None:
        """Let the list share its columns with those before it."""
        object.__setattr__(self.value, "columns", _kept_once(self.value.columns))


class BookNotice(msgspec.Struct, tag="book", tag_field="notice", frozen=True):
    """The books of factors in force, whole; `digest` names the edition, `at_s` when it was told [s, UTC]."""

    digest: str
    factors: tuple[dict[str, str], ...]
    at_s: int = 0


class TariffNotice(msgspec.Struct, tag="tariff", tag_field="notice", frozen=True):
    """The tariffs in force, whole: hours by band, prices by band, and the calendar of the days."""

    digest: str
    hours: tuple[dict[str, str], ...]
    prices: tuple[dict[str, str], ...]
    days: tuple[dict[str, str], ...]
    at_s: int = 0


class RetentionNotice(msgspec.Struct, tag="retention", tag_field="notice", frozen=True):
    """Raw readings are kept from an instant on [ms, UTC], the start of a China month; told at `at_s` [s, UTC]."""

    begins_ms: int
    at_s: int


class RejectedRow(msgspec.Struct, frozen=True):
    """A row of a file that could not become a reading."""

    row: int
    reason: int
    point: str = ""
    text: str = ""
    parameters: dict[str, str] = {}


class RejectedNotice(msgspec.Struct, tag="rejected", tag_field="notice", frozen=True):
    """Rows of a file that were refused before the log; they enter the quarantine from here."""

    enterprise: str
    source: str
    received_at_s: int
    rows: tuple[RejectedRow, ...]


class ImportNotice(msgspec.Struct, tag="import", tag_field="notice", frozen=True):
    """An import ended: what it read and what became of it."""

    enterprise: str
    digest: str
    sequence_base: int
    file: str
    started_at_s: int
    rows: int
    readings: int
    repaired: int
    rejected: int


class LinkEvent(msgspec.Struct, frozen=True):
    """A change of a link's state as its collector saw it.

    Parameters
    ----------
    at_ms
        When it was seen [ms, UTC].
    kind
        Number of `nengliu.domain.links.LinkKind`.
    line, meter
        What it speaks of; both empty: the collector itself.
    reason
        Number of `Reason`: why it is down; 0 otherwise.
    since_ms
        Since when the state before lasted, for an end ("up again, was down since"); 0: not known.
    """

    at_ms: int
    kind: int
    line: str = ""
    meter: str = ""
    reason: int = 0
    since_ms: int = 0
    parameters: dict[str, str] = {}


class Missed(msgspec.Struct, frozen=True):
    """Due readings that could not be taken: of each of `points`, `count` of them in [first_ms, last_ms]."""

    first_ms: int
    last_ms: int
    count: int
    reason: int
    points: tuple[str, ...]
    parameters: dict[str, str] = {}


class LinkNotice(msgspec.Struct, tag="link", tag_field="notice", frozen=True):
    """What a collector saw that is no value: changes of its links, and due readings it could not take."""

    enterprise: str
    source: str
    sequence: int
    received_at_s: int
    events: tuple[LinkEvent, ...] = ()
    missed: tuple[Missed, ...] = ()


class WiredMeter(msgspec.Struct, frozen=True):
    """A meter of a line and the points it feeds."""

    meter: str
    points: tuple[str, ...]


class WiredLine(msgspec.Struct, frozen=True):
    """A line of a collector and its meters."""

    line: str
    meters: tuple[WiredMeter, ...]


class WiringNotice(msgspec.Struct, tag="wiring", tag_field="notice", frozen=True):
    """Which point hangs on which meter and line of a collector, whole; the newest position holds."""

    enterprise: str
    source: str
    lines: tuple[WiredLine, ...]


class ActionNotice(msgspec.Struct, tag="action", tag_field="notice", frozen=True):
    """What a person does about an incident.

    Parameters
    ----------
    action
        acknowledge, shelve, unshelve or close.
    by
        Login of the person.
    at_s
        When it was done [s, UTC].
    until_s
        End of a shelving [s, UTC]; 0 otherwise.
    """

    enterprise: str
    incident: str
    action: str
    by: str
    at_s: int
    reason: str = ""
    until_s: int = 0


class TickNotice(msgspec.Struct, tag="tick", tag_field="notice", frozen=True):
    """A partition's clock moves on though nobody sends."""

    at_s: int


class RegionNotice(msgspec.Struct, tag="region", tag_field="notice", frozen=True):
    """A region is (again) described; row and column are its place on the tile map."""

    region: str
    name: str
    name_en: str
    parent: str
    row: int
    column: int


class Target(msgspec.Struct, frozen=True):
    """What may be used in a period: ``metric`` energy_total or energy_intensity, period 2026 or 2026-03."""

    metric: str
    period: str
    value: float
    unit: str
    source: str


class TargetNotice(msgspec.Struct, tag="target", tag_field="notice", frozen=True):
    """Targets of an enterprise, or of the region itself where `enterprise` is empty."""

    enterprise: str
    region: str
    targets: tuple[Target, ...]


class Activity(msgspec.Struct, frozen=True):
    """What an enterprise did in a month (period 2026-03) or on a day (2026-03-15).

    Parameters
    ----------
    measure
        output_value, value_added, output, plan, staff or shifts; output and plan may name a product: ``output:cement``.
    value
        In `unit`; None takes back what was told before.
    source
        Who reported it, or the document it comes from.
    """

    measure: str
    period: str
    value: float | None
    unit: str
    source: str


class ActivityNotice(msgspec.Struct, tag="activity", tag_field="notice", frozen=True):
    """Output of an enterprise and what goes with it; of a repeated period the newest position holds.

    Parameters
    ----------
    origin
        entered (on a page or the command line), imported (a file), uploaded (another system) or simulated.
    by
        Login of the person; nothing where no person acted.
    at_s
        When it was entered [s, UTC]; 0: not told.
    """

    enterprise: str
    activities: tuple[Activity, ...]
    origin: str = "uploaded"
    by: str = ""
    at_s: int = 0


class Entered(msgspec.Struct, frozen=True):
    """One value a person read off or worked out.

    Parameters
    ----------
    read_at_ms
        When the meter showed it; of an amount the start of its interval [ms, UTC].
    value
        Decimal text: the register of a counter, the value otherwise.
    unit
        Unit of the value, of `schemas/codes/units.csv`.
    why
        Why it had to be entered by hand.
    """

    point: str
    read_at_ms: int
    value: str
    unit: str
    why: str


class EntryNotice(msgspec.Struct, tag="entry", tag_field="notice", frozen=True):
    """Values entered by hand: readings of origin and quality manual, with who entered them, when and why.

    Parameters
    ----------
    by
        Login of the person.
    at_s
        When they were entered [s, UTC]; the receipt of the readings.
    """

    enterprise: str
    by: str
    at_s: int
    rows: tuple[Entered, ...]


Notice = (
    EnterpriseNotice
    | PointNotice
    | SchemaNotice
    | BookNotice
    | TariffNotice
    | RetentionNotice
    | RejectedNotice
    | ImportNotice
    | LinkNotice
    | WiringNotice
    | ActionNotice
    | TickNotice
    | RegionNotice
    | TargetNotice
    | ActivityNotice
    | EntryNotice
)
