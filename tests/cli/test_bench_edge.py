"""The benchmark of the edge measures what it says."""

from __future__ import annotations

from acquisition.codecs.exchange import Answer
from nengliu.cli.bench_edge import ASKED, CODEC_GOAL, DIRTY_EVERY, METERS, _line, codec_figures


def test_figures_of_the_codecs_are_rates_with_a_goal() -> None:
    """Every figure is measured; the first is held against the wanted 250,000 replies a second."""
    figures = codec_figures(rounds=1)

    assert [figure.goal for figure in figures] == [CODEC_GOAL, None, None]
    assert CODEC_GOAL == 250_000
    assert all(figure.value > 1000 for figure in figures)


def test_line_that_is_measured_is_dirty_and_says_numbers() -> None:
    """One reply in twenty comes after garbage; every one holds as many values as were asked."""
    line = _line(DIRTY_EVERY)

    assert len(line) == METERS * len(ASKED)
    assert sum(b"\x68\xff\x16" in heard.came for heard in line) == len(line) // DIRTY_EVERY
    for heard in line:
        found = heard.block.exchange(heard.address).feed(heard.came)
        assert isinstance(found, Answer)
        assert len(found.values) == len(heard.block.items)
