"""A scan of a whole line: settings, meters, maps, and the configuration that comes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from buses import E1, H1, W1, stations
from scanned import SERIAL, Scanned

from acquisition.drivers.config import load_config
from acquisition.drivers.meters.meter_maps import load_map
from acquisition.drivers.scanning.proposal import config_text, own_maps, propose
from acquisition.drivers.scanning.scan import Plan, Report, Setting, Way
from acquisition.simulator.station import Station
from acquisition.simulator.stations import make_station
from nengliu.domain.points import Kind

ENTERPRISE = "91320000MA1EXAMPL3"
ODD = "00740012064755"
MIXED = (
    ("dlt645-2007", "e1", E1),
    ("dlt645-1997", "o1", "3430163"),
    ("modbus-rtu", "r1", "3"),
    ("cjt188", "w1", W1),
    ("cjt188", "h1", H1),
)
READS = {"modbus": (3, 4), "dlt645": (0x11, 0x13, 0x01), "cjt188": (0x01, 0x03)}


def mixed() -> list[Station]:
    """Give a line of five protocols, and a heat meter whose habits no shipped map has."""
    odd = make_station("cjt188", "h2", ODD, carrier="heat", unit_first=True, clock_high_first=True)
    return [*stations(*MIXED), odd]


def scanned(plan: Plan, **options: object) -> tuple[Report, Scanned]:
    """Scan the mixed line."""
    line = Scanned(mixed())
    return asyncio.run(line.scan(plan, **options)), line  # type: ignore[arg-type]


QUICK = Plan(units=range(1, 9), bauds=(2400,), parities=("E",))


def test_mixed_line_is_found_and_read_whole() -> None:
    """Every meter of every protocol is met once, and its map reads all that it has."""
    report, _ = scanned(QUICK)

    maps = {one.met.address: one.fits[0].map.name for one in report.meters}
    assert maps == {
        E1: "dlt645_2007",
        "000003430163": "dlt645_1997",
        "3": "generic",
        W1: "cjt188_water",
        H1: "cjt188_heat",
        ODD: f"cjt188_{ODD}.toml",
    }
    assert all(not one.fits[0].lost for one in report.meters)
    assert report.unclear == ()


def test_values_are_those_the_meters_show() -> None:
    """What a scan shows is what stands on the meters' displays."""
    report, line = scanned(QUICK)
    shown = {
        (one.meter, value.item): (value.shown, value.decimals)
        for one in line.told
        for value in one.reply.values
    }
    names = {E1: "e1", "3": "r1", W1: "w1", H1: "h1"}

    for one in report.meters:
        if one.met.address in names:
            item = {"w1": "volume", "h1": "heat"}.get(names[one.met.address], "energy")
            ticks, decimals = shown[names[one.met.address], item]
            unit = next(each for each in one.fits[0].map.items if each.name == item)
            assert (one.fits[0].values[item], unit.decimals) == (ticks, decimals)


def test_scan_asks_for_readings_only() -> None:
    """Of all that reached a meter in a whole scan, nothing could have written, set, frozen or switched anything."""
    _, line = scanned(QUICK)
    protocols = {
        "e1": "dlt645",
        "o1": "dlt645",
        "r1": "modbus",
        "w1": "cjt188",
        "h1": "cjt188",
        "h2": "cjt188",
    }

    assert {one.meter for one in line.told} == set(protocols)
    for one in line.told:
        protocol = protocols[one.meter]
        place = {"modbus": 1, "dlt645": 8, "cjt188": 9}[protocol]
        assert one.request.lstrip(b"\xfe")[place] in READS[protocol], one.request.hex(" ")


def test_setting_is_the_first_at_which_somebody_answers() -> None:
    """Speeds and parities are tried in turn; later ones are left alone."""
    plan = Plan(
        protocols=("dlt645-2007", "modbus"), units=(3,), bauds=(1200, 2400, 9600), parities=("E", "N")
    )

    report, line = scanned(plan, baud=2400, parity="N")

    assert report.setting == Setting(2400, "N")
    assert line.opened == [Setting(1200, "E"), Setting(1200, "N"), Setting(2400, "E"), Setting(2400, "N")]
    assert [one.met.address for one in report.meters] == [E1, "3"]


def test_line_on_which_nobody_answers_is_asked_as_often_as_foretold() -> None:
    """The bar that a person sees reaches its end."""
    line = Scanned([])
    plan = Plan(units=range(1, 5))

    report = asyncio.run(line.scan(plan))

    assert (report.setting, report.meters) == (None, ())
    assert len(line.asked) == plan.questions(SERIAL)
    assert plan.questions(Way("modbus-tcp", host="h", port=502)) == 4


def test_proposal_is_taken_by_a_collector_and_reads_the_line(tmp_path: Path) -> None:
    """What a scan writes loads as it stands, and every point of it is one that the meter gave a value for."""
    report, _ = scanned(QUICK)
    proposed = propose(report, ENTERPRISE)
    file = tmp_path / "collector.toml"
    file.write_text(config_text(report, proposed, "works", ENTERPRISE), encoding="utf-8")
    for name, text in own_maps(proposed).items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    config = load_config(file)

    (line,) = config.lines
    assert (line.kind, line.device, line.baud, line.parity) == ("serial", "/dev/ttyS9", 2400, "E")
    assert [meter.address for meter in line.meters] == [one.met.address for one in report.meters]
    for meter, one in zip(line.meters, report.meters, strict=True):
        assert {item.name for item, _ in meter.items} <= one.fits[0].values.keys()
        assert len(meter.by_point(one.fits[0].values)) == len(meter.items)
    assert {point.point for point in config.points} == {
        point for meter in line.meters for point in meter.points
    }


def test_points_of_a_proposal_keep_the_last_digit() -> None:
    """Counters are in the unit of their item, heat fine enough for 0.01 kWh, water by the tonne, digits roll over."""
    report, _ = scanned(QUICK)
    points = {key: point for one in propose(report, ENTERPRISE) for key, point in one.points.items()}
    by_meter = {one.found.met.address: one.points for one in propose(report, ENTERPRISE)}

    heat, water, energy = by_meter[H1]["heat"], by_meter[W1]["volume"], by_meter[E1]["energy"]
    assert (heat.item, heat.unit, heat.decimals, heat.meters[0].unit) == ("heat", "GJ", 6, "kWh")
    assert (water.item, water.unit, water.meters[0].unit) == ("water", "t", "t")
    assert (energy.item, energy.meters[0].modulus) == ("electricity", 100_000_000)
    assert points["power"].kind is Kind.GAUGE
    assert by_meter[H1]["power"].item == "measurement"
    assert by_meter["3"]["power"].item == "active_power"


def test_odd_habits_become_a_map_of_the_meters_own(tmp_path: Path) -> None:
    """A heat meter that sends units first but its identifier low first is read by a map made from its frame."""
    report, _ = scanned(QUICK)
    ((name, text),) = own_maps(propose(report, ENTERPRISE)).items()
    (tmp_path / name).write_text(text, encoding="utf-8")

    plan = load_map(name, tmp_path)

    assert name == f"cjt188_{ODD}.toml"
    (odd,) = [one for one in report.meters if one.met.address == ODD]
    assert {item.name for item in plan.items} == odd.fits[0].values.keys()
    assert 'clock_order = "high-first"' in text


def test_meter_that_no_map_fits_is_named_all_the_same(tmp_path: Path) -> None:
    """A meter that answers but cannot be read stays visible, in the report and in the file."""
    plan = Plan(
        protocols=("modbus", "dlt645-2007"), units=(3,), bauds=(2400,), parities=("E",), maps=("dlt645_2007",)
    )
    report, _ = scanned(plan)
    proposed = propose(report, ENTERPRISE)

    assert [len(one.fits) for one in report.meters] == [1, 0]
    assert [one.found.met.address for one in proposed] == [E1]
    assert "# modbus 3 answered; no shipped map fits it" in config_text(report, proposed, "w", ENTERPRISE)


@pytest.mark.parametrize(
    ("way", "settings"),
    [
        (SERIAL, [Setting(2400, "E"), Setting(2400, "N"), Setting(9600, "E"), Setting(9600, "N")]),
        (Way("serial-tcp", host="h", port=1), [Setting(2400, "E")]),
        (Way("modbus-tcp", host="h", port=1), [Setting(0, "E")]),
    ],
)
def test_settings_are_those_a_way_can_have(way: Way, settings: list[Setting]) -> None:
    """A port of ours is tried at all, a converter has its own, Modbus TCP has none."""
    assert Plan().settings(way) == settings
