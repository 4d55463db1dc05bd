"""Identifiers, units, status bits and error words are data: whole, in both languages, with source."""

from __future__ import annotations

import csv
from importlib import resources

import pytest
from vectors import vectors

from acquisition.codecs.cjt188_profiles import Profile, layouts, units
from acquisition.codecs.dlt645_steps import block
from acquisition.codecs.fields import TEXT_UNIT
from acquisition.codecs.identifiers import identifier, identifiers
from acquisition.codecs.words import Bit, bit, bits_of, faults_of, refusal, words
from nengliu.domain.units import dimension
from nengliu.errors import InputError

EDITIONS = ["dlt645-2007", "dlt645-1997"]
FILES = ["dlt645_2007", "dlt645_1997", "cjt188_units", "cjt188_layouts", "status_bits", "refusals"]


def rows(name: str) -> list[dict[str, str]]:
    text = resources.files("acquisition.codecs").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("name", FILES)
def test_every_row_names_its_source_and_whether_it_was_seen(name: str) -> None:
    """No number without source; `frame` means that a real frame showed it."""
    found = rows(name)

    assert found
    assert all(row["source"] and row["verified"] in ("frame", "no") for row in found)
    assert all(
        ("vector" in row["source"] or "frame" in row["source"]) for row in found if row["verified"] == "frame"
    )


@pytest.mark.parametrize("name", [name for name in FILES if name != "cjt188_units"])
def test_every_row_is_told_in_both_languages(name: str) -> None:
    """Texts for people come in Chinese and English."""
    assert all(
        row["zh"] and row["en"] and row["en"].isascii() and not row["zh"].isascii() for row in rows(name)
    )


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_identifier_makes_a_block(edition: str) -> None:
    """All rows can be asked; none hides another; every unit is known."""
    names = identifiers(edition)
    for name in names:
        found = identifier(edition, name)
        block(edition, name)
        assert all(one.unit == TEXT_UNIT or dimension(one.unit) for one in found.fields)
        assert len({one.name for one in found.fields}) == len(found.fields)

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("edition", EDITIONS)
def test_values_of_one_name_have_one_unit_and_one_digit(edition: str) -> None:
    """A block and its single identifiers tell the same item in the same ticks."""
    seen: dict[str, tuple[str, int, bool]] = {}
    for name in identifiers(edition):
        for one in identifier(edition, name).fields:
            told = (one.unit, one.decimals, one.signed)
            assert seen.setdefault(one.name, told) == told, (name, one.name)


def test_identifiers_reach_back_as_far_as_the_meter_does() -> None:
    """The last byte counts back: twelve settlement days, 254 hours, 62 days."""
    for edition, first, last, beyond in (
        ("dlt645-2007", "00010000", "0001000C", "0001000D"),
        ("dlt645-2007", "05040101", "050401FE", "05040100"),
        ("dlt645-2007", "05060101", "0506013E", "0506013F"),
    ):
        assert identifier(edition, first).fields == identifier(edition, last).fields
        with pytest.raises(InputError, match="nearest"):
            identifier(edition, beyond)


def test_edition_that_is_none_is_refused() -> None:
    """A mistyped edition is told with what is near."""
    with pytest.raises(InputError, match="nearest: dlt645-2007"):
        identifiers("dlt645-2008")


def test_identifiers_seen_in_frames_are_marked_so() -> None:
    """What a real frame of the reference shows is verified by it."""
    for vector in vectors("dlt645"):
        asked = vector.told.get("identifier")
        if vector.is_reply and vector.values and asked != "address" and not vector.told.get("synthetic"):
            assert identifier(vector.told["protocol"], asked).verified == "frame", vector.id


def test_status_bits_are_told_by_name_and_fault() -> None:
    """A word of several bits says several things; what is no fault is told apart."""
    assert bits_of("dlt645-2007/status_3", 0b0_0100) == ("battery_supply",)
    assert bits_of("dlt645-2007/status_3", 0b1_0011) == ("second_timetable", "auxiliary_supply", "relay_open")
    assert faults_of("dlt645-2007/status_3", 0b1_0011) == ("relay_open",)
    assert bits_of("cjt188/status_1", 0b111) == ("valve_fault", "battery_low")
    assert bits_of("cjt188-high/status_1", 0b0110_0000) == ("valve_closed", "battery_low")
    assert bit("dlt645-2007/status_6", "phase_broken_c") == Bit(
        "phase_broken_c", True, "C相断相", "Phase C: phase broken"
    )


def test_words_that_nobody_documented_are_told_by_bit() -> None:
    """Nothing that a meter says vanishes."""
    assert bits_of("dlt645-1997/status_grid", 0b101) == ("bit_0", "bit_2")
    assert bits_of("dlt645-2007/status_7", 1 << 15) == ("bit_15",)
    assert faults_of("dlt645-1997/status_grid", 0b101) == ()
    assert bits_of("dlt645-2007/status_2", 0) == ()


def test_words_of_a_resting_meter_are_empty() -> None:
    """A meter that reports nothing reports nothing, in every known word."""
    assert all(bits_of(word, 0) == () for word in words())
    assert {f"dlt645-2007/status_{n}" for n in range(1, 8)} <= set(words())


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_error_word_has_a_reason(edition: str) -> None:
    """Any byte that a meter can send is classified; only missing data is the map's fault."""
    for word in range(256):
        error = refusal(edition, word, "m", "00010000", 0x11)
        assert error.reason == ("CONFIG" if word & 2 else "REFUSED")
        assert error.parameters["meaning"]


def test_layouts_of_meters_are_as_long_as_their_frames() -> None:
    """22 and 46 bytes, as the standard's frames are."""
    sizes = {name: sum(one.size for one in Profile(layout=name).values) + 3 for name in layouts()}

    assert sizes == {"water": 0x16, "gas": 0x16, "heat": 0x2E}


def test_unit_codes_are_known_units() -> None:
    """Each code is so many of a unit that can be converted."""
    assert len(units()) == 16
    assert all(dimension(unit) and scale > 0 for _, unit, scale in units().values())
