"""Causes and evidence: the closed lists in code and the files of texts say the same."""

from __future__ import annotations

import csv
import re
from importlib import resources

import pytest

from nengliu.domain.causes import Cause, CauseClass, Evidence, class_of, severity_of

CODES = resources.files("schemas").joinpath("codes")
CAUSES = list(csv.DictReader(CODES.joinpath("causes.csv").read_text("utf-8").splitlines()))
EVIDENCE = list(csv.DictReader(CODES.joinpath("evidence.csv").read_text("utf-8").splitlines()))
HUNDREDS = {1: CauseClass.LINK, 2: CauseClass.METER, 3: CauseClass.CONFIGURATION, 4: CauseClass.POWER}


def test_causes_of_the_code_are_those_of_the_file() -> None:
    """Neither list knows a cause the other does not, and the numbers agree."""
    assert [(int(row["id"]), row["code"]) for row in CAUSES] == [(cause.value, cause.name) for cause in Cause]


def test_evidence_of_the_code_is_that_of_the_file() -> None:
    """Neither list knows an evidence the other does not, in the same order."""
    assert [row["code"] for row in EVIDENCE] == list(Evidence)


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_stands_in_the_hundred_of_its_class(cause: Cause) -> None:
    """The number tells the class; the severity is 1, 2 or 3."""
    assert class_of(cause) is HUNDREDS[cause // 100]
    assert severity_of(cause) in (1, 2, 3)


@pytest.mark.parametrize("row", [*CAUSES, *EVIDENCE], ids=lambda row: row["code"])
def test_both_languages_say_the_same(row: dict[str, str]) -> None:
    """Every text is written in both languages with the same placeholders."""
    for zh, en in (("zh", "en"), ("advice_zh", "advice_en")):
        if zh in row:
            assert set(re.findall(r"{(\w+)}", row[zh])) == set(re.findall(r"{(\w+)}", row[en]))
            assert re.search(r"[\u4e00-\u9fff]", row[zh])
            assert re.search(r"[A-Za-z]", row[en])
