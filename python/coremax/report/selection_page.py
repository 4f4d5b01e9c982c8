"""What a selection kept and pruned, as one HTML page: everything inline, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core import __version__
from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._inputs.keys import as_keys
from .._runtime.files import require_writable
from ..selection import Selection
from ..selection._result import as_scores
from . import findings, plots
from .findings import ClassShare, Group
from .notebook import METHOD_NAMES, fact_rows
from .numbers import count, short
from .page import environment, plotting, write
from .tiles import Samples, Tile, require_sequence, shortened

__all__ = ["Given", "render_page", "write_page"]

_TEMPLATE = "selection_page.html.j2"
_GROUPS, _TILES_OF_GROUP, _TEXTS_OF_GROUP, _TILES = 6, 8, 4, 12
_CLASSES = 30

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of `Selection.report`."""

    embeddings: Any = None
    score: Any = None
    labels: Any = None
    coordinates: Any = None
    images: Any = None
    texts: Any = None
    ids: Any = None
    title: str | None = None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Samples that belong together."""

    title: str
    text: str
    tiles: list[Tile]
    twins: tuple[str, ...] = ()

    @property
    def has_twins(self) -> bool:
        """Whether any has a kept neighbour to tell of."""
        return any(self.twins)


@dataclass(frozen=True, eq=False)
class ShownGroup:
    """A group of near-duplicates."""

    found: Group
    tiles: list[Tile]


@dataclass(frozen=True, eq=False)
class _Data:
    """The arguments, checked, with what the selection knows in place of what was not given."""

    kept: _Array
    x: _Array | None
    metric: str
    score: _Array | None
    hardness: _Array | None
    classes: tuple[list[str], _Array] | None
    coordinates: _Array | None
    samples: Samples


def write_page(selection: Selection, given: Given, path: str | os.PathLike[str] | None) -> str:
    """Write the page to a file and return its name, or return the page itself."""
    if path is None:
        return render_page(selection, given)
    require_writable(path)  # before the work
    write(render_page(selection, given), path)
    return os.fspath(path)


def render_page(selection: Selection, given: Given) -> str:
    """Render the page; see `Selection.report`."""
    data = _checked(selection, given)
    # First what can fail, then what is drawn.
    curve = findings.budget_curve(selection)
    histogram = None if data.score is None else findings.histogram(data.score, data.kept)
    redundancy = None if data.x is None else findings.redundancy(data.x, data.kept, data.metric)
    positions = findings.map_of(data.kept, data.x, data.coordinates, data.metric)
    groups = findings.near_duplicates(selection, data.x, data.kept, data.metric, _GROUPS)
    classes = _class_rows(data)
    with plotting():
        drawn = {
            "curve_svg": plots.curve_svg(curve) if len(curve) > 1 else None,
            "importance_svg": None if histogram is None else plots.importance_svg(histogram),
            "redundancy_svg": None if redundancy is None else plots.redundancy_svg(redundancy),
            "map_png": None if positions is None else plots.map_png(positions),
        }
    method = METHOD_NAMES.get(selection.method, selection.method)
    return (
        environment()
        .get_template(_TEMPLATE)
        .render(
            **drawn,
            selection=selection,
            solution=selection.solution,
            version=__version__,
            method=method,
            title=given.title or f"{method} kept {count(len(selection))} of {count(selection.n)} samples",
            facts=fact_rows(selection),
            total_seconds=sum((selection.timings or {}).values()),
            n_kept=len(selection),
            kept_share=len(selection) / selection.n,
            curve=curve,
            histogram=histogram,
            redundancy=redundancy,
            map=positions,
            groups=None if groups is None else [_shown(group, data) for group in groups[0]],
            n_grouped_from=0 if groups is None else groups[1],
            classes=classes,
            n_classes=0 if data.classes is None else len(data.classes[0]),
            galleries=_galleries(selection, data),
            visible=data.samples.are_visible,
            largest_share=max((max(row.share, row.share_kept) for row in classes), default=1.0),
            parameters=selection.parameters,
            numpy_version=np.__version__,
            float_inf=float("inf"),
        )
    )


def _checked(selection: Selection, given: Given) -> _Data:
    n, inputs = selection.n, selection.inputs
    metric = selection.parameters.get("metric") or (selection.graph.metric if selection.graph is not None else None) or "cosine"
    score = _score(inputs.get("score") if given.score is None else given.score, n, given.score is not None)
    if given.title is not None and not isinstance(given.title, str):
        raise TypeError(f"title must be a str, got {type(given.title).__name__}")
    easy = given.score is None and selection.parameters.get("higher") == "easy"
    return _Data(
        kept=selection.mask(),
        x=_rows(inputs.get("embeddings") if given.embeddings is None else given.embeddings, n),
        metric=metric,
        score=score,
        hardness=-score if score is not None and easy else score,
        classes=_classes(inputs.get("labels") if given.labels is None else given.labels, n),
        coordinates=_coordinates(given.coordinates, n),
        samples=Samples(n, given.images, inputs.get("texts") if given.texts is None else given.texts, given.ids),
    )


def _rows(x: Any, n: int) -> _Array | None:
    if x is None:
        return None
    x = arrays.as_array(x, "embeddings")
    view = arrays.as_view(x, "embeddings", ndim=2, dtypes=arrays.EMBEDDING_TYPES, strided_rows=True)
    arrays.require_length(view.shape[0], "embeddings", n, "the selection")
    if view.shape[1] == 0:
        return None
    rows = arrays.as_numpy(x)
    _invalid.require_finite_rows(rows, "embeddings")
    return rows


def _score(score: Any, n: int, is_new: bool) -> _Array | None:
    if score is None:
        return None
    # What a method worked with may hold -infinity, for samples that it was not to keep.
    scores = as_scores(score, "score") if is_new else np.asarray(arrays.as_numpy(score), dtype=np.float64)
    arrays.require_length(len(scores), "score", n, "the selection")
    return scores


def _classes(labels: Any, n: int) -> tuple[list[str], _Array] | None:
    """Names of the classes there are, ascending, and the place of each sample's class among them."""
    if labels is None:
        return None
    if not hasattr(labels, "__dlpack__"):
        require_sequence(labels, "labels", n)
    keys = as_keys(labels, "labels", n, "the selection")
    return [shortened(str(label)) for label in keys.values], keys.codes


def _coordinates(coordinates: Any, n: int) -> _Array | None:
    if coordinates is None:
        return None
    coordinates = arrays.as_array(coordinates, "coordinates")
    view = arrays.as_view(coordinates, "coordinates", ndim=2, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    if tuple(view.shape) != (n, 2):
        raise ValueError(f"coordinates must have shape ({n}, 2), got {tuple(view.shape)}")
    values = np.asarray(arrays.as_numpy(coordinates), dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"coordinates[{bad[0, 0]}, {bad[0, 1]}] is {values[tuple(bad[0])]}; coordinates must be finite"
            f"{_invalid.listed(np.unique(bad[:, 0]))}"
        )
    return values


def _class_rows(data: _Data) -> list[ClassShare]:
    """All classes, or where there are many those whose share has changed most, first."""
    if data.classes is None or len(data.classes[0]) < 2:
        return []
    rows = findings.class_shares(*data.classes, data.kept)
    if len(rows) > _CLASSES:
        rows = sorted(rows, key=lambda row: (-abs(row.share_kept - row.share), row.name))[:_CLASSES]
    return rows


def _shown(group: Group, data: _Data) -> ShownGroup:
    most = _TILES_OF_GROUP if data.samples.texts is None else _TEXTS_OF_GROUP
    return ShownGroup(group, [data.samples.tile(row, bool(data.kept[row])) for row in group.members[:most]])


def _galleries(selection: Selection, data: _Data) -> list[Gallery]:
    """The most important of what was pruned, for each reason, and some of what was kept."""
    if data.hardness is None:
        return []
    rank = np.argsort(-data.hardness, kind="stable")
    is_candidate = np.ones(selection.n, dtype=bool)
    if selection.candidates is not None:
        is_candidate[:] = False
        is_candidate[arrays.as_numpy(selection.candidates)] = True
    dropped, outweighed = rank[~is_candidate[rank]][:_TILES], rank[(is_candidate & ~data.kept)[rank]][:_TILES]
    galleries = []
    if len(outweighed):
        twins = [
            "" if twin is None else f"{data.samples.name(twin[0])} ({short(twin[1])})"
            for twin in findings.kept_twins(selection, data.kept, outweighed)
        ]
        text = "The most important of what had a chance"
        text += ", with the nearest kept neighbour and its similarity where the graph has one." if any(twins) else "."
        galleries.append(Gallery("Important, yet pruned", text, _tiles(outweighed, data), tuple(twins)))
    if len(dropped):
        text = "The most important of what the method set aside before choosing: probably mislabelled, ambiguous, or excluded."
        galleries.append(Gallery("Left out beforehand", text, _tiles(dropped, data)))
    if data.samples.are_visible:
        by_score = rank[data.kept[rank]]
        rows = by_score[np.linspace(0, len(by_score) - 1, min(_TILES, len(by_score))).astype(int)]
        galleries.append(Gallery("Kept", "Evenly spaced from the most to the least important.", _tiles(rows, data)))
    return galleries


def _tiles(rows: _Array, data: _Data) -> list[Tile]:
    tiles = []
    for row in rows.tolist():
        notes = [] if data.classes is None else [data.classes[0][data.classes[1][row]]]
        assert data.score is not None
        tiles.append(data.samples.tile(row, bool(data.kept[row]), (*notes, short(float(data.score[row])))))
    return tiles
