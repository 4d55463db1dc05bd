"""The lives of incidents: how evidence opens, changes and ends them, what time does to them, and what is written of it.

Evidence of one class at one root is one incident while it lasts and for a while after (`hold_s`).
Everything happens at a place of the log (`Moment`): timers run by the enterprise's clock and fire at the
first reading that reaches them, however batches are cut.

Source: ISA-18.2 (states, shelving, journal); TC 4.5.12; design.md law 7.
"""

from __future__ import annotations

import heapq
import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from nengliu.analysis.watch.detector import Word
from nengliu.analysis.watch.diagnosis import TABLE, cause_after
from nengliu.analysis.watch.incident import Entry, Incident, Moment, Seen, journal_of, name_of, rows_of
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.silence import limits
from nengliu.analysis.watch.slots import NEVER, SlotTable
from nengliu.analysis.watch.tree import Node, Tree
from nengliu.domain.causes import CauseClass, Evidence
from schemas.block import Rows

SILENT = {
    Evidence.COLLECTOR_QUIET,
    Evidence.COLLECTOR_STOPPED,
    Evidence.LINE_QUIET,
    Evidence.LINE_DOWN,
    Evidence.METER_QUIET,
    Evidence.METER_DOWN,
}
"""Evidence that nothing comes."""
LASTS = SILENT | {Evidence.ANSWER_DAMAGED, Evidence.METER_REFUSES}
"""Evidence that lasts until its end is told; all other is over when it stays away."""
AFTERWARDS = {Evidence.CAME_LATE, Evidence.BACKFILLED, Evidence.CONTRADICTED}
"""Evidence that belongs to the silence before it and does not begin it again."""
Locate = Callable[[int], Moment]
"""The moment at which the clock reaches a second."""


class Sighting(NamedTuple):
    """Evidence of one kind at one point, once or in a run without a longer pause."""

    evidence: Evidence
    slot: int
    at_ms: int
    since_ms: int
    until_ms: int
    last: Moment
    times: int
    parameters: dict[str, str]
    word: Word = Word.OPENS


@dataclass(slots=True)
class Stop:
    """Something that stands: what was said of it, when first; whether long enough, and whether its neighbours run."""

    sighting: Sighting
    known_s: int
    full: bool = False
    runs: bool = True

    @property
    def last_s(self) -> int:
        """The clock when it was said last."""
        return self.sighting.last.clock_s

    def add(self, more: Sighting) -> None:
        """Take one more sighting in."""
        mine = self.sighting
        until_ms, times = max(mine.until_ms, more.until_ms), mine.times + more.times
        self.sighting = mine._replace(until_ms=until_ms, last=max(mine.last, more.last), times=times)
        self.full |= more.word is Word.OPENS
        self.runs = True


class Lives:
    """Incidents of a shard by name and by root, with their timers and their journal; see the head of this file."""

    def __init__(self, settings: WatchSettings, slots: SlotTable, tree: Tree) -> None:
        """Start with none; `on` says what a timer does (its name is stored)."""
        self.settings, self.slots, self.tree = settings, slots, tree
        self.by_id: dict[str, Incident] = {}
        self.by_root: dict[tuple[Node, str], str] = {}
        self.tokens: dict[str, str] = {}
        self.quiet: dict[int, int] = {}
        self.powerless: set[Node] = set()
        self.waiting: dict[tuple[Node, Evidence], list[Sighting]] = {}
        self.down: dict[Node, list[Sighting]] = {}
        self.stops: dict[tuple[str, Evidence], dict[Node, Stop]] = {}
        self.timers: dict[str, list[tuple[int, str, tuple[Any, ...]]]] = {}
        self.on: dict[str, Callable[..., None]] = {
            "end": self._on_end,
            "fold": self._on_fold,
            "forget": self._on_forget,
            "unshelve": self._on_unshelve,
        }
        self._entries: list[Entry] = []
        self._items: dict[str, tuple[int, int]] = {}
        self._touched: dict[str, Incident] = {}

    def snapshot(self) -> object:
        """Copy of everything."""
        state = (
            self.by_id,
            self.by_root,
            self.tokens,
            self.quiet,
            self.waiting,
            self.down,
            self.stops,
            self.timers,
        )
        return pickle.dumps(state)

    def resume(self, state: Any) -> None:
        """Go on with what `snapshot` gave."""
        kept = pickle.loads(state)  # noqa: S301 - our own
        (
            self.by_id,
            self.by_root,
            self.tokens,
            self.quiet,
            self.waiting,
            self.down,
            self.stops,
            self.timers,
        ) = kept
        self.powerless = {root for root, track in self.by_root if track == CauseClass.POWER}

    def rows(self) -> list[Rows]:
        """Rows of what changed since they were asked for last."""
        found = []
        if self._touched:
            found.append(rows_of(list(self._touched.values()), self.settings.evidence_kept))
        if self._entries:
            found.append(journal_of(self._entries))
        self._entries, self._items, self._touched = [], {}, {}
        return found

    def fire(self, enterprise: str, until_s: int, locate: Locate) -> None:
        """Let everything happen that the clock reaches until a second, in order."""
        heap = self.timers.get(enterprise)
        while heap and heap[0][0] <= until_s:
            deadline, kind, arguments = heapq.heappop(heap)
            moment = locate(deadline)
            self.on[kind](moment, *arguments)

    # evidence

    def see(
        self, root: Node, track: str, sightings: list[Sighting], moment: Moment, tokens: Iterable[str] = ()
    ) -> Incident:
        """Open an incident at a root, or take evidence into the one that is there."""
        incident = self.standing(root, track)
        if incident is None:
            incident = self._open(root, track, sightings[0], moment)
        elif not incident.active:
            self._reopen(incident, moment)
        for sighting in sightings:
            self._take(incident, sighting, moment)
        for token in tokens:
            incident.tokens.add(token)
            self.tokens[token] = incident.incident
        if not incident.tokens:
            self._hold(incident)
        return incident

    def standing(self, root: Node, track: str) -> Incident | None:
        """The incident of a class at a root that lasts or ended a short while ago."""
        return self.by_id.get(self.by_root.get((root, track), ""))

    # the life of an incident

    def _open(self, root: Node, track: str, first: Sighting, moment: Moment) -> Incident:
        cause = TABLE[None][first.evidence]
        name = name_of(root, moment.position, track)
        incident = Incident(name, root, cause, first.since_ms, moment.clock_s, set())
        self.by_id[name], self.by_root[root, track] = incident, name
        if track == CauseClass.POWER:
            self.powerless.add(root)
        self._say(incident, "opened", moment, {"evidence": first.evidence.value, **first.parameters})
        return incident

    def _take(self, incident: Incident, sighting: Sighting, moment: Moment) -> None:
        evidence = sighting.evidence
        cause = cause_after(incident.cause, evidence)
        if cause is not None and cause is not incident.cause:
            before, incident.cause = incident.cause, cause
            self._say(
                incident, "reclassified", moment, {"evidence": evidence.value, "before": str(int(before))}
            )
        elif incident.seen and evidence not in incident.seen:
            self._say(incident, "updated", moment, {"evidence": evidence.value, **sighting.parameters})
        seen = incident.seen.get(evidence)
        if seen is None:
            incident.seen[evidence] = Seen(evidence, sighting.at_ms, sighting.parameters, sighting.times)
        else:
            seen.count += sighting.times
        if sighting.slot >= 0:
            incident.members.add(self.slots.points[sighting.slot][1])
        incident.count += sighting.times
        if evidence not in AFTERWARDS:
            incident.opened_ms = min(incident.opened_ms, sighting.since_ms)
        incident.until_ms = max(incident.until_ms, sighting.until_ms)
        if evidence not in LASTS:
            hold_s = self.settings.holes_hold_s if evidence is Evidence.HOLES else self.settings.hold_s
            incident.hold_s = max(incident.hold_s, sighting.last.clock_s + hold_s)
        self._touch(incident, max(moment, sighting.last))

    def _hold(self, incident: Incident) -> None:
        """Let it end when its evidence stays away; one timer at a time."""
        if not incident.timer_s:
            incident.timer_s = incident.hold_s
            self.set_timer(incident.root.enterprise, incident.hold_s, "end", incident.incident)

    def patience(self, slot: int) -> int:
        """How long a point that is overdue waits for its neighbours [s]."""
        limit = int(limits(self.slots, self.settings)[slot])
        interval = int(self.slots.facts["interval_s"][slot] * self.settings.gather_intervals)
        return max(interval, int(limit * self.settings.gather_share))

    def _on_end(self, moment: Moment, name: str) -> None:
        incident = self.by_id.get(name)
        if incident is None:
            return
        incident.timer_s = 0
        if not incident.active or incident.tokens:
            return
        if moment.clock_s < incident.hold_s:
            self._hold(incident)
        else:
            self.clear(incident, incident.until_ms, moment)

    def clear(self, incident: Incident, cleared_ms: int, moment: Moment, *, lonely: bool = True) -> None:
        """What it says is over; points below that are still silent are so on their own (`lonely`)."""
        if not incident.active:
            return
        self._let_go(incident, moment if lonely else None)
        incident.cleared_ms, incident.cleared_s = max(cleared_ms, incident.opened_ms), moment.clock_s
        self._say(incident, "cleared", moment, {})
        self.set_timer(
            incident.root.enterprise, moment.clock_s + self.settings.hold_s, "fold", incident.incident
        )
        self.set_timer(
            incident.root.enterprise, moment.clock_s + self.settings.forget_s, "forget", incident.incident
        )
        if incident.acknowledged_s:
            self.close(incident, moment, "", fold=True)
        self._touch(incident, moment)

    def close(
        self, incident: Incident, moment: Moment, by: str, *, reason: str = "", fold: bool = False
    ) -> None:
        """Nothing more is to be done about it; with `fold` the same evidence may still begin it again."""
        incident.closed_s, incident.closed_by = moment.clock_s, by
        self._say(incident, "closed", moment, {"reason": reason} if reason else {}, by)
        self._touch(incident, moment)
        if not fold:
            self._leave(incident)
            del self.by_id[incident.incident]

    def folds(self, incident: Incident) -> bool:
        """Whether new evidence at its root would still begin it again."""
        return incident.incident in self.by_root.values()

    def _let_go(self, incident: Incident, moment: Moment | None) -> None:
        """Nothing silent holds it open any more; from a moment on, what is still silent is so on its own."""
        for token in sorted(incident.tokens):
            if self.tokens.get(token) == incident.incident:
                del self.tokens[token]
            slot = int(token.split()[1]) if token.startswith("quiet ") else NEVER
            if moment is not None and slot in self.quiet:
                patience = int(limits(self.slots, self.settings)[slot]) + self.patience(slot)
                self.set_timer(slot, moment.clock_s + patience, "alone", slot, self.quiet[slot])
        incident.tokens = set()

    def release(self, incident: Incident) -> None:
        """Nothing holds it open any more."""
        self._let_go(incident, None)

    def wake(self, incident: Incident, at_s: int) -> None:
        """Look at a shelved incident again."""
        self.set_timer(incident.root.enterprise, at_s, "unshelve", incident.incident)

    def _reopen(self, incident: Incident, moment: Moment) -> None:
        incident.cleared_ms = incident.cleared_s = incident.acknowledged_s = incident.closed_s = 0
        incident.acknowledged_by = incident.closed_by = ""
        self._touch(incident, moment)
        self._say(incident, "reopened", moment, {})

    def _leave(self, incident: Incident) -> None:
        for key in [key for key, name in self.by_root.items() if name == incident.incident]:
            del self.by_root[key]
        self.powerless.discard(incident.root)

    def _on_fold(self, moment: Moment, name: str) -> None:
        incident = self.by_id.get(name)
        if incident is None or incident.active or moment.clock_s < incident.cleared_s + self.settings.hold_s:
            return
        self._leave(incident)
        if incident.closed_s:
            del self.by_id[name]

    def _on_forget(self, moment: Moment, name: str) -> None:
        incident = self.by_id.get(name)
        if (
            incident is not None
            and incident.cleared_s
            and moment.clock_s >= incident.cleared_s + self.settings.forget_s
        ):
            self.close(incident, moment, "")

    def _on_unshelve(self, moment: Moment, name: str) -> None:
        incident = self.by_id.get(name)
        if incident is not None and 0 < incident.shelved_until <= moment.clock_s:
            incident.shelved_until, incident.shelve_reason = 0, ""
            self.say(incident, "unshelved", moment, {})

    # the record

    def say(
        self, incident: Incident, what: str, moment: Moment, parameters: dict[str, str], by: str = ""
    ) -> None:
        """Write a line of the journal."""
        self._say(incident, what, moment, parameters, by)
        self._touch(incident, moment)

    def refuse(self, enterprise: str, name: str, moment: Moment, parameters: dict[str, str], by: str) -> None:
        """Write that an action could not be taken."""
        self._enter(
            Entry(
                enterprise,
                name,
                moment.position,
                0,
                moment.clock_s * 1000,
                "refused",
                by,
                0,
                _json(parameters),
            )
        )

    def _say(
        self, incident: Incident, what: str, moment: Moment, parameters: dict[str, str], by: str = ""
    ) -> None:
        at_ms, cause = moment.clock_s * 1000, int(incident.cause)
        root, name = incident.root, incident.incident
        self._enter(
            Entry(root.enterprise, name, moment.position, 0, at_ms, what, by, cause, _json(parameters))
        )

    def _enter(self, entry: Entry) -> None:
        position, item = self._items.get(entry.incident, (NEVER, 0))
        item = item + 1 if position == entry.position else 0
        self._items[entry.incident] = entry.position, item
        self._entries.append(entry._replace(item=item))

    def _touch(self, incident: Incident, moment: Moment) -> None:
        incident.settle()
        incident.updated_s = max(incident.updated_s, moment.clock_s)
        incident.revision = max(incident.revision, moment.position)
        self._touched[incident.incident] = incident

    def set_timer(self, where: int | str, at_s: int, kind: str, *arguments: Any) -> None:
        """Let something happen when the clock of an enterprise (or of a slot's) reaches a second."""
        enterprise = where if isinstance(where, str) else self.slots.points[where][0]
        heapq.heappush(self.timers.setdefault(enterprise, []), (at_s, kind, arguments))


def _json(parameters: dict[str, str]) -> str:
    return json.dumps(parameters, ensure_ascii=False, sort_keys=True)
