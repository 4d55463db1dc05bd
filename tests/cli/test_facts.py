"""Facts the demonstration ends with: said in the reader's words."""

from __future__ import annotations

from typing import Any

import pytest

from acquisition.simulator.province import Province
from nengliu.cli.facts import place_of

START_MS = 1_795_233_600_000


def incident(**more: Any) -> dict[str, Any]:
    province = Province(1, START_MS, 2, 2)
    return {
        "enterprise": province.plants[1].enterprise.enterprise,
        "members": [],
        "line": "",
        "source": "chiqiao-steel",
    } | more


@pytest.mark.parametrize(
    ("language", "expected"), [("zh", "总进线电量、新水用量"), ("en", "Incoming electricity, Fresh water")]
)
def test_place_of_an_incident_is_named_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, language: str, expected: str
) -> None:
    """A visitor reads names of meters, not the slugs of the files."""
    monkeypatch.setenv("NENGLIU_LANG", language)

    assert place_of(Province(1, START_MS, 2, 2), incident(members=["grid", "water"])) == expected


def test_place_of_an_incident_without_points_is_what_it_hangs_on() -> None:
    """A line or a collector says its own name, as on the desk."""
    province = Province(1, START_MS, 2, 2)

    assert place_of(province, incident(line="electricity", members=["unknown"])) == "electricity"
    assert place_of(province, incident()) == "chiqiao-steel"
