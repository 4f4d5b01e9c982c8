"""What a run will take: the graph's own prediction, and for the rest a run of the same call on some of the rows.

Where that is all rows, the call is made as it stands, so that whatever it would refuse is refused here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import records
from .._runtime import amounts
from ..graph import estimate
from ..text import ngram_counts
from ._job import Job

if TYPE_CHECKING:
    from .select import Call

_ROWS = 20_000
_TEXT_BYTES = 1 << 22
_SOLVER_BYTES = 100  # per sample: scores, order, x, gradient and the like; ours, rounded up


def estimate_selection(call: Call, job: Job) -> dict[str, Any]:
    """Estimate a selection.

    Parameters
    ----------
    call : Call
        The selection.
    job : Job
        Of the command, for its parameters.

    Returns
    -------
    dict
        n, seconds by stage, bytes of working memory and of the input, and how the numbers came about.
    """
    if call.x is None:
        return _estimate_texts(call, job)
    n, x = len(call.x), call.x
    rows = np.arange(n) if n <= _ROWS else np.sort(np.random.default_rng(0).choice(n, _ROWS, replace=False))
    start = time.perf_counter()
    tried = call() if n <= _ROWS else call.on(rows)
    elapsed = time.perf_counter() - start
    growth = n / len(rows)
    seconds = {stage: float(value) * growth for stage, value in (tried.timings or {"select": elapsed}).items()}
    found: dict[str, Any] = {"method": call.method, "n": n, "sample": len(rows)}
    needed = _SOLVER_BYTES * n
    if tried.graph is not None:
        k, parts = tried.graph.k, int(tried.parameters.get("partitions", 1))
        metric, isa = tried.parameters.get("metric", "cosine"), call.arguments.get("isa")
        plan = estimate(max(n // parts, 2), x.shape[1], min(k, max(n // parts, 2) - 1), metric=metric,
                        threads=job.parameters.get("threads"), isa=isa)  # fmt: skip
        seconds["graph"] = plan.seconds * parts
        # The lists, and the symmetric K that the solver reads: up to 2 n k entries of 8 bytes, while it is sorted twice over.
        needed += plan.extra_bytes + 12 * n * k + 2 * 16 * n * k
    elif call.method == "semdedup":
        needed += 6 * n * int(x.shape[1])
        seconds = {stage: value * _semdedup_growth(stage, growth, call) for stage, value in seconds.items()}
    return {**found, "seconds": {**seconds, "total": sum(seconds.values())}, "bytes": needed, "input_bytes": int(x.nbytes)}


def _estimate_texts(call: Call, job: Job) -> dict[str, Any]:
    """From the time that the first megabytes take; texts are read twice, or once beside a raw distribution of their own."""
    passes = [(call.texts, 1 if "raw" in call.arguments else 2), (call.arguments["target"], 1), (call.arguments.get("raw"), 1)]
    sizes = [os.path.getsize(records.source_of(path).path) * times for path, times in passes if path is not None]
    options = {name: call.arguments[name] for name in ("n_buckets", "ngrams", "hash") if name in call.arguments}
    ngram_counts([""], **options)  # tables are made once
    documents = records.Documents(str(call.texts))
    start = time.perf_counter()
    first = list(_of_bytes(documents, _TEXT_BYTES))
    share = documents.share  # of the file, which may be compressed
    if sum(sizes) <= _TEXT_BYTES and share == 1:
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    else:
        ngram_counts(first, threads=job.parameters.get("threads"), **options)
        seconds = (time.perf_counter() - start) / share * sum(sizes) / (sizes[0] / passes[0][1])
    needed = int(40 * len(first) / share) + 3 * _TEXT_BYTES
    return {"method": call.method, "seconds": {"texts": seconds, "total": seconds}, "bytes": needed, "input_bytes": sum(sizes)}


def _of_bytes(documents: records.Documents, size: int) -> Iterator[str]:
    """The first documents, of about so many bytes."""
    for place, text in documents:
        yield records.as_str(text, place)
        size -= len(text)
        if size <= 0:
            return


def _semdedup_growth(stage: str, growth: float, call: Call) -> float:
    """Beyond proportion: the clusters of k-means grow with n where their number is automatic."""
    return growth if stage == "cluster" and call.arguments.get("n_clusters", "auto") == "auto" else 1.0


def format_estimate(found: dict[str, Any]) -> str:
    """Lay an estimate out as text."""
    stages = ", ".join(f"{stage} {amounts.duration(value)}" for stage, value in found["seconds"].items() if stage != "total")
    most = found.get("most_seconds")
    unless = f", up to {amounts.duration(most)} where rows do not cluster" if most is not None else ""
    how = f"by a trial on {found['sample']:,} of {found['n']:,} rows" if "sample" in found else "by a trial"
    return (
        f"would take about {amounts.duration(found['seconds']['total'])} ({stages}){unless}, {how},\n"
        f"and about {amounts.size(found['bytes'])} of memory beside {amounts.size(found['input_bytes'])} of input; "
        "nothing was written"
    )
