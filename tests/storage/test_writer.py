"""Rows on their way: whole, in order, once, and refused rather than bent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nengliu.errors import ContractError, StorageError
from nengliu.settings import Settings
from nengliu.storage import Writer
from nengliu.storage import writer as writer_module
from nengliu.storage.native import encode
from nengliu.storage.writer import _rank
from schemas.block import Arrays, Labels, Lists, Rows

_TABLES = (
    "enterprise",
    "point",
    "frame_schema",
    "book",
    "import_run",
    "reading_chunk",
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
    "manual_entry",
)


def _all(client: Client, table: str) -> list[dict[str, object]]:
    return list(client.query(f"SELECT * FROM {table} FINAL ORDER BY ALL").named_results())


def _listed(told: object) -> Any:
    """Give a column row by row."""
    if isinstance(told, Lists):
        return [[*texts] for texts in told.values]
    if isinstance(told, Arrays):
        return [each.tolist() for each in np.split(told.values, told.ends[:-1])]
    return told


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
        value, column = found[name], _listed(told)
        stamp = getattr(value, "timestamp", None)
        if stamp is not None:
            assert stamp() == column[0] or stamp() * 1000 == column[0]
        else:
            assert value == column[0] or np.isnan([value, column[0]]).all(), name


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


@given(
    st.lists(st.lists(st.integers(0, 255), max_size=5), max_size=20),
    st.integers(1, 7),
    st.sampled_from((1, -1)),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_writer_lists_of_numbers_in_any_split_come_back(
    client: Client,
    store_settings: Settings,
    rows: Callable[..., Rows],
    lists: list[list[int]],
    pieces: int,
    sign: int,
) -> None:
    """Whatever their lengths, and however the rows are cut into batches; a list of texts may be said to be nothing."""
    client.command("TRUNCATE TABLE reading_chunk")
    with Writer(store_settings) as writer:
        for start in range(0, len(lists), pieces):
            some = lists[start : start + pieces]
            ends = np.cumsum([len(one) for one in some])
            batch = rows("reading_chunk", period_start=[3600 * (start + i) for i in range(len(some))])
            values = np.array([value for one in some for value in one], np.uint8)
            empty = Arrays(np.zeros(len(some), np.int64), np.empty(0))
            batch.columns.update(  # type: ignore[attr-defined]
                at=Arrays(ends, values),
                ticks=Arrays(ends, values * np.int64(sign) << np.int64(40)),
                quality=Arrays(ends, values),
                sent_unit_each=empty,
            )
            writer.write(batch)
    query = "SELECT at, ticks, quality, sent_unit_each FROM reading_chunk ORDER BY period_start"
    found = client.query(query).result_rows
    assert found == [(one, [sign * value << 40 for value in one], one, []) for one in lists]


def test_writer_lists_that_do_not_end_with_their_numbers_are_refused(
    writer: Writer, rows: Callable[..., Rows]
) -> None:
    """A list that would take another's numbers must not pass."""
    for column, value, said in (
        ("at", Arrays(np.array([2]), np.array([1])), "do not end where their numbers do"),
        ("at", Arrays(np.array([0]), np.array([1])), "do not end where their numbers do"),
        ("at", Arrays(np.array([-1]), np.array([], np.int64)), "do not end where their numbers do"),
        ("at", Arrays(np.array([1]), np.array([-1])), "-1..-1 does not fit uint32"),
        ("at", np.array([1]), "expected lists of numbers"),
        ("revision", Arrays(np.array([1]), np.array([1])), "expected numbers, got lists"),
        ("point", Arrays(np.array([1]), np.array([1])), "expected texts, got lists"),
        ("sent_unit_each", Arrays(np.array([1]), np.array([1])), "expected lists of texts"),
    ):
        batch = rows("reading_chunk")
        batch.columns[column] = value  # type: ignore[index]
        writer.write(batch)
        with pytest.raises(ContractError, match=said):
            writer.flush()


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
    plain = rows("reading_superseded", point=["a", "b", "a", "能"], read_at=[1, 2, 3, 4])
    names = ("unused", "能", "b", "a")
    coded = rows("reading_superseded", point=["x"] * 4, read_at=[5, 6, 7, 8])
    coded.columns["point"] = Labels(np.array([3, 2, 3, 1], dtype=np.int32), names)
    writer.write(plain)
    writer.write(coded)
    writer.flush()
    points = [
        row["point"] for row in sorted(_all(client, "reading_superseded"), key=lambda row: row["read_at"])
    ]
    assert points == ["a", "b", "a", "能"] * 2


@pytest.mark.parametrize("keys", [1, 255, 256, 257, 65_536, 65_537])
def test_writer_labels_of_any_dictionary_size_arrive(
    client: Client, writer: Writer, rows: Callable[..., Rows], keys: int
) -> None:
    """The width of the codes follows the size of the dictionary, at its edges too."""
    batch = rows("reading_superseded", read_at=list(range(keys)))
    batch.columns["point"] = Labels(
        np.arange(keys, dtype=np.int32)[::-1], tuple(f"p{i}" for i in range(keys))
    )
    writer.write(batch)
    writer.flush()
    right = "point = 'p' || toString({n:UInt32} - toUnixTimestamp64Milli(read_at))"
    found = client.query(
        f"SELECT uniqExact(point), countIf({right}) FROM reading_superseded", parameters={"n": keys - 1}
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
    client.command("TRUNCATE TABLE reading_superseded")
    with Writer(store_settings) as writer:
        for start in range(0, len(values), pieces):
            some = values[start : start + pieces]
            names, ticks = [name for name, _ in some], [tick for _, tick in some]
            stamps = list(range(start, start + len(some)))
            batch = rows("reading_superseded", point=names, read_at=stamps)
            batch.columns["ticks"] = np.array(ticks, dtype=np.int64)
            writer.write(batch)
    found = client.query("SELECT point, ticks FROM reading_superseded FINAL ORDER BY read_at").result_rows
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
    writer.write(rows("reading_superseded"))
    writer._seal()
    writer._send(client)
    writer.flush()
    assert client.command("SELECT count() FROM reading_superseded") == 1


def test_writer_full_flushes_before_it_takes_more(
    client: Client, store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """No more than the limit is held: the caller waits for the store (back-pressure)."""
    four = [rows("reading_superseded", read_at=[i * 4 + j for j in range(4)]) for i in range(4)]
    writer = Writer(store_settings, limit_bytes=10 * four[0].nbytes // 4)
    for some in four:
        writer.write(some)
        assert writer.held <= writer.limit_bytes
    assert client.command("SELECT count() FROM reading_superseded") == 8
    writer.close()
    assert writer.held == 0
    assert client.command("SELECT count() FROM reading_superseded") == 16


def test_writer_large_table_goes_out_in_several_inserts(
    client: Client, writer: Writer, rows: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One insert is bounded, so that the store has the memory for it; together they are everything."""
    four = [rows("reading_superseded", read_at=[i * 4 + j for j in range(4)]) for i in range(4)]
    monkeypatch.setattr(writer_module, "INSERT_BYTES", 2 * four[0].nbytes)
    for some in four:
        writer.write(some)
    writer._seal()
    assert [batch.size for batch in writer._sealed] == [2 * four[0].nbytes] * 2
    assert writer.held == 4 * four[0].nbytes
    writer.flush()
    assert client.command("SELECT count() FROM reading_superseded") == 16


def test_writer_order_keeps_what_is_superseded_before_it_is_replaced() -> None:
    """A crash between two tables never loses the older value: losers and history go first, the tally last."""
    tables = sorted(_TABLES, key=_rank)
    for first, then in (
        ("reading_superseded", "reading_chunk"),
        ("window_15min_history", "window_15min"),
        ("window_day_history", "window_day"),
        ("reading_chunk", "intake"),
        ("quarantine", "intake"),
        ("point", "reading_chunk"),
    ):
        assert tables.index(first) < tables.index(then)


def test_writer_gives_up_after_its_patience_and_keeps_the_rows(
    client: Client, store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """A store that stays away is an error that says so; the rows are still held and go out later."""
    away = Settings(store="http://127.0.0.1:1", database=store_settings.database)
    writer = Writer(away, patience_s=0.2)
    writer.write(rows("reading_superseded"))
    with pytest.raises(StorageError, match=r"does not answer.*gave up after 0.2 s"):
        writer.flush()
    assert writer.held > 0
    writer.settings = writer._connection.settings = store_settings
    writer.close()
    assert client.command("SELECT count() FROM reading_superseded") == 1


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
    batch = rows("reading_superseded")
    batch.columns.update(columns)  # type: ignore[arg-type]
    writer.write(batch)
    with pytest.raises(ContractError) as caught:
        writer.flush()
    assert said in str(caught.value)


def test_writer_missing_column_is_refused(writer: Writer, rows: Callable[..., Rows]) -> None:
    """A forgotten column is an error, not a default."""
    batch = rows("reading_superseded")
    del batch.columns["quality"]
    writer.write(batch)
    with pytest.raises(ContractError, match="missing columns \\['quality'\\]"):
        writer.flush()


def test_encode_one_row_is_the_bytes_of_the_format() -> None:
    """A block of one number and one text, byte by byte as the format says."""
    columns = {"n": np.array([258], dtype=np.int64), "t": Labels(np.array([0], dtype=np.int32), ("能",))}
    types = {"n": "UInt16", "t": "LowCardinality(String)"}
    found = b"".join(encode([Rows("x", columns)], types))
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
