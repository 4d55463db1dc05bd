"""Supervisor: starts the parts of an installation, heals those that die, stops them in order.

Every part is a process in a group of its own, so that Ctrl-C reaches only the supervisor,
which stops the page first, then the flows, then the store.  A part that dies is started
again with back-off.  If the supervisor itself is killed the system ends its parts (see
`nengliu.cli.parts`), and what is left over is ended by the next start.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from nengliu.cli.language import say
from nengliu.errors import StorageError, StoreLocked
from nengliu.telemetry import PartRestarted, emit

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Pause before a dead part is started again: doubled each time, because a part that cannot start (a full
disk, a port taken) must not eat the machine, and capped, because the cause may pass at night."""
HEALTHY_S = 20.0
"""A part that lived this long died of something new, or of a service that stayed away as long as its patience (30 s
with a broker): its pause starts small again, so that it works soon after that service is back."""
TICK_S = 0.2
LOOK_AGAIN_S = 5.0
"""A ready part is asked again this often: one that hangs without dying is shown as not ready."""
LOG_BYTES = 10 * 2**20
"""A part's log file beyond this is set aside, within the hour; one older file is kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive: its command, how to see that it is ready, how long it may take to stop [s].

    `ready` is told when the process was started [s since 1970], so that what a predecessor left is no sign of life.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[float], bool] = lambda _started_s: True
    patience_s: float = 8.0


@dataclass(slots=True)
class _Running:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    started_s: float = 0.0
    failures: int = 0
    due_at: float = 0.0
    is_ready: bool = False
    asked_at: float = 0.0
    is_held: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps parts alive; `tick` is called again and again by whoever owns the main loop.

    Parameters
    ----------
    parts
        In the order they are started; they are stopped in the opposite order.
    logs
        Folder of the log files, one per part.
    environment
        Environment of the parts.
    """

    parts: Sequence[Part]
    logs: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _running: dict[str, _Running] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one part; it is watched from now on.  One that was started already stays as it is."""
        if name in self._running:
            return
        part = next(part for part in self.parts if part.name == name)
        self._running[name] = _Running(part)
        self._launch(self._running[name])

    def tick(self) -> None:
        """See which parts died, start again those whose pause is over, ask the others if they are ready."""
        for running in self._running.values():
            if running.process is None:
                if time.monotonic() >= running.due_at:
                    self._launch(running)
            elif (status := running.process.poll()) is not None:
                self._bury(running, status)
            elif not running.is_ready or time.monotonic() - running.asked_at > LOOK_AGAIN_S:
                running.is_ready = running.part.ready(running.started_s)
                running.asked_at = time.monotonic()

    def hold(self, name: str, *, is_held: bool) -> None:
        """Let a part stand still as if its machine hung, or go on; nothing if it does so already."""
        running = self._running[name]
        if running.process is not None and running.is_held != is_held:
            _signal_group(running.process.pid, signal.SIGSTOP if is_held else signal.SIGCONT)
            running.is_held = is_held

    def wait_ready(self, name: str, timeout_s: float) -> None:
        """Tick until the part is ready.

        Raises
        ------
        StorageError
            It was not ready in time; the message ends with what its log said last.
        """
        end = time.monotonic() + timeout_s
        while not self._running[name].is_ready:
            if time.monotonic() > end:
                file = self.log_file(name)
                raise StorageError(
                    say("error.not_ready", part=name, seconds=timeout_s, file=file, last=last_line(file))
                )
            self.tick()
            time.sleep(TICK_S / 4)

    def states(self) -> dict[str, str]:
        """Say of each part: ready, starting, held, or waiting (dead, to be started again)."""
        found: dict[str, str] = {}
        for part in self.parts:
            running = self._running.get(part.name)
            if running is None or running.process is None:
                found[part.name] = "waiting"
            elif running.is_held:
                found[part.name] = "held"
            else:
                found[part.name] = "ready" if running.is_ready else "starting"
        return found

    def processes(self) -> dict[str, int]:
        """Process ids of the parts that live."""
        return {name: running.process.pid for name, running in self._running.items() if running.process}

    def log_file(self, name: str) -> Path:
        """File that takes what a part writes."""
        return self.logs / f"{name}.log"

    def set_logs_aside(self) -> None:
        """Set long log files of running parts aside: copied and emptied, because the parts hold them open."""
        for file in self.logs.glob("*.log"):
            if file.stat().st_size > LOG_BYTES:
                shutil.copyfile(file, file.with_suffix(".log.1"))
                os.truncate(file, 0)

    def stop(self) -> None:
        """Stop every part, last started first; a part that does not end in its time is killed."""
        for name, running in reversed(list(self._running.items())):
            if running.process is not None:
                self.hold(name, is_held=False)
                _end(running.process, running.part.patience_s)
                running.process = None
        self._running.clear()

    def _launch(self, running: _Running) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        environment = {**self.environment, "NENGLIU_SUPERVISOR": str(os.getpid())}
        with _open_log(self.log_file(running.part.name)) as log:
            running.process = subprocess.Popen(
                running.part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.logs,
                start_new_session=True,
            )
        running.started_at, running.started_s, running.is_ready = time.monotonic(), time.time(), False
        running.is_held = False

    def _bury(self, running: _Running, status: int) -> None:
        """Note a death and when to try again; what the part left in its group is ended with it."""
        assert running.process is not None
        _signal_group(running.process.pid, signal.SIGKILL)
        lived_s = time.monotonic() - running.started_at
        running.failures = 0 if lived_s > HEALTHY_S else running.failures + 1
        pause_s = min(FIRST_PAUSE_S * 2 ** max(running.failures - 1, 0), LONGEST_PAUSE_S)
        running.process, running.is_ready = None, False
        running.due_at = time.monotonic() + pause_s
        emit(PartRestarted(1, part=running.part.name, exit_status=status))


@contextmanager
def owning(home: Path, **about: object) -> Iterator[Callable[..., None]]:
    """Hold the lock of an installation; yields a function that notes more about its owner.

    The system lets the lock go however its owner ends, so a lock is never stale; parts that
    outlived a killed owner are ended first.

    Raises
    ------
    StoreLocked
        Another supervisor owns the installation; the message says which.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _read_owner(file)
            raise StoreLocked(say("error.owned", home=home, **_defaults(owner))) from error
        _end_leftovers(_read_owner(file))
        known: dict[str, object] = {"process": os.getpid(), **about}

        def note(**more: object) -> None:
            known.update(more)
            file.seek(0)
            file.truncate()
            json.dump(known, file)
            file.flush()

        note()
        yield note
        file.truncate(0)


def last_line(file: Path) -> str:
    """Give the last line of a log file that says something, shortened."""
    try:
        lines = file.read_bytes()[-4096:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def _defaults(owner: dict[str, object]) -> dict[str, object]:
    return {"process": owner.get("process", "?"), "address": owner.get("address", "?")}


def _read_owner(file: IO[str]) -> dict[str, object]:
    file.seek(0)
    try:
        found = json.loads(file.read() or "{}")
    except json.JSONDecodeError:  # killed while it wrote
        return {}
    return found if isinstance(found, dict) else {}


def _end_leftovers(owner: dict[str, object]) -> None:
    """End parts of a killed owner: the noted ids, if they still are processes of that owner."""
    parts = owner.get("parts")
    for pid in parts.values() if isinstance(parts, dict) else ():
        try:
            process = psutil.Process(int(pid))
            if process.environ().get("NENGLIU_SUPERVISOR") == str(owner.get("process")):
                _signal_group(process.pid, signal.SIGKILL)
                process.wait(5)
        except (psutil.Error, ValueError):  # gone already, or a process of somebody else
            continue


def _open_log(file: Path) -> IO[bytes]:
    if file.exists() and file.stat().st_size > LOG_BYTES:
        file.replace(file.with_suffix(".log.1"))
    return file.open("ab")


def _end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when the person at the keyboard asks again
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:  # it ended before we could ask
        return
