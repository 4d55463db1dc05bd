"""What collector.toml says of the way up: centres, the clock, commands and remote configuration; checked, nothing more.

These tables stand beside the lines of `acquisition.drivers.config`, which reads them.
Source: TC 4.3.3-2, 4.3.8-2 (at least two centres at once, set locally or remotely), 4.3.3-4 (clock); the keys are ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePath

import msgspec

from acquisition.drivers.tables import need, once
from nengliu.errors import InputError, nearest
from nengliu.settings import BUS_SECURITY
from schemas.topics import RAW

EVERYTHING = ("*",)
"""Point list of a centre that gets all that the collector has."""


class CentrePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One centre that gets what the collector has.

    Parameters
    ----------
    name
        Under which the buffer keeps what it still misses.
    bus
        Its brokers, ``host:port``; empty: the log of this installation, or of `home`.
    home
        Folder of another installation on this machine, whose log file is the centre.
    security, mechanism, user, password_file, ca
        How to log in to the brokers, as the settings ``bus_...``; the password is the first line of a file.
    topic
        Topic of readings and notices.
    points
        What it gets: ``["*"]`` for all, or names of points.
    commands, configure
        Whether it may ask for readings, and may change this configuration.
    """

    name: str
    bus: str = ""
    home: str = ""
    security: str = "plaintext"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password_file: str = ""
    ca: str = ""
    topic: str = RAW
    points: tuple[str, ...] = EVERYTHING
    commands: bool = False
    configure: bool = False


class ClockPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the collector asks for the time, and whether it may set the clocks of meters.

    Parameters
    ----------
    servers
        NTP servers, asked in turn until one answers; none: the offset is not known.
    every_s
        How often they are asked [s].
    limit_ms
        From which offset on the collector's clock counts as off [ms].
    set_meters
        Whether the clocks of meters may be set by broadcast.
    """

    servers: tuple[str, ...] = ()
    every_s: int = 900
    limit_ms: int = 2000
    set_meters: bool = False


class RemotePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How orders of centres are taken.

    Parameters
    ----------
    every_s
        How often centres are asked for orders [s].
    rounds
        Within so many slots of its slowest meter a new configuration must read what was read before.
    """

    every_s: int = 2
    rounds: int = 2


DEFAULT_CENTRES = (CentrePlan("centre"),)
"""Without any table: the log of the installation gets everything and orders nothing."""
TABLES = (CentrePlan, ClockPlan, RemotePlan)


def check_centres(centres: Sequence[CentrePlan], points: Collection[str], where: str) -> None:
    """Refuse centres that cannot be; `points` are the names that there are.

    Raises
    ------
    InputError
        Naming the centre, the key and the nearest point.
    """
    once((centre.name for centre in centres), where, "centre")
    for centre in centres:
        told = f"{where} [[centres]] {centre.name}"
        need(
            re.fullmatch(r"[A-Za-z0-9._-]{1,64}", centre.name),
            told,
            "name",
            "letters, digits, . _ -",
            centre.name,
        )
        need(
            re.fullmatch(r"[A-Za-z0-9._-]{1,200}", centre.topic),
            told,
            "topic",
            "letters, digits, . _ -",
            centre.topic,
        )
        ways = ", ".join(BUS_SECURITY)
        need(centre.security in BUS_SECURITY, told, "security", f"one of {ways}", centre.security)
        need(not (centre.bus and centre.home), told, "home", "either bus or home", centre.home)
        need(centre.points, told, "points", '["*"] or names of points', "none")
        once(centre.points, told, "point")
        for point in centre.points:
            if centre.points != EVERYTHING and point not in points:
                raise InputError(f"{told}: points: there is no {point!r}; {nearest(point, points)}")


def check_clock(plan: ClockPlan, where: str) -> None:
    """Refuse a clock that cannot be asked so."""
    need(all(plan.servers), where, "servers", "names or addresses", plan.servers)
    need(60 <= plan.every_s <= 86_400, where, "every_s", "60 to 86400", plan.every_s)
    need(100 <= plan.limit_ms <= 300_000, where, "limit_ms", "100 to 300000", plan.limit_ms)


def check_remote(plan: RemotePlan, where: str) -> None:
    """Refuse a way to take orders that cannot be."""
    need(1 <= plan.every_s <= 3600, where, "every_s", "1 to 3600", plan.every_s)
    need(1 <= plan.rounds <= 100, where, "rounds", "1 to 100", plan.rounds)


def check_from_afar(centres: Sequence[CentrePlan], where: str) -> None:
    """Refuse paths by which somebody who only sends a configuration could reach files elsewhere on this machine.

    Raises
    ------
    InputError
        A path that does not lie beside collector.toml.
    """
    for centre in centres:
        told = f"{where} [[centres]] {centre.name}"
        need(not centre.home, told, "home", "no folder of this machine, from afar", centre.home)
        for key in ("password_file", "ca"):
            path = PurePath(getattr(centre, key))
            inside = not path.is_absolute() and ".." not in path.parts
            need(inside, told, key, "a file beside collector.toml", str(path))
