"""Words of bits that meters send: status words and error words, told by name.

What each bit means is data (`data/status_bits.csv`, `data/refusals.csv`); names are closed codes,
texts come in Chinese and English.  A word is named ``protocol/item``: ``dlt645-2007/status_4``.
Source: DL/T 645-2007 annex A and 7.1, CJ/T 188-2004 8.3.2; `protocols.md` 1.1, 1.2, 2.1.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from nengliu.errors import LinkError


@dataclass(frozen=True, slots=True)
class Bit:
    """One statement that a word can make.

    Parameters
    ----------
    fault
        Whether something is wrong; else it only says how the meter runs.
    """

    name: str
    fault: bool
    zh: str
    en: str


def bits_of(word: str, value: int) -> tuple[str, ...]:
    """Name what a status word says, lowest bit first; bits that nobody documented are named ``bit_n``.

    >>> bits_of("dlt645-2007/status_4", 0b1000_0010)
    ('undervoltage_a', 'phase_broken_a')
    >>> bits_of("dlt645-2007/status_1", 1 << 6)
    ('bit_6',)
    """
    return tuple(one.name for one in _said(word, value)) + _undocumented(word, value)


def faults_of(word: str, value: int) -> tuple[str, ...]:
    """Name the faults among what a status word says.

    >>> faults_of("cjt188/status_1", 0b101), bits_of("cjt188/status_1", 0b101)
    (('battery_low',), ('valve_closed', 'battery_low'))
    """
    return tuple(one.name for one in _said(word, value) if one.fault)


def bit(word: str, name: str) -> Bit:
    """Look up a statement by its name; KeyError if the word cannot make it."""
    return next(_bit(row) for row in _status()[word] if row["name"] == name)


def words() -> tuple[str, ...]:
    """Name the status words that are known."""
    return tuple(_status())


def refusal(edition: str, error_word: int, where: str, asked: str, function: int) -> LinkError:
    """Say what a meter's refusal means: CONFIG if it has no such data, else REFUSED.

    >>> error = refusal("dlt645-2007", 2, "000000000161", "00010000", 0x11)
    >>> error.reason, error.parameters["meaning"]
    ('CONFIG', 'no_such_data')
    """
    rows = [row for row in _refusals()[edition] if error_word >> int(row["bit"]) & 1]
    reason = "CONFIG" if any(row["reason"] == "CONFIG" for row in rows) else "REFUSED"
    meaning = " ".join(row["name"] for row in rows) or "unknown"
    told = f"{where}: expected {asked}, got a refusal: {meaning} (error word {error_word:02X}H)"
    cure = "correct the map" if reason == "CONFIG" else "see the meter's manual"
    parameters = {"code": f"{error_word:02X}H", "function": f"{function:02X}H", "address": asked}
    return LinkError(reason, f"{told}; {cure}", meaning=meaning, **parameters)


def _said(word: str, value: int) -> list[Bit]:
    return [
        _bit(row)
        for row in _status().get(word, ())
        if value >> int(row["first"]) & (1 << int(row["width"])) - 1 == int(row["value"])
    ]


def _undocumented(word: str, value: int) -> tuple[str, ...]:
    known = 0
    for row in _status().get(word, ()):
        known |= (1 << int(row["width"])) - 1 << int(row["first"])
    rest = value & ~known
    return tuple(f"bit_{place}" for place in range(rest.bit_length()) if rest >> place & 1)


def _bit(row: dict[str, str]) -> Bit:
    return Bit(row["name"], row["fault"] == "yes", row["zh"], row["en"])


@functools.cache
def _status() -> dict[str, list[dict[str, str]]]:
    return read_rows("status_bits", "word")


@functools.cache
def _refusals() -> dict[str, list[dict[str, str]]]:
    return read_rows("refusals", "edition")


def read_rows(name: str, key: str) -> dict[str, list[dict[str, str]]]:
    """Read a data file of this room; its rows by the column `key`."""
    text = resources.files("acquisition.codecs").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(text.splitlines()):
        found.setdefault(row[key], []).append(row)
    return found
