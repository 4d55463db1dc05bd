"""Incidents of a shard: evidence opens, changes and ends them; one root, one incident.

Evidence of one class at one root is one incident while it lasts and for a while after (`hold_s`).
What concerns one meter waits for its neighbours, so that one cause becomes one incident; a parent that is
silent takes its children in.  Everything happens at a place of the log (`Moment`): timers run
by the enterprise's clock and fire at the first reading that reaches them, however batches are cut.

Source: TC 4.5.12 with its comment (many alarms hide the important one); ISA-18.2; domain.md 6.2.
"""

from __future__ import annotations

import heapq
import json
import math
import pickle
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from nengliu.analysis.watch.diagnosis import TABLE, cause_after, track_of
from nengliu.analysis.watch.incident import Entry, Incident, Moment, Seen, journal_of, name_of, rows_of
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.silence import Back, Quiet, limits
from nengliu.analysis.watch.slots import NEVER, SlotTable
from nengliu.analysis.watch.tree import Node, Tree
from nengliu.domain.causes import Cause, CauseClass, Evidence
from schemas.block import Rows

LINK = CauseClass.LINK
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
QUIET = {"collector": Evidence.COLLECTOR_QUIET, "enterprise": Evidence.COLLECTOR_QUIET, "line": Evidence.LINE_QUIET}
_STILL = {Cause.STUCK, Cause.CONSTANT}
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
    count: int
    parameters: dict[str, str]


class Incidents:
    """Incidents of a shard and everything that waits to become one; see the head of this file."""

    def __init__(self, settings: WatchSettings, slots: SlotTable, tree: Tree) -> None:
        """Start with none."""
        self.settings, self.slots, self.tree = settings, slots, tree
        self.by_id: dict[str, Incident] = {}
        self.by_root: dict[tuple[Node, str], str] = {}
        self.tokens: dict[str, str] = {}
        self.quiet: dict[int, int] = {}
        self.powerless: set[Node] = set()
        self.waiting: dict[tuple[Node, Evidence], list[Sighting]] = {}
        self.timers: dict[str, list[tuple[int, str, tuple[Any, ...]]]] = {}
        self._entries: list[Entry] = []
        self._items: dict[str, tuple[int, int]] = {}
        self._touched: dict[str, Incident] = {}

    def snapshot(self) -> object:
        """Copy of everything."""
        state = self.by_id, self.by_root, self.tokens, self.quiet, self.waiting, self.timers
        return pickle.dumps(state)

    def resume(self, state: Any) -> None:
        """Go on with what `snapshot` gave."""
        self.by_id, self.by_root, self.tokens, self.quiet, self.waiting, self.timers = pickle.loads(state)  # noqa: S301 - our own
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
            if kind == "alone":
                self._on_alone(moment, *arguments)
            elif kind == "ripe":
                self._on_ripe(moment, *arguments)
            else:
                _ON[kind](self, moment, *arguments)

    # what is seen

    def find(self, sighting: Sighting, moment: Moment) -> None:
        """Take evidence in."""
        evidence, slot = sighting.evidence, sighting.slot
        track = track_of(evidence)
        leaf = self.tree.leaf(slot)
        if evidence is Evidence.CAUGHT_UP:
            self._catch_up(leaf, sighting, moment)
        elif track is LINK:
            self._of_the_way(leaf, sighting, moment)
        elif track is CauseClass.POWER:
            self.see(self.tree.point(self._supply(slot)), track, [sighting], moment)
        elif track is not CauseClass.METER or not self._without_power(slot):
            self.see(leaf, track, [sighting], moment)

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

    def silent(self, chain: Iterable[Node]) -> Incident | None:
        """The incident that says of the first of these nodes that nothing comes."""
        for node in chain:
            incident = self.standing(node, LINK)
            if incident is not None and incident.active and incident.tokens:
                return incident
        return None

    # silence

    def fall_silent(self, quiet: Quiet, moment: Moment) -> None:
        """A point is overdue: its collector if all its points are, else its line or itself after some patience."""
        slot = quiet.slot
        self.quiet[slot] = quiet.since_s
        if self._join_silence(slot, moment):
            return
        top = self.tree.chain(slot)[0]
        if (top.kind == "collector" or self.tree.leaves(top) > 1) and self._all_quiet(top, moment):
            self._be_silent(top, moment)
            return
        self._set(slot, quiet.deadline_s + self._patience(slot), "alone", slot, quiet.since_s)

    def be_heard(self, back: Back, moment: Moment) -> None:
        """A point is heard again: so its parents live, and whoever is still silent is so on its own."""
        self.quiet.pop(back.slot, None)
        token = f"quiet {back.slot}"
        incident = self.by_id.get(self.tokens.get(token, ""))
        if incident is None:
            return
        if back.slot not in self.tree.below(incident.root):
            del self.tokens[token]
            incident.tokens.discard(token)
        else:
            self.end(incident, back.clock_s * 1000, moment)

    def end(self, incident: Incident, at_ms: int, moment: Moment) -> None:
        """Something comes again: the incident is over, unless other evidence is too young for that."""
        if moment.clock_s >= incident.hold_s:
            self.clear(incident, at_ms, moment)
            return
        self._let_go(incident, moment)
        incident.until_ms = max(incident.until_ms, at_ms)
        self._hold(incident)

    def _on_alone(self, moment: Moment, slot: int, since_s: int) -> None:
        if self.quiet.get(slot) != since_s or self._join_silence(slot, moment):
            return
        lines = [node for node in self.tree.chain(slot) if node.kind == "line" and self.tree.leaves(node) > 1]
        nodes = (*lines, self.tree.leaf(slot))
        self._be_silent(
            next((node for node in nodes if self._all_quiet(node, moment)), self.tree.point(slot)), moment
        )

    def _join_silence(self, slot: int, moment: Moment) -> bool:
        incident = self.silent((*self.tree.hosts(slot), self.tree.point(slot)))
        if incident is None:
            return False
        name = self.slots.points[slot][1]
        if name not in incident.members:
            incident.members.add(name)
            self._say(incident, "joined", moment, {"point": name})
        incident.tokens.add(f"quiet {slot}")
        self.tokens[f"quiet {slot}"] = incident.incident
        self._touch(incident, moment)
        return True

    def _be_silent(self, node: Node, moment: Moment) -> None:
        slots = [slot for slot in self.tree.below(node).tolist() if slot in self.quiet]
        since_ms = max(self.quiet[slot] for slot in slots) * 1000
        tokens = [f"quiet {slot}" for slot in slots]
        old = {self.tokens[token] for token in tokens if token in self.tokens}
        evidence = QUIET.get(node.kind, Evidence.METER_QUIET)
        parameters = {"points": str(len(slots))}
        sightings = [
            Sighting(evidence, slot, since_ms, since_ms, since_ms, moment, int(slot == slots[0]), parameters)
            for slot in slots
        ]
        incident = self.see(node, LINK, sightings, moment, tokens)
        self.absorb(incident, moment, old)

    def absorb(self, parent: Incident, moment: Moment, children: Iterable[str] = ()) -> None:
        """Let a silent parent explain what its children's incidents say: they end in it."""
        below = {root for slot in self.tree.below(parent.root).tolist() for root in (self.tree.leaf(slot), self.tree.point(slot))}
        below |= {node for slot in self.tree.below(parent.root).tolist() for node in self.tree.chain(slot)}
        own = {self.by_root.get((root, LINK), "") for root in below if root.kind in ("line", "meter", "point")}
        for name in sorted({*children, *own} - {parent.incident, ""}):
            child = self.by_id.get(name)
            if child is None or not child.active or not child.seen.keys() & SILENT or child.root.kind == "collector":
                continue
            parent.members |= child.members
            self._say(child, "joined", moment, {"incident": parent.incident})
            child.tokens = {token for token in child.tokens if self.tokens.get(token) == child.incident}
            self.clear(child, moment.clock_s * 1000, moment, lonely=False)
            self.close(child, moment, "")

    def _all_quiet(self, node: Node, moment: Moment) -> bool:
        """Whether nothing comes of a node: of all its points that have spoken and exist, those with an interval if any."""
        slots = self.tree.below(node)
        facts, trail = self.slots.facts, self.slots.trail
        there = facts["known"][slots] & (trail["born"][slots] <= moment.position)
        slots = slots[there & (facts["valid_to_s"][slots] > moment.clock_s)]
        due = slots[facts["interval_s"][slots] > 0]
        quorum = (due if len(due) else slots).tolist()
        return bool(quorum) and all(slot in self.quiet for slot in quorum)

    def _patience(self, slot: int) -> int:
        limit = int(limits(self.slots, self.settings)[slot])
        interval = int(self.slots.facts["interval_s"][slot] * self.settings.gather_intervals)
        return max(interval, int(limit * self.settings.gather_share))

    # evidence of the way

    def _of_the_way(self, leaf: Node, sighting: Sighting, moment: Moment) -> None:
        if self._join(leaf, sighting, moment) or sighting.evidence not in TABLE[None]:
            return
        key = leaf, sighting.evidence
        if key not in self.waiting:
            wait = self._patience(sighting.slot)
            self._set(sighting.slot, moment.clock_s + wait, "ripe", leaf, sighting.evidence)
        self.waiting.setdefault(key, []).append(sighting)

    def _on_ripe(self, moment: Moment, leaf: Node, evidence: Evidence) -> None:
        """What waited for its neighbours becomes an incident: of the parent if most of its meters show it."""
        sightings = self.waiting.pop((leaf, evidence), [])
        left = [sighting for sighting in sightings if not self._join(leaf, sighting, moment)]
        if not left:
            return
        for node in self.tree.chain(left[0].slot):
            if node == leaf:
                break
            mates = [key for key in self.waiting if key[1] is evidence and node in self._above(key)]
            enough = max(2, math.ceil(self.settings.share_of_parent * self.tree.leaves(node)))
            if len(mates) + 1 >= enough:
                for key in mates:
                    left += self.waiting.pop(key)
                self.see(node, LINK, left, moment)
                return
        self.see(leaf, LINK, left, moment)

    def _above(self, key: tuple[Node, Evidence]) -> tuple[Node, ...]:
        return self.tree.chain(self.waiting[key][0].slot)

    def _join(self, leaf: Node, sighting: Sighting, moment: Moment) -> bool:
        """Whether an incident of the way takes this evidence in: at the meter itself, or above it for the same reason."""
        evidence = sighting.evidence
        for node in dict.fromkeys((*self.tree.hosts(sighting.slot), leaf)):
            incident = self.standing(node, LINK)
            if incident is None:
                continue
            after = evidence in AFTERWARDS and bool(incident.seen.keys() & SILENT)
            if not (node == leaf or after or evidence in incident.seen):
                continue
            if after or evidence not in TABLE[None]:
                self._take(incident, sighting, moment)
            else:
                self.see(node, LINK, [sighting], moment)
            return True
        return False

    def _catch_up(self, leaf: Node, sighting: Sighting, moment: Moment) -> None:
        """A standstill that was caught up was an old value on the way."""
        incident = self.standing(leaf, CauseClass.METER)
        if incident is not None and incident.cause in _STILL:
            self._take(incident, sighting, moment)
            if incident.active:
                self.clear(incident, sighting.until_ms, moment)
        else:
            self.see(leaf, LINK, [sighting], moment)

    # power

    def _supply(self, slot: int) -> int:
        parent = int(self.slots.facts["parent"][slot])
        for _ in range(64):
            if parent == NEVER:
                break
            slot, parent = parent, int(self.slots.facts["parent"][parent])
        return slot

    def _without_power(self, slot: int) -> bool:
        """Whether a power loss explains what a meter shows."""
        enterprise, place = self.slots.points[slot][0], self.slots.places.get(slot, "")
        for root in self.powerless:
            above = self.slots.find((enterprise, root.point))
            if root.enterprise == enterprise and above is not None and place.startswith(self.slots.places[above]):
                return True
        return False

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
            self._say(incident, "reclassified", moment, {"evidence": evidence.value, "before": str(int(before))})
        elif incident.seen and evidence not in incident.seen:
            self._say(incident, "updated", moment, {"evidence": evidence.value, **sighting.parameters})
        seen = incident.seen.get(evidence)
        if seen is None:
            incident.seen[evidence] = Seen(evidence, sighting.at_ms, sighting.parameters, sighting.count)
        else:
            seen.count += sighting.count
        if sighting.slot >= 0:
            incident.members.add(self.slots.points[sighting.slot][1])
        incident.count += sighting.count
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
            self._set(incident.root.enterprise, incident.hold_s, "end", incident.incident)

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
        self._set(incident.root.enterprise, moment.clock_s + self.settings.hold_s, "fold", incident.incident)
        self._set(incident.root.enterprise, moment.clock_s + self.settings.forget_s, "forget", incident.incident)
        if incident.acknowledged_s:
            self.close(incident, moment, "", fold=True)
        self._touch(incident, moment)

    def close(self, incident: Incident, moment: Moment, by: str, *, fold: bool = False) -> None:
        """Nothing more is to be done about it; with `fold` the same evidence may still begin it again."""
        incident.closed_s, incident.closed_by = moment.clock_s, by
        self._say(incident, "closed", moment, {}, by)
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
                patience = int(limits(self.slots, self.settings)[slot]) + self._patience(slot)
                self._set(slot, moment.clock_s + patience, "alone", slot, self.quiet[slot])
        incident.tokens = set()

    def release(self, incident: Incident) -> None:
        """Nothing holds it open any more."""
        self._let_go(incident, None)

    def wake(self, incident: Incident, at_s: int) -> None:
        """Look at a shelved incident again."""
        self._set(incident.root.enterprise, at_s, "unshelve", incident.incident)

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
        if incident is not None and incident.cleared_s and moment.clock_s >= incident.cleared_s + self.settings.forget_s:
            self.close(incident, moment, "")

    def _on_unshelve(self, moment: Moment, name: str) -> None:
        incident = self.by_id.get(name)
        if incident is not None and 0 < incident.shelved_until <= moment.clock_s:
            incident.shelved_until, incident.shelve_reason = 0, ""
            self.say(incident, "unshelved", moment, {})

    # the record

    def say(self, incident: Incident, what: str, moment: Moment, parameters: dict[str, str], by: str = "") -> None:
        """Write a line of the journal."""
        self._say(incident, what, moment, parameters, by)
        self._touch(incident, moment)

    def refuse(self, enterprise: str, name: str, moment: Moment, parameters: dict[str, str], by: str) -> None:
        """Write that an action could not be taken."""
        self._enter(enterprise, name, moment, "refused", by, 0, parameters)

    def _say(self, incident: Incident, what: str, moment: Moment, parameters: dict[str, str], by: str = "") -> None:
        self._enter(incident.root.enterprise, incident.incident, moment, what, by, int(incident.cause), parameters)

    def _enter(
        self, enterprise: str, name: str, moment: Moment, what: str, by: str, cause: int, parameters: dict[str, str]
    ) -> None:
        position, item = self._items.get(name, (NEVER, 0))
        item = item + 1 if position == moment.position else 0
        self._items[name] = moment.position, item
        text = json.dumps(parameters, ensure_ascii=False, sort_keys=True)
        self._entries.append(
            Entry(enterprise, name, moment.position, item, moment.clock_s * 1000, what, by, cause, text)
        )

    def _touch(self, incident: Incident, moment: Moment) -> None:
        incident.settle()
        incident.updated_s = max(incident.updated_s, moment.clock_s)
        incident.revision = max(incident.revision, moment.position)
        self._touched[incident.incident] = incident

    def _set(self, where: int | str, at_s: int, kind: str, *arguments: Any) -> None:
        enterprise = where if isinstance(where, str) else self.slots.points[where][0]
        heapq.heappush(self.timers.setdefault(enterprise, []), (at_s, kind, arguments))


_ON: dict[str, Callable[[Incidents, Moment, str], None]] = {
    "end": Incidents._on_end,
    "fold": Incidents._on_fold,
    "forget": Incidents._on_forget,
    "unshelve": Incidents._on_unshelve,
}
"""What a timer does; its name is stored."""
