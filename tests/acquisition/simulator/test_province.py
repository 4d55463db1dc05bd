"""The fictitious province: nobody can take it for a real one, and some of its cities keep their targets."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from acquisition.simulator.province import (
    PLANTS,
    PROVINCE,
    Province,
    introduction,
    key_of,
    province_until,
    told,
)
from acquisition.simulator.site import Site, rows_of, sites
from nengliu.domain.books import shipped_factors
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, QUARTER_MS
from schemas.messages import (
    ActivityNotice,
    EnterpriseNotice,
    RegionNotice,
    RowsFrame,
    TargetNotice,
    decode,
    encode,
)

END_MS = 1_795_233_600_000
FEW = Province(7, END_MS - 40 * DAY_MS, 40, 3)
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
ORGANISATION = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_codes_have_valid_check_characters() -> None:
    """Each code satisfies GB 32100 and its organisation code GB 11714, so that no checker refuses them."""
    for site in sites():
        code = site.enterprise.enterprise
        total = sum(ALPHABET.index(letter) * pow(3, i, 31) for i, letter in enumerate(code[:17]))
        weights = (3, 7, 9, 10, 5, 8, 4, 2)
        inner = sum(ORGANISATION.index(a) * w for a, w in zip(code[8:16], weights, strict=True))

        assert len(code) == 18
        assert ALPHABET[(31 - total) % 31 % 31] == code[17]
        assert "0123456789X"[(11 - inner % 11) % 11] == code[16]
        assert code[2:8] == site.enterprise.region


def test_everybody_says_that_it_is_simulated() -> None:
    """Flag and both names of each plant say what it is; names, codes and slugs are its own."""
    who = [site.enterprise for site in sites()]

    assert len(who) == PLANTS
    assert all(one.simulated for one in who)
    assert all(one.name.endswith("（模拟）") and one.name_en.endswith("(simulated)") for one in who)
    for names in ([o.name for o in who], [o.enterprise for o in who], [s.slug for s in sites()]):
        assert len(set(names)) == PLANTS


def test_plants_lie_in_eight_cities_and_the_first_ones_show_every_industry() -> None:
    """A small demonstration has something of everything."""
    regions = Counter(site.enterprise.region for site in sites())

    assert set(regions) == {row["region"] for row in rows_of("regions.csv")} - {PROVINCE}
    assert set(regions.values()) == {5}
    assert len({site.enterprise.industry for site in sites()[:7]}) == 7


@pytest.mark.parametrize("site", sites(), ids=lambda site: site.slug)
def test_points_are_ten_of_known_items_and_flaws_name_them(site: Site) -> None:
    """Every boundary point has a factor in the book, and what went wrong befell points that exist."""
    known = {row["item"] for row in shipped_factors()[1] if row["factor"] == "coal"}
    boundary = {channel.item for channel in site.channels if channel.level == 1}

    assert len({channel.point for channel in site.channels}) == 10
    assert boundary <= known
    assert any(channel.kind is Kind.PERIOD and channel.point == "output" for channel in site.channels)
    for flaw in site.flaws:
        assert {site.channel(point).point for point in flaw.points} == set(flaw.points)


def test_introduction_comes_before_the_past_and_each_message_has_its_key() -> None:
    """Regions, plants, targets and output are known before the first reading; all of it survives encoding."""
    first = list(introduction(FEW))
    after = next(itertools.islice(told(FEW), len(first), None))

    assert next(n.region for n in first if isinstance(n, RegionNotice)) == PROVINCE
    assert sum(isinstance(n, EnterpriseNotice) for n in first) == 3
    assert {key_of(n) for n in first if isinstance(n, ActivityNotice)} == {
        plant.enterprise.enterprise for plant in FEW.plants
    }
    assert all(type(decode(encode(message))) is type(message) for message in first)
    assert not isinstance(after, RegionNotice)
    assert key_of(after) == FEW.plants[0].enterprise.enterprise


def test_days_of_all_plants_are_told_together() -> None:
    """The log moves through time with everybody: no plant is more than a day ahead of another."""
    last: dict[str, int] = {}
    for message in told(FEW):
        if isinstance(message, RowsFrame):
            last[message.enterprise] = int(message.received_at_s.max())
            if len(last) == 3:
                assert max(last.values()) - min(last.values()) <= DAY_MS // 1000 + 60


def test_targets_of_a_region_are_the_sum_of_its_plants_and_of_their_months() -> None:
    """What is allowed adds up: months to the year, plants to the city, cities to the province."""
    notices = [n for n in introduction(FEW) if isinstance(n, TargetNotice)]
    by = {(n.enterprise, n.region): {(t.metric, t.period): t.value for t in n.targets} for n in notices}
    whole = by["", PROVINCE]
    months = [whole["energy_total", f"2026-{month:02}"] for month in range(1, 13)]
    plants = [targets["energy_total", "2026"] for (code, _), targets in by.items() if code]

    assert sum(months) == pytest.approx(whole["energy_total", "2026"], abs=1)
    assert sum(plants) == pytest.approx(whole["energy_total", "2026"], abs=1)
    assert whole["energy_intensity", "2026"] > 0
    assert ("energy_total", "2025-03") in whole


def test_whole_months_of_the_history_have_their_output_and_value() -> None:
    """A month that is not over has none yet, nor has one that the history only touches."""
    notice = next(n for n in introduction(FEW) if isinstance(n, ActivityNotice))

    assert {a.measure for a in notice.activities} == {"output", "output_value", "value_added"}
    assert {a.period for a in notice.activities} == {"2026-10"}
    assert all(a.value > 0 for a in notice.activities)


def test_province_ends_with_the_last_whole_quarter_hour() -> None:
    """What is read on the wire begins where the history ends."""
    found = province_until(7, END_MS + QUARTER_MS - 1, 5, 2)

    assert (found.end_ms, len(found.plants)) == (END_MS, 2)
