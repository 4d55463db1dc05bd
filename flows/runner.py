"""Run a flow: its recovery store, its clean stop, its errors in our own words.

Bytewax by itself dies on SIGTERM and, on SIGINT, drops the epoch it is in.  Here both signals
end the sources as if the log had ended: the flow drains, sinks flush, the last epoch
commits, and `run_flow` returns.  A kill at any moment costs only the repetition of
the epoch in work.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from bytewax.dataflow import Dataflow, Operator
from bytewax.recovery import (
    InconsistentPartitionsError,
    MissingPartitionsError,
    NoPartitionsError,
    RecoveryConfig,
    init_db_dir,
)
from bytewax.run import cli_main

from flows.connectors import LogSource
from flows.resume import FILE, ResumeNotes
from flows.shares import STORED, share_named, shares
from nengliu import telemetry
from nengliu.errors import InputError, LogError, NengliuError

RECOVERY_PARTS = 1
"""One file: what is in it commits together.  Fixed at its creation, whatever the workers."""
EPOCH_S = 5.0
"""Time between commits, and the most that a crash repeats; also the unit of back-pressure [s]."""
STOP_S = 5.0
"""A flow asked by SIGTERM to stop may finish its epoch for so long; if log or store are away it ends without [s]."""
LOCK_S = 1.0
"""How long to wait for the lock of a recovery store: who only looks whether it is held holds it for a moment [s]."""
COLLECT = 100_000, 50, 50
"""When Python looks for cycles: what a flow knows of a million points lives as long as it; to look through it again and
again took a third of its time (measured)."""

LARGE_BYTES = 4 << 20
_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's malloc.h."""

_Handler = Callable[[int, FrameType | None], object] | int | None
_RECOVERY_ERRORS = (InconsistentPartitionsError, MissingPartitionsError, NoPartitionsError)


def run_flow(flow: Dataflow, recovery_dir: Path | None, epoch_s: float = EPOCH_S, workers: int = 1) -> None:
    """Run `flow` until its sources end or a signal asks to stop; resume where it last committed.

    Parameters
    ----------
    recovery_dir
        Folder of the recovery store, made if missing; None runs without one, from the start.
    epoch_s
        Time between commits [s].
    workers
        Worker threads; may differ from run to run.

    Raises
    ------
    LogError
        Another process runs this flow, or the recovery store cannot be used.
    NengliuError
        Whatever a source, step or sink raised of our errors.
    """
    own: NengliuError | KeyboardInterrupt | None = None
    gc.set_threshold(*COLLECT)
    _give_back()
    with _recovery(recovery_dir) as config, _stopping(flow), _noting(flow, recovery_dir):
        try:
            cli_main(
                flow,
                workers_per_process=workers,
                epoch_interval=timedelta(seconds=epoch_s),
                recovery_config=config,
            )
        except RuntimeError as error:
            own = _own_error(error) or _recovery_error(error, recovery_dir)
            if own is None:
                raise
    if own is not None:
        raise own  # outside of the handler: Bytewax' wrapping is no news to anybody


def _give_back() -> None:
    """Have the C library return what a large array took as soon as it is gone; left alone it keeps ever larger ones.

    Of a million points that is 700 MB (measured).  Elsewhere than in glibc there is no such switch.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, LARGE_BYTES)


def sources(flow: Dataflow) -> list[LogSource]:
    """List the log sources of `flow`, nested operators included."""
    found: list[LogSource] = []
    steps: list[Operator] = list(flow.substeps)
    while steps:
        step = steps.pop()
        steps.extend(step.substeps)
        source = getattr(step, "source", None)
        if isinstance(source, LogSource):
            found.append(source)
    return found


@contextmanager
def _noting(flow: Dataflow, recovery_dir: Path | None) -> Iterator[None]:
    """Let the sources tell beside the recovery store what they never read again."""
    if recovery_dir is None:
        yield
        return
    notes = ResumeNotes(recovery_dir / FILE)
    for source in sources(flow):
        source.notes = notes
    try:
        yield
    finally:
        notes.write()


@contextmanager
def _recovery(folder: Path | None) -> Iterator[RecoveryConfig | None]:
    """Prepare the recovery store and hold it: two runs of one flow would undo each other."""
    if folder is None:
        yield None
        return
    with _lock(folder):
        if not any(folder.glob(STORED)):
            with _lock(folder.parent):  # of two that overlap one comes first
                _refuse_overlap(folder)
                _lay_store(folder)
        yield RecoveryConfig(folder)


def _refuse_overlap(folder: Path) -> None:
    """Refuse a share some of whose partitions belong to another one: they would be read twice."""
    own = share_named(folder.name)
    for share, other in shares(folder.parent):
        if share.overlaps(own):
            raise InputError(
                f"{folder}: expected partitions that no other process of this flow takes, but {other} holds some; "
                "take the others, or end that process and move its folder out of there: its partitions are then "
                "read from their first record, which repeats work"
            )


def _lay_store(folder: Path) -> None:
    """Lay an empty recovery store: made aside and moved in, since a crash between must not leave half of one."""
    with TemporaryDirectory(dir=folder) as fresh:
        init_db_dir(fresh, RECOVERY_PARTS)
        for part in Path(fresh).glob(STORED):
            part.rename(folder / part.name)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the system lets go of it whatever way the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise LogError(f"{folder}: no recovery store ({error}); give this user the right to write") from error
    with file:
        until = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise LogError(f"{folder}: another process runs this flow; stop it first") from error
                time.sleep(0.02)
        yield


@contextmanager
def _stopping(flow: Dataflow) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the sources; the old handlers come back afterwards.

    After SIGTERM the flow has `STOP_S`, because a supervisor kills what does not end.
    A second SIGINT interrupts at once: a person presses it twice when the store is away and
    the flush waits.  A second SIGTERM says nothing new (a supervisor repeats it).
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; tests run flows in others
        return
    ending = sources(flow)
    before: dict[int, _Handler] = {}
    abandon = threading.Timer(STOP_S, _abandon, [flow.flow_id])
    abandon.daemon = True

    def stop(number: int, _frame: FrameType | None) -> None:
        for source in ending:
            source.stop.set()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
        elif not abandon.is_alive():
            abandon.start()

    for handled in (signal.SIGTERM, signal.SIGINT):
        before[handled] = signal.signal(handled, stop)
    try:
        yield
    finally:
        abandon.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _abandon(name: str) -> None:
    """End the process in the midst of an epoch: its records will be read again, as after a kill."""
    telemetry.logger.warning(
        "%s: asked to stop, and the log or the store is away; ends without the last epoch, which the next run repeats",
        name,
    )
    os._exit(LogError.exit_code)


def _own_error(error: BaseException | None) -> NengliuError | KeyboardInterrupt | None:
    """Find our own error beneath what Bytewax wrapped around it."""
    while error is not None:
        if isinstance(error, NengliuError | KeyboardInterrupt):
            return error
        error = error.__cause__ or error.__context__
    return None


def _recovery_error(error: RuntimeError, folder: Path | None) -> LogError | None:
    """Say in our words what Bytewax only panics about when it cannot resume."""
    text = str(error)
    if "routing map" in text:
        what = "a topic or sink has fewer parts than when this flow last ran"
    elif "SqliteFailure" in text or isinstance(error.__cause__, _RECOVERY_ERRORS):
        what = "the recovery store cannot be read or written"
    else:
        return None
    return LogError(
        f"{folder}: cannot resume: {what} ({text}); if there is space on the disk, move the folder "
        "away: the flow then reads the log from its first record, which repeats work and changes no result"
    )
