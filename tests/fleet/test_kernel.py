"""The kernel agrees with scikit-learn, over any fleet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from batch_scoring.fleet import kernel
from batch_scoring.fleet.kernel import decision_function
from batch_scoring.fleet.model import RbfModels


def stack(fitted: list[tuple[StandardScaler, OneClassSVM]]) -> RbfModels:
    n_sv = [len(svm.support_vectors_) for _, svm in fitted]
    return RbfModels(
        mean=np.array([scaler.mean_ for scaler, _ in fitted]),
        scale=np.array([scaler.scale_ for scaler, _ in fitted]),
        gamma=np.array([svm._gamma for _, svm in fitted]),
        rho=np.array([-svm.intercept_[0] for _, svm in fitted]),
        sv_offsets=np.concatenate([[0], np.cumsum(n_sv)]),
        support_vectors=np.concatenate([svm.support_vectors_ for _, svm in fitted]),
        dual_coef=np.concatenate([svm.dual_coef_[0] for _, svm in fitted]),
    )


@st.composite
def fleets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, 16))
    n_train = draw(st.lists(st.integers(2, 500), min_size=1, max_size=6))
    n_rows = [draw(st.integers(0, 60)) for _ in n_train]
    fitted, rows = [], []
    for n, m in zip(n_train, n_rows, strict=True):
        # nu near 1 makes every training row a support vector; gammas reach from flat to needles.
        nu = draw(st.sampled_from([0.01, 0.1, 0.5, 0.99]))
        gamma = draw(st.sampled_from(["scale", "auto", 1e-8, 1e-3, 1.0, 1e3, 1e8]))
        X = rng.normal(rng.normal(scale=1e3), 10.0 ** rng.uniform(-3, 3), size=(n, d))
        scaler = StandardScaler().fit(X)
        svm = OneClassSVM(nu=nu, gamma=gamma).fit(scaler.transform(X))
        fitted.append((scaler, svm))
        far = rng.choice([0.0, 1.0, 100.0], size=(m, 1))
        rows.append(X[rng.integers(0, n, m)] + far * scaler.scale_ * rng.normal(size=(m, d)))
    return fitted, rows


@settings(max_examples=60, deadline=None)
@given(fleets(), st.integers(1, 3))
def test_scores_and_labels_are_those_of_scikit_learn(fleet, n_threads):
    fitted, rows = fleet
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    scores = decision_function(stack(fitted), np.concatenate(rows), offsets, n_threads)
    for i, ((scaler, svm), X) in enumerate(zip(fitted, rows, strict=True)):
        ours = scores[offsets[i] : offsets[i + 1]]
        if len(X) == 0:
            assert ours.size == 0
            continue
        theirs = svm.decision_function(scaler.transform(X))
        scale = max(1.0, np.abs(svm.dual_coef_).sum())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * scale)
        clear = np.abs(theirs) > 1e-9 * scale
        assert ((ours < 0) == (svm.predict(scaler.transform(X)) < 0))[clear].all()


def ragged(rng, n_sv, n_rows, d):
    D = len(n_sv)
    models = RbfModels(
        mean=rng.normal(size=(D, d)),
        scale=rng.uniform(0.5, 2, size=(D, d)),
        gamma=rng.uniform(0.01, 2, size=D),
        rho=rng.uniform(0, 1, size=D),
        sv_offsets=np.concatenate([[0], np.cumsum(n_sv)]),
        support_vectors=rng.normal(size=(sum(n_sv), d)),
        dual_coef=rng.uniform(0, 1, size=sum(n_sv)),
    )
    return models, rng.normal(size=(sum(n_rows), d)), np.concatenate([[0], np.cumsum(n_rows)])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_window_has_the_same_score_to_the_last_bit_in_any_company(seed):
    rng = np.random.default_rng(seed)
    n_sv, n_rows = rng.integers(0, 700, 20).tolist(), rng.integers(0, 40, 20).tolist()
    models, X, offsets = ragged(rng, n_sv, n_rows, 3)
    together = decision_function(models, X, offsets)
    for i in range(20):
        sv = slice(models.sv_offsets[i], models.sv_offsets[i + 1])
        one = RbfModels(
            models.mean[[i]],
            models.scale[[i]],
            models.gamma[[i]],
            models.rho[[i]],
            np.array([0, n_sv[i]]),
            models.support_vectors[sv],
            models.dual_coef[sv],
        )
        some = rng.permutation(n_rows[i])[: rng.integers(0, n_rows[i] + 1)]
        alone = decision_function(one, X[offsets[i] : offsets[i + 1]][some], np.array([0, some.size]))
        np.testing.assert_array_equal(together[offsets[i] : offsets[i + 1]][some], alone)


@pytest.mark.parametrize("pairs", [1, 64, 10**9])
def test_the_size_of_a_batch_changes_no_score(pairs, monkeypatch):
    models, X, offsets = ragged(np.random.default_rng(1), [3, 0, 50, 7], [5, 4, 33, 1], 4)
    expected = decision_function(models, X, offsets)
    monkeypatch.setattr(kernel, "BATCH_PAIRS", pairs)
    np.testing.assert_array_equal(decision_function(models, X, offsets), expected)


def test_a_row_that_is_not_finite_leaves_the_others_alone():
    models, X, offsets = ragged(np.random.default_rng(2), [10, 10], [4, 4], 2)
    expected = decision_function(models, X, offsets)
    X[1, 0], X[6, 1] = np.nan, np.inf
    scores = decision_function(models, X, offsets)
    fine = [0, 2, 3, 4, 5, 7]
    np.testing.assert_array_equal(scores[fine], expected[fine])


def test_infinitely_far_away_the_score_is_minus_rho():
    models, _, _ = ragged(np.random.default_rng(3), [10], [1], 2)
    score = decision_function(models, np.full((1, 2), 1e300), np.array([0, 1]))
    assert score[0] == -models.rho[0]
