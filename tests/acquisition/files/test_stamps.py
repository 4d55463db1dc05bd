"""Stamps become instants; ambiguous or impossible ones are refused with the reason."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.files.reader import Instants, Numbers
from acquisition.files.stamps import NAT, StampReader, StampRule, check_format, zone_of


def utc(text: str) -> int:
    """Milliseconds of an instant."""
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def read(texts: list[object], zone: str = "Asia/Shanghai", *formats: str) -> tuple[list[int], dict[int, str]]:
    """Read stamps."""
    found = StampReader(StampRule(("t",), formats or ("iso",), zone)).read(texts)
    return found.at_ms.tolist(), found.why


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("1/1/2018 0:15", "%d/%m/%Y %H:%M", "2018-01-01T00:15+08:00"),
        ("31/12/2018 24:00", "%d/%m/%Y %H:%M", "2019-01-01T00:00+08:00"),
        ("2018年01月02日 03时", "%Y年%m月%d日 %H时", "2018-01-02T03:00+08:00"),
        ("20180102 0304", "%Y%m%d %H%M", "2018-01-02T03:04+08:00"),
        (
            "2020-03-09T00:00:00-07:00 Los_Angeles",
            "%Y-%m-%dT%H:%M:%S%z Los_Angeles",
            "2020-03-09T07:00+00:00",
        ),
        ("2018-01-02T03:04:05.678Z", "iso", "2018-01-02T03:04:05.678+00:00"),
        ("2018-01-02", "iso", "2018-01-02T00:00+08:00"),
        ("1325376600", "epoch_s", "2012-01-01T00:10+00:00"),
        ("1325376600500", "epoch_ms", "2012-01-01T00:10:00.500+00:00"),
        (dt.datetime(2018, 1, 2, 3, 4), "iso", "2018-01-02T03:04+08:00"),  # noqa: DTZ001
        (dt.date(2018, 1, 2), "iso", "2018-01-02T00:00+08:00"),
        (1325376600, "epoch_s", "2012-01-01T00:10+00:00"),
    ],
)
def test_read_stamp_of_a_format_gives_its_instant(text: object, pattern: str, expected: str) -> None:
    """Each way of writing a time is read as it is meant."""
    assert read([text], "Asia/Shanghai", pattern)[0] == [utc(expected)]


@pytest.mark.parametrize(
    "text", ["", "x", "32/1/2018 0:00", "1/1/2018 24:15", "1/1/2018 23:60", "1/1/2018", None, True, 7]
)
def test_read_no_stamp_gives_none(text: object) -> None:
    """What is no stamp of the format is no instant."""
    assert read([text], "Asia/Shanghai", "%d/%m/%Y %H:%M")[0] == [NAT]


def test_read_several_formats_tries_them_in_order() -> None:
    """A file that changed its format half way is read by both."""
    found, _ = read(
        ["1/2/2018 0:00", "2018-02-01 00:15"], "Asia/Shanghai", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M"
    )
    assert found == [utc("2018-02-01T00:00+08:00"), utc("2018-02-01T00:15+08:00")]


def test_read_local_time_that_comes_twice_or_never_is_refused() -> None:
    """The hours around a change of the clock have no certain instant and say so."""
    texts: list[object] = [
        "2018-03-11 02:30",
        "2018-03-11 03:00",
        "2018-11-04 01:30",
        "2018-11-04 02:00",
        "2018-11-04 00:59",
    ]
    found, why = read(texts, "America/Los_Angeles")
    assert why == {0: "no_such_local_time", 2: "ambiguous_local_time"}
    assert found == [NAT, utc("2018-03-11T10:00Z"), NAT, utc("2018-11-04T10:00Z"), utc("2018-11-04T07:59Z")]


def test_read_local_as_china_keeps_civil_months() -> None:
    """A foreign works' own midnight is taken as China's."""
    assert read(["2018-01-01 00:00"], "local-as-china")[0] == [utc("2018-01-01T00:00+08:00")]


def test_read_china_has_no_daylight_saving_even_in_1988() -> None:
    """China civil time is UTC+8 throughout."""
    assert read(["1988-07-01 00:00"])[0] == [utc("1988-07-01T00:00+08:00")]


def test_read_out_of_range_is_refused_with_the_reason() -> None:
    """Before 1970 and from 2100 on no meter was read."""
    found, why = read(["1899-12-30", "2100-01-02", "0001-01-01", "9999-12-31"], "America/Los_Angeles")
    assert found == [NAT] * 4
    assert set(why.values()) == {"out_of_range"}


def test_read_numbers_and_instants_of_columns() -> None:
    """Parquet columns of epochs and of timestamps are read like texts."""
    none = np.array([False, True])
    numbers = StampReader(StampRule(("t",), ("epoch_s",))).read(Numbers(np.array([1325376600.0, 0.0]), none))
    local = StampReader(StampRule(("t",))).read(Instants(np.array([0, 0]) + 8 * 3_600_000, none, False))
    aware = StampReader(StampRule(("t",))).read(Instants(np.array([5, 0]), none, True))
    bare = StampReader(StampRule(("t",))).read(Numbers(np.array([5, 6]), none))
    assert numbers.at_ms.tolist() == [1325376600000, NAT]
    assert local.at_ms.tolist() == [0, NAT]
    assert aware.at_ms.tolist() == [5, NAT]
    assert bare.at_ms.tolist() == [NAT, NAT]


def test_zone_unknown_names_the_nearest() -> None:
    """A misspelt zone is told with the right one."""
    with pytest.raises(ValueError, match="Asia/Shanghai"):
        zone_of("Asia/Shangai")
    assert zone_of("UTC-3") == -3 * 3_600_000


@pytest.mark.parametrize("pattern", ["isoo", "%Q", "%Y-%"])
def test_format_unknown_is_refused(pattern: str) -> None:
    """A format that cannot be read is refused when the map is read."""
    with pytest.raises(ValueError, match="format"):
        check_format(pattern)


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2099, 1, 1)))  # noqa: DTZ001
def test_read_written_stamp_round_trips(moment: dt.datetime) -> None:
    """A stamp written in a format and read again is the same minute."""
    moment = moment.replace(second=0, microsecond=0)
    texts: list[object] = [moment.strftime("%d/%m/%Y %H:%M"), moment.isoformat()]
    found, _ = read(texts, "UTC", "%d/%m/%Y %H:%M", "iso")
    assert found == [int(moment.replace(tzinfo=dt.UTC).timestamp() * 1000)] * 2
