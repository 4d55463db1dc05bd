"""States of meters and lines as pure steps: what happened in, the state after and its event out.

A meter that does not answer is SUSPECT and gets one more try after the others of its line;
without an answer again it is DOWN and gets one probe when its back-off is over.  A refusal
is an answer: the meter stays UP, in trouble.  An event says a change, never a repetition.
Source: TC 4.3.3 (report a meter that cannot be read); the back-off is ours.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from nengliu.domain.links import LinkKind

LONGEST_PROBE_S = 300
LONGEST_CONNECT_S = 60


class State(StrEnum):
    """State of a meter or a line; NEW was never seen."""

    NEW = "new"
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class MeterLink(msgspec.Struct, frozen=True):
    """A meter as the collector knows it.

    Parameters
    ----------
    since_ms
        Since when state and trouble are as they are [ms, UTC].
    reason, parameters
        Why it is down, or what its trouble is; "" if there is none.
    failures, probe_ms
        Tries without an answer since it is down, and when the next is due [ms, UTC].
    """

    state: State = State.NEW
    since_ms: int = 0
    reason: str = ""
    parameters: dict[str, str] = {}
    failures: int = 0
    probe_ms: int = 0

    def may_ask(self, now_ms: int) -> bool:
        """Say whether it may be asked now."""
        left_ms = self.probe_ms - now_ms  # more than the longest pause: the clock was set back
        return self.state is not State.DOWN or not 0 < left_ms <= 1000 * LONGEST_PROBE_S


class LineLink(msgspec.Struct, frozen=True):
    """A connection as the collector knows it; fields as `MeterLink`, `retry_ms` is the next try to connect."""

    state: State = State.NEW
    since_ms: int = 0
    failures: int = 0
    retry_ms: int = 0

    def may_connect(self, now_ms: int) -> bool:
        """Say whether a connection may be tried now."""
        return self.state is not State.DOWN or now_ms >= self.retry_ms


def back_off_ms(failures: int, first_s: int, longest_s: int) -> int:
    """Give the pause after so many failures: doubled each time [ms].

    >>> [back_off_ms(n, 2, 300) // 1000 for n in (1, 2, 3, 8, 9, 500)]
    [2, 4, 8, 256, 300, 300]
    """
    return 1000 * min(longest_s, first_s << min(failures - 1, 16))


def meter_answered(
    link: MeterLink, at_ms: int, reason: str = "", parameters: dict[str, str] | None = None
) -> tuple[MeterLink, LinkKind | None]:
    """Take note of an answer; `reason` is its trouble, if it refused or was damaged."""
    was_up = link.state in (State.UP, State.SUSPECT) and link.since_ms  # a new one may be suspect too
    if was_up and link.reason == reason:
        return msgspec.structs.replace(link, state=State.UP, failures=0), None
    kind = {"": LinkKind.METER_UP, "DAMAGED": LinkKind.ANSWER_DAMAGED, "MISMATCH": LinkKind.METER_FOREIGN}
    after = MeterLink(State.UP, at_ms, reason, parameters or {})
    return after, kind.get(reason, LinkKind.METER_REFUSES)


def meter_silent(
    link: MeterLink, at_ms: int, reason: str, parameters: dict[str, str]
) -> tuple[MeterLink, LinkKind | None]:
    """Take note that no answer came: suspect first, down next, then ever longer pauses."""
    if link.state in (State.NEW, State.UP):
        return msgspec.structs.replace(link, state=State.SUSPECT), None
    failures = link.failures + 1
    probe_ms = at_ms + back_off_ms(failures, 2, LONGEST_PROBE_S)
    if link.state is State.DOWN:
        return msgspec.structs.replace(
            link, reason=reason, parameters=parameters, failures=failures, probe_ms=probe_ms
        ), None
    return MeterLink(State.DOWN, at_ms, reason, parameters, failures, probe_ms), LinkKind.METER_DOWN


def line_connected(link: LineLink, at_ms: int) -> tuple[LineLink, LinkKind | None]:
    """Take note of a connection."""
    if link.state is State.UP:
        return link, None
    return LineLink(State.UP, at_ms), LinkKind.LINE_UP


def line_refused(link: LineLink, at_ms: int) -> tuple[LineLink, LinkKind | None]:
    """Take note that there is no connection to be had."""
    failures = link.failures + 1
    retry_ms = at_ms + back_off_ms(failures, 1, LONGEST_CONNECT_S)
    if link.state is State.DOWN:
        return msgspec.structs.replace(link, failures=failures, retry_ms=retry_ms), None
    return LineLink(State.DOWN, at_ms, failures, retry_ms), LinkKind.LINE_DOWN
