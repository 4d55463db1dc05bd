"""Stops: registers that stand are looked at together, so that a shift's end or a frozen line is not an alarm per meter.

What stands waits until nothing begins or ends to stand for a while.  A plant that stops in stages goes on until
most of it stands and nobody speaks any more; one that starts in stages, until it runs: both leave nothing
behind.  What is left is one incident of the line or collector most of whose meters stand, or one per meter.

Source: domain.md 6.2, M3; TC 4.5.12 with its comment (one cause, one alarm).
"""

from __future__ import annotations

import math
from collections.abc import Collection

from nengliu.analysis.watch.detector import Word
from nengliu.analysis.watch.incident import Moment
from nengliu.analysis.watch.lives import Lives, Sighting, Stop
from nengliu.analysis.watch.slots import NEVER
from nengliu.analysis.watch.tree import Node
from nengliu.domain.causes import CauseClass, Evidence

STANDS = {Evidence.STOOD_STILL, Evidence.VALUE_CONSTANT}
"""Evidence that waits here."""
METER = CauseClass.METER


class Stops(Lives):
    """What stands and is not yet an incident; see the head of this file."""

    def stand(self, leaf: Node, sighting: Sighting, moment: Moment) -> None:
        """Take in that a meter stands: where an incident says so it goes on, else it waits for others."""
        for node in (*self.tree.chain(sighting.slot), leaf):
            incident = self.standing(node, METER)
            if incident is None or not incident.active:
                continue
            opens = node == leaf and sighting.word is Word.OPENS
            if opens or sighting.evidence in incident.seen:
                self.see(node, METER, [sighting], moment)
                return
        stops = self.stops.setdefault((leaf.enterprise, sighting.evidence), {})
        stop = stops.get(leaf)
        if sighting.word is Word.GOES_ON:
            if stop is not None:
                stop.runs = False
        elif stop is not None:
            stop.add(sighting)
        else:
            stops[leaf] = Stop(sighting, moment.clock_s, sighting.word is Word.OPENS)
            if len(stops) == 1:
                self._settle(leaf.enterprise, sighting.evidence, moment)

    def unstop(self, leaf: Node) -> None:
        """What it stood for is known otherwise."""
        for evidence in sorted(STANDS):
            self.stops.get((leaf.enterprise, evidence), {}).pop(leaf, None)

    def _settle(self, enterprise: str, evidence: Evidence, moment: Moment) -> None:
        """Look again when it has settled."""
        settled_s = self._settled_s(self.stops[enterprise, evidence].values(), moment)
        self.set_timer(enterprise, max(settled_s, moment.clock_s + 1), "settled", enterprise, evidence)

    def _settled_s(self, stops: Collection[Stop], moment: Moment) -> int:
        """When nothing will have changed for a while, or the first will have waited long enough."""
        interval = max(self._interval(stop) for stop in stops)
        changed = max(stop.known_s if self._stands(stop, moment) else self._left_s(stop) for stop in stops)
        latest_s = min(stop.known_s for stop in stops) + self.settings.settle_most_intervals * interval
        return min(changed + round(self.settings.settle_intervals * interval), latest_s)

    def _on_settled(self, moment: Moment, enterprise: str, evidence: Evidence) -> None:
        stops = self.stops.get((enterprise, evidence), {})
        if not stops:
            return
        if moment.clock_s < self._settled_s(stops.values(), moment):
            self._settle(enterprise, evidence, moment)
            return
        del self.stops[enterprise, evidence]
        crowd = len(stops) >= self.settings.crowd
        left = [
            stop
            for stop in stops.values()
            if stop.full and stop.runs and not (crowd and not self._stands(stop, moment))
        ]
        self._raise(left, moment)

    def _raise(self, stops: list[Stop], moment: Moment) -> None:
        """Make incidents of what stands: of the parents most of whose meters it is, then of the rest."""
        left = {self.tree.leaf(stop.sighting.slot): stop.sighting for stop in stops}
        left = {leaf: one for leaf, one in left.items() if not self.without_power(one.slot)}
        most, many = self.settings.share_of_parent, self.settings.share_of_crowd
        # most of a collector, of a line, many of a collector
        for above, share in ((0, most), (1, most), (0, many)):
            chains = [self.tree.chain(one.slot) for one in left.values()]
            for node in sorted({chain[above] for chain in chains if len(chain) > above}):
                mine = [leaf for leaf, one in sorted(left.items()) if node in self.tree.chain(one.slot)]
                if len(mine) >= max(self.settings.crowd, math.ceil(share * self.tree.leaves(node))):
                    self.see(node, METER, [left.pop(leaf) for leaf in mine], moment)
        for leaf in sorted(left):
            self.see(leaf, METER, [left[leaf]], moment)

    def _interval(self, stop: Stop) -> int:
        return int(self.slots.facts["interval_s"][stop.sighting.slot])

    def _left_s(self, stop: Stop) -> int:
        return stop.last_s + self._interval(stop)

    def _stands(self, stop: Stop, moment: Moment) -> bool:
        """Whether its newest reading said so; half an interval is for jitter."""
        return 2 * (moment.clock_s - stop.last_s) <= 3 * self._interval(stop)

    # power

    def supply(self, slot: int) -> int:
        """The supply at the top of a slot's."""
        parent = int(self.slots.facts["parent"][slot])
        for _ in range(64):
            if parent == NEVER:
                break
            slot, parent = parent, int(self.slots.facts["parent"][parent])
        return slot

    def without_power(self, slot: int) -> bool:
        """Whether a power loss explains what a meter shows."""
        enterprise, place = self.slots.points[slot][0], self.slots.places.get(slot, "")
        for root in self.powerless:
            above = self.slots.find((enterprise, root.point))
            if (
                root.enterprise == enterprise
                and above is not None
                and place.startswith(self.slots.places[above])
            ):
                return True
        return False
