"""collector.toml and maps: what is wrong is told with its file, its key and the nearest valid word."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from factories import ENTERPRISE
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs.fields import TEXT_UNIT
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import Register, RegisterType
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.meters.meter_maps import load_map, shipped_maps
from acquisition.drivers.meters.register_maps import RegisterMap, merge
from nengliu.domain.points import Formula, Kind, Meter
from nengliu.domain.units import dimension
from nengliu.errors import InputError

GOOD = f"""
name = "c1"

[enterprise]
enterprise = "{ENTERPRISE}"
name = "示例厂"
region = "370200"

[[points]]
point = "e-main"
name = "总进线"
kind = "counter"
item = "electricity"
unit = "kWh"
decimals = 2
meters = [{{ unit = "kWh", decimals = 2, multiplier = 10 }}]

[[lines]]
name = "north"
host = "10.0.0.5"
timeout_s = 0.5

[[lines.meters]]
name = "main"
unit = 3
map = "generic"
interval_s = 60
schema = 7
[lines.meters.points]
power = "p-main"
energy = "e-main"
amount = {{ point = "water", unit = "m3", scale = 0.01, decimals = 2 }}
"""
MAP = """
title = "t"
source = "s"
base = 1
function = 4
order = "CDAB"
max_registers = 10
max_gap = 2

[[registers]]
name = "a"
address = 1
type = "f32"
"""


def load(folder: Path, text: str = GOOD) -> CollectorConfig:
    file = folder / "collector.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def test_computed_point_is_introduced_with_its_formulas(tmp_path: Path) -> None:
    """A point may be computed from others; a formula that cannot be read is told with its place."""
    told = """[[points]]
point = "rest"
name = "其余"
kind = "period"
item = "electricity"
unit = "kWh"
decimals = 2
interval_s = 0
formulas = [{ from_ms = 0, text = '"e-main" - b' }, { from_ms = 900000, text = "b" }]

[[lines]]"""
    text = GOOD.replace("[[lines]]", told, 1)

    assert load(tmp_path, text).points[1].formulas == (Formula(0, '"e-main" - b'), Formula(900_000, "b"))
    with pytest.raises(InputError, match=r"\[\[points\]\] 2: formulas: expected .* got 'the end'"):
        load(tmp_path, text.replace("- b'", "-'"))


def test_file_is_read_whole(tmp_path: Path) -> None:
    """Enterprise, points, lines, meters and registers are what the file says, columns in the map's order."""
    config = load(tmp_path)

    assert config.enterprise is not None
    assert (config.name, config.code, config.enterprise.region) == ("c1", ENTERPRISE, "370200")
    (point,) = config.points
    assert (point.enterprise, point.kind, point.interval_s) == (ENTERPRISE, Kind.COUNTER, 900)
    assert point.meters == (Meter(0, "kWh", 2, 10),)
    (line,) = config.lines
    assert (line.host, line.port, line.timeout_s, line.pause_ms) == ("10.0.0.5", 502, 0.5, 0)
    (meter,) = line.meters
    assert (meter.address, meter.interval_s, meter.schema) == ("3", 60, 7)
    assert [(one.point, one.unit, one.decimals) for one in meter.columns()] == [
        ("e-main", "kWh", 2),
        ("water", "m3", 2),
        ("p-main", "kW", 2),
    ]
    assert meter.items[1][0].scale == Decimal("0.01")
    assert config.schemas()[0].columns == meter.columns()


def test_enterprise_without_a_name_is_only_a_code(tmp_path: Path) -> None:
    """A collector need not introduce an enterprise that others introduce."""
    config = load(tmp_path, GOOD.replace('name = "示例厂"\nregion = "370200"\n', ""))

    assert (config.code, config.enterprise) == (ENTERPRISE, None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("timeout_s", "timout_s", r"collector.toml: .*timout_s.*nearest: timeout_s"),
        ("interval_s = 60", "intervall_s = 60", r"intervall_s.*nearest: interval_s"),
        ("region", "regoin", r"\[enterprise\]: unknown key 'regoin'; nearest: region"),
        ("kind =", "kidn =", r"\[\[points\]\] 1: unknown key 'kidn'; nearest: kind"),
        ("multiplier", "multiplyer", r"meters: unknown key 'multiplyer'; nearest: multiplier"),
        ('map = "generic"', 'map = "genric"', r"line north meter main: .*'genric'; nearest: generic"),
        ("power = ", "powr = ", r"meter main: points: map generic has no 'powr'; nearest: power"),
        ("scale = 0.01", "scael = 0.01", r"scael.*nearest: scale"),
        ("unit = 3", "unit = 256", r"meter main: unit: expected .*0 to 255, got 256"),
        ("interval_s = 60", "interval_s = 0", r"interval_s: expected 1 to 86400, got 0"),
        ("schema = 7", "schema = 0", r"schema: expected"),
        ("timeout_s = 0.5", "timeout_s = 0", r"timeout_s: expected more than 0"),
        ("timeout_s = 0.5", "port = 70000", r"port: expected 1 to 65535, got 70000"),
        ("timeout_s = 0.5", "pause_ms = -1", r"pause_ms"),
        ('name = "c1"', 'name = "a/b"', r"name: expected letters"),
        ('name = "c1"', 'name = "c1"\nbuffer = { keep_days = 14 }', r"keep_days: expected 15 .*, got 14"),
        ('name = "c1"', 'name = "c1"\nbuffer = { room_mb = 1 }', r"\[buffer\]: room_mb: expected 16 to"),
        ('name = "c1"', 'name = "c1"\nbuffer = { late_s = 0 }', r"late_s: expected 1 to 3600, got 0"),
        ('name = "c1"', 'name = "c1"\nbuffer = { backfill_per_s = 0 }', r"backfill_per_s: expected"),
        ('name = "c1"', 'name = "c1"\nbuffer = { days = 20 }', r"days.*nearest: keep_days"),
        (ENTERPRISE, "123", r"enterprise: expected 18 characters, got '123'"),
        ('"p-main"', '"e-main"', r"every point that is read once, got e-main twice"),
        ("scale = 0.01, decimals = 2", "scale = 0.001, decimals = 2", r"decimals: expected enough decimals"),
        ("scale = 0.01", "scale = 0", r"scale: expected a number other than 0"),
        ("decimals = 2\nmeters", "decimals = true\nmeters", r"decimals"),
        ('unit = "m3"', 'unit = "m33"', r"points amount: unit: unknown unit 'm33'; nearest: m3"),
        (
            'unit = "kWh"\ndecimals = 2\nm',
            'unit = "kW"\ndecimals = 2\nm',
            r"energy: unit: expected a unit",
        ),
        (
            'kind = "counter"',
            'kind = "period"',
            r"energy: kind: expected a counter or a gauge",
        ),
        ("[[lines.meters]]", "[[lines.metres]]", r"metres.*nearest: meters"),
    ],
)
def test_fault_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Every fault names where it is and what was expected."""
    assert old in GOOD

    with pytest.raises(InputError, match=told):
        load(tmp_path, GOOD.replace(old, new, 1) if old != '"p-main"' else GOOD.replace(old, new))


@pytest.mark.parametrize("what", ["line", "meter", "schema"])
def test_names_and_schemas_are_given_once(tmp_path: Path, what: str) -> None:
    """Two of one name, or of one schema number, would be taken for each other."""
    line = GOOD[GOOD.index("[[lines]]") :]
    other = line.replace("p-main", "p2").replace("e-main", "e2").replace('"water"', '"w2"')
    if what == "meter":
        other = other[other.index("[[lines.meters]]") :].replace("schema = 7", "schema = 8")
    if what == "schema":
        other = other.replace("north", "south")

    with pytest.raises(InputError, match=f"every {what} once"):
        load(tmp_path, GOOD + other)


def test_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    """A file that is missing or no TOML is the user's to mend, with a hint where to look."""
    with pytest.raises(InputError, match=r"collector.toml: expected TOML"):
        load(tmp_path, "name = [")
    with pytest.raises(InputError, match=r"none.toml: there is no such file"):
        load_config(tmp_path / "none.toml")


def test_map_of_ones_own_lies_beside(tmp_path: Path) -> None:
    """A map may be a file relative to collector.toml; its address base is taken off."""
    (tmp_path / "own.toml").write_text(MAP, encoding="utf-8")
    text = GOOD[: GOOD.index("[lines.meters.points]")].replace('"generic"', '"own.toml"')

    (meter,) = load(tmp_path, text + '[lines.meters.points]\na = "x"\n').lines[0].meters

    register = meter.items[0][0]
    assert (register.address, register.function, register.order) == (0, 4, "CDAB")
    assert meter.map.max_registers == 10


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("base = 1", "base = 2", "base: expected 0 or 1"),
        ("base = 1\n", "", "base"),
        ("function = 4", "function = 6", r"function: expected 3 or 4 \(a collector only reads\), got 6"),
        ('"CDAB"', '"ABDC"', "order: expected ABCD"),
        ('"f32"', '"float32"', r"register a: type: unknown 'float32'; nearest: .*f32"),
        ("address = 1", "address = 0", "address: expected 0 to 65535 on the wire, got -1"),
        ("address = 1", "address = 65536", "address"),
        ("address = 1", "adress = 1", "adress.*nearest: address"),
        ("max_registers = 10", "max_registers = 126", "max_registers: expected 1 to 125"),
        ("max_gap = 2", "max_gap = 10", "max_gap"),
    ],
)
def test_fault_of_a_map_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    """A map is checked as strictly, and a function that writes cannot be put into words."""
    (tmp_path / "own.toml").write_text(MAP.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(InputError, match=told):
        load_map("own.toml", tmp_path)


SPECIAL = """
title = "t"
source = "s"
base = 0
max_gap = 0
[[registers]]
name = "energy"
address = 10
type = "u32"
unit = "kWh"
exponent = "scale"
[[registers]]
name = "scale"
address = 14
type = "i16"
[[registers]]
name = "alarm"
address = 20
type = "bits16"
first_bit = 2
bit_count = 3
[[registers]]
name = "serial"
address = 30
type = "string"
size = 4
unit = "text"
"""


def test_map_of_bits_texts_and_exponents_is_read(tmp_path: Path) -> None:
    """A register and its exponent are one request; a part of a word and a text are what they are."""
    (tmp_path / "own.toml").write_text(SPECIAL, encoding="utf-8")

    plan = load_map("own.toml", tmp_path)

    energy, _, alarm, serial = plan.items
    assert isinstance(energy, Register)
    assert isinstance(alarm, Register)
    assert isinstance(serial, Register)
    assert energy.exponent is not None
    assert energy.exponent.address == 14
    (block,) = plan.blocks([energy])
    assert isinstance(block, RegisterBlock)
    assert (block.address, block.count) == (10, 5)
    assert block.decode([0, 1234, 0, 0, 2]).values == {"energy": 123_400}
    assert (alarm.first_bit, alarm.bit_count, serial.length) == (2, 3, 4)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('exponent = "scale"', 'exponent = "scael"', "register energy: exponent: no 'scael'; nearest: scale"),
        ("address = 14", "address = 14\nfunction = 4", "exponent: expected a register of the same function"),
        (
            "max_gap = 0",
            "max_gap = 0\nmax_registers = 4",
            "exponent: expected a register that the same request",
        ),
        ("bit_count = 3", "bit_count = 15", "register alarm: bit_count: expected 0 to 16, got 15"),
        ("first_bit = 2", "first_bit = 16", "first_bit: expected below 16, got 16"),
        ("size = 4", "size = 126", "register serial: size: expected 1 to 125 words of a text, got 126"),
        ('unit = "text"', 'unit = "kWh"', "register serial: unit: expected text, got 'kWh'"),
    ],
)
def test_fault_of_bits_texts_and_exponents_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    """What no request can read, or no word holds, is refused."""
    assert old in SPECIAL
    (tmp_path / "own.toml").write_text(SPECIAL.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(InputError, match=told):
        load_map("own.toml", tmp_path)


def test_text_is_no_point(tmp_path: Path) -> None:
    """A serial number can be looked at, not collected."""
    (tmp_path / "own.toml").write_text(SPECIAL, encoding="utf-8")
    text = GOOD[: GOOD.index("[lines.meters.points]")].replace('"generic"', '"own.toml"')

    with pytest.raises(InputError, match="points serial: unit: unknown unit 'text'"):
        load(tmp_path, text + '[lines.meters.points]\nserial = "x"\n')


@pytest.mark.parametrize("name", shipped_maps())
def test_shipped_map_is_in_order(name: str) -> None:
    """Each shipped map is valid, says where it comes from, and uses units that the catalogue knows."""
    plan = load_map(name)

    assert plan.source
    assert plan.title
    for item in plan.items:
        assert item.unit == TEXT_UNIT or dimension(item.unit)
    if isinstance(plan, RegisterMap):
        assert all(
            block.count <= plan.max_registers for block in merge(plan.registers, plan.max_registers, 0)
        )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([3, 4]),
            st.integers(0, 400),
            st.sampled_from([kind for kind in RegisterType if kind.length]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(4, 125),
    st.integers(0, 20),
)
def test_blocks_hold_every_register_once(
    given: list[tuple[int, int, RegisterType]], most: int, gap: int
) -> None:
    """Merging loses no register, reads none in part, asks for no more than a request may, and over no wide gap."""
    registers = [Register(f"r{n}", *one) for n, one in enumerate(given)]

    blocks = merge(registers, most, gap)

    assert sorted(one.name for block in blocks for one in block.registers) == sorted(
        r.name for r in registers
    )
    for block in blocks:
        assert block.count <= most
        covered = set()
        for one in block.registers:
            assert one.function == block.function
            assert block.address <= one.address
            assert one.address + one.length <= block.address + block.count
            covered |= set(range(one.address, one.address + one.length))
        unread = [word for word in range(block.address, block.address + block.count) if word not in covered]
        assert all(not set(range(word, word + gap + 1)) <= set(unread) for word in unread)
