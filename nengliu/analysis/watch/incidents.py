"""Incidents of a shard: where evidence belongs, so that one cause becomes one incident.

A parent that is silent takes its children in; what concerns one meter waits for its neighbours; data
that come after a silence belong to it.  What then becomes of an incident is told in `lives`.

Source: TC 4.5.12 with its comment (many alarms hide the important one); domain.md 6.2 (one root cause, one alarm).
"""

from __future__ import annotations

import math

from nengliu.analysis.watch.diagnosis import TABLE, track_of
from nengliu.analysis.watch.incident import Moment
from nengliu.analysis.watch.lives import AFTERWARDS, SILENT, Sighting
from nengliu.analysis.watch.outages import LINK, Outages
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.silence import Back, Quiet
from nengliu.analysis.watch.slots import SlotTable
from nengliu.analysis.watch.stops import STANDS, Stops
from nengliu.analysis.watch.tree import Node, Tree
from nengliu.domain.causes import Cause, CauseClass, Evidence

QUIET = {
    "collector": Evidence.COLLECTOR_QUIET,
    "enterprise": Evidence.COLLECTOR_QUIET,
    "line": Evidence.LINE_QUIET,
}
_STILL = {Cause.STUCK, Cause.CONSTANT}


class Incidents(Stops, Outages):
    """Incidents of a shard and everything that waits to become one; see the head of this file."""

    def __init__(self, settings: WatchSettings, slots: SlotTable, tree: Tree) -> None:
        """Start with none."""
        super().__init__(settings, slots, tree)
        self.on |= {
            "alone": self._on_alone,
            "ripe": self._on_ripe,
            "settled": self._on_settled,
            "down": self._on_down,
        }

    def find(self, sighting: Sighting, moment: Moment) -> None:
        """Take evidence in."""
        evidence, slot = sighting.evidence, sighting.slot
        track = track_of(evidence)
        leaf = self.tree.leaf(slot)
        if evidence is Evidence.CAUGHT_UP:
            self._catch_up(leaf, sighting, moment)
        elif evidence in STANDS:
            self.stand(leaf, sighting, moment)
        elif track is LINK:
            self._of_the_way(leaf, sighting, moment)
        elif track is CauseClass.POWER:
            self.see(self.tree.point(self.supply(slot)), track, [sighting], moment)
        elif track is not CauseClass.METER or not self.without_power(slot):
            self.see(leaf, track, [sighting], moment)

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
        self.set_timer(slot, quiet.deadline_s + self.patience(slot), "alone", slot, quiet.since_s)

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

    def _all_quiet(self, node: Node, moment: Moment) -> bool:
        """Whether nothing comes of a node: of all its points that have spoken, those with an interval if any."""
        slots = self.tree.below(node)
        facts, trail = self.slots.facts, self.slots.trail
        there = facts["known"][slots] & (trail["born"][slots] <= moment.position)
        slots = slots[there & (facts["valid_to_s"][slots] > moment.clock_s)]
        due = slots[facts["interval_s"][slots] > 0]
        quorum = (due if len(due) else slots).tolist()
        return bool(quorum) and all(slot in self.quiet for slot in quorum)

    # evidence of the way

    def _of_the_way(self, leaf: Node, sighting: Sighting, moment: Moment) -> None:
        if self._join(leaf, sighting, moment) or sighting.evidence not in TABLE[None]:
            return
        key = leaf, sighting.evidence
        if key not in self.waiting:
            wait = self.patience(sighting.slot)
            self.set_timer(sighting.slot, moment.clock_s + wait, "ripe", leaf, sighting.evidence)
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
        """Whether an incident of the way takes this evidence in: at the meter, or above it for the same reason."""
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
        for node in (*self.tree.chain(sighting.slot), leaf):
            incident = self.standing(node, CauseClass.METER)
            if incident is None:
                continue
            if incident.cause in _STILL or (sighting.evidence in incident.seen and not incident.active):
                self._take(incident, sighting, moment)
                if incident.active:
                    self.clear(incident, sighting.until_ms, moment)
                return
        self.unstop(leaf)
        self._of_the_way(leaf, sighting, moment)
