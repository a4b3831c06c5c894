"""Two versions of a sensor's models on the same windows: their budgets, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.flag_rate import begins_alarm, least_rate
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.score import predict
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import positions, to_arrow, to_numpy

# A device with fewer windows says nothing of how its scores are ordered.
_LEAST_TO_RANK = 20


@dataclass(frozen=True)
class PromotionLimits:
    """When a challenger is not worse than the champion; see ``train.promotion``.

    Attributes
    ----------
    min_windows : int
        With fewer held-out windows the flags say nothing.
    max_over_target : float
        The challenger may flag so many times its target …
    max_over_champion : float
        … or so many times what the champion flags, by the target of each.
    max_lost_models : float
        So large a share of the devices that send windows and have a model of the champion may be
        without one.
    min_rank_stability : float
        Models of one kind order the windows of a device at least so much alike.
    """

    min_windows: int = 100
    max_over_target: float = 1.3
    max_over_champion: float = 1.1
    max_lost_models: float = 0.01
    min_rank_stability: float = 0.2


@dataclass(frozen=True)
class Figures:
    """What one version does with the windows it has models for.

    Attributes
    ----------
    models : int
        Devices with a model, of those that have windows; of all, where there are no windows.
    windows, flagged, alarms : int
        Windows that were judged, anomalous ones, and the runs these come in.
    target : float or None
        The share of normal windows that it may flag; None where it does not say.
    """

    models: int = 0
    windows: int = 0
    flagged: int = 0
    alarms: int = 0
    target: float | None = None

    @property
    def flag_rate(self) -> float | None:
        """The share of the windows that it flags."""
        return self.flagged / self.windows if self.windows else None

    @property
    def over_target(self) -> float | None:
        """How many times its target that is."""
        return self.flag_rate / self.target if self.target and self.flag_rate is not None else None

    @property
    def surely_over_target(self) -> float | None:
        """The same, at least: 99 % sure that it is no chance."""
        if not self.target or not self.windows:
            return None
        return float(least_rate(self.flagged, self.alarms, self.windows)) / self.target


@dataclass(frozen=True)
class Comparison:
    """A challenger beside the champion.

    Attributes
    ----------
    challenger, champion : Figures
    lost_models : float
        The share of the champion's devices, those that send windows, of which the challenger has no model.
    flag_agreement : float or None
        Windows that both flag, of those that either flags.
    rank_stability : float or None
        Spearman's correlation of the scores, mean over the devices.
    is_alike : bool
        Whether both are of one detector over the same features.
    """

    challenger: Figures
    champion: Figures
    lost_models: float = 0.0
    flag_agreement: float | None = None
    rank_stability: float | None = None
    is_alike: bool = True

    def numbers(self) -> dict[str, float]:
        """All of it that is known, by name."""
        told: dict[str, float | None] = {}
        for who in ("challenger", "champion"):
            one: Figures = getattr(self, who)
            told |= {f"{who}_{each.name}": getattr(one, each.name) for each in fields(one)}
            told |= {f"{who}_{name}": getattr(one, name) for name in ("flag_rate", "over_target")}
        told["challenger_surely_over_target"] = self.challenger.surely_over_target
        told |= {n: getattr(self, n) for n in ("lost_models", "flag_agreement", "rank_stability")}
        return {name: float(value) for name, value in told.items() if value is not None}


def decide(found: Comparison, limits: PromotionLimits) -> tuple[bool, str]:
    """Whether the challenger may take the champion's place, and why.

    Too few held-out windows cannot tell that it is worse, so they promote it: whoever trains on all
    there is wants these models. That models are missing is told without windows.
    """
    if found.lost_models > limits.max_lost_models:
        share = f"{found.lost_models:.1%}"
        return False, f"{share} of the champion's devices that send would be without a model"
    challenger, champion = found.challenger, found.champion
    if challenger.windows < limits.min_windows:
        return True, f"{challenger.windows} held-out windows are too few to compare on"
    surely, limit = challenger.surely_over_target, limits.max_over_target
    if surely is not None:
        limit = max(limit, limits.max_over_champion * (champion.over_target or 0.0))
        if surely > limit:
            over = f"{challenger.over_target:.2g} times its target, at least {surely:.2g}"
            return False, f"it flags {over}; {limit:.2g} would be allowed"
    stability = found.rank_stability
    if found.is_alike and stability is not None and stability < limits.min_rank_stability:
        return False, f"it orders the windows otherwise than the champion (rank correlation {stability:.2f})"
    return True, "not worse than the champion"


class ChampionChallenger:
    """Scores windows with both versions, a range of devices at a time, and adds up the outcome.

    Parameters
    ----------
    targets : (float or None, float or None)
        The share that challenger and champion may flag, where their detectors do not state it with
        each threshold.
    """

    def __init__(self, targets: tuple[float | None, float | None] = (None, None)) -> None:
        self._targets = targets
        self._counts = np.zeros((2, 4), np.int64)
        self._sum_of_targets: list[float | None] = [None, None]
        self._n_lost = self._n_both_flag = self._n_either_flags = 0
        self._rank_sum, self._n_ranked = 0.0, 0
        self._details: list[tuple[str, tuple[str, ...]]] = [("", ()), ("", ())]

    def add(self, windows: pa.Table, challenger: FleetModel, champion: FleetModel | None) -> None:
        """Add the windows of some devices.

        Parameters
        ----------
        windows : pyarrow.Table
            All of these devices, in any order, with the features of both versions.
        challenger, champion : FleetModel
            The models of these devices. None for a champion that cannot score these windows.
        """
        names = pc.unique(windows["device"])
        order = np.lexsort((to_numpy(windows["window_start"]), positions(windows["device"], names)))
        windows = windows.take(to_arrow(order)).combine_chunks()
        device = positions(windows["device"], names)
        row_of = np.arange(windows.num_rows, dtype=np.uint64)
        modelled, judged = [], []
        for who, model in enumerate((challenger, champion)):
            scores, flags = np.full(device.size, np.nan), np.zeros(device.size, np.bool_)
            has_model = np.zeros(len(names), np.bool_)
            if model is not None:
                place = positions(model.devices, names)
                has_model[place[place >= 0]] = True
                # The fingerprint of a prediction is here the row it is of.
                predictions = predict(windows, model, "", fingerprints=row_of)
                rows = to_numpy(predictions["window_fingerprint"]).astype(np.int64)
                scores[rows], flags[rows] = (to_numpy(predictions[n]) for n in ("score", "is_anomaly"))
                self._count(who, model, predictions, device[rows], flags[rows], has_model)
            modelled.append(has_model)
            judged.append((scores, flags))
        self._n_lost += int(np.count_nonzero(modelled[1] & ~modelled[0]))
        (ours, our_flags), (theirs, their_flags) = judged
        both = np.isfinite(ours) & np.isfinite(theirs)
        self._n_both_flag += int(np.count_nonzero(our_flags & their_flags & both))
        self._n_either_flags += int(np.count_nonzero((our_flags | their_flags) & both))
        correlations = rank_correlations(device[both], ours[both], theirs[both])
        self._rank_sum += float(correlations.sum())
        self._n_ranked += correlations.size

    def result(self) -> Comparison:
        """What the windows added so far say."""
        n_champion = int(self._counts[1, 0])
        return Comparison(
            self._figures(0),
            self._figures(1),
            self._n_lost / n_champion if n_champion else 0.0,
            self._n_both_flag / self._n_either_flags if self._n_either_flags else None,
            self._rank_sum / self._n_ranked if self._n_ranked else None,
            self._details[0] == self._details[1],
        )

    def _count(
        self, who: int, model: FleetModel, predictions: pa.Table, device: Int, flags: Bool, has_model: Bool
    ) -> None:
        alarms = np.count_nonzero(begins_alarm(device, flags))
        self._counts[who] += [np.count_nonzero(has_model), flags.size, np.count_nonzero(flags), alarms]
        self._details[who] = (model.info.detector, model.info.features)
        if model.detector.states_tail_probability:
            stated = float((10.0 ** to_numpy(predictions["threshold"])).sum())
            self._sum_of_targets[who] = (self._sum_of_targets[who] or 0.0) + stated

    def _figures(self, who: int) -> Figures:
        models, windows, flagged, alarms = self._counts[who].tolist()
        target, stated = self._targets[who], self._sum_of_targets[who]
        if stated is not None and windows:
            target = stated / windows
        return Figures(models, windows, flagged, alarms, target)


def rank_correlations(device: Int, one: Float, other: Float) -> Float:
    """Spearman's correlation of two numbers, of each device with at least 20 windows whose numbers differ.

    Parameters
    ----------
    device : array of shape (n,), int64
        Sorted.
    one, other : array of shape (n,), float64
        Finite.

    Examples
    --------
    >>> rising = np.arange(40.0)
    >>> rank_correlations(np.repeat([0, 1], 20), rising, np.append(rising[:20], -rising[20:])).tolist()
    [1.0, -1.0]
    """
    if device.size == 0:
        return np.zeros(0)
    _, place, n = np.unique(device, return_inverse=True, return_counts=True)
    left, right = (_centered_ranks(place, n, values) for values in (one, other))

    def of_device(values: Float) -> Float:
        return np.bincount(place, values, minlength=n.size).astype(np.float64)

    spread = of_device(left**2) * of_device(right**2)
    has = (n >= _LEAST_TO_RANK) & (spread > 0)
    return of_device(left * right)[has] / np.sqrt(spread[has])


def _centered_ranks(device: Int, n: Int, values: Float) -> Float:
    """The rank of each value in its device, equal values sharing theirs, less the device's mean rank."""
    order = np.lexsort((values, device))
    sorted_values, sorted_device = values[order], device[order]
    is_new = np.append(True, (np.diff(sorted_values) != 0) | (np.diff(sorted_device) != 0))
    first = np.flatnonzero(is_new)
    size = np.diff(first, append=values.size)
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(first + (size - 1) / 2, size)
    before = np.cumsum(n) - n
    centered: Float = ranks - (before + (n - 1) / 2)[device]
    return centered
