"""The commands `nengliu acquire template|scan|detect`, over real sockets and pseudo-terminals."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from buses import E1, H1, W1, make_bus, on_pty, on_tcp, stations
from click.testing import CliRunner, Result

from acquisition.codecs.modbus import crc
from acquisition.drivers.config import load_config
from acquisition.drivers.meters.meter_maps import load_map
from nengliu.cli.acquire_detect import detect_command
from nengliu.cli.acquire_scan import scan_command, types_of, units_of, way_of
from nengliu.cli.acquire_template import template
from nengliu.errors import InputError, LinkError

T = TypeVar("T")
ENTERPRISE = "91320000MA1EXAMPL3"
H4 = (
    "68 20 38 04 21 08 00 59 42 81 2E 90 1F 00 05 19 28 53 00 05 19 28 53 00 17 00 00 00 00 35 00 00 00 00 2C "
    "42 33 18 00 03 19 00 10 19 00 61 27 00 26 57 23 31 03 15 20 03 01 F7 16"
)
"""Vector H4 of protocols.md: units first."""
QUICK = ["--timeout", "0.1", "--pause", "0", "--baud", "9600", "--parity", "N"]
TRIED = ("generic", "eastron_sdm630", "dlt645_2007", "dlt645_1997", "cjt188_heat", "cjt188_water")


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")


@contextmanager
def served(what: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Serve something in a loop of its own thread, since the command runs a loop itself."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def done(work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def enter() -> T:
        entered.append(what())
        return await entered[0].__aenter__()

    async def leave() -> T:
        return await entered[0].__aexit__(None, None, None)  # type: ignore[return-value]

    entered: list[AbstractAsyncContextManager[T]] = []
    try:
        yield done(enter())
        done(leave())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def call(command: object, *arguments: str) -> Result:
    """Call a command; what it raises comes out."""
    return CliRunner().invoke(command, arguments, catch_exceptions=False)  # type: ignore[arg-type]


def scanned(way: list[str], output: Path) -> Result:
    """Scan quickly, and write the configuration."""
    tried = [word for name in TRIED for word in ("--map", name)]
    wish = ["--enterprise", ENTERPRISE, "--name", "works", "--interval", "60", "-o", str(output)]
    return call(scan_command, *way, *QUICK, *tried, *wish)


def test_converter_is_scanned_into_a_configuration(tmp_path: Path) -> None:
    """A line behind a converter becomes a file that a collector takes, and a table for the eye."""
    bus = make_bus(stations(("dlt645-2007", "e1", E1), ("cjt188", "h1", H1), ("modbus-rtu", "r1", "3")))
    file = tmp_path / "collector.toml"

    with served(lambda: on_tcp(bus)) as port:
        told = scanned(["--tcp", f"127.0.0.1:{port}", "--addresses", "3-4"], file).output

    assert all(one in told for one in (E1, H1, "dlt645_2007", "cjt188_heat", "generic", "3 meters"))
    (line,) = load_config(file).lines
    assert (line.kind, line.host, line.port, line.baud) == ("serial-tcp", "127.0.0.1", port, 9600)
    assert [(meter.address, meter.interval_s) for meter in line.meters] == [(E1, 60), (H1, 60), ("3", 60)]


def test_serial_port_is_scanned_into_a_configuration(tmp_path: Path) -> None:
    """So does a line at a serial port."""
    bus = make_bus(stations(("dlt645-1997", "o1", "3430163"), ("cjt188", "w1", W1)))
    file = tmp_path / "collector.toml"

    with served(lambda: on_pty(bus, tmp_path)) as device:
        told = scanned(
            ["--port", str(device), "--protocol", "dlt645-1997", "--protocol", "cjt188"], file
        ).output

    assert f"Answered at: {device} 9600 N" in told
    (line,) = load_config(file).lines
    assert (line.kind, line.device, line.baud, line.parity) == ("serial", str(device), 9600, "N")
    assert [meter.address for meter in line.meters] == ["000003430163", W1]


def test_gateway_of_modbus_tcp_is_scanned_into_a_configuration(tmp_path: Path) -> None:
    """Units behind one connection of Modbus TCP are found as well, silent ones passed over."""
    bus = make_bus(stations(("modbus-tcp", "r1", "2"), ("modbus-tcp", "r2", "5")), is_private=True)
    file = tmp_path / "collector.toml"

    with served(lambda: on_tcp(bus)) as port:
        told = scanned(["--modbus-tcp", f"127.0.0.1:{port}", "--addresses", "1-6"], file).output

    assert "2 meters" in told
    (line,) = load_config(file).lines
    assert (line.kind, line.port) == ("modbus-tcp", port)
    assert [(meter.address, meter.map.name) for meter in line.meters] == [("2", "generic"), ("5", "generic")]


def test_line_on_which_nobody_answers_gets_advice_and_no_file(tmp_path: Path) -> None:
    """A person at a silent line is told what to look at; nothing is written."""
    file = tmp_path / "collector.toml"

    with served(lambda: on_tcp(make_bus([]))) as port:
        told = scanned(["--tcp", f"127.0.0.1:{port}", "--protocol", "dlt645-2007"], file).output

    assert "check wiring" in told
    assert not file.exists()


def test_line_that_cannot_be_had_is_told() -> None:
    """A port that is not there is a fault of the line, said in one sentence."""
    with pytest.raises(LinkError, match="no-such-port"):
        call(scan_command, "--port", "/dev/no-such-port")


def test_configuration_is_never_written_over(tmp_path: Path) -> None:
    """A file that is there stays as it is, and the line is not even asked."""
    file = tmp_path / "collector.toml"
    file.write_text("mine", encoding="utf-8")

    with pytest.raises(InputError, match="there already"):
        scanned(["--port", "/dev/no-such-port"], file)
    with pytest.raises(InputError, match="--enterprise"):
        call(scan_command, "--port", "/dev/no-such-port", "-o", str(tmp_path / "new.toml"))
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        (("", "", ""), "exactly one"),
        (("/dev/a", "h:1", ""), "exactly one"),
        (("", "h", ""), "expected host:port"),
        (("", "h:0", ""), "expected host:port"),
        (("", "", "h:x"), "expected host:port"),
    ],
)
def test_way_that_is_none_is_refused(ways: tuple[str, str, str], told: str) -> None:
    """A scan is of one line, and says so."""
    with pytest.raises(InputError, match=told):
        way_of(*ways)


def test_ways_are_read() -> None:
    """Modbus TCP has a port of its own if none is told."""
    assert way_of("", "", "192.0.2.1").port == 502
    assert way_of("", "h:4001", "").kind == "serial-tcp"
    assert units_of("3, 5,9-11") == [3, 5, 9, 10, 11]
    assert len(units_of("")) == 247
    assert types_of(("20", "11")) == [0x20, 0x11]


@pytest.mark.parametrize("text", ["0", "248", "5-3", "a", "1-"])
def test_units_that_are_none_are_refused(text: str) -> None:
    """A line has units 1 to 247."""
    with pytest.raises(InputError, match="--addresses"):
        units_of(text)
    with pytest.raises(InputError, match="--kind"):
        types_of(("5F",))


def test_frame_is_told_apart_and_saved_as_a_map(tmp_path: Path) -> None:
    """What a published frame of a vendor shows is what the reference says of it, and makes a map that loads."""
    file = tmp_path / "heat.toml"

    told = call(detect_command, H4, "--save", str(file)).output

    assert "before the value" in told
    assert "high-first" in told
    assert "Shipped maps with these habits: cjt188_heat_unit_first" in told
    assert tomllib.loads(file.read_text("utf-8"))["profile"]["unit_first"] is True
    assert {item.name for item in load_map("heat.toml", tmp_path).items} >= {"heat", "volume"}
    with pytest.raises(InputError, match="expected a new file"):
        call(detect_command, H4, "--save", str(file))


def test_meter_is_asked_for_its_frame() -> None:
    """A meter on a line is looked at without knowing its address."""
    with served(lambda: on_tcp(make_bus(stations(("cjt188", "h1", H1))))) as port:
        told = call(detect_command, "--tcp", f"127.0.0.1:{port}", "--kind", "20", "--timeout", "0.2").output

    assert H1 in told
    assert "cjt188_heat" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "frame in hex"),
        (("68 1",), "in hex"),
        ((H4, "--port", "/dev/a"), "frame in hex"),
        (("6816",), "901F"),
    ],
)
def test_detect_without_a_frame_is_refused(arguments: tuple[str, ...], told: str) -> None:
    """Neither nothing nor two things at once nor garbage is taken for a frame."""
    with pytest.raises(InputError, match=told):
        call(detect_command, *arguments)


def test_silent_meter_is_told() -> None:
    """Detection of a meter that does not answer ends as a timeout, with advice."""
    with served(lambda: on_tcp(make_bus([]))) as port, pytest.raises(LinkError, match="check wiring"):
        call(detect_command, "--tcp", f"127.0.0.1:{port}", "--kind", "10", "--timeout", "0.05")


def test_templates_are_listed_and_shown() -> None:
    """Equipment and maps are in one list; each shows its points or items and its source."""
    assert all(
        one in call(template).output for one in ("boiler", "transformer", "eastron_sdm630", "dlt645_2007")
    )
    shown = call(template, "boiler", "--with", "steam").output
    assert "供回水温度" in shown
    assert "Feed water, total" in shown
    plan = call(template, "schneider_iem3000").output
    assert "mbmd" in plan
    assert "Nobody has checked it" in plan
    with pytest.raises(InputError, match="nearest: boiler"):
        call(template, "boyler")


def test_points_of_a_template_are_appended(tmp_path: Path) -> None:
    """Two pumps written one after the other stand in one file, with ids of their own."""
    file = tmp_path / "points.toml"
    for number in ("1", "2"):
        told = call(template, "pump", "--prefix", f"pump-{number}", "--place", "main/pumps", "-o", str(file))
        assert "4 points appended" in told.output

    points = tomllib.loads(file.read_text("utf-8"))["points"]

    assert [one["point"] for one in points].count("pump-1-flow") == 1
    assert len(points) == 8
    assert {one["place"] for one in points} == {"main/pumps"}
    printed = call(template, "pump", "--points").output
    assert tomllib.loads(printed)["points"][0]["point"] == "pump-inlet-pressure"


def test_probe_of_modbus_is_a_reading() -> None:
    """The question by which units are found is function 3, two words from 0 on."""
    from acquisition.drivers.scanning.search import PROBE

    body = bytes.fromhex("110300000002")
    assert PROBE.exchange("17").request == body + crc(body)
