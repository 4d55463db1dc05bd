"""Messages of every fate for the laws of intake, each with what an independent clerk expects of it.

Also what the tests of intake share: a shard over a store, the rows of an outcome, the parameters of each reason.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
from factories import AT_MS, AT_S, ENTERPRISE, OTHER, make_frame, make_json, make_point, make_rows
from hypothesis import strategies as st
from ingest_store import IngestStore, rows_of

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard, Outcome
from nengliu.analysis.intake.waiting import WaitingRoom
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.domain.times import DAY_MS, from_ms
from schemas.messages import MISSING, RejectedNotice, RejectedRow, encode

POINTS = (make_point(), make_point("t", Kind.GAUGE, unit="kW", item="active_power", decimals=2))
UNITS = {"e-main": "kWh", "t": "kW"}
FUTURE_MS = AT_MS + 40 * DAY_MS
TEXT = resources.files("schemas").joinpath("codes/reasons.csv").read_text("utf-8")
PLACES = {row["code"]: set(re.findall(r"{(\w+)}", row["zh"])) for row in csv.DictReader(TEXT.splitlines())}
LATE_S = AT_S + 40 * 86_400


def shard(store: IngestStore | None = None, kind: type[IngestShard] = IngestShard) -> IngestShard:
    """Make a shard that asks a store, if there is one."""
    if store is None:
        return kind()
    return kind(Catalogue(store.notices), store.readings, waiting=WaitingRoom(store.waiting))


def table(outcome: Outcome, name: str) -> list[dict[str, Any]]:
    """Rows of one table in an outcome; of `reading` those of the chunks that stand in the end."""
    if name == "reading":
        store = IngestStore()
        store.write(outcome.rows)
        store.flush()
        return store.standing()
    return [row for rows in outcome.rows if rows.table == name for row in rows_of(rows)]


@dataclass
class Sent:
    """A message: its bytes, the readings (point, at, ticks, sequence) that are sound, and the refusals."""

    value: bytes
    sound: list[tuple[str, int, int, int]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


times = st.sampled_from([AT_MS + day * DAY_MS + quarter * 900_000 for day in (0, 1, 4) for quarter in (0, 1)])
ticks = st.integers(0, 2)
sequences = st.integers(1, 4)


@st.composite
def frames(draw: st.DrawFn) -> Sent:
    """Draw a frame of both columns; some cells are empty, negative registers or ahead of the clock."""
    at, sequence = draw(times), draw(sequences)
    sent = Sent(b"")
    stamps = [at, FUTURE_MS] if draw(st.booleans()) else [at]
    values = []
    for stamp in stamps:
        row = []
        for point in UNITS:
            value = draw(st.sampled_from([0, 1, 2, -1, MISSING]))
            row.append(value)
            if value == MISSING:
                continue
            if stamp == FUTURE_MS:
                sent.refused["STAMP_IN_FUTURE"] += 1
            elif value < 0 and point == "e-main":
                sent.refused["NEGATIVE_REGISTER"] += 1
            else:
                sent.sound.append((point, stamp, value, sequence))
        values.append(row)
    frame = make_frame(
        values, read_at_ms=np.array(stamps), sequence=sequence, received_at_s=AT_S + 30 * 86_400
    )
    sent.value = encode(frame)
    return sent


@st.composite
def loose(draw: st.DrawFn) -> Sent:
    """Draw rows of the gauge, doubled within the message."""
    cells = draw(st.lists(st.tuples(times, ticks), max_size=4))
    sequence = draw(sequences)
    rows = make_rows(
        [value for _, value in cells],
        read_at_ms=np.array([at for at, _ in cells], np.int64),
        column=np.ones(len(cells), np.uint32),
        received_at_s=np.full(len(cells), AT_S + 30 * 86_400),
        sequence=sequence,
        origin=0,
    )
    return Sent(encode(rows), [("t", at, value, sequence) for at, value in cells])


BROKEN: dict[str, dict[str, Any]] = {
    "UNKNOWN_POINT": {"point": "nobody"},
    "WRONG_UNIT": {"unit": "m3"},
    "NOT_FINITE": {"value": "NaN"},
    "NOT_A_NUMBER": {"value": "on"},
    "EMPTY_VALUE": {"value": None},
    "OUT_OF_INT64": {"value": "0.000000000000000001", "unit": "Wh"},
    "WRONG_VERSION": {"v": 2},
    "WRONG_ENTERPRISE": {"enterprise": OTHER},
    "BAD_FIELD": {"origin": "?"},
    "NOT_A_TIME": {"read_at": "2023-11-14"},
    "BEFORE_POINT": {"read_at": "1969-12-31T23:59:59+08:00"},
    "NEGATIVE_REGISTER": {"value": "-0.01"},
    "NOT_EXACT": {"value": "0.001"},
}
BROKEN["NOT_A_TIME "] = BROKEN.pop("BEFORE_POINT")  # before 1970 there is no time at all


@st.composite
def foreign(draw: st.DrawFn) -> Sent:
    """Draw an array or lines of JSON: sound objects among broken ones."""
    sent, parts = Sent(b""), []
    lines = draw(st.booleans())
    for _ in range(draw(st.integers(1, 4))):
        sequence = draw(sequences)
        fault = draw(st.none() | st.sampled_from([*BROKEN, "line"]))
        at, value, point = draw(times), draw(ticks), draw(st.sampled_from(list(UNITS)))
        if fault == "line":
            parts.append("{broken" if lines else "5")
            sent.refused["NOT_A_MESSAGE" if lines else "WRONG_VERSION"] += 1
            continue
        entry = make_json(
            point=point if fault is None else "e-main",
            unit=UNITS[point] if fault is None else "kWh",
            value=f"{value / 100:.2f}",
            read_at=from_ms(at).isoformat(),
            received_at=from_ms(AT_MS + 30 * DAY_MS).isoformat(),
            sequence=sequence,
        )
        if fault is None:
            sent.sound.append((point, at, value, sequence))
        else:
            entry |= BROKEN[fault]
            sent.refused[fault.strip()] += 1
        parts.append(json.dumps(entry))
    whole = lines and len(parts) == 1 and parts[0] == "{broken"
    if whole:
        sent.refused = Counter({"NOT_A_MESSAGE": 1})
    sent.value = (
        "\n".join(parts) if lines and (len(parts) > 1 or whole) else f"[{','.join(parts)}]"
    ).encode()
    return sent


@st.composite
def damaged(draw: st.DrawFn) -> Sent:
    """Draw a message that is refused whole, for every reason of the network and communication layer."""
    whole = encode(make_frame(((1, 2),)))
    future = bytearray(whole)
    future[2] = 9
    return draw(
        st.sampled_from(
            [
                Sent(whole[:9], refused=Counter(["TRUNCATED"])),
                Sent(b"", refused=Counter(["TRUNCATED"])),
                Sent(whole[:-1], refused=Counter(["CORRUPT"])),
                Sent(bytes(future), refused=Counter(["WRONG_VERSION"])),
                Sent(b"garbage before it all", refused=Counter(["NOT_A_MESSAGE"])),
                Sent(encode(make_frame(((1,),))), refused=Counter(["RAGGED_ROW"])),
                Sent(encode(make_frame(((1, 2),), schema=9)), refused=Counter(["UNKNOWN_SCHEMA"])),
                Sent(encode(make_frame(((1, 2),), enterprise=OTHER)), refused=Counter(["WRONG_ENTERPRISE"])),
                Sent(
                    encode(
                        RejectedNotice(
                            ENTERPRISE,
                            "a.csv",
                            AT_S,
                            (RejectedRow(3, Reason.EMPTY_VALUE), RejectedRow(4, 316, "e-main")),
                        )
                    ),
                    refused=Counter(["EMPTY_VALUE", "RAGGED_ROW"]),
                ),
                Sent(
                    encode(RejectedNotice(ENTERPRISE, "a.csv", 2**40, (RejectedRow(3, 999),))),
                    refused=Counter(["BAD_FIELD"]),
                ),
            ]
        )
    )


messages = st.lists(frames() | loose() | foreign() | damaged(), max_size=14)


def verdicts(
    log: list[Sent],
) -> tuple[list[tuple[int, int, int, int]], dict[tuple[str, int], tuple[int, int]]]:
    """Per message received, valid, duplicate and conflicts, and what stands in the end, by a dictionary."""
    standing: dict[tuple[str, int], tuple[int, int]] = {}
    found = []
    for sent in log:
        valid = duplicate = conflicts = 0
        for point, at, value, sequence in sent.sound:
            old = standing.get((point, at))
            won = old is None or (old[1] != value and (sequence, value) > old)
            conflicts += old is not None and old[1] != value
            valid, duplicate = valid + won, duplicate + (not won)
            if won:
                standing[point, at] = sequence, value
            elif old is not None and old[1] == value:
                standing[point, at] = max(old[0], sequence), value
        found.append((len(sent.sound) + sent.refused.total(), valid, duplicate, conflicts))
    return found, standing
