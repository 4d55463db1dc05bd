"""Frozen values come with the time at which they were frozen; a clock in two halves is one instant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from frames import bcd, low_first, reply645

from acquisition.codecs.dlt645_steps import MOST_TRIES, ClockBlock, FrozenBlock, block
from acquisition.codecs.exchange import Answer, Exchange
from nengliu.errors import LinkError

METER = "000000000161"
ELEVEN, TWELVE = "2411151100", "2411151200"


def at_ms(*when: int) -> int:
    """An instant of China civil time, as ms UTC."""
    return (int(datetime(*when, tzinfo=UTC).timestamp()) - 8 * 3600) * 1000  # type: ignore[arg-type,misc]


def shown(identifier: str, digits: str) -> bytes:
    return reply645(METER, 0x91, low_first(identifier) + bcd(digits))


def frozen() -> Exchange:
    return block("dlt645-2007", "05040101").exchange(METER)


def asked(found: object) -> str:
    """The identifier that a request asks for."""
    assert isinstance(found, bytes)
    return bytes((one - 0x33) % 256 for one in found[14:-2])[::-1].hex().upper()


def play(exchange: Exchange, *replies: bytes) -> list[str | Answer]:
    """Feed replies one after another; what was asked after each, or the answer."""
    return [found if isinstance(found := exchange.feed(one), Answer) else asked(found) for one in replies]


def test_frozen_value_bears_the_time_of_its_freezing() -> None:
    """Time, value, time: the value holds for the hour the meter says."""
    exchange = frozen()
    stamp, value = shown("05040001", ELEVEN), shown("05040101", "12345678")

    assert asked(exchange.request) == "05040001"
    *steps, answer = play(exchange, stamp, value, stamp)
    assert steps == ["05040101", "05040001"]
    assert isinstance(answer, Answer)
    assert answer.values == {"energy_frozen": 12345678}
    assert answer.at_ms == at_ms(2024, 11, 15, 11)
    assert answer.raw == value


def test_value_frozen_anew_meanwhile_is_read_anew() -> None:
    """Noon strikes between time and value: the value of noon is not told as that of eleven."""
    first, second = shown("05040101", "00000001"), shown("05040101", "00000002")
    *steps, answer = play(
        frozen(),
        shown("05040001", ELEVEN),
        first,
        shown("05040001", TWELVE),
        second,
        shown("05040001", TWELVE),
    )

    assert steps == ["05040101", "05040001", "05040101", "05040001"]
    assert isinstance(answer, Answer)
    assert answer.values == {"energy_frozen": 2}
    assert answer.at_ms == at_ms(2024, 11, 15, 12)


def test_time_that_never_stands_still_is_damage() -> None:
    """A meter whose time of freezing changes with every question cannot be believed."""
    exchange = frozen()
    for hour in range(MOST_TRIES):
        play(exchange, shown("05040001", f"24111511{hour:02d}"), shown("05040101", "00000001"))
    with pytest.raises(LinkError) as told:
        exchange.feed(shown("05040001", "2411151159"))
    assert told.value.reason == "DAMAGED"


@pytest.mark.parametrize("stamp", [b"\xff" * 5, b"\x00" * 5])
def test_nothing_frozen_yet_is_no_data(stamp: bytes) -> None:
    """A new meter has no hours behind it."""
    with pytest.raises(LinkError) as told:
        frozen().feed(reply645(METER, 0x91, low_first("05040001") + stamp))
    assert told.value.reason == "NO_DATA"


def test_refusal_and_silence_of_any_step_are_told() -> None:
    """A meter without frozen hours refuses; one that falls silent in the middle is silent."""
    exchange = frozen()
    with pytest.raises(LinkError) as told:
        exchange.feed(reply645(METER, 0xD1, b"\x02"))
    assert told.value.reason == "CONFIG"

    exchange = frozen()
    play(exchange, shown("05040001", ELEVEN))
    assert exchange.feed(b"") is None
    assert exchange.silence().reason == "TIMEOUT"
    exchange.feed(b"\x01")
    assert exchange.silence().reason == "DAMAGED"


def test_daily_freeze_has_its_tariffs() -> None:
    """The daily freeze holds the total and four tariffs; back numbers reach back."""
    asked_for = block("dlt645-2007", "05060103", ("energy_frozen",))

    assert isinstance(asked_for, FrozenBlock)
    assert (asked_for.stamp.found.identifier, asked_for.values.found.identifier) == ("05060003", "05060103")
    assert [item.name for item in asked_for.items] == ["energy_frozen"]


def test_clock_in_two_halves_is_one_instant() -> None:
    """Date and time of day are China civil time."""
    exchange = block("dlt645-2007", "04000101").exchange(METER)
    *steps, answer = play(exchange, shown("04000101", "16011101"), shown("04000102", "215355"))

    assert asked(exchange.request) == "04000101"
    assert steps == ["04000102"]
    assert isinstance(answer, Answer)
    assert answer.values == {"clock": at_ms(2016, 1, 11, 21, 53, 55)}


def test_clock_read_over_midnight_is_not_off_by_a_day() -> None:
    """The date was read before midnight and the time after it: the date is asked again."""
    exchange = block("dlt645-2007", "04000101").exchange(METER)
    *steps, answer = play(
        exchange, shown("04000101", "24111505"), shown("04000102", "000000"), shown("04000101", "24111606")
    )

    assert steps == ["04000102", "04000101"]
    assert isinstance(answer, Answer)
    assert answer.values == {"clock": at_ms(2024, 11, 16)}


def test_clock_in_one_and_the_clock_of_1997_say_the_same() -> None:
    """Every way to ask for the clock tells one item."""
    one = block("dlt645-2007", "0400010C").exchange(METER)
    old = block("dlt645-1997", "C010").exchange(METER)
    when = {"clock": at_ms(2024, 11, 15, 12, 30, 1)}

    (found,) = play(one, shown("0400010C", "24111505123001"))
    assert isinstance(found, Answer)
    assert found.values == when
    found_old = old.feed(reply645(METER, 0x81, low_first("C010") + bcd("24111505")))
    assert isinstance(found_old, bytes)
    found_old = old.feed(reply645(METER, 0x81, low_first("C011") + bcd("123001")))
    assert isinstance(found_old, Answer)
    assert found_old.values == when


@pytest.mark.parametrize(
    ("date", "time"), [("ffffffff", ""), ("24111505", "ffffff"), ("24113205", ""), ("24111505", "250000")]
)
def test_clock_that_is_none_is_told(date: str, time: str) -> None:
    """A clock without a date or with an impossible one is no clock."""
    exchange = block("dlt645-2007", "04000101").exchange(METER)
    replies = [shown("04000101", date)] + [shown("04000102", time)] * bool(time)
    for one in replies[:-1]:
        exchange.feed(one)
    with pytest.raises(LinkError) as told:
        exchange.feed(replies[-1])
    assert told.value.reason in ("NO_DATA", "BAD_BCD")


@pytest.mark.parametrize("identifier", ["05040101", "04000101"])
def test_lengths_of_all_steps_are_added(identifier: str) -> None:
    """A block of several questions costs the line all of them; it cannot be split."""
    whole = block("dlt645-2007", identifier)
    parts = [whole.stamp, whole.values, whole.stamp] if isinstance(whole, FrozenBlock) else []
    if isinstance(whole, ClockBlock):
        parts = [whole.date, whole.time]

    assert parts
    assert whole.request_bytes == sum(part.request_bytes for part in parts)
    assert whole.answer_bytes == sum(part.answer_bytes for part in parts)
    assert whole.split() == (whole,)


def test_clock_falls_silent_between_its_halves() -> None:
    """Silence after the date is silence."""
    exchange = block("dlt645-2007", "04000101").exchange(METER)
    play(exchange, shown("04000101", "24111505"))

    assert exchange.silence().reason == "TIMEOUT"
