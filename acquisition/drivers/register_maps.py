"""Register maps: how one model of meter is read; data in TOML, shipped or beside collector.toml.

`examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from acquisition.codecs.registers import ORDERS, Register, RegisterType, exact
from acquisition.drivers.tables import convert, need, once, read
from nengliu.domain.units import factor
from nengliu.errors import ContractError, InputError, nearest

MOST_REGISTERS = 125
"""Registers one request may ask for.  Source: Modbus application protocol, functions 3 and 4."""
FUNCTIONS = (3, 4)


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """How a model of meter is read.

    Parameters
    ----------
    max_registers
        Registers one request may ask for.
    max_gap
        Registers nobody wants that are read along rather than asked around.
    """

    name: str
    title: str
    source: str
    max_registers: int
    max_gap: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads."""

    function: int
    address: int
    count: int
    registers: tuple[Register, ...]


class _MapRegister(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    address: int
    type: str
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = "1"
    decimals: int = 0
    invalid: list[int] = []
    function: int = 0
    order: str = ""


class _MapFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    source: str
    base: int
    registers: list[_MapRegister]
    function: int = 3
    order: str = "ABCD"
    max_registers: int = MOST_REGISTERS
    max_gap: int = 8


_KNOWN = (*_MapFile.__struct_fields__, *_MapRegister.__struct_fields__)


def load_map(name: str, beside: Path | None = None) -> RegisterMap:
    """Read a shipped map by its name, or a file (``*.toml``) relative to the folder `beside`; InputError."""
    if not name.endswith(".toml"):
        return _shipped_map(name)
    file = (beside or Path()) / name
    return _map(file.stem, read(file), str(file))


@functools.cache
def _shipped_map(name: str) -> RegisterMap:
    shipped = shipped_maps()
    if name not in shipped:
        raise InputError(
            f"map: expected a shipped map or a file *.toml, got {name!r}; {nearest(name, shipped)}"
        )
    text = resources.files("acquisition.drivers").joinpath(f"maps/{name}.toml").read_text("utf-8")
    return _map(name, tomllib.loads(text, parse_float=Decimal), f"maps/{name}.toml")


def shipped_maps() -> tuple[str, ...]:
    """Name the maps that come along."""
    folder = resources.files("acquisition.drivers").joinpath("maps")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".toml")))


def merge(registers: Iterable[Register], most: int, gap: int) -> tuple[Block, ...]:
    """Join registers of one function into requests of at most `most` words, reading over up to `gap` words.

    >>> from acquisition.codecs.registers import RegisterType
    >>> wanted = [Register("a", 3, 0, RegisterType.U32), Register("b", 3, 4, RegisterType.U16)]
    >>> [(block.address, block.count) for block in merge(wanted, 125, 2)]
    [(0, 5)]
    """
    blocks: list[Block] = []
    for one in sorted(registers, key=lambda register: (register.function, register.address)):
        last = blocks[-1] if blocks else None
        if last and last.function == one.function and one.address <= last.address + last.count + gap:
            count = max(last.count, one.address + one.length - last.address)
            if count <= most:
                blocks[-1] = replace(last, count=count, registers=(*last.registers, one))
                continue
        blocks.append(Block(one.function, one.address, one.length, (one,)))
    return tuple(blocks)


def _map(name: str, table: dict[str, Any], where: str) -> RegisterMap:
    told = convert(table, _MapFile, where, _KNOWN)
    need(told.base in (0, 1), where, "base", "0 or 1 (the number of the first register)", told.base)
    need(1 <= told.max_registers <= MOST_REGISTERS, where, "max_registers", "1 to 125", told.max_registers)
    need(0 <= told.max_gap < told.max_registers, where, "max_gap", "below max_registers", told.max_gap)
    registers = tuple(_register(one, told, where) for one in told.registers)
    once((one.name for one in registers), where, "register")
    need(registers, where, "registers", "at least one", "none")
    return RegisterMap(name, told.title, told.source, told.max_registers, told.max_gap, registers)


def _register(told: _MapRegister, plan: _MapFile, where: str) -> Register:
    where = f"{where} register {told.name}"
    if told.type not in tuple(RegisterType):
        raise InputError(f"{where}: type: unknown {told.type!r}; {nearest(told.type, RegisterType)}")
    found = Register(
        name=told.name,
        function=told.function or plan.function,
        address=told.address - plan.base,
        type=RegisterType(told.type),
        order=told.order or plan.order,
        scale=told.scale,
        offset=told.offset,
        unit=told.unit,
        decimals=told.decimals,
        invalid=tuple(told.invalid),
    )
    check_register(found, where)
    return found


def check_register(one: Register, where: str) -> None:
    """Refuse a register that cannot be read, or not exactly told."""
    reads = "3 or 4 (a collector only reads)"
    need(one.function in FUNCTIONS, where, "function", reads, one.function)
    need(one.order in ORDERS, where, "order", ", ".join(ORDERS), one.order)
    need(0 <= one.address <= 65536 - one.length, where, "address", "0 to 65535 on the wire", one.address)
    need(0 <= one.decimals <= 12, where, "decimals", "0 to 12", one.decimals)
    need(one.scale.is_finite() and one.scale != 0, where, "scale", "a number other than 0", one.scale)
    need(one.offset.is_finite(), where, "offset", "a number", one.offset)
    check_unit(one.unit, one.unit, where)
    kept = f"enough decimals for scale {one.scale} and offset {one.offset}"
    need(exact(one), where, "decimals", kept, one.decimals)


def check_unit(unit: str, wanted: str, where: str) -> None:
    """Refuse a unit that is unknown, or cannot be turned into the one that is wanted."""
    try:
        factor(unit, wanted)
    except ContractError as error:
        raise InputError(f"{where}: unit: {error}") from error
