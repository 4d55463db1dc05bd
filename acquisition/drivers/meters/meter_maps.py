"""Maps: how one model of meter is read, whatever it speaks; data in TOML, shipped or beside collector.toml.

`examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from acquisition.codecs.exchange import Block, Item
from acquisition.drivers.tables import read
from nengliu.errors import InputError, nearest

_ROOM = "acquisition.drivers.meters"
LOADERS = {
    "modbus": f"{_ROOM}.register_maps:read_map",
    "dlt645-2007": f"{_ROOM}.frame_maps:read_map",
    "dlt645-1997": f"{_ROOM}.frame_maps:read_map",
    "cjt188": f"{_ROOM}.frame_maps:read_map",
    "opcua": "acquisition.drivers.sources.opcua_map:read_map",
}
"""What reads the map files of a protocol, as ``module:function``; loaded when a map of it is met."""


class Frozen(Protocol):
    """The values a meter freezes at every hour."""

    @property
    def depth(self) -> int:
        """How many hours it keeps."""

    def blocks(self, items: Sequence[str], back: int) -> tuple[Block, ...]:
        """Give the requests for what it froze `back` hours ago, 1 the newest; their answers bear the hour."""

    def items(self) -> tuple[str, ...]:
        """Which items it freezes."""


class MeterMap(Protocol):
    """How a model of meter is read."""

    @property
    def name(self) -> str:
        """What collector.toml calls it."""

    @property
    def protocol(self) -> str:
        """What it speaks, one of `LOADERS`."""

    @property
    def items(self) -> tuple[Item, ...]:
        """What it can tell."""

    @property
    def frozen(self) -> Frozen | None:
        """What it freezes; None: nothing."""

    @property
    def upkeep(self) -> tuple[Block, ...]:
        """What is asked of it hourly, beside its points: its clock (item `clock`) and `status_` words."""

    def blocks(self, items: Sequence[Item]) -> tuple[Block, ...]:
        """Give the requests that read these."""

    def check_address(self, address: str) -> None:
        """Refuse an address that its protocol cannot have; InputError."""


def load_map(name: str, beside: Path | None = None) -> MeterMap:
    """Read a shipped map by its name, or a file (``*.toml``) relative to the folder `beside`; InputError."""
    if not name.endswith(".toml"):
        return _shipped_map(name)
    file = (beside or Path()) / name
    return _map(file.stem, read(file), str(file))


@functools.cache
def _shipped_map(name: str) -> MeterMap:
    shipped = shipped_maps()
    if name not in shipped:
        raise InputError(
            f"map: expected a shipped map or a file *.toml, got {name!r}; {nearest(name, shipped)}"
        )
    text = resources.files(_ROOM).joinpath(f"maps/{name}.toml").read_text("utf-8")
    return _map(name, tomllib.loads(text, parse_float=Decimal), f"maps/{name}.toml")


def shipped_maps() -> tuple[str, ...]:
    """Name the maps that come along."""
    folder = resources.files(_ROOM).joinpath("maps")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".toml")))


def _map(name: str, table: dict[str, Any], where: str) -> MeterMap:
    protocol = table.get("protocol", "modbus")
    if protocol not in LOADERS:
        raise InputError(f"{where}: protocol: unknown {protocol!r}; {nearest(str(protocol), LOADERS)}")
    module, _, function = LOADERS[protocol].partition(":")
    read_map: Callable[[str, dict[str, Any], str], MeterMap] = getattr(
        importlib.import_module(module), function
    )
    return read_map(name, table, where)
