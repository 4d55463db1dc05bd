"""Messages as bytes: round trips, damage at every byte, bounds; nothing but ContractError with a closed reason."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import Any

import lz4.frame
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from backports import zstd
from factories import (
    AT_S,
    ENTERPRISE,
    POINT_ID,
    make_block,
    make_frame,
    make_meter,
    make_point,
    make_rows,
    make_schema,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.domain.points import Enterprise, Kind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import ContractError
from schemas.block import Block, Sheaf
from schemas.envelope import unseal
from schemas.messages import (
    ENVELOPE,
    MAGIC,
    MAX_BODY,
    MISSING,
    ActionNotice,
    Activity,
    ActivityNotice,
    BookNotice,
    Entered,
    EnterpriseNotice,
    EntryNotice,
    Frame,
    ImportNotice,
    LinkEvent,
    LinkNotice,
    Message,
    MessageKind,
    Missed,
    PointNotice,
    RegionNotice,
    RejectedNotice,
    RejectedRow,
    RowsFrame,
    SchemaNotice,
    Target,
    TargetNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    decode,
    encode,
    mark_backfilled,
)

DAMAGE = {"TRUNCATED", "CORRUPT", "NOT_A_MESSAGE", "TOO_LARGE", "WRONG_VERSION", "BAD_FIELD"}
ROW = {
    "item": "heat",
    "factor": "coal",
    "basis": "calorific",
    "valid_from": "2000-01-01",
    "valid_to": "",
    "value": "34.12",
}


def make_sheaf(row_list: npt.NDArray[np.int32], *, converted: bool = False) -> Sheaf:
    """Make a sheaf of two lists of three points whose rows rise from one to the next."""
    rows = np.arange(len(row_list))
    ticks = 2**40 + rows[:, None] * np.array([1, -500, 70_000])
    return Sheaf(
        lists=(tuple((ENTERPRISE, name) for name in "abc"), tuple((ENTERPRISE, name) for name in "def")),
        row_list=row_list,
        read_at_ms=AT_S * 1000 + 900_000 * rows,
        received_at_s=AT_S + rows,
        sequence=np.uint64(2**64 - 1) - rows.astype(np.uint64),
        position=np.uint64(1 << 48) + rows.astype(np.uint64),
        ticks=ticks,
        sent=ticks // 10 if converted else ticks,
        units=((("kWh", 2),) * 3, (("MWh", 3), ("GJ", 0), ("m³", 1))),
        origin=Origin.COMMAND,
    )


MESSAGES: dict[str, Message] = {
    "frame": make_frame(
        ((1, MISSING), (-3, 4)), quality=np.array([[0, 1], [6, 5]], np.uint8), source="采集器"
    ),
    "frame without quality": make_frame(((1, 2, 3),), origin=Origin.BACKFILL),
    "empty frame": make_frame(np.zeros((0, 3), np.int64), received_at_s=-1, sequence=2**64 - 1),
    "rows": make_rows((1, -2, 2**63 - 1), reason=np.array([0, 401, 407], np.uint16)),
    "empty rows": make_rows(()),
    "enterprise": EnterpriseNotice(Enterprise(ENTERPRISE, "示例钢铁", "Steel", "320100", "3110", True)),
    "point": PointNotice(make_point(meters=(make_meter(last=7), make_meter(from_ms=5, modulus=10, first=1)))),
    "gauge": PointNotice(make_point("t", Kind.GAUGE, unit="degC", minimum=-40_00, maximum=None)),
    "schema": SchemaNotice(make_schema(((POINT_ID, "MWh", 3), ("x", "m³", 0)))),
    "book": BookNotice("abc", (ROW,)),
    "rejected": RejectedNotice(
        ENTERPRISE, "a.csv", AT_S, (RejectedRow(3, 303, "e", "x,y", {"got": "y"}), RejectedRow(4, 315))
    ),
    "import": ImportNotice(ENTERPRISE, "d" * 64, AT_S << 32, "a.csv", AT_S, 9, 8, 1, 1),
    "link": LinkNotice(
        ENTERPRISE,
        "采集器",
        2**64 - 1,
        AT_S,
        (LinkEvent(AT_S * 1000, 22, "rs485-1", "m3", 501, 5, {"meter": "m3"}), LinkEvent(-1, 3)),
        (Missed(AT_S * 1000, AT_S * 1000 + 900_000, 2, 501, ("e", "t"), {"meter": "m3"}),),
    ),
    "empty link": LinkNotice(ENTERPRISE, "", 0, 0),
    "wiring": WiringNotice(
        ENTERPRISE, "采集器", (WiredLine("rs485-1", (WiredMeter("m3", ("e", "t")),)), WiredLine("l", ()))
    ),
    "empty wiring": WiringNotice(ENTERPRISE, "c", ()),
    "action": ActionNotice(ENTERPRISE, "0123456789abcdef", "shelve", "李", AT_S, "大修", AT_S + 86_400),
    "tick": TickNotice(AT_S),
    "region": RegionNotice("990100", "示例市", "Example city", "990000", 2, 3),
    "target": TargetNotice("", "990100", (Target("energy_total", "2026", 1.5e6, "tce", "plan"),)),
    "activity": ActivityNotice(ENTERPRISE, (Activity("output", "2026-03", -0.25, "t", "report"),)),
    "activity told": ActivityNotice(
        ENTERPRISE, (Activity("plan:水泥", "2026-03-15", None, "t", ""),), "entered", "李", AT_S
    ),
    "entry": EntryNotice(ENTERPRISE, "李", AT_S, (Entered("e", AT_S * 1000, "12.50", "kWh", "表坏"),)),
    "passed": make_block(
        [
            {"at_ms": 5, "ticks": -7, "verdict": 5, "reason": 301},
            {"point": "b", "sequence": 2**64 - 1, "verdict": 2},
        ],
        units=(("kWh", 2), ("GJ", 0)),
    ),
    "empty passed": make_block([]),
    "frame of many times": make_frame(
        np.cumsum(np.arange(512).reshape(8, 64), axis=0) + np.tile([0, -(2**62), 2**63 - 9000, 7], 16)
    ),
    "frame of many times with quality": make_frame(
        ((1, MISSING),) * 256, quality=np.array([[0, 1]] * 256, np.uint8), source="采集器"
    ),
    "sheaf": make_sheaf(row_list=np.array([1, 0, 1], np.int32)),
    "sheaf of many rows": make_sheaf(
        row_list=np.array([0, 1, 1, 0, 1, 0, 0, 1] * 2, np.int32), converted=True
    ),
    "empty sheaf": make_sheaf(row_list=np.zeros(0, np.int32)),
}


PACK = {0: bytes, 1: lz4.frame.compress, 2: zstd.compress}


def same(one: Message, other: Message) -> bool:
    """Whether two messages say the same, array by array."""
    if type(one) is not type(other):
        return False
    if not isinstance(one, Frame | RowsFrame | Block | Sheaf):
        return one == other
    names = one.__struct_fields__ if isinstance(one, Frame) else one.__slots__
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all(
        np.array_equal(a, b) and np.shape(a) == np.shape(b) if isinstance(a, np.ndarray) else a == b
        for a, b in pairs
    )


def envelope(kind: int, body: bytes, *, codec: int = 0, packed: bytes | None = None, **given: Any) -> bytes:
    """Make an envelope with a right checksum around any body."""
    packed = PACK[codec](body) if packed is None else packed
    magic, version = given.get("magic", MAGIC), given.get("version", 2 if kind == MessageKind.SHEAF else 1)
    size, crc = given.get("size", len(body)), zlib.crc32(packed)
    return ENVELOPE.pack(magic, version, kind, codec, 0, 0, crc, size) + packed


def reason_of(value: bytes) -> str:
    """Reason by which bytes are refused; they must be refused."""
    with pytest.raises(ContractError) as caught:
        decode(value)
    return caught.value.reason


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", MESSAGES)
def test_message_of_each_kind_comes_back_as_it_was(name: str, compress: bool) -> None:
    """Encoding and decoding changes nothing, packed or not."""
    message = MESSAGES[name]

    assert same(decode(encode(message, compress=compress)), message)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", MESSAGES)
def test_message_cut_at_every_byte_is_refused(name: str, compress: bool) -> None:
    """No prefix of a message passes for a message: short of an envelope it is cut, beyond it is corrupt."""
    value = encode(MESSAGES[name], compress=compress)

    for end in range(len(value)):
        assert reason_of(value[:end]) == ("TRUNCATED" if end < ENVELOPE.size else "CORRUPT")


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", MESSAGES)
def test_message_with_a_byte_changed_is_refused_or_the_same(name: str, compress: bool) -> None:
    """A changed byte either breaks the contract with a closed reason, or stands where nothing is read."""
    message = MESSAGES[name]
    value = bytearray(encode(message, compress=compress))

    for place in range(len(value)):
        flips = range(1, 256) if place < ENVELOPE.size else (1, 0x80, 0xFF)
        for flip in flips:
            value[place] ^= flip
            try:
                found = decode(bytes(value))
            except ContractError as error:
                assert error.reason in DAMAGE
                assert place not in (5, 6, 7)
            else:
                harmless = place in (5, 6, 7) or (place in (3, 4) and _says_nothing(found))
                assert same(found, message) or harmless
                assert place < ENVELOPE.size
            value[place] ^= flip


def _says_nothing(message: Message) -> bool:
    """Whether a message with its kind misread holds no reading at all."""
    return isinstance(message, Frame | RowsFrame) and message.read_at_ms.size == 0


@pytest.mark.parametrize("name", MESSAGES)
def test_message_with_garbage_around_it_is_refused(name: str) -> None:
    """Bytes before hide the magic, bytes after break the checksum."""
    value = encode(MESSAGES[name])

    assert reason_of(b"\x00" + value) == "NOT_A_MESSAGE"
    assert reason_of(b"garbage!" * 4 + value) == "NOT_A_MESSAGE"
    assert reason_of(value + b"\x00") == "CORRUPT"
    assert reason_of(value + value) == "CORRUPT"


@settings(max_examples=300, deadline=None)
@given(value=st.binary(max_size=200))
def test_bytes_of_any_kind_raise_nothing_but_a_contract_error(value: bytes) -> None:
    """Random bytes are refused with a closed reason."""
    assert reason_of(value) in DAMAGE


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from([(1, k) for k in MessageKind if k != MessageKind.SHEAF] + [(2, 1), (2, 6)]),
    body=st.binary(max_size=120),
    codec=st.sampled_from([0, 1]),
)
def test_body_of_any_bytes_raises_nothing_but_a_contract_error(
    kind: tuple[int, int], body: bytes, codec: int
) -> None:
    """Behind a sound envelope, a body of random bytes is refused as a bad field or is a message."""
    try:
        decode(envelope(kind[1], body, codec=codec, version=kind[0]))
    except ContractError as error:
        assert error.reason == "BAD_FIELD"
        assert {"field", "got"} <= error.parameters.keys()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from([n for n in MESSAGES if not n.startswith("empty")]))
def test_body_with_damage_under_a_right_checksum_raises_nothing_else(data: st.DataObject, name: str) -> None:
    """A sender that computes its checksum over nonsense gets a closed reason too."""
    value = encode(MESSAGES[name], compress=data.draw(st.booleans()))
    body = bytearray(unseal(value, {1: range(7), 2: range(7)})[2])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))

    for damaged in (bytes(body), bytes(body[:cut]), bytes(body) + b"\x00"):
        try:
            decode(envelope(value[3], damaged, version=value[2]))
        except ContractError as error:
            assert error.reason == "BAD_FIELD"


@pytest.mark.parametrize(
    ("value", "reason", "evidence"),
    [
        (b"", "TRUNCATED", {"expected": "16", "got": "0"}),
        (b"NL" + bytes(13), "TRUNCATED", {"expected": "16", "got": "15"}),
        (bytes(16), "NOT_A_MESSAGE", {"got": str(b"\0\0")}),
        (envelope(1, b"", version=3), "WRONG_VERSION", {"expected": "2", "got": "3"}),
        (envelope(1, b"", version=0), "WRONG_VERSION", {"expected": "2", "got": "0"}),
        (
            envelope(1, b"", size=MAX_BODY + 1),
            "TOO_LARGE",
            {"limit": str(MAX_BODY), "got": str(MAX_BODY + 1)},
        ),
        (envelope(1, b"", size=MAX_BODY), "TRUNCATED", {"expected": str(MAX_BODY), "got": "0"}),
        (envelope(0, b""), "NOT_A_MESSAGE", {"got": "kind 0, codec 0"}),
        (envelope(6, b"", version=1), "NOT_A_MESSAGE", {"got": "kind 6, codec 0"}),
        (envelope(2, b"", version=2), "NOT_A_MESSAGE", {"got": "kind 2, codec 0"}),
        (envelope(7, b"", version=2), "NOT_A_MESSAGE", {"got": "kind 7, codec 0"}),
        (envelope(1, b"", codec=2), "NOT_A_MESSAGE", {"got": "kind 1, codec 2"}),
        (envelope(1, b"", codec=3, packed=b"", version=2), "NOT_A_MESSAGE", {"got": "kind 1, codec 3"}),
        (envelope(1, b"abc", codec=1, packed=b"no lz4 here"), "CORRUPT", {}),
        (envelope(1, b"abc", codec=2, packed=b"no zstd here", version=2), "CORRUPT", {}),
        (envelope(1, b"abc", codec=2, size=2, version=2), "TRUNCATED", {"expected": "2", "got": "3"}),
        (envelope(1, b"abc", codec=1, size=2), "TRUNCATED", {"expected": "2", "got": "3"}),
        (envelope(1, b"abc", codec=1, size=4), "TRUNCATED", {"expected": "4", "got": "3"}),
        (envelope(1, b"abc", size=4), "TRUNCATED", {"expected": "4", "got": "3"}),
        (envelope(1, bytes(33)), "BAD_FIELD", {"field": "FRAME"}),
        (envelope(4, struct.pack("<I", 2**32 - 1)), "BAD_FIELD", {"field": "VALID"}),
        (envelope(6, struct.pack("<I", 2**32 - 1)), "BAD_FIELD", {"field": "SHEAF"}),
        (envelope(5, struct.pack("<I", 2**32 - 1)), "BAD_FIELD", {"field": "PASSED"}),
        (envelope(3, b'{"notice":"weather"}'), "BAD_FIELD", {"field": "NOTICE"}),
        (envelope(3, b'{"notice":"point","deep":' + b"[" * 5000), "BAD_FIELD", {"field": "NOTICE"}),
        (envelope(3, b"\xff\xfe"), "BAD_FIELD", {"field": "NOTICE"}),
    ],
)
def test_envelope_checks_run_in_the_written_order(
    value: bytes, reason: str, evidence: dict[str, str]
) -> None:
    """The first check that fails names the reason, with the evidence of its text."""
    with pytest.raises(ContractError) as caught:
        decode(value)

    assert caught.value.reason == reason
    assert evidence.items() <= caught.value.parameters.items()


def test_body_that_unpacks_to_more_than_it_says_takes_no_memory() -> None:
    """A bomb of zeros is cut off at the declared size."""
    zeros = bytes(200 * 2**20)

    for codec in (1, 2):
        bomb = envelope(1, b"", codec=codec, packed=PACK[codec](zeros), size=1000, version=2)
        assert reason_of(bomb) == "TRUNCATED"


@pytest.mark.parametrize(
    "message",
    [
        make_frame(((1,),), quality=np.array([[Quality.MISSING]], np.uint8)),
        make_frame(((1,),), quality=np.array([[99]], np.uint8)),
        make_rows((1,), quality=np.array([Quality.MISSING], np.uint8)),
        make_rows((1,), reason=np.array([999], np.uint16)),
        make_block([{"verdict": 6}]),
        make_frame(((1,),), origin=7),
        make_rows((1,), origin=255),
    ],
)
def test_code_outside_its_closed_list_is_a_bad_field(message: Message) -> None:
    """A quality, reason or origin that nobody knows is refused, and so is a reading that says it is missing."""
    assert reason_of(encode(message)) == "BAD_FIELD"


def test_frame_with_bytes_left_over_is_refused() -> None:
    """A body longer than its own lengths say is no message: a frame cannot be misread as rows."""
    body = encode(make_frame(((1, 2, 3, 4),)), compress=False)[ENVELOPE.size :]

    assert reason_of(envelope(MessageKind.FRAME, body + b"\x00")) == "BAD_FIELD"
    assert reason_of(envelope(MessageKind.ROWS, body)) == "BAD_FIELD"


def test_block_of_before_verdicts_travelled_was_accepted_whole() -> None:
    """A message of kind 4 that still lies in a log is read as it was meant (ADR 0010)."""
    block = make_block([{"ticks": 5}, {"ticks": 6}])
    body = encode(block, compress=False)[ENVELOPE.size :]

    assert same(decode(envelope(MessageKind.VALID, body[: -len(block)])), block)
    assert reason_of(envelope(MessageKind.VALID, body)) == "BAD_FIELD"
    assert encode(block)[3] == MessageKind.PASSED


def test_notice_with_an_unknown_field_is_read_by_an_older_reader() -> None:
    """New JSON fields are ignored, so a notice of tomorrow is understood today (ADR 0010)."""
    notice = EnterpriseNotice(Enterprise(ENTERPRISE, "厂"))
    body = msgspec.json.decode(msgspec.json.encode(notice))
    body["value"]["carbon_price"] = {"of": "tomorrow"}

    assert decode(envelope(MessageKind.NOTICE, msgspec.json.encode(body))) == notice


def test_envelope_is_laid_out_as_the_page_says() -> None:
    """The bytes of the envelope stand where schemas/messages.md puts them."""
    value = encode(MESSAGES["frame"], compress=False)
    magic, version, kind, codec, _, _, crc, size = struct.unpack_from("<2sBBBBHII", value)

    assert (magic, version, kind, codec) == (b"NL", 1, 1, 0)
    assert (crc, size) == (zlib.crc32(value[16:]), len(value) - 16)
    assert struct.unpack_from("<IQq", value, 16) == (1, AT_S << 32 | 1, AT_S + 1800)
    assert value[50:68].decode() == ENTERPRISE


@pytest.mark.parametrize("compress", [True, False])
def test_mark_of_a_frame_sent_after_a_break_survives_and_changes_nothing_else(compress: bool) -> None:
    """The mark stands outside of body and checksum: packed or not, only `backfilled` differs; twice is once."""
    frame = make_frame(((1, 2),))
    value = encode(frame, compress=compress)
    marked = mark_backfilled(value)

    assert marked[6:] == value[6:]
    assert mark_backfilled(marked) == marked
    assert not decode(value).backfilled
    assert same(decode(marked), msgspec.structs.replace(frame, backfilled=True))


@pytest.mark.parametrize("name", [name for name in MESSAGES if "frame" not in name])
def test_mark_on_other_kinds_is_not_seen(name: str) -> None:
    """Notices, rows and blocks read the same with the mark."""
    assert same(decode(mark_backfilled(encode(MESSAGES[name]))), MESSAGES[name])


def test_mark_bits_of_tomorrow_are_not_read() -> None:
    """Only bit 0 of the marks has a meaning; the others may get one later."""
    value = bytearray(encode(make_frame()))
    value[5] = 0xFE

    assert not decode(bytes(value)).backfilled
    assert decode(mark_backfilled(bytes(value))).backfilled
    assert mark_backfilled(bytes(value))[5] == 0xFF


i64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Any frame the format can hold."""
    n, columns = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    cells = draw(st.lists(i64, min_size=n * columns, max_size=n * columns))
    good = st.integers(0, Quality.BAD)
    quality = draw(st.none() | st.lists(good, min_size=n * columns, max_size=n * columns))
    return Frame(
        draw(st.text(max_size=18)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.text(max_size=20)),
        draw(st.integers(0, 2**64 - 1)),
        draw(i64),
        np.array(draw(st.lists(i64, min_size=n, max_size=n)), np.int64),
        np.array(cells, np.int64).reshape(n, columns),
        None if quality is None else np.array(quality, np.uint8).reshape(n, columns),
        draw(st.sampled_from(Origin)),
    )


@settings(max_examples=150, deadline=None)
@given(frame=frames(), compress=st.booleans())
def test_frame_of_any_content_comes_back_as_it_was(frame: Frame, compress: bool) -> None:
    """Every int64, every text, every shape survives the bytes."""
    assert same(decode(encode(frame, compress=compress)), frame)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(i64, i64, i64, st.integers(0, 2**32 - 1), st.sampled_from(Reason)), max_size=6)
)
def test_rows_of_any_content_come_back_as_they_were(rows: list[tuple[int, ...]]) -> None:
    """Every reading keeps its own time, value, receipt, column and reason."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    names = (
        ("read_at_ms", "i8"),
        ("values", "i8"),
        ("received_at_s", "i8"),
        ("column", "u4"),
        ("reason", "u2"),
    )
    arrays = {name: np.array(columns[i], dtype) for i, (name, dtype) in enumerate(names)}
    message = replace(make_rows((0,) * len(rows)), **arrays)

    assert same(decode(encode(message)), message)
