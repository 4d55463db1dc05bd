"""The law of the uplink: whatever the weather and whoever dies, everything arrives, in one version."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from uplink.rig import Rig, play

from nengliu.domain.links import LinkKind
from schemas.messages import decode

STEPS = st.lists(
    st.tuples(st.sampled_from(["go", "go", "down", "up", "lost", "die"]), st.integers(1, 30)),
    min_size=3,
    max_size=15,
)


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_run_any_weather_everything_arrives_in_one_version(steps: list[tuple[str, int]]) -> None:
    """All readings and all events arrive; repetitions are byte-equal; up and down are told in turn."""

    async def story(rig: Rig) -> None:
        for step, size in steps:
            if step == "go":
                await rig.go(10 * size)
            elif step == "die":
                await rig.die()
                rig.start()
            else:
                rig.weather.down, rig.weather.ack_lost = step == "down", step == "lost"
        rig.weather.down = rig.weather.ack_lost = False
        await rig.go(900)

    with TemporaryDirectory() as folder:
        rig = play(Path(folder), story, backfill_per_s=3)
        versions: dict[int, set[bytes]] = {}
        for record in rig.records():
            versions.setdefault(decode(record.value).sequence, set()).add(record.value)  # type: ignore[union-attr]
        frames = {frame.sequence for frame in rig.frames()}
        assert frames == set(rig.put_at)
        assert len(versions) == len(frames) + len(rig.events)
        assert all(len(values) == 1 for values in versions.values())
        turns = [kind for kind in rig.kinds() if kind in (LinkKind.LOG_UP, LinkKind.LOG_DOWN)]
        assert all(before != after for before, after in pairwise(turns))
        assert turns[-1] == LinkKind.LOG_UP
        assert not any(frame.backfilled for frame in rig.frames()[-30:])  # the end was fair
