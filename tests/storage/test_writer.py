"""Rows on their way: whole, in order, once, and refused rather than bent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nengliu.errors import ContractError, StorageError
from nengliu.settings import Settings
from nengliu.storage import Writer
from nengliu.storage.native import encode
from nengliu.storage.writer import _rank
from schemas.block import Labels, Lists, Rows

_TABLES = (
    "enterprise",
    "point",
    "frame_schema",
    "book",
    "import_run",
    "reading",
    "reading_superseded",
    "quarantine",
    "intake",
    "window_15min",
    "window_hour",
    "window_day",
    "window_month",
    "window_15min_history",
    "window_day_history",
    "incident",
    "incident_event",
    "wiring",
    "point_newest",
    "region",
    "target",
    "activity",
)


def _all(client: Client, table: str) -> list[dict[str, object]]:
    return list(client.query(f"SELECT * FROM {table} FINAL ORDER BY ALL").named_results())


@pytest.mark.parametrize("table", _TABLES)
def test_writer_every_table_takes_its_rows(
    client: Client, writer: Writer, rows: Callable[..., Rows], table: str
) -> None:
    """Each column of each table comes back as it was given."""
    given_rows = rows(table)
    writer.write(given_rows)
    writer.flush()
    (found,) = _all(client, table)
    for name, told in given_rows.columns.items():
        value, column = (
            found[name],
            [[*texts] for texts in told.values] if isinstance(told, Lists) else told,
        )
        stamp = getattr(value, "timestamp", None)
        if stamp is not None:
            assert stamp() == column[0] or stamp() * 1000 == column[0]
        else:
            assert value == column[0] or np.isnan([value, column[0]]).all()


def test_writer_lists_of_texts_come_back_whatever_their_lengths(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """Lists of several writes share a batch; an empty one, a long one and repeated texts stay what they were."""
    lists = [("a", "能", ""), (), tuple(str(i) for i in range(300)), ("a", "a")]
    ids = [f"{i:016x}" for i in range(len(lists))]
    writer.write(rows("incident", incident=ids[:2], members=lists[:2]))
    writer.write(rows("incident", incident=ids[2:], members=lists[2:]))
    writer.flush()

    assert [tuple(row["members"]) for row in _all(client, "incident")] == lists


def test_writer_list_in_the_place_of_a_text_and_the_other_way_round_is_refused(
    writer: Writer, rows: Callable[..., Rows]
) -> None:
    """A list is no text, and a text no list of its letters."""
    for column, value, said in (
        ("comment", Lists((("a",),)), "expected texts, got lists"),
        ("count", Lists((("a",),)), "expected numbers"),
        ("members", np.array(["ab"], dtype=object), "expected lists of texts"),
    ):
        batch = rows("incident")
        batch.columns[column] = value  # type: ignore[index]
        writer.write(batch)
        with pytest.raises(ContractError, match=said):
            writer.flush()


def test_writer_labels_and_texts_are_the_same_to_the_store(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """A dictionary-coded column and a plain one give the same rows, also in one batch."""
    plain = rows("reading", point=["a", "b", "a", "能"], read_at=[1, 2, 3, 4])
    names = ("unused", "能", "b", "a")
    coded = rows("reading", point=["x"] * 4, read_at=[5, 6, 7, 8])
    coded.columns["point"] = Labels(np.array([3, 2, 3, 1], dtype=np.int32), names)
    writer.write(plain)
    writer.write(coded)
    writer.flush()
    points = [row["point"] for row in sorted(_all(client, "reading"), key=lambda row: row["read_at"])]
    assert points == ["a", "b", "a", "能"] * 2


@pytest.mark.parametrize("keys", [1, 255, 256, 257, 65_536, 65_537])
def test_writer_labels_of_any_dictionary_size_arrive(
    client: Client, writer: Writer, rows: Callable[..., Rows], keys: int
) -> None:
    """The width of the codes follows the size of the dictionary, at its edges too."""
    batch = rows("reading", read_at=list(range(keys)))
    batch.columns["point"] = Labels(
        np.arange(keys, dtype=np.int32)[::-1], tuple(f"p{i}" for i in range(keys))
    )
    writer.write(batch)
    writer.flush()
    right = "point = 'p' || toString({n:UInt32} - toUnixTimestamp64Milli(read_at))"
    found = client.query(
        f"SELECT uniqExact(point), countIf({right}) FROM reading", parameters={"n": keys - 1}
    )
    assert found.result_rows == [(keys, keys)]


@given(
    st.lists(st.tuples(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1)), max_size=30), st.integers(1, 5)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_writer_any_texts_and_numbers_in_any_split_come_back(
    client: Client,
    store_settings: Settings,
    rows: Callable[..., Rows],
    values: list[tuple[str, int]],
    pieces: int,
) -> None:
    """However the rows are cut into batches, the same rows are there, to the last bit."""
    client.command("TRUNCATE TABLE reading")
    with Writer(store_settings) as writer:
        for start in range(0, len(values), pieces):
            some = values[start : start + pieces]
            names, ticks = [name for name, _ in some], [tick for _, tick in some]
            stamps = list(range(start, start + len(some)))
            batch = rows("reading", point=names, read_at=stamps)
            batch.columns["ticks"] = np.array(ticks, dtype=np.int64)
            writer.write(batch)
    found = client.query("SELECT point, ticks FROM reading FINAL ORDER BY read_at").result_rows
    assert found == values


def test_writer_same_rows_twice_stand_once(
    client: Client, store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """A replay writes the same rows in other batches; FINAL has each once."""
    for cut in (7, 3):
        with Writer(store_settings) as writer:
            for start in range(0, 21, cut):
                writer.write(rows("window_15min", period_start=[900 * i for i in range(start, start + cut)]))
                writer.flush()
    assert client.command("SELECT count() FROM window_15min FINAL") == 21


def test_writer_higher_revision_wins_in_any_order(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """The newest log position holds, whatever is written last."""
    for revision in (5, 9, 7):
        writer.write(rows("window_15min", used=revision, revision=revision))
        writer.flush()
    assert client.query("SELECT used, revision FROM window_15min FINAL").result_rows == [(9, 9)]


def test_writer_repeated_batch_is_known_by_its_token(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """The same bytes with the same token, sent again after a lost answer, leave one row before any merge."""
    writer.write(rows("reading"))
    writer._seal()
    writer._send(client)
    writer.flush()
    assert client.command("SELECT count() FROM reading") == 1


def test_writer_full_flushes_before_it_takes_more(
    client: Client, store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """No more than the limit is held: the caller waits for the store (back-pressure)."""
    writer = Writer(store_settings, limit_rows=10)
    for i in range(4):
        writer.write(rows("reading", read_at=[i * 4 + j for j in range(4)]))
        assert writer.held <= 10
    assert client.command("SELECT count() FROM reading") == 8
    writer.close()
    assert writer.held == 0
    assert client.command("SELECT count() FROM reading") == 16


def test_writer_order_keeps_what_is_superseded_before_it_is_replaced() -> None:
    """A crash between two tables never loses the older value: losers and history go first, the tally last."""
    tables = sorted(_TABLES, key=_rank)
    for first, then in (
        ("reading_superseded", "reading"),
        ("window_15min_history", "window_15min"),
        ("window_day_history", "window_day"),
        ("reading", "intake"),
        ("quarantine", "intake"),
        ("point", "reading"),
    ):
        assert tables.index(first) < tables.index(then)


def test_writer_gives_up_after_its_patience_and_keeps_the_rows(
    client: Client, store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """A store that stays away is an error that says so; the rows are still held and go out later."""
    away = Settings(store="http://127.0.0.1:1", database=store_settings.database)
    writer = Writer(away, patience_s=0.2)
    writer.write(rows("reading"))
    with pytest.raises(StorageError, match=r"does not answer.*gave up after 0.2 s"):
        writer.flush()
    assert writer.held == 1
    writer.settings = writer._connection.settings = store_settings
    writer.close()
    assert client.command("SELECT count() FROM reading") == 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"origin": np.array([256])}, "256..256 does not fit uint8"),
        ({"received_at": np.array([-1])}, "-1..-1 does not fit uint32"),
        ({"sequence": np.array([-1])}, "-1..-1 does not fit uint64"),
        ({"ticks": np.array([2**63], dtype=np.uint64)}, "does not fit int64"),
        ({"ticks": np.array([1.5])}, "expected whole numbers"),
        ({"ticks": np.array(["1"], dtype=object)}, "expected numbers, got texts"),
        ({"point": np.array([1])}, "expected texts"),
        ({"point": Labels(np.array([1], dtype=np.int32), ("a",))}, "codes 1..1 of 1 texts"),
        ({"ticks": np.array([1, 2])}, "unequal length"),
        ({"colour": np.array([1])}, "unknown columns ['colour']"),
    ],
)
def test_writer_rows_that_do_not_fit_are_refused(
    writer: Writer, rows: Callable[..., Rows], columns: dict[str, object], said: str
) -> None:
    """Nothing wraps around, is cut or defaulted: a wrong number must not pass as a right one."""
    batch = rows("reading")
    batch.columns.update(columns)  # type: ignore[arg-type]
    writer.write(batch)
    with pytest.raises(ContractError) as caught:
        writer.flush()
    assert said in str(caught.value)


def test_writer_missing_column_is_refused(writer: Writer, rows: Callable[..., Rows]) -> None:
    """A forgotten column is an error, not a default."""
    batch = rows("reading")
    del batch.columns["quality"]
    writer.write(batch)
    with pytest.raises(ContractError, match="missing columns \\['quality'\\]"):
        writer.flush()


def test_encode_one_row_is_the_bytes_of_the_format() -> None:
    """A block of one number and one text, byte by byte as the format says."""
    columns = {"n": np.array([258], dtype=np.int64), "t": Labels(np.array([0], dtype=np.int32), ("能",))}
    types = {"n": "UInt16", "t": "LowCardinality(String)"}
    found = encode([Rows("x", columns)], types)
    key = "能".encode()
    assert found == (
        b"\x02\x01"  # columns, rows
        b"\x01n\x06UInt16\x02\x01"
        b"\x01t\x16LowCardinality(String)"
        + (1).to_bytes(8, "little")  # keys come with the column
        + (0x600).to_bytes(8, "little")  # own keys, codes of one byte
        + (1).to_bytes(8, "little")
        + bytes([len(key)])
        + key
        + (1).to_bytes(8, "little")
        + b"\x00"
    )
