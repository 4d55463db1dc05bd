"""The fictitious plant: exact registers, honest faults, and a truth log that agrees with both."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from acquisition.simulator import plant as simulated
from acquisition.simulator.plant import Plant, booked, channels, history, notices, truth, year
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from schemas.messages import MISSING, EnterpriseNotice, Frame, PointNotice, SchemaNotice, decode, encode

END_MS = 1_795_233_600_000
YEAR = Plant(7, END_MS - 365 * DAY_MS, 365)
MONTH = Plant(7, END_MS - 30 * DAY_MS, 30)
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Frames of one year, as received."""
    return list(history(YEAR))


def column(name: str) -> int:
    return [channel.point for channel in channels()].index(name)


def readings(frames: list[Frame], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of one point, in order of time, each once."""
    index = column(name)
    times = np.concatenate([frame.read_at_ms for frame in frames])
    values = np.concatenate([frame.values[:, index] for frame in frames])
    times, first = np.unique(times[values != MISSING], return_index=True)
    return times, values[values != MISSING][first]


def test_enterprise_code_has_a_valid_check_character() -> None:
    """The code of the plant satisfies GB 32100, so that no checker refuses the demonstration."""
    code = simulated.enterprise().enterprise
    total = sum(ALPHABET.index(letter) * pow(3, i, 31) for i, letter in enumerate(code[:17]))

    assert len(code) == 18
    assert ALPHABET[(31 - total) % 31 % 31] == code[17]


def test_enterprise_says_that_it_is_simulated() -> None:
    """Nobody can take the plant for a real one: its flag and both its names say what it is."""
    enterprise = simulated.enterprise()

    assert enterprise.simulated
    assert "模拟" in enterprise.name
    assert "simulated" in enterprise.name_en


def test_notices_describe_every_column_before_the_first_frame() -> None:
    """A reader of the log knows enterprise, points and columns before the first reading comes."""
    told = list(itertools.islice(year(7, END_MS, 30), len(channels()) + 3))

    assert isinstance(told[0], EnterpriseNotice)
    assert [n.value.point for n in told if isinstance(n, PointNotice)] == [c.point for c in channels()]
    assert isinstance(told[-2], SchemaNotice)
    assert isinstance(told[-1], Frame)


def test_messages_survive_encoding() -> None:
    """What the plant says can be put into the log and read back."""
    for message in itertools.islice(year(7, END_MS, 30), 20):
        assert type(decode(encode(message))) is type(message)


def test_history_with_the_same_seed_is_the_same() -> None:
    """The same seed tells the same story, so that a broken writer can take it up again."""
    assert [encode(f) for f in history(MONTH)] == [encode(f) for f in history(MONTH)]


@pytest.mark.parametrize(
    "name", [c.point for c in channels() if c.kind is Kind.COUNTER and c.point != "paint"]
)
def test_registers_differ_by_exactly_the_truth(frames: list[Frame], name: str) -> None:
    """The register's way over the year, rollover included, is the truth log's sum to the last step."""
    channel = channels()[column(name)]
    assert channel.meter is not None
    _, values = readings(frames, name)
    steps = np.diff(values)
    steps[steps < 0] += channel.meter["modulus"]

    assert int(steps.sum()) * channel.ticks_per_step == sum(truth(YEAR)[name].values())


def test_meter_change_with_its_registers_loses_nothing(frames: list[Frame]) -> None:
    """Old meter up to its last register plus new meter from its first make the truth log's sum."""
    channel = channels()[column("paint")]
    old, new = next(
        n.value.meters for n in notices(YEAR) if isinstance(n, PointNotice) and n.value.point == "paint"
    )
    times, values = readings(frames, "paint")
    before, after = values[times < new.from_ms], values[times >= new.from_ms]
    steps = int(before[-1] - before[0]) + old.last - int(before[-1]) + int(after[-1]) - new.first

    assert new.from_ms % QUARTER_MS != 0
    assert steps * channel.ticks_per_step == sum(truth(YEAR)["paint"].values())


def test_amounts_of_a_year_sum_to_the_truth(frames: list[Frame]) -> None:
    """Every quarter-hour's output is told once, stamped at its start."""
    times, values = readings(frames, "output")

    assert len(times) == 365 * 96
    assert times[0] == YEAR.start_ms
    assert int(values.sum()) == sum(truth(YEAR)["output"].values())


def test_incoming_meter_rolls_over_once(frames: list[Frame]) -> None:
    """The year holds one legal rollover."""
    assert (np.diff(readings(frames, "grid")[1]) < 0).sum() == 1


def test_workshops_see_97_percent_of_the_incoming_energy() -> None:
    """The sub-meters' sum leaves the loss that every plant has."""
    sums = {name: sum(months.values()) for name, months in truth(YEAR).items()}
    share = (sums["press"] + sums["heat-treatment"] + sums["paint"]) / sums["grid"]

    assert share == pytest.approx(0.97, abs=0.0001)


def test_silent_line_catches_up_within_a_month(frames: list[Frame]) -> None:
    """A cut line leaves a hole of hours in the readings, and the register goes on behind it."""
    times, values = readings(frames, "gas")
    holes = np.flatnonzero(np.diff(times) > QUARTER_MS)

    assert len(holes) == 1
    assert times[holes[0] + 1] - times[holes[0]] >= 30 * HOUR_MS
    assert values[holes[0] + 1] > values[holes[0]] + 1000


def test_history_holds_late_and_repeated_and_disordered_frames(frames: list[Frame]) -> None:
    """What happens to real data happens to the plant's."""
    late = [f for f in frames if f.received_at_s * 1000 - int(f.read_at_ms[0]) > 2 * HOUR_MS]
    sequences = [frame.sequence for frame in frames]

    assert 50 < len(late) < 150
    assert 20 < len(sequences) - len(set(sequences)) < 120
    assert any(a > b for a, b in itertools.pairwise(sequences))


def test_frames_in_time_are_not_late(frames: list[Frame]) -> None:
    """A frame that was not held back comes within the hour that counts as in time."""
    waits = np.array([f.received_at_s - int(f.read_at_ms[0]) // 1000 for f in frames])

    assert np.median(waits) < 2000
    assert ((waits > 3600).sum()) < 150
    assert waits.min() > 0


def test_plant_rests_on_sundays_and_at_spring_festival() -> None:
    """Load follows the calendar: the press shop stands on Sundays and at the new year."""
    start = 1_770_912_000_000  # 2026-02-13 00:00 +08, a Friday; the festival starts on Monday 16
    plant = Plant(7, start, 6)
    steps = simulated._steps(plant, 6)[:, column("press")].reshape(6, 96).sum(axis=1)
    friday, _, sunday, monday = steps[:4]

    assert sunday < 0.3 * friday
    assert monday < 0.3 * friday


def test_output_of_a_quarter_is_booked_when_it_is_over() -> None:
    """It is stamped at the start of its quarter-hour, and no reading of a meter stands beside it."""
    end = MONTH.end_ms + QUARTER_MS
    frame = booked(MONTH, MONTH.end_ms, end, 5, 2)
    assert frame is not None

    assert booked(MONTH, MONTH.end_ms, end - 1, 5, 2) is None
    assert frame.read_at_ms.tolist() == [MONTH.end_ms]
    assert [c.point for c, value in zip(channels(), frame.values[0], strict=True) if value != MISSING] == [
        "output"
    ]
    assert (frame.sequence, frame.received_at_s) == (5 << 32 | 2, -(-end // 1000))


def test_output_after_a_pause_is_booked_for_every_quarter_once() -> None:
    """Amounts that were told in parts are those told at once, and none is told twice."""
    stop = MONTH.end_ms + 3 * HOUR_MS + 5_000
    cut = MONTH.end_ms + HOUR_MS + 20_000
    parts = [booked(MONTH, MONTH.end_ms, cut, 5, 1), booked(MONTH, cut, stop, 5, 2)]
    whole = booked(MONTH, MONTH.end_ms - DAY_MS, stop, 5, 1)
    assert whole is not None

    assert [len(part.read_at_ms) for part in parts if part] == [4, 8]
    assert np.concatenate([part.values for part in parts if part]).tolist() == whole.values.tolist()
    assert booked(MONTH, stop, stop + 20_000, 5, 3) is None


def test_short_history_leaves_out_what_it_cannot_hold() -> None:
    """A plant of a few days has no meter change and no fault before its start."""
    plant = Plant(7, END_MS - 2 * DAY_MS, 2)

    assert not plant.changed
    assert all(len(n.value.meters) < 2 for n in notices(plant) if isinstance(n, PointNotice))
    assert sum(1 for _ in history(plant)) >= 96
