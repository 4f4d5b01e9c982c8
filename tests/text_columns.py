"""Columns of texts in every library that users have them in, and what is none."""

from __future__ import annotations

from typing import Any

import datasets as hugging_face
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa


def columns(texts: list[str]) -> dict[str, Any]:
    """The same texts in every library."""
    arrow = pa.array(texts)
    return {
        "tuple": tuple(texts),
        "numpy U": np.array(texts),
        "numpy S": np.char.encode(np.array(texts), "utf-8"),
        "numpy object": np.array(texts, object),
        "numpy strings": np.array(texts, np.dtypes.StringDType()),
        "numpy str_": list(np.array(texts)),
        "bytes": [line.encode() for line in texts],
        "pandas": pd.Series(texts, index=range(len(texts), 0, -1)),
        "pandas object": pd.Series(texts, dtype=object),
        "pandas string": pd.Series(texts, dtype="string"),
        "pandas Arrow": pd.Series(texts, dtype=pd.ArrowDtype(pa.large_string())),
        "pandas categories": pd.Series(texts, dtype="category"),
        "pandas index": pd.Index(texts),
        "pandas array": pd.Categorical(texts),
        "polars": pl.Series(texts),
        "polars categories": pl.Series(texts, dtype=pl.Categorical),
        "polars enum": pl.Series(texts, dtype=pl.Enum(sorted(set(texts)))),
        "arrow": arrow,
        "arrow large": pa.array(texts, pa.large_string()),
        "arrow view": pa.array(texts, pa.string_view()),
        "arrow binary": pa.array([line.encode() for line in texts]),
        "arrow dictionary": arrow.dictionary_encode(),
        "arrow chunks": pa.chunked_array([texts[:2], [], texts[2:]], pa.string()),
        "arrow runs": pa.RunEndEncodedArray.from_arrays(list(range(1, len(texts) + 1)), arrow),
        "datasets": hugging_face.Dataset.from_dict({"a": texts})["a"],
    }


def wrong(texts: list[str]) -> dict[str, Any]:
    """What is no column of them, though most of it can be gone through, or holds as much."""
    n = len(texts)
    frame = pd.DataFrame({"first": texts, "second": texts})
    return {
        "mapping": {"first": texts, "second": texts},
        "as long a mapping": dict.fromkeys(map(str, range(n)), "a"),
        "pandas frame": frame,
        "frame of one column": frame[["first"]],
        "polars frame": pl.DataFrame({"first": texts}),
        "lazy frame": pl.DataFrame({"first": texts}).lazy(),
        "table": pa.table({"first": texts}),
        "batch": pa.record_batch({"first": texts}),
        "data set": hugging_face.Dataset.from_dict({"first": texts}),
        "splits": hugging_face.DatasetDict(train=hugging_face.Dataset.from_dict({"first": texts})),
        "set": set(map(str, range(n))),
        "a row": np.array([texts]),
        "a matrix": np.array([texts]).T,
        "rows": [[line] for line in texts],
        "records": np.array([(line, 1) for line in texts], dtype=[("first", "U9"), ("n", int)]),
        "levels": pd.MultiIndex.from_tuples([(line, line) for line in texts]),
        "masked": np.ma.masked_array(texts, mask=[True] + [False] * (n - 1)),
        "None": [*texts[1:], None],
        "NaN": pd.Series([*texts[1:], np.nan], dtype=object),
        "NA": pd.Series([*texts[1:], None], dtype="string"),
        "polars null": pl.Series([*texts[1:], None]),
        "arrow null": pa.array([*texts[1:], None]),
        "null in a dictionary": pa.DictionaryArray.from_arrays([0] * (n - 1) + [1], pa.array(["a", None])),
        "null in runs": pa.RunEndEncodedArray.from_arrays([n - 1, n], pa.array(["a", None])),
        "a mixture": [*texts[1:], 1],
        "a mixture from a number on": [1, *texts[1:]],
        "lists of Arrow": pa.array([[line] for line in texts]),
        "floats": np.linspace(0, 1, n),
    }
