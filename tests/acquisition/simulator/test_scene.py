"""Scenes: scenario files that are checked, the shipped ones, the configuration that is written for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from play import START_MS

from acquisition.drivers.config import load_config
from acquisition.simulator.faults import FaultKind
from acquisition.simulator.moment import panel
from acquisition.simulator.scene import Scene
from acquisition.simulator.scene_config import collector_text
from acquisition.simulator.scene_file import load_scene, on_ptys, ordered, shrunk
from acquisition.simulator.station import Station
from nengliu.errors import InputError

GOOD = """
name = "small"
duration_s = 600
[[lines]]
name = "a"
[[lines.meters]]
name = "e"
protocol = "dlt645-2007"
address = "000000000161"
count = 3
items = ["energy"]
[[faults]]
id = "one"
kind = "silent"
class = "power"
line = "a"
meter = "e2"
after_s = 60
for_s = 60
evidence = ["METER_DOWN", "TIMEOUT"]
"""


def scene(name: str = "forty") -> Scene:
    return Scene(load_scene(name), START_MS, lambda: START_MS, seed=7)


def read(folder: Path, text: str) -> None:
    file = folder / "scene.toml"
    file.write_text(text, encoding="utf-8")
    load_scene(file)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('kind = "silent"', 'kind = "quiet"', "quiet"),
        ('class = "power"', 'class = "powers"', "nearest: power"),
        ('line = "a"', 'line = "b"', "line: unknown 'b'"),
        ('meter = "e2"', 'meter = "e4"', "nearest: e"),
        ('"METER_DOWN"', '"METER_GONE"', "nearest: METER_"),
        ("after_s = 60", "after_s = 600", "after_s"),
        ('kind = "silent"', 'kind = "late"', "late needs a value"),
        ('kind = "silent"', 'kind = "digits"\nwhen = 3', "when"),
        ('items = ["energy"]', 'items = ["enrgy"]', "nearest: energy"),
        ('items = ["energy"]', "items = []", "items"),
        ('protocol = "dlt645-2007"', 'protocol = "modbus-tcp"', "modbus-tcp on a line serial"),
        ('name = "a"\n', 'name = "a"\nkind = "rs485"\n', "kind: unknown 'rs485'"),
        ('name = "a"\n', 'name = "a"\nbaud = 0\n', "baud"),
        ('name = "a"\n', 'name = "a"\nreply_ms = [9, 3]\n', "reply_ms"),
        ("duration_s = 600", "duration_s = 0", "duration_s"),
        ('name = "small"', "name = small", "scenario"),
    ],
)
def test_wrong_scenario_is_refused_with_what_is_wrong(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    """Each mistake is named with its file and place; without it the file is good."""
    read(tmp_path, GOOD)
    assert before in GOOD

    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(before, after, 1))

    assert told in str(caught.value)
    assert "scene.toml" in str(caught.value)


def test_fault_that_a_protocol_cannot_say_is_refused(tmp_path: Path) -> None:
    """A Modbus register has no way to say 'not available'; and a register belongs to one meter."""
    rtu = GOOD.replace("dlt645-2007", "modbus-rtu").replace("000000000161", "1")
    with pytest.raises(InputError, match="Modbus has no way"):
        read(tmp_path, rtu.replace("silent", "blank"))
    with pytest.raises(InputError, match="name it"):
        read(tmp_path, GOOD.replace("silent", "stuck").replace('meter = "e2"\n', ""))


def test_scenario_that_is_not_there_is_refused() -> None:
    """A name that is no file and comes not along."""
    with pytest.raises(InputError, match="forty"):
        load_scene("fifty")


def test_forty_has_forty_faults_with_evidence_over_two_hours_on_mixed_lines() -> None:
    """At least three lines and five protocols, every class of fault, and all is well at the end."""
    told = scene()
    proven = [one for one in told.ordered if one.evidence]

    assert len(proven) == 40
    assert told.told.duration_s == 7200
    assert {one.cls for one in proven} == {"link", "meter", "configuration", "power", "collector", "uplink"}
    assert len({meter.protocol for line in told.told.lines for meter in line.meters}) == 5
    assert {line.kind for line in told.told.lines} == {"serial", "serial-tcp", "modbus-tcp"}
    assert all(one.fault.to_ms < told.end_ms - 300_000 for one in proven)


def test_forty_orders_every_kind_of_fault_but_those_that_repeat_others() -> None:
    """Nearly all the simulator can do wrong is in it."""
    kinds = {one.fault.kind for one in scene().ordered}
    assert set(FaultKind) - kinds == {FaultKind.RESET, FaultKind.OVER, FaultKind.DROP}


def test_registers_are_knowable_but_where_something_was_lost() -> None:
    """Only a reversed meter and a wrong ratio leave a register that does not tell the use."""
    told = scene()
    assert [placed.station.name for placed in told.meters if not told.is_knowable(placed)] == ["n06", "t4"]


def test_hundreds_are_five_hundred_meters() -> None:
    """On fourteen lines, each with a register of its own."""
    told = scene("hundreds")
    registers = {told.register(placed, START_MS) for placed in told.meters}

    assert (len(told.meters), len(told.buses), len(registers)) == (500, 14, 500)


@pytest.mark.parametrize("name", ["forty", "hundreds"])
def test_written_configuration_reads_every_item(tmp_path: Path, name: str) -> None:
    """The driver accepts it: every meter with its address and map, every item a point, every line its port."""

    async def run() -> tuple[Scene, str]:
        told = scene(name)
        await told.serve(tmp_path)
        await told.stop()
        return told, collector_text(told, host="192.0.2.7")

    told, text = asyncio.run(run())
    file = tmp_path / "collector.toml"
    file.write_text(text, encoding="utf-8")
    config = load_config(file)
    stations: dict[str, Station] = {placed.station.name: placed.station for placed in told.meters}

    for line in config.lines:
        assert line.device == str(tmp_path / f"tty-{line.name}") or line.host == "192.0.2.7"
        for meter in line.meters:
            assert meter.address.zfill(14) == stations[meter.name].address.zfill(14)
    wanted = {f"{p.station.name}-{item}" for p in told.meters for item in p.table.items}
    assert {point for line in config.lines for meter in line.meters for point in meter.points} == wanted
    decimals = {column.point: column.decimals for schema in config.schemas() for column in schema.columns}
    for point in config.points:
        assert decimals[point.point] <= point.decimals, point.point
        assert point.unit == panel()[point.point.partition("-")[2].split("-")[-1]].unit


def test_change_of_a_meter_is_booked_with_both_registers(tmp_path: Path) -> None:
    """Who knows the configuration can tell the use over the change."""
    told = scene()
    (changed,) = (placed for placed in told.meters if placed.station.name == "r7")
    (change,) = (one.fault for one in told.ordered if one.fault.kind is FaultKind.CHANGE)
    places = {line.name: {"host": "memory", "port": 1, "device": "/dev/x"} for line in told.told.lines}
    file = tmp_path / "collector.toml"
    file.write_text(collector_text(told, places), encoding="utf-8")
    (point,) = (one for one in load_config(file).points if one.point == "r7-energy")
    old, new = point.meters

    assert (new.from_ms, new.first) == (change.from_ms, change.value)
    assert old.last is not None
    assert 0 <= old.last - told.register(changed, change.from_ms - 1) <= 1
    assert told.register(changed, change.from_ms) == change.value


def test_shrunk_scenario_is_the_same_but_faster() -> None:
    """Its times are divided, its drift is multiplied, and it still ends before its end."""
    told = shrunk(load_scene("forty"), 8)

    assert told.duration_s == 900
    assert told.interval_s == 15
    assert all(one.after_s + one.for_s <= 900 for one in told.faults)
    assert {one.id: one.value for one in told.faults}["n02-drift"] == 9_600_000
    assert ordered(told, 0)[0].fault.from_ms == 300_000 // 8 // 1000 * 1000


def test_all_serial_lines_can_be_terminals() -> None:
    """Converters become serial ports, the gateway stays on TCP."""
    assert [line.kind for line in on_ptys(load_scene("forty")).lines] == [
        "serial",
        "serial",
        "serial",
        "modbus-tcp",
    ]


def test_truth_of_a_scene_is_the_difference_of_its_registers() -> None:
    """Where no fault strikes, use and register agree to the last step; the quarters add up to the whole."""
    told = scene()
    spans = list(told.spans(told.start_ms, told.end_ms))

    for span in spans:
        if not span.faults:
            assert (span.register_to - span.register_from) % span.modulus == span.used_steps
    for placed in told.meters:
        name = placed.station.name
        parts = sum(span.used_steps for span in spans if span.meter == name)
        assert parts == placed.station.meter.curve.used(told.start_ms, told.end_ms)
