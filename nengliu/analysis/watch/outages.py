"""Outages a collector tells of: a meter that is down waits for the others, because its line is told meter by meter.

Source: docs/decisions/0015; domain.md 6.2, C2 and C3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from nengliu.analysis.watch.incident import Incident, Moment
from nengliu.analysis.watch.lives import LASTS, SILENT, Lives, Sighting
from nengliu.analysis.watch.slots import NEVER
from nengliu.analysis.watch.tree import Node, Tree
from nengliu.domain.causes import CauseClass, Evidence

LINK = CauseClass.LINK


def token_of(track: str, root: Node) -> str:
    """What keeps an incident open until the collector says that its root is up again."""
    return f"told {track} {'|'.join(root)}"


def sightings_of(
    evidence: Evidence, root: Node, tree: Tree, moment: Moment, at_ms: int = NEVER, reason: str = ""
) -> list[Sighting]:
    """What a collector says of a root, as one sighting per point below it; it counts once."""
    at_ms = moment.clock_s * 1000 if at_ms < 0 else at_ms
    names = {"line": root.line, "meter": root.meter, "reason": reason}
    slots = tree.below(root).tolist() or [NEVER]
    return [
        Sighting(evidence, slot, at_ms, at_ms, at_ms, moment, int(i == 0), names)
        for i, slot in enumerate(slots)
    ]


def root_of(token: str) -> Node:
    """The root a token speaks of; of another kind of token a node of no kind."""
    words = token.split(" ", 2)
    return Node(*words[2].split("|")) if words[0] == "told" else Node("", "")


def _last(seen: list[Sighting]) -> Evidence:
    """What was told last of a meter that waits; of one that waits since its line came again, that it is down."""
    return seen[-1].evidence if seen else Evidence.METER_DOWN


class Outages(Lives):
    """Meters that are down or damaged and no incident yet, and what a parent explains; see the head of this file."""

    def silent(self, chain: Iterable[Node]) -> Incident | None:
        """The incident that says of the first of these nodes that nothing comes, or that it refuses to answer."""
        for node in chain:
            for track in (LINK, CauseClass.CONFIGURATION):
                incident = self.standing(node, track)
                if incident is not None and incident.active and incident.tokens:
                    return incident
        return None

    def absorb(self, parent: Incident, moment: Moment, children: Iterable[str] = ()) -> None:
        """Let a parent explain its children's silence, and what else lasts there as it does here: they end in it."""
        explained = SILENT | (parent.seen.keys() & LASTS)
        below = {
            root
            for slot in self.tree.below(parent.root).tolist()
            for root in (self.tree.leaf(slot), self.tree.point(slot))
        }
        below |= {node for slot in self.tree.below(parent.root).tolist() for node in self.tree.chain(slot)}
        own = {
            self.by_root.get((root, LINK), "") for root in below if root.kind in ("line", "meter", "point")
        }
        for name in sorted({*children, *own} - {parent.incident, ""}):
            child = self.by_id.get(name)
            if (
                child is None
                or not child.active
                or not child.seen.keys() & explained
                or child.root.kind == "collector"
            ):
                continue
            parent.members |= child.members
            self._say(child, "joined", moment, {"incident": parent.incident})
            child.tokens = {token for token in child.tokens if self.tokens.get(token) == child.incident}
            self.clear(child, moment.clock_s * 1000, moment, lonely=False)
            self.close(child, moment, "")

    def fall_down(self, root: Node, seen: list[Sighting], moment: Moment) -> None:
        """A meter is down or damaged: it waits a little, unless its incident goes on."""
        incident = self.standing(root, LINK)
        if incident is not None:
            self.see(root, LINK, seen, moment, [token_of(LINK, root)])
        elif root in self.down:
            self.down[root] += seen
        else:
            self.down[root] = seen
            self.set_timer(root.enterprise, moment.clock_s + self.settings.down_patience_s, "down", root)

    def rise(self, root: Node, moment: Moment) -> None:
        """Something is up again: what was down there only for a moment becomes an incident that ends at once."""
        if self.down.get(root):
            self._on_down(moment, root)
        self.down.pop(root, None)

    def retire(self, slot: int, moment: Moment) -> None:
        """A point is due no more: its silence is no incident."""
        self.quiet.pop(slot, None)
        incident = self.by_id.get(self.tokens.pop(f"quiet {slot}", ""))
        if incident is not None:
            incident.tokens.discard(f"quiet {slot}")
            if not incident.tokens:
                self.end(incident, moment.clock_s * 1000, moment)

    def told(self, root: Node) -> list[str]:
        """What keeps incidents open at a root: of a collector at all that is below it."""
        if root.kind != "collector":
            return [token for track in CauseClass if (token := token_of(track, root)) in self.tokens]
        of_it = [token for token in sorted(self.tokens) if token.startswith("told ")]
        return [token for token in of_it if root_of(token)[1:3] == root[1:3]]

    def recover(self, root: Node, incident: Incident, at_ms: int, moment: Moment) -> None:
        """What it was told of is over; other meters it was told of are up in a moment too, or down on their own."""
        others = {node for node in map(root_of, incident.tokens) if node.kind == "meter"} - {root}
        self.end(incident, at_ms, moment)
        for node in sorted(others if root.kind == "meter" else ()):
            self.fall_down(node, [], moment)

    def end(self, incident: Incident, at_ms: int, moment: Moment) -> None:
        """Something comes again: the incident is over, unless other evidence is too young for that."""
        if moment.clock_s >= incident.hold_s:
            self.clear(incident, at_ms, moment)
            return
        self._let_go(incident, moment)
        incident.until_ms = max(incident.until_ms, at_ms)
        self._hold(incident)

    def take_down(self, root: Node, moment: Moment) -> None:
        """A line or collector that is down explains the meters that wait, and those that are incidents already."""
        incident = self.standing(root, LINK)
        if root.kind == "meter" or incident is None:
            return
        for node in [node for node in self.down if self._under(node, root)]:
            seen = self.down.pop(node) or sightings_of(Evidence.METER_DOWN, node, self.tree, moment)
            self.see(root, LINK, seen, moment)
        self.absorb(incident, moment)

    def _on_down(self, moment: Moment, root: Node) -> None:
        """Its patience is over: the line is down, or damages, if most of its meters say so."""
        if root not in self.down:
            return
        line = Node("line", root.enterprise, root.source, root.line)
        parent = self.silent((Node("collector", root.enterprise, root.source), line))
        seen = self.down.pop(root) or sightings_of(Evidence.METER_DOWN, root, self.tree, moment)
        if parent is not None:
            self.see(parent.root, LINK, seen, moment)
            return
        evidence = _last(seen)
        mates = {node for node in self.down if _last(self.down[node]) is evidence and self._under(node, line)}
        mates |= {node for node, track in self.by_root if self._shows(evidence, node, track, line)}
        most = math.ceil(self.settings.share_of_parent * self.tree.leaves(line))
        if len(mates) + 1 < max(2, most) or not most:
            self.see(root, LINK, seen, moment, [token_of(LINK, root)])
            return
        if evidence is Evidence.METER_DOWN:
            points = {"points": str(sum(len(self.tree.below(node)) for node in (*mates, root)))}
            seen = [one._replace(evidence=Evidence.LINE_QUIET, parameters=points) for one in seen]
        self.see(line, LINK, seen, moment, [token_of(LINK, node) for node in sorted({*mates, root})])
        self.take_down(line, moment)

    def _shows(self, evidence: Evidence, node: Node, track: str, line: Node) -> bool:
        """Whether a meter of a line is an incident already that shows the evidence."""
        incident = self.standing(node, track)
        told = incident is not None and incident.active and evidence in incident.seen
        return told and track == LINK and self._under(node, line)

    def _under(self, node: Node, root: Node) -> bool:
        """Whether a meter hangs on a line or a collector."""
        mine = node.kind == "meter" and (node.enterprise, node.source) == (root.enterprise, root.source)
        return mine and root.line in ("", node.line)
