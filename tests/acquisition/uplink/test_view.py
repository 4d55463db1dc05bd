"""What a centre gets of a message: its points and nothing else, always the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from factories import ENTERPRISE, make_point
from hypothesis import given
from hypothesis import strategies as st

from acquisition.drivers.upward.view import DERIVED, Columns, Doc, View, derived
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Column, Enterprise, Schema
from nengliu.domain.quality import Origin, Quality, Reason
from schemas.envelope import is_backfilled
from schemas.messages import (
    MISSING,
    EnterpriseNotice,
    Frame,
    LinkEvent,
    LinkNotice,
    Missed,
    Notice,
    PointNotice,
    SchemaNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    decode,
    encode,
    mark_backfilled,
)

COLUMNS = tuple(Column(point, "kW", 1) for point in "abcd")
DOC = Doc(("b", "d"), (("north", "m1"),))


def columns_of(schema: int) -> Columns | None:
    return COLUMNS if schema == 7 else None


def view(*points: str, meters: tuple[tuple[str, str], ...] = (("north", "m1"),)) -> View:
    return View("second", Doc(points, meters), columns_of)


def frame(values: list[list[int]], quality: list[list[int]] | None = None, schema: int = 7) -> Frame:
    times = np.arange(len(values), dtype=np.int64)
    marks = None if quality is None else np.array(quality, np.uint8)
    return Frame(ENTERPRISE, schema, "c", 9, 1, times, np.array(values, np.int64), marks, Origin.COMMAND)


def seen(message: Frame | Notice, *points: str) -> Frame | Notice | None:
    laid = view(*points).project(encode(message))
    return None if laid is None else decode(laid)  # type: ignore[return-value]


def link(*events: LinkEvent, missed: tuple[Missed, ...] = ()) -> LinkNotice:
    return LinkNotice(ENTERPRISE, "c", 9, 1, events, missed)


def event(kind: LinkKind, line: str = "", meter: str = "", **parameters: str) -> LinkEvent:
    return LinkEvent(5, kind, line, meter, parameters=parameters)


def test_frame_is_laid_down_to_the_points_under_a_number_of_its_own() -> None:
    """Values, qualities, stamps, origin and sequence of the centre's columns stay; the others are not there."""
    found = seen(frame([[1, 2, 3, 4], [5, 6, 7, 8]], [[0, 5, 0, 0], [5, 0, 0, 0]]), "b", "d")

    assert isinstance(found, Frame)
    assert found.values.tolist() == [[2, 4], [6, 8]]
    assert found.quality is not None
    assert found.quality.tolist() == [[Quality.SUSPECT, 0], [0, 0]]
    assert (found.sequence, found.origin, found.read_at_ms.tolist()) == (9, Origin.COMMAND, [0, 1])
    assert found.schema == derived(ENTERPRISE, 7, [COLUMNS[1], COLUMNS[3]]) >= DERIVED


def test_frame_column_list_is_declared_as_the_frame_has_it() -> None:
    """The schema notice, laid down by the same list, names the columns of the frame under its number."""
    schema = seen(SchemaNotice(Schema(ENTERPRISE, 7, COLUMNS)), "b", "d")
    found = seen(frame([[1, 2, 3, 4]]), "b", "d")

    assert isinstance(found, Frame)
    assert isinstance(schema, SchemaNotice)
    assert schema.value == Schema(ENTERPRISE, found.schema, (COLUMNS[1], COLUMNS[3]))


def test_frame_of_which_all_is_wanted_keeps_its_bytes() -> None:
    """A list that holds every column changes nothing, not even the number."""
    value = encode(frame([[1, 2, 3, 4]]))
    assert view(*"abcd").project(value) == value


@pytest.mark.parametrize(
    "message",
    [
        frame([[1, MISSING, 3, MISSING]]),
        frame([[1]], schema=8),
        TickNotice(1),
        PointNotice(make_point("a")),
        SchemaNotice(Schema(ENTERPRISE, 8, COLUMNS[:1])),
        link(
            event(LinkKind.METER_DOWN, "north", "m2"), missed=(Missed(1, 1, 1, Reason.TIMEOUT, ("a", "c")),)
        ),
        link(event(LinkKind.LINE_DOWN, "south")),
        link(event(LinkKind.LOG_DOWN, centre="first")),
    ],
)
def test_message_of_which_nothing_is_wanted_is_not_sent(message: Frame | Notice) -> None:
    """Nothing goes out that holds nothing of the centre's points."""
    assert seen(message, "b", "d") is None


def test_notices_are_laid_down_to_the_points() -> None:
    """The enterprise and its points, the wiring and the missing readings of the list; of events its meters."""
    enterprise, point = EnterpriseNotice(Enterprise(ENTERPRISE, "示例厂")), PointNotice(make_point("b"))
    assert seen(enterprise, "b") == enterprise
    assert seen(point, "b") == point
    wiring = WiringNotice(
        ENTERPRISE,
        "c",
        (
            WiredLine("north", (WiredMeter("m1", ("a", "b")), WiredMeter("m2", ("c",)))),
            WiredLine("south", (WiredMeter("m3", ("e",)),)),
        ),
    )
    wired = (WiredLine("north", (WiredMeter("m1", ("b",)),)),)
    assert seen(wiring, "b") == WiringNotice(ENTERPRISE, "c", wired)
    ours = (
        event(LinkKind.HEARTBEAT),
        event(LinkKind.LINE_UP, "north"),
        event(LinkKind.METER_DOWN, "north", "m1"),
        event(LinkKind.LOG_UP, centre="second"),
    )
    others = event(LinkKind.METER_DOWN, "south", "m1"), event(LinkKind.COMMAND_ANSWERED, centre="first")
    missed = Missed(1, 1, 1, Reason.TIMEOUT, ("a", "b")), Missed(1, 1, 1, Reason.TIMEOUT, ("c",))
    kept = (Missed(1, 1, 1, Reason.TIMEOUT, ("b",)),)
    assert seen(link(*ours, *others, missed=missed), "b") == link(*ours, missed=kept)
    whole = link(*ours, missed=kept)
    assert view("b").project(encode(whole)) == encode(whole)


CELLS = st.lists(
    st.lists(st.one_of(st.just(MISSING), st.integers(-(10**9), 10**9)), min_size=4, max_size=4),
    min_size=1,
    max_size=6,
)


@given(CELLS, st.sets(st.sampled_from("abcd"), min_size=1), st.booleans())
def test_projection_any_frame_holds_the_values_of_its_points_and_the_mark(
    cells: list[list[int]], points: set[str], marked: bool
) -> None:
    """Every value of a listed point and no other is there, the mark stays, and a repetition has the same bytes."""
    value = encode(frame(cells))
    value = mark_backfilled(value) if marked else value
    first, again = view(*points).project(value), view(*points).project(value)

    assert first == again
    kept = [at for at, column in enumerate(COLUMNS) if column.point in points]
    wanted = np.array(cells)[:, kept]
    if first is None:
        assert (wanted == MISSING).all()
    else:
        found = decode(first)
        assert isinstance(found, Frame)
        assert found.values.tolist() == wanted.tolist()
        assert is_backfilled(first) == found.backfilled == marked
