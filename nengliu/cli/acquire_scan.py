"""`nengliu acquire scan`: find the meters of a line, read each once, and propose collector.toml; it only reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.meters.catalogue import meter_items
from acquisition.drivers.meters.meter_maps import shipped_maps
from acquisition.drivers.scanning.fitting import Fit
from acquisition.drivers.scanning.proposal import Proposed, config_text, own_maps, propose
from acquisition.drivers.scanning.scan import (
    BAUDS,
    METER_TYPES,
    PARITIES,
    PROTOCOLS,
    UNITS,
    Found,
    Plan,
    Report,
    Way,
    scan,
)
from nengliu.cli.bar import bar
from nengliu.cli.language import examples, say
from nengliu.cli.listing import number, print_columns
from nengliu.errors import InputError

MODBUS_PORT = 502
SHOWN = 4
"""So many values of a meter are shown."""


@click.command("scan", help=say("acquire.scan"), epilog=examples("acquire_scan"))
@click.option("--port", default="", metavar="DEVICE", help=say("scan.opt_port"))
@click.option("--tcp", default="", metavar="HOST:PORT", help=say("scan.opt_tcp"))
@click.option("--modbus-tcp", default="", metavar="HOST[:PORT]", help=say("scan.opt_modbus_tcp"))
@click.option(
    "--protocol", "protocols", type=click.Choice(PROTOCOLS), multiple=True, help=say("scan.opt_protocol")
)
@click.option("--addresses", default="", metavar="UNITS", help=say("scan.opt_addresses"))
@click.option("--kind", "kinds", multiple=True, metavar="HEX", help=say("scan.opt_kind"))
@click.option("--baud", "bauds", type=click.IntRange(300, 921_600), multiple=True, help=say("scan.opt_baud"))
@click.option(
    "--parity", "parities", type=click.Choice(["N", "E", "O"]), multiple=True, help=say("scan.opt_parity")
)
@click.option("--map", "maps", type=click.Choice(shipped_maps()), multiple=True, help=say("scan.opt_map"))
@click.option(
    "--timeout", type=click.FloatRange(0.05, 10), default=0.5, show_default=True, help=say("scan.opt_timeout")
)
@click.option(
    "--pause", type=click.IntRange(0, 10_000), default=50, show_default=True, help=say("scan.opt_pause")
)
@click.option("--enterprise", default="", metavar="CODE", help=say("scan.opt_enterprise"))
@click.option("--name", default="collector", show_default=True, help=say("scan.opt_name"))
@click.option(
    "--interval",
    type=click.IntRange(1, 86_400),
    default=900,
    show_default=True,
    help=say("scan.opt_interval"),
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help=say("scan.opt_output"))
def scan_command(
    *, port: str, tcp: str, modbus_tcp: str, output: Path | None, enterprise: str, name: str, **told: Any
) -> None:
    """Scan one line."""
    way = way_of(port, tcp, modbus_tcp)
    if output is not None:
        _check_output(output, enterprise)
    plan = Plan(
        protocols=told["protocols"] or PROTOCOLS,
        units=units_of(told["addresses"]),
        meter_types=types_of(told["kinds"]),
        bauds=told["bauds"] or BAUDS,
        parities=told["parities"] or PARITIES,
        maps=told["maps"] or shipped_maps(),
        timeout_s=told["timeout"],
        pause_ms=told["pause"],
    )
    report = _scan(way, plan)
    proposed = propose(report, enterprise, told["interval"])
    _show(report)
    if output is not None and proposed:
        _write(output, config_text(report, proposed, name, enterprise), proposed)


def way_of(port: str, tcp: str, modbus_tcp: str) -> Way:
    """Give the one way that was named; InputError if it is not one, or no address."""
    if len([one for one in (port, tcp, modbus_tcp) if one]) != 1:
        raise InputError(say("scan.one_way"))
    if port:
        return Way("serial", device=port)
    host, _, number = (tcp or modbus_tcp).rpartition(":")
    if modbus_tcp and not host:
        host, number = modbus_tcp, str(MODBUS_PORT)
    if not host or not number.isdecimal() or not 1 <= int(number) <= 65535:
        raise InputError(f"{tcp or modbus_tcp!r}: expected host:port, as 192.0.2.20:4001")
    return Way("serial-tcp" if tcp else "modbus-tcp", host=host, port=int(number))


def units_of(text: str) -> list[int]:
    """Read units as 1-32 or 3,5,9; nothing: all of them.

    Raises
    ------
    InputError
        It is none of both, or a unit is not from 1 to 247.

    >>> units_of("3,5,8-10")
    [3, 5, 8, 9, 10]
    """
    found: list[int] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 1 <= first <= last <= UNITS[-1]:
            raise InputError(
                f"--addresses: expected units from 1 to {UNITS[-1]}, as 1-32 or 3,5,9, got {part!r}"
            )
        found += range(first, last + 1)
    return list(dict.fromkeys(found)) or list(UNITS)


def types_of(kinds: Sequence[str]) -> list[int]:
    """Read types of CJ/T 188 meters in hex, 10 to 49; nothing: the usual ones."""
    for kind in kinds:
        if not re.fullmatch(r"[1-4][0-9]", kind):
            raise InputError(f"--kind: expected a type from 10 to 49, as 20 for a heat meter, got {kind!r}")
    return [int(kind, 16) for kind in kinds] or list(METER_TYPES)


def _scan(way: Way, plan: Plan) -> Report:
    told = say("scan.asking")
    with bar(told, plan.questions(way)) as step:
        return asyncio.run(scan(way, plan, SystemClock(), lambda asked: step(1, f"{told} {asked}")))


def _check_output(output: Path, enterprise: str) -> None:
    if not re.fullmatch(r"[0-9A-Z]{18}", enterprise):
        raise InputError(say("scan.wants_enterprise"))
    if output.exists():
        raise InputError(say("scan.there_already", file=output))


def _show(report: Report) -> None:
    if report.setting is None:
        click.echo(say("scan.nobody"))
        return
    rows = [tuple(say("scan.found_columns").split("|")), *map(_row, report.meters)]
    print_columns(rows)
    way, setting = report.way, report.setting
    if setting.baud:
        where = way.device or f"{way.host}:{way.port}"
        parity = setting.parity if way.device else ""
        click.echo(say("scan.setting", where=where, baud=setting.baud, parity=parity).rstrip())
    if report.unclear:
        click.echo(say("scan.unclear", patterns=" ".join(report.unclear)))


def _row(found: Found) -> tuple[str, ...]:
    met = found.met
    if not found.fits:
        return met.protocol, met.address, say("scan.no_map"), "", "", ""
    best = found.fits[0]
    others = " ".join(fit.map.name for fit in found.fits[1:] if fit.is_as_good(best))
    return met.protocol, met.address, best.map.name, others, _values(best), str(len(best.lost) or "")


def _values(fit: Fit) -> str:
    """Show the first values that a proposal takes."""
    known = meter_items()
    taken = [
        one for one in fit.map.items if one.name in fit.values and one.name in known and known[one.name].taken
    ]
    told = (f"{one.name} {number(fit.values[one.name], one.decimals)} {one.unit}" for one in taken[:SHOWN])
    return ", ".join(told)


def _write(output: Path, text: str, proposed: Sequence[Proposed]) -> None:
    files = {output: text} | {output.parent / name: own for name, own in own_maps(proposed).items()}
    for file, content in files.items():
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(content)
        except OSError as error:
            raise InputError(f"{file}: expected a new file that can be written, got: {error}") from error
    points = sum(len(one.points) for one in proposed)
    names = ", ".join(map(str, files))
    click.echo(say("scan.wrote", files=names, meters=len(proposed), points=points, file=output))
