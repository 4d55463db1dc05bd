"""Quality: the closed list in code and the file of texts say the same."""

from __future__ import annotations

import csv
import re
from importlib import resources

from nengliu.domain.quality import GRAVITY, Origin, Quality, Reason

ROWS = list(
    csv.DictReader(resources.files("schemas").joinpath("codes/reasons.csv").read_text("utf-8").splitlines())
)
LAYERS = {
    "network": (100, 200),
    "communication": (200, 300),
    "business": (300, 400),
    "mark": (400, 500),
    "collector": (500, 600),
}


def test_reasons_of_the_code_are_those_of_the_file() -> None:
    """Neither list knows a reason the other does not, and the numbers agree."""
    assert {row["code"]: int(row["id"]) for row in ROWS} == {reason.name: reason.value for reason in Reason}


def test_reasons_stand_in_the_hundred_of_their_layer() -> None:
    """A number tells the layer (TC 4.4.3-2)."""
    for row in ROWS[1:]:
        low, high = LAYERS[row["layer"]]
        assert low < int(row["id"]) < high


def test_reasons_need_the_same_evidence_in_both_languages() -> None:
    """The Chinese and the English text have the same placeholders, and both are written."""
    for row in ROWS:
        assert set(re.findall(r"{(\w+)}", row["zh"])) == set(re.findall(r"{(\w+)}", row["en"]))
        assert row["zh"]
        assert row["en"]


def test_codes_fit_the_width_they_are_stored_in() -> None:
    """Origin has three bits of the ledger's key, quality one byte, reason two."""
    assert max(Origin) < 2**3
    assert max(Quality) < 2**8
    assert max(Reason) < 2**16


def test_gravity_puts_what_is_said_of_the_way_below_what_is_said_of_the_value() -> None:
    """Late, repaired or kept during a break: no such mark is graver than one that doubts the value."""
    assert GRAVITY[:4] == (Reason.NONE, Reason.CLOCK_REPAIRED, Reason.ARRIVED_LATE, Reason.BACKFILLED)
    assert sorted(GRAVITY) == list(Reason)
