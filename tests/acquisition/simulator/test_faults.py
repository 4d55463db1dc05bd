"""Faults do what they say, alone and together, on the register and on the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from acquisition.simulator.faults import REGISTER, SERIAL, Fault, FaultKind, read_faults, shown, spoil
from acquisition.simulator.fleet import Fleet, bench_lines
from acquisition.simulator.meters import CLOCK_ADDRESS
from acquisition.simulator.wire import Answer, Refusal
from nengliu.domain.points import FOREVER_MS
from nengliu.errors import InputError

NOW_MS = 1_795_233_600_000
ANSWER = Answer([1])
EXAMPLE = Path(__file__).parents[3] / "examples" / "collector" / "faults.toml"


def counted(at_ms: int) -> int:
    """A register that counts one step a millisecond, from 100 on."""
    return 100 + at_ms


def registers(*faults: Fault, modulus: int = 10_000) -> list[int]:
    return [shown(counted, faults, modulus, at_ms) for at_ms in (0, 10, 15, 20, 30)]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FaultKind.STUCK, 0, [100, 110, 110, 120, 130]),
        (FaultKind.REVERSED, 0, [100, 110, 105, 100, 110]),
        (FaultKind.JUMP, 700, [100, 810, 815, 120, 130]),
        (FaultKind.JUMP, -50, [100, 60, 65, 120, 130]),
        (FaultKind.ROLLOVER, 3, [100, 9997, 2, 120, 130]),
        (FaultKind.RESET, 0, [100, 0, 5, 120, 130]),
        (FaultKind.SILENT, 0, [100, 110, 115, 120, 130]),
    ],
)
def test_register_fault_shows_what_it_says(kind: FaultKind, value: int, expected: list[int]) -> None:
    """From 10 ms to 20 ms the register is frozen, backward, higher or near its end; then as it must be."""
    assert registers(Fault(kind, from_ms=10, to_ms=20, value=value)) == expected


def test_register_with_a_jump_for_ever_stays_higher() -> None:
    """A fault without an end lasts."""
    assert registers(Fault(FaultKind.JUMP, from_ms=10, value=1000)) == [100, 1110, 1115, 1120, 1130]


def test_registers_faults_in_force_together_are_laid_on_in_order_of_time() -> None:
    """A register that runs backward and then sticks stays where it had run to."""
    back = Fault(FaultKind.REVERSED, from_ms=10, to_ms=20)
    stuck = Fault(FaultKind.STUCK, from_ms=15, to_ms=25)

    assert registers(stuck, back) == registers(back, stuck) == [100, 110, 105, 105, 110]


def test_fault_with_a_period_comes_back_in_each() -> None:
    """From its beginning to its end it is in force at the head of every period."""
    fault = Fault(FaultKind.SILENT, from_ms=3_000, to_ms=22_000, every_ms=10_000, lasts_ms=2_000)

    assert [s for s in range(30) if fault.holds(1000 * s)] == [3, 4, 13, 14]


@given(
    st.lists(st.tuples(st.sampled_from(sorted(REGISTER)), st.integers(0, 40), st.integers(1, 40)), max_size=5)
)
def test_register_under_any_faults_stays_within_its_digits(told: list[tuple[FaultKind, int, int]]) -> None:
    """Whatever is ordered, a meter of four digits shows four digits, and before the first fault the truth."""
    faults = [Fault(kind, from_ms=start, to_ms=start + length, value=length) for kind, start, length in told]
    first = min((fault.from_ms for fault in faults), default=100)

    assert all(0 <= shown(counted, faults, 10_000, at_ms) < 10_000 for at_ms in range(0, 100, 7))
    assert first == 0 or shown(counted, faults, 10_000, first - 1) == counted(first - 1)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FaultKind.SILENT, 0, Answer([1], silent=True)),
        (FaultKind.LATE, 700, Answer([1], delay_ms=700)),
        (FaultKind.REFUSE, 0, Answer(Refusal.DEVICE)),
        (FaultKind.REFUSE, 2, Answer(Refusal.ADDRESS)),
        (FaultKind.OTHER, 0, Answer([1], unit_by=1)),
        (FaultKind.STALE, 0, Answer([1], transaction_by=-1)),
        (FaultKind.DAMAGED, 0, Answer([1], length_by=3)),
        (FaultKind.CUT, 0, Answer([1], cut=True)),
        (FaultKind.STUCK, 0, ANSWER),
    ],
)
def test_answer_fault_spoils_the_answer_as_it_says(kind: FaultKind, value: int, expected: Answer) -> None:
    """Each fault of the answer changes just its own part of it."""
    assert spoil(ANSWER, [Fault(kind, value=value)], 1) == expected


def test_answer_faults_in_force_together_add_up() -> None:
    """A refusal may be late as well."""
    faults = [Fault(FaultKind.LATE, value=300), Fault(FaultKind.REFUSE), Fault(FaultKind.LATE, value=200)]

    assert spoil(ANSWER, faults, 1) == Answer(Refusal.DEVICE, delay_ms=500)


def test_answer_is_dropped_every_nth_time() -> None:
    """Of nine requests the third, sixth and ninth are lost."""
    drop = [Fault(FaultKind.DROP, value=3)]

    assert [n for n in range(1, 10) if spoil(ANSWER, drop, n).silent] == [3, 6, 9]


def test_fleet_with_faults_misbehaves_for_a_peer_in_its_interval_only() -> None:
    """On real Modbus TCP and in virtual time: silence, refusal and a wrong clock begin and end as ordered."""

    async def run() -> None:
        now = [NOW_MS]
        faults = [
            Fault(FaultKind.SILENT, "line-1", "m0001", NOW_MS + 1000, NOW_MS + 2000),
            Fault(FaultKind.REFUSE, "line-1", "m0002", NOW_MS + 1000, NOW_MS + 2000, value=0x0B),
            Fault(FaultKind.CLOCK, "line-1", "m0002", NOW_MS + 2000, value=-400),
        ]
        fleet = Fleet(bench_lines(3, 1, 7, NOW_MS), lambda: now[0], faults=faults)
        await fleet.start()
        client = AsyncModbusTcpClient("127.0.0.1", port=fleet.ports["line-1"], timeout=0.2, retries=0)
        await client.connect()

        async def clock_of(unit: int) -> int | None:
            try:
                answer = await client.read_input_registers(CLOCK_ADDRESS, count=2, device_id=unit)
            except ModbusException:
                return None
            return (
                -answer.exception_code
                if answer.isError()
                else answer.registers[0] << 16 | answer.registers[1]
            )

        found = []
        for seconds in (0, 1, 2):
            now[0] = NOW_MS + 1000 * seconds
            found.append([await clock_of(unit) for unit in (1, 2, 3, 4)])
        client.close()
        await fleet.stop()
        s = NOW_MS // 1000
        assert found == [[s, s, s, -0x0B], [None, -0x0B, s + 1, -0x0B], [s + 2, s + 2 - 400, s + 2, -0x0B]]
        assert fleet.asked == {("line-1", f"m000{unit}"): 3 for unit in (1, 2, 3)}

    asyncio.run(run())


def test_fault_ordered_and_ended_while_the_fleet_runs_stays_in_the_record() -> None:
    """What a meter showed under a fault that is over can still be told."""
    now = [NOW_MS]
    fleet = Fleet(bench_lines(1, 1, 7, NOW_MS), lambda: now[0])
    healthy = fleet.register("line-1", "m0001", NOW_MS + 60_000)
    jump = Fault(FaultKind.JUMP, value=5000)
    fleet.add(jump)
    now[0] += 120_000
    fleet.end(jump)

    assert fleet.register("line-1", "m0001", NOW_MS + 60_000) == healthy + 5000
    assert fleet.register("line-1", "m0001", now[0]) < healthy + 5000
    assert fleet.faults == (Fault(FaultKind.JUMP, value=5000, to_ms=now[0]),)


def test_fault_for_a_meter_that_is_not_there_is_refused_with_the_nearest() -> None:
    """A misspelt meter would leave a proof without its fault."""
    fleet = Fleet(bench_lines(2, 1, 7, NOW_MS), lambda: NOW_MS)

    with pytest.raises(InputError, match=r"no meter 'm002' on line 'line-1'.*line-1/m0002"):
        fleet.add(Fault(FaultKind.SILENT, "line-1", "m002"))


def test_faults_file_is_read_with_times_of_either_kind(tmp_path: Path) -> None:
    """An interval is told in ms since 1970, or in seconds since the start."""
    file = tmp_path / "faults.toml"
    file.write_text(
        '[[faults]]\nkind = "silent"\nline = "a"\nafter_s = 60\nfor_s = 30\n'
        '[[faults]]\nkind = "late"\nvalue = 700\nfrom_ms = 5\nto_ms = 9\n'
        '[[faults]]\nkind = "drop"\n'
        '[[faults]]\nkind = "cut"\nfrom_ms = 5\nevery_s = 60\nfor_s = 0.5\n',
        encoding="utf-8",
    )

    assert read_faults(file, 1_000_000) == (
        Fault(FaultKind.SILENT, "a", "", 1_060_000, 1_090_000),
        Fault(FaultKind.LATE, "", "", 5, 9, 700),
        Fault(FaultKind.DROP, "", "", 0, FOREVER_MS),
        Fault(FaultKind.CUT, "", "", 5, FOREVER_MS, 0, 60_000, 500),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[faults]]\nkind = "quiet"', "quiet"),
        ('[[faults]]\nkind = "silent"\nmetre = "a"', "metre"),
        ('[[faults]]\nkind = "late"', "needs a value"),
        ('[[faults]]\nkind = "refuse"\nvalue = 9', "one of 1, 2, 3, 4, 10, 11"),
        ('[[faults]]\nkind = "silent"\nfrom_ms = 9\nto_ms = 9', "end after the beginning"),
        ('[[faults]]\nkind = "silent"\nevery_s = 60\nfor_s = 60', "shorter for_s"),
        ('[[faults]]\nkind = "silent"\nevery_s = 60', "shorter for_s"),
        ('[[faults]]\nkind = "stuck"\nevery_s = 60\nfor_s = 30', "fault of the answer"),
        ("faults = 3", "faults"),
        ("[[faults", "expected TOML"),
    ],
)
def test_faults_file_that_cannot_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A mistake is named with its file."""
    file = tmp_path / "faults.toml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=told) as caught:
        read_faults(file, 0)
    assert str(file) in str(caught.value)


def test_faults_of_the_example_strike_the_plant() -> None:
    """The example can be used as it is."""
    from acquisition.simulator.fleet import plant_lines
    from acquisition.simulator.plant import Plant

    fleet = Fleet(plant_lines(Plant(7, NOW_MS - 86_400_000, 1)), lambda: NOW_MS)
    fleet.add(*read_faults(EXAMPLE, NOW_MS))

    assert {fault.kind for fault in fleet.faults} == set(FaultKind) - SERIAL


def test_power_out_of_range_is_shown_as_often_as_ordered() -> None:
    """Only the gauge is wrong: the counter beside it goes on."""
    over = Fault(FaultKind.OVER, from_ms=NOW_MS, value=4)
    healthy, faulty = (Fleet(bench_lines(1, 1, 7, NOW_MS), lambda: NOW_MS, faults=f) for f in ([], [over]))
    wrong, right = faulty.words("line-1", "m0001", NOW_MS), healthy.words("line-1", "m0001", NOW_MS)
    power = slice(16, 18)

    assert int.from_bytes(b"".join(w.to_bytes(2) for w in wrong[power])) == 4 * int.from_bytes(
        b"".join(w.to_bytes(2) for w in right[power])
    )
    assert wrong[:4] == right[:4]
