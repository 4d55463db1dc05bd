"""Instants as texts: many at once are what each is alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.errors import ContractError
from schemas.instants import instant_ms, instants_ms

moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds"))


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(moments, min_size=1, max_size=60),
    offset=st.sampled_from(["+08:00", "+00:00", "-05:00", "+14:59"]),
    odd=st.none()
    | st.sampled_from(["2026-03-01T00:00:00.250+08:00", "20260301T000000+0800", "2026-03-01T00:00:00+07:00"]),
)
def test_instants_of_many_texts_are_those_of_each(texts: list[str], offset: str, odd: str | None) -> None:
    """One form or several, any year, any offset: the milliseconds do not depend on the company."""
    written = [text + offset for text in texts] + ([] if odd is None else [odd])

    assert instants_ms(written).tolist() == [instant_ms(text) for text in written]


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00+08:00",
        "2026-13-01T00:00:00+08:00",
        "2026-03-01T24:00:00+08:00",
        "2026-03-01T00:00:60+08:00",
        "0000-03-01T00:00:00+08:00",
        "2026-03-01T00:00:00+99:00",
        "2026-03-01T00:00:00",
        "2026-03-01T00:00:00+08:0",
        "2026-03-01T00:00:00+08:000",
        "today",
        "",
    ],
)
@pytest.mark.parametrize("beside", [0, 40])
def test_instant_that_is_none_is_refused_in_any_company(text: str, beside: int) -> None:
    """No such day or hour, no offset, no time at all: refused alone and among many."""
    with pytest.raises(ContractError) as caught:
        instants_ms(["2026-03-01T00:00:00+08:00"] * beside + [text])

    assert (caught.value.reason, caught.value.parameters) == ("NOT_A_TIME", {"got": text})


def test_instants_that_only_look_alike_together_are_refused() -> None:
    """A character too many here and one too few there is no time, though the whole has the right length."""
    texts = ["2026-03-01T00:00:00+08:00"] * 20 + ["2026-03-01T00:00:00+08:002", "026-03-01T00:00:00+08:00"]

    with pytest.raises(ContractError):
        instants_ms(texts)


def test_instants_of_nothing_are_none() -> None:
    """No text, no instant."""
    assert instants_ms([]).tolist() == []
