"""Outages a collector tells of: meters that are down wait for their neighbours, because a cut line is told meter by meter.

Source: docs/decisions/0015; domain.md 6.2, C2 and C3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from nengliu.analysis.watch.incident import Incident, Moment
from nengliu.analysis.watch.lives import SILENT, Lives, Sighting
from nengliu.analysis.watch.tree import Node
from nengliu.domain.causes import CauseClass, Evidence

LINK = CauseClass.LINK


def token_of(track: str, root: Node) -> str:
    """What keeps an incident open until the collector says that its root is up again."""
    return f"told {track} {'|'.join(root)}"


class Outages(Lives):
    """Meters that are down and not yet an incident, and what a silent parent explains; see the head of this file."""

    def silent(self, chain: Iterable[Node]) -> Incident | None:
        """The incident that says of the first of these nodes that nothing comes, or that it refuses to answer."""
        for node in chain:
            for track in (LINK, CauseClass.CONFIGURATION):
                incident = self.standing(node, track)
                if incident is not None and incident.active and incident.tokens:
                    return incident
        return None

    def absorb(self, parent: Incident, moment: Moment, children: Iterable[str] = ()) -> None:
        """Let a silent parent explain what its children's incidents say: they end in it."""
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
                or not child.seen.keys() & SILENT
                or child.root.kind == "collector"
            ):
                continue
            parent.members |= child.members
            self._say(child, "joined", moment, {"incident": parent.incident})
            child.tokens = {token for token in child.tokens if self.tokens.get(token) == child.incident}
            self.clear(child, moment.clock_s * 1000, moment, lonely=False)
            self.close(child, moment, "")


    def fall_down(self, root: Node, seen: list[Sighting], moment: Moment) -> None:
        """A meter is down: it waits a little, unless its incident goes on."""
        incident = self.standing(root, LINK)
        if incident is not None:
            self.see(root, LINK, seen, moment, [token_of(LINK, root)])
        elif root not in self.down:
            self.down[root] = seen
            self.set_timer(root.enterprise, moment.clock_s + self.settings.down_patience_s, "down", root)

    def rise(self, root: Node, moment: Moment) -> None:
        """Something is up again: what was down there only for a moment becomes an incident that ends at once."""
        for node in [node for node in self.down if node == root]:
            self.see(node, LINK, self.down.pop(node), moment, [token_of(LINK, node)])

    def told(self, root: Node) -> list[str]:
        """What keeps incidents open at a root: of a collector at all that is below it."""
        if root.kind != "collector":
            return [token for track in CauseClass if (token := token_of(track, root)) in self.tokens]
        found = []
        for token in sorted(self.tokens):
            if token.startswith("told "):
                kind, enterprise, source = token.split(" ", 2)[2].split("|")[:3]
                found += [token] * ((enterprise, source) == (root.enterprise, root.source))
        return found

    def take_down(self, root: Node, moment: Moment) -> None:
        """A line or collector that is down explains the meters that wait, and those that are incidents already."""
        incident = self.standing(root, LINK)
        if root.kind == "meter" or incident is None:
            return
        for node in [node for node in self.down if self._under(node, root)]:
            self.see(root, LINK, self.down.pop(node), moment)
        self.absorb(incident, moment)

    def _on_down(self, moment: Moment, root: Node) -> None:
        """Its patience is over: the line is down if most of its meters are."""
        if root not in self.down:
            return
        line = Node("line", root.enterprise, root.source, root.line)
        parent = self.silent((Node("collector", root.enterprise, root.source), line))
        if parent is not None:
            self.see(parent.root, LINK, self.down.pop(root), moment)
            return
        mates = {node for node in self.down if self._under(node, line)}
        mates |= {node for node, track in self.by_root if self._is_down(node, track, line)}
        if len(mates) < max(2, math.ceil(self.settings.share_of_parent * self.tree.leaves(line))):
            self.see(root, LINK, self.down.pop(root), moment, [token_of(LINK, root)])
            return
        seen = [one._replace(evidence=Evidence.LINE_QUIET) for one in self.down[root]]
        parameters = {"points": str(sum(len(self.tree.below(node)) for node in mates))}
        seen[0] = seen[0]._replace(parameters=parameters)
        self.see(line, LINK, seen, moment, [token_of(LINK, node) for node in sorted(mates)])
        self.take_down(line, moment)

    def _is_down(self, node: Node, track: str, line: Node) -> bool:
        incident = self.standing(node, track)
        told = incident is not None and incident.active and Evidence.METER_DOWN in incident.seen
        return told and track == LINK and self._under(node, line)

    def _under(self, node: Node, root: Node) -> bool:
        """Whether a meter hangs on a line or a collector."""
        mine = node.kind == "meter" and (node.enterprise, node.source) == (root.enterprise, root.source)
        return mine and root.line in ("", node.line)
