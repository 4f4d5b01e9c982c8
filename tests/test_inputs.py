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
from text_columns import columns, wrong

WORDS = ["b", "a", "", "b"]


@pytest.mark.parametrize("kind", columns(WORDS))
def test_texts_and_keys_are_read_from_every_library(kind: str) -> None:
    column = columns(WORDS)[kind]
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


@pytest.mark.parametrize("kind", [*wrong(WORDS), "one text"])
def test_what_is_no_column_is_refused_by_name(kind: str) -> None:
    column = {**wrong(WORDS), "one text": "title"}[kind]
    with pytest.raises((TypeError, ValueError), match=r"^titles"):
        as_texts(column, "titles")
    with pytest.raises((TypeError, ValueError), match=r"^labels"):
        as_keys(column, "labels")


def test_one_long_text_takes_no_room_for_the_others() -> None:
    texts = ["x" * 1_000_000, *map(str, range(100_000))]  # as an array of fixed width 400 GB
    assert len(as_keys(texts, "labels").present) == len(texts)


@pytest.mark.parametrize("value", ["False", 0, 1, None, np.array([True])])
def test_flags_are_true_or_false(value: Any) -> None:
    with pytest.raises(TypeError, match="replace must be True or False"):
        as_flag(value, "replace")


def test_flags_of_numpy_are_flags() -> None:
    assert as_flag(np.True_, "replace") is True
