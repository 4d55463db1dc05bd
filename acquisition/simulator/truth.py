"""The truth log: what was really used, and what each meter showed, whoever read what.

The use comes from the steps of the load, quarter by quarter; the registers come from the
counter that answers on the wire.  Outside of faults the two agree, which the tests prove;
within them the difference is the fault.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from typing import TextIO

import msgspec

from acquisition.simulator.fleet import Fleet
from nengliu.domain.times import QUARTER_MS


@dataclass(frozen=True, slots=True)
class Span:
    """One meter over ``[from_ms, to_ms)`` [ms, UTC].

    Parameters
    ----------
    used_steps
        Exact use, from the load itself [register steps].
    register_from, register_to
        What the counter showed at either end [steps].
    modulus
        Steps after which the register begins again at 0.
    faults
        Kinds of fault that were in force somewhere in the span, joined by ``;``.
    """

    line: str
    meter: str
    from_ms: int
    to_ms: int
    used_steps: int
    register_from: int
    register_to: int
    modulus: int
    faults: str = ""


def truth(fleet: Fleet, from_ms: int, to_ms: int, every_ms: int = QUARTER_MS) -> Iterator[Span]:
    """Tell the truth of every meter from one instant to another, cut at the multiples of `every_ms`."""
    inner = range(from_ms // every_ms * every_ms + every_ms, to_ms, every_ms)
    edges = [from_ms, *inner, to_ms]
    for start, end in itertools.pairwise(edges):
        for line in fleet.lines:
            for meter in line.meters:
                yield span(fleet, line.name, meter.name, start, end)


def span(fleet: Fleet, line: str, meter: str, from_ms: int, to_ms: int) -> Span:
    """Tell the truth of one meter between two instants."""
    told = [f for f in fleet.faults_of(line, meter) if f.from_ms < to_ms and f.to_ms > from_ms]
    one = fleet.meter(line, meter)
    return Span(
        line,
        meter,
        from_ms,
        to_ms,
        one.curve.used(from_ms, to_ms),
        fleet.register(line, meter, from_ms),
        fleet.register(line, meter, to_ms),
        one.modulus,
        ";".join(sorted({str(fault.kind) for fault in told})),
    )


def write_csv(spans: Iterable[Span], out: TextIO, *, header: bool = True) -> None:
    """Write spans as CSV, one row each."""
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(field.name for field in fields(Span))
    writer.writerows(astuple(one) for one in spans)


def write_lines(spans: Iterable[Span], out: TextIO) -> None:
    """Write spans as JSON, one object a line."""
    out.writelines(msgspec.json.encode(one).decode() + "\n" for one in spans)
