"""The watch over one shard: blocks and notices in, rows of incidents and their journal out.

Plain Python, no stream.  Its state is a function of the log prefix: `snapshot` gives it as a copy, and a
shard made from it goes on exactly there.  The clock of an enterprise is the newest receipt of anything it
sent, or a tick; between ticks far apart nobody watched, so nobody was silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.watch.access import Refusals, refusals
from nengliu.analysis.watch.actions import act
from nengliu.analysis.watch.detector import Findings
from nengliu.analysis.watch.diagnosis import track_of
from nengliu.analysis.watch.incident import Moment
from nengliu.analysis.watch.incidents import Incidents
from nengliu.analysis.watch.links import take_links
from nengliu.analysis.watch.lives import Sighting
from nengliu.analysis.watch.registry import detectors
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.silence import Back, Quiet, gaps, hear, limits, overdue
from nengliu.analysis.watch.slots import NEVER, Columns, Ints, SlotTable
from nengliu.analysis.watch.sweep import Index, Stream, Sweep, in_stream, sweep_of
from nengliu.analysis.watch.tree import Node, Tree
from nengliu.domain.causes import Evidence
from nengliu.domain.points import Kind
from nengliu.errors import LogRefused
from schemas.block import Block, Rows
from schemas.messages import ActionNotice, LinkNotice, Notice, PointNotice, TickNotice, WiringNotice

OVERDUE, HEARD, SEEN, REFUSED = range(4)
"""What happens at one place of the log, in this order."""


LAYOUT = 2
"""Number of the layout of a snapshot: another one is refused, and the log is replayed instead."""


class _Event(NamedTuple):
    """Something to be taken in at a place of the log: `place` in the block, then by kind and by `order`."""

    place: int
    kind: int
    order: tuple[Any, ...]
    what: Any


class _Clock(NamedTuple):
    """Clock of an enterprise along a block: seconds (ascending), and the places in the block where they stand."""

    clock_s: Ints
    places: Index
    position: Any

    def moment(self, at: int) -> Moment:
        """Moment at the n-th of its readings."""
        return Moment(int(self.position[self.places[at]]), int(self.clock_s[at]))

    def reach(self, second: int) -> int:
        """The first of its readings at which the clock has reached a second."""
        return int(np.searchsorted(self.clock_s, second))

    def after(self, at: int) -> Callable[[int], Moment]:
        """Moments at which the clock reaches a second, or the n-th reading where it has long done so."""
        return lambda second: self.moment(max(self.reach(second), at))


class WatchShard:
    """The watch over one shard; see the head of this file."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        settings: WatchSettings | None = None,
        state: object | None = None,
    ) -> None:
        """Start empty, or go on from a snapshot; the catalogue knows what was told before."""
        self.catalogue, self.settings = catalogue or Catalogue(), settings or WatchSettings()
        self.slots = SlotTable()
        self.tree = Tree(self.slots)
        self.incidents = Incidents(self.settings, self.slots, self.tree)
        self.clocks = Columns(now_s=("i8", NEVER))
        self._tick_s = 0
        self._known: set[str] = set()
        states: dict[str, Any] = {}
        if state is not None:
            _check_layout(state)
            assert isinstance(state, dict)
            self.slots.resume(state["slots"])
            self.tree.resume(state["tree"])
            self.incidents.resume(state["incidents"])
            self.clocks.resume(state["clocks"])
            self._tick_s, self._known, states = state["tick_s"], set(state["known"]), state["detectors"]
        self.logics = {name: d.build(states.get(name)) for name, d in detectors(self.settings).items()}

    def snapshot(self) -> object:
        """Copy of the state; pickles."""
        return {
            "layout": LAYOUT,
            "slots": self.slots.snapshot(),
            "tree": self.tree.snapshot(),
            "incidents": self.incidents.snapshot(),
            "clocks": self.clocks.snapshot(),
            "tick_s": self._tick_s,
            "known": sorted(self._known),
            "detectors": {name: logic.snapshot() for name, logic in self.logics.items()},
        }

    def add(self, block: Block) -> list[Rows]:
        """Take readings and evidence in; say the incidents that changed, and their journal."""
        if not len(block):
            return []
        self._know({enterprise for enterprise, _ in block.points}, int(block.position.min()))
        enterprises = np.array(
            [self.slots.enterprise(enterprise) for enterprise, _ in block.points], np.int32
        )
        numbers = np.array([self._number(point) for point in block.points], np.int32)
        self.clocks.fit(len(self.slots.enterprises))
        stream = in_stream(block, enterprises, self.clocks["now_s"])
        sweep = sweep_of(stream, self.slots, numbers)
        events = list(self._events(stream, sweep))
        position = block.position[stream.order]
        clocks = {
            number: _Clock(clock, places, position) for number, (clock, places) in stream.clocks().items()
        }
        quiets, backs = gaps(sweep, limits(self.slots, self.settings))
        self._learn(sweep, position, clocks)
        quiets += overdue(
            self.slots, limits(self.slots, self.settings), self.clocks["now_s"], np.array(list(clocks))
        )
        for back in backs:
            events.append(_Event(back.place, HEARD, (back.slot,), back))
        for quiet in quiets:
            clock = clocks[int(self.slots.facts["enterprise"][quiet.slot])]
            place = int(clock.places[clock.reach(quiet.deadline_s)])
            events.append(_Event(place, OVERDUE, (quiet.deadline_s, quiet.slot), quiet))
        self._happen(events, clocks)
        return self.incidents.rows()

    def take(self, notice: Notice, position: int) -> list[Rows]:
        """Take a notice in: of the catalogue, of links, of the clock, or of a person."""
        if isinstance(notice, TickNotice):
            self._tick(notice.at_s, position)
        elif isinstance(notice, LinkNotice):
            self._know({notice.enterprise}, position)
            number = self.slots.enterprise(notice.enterprise)
            self.clocks.fit(len(self.slots.enterprises))
            moment = self._advance(number, notice.received_at_s, position)
            take_links(notice, self.incidents, moment)
        elif isinstance(notice, ActionNotice):
            self._know({notice.enterprise}, position)
            act(notice, self.incidents, Moment(position, notice.at_s))
        else:
            self._catalogue(notice, position)
        return self.incidents.rows()

    # the catalogue

    def _catalogue(self, notice: Notice, position: int) -> None:
        if isinstance(notice, PointNotice | WiringNotice):
            value = notice.value if isinstance(notice, PointNotice) else notice
            self._know({value.enterprise}, position)
        self.catalogue.take(notice, position)
        if isinstance(notice, PointNotice):
            key = notice.value.enterprise, notice.value.point
            slot = self.slots.slot(key)
            self.slots.learn(slot, self.catalogue.points[key])
            self.clocks.fit(len(self.slots.enterprises))
            now_s = int(self.clocks["now_s"][self.slots.facts["enterprise"][slot]])
            if self.slots.facts["valid_to_s"][slot] <= now_s:
                self.incidents.retire(slot, Moment(position, now_s))
        elif isinstance(notice, WiringNotice):
            self.tree.wire(notice)

    def _know(self, enterprises: set[str], before: int) -> None:
        """At first sight of an enterprise take over what the catalogue knows of it (again after a resume)."""
        for enterprise in sorted(enterprises):
            self.catalogue.know(enterprise, before)
        for enterprise in sorted(enterprises - self._known):
            self._known.add(enterprise)
            for point in self.catalogue.names.get(enterprise, ()):
                key = enterprise, point
                self.slots.learn(self.slots.slot(key), self.catalogue.points[key])
            for notice in self.catalogue.wiring.get(enterprise, {}).values():
                self.tree.wire(notice)

    def _number(self, point: tuple[str, str]) -> int:
        slot = self.slots.find(point)
        return slot if slot is not None and self.slots.facts["known"][slot] else NEVER

    # readings

    def _events(self, stream: Stream, sweep: Sweep) -> Iterator[_Event]:
        """Evidence of all detectors (they learn afterwards), in runs, and what was refused."""
        position = stream.block.position[stream.order]
        for rank, logic in enumerate(self.logics.values()):
            for findings in logic.judge(sweep):
                for index, sighting in self._sightings(findings, position):
                    yield _Event(index, SEEN, (sighting.slot, rank, sighting.evidence), sighting)
        for refused in refusals(stream):
            last = Moment(int(position[refused.last]), int(stream.clock_s[refused.last]))
            yield _Event(refused.index, REFUSED, (refused.point, refused.reason), (refused, last))

    def _learn(self, sweep: Sweep, position: Any, clocks: dict[int, _Clock]) -> None:
        for logic in self.logics.values():
            logic.learn(sweep)
        hear(sweep, position)
        walk, trail = sweep.walk, self.slots.trail
        last = walk.last()
        slots = walk.slot[last]
        trail["since_ms"][slots] = np.where(walk.stays[last], walk.since_ms[last], walk.at_ms[last])
        for name, column in (("at_ms", walk.at_ms), ("ticks", walk.ticks), ("clock_s", walk.clock_s)):
            trail[name][slots] = column[last]
        for number, clock in clocks.items():
            self.clocks["now_s"][number] = clock.clock_s[-1]

    def _happen(self, events: list[_Event], clocks: dict[int, _Clock]) -> None:
        """Let events and timers happen in the order of the log."""
        events.sort(key=lambda event: event[:3])
        done = dict.fromkeys(clocks, 0)
        for event in events:
            number = self._enterprise_of(event)
            clock = clocks[number]
            at = int(np.searchsorted(clock.places, event.place))
            until = event.order[0] if event.kind == OVERDUE else int(clock.clock_s[at])
            self.incidents.fire(self.slots.enterprises[number], until, clock.after(done[number]))
            self._take_in(event, clock.moment(at))
            done[number] = at
        for number, clock in clocks.items():
            self.incidents.fire(
                self.slots.enterprises[number], int(clock.clock_s[-1]), clock.after(done[number])
            )

    def _enterprise_of(self, event: _Event) -> int:
        if event.kind == REFUSED:
            return self.slots.enterprise(event.what[0].point[0])
        return int(self.slots.facts["enterprise"][event.what.slot])

    def _take_in(self, event: _Event, moment: Moment) -> None:
        if isinstance(event.what, Quiet):
            self.incidents.fall_silent(event.what, moment)
        elif isinstance(event.what, Back):
            self.incidents.be_heard(event.what, moment)
        elif isinstance(event.what, Sighting):
            self.incidents.find(event.what, moment)
        else:
            refused, last = event.what
            self._refuse(refused, last, moment)

    def _refuse(self, refused: Refusals, last: Moment, moment: Moment) -> None:
        """What was refused speaks of its point, or of the enterprise where the point is not known."""
        slot = self._number(refused.point)
        parameters = {
            "reason": refused.reason.name,
            "point": refused.point[1],
            "seconds": str(refused.ahead_s),
        }
        sighting = Sighting(
            refused.evidence,
            slot,
            refused.at_ms,
            refused.at_ms,
            refused.until_ms,
            last,
            refused.count,
            parameters,
        )
        if slot >= 0 and refused.evidence is not Evidence.POINT_UNKNOWN:
            self.incidents.find(sighting, moment)
            return
        root = Node("enterprise", refused.point[0])
        incident = self.incidents.see(root, track_of(refused.evidence), [sighting], moment)
        if refused.point[1]:
            incident.members.add(refused.point[1])

    def _sightings(self, findings: Findings, position: Any) -> Iterator[tuple[int, Sighting]]:
        """Findings of one point in one message, without a longer pause between, as one sighting each."""
        slot, clock, sent = findings.slot, findings.clock_s, position[findings.index]
        paused = np.diff(clock) > self.settings.hold_s
        start = np.flatnonzero(np.append(True, (slot[1:] != slot[:-1]) | (sent[1:] != sent[:-1]) | paused))
        for first, end in zip(start.tolist(), [*start[1:].tolist(), len(slot)], strict=True):
            last = end - 1
            until = Moment(int(position[findings.index[last]]), int(clock[last]))
            since, until_ms = int(findings.since_ms[first]), int(findings.at_ms[last])
            number = int(slot[first])
            parameters = self._words(number, findings, first)
            yield (
                int(findings.index[first]),
                Sighting(
                    findings.evidence,
                    number,
                    int(findings.at_ms[first]),
                    since,
                    until_ms,
                    until,
                    end - first,
                    parameters,
                    findings.word,
                ),
            )

    def _words(self, slot: int, findings: Findings, row: int) -> dict[str, str]:
        """Parameters of a text: register readings and values in their units."""
        facts = self.catalogue.points.get(self.slots.points[slot])
        found = {}
        for name, column in findings.values.items():
            number = int(column[row])
            if name == "parent":
                found[name] = self.slots.points[number][1]
            elif facts is not None and name in ("before", "after", "value", "amount", "limit"):
                register = facts.point.kind is Kind.COUNTER and name in ("before", "after", "value")
                said = facts.services[-1].meter if register else facts.point
                found[name] = f"{Decimal(number).scaleb(-said.decimals):f} {said.unit}"
            else:
                found[name] = str(number)
        return found

    # the clock

    def _tick(self, at_s: int, position: int) -> None:
        away = self._tick_s and at_s - self._tick_s > self.settings.tick_gap_s
        self._tick_s = max(self._tick_s, at_s)
        if away:  # nobody watched: everybody's silence begins anew
            heard = self.slots.trail["seen_s"]
            heard[(heard >= 0) & ~self.slots.trail["quiet"]] = at_s
        self.clocks.fit(len(self.slots.enterprises))
        for number in range(len(self.slots.enterprises)):
            if self.clocks["now_s"][number] >= 0:
                self._advance(number, at_s, position)

    def _advance(self, number: int, at_s: int, position: int) -> Moment:
        """Move an enterprise's clock without a reading, and let happen what is due."""
        now_s = self.clocks["now_s"]
        now_s[number] = max(int(now_s[number]), at_s)
        moment, code = Moment(position, int(now_s[number])), self.slots.enterprises[number]
        some = np.array([number])
        for quiet in sorted(
            overdue(self.slots, limits(self.slots, self.settings), now_s, some),
            key=lambda q: (q.deadline_s, q.slot),
        ):
            self.incidents.fire(code, quiet.deadline_s, lambda _: moment)
            self.incidents.fall_silent(quiet, moment)
        self.incidents.fire(code, moment.clock_s, lambda _: moment)
        return moment


def _check_layout(state: object) -> None:
    """Refuse a snapshot of another layout: nothing in it could be trusted, and the log says it all again."""
    found = state.get("layout", 1) if isinstance(state, dict) else None
    if found != LAYOUT:
        raise LogRefused(
            f"the recovery store holds a state of the watch of layout {found}, this version reads {LAYOUT}; "
            "stop the flow, remove its folder below recovery and start it again: it replays the log to the same rows"
        )
