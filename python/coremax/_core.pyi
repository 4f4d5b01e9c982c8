"""Types of the extension module. Its functions are private: the package's modules check and explain before they call."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str
compiler: str

class Array:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def address(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def contiguous(self) -> bool: ...
    @property
    def rows_contiguous(self) -> bool: ...

class AliasTable:
    @property
    def n(self) -> int: ...
    def sample(self, size: int, seed: int, offset: int, threads: int) -> NDArray[np.int64]: ...
    def probabilities(self) -> NDArray[np.float64]: ...
    def thresholds(self) -> NDArray[np.uint64]: ...
    def aliases(self) -> NDArray[np.int64]: ...

def import_array(obj: Any, name: str) -> Array: ...
def available_isas() -> list[str]: ...
def resolve_isa(request: str) -> str: ...
def default_threads() -> int: ...
def philox_block(counter: list[int], key: list[int]) -> list[int]: ...
def topk(
    x: Array,
    rows: Array | None,
    k: int,
    metric: str,
    isa: str,
    threads: int,
    progress: Callable[[int, int], object] | None,
    search: str = "automatic",
    recall: float | None = None,
    seed: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float32], tuple[float, float, float, int]]: ...
def topk_extra_bytes(n: int, d: int, k: int, isa: str, search: str, threads: int) -> int: ...
def symmetric(
    indptr: Array | None, indices: Array, values: Array, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]: ...
def solve(
    importance: Array,
    indptr: Array,
    indices: Array,
    values: Array,
    alpha: float,
    budget: int,
    cost_limit: float,
    costs: Array | None,
    groups: Array | None,
    limits: list[tuple[int, int]],
    fixed: Array | None,
    within: Array | None,
    x0: Array | None,
    options: dict[str, Any],
    callback: Callable[[str, int, float, float, float], object] | None,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> dict[str, Any]: ...
def objective(
    importance: Array, indptr: Array, indices: Array, values: Array, subset: Array, alpha: float, threads: int
) -> float: ...
def build_alias_table(weights: Array, threads: int) -> AliasTable: ...
def restore_alias_table(thresholds: NDArray[np.uint64], aliases: NDArray[np.int64]) -> AliasTable: ...
def sample_without_replacement(weights: Array, size: int, log_weights: bool, seed: int, threads: int) -> NDArray[np.int64]: ...
def score_probabilities(score: str, probabilities: Array, labels: Array | None, threads: int) -> NDArray[np.float64]: ...
def spherical_kmeans(
    x: Array,
    name: str,
    n_clusters: int,
    iterations: int,
    sample_per_cluster: int,
    seed: int,
    isa: str,
    threads: int,
    progress: Callable[[int, int], object] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]: ...
