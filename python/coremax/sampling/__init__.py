"""Importance sampling with and without replacement, reproducible by (seed, position)."""

from ._sampling import SCHEMES as SCHEMES
from ._sampling import SPLITS as SPLITS
from ._sampling import (
    AliasTable,
    PartialSample,
    inclusion_probabilities,
    largest_remainder,
    merge,
    partial_sample,
    sample,
    stratified,
    systematic,
)
from ._sampling import Scheme as Scheme
from ._sampling import Split as Split

__all__ = [
    "AliasTable",
    "PartialSample",
    "inclusion_probabilities",
    "largest_remainder",
    "merge",
    "partial_sample",
    "sample",
    "stratified",
    "systematic",
]
