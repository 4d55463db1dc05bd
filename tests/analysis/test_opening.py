"""Opening of records: what they hold, what is refused whole and what in part."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from factories import (
    AT_MS,
    AT_S,
    ENTERPRISE,
    GENERATION,
    OTHER,
    TIME,
    make_block,
    make_catalogue,
    make_frame,
    make_json,
    make_point,
    make_record,
    make_rows,
)

from nengliu.analysis.intake.candidates import Candidates
from nengliu.analysis.intake.opening import Opened, Opener
from nengliu.domain.points import Kind
from nengliu.domain.quality import Origin, Quality
from nengliu.errors import ContractError
from schemas.messages import MISSING, PointNotice

MATRIX = {
    "v": 1,
    "enterprise": ENTERPRISE,
    "schema": 1,
    "source": "g",
    "times": [TIME],
    "values": [["1.5", "2"]],
}


def opener() -> Opener:
    """Make an opener that knows a counter of kWh and a gauge of kW with one decimal."""
    return Opener(make_catalogue(make_point(), make_point("t", Kind.GAUGE, unit="kW", decimals=1)))


def opened(message: Any, **given: Any) -> tuple[Opened, Candidates]:
    """Open a record that must hold readings."""
    one = opener()
    found = one.open(make_record(message, **given), GENERATION)
    candidates = found.candidates if found.frame is None else one.spread([found.frame], [0])
    assert candidates is not None
    return found, candidates


def test_frame_is_spread_out_row_by_row_without_its_empty_cells() -> None:
    """Each cell has its time, its column and its number; a missing one is nowhere."""
    frame = make_frame(
        ((1, MISSING), (3, 4)), quality=np.array([[0, 0], [5, 6]], np.uint8), origin=Origin.OPC
    )
    found, cells = opened(frame)

    assert (found.source, found.received_at_s) == ("collector-1", AT_S + 1800)
    assert cells.path.tolist() == [0, 0, 1]
    assert cells.sent.tolist() == [1, 3, 4]
    assert cells.read_at_ms.tolist() == [AT_MS, AT_MS + 900_000, AT_MS + 900_000]
    assert cells.quality.tolist() == [0, Quality.SUSPECT, Quality.BAD]
    assert cells.item.tolist() == [0, 2, 3]
    assert set(cells.origin.tolist()) == {Origin.OPC}
    assert set(cells.sequence.tolist()) == {AT_S << 32 | 1}


def test_rows_keep_their_own_receipt_and_reason() -> None:
    """The message is dated by the newest of its readings."""
    found, cells = opened(
        make_rows(
            (5, 6),
            column=np.array([1, 0], np.uint32),
            received_at_s=np.array([9, 7]),
            reason=np.array([401, 0], np.uint16),
        )
    )

    assert found.received_at_s == 9
    assert cells.path.tolist() == [1, 0]
    assert cells.received_at_s.tolist() == [9, 7]
    assert cells.reason.tolist() == [401, 0]


def test_json_left_bare_takes_receipt_and_order_from_the_log() -> None:
    """What is assumed comes from the log, so a replay assumes the same."""
    _, cells = opened(make_json(), offset=2**32 + 7, appended_at_s=AT_S + 5)

    assert cells.received_at_s.tolist() == [AT_S + 5]
    assert cells.sequence.tolist() == [(AT_S + 5) << 32 | 7]


def test_json_matrix_is_brought_to_the_decimals_of_its_columns() -> None:
    """1.5 in a column of two decimals is 150, 2 in one of one decimal is 20."""
    found, cells = opened(MATRIX)

    assert found.source == "g"
    assert (cells.path.tolist(), cells.sent.tolist()) == ([0, 1], [150, 20])


@pytest.mark.parametrize(
    ("values", "reason", "evidence"),
    [
        ([["1.555", "1"]], "NOT_EXACT", {"got": "1555e-3"}),
        ([["1", "1", "1"]], "RAGGED_ROW", {"expected": "2", "got": "3"}),
        ([["99999999999999999", "1"]], "OUT_OF_INT64", {"got": "99999999999999999"}),
    ],
)
def test_json_cell_that_does_not_fit_its_column_is_refused_alone(
    values: list[Any], reason: str, evidence: dict[str, str]
) -> None:
    """The other cells of the row are taken."""
    found, cells = opened(MATRIX | {"values": values})

    assert [(r.reason, r.evidence) for r in found.refusals] == [(reason, evidence)]
    assert len(cells.sent) == len(values[0]) - 1


def test_json_of_another_enterprise_or_schema_is_refused_part_by_part() -> None:
    """Each object names its own enterprise and list, and each is judged alone."""
    entries = [make_json(), make_json(enterprise=OTHER), MATRIX | {"schema": 9}]
    found, cells = opened(entries)

    assert [(r.reason, r.evidence) for r in found.refusals] == [
        ("WRONG_ENTERPRISE", {"expected": ENTERPRISE, "got": OTHER}),
        ("UNKNOWN_SCHEMA", {"got": "9"}),
        ("UNKNOWN_SCHEMA", {"got": "9"}),
    ]
    assert len(cells.sent) == 1


@pytest.mark.parametrize(
    ("message", "reason", "evidence"),
    [
        (make_frame(((1, 2),), enterprise=OTHER), "WRONG_ENTERPRISE", {"expected": ENTERPRISE, "got": OTHER}),
        (make_rows((1,), enterprise=OTHER), "WRONG_ENTERPRISE", {"expected": ENTERPRISE, "got": OTHER}),
        (make_frame(((1,),)), "RAGGED_ROW", {"expected": "2", "got": "1"}),
        (make_rows((1,), column=np.array([2], np.uint32)), "RAGGED_ROW", {"expected": "2", "got": "3"}),
        (make_block([{}]), "NOT_A_MESSAGE", {"got": "VALID"}),
        (b"{", "NOT_A_MESSAGE", {"got": "{"}),
    ],
)
def test_record_that_breaks_its_agreement_is_refused_whole(
    message: Any, reason: str, evidence: dict[str, str]
) -> None:
    """Wrong enterprise, list, width or kind: nothing of the message is believed."""
    with pytest.raises(ContractError) as caught:
        opener().open(make_record(message), GENERATION)

    assert caught.value.reason == reason
    assert evidence.items() <= caught.value.parameters.items()


@pytest.mark.parametrize(
    "message", [make_frame(((1, 2),), schema=9), make_rows((1,), schema=9), MATRIX | {"schema": 9}]
)
def test_message_by_a_list_nobody_declared_says_which(message: Any) -> None:
    """Source and receipt are known before the list is."""
    found = opener().open(make_record(message), GENERATION)

    assert (found.unknown, found.frame, found.candidates, found.refusals) == (9, None, None, ())
    assert found.source != ""
    assert found.received_at_s > AT_S


def test_notice_is_handed_back_unopened() -> None:
    """What a notice means is for the catalogue."""
    notice = PointNotice(make_point())

    assert opener().open(make_record(notice), GENERATION).notice == notice


def test_record_without_any_reading_holds_nothing() -> None:
    """An empty list or an empty frame is no reading and no refusal."""
    assert opener().open(make_record([]), GENERATION).candidates is None
    _, cells = opened(make_frame(((MISSING, MISSING),)))
    assert len(cells.sent) == 0


def test_opener_forgets_paths_when_the_catalogue_changes() -> None:
    """A point that becomes known is known to the columns that already used it, and old paths are let go."""
    found = Opener(make_catalogue(make_point("x")))
    record = make_record(make_json())
    found.open(record, GENERATION)
    assert [path.refusal for path in found.paths] == ["UNKNOWN_POINT"]
    found.catalogue.take(PointNotice(make_point()), 5)
    found.forget(ENTERPRISE)
    found.open(record, GENERATION)

    assert [path.refusal for path in found.paths] == [""]


def test_catalogue_is_loaded_as_of_the_start_of_the_run() -> None:
    """Frames and JSON ask for their enterprise before they are opened."""
    asked: list[tuple[str, int]] = []
    for message in (make_frame(((1, 2),)), make_json()):
        one = opener()
        one.catalogue._loader = lambda enterprise, before: asked.append((enterprise, before)) or []
        one.open(
            make_record(json.dumps(message).encode() if isinstance(message, dict) else message, 9),
            GENERATION + 4,
        )

    assert asked == [(ENTERPRISE, GENERATION + 4)] * 2
