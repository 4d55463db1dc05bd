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

    def owe(self, address: str, block: RegisterBlock, exchange: Exchange, now_ms: int) -> None:
        """Note a question that was not answered."""
        self._debts.append(_Debt(address, block, exchange, now_ms))

    def heard(self, data: bytes) -> None:
        """Void the debts that these bytes pay."""
        self._debts = [debt for debt in self._debts if not _pays(data, debt.exchange)]

    def settle(self, address: str) -> None:
        """Void the debts of a meter that has answered a later question."""
        self._debts = [debt for debt in self._debts if debt.address != address]

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
        for count in _counts(block):
            if (address, block.function, count) not in owed:
                return RegisterBlock(block.function, block.address, count, ())
        raise LinkError(
            "TIMEOUT", f"unit {address}: expected an answer to any of {len(owed)} questions, got none"
        )


def _counts(block: RegisterBlock) -> list[int]:
    """Give lengths to ask instead: up to the end of a register first, then over the end of the block."""
    ends = sorted({one.address + one.length - block.address for one in block.registers})
    most = min(block.count + BEYOND, 125, 65536 - block.address)
    return [*ends[:-1], *range(block.count + 1, most + 1)]


def _pays(data: bytes, exchange: Exchange) -> bool:
    try:
        return exchange.feed(data) is not None
    except LinkError:
        return True
