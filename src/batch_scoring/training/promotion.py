"""Promotion gate: compare challenger and champion of a sensor on windows held out from training."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.comparison import ChampionChallenger, Comparison, Figures, decide, is_over_budget
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.tables.arrow_arrays import positions, strings, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.schemas import MODEL_KEYS
from batch_scoring.training.result import BY_HAND, PROMOTED, REFUSED, Decision
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.windows import TrainingWindows

logger = logging.getLogger(__name__)

_NEVER = np.iinfo(np.int64).min


def challenge(
    windows: TrainingWindows,
    challenger: FleetFile,
    previous: Any,
    settings: TrainParameters,
    devices: frozenset[str] | None,
) -> Decision:
    """Decide whether new models are promoted.

    Parameters
    ----------
    windows : TrainingWindows
        What the challenger was trained on.
    previous : TrackedVersion or None
        The champion, or the newest version without a champion.
    settings : TrainParameters
        As returned by ``for_windows``.
    devices : frozenset of str or None
        Which devices were trained; the models of the others are the champion's own.
    """
    if settings.promote == "never":
        return Decision(BY_HAND, "train.promote is never")
    if settings.promote == "always":
        return Decision(PROMOTED, "train.promote is always")
    if previous is None or not previous.is_champion:
        return Decision(PROMOTED, "there is no champion yet")
    found = compare(windows, challenger, previous.models, settings, devices)
    is_promoted, reason = decide(found, settings.promotion)
    level = logging.WARNING if is_over_budget(found, settings.promotion) else logging.INFO
    logger.log(level, "train: sensor %r: %s; %s", windows.sensor, described(found), reason)
    return Decision(PROMOTED if is_promoted else REFUSED, reason, previous.version, found.numbers())


def compare(
    windows: TrainingWindows,
    challenger: FleetFile,
    champion: FleetFile,
    settings: TrainParameters,
    devices: frozenset[str] | None = None,
) -> Comparison:
    """Score the windows after both trainings with both versions; without such windows, count models.

    Only devices that send windows can lose a model. A version for windows of another length, or over
    features that these windows lack, scores nothing.

    Parameters
    ----------
    windows : TrainingWindows
        Any of the sensor; confirmed events are left out.
    settings : TrainParameters
        As returned by ``for_windows``; the rate that the challenger was calibrated for.
    devices : frozenset of str, optional
        Compare on these only.
    """
    versions = (challenger, champion)
    fits = [
        round(one.info.window_seconds * 1e6) == windows.window_us
        and {*one.info.features} <= {*windows.table.schema.names}
        for one in versions
    ]
    scorers = [one for one, does in zip(versions, fits, strict=True) if does]
    since = max(_trained_to(one, windows.accepted.devices) for one in versions)
    rest = windows.held_out(since, [name for one in scorers for name in one.info.features])
    if rest is None or not fits[0]:
        return _counted(windows, challenger, champion, devices)
    both = ChampionChallenger((_target(challenger, settings), None))
    sources = [(one.info.schema, (part.table for part in one.parts())) for one in scorers]
    for *parts, ours, theirs in rest.ranges(devices, [*sources, *[_NO_MODELS] * (2 - len(scorers))]):
        held_out = pa.concat_tables(parts)
        if held_out.num_rows:
            other = FleetModel(theirs, champion.info) if fits[1] else None
            both.add(held_out, FleetModel(ours, challenger.info), other)
    found = both.result()
    return found if found.challenger.windows else _counted(windows, challenger, champion, devices)


def described(found: Comparison) -> str:
    """Describe the comparison in one line, for a log."""
    texts = [f"{found.challenger.windows:,} held-out windows"]
    for who, one in (("challenger", found.challenger), ("champion", found.champion)):
        if one.flag_rate is not None:
            over = "" if one.over_target is None else f" ({one.over_target:.2g} of its target)"
            texts.append(f"the {who} flags {one.flag_rate:.3%}{over}")
    if found.rank_stability is not None:
        texts.append(f"rank correlation {found.rank_stability:.2f}")
    return ", ".join(texts)


_NO_MODELS: tuple[pa.Schema, tuple[pa.Table, ...]] = (pa.schema([MODEL_KEYS.field("device")]), ())


def _trained_to(models: FleetFile, accepted: pa.Array) -> int:
    """Return the latest end of their training, µs since the epoch; before all time where none is recorded.

    Series whose level was accepted have a training of their own, and are held out after it.
    """
    ends = (
        to_numpy(part["trained_to"], null=_NEVER)[positions(part["device"], accepted) < 0]
        for part in models.batches(["device", "trained_to"])
    )
    return max((int(end.max()) for end in ends if end.size), default=_NEVER)


def _trained_from(models: FleetFile) -> int:
    """Return the earliest start of their training, µs since the epoch; before all time if one is unknown."""
    begins = (to_numpy(part["trained_from"], null=_NEVER) for part in models.batches(["trained_from"]))
    return min((int(begin.min()) for begin in begins if begin.size), default=_NEVER)


def _target(models: FleetFile, settings: TrainParameters) -> float | None:
    """Return the calibrated rate, for models of the same detector that do not state their own."""
    fit = settings.fit
    states_its_own = DETECTORS[models.info.detector].states_tail_probability
    is_set = fit.detector == models.info.detector and fit.threshold == "calibrated" and not states_its_own
    return fit.false_alarm_rate if is_set else None


def _counted(
    windows: TrainingWindows, challenger: FleetFile, champion: FleetFile, devices: frozenset[str] | None
) -> Comparison:
    """Compare the number of models, when there is no window to score.

    A device that sent nothing since the challenger's training began has fallen silent, and loses nothing.
    """
    n = n_champion = n_heard = n_lost = 0
    sources = [(_NO_MODELS[0], one.batches(["device"])) for one in (challenger, champion)]
    heard = windows.heard(_trained_from(challenger))
    for *parts, ours, theirs in heard.ranges(devices, sources) if heard else device_ranges(sources, {0, 1}):
        names = [part["device"].combine_chunks() for part in (ours, theirs)]
        if devices is not None:
            names = [some.filter(pc.is_in(some, value_set=strings(sorted(devices)))) for some in names]
        n, n_champion = n + len(names[0]), n_champion + len(names[1])
        # Without any window left, silent devices are unknown.
        senders = pa.concat_tables(parts)["device"].combine_chunks() if heard else names[1]
        sending = names[1].filter(pc.is_in(names[1], value_set=senders))
        n_heard += len(sending)
        n_lost += len(sending) - int(to_numpy(pc.is_in(sending, value_set=names[0])).sum())
    return Comparison(Figures(n), Figures(n_champion), n_lost / n_heard if n_heard else 0.0)
