"""The CUDA backend against its bars, and against PyTorch on the same device. Prints its table last.

python benchmarks/bench_cuda.py [--small] [--rounds N] [--only TEXT]   needs a device, and a PyTorch that can use it
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import coremax
from harness import print_table

GIGA = 1e9


@dataclass(frozen=True)
class Case:
    """One line of the table: what is run, what it must reach, and what it would take at the device's limit."""

    name: str
    run: Callable[[], object]
    check: Callable[[], None]  # raises where results are wrong; runs before anything is timed
    bar: float = float("nan")  # seconds
    target: float = float("nan")
    bytes_moved: float = 0.0  # that the method can not do without
    operations: float = 0.0  # multiplications and additions of tensor cores, likewise
    single_operations: float = 0.0  # those in float32, without tensor cores
    rivals: dict[str, Callable[[], object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What this device has reached with PyTorch: bytes a second of a copy, operations a second of bf16 and float32 products."""

    bandwidth: float
    tensor: float
    single: float


def seconds_of(run: Callable[[], object], rounds: int) -> list[float]:
    """Time on the device by events, after one round that does not count; the host's waiting is in it."""
    import torch

    cuda: Any = torch.cuda
    found = []
    for number in range(rounds + 1):
        begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        cuda.synchronize()
        begin.record()
        run()
        end.record()
        cuda.synchronize()
        if number > 0:
            found.append(begin.elapsed_time(end) / 1e3)
    return found


def limits(size: int) -> Limits:
    """Measure the device."""
    import torch

    source = torch.ones(size, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    side = 8192 if size > 10**8 else 2048
    square = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    wide = square.float()
    copying = min(seconds_of(lambda: target.copy_(source), 5))
    multiplying = [min(seconds_of(lambda x=x: x @ x, 5)) for x in (square, wide)]  # type: ignore[misc]
    return Limits(8 * size / copying, 2 * side**3 / multiplying[0], 2 * side**3 / multiplying[1])


def same(found: Any, expected: Any, what: str) -> None:
    """Equal to the last bit."""
    assert np.array_equal(found.cpu().numpy(), np.asarray(expected)), f"{what} differ from the CPU's"


def sampling_cases(small: bool) -> Iterator[Case]:
    """Tables, draws and races; all compared with the CPU at a size that it does in seconds."""
    import torch

    n = 10**6 if small else 10**9
    n_checked = min(n, 10**7)
    generator: Any = torch.Generator(device="cuda").manual_seed(0)
    weights = torch.rand(n, device="cuda", generator=generator)
    checked = weights[:n_checked]
    on_cpu = checked.cpu().numpy()

    def check_table() -> None:
        here, there = coremax.AliasTable(on_cpu), coremax.AliasTable(checked)
        assert np.array_equal(here._table.cells(), there._table.cells()), "cells differ from the CPU's"
        same(there.sample(n_checked, seed=1), here.sample(n_checked, seed=1), "draws")

    def check_race() -> None:
        same(coremax.sample(checked, n_checked // 10, seed=1), coremax.sample(on_cpu, n_checked // 10, seed=1), "draws")

    # Read the weights, write the cells; the units in between are ours to save.
    yield Case(f"alias build, n = {n:,}", lambda: coremax.AliasTable(weights), check_table, bar=0.1, bytes_moved=12.0 * n)
    table = coremax.AliasTable(weights)
    # A sector of 32 bytes for each cell, and the draw written.
    yield Case(f"alias draws, {n:,} of {n:,}", lambda: table.sample(n, seed=2), check_table, bar=n / 2e10, bytes_moved=40.0 * n)
    few = weights[: min(n, 2**24)]
    yield Case(
        f"draws without replacement, {len(few) // 10:,} of {len(few):,}",
        lambda: coremax.sample(few, len(few) // 10, seed=3),
        check_race,
        bytes_moved=4.0 * len(few),
        rivals={"torch.multinomial": lambda: torch.multinomial(few, len(few) // 10)},
    )


def graph_cases(small: bool) -> Iterator[Case]:
    """Exact graphs of clustered rows, against products of blocks in bfloat16 with the best of each row: which are not exact."""
    import torch

    n = 20_000 if small else 1_000_000
    generator: Any = torch.Generator(device="cuda").manual_seed(0)
    for d, bar, target in ((128, 1.0, 0.5), (768, 3.4, 1.7)):
        centres = torch.randn(n // 100, d, device="cuda", generator=generator)
        which = torch.randint(n // 100, (n,), device="cuda", generator=generator)
        x = torch.nn.functional.normalize(centres[which] + torch.randn(n, d, device="cuda", generator=generator))
        narrow = x.to(torch.bfloat16)

        def check(x: Any = x) -> None:
            part = x[:20_000]
            here, there = coremax.topk_graph(part.cpu(), 10), coremax.topk_graph(part, 10)
            same(there.neighbors, here.neighbors, "neighbours")
            same(there.similarities, here.similarities, "similarities")
            graph, sample = coremax.topk_graph(x, 10), torch.arange(0, n, n // 64, device="cuda")
            cosines = torch.cat([part.double() @ x[sample].double().T for part in x.split(100_000)]).T.contiguous()
            cosines[torch.arange(len(sample)), sample] = -2
            assert torch.allclose(graph.similarities[sample].double(), cosines.topk(10).values, rtol=0, atol=2e-6)

        def blocks(narrow: Any = narrow) -> None:
            for begin in range(0, n, 4096):
                (narrow[begin : begin + 4096] @ narrow.T).topk(11)

        yield Case(
            f"graph, {n:,} x {d}, k = 10",
            lambda x=x: coremax.topk_graph(x, 10),  # type: ignore[misc]
            check,
            bar=bar,
            target=target,
            bytes_moved=4.0 * n * d,
            operations=float(n) * n * d,  # each pair once
            rivals={"torch bf16 blocks": blocks},
        )


def solver_cases(small: bool) -> Iterator[Case]:
    """Projected gradient with polish on a graph of random neighbours, the worst order for a cache."""
    import torch

    n, k, steps = (20_000 if small else 1_000_000), 10, 300
    generator: Any = torch.Generator(device="cuda").manual_seed(0)
    neighbors = torch.randint(n, (n, k), device="cuda", generator=generator)
    values = torch.rand((n, k), device="cuda", generator=generator)
    importance = torch.rand(n, device="cuda", generator=generator, dtype=torch.float64)
    graph = coremax.Graph.from_neighbors(neighbors, values)
    options: dict[str, Any] = {"alpha": 1.0, "method": "pgd", "max_iterations": steps, "tolerance": 0.0, "bound": None}

    def check() -> None:
        found = coremax.solve(importance, graph, n // 10, **options)
        host = coremax.Graph.from_neighbors(neighbors.cpu().numpy(), values.cpu().numpy())
        value = coremax.objective(importance.cpu().numpy(), host, found.indices.cpu().numpy(), 1.0)
        assert value == found.objective, "the objective differs from the CPU's"
        if n < 50_000:
            same(found.x, coremax.solve(importance.cpu().numpy(), host, n // 10, **options).x, "points")

    # Eight bytes for an entry of K, of which there are 2 n k, and a sector of the second cache for the x it asks for.
    for polish in (False, True):
        yield Case(
            f"solve, n = {n:,}, k = {k}, {steps} steps{' + polish' if polish else ''}",
            lambda polish=polish: coremax.solve(importance, graph, n // 10, polish=polish, **options),  # type: ignore[misc]
            check,
            bar=0.15,
            target=0.05,
            bytes_moved=8.0 * 2 * n * k * steps,
        )
    yield Case(
        f"solve, n = {n:,}, k = {k}, as it comes",
        lambda: coremax.solve(importance, graph, n // 10, alpha=1.0),
        check,
        bytes_moved=8.0 * 2 * n * k * 5 * steps,  # of continuation's four stages and of annealing
    )


def scores_cases(small: bool) -> Iterator[Case]:
    """SIM: two passes over the embeddings, each row compared with each class, and one pass over the experts' probabilities."""
    import torch

    n, d = (20_000 if small else 1_000_000), 768
    generator: Any = torch.Generator(device="cuda").manual_seed(0)
    for n_classes, n_experts in ((10, 0), (1000, 0), (1000, 2)):
        labels = torch.randint(n_classes, (n,), device="cuda", generator=generator)
        x = torch.randn(n_classes, d, device="cuda", generator=generator)[labels]
        x += torch.randn(n, d, device="cuda", generator=generator)
        experts = [torch.randn(n, n_classes, device="cuda", generator=generator).softmax(1) for _ in range(n_experts)] or None

        def run(m: int = n, x: Any = x, labels: Any = labels, experts: Any = experts) -> Any:
            return coremax.scores.sim(x[:m], labels[:m], [expert[:m] for expert in experts] if experts else None)

        def check(run: Any = run, x: Any = x, labels: Any = labels, experts: Any = experts) -> None:
            part = [array[:20_000].cpu() for array in (x, labels, *(experts or []))]
            same(run(20_000), coremax.scores.sim(part[0], part[1], part[2:] or None), "scores")

        def in_torch(x: Any = x, labels: Any = labels, n_classes: int = n_classes) -> Any:
            norm = x.norm(dim=1)
            unit = x / norm[:, None]
            centres = torch.zeros(n_classes, d, device="cuda").index_add_(0, labels, unit)
            cosines = unit @ torch.nn.functional.normalize(centres).T
            own = cosines.gather(1, labels[:, None])[:, 0]
            other = cosines.scatter_(1, labels[:, None], -1).amax(dim=1)
            return ((1 - other) / (1 - own + 1e-6)).log(), norm  # percentiles, and what is done with them, are left out

        yield Case(
            f"sim, {n:,} x {d}, {n_classes} classes{f', {n_experts} experts' if n_experts else ''}",
            run,
            check,
            bytes_moved=8.0 * n * d + 4.0 * n * n_classes * n_experts,
            single_operations=2.0 * n * n_classes * d,
            rivals={} if n_experts else {"torch, separability alone": in_torch},
        )


def row_of(case: Case, rounds: int, reached: Limits) -> list[str]:
    """Check, then time."""
    case.check()
    ours = statistics.median(times := seconds_of(case.run, rounds))
    computing = max(case.operations / reached.tensor, case.single_operations / reached.single)
    bound = max(case.bytes_moved / reached.bandwidth, computing)
    rivals = [f"{name} {statistics.median(seconds_of(run, rounds)) / ours:.1f}x" for name, run in case.rivals.items()]
    shown = [
        "" if np.isnan(limit) else f"{limit:.4g} {'met' if ours <= limit else 'MISSED'}" for limit in (case.bar, case.target)
    ]
    band = f"{ours:.5f} ({min(times):.5f}-{max(times):.5f})"
    return [case.name, band, *shown, f"{bound / ours:.0%}", ", ".join(rivals)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes that take seconds")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    options = parser.parse_args()
    config = coremax.show_config("dicts")["cuda"]
    if not config["available"]:
        sys.exit(f"no CUDA device: {config['why_not']}")
    import torch

    if not torch.cuda.is_available():
        sys.exit("no PyTorch that can use the device")
    device = config["devices"][0]
    reached = limits(10**7 if options.small else 10**9)
    found = (
        case
        for cases in (sampling_cases, graph_cases, solver_cases, scores_cases)
        for case in cases(options.small)
        if options.only in case.name
    )
    rows = [row_of(case, options.rounds, reached) for case in found]
    print(
        f"{device['name']} (compute capability {device['compute_capability']}), torch {torch.__version__}, medians of "
        f"{options.rounds} rounds by events. A copy moves {reached.bandwidth / GIGA:,.0f} GB/s, a bf16 product does "
        f"{reached.tensor / 1e12:,.0f} TFLOP/s, a float32 one {reached.single / 1e12:,.0f}.\n"
    )
    print_table(["case", "seconds (band)", "bar", "target", "share of the limit", "rivals take"], rows)


if __name__ == "__main__":
    main()
