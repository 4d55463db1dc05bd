"""The benchmark of the watch: it takes the province in as a flow does, faults and all."""

from __future__ import annotations

from nengliu.cli.bench_watch import PLANTS, POINTS, QUARTERS, WatchResult, measure_watch


def test_the_watch_is_measured_with_faults_in_the_data() -> None:
    """Nearly all of the readings come, some are held back by faults, and the rules find something in them."""
    result = measure_watch(4)

    whole = 4 * PLANTS * POINTS * QUARTERS
    assert 0.97 * whole < result.readings < whole
    assert result.rows > 0
    assert result.cpu_s > 0
    assert result.live_ms > 0


def test_the_line_says_readings_per_cpu_second() -> None:
    """A million readings in two seconds are half a million."""
    line = WatchResult(readings=1_000_000, cpu_s=2.0, live_ms=1.25, rows=30).line()

    assert "**500,000** readings/CPU-s" in line
    assert "1.25 ms per live message" in line
