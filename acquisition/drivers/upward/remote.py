"""Configuration from afar: validated before it is applied, applied whole, rolled back if the meters are not read.

Each version is a file beside the buffer; which of them is in force is a state of the buffer, kept
with the event that tells of it.  A collector.toml that a person changed after a version was
applied is the newer word and holds.
Source: TC 4.3.8-2 (set locally or remotely); docs/decisions/0033.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from acquisition.drivers.clock import Clock
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.intake import Intake
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.states import State
from acquisition.drivers.plans import CentrePlan, check_from_afar
from acquisition.drivers.tables import need
from acquisition.drivers.upward.centres import check_schemas
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from schemas.messages import LinkEvent
from schemas.orders import ConfigNotice

STATE = "config"
LOCAL = "local-"
"""Begins the name of what collector.toml says."""
LARGEST_TEXT = 2**20
"""Characters of a configuration that is taken from afar."""
MARGIN_MS = 60_000
"""How much longer than its rounds a trial lasts: a line may be late, and has to connect."""
LONGEST_WORDS = 900
"""Characters of an error, or of names of points, that an event tells."""


class InForce(msgspec.Struct, frozen=True):
    """Which configuration holds.

    Parameters
    ----------
    version, local
        The version; and what collector.toml was when it came to hold.
    before
        The version before it, to which a trial falls back; empty: no trial is under way.
    until_ms
        End of the trial [ms, UTC].
    groups
        Points of each meter that was read before: of each group one at least must be read again.
    """

    version: str
    local: str
    before: str = ""
    until_ms: int = 0
    groups: tuple[tuple[str, ...], ...] = ()


_in_force = msgspec.json.Decoder(InForce)


class Versions:
    """The texts of the configurations that a collector had, each a file; `local` is the name of collector.toml.

    Parameters
    ----------
    config
        As collector.toml says it.
    """

    def __init__(self, folder: Path, config: CollectorConfig, file: Path) -> None:
        self._folder, self._config, self._beside = folder, config, file
        text = file.read_text(encoding="utf-8-sig")
        self.local = f"{LOCAL}{_digest(text)[:8]}"
        if any(centre.configure for centre in config.centres):
            self.write(self.local, text)

    def configuration(self, buffer: Buffer, now_ms: int) -> tuple[CollectorConfig, list[LinkEvent]]:
        """Give the configuration that holds, and what is to be told of it."""
        kept = _kept(buffer)
        if kept is None or kept.version == self.local:
            return self._config, []
        said = {"version": self.local, "by": ""}
        kind = LinkKind.CONFIG_APPLIED
        if kept.local == self.local:
            try:
                return self.load(kept.version), []
            except InputError as error:
                kind, said = LinkKind.CONFIG_REFUSED, {"version": kept.version, "error": self.plain(error)}
        _put(buffer, InForce(self.local, self.local), now_ms)
        return self._config, [_event(kind, now_ms, **said)]

    def load(self, version: str) -> CollectorConfig:
        """Read a version as if it were collector.toml: the files it names lie beside that one.

        Raises
        ------
        InputError
            As `load_config`.
        """
        return replace(load_config(self._file(version), self._beside.parent), file=self._beside)

    def write(self, version: str, text: str) -> None:
        """Put a version away so that it is whole and on the disk, or not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        whole = self._file(version).with_suffix(".new")
        with whole.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        whole.replace(self._file(version))

    def forget(self, version: str) -> None:
        """Take a version away that was refused."""
        self._file(version).unlink(missing_ok=True)

    def plain(self, error: InputError) -> str:
        """Say an error without the folders of this machine."""
        return str(error).replace(f"{self._folder}{os.sep}", "")

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}.toml"


class Remote:
    """Takes configurations from afar for a collector that runs, and watches over a new one.

    Parameters
    ----------
    versions
        The configurations that it had.
    lines
        The lines of the collector, running.
    apply
        Has the collector go on with another configuration.
    """

    def __init__(
        self,
        desk: Intake,
        lines: Sequence[LineTask],
        versions: Versions,
        apply: Callable[[CollectorConfig], None],
    ) -> None:
        self._desk, self._lines, self._versions, self._apply = desk, lines, versions, apply
        self._clock: Clock = desk.clock
        kept = _kept(desk.buffer)
        self._trial = kept if kept is not None and kept.before else None
        self._unread = set(self._trial.groups) if self._trial else set()
        self._settled = asyncio.Event()
        self._all_read = asyncio.Event()
        self._look()

    def read(self, points: Collection[str]) -> None:
        """Take note that points were read."""
        if self._unread:
            self._unread = {group for group in self._unread if not any(point in points for point in group)}
            self._look()

    async def watch(self) -> None:
        """End the trial that is under way, if any: with its last meter, or by falling back."""
        trial = self._trial
        if trial is None:
            self._settled.set()
            return
        reading = asyncio.ensure_future(self._all_read.wait())
        try:
            while not reading.done() and self._clock.now_ms() < trial.until_ms:
                waiting = asyncio.ensure_future(self._clock.sleep_until(trial.until_ms))
                await asyncio.wait([reading, waiting], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        finally:
            reading.cancel()
        self._trial = None
        if self._unread:
            self._fall_back(trial)
        else:
            self._put(InForce(trial.version, trial.local))
        self._settled.set()

    async def answer(self, notice: ConfigNotice, centre: CentrePlan) -> None:
        """Apply a configuration or refuse it, once a trial that is under way has ended; each version once."""
        await self._settled.wait()
        name = f"version/{notice.version[:64]}"
        digest = _digest(notice.text)
        known = self._desk.state(name)
        if known is not None and known[0] == digest:
            return
        said = {"version": notice.version[:64], "centre": centre.name, "by": notice.by[:200]}
        now_ms = self._clock.now_ms()
        try:
            need(centre.configure, notice.version, "configure", "a centre that may do so", centre.name)
            need(known is None, notice.version, "version", "a name never used before", notice.version)
            config = self._validated(notice)
        except InputError as error:
            self._desk.tell(
                _event(LinkKind.CONFIG_REFUSED, now_ms, error=self._versions.plain(error), **said)
            )
        else:
            self._begin(config, notice.version)
            self._desk.tell(_event(LinkKind.CONFIG_APPLIED, now_ms, **said))
            self._apply(config)
        if known is None:
            self._desk.put_state(name, digest, now_ms)

    def _validated(self, notice: ConfigNotice) -> CollectorConfig:
        """Put the text away as a version and read it; what is refused leaves no file."""
        now = self._desk.config
        named = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", notice.version)
        fits = named is not None and not notice.version.startswith(LOCAL)
        need(fits, "version", "version", f"letters, digits, . _ -, not {LOCAL} before them", notice.version)
        need(
            len(notice.text) <= LARGEST_TEXT,
            notice.version,
            "text",
            f"at most {LARGEST_TEXT}",
            len(notice.text),
        )
        try:
            self._versions.write(notice.version, notice.text)
            config = self._versions.load(notice.version)
            need(config.name == now.name, notice.version, "name", now.name, config.name)
            need(config.code == now.code, notice.version, "enterprise", now.code, config.code)
            check_from_afar(config.centres, notice.version)
            check_schemas(self._desk.buffer, config.schemas())
        except InputError:
            self._versions.forget(notice.version)
            raise
        except OSError as error:
            raise InputError(
                f"{notice.version}: it cannot be written: {error.strerror}; free space"
            ) from error
        return config

    def _begin(self, config: CollectorConfig, version: str) -> None:
        """Have the new configuration hold on trial: what was read before must be read again."""
        kept, local = _kept(self._desk.buffer), self._versions.local
        before = kept.version if kept else local
        wanted = {point: meter for line in config.lines for meter in line.meters for point in meter.points}
        groups = [
            tuple(point for point in device.meter.points if point in wanted)
            for line in self._lines
            for device in line.devices
            if device.link.state is State.UP
        ]
        groups = [group for group in groups if group]
        slowest_s = max((wanted[point].interval_s for group in groups for point in group), default=0)
        until_ms = self._clock.now_ms() + 1000 * slowest_s * config.remote.rounds + MARGIN_MS
        self._put(InForce(version, local, before, until_ms, tuple(groups)))

    def _fall_back(self, trial: InForce) -> None:
        now_ms = self._clock.now_ms()
        try:
            config = self._versions.load(trial.before)
        except InputError as error:  # there is nothing better than what holds
            self._put(InForce(trial.version, trial.local))
            said = {"version": trial.before, "error": self._versions.plain(error)}
            self._desk.tell(_event(LinkKind.CONFIG_REFUSED, now_ms, **said))
            return
        unread = " ".join(point for group in sorted(self._unread) for point in group)
        self._put(InForce(trial.before, trial.local))
        said = {"version": trial.version, "before": trial.before, "unread": unread[:LONGEST_WORDS]}
        self._desk.tell(_event(LinkKind.CONFIG_ROLLED_BACK, now_ms, **said))
        self._apply(config)

    def _look(self) -> None:
        if not self._unread:
            self._all_read.set()

    def _put(self, found: InForce) -> None:
        self._desk.put_state(STATE, msgspec.json.encode(found).decode(), self._clock.now_ms())


def _kept(buffer: Buffer) -> InForce | None:
    kept = buffer.state(STATE)
    return None if kept is None else _in_force.decode(kept[0])


def _put(buffer: Buffer, found: InForce, now_ms: int) -> None:
    buffer.put_state(STATE, msgspec.json.encode(found).decode(), now_ms)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _event(kind: LinkKind, at_ms: int, **parameters: str) -> LinkEvent:
    cut = {
        name: text if len(text) <= LONGEST_WORDS else text[:LONGEST_WORDS]
        for name, text in parameters.items()
    }
    return LinkEvent(at_ms, kind, parameters=cut)
