"""States: every step of the table, and an event only for a change."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.drivers.lines.states import (
    LineLink,
    MeterLink,
    State,
    line_connected,
    line_refused,
    meter_answered,
    meter_silent,
)
from nengliu.domain.links import LinkKind

AT = 1_700_000_000_000
UP = MeterLink(State.UP, 5)
REFUSES = MeterLink(State.UP, 5, "CONFIG", {"code": "2"})
SUSPECT = MeterLink(State.SUSPECT, 5)
DOWN = MeterLink(State.DOWN, 5, "TIMEOUT", {}, 3, AT)


@pytest.mark.parametrize(
    ("before", "reason", "state", "kind"),
    [
        (MeterLink(), "", State.UP, LinkKind.METER_UP),
        (MeterLink(State.SUSPECT), "", State.UP, LinkKind.METER_UP),
        (UP, "", State.UP, None),
        (SUSPECT, "", State.UP, None),
        (DOWN, "", State.UP, LinkKind.METER_UP),
        (REFUSES, "", State.UP, LinkKind.METER_UP),
        (UP, "CONFIG", State.UP, LinkKind.METER_REFUSES),
        (REFUSES, "CONFIG", State.UP, None),
        (REFUSES, "REFUSED", State.UP, LinkKind.METER_REFUSES),
        (REFUSES, "DAMAGED", State.UP, LinkKind.ANSWER_DAMAGED),
        (DOWN, "MISMATCH", State.UP, LinkKind.METER_FOREIGN),
        (MeterLink(), "REFUSED", State.UP, LinkKind.METER_REFUSES),
    ],
)
def test_answer_makes_up(before: MeterLink, reason: str, state: State, kind: LinkKind | None) -> None:
    """An answer, even a refusal, is a sign of life; only a change is told."""
    after, told = meter_answered(before, AT, reason)

    assert (after.state, after.reason, told) == (state, reason, kind)
    assert after.since_ms == (AT if kind else before.since_ms)


@pytest.mark.parametrize(
    ("before", "state", "kind"),
    [
        (MeterLink(), State.SUSPECT, None),
        (UP, State.SUSPECT, None),
        (SUSPECT, State.DOWN, LinkKind.METER_DOWN),
        (DOWN, State.DOWN, None),
    ],
)
def test_silence_makes_suspect_then_down(before: MeterLink, state: State, kind: LinkKind | None) -> None:
    """One silence is a suspicion, two are a fault, more are no news."""
    after, told = meter_silent(before, AT, "TIMEOUT", {"meter": "m"})

    assert (after.state, told) == (state, kind)
    assert after.since_ms == (AT if kind else before.since_ms)


def test_pauses_double_up_to_five_minutes() -> None:
    """A dead meter is asked after 2, 4, 8 ... 300 s, and not before."""
    link, pauses, now_ms = SUSPECT, [], AT
    for _ in range(10):
        link, _ = meter_silent(link, now_ms, "TIMEOUT", {})
        pauses.append((link.probe_ms - now_ms) // 1000)
        assert not link.may_ask(link.probe_ms - 1)
        now_ms = link.probe_ms
        assert link.may_ask(now_ms)

    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_line_waits_ever_longer_and_is_told_once() -> None:
    """A line that cannot be had is tried after 1, 2, 4 ... 60 s; down and up are told once each."""
    link, told, pauses, now_ms = LineLink(), [], [], AT
    for _ in range(8):
        link, kind = line_refused(link, now_ms)
        told.append(kind)
        pauses.append((link.retry_ms - now_ms) // 1000)
        assert not link.may_connect(link.retry_ms - 1)
        now_ms = link.retry_ms
    up, kind = line_connected(link, now_ms)
    again, none = line_connected(up, now_ms + 1)

    assert told == [LinkKind.LINE_DOWN] + [None] * 7
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (kind, up.state, up.since_ms) == (LinkKind.LINE_UP, State.UP, now_ms)
    assert (again, none) == (up, None)


@given(st.lists(st.sampled_from(["", "CONFIG", "DAMAGED", "silence"]), max_size=30))
def test_events_are_changes(happenings: list[str]) -> None:
    """Whatever happens, two events in a row never say the same, and the last one says the state."""
    link, said = MeterLink(), []
    for n, what in enumerate(happenings, 1):
        link, kind = (
            meter_silent(link, n, "TIMEOUT", {}) if what == "silence" else meter_answered(link, n, what)
        )
        if kind is not None:
            said.append((kind, link.reason))

    assert all(a != b for a, b in pairwise(said))
    if said and link.state is not State.SUSPECT:
        assert said[-1][1] == link.reason
    assert msgspec.json.decode(msgspec.json.encode(link), type=MeterLink) == link
