"""The published frames of tests/data/frames, and exchanges that await them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from acquisition.codecs import cjt188_blocks, dlt645_blocks, dlt645_steps
from acquisition.codecs.cjt188_profiles import profile
from acquisition.codecs.exchange import Answer, Block, Exchange
from acquisition.codecs.fields import TEXT_UNIT, text_of

FOLDER = Path(__file__).parents[1] / "data/frames"
CORPUS = FOLDER / "corpus"


@dataclass(frozen=True)
class Vector:
    """One frame and what it means."""

    told: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.told["id"])

    @property
    def frame(self) -> bytes:
        return bytes.fromhex(self.told["hex"])

    @property
    def values(self) -> dict[str, str]:
        return dict(self.told.get("values", {}))

    @property
    def is_reply(self) -> bool:
        return not self.told.get("request") and not self.told.get("rejected")

    @property
    def is_dlt645(self) -> bool:
        return str(self.told["protocol"]).startswith("dlt645")

    def block(self) -> Block:
        """What is to be asked so that this frame is the answer."""
        named = self.told.get("identifier", "")
        if not self.is_dlt645:
            table = profile(self.told.get("profile", {}))
            return cjt188_blocks.AddressBlock(table) if named == "address" else cjt188_blocks.block(table)
        if self.told.get("alone"):
            return dlt645_blocks.read_block(dlt645_blocks.edition_of(self.told["protocol"]), named)
        return dlt645_steps.block(self.told["protocol"], named or "00010000")

    def exchange(self) -> Exchange:
        """Ask for this frame; the serial number of CJ/T 188 is that of the frame."""
        block, address = self.block(), self.told["address"]
        if isinstance(block, cjt188_blocks.ReadBlock):
            return block.exchange(address, self.frame[13])
        return block.exchange(address)


def vectors(name: str) -> list[Vector]:
    """All frames of a file."""
    return [Vector(one) for one in read(name)["frames"]]


def read(name: str) -> dict[str, Any]:
    """The tables of a file."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def spelled(answer: Answer, block: Block) -> dict[str, str]:
    """What an answer says, as the files spell it."""
    found = {name: error.reason for name, error in answer.lost.items()}
    for item in block.items:
        if item.name in answer.values:
            found[item.name] = _spell(answer.values[item.name], item.unit, item.decimals, item.name)
    return found


def instant_ms(told: str) -> int:
    """Milliseconds UTC of an instant as the files spell it."""
    return int(datetime.fromisoformat(told).timestamp()) * 1000


def alike(found: str, told: str) -> bool:
    """Whether both say the same: numbers with their decimals, instants, or words."""
    return found == told or ("T" in told and ":" in told and found == f"{instant_ms(told)}")


def _spell(ticks: int, unit: str, decimals: int, name: str) -> str:
    if unit == TEXT_UNIT:
        return text_of(ticks)
    if name.startswith("clock") or name.endswith("_at"):
        return str(ticks)
    if name == "address":
        return str(ticks)
    return str(Decimal(ticks).scaleb(-decimals)) if decimals else str(ticks)
