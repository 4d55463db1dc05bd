"""Maps of OPC UA: which nodes of a device hold which item, below the prefix that is its address.

protocol = "opcua"
title = "Line gateway"
source = "browsed on site"
[[nodes]]
name = "energy"
node = "Energy.Total"         # behind an address such as "ns=2;s=Plant.Meter1."
unit = "kWh"
decimals = 2
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from acquisition.codecs.exchange import Item
from acquisition.drivers.meters.register_maps import check_unit
from acquisition.drivers.tables import convert, need, once
from nengliu.errors import InputError

MOST_NODES = 1000
"""Nodes that one request may ask for; a server may allow fewer, and is asked for its limit."""
NODE_BYTES = 40
"""Length of a node in a request, and of its value in the answer, about."""
NODE_ID = re.compile(
    r"(ns=\d{1,5};)?(i=\d{1,10}|s=.{1,4096}|g=[0-9a-fA-F-]{36}|b=[A-Za-z0-9+/=]{1,4096})", re.DOTALL
)
"""How a node is written.  Source: OPC 10000-6, 5.3.1.10."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a device: the last part of its node, and how it is read.

    Parameters
    ----------
    step, shift
        Ticks = value * step + shift.
    """

    name: str
    node: str
    unit: str
    decimals: int
    step: Fraction
    shift: Fraction


@dataclass(frozen=True, slots=True)
class NodeBlock:
    """Nodes that one request reads."""

    nodes: tuple[Node, ...]

    @property
    def items(self) -> tuple[Node, ...]:
        """What it answers."""
        return self.nodes

    @property
    def request_bytes(self) -> int:
        """Length of the request, about."""
        return NODE_BYTES * (1 + len(self.nodes))

    @property
    def answer_bytes(self) -> int:
        """Length of the answer, about."""
        return NODE_BYTES * (1 + len(self.nodes))

    def split(self) -> tuple[NodeBlock, ...]:
        """Ask for each node alone."""
        return tuple(NodeBlock((node,)) for node in self.nodes)

    def __str__(self) -> str:
        """Say it as its first node and how many there are."""
        return f"{self.nodes[0].node}+{len(self.nodes)}"


@dataclass(frozen=True, slots=True)
class NodeMap:
    """How a device behind an OPC UA server is read."""

    name: str
    title: str
    source: str
    verified: bool
    max_nodes: int
    nodes: tuple[Node, ...]

    @property
    def protocol(self) -> str:
        """What it speaks."""
        return "opcua"

    @property
    def items(self) -> tuple[Node, ...]:
        """What it can tell."""
        return self.nodes

    @property
    def frozen(self) -> None:
        """It freezes nothing."""

    @property
    def upkeep(self) -> tuple[NodeBlock, ...]:
        """It has neither clock nor status words: each value bears its own."""
        return ()

    def blocks(self, items: Sequence[Item]) -> tuple[NodeBlock, ...]:
        """Give the requests that read these, which may differ from its own in scale and unit."""
        names = {item.name for item in items}
        return tuple(
            NodeBlock(nodes)
            for nodes in _pieces([one for one in self.nodes if one.name in names], self.max_nodes)
        )

    def check_address(self, address: str) -> None:
        """Refuse a prefix with which a node would be none; InputError."""
        for one in self.nodes:
            if not NODE_ID.fullmatch(address + one.node):
                raise InputError(
                    f"address: expected the beginning of a node such as ns=2;s=Plant.Meter1. so that "
                    f"{address + one.node!r} is one, got {address!r}"
                )


class _NodeTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    node: str
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = "1"
    decimals: int = 0


class _MapFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    source: str
    protocol: str
    nodes: list[_NodeTable]
    verified: bool = False
    max_nodes: int = 100


_KNOWN = (*_MapFile.__struct_fields__, *_NodeTable.__struct_fields__)


def read_map(name: str, table: dict[str, Any], where: str) -> NodeMap:
    """Check a map file of nodes; InputError names what is wrong."""
    told = convert(table, _MapFile, where, _KNOWN)
    need(1 <= told.max_nodes <= MOST_NODES, where, "max_nodes", f"1 to {MOST_NODES}", told.max_nodes)
    nodes = tuple(_node(one, where) for one in told.nodes)
    need(nodes, where, "nodes", "at least one", "none")
    once((one.name for one in nodes), where, "node")
    return NodeMap(name, told.title, told.source, told.verified, told.max_nodes, nodes)


def _node(told: _NodeTable, where: str) -> Node:
    where = f"{where} node {told.name}"
    need(told.node, where, "node", "the last part of a node", told.node)
    need(0 <= told.decimals <= 12, where, "decimals", "0 to 12", told.decimals)
    need(told.scale.is_finite() and told.scale != 0, where, "scale", "a number other than 0", told.scale)
    need(told.offset.is_finite(), where, "offset", "a number", told.offset)
    check_unit(told.unit, told.unit, where)
    ten = Fraction(10) ** told.decimals
    return Node(
        told.name,
        told.node,
        told.unit,
        told.decimals,
        Fraction(told.scale) * ten,
        Fraction(told.offset) * ten,
    )


def _pieces(nodes: Sequence[Node], most: int) -> Iterator[tuple[Node, ...]]:
    for start in range(0, len(nodes), most):
        yield tuple(nodes[start : start + most])
