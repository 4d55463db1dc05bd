"""Links: the closed list in code and the file of texts say the same."""

from __future__ import annotations

import csv
import re
from importlib import resources

from nengliu.domain.links import LinkKind

ROWS = list(
    csv.DictReader(resources.files("schemas").joinpath("codes/links.csv").read_text("utf-8").splitlines())
)
_FIELDS = {"line", "meter"}
_COUNTS = {"queued", "meters", "down", "percent", "rows", "damaged", "count", "seconds", "offset_ms"}
_NAMES = {"bits", "got", "centre", "server", "version", "before", "error", "request", "outcome"}
PARAMETERS = _FIELDS | _COUNTS | _NAMES
"""`line` and `meter` are fields of the event, the others stand in its parameters."""


def test_kinds_of_the_code_are_those_of_the_file() -> None:
    """Neither list knows a kind the other does not, in the same order with the same numbers."""
    assert [(int(row["id"]), row["code"]) for row in ROWS] == [(kind.value, kind.name) for kind in LinkKind]


def test_kinds_say_the_same_in_both_languages() -> None:
    """Both sentences are written, with the same known parameters."""
    for row in ROWS:
        zh, en = (set(re.findall(r"\{(\w+)\}", row[language])) for language in ("zh", "en"))
        assert zh == en
        assert zh <= PARAMETERS
        assert re.search(r"[\u4e00-\u9fff]", row["zh"])
        assert re.search(r"[A-Za-z]", row["en"])


def test_kinds_say_whether_something_does_not_work() -> None:
    """What is down, refuses, drifts or fills up is marked; a start, a heartbeat, a success and an end are not."""
    down = {row["code"] for row in ROWS if row["down"] == "1"}
    assert {row["down"] for row in ROWS} == {"0", "1"}
    assert down == {
        "COLLECTOR_STOPPED",
        "LINE_DOWN",
        "LINE_NOISY",
        "METER_DOWN",
        "METER_REFUSES",
        "ANSWER_DAMAGED",
        "METER_CLOCK_OFF",
        "METER_STATUS",
        "METER_FOREIGN",
        "LOG_DOWN",
        "QUEUE_HIGH",
        "BAD_ACKNOWLEDGEMENT",
        "DATA_DROPPED",
        "CLOCK_OFFSET",
        "CLOCK_UNSURE",
        "CONFIG_REFUSED",
        "CONFIG_ROLLED_BACK",
    }


def test_kinds_fit_the_width_they_are_stored_in() -> None:
    """A kind is stored in one byte."""
    assert max(LinkKind) < 2**8
