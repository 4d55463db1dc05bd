"""JSON of foreign senders: exact digits, closed refusals, neighbours kept, nothing but ContractError."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from factories import AT_MS, ENTERPRISE, POINT_ID, TIME, make_json
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import ContractError
from schemas.foreign import ForeignReading, Refusal, exact, read_json

MATRIX: dict[str, Any] = {
    "v": 1,
    "enterprise": ENTERPRISE,
    "schema": 3,
    "times": [TIME],
    "values": [["1.5", None, 2]],
}


def read(*entries: Any) -> tuple[list[ForeignReading], list[Refusal], str]:
    """Read entries as one JSON message."""
    return read_json(json.dumps(list(entries)).encode())


def refusal(entry: Any) -> Refusal:
    """Refusal of the only entry of a message."""
    readings, refusals, _ = read(entry)
    assert (readings, len(refusals)) == ([], 1)
    return refusals[0]


@pytest.mark.parametrize(
    ("text", "number", "decimals"),
    [
        ("0", 0, 0),
        ("-0", 0, 0),
        ("-12.50", -1250, 2),
        (" 7 ", 7, 0),
        ("1e3", 1000, 0),
        ("1.5E-2", 15, 3),
        ("0.000000000000000001", 1, 18),
        ("999999999999999999", 10**18 - 1, 0),
        ("1e17", 10**17, 0),
    ],
)
def test_number_becomes_a_whole_number_with_its_decimals(text: str, number: int, decimals: int) -> None:
    """Digits arrive as they are written, as text and as a JSON number."""
    assert exact(text) == (number, decimals)
    read_back, _, _ = read_json(json.dumps(make_json(value="@")).replace('"@"', text.strip()).encode())
    assert (read_back[0].value, read_back[0].decimals) == (number, decimals)


@settings(max_examples=300, deadline=None)
@given(number=st.integers(-(10**18) + 1, 10**18 - 1), decimals=st.integers(0, 18))
def test_number_of_any_eighteen_digits_is_exact_there_and_back(number: int, decimals: int) -> None:
    """No float stands between the text and the ticks."""
    text = f"{Decimal(number).scaleb(-decimals):f}"
    found, places = exact(text)

    assert Decimal(found).scaleb(-places) == Decimal(text)
    assert places == decimals


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "EMPTY_VALUE"),
        (None, "EMPTY_VALUE"),
        ("abc", "NOT_A_NUMBER"),
        ("1,5", "NOT_A_NUMBER"),
        (True, "NOT_A_NUMBER"),
        ([1], "NOT_A_NUMBER"),
        ({"a": 1}, "NOT_A_NUMBER"),
        ("NaN", "NOT_FINITE"),
        ("sNaN", "NOT_FINITE"),
        ("-Infinity", "NOT_FINITE"),
        ("1" * 19, "OUT_OF_INT64"),
        (10**18, "OUT_OF_INT64"),
        ("1e18", "OUT_OF_INT64"),
        ("1e-19", "OUT_OF_INT64"),
        ("1e999999", "OUT_OF_INT64"),
        ("1e99999999999999999999", "NOT_A_NUMBER"),
    ],
)
def test_value_that_is_no_storable_number_is_refused_with_its_reason(value: Any, reason: str) -> None:
    """Empty, not a number, not finite and too large are four different things."""
    found = refusal(make_json(value=value))

    assert found.reason == reason
    assert reason == "EMPTY_VALUE" or found.evidence["got"] == str(value)
    assert json.loads(found.text)["point"] == POINT_ID


@pytest.mark.parametrize("field", ["value", "point", "read_at", "unit", "enterprise"])
def test_field_that_is_missing_is_named(field: str) -> None:
    """The refusal says which field it wants."""
    entry = {name: value for name, value in make_json().items() if name != field}

    assert (refusal(entry).reason, refusal(entry).evidence) == ("MISSING_FIELD", {"field": field})


@pytest.mark.parametrize(
    ("field", "value", "reason", "evidence"),
    [
        ("v", 2, "WRONG_VERSION", {"expected": "1", "got": "2"}),
        ("v", "1", "WRONG_VERSION", {"expected": "1", "got": "1"}),
        ("v", None, "WRONG_VERSION", {"expected": "1", "got": "None"}),
        ("point", 5, "BAD_FIELD", {"field": "point", "got": "5"}),
        ("point", "", "BAD_FIELD", {"field": "point", "got": ""}),
        ("enterprise", None, "BAD_FIELD", {"field": "enterprise", "got": "None"}),
        ("unit", ["kWh"], "BAD_FIELD", {"field": "unit", "got": "['kWh']"}),
        ("source", None, "BAD_FIELD", {"field": "source", "got": "None"}),
        ("source", 5, "BAD_FIELD", {"field": "source", "got": "5"}),
        ("sequence", -1, "BAD_FIELD", {"field": "sequence", "got": "-1"}),
        ("sequence", 2**64, "BAD_FIELD", {"field": "sequence"}),
        ("sequence", "1", "BAD_FIELD", {"field": "sequence", "got": "1"}),
        ("sequence", 1.5, "BAD_FIELD", {"field": "sequence", "got": "1.5"}),
        ("origin", "guessed", "BAD_FIELD", {"field": "Origin", "got": "guessed"}),
        ("quality", "missing", "BAD_FIELD", {"field": "Quality", "got": "missing"}),
        ("read_at", "2026-03-01T00:15:00", "NOT_A_TIME", {"got": "2026-03-01T00:15:00"}),
        ("read_at", "2026-02-30T00:15:00+08:00", "NOT_A_TIME", {"got": "2026-02-30T00:15:00+08:00"}),
        ("read_at", 1772295300, "NOT_A_TIME", {"got": "1772295300"}),
        ("received_at", "soon", "NOT_A_TIME", {"got": "soon"}),
    ],
)
def test_field_of_the_wrong_kind_is_refused(
    field: str, value: Any, reason: str, evidence: dict[str, str]
) -> None:
    """Each field has its closed reason and says what it got."""
    found = refusal(make_json(**{field: value}))

    assert found.reason == reason
    assert evidence.items() <= found.evidence.items()


def test_fields_left_out_take_their_written_defaults() -> None:
    """Absent is not wrong: source empty, sequence and receipt left to the log, timed and good."""
    readings, _, source = read(make_json())

    assert (source, readings[0].source, readings[0].sequence, readings[0].received_at_s) == (
        "",
        "",
        None,
        None,
    )
    assert (readings[0].origin, readings[0].quality, readings[0].read_at_ms) == (
        Origin.TIMED,
        Quality.GOOD,
        AT_MS,
    )


def test_fields_given_are_taken_and_unknown_ones_ignored() -> None:
    """Every optional field arrives, and a field of tomorrow disturbs nobody."""
    entry = make_json(
        source="g",
        sequence=2**64 - 1,
        received_at="2023-11-15T06:00:02.900+08:00",
        origin="opc",
        quality="bad",
        carbon={},
    )
    readings, refusals, source = read(entry)

    assert refusals == []
    assert (source, readings[0].sequence, readings[0].received_at_s) == ("g", 2**64 - 1, 1_699_999_202)
    assert (readings[0].origin, readings[0].quality) == (Origin.OPC, Quality.BAD)


def test_object_that_is_broken_leaves_its_neighbours() -> None:
    """One bad object of an array is refused alone."""
    readings, refusals, _ = read(make_json(), make_json(value="x"), 5, make_json(value="2"))

    assert [r.value for r in readings] == [100, 2]
    assert [r.reason for r in refusals] == ["NOT_A_NUMBER", "WRONG_VERSION"]


def test_lines_are_read_one_by_one() -> None:
    """In NDJSON a line that is no JSON is refused as it stands, blank lines are nothing."""
    good = json.dumps(make_json())
    readings, refusals, _ = read_json(f'{good}\n{{"v": 1, broken\r\n\n[1]\n{good}'.encode())

    assert len(readings) == 2
    assert [(r.reason, r.text, r.evidence["got"]) for r in refusals] == [
        ("NOT_A_MESSAGE", '{"v": 1, broken', '{"v": 1, broken'),
        ("NOT_A_MESSAGE", "[1]", "[1]"),
    ]


@pytest.mark.parametrize(
    "value", [b"{", b"[1, 2", b'{"v": 1}}', b'{"a": "\xff"}', b'{"v": NaN}', b"[" * 100_000]
)
def test_text_that_is_no_json_is_refused_whole(value: bytes) -> None:
    """One broken line is the whole message."""
    with pytest.raises(ContractError) as caught:
        read_json(value)

    assert caught.value.reason == "NOT_A_MESSAGE"
    assert caught.value.parameters["got"] == value[:80].decode(errors="replace")


def test_number_with_an_absurd_exponent_spoils_only_its_own_object() -> None:
    """A number no Decimal can hold is a refusal, as a value; in a field nobody reads it is nothing."""
    text = json.dumps([make_json(value="@"), make_json(note="@"), make_json()])
    readings, refusals, _ = read_json(text.replace('"@"', "1e9999999999999999999").encode())

    assert [r.reason for r in refusals] == ["NOT_A_NUMBER"]
    assert len(readings) == 2


def test_nesting_of_any_depth_raises_nothing_but_a_contract_error() -> None:
    """A value nested so deep that it can be read but not be shown is refused all the same."""
    for depth in range(50, 1100, 3):
        text = json.dumps(make_json(value="@")).replace('"@"', "[" * depth + "]" * depth)
        try:
            readings, refusals, _ = read_json(text.encode())
        except ContractError as error:
            assert error.reason == "NOT_A_MESSAGE"
        else:
            assert (readings, [r.reason for r in refusals]) == ([], ["NOT_A_NUMBER"])


def test_matrix_gives_a_reading_per_cell_that_is_filled() -> None:
    """The schema form names columns, and null is no reading."""
    readings, refusals, _ = read(MATRIX | {"times": [TIME, TIME], "values": [["1.5", None, 2], [3]]})

    assert refusals == []
    assert [(r.schema, r.column, r.value, r.decimals) for r in readings] == [
        (3, 0, 15, 1),
        (3, 2, 2, 0),
        (3, 0, 3, 0),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 3}, "WRONG_VERSION"),
        ({"values": [[1], [2]]}, "BAD_FIELD"),
        ({"values": {}}, "BAD_FIELD"),
        ({"schema": "3"}, "BAD_FIELD"),
        ({"times": TIME}, "BAD_FIELD"),
        ({"times": ["today"]}, "NOT_A_TIME"),
        ({"values": [["x"]]}, "NOT_A_NUMBER"),
        ({"values": [["Infinity"]]}, "NOT_FINITE"),
        ({"values": [[""]]}, "EMPTY_VALUE"),
        ({"enterprise": ""}, "BAD_FIELD"),
    ],
)
def test_matrix_that_is_broken_is_refused_whole_with_evidence(change: dict[str, Any], reason: str) -> None:
    """A matrix with a wrong shape or a cell that cannot be read is one refusal, whose text can be filled."""
    found = refusal(MATRIX | change)

    assert found.reason == reason
    assert reason != "BAD_FIELD" or {"field", "got"} <= found.evidence.keys()


@pytest.mark.parametrize("field", ["times", "values", "enterprise"])
def test_matrix_without_a_field_says_which(field: str) -> None:
    """The schema form needs its times, its values and its enterprise."""
    found = refusal({name: value for name, value in MATRIX.items() if name != field})

    assert (found.reason, found.evidence) == ("MISSING_FIELD", {"field": field})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "v",
        "enterprise",
        "point",
        "unit",
        "read_at",
        "value",
        "schema",
        "times",
        "values",
        "sequence",
        "origin",
        "received_at",
    ]
)


@settings(max_examples=400, deadline=None)
@given(change=st.dictionaries(fields, json_values, max_size=4), form=st.sampled_from([make_json(), MATRIX]))
def test_json_of_any_content_becomes_readings_or_closed_refusals(
    change: dict[str, Any], form: dict[str, Any]
) -> None:
    """Whatever a foreign sender writes into a field, the outcome is a reading, a refusal, or no JSON at all."""
    try:
        readings, refusals, _ = read_json(json.dumps(form | change).encode())
    except ContractError as error:
        assert error.reason == "NOT_A_MESSAGE"
        return
    assert {r.reason for r in refusals} <= set(Reason.__members__)
    assert all(abs(r.value) < 10**18 and 0 <= r.decimals <= 18 for r in readings)
    assert len(refusals) <= 1
    assert not (readings and refusals)


@settings(max_examples=200, deadline=None)
@given(value=st.binary(max_size=100), opener=st.sampled_from([b"{", b"[", b""]))
def test_json_of_any_bytes_raises_nothing_but_a_contract_error(value: bytes, opener: bytes) -> None:
    """Bytes that only begin like JSON are refused or read, never worse."""
    try:
        read_json(opener + value)
    except ContractError as error:
        assert error.reason == "NOT_A_MESSAGE"


def test_examples_of_the_page_are_what_the_code_reads() -> None:
    """Every JSON example of schemas/messages.md that carries a version is read without a refusal."""
    page = resources.files("schemas").joinpath("messages.md").read_text(encoding="utf-8")
    examples = [e for e in re.findall(r"```(?:nd)?json\n(.*?)```", page, re.DOTALL) if '"v"' in e]

    assert [len(read_json(example.encode())[0]) for example in examples] == [1, 2, 2, 3]
    assert all(read_json(example.encode())[1] == [] for example in examples)
