"""Compare two versions of a sensor's models on the same windows: flag rates and agreement."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.detectors import HasKinds
from batch_scoring.detection.flag_rate import begins_alarm, least_rate
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.score import predict
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import positions, to_arrow, to_numpy

# With fewer windows, a device's rank correlation means nothing.
_LEAST_TO_RANK = 20
# Scores that are all equal differ by rounding only; with one other value it is above 0.5.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class PromotionLimits:
    """Limits within which a challenger counts as not worse than the champion; see ``train.promotion``.

    Attributes
    ----------
    min_windows : int
        Minimum number of held-out windows for comparing flags.
    max_over_target : float
        Maximum flag rate of the challenger in multiples of its target …
    max_over_champion : float
        … or of the champion's multiple of its own target, whichever is larger.
    max_lost_models : float
        Maximum share of the devices with windows and a champion's model that may have no challenger's.
    min_rank_stability : float
        Minimum top-down correlation of the scores of a device, for models of one detector.
    """

    min_windows: int = 100
    max_over_target: float = 1.3
    max_over_champion: float = 1.1
    max_lost_models: float = 0.01
    min_rank_stability: float = 0.2


@dataclass(frozen=True)
class Figures:
    """Flag counts of one version on the windows that it can score.

    Attributes
    ----------
    models : int
        Devices with windows and a model; all devices with a model, where there are no windows.
    windows, flagged, alarms : int
        Scored windows, flagged ones, and runs of flagged ones.
    target : float or None
        Share of normal windows that it may flag; None if unknown.
    """

    models: int = 0
    windows: int = 0
    flagged: int = 0
    alarms: int = 0
    target: float | None = None

    @property
    def flag_rate(self) -> float | None:
        """Share of the windows that are flagged."""
        return self.flagged / self.windows if self.windows else None

    @property
    def over_target(self) -> float | None:
        """Flag rate in multiples of the target."""
        return self.flag_rate / self.target if self.target and self.flag_rate is not None else None

    @property
    def surely_over_target(self) -> float | None:
        """Lower 99 % confidence bound of :attr:`over_target`."""
        if not self.target or not self.windows:
            return None
        return float(least_rate(self.flagged, self.alarms, self.windows)) / self.target


@dataclass(frozen=True)
class Comparison:
    """Comparison of a challenger with the champion.

    Attributes
    ----------
    challenger, champion : Figures
    lost_models : float
        Share of the champion's devices with windows for which the challenger has no model.
    flag_agreement : float or None
        Windows flagged by both, as a share of those flagged by either.
    rank_stability : float or None
        Mean over the devices of the top-down correlation of the scores.
    is_alike : bool
        Whether both use the same detector and features.
    """

    challenger: Figures
    champion: Figures
    lost_models: float = 0.0
    flag_agreement: float | None = None
    rank_stability: float | None = None
    is_alike: bool = True

    def numbers(self) -> dict[str, float]:
        """Return all known figures by name."""
        figures: dict[str, float | None] = {}
        for who in ("challenger", "champion"):
            one: Figures = getattr(self, who)
            figures |= {f"{who}_{each.name}": getattr(one, each.name) for each in fields(one)}
            figures |= {f"{who}_{name}": getattr(one, name) for name in ("flag_rate", "over_target")}
        figures["challenger_surely_over_target"] = self.challenger.surely_over_target
        figures |= {n: getattr(self, n) for n in ("lost_models", "flag_agreement", "rank_stability")}
        return {name: float(value) for name, value in figures.items() if value is not None}


OVER_BUDGET_ADVICE = (
    "if the machines work differently now, train on newer windows (train.range with a short train.hold_out); "
    "if they are faulty, confirm it in the feedback (true_event), which leaves these windows out"
)


def decide(found: Comparison, limits: PromotionLimits) -> tuple[bool, str]:
    """Decide whether the challenger replaces the champion, and give the reason.

    Too few held-out windows cannot show that it is worse, so it is promoted: training on all windows
    asks for these models. Missing models are detected without windows.
    """
    if found.lost_models > limits.max_lost_models:
        share = f"{found.lost_models:.1%}"
        return False, f"{share} of the champion's devices with windows would lose their model"
    challenger, champion = found.challenger, found.champion
    if challenger.windows < limits.min_windows:
        return True, f"{challenger.windows} held-out windows are too few to compare on"
    surely, limit = challenger.surely_over_target, limits.max_over_target
    over = f"it flags {challenger.over_target or 0:.2g} times its target, at least {surely or 0:.2g}"
    if surely is not None:
        limit = max(limit, limits.max_over_champion * (champion.over_target or 0.0))
        if surely > limit:
            return False, f"{over}; the limit is {limit:.2g}; {OVER_BUDGET_ADVICE}"
    stability = found.rank_stability
    if found.is_alike and stability is not None and stability < limits.min_rank_stability:
        return False, f"it ranks the windows differently from the champion (rank correlation {stability:.2f})"
    if is_over_budget(found, limits):
        return True, (
            f"not worse than the champion, but over its budget: it flags {challenger.over_target:.2g} times "
            f"its target, the champion {champion.over_target:.2g} times; "
            f"the limit is {limits.max_over_target:.2g}; {OVER_BUDGET_ADVICE}"
        )
    return True, "not worse than the champion"


def is_over_budget(found: Comparison, limits: PromotionLimits) -> bool:
    """Whether the challenger surely flags more than its own budget allows, whatever the champion does."""
    surely = found.challenger.surely_over_target
    enough = found.challenger.windows >= limits.min_windows
    return enough and surely is not None and surely > limits.max_over_target


class ChampionChallenger:
    """Scores windows with both versions, one range of devices at a time, and adds up the figures.

    Parameters
    ----------
    targets : (float or None, float or None)
        Shares that challenger and champion may flag, unless their detectors derive them from each
        threshold.
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
            All windows of these devices, in any order, with the features of both versions.
        challenger, champion : FleetModel
            The models of these devices. None for a champion that cannot score these windows.
        """
        names = pc.unique(windows["device"])
        order = np.lexsort((to_numpy(windows["window_start"]), positions(windows["device"], names)))
        windows = windows.take(to_arrow(order)).combine_chunks()
        device = positions(windows["device"], names)
        row_of = np.arange(windows.num_rows, dtype=np.uint64)
        modelled, scored = [], []
        kind = np.zeros((2, len(names)), np.int64)
        for who, model in enumerate((challenger, champion)):
            scores, flags = np.full(device.size, np.nan), np.zeros(device.size, np.bool_)
            has_model = np.zeros(len(names), np.bool_)
            if model is not None:
                place = positions(model.devices, names)
                has_model[place[place >= 0]] = True
                if isinstance(model.detector, HasKinds):
                    kind[who, place[place >= 0]] = model.detector.kinds(model.rows)[place >= 0]
                # The fingerprint carries the row of each prediction's window.
                predictions = predict(windows, model, "", fingerprints=row_of)
                rows = to_numpy(predictions["window_fingerprint"]).astype(np.int64)
                scores[rows], flags[rows] = (to_numpy(predictions[n]) for n in ("score", "is_anomaly"))
                self._count(who, model, predictions, device[rows], flags[rows], has_model)
            modelled.append(has_model)
            scored.append((scores, flags))
        self._n_lost += int(np.count_nonzero(modelled[1] & ~modelled[0]))
        (ours, our_flags), (theirs, their_flags) = scored
        both = np.isfinite(ours) & np.isfinite(theirs)
        self._n_both_flag += int(np.count_nonzero(our_flags & their_flags & both))
        self._n_either_flags += int(np.count_nonzero((our_flags | their_flags) & both))
        # A model with levels finds other windows rare than one without: neither has learned something else.
        both &= (kind[0] == kind[1])[device]
        correlations = rank_correlations(device[both], ours[both], theirs[both])
        self._rank_sum += float(correlations.sum())
        self._n_ranked += correlations.size

    def result(self) -> Comparison:
        """Return the comparison over the windows added so far."""
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
    """Compute the top-down correlation for each device with at least 20 windows and distinct values.

    It is the correlation of Savage scores (Iman & Conover, 1987, "A measure of top-down correlation",
    Technometrics 29): Spearman's, with the most abnormal windows weighing most. The order of normal windows,
    which is most of Spearman's, is chance: two versions whose training overlaps by five parts in six agree
    by .83 to .91, and by .54 to .87 of Spearman's, on noise.

    Parameters
    ----------
    device : array of shape (n,), int64
        Sorted.
    one, other : array of shape (n,), float64
        Finite; the lower, the more abnormal.

    Examples
    --------
    >>> rising = np.arange(40.0)
    >>> found = rank_correlations(np.repeat([0, 1], 20), rising, np.append(rising[:20], -rising[20:]))
    >>> found.round(2).tolist()
    [1.0, -0.73]
    """
    if device.size == 0:
        return np.zeros(0)
    _, place, n = np.unique(device, return_inverse=True, return_counts=True)
    left, right = (_savage_scores(place, n, values) for values in (one, other))

    def of_device(values: Float) -> Float:
        return np.bincount(place, values, minlength=n.size).astype(np.float64)

    spread = of_device(left**2) * of_device(right**2)
    has = (n >= _LEAST_TO_RANK) & (spread > _LEAST_SPREAD)
    return of_device(left * right)[has] / np.sqrt(spread[has])


def _savage_scores(device: Int, n: Int, values: Float) -> Float:
    """Score each value by its rank within its device, ties averaged, minus the device's mean of 1.

    The score of rank r among n is 1/r + 1/(r + 1) + … + 1/n: expected ordered values of an exponential.
    """
    order = np.lexsort((values, device))
    sorted_values, sorted_device = values[order], device[order]
    is_new = np.append(True, (np.diff(sorted_values) != 0) | (np.diff(sorted_device) != 0))
    first = np.flatnonzero(is_new)
    size = np.diff(first, append=values.size)
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, n.max() + 1)))
    rank = np.arange(values.size) - (np.cumsum(n) - n)[sorted_device]
    of_rank = harmonic[n[sorted_device]] - harmonic[rank]
    scores = np.empty(values.size)
    scores[order] = np.repeat(np.add.reduceat(of_rank, first) / size, size)
    return scores - 1
