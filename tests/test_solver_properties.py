"""What holds for any instance of the quadratic program."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import coremax
from coremax.solver._solver import Method
from oracles import solver as oracle

Instance = tuple[Any, coremax.Graph, int, float]
# "auto" enumerates problems this small; the searches and relaxations of larger ones are those of the others.
METHODS: st.SearchStrategy[Method] = st.sampled_from(["auto", "heat-bath", "lp", "pgd"])


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    n = draw(st.integers(2, 14))
    k = draw(st.integers(1, min(4, n - 1)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    neighbors = np.array([rng.permutation([j for j in range(n) if j != i])[:k] for i in range(n)])
    values = rng.integers(0, 5, size=(n, k)) / 4 if draw(st.booleans()) else rng.random((n, k))
    importance = draw(st.sampled_from([rng.integers(0, 3, n).astype(float), rng.random(n), rng.pareto(0.5, n), -rng.random(n)]))
    return (
        importance,
        coremax.Graph.from_neighbors(neighbors, values),
        draw(st.integers(1, n)),
        draw(st.sampled_from([0.0, 0.3, 1.0, 10.0])),
    )


@settings(deadline=None, max_examples=150)
@given(instances(), METHODS)
def test_feasible_bounded_and_swap_optimal(instance: Instance, method: Method) -> None:
    importance, graph, budget, alpha = instance
    k = oracle.dense(graph)
    scale = 1 + np.abs(importance).sum() + alpha * k.sum()
    solution = coremax.solve(importance, graph, budget, alpha=alpha, method=method)
    assert sorted(set(solution.indices.tolist())) == solution.indices.tolist()
    assert len(solution.indices) == budget
    best = oracle.optimum(importance, k, budget, alpha)
    assert solution.objective <= best + 1e-12 * scale
    assert method != "auto" or solution.objective >= best - 1e-12 * scale
    assert solution.upper_bound >= best - 1e-15 * scale
    assert oracle.best_swap(importance, k, solution.indices, alpha) <= 1e-10 * scale


@settings(deadline=None, max_examples=80)
@given(instances(), METHODS, st.floats(-100, 100))
def test_a_constant_added_to_importance_changes_nothing_but_f(instance: Instance, method: Method, constant: float) -> None:
    importance, graph, budget, alpha = instance
    a = coremax.solve(importance, graph, budget, alpha=alpha, method=method)
    b = coremax.solve(importance + constant, graph, budget, alpha=alpha, method=method)
    k = oracle.dense(graph)
    best = oracle.optimum(importance, k, budget, alpha)
    scale = 1 + abs(constant) * budget + np.abs(importance).sum()
    assert b.upper_bound >= best + constant * budget - 1e-13 * scale
    # Rounding may break ties another way; both answers stay swap-optimal.
    assert oracle.best_swap(importance, k, b.indices, alpha) <= 1e-9 * scale
    assert oracle.best_swap(importance, k, a.indices, alpha) <= 1e-9 * scale


@settings(deadline=None, max_examples=80)
@given(instances(), METHODS, st.integers(0, 2**32 - 1))
def test_from_any_start_rounding_loses_nothing(instance: Instance, method: Method, seed: int) -> None:
    importance, graph, budget, alpha = instance
    x0 = np.random.default_rng(seed).normal(size=graph.n)
    solution = coremax.solve(importance, graph, budget, alpha=alpha, method=method, x0=x0, max_iterations=0, polish=False)
    start = oracle.relaxed_objective(importance, oracle.dense(graph), solution.x, alpha)
    assert solution.objective >= start - 1e-7 * (1 + np.abs(importance).sum())
