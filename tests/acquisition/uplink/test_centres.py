"""Several centres of one collector: each gets its own, whatever the others do and whatever is configured when."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from factories import ENTERPRISE
from hypothesis import given, settings
from hypothesis import strategies as st
from meters import START_MS, make_config, make_line, make_meter
from uplink.centres_rig import MINUTE, Centres, play
from uplink.rig import Weather

from acquisition.drivers.collector import buffer_path
from acquisition.drivers.config import BufferPlan, CollectorConfig
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.frames import read_frames
from acquisition.drivers.plans import CentrePlan
from acquisition.drivers.upward.centres import open_centre
from nengliu.bus.kafka import KafkaLog
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import MISSING, PointNotice, SchemaNotice, WiringNotice, decode

ALL = CentrePlan("all")
POINTS = tuple(f"m{unit}-r{n}" for unit in (1, 2, 3) for n in (0, 1))
Reading = tuple[str, int, int]


def some(*points: str, name: str = "some") -> CentrePlan:
    return CentrePlan(name, points=points)


def config_of(*centres: CentrePlan, registers: int = 2) -> CollectorConfig:
    meters = (make_meter(unit, registers=registers) for unit in (1, 2, 3))
    return make_config(make_line(*meters), centres=centres, buffer=BufferPlan(backfill_per_s=20))


def readings(rig: Centres, centre: str) -> list[Reading]:
    """Readings as a centre understands them, by the column lists that it was told; repetitions too."""
    columns = {
        one.value.schema: one.value.columns for one in rig.messages(centre) if isinstance(one, SchemaNotice)
    }
    return [
        (column.point, int(at_ms), int(value))
        for frame in rig.frames(centre)
        for at_ms, row in zip(frame.read_at_ms, frame.values, strict=True)
        for column, value in zip(columns[frame.schema], row, strict=True)
        if value != MISSING
    ]


def of(points: Iterable[str], found: Iterable[Reading]) -> set[Reading]:
    wanted = set(points)
    return {one for one in found if one[0] in wanted}


def assert_one_version(rig: Centres, centre: str) -> None:
    """Whatever came twice came as the same bytes."""
    versions: dict[int, set[bytes]] = {}
    for record in rig.records(centre):
        sequence = getattr(decode(record.value), "sequence", None)
        if sequence is not None:
            versions.setdefault(sequence, set()).add(record.value)
    assert all(len(values) == 1 for values in versions.values())


def test_centres_each_gets_its_points(tmp_path: Path) -> None:
    """Both are served at once: one with everything, one with two points, under names it was told."""

    async def story(rig: Centres) -> None:
        await rig.go(3.5)

    rig = play(tmp_path, config_of(ALL, some("m1-r1", "m3-r0")), story)

    everything = readings(rig, "all")
    assert {point for point, _, _ in everything} == set(POINTS)
    assert set(readings(rig, "some")) == of(("m1-r1", "m3-r0"), everything)
    assert len(readings(rig, "some")) == 2 * 4
    (wiring,) = [one for one in rig.messages("some") if isinstance(one, WiringNotice)]
    assert [meter.points for meter in wiring.lines[0].meters] == [("m1-r1",), ("m3-r0",)]


def test_centre_that_is_away_does_not_hold_up_the_other(tmp_path: Path) -> None:
    """One is cut off for hours; the other has each reading in its minute, and the first gets all of it after."""

    async def story(rig: Centres) -> None:
        rig.weather["some"] = Weather()
        await rig.go(2)
        rig.weather["some"].down = True
        for _ in range(60):
            await rig.go(1)
            newest = max(at_ms for _, at_ms, _ in readings(rig, "all"))
            assert newest > rig.clock.now_ms() - 2 * MINUTE
        rig.weather["some"].down = False
        await rig.go(10)

    rig = play(tmp_path, config_of(ALL, some("m1-r1")), story)

    assert set(readings(rig, "some")) == of(("m1-r1",), readings(rig, "all"))
    turns = sorted(rig.events("some", LinkKind.LOG_DOWN, LinkKind.LOG_UP), key=lambda event: event.at_ms)
    assert [event.kind for event in turns] == [LinkKind.LOG_UP, LinkKind.LOG_DOWN, LinkKind.LOG_UP]
    assert {event.parameters["centre"] for event in turns} == {"some"}
    assert {event.parameters["centre"] for event in rig.events("all", LinkKind.LOG_DOWN)} == {"some"}


def test_live_rows_of_a_point_list_never_wait_for_its_backlog(tmp_path: Path) -> None:
    """While hours are still on their way as backfill, each new reading is there within its minute, unmarked."""
    config = replace(config_of(ALL, some("m1-r1", "m2-r0")), buffer=BufferPlan(backfill_per_s=1))

    async def story(rig: Centres) -> None:
        rig.weather["some"] = Weather()
        rig.weather["some"].down = True
        await rig.go(240)
        rig.weather["some"].down = False
        await rig.go(2)
        for _ in range(5):
            await rig.go(1)
            assert rig.collector is not None
            assert rig.collector.buffer.queued("some")[1] > 50
            live = [one for one in rig.frames("some") if not one.backfilled]
            assert max(int(one.read_at_ms[0]) for one in live) > rig.clock.now_ms() - 2 * MINUTE
        await rig.go(30)

    rig = play(tmp_path, config, story)

    assert set(readings(rig, "some")) == of(("m1-r1", "m2-r0"), readings(rig, "all"))
    assert len(readings(rig, "some")) == len(set(readings(rig, "some")))
    backfilled = [int(one.read_at_ms[0]) for one in rig.frames("some") if one.backfilled]
    assert backfilled == sorted(backfilled)
    assert len(backfilled) > 400


def test_frames_are_kept_if_that_is_wanted(tmp_path: Path) -> None:
    """The answer as it came lies beside the reading that was made of it; without the key nothing is kept."""
    for keep, name in ((True, "kept"), (False, "not")):

        async def story(rig: Centres) -> None:
            await rig.go(0.5)
            assert rig.collector is not None
            meter = rig.config.lines[0].meters[0]
            rig.collector.row(meter, rig.clock.now_ms(), {"m1-r0": 7}, raw=b"\x68\x16")
            await rig.go(0.1)

        play(tmp_path / name, replace(config_of(ALL), buffer=BufferPlan(keep_frames=keep)), story)
        path = buffer_path(Settings(home=tmp_path / name), "c1").with_suffix(".frames")
        assert path.exists() is keep
        if keep:
            found = [one for one in read_frames(path, "m1", 0, 9) if one.raw == b"\x68\x16"]
            assert [(one.line, one.at_ms) for one in found] == [("line", START_MS + 30_000)]


def test_centre_added_later_gets_what_is_held(tmp_path: Path) -> None:
    """Readings from before it was configured come as backfill, with their column lists, beside the new ones."""

    async def story(rig: Centres) -> None:
        await rig.go(30.5)
        await rig.stop()
        rig.start(config_of(ALL, some("m2-r0")))
        await rig.go(10)

    rig = play(tmp_path, config_of(ALL), story)

    assert set(readings(rig, "some")) == of(("m2-r0",), readings(rig, "all"))
    assert min(at_ms for _, at_ms, _ in readings(rig, "some")) == START_MS
    assert any(frame.backfilled for frame in rig.frames("some"))


def test_point_list_that_changes_holds_from_then_on(tmp_path: Path) -> None:
    """What was put under the old list goes out by the old one, backlog included; what comes after by the new one."""

    async def story(rig: Centres) -> None:
        rig.weather["some"] = Weather()
        await rig.go(1.5)
        rig.weather["some"].down = True
        await rig.go(30)
        await rig.die()
        rig.start(config_of(ALL, some("m2-r0", "m2-r1")))
        rig.weather["some"].down = False
        await rig.go(20)

    rig = play(tmp_path, config_of(ALL, some("m1-r1")), story)

    found, change_ms = readings(rig, "some"), START_MS + 31 * MINUTE
    everything = readings(rig, "all")
    before = {one for one in of(("m1-r1",), everything) if one[1] <= change_ms}
    after = {one for one in of(("m2-r0", "m2-r1"), everything) if one[1] > change_ms}
    assert set(found) == before | after
    assert_one_version(rig, "some")


def test_centre_taken_out_keeps_its_backlog_until_it_is_forgotten(tmp_path: Path) -> None:
    """Its rows are not trimmed and the status names it; it goes on where it was when it comes back."""

    async def story(rig: Centres) -> None:
        rig.weather["some"] = Weather()
        await rig.go(1.5)
        rig.weather["some"].down = True
        await rig.go(5)
        await rig.stop()
        rig.start(config_of(ALL))
        await rig.go(5)
        status = json.loads(buffer_path(Settings(home=rig.home), "c1").with_suffix(".json").read_text())
        (gone,) = [one for one in status["centres"] if not one["configured"]]
        assert gone["name"] == "some"
        assert gone["queued"] > 15
        await rig.stop()
        rig.weather["some"].down = False
        rig.start(config_of(ALL, some("m1-r0")))
        await rig.go(5)

    rig = play(tmp_path, config_of(ALL, some("m1-r0")), story)

    assert set(readings(rig, "some")) == of(("m1-r0",), readings(rig, "all"))


def test_forget_centre_lets_its_backlog_go(tmp_path: Path) -> None:
    """When a person forgets it, what only it missed may go, and it is a new one if it ever comes back."""
    config = config_of(ALL, some("m1-r0"))

    async def story(rig: Centres) -> None:
        rig.weather["some"] = Weather()
        rig.weather["some"].down = True
        await rig.go(5)

    play(tmp_path, config, story)
    buffer = Buffer(buffer_path(Settings(home=tmp_path), "c1"))
    late_ms = START_MS + 30 * 86_400_000
    assert buffer.trim(late_ms) == 0
    buffer.forget("some")
    assert not buffer.knows("some")
    assert buffer.trim(late_ms) > 15
    buffer.close()
    buffer = Buffer(buffer_path(Settings(home=tmp_path), "c1"))
    assert buffer.centres() == ("all",)
    assert buffer.state("view/some") is None
    buffer.close()


def test_column_list_whose_number_stood_for_other_columns_is_refused(tmp_path: Path) -> None:
    """A number once used keeps its columns: a centre would take the values for other points."""

    async def story(rig: Centres) -> None:
        await rig.go(1)
        await rig.stop()
        rig.start(config_of(ALL, registers=3))
        with pytest.raises(
            InputError, match=r"schema 1: expected the columns it had before.*never used before"
        ):
            await rig.task

    play(tmp_path, config_of(ALL), story)


def test_point_that_is_introduced_goes_to_the_centre_that_has_it(tmp_path: Path) -> None:
    """Who gets a point is told what it is; who does not, is not."""
    from factories import make_point

    points = (make_point("m1-r0", unit="kW", decimals=1), make_point("m2-r0", unit="kW", decimals=1))

    async def story(rig: Centres) -> None:
        await rig.go(1)

    rig = play(tmp_path, replace(config_of(ALL, some("m2-r0")), points=points), story)

    told = [one.value.point for one in rig.messages("some") if isinstance(one, PointNotice)]
    assert told == ["m2-r0"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["go", "go", "go", "down", "up", "lost", "die", "stop", "list"]),
        st.sampled_from(["all", "some"]),
        st.integers(1, 12),
    ),
    min_size=4,
    max_size=14,
)


Lists = list[tuple[int, tuple[str, ...]]]
"""Point lists, and from when on each held."""


def _story(steps: list[tuple[str, str, int]], lists: Lists) -> Callable[[Centres], Awaitable[None]]:
    async def story(rig: Centres) -> None:
        for centre in ("all", "some"):
            rig.weather[centre] = Weather()
        for step, centre, size in steps:
            weather = rig.weather[centre]
            if step == "go":
                await rig.go(size)
            elif step in ("die", "stop"):
                await (rig.die() if step == "die" else rig.stop())
                rig.start()
            elif step == "list":
                await rig.go(0.37)  # between two slots
                await rig.die()
                points = tuple(sorted({POINTS[(size + n) % 6] for n in range(1 + size % 3)}))
                lists.append((rig.clock.now_ms(), points))
                rig.start(config_of(ALL, some(*points)))
            else:
                weather.down, weather.ack_lost = step == "down", step == "lost"
        for weather in rig.weather.values():
            weather.down = weather.ack_lost = False
        await rig.go(20)
        await rig.stop()

    return story


@settings(max_examples=12, deadline=None)
@given(STEPS)
def test_centres_any_weather_each_is_whole_in_one_version(steps: list[tuple[str, str, int]]) -> None:
    """Nothing lost, nothing twice but byte for byte, nothing of another's, at both centres, whoever dies when."""
    lists: Lists = [(0, ("m1-r1", "m3-r0"))]
    with TemporaryDirectory() as folder:
        rig = play(Path(folder), config_of(ALL, some(*lists[0][1])), _story(steps, lists))

        everything = set(readings(rig, "all"))
        wanted = {
            one
            for one in everything
            if one[0] in next(points for from_ms, points in reversed(lists) if one[1] >= from_ms)
        }
        assert set(readings(rig, "some")) == wanted
        for centre in ("all", "some"):
            assert_one_version(rig, centre)
            sequences = {frame.sequence: frame for frame in rig.frames(centre)}.values()
            stamps = [(frame.schema, int(frame.read_at_ms[0])) for frame in sequences]
            assert len(set(stamps)) == len(stamps)
            assert not any(frame.backfilled for frame in rig.frames(centre)[-1:])  # the end was fair


class TestOpening:
    """The way to a centre."""

    def test_open_centre_without_bus_is_the_log_of_the_installation_or_of_another(
        self, tmp_path: Path
    ) -> None:
        """An empty bus is the installation's own log; `home` names another one on this machine."""
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        open_centre(Settings(home=ours), CentrePlan("a"), None).close()
        assert (ours / "log.sqlite").exists()
        open_centre(Settings(home=ours), CentrePlan("b", home=str(theirs)), None).close()
        assert (theirs / "log.sqlite").exists()

    def test_open_centre_with_bus_logs_in_with_its_own_credentials(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """User and password file are those of the centre, beside collector.toml, not those of the settings."""
        (tmp_path / "province.password").write_text("open sesame\n", encoding="utf-8")
        plan = CentrePlan("p", "broker:9092", security="sasl", user="c1", password_file="province.password")
        seen: list[object] = []
        monkeypatch.setattr(KafkaLog, "__init__", lambda self, access, **given: seen.append(access))
        open_centre(Settings(home=tmp_path, bus_user="other", bus_password="other"), plan, tmp_path)

        (access,) = seen
        assert [getattr(access, name) for name in ("servers", "user", "password")] == [
            "broker:9092",
            "c1",
            "open sesame",
        ]

    def test_open_centre_password_file_missing_is_told(self, tmp_path: Path) -> None:
        """A file that is not there counts as a centre that cannot be reached, with the cure."""
        plan = CentrePlan("p", "broker:9092", security="sasl", password_file="gone")

        with pytest.raises(LogError, match=r"gone: expected a password on its first line.*correct the file"):
            open_centre(Settings(home=tmp_path), plan, tmp_path)


def test_enterprise_of_the_rig_is_the_key(tmp_path: Path) -> None:
    """Everything of a collector has one key, so that it keeps its order at every centre."""

    async def story(rig: Centres) -> None:
        await rig.go(1)

    rig = play(tmp_path, config_of(ALL, some("m1-r0")), story)

    assert {record.key for centre in ("all", "some") for record in rig.records(centre)} == {ENTERPRISE}
