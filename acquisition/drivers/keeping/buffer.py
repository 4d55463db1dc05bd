"""The collector's buffer: all it saw, on the disk before it is sent, kept until every centre has it.

Each message has one rising sequence, ``boot second << 32 | number``; each centre reads at its
own pace.  *Live* is what lies above a centre's cursor.  After a break of the uplink what is
pending becomes a *gap* and the cursor jumps to the head, so that new readings do not
wait; gaps are sent beside them, marked as backfilled.  A message that was tried live keeps
its bytes even in a gap: it may have arrived, and a repetition must be byte-equal.

When all room is taken by what some centre misses, `thin` lets secondary values give way:
only of messages that no centre was ever tried with.

A process may die between any two calls: whatever was not acknowledged is sent again, in order.
Source: TC 4.3.3-4, 4.3.7-5 (store and send again until acknowledged); the layout is ours, docs/decisions/0016.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from acquisition.drivers.keeping.buffer_file import BufferFile, Pending, Synchronous
from acquisition.drivers.keeping.centre import Centre, without
from nengliu.errors import LogError

NUMBER_BITS = 32
DAY_MS = 86_400_000
FOR_EVER_MS = 2**63 - 1
TRIM_ROWS = 5000
"""Rows forgotten per call, so that a trim holds up the polls for milliseconds only."""
SCARCE = 0.9
"""Share of the room from which on acknowledged rows give way before their days are over."""
WAITING_BYTES = 16 * 2**20
"""What may wait in memory while the disk refuses; beyond it `Buffer.put` refuses."""


__all__ = ["Buffer", "Pending"]


class Buffer:
    """A durable queue in one file, for one collector and any number of centres.

    One thread uses it; a call takes microseconds, or one sync of the disk.

    Parameters
    ----------
    path
        The file; it and its folder are made if missing.
    keep_days
        How long a row is kept although everybody has it [d] (TC 4.3.4 asks for 15).
    room_bytes
        How large the file may become [bytes].
    synchronous
        FULL: what was flushed survives a power cut.

    Raises
    ------
    LogError
        The file cannot be used; every method may raise it, and then has changed nothing.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_days: int = 15,
        room_bytes: int = 2**30,
        synchronous: Synchronous = "FULL",
    ) -> None:
        self.path = path
        self._keep_ms = keep_days * DAY_MS
        self._room_bytes = room_bytes
        self._file = BufferFile(path, room_bytes, synchronous)
        self._boot_s = self._number = 0
        self._rows: list[Pending] = []
        self._states: dict[str, tuple[str, int]] = {}
        self._waiting_bytes = 0
        self._centres: dict[str, Centre] = {}
        with self._file.explained("read"):
            (self._head,) = self._file.execute("SELECT coalesce(max(sequence), 0) FROM reading").fetchone()
            self._last: int = self._head
            names = self._file.execute("SELECT centre FROM cursor").fetchall()
        for (name,) in names:
            self._centre(name)

    # -- what the collector says ------------------------------------------------------------

    def boot(self, now_ms: int) -> int:
        """Begin a boot and give its second, later than every one before, whatever the clock says.

        Raises
        ------
        LogError
            The clock stands beyond January 2038: the sequence has 31 bits for the second.
        """
        with self._file.writing("begin a boot"):
            (before,) = self._file.execute("SELECT boot_s FROM boot").fetchone()
            boot_s: int = max(now_ms // 1000, before + 1)
            if boot_s >= 2**31:
                raise LogError(
                    f"{self.path}: expected a clock before January 2038, got {boot_s} s since 1970; "
                    "set the clock of the collector"
                )
            self._file.execute("UPDATE boot SET boot_s = ?", boot_s)
        self._boot_s, self._number = boot_s, 0
        return boot_s

    @property
    def last(self) -> int:
        """Give the sequence of the newest message that was put, flushed or not; 0: none ever was."""
        return self._last

    def next_sequence(self) -> int:
        """Give the next number of this boot's rising sequence."""
        if not self._boot_s:
            raise ValueError("expected a boot before the first number; call Buffer.boot once at the start")
        self._number += 1
        return self._boot_s << NUMBER_BITS | self._number

    def put(self, key: str, at_ms: int, sequence: int, value: bytes) -> None:
        """Take a message; it is durable, and sent, after `flush`.

        Raises
        ------
        LogError
            The disk has refused for so long that the memory set aside is full too.
        ValueError
            The sequence does not rise: take the number and put the row without waiting in between.
        """
        if sequence <= self._last:
            raise ValueError(
                f"expected a sequence above {self._last}, got {sequence}; they rise from put to put"
            )
        if self._waiting_bytes + len(value) > WAITING_BYTES:
            raise LogError(
                f"{self.path}: {len(self._rows)} messages wait in memory because the file could not be "
                "written; free space on its disk or give the buffer more room"
            )
        self._rows.append(Pending(sequence, at_ms, key, value))
        self._waiting_bytes += len(value)
        self._last = sequence

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Remember a state and since when it holds [ms, UTC]; durable with the messages of the same flush."""
        self._states[name] = value, since_ms

    def state(self, name: str) -> tuple[str, int] | None:
        """Give a state and since when it holds [ms, UTC]; None if it was never put."""
        if name in self._states:
            return self._states[name]
        with self._file.explained("read"):
            found = self._file.execute("SELECT value, since_ms FROM state WHERE name = ?", name).fetchone()
        return None if found is None else (str(found[0]), int(found[1]))

    def forget_states(self, prefix: str, before_ms: int) -> None:
        """Forget the states whose name begins so and that hold since before `before_ms` [ms, UTC]."""
        with self._file.writing("forget old states"):
            statement = "DELETE FROM state WHERE name >= ? AND name < ? AND since_ms < ?"
            self._file.execute(statement, prefix, prefix + "\U0010ffff", before_ms)

    def flush(self) -> None:
        """Write all that was put since in one transaction; if it raises, all of it waits for the next flush."""
        if not self._rows and not self._states:
            return
        with self._file.writing("store readings"):
            rows = ((row.sequence, row.at_ms, row.key, row.value) for row in self._rows)
            self._file.execute_many("INSERT INTO reading VALUES (?, ?, ?, ?)", rows)
            states = ((name, *state) for name, state in self._states.items())
            self._file.execute_many("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", states)
        for centre in self._centres.values():
            centre.rows += len(self._rows)
        self._head = self._last
        self._waiting_bytes = 0
        self._rows.clear()
        self._states.clear()

    # -- what a centre gets -----------------------------------------------------------------

    def live(self, centre: str, limit: int) -> list[Pending]:
        """Give the oldest rows that were not sent live, at most `limit`; those in gaps are not among them."""
        return self._centre(centre).pending(self._head, limit)

    def try_live(self, centre: str, last_sequence: int) -> None:
        """Note, before they are sent, that rows up to here are tried live: their bytes are fixed."""
        self._centre(centre).try_live(last_sequence)

    def ack_live(self, centre: str, last_sequence: int) -> None:
        """Note that the centre has every live row up to here; ValueError if it was never tried."""
        self._centre(centre).ack_live(last_sequence)

    def make_gap(self, centre: str, before_ms: int = FOR_EVER_MS) -> int:
        """Turn what is pending into backfill, so that what comes now is sent first; say how many rows.

        Rows put after the newest one that was put before `before_ms` stay live.
        """
        return self._centre(centre).make_gap(self._head, before_ms)

    def backfill(self, centre: str, limit: int) -> list[Pending]:
        """Give the oldest rows of the gaps, at most `limit`; marked, unless they were tried live."""
        return self._centre(centre).backfill(limit)

    def ack_backfill(self, centre: str, last_sequence: int) -> None:
        """Note that the centre has every row of the gaps up to here."""
        self._centre(centre).ack_backfill(last_sequence)

    def knows(self, centre: str) -> bool:
        """Say whether the centre was ever asked for."""
        return centre in self._centres

    def centres(self) -> tuple[str, ...]:
        """Name the centres for which something is kept, those that are no longer configured among them."""
        return tuple(self._centres)

    def done(self, centre: str) -> int:
        """Give the sequence up to which a centre has everything; 0 for one never asked for."""
        return self._centres[centre].done() if centre in self._centres else 0

    def forget(self, centre: str) -> None:
        """Keep nothing more for a centre; what only it misses may go."""
        with self._file.writing("forget a centre"):
            for table in ("cursor", "gap"):
                self._file.execute(f"DELETE FROM {table} WHERE centre = ?", centre)
            for name in ("view", "log", "backfill", "ack", "orders"):
                self._file.execute("DELETE FROM state WHERE name = ?", f"{name}/{centre}")
        self._centres.pop(centre, None)

    def queued(self, centre: str) -> tuple[int, int]:
        """Count the rows that the centre still misses: live ones, and those of gaps."""
        found = self._centre(centre)
        return found.rows, found.missing()

    # -- the room ---------------------------------------------------------------------------

    def give_room(self, keep_days: int, room_bytes: int) -> None:
        """Change for how long a row is kept [d] and how large the file may become [bytes]."""
        self._keep_ms, self._room_bytes = keep_days * DAY_MS, room_bytes
        self._file.give_room(room_bytes)

    def fill(self) -> float:
        """Give the share of the room in use; a disk with less space than the room counts as the room."""
        with self._file.explained("measure"):
            used = self._file.used_bytes()
            room = min(self._room_bytes, used + shutil.disk_usage(self.path.parent).free)
        return used / room

    def trim(self, now_ms: int) -> int:
        """Forget the oldest rows that every centre has and that are past their days; say how many.

        When room is scarce they go before their days are over: a new reading is worth more than a copy
        of one that has arrived.  A row that somebody misses is never forgotten.  At most `TRIM_ROWS` a call.
        """
        done = min((centre.done() for centre in self._centres.values()), default=self._head)
        before_ms = now_ms - self._keep_ms
        scarce = self.fill() >= SCARCE
        with self._file.writing("forget old readings"):
            rows = self._file.execute(
                "SELECT sequence, at_ms FROM reading WHERE sequence <= ? ORDER BY sequence LIMIT ?",
                done,
                TRIM_ROWS,
            ).fetchall()
            young = (at for at, (_, at_ms) in enumerate(rows) if at_ms >= before_ms)
            gone = len(rows) if scarce else next(young, len(rows))
            if gone:
                self._file.execute("DELETE FROM reading WHERE sequence <= ?", rows[gone - 1][0])
        return gone

    def untried(self, after: int, limit: int) -> list[Pending]:
        """Give the oldest rows above `after` that a centre misses and no centre was ever tried with."""
        missed = [span for centre in self._centres.values() for span in centre.missed_spans(self._head)]
        tried = [span for centre in self._centres.values() for span in centre.tried_spans()]
        found: list[Pending] = []
        for first, last in without(missed, tried):
            if last > after and len(found) < limit:
                found += self._file.rows(max(first, after), last, limit - len(found))
        return found

    def thin(self, changed: Sequence[Pending], name: str, value: str, since_ms: int) -> None:
        """Write rows that `untried` gave anew, without those left empty, and a state, in one transaction.

        They are taken out and put in again, since a row that only shrinks frees no page.
        """
        with self._file.writing("make room"):
            self._file.execute_many(
                "DELETE FROM reading WHERE sequence = ?", ((row.sequence,) for row in changed)
            )
            kept = ((row.sequence, row.at_ms, row.key, row.value) for row in changed if row.value)
            self._file.execute_many("INSERT INTO reading VALUES (?, ?, ?, ?)", kept)
            self._file.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", name, value, since_ms)
        self._states.pop(name, None)
        for centre in self._centres.values():
            centre.recount(self._head)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _centre(self, name: str) -> Centre:
        if name not in self._centres:
            self._centres[name] = Centre(self._file, name, self._head)
        return self._centres[name]
