"""`coremax graph` and `coremax sample`, without their options."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import sampling
from ..graph import estimate, topk_graph
from . import _write
from ._estimate import format_estimate
from ._job import Job
from ._read import read_ids
from .select import format_seconds

# Up to here a dry run does all of the work, so that it refuses what the run would.
_TRIED_ROWS, _TRIED_DRAWS = 4096, 1_000_000


def run_graph(job: Job, given: dict[str, Any]) -> None:
    """Read, search, write; given: the options of `coremax graph`."""
    output = str(given["output"])
    job.begin({output: (".npz",)}, [("embeddings", given["embeddings"])])
    x = job.matrix(given["embeddings"], "embeddings")
    options = {name: given[name] for name in ("metric", "threads", "isa", "mode", "recall", "seed", "memory_limit")}
    if job.dry_run:
        known = {name: options[name] for name in ("metric", "threads", "isa", "mode", "recall")}
        plan = estimate(x.shape[0], x.shape[1], given["k"], **known)
        few = x[:_TRIED_ROWS]
        topk_graph(few, min(given["k"], len(few) - 1), **options)  # refuses what the run would
        seconds = {"graph": plan.seconds, "total": plan.seconds}
        needed = plan.extra_bytes + plan.output_bytes
        found = {"n": len(x), "seconds": seconds, "bytes": needed, "input_bytes": x.nbytes}
        if plan.mode == "approximate":
            found["most_seconds"] = plan.most_seconds
        job.tell(found, format_estimate)
        return
    with job.stage("graph"):
        graph = topk_graph(x, given["k"], progress=job.progress, **options)
    assert graph.stats is not None
    found = {"n": graph.n, "k": graph.k, "metric": graph.metric, "isa": graph.stats.isa, "recall": graph.stats.recall}
    job.finish({output: graph.write}, {**found, "output": output}, _format_graph)


def _format_graph(summary: dict[str, Any]) -> str:
    recall = "" if summary["recall"] == 1 else f", recall {summary['recall']:.1%} by a sample"
    return (
        f"{summary['k']} neighbours of {summary['n']:,} rows by {summary['metric']}{recall} -> {summary['output']}\n"
        + format_seconds(summary["seconds"])
    )


def run_sample(job: Job, given: dict[str, Any]) -> None:
    """Read, draw, write; given: the options of `coremax sample`."""
    output = str(given["output"])
    job.begin({output: _write.FORMATS}, [("weights", given["weights"]), ("ids", given["ids"])])
    weights = job.scores(given["weights"])
    ids = None if given["ids"] is None else read_ids(given["ids"])
    if ids is not None and len(ids) != len(weights):
        raise ValueError(f"{given['ids']} has {len(ids)} ids, but {given['weights']} has {len(weights)} weights")
    _write.require_writable(output, ids, given["size"])
    options = {name: given[name] for name in ("replace", "log_weights", "seed", "threads")}
    if job.dry_run:
        size = given["size"]
        start = time.perf_counter()
        if max(len(weights), size) <= _TRIED_DRAWS:
            sampling.sample(weights, size, **options)
            seconds = time.perf_counter() - start
        else:
            few = min(len(weights), _TRIED_DRAWS)
            sampling.sample(np.ones(few), few, replace=True, threads=given["threads"])
            seconds = (time.perf_counter() - start) * max(len(weights), size) / few
            if size > len(weights) and not given["replace"]:
                raise ValueError(
                    f"size is {size}, but there are {len(weights)} weights: without replacement no more can be drawn"
                )
        # An alias table takes 16 bytes per weight, keys of a draw without replacement as many.
        needed = 16 * len(weights) + 8 * size
        found = {"seconds": {"draw": seconds, "total": seconds}, "bytes": needed, "input_bytes": weights.nbytes}
        job.tell(found, format_estimate)
        return
    with job.stage("draw"):
        drawn = np.asarray(sampling.sample(weights, given["size"], **options))
    columns = {"index": drawn} if ids is None else {"id": ids[drawn], "index": drawn}
    summary = {"n": len(weights), "drawn": len(drawn), "output": output}
    job.finish({output: _write.columns_writer(output, columns)}, summary, _format_sample)


def _format_sample(summary: dict[str, Any]) -> str:
    return f"drew {summary['drawn']:,} of {summary['n']:,} -> {summary['output']}\n" + format_seconds(summary["seconds"])
