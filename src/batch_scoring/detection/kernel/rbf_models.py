"""Parameters of many one-class SVMs as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.tables.arrays import Float, Int


@dataclass(frozen=True)
class RbfModels:
    """Parameters of D models over d features, ragged in their support vectors; views of the table.

    Attributes
    ----------
    mean, scale : array of shape (D, d), float64
        ``z = (x - mean) / scale``.
    gamma, rho : array of shape (D,), float64
    sv_offsets : array of shape (D + 1,), int64
        Model i owns the support vectors ``sv_offsets[i]:sv_offsets[i + 1]``.
    support_vectors : array of shape (V, d), float64
        All support vectors, in scaled units.
    dual_coef : array of shape (V,), float64
    """

    mean: Float
    scale: Float
    gamma: Float
    rho: Float
    sv_offsets: Int
    support_vectors: Float
    dual_coef: Float
