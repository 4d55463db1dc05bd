"""The scheduler on simulated serial lines: commands first, nothing due delayed, and the meter's own memory used."""

from __future__ import annotations

import asyncio

import pytest
from buses import stations
from lines import MINUTE, SECOND, START_MS, line_of, meter_of, read_line, shown, told_of, values_of
from meters import Desk
from virtual import VirtualClock

from acquisition.codecs.exchange import Answer
from acquisition.drivers.lines.line import LineTask
from acquisition.simulator.bus import Told
from acquisition.simulator.faults import Fault, FaultKind
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import InputError, LinkError

E1, E2, R1 = ("dlt645-2007", "e1", "161"), ("dlt645-2007", "e2", "162"), ("modbus-rtu", "r1", "3")


def test_meters_of_two_protocols_are_read_on_one_line() -> None:
    """What they answered is what is handed in, with the frames it came in."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1, R1)
    line = line_of(
        meter_of(simulated[0], ["energy", "voltage_a"], 60), meter_of(simulated[1], ["energy", "power"], 60)
    )

    read_line(line, simulated, 10 * MINUTE - 1, desk, told=told)

    energies = [
        value.shown
        for one in told
        for value in one.reply.values
        if value.item == "energy" and one.meter == "e1"
    ]
    assert list(values_of(desk, "e1.energy").values()) == energies
    assert len(energies) == 10
    assert len(values_of(desk, "r1.power")) == 10
    assert desk.missed == []
    raws = b"".join(raw for _, _, raw in desk.marks)
    assert all(one.sent in raws for one in told if one.request[0] == 3)


# -- commands -------------------------------------------------------------------------------


def test_command_on_an_idle_line_is_answered_at_once() -> None:
    """Nobody waits for the next slot, and the answer is what the meter showed."""
    desk, found = Desk(), []
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy", "voltage_a"]) for one in simulated))

    async def script(task: LineTask, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + 7 * MINUTE)
        answer = await task.command("e2", ("energy",), clock.now_ms() + 10 * SECOND)
        found.append((clock.now_ms() - START_MS - 7 * MINUTE, answer))

    bus = read_line(line, simulated, 8 * MINUTE, desk, script=script)

    ((took_ms, answer),) = found
    assert isinstance(answer, Answer)
    assert answer.values.keys() == {"energy"}
    at_ms = START_MS + 7 * MINUTE
    first, last = (shown(bus, simulated[1], "energy", at_ms + by) for by in (0, 500))
    assert first <= answer.values["energy"] <= last
    assert took_ms < 200


def test_command_waits_for_one_exchange_at_most() -> None:
    """In the middle of a round of many meters the next question is the command's."""
    desk, told, asked = Desk(), list[Told](), []
    simulated = stations(*(("dlt645-2007", f"e{n}", str(100 + n)) for n in range(20)))
    line = line_of(*(meter_of(one, ["energy", "voltage_a", "voltage_b", "power"], 60) for one in simulated))

    async def script(task: LineTask, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + MINUTE + 700)
        asked.append(clock.now_ms())
        answer = await task.command("e19", ("power",), clock.now_ms() + 10 * SECOND)
        assert isinstance(answer, Answer)
        assert answer.values.keys() == {"power"}
        asked.append(clock.now_ms())

    read_line(line, simulated, 2 * MINUTE - 1, desk, told=told, script=script)

    begun = [one for one in told if one.asked_ms > asked[0]]
    assert [one.meter for one in begun].index("e19") <= 1
    assert asked[1] - asked[0] < 400
    assert len(values_of(desk, "e19.power")) == 2  # the round went on


def test_command_always_has_an_answer() -> None:
    """A dead meter, and a turn that came too late: each answers with its reason."""
    desk, reasons = Desk(), []
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"]) for one in simulated))

    async def script(task: LineTask, clock: VirtualClock) -> None:
        with pytest.raises(InputError, match="no meter 'e3'; nearest: e"):
            task.command("e3", (), clock.now_ms())
        for meter, left_ms in (("e1", 10_000), ("e2", -1), ("e2", 10_000)):
            answer = await task.command(meter, (), clock.now_ms() + left_ms)
            reasons.append(answer.reason if isinstance(answer, LinkError) else "ok")

    silent = [Fault(FaultKind.SILENT, "bus", "e1")]
    read_line(line, simulated, 5 * SECOND, desk, faults=silent, script=script)

    assert reasons == ["TIMEOUT", "TIMEOUT", "ok"]


def test_command_that_a_stop_cuts_short_has_an_answer() -> None:
    """A line that ends in the middle of a command says so."""
    desk, reasons = Desk(), []
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy"]))

    async def script(task: LineTask, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + MINUTE - 300)
        answer = await asyncio.shield(task.command("e1", (), clock.now_ms() + 10_000))
        reasons.append(answer.reason if isinstance(answer, LinkError) else "ok")

    async def both(task: LineTask, clock: VirtualClock) -> None:
        running = asyncio.create_task(script(task, clock))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await running

    silent = [Fault(FaultKind.SILENT, "bus", "e1", from_ms=START_MS + MINUTE - 500)]
    read_line(line, simulated, MINUTE, desk, faults=silent, script=both)

    assert reasons == ["COLLECTOR_DOWN"]


# -- a line that is too slow ---------------------------------------------------------------


def test_meter_that_is_due_often_does_not_wait_for_a_long_round() -> None:
    """While a round of many seldom meters goes on, one that is due every five seconds keeps its slots."""
    desk = Desk()
    simulated = stations(*(("dlt645-2007", f"e{n}", str(100 + n)) for n in range(24)))
    seldom = [meter_of(one, ["energy", "voltage_a", "voltage_b", "power"]) for one in simulated[1:]]
    line = line_of(*seldom, meter_of(simulated[0], ["power"], 5), baud=2400)

    read_line(line, simulated, 15 * MINUTE, desk)

    often = values_of(desk, "e0.power")
    assert len(often) == 180
    assert max(at_ms % (5 * SECOND) for at_ms in often) < 3 * SECOND
    assert desk.missed == []
    assert max(values_of(desk, "e23.power")) - START_MS > 20 * SECOND  # it was a long round


def test_energies_come_first_on_a_line_that_is_too_slow() -> None:
    """Where the time does not suffice, voltages and powers are left out, told as such, and energies are read."""
    desk = Desk()
    simulated = stations(*(("dlt645-2007", f"e{n}", str(100 + n)) for n in range(16)))
    wanted = ["energy", "voltage_a", "voltage_b", "power"]
    line = line_of(*(meter_of(one, wanted, 10) for one in simulated), baud=2400)

    read_line(line, simulated, 10 * MINUTE, desk)

    energies = sum(len(values_of(desk, f"e{n}.energy")) for n in range(16))
    powers = sum(len(values_of(desk, f"e{n}.power")) for n in range(16))
    assert energies > 1.5 * powers
    lost = desk.lost()
    assert not any(point.endswith(".energy") and reason == "NOT_ASKED" for point, reason in lost)
    for n in range(16):
        done = (desk.states[f"slot/line/e{n}"][1] - START_MS) // (10 * SECOND) + 1
        for item in ("energy", "power"):
            point = f"e{n}.{item}"
            gone = sum(count for (name, _), count in lost.items() if name == point)
            assert len(values_of(desk, point)) + gone == done


# -- second tries and noise -----------------------------------------------------------------


def test_damaged_answer_is_made_good_within_the_slot() -> None:
    """One damaged frame costs a second try after the others, not a reading; it is told all the same."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"], 60) for one in simulated))
    damaged = Fault(FaultKind.DAMAGED, "bus", "e1", START_MS + MINUTE, START_MS + MINUTE + 90)

    read_line(line, simulated, 3 * MINUTE - 1, desk, told=told, faults=[damaged])

    assert len(values_of(desk, "e1.energy")) == len(values_of(desk, "e2.energy")) == 3
    assert desk.missed == []
    in_slot = [one.meter for one in told if MINUTE <= one.asked_ms - START_MS < MINUTE + 5 * SECOND]
    assert in_slot[:3] == ["e1", "e2", "e1"]
    kinds = [LinkKind(one.kind).name for one in desk.events if one.meter == "e1"]
    assert kinds == ["METER_UP", "ANSWER_DAMAGED", "METER_UP"]


def test_several_damaged_meters_make_a_noisy_line() -> None:
    """Told once for the line with their number, and again when a round is clean."""
    desk = Desk()
    simulated = stations(E1, E2, R1)
    line = line_of(*(meter_of(one, ["energy"], 60) for one in simulated))
    noise = Fault(FaultKind.DAMAGED, "bus", "", START_MS + 50 * SECOND, START_MS + 190 * SECOND)

    read_line(line, simulated, 6 * MINUTE, desk, faults=[noise])

    noisy, clear = (one for one in desk.events if one.kind in (LinkKind.LINE_NOISY, LinkKind.LINE_CLEAR))
    assert (noisy.parameters, noisy.reason, noisy.meter) == ({"damaged": "3"}, Reason.DAMAGED, "")
    assert START_MS + MINUTE <= noisy.at_ms < START_MS + 2 * MINUTE
    assert START_MS + 4 * MINUTE <= clear.at_ms < START_MS + 5 * MINUTE
    assert clear.since_ms == noisy.at_ms


def test_one_damaged_meter_is_not_the_lines_fault() -> None:
    """Only its own event is told."""
    desk = Desk()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"], 60) for one in simulated))

    read_line(line, simulated, 3 * MINUTE, desk, faults=[Fault(FaultKind.DAMAGED, "bus", "e1")])

    assert told_of(desk, LinkKind.LINE_NOISY) == []
    assert "ANSWER_DAMAGED" in [said[0] for said in desk.said()]


def test_answer_of_another_meter_is_told_as_foreign() -> None:
    """Somebody else answers at its place: told with what was seen, and its values are not taken."""
    desk = Desk()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"], 60) for one in simulated))

    read_line(line, simulated, 3 * MINUTE - 1, desk, faults=[Fault(FaultKind.OTHER, "bus", "e1")])

    ((kind, parameters),) = told_of(desk, LinkKind.METER_FOREIGN)
    assert kind == "METER_FOREIGN"
    assert parameters["got"].startswith("000000000162 91H")
    assert values_of(desk, "e1.energy") == {}
    assert desk.lost()["e1.energy", "MISMATCH"] == 3
