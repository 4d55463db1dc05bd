"""Nothing that writes, clears, or moves a relay or a valve can leave the codecs."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType

import pytest
from frames import reply645
from hypothesis import given
from hypothesis import strategies as st

import acquisition.codecs
from acquisition.codecs import cjt188, cjt188_blocks, dlt645, dlt645_steps, modbus
from acquisition.codecs.cjt188_profiles import Profile
from acquisition.codecs.exchange import Exchange
from acquisition.codecs.identifiers import identifiers
from nengliu.errors import InputError

METER = "000000000161"
READS = {"dlt645": {0x01, 0x02, 0x08, 0x11, 0x12, 0x13, 0x16}, "cjt188": {0x01, 0x03}, "modbus": {3, 4}}
LAYERS = {
    "dlt645": {"read_data", "read_following", "read_address", "set_time", "freeze", "_frame"},
    "cjt188": {"read_data", "read_address", "_frame"},
    "modbus": {"read_registers", "crc"},
    "cjt188_blocks": {"wire_identifier"},
}
"""Every function of the room that makes bytes."""
DANGEROUS = ("write", "valve", "relay", "trip", "clear", "password", "baud", "open", "close")


def modules() -> Iterator[ModuleType]:
    for one in pkgutil.iter_modules(acquisition.codecs.__path__):
        yield import_module(f"acquisition.codecs.{one.name}")


def test_functions_that_lay_bytes_are_these() -> None:
    """A new function that makes bytes must be looked at here before it ships."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for name, one in inspect.getmembers(module, inspect.isfunction):
            if one.__module__ == module.__name__ and one.__annotations__.get("return") == "bytes":
                found.setdefault(module.__name__.rsplit(".", 1)[1], set()).add(name)

    assert found == LAYERS


@pytest.mark.parametrize("control", range(256))
def test_frame_of_any_other_control_code_cannot_be_laid(control: int) -> None:
    """The one function that lays a frame refuses every code that does not read, whoever calls it."""
    for lay, allowed in (
        (lambda: dlt645._frame(METER, control, b""), READS["dlt645"]),
        (lambda: cjt188._frame(0x10, "1", control, b""), READS["cjt188"]),
    ):
        if control in allowed:
            assert lay()
        else:
            with pytest.raises(ValueError, match="none but those that read"):
                lay()


def test_start_of_a_frame_is_laid_in_one_place() -> None:
    """Frames are put together by `_frame` alone: nobody else puts a sum to bytes."""
    places = [
        f"{file.name}:{node.name}"
        for file in Path(str(resources.files("acquisition.codecs"))).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(part, ast.Name) and part.id == "END" for part in ast.walk(node))
        and node.name not in ("quick", "_closes")  # these look at the end of what came
    ]

    assert sorted(places) == ["cjt188.py:_frame", "dlt645.py:_frame"]


def test_no_function_is_named_after_what_changes_a_meter() -> None:
    """There is no door, not even a closed one."""
    names = [
        f"{module.__name__}.{name}"
        for module in modules()
        for name, one in inspect.getmembers(
            module, lambda one: inspect.isfunction(one) or inspect.isclass(one)
        )
        if one.__module__ == module.__name__ and any(word in name.lower().split("_") for word in DANGEROUS)
    ]

    assert names == []


@pytest.mark.parametrize("protocol", ["dlt645-2007", "dlt645-1997"])
def test_every_identifier_is_only_read(protocol: str) -> None:
    """Every request of every block, and every request that follows, bears a code that reads."""
    edition = dlt645.EDITIONS[protocol]
    for name in [*identifiers(protocol), *(["address"] if protocol.endswith("2007") else [])]:
        exchange = dlt645_steps.block(protocol, name).exchange(METER)
        sent = [exchange.request]
        asked = exchange.request[4:]
        data = bytes((one - 0x33) % 256 for one in asked[10:-2])
        following = exchange.feed(reply645(METER, asked[8] | 0xA0, data + b"\x11\x11\x11\x11"))
        sent += [following] if isinstance(following, bytes) else []
        for one in sent:
            assert one[4 + 8] in READS["dlt645"] - {0x08, 0x16}
            assert one[4 + 8] in (edition.read, edition.follow, 0x13)


@given(
    st.integers(0, 2**43), st.text("0123456789A", max_size=14), st.integers(-9, 999), st.binary(max_size=50)
)
def test_every_laid_frame_bears_a_code_that_reads(at_ms: int, address: str, number: int, data: bytes) -> None:
    """Whatever is given to the functions that lay frames, what leaves is allowed or nothing leaves."""
    attempts = [
        lambda: dlt645.read_data(dlt645.E2007, address, data),
        lambda: dlt645.read_following(dlt645.E1997, address, data, number),
        lambda: dlt645.read_address(address),
        lambda: dlt645.set_time(at_ms),
        lambda: dlt645.freeze(address),
        lambda: cjt188.read_data(0x10, address, data, number),
        lambda: cjt188.read_address(0x20, address, data, number),
    ]
    for attempt in attempts[:5]:
        laid = bytes_or_none(attempt)
        assert laid is None or laid[4 + 8] in READS["dlt645"]
    for attempt in attempts[5:]:
        laid = bytes_or_none(attempt)
        assert laid is None or laid[4 + 9] in READS["cjt188"]


@given(st.integers(-1, 300), st.integers(-1, 300), st.integers(-1, 70000), st.integers(-1, 70000))
def test_every_rtu_request_reads(unit: int, function: int, address: int, count: int) -> None:
    """Function 3 or 4, or nothing."""
    laid = bytes_or_none(lambda: modbus.read_registers(unit, function, address, count))

    assert laid is None or (laid[1] in READS["modbus"] and len(laid) == 8)


def test_water_meter_is_only_read() -> None:
    """Reading and address are all that is ever asked of it."""
    exchanges: list[Exchange] = [
        cjt188_blocks.block(Profile()).exchange("1"),
        cjt188_blocks.AddressBlock(Profile()).exchange(),
    ]

    assert [one.request[4 + 9] for one in exchanges] == [0x01, 0x03]


def bytes_or_none(lay: object) -> bytes | None:
    """What a call lays; None if it refuses."""
    try:
        return lay()  # type: ignore[operator,no-any-return]
    except (ValueError, OverflowError, InputError):
        return None
