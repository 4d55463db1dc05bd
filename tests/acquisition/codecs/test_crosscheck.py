"""The package dlt645, written by somebody else, says the same of everything that it can read rightly.

It reads single numbers and maximum demands of the edition of 2007.  Where it is known to be wrong (blocks, frozen
data, all FF, nibbles above nine, unsigned numbers of 8 or 9) it is not asked; nor for the time of a demand, which it
reads with the year first, while the real date of vector 14 comes with its lowest byte first like everything else.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from dlt645 import DLT645Protocol
from dlt645.model.data.define import DIMap
from dlt645.service.clientsvc.client_service import MeterClientService
from frames import low_first
from hypothesis import given
from hypothesis import strategies as st
from vectors import vectors

from acquisition.codecs import dlt645
from acquisition.codecs.dlt645_blocks import read_block
from acquisition.codecs.exchange import Answer
from acquisition.codecs.fields import Kind
from acquisition.codecs.identifiers import find, identifier

METER = "000000000161"
WRONG_UNITS = {"0206": "kW", "0208": "V", "0209": "A"}
"""Families of which the other package names a unit that is none of theirs: power factor, distortions."""
FRAMES = [one for one in vectors("dlt645") if one.is_reply]


def shared() -> list[str]:
    """Identifiers of numbers and demands that both know."""
    found = []
    for number, item in DIMap.items():
        name = f"{number:08X}"
        ours = find("dlt645-2007", name)
        if ours is None or isinstance(item, list):
            continue
        if ours.fields[0].kind is Kind.BCD and "." in item.data_format:
            found.append(name)
    return found


SHARED = shared()


CLIENT = MeterClientService(None)
"""Their reader of answers, without a line; it copies its tables, which takes long."""
CLIENT.address = bytearray(low_first(METER))


def theirs(control: int, data: bytes) -> bytes:
    """A frame that they lay."""
    return bytes(DLT645Protocol.build_frame(low_first(METER), control, data))


def test_identifiers_have_the_same_formats_and_units() -> None:
    """Some 800 identifiers of two tables from different hands: digits, places and units agree."""
    assert len(SHARED) > 800
    for name in SHARED:
        first, item = identifier("dlt645-2007", name).fields[0], DIMap[int(name, 16)]
        assert first.notation.lstrip("±") == item.data_format, name
        unit = item.unit.strip().replace("℃", "degC")
        assert unit in ("", first.unit, WRONG_UNITS.get(name[:4])), name


@given(st.sampled_from(SHARED), st.data())
def test_numbers_are_read_alike(name: str, data: st.DataObject) -> None:
    """Any value that both can hold, in a frame that they laid, has the same digits for both."""
    block = read_block(dlt645.E2007, name)
    first = block.fields[0]
    ticks = data.draw(st.integers(0, 8 * 10 ** (2 * first.size - 1) - 1))
    shown = bytearray(bytes.fromhex(f"{ticks:0{2 * first.size}d}")[::-1])
    if first.signed and data.draw(st.booleans()):
        shown[-1] |= 0x80
        ticks = -ticks
    time = bytes.fromhex("3012151124") if len(block.fields) > 1 else b""
    raw = theirs(0x91, low_first(name) + bytes(shown) + time)

    found = block.exchange(METER).feed(raw)
    item = CLIENT.handle_response(DLT645Protocol.deserialize(raw))

    assert isinstance(found, Answer)
    value = item.value.value if time else item.value
    assert found.values[first.name] == ticks
    assert round(Decimal(repr(value)).scaleb(first.decimals)) == ticks


@given(st.text("0123456789", min_size=12, max_size=12), st.sampled_from(SHARED))
def test_requests_are_laid_alike(address: str, name: str) -> None:
    """Their frame builder and ours put out the same bytes."""
    ours = dlt645.read_data(dlt645.E2007, address, low_first(name))

    assert ours == bytes(DLT645Protocol.build_frame(low_first(address), 0x11, low_first(name)))


@pytest.mark.parametrize("vector", FRAMES, ids=lambda one: one.id)
@pytest.mark.parametrize("dirt", [b"", b"\xfe\xfe\xfe\xfe", b"\x00\x68\x11"])
def test_published_frames_are_taken_apart_alike(dirt: bytes, vector: object) -> None:
    """Address, control code and data of every published reply are the same for both, after dirt too."""
    raw = vector.frame  # type: ignore[attr-defined]
    (ours,) = dlt645.Decoder().feed(dirt + raw)
    other = DLT645Protocol.deserialize(dirt + raw)

    assert (low_first(ours.address), ours.control, ours.data) == (
        bytes(other.addr),
        other.ctrl_code,
        bytes(other.data),
    )


@given(
    st.lists(st.one_of(st.binary(max_size=12), st.sampled_from([one.frame for one in FRAMES])), max_size=6)
)
def test_streams_hold_no_fewer_frames_for_us(parts: list[bytes]) -> None:
    """Whatever frames they find in a dirty stream we find, too; a cut frame holds back theirs, but not ours."""
    stream, other = b"".join(parts), []
    rest = stream
    while True:
        rest, frame = DLT645Protocol.deserialize_with_remaining(rest)
        if frame is None:
            break
        other.append((bytes(frame.addr), frame.ctrl_code, bytes(frame.data)))

    ours = [(low_first(one.address), one.control, one.data) for one in dlt645.Decoder().feed(stream)]
    assert len(ours) >= len(other)
    assert [one for one in ours if one in other] == other
