"""Levels that a machine stays at, such as off and on: what is usual in each, and while it changes between.

A median and a spread of all windows would call everything between two levels usual. Levels are looked for in
the training windows alone, and a window is measured in the spreads of the state that it is in. What they are
worth is found out on held-out windows by ``combined_fit``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from batch_scoring.detection.detectors.center_and_spread import NEARLY_ALL, USUAL, center_and_spread
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.tables.arrays import Float, Int

MOST_LEVELS = 4
# Bins of the means between the extremes, and how many empty ones divide two levels. A bin is empty that holds
# less than one window in a thousand.
_BINS, _DIVIDE, _EMPTY = 100, 10, 0.001
_OUTSIDE = 0.005
# Windows whose readings are no farther apart than a share of the extremes show where the machine stays.
_QUIET = 0.25
# Least windows at a level, their least share of all, and how often it is entered at least. Fewer do not show
# what is usual of starts and stops.
_LEAST_WINDOWS, _LEAST_SHARE, _LEAST_VISITS = 20, 0.02, 10
# Least windows not at a level from which a rare state takes its center and spread.
_LEAST_AWAY = 10
# A level that does not move at all has this share of the whole spread.
_FLOOR = 0.01
# In a window after a change the mean has come half of the way at least.
_HALF = 0.5
# Readings on the way elsewhere rise or fall throughout: the last less the first is nearly their range. It is
# wider than their level; and they leave that by more than its width.
_STRAIGHT = 0.9


@dataclass(frozen=True)
class Levels:
    """Levels of s of m models over d features, up to K each.

    A window is in one of 2 K + 1 states: at a level, the first one at a level, or changing.

    Attributes
    ----------
    place : array of shape (m,), int64
        Position of the model among those with levels; -1 without.
    low, high : array of shape (s, K), float64
        Between which the mean stays at each level, rising; infinite where a model has fewer.
    center, spread : array of shape (s, 2 K + 1, d), float64
        Of each feature in each state.
    """

    place: Int
    low: Float
    high: Float
    center: Float
    spread: Float

    def part(self, some: slice) -> Levels:
        """Slice the models without copying."""
        return replace(self, place=self.place[some])

    def of(self, X: Float, model: Int, roles: Roles) -> tuple[Int, Int]:
        """Return the position among the models with levels, and the state, of n windows of such models."""
        place = self.place[model]
        return place, states(X, self.low[place], self.high[place], roles)

    def moved(self, X: Float, place: Int | int, state: Int, center: Float, spread: Float) -> Float:
        """Return windows as if their state's center and spread were these, shape (n, d)."""
        steps = X - self.center[place, state]
        steps /= self.spread[place, state]
        steps *= spread
        steps += center
        return steps


def states(X: Float, low: Float, high: Float, roles: Roles) -> Int:
    """Find the state that each window is in, shape (n,).

    Parameters
    ----------
    X : array of shape (n, d), float64
        Windows as aggregated.
    low, high : array of shape (n, K) or (1, K), float64
        See :class:`Levels`.
    """
    n_levels = low.shape[1]
    least, most = (X[:, place] for place in (roles.low, roles.high))
    upper = _upper(low, high)
    level = (least[:, None] > upper[:, :-1]).sum(axis=1)
    row = np.arange(len(X)) if len(low) == len(X) else np.zeros(len(X), np.int64)
    below, above, end = low[row, level], high[row, level], upper[row, level]
    mean, middle = X[:, roles.mean], 0.5 * (below + above)
    before = mean - X[:, roles.diff_mean]
    has_come = np.abs(mean - middle) <= _HALF * np.abs(before - middle)
    state = level + n_levels * (((before < below) | (before > above)) & has_come)
    width, apart = above - below, most - least
    # To another level: there is none below the lowest, nor above the highest.
    leaves = (least < below - width) & (level > 0) | (most > above + width) & (end < np.inf)
    leaves &= np.abs(X[:, roles.change]) >= np.maximum(_STRAIGHT * apart, width)
    # Readings about the middle of two levels are of neither, unless they come half of the way.
    state[leaves | (most > end) & (apart >= end - above)] = 2 * n_levels
    return state


def comes_to(X: Float, low: Float, high: Float, roles: Roles) -> Int:
    """Find the level that the machine comes to, nearer to it now and to another before; -1 for none, (n,).

    Parameters
    ----------
    X : array of shape (n, d), float64
        Windows as aggregated.
    low, high : array of shape (n, K) or (1, K), float64
        See :class:`Levels`.
    """
    upper = _upper(low, high)
    mean = X[:, roles.mean]
    now, before = ((one[:, None] > upper).sum(axis=1) for one in (mean, mean - X[:, roles.diff_mean]))
    return np.where(now != before, now, -1)


def _upper(low: Float, high: Float) -> Float:
    """Return up to where each level is the nearest; above the highest there is none."""
    upper = np.full(low.shape, np.inf)
    upper[:, :-1] = 0.5 * (high[:, :-1] + low[:, 1:])
    return upper


def find_levels(X: Float, roles: Roles) -> tuple[Float, Float] | None:
    """Look for levels of the mean, farther apart than they are wide and each lived in.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Training windows, in the order of time.

    Returns
    -------
    low, high : array of shape (K,)
        See :class:`Levels`; None where there are not at least two.
    """
    if not roles.shows_levels:
        return None
    mean = X[:, roles.mean]
    last = len(mean) - 1
    outside = int(_OUTSIDE * last)
    ordered = np.partition(mean, [outside, last - outside])
    first, end = ordered[outside], ordered[last - outside]
    if not end > first:
        return None
    quiet = mean[X[:, roles.high] - X[:, roles.low] <= _QUIET * (end - first)]
    width = (end - first) / _BINS
    counts = np.bincount(np.clip((quiet - first) / width, 0, _BINS - 1).astype(np.int64), minlength=_BINS)
    full = np.flatnonzero(counts >= max(_EMPTY * len(X), 1))
    if not full.size:
        return None
    edges = np.flatnonzero(np.diff(full) > _DIVIDE)
    begin, stop = full[np.append(0, edges + 1)], full[np.append(edges, full.size - 1)] + 1
    n_windows = np.add.reduceat(counts[full], np.append(0, edges + 1))
    lived_in = n_windows >= max(_LEAST_SHARE * len(X), _LEAST_WINDOWS)
    low, high = first + width * begin[lived_in], first + width * stop[lived_in]
    if not 2 <= low.size <= MOST_LEVELS or (low[1:] - high[:-1] < _wider(high - low)).any():
        return None
    level = np.searchsorted(high, mean)
    at = level[(level < low.size) & (mean >= low[np.minimum(level, low.size - 1)])]
    visits = np.bincount(at[np.flatnonzero(np.diff(at, prepend=-1))], minlength=low.size)
    return (low, high) if visits.min() >= _LEAST_VISITS else None


def _wider(width: Float) -> Float:
    """Return the width of the wider one of each two neighbours."""
    wider: Float = np.maximum(width[1:], width[:-1])
    return wider


@dataclass(frozen=True)
class Stays:
    """The levels of a device's training, and the state of each window.

    Attributes
    ----------
    low, high : array of shape (K,), float64
    state : array of shape (n,), int64
    longest : array of shape (2 K + 1,), float64
        The longest run of equal values in each state; 0 without ``equal_run``.
    """

    low: Float
    high: Float
    state: Int
    longest: Float

    @classmethod
    def of(cls, X: Float, low: Float, high: Float, roles: Roles) -> Stays:
        """Find the state of each training window."""
        state = states(X, low[None], high[None], roles)
        longest = np.zeros(2 * low.size + 1)
        if roles.run >= 0:
            np.maximum.at(longest, state, X[:, roles.run])
        return cls(low, high, state, longest)

    def levels(self, by_feature: Float, state: Int, center: Float, spread: Float, roles: Roles) -> Levels:
        """Compute center and spread of each feature in each state.

        Parameters
        ----------
        by_feature : array of shape (d, n'), float64
            Some of the training windows, and their states.
        state : array of shape (n',), int64
        center, spread : array of shape (d,), float64
            Of all windows; also of states that training has too few windows of.
        roles : Roles
        """
        n_levels = self.low.size
        centers, spreads = (np.tile(one, (self.longest.size, 1)) for one in (center, spread))
        away = np.flatnonzero(state >= n_levels)
        if away.size >= _LEAST_AWAY:
            # Where a state is rare, what is usual in all but those at a level.
            centers[n_levels:], own = center_and_spread(by_feature[:, away].T, NEARLY_ALL)
            spreads[n_levels:] = np.maximum(own, _FLOOR * spread)
        for one in range(self.longest.size):
            rows = np.flatnonzero(state == one)
            if rows.size >= _LEAST_WINDOWS:
                within = USUAL if one < n_levels else NEARLY_ALL
                centers[one], own = center_and_spread(by_feature[:, rows].T, within)
                spreads[one] = np.maximum(own, _FLOOR * spread)
        if roles.run >= 0:
            centers[:, roles.run] = self.longest
        return Levels(np.zeros(1, np.int64), self.low[None], self.high[None], centers[None], spreads[None])


def levels_of_models(flat: Float, offsets: Int, d: int) -> Levels | None:
    """Build :class:`Levels` from a list column; None where no list holds anything.

    A list of K levels holds ``low`` and ``high``, then center and spread of each feature in each state.
    """
    sizes = np.diff(offsets)
    has = sizes > 0
    if not has.any():
        return None
    # 2 K numbers and 2 (2 K + 1) d.
    n_levels = (sizes[has] - 2 * d) // (2 + 4 * d)
    place, most = np.where(has, np.cumsum(has) - 1, -1), int(n_levels.max())
    if (n_levels == most).all():
        return Levels(place, *_bounds_and_usual(flat, most, d))
    bounds = np.full((2, n_levels.size, most), np.inf)
    usual = np.ones((2, n_levels.size, 2 * most + 1, d))
    for own in np.unique(n_levels).tolist():
        rows = n_levels == own
        numbers = flat[np.repeat(rows, sizes[has])]
        low, high, center, spread = _bounds_and_usual(numbers, own, d)
        bounds[:, rows, :own] = low, high
        state = np.concatenate([np.arange(own), most + np.arange(own), [2 * most]])
        usual[:, np.flatnonzero(rows)[:, None], state] = center, spread
    return Levels(place, *bounds, *usual)


def _bounds_and_usual(numbers: Float, n_levels: int, d: int) -> tuple[Float, Float, Float, Float]:
    """Return ``low``, ``high``, ``center`` and ``spread`` of models with as many levels, without copying."""
    lists = numbers.reshape(-1, list_size(n_levels, d))
    usual = lists[:, 2 * n_levels :].reshape(-1, 2, 2 * n_levels + 1, d)
    return lists[:, :n_levels], lists[:, n_levels : 2 * n_levels], usual[:, 0], usual[:, 1]


def list_size(n_levels: int, d: int) -> int:
    """Return how many numbers the levels of a model have."""
    return 2 * n_levels + 2 * (2 * n_levels + 1) * d


def as_list(levels: Levels) -> Float:
    """Return the numbers of one model's levels as they are stored; see :func:`levels_of_models`."""
    return np.concatenate([one.ravel() for one in (levels.low, levels.high, levels.center, levels.spread)])
