"""What a collector says of its links becomes evidence; what it says of their return ends it.

Source: docs/decisions/0015; schemas/codes/links.csv; domain.md 6.2, C1 to C4.
"""

from __future__ import annotations

from nengliu.analysis.watch.incident import Moment
from nengliu.analysis.watch.incidents import Incidents
from nengliu.analysis.watch.outages import LINK, sightings_of, token_of
from nengliu.analysis.watch.tree import Node
from nengliu.domain.causes import CauseClass, Evidence
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from schemas.messages import LinkEvent, LinkNotice

BEGINS = {
    LinkKind.COLLECTOR_STOPPED: (Evidence.COLLECTOR_STOPPED, LINK),
    LinkKind.LINE_DOWN: (Evidence.LINE_DOWN, LINK),
    LinkKind.METER_DOWN: (Evidence.METER_DOWN, LINK),
    LinkKind.ANSWER_DAMAGED: (Evidence.ANSWER_DAMAGED, LINK),
    LinkKind.METER_FOREIGN: (Evidence.ANSWER_DAMAGED, LINK),
    LinkKind.METER_REFUSES: (Evidence.METER_REFUSES, CauseClass.CONFIGURATION),
}
"""Events that begin something, as evidence of a class."""
ENDS = (LinkKind.COLLECTOR_STARTED, LinkKind.LINE_UP, LinkKind.METER_UP)


def take_links(notice: LinkNotice, incidents: Incidents, moment: Moment) -> None:
    """Take a notice's events in, in its order."""
    for event in notice.events:
        kind = LinkKind(event.kind)
        root = _root(notice, event)
        if kind in BEGINS:
            _begin(root, event, incidents, moment)
        elif kind in ENDS:
            _end(root, event, incidents, moment)


def _root(notice: LinkNotice, event: LinkEvent) -> Node:
    if event.meter:
        return Node("meter", notice.enterprise, notice.source, event.line, event.meter)
    if event.line:
        return Node("line", notice.enterprise, notice.source, event.line)
    return Node("collector", notice.enterprise, notice.source)


def _begin(root: Node, event: LinkEvent, incidents: Incidents, moment: Moment) -> None:
    evidence, track = BEGINS[LinkKind(event.kind)]
    reason = Reason(event.reason).name if event.reason else ""
    seen = sightings_of(evidence, root, incidents.tree, moment, event.at_ms, reason)
    parent = incidents.silent(_parents(root))
    if parent is not None and track is LINK:
        incidents.see(parent.root, LINK, seen, moment)
    elif evidence in (Evidence.METER_DOWN, Evidence.ANSWER_DAMAGED):
        incidents.fall_down(root, seen, moment)
    else:
        incidents.see(root, track, seen, moment, [token_of(track, root)])
        incidents.take_down(root, moment)


def _end(root: Node, event: LinkEvent, incidents: Incidents, moment: Moment) -> None:
    """What came again ends; a collector that starts anew says anew what is down."""
    incidents.rise(root, moment)
    for token in incidents.told(root):
        if token in incidents.tokens:  # an earlier one may have ended the same incident
            incidents.recover(root, incidents.by_id[incidents.tokens[token]], event.at_ms, moment)


def _parents(root: Node) -> list[Node]:
    """Nodes above a node, from the top."""
    found = []
    if root.kind in ("line", "meter"):
        found.append(Node("collector", root.enterprise, root.source))
    if root.kind == "meter":
        found.append(Node("line", root.enterprise, root.source, root.line))
    return found
