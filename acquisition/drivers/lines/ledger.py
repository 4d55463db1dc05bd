"""Answers that are still owed, on lines where an answer does not say what it answers.

A Modbus RTU answer names its meter, its function and its length, not its registers.  One that
comes after its timeout would pass for the answer to the next question of that form.  So no
two questions of one form are ever open at a meter: what was not answered is owed, and as long
as it is, a question of the same form is led by another whose answer cannot be mistaken.  A
meter answers in the order in which it was asked; with that answer all debts before it are void.
Source: protocols 0.2 (the race, as reproduced with a stock library); the way out is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from acquisition.codecs.exchange import Exchange
from acquisition.codecs.modbus import RegisterBlock
from acquisition.drivers.meters.register_maps import MOST_REGISTERS
from nengliu.errors import LinkError

FORGET_MS = 60_000
"""No meter and no converter answers later than that; assumed, the latest seen was a matter of seconds."""
BEYOND = 16
"""So many registers more than wanted may be asked for to find a form that is not owed."""


@dataclass(eq=False)
class _Debt:
    address: str
    block: RegisterBlock
    exchange: Exchange
    asked_ms: int

    def form(self) -> tuple[str, int, int]:
        """What its answer would show of itself."""
        return self.address, self.block.function, self.block.count


class Ledger:
    """The debts of one line; times are of the steady clock [ms]."""

    def __init__(self) -> None:
        self._debts: list[_Debt] = []
        self._answered: dict[str, dict[tuple[int, int], RegisterBlock]] = {}
        self._refused: set[tuple[str, RegisterBlock]] = set()

    def owe(self, address: str, block: RegisterBlock, exchange: Exchange, now_ms: int) -> None:
        """Note a question that was not answered."""
        self._debts.append(_Debt(address, block, exchange, now_ms))

    def heard(self, data: bytes) -> bool:
        """Void the debts that these bytes pay; say whether they speak of one."""
        paid = [_pays(data, debt.exchange) for debt in self._debts]
        self._debts = [debt for debt, is_paid in zip(self._debts, paid, strict=True) if not is_paid]
        return any(is_paid is not False for is_paid in paid)

    def answered(self, address: str, block: RegisterBlock) -> None:
        """Note a question that a meter answers: it may lead another one day."""
        self._answered.setdefault(address, {})[block.function, block.count] = block

    def settle(self, address: str) -> None:
        """Void the debts of a meter that has answered a later question."""
        self._debts = [debt for debt in self._debts if debt.address != address]

    def refused(self, address: str, block: RegisterBlock) -> bool:
        """Take note of a refusal; say whether it can only be that of this question, and of none that is owed."""
        own = all((debt.address, debt.block.function) != (address, block.function) for debt in self._debts)
        if not own:
            self._refused.add((address, block))
        return own

    def leader(self, address: str, block: RegisterBlock, now_ms: int) -> RegisterBlock | None:
        """Give the question to be asked first because an answer of the form of `block` is owed; None if none is.

        Raises
        ------
        LinkError
            TIMEOUT: every form is owed.
        """
        self._debts = [debt for debt in self._debts if now_ms - debt.asked_ms < FORGET_MS]
        owed = {debt.form() for debt in self._debts}
        if (address, block.function, block.count) not in owed:
            return None
        for one in (*_shorter(block), *self._answered.get(address, {}).values(), *_other(block)):
            if (address, one.function, one.count) not in owed and (address, one) not in self._refused:
                return one
        raise LinkError(
            "TIMEOUT", f"unit {address}: expected an answer to any of {len(owed)} questions, got none"
        )


def _shorter(block: RegisterBlock) -> list[RegisterBlock]:
    """Give questions for less of a block, to the end of a register."""
    ends = {one.address + one.length - block.address for one in block.registers}
    return [_first(block, count) for count in sorted(ends) if count < block.count]


def _other(block: RegisterBlock) -> list[RegisterBlock]:
    """Give questions that cut a register, or read over the end of a block; a meter may refuse them."""
    most = min(block.count + BEYOND, MOST_REGISTERS, 65536 - block.address)
    counts = (*range(1, block.count), *range(block.count + 1, most + 1))
    return [_first(block, count) for count in counts]


def _first(block: RegisterBlock, count: int) -> RegisterBlock:
    return RegisterBlock(block.function, block.address, count, ())


def _pays(data: bytes, exchange: Exchange) -> bool | None:
    """Say whether these bytes answer a question; None: they may, since a refusal does not say of what it is."""
    try:
        return exchange.feed(data) is not None
    except LinkError:
        return None
