"""The estimator: scikit-learn's own checks, and what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import coremax  # noqa: E402
from coremax.selection import registry  # noqa: E402
from coremax.sklearn import CoresetSelector  # noqa: E402
from helpers import clustered  # noqa: E402

N = 60
X = clustered(N, 6, 3, seed=0)
SCORE = np.random.default_rng(0).random(N)
Y = np.arange(N) % 3


def expected_failures(selector: CoresetSelector) -> dict[str, str]:
    """Checks that can not hold, with the reason; one that holds after all fails (xfail_strict)."""
    found = {}
    if selector.method == "infomax" and not selector.options:
        found["check_estimators_dtypes"] = "its data has rows of zeros, which have no cosine"
    if isinstance(selector.budget, int):
        found["check_fit2d_1sample"] = "one sample is fewer than the budget, which is what the message speaks of"
    return found


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        CoresetSelector(),
        CoresetSelector(0.5, options={"metric": "euclidean"}),
        CoresetSelector(0.5, method="moderate"),
        CoresetSelector(3, method="d2"),
        CoresetSelector(method="random"),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("method", [method for method in registry.NEEDS if method != "dsir"])  # which reads texts
def test_every_method_is_the_function_of_its_name(method: registry.Method) -> None:
    selector = CoresetSelector(0.2, method=method, random_state=3).fit(X, Y, score=SCORE)
    data = {"x": X, "score": SCORE, "n": N}
    keywords = {name: value for name, value in (("labels", Y), ("seed", 3)) if registry.takes(method, name)}
    function = getattr(coremax.selection, method)
    expected = function(*(data[name] for name in registry.NEEDS[method]), 0.2, **keywords)
    assert np.array_equal(selector.sample_indices_, expected.indices)
    assert np.array_equal(selector.get_support(), expected.mask())
    assert np.array_equal(selector.get_support(indices=True), expected.indices)
    assert selector.selection_.method == method


def test_importance_and_score_are_one_argument() -> None:
    first, second, third = (
        CoresetSelector(0.2).fit(X, Y, importance=SCORE),
        CoresetSelector(0.2).fit(X, Y, score=SCORE),
        CoresetSelector(0.2).fit(X, Y, SCORE),
    )
    assert first.support_.tolist() == second.support_.tolist() == third.support_.tolist()
    assert CoresetSelector(0.2).fit_resample(X, Y, importance=SCORE)[1].tolist() == Y[first.support_].tolist()
    with pytest.raises(TypeError, match="importance and score are two names of one argument"):
        CoresetSelector().fit(X, Y, importance=SCORE, score=SCORE)
    with pytest.raises(ValueError, match="method 'dsir' needs texts and target"):
        CoresetSelector(method="dsir").fit(X)


def test_parameters_and_clones() -> None:
    selector = CoresetSelector(0.2, options={"k": 3}).fit(X, Y, score=SCORE)
    again = clone(selector).set_params(budget=5)
    assert not hasattr(again, "support_")
    assert len(again.fit(X, score=SCORE).get_support(indices=True)) == 5
    assert again.get_params() == {"budget": 5, "method": "infomax", "options": {"k": 3}, "random_state": 0}


def test_random_states() -> None:
    drawn = [CoresetSelector(9, method="random", random_state=state).fit(X).sample_indices_.tolist() for state in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    generator = np.random.RandomState(0)
    selector = CoresetSelector(9, method="random", random_state=generator)
    assert selector.fit(X).sample_indices_.tolist() != selector.fit(X).sample_indices_.tolist()


def test_resampling_keeps_the_containers() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"), index=np.arange(N) + 100)
    names = pandas.Series(np.array(["x", "y", "z"])[Y], index=frame.index)
    selector = CoresetSelector(0.2)
    kept, targets = selector.fit_resample(frame, names, score=SCORE)
    assert list(selector.feature_names_in_) == list("abcdef")
    assert kept.equals(frame[selector.get_support()])
    assert targets.equals(names[selector.get_support()])
    as_numbers = CoresetSelector(0.2).fit(X, Y, score=SCORE)
    assert np.array_equal(selector.sample_indices_, as_numbers.sample_indices_)  # labels may be text
    kept, nothing = CoresetSelector(0.2).fit_resample(X)
    assert (kept.shape, nothing) == ((12, 6), None)


def test_a_continuous_target_is_no_label() -> None:
    first, second = (CoresetSelector(0.2).fit(X, target, score=SCORE).sample_indices_ for target in (None, SCORE))
    assert np.array_equal(first, second)


def test_objects_that_are_no_text_are_not_passed_over() -> None:
    """Their type can not be told: labels were once left out without a word."""
    with pytest.raises(ValueError, match="Unknown label type: y holds objects"):
        CoresetSelector().fit(X, Y.astype(object))
    named = np.array(["a", "b", "c"], dtype=object)[Y]
    assert np.array_equal(CoresetSelector().fit(X, named).support_, CoresetSelector().fit(X, Y).support_)


def test_in_a_pipeline_of_imbalanced_learn() -> None:
    pipeline = pytest.importorskip("imblearn.pipeline")
    model = pipeline.make_pipeline(CoresetSelector(), LogisticRegression())
    search = GridSearchCV(
        model, {"coresetselector__budget": [0.3, 0.6], "coresetselector__method": ["infomax", "moderate"]}, cv=2
    )
    search.fit(X, Y)
    assert search.predict(X).shape == (N,)
    assert int(model.fit(X, Y)[0].support_.sum()) == 6


UNKNOWN: Any = "best"


@pytest.mark.parametrize(
    ("selector", "error", "message"),
    [
        (CoresetSelector(method="sims"), ValueError, "method 'sims' needs score"),
        (CoresetSelector(method=UNKNOWN), ValueError, "method must be one of"),
        (CoresetSelector(options={"magic": 1}), TypeError, "method 'infomax' has no option 'magic'"),
        (CoresetSelector(options={"seed": 1}), TypeError, "method 'infomax' has no option 'seed': .* random_state"),
        (CoresetSelector(options={"budget": 1}), TypeError, "method 'infomax' has no option 'budget'"),
        (CoresetSelector(options=["k"]), TypeError, "options must be a mapping of names to values, got list"),  # type: ignore[arg-type]
        (CoresetSelector(budget=2.0), ValueError, "budget as a fraction"),
    ],
)
def test_bad_arguments(selector: CoresetSelector, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        selector.fit(X)


def test_images_are_to_be_made_rows() -> None:
    with pytest.raises(ValueError, match=r"^X can not be used: Found array with dim 3.* make rows: X.reshape\(len\(X\), -1\)"):
        CoresetSelector().fit(np.ones((20, 4, 4)))
    images, names = X.reshape(len(X), -1), np.array(["cat", "dog"])[np.arange(len(X)) % 2]
    by_name = CoresetSelector(budget=0.2).fit(images, names).get_support(indices=True)
    assert np.array_equal(by_name, CoresetSelector(budget=0.2).fit(images, np.arange(len(X)) % 2).get_support(indices=True))
