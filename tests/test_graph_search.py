"""The filtered search against the direct one, bit for bit: data hard to tell apart, every edge, every ISA level."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import coremax
from coremax import _core
from helpers import FILTERED_ISAS, ISAS, Neighbors, clustered, engine_topk, output_when_interrupted, same_bits

METRICS = ("cosine", "dot", "euclidean")
SEARCHES = ("coarse", "fine")
THREADS = (1, 2, 3, 7)
needs_filter = pytest.mark.skipif(not FILTERED_ISAS, reason="this machine has the scalar level only, which has no filter")
pytestmark = needs_filter


def assert_filter_is_exact(
    x: Any, k: int, metric: str, threads: tuple[int, ...] = THREADS, searches: tuple[str, ...] = SEARCHES, **options: Any
) -> Neighbors:
    """Every level, filter and thread count finds what the direct search does; returns that."""
    reference = engine_topk(x, k, metric, search="direct", **options)
    for isa in FILTERED_ISAS:
        for search in searches:
            for count in threads:
                found = engine_topk(x, k, metric, isa=isa, threads=count, search=search, **options)
                wrong = np.flatnonzero((found.rows != reference.rows).any(axis=1))
                what = f"{isa} {search}, {count} threads, k = {k}, {metric}"
                assert wrong.size == 0, f"{what}: {wrong.size} rows differ, the first is {wrong[0]}"
                assert same_bits(found.similarities, reference.similarities), what
    return reference


# ---- Data -----------------------------------------------------------------------------------------------------------------


def gaussian(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return rng.normal(size=(n, d))


def positive(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return 10 + rng.random(size=(n, d))


def clusters(spread: float) -> Callable[[np.random.Generator, int, int], NDArray[Any]]:
    """Tight clusters, every tenth row an exact duplicate of another."""

    def make(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
        x = rng.normal(size=(12, d))[rng.integers(0, 12, n)] + spread * rng.normal(size=(n, d))
        x[::10] = x[rng.integers(0, n, len(x[::10]))]
        return x

    return make


def all_equal(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return np.repeat(rng.normal(size=(1, d)), n, axis=0)


def duplicates(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return rng.normal(size=(n // 40, d))[rng.integers(0, n // 40, n)]


def small_integers(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    x = rng.integers(-2, 3, size=(n, d)).astype(np.float64)
    x[:, 0] = 1
    return x


def log_normal_norms(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return rng.normal(size=(n, d)) * np.exp(3 * rng.normal(size=(n, 1)))


def heavy_tails(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return np.clip(rng.standard_t(1, size=(n, d)), -1e6, 1e6)


def scaled(scale: float) -> Callable[[np.random.Generator, int, int], NDArray[Any]]:
    return lambda rng, n, d: scale * rng.normal(size=(n, d))


def offset(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return 1000 + rng.normal(size=(n, d))


def one_hot(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return np.eye(d)[rng.integers(0, d, n)] * rng.integers(1, 4, size=(n, 1))


def sorted_rows(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    x = rng.normal(size=(n, d))
    return x[np.argsort(x[:, 0])]


def denormal_elements(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """A third of the elements, and every element of some rows, below the smallest normal float32."""
    x = rng.normal(size=(n, d))
    x[rng.random(size=(n, d)) < 1 / 3] *= 1e-40
    x[:50] = rng.normal(size=(50, d)) * 1e-41
    x[:50, 0] = 1e-40
    return x


def one_giant(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    x = rng.normal(size=(n, d))
    x[n // 3] *= 1e6
    return x


def antipodes(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """A direction and its opposite, of many lengths: cosines that are clipped to 1 and to -1."""
    return rng.normal(size=(1, d)) * np.exp(rng.normal(size=(n, 1))) * np.where(rng.random((n, 1)) < 0.02, 1, -1)


def columns_of_all_scales(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return rng.normal(size=(n, d)) * 2.0 ** rng.integers(-20, 20, size=d)


def zero_rows(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    x = rng.normal(size=(n, d))
    x[rng.random(n) < 0.1] = 0
    return x


DATA: dict[str, Callable[[np.random.Generator, int, int], NDArray[Any]]] = {
    "gaussian": gaussian,
    "positive": positive,
    "clusters 1e-3": clusters(1e-3),
    "clusters 1e-6": clusters(1e-6),
    "all equal": all_equal,
    "duplicates": duplicates,
    "small integers": small_integers,
    "log-normal norms": log_normal_norms,
    "heavy tails": heavy_tails,
    "tiny": scaled(1e-30),
    "huge": scaled(1e30),
    "offset": offset,
    "one-hot": one_hot,
    "sorted": sorted_rows,
    "denormal elements": denormal_elements,
    "one giant": one_giant,
    "antipodes": antipodes,
    "columns of all scales": columns_of_all_scales,
    "zero rows": zero_rows,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", DATA)
def test_hard_data(name: str, metric: str) -> None:
    if (name, metric) in {("zero rows", "cosine"), ("huge", "dot")}:
        pytest.skip("this metric refuses these rows")
    rng = np.random.default_rng(sum(map(ord, name)))
    n, d, k = int(rng.integers(1020, 1200)), int(rng.integers(20, 50)), int(rng.integers(2, 50))
    assert_filter_is_exact(DATA[name](rng, n, d).astype(np.float32), k, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_the_reference_is_the_scalar_level(metric: str) -> None:
    x = clusters(1e-3)(np.random.default_rng(0), 500, 37).astype(np.float32)
    reference = engine_topk(x, 20, metric, isa="scalar", threads=1)
    assert engine_topk(x, 20, metric).same(reference)
    assert engine_topk(x, 20, metric, isa="scalar", search="coarse").same(reference)


@pytest.mark.parametrize("metric", METRICS)
def test_every_number_of_columns(metric: str) -> None:
    for d in (1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 129, 300):
        rng = np.random.default_rng(d)
        x = np.concatenate([gaussian(rng, 200, d), clusters(1e-4)(rng, 150, d)]).astype(np.float32)
        assert_filter_is_exact(x, 11, metric, threads=(2,))


@pytest.mark.parametrize("metric", METRICS)
def test_every_number_of_rows(metric: str) -> None:
    for n in (2, 17, 95, 96, 97, 287, 288, 289, 1007, 1008, 1009, 2500):
        rng = np.random.default_rng(n)
        x = np.concatenate([gaussian(rng, n // 2, 13), clusters(1e-4)(rng, n - n // 2, 13)]).astype(np.float32)
        assert_filter_is_exact(x, min(10, n - 1), metric, threads=(1, 7))


@pytest.mark.parametrize("metric", METRICS)
def test_every_k(metric: str) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([gaussian(rng, 200, 9), clusters(1e-4)(rng, 150, 9), duplicates(rng, 120, 9)]).astype(np.float32)
    for k in (1, 15, 16, 17, 100, len(x) - 2, len(x) - 1):
        assert_filter_is_exact(x, k, metric, threads=(1, 3))


# ---- Kinds of arrays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "float64"])
@pytest.mark.parametrize("metric", METRICS)
def test_other_types(dtype: str, metric: str) -> None:
    x = 30 * clusters(0.1)(np.random.default_rng(2), 1100, 33)
    assert_filter_is_exact(torch.from_numpy(x).to(getattr(torch, dtype)), 12, metric, threads=(2, 3))


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_lie_apart_or_backwards(metric: str) -> None:
    whole = clusters(1e-3)(np.random.default_rng(3), 2200, 40).astype(np.float32)
    views = {"every other": whole[::2], "backwards": whole[::-2], "columns": whole[:1100, 5:34], "one row": whole[:1][[0] * 40]}
    views["one row, stride zero"] = np.broadcast_to(whole[0], (40, 40))
    for name, x in views.items():
        found = assert_filter_is_exact(x, 9, metric, threads=(2,))
        assert found.same(engine_topk(x.copy(), 9, metric)), name


@pytest.mark.parametrize("metric", METRICS)
def test_some_rows_only(metric: str) -> None:
    rng = np.random.default_rng(4)
    x = clusters(1e-2)(rng, 3000, 21).astype(np.float32)
    for rows in (rng.permutation(3000)[:1200], np.arange(2999, 1900, -1), rng.integers(0, 3000, 1100)):
        found = assert_filter_is_exact(x, 14, metric, threads=(1, 2), rows=rows)
        assert found.same(engine_topk(x[rows], 14, metric)), "the rows named are as if they were all"


# ---- What low precision can not tell apart ----------------------------------------------------------------------------------


def near_ties(rng: np.random.Generator, n: int, d: int, metric: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Queries along the first axes, whose scores with all other rows lie within a few float32 steps; and their numbers."""
    n_queries = min(8, d // 4)
    x = np.zeros((n, d))
    side = rng.normal(size=(n, d - n_queries))
    side *= np.sqrt(1 - n_queries * 0.2**2) / np.linalg.norm(side, axis=1, keepdims=True)
    steps = rng.integers(0, 4, size=(n, n_queries))
    x[:, :n_queries] = 0.2 * (1 + steps * 2.0**-23)
    x[:, n_queries:] = side
    queries = rng.choice(n, n_queries, replace=False)
    x[queries] = np.eye(n_queries, d)
    if metric == "euclidean":  # all near one sphere around the origin, which is the query
        x[queries] = 0
        x[np.setdiff1d(np.arange(n), queries)] *= 1 + 2.0**-24 * rng.integers(0, 4, size=(n - n_queries, 1))
    return x.astype(np.float32), queries


@pytest.mark.parametrize("d", [16, 48, 130])
@pytest.mark.parametrize("metric", METRICS)
def test_near_ties(metric: str, d: int) -> None:
    x, queries = near_ties(np.random.default_rng(d), 1500, d, metric)
    k = 40
    longer = engine_topk(x, 3 * k, metric)
    # The case is what it should be: right behind the k-th best there are others, at most three steps below it.
    last, later = longer.similarities[queries, k - 1], longer.similarities[queries, k + 20]
    gap = (last.view(np.int32) - later.view(np.int32))[last > 0]
    assert gap.max() <= 3
    assert_filter_is_exact(x, k, metric)


def rounded_apart(rng: np.random.Generator, d: int, levels: int) -> NDArray[np.float32]:
    """Rows on the edge of quantisation, so that the error of their products with the first eight rows is nearly the bound.

    Element 0 is the largest and sets the step. The others are whole steps and a half: a little more in the decoys, which are
    rounded up, and a little less in the true neighbours, which are rounded down and have one step more in one place. So the
    product of a true neighbour with a row of equal elements is the larger one by less than a step, and in low precision the
    smaller one by d steps. With each row goes its opposite, so that the mean, which is subtracted, is zero.
    """
    n_queries, n_decoys, n_true = 8, 400, 24
    # 32767 levels hold only while the norm is at most 46000; 127 always.
    low, high = (0.5, 0.9) if levels == 127 else (0.4 / np.sqrt(d), 0.9 / np.sqrt(d))
    steps = np.sort(np.floor(rng.uniform(low, high, size=d - 1) * levels))
    decoys = rng.permuted(np.tile(steps + 0.5 + 0.05 / d, (n_decoys, 1)), axis=1)
    steps[0] += 1
    true = rng.permuted(np.tile(steps + 0.5 - 0.05 / d, (n_true, 1)), axis=1)
    queries = np.full((n_queries, d - 1), np.floor(levels if levels == 127 else high * levels))
    half = np.concatenate([queries, decoys, true])
    half = np.concatenate([np.full((len(half), 1), levels), half], axis=1) / levels
    return np.concatenate([half, -half]).astype(np.float32)


@pytest.mark.parametrize("levels", [127, 32767])
@pytest.mark.parametrize("d", [8, 32, 96])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_the_bound_is_needed(metric: str, d: int, levels: int) -> None:
    x = rounded_apart(np.random.default_rng(d), d, levels)
    for k in (12, 20, 30):
        reference = assert_filter_is_exact(x, k, metric, threads=(1, 2))
        neighbors = reference.rows[:8]
        assert ((neighbors >= 408) & (neighbors < 432)).sum() >= 8 * (min(k, 24) - 7), "what is rounded down is truly near"


def edge_values(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """(m + 1/2) / levels of the largest element, and the floats next to it."""
    levels = rng.choice([127.0, 32767.0], size=(n, 1))
    x = (rng.integers(-127, 127, size=(n, d)) + 0.5) / levels
    x[np.arange(n), rng.integers(0, d, n)] = 1
    steps: NDArray[Any] = rng.integers(-1, 2, size=(n, d)) * 2.0**-23
    result: NDArray[Any] = x + x * steps
    return result


def mixed_scales(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    by_row = 2.0 ** rng.integers(-12, 13, size=(n, 1)) if rng.random() < 0.5 else np.ones((n, 1))
    by_column = 2.0 ** rng.integers(-12, 13, size=d) if rng.random() < 0.5 else np.ones(d)
    return rng.normal(size=(n, d)) * by_row * by_column


def few_directions(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    basis = rng.normal(size=(3, d))
    return rng.integers(-2, 3, size=(n, 3)) @ basis + 10.0 ** rng.integers(-8, -1) * rng.normal(size=(n, d))


def far_from_origin(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    return 10.0 ** rng.integers(0, 6) * rng.normal(size=(1, d)) + rng.normal(size=(n, d))


KINDS = (edge_values, mixed_scales, few_directions, far_from_origin, heavy_tails, small_integers)


@st.composite
def awkward_points(draw: st.DrawFn) -> NDArray[np.float32]:
    """One kind of rows, or two kinds in blocks or mixed."""
    n, d = draw(st.integers(3, 400)), draw(st.integers(1, 80))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = np.concatenate([kind(rng, n // len(kinds) + 1, d) for kind in kinds])[:n]
    if draw(st.booleans()):
        x = rng.permutation(x)
    if draw(st.booleans()):
        x = np.abs(x)
    x = x.astype(np.float32)
    x[~x.any(axis=1)] = 1
    return x


@settings(derandomize=True, deadline=None, max_examples=250)
@given(awkward_points(), st.data())
def test_nothing_breaks_the_bound(x: NDArray[np.float32], data: st.DataObject) -> None:
    k = data.draw(st.one_of(st.integers(1, len(x) - 1), st.integers(1, min(20, len(x) - 1))))
    assert_filter_is_exact(x, k, data.draw(st.sampled_from(METRICS)), threads=(data.draw(st.sampled_from(THREADS)),))


# ---- Many rows: put in order, thresholds that start from a hope, the filter chosen by a few rows ----------------------------

N_LARGE = 9000


def outliers(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """A cone of rows, and a few that lie far from it and from each other, which a sample will hardly meet."""
    x = rng.normal(size=(n, d))
    x[:, 0] += 8
    far = rng.choice(n, 37, replace=False)
    x[far] = 5 * rng.normal(size=(37, d))
    x[far, 0] = -np.abs(x[far, 0])
    return x


def bimodal(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """Half of the rows in one tight cluster, the others wide apart."""
    x = 3 * rng.normal(size=(n, d))
    tight = rng.random(n) < 0.5
    x[tight] = x[0] + 1e-2 * rng.normal(size=(int(tight.sum()), d))
    return x


def sample_unlike_the_rest(rng: np.random.Generator, n: int, d: int) -> NDArray[Any]:
    """Rows at even steps, as samples take them, lie close together: what they let hope for is in vain for all others."""
    x = rng.normal(size=(n, d))
    near = np.unique(np.concatenate([np.arange(count) * n // count for count in (32, n // 128, n // 48, 384)]))
    x[near] = x[0] + 1e-3 * rng.normal(size=(len(near), d))
    return x


LARGE_DATA: dict[str, Callable[[np.random.Generator, int, int], NDArray[Any]]] = {
    "gaussian": gaussian,
    "clusters": clusters(1e-2),
    "outliers": outliers,
    "bimodal": bimodal,
    "sample unlike the rest": sample_unlike_the_rest,
    "small integers": small_integers,
    "duplicates": duplicates,
    "log-normal norms": log_normal_norms,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", LARGE_DATA)
def test_many_rows(name: str, metric: str) -> None:
    x = LARGE_DATA[name](np.random.default_rng(5), N_LARGE, 20).astype(np.float32)
    assert_filter_is_exact(x, 10, metric, threads=(2,), searches=(*SEARCHES, "automatic"))


@pytest.mark.parametrize("k", [1, 100])
def test_many_rows_and_other_k(k: int) -> None:
    x = outliers(np.random.default_rng(6), N_LARGE, 12).astype(np.float32)
    assert_filter_is_exact(x, k, "cosine", threads=(3,))


def test_where_order_and_hope_begin() -> None:
    for n in (1023, 1024, 1025, 8191, 8192, 8193):
        x = clusters(0.1)(np.random.default_rng(n), n, 8).astype(np.float32)
        assert_filter_is_exact(x, 5, "euclidean", threads=(2,), searches=("automatic",))


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_bits_everywhere(metric: str) -> None:
    x = clustered(N_LARGE, 24, 40, seed=7, spread=0.3)
    digests: dict[str, set[str]] = {}
    for isa in FILTERED_ISAS:
        digests[isa] = set()
        for threads in THREADS:
            found = engine_topk(x, 10, metric, isa=isa, threads=threads, search="automatic")
            digests[isa].add(hashlib.sha256(found.rows.tobytes() + found.similarities.tobytes()).hexdigest()[:16])
        sys.stdout.write(f"\n{metric}, {isa}, {THREADS} threads: {', '.join(sorted(digests[isa]))}")
    reference = engine_topk(x, 10, metric)
    expected = hashlib.sha256(reference.rows.tobytes() + reference.similarities.tobytes()).hexdigest()[:16]
    assert set.union(*digests.values()) == {expected}


# ---- Memory -----------------------------------------------------------------------------------------------------------------


def documented_bytes(n: int, d: int, k: int) -> int:
    """The formula in the notes of `topk_graph`, for up to 16 threads."""
    return 2 * n * (-(-d // 64) * 64) + 64 * n + 24 * n * k + 256 * 2**20


def test_extra_bytes_keep_to_the_documented_formula() -> None:
    for isa in FILTERED_ISAS:
        for n in (1024, 5000, 60_000, 10**6, 10**8, 2**31 - 2):
            for d in (1, 2, 3, 64, 65, 784, 4096):
                for k in (1, 2, 10, 33, 64, 100, 1000):
                    if k > n // 16:
                        continue
                    for threads in (1, 2, 16):
                        taken = _core.topk_extra_bytes(n, d, k, isa, "automatic", threads)
                        assert taken <= documented_bytes(n, d, k), (isa, n, d, k, threads)


def test_a_limit_that_only_the_direct_search_keeps() -> None:
    x = clusters(1e-3)(np.random.default_rng(8), 4000, 32).astype(np.float32)
    free = coremax.topk_graph(x, 10, threads=2)
    assert free.stats is not None
    direct_bytes = _core.topk_extra_bytes(4000, 32, 10, ISAS[-1], "direct", 2)
    assert direct_bytes < free.stats.extra_bytes
    output = 12 * 4000 * 10
    for limit in (direct_bytes + output, free.stats.extra_bytes + output - 1):
        poor = coremax.topk_graph(x, 10, threads=2, memory_limit=limit)
        assert poor.stats is not None
        assert poor.stats.extra_bytes == direct_bytes
        assert np.array_equal(poor.neighbors, free.neighbors)
        assert same_bits(poor.similarities, free.similarities)
    enough = coremax.topk_graph(x, 10, threads=2, memory_limit=free.stats.extra_bytes + output)
    assert enough.stats is not None
    assert enough.stats.extra_bytes == free.stats.extra_bytes


def test_a_limit_that_nothing_keeps_is_refused_before_work_starts() -> None:
    x = np.full((4000, 32), np.nan, dtype=np.float32)  # whoever reads it raises ValueError
    needed = _core.topk_extra_bytes(4000, 32, 10, ISAS[-1], "direct", 2) + 12 * 4000 * 10
    seen: list[tuple[int, int]] = []
    with pytest.raises(
        MemoryError, match=f"the graph needs {needed} bytes .* memory_limit allows {needed - 1}: lower k or threads"
    ):
        coremax.topk_graph(x, 10, threads=2, memory_limit=needed - 1, progress=lambda *pair: seen.append(pair))
    assert not seen
    with pytest.raises(ValueError, match=r"x\[0, 0\] is nan"):
        coremax.topk_graph(x, 10, threads=2, memory_limit=needed)


# Besides what a search says it takes: stacks and arenas of two threads, and the interpreter's own.
ALLOWANCE = 16 * 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_mapped_file_is_never_copied_and_memory_is_as_promised(dtype: str, tmp_path: Path) -> None:
    n, d, k = 60_000, 256, 10
    rng = np.random.default_rng(9)
    np.save(tmp_path / "x.npy", (40 * rng.standard_normal((n, d), dtype=np.float32)).clip(-127, 127).astype(dtype))
    code = f"""
import numpy as np, coremax
def memory():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [1024 * int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM")]
x = np.load({str(tmp_path / "x.npy")!r}, mmap_mode="r")
coremax.topk_graph(np.array(x[:100]), 3)
before, _ = memory()
graph = coremax.topk_graph(x, {k}, threads=2, copy=False)
print(memory()[1] - before, graph.stats.extra_bytes)
"""
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout
    growth, extra = map(int, printed.split())
    mapped, output = n * d * np.dtype(dtype).itemsize, 12 * n * k  # pages of the file count as resident, too
    grown = growth - mapped - output
    most = 1.1 * extra + ALLOWANCE
    assert grown <= documented_bytes(n, d, k)
    assert grown <= most
    assert grown + 4 * n * d > most, "a copy in float32 would have been seen"


# ---- Stopping ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("phase", ["before", "during"])
def test_ctrl_c(phase: str, threads: int) -> None:
    # "during": the signal comes when pairs of blocks are being joined; "before": when rows are read, ordered and sampled.
    code = f"""
import numpy as np, coremax
x = np.random.default_rng(0).random(size=(400_000, 128), dtype=np.float32)
lines = iter(["started"])
def start(*_):
    for line in lines:
        print(line, flush=True)
if {phase!r} == "before":
    start()
try:
    coremax.topk_graph(x, 10, isa={FILTERED_ISAS[-1]!r}, threads={threads}, memory_limit="100GB", progress=start)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    assert output_when_interrupted(code) == "started\ninterrupted\n"


@pytest.mark.parametrize("threads", THREADS)
def test_an_exception_in_progress_stops_the_call(threads: int) -> None:
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        raise RuntimeError(f"stopped at {done} of {total}")

    with pytest.raises(RuntimeError, match="stopped at"):
        coremax.topk_graph(clustered(N_LARGE, 16, 5, seed=10), 5, threads=threads, progress=stop)
    assert len(seen) == 1


def test_progress_only_rises() -> None:
    seen: list[tuple[int, int]] = []
    for threads in (1, 3):
        seen.clear()
        coremax.topk_graph(clustered(N_LARGE, 16, 5, seed=11), 5, threads=threads, progress=lambda *pair: seen.append(pair))
        assert seen == sorted(seen)
        assert seen[-1] == (N_LARGE, N_LARGE)
        assert seen[0][0] < N_LARGE


def test_two_callers_at_once() -> None:
    x = clustered(N_LARGE, 16, 30, seed=12)
    expected = engine_topk(x, 8)
    results: list[Neighbors] = []
    callers = [threading.Thread(target=lambda: results.append(engine_topk(x, 8, search="coarse"))) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 2
    assert all(found.same(expected) for found in results)
