"""Fitted pipelines as numbers: our scores are theirs, or the import says no."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import OneClassSVM

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.detection.detectors.one_class_svm import rbf_models
from batch_scoring.detection.kernel import decision_function
from batch_scoring.registry.pretrained import estimators, to_trainings
from batch_scoring.registry.pretrained.estimators import from_estimator

NAMES = ("mean", "std", "min", "max")


def rows(d=1, n=60, seed=0):
    return np.random.default_rng(seed).normal(5, 2, size=(n, d))


def import_it(estimator, features=None):
    return from_estimator(estimator, "7", "vibration", features, "the file")


@given(
    d=st.integers(1, 4),
    nu=st.floats(0.05, 0.9),
    gamma=st.one_of(st.sampled_from(["scale", "auto"]), st.floats(1e-3, 10)),
    scaler=st.sampled_from([None, (True, True), (True, False), (False, True)]),
    seed=st.integers(0, 100),
)
def test_scores_of_an_imported_model_are_scikit_learns(d, nu, gamma, scaler, seed):
    svm = OneClassSVM(nu=nu, gamma=gamma)
    estimator = make_pipeline(StandardScaler(with_mean=scaler[0], with_std=scaler[1]), svm) if scaler else svm
    estimator.fit(rows(d, seed=seed))

    model = import_it(estimator, NAMES[:d])

    with scratch_folder() as scratch:
        fleet = to_trainings([model], 300.0, {}, scratch)["vibration"].model
    X = rows(d, seed=seed + 1)
    ours = decision_function(rbf_models(fleet.rows), X, np.array([0, len(X)]))
    np.testing.assert_allclose(
        ours, estimator.decision_function(X).ravel(), rtol=0, atol=1e-9 * abs(model.intercept)
    )


def test_features_are_those_it_was_fitted_with_or_named_or_one_mean():
    frame = pd.DataFrame(rows(2), columns=["value", "std"])
    named = make_pipeline(StandardScaler(), OneClassSVM(nu=0.1)).fit(frame)

    assert import_it(named).features == ("mean", "std")
    assert import_it(OneClassSVM(nu=0.1).fit(rows(1))).features == ("mean",)
    assert import_it(OneClassSVM(nu=0.1).fit(rows(2)), ("a", "b")).features == ("a", "b")
    with pytest.raises(InputError, match="what its 2 features are; name them in order, such as --features"):
        import_it(OneClassSVM(nu=0.1).fit(rows(2)))
    with pytest.raises(InputError, match="name them all with --features"):
        import_it(OneClassSVM(nu=0.1).fit(rows(2)), ("a",))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            make_pipeline(MinMaxScaler(), OneClassSVM()).fit(rows()),
            "holds MinMaxScaler, OneClassSVM; expected",
        ),
        (StandardScaler().fit(rows()), "holds StandardScaler; expected a OneClassSVM"),
        (OneClassSVM(kernel="linear").fit(rows()), "kernel is 'linear', only 'rbf'"),
        (OneClassSVM(), "is not fitted"),
        (make_pipeline(StandardScaler(), OneClassSVM()), "is not fitted"),
        (OneClassSVM(nu=0.5).fit(csr_matrix(rows())), "fitted on a sparse matrix"),
        ({"a": 1}, "holds dict"),
    ],
)
def test_what_cannot_be_imported_is_told(estimator, message):
    with pytest.raises(InputError, match=f"the file: .*{message}"):
        import_it(estimator)


def test_numbers_that_are_not_finite_are_told():
    svm = OneClassSVM(nu=0.5).fit(rows())
    svm.support_vectors_ = svm.support_vectors_ * np.nan

    with pytest.raises(InputError, match="support_vectors holds a value that is not finite"):
        import_it(svm)


def test_a_model_whose_scores_differ_from_its_own_is_refused():
    svm = OneClassSVM(nu=0.5).fit(rows())
    svm.decision_function = lambda X: np.ones(len(X))

    with pytest.raises(InputError, match="our scores of this model differ from its own by up to"):
        import_it(svm)


def test_the_check_is_made_on_points_near_and_far():
    model = import_it(OneClassSVM(nu=0.1).fit(rows(2)), ("a", "b"))

    points = estimators._points(model)

    nearest = np.abs(points[:, None] - model.support_vectors[None]).max(axis=2).min(axis=1)
    assert points.shape == (256, 2)
    assert (nearest == 0).sum() == 64
    assert nearest.max() > 10
