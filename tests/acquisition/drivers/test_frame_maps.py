"""Maps of DL/T 645 and CJ/T 188, and the lines that use them: what is asked, and what is refused beforehand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import ENTERPRISE

from acquisition.codecs.registers import Register
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.line_config import PROTOCOLS
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.modbus import ModbusTcp
from acquisition.drivers.lines.transports import transport_of
from acquisition.drivers.meters.frame_maps import read_map
from acquisition.drivers.meters.meter_maps import load_map, shipped_maps
from nengliu.errors import InputError

TABLE: dict[str, Any] = {
    "title": "t",
    "source": "s",
    "protocol": "dlt645-2007",
    "blocks": [
        {"identifier": "0001FF00"},
        {"identifier": "00010000"},
        {"identifier": "0201FF00", "items": ["voltage_a"]},
    ],
    "frozen": ["050401", "050402"],
    "clock": "04000101",
    "status": ["040005FF"],
}
WATER = {"title": "t", "source": "s", "protocol": "cjt188", "profile": {"layout": "water"}}
FILE = f"""
name = "c1"
[enterprise]
enterprise = "{ENTERPRISE}"
[[lines]]
name = "bus"
kind = "serial"
device = "/dev/ttyUSB0"
baud = 2400
[[lines.meters]]
name = "main"
address = "161"
map = "own.toml"
schema = 1
frozen = true
ct_ratio = 40
pt_ratio = 100
[lines.meters.points]
energy = "e"
voltage_a = "u"
power_factor = "pf"
[[lines.meters]]
name = "modbus"
unit = 3
map = "generic"
schema = 2
ct_ratio = 40
[lines.meters.points]
power = {{ point = "p", decimals = 1 }}
frequency = "f"
"""
OWN = """
title = "t"
source = "s"
protocol = "dlt645-2007"
frozen = ["050401"]
[[blocks]]
identifier = "0001FF00"
[[blocks]]
identifier = "0201FF00"
[[blocks]]
identifier = "0206FF00"
"""


def load(folder: Path, text: str = FILE, own: str = OWN) -> CollectorConfig:
    (folder / "own.toml").write_text(own, encoding="utf-8")
    (folder / "collector.toml").write_text(text, encoding="utf-8")
    return load_config(folder / "collector.toml")


def names(blocks: Any) -> list[list[str]]:
    return [[item.name for item in block.items] for block in blocks]


def test_item_is_asked_by_the_first_block_that_holds_it() -> None:
    """Blocks before singles; of one item alone its own identifier, which is shorter; only what is wanted."""
    plan = read_map("m", TABLE, "m")
    known = {item.name: item for item in plan.items}

    both = plan.blocks([known["energy"], known["energy_t1"], known["voltage_a"]])
    one = plan.blocks([known["energy"]])

    assert names(both) == [["energy", "energy_t1"], ["voltage_a"]]
    assert names(one) == [["energy"]]
    assert one[0].answer_bytes < both[0].answer_bytes
    assert list(known) == ["energy", "energy_t1", "energy_t2", "energy_t3", "energy_t4", "voltage_a"]


def test_frozen_values_are_asked_by_how_far_back() -> None:
    """Each item by its identifier, with the hours back as its last byte."""
    frozen = read_map("m", TABLE, "m").frozen

    assert frozen is not None
    assert frozen.items() == ("energy", "energy_export")
    assert names(frozen.blocks(["energy", "energy_export"], 254)) == [
        ["energy_frozen"],
        ["energy_export_frozen"],
    ]
    assert frozen.depth == 254


def test_upkeep_is_clock_and_status() -> None:
    """What is read hourly beside the points; of a water meter the same frame holds both."""
    assert names(read_map("m", TABLE, "m").upkeep) == [["clock"], [f"status_{n}" for n in range(1, 8)]]
    assert names(read_map("w", WATER, "w").upkeep) == [["clock", "status_1"]]


def test_water_meter_is_read_in_one_frame() -> None:
    """Its map is a profile; there is nothing frozen."""
    plan = read_map("w", WATER, "w")

    assert names(plan.blocks(plan.items[:1])) == [["volume"]]
    assert plan.frozen is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"blocks": []}, r"^m: .*blocks: expected at least one"),
        ({"blocks": [{"identifier": "0001FF"}]}, r"^m: identifier: .*nearest"),
        ({"blocks": [{"identifier": "0001FF00", "items": ["energie"]}]}, r"got 'energie'; nearest: energy"),
        ({"blocks": [{"identifier": "00010000"}] * 2}, r"every identifier once"),
        ({"frozen": ["0001"]}, r"m"),
        ({"frozen": ["000100"]}, r"frozen: expected identifiers of frozen values, got '000100'"),
        ({"frozen_depth": 255}, r"frozen_depth: expected 1 to 254, got 255"),
        ({"profile": {"layout": "water"}}, r"profile: expected none for dlt645-2007"),
        ({"statsu": []}, r"statsu.*nearest: status"),
    ],
)
def test_fault_of_a_map_is_named(change: dict[str, Any], told: str) -> None:
    """With the file, the key and the nearest word."""
    with pytest.raises(InputError, match=told):
        read_map("m", TABLE | change, "m")


def test_fault_of_a_profile_is_named() -> None:
    """Identifiers have no place in it, and its keys are known."""
    with pytest.raises(InputError, match=r"\[profile\] says it all"):
        read_map("w", WATER | {"clock": "C010"}, "w")
    with pytest.raises(InputError, match="layout"):
        read_map("w", WATER | {"profile": {"layuot": "water"}}, "w")


@pytest.mark.parametrize("name", shipped_maps())
def test_shipped_map_is_read_whatever_it_speaks(name: str) -> None:
    """Each has a protocol that some line speaks, items, and requests that read them all."""
    plan = load_map(name)

    assert any(plan.protocol in spoken for spoken in PROTOCOLS.values())
    asked = {item.name for block in plan.blocks(plan.items) for item in block.items}
    assert {item.name for item in plan.items} <= asked


def test_unknown_protocol_is_named(tmp_path: Path) -> None:
    """The nearest one is told."""
    (tmp_path / "x.toml").write_text('protocol = "dlt645-2008"\n', encoding="utf-8")

    with pytest.raises(InputError, match="protocol: unknown 'dlt645-2008'; nearest: dlt645-2007"):
        load_map("x.toml", tmp_path)


def test_ratios_of_transformers_make_primary_values(tmp_path: Path) -> None:
    """Energy by both, current by one, voltage by the other, a power factor by none; exact, and columns say the same."""
    config = load(tmp_path)
    main, modbus = config.lines[0].meters

    assert main.by_point({"energy": 26, "voltage_a": 1001, "power_factor": 501}) == {
        "e": 26 * 4000,
        "u": 1001 * 100,
        "pf": 501,
    }
    power = modbus.items[0][0]
    assert (power.decimals, modbus.items[1][0].name) == (1, "frequency")
    assert isinstance(power, Register)
    assert power.scale == Decimal("0.4")
    assert [column.decimals for column in main.columns()] == [2, 1, 3]
    assert (main.address, main.frozen, modbus.address, modbus.frozen) == ("161", True, "3", False)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "serial"', 'kind = "serail"', r"line bus: kind: unknown 'serail'; nearest: serial"),
        ('kind = "serial"', 'kind = "serial-tcp"', r"host: expected a name"),
        ('kind = "serial"', 'kind = "serial-tcp"\nhost = "h"', r"port: expected 1 to 65535, got 0"),
        (
            'kind = "serial"',
            'kind = "modbus-tcp"\nhost = "h"',
            r"map own.toml on a line modbus-tcp: expected modbus",
        ),
        ('kind = "serial"', 'kind = "opcua"', r"url: expected opc.tcp"),
        ('device = "/dev/ttyUSB0"\n', "", r"device: expected a port"),
        ("baud = 2400", "baud = 24", r"baud: expected 300 to 921600"),
        ("baud = 2400", 'parity = "X"', r"parity: expected N, E, O"),
        ("baud = 2400", "stop_bits = 3", r"stop_bits: expected 1 or 2"),
        ('address = "161"', 'address = "16x"', r"meter main: address: expected up to 12 digits"),
        ('address = "161"', "unit = 3", r"unit: expected none: dlt645-2007 has an `address`"),
        ("unit = 3", "unit = 248", r"meter modbus: unit: expected 1 to 247 on a serial line"),
        ("unit = 3", 'address = "3"\nunit = 3', r"unit: expected none"),
        ("unit = 3\n", "", r"unit: expected a Modbus unit"),
        ("ct_ratio = 40\npt", "ct_ratio = 0\npt", r"ct_ratio: expected a number above 0"),
        ("ct_ratio = 40\npt", "ct_ratio = 0.001\npt", r"decimals: expected enough decimals for scale 0.1"),
        ("frozen = true", 'frozen = "yes"', r"frozen"),
        (
            'map = "generic"',
            'map = "generic"\nfrozen = true',
            r"frozen: expected a map with hourly frozen values",
        ),
        (
            'voltage_a = "u"',
            'voltage_a = { point = "u", unit = "V2" }',
            r"points voltage_a: unit: unknown unit 'V2'",
        ),
        (
            'voltage_a = "u"',
            'voltage_a = { point = "u", scale = 0 }',
            r"scale: expected a number other than 0",
        ),
        ('voltage_a = "u"', 'voltage_d = "u"', r"map own.toml has no 'voltage_d'; nearest: voltage_"),
    ],
)
def test_fault_of_a_serial_line_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    """What cannot be asked is refused before anything runs."""
    assert old in FILE

    with pytest.raises(InputError, match=told):
        load(tmp_path, FILE.replace(old, new, 1))


def test_line_has_the_transport_of_its_kind(tmp_path: Path) -> None:
    """Serial ports and converters are half duplex, Modbus TCP is not; where it is is told to people."""
    serial_line = load(tmp_path).lines[0]
    way = 'kind = "serial-tcp"\nhost = "h"\nport = 4001'
    converter = load(tmp_path, FILE.replace('kind = "serial"', way)).lines[0]
    head, last = FILE[: FILE.index("[[lines.meters]]")], FILE[FILE.rindex("[[lines.meters]]") :]
    way = 'kind = "modbus-tcp"\nhost = "h"'
    tcp = load(tmp_path, head.replace('kind = "serial"', way) + last).lines[0]

    assert isinstance(transport_of(serial_line, SystemClock()), HalfDuplex)
    assert isinstance(transport_of(converter, SystemClock()), HalfDuplex)
    assert isinstance(transport_of(tcp, SystemClock()), ModbusTcp)
    assert [line.where for line in (serial_line, converter)] == ["/dev/ttyUSB0", "h:4001"]
    assert tcp.port == 502


def test_map_beside_another_folder(tmp_path: Path) -> None:
    """A configuration from afar is read with the maps of the installation."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "own.toml").write_text(OWN, encoding="utf-8")
    (tmp_path / "collector.toml").write_text(FILE, encoding="utf-8")

    assert load_config(tmp_path / "collector.toml", tmp_path / "maps").lines[0].meters[0].name == "main"
    with pytest.raises(InputError, match=r"own.toml: there is no such file"):
        load_config(tmp_path / "collector.toml")
