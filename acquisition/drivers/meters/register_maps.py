"""Register maps: how one model of Modbus meter is read, and in which requests.

`examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from acquisition.codecs.exchange import Item
from acquisition.codecs.fields import TEXT_UNIT
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import ORDERS, Register, RegisterType, exact
from acquisition.drivers.tables import convert, need, once
from nengliu.domain.units import factor
from nengliu.errors import ContractError, InputError, nearest

MOST_REGISTERS = 125
"""Registers one request may ask for.  Source: Modbus application protocol, functions 3 and 4."""
MOST_UNIT = 255
"""247 on a serial line; gateways use the rest.  Source: Modbus messaging on TCP/IP 4.4.1.2."""
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
    verified
        Whether somebody compared it with the display of a meter.
    """

    name: str
    title: str
    source: str
    max_registers: int
    max_gap: int
    registers: tuple[Register, ...]
    verified: bool = False

    @property
    def protocol(self) -> str:
        """What it speaks."""
        return "modbus"

    @property
    def frozen(self) -> None:
        """Give nothing: registers hold what is now."""

    @property
    def upkeep(self) -> tuple[RegisterBlock, ...]:
        """Give nothing: what registers say of a meter's clock and state is a maker's own."""
        return ()

    @property
    def items(self) -> tuple[Register, ...]:
        """What it can tell."""
        return self.registers

    def blocks(self, items: Sequence[Item]) -> tuple[RegisterBlock, ...]:
        """Give the requests that read these registers, which may differ from its own in scale and unit."""
        return merge((one for one in items if isinstance(one, Register)), self.max_registers, self.max_gap)

    def check_address(self, address: str) -> None:
        """Refuse what is no unit; InputError."""
        if not (address.isdecimal() and int(address) <= MOST_UNIT):
            raise InputError(f"unit: expected a Modbus unit from 0 to {MOST_UNIT}, got {address}")


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
    first_bit: int = 0
    bit_count: int = 0
    size: int = 0
    exponent: str = ""


class _MapFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    source: str
    base: int
    registers: list[_MapRegister]
    verified: bool = False
    function: int = 3
    order: str = "ABCD"
    max_registers: int = MOST_REGISTERS
    max_gap: int = 8
    protocol: str = "modbus"


_KNOWN = (*_MapFile.__struct_fields__, *_MapRegister.__struct_fields__)


def merge(registers: Iterable[Register], most: int, gap: int) -> tuple[RegisterBlock, ...]:
    """Join registers of one function into requests of at most `most` words, reading over up to `gap` words.

    >>> from acquisition.codecs.registers import RegisterType
    >>> wanted = [Register("a", 3, 0, RegisterType.U32), Register("b", 3, 4, RegisterType.U16)]
    >>> [(block.address, block.count) for block in merge(wanted, 125, 2)]
    [(0, 5)]
    """
    blocks: list[RegisterBlock] = []
    for one in sorted(registers, key=lambda register: (register.function, register.start)):
        last = blocks[-1] if blocks else None
        if last and last.function == one.function and one.start <= last.address + last.count + gap:
            count = max(last.count, one.stop - last.address)
            if count <= most:
                blocks[-1] = replace(last, count=count, registers=(*last.registers, one))
                continue
        blocks.append(RegisterBlock(one.function, one.start, one.stop - one.start, (one,)))
    return tuple(blocks)


def read_map(name: str, table: dict[str, Any], where: str) -> RegisterMap:
    """Check a map file of registers; InputError names what is wrong."""
    told = convert(table, _MapFile, where, _KNOWN)
    need(told.base in (0, 1), where, "base", "0 or 1 (the number of the first register)", told.base)
    need(1 <= told.max_registers <= MOST_REGISTERS, where, "max_registers", "1 to 125", told.max_registers)
    need(0 <= told.max_gap < told.max_registers, where, "max_gap", "below max_registers", told.max_gap)
    registers = _with_exponents(told, [_register(one, told, where) for one in told.registers], where)
    once((one.name for one in registers), where, "register")
    need(registers, where, "registers", "at least one", "none")
    shape = told.max_registers, told.max_gap, registers
    return RegisterMap(name, told.title, told.source, *shape, told.verified)


def _with_exponents(told: _MapFile, found: list[Register], where: str) -> tuple[Register, ...]:
    """Give each register that has one its exponent: another register, which the same request reads."""
    known = {one.name: one for one in found}
    made = []
    for bare, plan in zip(found, told.registers, strict=True):
        here = f"{where} register {bare.name}"
        if plan.exponent and plan.exponent not in known:
            raise InputError(f"{here}: exponent: no {plan.exponent!r}; {nearest(plan.exponent, known)}")
        one = replace(bare, exponent=known.get(plan.exponent))
        same = one.exponent is None or one.exponent.function == one.function
        need(same, here, "exponent", "a register of the same function", plan.exponent)
        near = one.stop - one.start <= told.max_registers
        need(near, here, "exponent", "a register that the same request can read", plan.exponent)
        made.append(one)
    return tuple(made)


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
        first_bit=told.first_bit,
        bit_count=told.bit_count,
        size=told.size,
    )
    check_register(found, where)
    return found


def check_register(one: Register, where: str) -> None:
    """Refuse a register that cannot be read, or not exactly told."""
    reads = "3 or 4 (a collector only reads)"
    need(one.function in FUNCTIONS, where, "function", reads, one.function)
    need(one.order in ORDERS, where, "order", ", ".join(ORDERS), one.order)
    need(1 <= one.length <= MOST_REGISTERS, where, "size", "1 to 125 words of a text", one.size)
    need(0 <= one.address <= 65536 - one.length, where, "address", "0 to 65535 on the wire", one.address)
    need(0 <= one.decimals <= 12, where, "decimals", "0 to 12", one.decimals)
    need(one.scale.is_finite() and one.scale != 0, where, "scale", "a number other than 0", one.scale)
    need(one.offset.is_finite(), where, "offset", "a number", one.offset)
    width = 16 * one.length if one.type.is_bits else 0
    need(0 <= one.first_bit <= max(width - 1, 0), where, "first_bit", f"below {width}", one.first_bit)
    need(0 <= one.bit_count <= width - one.first_bit, where, "bit_count", f"0 to {width}", one.bit_count)
    if one.type is RegisterType.STRING:
        need(one.unit == TEXT_UNIT, where, "unit", TEXT_UNIT, one.unit)
        return
    check_unit(one.unit, one.unit, where)
    kept = f"enough decimals for scale {one.scale} and offset {one.offset}"
    need(exact(one), where, "decimals", kept, one.decimals)


def check_unit(unit: str, wanted: str, where: str) -> None:
    """Refuse a unit that is unknown, or cannot be turned into the one that is wanted."""
    try:
        factor(unit, wanted)
    except ContractError as error:
        raise InputError(f"{where}: unit: {error}") from error
