"""A configuration from afar: validated before, applied whole, rolled back if the meters are not read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from factories import ENTERPRISE
from meters import raises
from uplink.centres_rig import Centres, play

from acquisition.drivers.collector import buffer_path
from acquisition.drivers.config import load_config
from nengliu.domain.links import LinkKind
from nengliu.settings import Settings
from schemas.messages import LinkEvent, Missed
from schemas.orders import ConfigNotice

HEAD = """
name = "c1"
[enterprise]
enterprise = "{enterprise}"
[[centres]]
name = "all"
commands = true
configure = true
[[lines]]
name = "north"
host = "127.0.0.1"
"""
METER = """
[[lines.meters]]
name = "m{unit}"
unit = {unit}
map = "{map}"
interval_s = 60
schema = {schema}
[lines.meters.points]
voltage_a = "u{unit}"
frequency = "f{unit}"
"""
KINDS = LinkKind.CONFIG_APPLIED, LinkKind.CONFIG_REFUSED, LinkKind.CONFIG_ROLLED_BACK


def text_of(*units: int, schema: int = 0, name: str = "generic", head: str = HEAD) -> str:
    meters = (METER.format(unit=unit, schema=schema + unit, map=name) for unit in units)
    return head.format(enterprise=ENTERPRISE) + "".join(meters)


def version(name: str, text: str) -> ConfigNotice:
    return ConfigNotice(ENTERPRISE, "c1", name, text, "wang", 1)


def play_file(home: Path, story: Callable[[Centres], Awaitable[None]], text: str | None = None) -> Centres:
    file = home / "collector.toml"
    file.write_text(text or text_of(1), encoding="utf-8")
    return play(home, load_config(file), story)


def told(rig: Centres) -> list[LinkEvent]:
    return rig.events("all", *KINDS)


def said(rig: Centres) -> list[tuple[str, str]]:
    return [
        (LinkKind(event.kind).name.removeprefix("CONFIG_"), event.parameters["version"])
        for event in told(rig)
    ]


def schemas(rig: Centres, minutes: int = 3) -> set[int]:
    """Column lists of the readings of the last minutes."""
    newest = max(int(frame.read_at_ms[0]) for frame in rig.frames("all"))
    return {
        frame.schema for frame in rig.frames("all") if int(frame.read_at_ms[0]) > newest - 60_000 * minutes
    }


def restarted(rig: Centres) -> None:
    """Begin anew from the file, as `nengliu collect` does."""
    rig.start(load_config(rig.home / "collector.toml"))


def test_configuration_is_applied_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Another meter is read from then on; a restart keeps it; nothing is told as stopped or started."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(5)
        assert schemas(rig) == {1, 2}
        await rig.stop()
        restarted(rig)
        await rig.go(3)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1")]
    (event,) = told(rig)
    assert (event.parameters["centre"], event.parameters["by"]) == ("all", "wang")
    assert schemas(rig) == {1, 2}
    assert len(rig.events("all", LinkKind.COLLECTOR_STARTED)) == 2
    assert len(rig.events("all", LinkKind.COLLECTOR_STOPPED)) == 2
    stamps = [(frame.schema, int(frame.read_at_ms[0])) for frame in rig.frames("all")]
    assert len(set(stamps)) == len(stamps)


def test_change_of_configuration_loses_no_slot_between_rounds(tmp_path: Path) -> None:
    """Applied while no meter is being asked, it costs not one reading."""

    async def story(rig: Centres) -> None:
        await rig.go(3.4)
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(5)

    rig = play_file(tmp_path, story)

    stamps = sorted(int(frame.read_at_ms[0]) for frame in rig.frames("all") if frame.schema == 1)
    assert {after - before for before, after in pairwise(stamps)} == {60_000}
    lost: list[Missed] = []
    for message in rig.messages("all"):
        lost += getattr(message, "missed", ())
    assert lost == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name = ", "expected TOML"),
        (text_of(1, name="no_such_map"), "no_such_map"),
        (text_of(1).replace('"c1"', '"c2"'), "name: expected c1, got 'c2'"),
        (text_of(1).replace(ENTERPRISE, ENTERPRISE[:-1] + "9"), "enterprise: expected"),
        (text_of(1).replace('"u1"', '"u1b"'), "never used before"),
        (
            text_of(1).replace("commands", 'password_file = "../key"\ncommands'),
            "a file beside collector.toml",
        ),
        (text_of(1).replace("commands", 'home = "/root"\ncommands'), "no folder of this machine"),
    ],
)
def test_configuration_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, text: str, error: str
) -> None:
    """What does not load, speaks for another collector or reaches for files elsewhere changes nothing."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.order("all", version("v1", text))
        await rig.go(3)

    rig = play_file(tmp_path, story)

    (event,) = told(rig)
    assert (event.kind, event.parameters["version"]) == (LinkKind.CONFIG_REFUSED, "v1")
    assert error in event.parameters["error"]
    assert str(tmp_path) not in event.parameters["error"] or "expected TOML" not in error
    assert rig.collectors == 1
    assert schemas(rig) == {1}


def test_configuration_that_reads_no_meter_is_rolled_back(tmp_path: Path) -> None:
    """With a wrong address the meter is silent; after two rounds the configuration before holds again, as told."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.meters["north"].manners[9] = raises("TIMEOUT")
        rig.order("all", version("v1", text_of(1, 2).replace("unit = 1", "unit = 9")))
        await rig.go(6)
        await rig.stop()
        restarted(rig)
        await rig.go(2)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1"), ("ROLLED_BACK", "v1")]
    applied, back = told(rig)
    assert back.parameters["before"].startswith("local-")
    assert back.parameters["unread"] == "u1 f1"
    assert 2 * 60_000 <= back.at_ms - applied.at_ms <= 3 * 60_000 + 5_000
    assert schemas(rig, 2) == {1}


def test_configuration_on_trial_survives_a_kill(tmp_path: Path) -> None:
    """A process that dies in the trial goes on with it, and falls back in the next life."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.meters["north"].manners[9] = raises("TIMEOUT")
        rig.order("all", version("v1", text_of(1).replace("unit = 1", "unit = 9")))
        await rig.go(1)
        await rig.die()
        restarted(rig)
        await rig.go(6)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1"), ("ROLLED_BACK", "v1")]
    assert schemas(rig) == {1}


def test_meter_that_was_silent_before_rolls_nothing_back(tmp_path: Path) -> None:
    """Only what was read before must be read after; a meter that is dead anyway is no reason."""

    async def story(rig: Centres) -> None:
        await rig.go(0.5)
        rig.meters["north"].manners[1] = raises("TIMEOUT")
        await rig.go(4)
        rig.order("all", version("v1", text_of(1, 2, 3)))
        await rig.go(6)

    rig = play_file(tmp_path, story, text_of(1, 2))

    assert said(rig) == [("APPLIED", "v1")]
    assert schemas(rig) == {2, 3}


def test_configurations_in_a_row_wait_for_each_other(tmp_path: Path) -> None:
    """The second one is taken when the first has proved itself, and falls back to it, not to the file."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.meters["north"].manners[9] = raises("TIMEOUT")
        rig.order("all", version("v1", text_of(1, 2)))
        rig.order("all", version("v2", text_of(1, 2, 3).replace("unit = 1", "unit = 9")))
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(10)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1"), ("APPLIED", "v2"), ("ROLLED_BACK", "v2")]
    assert told(rig)[-1].parameters["before"] == "v1"
    assert schemas(rig) == {1, 2}


def test_version_is_used_once(tmp_path: Path) -> None:
    """The same name with another text is refused: nobody could say what holds."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(3)
        rig.order("all", version("v1", text_of(1, 2, 3)))
        rig.order("all", version("local-1", text_of(1, 2, 3)))
        await rig.go(3)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1"), ("REFUSED", "v1"), ("REFUSED", "local-1")]
    assert schemas(rig) == {1, 2}


def test_file_that_a_person_changed_is_the_newer_word(tmp_path: Path) -> None:
    """After a version was applied, a changed collector.toml holds again at the next start, and that is told."""

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(3)
        await rig.stop()
        (rig.home / "collector.toml").write_text(text_of(1, 4), encoding="utf-8")
        restarted(rig)
        await rig.go(4)

    rig = play_file(tmp_path, story)

    assert [kind for kind, _ in said(rig)] == ["APPLIED", "APPLIED"]
    assert said(rig)[1][1].startswith("local-")
    assert schemas(rig) == {1, 4}


def test_centre_that_may_not_configure_is_refused(tmp_path: Path) -> None:
    """Without the key in collector.toml no centre changes it."""
    text = text_of(1).replace("configure = true", "configure = false")

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.order("all", version("v1", text_of(1, 2)))
        await rig.go(2)

    rig = play_file(tmp_path, story, text)

    assert said(rig) == [("REFUSED", "v1")]
    assert not buffer_path(Settings(home=tmp_path), "c1").with_suffix(".configs").exists()


def test_version_that_no_longer_loads_gives_way_to_the_file(tmp_path: Path) -> None:
    """A map that was taken away while the collector was down: it runs by its file, and says why."""
    maps = tmp_path / "mine.toml"
    generic = Path(__file__).parents[3] / "acquisition" / "drivers" / "meters" / "maps" / "generic.toml"
    maps.write_text(generic.read_text(encoding="utf-8"), encoding="utf-8")

    async def story(rig: Centres) -> None:
        await rig.go(3)
        rig.order("all", version("v1", text_of(1, 2, name="mine.toml")))
        await rig.go(3)
        assert schemas(rig) == {1, 2}
        await rig.stop()
        maps.unlink()
        restarted(rig)
        await rig.go(4)

    rig = play_file(tmp_path, story)

    assert said(rig) == [("APPLIED", "v1"), ("REFUSED", "v1")]
    assert schemas(rig) == {1}
