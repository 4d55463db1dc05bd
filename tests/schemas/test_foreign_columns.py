"""Plain JSON as columns: the same readings as one by one, to the digit, or nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from factories import AT_MS, ENTERPRISE, TIME, make_json
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.domain.quality import Origin, Quality
from schemas.foreign import ForeignReading, read_json
from schemas.foreign_columns import ForeignRows, read_columns
from schemas.messages import MISSING, Frame

DECLARED = np.array([2, 0, 4])
RECEIPT, NUMBER = 7, 9


def columns(value: bytes | Any) -> Frame | ForeignRows | None:
    """Read JSON as columns; column list 3 of the example enterprise is declared."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_columns(text, lambda e, s: DECLARED if (e, s) == (ENTERPRISE, 3) else None, RECEIPT, NUMBER)


def matrix(*rows: str, **given: Any) -> bytes:
    """Text of a message by column list with rows of cells as they are to be written."""
    entry = {"v": 1, "enterprise": ENTERPRISE, "schema": 3, "times": [TIME] * len(rows), "values": "@"}
    return json.dumps(entry | given).replace('"@"', f"[{','.join(f'[{row}]' for row in rows)}]").encode()


def said(reading: ForeignReading) -> tuple[Any, ...]:
    """What a reading says beside its value and its column, with the defaults filled in."""
    number = NUMBER if reading.sequence is None else reading.sequence
    receipt = RECEIPT if reading.received_at_s is None else reading.received_at_s
    return reading.enterprise, reading.read_at_ms, reading.origin, reading.quality, number, receipt


def rows_of(found: ForeignRows) -> list[tuple[Any, ...]]:
    """Readings of columns, one by one."""
    several = (found.read_at_ms, found.origin, found.quality, found.sequence, found.received_at_s)
    rest = zip(*(column.tolist() for column in several), strict=True)
    named = [found.columns[i] for i in found.column]
    return [
        (*name, value, found.enterprise, *more)
        for name, value, more in zip(named, found.values.tolist(), rest, strict=True)
    ]


def cells_of(found: Frame) -> list[tuple[Any, ...]]:
    """Readings of a frame that are there, one by one, as decimal numbers."""
    quality = np.zeros(found.values.shape, np.uint8) if found.quality is None else found.quality
    return [
        (j, Decimal(int(found.values[i, j])).scaleb(-int(DECLARED[j])), found.enterprise, *more)
        for i, j in np.argwhere(found.values != MISSING).tolist()
        for more in [
            (int(found.read_at_ms[i]), found.origin, int(quality[i, j]), found.sequence, found.received_at_s)
        ]
    ]


def check(value: bytes) -> Frame | ForeignRows | None:
    """Columns of a message, after comparing them with the readings of today's way."""
    found = columns(value)
    if found is None:
        return None
    readings, refusals, source = read_json(value)
    assert (refusals, found.source) == ([], source)
    if isinstance(found, Frame):
        exact = [(r.column, Decimal(r.value).scaleb(-r.decimals), *said(r)) for r in readings]
        assert cells_of(found) == exact
        assert all(r.decimals <= DECLARED[r.column] for r in readings)
    else:
        assert rows_of(found) == [(r.point, r.unit, r.decimals, r.value, *said(r)) for r in readings]
    return found


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("1.5, 2, 0.0001", (150, 2, 1)),
        ("-0.05,-7,-0", (-5, -7, 0)),
        ('"1.5","2","-0.5"', (150, 2, -5000)),
        ('"1.25", "2", "0.0"', (125, 2, 0)),
        ("null,2,null", (MISSING, 2, MISSING)),
        ('null, "3", null', (MISSING, 3, MISSING)),
        ("null,null,-3", (MISSING, MISSING, -30000)),
        ("1.00,999999999999999999,1.0000", (100, 10**18 - 1, 10000)),
        ("461168601842738,2,3", (46116860184273800, 2, 30000)),
    ],
)
def test_matrix_of_plain_cells_is_a_frame_in_declared_decimals(cells: str, values: tuple[int, ...]) -> None:
    """Numbers, texts and nulls arrive as whole numbers of the declared decimals."""
    found = columns(matrix(cells))

    check(matrix(cells))
    assert isinstance(found, Frame)
    assert found.values.tolist() == [list(values)]
    assert (found.read_at_ms.tolist(), found.received_at_s, found.sequence) == ([AT_MS], RECEIPT, NUMBER)
    assert (found.schema, found.source, found.origin, found.quality) == (3, "", Origin.TIMED, None)


def test_matrix_says_all_that_a_single_reading_says() -> None:
    """Receipt, sequence, origin and quality of the message are those of its frame."""
    given = {"source": "g", "sequence": 2**64 - 1, "received_at": TIME, "origin": "opc", "quality": "bad"}
    found = check(matrix("1,2,3", "4,null,6", **given))

    assert isinstance(found, Frame)
    assert (found.source, found.sequence, found.received_at_s) == ("g", 2**64 - 1, AT_MS // 1000)
    assert found.quality is not None
    assert (found.origin, found.quality.tolist()) == (Origin.OPC, [[Quality.BAD] * 3] * 2)


@pytest.mark.parametrize(
    "value",
    [
        matrix("1.501,2,3"),
        matrix("1.500,2,3"),
        matrix("1,2.0,3"),
        matrix("1,2"),
        matrix("1,2,3,4"),
        matrix("1,2,3", "4,5"),
        matrix("1,2,3", "4,5", "6,7,8,9"),
        matrix("1e2,2,3"),
        matrix("1,2E0,3"),
        matrix("1,2,true"),
        matrix("null,null,null"),
        matrix('"1,2",3,4'),
        matrix('"1,2",3'),
        matrix('"null",2,3'),
        matrix('"1",2,3'),
        matrix('"","2","3"'),
        matrix('"1 2","2","3"'),
        matrix('"+1","2","3"'),
        matrix('"01","2","3"'),
        matrix(r'"\u0031","2","3"'),
        matrix("[1],2,3"),
        matrix('"1],[2"', "3"),
        matrix("1\t,2,3"),
        matrix("1,1000000000000000000,3"),
        matrix("1,99999999999999999999,3"),
        matrix("1,-99999999999999999999,3"),
        matrix("1,461168601842739,3"),
        matrix("1,2,0.0000000000000000001"),
        matrix(),
        matrix("", ""),
        matrix("1,2,3", v=2),
        matrix("1,2,3", v=True),
        matrix("1,2,3", schema=4),
        matrix("1,2,3", schema=3.0),
        matrix("1,2,3", enterprise="other"),
        matrix("1,2,3", enterprise=""),
        matrix("1,2,3", times=[TIME, TIME]),
        matrix("1,2,3", times=["today"]),
        matrix("1,2,3", times=["2026-03-01T00:00:00"]),
        matrix("1,2,3", received_at="soon"),
        matrix("1,2,3", sequence=-1),
        matrix("1,2,3", sequence=2**64),
        matrix("1,2,3", sequence=1.0),
        matrix("1,2,3", origin="guessed"),
        matrix("1,2,3", origin="TIMED"),
        matrix("1,2,3", quality="missing"),
        matrix("1,2,3") + b"}",
        matrix("1,2,3", note="#").replace(b"#", b"\xff"),
        b"[" + matrix("1,2,3") + b"]",
        matrix("1,2,3") + b"\n" + matrix("1,2,3"),
    ],
)
def test_matrix_that_is_not_plain_is_left_to_todays_way(value: bytes) -> None:
    """What is refused, cut, short or only unusual is no frame here."""
    assert columns(value) is None


def test_rows_of_an_array_and_of_lines_are_the_same_columns() -> None:
    """Points, units and shown decimals name the columns; order and defaults are kept."""
    given = {"source": "g", "sequence": 3, "received_at": TIME, "origin": "manual", "quality": "suspect"}
    entries = [
        make_json(value="1.50"),
        make_json(value=2, **given),
        make_json(point="b", value=1.5),
        make_json(value="-3.25"),
    ]
    lines = [json.dumps(entry) for entry in entries]
    found = check(json.dumps(entries).encode().replace(b'"1.50"', b"1.50").replace(b'"-3.25"', b"-3.25"))

    assert isinstance(found, ForeignRows)
    assert set(found.columns) == {("e-main", "kWh", 2), ("e-main", "kWh", 0), ("b", "kWh", 1)}
    assert rows_of(found)[3][:4] == ("e-main", "kWh", 2, -325)
    assert found.source == "g"
    for end in ("\n", "\r\n"):
        texts = end.join(line.replace('"1.50"', "1.5").replace('"-3.25"', "7") for line in lines) + end
        assert isinstance(check(texts.encode()), ForeignRows)


@pytest.mark.parametrize(
    "value",
    [
        [],
        [make_json(), make_json(enterprise="x" * 18)],
        [make_json(), make_json(value=None)],
        [make_json(), make_json(value="x")],
        [make_json(value="1,2")],
        [make_json(value="1"), make_json(value=2)],
        [make_json(), make_json(point="")],
        [make_json(), make_json(unit="")],
        [make_json(), make_json(schema=3)],
        [make_json(), make_json(schema=None)],
        [make_json(), make_json(v=2)],
        [make_json(), 5],
        [make_json(read_at="2026-02-30T00:00:00+08:00")] * 30,
        [make_json(), make_json(value="0." + "0" * 18 + "1")],
        [make_json(), make_json(sequence=-1)],
        json.dumps(make_json()).encode(),
        json.dumps(make_json(), indent=1).encode(),
        json.dumps(make_json()).encode() * 2,
        json.dumps(make_json()).encode() * 2 + b"\n" + json.dumps(make_json(), indent=1).encode(),
        json.dumps(make_json()).encode() + b"\n\n" + json.dumps(make_json()).encode(),
        json.dumps(make_json()).encode() + b"\r" + json.dumps(make_json()).encode(),
        json.dumps(make_json()).encode() + b"\n{",
        b'{"a":[{}\n{"b":1}]}\n{"x":1},{"y":2}',
        b"{",
        b"[" * 2000,
    ],
)
def test_rows_that_are_not_plain_are_left_to_todays_way(value: Any) -> None:
    """One doubtful object, or lines that are not an object each, and nothing is read here."""
    assert columns(value) is None


numbers = st.one_of(
    st.integers(-(10**19), 10**19).map(str),
    st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 20)).map(
        lambda p: f"{Decimal(p[0]).scaleb(-p[1]):f}"
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["null", "true", '""', '"a"', "[1]", '"1,2"', '"null"', '" 7"', "1.", "01", "--1", "1.2.3"]
    ),
)
cells = st.tuples(numbers, st.booleans()).map(lambda p: f'"{p[0]}"' if p[1] and '"' not in p[0] else p[0])
plain = st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 2)).map(
    lambda p: f"{Decimal(p[0]).scaleb(-p[1]):f}"
)


@settings(max_examples=400, deadline=None)
@given(rows=st.lists(st.lists(st.one_of(plain, cells), min_size=3, max_size=3), min_size=1, max_size=3))
def test_matrix_of_any_cells_says_what_todays_way_says(rows: list[list[str]]) -> None:
    """Whatever stands in the cells, a frame holds exactly the readings that are read one by one."""
    check(matrix(*(",".join(row) for row in rows)))


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(plain, plain.map(lambda n: n.split(".")[0]), plain), min_size=1, max_size=30),
    quoted=st.booleans(),
)
def test_matrix_of_plain_numbers_is_always_a_frame(rows: list[tuple[str, ...]], quoted: bool) -> None:
    """Numbers of the declared decimals never need today's way."""
    texts = [",".join(f'"{cell}"' if quoted else cell for cell in row) for row in rows]

    assert isinstance(check(matrix(*texts)), Frame)


@settings(max_examples=300, deadline=None)
@given(
    values=st.lists(st.one_of(plain, cells), min_size=1, max_size=40),
    given_=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "point": st.sampled_from(["a", "乙", ""]),
                "unit": st.sampled_from(["kWh", "MWh"]),
                "source": st.sampled_from(["", "g", "h"]),
                "sequence": st.integers(-1, 2**64) | st.none(),
                "received_at": st.sampled_from([TIME, "2026-03-01T00:00:00.5+08:00", None]),
                "read_at": st.datetimes().map(lambda t: t.isoformat() + "+08:00"),
                "origin": st.sampled_from(["timed", "sql", "OPC"]),
                "quality": st.sampled_from(["good", "late", "missing"]),
            },
        ),
        min_size=40,
        max_size=40,
    ),
    lines=st.booleans(),
)
def test_rows_of_any_content_say_what_todays_way_says(
    values: list[str], given_: list[dict[str, Any]], lines: bool
) -> None:
    """Whatever the objects hold, the columns are the readings that are read one by one, in their order."""
    entries = [make_json(value="@", **more) for more in given_[: len(values)]]
    texts = [json.dumps(e).replace('"@"', value) for e, value in zip(entries, values, strict=True)]

    check(("\n".join(texts) if lines else f"[{','.join(texts)}]").encode())


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(),
    value=st.sampled_from([matrix("1.5,2,3", '"4",null,"6"'), json.dumps([make_json()] * 2).encode()]),
)
def test_json_with_bytes_changed_says_what_todays_way_says(data: st.DataObject, value: bytes) -> None:
    """Damage makes a message that is read alike on both ways, or is left to today's."""
    damaged = bytearray(value)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(1, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    check(bytes(damaged))
