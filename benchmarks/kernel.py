"""Both kernels beside scikit-learn's decision function and NumPy's bare exponential, on the same pairs.

    python benchmarks/kernel.py [--models 2000] [--json]

Random fleets with about 70 support vectors a model and 12 windows each. The scores are compared
first. Times are the best of several rounds in turn, one thread unless said, per pair of a window
and a support vector. Our kernel is timed with each instruction set of this processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from batch_scoring.detection.kernel import compiled as kernel_compiled
from batch_scoring.detection.kernel import in_numpy, score_rows
from batch_scoring.detection.kernel.rbf_models import RbfModels

WINDOWS, TRAIN, ROUNDS = 12, 600, 7
# Of this processor, by the bits of its vectors; the first is the one that scores.
INSTRUCTION_SETS = {kernel_compiled.instruction_set(bits): bits for bits in (512, 256)}
INSTRUCTION_SETS.pop("", None)
NAMES = {
    "sklearn": "scikit-learn",
    "numpy": "NumPy kernel",
    **{name: f"ours, {name}" for name in INSTRUCTION_SETS},
    "ours_2": "ours, 2 threads",
    "exp": "np.exp",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print one object")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        results = {d: measure(arguments.models, d) for d in (1, 6, 16)}
    if arguments.json:
        over_exp = {
            name: {d: r[name] / r["exp"] for d, r in results.items()}
            for name in INSTRUCTION_SETS or ("numpy",)
        }
        first = next(iter(over_exp))
        # The worst number of features is the one that has to hold.
        figures = {"kernel_over_exp": max(over_exp[first].values()), "instruction_set": first}
        print(
            json.dumps(
                figures | {"kernel_over_exp_by_features": over_exp, "nanoseconds_by_features": results}
            )
        )
        return
    print(f"compiled kernel: {', '.join(INSTRUCTION_SETS) or 'none, NumPy scores'}\n")
    columns = [f"{name}, ns" for name in NAMES.values()]
    ratios = [f"{name} / np.exp (bound 4)" for name in INSTRUCTION_SETS]
    print("| features | " + " | ".join((*columns, *ratios)) + " |")
    print("|---" * (len(columns) + len(ratios) + 1) + "|")
    for d, r in results.items():
        numbers = [r[name] for name in NAMES] + [r[name] / r["exp"] for name in INSTRUCTION_SETS]
        print(f"| {d} | " + " | ".join(f"{x:.2f}" for x in numbers) + " |")


def measure(n_models: int, d: int) -> dict[str, float]:
    """Nanoseconds a pair, by who computes it."""
    rng = np.random.default_rng(d)
    # Fifty fits stand for all models: what is scored are arrays, whoever made them.
    fitted = [fit(rng.normal(size=(TRAIN, d))) for _ in range(50)]
    pipelines = [fitted[i % len(fitted)] for i in range(n_models)]
    models = stack(pipelines)
    X = rng.normal(size=(n_models * WINDOWS, d))
    offsets = np.arange(n_models + 1) * WINDOWS

    def sklearn() -> np.ndarray:
        parts = (X[i * WINDOWS :][:WINDOWS] for i in range(n_models))
        scored = (
            svm.decision_function(scaler.transform(x))
            for (scaler, svm), x in zip(pipelines, parts, strict=True)
        )
        return np.concatenate(list(scored))

    def ours(n_threads: int = 1, bits: int = kernel_compiled.WIDEST) -> np.ndarray:
        if not INSTRUCTION_SETS:
            return numpy()
        return score_rows(models, X, offsets, n_threads, partial(kernel_compiled.score_models, bits=bits))[0]

    def numpy() -> np.ndarray:
        return score_rows(models, X, offsets, 1, in_numpy.score_models)[0]

    expected = sklearn()
    for scores in (*(ours(bits=bits) for bits in INSTRUCTION_SETS.values()), ours(2), numpy()):
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    exponents, out = -rng.random(16_384), np.empty(16_384)
    pairs = models.dual_coef.size * WINDOWS
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, n, work in (
            ("sklearn", pairs, sklearn),
            ("numpy", pairs, numpy),
            *((name, pairs, partial(ours, bits=bits)) for name, bits in INSTRUCTION_SETS.items()),
            ("ours_2", pairs, lambda: ours(2)),
            ("exp", 100 * exponents.size, lambda: [np.exp(exponents, out=out) for _ in range(100)]),
        ):
            best[name] = min(best.get(name, np.inf), seconds(work) / n * 1e9)
    return best


def fit(X: np.ndarray) -> tuple[StandardScaler, OneClassSVM]:
    scaler = StandardScaler().fit(X)
    return scaler, OneClassSVM(nu=0.11).fit(scaler.transform(X))


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


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
