"""`nengliu acquire detect`: which habits a CJ/T 188 meter's frame shows, and which map has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from acquisition.codecs.cjt188 import WILDCARD, whole_address
from acquisition.codecs.cjt188_detect import Detected, detect
from acquisition.codecs.cjt188_profiles import LOW_FIRST
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.scanning.habits import listen, own_text, shipped_with
from acquisition.drivers.scanning.scan import Setting, Way
from acquisition.drivers.scanning.search import Pace, Searcher
from nengliu.cli.acquire_scan import types_of, way_of
from nengliu.cli.language import examples, say
from nengliu.cli.listing import print_columns
from nengliu.errors import InputError, LinkError

PAUSE_MS = 50
FLOW_DECIMALS = "4"
"""As the standard is remembered; protocols 2.1 says that vendors differ."""


@click.command("detect", help=say("acquire.detect"), epilog=examples("acquire_detect"))
@click.argument("frame", required=False)
@click.option("--port", default="", metavar="DEVICE", help=say("scan.opt_port"))
@click.option("--tcp", default="", metavar="HOST:PORT", help=say("scan.opt_tcp"))
@click.option("--address", default=WILDCARD, help=say("scan.opt_address"))
@click.option("--kind", "kinds", multiple=True, metavar="HEX", help=say("scan.opt_kind"))
@click.option("--baud", type=click.IntRange(300, 921_600), default=2400, show_default=True)
@click.option("--parity", type=click.Choice(["N", "E", "O"]), default="E", show_default=True)
@click.option(
    "--timeout", type=click.FloatRange(0.05, 10), default=1.0, show_default=True, help=say("scan.opt_timeout")
)
@click.option("--save", type=click.Path(path_type=Path), help=say("scan.opt_save"))
def detect_command(  # noqa: PLR0913, each is an option of the command
    frame: str | None,
    *,
    port: str,
    tcp: str,
    address: str,
    kinds: tuple[str, ...],
    baud: int,
    parity: str,
    timeout: float,
    save: Path | None,
) -> None:
    """Look at a frame that is given, or at one that a meter answers."""
    if (frame is None) == (not (port or tcp)):
        raise InputError(say("scan.one_source"))
    if frame is not None:
        raw = _bytes_of(frame)
    else:
        setting = Setting(baud, parity)
        raw = asyncio.run(_ask(way_of(port, tcp, ""), setting, timeout, types_of(kinds), address))
    found = detect(raw)
    _show(found)
    if save is not None:
        _save(save, own_text(found))


def _bytes_of(text: str) -> bytes:
    plain = re.sub(r"0x|[\s,:]", "", text, flags=re.IGNORECASE)
    try:
        return bytes.fromhex(plain)
    except ValueError as error:
        raise InputError(say("scan.bad_hex", got=text[:40])) from error


async def _ask(
    way: Way, setting: Setting, timeout_s: float, meter_types: Sequence[int], address: str
) -> bytes:
    """Ask whoever has the address for a reading, and give its answer."""
    clock = SystemClock()
    wire = way.wire(setting, clock)
    await wire.open()
    try:
        searcher = Searcher(wire, clock, Pace(timeout_s, setting.baud, PAUSE_MS), _unheeded)
        raw = await listen(searcher, meter_types, whole_address(address))
    finally:
        await wire.close()
    if raw is None:
        raise LinkError("TIMEOUT", say("scan.nobody"))
    return raw


def _unheeded(asked: str) -> None:
    """Two questions need no bar."""
    del asked


def _show(found: Detected) -> None:
    unit = {True: say("scan.unit_before"), False: say("scan.unit_after"), None: say("scan.not_shown")}
    clock = datetime.fromtimestamp(found.clock_ms / 1000, UTC) if found.clock_ms is not None else None
    units = ", ".join(f"{item} {told}" for item, told in found.units.items())
    rows = [
        tuple(say("scan.habit_columns").split("|")),
        (say("scan.habit_address"), found.address, ""),
        (say("scan.habit_type"), found.meter_type, ""),
        (say("scan.habit_layout"), _or(found.layout), ""),
        (say("scan.habit_order"), found.identifier_order, LOW_FIRST),
        (say("scan.habit_serial"), str(found.serial), ""),
        (say("scan.habit_unit"), unit[found.unit_first], say("scan.unit_after")),
        (say("scan.habit_units"), units, ""),
        (say("scan.habit_clock_order"), _or(found.clock_order), LOW_FIRST),
        (say("scan.habit_clock"), _or(clock and f"{clock:%Y-%m-%d %H:%M:%S}"), ""),
        (say("scan.habit_flow"), _or(found.flow_decimals), FLOW_DECIMALS if found.layout == "heat" else ""),
    ]
    print_columns(rows)
    maps = shipped_with(found)
    click.echo(say("scan.map_fits", maps=", ".join(maps)) if maps else say("scan.map_none"))


def _or(told: object) -> str:
    return say("scan.not_shown") if told is None else str(told)


def _save(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise InputError(f"{file}: expected a new file that can be written, got: {error}") from error
    click.echo(say("scan.saved", file=file, name=file.name))
