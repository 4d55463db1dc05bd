"""Sorted columns against plain dictionaries."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.analysis.sorted import Sorted, compact, ranges, starts_of

codes = st.lists(st.integers(0, 30), max_size=30)


def _columns(values: list[int]) -> dict[str, np.ndarray]:
    return {"v": np.array(values, np.int64), "w": np.array(values, np.int64) % 7}


@settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(
        st.dictionaries(st.integers(0, 2**64 - 1) | st.integers(0, 9), st.integers(-9, 9)), max_size=6
    )
)
def test_upsert_does_what_a_dictionary_does(batches: list[dict[int, int]]) -> None:
    """Rows written over and over stand sorted, one per key, the later value in place."""
    table, plain = Sorted({"v": "i8", "w": "u1"}), {}
    for batch in batches:
        keys = sorted(batch)
        table.upsert(np.array(keys, np.uint64), _columns([batch[key] for key in keys]))
        plain |= batch
    assert table.keys.tolist() == sorted(plain)
    assert table.columns["v"].tolist() == [plain[key] for key in sorted(plain)]
    assert table.columns["w"].tolist() == [plain[key] % 7 for key in sorted(plain)]
    assert table.columns["w"].dtype == np.uint8


@given(old=st.sets(st.integers(0, 40)), new=st.sets(st.integers(0, 40)))
def test_insert_keeps_the_order_wherever_rows_go(old: set[int], new: set[int]) -> None:
    """New keys in the middle, before and behind: ascending afterwards, each with its own value."""
    table = Sorted({"v": "i8", "w": "u1"})
    for some in (sorted(old), sorted(new - old)):
        keys = np.array(some, np.uint64)
        table.insert(np.searchsorted(table.keys, keys), keys, _columns(some))
    assert table.keys.tolist() == table.columns["v"].tolist() == sorted(old | new)


@given(keys=st.sets(st.integers(0, 40)), dropped=st.sets(st.integers(0, 40)))
def test_keep_forgets_what_is_not_wanted(keys: set[int], dropped: set[int]) -> None:
    """Only the rows under the mask stay, columns alike."""
    table = Sorted({"v": "i8", "w": "u1"})
    table.upsert(np.array(sorted(keys), np.uint64), _columns(sorted(keys)))
    table.keep(np.array([key not in dropped for key in sorted(keys)], bool))

    assert table.keys.tolist() == table.columns["v"].tolist() == sorted(keys - dropped)


@given(codes=codes)
def test_compact_finds_each_code_once(codes: list[int]) -> None:
    """It agrees with a set, and the places lead back to the codes."""
    used, place = compact(np.array(codes, np.int64))

    assert used.tolist() == sorted(set(codes))
    assert used[place].tolist() == codes


@given(codes=codes)
def test_starts_mark_the_first_of_each_run(codes: list[int]) -> None:
    """As many starts as runs, each where its run begins."""
    ordered = sorted(codes)

    assert [ordered[i] for i in starts_of(np.array(ordered)).tolist()] == sorted(set(codes))
    assert [ordered.index(code) for code in sorted(set(codes))] == starts_of(np.array(ordered)).tolist()


@given(spans=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=8))
def test_ranges_spell_out_what_python_ranges_do(spans: list[tuple[int, int]]) -> None:
    """Empty ranges included, each index with the number of its range."""
    first = np.array([start for start, _ in spans], np.intp)
    end = np.array([start + length for start, length in spans], np.intp)
    index, owner = ranges(first, end)

    wanted = [
        (i, number) for number, (start, length) in enumerate(spans) for i in range(start, start + length)
    ]
    assert list(zip(index.tolist(), owner.tolist(), strict=True)) == wanted
