"""Spherical k-means: every step against an obvious one, and what it promises about odd rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from coremax.scores import spherical_kmeans
from helpers import ISAS, THREADS, clustered, output_when_interrupted
from oracles import scores as oracle

# Centres are float32 unit vectors; cosines are float32 sums of up to 65 products.
TOLERANCE = 2e-6


def assert_nearest(x: Any, centres: Any, labels: Any) -> None:
    """Every row's centre is the nearest, up to what float32 can tell apart, and of equal centres the first."""
    cosines = oracle.unit_rows(x) @ np.asarray(centres, np.float64).T
    assert (cosines[np.arange(len(cosines)), labels] >= cosines.max(axis=1) - TOLERANCE).all()


@pytest.mark.parametrize(
    ("n", "d", "n_clusters"), [(1, 1, 1), (2, 3, 2), (33, 17, 5), (500, 65, 7), (3000, 16, 300), (700, 200, 257)]
)
def test_every_step_is_one_of_lloyd(n: int, d: int, n_clusters: int) -> None:
    x = clustered(n, d, n_clusters, seed=n)
    _, labels = spherical_kmeans(x, n_clusters, n_iterations=0, sample_per_cluster=None)
    compared = 0
    for steps in range(1, 5):
        after, next_labels = spherical_kmeans(x, n_clusters, n_iterations=steps, sample_per_cluster=None)
        assert after.dtype == np.float32
        assert next_labels.dtype == np.int64
        assert_nearest(x, after, next_labels)
        np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=TOLERANCE)
        moved = oracle.mean_directions(x, labels, n_clusters)
        for c, centre in enumerate(moved):
            if centre is not None:
                np.testing.assert_allclose(after[c], centre, atol=TOLERANCE)
                compared += 1
        labels = next_labels
    assert compared > 3.5 * n_clusters


def test_separated_clusters_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 40, 20_000)
    directions = np.linalg.qr(rng.normal(size=(64, 64)))[0][:40]
    x = (rng.uniform(0.1, 10, 20_000)[:, None] * (directions[truth] + 0.03 * rng.normal(size=(20_000, 64)))).astype(np.float32)
    centres, labels = spherical_kmeans(x, 40)
    # The start draws from each cluster once unless it draws a row near a centre: odds of about 40 * 0.06^2 * 40 / 2 per run.
    matches = {(int(a), int(b)) for a, b in zip(truth, labels, strict=True)}
    assert len(matches) == 40
    assert (centres @ directions.T).max(axis=1).min() > 0.999


def test_more_steps_fit_better() -> None:
    x = clustered(4000, 24, 60, seed=3, spread=1.0)
    unit = oracle.unit_rows(x)
    fits = []
    for steps in (0, 1, 3, 20):
        centres, labels = spherical_kmeans(x, 30, n_iterations=steps, sample_per_cluster=None)
        fits.append(float((unit * centres[labels]).sum()))
    assert fits == sorted(fits)
    assert fits[3] > 1.02 * fits[0]
    sampled, labels = spherical_kmeans(x, 30, sample_per_cluster=40)
    assert 0.97 * fits[3] < float((unit * sampled[labels]).sum()) < fits[3] + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8, torch.bfloat16])
def test_same_bits_on_every_level_and_thread_count(dtype: Any) -> None:
    x: Any = (10 * clustered(2500, 33, 20, seed=5)).round()
    x = torch.from_numpy(x).to(dtype) if isinstance(dtype, torch.dtype) else x.astype(dtype)
    plain = np.asarray(x.float() if isinstance(x, torch.Tensor) else x, np.float32)
    expected = spherical_kmeans(plain, 20, seed=7, threads=1, isa="scalar")
    for isa in ISAS:
        for threads in THREADS:
            got = spherical_kmeans(x, 20, seed=7, threads=threads, isa=isa)
            assert np.array_equal(np.asarray(got[0]), expected[0])
            assert np.array_equal(np.asarray(got[1]), expected[1])
            assert isinstance(got[0], torch.Tensor) == isinstance(x, torch.Tensor)
    assert not np.array_equal(spherical_kmeans(plain, 20, seed=8)[0], expected[0])


def test_length_and_layout_do_not_count() -> None:
    x = clustered(300, 20, 5, seed=1)
    expected = spherical_kmeans(x, 5)
    wide = np.full((300, 30), np.nan, np.float32)
    wide[:, 4:24] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    lengths = 2.0 ** np.random.default_rng(0).integers(-60, 60, 300)[:, None]
    for given in (
        wide[:, 4:24],
        frozen,
        np.asfortranarray(x),
        x[::-1].copy()[::-1],
        x.tolist(),
        (x * lengths).astype(np.float64),
    ):
        centres, labels = spherical_kmeans(given, 5)
        assert np.array_equal(labels, expected[1])
        assert np.array_equal(centres, expected[0])
    assert np.array_equal(frozen, x)


def test_zero_rows_move_nothing() -> None:
    x = clustered(200, 8, 4, seed=2)
    spoiled = np.concatenate([np.zeros((100, 8), np.float32), x])
    centres, labels = spherical_kmeans(spoiled, 6, sample_per_cluster=None, n_iterations=50)
    assert (labels[:100] == 0).all()
    assert len(set(labels[100:].tolist())) == 6
    for c, centre in enumerate(oracle.mean_directions(x, labels[100:], 6)):
        assert centre is not None
        np.testing.assert_allclose(centres[c], centre, atol=TOLERANCE)
    one = np.zeros((50, 3), np.float32)
    one[31] = [0, 2, 0]
    centres, labels = spherical_kmeans(one, 2, n_iterations=3)
    assert centres.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert (labels == 0).all()
    centres, _ = spherical_kmeans(np.repeat(one, 100, axis=0), 1, sample_per_cluster=1)
    assert centres.tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match=r"^x holds only zero rows"):
        spherical_kmeans(np.zeros((3, 2)), 1)


def test_fewer_directions_than_clusters() -> None:
    directions = np.array([[1, 0, 0], [0, 3, 4], [-5, 0, 0]], np.float32)
    x = np.repeat(directions, 30, axis=0) * np.arange(1, 91, dtype=np.float32)[:, None]
    centres, labels = spherical_kmeans(x, 8)
    assert len(set(labels.tolist())) == 3
    np.testing.assert_allclose((oracle.unit_rows(x) * centres[labels]).sum(axis=1), 1, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=TOLERANCE)
    assert all(np.array_equal(centres[c], centres[0]) for c in range(8) if c not in labels)
    centres, _ = spherical_kmeans(x, 8, n_iterations=0)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=TOLERANCE)


def test_members_that_cancel_leave_their_centre() -> None:
    centres, labels = spherical_kmeans(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32), 1, n_iterations=5)
    assert np.abs(centres).tolist() == [[1, 0]]
    assert labels.tolist() == [0, 0]


def test_as_many_clusters_as_rows() -> None:
    x = np.random.default_rng(4).normal(size=(50, 5)).astype(np.float32)
    centres, labels = spherical_kmeans(x, 50)
    assert sorted(labels.tolist()) == list(range(50))
    np.testing.assert_allclose(centres[labels], oracle.unit_rows(x), atol=TOLERANCE)


def test_empty_clusters_move_to_the_rows_that_fit_worst() -> None:
    # Five hundred rows in one place and twelve elsewhere: a start from a sample of evenly drawn rows misses most of the twelve.
    rng = np.random.default_rng(0)
    crowd = np.array([1.0, 0, 0, 0]) + 1e-5 * rng.normal(size=(50_000, 4))
    apart = rng.normal(size=(12, 4))
    x = np.concatenate([crowd, apart]).astype(np.float32)
    centres, labels = spherical_kmeans(x, 13, sample_per_cluster=None, n_iterations=100)
    assert (oracle.unit_rows(x) * centres[labels]).sum(axis=1).min() > 0.9
    assert (np.bincount(labels, minlength=13) > 0).all()


def test_bad_arguments() -> None:
    x = clustered(30, 4, 3, seed=0)
    spoiled = x.copy()
    spoiled[7, 2] = np.nan
    spoiled[20, 1] = np.inf
    with pytest.raises(ValueError, match=r"^x\[7, 2\] is nan; embeddings must be finite"):
        spherical_kmeans(spoiled, 30)
    for n_clusters in (0, 31, -1):
        with pytest.raises(ValueError, match=rf"^n_clusters must be from 1 to 30, got {n_clusters}"):
            spherical_kmeans(x, n_clusters)
    with pytest.raises(TypeError, match=r"^n_clusters must be an int"):
        spherical_kmeans(x, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^n_iterations must be"):
        spherical_kmeans(x, 2, n_iterations=-1)
    with pytest.raises(ValueError, match=r"^sample_per_cluster must be"):
        spherical_kmeans(x, 2, sample_per_cluster=0)
    for shape in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match=r"^x is empty"):
            spherical_kmeans(np.empty(shape), 1)
    with pytest.raises(ValueError, match=r"^x must be two-dimensional"):
        spherical_kmeans(np.ones(3), 1)
    with pytest.raises(ValueError, match=r"row 1 of x is too small to take a norm of"):
        spherical_kmeans(np.array([[1.0, 1.0], [1e-300, 0.0]]), 1)
    done: list[tuple[int, int]] = []
    spherical_kmeans(x, 3, progress=lambda *now: done.append(now))
    assert done[-1] == (21, 21)


def test_ctrl_c_stops_it() -> None:
    out = output_when_interrupted("""
import numpy as np, coremax
x = np.random.default_rng(0).normal(size=(200_000, 256)).astype(np.float32)
print("ready", flush=True)
try:
    coremax.scores.spherical_kmeans(x, 20_000, n_iterations=100)
except KeyboardInterrupt:
    print("stopped")
""")
    assert out == "ready\nstopped\n"
