"""Telemetry: every event is a counter and one log line, and normal operation is silent."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from nengliu import telemetry
from nengliu.telemetry import Event, FlowResumed, ReadingsQuarantined, ReadingsReceived, RowsWritten, emit


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    handlers, level = telemetry.logger.handlers, telemetry.logger.level
    telemetry.reset()
    yield
    telemetry.reset()
    telemetry.logger.handlers = handlers
    telemetry.logger.setLevel(level)


def written(event: Event, *, debug: bool = False) -> str:
    stream = io.StringIO()
    telemetry.configure(debug=debug, stream=stream)
    emit(event)
    return stream.getvalue()


def test_events_are_counted_by_their_labels() -> None:
    """Two reasons are two counters."""
    emit(ReadingsQuarantined(2, reason="WRONG_UNIT"))
    emit(ReadingsQuarantined(3, reason="WRONG_UNIT"))
    emit(ReadingsQuarantined(1, reason="CORRUPT"))

    assert telemetry.snapshot() == {
        "nengliu_ingest_quarantined_readings_total{reason=WRONG_UNIT}": 5,
        "nengliu_ingest_quarantined_readings_total{reason=CORRUPT}": 1,
    }


def test_positions_are_no_labels() -> None:
    """An unbounded field goes into the log line and not into the name of a counter."""
    emit(FlowResumed(1, flow="ingest", partition=3, position=9))

    assert list(telemetry.snapshot()) == ["nengliu_flows_resumed_partitions_total{flow=ingest}"]


def test_event_without_occurrence_is_nothing() -> None:
    """Zero readings make neither a counter nor a line."""
    assert written(ReadingsReceived(0), debug=True) == ""
    assert telemetry.snapshot() == {}


def test_normal_operation_is_silent() -> None:
    """Received readings and written rows are no news."""
    assert written(ReadingsReceived(5)) == ""
    assert written(RowsWritten(5, table="reading")) == ""


def test_warning_is_one_line_with_pairs() -> None:
    """A line has time, level, event and key=value pairs, and no value can break it in two."""
    line = written(ReadingsQuarantined(2, reason="two words\nand more"))

    assert line.count("\n") == 1
    assert line.endswith("Z WARNING ReadingsQuarantined count=2 reason=two\\swords\\nand\\smore\n")


@pytest.mark.parametrize("kind", Event.__subclasses__())
def test_every_event_has_metric_level_and_meaning(kind: type[Event]) -> None:
    """The catalogue of events is complete: a metric of the house's form, a level, a sentence."""
    assert kind.metric.startswith("nengliu_")
    assert kind.metric.endswith("_total")
    assert kind.level in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
    assert (kind.__doc__ or "").endswith(".")
