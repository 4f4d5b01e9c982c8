"""Hugging Face data sets and folders of Parquet files."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

import coremax  # noqa: E402
from coremax._inputs import rows  # noqa: E402
from coremax.datasets import ShardSelection, prune, select, select_parquet  # noqa: E402
from coremax.selection import registry  # noqa: E402
from helpers import clustered  # noqa: E402

N, D = 200, 6
X = clustered(N, D, 5, seed=0)
SCORE = np.random.default_rng(1).random(N)
LABELS = np.arange(N) % 4
COLUMNS: dict[str, Any] = {"embedding": "embedding", "score": "score"}


def hugging_face(**columns: Any) -> Any:
    """A data set of the test data, with other columns in their place or besides."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        embedding=datasets.Sequence(datasets.Value("float32")),
        score=datasets.Value("float64"),
        label=datasets.ClassLabel(names=list("abcd")),
        id=datasets.Value("int64"),
    )
    return datasets.Dataset.from_dict({"embedding": X, "score": SCORE, "label": LABELS, "id": np.arange(N)}, features)


def table(begin: int = 0, end: int = N, **columns: Any) -> Any:
    """Rows of the test data as an Arrow table."""
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(X[begin:end].ravel()), D)
    text = pa.array([f"text {i}" for i in range(begin, end)])
    given = {
        "embedding": embedding,
        "score": SCORE[begin:end],
        "label": LABELS[begin:end],
        "id": np.arange(begin, end),
        "text": text,
    }
    return pa.table({**given, **columns})


BOUNDS = [(0, 70), (70, 71), (71, 150), (150, N)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four shards of unequal size."""
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, (begin, end) in enumerate(BOUNDS):
        pq.write_table(table(begin, end), shards / f"part-{number}.parquet", row_group_size=32, compression="zstd")
    (shards / "README").write_text("no shard")
    return shards


# --- Hugging Face ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [method for method in registry.NEEDS if method != "dsir"])
def test_every_method_on_a_data_set_and_on_shards(method: registry.Method, folder: Path) -> None:
    arguments = dict(
        COLUMNS, method=method, labels="label" if registry.takes(method, "labels") else None, seed=3, batch_size=17
    )
    data = {"x": X, "score": SCORE, "n": N}
    keywords = {name: value for name, value in (("labels", LABELS), ("seed", 3)) if registry.takes(method, name)}
    expected = getattr(coremax.selection, method)(*(data[name] for name in registry.NEEDS[method]), 0.1, **keywords).indices
    assert np.array_equal(select(hugging_face(), 0.1, **arguments).indices, expected)
    assert np.array_equal(select_parquet(folder, 0.1, **arguments).selection.indices, expected)


def test_pruned_data_set() -> None:
    data = hugging_face()
    pruned = prune(data, 0.1, **COLUMNS, options={"alpha": 1.0})
    kept = coremax.infomax(X, SCORE, 0.1, alpha=1.0).indices
    assert pruned["id"][:] == kept.tolist()
    assert pruned.features == data.features


def test_few_ranges_need_no_indices_mapping() -> None:
    data = hugging_face()
    for picked in ([*range(20, 50)], [*range(5), *range(50, 60), 199]):
        score = np.zeros(N)
        score[picked] = 1
        pruned = prune(data, len(picked), score=score, method="top")
        assert pruned._indices is None
        assert pruned["id"][:] == picked
    many = prune(data, 100, score=np.arange(N) % 2.0, method="top")
    assert many._indices is not None
    assert many["id"][:] == list(range(1, N, 2))


def test_the_split_is_kept_however_many_ranges() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"score": SCORE}, split="train")
    for budget in (1, 9, N - 1, N):
        assert str(prune(data, budget, score="score", method="top").split) == "train"


def test_fingerprints_are_stable(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    hugging_face().save_to_disk(tmp_path / "data")
    for budget in (0.1, 0.9):  # slices, and an indices mapping
        first, second, other = (
            prune(datasets.load_from_disk(tmp_path / "data"), kept, **COLUMNS) for kept in (budget, budget, 0.5)
        )
        assert first._fingerprint == second._fingerprint != other._fingerprint
    mapped = [pruned.map(lambda row: {"double": 2 * row["score"]}) for pruned in (first, second)]
    assert mapped[0].cache_files
    assert mapped[0].cache_files == mapped[1].cache_files  # the second was not computed again


def test_shuffled_filtered_and_formatted_data_sets_count_as_they_are() -> None:
    shuffled = hugging_face().shuffle(seed=1).select(range(120)).with_format("torch")
    order = np.asarray(shuffled.with_format("numpy")["id"][:])
    pruned = prune(shuffled, 0.2, **COLUMNS, batch_size=7)
    assert np.array_equal(pruned["id"][:], order[coremax.infomax(X[order], SCORE[order], 0.2).indices])
    assert pruned.format["type"] == "torch"


def test_scores_and_labels_from_elsewhere(folder: Path) -> None:
    kept = coremax.infomax(X, SCORE, 0.1, labels=LABELS).indices
    for found in (
        select(hugging_face(), 0.1, embedding="embedding", score=SCORE, labels=LABELS),
        select_parquet(folder, 0.1, embedding="embedding", score=SCORE, labels=LABELS).selection,
    ):
        assert np.array_equal(found.indices, kept)
    with pytest.raises(ValueError, match="score has 3 elements, but the data set has 200"):
        select(hugging_face(), 0.1, embedding="embedding", score=SCORE[:3])


def test_embeddings_are_read_in_batches_into_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n, d = 40_000, 64
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    for number in range(4):
        part = pa.FixedSizeListArray.from_arrays(pa.array(rows[number::4].ravel()), d)
        pq.write_table(pa.table({"embedding": part}), tmp_path / f"{number}.parquet")
    seen: list[Any] = []

    def choose(method: str, budget: int, data: Any, *_: Any) -> coremax.Selection:
        seen.append(data["x"])
        return coremax.selection.random(n, budget)

    monkeypatch.setattr(registry, "choose", choose)
    keywords: dict[str, Any]
    for keywords, allowed in (({}, 1.2), ({"dtype": "float16"}, 0.7), ({"scratch": tmp_path}, 0.2)):
        tracemalloc.start()
        try:
            select_parquet(tmp_path, 10, embedding="embedding", method="moderate", batch_size=1000, **keywords)
            assert tracemalloc.get_traced_memory()[1] < allowed * rows.nbytes
        finally:
            tracemalloc.stop()
    expected = np.concatenate([rows[number::4] for number in range(4)])
    assert np.array_equal(seen[0], expected)
    assert np.array_equal(seen[1], expected.astype(np.float16))
    assert isinstance(seen[2], np.memmap)
    assert np.array_equal(seen[2], expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.parquet" for number in range(4)]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8"])
@pytest.mark.parametrize("lists", ["fixed", "variable"])
def test_types_of_embeddings(kind: str, lists: str, tmp_path: Path) -> None:
    rows = np.round(8 * X).astype(kind)
    flat = pa.array(rows.ravel())
    offsets = np.arange(0, N * D + 1, D)
    embedding = pa.FixedSizeListArray.from_arrays(flat, D) if lists == "fixed" else pa.ListArray.from_arrays(offsets, flat)
    pq.write_table(table(embedding=embedding), tmp_path / "a.parquet")
    found = select_parquet(tmp_path, 9, **COLUMNS, dtype="float16" if kind == "float16" else "float32").selection
    assert np.array_equal(found.indices, coremax.infomax(rows, SCORE, 9).indices)


# --- Parquet -----------------------------------------------------------------------------------------------------------------


def test_shards_and_new_shards(folder: Path, tmp_path: Path) -> None:
    chosen = select_parquet(folder, 0.1, **COLUMNS)
    assert isinstance(chosen, ShardSelection)
    kept = coremax.infomax(X, SCORE, 0.1).indices
    assert [os.path.basename(file) for file in chosen.files] == [f"part-{i}.parquet" for i in range(4)]
    per_shard = [rows + begin for (_, rows), (begin, _) in zip(chosen.shards(), BOUNDS, strict=True)]
    assert np.array_equal(np.concatenate(per_shard), kept)
    written = chosen.write(tmp_path / "kept")
    assert [Path(file).name for file in written] == sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert len(written) == sum(len(rows) > 0 for rows in per_shard)
    everything = pa.concat_tables([pq.read_table(file) for file in written])
    assert everything.equals(table().take(kept))
    metadata = pq.ParquetFile(written[0]).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "shards"]


def test_large_shards_are_copied_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coremax.datasets._ROWS_PER_GROUP", 50)
    source = table().replace_schema_metadata({"origin": "here"})
    pq.write_table(source, tmp_path / "a.parquet", row_group_size=64)
    chosen = select_parquet(tmp_path, 0.8, score="score", method="top")
    (written,) = chosen.write(tmp_path / "kept")
    assert pq.ParquetFile(written).metadata.num_row_groups > 1
    assert pq.read_table(written).equals(source.take(chosen.selection.indices))
    assert pq.read_schema(written).metadata[b"origin"] == b"here"


def test_new_shards_appear_whole_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    chosen = select_parquet(folder, 0.5, score="score", method="top")
    last = Path(chosen.files[-1])
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"part-3.parquet can not be read as Parquet"):
        chosen.write(tmp_path / "kept")
    pq.write_table(table(0, 3), last)
    with pytest.raises(ValueError, match="has 3 rows, but had 50 when they were selected"):
        chosen.write(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]
    last.write_bytes(whole)
    chosen.write(tmp_path / "kept")
    with pytest.raises(ValueError, match="is there already: name a new folder"):
        chosen.write(tmp_path / "kept")
    with pytest.raises(ValueError, match="does not exist"):
        chosen.write(tmp_path / "none" / "kept")


def test_empty_shards_and_chunks(folder: Path, tmp_path: Path) -> None:
    lists = pa.array([], pa.list_(pa.float32()))
    for number in range(4):
        shard = pq.read_table(folder / f"part-{number}.parquet")
        place = shard.schema.get_field_index("embedding")
        shard = shard.set_column(place, "embedding", pa.array(shard["embedding"].to_pylist(), lists.type))
        pq.write_table(shard, folder / f"part-{number}.parquet")
    pq.write_table(shard.slice(0, 0), folder / "empty.parquet")  # before all others
    pq.write_table(shard.slice(0, 0), folder / "part-1b.parquet")
    chosen = select_parquet(folder, 9, **COLUMNS, ids="id")
    assert np.array_equal(chosen.selection.indices, coremax.infomax(X, SCORE, 9).indices)
    assert pa.concat_tables([pq.read_table(file) for file in chosen.write(tmp_path / "kept")]).num_rows == 9
    datasets = pytest.importorskip("datasets")
    chunked = datasets.Dataset(pa.concat_tables([shard.slice(0, 0), shard.slice(0, 10), shard.slice(10, 0), shard.slice(10)]))
    assert np.array_equal(select(chunked, 9, **COLUMNS).indices, coremax.infomax(X[150:], SCORE[150:], 9).indices)


def test_files_in_the_order_given(folder: Path) -> None:
    names = [folder / "part-2.parquet", folder / "part-0.parquet"]
    order = np.r_[71:150, 0:70]
    found = select_parquet(names, 9, **COLUMNS)
    assert np.array_equal(found.selection.indices, coremax.infomax(X[order], SCORE[order], 9).indices)
    assert select_parquet(names[0], 3, score="score", method="top").selection.n == 79


# --- Bad input ---------------------------------------------------------------------------------------------------------------


def with_last(folder: Path, **columns: Any) -> Path:
    """The folder with another last shard."""
    pq.write_table(table(150, N, **columns), folder / "part-3.parquet")
    return folder


def refused(folder: Any, message: str, error: type[Exception] = ValueError, **arguments: Any) -> None:
    with pytest.raises(error, match=message) as raised:
        select_parquet(folder, 9, **{**COLUMNS, **arguments})
    assert "\n" not in str(raised.value)


def test_nulls_name_file_and_row(folder: Path) -> None:
    refused(with_last(folder, score=pa.array([0.5] * 49 + [None])), r"part-3.parquet: score\[49\] is null")
    rows = pa.array([[1.0] * D] * 48 + [[1.0] * (D - 1) + [None]] * 2, pa.list_(pa.float32(), D))
    refused(with_last(folder, embedding=rows), r"part-3.parquet: embedding\[48\] holds a null")
    refused(with_last(folder, label=pa.array([None] * 50, pa.int64())), r"part-3.parquet: label\[0\] is null", labels="label")
    refused(with_last(folder, id=pa.array([None] * 50, pa.int64())), r"part-3.parquet: id\[0\] is null", ids="id")


def test_shards_that_differ(folder: Path) -> None:
    codes = pa.array(np.rint(X[150:]).astype(np.int8).tolist(), pa.list_(pa.int8(), D))
    refused(
        with_last(folder, embedding=codes), r"column 'embedding' is .*int8.* in .*part-3.parquet, but .*float.* in .*part-0"
    )
    shorter = pa.FixedSizeListArray.from_arrays(pa.array(X[150:, 1:].ravel()), D - 1)
    refused(with_last(folder, embedding=shorter), r"column 'embedding' is fixed_size_list.*\[5\]")
    refused(with_last(folder, score=pa.array(["1.5"] * 50)), r"column 'score' is string in .*part-3.*, but double in .*part-0")
    pq.write_table(table(150, N).drop_columns(["score"]), folder / "part-3.parquet")
    refused(folder, r"part-3.parquet has no column 'score'")


def test_lists_of_other_lengths(tmp_path: Path) -> None:
    for number, width in enumerate((D, D - 1)):
        lists = pa.array(X[:, :width].tolist(), pa.list_(pa.float32()))
        pq.write_table(table(embedding=lists), tmp_path / f"{number}.parquet")
    refused(tmp_path, r"1.parquet: embedding\[0\] has 5 elements, but the first row has 6", score=np.zeros(2 * N))
    ragged = pa.array([*X[:-1].tolist(), [1.0]], pa.list_(pa.float32()))
    pq.write_table(table(embedding=ragged), tmp_path / "0.parquet")
    refused(tmp_path, r"0.parquet: embedding\[199\] has 1 elements, but embedding\[0\] has 6|0.parquet: embedding\[199\] has 1")


def test_duplicate_ids(folder: Path) -> None:
    assert select_parquet(folder, 9, **COLUMNS, ids="id").selection.n == N
    refused(with_last(folder, id=np.r_[np.arange(150, 199), 5]), r"id\[199\] is 5, as id\[5\] is: ids must be unique", ids="id")
    refused(folder, r"ids must be unique", ids="label")
    text = pa.array(["text 3"] * 50)
    refused(with_last(folder, text=text), r"text\[150\] is 'text 3', as text\[3\] is", ids="text")
    with pytest.raises(ValueError, match=r"label\[4\] is 0, as label\[0\] is: ids must be unique"):
        select(hugging_face(), 9, **COLUMNS, ids="label")


def ids_of(kind: str, numbers: Any) -> Any:
    """A column of one id for each number."""
    if kind == "uuid":
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([int(i).to_bytes(16, "big") for i in numbers], pa.binary(16)))
    text = pa.array([f"id {i}" for i in numbers])
    return text.dictionary_encode() if kind == "dictionary" else text.cast(kind)


@pytest.mark.parametrize("kind", ["dictionary", "uuid", "string_view", "large_string"])
def test_ids_of_any_kind(kind: str, tmp_path: Path) -> None:
    """Every shard numbers the values of a dictionary anew."""
    for number, begin in enumerate((0, 100)):
        ids = ids_of(kind, np.arange(begin, begin + 100))
        pq.write_table(table(begin, begin + 100, name=ids), tmp_path / f"{number}.parquet")
    assert len(select_parquet(tmp_path, 9, **COLUMNS, ids="name", batch_size=30).selection) == 9
    pq.write_table(table(100, 200, name=ids_of(kind, np.r_[100:199, 7])), tmp_path / "1.parquet")
    refused(tmp_path, r"name\[199\] is .*, as name\[7\] is: ids must be unique", ids="name", batch_size=30)


def test_ids_that_are_none(folder: Path) -> None:
    refused(folder, r"part-0.parquet: embedding must be a column of integers or text", TypeError, ids="embedding")
    refused(folder, "ids must be the name of a column, got ndarray", TypeError, ids=np.arange(N))
    names = pa.DictionaryArray.from_arrays(pa.array([0, None] * 25), pa.array(["a"]))
    refused(with_last(folder, text=names.cast(pa.string())), r"part-3.parquet: text\[1\] is null", ids="text")


@pytest.mark.parametrize("cut", [0, 3, 100, 0.5, 0.99])
def test_truncated_files(folder: Path, cut: float) -> None:
    path = folder / "part-1.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut if cut >= 1 else cut * len(whole))])
    refused(folder, r"part-1.parquet can not be read as Parquet: ")


def test_damaged_pages(folder: Path) -> None:
    path = folder / "part-0.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[4:60] = b"\xff" * 56  # the header of the first page
    path.write_bytes(damaged)
    refused(folder, r"part-0.parquet can not be read as Parquet: ")


def test_files_that_say_they_have_more_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = rows.batches_of
    monkeypatch.setattr(rows, "batches_of", lambda *arguments: itertools.islice(batches(*arguments), 1))
    refused(folder, r"part-0.parquet holds 32 rows, but says it has 70", batch_size=32)
    twice = lambda *arguments: itertools.chain(batches(*arguments), batches(*arguments))  # noqa: E731
    monkeypatch.setattr(rows, "batches_of", twice)
    refused(folder, r"part-0.parquet holds 140 rows, but says it has 70")


@pytest.mark.parametrize(
    ("module", "needed", "extra"), [("datasets", "pyarrow", "datasets"), ("sklearn", "sklearn", "sklearn")]
)
def test_what_is_missing_is_named(module: str, needed: str, extra: str) -> None:
    code = f"import sys; sys.modules[{needed!r}] = None; import coremax.{module}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"coremax[{extra}]" in run.stderr.splitlines()[-1]


def test_other_bad_input(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none", "none: no such file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"empty holds no file ending in .parquet")
    refused(folder, "has no column 'emb', or several", embedding="emb")
    refused(folder, r"part-0.parquet: text must be a column of numbers", TypeError, score="text")
    refused(folder, r"part-0.parquet: embedding must hold numbers", TypeError, score="embedding")
    refused(folder, r"part-0.parquet: score must hold lists", TypeError, embedding="score")
    refused(folder, "method 'infomax' needs score", score=None)
    refused(folder, "method 'ccs' does not look at labels", method="ccs", labels="label")
    refused(folder, "method must be one of", method="best")
    refused(folder, "has no option 'magic'", TypeError, options={"magic": 1})
    pq.write_table(table(0, 0), tmp_path / "empty" / "a.parquet")
    refused(tmp_path / "empty", "there are no rows")
    with pytest.raises(ValueError, match="files must have different names"):
        select_parquet([folder / "part-0.parquet", folder / "part-0.parquet"], 1, score="score", method="top")
    (tmp_path / "hive" / "year=2024").mkdir(parents=True)
    refused(tmp_path / "hive", "hive holds no file ending in .parquet, .parq or .pq .*; it has year=2024")
    for files in (None, 5, b"shards"):
        refused(files, "files must be a path or a sequence of paths", TypeError)
    refused([5], "files must be a path, got int", TypeError)
    for name in ("score", "embedding", "labels"):
        refused(folder, f"{name} must be the name of a column, or an array, got 5", TypeError, **{name: 5})
    refused(folder, "scratch must be a folder that is there", scratch=tmp_path / "none")
    refused(folder, "scratch must be a path, got int", TypeError, scratch=5)
    refused(folder, "options must be a mapping", TypeError, options=["k"])
    refused(folder, "method 'infomax' has no option 'x'", TypeError, options={"x": X})


def test_new_shards_do_not_go_where_a_link_is(folder: Path, tmp_path: Path) -> None:
    chosen = select_parquet(folder, 9, **COLUMNS)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="link is there already"):
        chosen.write(tmp_path / "link")
    with pytest.raises(TypeError, match="folder must be a path, got NoneType"):
        chosen.write(None)  # type: ignore[arg-type]


def test_new_shards_of_types_that_arrow_can_not_take_from(tmp_path: Path) -> None:
    views = pa.array([f"text {i}" for i in range(N)]).cast(pa.string_view())
    pq.write_table(table(view=views), tmp_path / "0.parquet")
    chosen = select_parquet(tmp_path / "0.parquet", 30, **COLUMNS)
    (written,) = chosen.write(tmp_path / "new")
    found = pq.ParquetFile(written).read()
    expected = [f"text {i}" for i in chosen.selection.indices]
    assert found.column("view").to_pylist() == found.column("text").to_pylist() == expected


def test_data_sets_that_are_none() -> None:
    datasets = pytest.importorskip("datasets")
    data = hugging_face()
    with pytest.raises(TypeError, match="dataset has several splits"):
        prune(datasets.DatasetDict(train=data), 9, **COLUMNS)
    with pytest.raises(TypeError, match="got IterableDataset: pass one split"):
        prune(data.to_iterable_dataset(), 9, **COLUMNS)
    with pytest.raises(ValueError, match="the data set has no column 'emb'; it has 'embedding'"):
        prune(data, 9, embedding="emb", score="score")
    ragged = datasets.Dataset.from_dict({"embedding": [[1.0, 2.0], [1.0]], "score": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"embedding\[1\] has 1 elements, but embedding\[0\] has 2"):
        prune(ragged, 1, **COLUMNS)
    holes = datasets.Dataset.from_dict({"score": [1.0, None]})
    with pytest.raises(ValueError, match=r"score\[1\] is null"):
        prune(holes, 1, score="score", method="top", batch_size=1)
