"""Intake of one shard: log records in; rows, accepted blocks and notices out.

Three layers check a record (TC 4.4.3-2): the network layer its bytes, the communication
layer its agreement with what was declared, the business layer its values.  What fails is
quarantined with its reason, and every message is tallied, so that received = valid +
duplicate + quarantined holds message by message (law 3).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.candidates import Candidates, Judged, Path, join
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.checks import check_bounds
from nengliu.analysis.evidence import (
    Passing,
    block_of,
    held_block,
    in_order,
    merged_block,
    refused_block,
)
from nengliu.analysis.intake_rows import (
    Held,
    Tally,
    intake_rows,
    newest_rows,
    quarantine_rows,
    reading_rows,
)
from nengliu.analysis.ledger import TIME_BITS, Ledger, Loader, Merge, at_of, origin_of, slot_of
from nengliu.analysis.links import check_links, link_rows
from nengliu.analysis.notice_rows import notice_rows
from nengliu.analysis.notices import check_notice
from nengliu.analysis.opening import Opener, wrong_enterprise
from nengliu.analysis.validate import Limits, judge
from nengliu.bus import Record
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError
from schemas.block import Block, Rows, Verdict
from schemas.messages import (
    ActionNotice,
    ActivityNotice,
    BookNotice,
    EnterpriseNotice,
    ImportNotice,
    LinkNotice,
    Notice,
    PointNotice,
    RegionNotice,
    RejectedNotice,
    SchemaNotice,
    TargetNotice,
    TickNotice,
    WiringNotice,
)

Bools = npt.NDArray[np.bool_]
PAYLOAD_LIMIT = 64_000
"""A refused message is kept up to here; beyond, the log has the rest for its retention."""
REFUSAL_ITEM = 1_000_000
"""Refused parts of a JSON message are numbered from here, so that they never meet a reading's number."""
_REASONS = frozenset(Reason)
_COUNTS = ("sequence_base", "rows", "readings", "repaired", "rejected")
CatalogueNotice = EnterpriseNotice | PointNotice | SchemaNotice | BookNotice | WiringNotice
"""Changes what readings mean or where they hang: it goes on only if it says something new."""
_IMPORT_BOUNDS = dict.fromkeys(_COUNTS, (0, 2**64 - 1)) | {"started_at_s": (0, 2**32 - 1)}


@dataclass(slots=True)
class Outcome:
    """What a batch of records became, in log order."""

    rows: list[Rows] = field(default_factory=list)
    onward: list[Passing] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """Candidates between two notices, and what was already refused."""

    tallies: list[Tally] = field(default_factory=list)
    parts: list[Candidates] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    beside: list[tuple[int, Notice]] = field(default_factory=list)
    """Notices that change nothing here; they go on between the readings around them."""


class IngestShard:
    """Decodes, validates, normalises and deduplicates one shard; plain Python, no stream."""

    def __init__(
        self, catalogue: Catalogue | None = None, loader: Loader | None = None, limits: Limits | None = None
    ) -> None:
        """Start empty; the loaders tell what is stored from before this run."""
        self.catalogue = catalogue or Catalogue()
        self.ledger = Ledger(loader)
        self.limits = limits or Limits()
        self._opener = Opener(self.catalogue)

    def add(self, records: Sequence[Record]) -> Outcome:
        """Take records in log order; a notice takes effect between the readings around it."""
        outcome, batch = Outcome(), _Batch()
        for record in records:
            self.ledger.reach(record.position)
            notice = self._open(record, batch)
            if notice is not None:
                if isinstance(notice, CatalogueNotice):
                    self._settle(batch, outcome)  # so that all goes on in log order
                    batch = _Batch()
                self._note(notice, record, batch, outcome)
        self._settle(batch, outcome)
        return outcome

    def seal(self) -> None:
        """End an epoch (see `Ledger.seal`)."""
        self.ledger.seal()

    def _open(self, record: Record, batch: _Batch) -> Notice | None:
        """Add a record's readings to the batch; a notice is handed back."""
        tally = Tally(record, "", record.appended_at_s)
        try:
            opened = self._opener.open(record, self.ledger.stored)
        except ContractError as error:
            batch.tallies.append(tally)
            _refuse_message(tally, error, batch)
            return None
        if opened.notice is not None:
            return opened.notice
        batch.tallies.append(tally)
        tally.source = opened.source
        if self._plausible(opened.received_at_s, record):
            tally.received_at_s = opened.received_at_s
        for item, refusal in enumerate(opened.refusals, REFUSAL_ITEM):
            batch.held.append(Held(tally, item, Reason[refusal.reason], "", refusal.evidence, refusal.text))
        tally.received = tally.quarantined = len(opened.refusals)
        if opened.candidates is not None:
            tally.received += len(opened.candidates.path)
            opened.candidates.message[:] = len(batch.tallies) - 1
            batch.parts.append(opened.candidates)
        return None

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
            batch.tallies.append(Tally(record, "", record.appended_at_s))
            _refuse_message(batch.tallies[-1], error, batch)

    def _learn(self, notice: CatalogueNotice, record: Record, outcome: Outcome) -> None:
        """Take a notice of the catalogue: a row, and on to the other flows, if it changed anything."""
        check_notice(notice, record, self.limits.future_s)
        self.catalogue.know(record.key, self.ledger.stored)
        if not self.catalogue.take(notice, record.position):
            return
        if isinstance(notice, PointNotice | SchemaNotice):
            self._opener.forget()  # the batch before is settled: no path is in use
        outcome.rows.append(notice_rows(notice, record))
        outcome.onward.append((record.position, notice))

    def _keep(self, notice: Notice, record: Record, batch: _Batch, outcome: Outcome) -> None:
        """Take a notice that changes nothing here: rows of its own, and on if other flows need it."""
        if isinstance(notice, RejectedNotice):
            plausible = self._plausible(notice.received_at_s, record)
            received = notice.received_at_s if plausible else record.appended_at_s
            _hold_rejected(notice, Tally(record, notice.source, received), batch)
        elif isinstance(notice, LinkNotice):
            check_links(notice, record, self.limits.future_s)
            outcome.rows.extend(link_rows(notice, record))
        elif isinstance(notice, ImportNotice):
            check_bounds(notice, _IMPORT_BOUNDS)
        else:
            check_notice(notice, record, self.limits.future_s)
        if isinstance(notice, ImportNotice | RegionNotice | TargetNotice | ActivityNotice):
            outcome.rows.append(notice_rows(notice, record))
        elif isinstance(notice, LinkNotice | ActionNotice | TickNotice):
            batch.beside.append((record.position, notice))

    def _settle(self, batch: _Batch, outcome: Outcome) -> None:
        """Judge and merge the readings of a batch; make its rows and tallies, and what goes on in order."""
        blocks = [held_block(batch.held)] if batch.held else []
        if batch.parts:
            candidates = join(batch.parts)
            appended = np.array([tally.record.appended_at_s for tally in batch.tallies], np.int64)
            judged = judge(candidates, self._opener.paths, self.limits, appended[candidates.message])
            refused = self._hold_refused(candidates, judged, batch)
            block = block_of(candidates, judged, ~refused, self._opener.paths, batch.tallies)
            if refused.any():
                blocks.insert(
                    0, refused_block(candidates, judged, refused, self._opener.paths, batch.tallies)
                )
            if len(block):
                blocks.insert(0, self._merge(block, candidates.message[~refused], batch, outcome))
        for rows in (quarantine_rows(batch.held), intake_rows(batch.tallies)):
            if len(rows):
                outcome.rows.append(rows)
        outcome.tallies.extend(batch.tallies)
        outcome.onward.extend(in_order(blocks, batch.beside))

    def _hold_refused(self, candidates: Candidates, judged: Judged, batch: _Batch) -> Bools:
        refused = np.zeros(len(candidates.path), bool)
        for reason, mask in judged.refused.items():
            refused |= mask
            for i in np.flatnonzero(mask).tolist():
                path = self._opener.paths[candidates.path[i]]
                tally = batch.tallies[candidates.message[i]]
                tally.quarantined += 1
                evidence = dict(path.evidence) or _evidence(reason, candidates, i, path, tally)
                payload = json.dumps(
                    _as_sent(candidates, i)
                    | {"point": path.point, "unit": path.unit, "decimals": path.decimals}
                )
                batch.held.append(
                    Held(tally, int(candidates.item[i]), Reason[reason], path.point, evidence, payload)
                )
        return refused

    def _merge(self, block: Block, message: npt.NDArray[np.int64], batch: _Batch, outcome: Outcome) -> Block:
        """Settle readings in the ledger, make their rows, and say what goes on."""
        merged = self.ledger.merge(block)
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
        outcome.rows += [
            self._standing(keys) for keys in (merged.accepted_keys, merged.raised_keys) if len(keys)
        ]
        passed = merged_block(block, merged)
        newest = newest_rows(passed.accepted())
        if len(newest):
            outcome.rows.append(newest)
        return passed

    def _standing(self, keys: npt.NDArray[np.uint64]) -> Rows:
        """Rows of `reading` as the ledger now holds them."""
        place = np.searchsorted(self.ledger.rows.keys, keys)
        columns = {name: column[place] for name, column in self.ledger.rows.columns.items()}
        return reading_rows("reading", self.ledger, slot_of(keys), columns | _times(keys))

    def _superseded(self, merged: Merge) -> list[Rows]:
        keys = merged.superseded_keys
        if not len(keys):
            return []
        return [
            reading_rows("reading_superseded", self.ledger, slot_of(keys), merged.superseded | _times(keys))
        ]


def _times(keys: npt.NDArray[np.uint64]) -> dict[str, npt.NDArray[Any]]:
    return {"read_at_ms": at_of(keys), "origin": origin_of(keys)}


def _as_sent(candidates: Candidates, i: int) -> dict[str, object]:
    names = ("read_at_ms", "sent", "received_at_s", "sequence", "origin", "quality")
    return {name: int(getattr(candidates, name)[i]) for name in names}


def _evidence(reason: str, candidates: Candidates, i: int, path: Path, tally: Tally) -> dict[str, str]:
    """Parameters of the reason's text (schemas/codes/reasons.csv)."""
    point = path.facts.point if path.facts else None
    at, received = int(candidates.read_at_ms[i]), int(candidates.received_at_s[i]) * 1000
    if reason == "NOT_A_TIME":
        return {"got": str(at if not 0 <= at < 2**TIME_BITS else received)}
    if reason == "STAMP_IN_FUTURE" and at <= received:  # the receipt itself lies ahead of the log
        return {"got": str(received), "limit": str(tally.record.appended_at_s * 1000)}
    stamps = {
        "STAMP_IN_FUTURE": received,
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
