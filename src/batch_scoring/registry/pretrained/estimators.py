"""Convert a fitted scikit-learn pipeline to plain numbers, checked against the pipeline itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.one_class_svm import rbf_models
from batch_scoring.detection.kernel import decision_function
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.registry.pretrained.json_form import FEATURE_OF_READINGS
from batch_scoring.registry.pretrained.models import PretrainedModel
from batch_scoring.tables.arrays import Float
from batch_scoring.tables.schemas import MODELS

AGREEMENT = 1e-9
_N_CHECKED = 256


def from_estimator(
    estimator: Any, device: str, sensor: str, features: tuple[str, ...] | None, source: str
) -> PretrainedModel:
    """Extract the numbers of ``Pipeline(StandardScaler, OneClassSVM(kernel="rbf"))`` or the bare SVM.

    Parameters
    ----------
    estimator : sklearn.pipeline.Pipeline or sklearn.svm.OneClassSVM
        Fitted.
    features : tuple of str, optional
        Names of its features. Without it, those it was fitted with; else a single one is ``mean``.
    source : str
        The file, for messages.

    Raises
    ------
    InputError
        When it is anything else, is not fitted, or our scores of it differ from its own.
    """
    scaler, svm = _parts(estimator, source)
    support_vectors = np.asarray(svm.support_vectors_, np.float64)
    d = support_vectors.shape[1]
    mean, scale = _scaling(scaler, d)
    model = PretrainedModel(
        device=device,
        sensor=sensor,
        features=features or _feature_names(scaler, svm, d, source),
        nu=float(svm.nu),
        # The number; `gamma` itself may be the word "scale".
        gamma=float(svm._gamma),
        intercept=float(svm.intercept_[0]),
        mean=mean,
        scale=scale,
        support_vectors=support_vectors,
        dual_coef=np.asarray(svm.dual_coef_, np.float64).ravel(),
        n_train=int(svm.shape_fit_[0]),
        library=str(getattr(svm, "__sklearn_version__", None) or version("scikit-learn")),
        source=source,
    )
    model.check()
    _require_agreement(model, estimator)
    return model


def _parts(estimator: Any, source: str) -> tuple[Any, Any]:
    from scipy.sparse import issparse
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    expected = "expected a OneClassSVM, or a Pipeline of StandardScaler and OneClassSVM"
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kinds = [type(step) for step in steps]
    if kinds not in ([StandardScaler, OneClassSVM], [OneClassSVM]):
        raise InputError(f"{source}: holds {', '.join(kind.__name__ for kind in kinds)}; {expected}")
    svm = steps[-1]
    if svm.kernel != "rbf":
        raise InputError(f"{source}: its kernel is {svm.kernel!r}, only 'rbf' can be imported")
    if not hasattr(svm, "support_vectors_") or (len(steps) == 2 and not hasattr(steps[0], "n_samples_seen_")):
        raise InputError(f"{source}: is not fitted; fit it, and save it again")
    if issparse(svm.support_vectors_):
        raise InputError(f"{source}: was fitted on a sparse matrix; fit it on a dense one")
    return (steps[0] if len(steps) == 2 else None), svm


def _scaling(scaler: Any, d: int) -> tuple[Float, Float]:
    mean, scale = np.zeros(d), np.ones(d)
    if scaler is not None and scaler.with_mean:
        mean = np.asarray(scaler.mean_, np.float64)
    if scaler is not None and scaler.with_std:
        scale = np.asarray(scaler.scale_, np.float64)
    return mean, scale


def _feature_names(scaler: Any, svm: Any, d: int, source: str) -> tuple[str, ...]:
    for part in (scaler, svm):
        names = getattr(part, "feature_names_in_", None)
        if names is not None:
            return tuple(FEATURE_OF_READINGS.get(str(name), str(name)) for name in names)
    if d != 1:
        raise InputError(
            f"{source}: does not record what its {d} features are; name them in order, such as "
            "--features mean,std"
        )
    return ("mean",)


def _require_agreement(model: PretrainedModel, estimator: Any) -> None:
    table = pa.Table.from_pylist([model.row()], schema=MODELS)
    fleet = FleetModel.build(table, FleetInfo(model.sensor, model.features, 1.0, {}))
    points = _points(model)
    ours = decision_function(rbf_models(fleet.rows), points, np.array([0, len(points)]))
    theirs = np.asarray(estimator.decision_function(points)).ravel()
    difference = np.abs(ours - theirs) / np.maximum(np.abs(theirs), abs(model.intercept))
    if not (difference <= AGREEMENT).all():
        raise InputError(
            f"{model.source}: our scores of this model differ from its own by up to {difference.max():.1e} "
            f"(relative), more than {AGREEMENT:g}; it was made or changed in a way that cannot be imported"
        )


def _points(model: PretrainedModel) -> Float:
    """Draw points near and far from the support vectors, in raw units, the same at every import."""
    random = np.random.default_rng(0)
    near = model.support_vectors[random.integers(0, len(model.support_vectors), _N_CHECKED)]
    spread = np.repeat([0.0, 0.1, 1.0, 10.0], _N_CHECKED // 4)[:, None]
    return (near + spread * random.normal(size=near.shape)) * model.scale + model.mean
