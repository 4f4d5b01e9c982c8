"""The graph by others: one adapter a library, all with the same rows, k and threads, and without the row itself.

Each does what its documentation recommends; settings that trade time for recall are listed and `tuned` picks among them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata, util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cases import Rows
from harness import timed
from recall import Answers

Lists = NDArray[np.int64]
Settings = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is to be found. For "cosine" the rows have unit length, so that inner product and distance rank alike."""

    rows: Rows
    k: int
    metric: str
    threads: int

    @property
    def euclidean(self) -> bool:
        """Whether rows are compared by distance, not by inner product."""
        return self.metric == "euclidean"


@dataclass(frozen=True)
class Exact:
    """A rival that compares every pair."""

    name: str
    module: str
    find: Callable[[Task], Lists]
    unit: str = "float32"
    metrics: tuple[str, ...] = ("cosine", "dot", "euclidean")
    filtered: bool = False  # in lower precision: its recall is shown, not asserted
    most_rows: int = 10**9  # beyond, it takes minutes a round


@dataclass(frozen=True)
class Builder:
    """A rival that builds an approximate graph; settings from the cheapest."""

    name: str
    module: str
    settings: tuple[Settings, ...]
    find: Callable[..., Lists]  # (task, **settings)


@dataclass(frozen=True)
class Searcher:
    """A rival that builds an index and searches it: settings of the index, and efforts of the search from the cheapest."""

    name: str
    module: str
    settings: tuple[Settings, ...]
    build: Callable[..., Any]  # (task, **settings)
    effort: str
    efforts: tuple[int, ...]
    search: Callable[[Any, Task, Rows, int], Lists]  # (index, task, queries, effort): k + 1 lists


def installed(module: str) -> bool:
    """Whether a module can be imported."""
    return util.find_spec(module) is not None


def version(module: str) -> str:
    """Distribution and version of an installed module."""
    distribution = metadata.packages_distributions()[module][0]
    return f"{distribution} {metadata.version(distribution)}"


def set_threads(threads: int) -> None:
    """Set the threads of every installed library that keeps a number of its own; the others take it with each call."""
    if installed("torch"):
        importlib.import_module("torch").set_num_threads(threads)
    if installed("faiss"):
        importlib.import_module("faiss").omp_set_num_threads(threads)
    if installed("sklearn"):
        importlib.import_module("sklearn.neighbors")
        importlib.import_module("threadpoolctl").threadpool_limits(threads)  # OpenMP and BLAS, of whatever is loaded


def drop_self(found: NDArray[Any], rows: Lists | None = None) -> Lists:
    """Drop each row's own number from its k + 1 neighbours, or the last where it is not among them."""
    own = found == (np.arange(len(found)) if rows is None else rows)[:, None]
    own[:, -1] |= ~own.any(axis=1)
    others: Lists = found[~own].reshape(len(found), -1).astype(np.int64)
    return others


def faiss_exact(task: Task) -> Lists:
    """`faiss.knn`."""
    faiss = importlib.import_module("faiss")
    metric = faiss.METRIC_L2 if task.euclidean else faiss.METRIC_INNER_PRODUCT
    return drop_self(faiss.knn(task.rows, task.rows, task.k + 1, metric=metric)[1])


def sklearn_exact(task: Task) -> Lists:
    """`NearestNeighbors` by brute force, which is its ArgKmin; without queries it leaves out the row itself."""
    neighbors = importlib.import_module("sklearn.neighbors")
    model = neighbors.NearestNeighbors(n_neighbors=task.k, algorithm="brute", n_jobs=task.threads).fit(task.rows)
    return np.asarray(model.kneighbors(return_distance=False))


def torch_exact(task: Task, narrow: bool) -> Lists:
    """Matrix product and topk by blocks; `narrow`: in bfloat16, with twice the neighbours and more scored again in float32."""
    torch = importlib.import_module("torch")
    rows = torch.from_numpy(task.rows)
    factor = rows.bfloat16() if narrow else rows
    penalty = (rows.square().sum(dim=1) / 2).to(factor.dtype)
    found = torch.empty((len(rows), task.k), dtype=torch.int64)
    for start in range(0, len(rows), 256):  # of 256, 1024 and 4096 the fastest
        block = slice(start, start + 256)
        scores = torch.addmm(penalty, factor[block], factor.T, beta=-1) if task.euclidean else factor[block] @ factor.T
        scores[:, block].fill_diagonal_(-torch.inf)
        if not narrow:
            found[block] = torch.topk(scores, task.k).indices
            continue
        candidates = torch.topk(scores, min(2 * task.k + 10, len(rows) - 1), sorted=False).indices
        if task.euclidean:
            again = -(rows[candidates] - rows[block, None]).square().sum(dim=2)
        else:
            again = torch.bmm(rows[candidates], rows[block, :, None]).squeeze(2)
        found[block] = candidates.gather(1, torch.topk(again, task.k).indices)
    return np.asarray(found.numpy())


def usearch_exact(task: Task) -> Lists:
    """`usearch.index.search` with exact=True over an array."""
    usearch = importlib.import_module("usearch.index")
    metric = usearch.MetricKind.L2sq if task.euclidean else usearch.MetricKind.IP
    matches = usearch.search(task.rows, task.rows, task.k + 1, metric, exact=True, threads=task.threads)
    return drop_self(matches.keys.astype(np.int64))


EXACT = (
    Exact("faiss knn", "faiss", faiss_exact),
    Exact("torch float32", "torch", partial(torch_exact, narrow=False)),
    Exact("torch bfloat16 + float32", "torch", partial(torch_exact, narrow=True), unit="bfloat16", filtered=True),
    Exact("scikit-learn brute", "sklearn", sklearn_exact, metrics=("cosine", "euclidean")),
    Exact("usearch exact", "usearch", usearch_exact, most_rows=20_000),
)


def pynndescent_graph(task: Task, n_neighbors: int) -> Lists:
    """`NNDescent`; its lists begin with the row itself."""
    pynndescent = importlib.import_module("pynndescent")
    index = pynndescent.NNDescent(
        task.rows, metric="euclidean", n_neighbors=max(n_neighbors, task.k + 1), n_jobs=task.threads, random_state=0
    )
    return drop_self(index.neighbor_graph[0][:, : task.k + 1])


def faiss_descent(task: Task, width: int) -> Lists:
    """Return the graph that `IndexNNDescentFlat` builds before it can search."""
    faiss = importlib.import_module("faiss")
    index = faiss.IndexNNDescentFlat(task.rows.shape[1], width, faiss.METRIC_L2)
    index.add(task.rows)
    graph = faiss.vector_to_array(index.nndescent.final_graph).reshape(len(task.rows), -1)
    return drop_self(graph[:, : task.k + 1])


def faiss_ivf(task: Task, cells: int) -> Any:
    """`IndexIVFFlat` of `cells` times the root of n; trained with 64 rows a cell, not 256, which costs a quarter."""
    faiss = importlib.import_module("faiss")
    n, d = task.rows.shape
    n_cells = max(1, min(n // 39, round(cells * n**0.5)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, n_cells, faiss.METRIC_L2)
    index.cp.max_points_per_centroid = 64
    index.train(task.rows)
    index.add(task.rows)
    return index


def faiss_ivf_search(index: Any, task: Task, queries: Rows, n_probe: int) -> Lists:
    """Search the nearest cells."""
    index.nprobe = n_probe
    return np.asarray(index.search(queries, task.k + 1)[1])


def faiss_hnsw(task: Task, m: int, ef: int) -> Any:
    """`IndexHNSWFlat`."""
    faiss = importlib.import_module("faiss")
    index = faiss.IndexHNSWFlat(task.rows.shape[1], m, faiss.METRIC_L2)
    index.hnsw.efConstruction = ef
    index.add(task.rows)
    return index


def faiss_hnsw_search(index: Any, task: Task, queries: Rows, ef: int) -> Lists:
    """Search with a candidate list of ef."""
    index.hnsw.efSearch = ef
    return np.asarray(index.search(queries, task.k + 1)[1])


def hnswlib_index(task: Task, m: int, ef: int) -> Any:
    """`hnswlib.Index`."""
    index = importlib.import_module("hnswlib").Index(space="l2", dim=task.rows.shape[1])
    index.init_index(len(task.rows), M=m, ef_construction=ef)
    index.add_items(task.rows, num_threads=task.threads)
    return index


def hnswlib_search(index: Any, task: Task, queries: Rows, ef: int) -> Lists:
    """Search with a candidate list of ef."""
    index.set_ef(ef)
    return np.asarray(index.knn_query(queries, task.k + 1, num_threads=task.threads)[0].astype(np.int64))


def usearch_index(task: Task, m: int, ef: int) -> Any:
    """`usearch.Index` in bfloat16."""
    usearch = importlib.import_module("usearch.index")
    index = usearch.Index(ndim=task.rows.shape[1], metric="ip", dtype="bf16", connectivity=m, expansion_add=ef)
    index.add(np.arange(len(task.rows)), task.rows, threads=task.threads)
    return index


def usearch_search(index: Any, task: Task, queries: Rows, ef: int) -> Lists:
    """Search with a candidate list of ef."""
    index.expansion_search = ef
    return np.asarray(index.search(queries, task.k + 1, threads=task.threads).keys.astype(np.int64))


_SMALL_WORLD: tuple[Settings, ...] = ({"m": 8, "ef": 40}, {"m": 16, "ef": 40}, {"m": 16, "ef": 100})
_CANDIDATES = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_PROBES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)

APPROXIMATE: tuple[Builder | Searcher, ...] = (
    Builder("pynndescent", "pynndescent", tuple({"n_neighbors": k} for k in (11, 15, 20, 30, 45)), pynndescent_graph),
    Builder("faiss NNDescent", "faiss", tuple({"width": k} for k in (16, 24, 32, 48, 64)), faiss_descent),
    Searcher("faiss IVF", "faiss", tuple({"cells": c} for c in (1, 2, 4)), faiss_ivf, "probes", _PROBES, faiss_ivf_search),
    Searcher("faiss HNSW", "faiss", _SMALL_WORLD, faiss_hnsw, "ef_search", _CANDIDATES, faiss_hnsw_search),
    Searcher("hnswlib", "hnswlib", _SMALL_WORLD, hnswlib_index, "ef_search", _CANDIDATES, hnswlib_search),
    Searcher("usearch", "usearch", _SMALL_WORLD, usearch_index, "ef_search", _CANDIDATES, usearch_search),
)


def tuned(rival: Builder | Searcher, task: Task, answers: Answers, wanted: float) -> tuple[str, Callable[[], Lists]]:
    """Choose the cheapest settings that reach the wanted recall, else those of best recall; returns their words and the run."""
    if isinstance(rival, Searcher):
        return _tuned_searcher(rival, task, answers, wanted)
    recalls = []
    for settings in rival.settings:
        recalls.append(answers.recall(rival.find(task, **settings)[answers.rows]))
        if recalls[-1] >= wanted:
            break
    best = rival.settings[int(np.argmax(recalls))]
    return _words(best), partial(rival.find, task, **best)


def _tuned_searcher(rival: Searcher, task: Task, answers: Answers, wanted: float) -> tuple[str, Callable[[], Lists]]:
    """Build each index once and search the sampled rows only: time is linear in the rows searched."""
    tried = []
    for settings in rival.settings:
        building, index = timed(partial(rival.build, task, **settings))
        for effort in rival.efforts:
            searching, found = timed(partial(rival.search, index, task, task.rows[answers.rows], effort))
            recall = answers.recall(drop_self(found, answers.rows))
            tried.append((min(recall, wanted), -building - searching * answers.n / len(answers.rows), effort, settings))
            if recall >= wanted:
                break
    _, _, effort, settings = max(tried, key=lambda trial: trial[:2])

    def run() -> Lists:
        return drop_self(rival.search(rival.build(task, **settings), task, task.rows, effort))

    return _words({**settings, rival.effort: effort}), run


def _words(settings: Settings) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
