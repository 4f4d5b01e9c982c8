"""Every public entrance of the package with arguments it takes, for tests that go through the whole face.

`public` finds the functions, classes and methods there are; ENTRANCES has a call for each, of which tests vary one argument.
"""

from __future__ import annotations

import copy
import inspect
import io
import itertools
import tempfile
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import typing_extensions
from datasets import Dataset

import coremax
from coremax import datasets, graph, sampling, scores, selection, sklearn, solver, text
from coremax import torch as samplers
from coremax._runtime import errors

MODULES = (
    "", ".graph", ".solver", ".sampling", ".scores", ".selection", ".text", ".datasets", ".sklearn", ".torch", ".report",
)  # fmt: skip
# What calls return and nobody builds: only their methods are entrances.
RESULTS = (
    coremax.Graph, coremax.Selection, coremax.Solution, coremax.Status, graph.GraphStats, graph.Estimate, solver.Iteration,
    datasets.ShardSelection, errors.DeviceError,
)  # fmt: skip


def public() -> dict[str, Callable[..., Any]]:
    """Every public function, constructor and method by its name below `coremax`."""
    found: dict[str, Callable[..., Any]] = {}
    for suffix in MODULES:
        module = import_module("coremax" + suffix)
        for name in module.__all__:
            thing = getattr(module, name)
            home = "" if getattr(coremax, name, None) is thing else suffix[1:] + "."
            if inspect.isclass(thing):
                if thing not in RESULTS:
                    found[home + name] = thing
                found.update({f"{home}{name}.{method}": function for method, function in _methods(thing)})
            elif inspect.isfunction(thing):
                found[home + name] = thing
    return found


def _methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, member in inspect.getmembers(kind, callable):
        if not name.startswith("_") and str(getattr(member, "__module__", "")).startswith("coremax"):
            yield name, member


@dataclass(frozen=True)
class Parameter:
    """A parameter of an entrance, its annotation taken apart."""

    name: str
    members: tuple[Any, ...]
    default: Any

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that a Literal in the annotation gives."""
        return tuple(itertools.chain.from_iterable(get_args(kind) for kind in self.members if get_origin(kind) is Literal))

    @property
    def is_flag(self) -> bool:
        """Whether True and False are meant."""
        return bool in self.members or isinstance(self.default, bool)

    @property
    def may_be_none(self) -> bool:
        """Whether None is a value."""
        return NoneType in self.members


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of an entrance, those behind ``**options`` too."""
    found = []
    names = {**inspect.unwrap(_function(function)).__globals__, "Unpack": typing_extensions.Unpack}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        annotation = parameter.annotation
        kind = eval(annotation, names) if isinstance(annotation, str) else annotation  # the package's own
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            options = get_args(kind)  # of Unpack; other keywords are the concern of what they are passed on to
            hints = typing.get_type_hints(options[0]) if options else {}
            found += [Parameter(name, tuple(_members(hint)), inspect.Parameter.empty) for name, hint in hints.items()]
        else:
            found.append(Parameter(parameter.name, tuple(_members(kind)), parameter.default))
    return found


def _function(thing: Any) -> Any:
    if inspect.isclass(thing):
        return thing.__init__ if hasattr(thing.__init__, "__globals__") else thing.__new__
    return getattr(thing, "__func__", thing)


def _members(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind


# --- Data small enough for thousands of calls ---------------------------------------------------------------------------------

N, D, CLASSES, EPOCHS = 12, 4, 3, 4
_rng = np.random.default_rng(0)
X = _rng.integers(1, 9, (N, D)).astype(np.float32) + np.eye(N, D, dtype=np.float32)
WEIGHTS = np.arange(1.0, N + 1)
LABELS = np.arange(N) % CLASSES
INDICES = np.array([1, 4, 7])
LOGITS = _rng.integers(-3, 4, (EPOCHS, N, CLASSES)).astype(np.float64)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)
CORRECT = _rng.random((EPOCHS, N)) < 0.5
TEXTS = np.array([f"number {i % 5} and a word{i}" for i in range(N)])
GRAPH = coremax.topk_graph(X, 2)
SELECTION = coremax.infomax(X, WEIGHTS, 4, k=2)
TABLE = coremax.AliasTable(WEIGHTS)
FOLDER = Path(tempfile.mkdtemp(prefix="coremax-entrances-"))
ROWS = {"x": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), D), "score": pa.array(WEIGHTS), "y": pa.array(LABELS)}


def _setup() -> None:
    pq.write_table(pa.table(ROWS), FOLDER / "rows.parquet")
    GRAPH.save(FOLDER / "graph.npz")
    TABLE.save(FOLDER / "table.npz")


_setup()
HUGGING_FACE = Dataset(pa.table(ROWS))
SHARDS = datasets.select_parquet(FOLDER / "rows.parquet", 4, score="score", method="top")


# --- Calls --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entrance:
    """How an entrance is called.

    Attributes
    ----------
    call : callable
        Called with keywords.
    arguments : mapping
        Values that it takes, of every argument that matters.
    arrays : mapping of str to str
        Of these arguments the arrays, and what they hold: see `arrays` of `test_entrances.py`.
    """

    call: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, **other: Any) -> Any:
        """Call with some arguments replaced."""
        return self.call(**{**self.arguments, **other})


def _neighbors(**arguments: Any) -> Any:
    return coremax.Graph.from_neighbors(**arguments)


def _table(**arguments: Any) -> Any:
    table = coremax.AliasTable([1.0])
    table.update(**arguments)
    return table


def _importance_sampler(**arguments: Any) -> Any:
    return samplers.ImportanceSampler(**arguments, rank=0, world_size=1)


def _set_weights(**arguments: Any) -> Any:
    sampler = samplers.ImportanceSampler(np.ones(N), rank=0, world_size=1)
    sampler.set_weights(**arguments)
    return sampler


def _fitted(**arguments: Any) -> Any:
    names = ("budget", "method", "options", "random_state")
    selector = sklearn.CoresetSelector(**{"budget": 4, **{name: arguments.pop(name) for name in names if name in arguments}})
    return selector.fit(**{"X": X, "score": WEIGHTS, **arguments})


def _sampler_call(method: str) -> Callable[..., Any]:
    return lambda **arguments: getattr(samplers.SubsetSampler(5, rank=0, world_size=1), method)(**arguments)


def _weighted_call(method: str) -> Callable[..., Any]:
    return lambda **arguments: getattr(samplers.ImportanceSampler(WEIGHTS, rank=0, world_size=1), method)(**arguments)


def _state(kind: str) -> Any:
    call = _sampler_call if kind == "SubsetSampler" else _weighted_call
    return call("state_dict")()


def _at(path: str) -> Path:
    return FOLDER / path


_SCORED = {"score": WEIGHTS, "budget": 4}
_SEARCH = {"x": X, "k": 2}
_LIMITED = {"include": INDICES[:2], "exclude": np.array([9, 2]), "groups": LABELS, "group_limits": (0, 4)}
_LIMITS = {"include": "indices", "exclude": "indices", "groups": "keys"}
_DOCUMENTS = {"texts": TEXTS.tolist(), "n_buckets": 64}

ENTRANCES: dict[str, Entrance] = {
    "AliasTable": Entrance(coremax.AliasTable, {"weights": WEIGHTS}, {"weights": "reals"}),
    "AliasTable.update": Entrance(_table, {"weights": WEIGHTS}, {"weights": "reals"}),
    "AliasTable.sample": Entrance(TABLE.sample, {"size": 5}),
    "AliasTable.sample_at": Entrance(TABLE.sample_at, {"positions": INDICES}, {"positions": "indices"}),
    "AliasTable.probabilities": Entrance(TABLE.probabilities),
    "AliasTable.save": Entrance(TABLE.save, {"path": _at("saved.npz")}),
    "AliasTable.load": Entrance(coremax.AliasTable.load, {"path": _at("table.npz")}),
    "Graph.from_neighbors": Entrance(
        _neighbors,
        {"indices": GRAPH.neighbors, "values": GRAPH.similarities},
        {"indices": "matrix of indices", "values": "matrix"},
    ),
    "Graph.from_csr": Entrance(
        coremax.Graph.from_csr,
        {"indptr": np.arange(0, 2 * N + 1, 2), "indices": GRAPH.neighbors.ravel(), "values": GRAPH.similarities.ravel()},
        {"indptr": "indices", "indices": "indices", "values": "reals"},
    ),
    "Graph.from_scipy": Entrance(coremax.Graph.from_scipy, {"matrix": GRAPH.to_scipy()}, {"matrix": "sparse"}),
    "Graph.to_csr": Entrance(GRAPH.to_csr),
    "Graph.cpu": Entrance(GRAPH.cpu),
    "Graph.to_scipy": Entrance(GRAPH.to_scipy),
    "Graph.save": Entrance(GRAPH.save, {"path": _at("saved.npz")}),
    "Graph.write": Entrance(lambda **arguments: GRAPH.write(**{"file": io.BytesIO(), **arguments})),
    "Graph.load": Entrance(coremax.Graph.load, {"path": _at("graph.npz")}),
    "Selection.mask": Entrance(SELECTION.mask),
    "Selection.report": Entrance(
        SELECTION.report,
        {"embeddings": X, "score": WEIGHTS, "labels": LABELS, "coordinates": X[:, :2], "texts": TEXTS.tolist(), "ids": LABELS},
        {
            "embeddings": "embeddings",
            "score": "reals",
            "labels": "keys",
            "coordinates": "matrix",
            "texts": "texts",
            "ids": "ids",
        },
    ),
    "dsir": Entrance(
        coremax.dsir,
        {**_DOCUMENTS, "target": TEXTS[:3].tolist(), "budget": 3, "min_tokens": 0, "raw": TEXTS.tolist()},
        {"texts": "documents", "target": "documents", "raw": "documents"},
    ),
    "infomax": Entrance(
        coremax.infomax,
        {"x": X, "importance": WEIGHTS, "budget": 4, "labels": LABELS, "k": 2, **_LIMITED, "costs": None},
        {"x": "embeddings", "importance": "reals", "labels": "keys", **_LIMITS},
    ),
    "infomax with costs": Entrance(
        coremax.infomax, {"x": X, "importance": WEIGHTS, "budget": 30.0, "k": 2, "costs": WEIGHTS}, {"costs": "reals"}
    ),
    "objective": Entrance(
        coremax.objective,
        {"importance": WEIGHTS, "graph": GRAPH, "indices": INDICES},
        {"importance": "reals", "graph": "graph", "indices": "indices"},
    ),
    "sample": Entrance(coremax.sample, {"weights": WEIGHTS, "size": 4}, {"weights": "reals"}),
    "show_config": Entrance(coremax.show_config, {"mode": "dicts"}),
    "solve": Entrance(
        coremax.solve,
        {"importance": WEIGHTS, "graph": GRAPH, "budget": 4, "x0": np.full(N, 1 / 3), **_LIMITED, "method": "pgd"},
        {"importance": "reals", "graph": "graph", "x0": "reals", **_LIMITS},
    ),
    "solve with costs": Entrance(
        coremax.solve, {"importance": WEIGHTS, "graph": GRAPH, "budget": 30.0, "costs": WEIGHTS}, {"costs": "reals"}
    ),
    "solve_path": Entrance(
        coremax.solve_path,
        {"importance": WEIGHTS, "graph": GRAPH, "budgets": [4, 6], **_LIMITED},
        {"importance": "reals", "graph": "graph", **_LIMITS},
    ),
    "solve_path with costs": Entrance(
        coremax.solve_path, {"importance": WEIGHTS, "graph": GRAPH, "budgets": [30.0], "costs": WEIGHTS}, {"costs": "reals"}
    ),
    "topk_graph": Entrance(coremax.topk_graph, _SEARCH, {"x": "embeddings"}),
    "graph.estimate": Entrance(graph.estimate, {"n": 100, "d": 4}),
    "sampling.PartialSample": Entrance(
        sampling.PartialSample,
        {
            "indices": INDICES,
            "times": INDICES.astype(np.uint64),
            "size": 3,
            "shards": ((0, N),),
            "seed": 0,
            "log_weights": False,
        },
    ),
    "sampling.PartialSample.combine": Entrance(
        sampling.PartialSample.combine, {"parts": [sampling.partial_sample(WEIGHTS, 3)]}
    ),
    "sampling.inclusion_probabilities": Entrance(
        sampling.inclusion_probabilities, {"weights": WEIGHTS, "size": 4}, {"weights": "reals"}
    ),
    "sampling.largest_remainder": Entrance(
        sampling.largest_remainder,
        {"shares": WEIGHTS, "total": 20, "capacity": np.full(N, 9)},
        {"shares": "reals", "capacity": "indices"},
    ),
    "sampling.merge": Entrance(sampling.merge, {"parts": [sampling.partial_sample(WEIGHTS, 3)], "size": 3}),
    "sampling.partial_sample": Entrance(sampling.partial_sample, {"weights": WEIGHTS, "size": 4}, {"weights": "reals"}),
    "sampling.stratified": Entrance(
        sampling.stratified,
        {"labels": LABELS, "size": 6, "weights": WEIGHTS, "quotas": np.array([1.0, 2.0, 3.0])},
        {"labels": "keys", "weights": "reals", "quotas": "reals"},
    ),
    "sampling.systematic": Entrance(sampling.systematic, {"weights": WEIGHTS, "size": 4}, {"weights": "reals"}),
    "scores.aum": Entrance(scores.aum, {"logits": LOGITS, "labels": LABELS}, {"logits": "epochs", "labels": "classes"}),
    "scores.contradiction": Entrance(
        scores.contradiction, {"graph": GRAPH, "labels": LABELS}, {"graph": "graph", "labels": "keys"}
    ),
    "scores.dual": Entrance(scores.dual, {"p_y": PROBABILITIES[:, :, 0], "window": 2}, {"p_y": "epochs"}),
    "scores.el2n": Entrance(
        scores.el2n, {"probabilities": PROBABILITIES[0], "labels": LABELS}, {"probabilities": "matrix", "labels": "classes"}
    ),
    "scores.entropy": Entrance(scores.entropy, {"probabilities": PROBABILITIES[0]}, {"probabilities": "matrix"}),
    "scores.forgetting": Entrance(scores.forgetting, {"correct": CORRECT}, {"correct": "epochs of flags"}),
    "scores.loss_weights": Entrance(scores.loss_weights, {"losses": WEIGHTS}, {"losses": "reals"}),
    "scores.margin": Entrance(
        scores.margin, {"probabilities": PROBABILITIES[0], "labels": LABELS}, {"probabilities": "matrix", "labels": "classes"}
    ),
    "scores.sim": Entrance(
        scores.sim,
        {"embeddings": X, "labels": LABELS, "probabilities": PROBABILITIES[0]},
        {"embeddings": "embeddings", "labels": "classes", "probabilities": "matrix"},
    ),
    "scores.spherical_kmeans": Entrance(scores.spherical_kmeans, {"x": X, "n_clusters": 2}, {"x": "embeddings"}),
    "scores.ssp": Entrance(scores.ssp, {"x": X, "n_clusters": 2}, {"x": "embeddings"}),
    "scores.tdds": Entrance(scores.tdds, {"probabilities": PROBABILITIES, "window": 3}, {"probabilities": "epochs"}),
    "selection.auto_drop_hardest": Entrance(selection.auto_drop_hardest, {"keep": 0.5}),
    "selection.auto_max_contradiction": Entrance(
        selection.auto_max_contradiction, {"contradiction": WEIGHTS / N, "keep": 0.5}, {"contradiction": "reals"}
    ),
    "selection.ccs": Entrance(selection.ccs, _SCORED, {"score": "reals"}),
    "selection.coverage": Entrance(
        selection.coverage, {"score": WEIGHTS, "keep": 0.5, "labels": LABELS}, {"score": "reals", "labels": "keys"}
    ),
    "selection.d2": Entrance(selection.d2, {"x": X, **_SCORED, "k": 2}, {"x": "embeddings or graph", "score": "reals"}),
    "selection.dsir_log_weights": Entrance(
        selection.dsir_log_weights,
        {**_DOCUMENTS, "target": TEXTS[:3].tolist(), "raw": TEXTS.tolist(), "min_tokens": 0},
        {"texts": "documents", "target": "documents", "raw": "documents"},
    ),
    "selection.moderate": Entrance(
        selection.moderate, {"x": X, "budget": 4, "labels": LABELS}, {"x": "embeddings", "labels": "keys"}
    ),
    "selection.random": Entrance(selection.random, {"n": N, "budget": 4}, {"n": "size"}),
    "selection.semdedup": Entrance(
        selection.semdedup, {"x": X, "budget": 4, "clusters": LABELS}, {"x": "embeddings", "clusters": "keys"}
    ),
    "selection.sims": Entrance(selection.sims, {**_SCORED, "labels": LABELS}, {"score": "reals", "labels": "keys"}),
    "selection.top": Entrance(selection.top, _SCORED, {"score": "reals"}),
    "text.ngram_counts": Entrance(text.ngram_counts, _DOCUMENTS, {"texts": "documents"}),
    "datasets.ShardSelection.shards": Entrance(SHARDS.shards),
    "datasets.ShardSelection.mask": Entrance(SHARDS.mask),
    "datasets.ShardSelection.report": Entrance(SHARDS.report),
    "datasets.ShardSelection.write": Entrance(SHARDS.write, {"folder": _at("written")}),
    "datasets.prune": Entrance(
        datasets.prune, {"dataset": HUGGING_FACE, "budget": 4, "score": WEIGHTS, "method": "top"}, {"score": "reals"}
    ),
    "datasets.prune with labels": Entrance(
        datasets.prune,
        {"dataset": HUGGING_FACE, "budget": 4, "embedding": "x", "score": WEIGHTS, "labels": LABELS, "options": {"k": 2}},
        {"labels": "keys"},
    ),
    "datasets.select": Entrance(
        datasets.select,
        {"dataset": HUGGING_FACE, "budget": 4, "embedding": "x", "score": WEIGHTS, "labels": LABELS, "options": {"k": 2}},
        {"score": "reals", "labels": "keys"},
    ),
    "datasets.select with importance": Entrance(
        datasets.select,
        {
            "dataset": HUGGING_FACE,
            "budget": 6,
            "embedding": "x",
            "importance": WEIGHTS,
            "groups": LABELS,
            "options": {"k": 2},
            "include": INDICES[:2],
            "exclude": np.array([9, 2]),
        },
        {"importance": "reals", "groups": "keys", "include": "indices", "exclude": "indices"},
    ),
    "datasets.select with costs": Entrance(
        datasets.select,
        {
            "dataset": HUGGING_FACE,
            "budget": 30.0,
            "embedding": "x",
            "importance": WEIGHTS,
            "costs": WEIGHTS,
            "options": {"k": 2},
        },
        {"costs": "reals"},
    ),
    "datasets.select_parquet": Entrance(
        datasets.select_parquet,
        {"files": _at("rows.parquet"), "budget": 4, "embedding": "x", "score": WEIGHTS, "labels": LABELS, "options": {"k": 2}},
        {"score": "reals", "labels": "keys"},
    ),
    "sklearn.CoresetSelector": Entrance(_fitted),
    "sklearn.CoresetSelector.fit": Entrance(
        _fitted, {"X": X, "score": WEIGHTS, "y": LABELS}, {"X": "embeddings of scikit-learn", "score": "reals", "y": "target"}
    ),
    "sklearn.CoresetSelector.fit with importance": Entrance(
        lambda **arguments: sklearn.CoresetSelector(4).fit(X, **arguments), {"importance": WEIGHTS}, {"importance": "reals"}
    ),
    "sklearn.CoresetSelector.fit_resample": Entrance(
        lambda **arguments: sklearn.CoresetSelector(4).fit_resample(**{"X": X, "score": WEIGHTS, **arguments})[0],
        {"X": X, "score": WEIGHTS, "y": LABELS},
        {"X": "embeddings of scikit-learn", "score": "reals", "y": "target"},
    ),
    "sklearn.CoresetSelector.get_support": Entrance(_fitted().get_support),
    "torch.ImportanceSampler": Entrance(_importance_sampler, {"weights": WEIGHTS}, {"weights": "reals"}),
    "torch.ImportanceSampler.set_weights": Entrance(_set_weights, {"weights": WEIGHTS}, {"weights": "reals"}),
    "torch.ImportanceSampler.importance_weights": Entrance(
        _weighted_call("importance_weights"), {"indices": INDICES}, {"indices": "indices"}
    ),
    "torch.SubsetSampler": Entrance(
        lambda **arguments: samplers.SubsetSampler(**arguments, rank=0, world_size=1),
        {"indices": INDICES},
        {"indices": "indices"},
    ),
    **{
        f"torch.{kind}.{method}": Entrance(call(method), arguments)
        for kind, call in (("ImportanceSampler", _weighted_call), ("SubsetSampler", _sampler_call))
        for method, arguments in (
            ("set_epoch", {"epoch": 1}),
            ("state_dict", {}),
            ("load_state_dict", {"state": _state(kind)}),
        )
    },
    "torch.resume": Entrance(samplers.resume),
    "torch.loss_reweight": Entrance(samplers.loss_reweight, {"losses": torch.tensor(WEIGHTS)}, {"losses": "tensor"}),
    "report.require_libraries": Entrance(import_module("coremax.report").require_libraries),
}


def entrances_of(name: str) -> list[str]:
    """The entries that call a public function: one, or one more where arguments exclude each other."""
    return [entry for entry in ENTRANCES if entry.partition(" with ")[0] == name]


def fresh(entrance: Entrance) -> dict[str, Any]:
    """Copies of an entrance's arguments."""
    return copy.deepcopy(dict(entrance.arguments))
