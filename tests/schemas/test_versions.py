"""Versions of the envelope, differences and sheaves: the old is read for ever, the new is exact and bounded."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from backports import zstd
from factories import AT_MS, AT_S, ENTERPRISE, make_block, make_frame, make_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.domain.quality import Origin
from nengliu.errors import ContractError
from schemas.arrays import Reader, matrix_bytes, take_matrix
from schemas.block import Sheaf
from schemas.envelope import ENVELOPE, MAX_BODY, Codec, seal
from schemas.messages import MISSING, Message, MessageKind, TickNotice, decode, encode
from schemas.passed import pack, unpack
from schemas.passed_bodies import read_sheaf, sheaf_bytes

OLD = {
    "frame": (
        "4e4c010101000000014dc2d4bf00000004224d186840bf00000000000000cf730000004001000000040090e0ed536574ff5365000100"
        "f1240112000900050000000200000039313332303030304d41314558414d504c33e98787e99b86e599a80033d9cf8b010000a0eee608"
        "003140aaf4080040e06502d018003180211008000061000702001f8010002da00001000100010001000100000000"
    ),
    "rows": (
        "4e4c0102010000003d7ed79c7a00000004224d1868407a00000000000000c85c0000004001000000040053e0ed536500010073040012"
        "000800020e00f11639313332303030304d41314558414d504c3366696c652e6373760033d9cf8b010000a0eee608001305320022faff"
        "010022e8f4540004080005020050000000000000000000"
    ),
    "block": (
        "4e4c010501000000f788e3e48500000004224d18684085000000000000003675000000f32b460000007b226e223a312c22706f696e74"
        "73223a5b5b2239313332303030304d41314558414d504c33222c22652d6d61696e225d5d2c22756e692a00a06b5768222c325d5d7d00"
        "01008033d9cf8b010000050c0003020040e0ed53650b0010010500050200d00100640000000000000000000200000000"
    ),
}
"""Messages as version 1 wrote them, packed with lz4."""
i64 = st.integers(-(2**63), 2**63 - 1)


def same(one: object, other: object) -> bool:
    """Whether two messages say the same: written unpacked, their bytes are the same."""
    return encode(one, compress=False) == encode(other, compress=False)


def reason_of(value: bytes) -> str:
    """Reason by which bytes are refused; they must be refused."""
    with pytest.raises(ContractError) as caught:
        decode(value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "frame",
            make_frame(((1, MISSING),) * 5, quality=np.array([[0, 1]] * 5, np.uint8), source="采集器"),
        ),
        ("rows", make_rows((5, -6))),
        ("block", make_block([{"ticks": 5, "verdict": 2}])),
    ],
)
def test_message_of_version_1_is_read_for_ever(name: str, message: Message) -> None:
    """Bytes that lie in a log since before version 2 mean what they meant, frames of many times too."""
    assert same(decode(bytes.fromhex(OLD[name])), message)


@pytest.mark.parametrize(
    ("message", "version", "codec"),
    [
        (make_frame(((1, 2),)), 1, Codec.RAW),
        (make_frame((range(400),)), 1, Codec.LZ4),
        (make_frame(((1,) * 170,) * 3), 1, Codec.LZ4),
        (make_frame(((1,) * 127,) * 4), 1, Codec.LZ4),
        (make_frame(((1,) * 128,) * 4), 2, Codec.LZ4),
        (make_frame(np.random.default_rng(1).integers(0, 2**40, (40, 40))), 2, Codec.ZSTD),
        (make_block([{"ticks": 5}] * 9), 1, Codec.LZ4),
        (TickNotice(AT_S), 1, Codec.RAW),
    ],
)
def test_message_states_the_lowest_version_that_can_say_it(
    message: Message, version: int, codec: Codec
) -> None:
    """What an older reader could understand it can still read; no body grows by being packed."""
    value = encode(message)

    assert (value[2], value[4]) == (version, codec)
    assert len(value) <= len(encode(message, compress=False))


def test_frame_of_many_times_takes_few_bytes() -> None:
    """Registers and noisy powers of a day every quarter of an hour: well below 3 bytes a reading."""
    random = np.random.default_rng(1)
    power = random.integers(5, 500, 40) * (1 + 0.2 * random.standard_normal((96, 40)))
    register = np.cumsum(np.abs(power) * 25, axis=0)
    values = np.where(np.arange(40) % 2 == 0, register, power * 1000).astype(np.int64)

    assert len(encode(make_frame(values))) < 2.9 * values.size


@settings(max_examples=200, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(0, 5)),
    data=st.data(),
    spread=st.sampled_from([1, 2**7, 2**15, 2**31, 2**63]),
)
def test_matrix_of_any_numbers_comes_back_from_its_differences(
    shape: tuple[int, int], data: st.DataObject, spread: int
) -> None:
    """Differences wrap around, so every int64 comes back, in the narrowest width that holds them."""
    n, c = shape
    some = st.integers(-spread, spread - 1)
    matrix = np.array(data.draw(st.lists(some, min_size=n * c, max_size=n * c)), np.int64).reshape(n, c)
    written = matrix_bytes(matrix, True)
    reader = Reader(written, 0)

    assert np.array_equal(take_matrix(reader, n, c, True), matrix)
    reader.end()
    assert np.array_equal(take_matrix(Reader(matrix.tobytes(), 0), n, c, False), matrix)


@pytest.mark.parametrize(
    ("body", "n", "c"),
    [
        (b"\x03" + bytes(64), 2, 1),
        (b"\x00" + bytes(64), 2, 1),
        (b"\x01" + bytes(64), 0, 1),
        (b"\x01" + bytes(8), 2, 1),
        (b"\x08" + bytes(15), 2, 1),
        (b"\x01" + bytes(9 * 2**20), 2**20, 9),
        (b"", 1, 1),
    ],
)
def test_differences_that_are_none_or_too_many_are_refused(body: bytes, n: int, c: int) -> None:
    """A width that is none, no first row, too few bytes, or numbers beyond 64 MiB: no memory is taken for them."""
    with pytest.raises(ValueError, match="expected"):
        take_matrix(Reader(body, 0), n, c, True)


def test_body_beyond_the_bound_is_not_written() -> None:
    """What nobody could open is refused where it is made."""
    with pytest.raises(ContractError) as caught:
        encode(make_frame(np.zeros((1, MAX_BODY // 8), np.int64)))

    assert caught.value.reason == "TOO_LARGE"


def test_zstd_that_wants_to_look_back_too_far_is_refused() -> None:
    """A stream that asks for a window beyond 64 MiB gets no memory."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = packer.compress(bytes(100)) + packer.flush()
    value = ENVELOPE.pack(b"NL", 2, 1, 2, 0, 0, zlib.crc32(packed), 100) + packed

    assert reason_of(value) == "CORRUPT"


@st.composite
def sheaves(draw: st.DrawFn) -> Sheaf:
    """Any sheaf the format can hold."""
    lists, rows, columns = draw(st.integers(1, 3)), draw(st.integers(0, 12)), draw(st.integers(1, 3))
    numbers = st.lists(i64, min_size=rows, max_size=rows)
    unsigned = st.lists(st.integers(0, 2**64 - 1), min_size=rows, max_size=rows)
    cells = st.lists(i64, min_size=rows * columns, max_size=rows * columns)
    ticks = np.array(draw(cells), np.int64).reshape(rows, columns)
    unit = st.tuples(st.sampled_from(["kWh", "m³"]), st.integers(0, 18))
    return Sheaf(
        lists=tuple(tuple((ENTERPRISE, f"{i}-{j}") for j in range(columns)) for i in range(lists)),
        row_list=np.array(draw(st.lists(st.integers(0, lists - 1), min_size=rows, max_size=rows)), np.int32),
        read_at_ms=np.array(draw(numbers), np.int64),
        received_at_s=np.array(draw(numbers), np.int64),
        sequence=np.array(draw(unsigned), np.uint64),
        position=np.array(draw(unsigned), np.uint64),
        ticks=ticks,
        sent=ticks if draw(st.booleans()) else np.array(draw(cells), np.int64).reshape(rows, columns),
        units=tuple(tuple(draw(unit) for _ in range(columns)) for _ in range(lists)),
        origin=draw(st.sampled_from(Origin)),
    )


@settings(max_examples=150, deadline=None)
@given(sheaf=sheaves(), compress=st.booleans(), position=st.integers(0, 2**64 - 1))
def test_sheaf_of_any_content_survives_the_hop(sheaf: Sheaf, compress: bool, position: int) -> None:
    """Rows keep their order and their lists, whatever is next to what; a block made of it says the same."""
    found = decode(encode(sheaf, compress=compress))

    assert isinstance(found, Sheaf)
    assert same(found, sheaf)
    assert same(found.block(), sheaf.block())
    if len(sheaf.row_list):
        assert same(read_sheaf(sheaf_bytes(sheaf, True)), sheaf)
    where, passed = unpack(pack(position, sheaf))
    assert where == position
    assert same(passed, sheaf)


def test_sheaf_without_conversion_says_its_numbers_once() -> None:
    """`sent` travels only where it differs, and is the same array where it does not."""
    rows = np.arange(200)
    ticks = np.arange(800).reshape(200, 4) * 1000
    sheaf = Sheaf(
        (tuple((ENTERPRISE, name) for name in "abcd"),),
        np.zeros(200, np.int32),
        AT_MS + 900_000 * rows,
        AT_S + rows,
        rows.astype(np.uint64),
        rows.astype(np.uint64),
        ticks,
        ticks.copy(),
        ((("kWh", 2),) * 4,),
    )
    found = decode(encode(sheaf))

    assert isinstance(found, Sheaf)
    assert found.sent is found.ticks
    converted = encode(replace(sheaf, sent=ticks // 10), compress=False)
    assert len(converted) - len(encode(sheaf, compress=False)) == 8 * ticks.size - len("fals") + len("tru")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"columns":1', b'"columns":2'),
        (b'"columns":1', b'"columns":0'),
        (b'"rows":2', b'"rows":3'),
        (b'"rows":2', b'"rows":-'),
        (b'"origin":0', b'"origin":9'),
        (b'"lists":1', b'"lists":0'),
        (b'"lists":1', b'"lists":2'),
        (b'"points":[["e","p"]],"units":[["kWh",2]]', b'"points":[["e","p"]],"units":[         ]'),
        (b'"points":[["e","p"]],"units":[["kWh",2]]', b'"points":[         ],"units":[["kWh",2]]'),
        (struct.pack("<2i", 0, 0), struct.pack("<2i", 0, 1)),
        (struct.pack("<2i", 0, 0), struct.pack("<2i", -1, 0)),
    ],
)
def test_sheaf_whose_parts_do_not_fit_is_refused(old: bytes, new: bytes) -> None:
    """Rows of a list that is not there, lists of another width, an origin nobody knows: a bad field."""
    two = np.zeros(2, np.int64)
    ids = two.astype(np.uint64)
    matrix = np.ones((2, 1), np.int64)
    sheaf = Sheaf(
        ((("e", "p"),),), two.astype(np.int32), two + 1, two + 1, ids, ids, matrix, matrix, ((("kWh", 2),),)
    )
    body = encode(sheaf, compress=False)[ENVELOPE.size :]
    (size,) = struct.unpack_from("<I", body)
    changed = body[4:].replace(old, new, 1)
    head = struct.pack("<I", size + len(changed) - len(body[4:]))
    assert same(decode(seal(MessageKind.SHEAF, body, 2, Codec.RAW)), sheaf)

    assert changed != body[4:]
    assert reason_of(seal(MessageKind.SHEAF, head + changed, 2, Codec.RAW)) == "BAD_FIELD"
