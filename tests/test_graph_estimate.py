"""The prediction of time and memory: its form and its refusals. How good it is, a benchmark has to say."""

from __future__ import annotations

from typing import Any

import pytest

import coremax
from coremax import _core
from helpers import ISAS


@pytest.mark.parametrize("isa", ISAS)
def test_seconds_grow_with_rows_and_bytes_are_those_of_the_search(isa: str) -> None:
    plans = [coremax.graph.estimate(n, 16, 5, isa=isa, threads=2) for n in (20_000, 40_000, 400_000)]
    assert 0 < plans[0].seconds < plans[1].seconds < plans[2].seconds
    assert plans[2].seconds >= 10 * plans[1].seconds  # at least linear
    for n, plan in zip((20_000, 40_000, 400_000), plans, strict=True):
        assert plan.extra_bytes == _core.topk_extra_bytes(n, 16, 5, isa, "automatic", 2)
        assert plan.output_bytes == 12 * n * 5


def test_long_lists_are_not_tried_out() -> None:
    short, long = (coremax.graph.estimate(10**6, 4, k, threads=2) for k in (512, 51_200))
    assert short.seconds < long.seconds


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((1, 8), {}, ValueError, "n must be at least 2"),
        ((10, 0), {}, ValueError, "d must be at least 1"),
        ((10, 8, 10), {}, ValueError, "k must be from 1 to 9"),
        ((10.5, 8), {}, TypeError, "n must be an int"),
        ((100, 8), {"metric": "l1"}, ValueError, "metric must be one of"),
        ((100, 8), {"isa": "mmx"}, ValueError, "isa is 'mmx'"),
        ((100, 8), {"threads": 0}, ValueError, "threads must be"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coremax.graph.estimate(*arguments, **options)
