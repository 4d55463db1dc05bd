"""Intake of one shard: log records in; rows, accepted blocks and notices out.

Three layers check a record (TC 4.4.3-2): the network layer its bytes, the communication
layer its agreement with what was declared, the business layer its values.  What fails is
quarantined with its reason, and every message is tallied, so that received = valid +
duplicate + quarantined holds message by message (law 3).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.checks import check_bounds
from nengliu.analysis.intake.candidates import Candidates, Judged, Path
from nengliu.analysis.intake.chunks import Changes, hour_of, ledger_chunks, newest_of, rack_chunks
from nengliu.analysis.intake.evidence import (
    Passing,
    block_of,
    held_block,
    in_order,
    merged_block,
    refused_block,
)
from nengliu.analysis.intake.links import check_links, link_rows
from nengliu.analysis.intake.opening import Opened, Opener, wrong_enterprise
from nengliu.analysis.intake.rack import Laid, Rack, Swath
from nengliu.analysis.intake.racks import Racks
from nengliu.analysis.intake.reaping import Clock, Parts, Piles, Reaper
from nengliu.analysis.intake.rows import (
    Held,
    Tally,
    intake_rows,
    newest_rows,
    quarantine_rows,
    reading_rows,
)
from nengliu.analysis.intake.validate import Limits, judge
from nengliu.analysis.intake.waiting import WAIT_LIMIT, WaitingRoom, waiting_row
from nengliu.analysis.ledger import TIME_BITS, Ledger, Loader, Merge, at_of, key_of, origin_of, slot_of
from nengliu.analysis.notice_rows import notice_rows
from nengliu.analysis.notices import check_notice
from nengliu.analysis.sorted import compact
from nengliu.bus import Record
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError
from schemas.block import Block, Rows, Verdict
from schemas.messages import (
    ActionNotice,
    ActivityNotice,
    BookNotice,
    EnterpriseNotice,
    EntryNotice,
    Frame,
    ImportNotice,
    LinkNotice,
    Notice,
    PointNotice,
    RegionNotice,
    RejectedNotice,
    RetentionNotice,
    SchemaNotice,
    TargetNotice,
    TariffNotice,
    TickNotice,
    WiringNotice,
)

Bools = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.int32]
PAYLOAD_LIMIT = 64_000
"""A refused message is kept up to here; beyond, the log has the rest for its retention."""
REFUSAL_ITEM = 1_000_000
"""Refused parts of a JSON message are numbered from here, so that they never meet a reading's number."""
_REASONS = frozenset(Reason)
_COUNTS = ("sequence_base", "rows", "readings", "repaired", "rejected")
CatalogueNotice = EnterpriseNotice | PointNotice | SchemaNotice | BookNotice | WiringNotice | RetentionNotice
"""Changes what readings mean or where they hang: it goes on only if it says something new."""
_IMPORT_BOUNDS = dict.fromkeys(_COUNTS, (0, 2**64 - 1)) | {"started_at_s": (0, 2**32 - 1)}


@dataclass(slots=True)
class Outcome:
    """What a batch of records became, in log order."""

    rows: list[Rows] = field(default_factory=list)
    told: list[tuple[Notice, Record]] = field(default_factory=list)
    """Notices that are kept; their rows come last, a table at a time."""
    onward: list[Passing] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """Frames and candidates between two notices, and what was already refused."""

    tallies: list[Tally] = field(default_factory=list)
    piles: Piles = field(default_factory=Piles)
    parts: Parts = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    released: list[Held] = field(default_factory=list)
    """Messages that waited until now: rows that say so, beside the count."""
    beside: list[tuple[int, Notice]] = field(default_factory=list)
    """Notices that change nothing here; they go on between the readings around them."""
    told: list[tuple[Notice, Record]] = field(default_factory=list)
    """Acts of people whose values are among the readings."""


class IngestShard:
    """Decodes, validates, normalises and deduplicates one shard; plain Python, no stream."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        loader: Loader | None = None,
        limits: Limits | None = None,
        waiting: WaitingRoom | None = None,
    ) -> None:
        """Start empty; the loaders tell what is stored from before this run."""
        self.waiting = waiting or WaitingRoom()
        self.catalogue = catalogue or Catalogue()
        self.ledger = Ledger(loader)
        self.limits = limits or Limits()
        self.racks = Racks(self.ledger)
        self._opener = Opener(self.catalogue)
        self._reaper = Reaper(self.racks, self.ledger, self._opener)

    def add(self, records: Sequence[Record]) -> Outcome:
        """Take records in log order; a notice takes effect between the readings around it."""
        outcome, batch = Outcome(), _Batch()
        for record in records:
            position = record.position
            self.ledger.reach(position)
            notice = self._open(record, batch, position)
            if notice is not None:
                if isinstance(notice, CatalogueNotice):
                    self._settle(batch, outcome)  # so that all goes on in log order
                    batch = _Batch()
                self._note(notice, record, batch, outcome)
        self._settle(batch, outcome)
        outcome.rows.extend(notice_rows(outcome.told))
        return outcome

    def seal(self) -> None:
        """End an epoch (see `Ledger.seal`)."""
        self.ledger.seal()

    def _open(self, record: Record, batch: _Batch, position: int) -> Notice | None:
        """Add a record's readings to the batch, where they stand at `position`; a notice is handed back."""
        tally = Tally(record, position, "", record.appended_at_s)
        try:
            opened = self._opened(record, batch)
        except ContractError as error:
            batch.tallies.append(tally)
            _refuse_message(tally, error, batch)
            return None
        if opened.notice is not None:
            return opened.notice
        tally.source = opened.source
        batch.tallies.append(tally)
        if self._plausible(opened.received_at_s, record):
            tally.received_at_s = opened.received_at_s
        if opened.frame is not None and self._lay(opened.frame, batch):
            return None
        if opened.unknown is not None:
            self._wait(tally, opened.unknown, batch)
            return None
        for item, refusal in enumerate(opened.refusals, REFUSAL_ITEM):
            batch.held.append(Held(tally, item, Reason[refusal.reason], "", refusal.evidence, refusal.text))
        tally.received = tally.quarantined = len(opened.refusals)
        part = opened.candidates if opened.frame is None else opened.frame
        if part is not None:
            batch.parts.append((len(batch.tallies) - 1, part))
        return None

    def _opened(self, record: Record, batch: _Batch) -> Opened:
        """Open a record; of what a person entered the act is kept, and its values are readings like others."""
        opened = self._opener.open(record, self.ledger.stored)
        notice = opened.notice
        if not isinstance(notice, EntryNotice):
            return opened
        _check_speaker(notice, record)
        check_notice(notice, record, self.limits.future_s)
        self.catalogue.know(record.key, self.ledger.stored)
        batch.told.append((notice, record))
        return self._opener.entered(notice, record)

    def _wait(self, tally: Tally, schema: int, batch: _Batch) -> None:
        """Hold a message until its column list is declared: until then it counts as one."""
        if not self.waiting.admit(tally.record, schema, self.ledger.stored):
            error = ContractError("TOO_MANY_WAIT", f"schema {schema}", got=schema, limit=WAIT_LIMIT)
            _refuse_message(tally, error, batch)
            return
        batch.held.append(waiting_row(tally, schema))
        tally.received += 1
        tally.quarantined += 1

    def _release(self, notice: CatalogueNotice, record: Record) -> _Batch:
        """Open what waited for a column list: its readings stand where the list is declared."""
        batch = _Batch()
        if isinstance(notice, SchemaNotice):
            schema = notice.value.schema
            for waited in self.waiting.release(record.key, schema, self.ledger.stored):
                self._open(waited, batch, record.position)
                batch.released.append(waiting_row(batch.tallies[-1], schema, record.position))
        return batch

    def _lay(self, frame: Frame, batch: _Batch) -> bool:
        """Put a frame by that may be plain; say whether it was."""
        if frame.quality is not None or not len(frame.read_at_ms):
            return False
        place = self.racks.place(frame, self._opener.columns)
        if place is None:
            return False
        batch.piles.add(place, frame, len(batch.tallies) - 1)
        return True

    def _timely(self) -> Limits:
        """Tolerances of time as they are now: what came before the retention begins is held."""
        return replace(self.limits, begins_ms=self.catalogue.begins_ms)

    def _plausible(self, received_at_s: int, record: Record) -> bool:
        """Whether a message's receipt can date its tally; a wild one is refused reading by reading."""
        return 0 <= received_at_s <= record.appended_at_s + self.limits.future_s

    def _note(self, notice: Notice, record: Record, batch: _Batch, outcome: Outcome) -> None:
        """Take a notice; one that cannot be meant so is refused whole."""
        try:
            _check_speaker(notice, record)
            if isinstance(notice, CatalogueNotice):
                self._learn(notice, record, outcome)
            else:
                self._keep(notice, record, batch, outcome)
        except ContractError as error:
            batch.tallies.append(Tally(record, record.position, "", record.appended_at_s))
            _refuse_message(batch.tallies[-1], error, batch)

    def _learn(self, notice: CatalogueNotice, record: Record, outcome: Outcome) -> None:
        """Take a notice of the catalogue: a row, and on to the other flows, if it changed anything."""
        check_notice(notice, record, self.limits.future_s)
        self.catalogue.know(record.key, self.ledger.stored)
        if not self.catalogue.take(notice, record.position):
            return
        if isinstance(notice, PointNotice | SchemaNotice):
            self._opener.forget(record.key)  # the batch before is settled: no path is in use
            self.racks.forget(record.key)
        outcome.told.append((notice, record))
        self._settle(self._release(notice, record), outcome, (record.position, notice))

    def _keep(self, notice: Notice, record: Record, batch: _Batch, outcome: Outcome) -> None:
        """Take a notice that changes nothing here: rows of its own, and on if other flows need it."""
        if isinstance(notice, RejectedNotice):
            plausible = self._plausible(notice.received_at_s, record)
            received = notice.received_at_s if plausible else record.appended_at_s
            _hold_rejected(notice, Tally(record, record.position, notice.source, received), batch)
        elif isinstance(notice, LinkNotice):
            check_links(notice, record, self.limits.future_s)
            outcome.rows.extend(link_rows(notice, record))
        elif isinstance(notice, ImportNotice):
            check_bounds(notice, _IMPORT_BOUNDS)
        else:
            check_notice(notice, record, self.limits.future_s)
        if isinstance(notice, ImportNotice | RegionNotice | TargetNotice | ActivityNotice | TariffNotice):
            outcome.told.append((notice, record))
        elif isinstance(notice, LinkNotice | ActionNotice | TickNotice):
            batch.beside.append((record.position, notice))

    def _settle(self, batch: _Batch, outcome: Outcome, closing: tuple[int, Notice] | None = None) -> None:
        """Take in the readings of a batch; make its rows and tallies, and what goes on in order."""
        if not batch.tallies:
            outcome.onward.extend([*batch.beside, closing] if closing else batch.beside)
            return
        clock = Clock(
            np.array([tally.record.appended_at_s for tally in batch.tallies], np.int64),
            np.array([tally.position for tally in batch.tallies], np.uint64),
        )
        swaths, again = self._reaper.reap(batch.piles, batch.parts, clock, self._timely())
        for message, frame in again:
            batch.tallies[message].received += frame.values.size
            batch.tallies[message].duplicate += frame.values.size
        for rack, swath in swaths:
            for message, rows in enumerate(np.bincount(swath.message).tolist()):
                batch.tallies[message].received += rows * rack.width
        taken = [(rack, self.racks.put(rack, swath), swath) for rack, swath in swaths]
        held = [held_block(batch.held)] if batch.held else []  # readings refused below bear their own block
        blocks, changes = self._take_loose(batch, clock, outcome)
        if taken or changes:
            outcome.rows.extend(self._stored(taken, changes))
        for rows in (quarantine_rows(batch.held + batch.released), intake_rows(batch.tallies)):
            if len(rows):
                outcome.rows.append(rows)
        outcome.told.extend(batch.told)
        outcome.tallies.extend(batch.tallies)
        sheaves = [rack.sheaf(swath.rows, swath.ticks, swath.sent) for rack, swath in swaths]
        outcome.onward.extend(in_order(blocks + held, sheaves, batch.beside, closing))
        self.racks.trim()
        self._opener.tidy()

    def _take_loose(self, batch: _Batch, clock: Clock, outcome: Outcome) -> tuple[list[Block], list[Changes]]:
        """Judge and merge what must be looked at reading by reading; say what goes on and what has changed."""
        if not batch.parts:
            return [], []
        candidates = self._reaper.glean(batch.parts)
        for message, readings in enumerate(np.bincount(candidates.message).tolist()):
            batch.tallies[message].received += readings
        judged = judge(
            candidates, self._opener.paths, self._timely(), clock.appended_at_s[candidates.message]
        )
        refused = self._hold_refused(candidates, judged, batch)
        block = block_of(candidates, judged, ~refused, self._opener.paths, batch.tallies)
        blocks, changes = [], []
        if len(block):
            slot = self.ledger.slots(block.points)[block.slot]
            merged = self._merge(block, slot, candidates.message[~refused], batch, outcome)
            changes.append(_changes(block, slot, merged.verdict))
            blocks.append(merged_block(block, merged))
            newest = newest_rows(blocks[0].accepted())
            if len(newest):
                outcome.rows.append(newest)
        if refused.any():
            blocks.append(refused_block(candidates, judged, refused, self._opener.paths, batch.tallies))
        return blocks, changes

    def _stored(self, taken: list[tuple[Rack, Laid, Swath]], changes: list[Changes]) -> Iterator[Rows]:
        """Chunks of the hours that were touched: of those a rack holds whole from it, of others from the ledger."""
        for rack, _, swath in taken:
            lists, at = rack.lists["id"][swath.rows["number"]], swath.rows["read_at_ms"]
            mixed = hour_of(at) < self.racks.mixed[lists]
            if mixed.any():
                self.racks.fetch(np.unique(lists[mixed]), int(at[mixed].min()))
        words = self.racks.words()
        for rack, laid, swath in taken:
            at = swath.rows["read_at_ms"]
            whole = hour_of(at) >= self.racks.mixed[rack.lists["id"][swath.rows["number"]]]
            if whole.any():
                yield rack_chunks(rack, laid.first + np.flatnonzero(whole), laid, words)
            if not whole.all():
                changes = [*changes, _changed_rows(rack, swath.keep(~whole))]
            yield newest_of(rack, swath.rows, words)
        keys = np.concatenate([one.keys for one in changes]) if changes else np.empty(0, np.uint64)
        if len(keys):
            yield ledger_chunks(self.ledger, Changes(keys, np.concatenate([one.position for one in changes])))

    def _hold_refused(self, candidates: Candidates, judged: Judged, batch: _Batch) -> Bools:
        refused = np.zeros(len(candidates.path), bool)
        for reason, mask in judged.refused.items():
            refused |= mask
            for i in np.flatnonzero(mask).tolist():
                path = self._opener.paths[candidates.path[i]]
                tally = batch.tallies[candidates.message[i]]
                tally.quarantined += 1
                evidence = dict(path.evidence) or _evidence(
                    reason, candidates, i, path, tally, self.catalogue.begins_ms
                )
                payload = json.dumps(
                    _as_sent(candidates, i)
                    | {"point": path.point, "unit": path.unit, "decimals": path.decimals}
                )
                batch.held.append(
                    Held(tally, int(candidates.item[i]), Reason[reason], path.point, evidence, payload)
                )
        return refused

    def _merge(
        self, block: Block, slot: Slots, message: npt.NDArray[np.int64], batch: _Batch, outcome: Outcome
    ) -> Merge:
        """Settle readings in the ledger; make the rows of those that lost."""
        _, lists = self.racks.of_slots(compact(slot)[0].astype(np.int32))
        if len(lists):
            self.racks.lift(np.unique(lists))
        merged = self.ledger.merge(block, slot)
        self.racks.reached(slot, block.read_at_ms)
        accepted = merged.verdict <= Verdict.REPLACED
        conflict = (merged.verdict == Verdict.REPLACED) | (merged.verdict == Verdict.LOST)
        n = len(batch.tallies)
        duplicates = np.bincount(message[~accepted], minlength=n).tolist()
        conflicts = np.bincount(message[conflict], minlength=n).tolist()
        for tally, doubled, disputed in zip(batch.tallies, duplicates, conflicts, strict=True):
            tally.duplicate += doubled
            tally.conflicts += disputed
        outcome.rows.extend(
            self._superseded(merged)
        )  # first: a crash must not leave a winner without its loser
        return merged

    def _superseded(self, merged: Merge) -> list[Rows]:
        keys = merged.superseded_keys
        if not len(keys):
            return []
        return [
            reading_rows("reading_superseded", self.ledger, slot_of(keys), merged.superseded | _times(keys))
        ]


def _changes(block: Block, slot: npt.NDArray[np.int32], verdict: npt.NDArray[np.uint8]) -> Changes:
    """What of a merged block changed its chunk: what stands now, and what raised a sequence."""
    changed = (verdict <= Verdict.REPLACED) | (verdict == Verdict.RAISED)
    keys = key_of(slot[changed], block.read_at_ms[changed], block.origin[changed])
    return Changes(keys, block.position[changed])


def _changed_rows(rack: Rack, swath: Swath) -> Changes:
    """The readings of plain rows, spelled out."""
    slots = rack.lists["slots"][swath.rows["number"]].ravel()
    at, position = (np.repeat(swath.rows[name], rack.width) for name in ("read_at_ms", "position"))
    return Changes(key_of(slots, at, int(rack.origin)), position)


def _times(keys: npt.NDArray[np.uint64]) -> dict[str, npt.NDArray[Any]]:
    return {"read_at_ms": at_of(keys), "origin": origin_of(keys)}


def _as_sent(candidates: Candidates, i: int) -> dict[str, object]:
    names = ("read_at_ms", "sent", "received_at_s", "sequence", "origin", "quality")
    return {name: int(getattr(candidates, name)[i]) for name in names}


def _evidence(
    reason: str, candidates: Candidates, i: int, path: Path, tally: Tally, begins_ms: int
) -> dict[str, str]:
    """Parameters of the reason's text (schemas/codes/reasons.csv)."""
    point = path.facts.point if path.facts else None
    at, received = int(candidates.read_at_ms[i]), int(candidates.received_at_s[i]) * 1000
    if reason == "NOT_A_TIME":
        return {"got": str(at if not 0 <= at < 2**TIME_BITS else received)}
    if reason == "STAMP_IN_FUTURE" and at <= received:  # the receipt itself lies ahead of the log
        return {"got": str(received), "limit": str(tally.record.appended_at_s * 1000)}
    stamps = {
        "STAMP_IN_FUTURE": received,
        "BEYOND_RETENTION": begins_ms,
        "BEFORE_POINT": point.valid_from_ms if point else 0,
        "AFTER_POINT": point.valid_to_ms if point else 0,
    }
    if reason in stamps:
        return {"got": str(at), "limit": str(stamps[reason])}
    sent = f"{Decimal(int(candidates.sent[i])).scaleb(-path.decimals)} {path.unit}"
    modulus = max((span[3] for span in path.spans), default=0)
    return {"got": sent, "limit": str(modulus)} if reason == "OVER_MODULUS" else {"got": sent}


def _check_speaker(notice: Notice, record: Record) -> None:
    """A notice speaks for the enterprise of its key, or for none."""
    enterprise = getattr(getattr(notice, "value", notice), "enterprise", "")
    if enterprise and enterprise != record.key:
        raise wrong_enterprise(record, enterprise)


def _refuse_message(tally: Tally, error: ContractError, batch: _Batch) -> None:
    """Hold a whole message back: it counts as one."""
    payload = base64.b64encode(tally.record.value[:PAYLOAD_LIMIT]).decode()
    batch.held.append(
        Held(tally, 0, Reason[error.reason], "", error.parameters or {"error": str(error)}, payload)
    )
    tally.received += 1
    tally.quarantined += 1


def _hold_rejected(notice: RejectedNotice, tally: Tally, batch: _Batch) -> None:
    """Rows of a file that were refused before the log."""
    strange = next((row.reason for row in notice.rows if row.reason not in _REASONS), None)
    if strange is not None:
        raise ContractError("BAD_FIELD", f"unknown reason {strange}", field="reason", got=strange)
    tally.received = tally.quarantined = len(notice.rows)
    batch.tallies.append(tally)
    for item, row in enumerate(notice.rows):
        evidence = {"row": str(row.row), **row.parameters}
        batch.held.append(Held(tally, item, Reason(row.reason), row.point, evidence, row.text))
