"""Columns of texts and keys, of every library that users have them in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from coremax._inputs.checks import as_flag
from coremax._inputs.keys import as_keys
from coremax._inputs.texts import as_texts, is_text

WORDS = ["b", "a", "", "b"]
COLUMNS: dict[str, Any] = {
    "list": WORDS,
    "tuple": tuple(WORDS),
    "numpy U": np.array(WORDS),
    "numpy S": np.array(WORDS, "S1"),
    "numpy object": np.array(WORDS, object),
    "numpy strings": np.array(WORDS, np.dtypes.StringDType()),
    "pandas object": pd.Series(WORDS, dtype=object),
    "pandas string": pd.Series(WORDS, dtype="string"),
    "pandas Arrow": pd.Series(WORDS, dtype=pd.ArrowDtype(pa.string())),
    "pandas categories": pd.Series(WORDS, dtype="category"),
    "pandas index": pd.Index(WORDS),
    "polars": pl.Series(WORDS),
    "polars categories": pl.Series(WORDS, dtype=pl.Categorical),
    "polars enum": pl.Series(WORDS, dtype=pl.Enum(["b", "a", ""])),
    "arrow": pa.array(WORDS),
    "arrow large": pa.array(WORDS, pa.large_string()),
    "arrow view": pa.array(WORDS, pa.string_view()),
    "arrow dictionary": pa.array(WORDS).dictionary_encode(),
    "arrow chunks": pa.chunked_array([WORDS[:1], [], WORDS[1:]], pa.string()),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_texts_and_keys_are_read_from_every_library(kind: str) -> None:
    column = COLUMNS[kind]
    assert is_text(column)
    assert as_texts(column, "texts", 4) == WORDS
    keys = as_keys(column, "labels", 4)
    assert keys.codes.tolist() == [2, 1, 0, 2]
    assert keys.values == ["", "a", "b"]
    assert keys.sizes.tolist() == [1, 1, 2]


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, pd.Series, pl.Series, pa.array])
def test_whole_numbers_are_keys_of_every_library(make: Any) -> None:
    keys = as_keys(make([7, -2, 7]), "groups")
    assert keys.codes.tolist() == [1, 0, 1]
    assert keys.values == [-2, 7]


WRONG: dict[str, Any] = {
    "mapping": {"title": WORDS},
    "frame": pd.DataFrame({"title": WORDS}),
    "polars frame": pl.DataFrame({"title": WORDS}),
    "table": pa.table({"title": WORDS}),
    "two axes": np.array([WORDS]),
    "set": set(WORDS),
    "one text": "title",
    "mixture": ["a", 1],
    "null": pa.array(["a", None]),
    "None": ["a", None],
    "NaN": pd.Series(["a", np.nan]),
    "lists": pa.array([["a"]]),
    "masked": np.ma.masked_array(WORDS),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_column_is_refused_by_name(kind: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^titles"):
        as_texts(WRONG[kind], "titles")
    with pytest.raises((TypeError, ValueError), match=r"^labels"):
        as_keys(WRONG[kind], "labels")


def test_one_long_text_takes_no_room_for_the_others() -> None:
    texts = ["x" * 1_000_000, *map(str, range(100_000))]  # as an array of fixed width 400 GB
    assert len(as_keys(texts, "labels").present) == len(texts)


@pytest.mark.parametrize("value", ["False", 0, 1, None, np.array([True])])
def test_flags_are_true_or_false(value: Any) -> None:
    with pytest.raises(TypeError, match="replace must be True or False"):
        as_flag(value, "replace")


def test_flags_of_numpy_are_flags() -> None:
    assert as_flag(np.True_, "replace") is True
