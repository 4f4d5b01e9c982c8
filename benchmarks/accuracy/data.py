"""Labelled data sets that come with Debian and Python packages, those that users bring, and four ways to spoil them.

Every set is split in three before anything else: what is selected from, a validation part for every choice of ours, and the
test part, which only the tables see. Spoiling touches the first part alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coremax.cli import demo_data

from .rdata import read_rda

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

MLBENCH_FOLDER = Path("/usr/lib/R/site-library/mlbench/data")  # of Debian's package r-cran-mlbench
CORRUPTIONS = ("clean", "noise", "tail", "duplicates")
NOISE, IMBALANCE, DUPLICATES, COPIES = 0.2, 100.0, 0.3, 10
# Copies are shifted by up to a pixel, and noise of this standard deviation, in units of the pixels' or columns', is added.
_COPY_NOISE, _IMAGE_NOISE, _SHIFT = 0.1, 0.05, 1


@dataclass(frozen=True, eq=False)
class Task:
    """One data set and the model that learns it.

    Attributes
    ----------
    name : str
    model : str
        "mlp", "conv" or "resnet18".
    n_classes : int
    image_shape : (int, int, int) or None
        Channels, height and width of rows that are images.
    x, y : array [n, d] of float32, array [n] of int64
        What is selected from.
    validation_x, validation_y, test_x, test_y
        Held out before anything is spoilt.
    clean_y : array [n] of int64
        Labels before any were changed.
    """

    name: str
    model: str
    n_classes: int
    image_shape: tuple[int, int, int] | None
    x: Rows
    y: Labels
    validation_x: Rows
    validation_y: Labels
    test_x: Rows
    test_y: Labels
    clean_y: Labels


def split(
    name: str,
    model: str,
    x: Rows,
    y: Labels,
    test: tuple[Rows, Labels] | int,
    n_validation: int,
    image_shape: tuple[int, int, int] | None = None,
    n_train: int | None = None,
) -> Task:
    """Hold out validation and, where it is given as a number, test samples at random, always the same ones."""
    order = np.random.default_rng(20).permutation(len(x))
    if isinstance(test, int):
        held, order = order[:test], order[test:]
        test = x[held], y[held]
    validation, train = order[:n_validation], order[n_validation:][:n_train]
    n_classes = int(max(y.max(), test[1].max())) + 1
    return Task(name, model, n_classes, image_shape, x[train], y[train], x[validation], y[validation], *test, y[train])


def digits() -> Task:
    """1,797 digits of 8 x 8 pixels, from scikit-learn."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x, y = (found.data / 16).astype(np.float32), found.target.astype(np.int64)
    return split("digits", "mlp", x, y, 400, 300, (1, 8, 8))


def letters(folder: Path = MLBENCH_FOLDER) -> Task:
    """20,000 letters by 16 measures each (Frey and Slate 1991), from Debian's package r-cran-mlbench."""
    table = dict(read_rda(folder / "LetterRecognition.rda")["LetterRecognition"])
    y = np.asarray(table.pop("lettr")[0], dtype=np.int64)
    x = np.stack([np.asarray(column, dtype=np.float32) for column in table.values()], axis=1)
    return split("letters", "mlp", (x - x.mean(0)) / x.std(0), y, 5000, 3000)


def fashion(n_train: int = 10_000, model: str = "mlp", name: str = "fashion") -> Task:
    """Zalando's articles (Xiao et al. 2017), from Debian's package dataset-fashion-mnist."""
    found = demo_data.load("fashion-mnist")
    test = found.test_x, found.test_y
    return split(name, model, found.train_x, found.train_y, test, 10_000, (1, *found.image_shape), n_train)


def glosses(per_class: int = 1540) -> Task:
    """WordNet's glosses, embedded by `benchmarks/sentences.py`, and the lexicographer's file that each was written in.

    WordNet's authors sorted their synsets into 45 files (noun.animal, verb.motion, adj.all, ...): the second field of a line.
    The files that have enough glosses are the classes, so many glosses of each; a gloss that stands in two files is left out.
    """
    import sentences

    file_of: dict[str, int] = {}
    ambiguous: set[str] = set()
    for part in ("noun", "verb", "adj", "adv"):
        with open(sentences.WORDNET_FOLDER / f"data.{part}", encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith("  "):
                    gloss, file = line.partition(" | ")[2].strip(), int(line.split(" ", 2)[1])
                    if file_of.setdefault(gloss, file) != file:
                        ambiguous.add(gloss)
    labels = np.array([-1 if gloss in ambiguous else file for gloss, file in file_of.items()])
    embeddings = sentences.load()
    rng = np.random.default_rng(21)
    files = [file for file in range(45) if (labels == file).sum() >= per_class]
    chosen = np.concatenate([rng.choice(np.flatnonzero(labels == file), per_class, replace=False) for file in files])
    y = np.searchsorted(files, labels[chosen]).astype(np.int64)
    x = embeddings[chosen]
    return split("glosses", "mlp", x / x.std(), y, 300 * len(files), 200 * len(files), n_train=10_000)


def cifar(folder: Path, n_classes: int = 10) -> Task:
    """CIFAR-10 or CIFAR-100 as their pickles for Python hold them, for ResNet-18.

    Parameters
    ----------
    folder : Path
        cifar-10-batches-py (data_batch_1 ..., test_batch) or cifar-100-python (train, test). **Pickles run code: unpack none
        that you did not get from the authors' page.**
    n_classes : int
        10 or 100.
    """
    key = b"labels" if n_classes == 10 else b"fine_labels"
    files = sorted(folder.glob("data_batch_*")) if n_classes == 10 else [folder / "train"]
    if not files:
        raise FileNotFoundError(f"{folder} has no data_batch_1 ... of CIFAR-10")

    def read(path: Path) -> tuple[Rows, Labels]:
        with open(path, "rb") as file:
            batch: dict[bytes, Any] = pickle.load(file, encoding="bytes")
        return np.asarray(batch[b"data"], dtype=np.float32) / np.float32(255), np.asarray(batch[key], dtype=np.int64)

    parts = [read(path) for path in files]
    x, y = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    test = read(folder / ("test_batch" if n_classes == 10 else "test"))
    return split(f"cifar{n_classes}", "resnet18", x, y, test, len(x) // 10, (3, 32, 32))


def features(path: Path) -> Task:
    """Features of ImageNet or anything else: an .npz with train_x [n, d], train_y [n], test_x, test_y; a perceptron learns."""
    with np.load(path) as found:
        missing = {"train_x", "train_y", "test_x", "test_y"} - set(found.files)
        if missing:
            raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
        x, test_x = (found[key].astype(np.float32) for key in ("train_x", "test_x"))
        y, test_y = (found[key].astype(np.int64) for key in ("train_y", "test_y"))
    scale = x.std()
    return split(path.stem, "mlp", x / scale, y, (test_x / scale, test_y), len(x) // 10)


SOURCES: dict[str, Callable[[], Task]] = {
    "digits": digits,
    "letters": letters,
    "fashion": fashion,
    "glosses": glosses,
    "fashion-conv": lambda: fashion(20_000, "conv", "fashion-conv"),
}


def load(name: str) -> Task:
    """Task by name; or "cifar10=FOLDER", "cifar100=FOLDER", "features=FILE.npz", "letters=FOLDER"."""
    kind, _, place = name.partition("=")
    if place and kind == "letters":
        return letters(Path(place))
    if place and kind in ("cifar10", "cifar100"):
        return cifar(Path(place), int(kind[5:]))
    if place and kind == "features":
        return features(Path(place))
    if kind not in SOURCES:
        raise ValueError(
            f"data must be one of {', '.join(SOURCES)}, cifar10=FOLDER, cifar100=FOLDER, features=FILE, got {name}"
        )
    return SOURCES[kind]()


def spoil(task: Task, how: str, seed: int) -> Task:
    """Change what is selected from, as data in the wild are changed.

    Parameters
    ----------
    task : Task
    how : {"clean", "noise", "tail", "duplicates"}
        "noise": 20 % of the labels become another class; "tail": the classes, in random order, shrink geometrically, the last
        to a hundredth; "duplicates": 30 % of the samples are replaced by copies of 3 % others, ten each, shifted (images) and
        noisy. "clean" changes nothing.
    seed : int
    """
    rng = np.random.default_rng([seed, CORRUPTIONS.index(how)])
    n = len(task.y)
    if how == "noise":
        wrong = rng.choice(n, round(NOISE * n), replace=False)
        y = task.y.copy()
        y[wrong] = (y[wrong] + rng.integers(1, task.n_classes, len(wrong))) % task.n_classes
        return replace(task, y=y)
    if how == "tail":
        shrink = IMBALANCE ** -(rng.permutation(task.n_classes) / max(task.n_classes - 1, 1))
        kept = [rng.permutation(np.flatnonzero(task.y == c)) for c in range(task.n_classes)]
        left = np.sort(np.concatenate([rows[: max(1, round(len(rows) * shrink[c]))] for c, rows in enumerate(kept)]))
        return replace(task, x=task.x[left], y=task.y[left], clean_y=task.clean_y[left])
    if how == "duplicates":
        order = rng.permutation(n)
        lost, sources = order[: round(DUPLICATES * n)], order[round(DUPLICATES * n) :][: max(1, round(DUPLICATES * n / COPIES))]
        origin = np.resize(sources, len(lost))
        x, y, clean_y = task.x.copy(), task.y.copy(), task.clean_y.copy()
        x[lost], y[lost], clean_y[lost] = _copies(task, origin, rng), y[origin], clean_y[origin]
        return replace(task, x=x, y=y, clean_y=clean_y)
    return task


def _copies(task: Task, origin: Labels, rng: np.random.Generator) -> Rows:
    rows = task.x[origin]
    if task.image_shape is None:
        return np.asarray(rows + _COPY_NOISE * rows.std(0) * rng.normal(size=rows.shape), dtype=np.float32)
    images = rows.reshape(-1, *task.image_shape)
    shifts = rng.integers(-_SHIFT, _SHIFT + 1, size=(len(rows), 2))
    moved = np.stack([np.roll(image, tuple(shift), axis=(1, 2)) for image, shift in zip(images, shifts, strict=True)])
    return np.clip(moved.reshape(rows.shape) + _IMAGE_NOISE * rng.normal(size=rows.shape), 0, 1).astype(np.float32)
