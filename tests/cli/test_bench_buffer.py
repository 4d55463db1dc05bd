"""The figures of the buffer, on a fiftieth of their rows."""

from __future__ import annotations

import pytest

from nengliu.cli import bench_buffer


def test_buffer_figures_measure_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are positive, and a fiftieth of the days is far below the sizes that fifteen may have."""
    monkeypatch.setattr(bench_buffer, "SLOTS", 30)
    facts = bench_buffer.buffer_figures(rounds=1)

    assert [fact.unit for fact in facts] == ["rows/s"] * 3 + ["MiB"] * 2
    assert all(fact.value > 0 for fact in facts)
    size, with_frames = (fact for fact in facts if fact.unit == "MiB")
    assert size.value < with_frames.value < 10
    assert (size.goal, with_frames.goal, size.holds, with_frames.holds) == (80.0, 160.0, True, True)
