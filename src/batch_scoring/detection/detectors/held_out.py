"""Treat the windows of a device with each block of time held out in turn, and score them so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.center_and_spread import center_and_spread
from batch_scoring.detection.detectors.combined_tails import SETTLING, CombinedModels, treat
from batch_scoring.detection.detectors.levels import Stays
from batch_scoring.detection.detectors.one_class_svm import RbfModel, fit_thinned_svm
from batch_scoring.detection.detectors.preprocessing import SLOTS, Roles, Seasonality
from batch_scoring.tables.arrays import Float, Int

# Of held-out windows all but one in a hundred are within reach.
_WITHIN = 0.99


@dataclass(frozen=True)
class Part:
    """A block of rows, measured by the others.

    Attributes
    ----------
    models : CombinedModels
        Median and spread of the other rows.
    rest : array of shape (d, n'), float64
        The other rows, treated.
    block : array of shape (n, d'), float64
        The rows of the block, treated.
    z : array of shape (n,), float64
        Their largest distance from the median, in spreads.
    z_of_mean : array of shape (n,), float64
        That of the mean.
    """

    models: CombinedModels
    rest: Float
    block: Float
    z: Float
    z_of_mean: Float


@dataclass(frozen=True)
class Training:
    """Windows of a device, to be fitted as a whole and with each block of time held out.

    Attributes
    ----------
    X : array of shape (n, d), float64
        Windows as aggregated.
    by_feature : array of shape (d, n), float64
        The same, counters differenced.
    start_us : array of shape (n,), int64
    window_us : int
    roles : Roles
    kind : int
        Position in ``preprocessing.KINDS``.
    season : Seasonality or None
    parameters : FitParameters
    stays : Stays or None
        Levels; only without a season.
    """

    X: Float
    by_feature: Float
    start_us: Int
    window_us: int
    roles: Roles
    kind: int
    season: Seasonality | None
    parameters: FitParameters
    stays: Stays | None = None

    def usual(self, held_out: slice, of_slot: Float | None) -> tuple[CombinedModels, Float]:
        """Compute median and spread of the rows that are not held out; returns these rows treated, too.

        Parameters
        ----------
        held_out : slice
        of_slot : array of shape (L, n_slots), float64, or None
            What the hours add to the levels, without these rows.
        """
        freed = _without(self.by_feature, held_out)
        of_hour = np.zeros((0, self.roles.levels.size, SLOTS))
        if self.season is not None and of_slot is not None:
            freed[self.roles.levels] -= of_slot[:, _without(self.season.slots, held_out)]
            of_hour = np.tile(of_slot, (1, SLOTS // self.season.n_slots))[None]
        center, spread = center_and_spread(freed.T)
        if self.roles.run >= 0:
            # No run of training is too long.
            center[self.roles.run] = self.X[:, self.roles.run].max()
        levels = None
        if self.stays is not None:
            state = _without(self.stays.state, held_out)
            levels = self.stays.levels(freed, state, center, spread, self.roles)
            freed = levels.moved(freed.T, 0, state, center, spread).T
        models = CombinedModels(
            np.full(1, self.kind),
            center[None],
            spread[None],
            np.zeros(1, np.int64) if len(of_hour) else np.full(1, -1),
            of_hour,
            np.full(1, SETTLING),
            np.zeros(1, np.int64),
            (self.parameters.timezone,),
            levels,
        )
        return models, freed

    def parts(self, blocks: Sequence[slice]) -> list[Part]:
        """Measure blocks of rows, each by the others."""
        found = []
        for place, block in enumerate(blocks):
            models, rest = self.usual(block, self.season.of_folds[place] if self.season else None)
            treated, z = self._treated(block, models)
            found.append(Part(models, rest, treated, z.max(axis=0), z[self.roles.mean]))
        return found

    def svm(self, treated: Float) -> RbfModel:
        """Fit the one-class SVM to treated rows, shape (d, n)."""
        share = treated.shape[1] / len(self.X)
        return fit_thinned_svm(treated[self.roles.of_svm].T, self.parameters, share)

    def held_out(self, parts: Sequence[Part]) -> tuple[Float, Float, Int]:
        """Score blocks of rows, each by models of the others.

        Returns
        -------
        ratio : array of shape (n,), float64
            ``score / rho`` of the SVM.
        z : array of shape (n,), float64
            The largest distance from the median, in spreads.
        counts : array of int64
            Rows of each block.
        """
        ratios = []
        for part in parts:
            svm = self.svm(part.rest)
            ratios.append(svm.score(part.block) / svm.rho)
        counts = np.array([ratio.size for ratio in ratios], np.int64)
        return np.concatenate(ratios), np.concatenate([part.z for part in parts]), counts

    def seen(self, blocks: Sequence[slice], models: CombinedModels, svm: RbfModel) -> tuple[Float, Float]:
        """Score blocks of rows by a model of all of them; ``ratio`` and ``z`` as of :meth:`held_out`."""
        treated, z = zip(*(self._treated(block, models) for block in blocks), strict=True)
        return svm.score(np.concatenate(treated)) / svm.rho, np.concatenate(z, axis=1).max(axis=0)

    def _treated(self, block: slice, models: CombinedModels) -> tuple[Float, Float]:
        counts = np.array([block.stop - block.start])
        return treat(self.X[block], self.start_us[block], self.window_us, counts, models, self.roles)


def reach(parts: Sequence[Part], roles: Roles) -> tuple[float, float]:
    """Compute how far the mean may be from the median, in its unit, within nearly all held-out distances.

    Of all blocks, or of the newest one alone if that reaches farther; at the level of the widest spread.

    Returns
    -------
    largest, of_mean : float
        Within the largest distances of all features, and within those of the mean.
    """
    models = parts[-1].models
    spread = models.spread[0, roles.mean]
    if models.levels is not None:
        spread = models.levels.spread[0, : models.levels.low.shape[1], roles.mean].max()
    z = [np.stack([part.z, part.z_of_mean]) for part in parts]
    every, newest = (np.quantile(some, _WITHIN, axis=1) for some in (np.concatenate(z, axis=1), z[-1]))
    largest, of_mean = (spread * np.maximum(every, newest)).tolist()
    return largest, of_mean


def _without(values: Any, held_out: slice) -> Any:
    """Return the values without those held out, along the last axis."""
    return np.concatenate([values[..., : held_out.start], values[..., held_out.stop :]], axis=-1)
