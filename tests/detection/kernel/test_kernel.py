"""Both kernels agree with scikit-learn, over any fleet, and each with itself in any company."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from batch_scoring.detection.kernel import compiled as kernel_compiled
from batch_scoring.detection.kernel import decision_function, in_numpy, score_rows
from batch_scoring.detection.kernel.rbf_models import RbfModels

KERNELS = [in_numpy.score_models, kernel_compiled.score_models]
both_kernels = pytest.mark.parametrize("kernel", KERNELS, ids=["numpy", "compiled"])


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


def test_this_machine_has_the_compiled_kernel():
    assert kernel_compiled.is_available(), "no C compiler when the project was installed, or no AVX2 or NEON"


@both_kernels
@given(fleets(), st.integers(1, 3))
def test_scores_and_labels_are_those_of_scikit_learn(kernel, fleet, n_threads):
    fitted, rows = fleet
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    scores, top = score_rows(stack(fitted), np.concatenate(rows), offsets, n_threads, kernel)
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
        assert (top[offsets[i] : offsets[i + 1]] == np.abs(scaler.transform(X)).argmax(axis=1)).all()


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


@pytest.mark.skipif(kernel_compiled.instruction_set(512) != "avx512f", reason="this processor has no AVX-512")
@given(st.integers(0, 2**32 - 1), st.integers(1, 16))
def test_processors_with_narrow_and_wide_vectors_give_the_same_bits(seed, d):
    rng = np.random.default_rng(seed)
    models, X, offsets = ragged(rng, rng.integers(0, 200, 12).tolist(), rng.integers(0, 15, 12).tolist(), d)
    wide, narrow = (np.empty(len(X)) for _ in range(2))
    top = np.empty(len(X), np.int32)
    kernel_compiled.score_models(models, X, offsets, slice(0, 12), wide, top, bits=512)
    kernel_compiled.score_models(models, X, offsets, slice(0, 12), narrow, top, bits=256)
    np.testing.assert_array_equal(wide, narrow)


def test_a_library_that_was_not_built_is_not_called(monkeypatch):
    monkeypatch.setattr(kernel_compiled, "_library", lambda: None)
    assert not kernel_compiled.is_available()
    models, X, offsets = ragged(np.random.default_rng(5), [3, 4], [2, 2], 2)
    expected = score_rows(models, X, offsets, kernel=in_numpy.score_models)[0]
    np.testing.assert_array_equal(decision_function(models, X, offsets), expected)
    with pytest.raises(RuntimeError, match="not built"):
        score_rows(models, X, offsets, kernel=kernel_compiled.score_models)


def test_a_processor_without_fitting_vectors_is_named_in_the_error():
    models, X, offsets = ragged(np.random.default_rng(6), [3], [2], 2)
    assert kernel_compiled.instruction_set(64) == ""
    assert not kernel_compiled.is_available(64)
    with pytest.raises(RuntimeError, match="64 bits"):
        kernel_compiled.score_models(
            models, X, offsets, slice(0, 1), np.empty(2), np.empty(2, np.int32), bits=64
        )


@both_kernels
@given(st.integers(0, 2**32 - 1))
def test_a_window_has_the_same_score_to_the_last_bit_in_any_company(kernel, seed):
    rng = np.random.default_rng(seed)
    n_sv, n_rows = rng.integers(0, 700, 20).tolist(), rng.integers(0, 40, 20).tolist()
    models, X, offsets = ragged(rng, n_sv, n_rows, 3)
    together, _ = score_rows(models, X, offsets, kernel=kernel)
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
        rows = X[offsets[i] : offsets[i + 1]][some]
        alone, _ = score_rows(one, rows, np.array([0, some.size]), kernel=kernel)
        np.testing.assert_array_equal(together[offsets[i] : offsets[i + 1]][some], alone)


@pytest.mark.parametrize("pairs", [1, 64, 10**9])
def test_the_size_of_a_batch_changes_no_score(pairs, monkeypatch):
    models, X, offsets = ragged(np.random.default_rng(1), [3, 0, 50, 7], [5, 4, 33, 1], 4)
    numpy = in_numpy.score_models
    expected, _ = score_rows(models, X, offsets, kernel=numpy)
    monkeypatch.setattr(in_numpy, "BATCH_PAIRS", pairs)
    np.testing.assert_array_equal(score_rows(models, X, offsets, kernel=numpy)[0], expected)


@both_kernels
def test_a_row_that_is_not_finite_leaves_the_others_alone(kernel):
    models, X, offsets = ragged(np.random.default_rng(2), [10, 10], [4, 4], 2)
    expected, _ = score_rows(models, X, offsets, kernel=kernel)
    X[1, 0], X[6, 1] = np.nan, np.inf
    scores, _ = score_rows(models, X, offsets, kernel=kernel)
    fine = [0, 2, 3, 4, 5, 7]
    np.testing.assert_array_equal(scores[fine], expected[fine])


@both_kernels
def test_infinitely_far_away_the_score_is_minus_rho(kernel):
    models, _, _ = ragged(np.random.default_rng(3), [10], [1], 2)
    score, _ = score_rows(models, np.full((1, 2), 1e300), np.array([0, 1]), kernel=kernel)
    assert score[0] == -models.rho[0]
