"""What a subset has to respect: elements fixed, limits of groups, a total cost. Checks them and says why none can be met."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._inputs import arrays
from .._inputs import invalid as _invalid
from .._inputs.keys import Keys, as_keys, as_mapping
from .._inputs.texts import require_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

Range = tuple[int, int]


@dataclass(frozen=True)
class Limits:
    """The limits of one call, in the form the engine takes them.

    Attributes
    ----------
    budget : int
        How many to keep; 0 with costs.
    cost_limit : float
        Total cost allowed; 0 without costs.
    costs, groups, fixed : array [n] of float64, int32 (places in ranges), int8 (1 keep, -1 leave out), or None
    ranges : list of (int, int)
        Fewest and most of each group.
    names : tuple of str
        Of the groups, for messages; empty where they have none.
    """

    budget: int
    cost_limit: float = 0.0
    costs: NDArray[np.float64] | None = None
    groups: NDArray[np.int32] | None = None
    ranges: tuple[Range, ...] = ()
    fixed: NDArray[np.int8] | None = None
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """How many must be kept, where that is known."""
        return None if self.costs is not None else self.budget

    def kept_share(self, n: int) -> float:
        """About which share of n elements will be kept."""
        return self.budget / n if self.costs is None else min(1.0, self.cost_limit / float(self.costs.sum()))

    def among(self, candidates: NDArray[np.int64], why: str) -> Limits:
        """Return the same limits for some of the elements, all that must be kept among them; `why` names what left out others.

        Raises
        ------
        ValueError
            Where a group has too few elements left.
        """
        groups = None if self.groups is None else np.ascontiguousarray(self.groups[candidates])
        ranges = self.ranges
        if groups is not None:
            sizes = np.bincount(groups, minlength=len(ranges))
            for g, ((low, _), size) in enumerate(zip(ranges, sizes, strict=True)):
                if low > size:
                    group = f"group {self.names[g]}" if self.names else "a group"
                    raise ValueError(f"{group} wants at least {low} elements, but {why} leaves {size}")
            ranges = tuple((low, min(high, int(size))) for (low, high), size in zip(ranges, sizes, strict=True))
            if self.costs is None and sum(high for _, high in ranges) < self.budget:
                most = sum(high for _, high in ranges)
                raise ValueError(
                    f"{why} and group_limits leave {most} elements at most, fewer than the budget of {self.budget}"
                )
        return Limits(
            self.budget,
            self.cost_limit,
            None if self.costs is None else self.costs[candidates],
            groups,
            ranges,
            None if self.fixed is None else self.fixed[candidates],
            self.names,
        )

    def scaled(self, factor: float, n: int) -> Limits:
        """Return the limits of n elements for `factor` times as much, groups in proportion.

        Raises
        ------
        ValueError
            Where no subset meets them.
        """
        budget = math.floor(factor * self.budget + 0.5)
        if self.costs is None and not 1 <= budget <= n:
            raise ValueError(f"{factor:g} times the budget is {budget}, but there are {n} elements")
        scaled = replace(self, budget=budget, cost_limit=factor * self.cost_limit)
        if self.groups is not None:
            sizes = np.bincount(self.groups, minlength=len(self.ranges))
            scaled = replace(
                scaled,
                ranges=tuple(
                    (math.floor(min(factor * low, size)), math.ceil(min(factor * high, size)))
                    for (low, high), size in zip(self.ranges, sizes.tolist(), strict=True)
                ),
            )
            counted = None if self.costs is not None else budget
            names = self.names or tuple(map(str, range(len(sizes))))
            _check_groups(names, self.groups, sizes, scaled.ranges, self.fixed, counted)
        if self.costs is None:
            _check_count(n, budget, self.fixed)
        _check_cost(scaled.cost_limit, self.costs, self.fixed, self.groups, scaled.ranges)
        return scaled


def resolve(n: int, budget: Any, include: Any, exclude: Any, groups: Any, group_limits: Any, costs: Any) -> Limits:
    """Check the limits that a caller gave for n elements and that some subset meets them all.

    Raises
    ------
    ValueError
        Where they are out of range or no subset meets them; the message gives the reason.
    TypeError
        A wrong type.
    """
    if n == 0:
        raise ValueError("importance is empty: no budget can be met")
    fixed = fixed_of(n, include, exclude)
    cost = None if costs is None else _costs(costs, n)
    if cost is None:
        count = arrays.as_budget(budget, n)
        _check_count(n, count, fixed)
        limit = 0.0
    else:
        count, limit = 0, _cost_limit(budget, costs)
    if groups is None:
        if group_limits is not None:
            raise TypeError("group_limits needs groups")
        _check_cost(limit, cost, fixed, None, ())
        return Limits(count, limit, cost, fixed=fixed)
    keys = as_keys(groups, "groups", n, "importance")
    places, sizes = keys.codes.astype(np.int32), keys.sizes
    if group_limits is None:
        if cost is not None:
            raise TypeError(
                "groups needs group_limits where costs are given: there is no default, as a group's share of a total cost can "
                "not be set; pass what to keep of the elements of each group, such as 0.1 or (None, 0.2)"
            )
        group_limits = count / n
    ranges = _ranges(group_limits, keys)
    names = tuple(map(keys.name, range(len(sizes))))
    _check_groups(names, places, sizes, ranges, fixed, None if cost is not None else count)
    _check_cost(limit, cost, fixed, places, ranges)
    # What a group cannot exceed anyway is no limit.
    ranges = tuple((low, min(high, int(size))) for (low, high), size in zip(ranges, sizes, strict=True))
    return Limits(count, limit, cost, places, ranges, fixed, names)


def _numbers(numbers: Any, name: str, n: int) -> NDArray[np.int64]:
    given = arrays.as_no_mask(numbers, name)
    view = arrays.as_view(given, name, ndim=1, dtypes=["int64"], convert_to="int64")
    array = np.asarray(arrays.as_numpy(given), dtype=np.int64).reshape(view.shape)
    # As numbers a mask of zeros and ones would mean the first two elements, again and again.
    if len(array) == n > 2 and array.min() >= 0 and array.max() <= 1:
        raise ValueError(
            f"{name} must be numbers of elements, got {n} zeros and ones, which looks like a mask of them: pass "
            "numpy.flatnonzero(mask)"
        )
    bad = np.flatnonzero((array < 0) | (array >= n))
    if bad.size:
        raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]}, but there are elements 0 to {n - 1} only")
    return array


def fixed_of(n: int, include: Any, exclude: Any) -> NDArray[np.int8] | None:
    if include is None and exclude is None:
        return None
    fixed = np.zeros(n, dtype=np.int8)
    if exclude is not None:
        fixed[_numbers(exclude, "exclude", n)] = -1
    if include is not None:
        kept = _numbers(include, "include", n)
        both = np.flatnonzero(fixed[kept] < 0)
        if both.size:
            raise ValueError(f"element {kept[both[0]]} is in include and in exclude")
        fixed[kept] = 1
    return fixed


def _costs(costs: Any, n: int) -> NDArray[np.float64]:
    costs = arrays.as_array(costs, "costs")
    view = arrays.as_view(costs, "costs", ndim=1, dtypes=arrays.FLOAT_TYPES, convert_to="float64")
    arrays.require_length(view.shape[0], "costs", n, "importance")
    array = np.ascontiguousarray(arrays.as_numpy(costs), dtype=np.float64)
    bad = np.flatnonzero(~((array >= 1e-100) & (array <= 1e100)))
    if bad.size:
        raise ValueError(f"costs[{bad[0]}] is {array[bad[0]]}; costs must be from 1e-100 to 1e100{_invalid.listed(bad)}")
    return array


def _cost_limit(budget: Any, costs: Any) -> float:
    """The budget as a total cost; refused where it looks like the share that it is without costs."""
    limit = arrays.as_real(budget, "budget (a total cost, as costs are given)", 0.0)
    if not limit > 0:
        raise ValueError(f"budget is a total cost where costs are given, and must be above 0, got {budget}")
    # Of whole tokens a fraction can be no total; of costs that are fractions themselves it can.
    is_share = isinstance(budget, (float, np.floating)) and limit <= 1
    if is_share and "int" in str(getattr(arrays.as_array(costs, "costs"), "dtype", "")):
        raise ValueError(f"budget is {budget}, {_TOTAL}" + (" (the int 1 is a total of one)" if limit == 1 else ""))
    return limit


# For messages; the budget of everything else than a cost can be a share.
_TOTAL = "but where costs are given it is a total cost: for a tenth of all pass 0.1 * costs.sum()"


def _ranges(given: Any, keys: Keys) -> tuple[Range, ...]:
    """Fewest and most of each group from a fraction, a pair, a mapping from groups, or one entry a group."""
    sizes = keys.sizes.tolist()
    names = [keys.name(g) for g in range(len(sizes))]
    if (by_group := as_mapping(given)) is not None:
        entries = keys.of_mapping(by_group, "group_limits", "group")
        return tuple(_range(entries[g], names[g], sizes[g]) if g in entries else (0, sizes[g]) for g in range(len(sizes)))
    if isinstance(given, (float, np.floating)):
        return tuple(_range(float(given), name, size) for name, size in zip(names, sizes, strict=True))
    if isinstance(given, tuple) and len(given) == 2 and not any(isinstance(end, (tuple, list, np.ndarray)) for end in given):
        return tuple(_range(given, name, size) for name, size in zip(names, sizes, strict=True))
    if not isinstance(given, str):
        require_column(given, "group_limits")
    try:
        in_order = list(given) if not isinstance(given, str) else None
    except TypeError:
        in_order = None
    if in_order is None:
        raise TypeError(f"group_limits must be a fraction, a (min, max) pair, a mapping or one entry per group, got {given!r}")
    if len(in_order) != len(sizes) or keys.values != list(range(len(sizes))):
        raise ValueError(
            f"group_limits has {len(in_order)} entries for {len(sizes)} groups; entries in order are for groups 0 to "
            f"{len(in_order) - 1}, pass a mapping for other labels"
        )
    return tuple(_range(entry, name, size) for entry, name, size in zip(in_order, names, sizes, strict=True))


def _range(entry: Any, group: str, size: int) -> Range:
    """(fewest, most) of one group: floats are fractions of its size, ints counts, None an open end."""
    name = f"group_limits of group {group}"
    if isinstance(entry, (float, np.floating)):
        share = arrays.as_real(entry, name, 0.0, 1.0) * size
        return math.floor(share + 1e-9), math.ceil(share - 1e-9)
    try:
        low, high = entry
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a fraction (a float) or (min, max), got {entry!r}") from None
    _require_one_meaning(low, high, name)
    fewest = 0 if low is None else _end(low, name, size, math.ceil, -1e-9)
    most = size if high is None else _end(high, name, size, math.floor, 1e-9)
    if fewest > most:
        raise ValueError(f"{name} has a minimum of {fewest} above its maximum of {most}")
    return fewest, most


def _require_one_meaning(low: Any, high: Any, name: str) -> None:
    """Refuse the count 1 above a share: one element, where all of the group are meant."""
    if isinstance(low, (float, np.floating)) and low > 0 and isinstance(high, (int, np.integer)) and high == 1:
        raise ValueError(f"{name} is ({low}, 1), a share and the count 1: write 1.0 for all of the group, or two counts")


def _end(value: Any, name: str, size: int, rounding: Any, slack: float) -> int:
    if isinstance(value, (float, np.floating)):
        return int(rounding(arrays.as_real(value, name, 0.0, 1.0) * size + slack))
    return arrays.as_count(value, name, 0, 2**62)


def _check_count(n: int, budget: int, fixed: NDArray[np.int8] | None) -> None:
    if fixed is None:
        return
    kept, dropped = int((fixed > 0).sum()), int((fixed < 0).sum())
    if kept > budget:
        raise ValueError(f"include has {kept} elements, more than the budget of {budget}")
    if n - dropped < budget:
        raise ValueError(f"exclude leaves {n - dropped} elements, fewer than the budget of {budget}")


def _check_groups(
    names: tuple[str, ...],
    places: NDArray[np.int32],
    sizes: NDArray[np.int64],
    ranges: tuple[Range, ...],
    fixed: NDArray[np.int8] | None,
    budget: int | None,
) -> None:
    low, high = np.array(ranges, dtype=np.int64).T
    kept = np.bincount(places[fixed > 0], minlength=len(names)) if fixed is not None else np.zeros_like(sizes)
    free = sizes - (np.bincount(places[fixed < 0], minlength=len(names)) if fixed is not None else 0)
    for bad, text in (
        (low > free, "wants at least {low}, but has {free} elements" + (" that are not excluded" if fixed is not None else "")),
        (kept > high, "may keep {high} at most, but include has {kept} of it"),
    ):
        if bad.any():
            g = int(np.flatnonzero(bad)[0])
            raise ValueError(f"group {names[g]} " + text.format(low=low[g], high=high[g], free=free[g], kept=kept[g]))
    if budget is None:
        return
    fewest, most = int(np.maximum(low, kept).sum()), int(np.minimum(high, free).sum())
    if fewest > budget:
        raise ValueError(f"group_limits (and include) want {fewest} elements at least, more than the budget of {budget}")
    if most < budget:
        raise ValueError(f"group_limits (and exclude) allow {most} elements at most, fewer than the budget of {budget}")


def _check_cost(
    limit: float,
    costs: NDArray[np.float64] | None,
    fixed: NDArray[np.int8] | None,
    places: NDArray[np.int32] | None,
    ranges: tuple[Range, ...],
) -> None:
    """The cheapest subset that has what is included and what groups want must fit."""
    if costs is None:
        return
    least = 0.0
    if fixed is not None:
        least = math.fsum(costs[fixed > 0])
        if least > limit:
            raise ValueError(f"include costs {least:.17g}, more than the budget of {limit:.17g}")
    wanted = least
    for g, (low, _) in enumerate(ranges):
        mine = places == g
        kept = int(((fixed > 0) & mine).sum()) if fixed is not None else 0
        open_costs = costs[mine & (fixed == 0)] if fixed is not None else costs[mine]
        if low > kept:
            wanted += math.fsum(np.partition(open_costs, low - kept - 1)[: low - kept])
    if wanted > limit:
        raise ValueError(
            f"the cheapest subset that meets group_limits and include costs {wanted:.6g}, more than the budget of {limit:.6g}"
        )
    if fixed is None and not ranges and costs.min(initial=np.inf) > limit:
        raise ValueError(
            f"no element costs as little as the budget of {limit:.6g}; the cheapest costs {costs.min():.6g}"
            + (f" (budget is {limit:.6g}, {_TOTAL})" if limit <= 1 else "")
        )
