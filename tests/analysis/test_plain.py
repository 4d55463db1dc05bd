"""Plain rows: what the limits of a list let pass, the judge of single readings finds nothing in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import AT_MS, AT_S, ENTERPRISE, make_catalogue, make_frame, make_meter, make_point
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nengliu.analysis.growing import Growing
from nengliu.analysis.intake.candidates import Path, path_of
from nengliu.analysis.intake.opening import Opener
from nengliu.analysis.intake.plain import Limits as Of
from nengliu.analysis.intake.plain import listing_of
from nengliu.analysis.intake.rack import Pile, Rack
from nengliu.analysis.intake.validate import Limits, judge
from nengliu.domain.points import Kind, Point
from nengliu.domain.quality import Quality
from nengliu.errors import ContractError

EDGE = 2**61
near = st.integers(-3, 3)


@st.composite
def points(draw: st.DrawFn) -> Point:
    """Draw a point with limits and a meter of any size."""
    kind = draw(st.sampled_from(list(Kind)))
    meters = tuple(
        make_meter(
            from_ms=start,
            unit=draw(st.sampled_from(["kWh", "Wh"])),
            decimals=draw(st.integers(0, 2)),
            multiplier=draw(st.sampled_from([1, 40, 10**6, 2**40])),
            modulus=draw(st.sampled_from([0, 10, 10**6])),
        )
        for start in draw(st.sampled_from([(0,), (0, AT_MS), (0, AT_MS + 1)]))
    )
    return make_point(
        "p",
        kind,
        unit="kWh" if kind is not Kind.GAUGE else "kW",
        item="electricity" if kind is not Kind.GAUGE else "active_power",
        decimals=5,
        meters=meters if kind is Kind.COUNTER else (),
        minimum=draw(st.sampled_from([None, -7, 3, 10**9])),
        maximum=draw(st.sampled_from([None, 7, 10**12, -5])),
        interval_s=draw(st.sampled_from([0, 900])),
    )


@settings(max_examples=400, deadline=None)
@given(point=points(), decimals=st.integers(0, 18), data=st.data())
def test_plain_value_is_one_the_judge_finds_nothing_in(point: Point, decimals: int, data: Any) -> None:
    """Never too wide: what passes is accepted as good, with the same ticks."""
    try:
        catalogue = make_catalogue(point)
    except ContractError:
        assume(False)
    unit = "W" if point.kind is Kind.GAUGE else "Wh"
    path = path_of(catalogue, ENTERPRISE, "p", data.draw(st.sampled_from([point.unit, unit])), decimals)
    listing = listing_of([path])
    assume(listing is not None)
    of = Of(*listing.limits[:, 0].tolist())
    edges = [0, of.low, of.high, of.sent, -of.sent, EDGE, -EDGE, 10**decimals]
    numbers = st.sampled_from(edges).flatmap(
        lambda edge: near.map(lambda by: edge * of.bottom // of.top + by)
    )
    values = [
        max(min(v, 2**63 - 1), 1 - 2**63) for v in data.draw(st.lists(numbers, min_size=1, max_size=20))
    ]
    frames = [make_frame([[v]], received_at_s=AT_S + 1, read_at_ms=np.array([AT_MS])) for v in values]
    rack = Rack(1, frames[0].origin, converted=listing.converted)
    columns = {name: np.array(0) for name in ("id", "enterprise")}
    rack.enter(listing, columns | {name: np.array([0]) for name in ("slots", "names", "units")})
    appended = np.full(len(values), AT_S + 1)
    pile = Pile([0] * len(values), frames, list(range(len(values))))
    swath, plain = rack.cut(pile, appended, np.arange(len(values), dtype=np.uint64), Limits())
    candidates = _spelled(catalogue, frames)
    judged = judge(candidates, [path], Limits(), appended)
    sound = ~np.any([np.zeros(len(values), bool), *judged.refused.values()], axis=0)

    assert (sound & (judged.quality == Quality.GOOD))[plain].all()
    assert swath.ticks[plain, 0].tolist() == judged.ticks[plain].tolist()


def _spelled(catalogue: Any, frames: list[Any]) -> Any:
    opener = Opener(catalogue)
    return opener.spread(frames, list(range(len(frames))))


def test_ordinary_value_is_plain() -> None:
    """The limits are not so tight that nothing passes: registers up to their modulus, readings up to their limits."""
    point = make_point(meters=(make_meter(modulus=1000, multiplier=4),), maximum=3_000, minimum=8)
    path = path_of(make_catalogue(point), ENTERPRISE, point.point, "kWh", 2)
    listing = listing_of([path])

    assert listing is not None
    assert Of(*listing.limits[:, 0].tolist())[-3:-1] == (2, 750)


@pytest.mark.parametrize("fault", ["unknown", "unit", "twice", "narrow"])
def test_list_that_cannot_be_taken_whole_is_none(fault: str) -> None:
    """A refused column, a point named twice, limits that nothing fits."""
    catalogue = make_catalogue(make_point(), make_point("t", Kind.GAUGE, unit="kW", minimum=5, maximum=4))
    found: dict[str, list[Path]] = {
        "unknown": [path_of(catalogue, ENTERPRISE, "x", "kWh", 2)],
        "unit": [path_of(catalogue, ENTERPRISE, "e-main", "m3", 2)],
        "twice": [path_of(catalogue, ENTERPRISE, "e-main", "kWh", 2)] * 2,
        "narrow": [path_of(catalogue, ENTERPRISE, "t", "kW", 2)],
    }

    assert listing_of(found[fault]) is None


@given(sizes=st.lists(st.integers(0, 5), max_size=8), data=st.data())
def test_growing_columns_hold_what_was_added(sizes: list[int], data: Any) -> None:
    """Rows stay in the order they came, vector and matrix alike, and those let go are gone."""
    grown, n = Growing({"a": "i8", "m": "i4"}, {"m": 2}), 0
    for size in sizes:
        rows = np.arange(n, n + size)
        grown.append({"a": rows, "m": np.stack([rows, -rows], axis=1)})
        n += size
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    grown.keep(mask)
    grown.append({"a": np.array([99]), "m": np.array([[1, 2]])})

    assert grown["a"].tolist() == [*np.flatnonzero(mask).tolist(), 99]
    assert grown["m"][:-1, 1].tolist() == (-np.flatnonzero(mask)).tolist()
    assert len(grown) == mask.sum() + 1
