"""Running a flow: it resumes where it committed, stops when told, and survives any death."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow, operator

from flows.connectors import LogSink, LogSource, Message
from flows.runner import run_flow, sources
from nengliu.bus import Record
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import ContractError, LogError

OpenLog = Callable[[], SqliteLog]
PARTITIONS = 4
COPYING = Path(__file__).with_name("copying.py")


def start(folder: Path, epoch_s: float, workers: int, *more: str) -> subprocess.Popen[str]:
    """Start the copying flow in a process of its own."""
    command = [sys.executable, str(COPYING), str(folder), str(epoch_s), str(workers), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_on(process: subprocess.Popen[str]) -> None:
    """Wait for the first records to pass."""
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"


def fill(log: SqliteLog, count: int) -> None:
    """Append `count` messages to ``in``, each with a value of its own."""
    have = sum(log.bounds("in", partition).end for partition in range(PARTITIONS))
    log.append("in", [(f"k{n % 37}", b"%d" % n) for n in range(have, have + count)])


def records(log: SqliteLog, topic: str, partition: int) -> list[Record]:
    """Read all of a partition."""
    return log.read(topic, partition, 0, 1_000_000)


def messages(log: SqliteLog, topic: str, partition: int) -> list[Message]:
    """Key and value of all records of a partition."""
    return [(record.key, record.value) for record in records(log, topic, partition)]


def copy(
    open_log: OpenLog, step: Callable[[Message], Message] = lambda m: m, name: str = "copy", parts: int = 1
) -> Dataflow:
    """Wire a flow that copies ``in`` to ``out`` until the end."""
    flow = Dataflow(name)
    items = op.input("read", flow, LogSource(open_log, "in", stop_at_end=True))
    flat = op.flat_map("flat", items, lambda item: [(item[0], step((r.key, r.value))) for r in item[1]])
    op.output("write", flat, LogSink(open_log, "out", parts))
    return flow


def test_run_again_goes_on_where_it_ended(log: SqliteLog, open_log: OpenLog, tmp_path: Path) -> None:
    """A second run of a finite flow sees only what came since, whatever the workers."""
    for workers in (1, 2, 1):
        fill(log, 100)
        run_flow(copy(open_log), tmp_path / "recovery", 0.05, workers)

        for partition in range(PARTITIONS):
            assert messages(log, "out", partition) == messages(log, "in", partition)


def test_run_without_recovery_starts_anew(log: SqliteLog, open_log: OpenLog) -> None:
    """Without a recovery store every run reads from the first record."""
    fill(log, 10)
    run_flow(copy(open_log), None, 1)
    run_flow(copy(open_log), None, 1)

    assert sum(log.bounds("out", p).end for p in range(PARTITIONS)) == 20


def test_run_in_another_thread_leaves_signals_alone(log: SqliteLog, open_log: OpenLog) -> None:
    """A flow may run beside other work in a process."""
    fill(log, 10)
    thread = threading.Thread(target=lambda: run_flow(copy(open_log), None, 1))
    thread.start()
    thread.join(20)

    assert sum(log.bounds("out", p).end for p in range(PARTITIONS)) == 10


def test_run_ended_gives_the_signals_back(log: SqliteLog, open_log: OpenLog) -> None:
    """After a run the process answers to signals as before."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run_flow(copy(open_log), None, 1)

    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_run_twice_at_once_refused(log: SqliteLog, open_log: OpenLog, tmp_path: Path) -> None:
    """Two processes of one flow would undo each other's recovery store."""
    fill(log, 100)
    with start(tmp_path, 1, 1) as process:
        wait_until_on(process)

        with pytest.raises(LogError, match="another process runs this flow"):
            run_flow(copy(open_log), tmp_path / "recovery", 1)
        process.kill()
        process.communicate()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("error", "match"),
    [(ContractError("BAD_FRAME", "frame 7"), "frame 7"), (LogError("full"), "full")],
    ids=["two arguments", "one"],
)
def test_run_step_raises_our_error_arrives_itself(
    log: SqliteLog, open_log: OpenLog, workers: int, error: LogError | ContractError, match: str
) -> None:
    """What a step raised of ours is raised by the run, without Bytewax' wrapping."""
    fill(log, 10)

    def fail(_: Message) -> Message:
        raise error

    with pytest.raises(type(error), match=match) as caught:
        run_flow(copy(open_log, fail), None, 1, workers)
    assert caught.value is error


def test_run_step_raises_foreign_error_is_not_hidden(log: SqliteLog, open_log: OpenLog) -> None:
    """A programming error is not dressed up as one of ours."""
    fill(log, 10)

    def fail(_: Message) -> Message:
        raise KeyError("column")

    with pytest.raises(RuntimeError, match="mapper") as caught:
        run_flow(copy(open_log, fail), None, 1)
    causes = []
    cause: BaseException | None = caught.value
    while cause is not None:
        causes.append(type(cause))
        cause = cause.__cause__
    assert KeyError in causes


def test_run_sink_fails_at_the_end_of_an_epoch_raises(log: SqliteLog, open_log: OpenLog) -> None:
    """A failing snapshot() is an error of the run; its close() must not abort the process."""
    fill(log, 10)
    flow = Dataflow("fails")
    items = op.input("read", flow, LogSource(open_log, "in", stop_at_end=True))
    flat = op.flat_map("flat", items, lambda item: [(item[0], (r.key, r.value)) for r in item[1]])
    op.output("write", flat, LogSink(open_log, "nowhere"))

    with pytest.raises(LogError, match="no topic 'nowhere'"):
        run_flow(flow, None, 1)


def test_resume_with_fewer_partitions_refused(log: SqliteLog, open_log: OpenLog, tmp_path: Path) -> None:
    """A topic laid anew with fewer partitions cannot be resumed; the message says what to do."""
    fill(log, 100)
    run_flow(copy(open_log), tmp_path / "recovery", 1)
    log.renew("in", 2)

    with pytest.raises(LogError, match=r"fewer parts than when this flow last ran.*move the folder away"):
        run_flow(copy(open_log), tmp_path / "recovery", 1)


def test_resume_with_more_parts_goes_on(log: SqliteLog, open_log: OpenLog, tmp_path: Path) -> None:
    """A sink may get more parts later."""
    fill(log, 100)
    run_flow(copy(open_log), tmp_path / "recovery", 1)
    fill(log, 100)
    run_flow(copy(open_log, parts=3), tmp_path / "recovery", 1)

    assert sum(log.bounds("out", p).end for p in range(PARTITIONS)) == 200


def test_resume_from_a_damaged_store_refused(log: SqliteLog, open_log: OpenLog, tmp_path: Path) -> None:
    """A recovery store that cannot be read is an error of ours, with a cure."""
    run_flow(copy(open_log), tmp_path / "recovery", 1)
    (tmp_path / "recovery" / "part-0.sqlite3").write_bytes(b"no database" * 1000)

    with pytest.raises(LogError, match="recovery store cannot be read or written"):
        run_flow(copy(open_log), tmp_path / "recovery", 1)


def test_recovery_folder_that_cannot_be_made_refused(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path
) -> None:
    """A path that is no folder is a LogError."""
    (tmp_path / "file").touch()

    with pytest.raises(LogError, match="no recovery store"):
        run_flow(copy(open_log), tmp_path / "file" / "recovery", 1)


def test_sources_of_a_flow_are_found_within_operators(open_log: OpenLog) -> None:
    """The stop reaches a source that an operator brings along."""
    flow = copy(open_log)

    @operator
    def nested(step_id: str, flow: Dataflow) -> op.KeyedStream[list[Record]]:
        return op.input("inner", flow, LogSource(open_log, "out"))

    nested("outer", flow)

    assert sorted(source.topic for source in sources(flow)) == ["in", "out"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_signal_to_a_running_flow_flushes_commits_and_exits_0(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    """Told to stop in the middle of an epoch, a flow finishes it: nothing is lost, nothing repeated."""
    fill(log, 4000)
    with start(tmp_path, 60, workers) as process:
        wait_until_on(process)
        time.sleep(0.05)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=10)
    copied = sum(log.bounds("out", p).end for p in range(PARTITIONS))

    assert (process.returncode, complaint) == (0, "")
    assert 0 < copied < 4000
    with start(tmp_path, 60, workers, "--to-end") as process:
        _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint) == (0, "")
    for partition in range(PARTITIONS):
        assert messages(log, "out", partition) == messages(log, "in", partition)


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_at_any_moment_skips_nothing(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path, workers: int
) -> None:
    """After kills at random moments every record is copied at least once, in order, none skipped.

    A resume goes back to a place that was copied before and then on without a gap; and no message
    is ever in the log whose row is not in the store.
    """
    chance = random.Random(workers)
    for _ in range(6):
        fill(log, 600)
        with start(tmp_path, 0.03, workers) as process:
            wait_until_on(process)
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            process.communicate()
        assert_rows_of_messages_stored(log, tmp_path)
    with start(tmp_path, 0.03, workers, "--to-end") as process:
        process.communicate(timeout=30)

    assert process.returncode == 0
    assert_rows_of_messages_stored(log, tmp_path)
    for partition in range(PARTITIONS):
        place = {record.value: record.offset for record in records(log, "in", partition)}
        reached = -1
        for record in records(log, "out", partition):
            assert place[record.value] <= reached + 1
            reached = max(reached, place[record.value])
        assert reached == log.bounds("in", partition).end - 1


def assert_rows_of_messages_stored(log: SqliteLog, folder: Path) -> None:
    """Every message copied to the log has its row in the store."""
    store = folder / "store"
    stored = set(map(int, store.read_text().split())) if store.exists() else set()
    for partition in range(PARTITIONS):
        copied = {record.value for record in records(log, "out", partition)}
        sent = {record.position for record in records(log, "in", partition) if record.value in copied}
        assert sent <= stored
