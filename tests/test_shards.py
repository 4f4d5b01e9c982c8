"""Which files are shards, what their folders say, shards whose types differ: compared with PyArrow's and pandas' readers."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import coremax  # noqa: E402
from coremax._inputs.shards import shards_of  # noqa: E402
from coremax.datasets import ShardSelection, prune, select, select_parquet  # noqa: E402
from coremax.selection import registry  # noqa: E402
from helpers import clustered  # noqa: E402

N, D = 80, 4
X = clustered(N, D, 5, seed=0)
SCORE = np.random.default_rng(1).permutation(N).astype(float)
WORDS = [("web", "wiki", "books")[i % 3] for i in range(N)]


def put(path: Path, rows: list[int] | range, **columns: Any) -> Path:
    """A shard of numbered rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"i": pa.array(list(rows), pa.int64()), **columns}), path)
    return path


def order(files: Any) -> list[int]:
    """The column "i" of all rows as `select_parquet` numbers them."""
    kept = select_parquet(files, 1.0, importance="i", method="top")
    return [int(pq.ParquetFile(file).read(["i"]).column(0)[row].as_py()) for file, rows in kept for row in rows]


def refused(files: Any, message: str, error: type[Exception] = ValueError, **arguments: Any) -> None:
    with pytest.raises(error, match=message) as raised:
        select_parquet(files, 2, **{"importance": "i", "method": "top", **arguments})
    assert "\n" not in str(raised.value)


# --- Which files -------------------------------------------------------------------------------------------------------------

HIDDEN = [
    "_x.parquet", ".x.parquet", ".a.parquet.inprogress.parquet", "_temporary/0/part.parquet", ".hidden/part.parquet",
    "_delta_log/0.checkpoint.parquet", "year=1/_part.parquet", "_metadata", "_common_metadata",
]  # fmt: skip
SEEN = [
    "B.parquet",
    "a-b/x.parquet",
    "a.parquet",
    "a/x.parquet",
    "10.parquet",
    "9.parquet",
    "x.parquet/part-0.PARQUET",
    "\u00e9.parq",
    "z.pq",
]


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """A folder as Spark, Hive, download tools and people leave them."""
    root = tmp_path / "messy"
    for number, name in enumerate([*SEEN, *HIDDEN]):
        put(root / name, [2 * number, 2 * number + 1])
    (root / "_SUCCESS").touch()
    (root / ".a.parquet.crc").write_bytes(b"crc")
    (root / "000000_0").write_bytes((root / "a.parquet").read_bytes())  # as Hive names them
    return root


def test_rows_of_a_folder_are_those_of_other_readers(messy: Path) -> None:
    pandas = pytest.importorskip("pandas")
    expected = ds.dataset(messy, format="parquet").to_table()["i"].to_pylist()
    assert order(messy) == expected == pandas.read_parquet(messy)["i"].tolist()
    assert order(str(messy) + "/") == expected
    assert [shard.path for shard in shards_of(messy)] == ds.dataset(messy, format="parquet").files


@pytest.mark.parametrize("seed", range(3))
def test_any_tree_is_listed_as_pyarrow_lists_it(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    part = put(tmp_path / "part", [0]).read_bytes()
    for _ in range(60):
        names = ["".join(rng.choice(list("_.-=aZ0 %\u00e9"), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
        if not {".", ".."} & set(names):
            path = tmp_path / "tree" / "/".join(f"{name}d" for name in names[:-1]) / f"{names[-1]}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(part)
    assert [shard.path for shard in shards_of(tmp_path / "tree")] == ds.dataset(tmp_path / "tree", format="parquet").files


def test_what_is_no_parquet_is_left_out(messy: Path) -> None:
    expected = order(messy)
    for name in ("README", "data.csv", "a.parquet.crdownload", "b.parquet.tmp", "c.parquet.part", "d.parquet.crc"):
        (messy / name).write_bytes(b"PAR1 and no more" if name.endswith(("crdownload", "tmp", "part")) else b"text")
    assert order(messy) == expected


@pytest.mark.parametrize("name", HIDDEN[:6])
def test_hidden_files_are_read_when_named(messy: Path, name: str) -> None:
    expected = pq.ParquetFile(messy / name).read().column("i").to_pylist()
    assert order(messy / name) == expected == ds.dataset(messy / name, format="parquet").to_table()["i"].to_pylist()
    if "/" in name:
        assert order((messy / name).parent) == expected


def test_patterns(messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(messy)
    assert [shard.path for shard in shards_of("*.parquet")] == [
        "10.parquet", "9.parquet", "B.parquet", "a.parquet", "x.parquet/part-0.PARQUET"
    ]  # fmt: skip
    assert [shard.path for shard in shards_of("_*.parquet")] == ["_x.parquet"]
    assert [shard.path for shard in shards_of("a*/*.parquet")] == ["a-b/x.parquet", "a/x.parquet"]
    everything = [shard.path for shard in shards_of(messy)]
    (messy / "README").write_text("no shard")
    for pattern in (f"{messy}/**", f"{messy}/*", f"{messy}/**/*"):
        assert [shard.path for shard in shards_of(pattern)] == everything
    put(tmp_path / "odd" / "a[1].parquet", [0])
    assert len(shards_of(tmp_path / "odd" / "a[1].parquet")) == 1  # a file of that name goes before the pattern
    refused("none/*.parquet", r"no file matches none/\*.parquet")


def test_lists_in_the_order_given(messy: Path) -> None:
    names = [messy / "z.pq", str(messy / "a"), messy / "a.parquet"]
    assert [os.path.basename(shard.path) for shard in shards_of(names)] == ["z.pq", "x.parquet", "a.parquet"]
    assert order(iter(names)) == order(names)
    assert order(pa.array([str(name) for name in names])) == order(names)
    refused([messy / "a.parquet", messy], r"files must have different names, but .*a.parquet is there twice")
    refused({"a": 1}, "files must be a path or a sequence of paths, got dict", TypeError)
    refused([messy, None], "files must be a path, got NoneType", TypeError)
    refused([""], "files must be a path, got an empty text")


def test_links(messy: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a.parquet").symlink_to(messy / "B.parquet")
    (linked / "folder").symlink_to(messy / "a")
    assert order(linked) == ds.dataset(linked, format="parquet").to_table()["i"].to_pylist()
    (linked / "b.parquet").symlink_to(tmp_path / "nowhere")
    refused(linked, r"b.parquet is a link to .*nowhere, which does not exist: a part of the data is missing")
    (linked / "b.parquet").unlink()
    (linked / "round").symlink_to(linked)
    refused(linked, r"round is a link to a folder that it lies in")


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    refused(tmp_path / "a", r"a holds no file ending in .parquet, .parq or .pq \(names .* hidden\); it has nothing")
    put(tmp_path / "a" / "_b.parquet", [1])
    refused(tmp_path / "a", r"it has _b.parquet")
    (tmp_path / "a" / "c.parquet").touch()
    refused(tmp_path / "a", r"c.parquet can not be read as Parquet: .*0 bytes")
    refused(tmp_path / "c.parquet", r"c.parquet: no such file")
    os.mkfifo(tmp_path / "d.parquet")
    refused(tmp_path / "d.parquet", r"d.parquet is no regular file")


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3://bucket/data", r"fsspec.filesystem\('s3'\)"),
        ("hf://datasets/a/b", "snapshot_download"),
        ("https://host/a.parquet", "copy it here first"),
        ("file:///tmp/a.parquet", "pass the path itself"),
        (Path("gs://bucket/data"), ""),  # which a Path writes with one slash
    ],
)
def test_addresses_are_no_folders(address: Any, advice: str, tmp_path: Path) -> None:
    refused(address, rf"is an address.*{advice}")
    chosen = select_parquet(put(tmp_path / "a.parquet", range(4)), 2, importance="i", method="top")
    with pytest.raises(ValueError, match=r"folder .* is an address"):
        chosen.write(address)


# --- Folders that are columns ------------------------------------------------------------------------------------------------


@pytest.fixture
def hive(tmp_path: Path) -> Path:
    """Folders of two levels, with files of the same names."""
    root = tmp_path / "hive"
    for number, (year, lang) in enumerate([(2023, "en"), (2023, "de"), (2024, "en"), (2024, "f r")]):
        rows = range(20 * number, 20 * number + 20)
        put(root / f"year={year}" / f"lang={lang.replace(' ', '%20')}" / "part-0.parquet", rows, s=SCORE[rows])
    return root


def test_folders_as_columns_as_pyarrow_has_them(hive: Path, tmp_path: Path) -> None:
    expected = ds.dataset(hive, format="parquet", partitioning="hive").to_table()
    assert order(hive) == expected["i"].to_pylist()
    by_year = select_parquet(
        hive, 8, importance="s", embedding="s", labels=None, method="sims", options={"labels": "year", "class_fraction": 1.0}
    )
    years = np.asarray(expected["year"])[by_year.indices]
    assert np.unique(years, return_counts=True)[1].tolist() == [4, 4]
    scores = select_parquet(hive, 40, importance="year", method="top")
    assert set(np.asarray(expected["year"])[scores.indices].tolist()) == {2024}
    refused(hive, r"lang must be a column of numbers", TypeError, importance="lang")
    refused(hive, r"has no column 'month', or several; it has 'i', 's', 'year', 'lang'", importance="month")


@pytest.mark.parametrize(
    "values",
    [
        ["01", "2"],
        ["-1", "3"],
        ["+2", "1"],
        ["3000000000", "1"],
        ["1.5", "2"],
        ["", "x"],
        ["a=b", "c%2Fd"],
        ["1_0", "2"],
        ["\u0661", "2"],
    ],
)
def test_values_of_folders_as_pyarrow_reads_them(values: list[str], tmp_path: Path) -> None:
    for number, value in enumerate(values):
        put(tmp_path / "d" / f"key={value}" / "a.parquet", [number])
    expected = ds.dataset(tmp_path / "d", format="parquet", partitioning="hive").to_table()
    from coremax._inputs import rows

    source = rows.Parquet(shards_of(tmp_path / "d"), 10)
    parts = [batch.columns["key"] for batch in source.batches(["key"])]
    assert pa.chunked_array(parts).equals(expected["key"])
    assert [part.type for part in parts] == [expected["key"].type] * len(parts)


def test_folders_without_a_value_are_nulls(hive: Path) -> None:
    put(hive / "year=2025" / "lang=__HIVE_DEFAULT_PARTITION__" / "a.parquet", [1], s=[0.5])
    expected = ds.dataset(hive, format="parquet", partitioning="hive").to_table()
    assert expected["lang"][-1].as_py() is None
    refused(hive, r"a.parquet: lang\[0\] is null", importance="s", method="sims", labels="lang")
    put(hive / "loose.parquet", [1], s=[0.5])
    refused(hive, r"loose.parquet: year\[0\] is null", importance="year")


def test_a_column_of_the_file_goes_before_its_folder(tmp_path: Path) -> None:
    put(tmp_path / "d" / "year=1" / "a.parquet", range(4), year=pa.array([1, 5, 3, 2], pa.int64()))  # as Polars writes them
    assert select_parquet(tmp_path / "d", 2, importance="year", method="top").indices.tolist() == [1, 2]


def test_new_shards_lie_in_the_folders_of_the_old_ones(hive: Path, tmp_path: Path) -> None:
    everything = ds.dataset(hive, format="parquet", partitioning="hive").to_table()
    chosen = select_parquet(hive, 30, importance="s", method="top")
    written = chosen.write(tmp_path / "kept")
    found = ds.dataset(tmp_path / "kept", format="parquet", partitioning="hive").to_table()
    assert found.equals(everything.take(chosen.indices))
    assert sorted(os.path.relpath(file, tmp_path / "kept") for file in written) == sorted(
        str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*.parquet")
    )
    assert order(tmp_path / "kept") == found["i"].to_pylist()
    again = select_parquet(tmp_path / "kept", 4, importance="s", method="sims", labels="year")
    assert len(again) == 4
    # Of files and patterns, too, the folders that say something stay.
    for number, files in enumerate([sorted(map(str, hive.glob("*/*/*"))), f"{hive}/**/*.parquet", f"{hive}/year=*/"]):
        select_parquet(files, 30, importance="s", method="top").write(tmp_path / f"again {number}")
        assert ds.dataset(tmp_path / f"again {number}", partitioning="hive").to_table().equals(found)
    (one,) = select_parquet(next(hive.glob("*/*/*")), 3, importance="s", method="top").write(tmp_path / "one")
    assert [part.partition("=")[0] for part in Path(one).parts[-3:-1]] == ["year", "lang"]


def test_files_of_one_name_in_several_folders(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "d" / f"{number}" / "part.parquet", range(10 * number, 10 * number + 10))
    chosen = select_parquet(sorted((tmp_path / "d").glob("*/part.parquet")), 12, importance="i", method="top")
    files = chosen.write(tmp_path / "kept")
    assert [os.path.relpath(file, tmp_path / "kept") for file in files] == ["0/part.parquet", "1/part.parquet"]
    assert ds.dataset(tmp_path / "kept").to_table()["i"].to_pylist() == list(range(8, 20))


def test_new_shards_are_not_hidden(tmp_path: Path) -> None:
    put(tmp_path / "_a.parquet", range(5))
    select_parquet(tmp_path / "_a.parquet", 2, importance="i", method="top").write(tmp_path / "kept")
    assert ds.dataset(tmp_path / "kept").count_rows() == 2
    put(tmp_path / "a.parquet", range(5, 10))
    both = select_parquet([tmp_path / "_a.parquet", tmp_path / "a.parquet"], 9, importance="i", method="top")
    with pytest.raises(ValueError, match=r"two shards would be written as a.parquet"):
        both.write(tmp_path / "both")
    assert not (tmp_path / "both").exists()


# --- Shards whose types differ -----------------------------------------------------------------------------------------------

LISTS = {
    "list": pa.list_(pa.float32()),
    "large_list": pa.large_list(pa.float32()),
    "fixed": pa.list_(pa.float32(), D),
    "no null items": pa.list_(pa.field("item", pa.float32(), nullable=False)),
    "other item name": pa.list_(pa.field("element", pa.float32())),
    "float64": pa.list_(pa.float64()),
    "list_view": pa.list_view(pa.float32()),
    "large_list_view": pa.large_list_view(pa.float32()),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("first", ["list", "fixed"])
def test_lists_of_any_layout(first: str, kind: str, tmp_path: Path) -> None:
    for begin, layout in ((0, first), (30, kind)):
        rows = range(begin, 30 if begin == 0 else N)
        put(tmp_path / f"{begin}.parquet", rows, e=pa.array(X[rows].tolist(), LISTS[layout]), s=SCORE[rows])
    put(tmp_path / "empty.parquet", [], e=pa.nulls(0), s=pa.array([], pa.string()))
    chosen = select_parquet(tmp_path, 9, embedding="e", importance="s", batch_size=7)
    assert np.array_equal(chosen.indices, coremax.infomax(X, SCORE, 9).indices)


@pytest.mark.parametrize(
    "kinds",
    [
        ("int32", "int64"),
        ("uint8", "int16"),
        ("float32", "float64"),
        ("int32", "float32"),
        ("int64", "float64"),
        ("uint64", "int64"),
    ],
)
def test_numbers_of_any_width(kinds: tuple[str, str], tmp_path: Path) -> None:
    for begin, kind in zip((0, 40), kinds, strict=True):
        rows = range(begin, begin + 40)
        put(tmp_path / f"{begin}.parquet", rows, s=SCORE[rows].astype(kind))
    assert np.array_equal(
        select_parquet(tmp_path, 9, importance="s", method="top").indices, coremax.selection.top(SCORE, 9).indices
    )


def test_numbers_that_no_common_type_holds(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", range(2), s=[0.5, 1.5])
    put(tmp_path / "b.parquet", range(2), s=pa.array([7, 2**53 + 1], pa.int64()))
    refused(tmp_path, r"b.parquet: s\[1\] is 9007199254740993, which float64, .* can not hold", importance="s")
    put(tmp_path / "a.parquet", range(2), s=pa.array([1, -1], pa.int64()))
    put(tmp_path / "b.parquet", range(2), s=pa.array([7, 2**63], pa.uint64()))
    refused(tmp_path, r"b.parquet: s\[1\] is 9223372036854775808, which int64", importance="s")


PRESENT = ["unused", "wiki", "web", "books"]
TEXTS: dict[str, Any] = {
    "string": lambda words: pa.array(words),
    "large": lambda words: pa.array(words, pa.large_string()),
    "view": lambda words: pa.array(words, pa.string_view()),
    "dictionary": lambda words: pa.array(words).dictionary_encode(),
    "categories": lambda words: pa.DictionaryArray.from_arrays(
        pa.array([PRESENT.index(word) for word in words], pa.int8()), PRESENT
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_in_any_form(kind: str, tmp_path: Path) -> None:
    for begin, form in ((0, "string"), (30, kind)):
        rows = range(begin, 30 if begin == 0 else N)
        words = TEXTS[form]([WORDS[row] for row in rows])
        ids = TEXTS["large" if form == "categories" else form]([f"id {row}" for row in rows])
        put(tmp_path / f"{begin}.parquet", rows, s=SCORE[rows], w=words, id=ids)
    codes = np.unique(WORDS, return_inverse=True)[1]
    chosen = select_parquet(tmp_path, 9, importance="s", method="sims", labels="w", ids="id", batch_size=11)
    assert np.array_equal(chosen.indices, coremax.selection.sims(SCORE, 9, labels=codes).indices)


def test_ids_of_several_widths(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", range(3), id=pa.array([1, 2, 3], pa.int32()))
    put(tmp_path / "b.parquet", range(2), id=pa.array([4, 1], pa.int64()))
    refused(tmp_path, r"id\[4\] is 1, as id\[0\] is: ids must be unique; .*a.parquet: row 0; .*b.parquet: row 1$", ids="id")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("w", {"w": [1, 2]}),
        ("s", {"s": ["a", "b"]}),
        ("s", {"s": [[1.0], [2.0]]}),
        ("s", {"s": [True, False]}),
        ("e", {"e": [1.0, 2.0]}),
    ],
)
def test_other_kinds_name_both_files(name: str, columns: dict[str, Any], tmp_path: Path) -> None:
    full = {"w": ["a", "b"], "s": [0.1, 0.2], "e": [[1.0, 2.0], [2.0, 1.0]]}
    put(tmp_path / "a.parquet", range(2), **full)
    put(tmp_path / "b.parquet", range(2), **{**full, **columns})
    message = rf"column '{name}' is .* in .*b.parquet, but .* in .*a.parquet"
    refused(tmp_path, message, embedding="e", importance="s", labels="w", method="infomax")
    put(tmp_path / "b.parquet", range(2), **{key: value for key, value in full.items() if key != name})
    refused(tmp_path, rf"b.parquet has no column '{name}'", embedding="e", importance="s", labels="w", method="infomax")


def test_shards_of_nothing_but_nulls(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", range(2), e=[[1.0, 2.0]] * 2, s=[0.5, 1.5], b=[True, False])
    put(tmp_path / "b.parquet", range(2), e=pa.nulls(2), s=pa.nulls(2), b=pa.nulls(2))
    for name, others in (("e", {"importance": "i"}), ("s", {"importance": "s"}), ("b", {"importance": "i", "exclude": "b"})):
        refused(tmp_path, rf"b.parquet: {name}\[0\] is null", **{"method": "infomax", "embedding": "e", **others})  # type: ignore[arg-type]


# --- All that a method reads -------------------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Shards with every column there is a use for."""
    for number, rows in enumerate((range(50), range(50, N))):
        put(
            tmp_path / "corpus" / f"{number}.parquet", rows, e=pa.array(X[rows].tolist(), pa.list_(pa.float32())),
            score=SCORE[rows], source=[WORDS[row] for row in rows], number=np.asarray(rows) % 3,
            n_tokens=np.asarray(rows) % 7 + 1, bad=[row % 5 == 0 for row in rows], wanted=[row in (3, 77) for row in rows],
            text=[f"the {WORDS[row]} has {row} words" for row in rows],
        )  # fmt: skip
    return tmp_path / "corpus"


def hugging_face(folder: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset(pa.concat_tables([pq.read_table(path) for path in sorted(folder.iterdir())]))


def test_limits_and_costs_by_columns(corpus: Path) -> None:
    arguments: dict[str, Any] = {
        "embedding": "e", "importance": "score", "groups": "number", "group_limits": {0: (2, 4), 1: (0, 5)},
        "costs": "n_tokens", "include": "wanted", "exclude": "bad",
    }  # fmt: skip
    rows = np.arange(N)
    expected = coremax.infomax(
        X, SCORE, 60.0, groups=rows % 3, group_limits={0: (2, 4), 1: (0, 5)}, costs=(rows % 7 + 1).astype(float),
        include=[3, 77], exclude=rows[::5],
    ).indices  # fmt: skip
    assert np.array_equal(select_parquet(corpus, 60.0, **arguments).indices, expected)
    assert np.array_equal(select(hugging_face(corpus), 60.0, **arguments).indices, expected)
    assert prune(hugging_face(corpus), 60.0, **arguments)["i"][:] == expected.tolist()
    from_elsewhere = {**arguments, "groups": rows % 3, "costs": rows % 7 + 1.0, "include": [3, 77], "exclude": rows[::5]}
    assert np.array_equal(select_parquet(corpus, 60.0, **from_elsewhere).indices, expected)
    in_options = {name: arguments.pop(name) for name in ("groups", "group_limits", "costs", "include", "exclude")}
    assert np.array_equal(select_parquet(corpus, 60.0, **arguments, options=in_options).indices, expected)


def test_groups_by_name(corpus: Path) -> None:
    codes = np.unique(WORDS, return_inverse=True)[1]
    expected = coremax.infomax(X, SCORE, 9, groups=codes, group_limits={0: (1, 1), 2: (6, 6)}).indices
    limits = {"books": (1, 1), "wiki": (6, 6)}
    for groups in ("source", WORDS, pa.array(WORDS)):
        arguments: dict[str, Any] = {"embedding": "e", "importance": "score", "groups": groups, "group_limits": limits}
        assert np.array_equal(select_parquet(corpus, 9, **arguments).indices, expected)
        assert np.array_equal(select(hugging_face(corpus), 9, **arguments).indices, expected)
    datasets = pytest.importorskip("datasets")
    classes = datasets.ClassLabel(names=["books", "web", "wiki"])
    data = hugging_face(corpus).cast_column("source", classes)
    for given in (limits, {0: (1, 1), 2: (6, 6)}):
        found = select(data, 9, embedding="e", importance="score", groups="source", group_limits=given)
        assert np.array_equal(found.indices, expected)
    arguments["group_limits"] = {"news": (1, 1)}
    refused(
        corpus,
        r"group_limits has group 'news', which no element is in; there are 'books', 'web', 'wiki'",
        **{"method": "infomax", **arguments},
    )


def test_one_long_text_takes_no_room_for_the_others(tmp_path: Path) -> None:
    n = 20_000
    labels = [f"class {row % 7}" for row in range(n - 1)] + ["x" * 200_000]  # as an array of fixed width 16 GB
    put(tmp_path / "a.parquet", range(n), label=labels)
    tracemalloc.start()
    try:
        select_parquet(tmp_path, 9, importance="i", method="sims", labels="label", ids="i", batch_size=1000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_clusters_by_column(corpus: Path) -> None:
    expected = coremax.selection.semdedup(X, 20, clusters=np.arange(N) % 3).indices
    found = select_parquet(corpus, 20, embedding="e", method="semdedup", options={"clusters": "number"})
    assert np.array_equal(found.indices, expected)


def test_documents_that_look_like_a_target(corpus: Path, tmp_path: Path) -> None:
    texts = [f"the {word} has {row} words" for row, word in enumerate(WORDS)]
    target = ["wiki has words", "the wiki"]
    expected = coremax.dsir(texts, target, 9, min_tokens=1, seed=4).indices
    (tmp_path / "target.txt").write_text("\n".join(target))
    put(tmp_path / "target.parquet", range(2), text=target)
    options = {"min_tokens": 1}
    for given in (target, tmp_path / "target.txt", tmp_path / "target.parquet"):
        arguments: dict[str, Any] = {"text": "text", "target": given, "method": "dsir", "seed": 4}
        assert np.array_equal(select_parquet(corpus, 9, **arguments, options=options, batch_size=7).indices, expected)
        assert np.array_equal(select(hugging_face(corpus), 9, **arguments, options=options).indices, expected)
    assert np.array_equal(
        select_parquet(corpus, 9, text="text", method="dsir", seed=4, options={**options, "target": target}).indices, expected
    )
    refused(corpus, "method 'dsir' needs text and target", method="dsir")
    refused(corpus, "method 'top' does not look at texts", text="text")
    refused(
        corpus,
        r"0.parquet: n_tokens must be a column of texts, got int64",
        TypeError,
        method="dsir",
        text="n_tokens",
        target=target,
    )
    put(corpus / "2.parquet", range(2), text=["a", None])
    refused(corpus, r"2.parquet: text\[1\] is null", method="dsir", text="text", target=target)


def test_what_a_method_does_not_look_at(corpus: Path) -> None:
    for name in ("labels", "groups", "costs", "include", "exclude"):
        given: dict[str, Any] = {name: "number"}
        refused(corpus, f"method 'top' does not look at {name}", **given)
    arguments: dict[str, Any] = {"embedding": "e", "importance": "score", "method": "infomax"}
    refused(
        corpus,
        "groups is given twice: as an argument and in options",
        TypeError,
        groups="number",
        options={"groups": "number"},
        **arguments,
    )
    refused(corpus, "importance and score are two names of one argument", TypeError, score="score", **arguments)
    refused(
        corpus,
        r"n_tokens must be a column of true and false, got int64: or pass the numbers of rows",
        TypeError,
        exclude="n_tokens",
        **arguments,
    )
    refused(
        corpus,
        r"score must be a column of whole numbers, truth values or texts, got double",
        TypeError,
        groups="score",
        **arguments,
    )
    refused(corpus, r"source must be a column of numbers", TypeError, costs="source", **arguments)
    refused(corpus, "groups has 3 elements, but the data set has 80", groups=[1, 2, 3], **arguments)
    put(
        corpus / "2.parquet",
        range(2),
        e=[[0.5] * 4] * 2,
        score=[1.0, 2.0],
        bad=[None, True],
        source=["a", None],
        n_tokens=[1, None],
    )
    refused(corpus, r"2.parquet: bad\[0\] is null", exclude="bad", **arguments)
    refused(corpus, r"2.parquet: source\[1\] is null", labels="source", **arguments)
    refused(corpus, r"2.parquet: n_tokens\[1\] is null", costs="n_tokens", **arguments)


def test_options_that_are_none_stay_none(corpus: Path) -> None:
    found = select_parquet(corpus, 9, embedding="e", importance="score", options={"bound": None})
    assert found.selection.solution is not None
    assert found.selection.solution.bound_kind != "fast"


def test_progress_tells_of_reading_and_of_the_method(corpus: Path) -> None:
    calls: list[tuple[int, int]] = []
    select_parquet(
        corpus, 9, embedding="e", importance="score", groups="number", batch_size=10,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    read = [call for call in calls if call[1] == N]
    assert [done for done, _ in read[:16]] == [*range(10, N + 1, 10)] * 2  # small columns, and embeddings
    assert len(calls) > 16
    hugging = hugging_face(corpus)
    calls.clear()
    prune(hugging, 9, importance="score", method="top", batch_size=40, progress=lambda *call: calls.append(call))
    assert calls == [(40, N), (80, N)]


# --- What comes back ---------------------------------------------------------------------------------------------------------


def test_what_a_selection_of_shards_tells(corpus: Path) -> None:
    chosen = select_parquet(corpus, 8, importance="score", method="sims", seed=1)
    plain = coremax.selection.sims(SCORE, 8, seed=1)
    assert (len(chosen), chosen.n) == (8, N)
    assert np.array_equal(chosen.indices, plain.indices)
    assert np.array_equal(chosen.mask(), plain.mask())
    assert np.array_equal(chosen.weights, plain.weights)
    assert chosen._repr_html_() == chosen.selection._repr_html_()
    assert repr(chosen) == "ShardSelection(sims: 8 of 80 rows in 2 files)"
    rows = [row for _, rows in chosen for row in rows]
    assert len(rows) == 8
    again = pickle.loads(pickle.dumps(chosen))
    assert isinstance(again, ShardSelection)
    assert np.array_equal(again.indices, chosen.indices)


def test_reports_of_shards(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    chosen = select_parquet(corpus, 8, embedding="e", importance="score")
    page = chosen.report(texts="text", ids="i", labels="number", title="Eight of eighty")
    assert page == chosen.selection.report(
        texts=[f"the {word} has {row} words" for row, word in enumerate(WORDS)], ids=list(range(N)), labels=np.arange(N) % 3,
        title="Eight of eighty",
    )  # fmt: skip
    assert chosen.report(tmp_path / "a.html") == str(tmp_path / "a.html")
    drawn = select_parquet(corpus, 8, method="random")
    assert drawn.report(embeddings="e", importance="score") == drawn.selection.report(embeddings=X, score=SCORE)
    with pytest.raises(ValueError, match="has no column 'titles'"):
        chosen.report(texts="titles")
    with pytest.raises(TypeError, match="coordinates must not be the name of a column"):
        chosen.report(coordinates="e")


@pytest.mark.parametrize("method", sorted(registry.NEEDS))
def test_every_method_takes_shards(method: registry.Method, corpus: Path) -> None:
    given: dict[str, Any] = {"text": "text", "target": ["wiki"], "options": {"min_tokens": 1}} if method == "dsir" else {}
    assert len(select_parquet(corpus, 8, embedding="e", importance="score", method=method, **given)) == 8
