"""Tree: which point hangs on which meter, line and collector, so that a parent explains its children.

Built from WiringNotices; a point nobody wired hangs on its enterprise.
Source: TC 4.5.12-3; domain.md 6.2 (precedence: one root cause, one alarm).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nengliu.analysis.watch.slots import Slots, SlotTable
from schemas.messages import WiringNotice


class Node(NamedTuple):
    """A root an incident can have; the kind says how much of the rest is meant."""

    kind: str  # enterprise | collector | line | meter | point
    enterprise: str
    source: str = ""
    line: str = ""
    meter: str = ""
    point: str = ""


class Tree:
    """Chains of nodes above each slot, and the slots below each node."""

    def __init__(self, slots: SlotTable) -> None:
        """Start with nothing wired."""
        self._slots = slots
        self._wired: dict[int, Node] = {}
        self._below: dict[Node, list[int]] = {}

    def wire(self, notice: WiringNotice) -> None:
        """Take the wiring of one collector, whole."""
        collector = Node("collector", notice.enterprise, notice.source)
        for slot in self._below.pop(collector, []):
            for node in self.chain(slot):
                self._below.pop(node, None)
            self._wired.pop(slot, None)
        for line in notice.lines:
            for meter in line.meters:
                node = Node("meter", notice.enterprise, notice.source, line.line, meter.meter)
                for point in meter.points:
                    self._hang(self._slots.slot((notice.enterprise, point)), node)

    def chain(self, slot: int) -> tuple[Node, ...]:
        """Nodes above a slot from the top: collector, line and meter, or the enterprise alone."""
        meter = self._wired.get(slot)
        if meter is None:
            return (Node("enterprise", self._slots.points[slot][0]),)
        line = Node("line", meter.enterprise, meter.source, meter.line)
        return Node("collector", meter.enterprise, meter.source), line, meter

    def hosts(self, slot: int) -> tuple[Node, ...]:
        """Nodes whose silence explains a slot's: those above it; if not wired, the enterprise's only collector."""
        chain = self.chain(slot)
        if chain[0].kind == "collector":
            return chain
        enterprise = self._slots.points[slot][0]
        collectors = [
            node for node in self._below if node.kind == "collector" and node.enterprise == enterprise
        ]
        return (*collectors, *chain) if len(collectors) == 1 else chain

    def leaf(self, slot: int) -> Node:
        """The meter of a slot, or the point where none is known."""
        return self._wired.get(slot) or self.point(slot)

    def point(self, slot: int) -> Node:
        """The point itself, with the names of what it hangs on."""
        enterprise, point = self._slots.points[slot]
        meter = self._wired.get(slot)
        if meter is None:
            return Node("point", enterprise, point=point)
        return meter._replace(kind="point", point=point)

    def below(self, node: Node) -> Slots:
        """Slots below a node, that is not the enterprise, in ascending order; those nobody wired below that."""
        if node.kind == "point":
            found = self._slots.find((node.enterprise, node.point))
            return np.array([] if found is None else [found], np.int32)
        if node.kind == "enterprise":
            mine = self._slots.facts["enterprise"] == self._slots.enterprise(node.enterprise)
            return np.array(
                [slot for slot in np.flatnonzero(mine).tolist() if slot not in self._wired], np.int32
            )
        return np.array(sorted(self._below.get(node, [])), np.int32)

    def leaves(self, node: Node) -> int:
        """Count the meters below a node (of the enterprise: its points)."""
        return len({self.leaf(slot) for slot in self.below(node).tolist()})

    def snapshot(self) -> object:
        """Copy of the wiring."""
        return dict(self._wired)

    def resume(self, state: object) -> None:
        """Go on with what `snapshot` gave."""
        assert isinstance(state, dict)
        for slot, meter in state.items():
            self._hang(slot, meter)

    def _hang(self, slot: int, meter: Node) -> None:
        for node in self.chain(slot) if slot in self._wired else ():
            if slot in self._below.get(node, []):
                self._below[node].remove(slot)
        self._wired[slot] = meter
        for node in self.chain(slot):
            self._below.setdefault(node, []).append(slot)
