"""Readings in the order of their receipt, in bounded memory: sorted runs on disk, then one merge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from acquisition.files.rows import Readings, join

RUN_ROWS = 250_000
"""Readings sorted in memory at once: 12 MB, and as much again for the order."""
MERGE_ROWS = 500_000
"""Readings the merge holds of all runs together: 24 MB."""

_ROW = np.dtype(
    [
        ("row", "<i8"),
        ("column", "<u4"),
        ("read_at_ms", "<i8"),
        ("values", "<i8"),
        ("received_at_s", "<i8"),
        ("quality", "u1"),
        ("reason", "<u2"),
        ("place", "<i8"),
    ]
)
_Rows = npt.NDArray[np.void]


class ByReceipt:
    """Takes readings in any order and gives them back by receipt; equal receipts keep their order.

    Parameters
    ----------
    folder
        Where the runs are written; they go when the object is closed.  It needs 47 bytes per reading.
    """

    def __init__(
        self, folder: Path | None = None, run_rows: int = RUN_ROWS, merge_rows: int = MERGE_ROWS
    ) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="nengliu-order-", dir=folder)
        self.run_rows, self.merge_rows = run_rows, merge_rows
        self.pending: list[Readings] = []
        self.waiting, self.taken = 0, 0
        self.runs: list[Path] = []

    def __enter__(self) -> ByReceipt:
        """Use it as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the runs."""
        self.close()

    def close(self) -> None:
        """Remove the runs."""
        self.home.cleanup()

    def add(self, readings: Readings) -> None:
        """Take some readings."""
        self.pending.append(readings)
        self.waiting += len(readings)
        if self.waiting >= self.run_rows:
            self._spill()

    def drain(self) -> Iterator[Readings]:
        """Give all readings back, by receipt."""
        self._spill()
        block_rows = max(1, self.merge_rows // max(1, len(self.runs)))
        files = [_Run(path, block_rows) for path in self.runs]
        while files := [one for one in files if one.fill()]:
            cut = min((int(one.block["received_at_s"][-1]), int(one.block["place"][-1])) for one in files)
            parts = np.concatenate([one.until(*cut) for one in files])
            order = np.lexsort((parts["place"], parts["received_at_s"]))
            yield _readings(parts[order])

    def _spill(self) -> None:
        if not self.waiting:
            return
        readings = join(self.pending)
        rows = np.zeros(len(readings), _ROW)
        for one in fields(Readings):
            rows[one.name] = getattr(readings, one.name)
        rows["place"] = np.arange(self.taken, self.taken + len(rows))
        self.taken += len(rows)
        self.pending, self.waiting = [], 0
        path = Path(self.home.name) / f"run-{len(self.runs)}"
        rows[np.argsort(rows["received_at_s"], kind="stable")].tofile(path)
        self.runs.append(path)


class _Run:
    """One sorted run on disk, of which a block is held."""

    def __init__(self, path: Path, block_rows: int) -> None:
        self.path, self.block_rows, self.at = path, block_rows, 0
        self.block: _Rows = np.zeros(0, _ROW)

    def fill(self) -> bool:
        """Hold at least one reading; False when the run is used up."""
        if not len(self.block):
            self.block = np.fromfile(self.path, _ROW, self.block_rows, offset=self.at * _ROW.itemsize)
            self.at += len(self.block)
        return len(self.block) > 0

    def until(self, received_at_s: int, place: int) -> _Rows:
        """Take the held readings up to and with the given one."""
        received, places = self.block["received_at_s"], self.block["place"]
        n = int(((received < received_at_s) | ((received == received_at_s) & (places <= place))).sum())
        taken, self.block = self.block[:n], self.block[n:]
        return taken


def _readings(rows: _Rows) -> Readings:
    return Readings(*(np.ascontiguousarray(rows[one.name]) for one in fields(Readings)))
