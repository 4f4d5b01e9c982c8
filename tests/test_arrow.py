"""Columns of Arrow as NumPy arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow")

from coremax._inputs.arrow import to_numpy  # noqa: E402

NUMBERS = np.arange(12, dtype=np.float32)


def test_one_chunk_is_not_copied() -> None:
    column = pa.array(NUMBERS)
    address = column.buffers()[1].address
    lists = pa.FixedSizeListArray.from_arrays(column, 4)
    for part, skipped in ((column, 0), (column.slice(5), 5), (lists, 0), (lists.slice(1), 4), (pa.chunked_array([lists]), 0)):
        found = to_numpy(part, "x")
        assert found.ctypes.data == address + 4 * skipped
        assert not found.flags.writeable
        assert found.ravel().tolist() == list(range(skipped, 12))


@pytest.mark.parametrize("kind", ["int8", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64", "bool"])
@pytest.mark.parametrize("lists", [False, True])
def test_every_type_of_number(kind: str, lists: bool) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    flat = pa.array(values.ravel())
    column = pa.ListArray.from_arrays([0, 3, 6], flat) if lists else flat
    found = to_numpy(column, "x")
    assert found.dtype == values.dtype
    assert np.array_equal(found, values if lists else values.ravel())


def test_chunks_are_joined_and_empty_ones_skipped() -> None:
    kind = pa.list_(pa.int64())
    column = pa.chunked_array([pa.array([], kind), pa.array([[1, 2]], kind), pa.array([[3, 4], [5, 6]], kind)])
    assert to_numpy(column, "x").tolist() == [[1, 2], [3, 4], [5, 6]]
    assert to_numpy(column.slice(2), "x").tolist() == [[5, 6]]
    assert to_numpy(pa.chunked_array([], kind), "x").shape == (0, 0)
    assert to_numpy(pa.chunked_array([pa.array([1.0, 1.0]).dictionary_encode()]), "x").tolist() == [1, 1]
    assert to_numpy(pa.array([[[1, 2]], [[3, 4]]]), "x").shape == (2, 1, 2)


PAIRS = pa.list_(pa.float64(), 2)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, None, 2]), r"x\[1\] is null \(1 of 3 are\)"),
        (pa.chunked_array([[1, 2], [3, None]]), r"x\[3\] is null"),
        (pa.array([[1.0, 2.0], None]), r"x\[1\] is null"),
        (pa.array([[1.0, 2.0], [3.0, None]]), r"x\[1\] holds a null"),
        (pa.array([[1.0, None], [3.0, 4.0]]).slice(0, 1), r"x\[0\] holds a null"),
        (pa.array([[1.0, 2.0], [3.0, 4.0], [3.0, None]], PAIRS).slice(1), r"x\[1\] holds a null"),
        (pa.chunked_array([[[1.0, 2.0]], [[3.0, None]]]), r"x\[1\] holds a null"),
        (pa.array([[1.0, 2.0], [3.0]]), r"x\[1\] has 1 elements, but x\[0\] has 2"),
        (pa.chunked_array([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0]]]), r"x\[2\] has 1 elements, but x\[0\] has 2"),
    ],
)
def test_nulls_and_ragged_lists_are_named(column: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_numpy(column, "x")


@given(
    st.integers(0, 3).flatmap(
        lambda width: st.lists(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=width, max_size=width), max_size=12)
    ),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(0, 4),
    st.booleans(),
)
def test_any_column_is_its_python_list_or_names_its_first_null(
    rows: list[list[int | None]], cuts: list[int], skipped: int, flat: bool
) -> None:
    values: list[Any] = [row[0] for row in rows if row] if flat else rows
    kind = pa.int64() if flat else pa.list_(pa.int64())
    column = pa.array(values, kind)
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    chunked = pa.chunked_array([column.slice(a, b - a) for a, b in itertools.pairwise(bounds)], kind).slice(skipped)
    expected = chunked.to_pylist()
    bad = [place for place, row in enumerate(expected) if (row is None if flat else None in row)]
    if bad:
        with pytest.raises(ValueError, match=rf"x\[{bad[0]}\] (is|holds a) null"):
            to_numpy(chunked, "x")
    else:
        assert to_numpy(chunked, "x").tolist() == expected


@pytest.mark.parametrize("column", [pa.array(["a"]), pa.array([1], pa.timestamp("s")), pa.chunked_array([], pa.string())])
def test_what_is_no_number_is_refused(column: Any) -> None:
    with pytest.raises(TypeError, match="x must be a column of numbers, or of lists of numbers of one length, got"):
        to_numpy(column, "x")


def test_messages_count_from_the_row_given() -> None:
    with pytest.raises(ValueError, match=r"x\[101\] is null"):
        to_numpy(pa.array([1, None]), "x", first=100)
