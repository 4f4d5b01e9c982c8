"""The approximate mode: the recall it reaches and what it says of it, and that all else about it is exact."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import coremax
from coremax import _core
from coremax.graph._graph import METRICS, Metric, Mode
from helpers import FILTERED_ISAS, ISAS, Neighbors, clustered, engine_topk, output_when_interrupted, same_bits

N, D, K = 20_000, 16, 10  # the fewest rows that are not answered exactly
SAMPLED = 1000  # rows that recall is measured on
pytestmark = pytest.mark.skipif(not FILTERED_ISAS, reason="this machine has the scalar level only, which is always exact")


@functools.cache
def points(n: int = N) -> NDArray[np.float32]:
    return clustered(n, D, 150, seed=1, spread=0.4)


@functools.cache
def exact(metric: Metric, n: int = N) -> Neighbors:
    return engine_topk(points(n), K, metric)


def found_share(found: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each row's true neighbours that were found."""
    both = np.sort(np.concatenate([found, truth], axis=1), axis=1)
    share: NDArray[np.float64] = (both[:, 1:] == both[:, :-1]).sum(axis=1) / truth.shape[1]
    return share


def assert_well_formed(found: Neighbors) -> None:
    """No row with itself, none twice, similarities descending, ties to the lower number."""
    n = len(found.rows)
    assert (found.rows >= 0).all()
    assert (found.rows < n).all()
    assert (found.rows != np.arange(n)[:, None]).all()
    in_order = np.sort(found.rows, axis=1)
    twice = np.flatnonzero((in_order[:, 1:] == in_order[:, :-1]).any(axis=1))
    assert twice.size == 0, f"{twice.size} rows name a neighbour twice, row {twice[0]}: {found.rows[twice[0]]}"
    steps = np.diff(found.similarities, axis=1)
    assert (steps <= 0).all()
    assert (np.diff(found.rows, axis=1)[steps == 0] > 0).all()


# ---- Recall ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recall", [0.7, 0.9, 0.95, 0.99])
def test_recall_is_what_was_asked_for(recall: float) -> None:
    # How many pairs of groups are visited is read off 1000 rows, so the recall found differs from the one aimed at by the
    # error of a mean over them: at most sqrt(r (1 - r) / 1000), where a row's neighbours are found or missed all together. Four
    # of that, for each of 5 seeds: a false alarm in 6000 changes of the partition, if the mode aimed at no more than r.
    truth = exact("cosine")
    tolerance = 4 * np.sqrt(recall * (1 - recall) / SAMPLED)
    for seed in range(5):
        found = engine_topk(points(), K, recall=recall, seed=seed)
        assert found.n_sampled == SAMPLED
        assert_well_formed(found)
        reached = found_share(found.rows, truth.rows).mean()
        assert reached >= recall - tolerance, f"seed {seed}"
        # And it is not the exact search under another name.
        assert reached < 1


def test_the_interval_covers_the_truth() -> None:
    # 95 % intervals: of 12, five or more miss once in 4000 changes of the partition; seeds are fixed.
    truth = exact("euclidean")
    n_covered = 0
    for seed in range(12):
        found = engine_topk(points(), K, "euclidean", recall=0.9, seed=seed)
        assert 0 <= found.low <= found.recall <= found.high <= 1
        assert found.high - found.low < 4 * 1.96 * np.sqrt(0.9 * 0.1 / SAMPLED)
        n_covered += found.low <= found_share(found.rows, truth.rows).mean() <= found.high
    assert n_covered >= 8


@pytest.mark.parametrize("metric", METRICS)
def test_the_estimate_is_near_the_truth_by_every_metric(metric: Metric) -> None:
    # 5 standard errors of a mean over 1000 rows, at most sqrt(0.9 * 0.1 / 1000) each: one false alarm in a million.
    found = engine_topk(points(), K, metric, recall=0.9, seed=3)
    assert found.n_sampled == SAMPLED
    assert_well_formed(found)
    reached = found_share(found.rows, exact(metric).rows).mean()
    assert abs(found.recall - reached) <= 5 * np.sqrt(0.9 * 0.1 / SAMPLED)
    assert reached >= 0.9 - 4 * np.sqrt(0.9 * 0.1 / SAMPLED)


def test_a_smaller_recall_visits_fewer_pairs() -> None:
    shares = [
        found_share(engine_topk(points(), K, recall=r, seed=2).rows, exact("cosine").rows).mean() for r in (0.5, 0.8, 0.95)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.8


# ---- What is exact in an approximate graph ----------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_similarities_are_the_exact_scores(metric: Metric) -> None:
    truth = exact(metric)
    found = engine_topk(points(), K, metric, recall=0.7, seed=4)
    known: dict[tuple[int, int], int] = {}
    for i, j in np.ndindex(truth.rows.shape):
        known[i, int(truth.rows[i, j])] = int(truth.similarities[i, j : j + 1].view(np.int32)[0])
    elsewhere = []
    for i, j in np.ndindex(found.rows.shape):
        pair = (i, int(found.rows[i, j]))
        if pair in known:
            assert known[pair] == int(found.similarities[i, j : j + 1].view(np.int32)[0]), pair
        else:
            elsewhere.append((i, j))
    assert len(elsewhere) > 1000
    # The others in a search of two rows. Its common scale is another power of two: that changes no bit.
    for i, j in elsewhere[:: len(elsewhere) // 500]:
        two = engine_topk(points(), 1, metric, rows=np.array([i, found.rows[i, j]]))
        assert same_bits(two.similarities[0], found.similarities[i, j : j + 1])
    # What stands in for a missed neighbour is no better than it, and all that is between two found ones was missed.
    assert (found.similarities <= truth.similarities).all()


def test_the_same_bits_on_every_level_and_thread_count() -> None:
    for metric in METRICS:
        reference = engine_topk(points(), K, metric, threads=1, recall=0.9, seed=5)
        assert reference.n_sampled == SAMPLED
        for isa in FILTERED_ISAS:
            for threads in (2, 3, 7):
                found = engine_topk(points(), K, metric, isa=isa, threads=threads, recall=0.9, seed=5)
                assert found.same(reference), (metric, isa, threads)
                assert found[2:] == reference[2:], (metric, isa, threads)


def test_seeds_differ() -> None:
    a, b = (engine_topk(points(), K, recall=0.7, seed=seed) for seed in (6, 2**64 - 1))
    assert not np.array_equal(a.rows, b.rows)
    graphs = [
        coremax.topk_graph(points(), K, mode="approximate", recall=0.7, seed=np.random.SeedSequence(s)) for s in (6, 6, 7)
    ]
    assert np.array_equal(graphs[0].neighbors, graphs[1].neighbors)
    assert not np.array_equal(graphs[0].neighbors, graphs[2].neighbors)


@pytest.mark.parametrize("metric", METRICS)
def test_few_distinct_rows(metric: Metric) -> None:
    # Most centres are alike, so most groups are empty; ties are all there is.
    rng = np.random.default_rng(7)
    x = rng.normal(size=(80, 16))[rng.integers(0, 80, N)]
    x[:200] = 3 * rng.normal(size=16) + 0.3 * rng.normal(size=(200, 16))
    for seed in range(3):
        assert_well_formed(engine_topk(x.astype(np.float32), K, metric, recall=0.9, seed=seed))


@pytest.mark.parametrize("k", [1, 100])
def test_other_k(k: int) -> None:
    found = engine_topk(points(), k, recall=0.9, seed=8)
    assert found.n_sampled == SAMPLED
    assert_well_formed(found)
    truth = engine_topk(points(), k)
    assert found_share(found.rows, truth.rows).mean() >= 0.9 - 4 * np.sqrt(0.9 * 0.1 / SAMPLED)
    assert (found.similarities <= truth.similarities).all()


def test_groups_smaller_than_a_list() -> None:
    # Rows of small groups are joined with fewer others than they need neighbours: they are answered alone.
    rng = np.random.default_rng(9)
    x = points().copy()
    x[::400] = 20 * rng.normal(size=x[::400].shape)
    found = engine_topk(x, 40, recall=0.6, seed=9)
    assert found.n_sampled == SAMPLED
    assert_well_formed(found)


@pytest.mark.parametrize("dtype", ["float16", "int8", "float64"])
def test_other_types(dtype: str) -> None:
    x = np.round(16 * points()).clip(-127, 127)
    narrow = x.astype(dtype)
    a = engine_topk(narrow, K, "euclidean", recall=0.9, seed=10)
    b = engine_topk(narrow.astype(np.float32), K, "euclidean", recall=0.9, seed=10)
    assert a.same(b)
    assert_well_formed(a)


# ---- When it is exact -------------------------------------------------------------------------------------------------------


def is_exact(graph: coremax.Graph) -> bool:
    assert graph.stats is not None
    return (graph.stats.recall, graph.stats.recall_interval, graph.stats.n_sampled) == (1.0, (1.0, 1.0), 0)


@pytest.mark.parametrize("metric", METRICS)
def test_recall_of_one_is_exact(metric: Metric) -> None:
    graph = coremax.topk_graph(points(), K, metric=metric, mode="approximate", recall=1.0)
    assert is_exact(graph)
    assert np.array_equal(graph.neighbors, exact(metric).rows)
    assert same_bits(graph.similarities, exact(metric).similarities)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (1000, 10), (N - 1, 10)])
def test_few_rows_are_answered_exactly(n: int, k: int) -> None:
    x = clustered(n, 4, 20, seed=n)
    graph = coremax.topk_graph(x, k, mode="approximate", recall=0.5)
    assert is_exact(graph)
    reference = engine_topk(x, k)
    assert np.array_equal(graph.neighbors, reference.rows)
    assert same_bits(graph.similarities, reference.similarities)


def test_long_lists_and_the_scalar_level_are_exact() -> None:
    # Told by the tables that are not allocated: such a search takes ten seconds.
    for isa, k in (("scalar", 10), *((isa, N // 16 + 1) for isa in FILTERED_ISAS)):
        approximate, plain = (_core.topk_extra_bytes(N, D, k, isa, search, 2) for search in ("approximate", "automatic"))
        assert approximate == plain
    for isa in FILTERED_ISAS:
        approximate, plain = (_core.topk_extra_bytes(N, D, N // 16, isa, search, 2) for search in ("approximate", "automatic"))
        assert approximate > plain


def test_unstructured_rows_are_answered_exactly() -> None:
    x = np.random.default_rng(11).normal(size=(N, 48)).astype(np.float32)
    graph = coremax.topk_graph(x, K, mode="approximate", recall=0.95)
    assert is_exact(graph)
    reference = engine_topk(x, K)
    assert np.array_equal(graph.neighbors, reference.rows)
    assert same_bits(graph.similarities, reference.similarities)


# ---- The public function ----------------------------------------------------------------------------------------------------


def test_stats() -> None:
    graph = coremax.topk_graph(points(), K, mode="approximate", recall=0.9, seed=13, threads=2, isa=FILTERED_ISAS[0])
    stats = graph.stats
    assert stats is not None
    assert (stats.isa, stats.threads, stats.n_sampled) == (FILTERED_ISAS[0], 2, SAMPLED)
    assert 0.5 < stats.recall_interval[0] <= stats.recall <= stats.recall_interval[1] <= 1
    assert stats.seconds > 0
    assert stats.extra_bytes == _core.topk_extra_bytes(N, D, K, FILTERED_ISAS[0], "approximate", 2)
    assert stats.extra_bytes > _core.topk_extra_bytes(N, D, K, FILTERED_ISAS[0], "automatic", 2)
    # The exact mode takes no notice of either.
    plain = coremax.topk_graph(points(), K, recall=0.5, seed=13)
    assert is_exact(plain)
    assert np.array_equal(plain.neighbors, exact("cosine").rows)


@pytest.mark.parametrize("mode", ["exact", "approximate"])
@pytest.mark.parametrize(
    ("recall", "error", "message"),
    [
        (0, ValueError, "recall must be above 0 and at most 1, got 0"),
        (0.0, ValueError, "recall must be above 0"),
        (-0.1, ValueError, "recall must be .*got -0.1"),
        (1.5, ValueError, "recall must be .*got 1.5"),
        (float("nan"), ValueError, "recall must be .*got nan"),
        ("x", TypeError, "recall must be .*got 'x'"),
        (None, TypeError, "recall must be"),
    ],
)
def test_bad_recall(mode: Mode, recall: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coremax.topk_graph(np.ones((5, 2), dtype=np.float32), 1, mode=mode, recall=recall)


@pytest.mark.parametrize("recall", [0.0, -0.1, 1.5, float("nan")])
def test_the_engine_checks_recall_too(recall: float) -> None:
    with pytest.raises(ValueError, match="recall must be above 0 and at most 1"):
        engine_topk(np.ones((5, 2), dtype=np.float32), 1, recall=recall)


def test_some_rows_only() -> None:
    x = points(24_000)
    rows = np.random.default_rng(14).permutation(24_000)[:N]
    found = engine_topk(x, K, recall=0.9, seed=14, rows=rows)
    assert found.n_sampled == SAMPLED
    assert_well_formed(found)
    assert found.same(engine_topk(x[rows], K, recall=0.9, seed=14)), "the rows named are as if they were all"


def test_infomax_still_searches_exactly() -> None:
    x = points()[:3000]
    importance = np.random.default_rng(15).random(3000)
    kept = coremax.infomax(x, importance, budget=300, drop_hardest=0.2)
    assert kept.graph is not None
    assert is_exact(kept.graph)
    assert np.array_equal(kept.graph.neighbors, engine_topk(x[kept.candidates], kept.graph.k).rows)


def test_memory_limit_is_refused_before_work_starts() -> None:
    x = np.full((N, D), np.nan, dtype=np.float32)  # whoever reads it raises ValueError
    needed = _core.topk_extra_bytes(N, D, K, ISAS[-1], "approximate", 2) + 12 * N * K
    with pytest.raises(MemoryError, match=f"needs {needed} bytes .*allows {needed - 1}: .*or use mode='exact'"):
        coremax.topk_graph(x, K, mode="approximate", threads=2, memory_limit=needed - 1)
    with pytest.raises(ValueError, match=r"x\[0, 0\] is nan"):
        coremax.topk_graph(x, K, mode="approximate", threads=2, memory_limit=needed)


def test_extra_bytes_keep_to_the_documented_formula() -> None:
    for isa in FILTERED_ISAS:
        for n in (N, 10**5, 10**6, 10**7, 10**9):
            for d, k in ((16, 10), (64, 1), (784, 100)):
                added = _core.topk_extra_bytes(n, d, k, isa, "approximate", 2) - _core.topk_extra_bytes(
                    n, d, k, isa, "automatic", 2
                )
                assert 0 < added <= 32 * n + 300 * 10**6, (isa, n, d, k)


# ---- Stopping ---------------------------------------------------------------------------------------------------------------


def test_ctrl_c() -> None:
    # The signal comes while centres are moved or rows assigned to them, which takes seconds.
    code = f"""
import numpy as np, coremax
x = np.random.default_rng(0).random(size=(400_000, 128), dtype=np.float32)
print("started", flush=True)
try:
    coremax.topk_graph(x, 10, mode="approximate", isa={FILTERED_ISAS[-1]!r}, threads=2, memory_limit="100GB")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    assert output_when_interrupted(code) == "started\ninterrupted\n"


@pytest.mark.parametrize("threads", [1, 3])
def test_an_exception_in_progress_stops_the_call(threads: int) -> None:
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        raise RuntimeError(f"stopped at {done} of {total}")

    with pytest.raises(RuntimeError, match="stopped at"):
        coremax.topk_graph(points(), K, mode="approximate", threads=threads, progress=stop)
    assert len(seen) == 1


def test_progress_only_rises() -> None:
    seen: list[tuple[int, int]] = []
    coremax.topk_graph(points(), K, mode="approximate", threads=3, progress=lambda *pair: seen.append(pair))
    assert seen == sorted(seen)
    assert seen[-1] == (N, N)
