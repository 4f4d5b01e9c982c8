"""The story the command line tells: train on what InfoMax keeps, on random choices of the same size, and on everything.

Every subset trains the same classifier with the same settings, and every number is a measurement on the held-out test samples:
nothing is tuned on them, and nothing is left out where InfoMax does not win.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from .._core import __version__
from .._inputs import arrays
from ..scores import el2n
from ..selection import Selection, infomax, random
from .demo_data import LabelledImages

__all__ = ["DEFAULT_BUDGETS", "CurvePoint", "DemoResult", "Gallery", "Tile", "Trained", "format_result", "run_demo", "to_json"]

DEFAULT_BUDGETS = (0.01, 0.03, 0.1, 0.3)

# Enough for most of the variance of small grey images, and few enough for the exact graph of 60,000 in two seconds.
_EMBEDDING_DIMENSIONS = 40
# EL2N as its paper computes it: networks stopped early, so that they have not yet learnt the training labels by heart, and
# averaged over a few of them.
_PROXY_NETWORKS, _PROXY_EPOCHS, _PROXY_UNITS = 3, 10, 64
_PROXY_BATCH, _PROXY_MIN_STEPS_PER_EPOCH = 500, 20
# Random subsets at the further budgets of the curve; at the main budget there are n_random.
_CURVE_RANDOM = 3
# Chosen beforehand: the same for every data set and subset.
_SVC_C, _KERNEL_CACHE_MB = 10.0, 1000

_N_TILES, _N_PAIRS = 16, 8

_Floats = np.ndarray[Any, np.dtype[np.float32]]
_Scores = np.ndarray[Any, np.dtype[np.float64]]
_Indices = np.ndarray[Any, np.dtype[np.int64]]
Log = Callable[[str], object]


@dataclass(frozen=True)
class Trained:
    """What training on subsets of one kind and size gave.

    Attributes
    ----------
    name : str
        "everything", "random" or "InfoMax".
    n_samples : int
        Training samples in each subset.
    accuracies : tuple of float
        Of each subset, on the test samples, in [0, 1].
    seconds : tuple of float
        Training time of each subset.
    """

    name: str
    n_samples: int
    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def label(self) -> str:
        """Name, with the number of subsets where there are several."""
        return self.name if len(self.accuracies) == 1 else f"{self.name} (mean of {len(self.accuracies)})"

    @property
    def accuracy(self) -> float:
        """Mean over the subsets."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the subsets (n - 1 in the denominator); None for a single one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def mean_seconds(self) -> float:
        """Mean training time."""
        return statistics.fmean(self.seconds)


@dataclass(frozen=True)
class CurvePoint:
    """InfoMax and random at one budget."""

    n_samples: int
    infomax: Trained
    random: Trained


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture, or a pair of them, with its caption.

    Attributes
    ----------
    images : tuple of array [h, w] of float32
        Grey values in [0, 1].
    caption : str
        What it is.
    """

    images: tuple[_Floats, ...]
    caption: str


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures that belong together."""

    title: str
    text: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class DemoResult:
    """Everything the demo found out.

    Attributes
    ----------
    version : str
        Of coremax.
    data : str
        Name of the data set.
    n_train, n_test : int
        Samples.
    n_kept, n_dropped : int
        Samples InfoMax kept; samples it left out beforehand as too hard.
    everything, random, infomax : Trained
        The three rows of the table.
    curve : tuple of CurvePoint
        By ascending budget.
    seconds : mapping of str to float
        Of each step: embed, score, graph, solve, and total.
    settings : mapping of str to str
        What the proxy, the embeddings and the classifier are.
    parameters : mapping of str to object
        Of InfoMax, as resolved.
    objective, upper_bound, gap : float
        Of the solution.
    bound_kind, status : str
        Of the solution.
    galleries : tuple of Gallery
        Pictures of kept and pruned samples.
    seed : int
        Of everything random.
    """

    version: str
    data: str
    n_train: int
    n_test: int
    n_kept: int
    n_dropped: int
    everything: Trained
    random: Trained
    infomax: Trained
    curve: tuple[CurvePoint, ...]
    seconds: Mapping[str, float]
    settings: Mapping[str, str]
    parameters: Mapping[str, Any]
    objective: float
    upper_bound: float
    gap: float
    bound_kind: str
    status: str
    galleries: tuple[Gallery, ...]
    seed: int

    @property
    def rows(self) -> tuple[Trained, Trained, Trained]:
        """Rows of the table, in order."""
        return self.everything, self.random, self.infomax

    @property
    def standard_error(self) -> float:
        """Standard error of InfoMax's accuracy that comes from the finite number of test samples alone."""
        return float(np.sqrt(self.infomax.accuracy * (1 - self.infomax.accuracy) / self.n_test))


def run_demo(
    data: LabelledImages,
    *,
    budget: int | float = 0.1,
    n_random: int = 5,
    budgets: Sequence[int | float] = DEFAULT_BUDGETS,
    seed: int = 0,
    threads: int | None = None,
    log: Log | None = None,
) -> DemoResult:
    """Score, select, train and compare.

    Parameters
    ----------
    data : LabelledImages
        What to select from and test on.
    budget : int or float
        What InfoMax keeps: a count, or a fraction in (0, 1].
    n_random : int
        Random subsets of the same size.
    budgets : sequence of int or float
        Further budgets, for the curve.
    seed : int
        Of the proxy's starting weights and the random subsets.
    threads : int, optional
        Of coremax, of the linear algebra and of the evaluation; a single classifier trains on one.
    log : callable, optional
        Called with a line of text after each step.

    Returns
    -------
    DemoResult

    Raises
    ------
    ValueError, TypeError
        A budget, n_random, seed or threads out of range.
    """
    start = time.perf_counter()
    n = len(data.train_x)
    count = arrays.as_budget(budget, n)
    counts = {arrays.as_budget(further, n) for further in budgets}
    n_random, n_threads = arrays.as_count(n_random, "n_random", 1), arrays.as_threads(threads)
    seed = arrays.as_count(seed, "seed", 0)
    seconds: dict[str, float] = {}
    log = log or _silent

    with threadpool_limits(n_threads):
        with _timed("embed", seconds, log):
            train_x, test_x, variance = _embed(data, seed)
        with _timed("score", seconds, log):
            probabilities = _proxy_probabilities(train_x, data.train_y, len(data.class_names), seed)
            scores = np.asarray(el2n(probabilities, data.train_y, threads=n_threads))
        trainer = _Trainer(train_x, data.train_y, test_x, data.test_y, n_threads)
        selection = infomax(train_x, scores, count, labels=data.train_y, seed=seed, threads=n_threads)
        seconds.update(_selection_seconds(selection))
        log(f"graph: {seconds['graph']:.1f} s, solve: {seconds['solve']:.1f} s")
        chosen = trainer.train("InfoMax", [selection.indices], log)
        by_chance = trainer.train("random", _random_subsets(n, count, n_random, seed), log)
        everything = trainer.train("everything", [np.arange(n)], log)
        curve = [CurvePoint(count, chosen, by_chance)]
        for further in sorted(counts - {count}):
            kept = infomax(train_x, scores, further, labels=data.train_y, seed=seed, threads=n_threads).indices
            subsets = _random_subsets(n, further, min(n_random, _CURVE_RANDOM), seed)
            curve.append(CurvePoint(further, trainer.train("InfoMax", [kept], log), trainer.train("random", subsets, log)))
    seconds["total"] = time.perf_counter() - start

    solution = selection.solution
    assert solution is not None
    return DemoResult(
        version=__version__,
        data=data.name,
        n_train=n,
        n_test=len(data.test_x),
        n_kept=count,
        n_dropped=n - len(selection.candidates),
        everything=everything,
        random=by_chance,
        infomax=chosen,
        curve=tuple(sorted(curve, key=lambda point: point.n_samples)),
        seconds=seconds,
        settings=_settings(train_x.shape[1], variance),
        parameters=selection.parameters,
        objective=solution.objective,
        upper_bound=solution.upper_bound,
        gap=solution.gap,
        bound_kind=solution.bound_kind,
        status=solution.status.value,
        galleries=_galleries(data, selection, scores, np.mean(probabilities, axis=0).argmax(axis=1)),
        seed=seed,
    )


def _silent(line: str) -> None:
    """Log nothing."""


@contextmanager
def _timed(step: str, seconds: dict[str, float], log: Log) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - start
    log(f"{step}: {seconds[step]:.1f} s")


def _embed(data: LabelledImages, seed: int) -> tuple[_Floats, _Floats, float]:
    """Principal components of training and test images, and the share of the variance they hold."""
    n_components = min(_EMBEDDING_DIMENSIONS, *data.train_x.shape)
    pca = PCA(n_components, random_state=_seeds(seed, 1)[0]).fit(data.train_x)
    train_x, test_x = (np.ascontiguousarray(pca.transform(x), dtype=np.float32) for x in (data.train_x, data.test_x))
    return train_x, test_x, float(pca.explained_variance_ratio_.sum())


def _proxy_probabilities(x: _Floats, y: _Indices, n_classes: int, seed: int) -> list[_Scores]:
    """Class probabilities [n, C] of the training samples by each of a few small networks that were stopped early."""
    batch = min(_PROXY_BATCH, max(1, len(x) // _PROXY_MIN_STEPS_PER_EPOCH))
    result = []
    for network_seed in _seeds(seed, _PROXY_NETWORKS):
        network = MLPClassifier((_PROXY_UNITS,), batch_size=batch, max_iter=_PROXY_EPOCHS, random_state=network_seed)
        with warnings.catch_warnings():
            # Stopping before convergence is the point.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(x, y)
        probabilities = np.zeros((len(x), n_classes))
        probabilities[:, network.classes_] = network.predict_proba(x)
        result.append(probabilities)
    return result


def _seeds(seed: int, n: int) -> list[int]:
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n)]


def _random_subsets(n: int, count: int, n_subsets: int, seed: int) -> list[_Indices]:
    return [random(n, count, seed=subset_seed).indices for subset_seed in _seeds(seed, n_subsets)]


def _selection_seconds(selection: Selection) -> dict[str, float]:
    timings = selection.timings or {}
    return {"graph": timings["graph"] + timings["symmetric"], "solve": timings["typical"] + timings["solve"]}


@dataclass(frozen=True, eq=False)
class _Trainer:
    """One classifier with one setting for every subset."""

    train_x: _Floats
    train_y: _Indices
    test_x: _Floats
    test_y: _Indices
    threads: int

    def train(self, name: str, subsets: Sequence[_Indices], log: Log) -> Trained:
        accuracies, seconds = zip(*(self._train_one(subset) for subset in subsets), strict=True)
        trained = Trained(name, len(subsets[0]), accuracies, seconds)
        log(f"train on {name}, {trained.n_samples} samples: {_percent(trained)}, {sum(seconds):.1f} s")
        return trained

    def _train_one(self, subset: _Indices) -> tuple[float, float]:
        x, y = self.train_x[subset], self.train_y[subset]
        model = _classifier() if len(np.unique(y)) > 1 else DummyClassifier()
        start = time.perf_counter()
        model.fit(x, y)
        seconds = time.perf_counter() - start
        # libsvm predicts on one thread but leaves the interpreter to others meanwhile.
        with ThreadPoolExecutor(self.threads) as pool:
            predicted = np.concatenate(list(pool.map(model.predict, np.array_split(self.test_x, self.threads))))
        return float(np.mean(predicted == self.test_y)), seconds


def _classifier() -> SVC:
    return SVC(C=_SVC_C, cache_size=_KERNEL_CACHE_MB)


def _settings(dimensions: int, variance: float) -> dict[str, str]:
    return {
        "embeddings": f"{dimensions} principal components of the pixels ({variance:.0%} of the variance)",
        "importance": f"EL2N, mean of {_PROXY_NETWORKS} networks with one hidden layer of {_PROXY_UNITS} units, stopped after "
        f"{_PROXY_EPOCHS} epochs",
        "classifier": f"support vector machine on the embeddings (RBF kernel, C = {_SVC_C:g}), the same for every subset",
    }


def _galleries(data: LabelledImages, selection: Selection, scores: _Scores, guesses: _Indices) -> tuple[Gallery, ...]:
    """Pictures of what was kept and what was pruned for which reason; a reason that pruned nothing shows nothing."""
    galleries = (
        _kept_gallery(data, selection, scores),
        _redundant_gallery(data, selection, scores),
        _easy_gallery(data, selection, scores),
        _hard_gallery(data, selection, scores, guesses),
    )
    return tuple(gallery for gallery in galleries if gallery.tiles)


def _kept_gallery(data: LabelledImages, selection: Selection, scores: _Scores) -> Gallery:
    by_score = selection.indices[np.argsort(-scores[selection.indices], kind="stable")]
    shown = by_score[np.linspace(0, len(by_score) - 1, min(_N_TILES, len(by_score))).astype(int)]
    return Gallery(
        "Kept",
        "Evenly spaced from the hardest to the easiest sample that was kept.",
        tuple(Tile((_image(data, i),), f"{_label(data, i)}, {scores[i]:.2f}") for i in shown),
    )


def _redundant_gallery(data: LabelledImages, selection: Selection, scores: _Scores) -> Gallery:
    candidates, graph = selection.candidates, selection.graph
    assert graph is not None
    kept = selection.mask()
    # Lists are in descending similarity: the first kept neighbour is the most similar one.
    is_kept = kept[candidates[graph.neighbors]]
    place = is_kept.argmax(axis=1)
    rows = np.arange(len(candidates))
    similarity = np.where(is_kept.any(axis=1), graph.similarities[rows, place], -np.inf)
    # Only samples as hard as kept ones: others would have been left out without a twin.
    eligible = ~kept[candidates] & np.isfinite(similarity) & (scores[candidates] >= np.median(scores[selection.indices]))
    order = np.argsort(-similarity, kind="stable")
    shown = order[eligible[order]][:_N_PAIRS]
    tiles = []
    for row in shown:
        pruned, twin = candidates[row], candidates[graph.neighbors[row, place[row]]]
        caption = f"{_label(data, pruned)}, like a kept {_label(data, twin)} ({similarity[row]:.3f})"
        tiles.append(Tile((_image(data, pruned), _image(data, twin)), caption))
    return Gallery(
        "Pruned: redundant",
        "As hard as the harder half of what was kept, yet not kept (left): a sample much like each of them (right; cosine "
        "similarity in brackets) is in the subset already.",
        tuple(tiles),
    )


def _easy_gallery(data: LabelledImages, selection: Selection, scores: _Scores) -> Gallery:
    pruned = selection.candidates[~selection.mask()[selection.candidates]]
    shown = pruned[np.argsort(scores[pruned], kind="stable")][: _N_TILES // 2]
    return Gallery(
        "Pruned: easy",
        "The lowest scores: the small networks knew these at once.",
        tuple(Tile((_image(data, i),), f"{_label(data, i)}, {scores[i]:.2f}") for i in shown),
    )


def _hard_gallery(data: LabelledImages, selection: Selection, scores: _Scores, guesses: _Indices) -> Gallery:
    dropped = np.setdiff1d(np.arange(selection.n), selection.candidates)
    shown = dropped[np.argsort(-scores[dropped], kind="stable")][:_N_TILES]
    return Gallery(
        "Pruned: too hard",
        "The highest scores of those left out before anything else: mislabelled and ambiguous samples harm a small subset. "
        "Each with its label and what the small networks take it for.",
        tuple(Tile((_image(data, i),), f"{_label(data, i)}, or {data.class_names[guesses[i]]}?") for i in shown),
    )


def _image(data: LabelledImages, i: int) -> _Floats:
    image: _Floats = data.train_x[i].reshape(data.image_shape)
    return image


def _label(data: LabelledImages, i: int) -> str:
    return data.class_names[int(data.train_y[i])]


def _percent(trained: Trained) -> str:
    spread = "" if trained.spread is None else f" +- {100 * trained.spread:.1f}"
    return f"{100 * trained.accuracy:.1f}{spread} %"


def format_result(result: DemoResult) -> str:
    """Lay the result out as the lines a terminal shows.

    Parameters
    ----------
    result : DemoResult

    Returns
    -------
    str
        A table and the seconds of every step.
    """
    lines = [f"{result.data}: {result.n_train} training images, {result.n_test} test images", ""]
    lines.append(f"{'trained on':22}{'samples':>9}{'test accuracy':>18}{'training seconds':>19}")
    lines += [f"{row.label:22}{row.n_samples:9}{_percent(row):>18}{row.mean_seconds:19.3f}" for row in result.rows]
    steps = ", ".join(f"{step} {result.seconds[step]:.2f}" for step in ("embed", "score", "graph", "solve"))
    return "\n".join([*lines, "", f"seconds: {steps}; {result.seconds['total']:.1f} in all"])


def to_json(result: DemoResult) -> dict[str, Any]:
    """Gather the numbers of the result, without the pictures, as plain types for JSON.

    Parameters
    ----------
    result : DemoResult

    Returns
    -------
    dict
        Accuracies in [0, 1], times in seconds.
    """
    return {
        "version": result.version,
        "data": result.data,
        "seed": result.seed,
        "n_train": result.n_train,
        "n_test": result.n_test,
        "n_kept": result.n_kept,
        "n_dropped": result.n_dropped,
        "results": {"everything": _row(result.everything), "random": _row(result.random), "infomax": _row(result.infomax)},
        "curve": [{"n_samples": p.n_samples, "infomax": _row(p.infomax), "random": _row(p.random)} for p in result.curve],
        "seconds": dict(result.seconds),
        "settings": dict(result.settings),
        "parameters": dict(result.parameters),
        "solution": {
            "objective": result.objective,
            "upper_bound": result.upper_bound,
            "gap": result.gap,
            "bound_kind": result.bound_kind,
            "status": result.status,
        },
    }


def _row(trained: Trained) -> dict[str, Any]:
    return {
        "n_samples": trained.n_samples,
        "accuracy": trained.accuracy,
        "spread": trained.spread,
        "accuracies": list(trained.accuracies),
        "seconds": trained.mean_seconds,
    }
