"""A centre that acknowledges wrongly: nothing is taken for arrived, and it is told once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from uplink.rig import Rig, RoughLog, play
from uplink.test_uplink import assert_whole

from nengliu.domain.links import LinkKind

Wrong = Callable[[list[int]], Sequence[int]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda positions: [],
        lambda positions: [*positions, positions[-1] + 1],
        lambda positions: positions[:-1] or [1, 2],
        lambda positions: [positions[0]] * len(positions) if len(positions) > 1 else [-1],
        lambda positions: [-1 for _ in positions],
    ],
)
def test_acknowledgement_of_what_was_not_sent_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    """Too many, too few, the same twice or places that are none: all is sent again until it is well acknowledged."""
    append = RoughLog.append
    lies = [True]

    def lie(log: RoughLog, topic: str, messages: Sequence[tuple[str, bytes]]) -> Sequence[int]:
        positions = append(log, topic, messages)
        return wrong(positions) if lies[0] else positions

    monkeypatch.setattr(RoughLog, "append", lie)

    async def story(rig: Rig) -> None:
        rig.poll()
        rig.poll()
        await rig.go(120)
        assert rig.buffer.queued("centre")[0] > 0
        assert rig.kinds() == [LinkKind.BAD_ACKNOWLEDGEMENT, LinkKind.LOG_DOWN]
        await rig.die()
        rig.start()
        await rig.go(60)
        lies[0] = False
        await rig.go(300)
        lies[0] = True
        await rig.go(60)
        lies[0] = False
        await rig.go(300)

    rig = play(tmp_path, story)

    assert_whole(rig)
    bad = [event for event in rig.events if event.kind == LinkKind.BAD_ACKNOWLEDGEMENT]
    assert len(bad) == 2  # once for each time, a restart does not repeat it
    assert bad[0].parameters["centre"] == "centre"
    assert bad[0].parameters["got"]
    assert rig.buffer.queued("centre") == (0, 0)
