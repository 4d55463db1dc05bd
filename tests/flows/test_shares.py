"""The partitions of a topic shared out among processes of one flow: each has a place of its own, and no two overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow

from flows.connectors import LogSink, LogSource
from flows.runner import run_flow
from flows.shares import Share, parse_partitions, partitions_text, share_named, shares
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import InputError

OpenLog = Callable[[], SqliteLog]


def copy(open_log: OpenLog, share: Share) -> Dataflow:
    """Wire a flow that copies its share of ``in`` to ``out``."""
    flow = Dataflow("copy")
    source = LogSource(open_log, "in", stop_at_end=True, partitions=share.partitions)
    items = op.input("read", flow, source)
    flat = op.flat_map("flat", items, lambda item: [(item[0], (r.key, r.value)) for r in item[1]])
    op.output("write", flat, LogSink(open_log, "out"))
    return flow


def run(open_log: OpenLog, recovery: Path, *partitions: int) -> None:
    """Copy a share to its end."""
    share = Share("copy", partitions)
    run_flow(copy(open_log, share), recovery / share.name, 0.05)


def test_shares_read_their_partitions_and_resume_each_in_its_own_place(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path
) -> None:
    """Two shares together copy every record once, however often each of them runs."""
    for _ in range(2):
        log.append("in", [(f"k{n}", b"") for n in range(100)])
        run(open_log, tmp_path, 0, 2)
        run(open_log, tmp_path, 0, 2)
        run(open_log, tmp_path, 1, 3)

    ends = [[log.bounds(topic, partition).end for partition in range(4)] for topic in ("in", "out")]
    assert ends[0] == ends[1]
    assert [share.name for share, _ in shares(tmp_path)] == ["copy-0,2", "copy-1,3"]


@pytest.mark.parametrize("again", [(1, 2), (), (0, 1, 2, 3)], ids=["some", "all", "all by name"])
def test_share_that_overlaps_another_is_refused(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path, again: tuple[int, ...]
) -> None:
    """A partition in two folders of a flow would be read twice; the sentence names the folder and the cure."""
    run(open_log, tmp_path, 0, 1)

    with pytest.raises(InputError, match=r"copy-0-1 holds some; take the others, or end that process"):
        run(open_log, tmp_path, *again)
    run(open_log, tmp_path, 0, 1)
    run(open_log, tmp_path, 2, 3)


def test_share_beside_a_flow_of_all_partitions_is_refused(
    log: SqliteLog, open_log: OpenLog, tmp_path: Path
) -> None:
    """Who takes all leaves nothing to others; a folder that was set aside is no hindrance."""
    run(open_log, tmp_path)
    with pytest.raises(InputError, match="expected partitions that no other process"):
        run(open_log, tmp_path, 0)
    (tmp_path / "copy").rename(tmp_path / "copy-old")

    run(open_log, tmp_path, 0)


def test_partition_the_topic_has_not_is_refused(log: SqliteLog, open_log: OpenLog) -> None:
    """A mistyped number would wait for ever for a partition that never comes."""
    with pytest.raises(InputError, match=r"in has the partitions 0 to 3, got \[4\]"):
        LogSource(open_log, "in", partitions=(3, 4)).list_parts()


@pytest.mark.parametrize("text", ["", "a", "1,", "3-1", "-1", "1-", "0,0-2", "0;1"])
def test_partitions_that_are_no_list_are_refused(text: str) -> None:
    """What is no list of partitions is told with what was expected."""
    with pytest.raises(InputError, match="expected"):
        parse_partitions(text)


def test_partitions_have_one_way_of_writing() -> None:
    """However a share is written, its folder is the same."""
    for text in ("0-2,5", "5,0,1,2", " 0-1, 2,5-5"):
        assert partitions_text(parse_partitions(text)) == "0-2,5"


def test_folder_that_names_no_partitions_is_a_flow_of_its_own() -> None:
    """Somebody set it aside: it hinders no share, and what it has not read stays in the log."""
    assert share_named("embedded-old") == Share("embedded-old")
    assert not share_named("embedded-old").overlaps(Share("embedded", (0,)))
    assert not Share("embedded", (0,)).overlaps(Share("ingest"))
