"""The detector of a fleet as an estimator: fit it to readings, predict others."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from batch_scoring import __version__
from batch_scoring.api.frames import as_native, as_table, library_of
from batch_scoring.api.site import Site, verify_models
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import suggestion
from batch_scoring.settings_check import GROUPS

_SETTINGS, _MODELS, _STATUS = "detector.json", "models", "status.parquet"
_FORMAT = 1


class FleetDetector(BaseEstimator):  # type: ignore[misc]
    """One anomaly model for each pair of device and sensor.

    It runs the steps of ``kedro run`` on data in memory: the same readings and settings give the same
    numbers. Frames may be of pandas, Polars, PyArrow, or of any library that exports Arrow's C stream; what
    is returned is of the same library.

    Readings have a column each for the time, device, sensor and value, named as ``ingest.columns`` says
    (``timestamp``, ``device``, ``sensor``, ``value`` are among them), or a column for each sensor. Times
    without a zone are in ``timezone``. They are complete: the last window counts as closed.

    Parameters
    ----------
    window : str
        Length of a window, such as ``"5min"`` or ``"1h"``.
    false_alarms_per_week : float
        False alarms a sensor may raise in a week, which sets the thresholds.
    timezone : str
        IANA time zone of times without an offset, and of the hours that a time of day follows.
    settings : mapping of str to mapping, optional
        More parameters of the pipelines, by step, such as ``{"ingest": {"columns": {"value": "temp"}},
        "train": {"fit": {"nu": 0.05}}}``.

    Attributes
    ----------
    status_ : frame
        device, sensor, status, message, …: how the training of each device went; after ``fit``.
    refused_ : frame
        The readings of the last call that were refused, each with a reason.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> time = pd.date_range("2026-01-01", periods=1440, freq="10min", tz="UTC")
    >>> power = 20 + np.random.default_rng(0).normal(size=1440)
    >>> readings = pd.DataFrame({"timestamp": time, "device": "pump-1", "sensor": "power", "value": power})
    >>> detector = FleetDetector(window="1h").fit(readings[:1296])
    >>> new_readings = readings[1296:].assign(value=lambda new: new["value"].where(new.index != 1400, 99.0))
    >>> predictions = detector.predict(new_readings)
    >>> predictions.loc[predictions["is_anomaly"], ["device", "sensor", "window_start"]]
        device sensor              window_start
    17  pump-1  power 2026-01-10 17:00:00+00:00
    """

    def __init__(
        self,
        window: str = "5min",
        false_alarms_per_week: float = 1.0,
        timezone: str = "UTC",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.window = window
        self.false_alarms_per_week = false_alarms_per_week
        self.timezone = timezone
        self.settings = settings

    def fit(self, readings: Any, y: Any = None) -> Self:
        """Train a model for each device and sensor on all of these readings.

        Parameters
        ----------
        readings : frame
        y
            Ignored; scikit-learn passes it.

        Returns
        -------
        FleetDetector
            Itself.

        Raises
        ------
        InputError
            When a setting is not valid, no reading can be used, or no series has enough windows for a model.
        """
        models = TemporaryDirectory(prefix="batch_scoring_models_")
        with self._site(readings, Path(models.name)) as site:
            status = site.train()
            self.refused_ = self._refused(site, readings)
        if not status.num_rows:
            raise InputError(
                "no model could be trained; expected a whole window (aggregate.window) from train.from to "
                "train.to"
            )
        if not any(Path(models.name).iterdir()):
            row = status.slice(0, 1).to_pylist()[0]
            raise InputError(
                f"no model could be trained; the first of {status.num_rows} series, device "
                f"{row['device']!r} and sensor {row['sensor']!r}: {row['message'] or row['status']}"
            )
        self._models = models
        self._keep_status(status, library_of(readings))
        return self

    def predict(self, readings: Any) -> Any:
        """Score the windows of readings.

        A call knows nothing of earlier ones. Features such as the change since the window before are of the
        same readings; begin a window earlier than what you want to know where this matters.

        Parameters
        ----------
        readings : frame

        Returns
        -------
        frame
            The table of predictions, a row a window: device, sensor, window_start, window_end, value, score,
            threshold, is_anomaly, severity, top_feature, expected, lower, upper and more; times are UTC. See
            the reference of the tables. Series without a model are left out, with a warning.

        Raises
        ------
        InputError
            When no reading can be used, or ``window`` is another one than that of the models.
        NotFittedError
            Before :meth:`fit`.
        """
        with self._fitted_site(readings) as site:
            predictions = site.score()
            self.refused_ = self._refused(site, readings)
            _warn_of_unscored(site)
        return as_native(predictions, library_of(readings))

    def incidents(self, readings: Any) -> Any:
        """Score the windows of readings and join their anomalies to incidents, the first to look at first.

        Parameters
        ----------
        readings : frame

        Returns
        -------
        frame
            The table of device incidents: kind, level, priority, device, start, end, state, sensors and
            more; single wild windows are of the kind ``outlier``.

        Raises
        ------
        InputError, NotFittedError
            As :meth:`predict`.
        """
        with self._fitted_site(readings) as site:
            site.score()
            incidents = site.find_incidents()
            self.refused_ = self._refused(site, readings)
            _warn_of_unscored(site)
        return as_native(incidents, library_of(readings))

    def save(self, path: str | Path) -> None:
        """Write settings and models into a folder, which must not exist.

        Raises
        ------
        InputError
            When it exists, or settings hold what JSON has no form for.
        NotFittedError
            Before :meth:`fit`.
        """
        place = Path(path)
        if place.exists():
            raise InputError(f"{place} exists; expected the name of a new folder, or remove it first")
        known = {"format": _FORMAT, "version": __version__, "parameters": self.get_params()}
        if hasattr(self, "_status"):
            known["library"] = library_of(self.status_)
        try:
            text = json.dumps(known, indent=2) + "\n"
        except TypeError as error:
            raise InputError(
                f"settings cannot be saved ({error}); expected text, numbers, lists and mappings"
            ) from None
        unfinished = place.with_name(f"{place.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(self._folder(), unfinished / _MODELS)
        if hasattr(self, "_status"):
            pq.write_table(self._status, unfinished / _STATUS)
        (unfinished / _SETTINGS).write_text(text)
        unfinished.rename(place)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a detector that was saved.

        Raises
        ------
        InputError
            When there is none, it is damaged, or a later version has written it.
        """
        place = Path(path)
        try:
            known = json.loads((place / _SETTINGS).read_text())
            is_later, version = known["format"] > _FORMAT, known["version"]
            detector = None if is_later else cls(**known["parameters"])
            # Detectors of earlier versions were saved without.
            status = pq.read_table(place / _STATUS) if "library" in known else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{place} is not a saved detector ({error}); expected a folder that FleetDetector.save wrote"
            ) from None
        if detector is None:
            raise InputError(f"{place} was saved by batch_scoring {version}; upgrade to load it")
        try:
            verify_models(place / _MODELS)
        except InputError as error:
            raise InputError(f"{str(error).partition(';')[0]}; save the detector again") from None
        detector._models = TemporaryDirectory(prefix="batch_scoring_models_")
        shutil.copytree(place / _MODELS, detector._models.name, dirs_exist_ok=True)
        if status is not None:
            detector._keep_status(status, known["library"])
        return detector

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_models")

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds; models are the bytes of their files."""
        state = dict(super().__getstate__())
        models = state.pop("_models", None)
        if models is not None:
            root = Path(models.name)
            files = [file for file in sorted(root.rglob("*")) if file.is_file()]
            state["_files"] = {str(file.relative_to(root)): file.read_bytes() for file in files}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("_files", None)
        super().__setstate__(state)
        if files is not None:
            self._models = TemporaryDirectory(prefix="batch_scoring_models_")
            for name, content in files.items():
                file = Path(self._models.name, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def _keep_status(self, status: pa.Table, library: str) -> None:
        self._status, self.status_ = status, as_native(status, library)
        self.n_series_ = sum(one == "ok" for one in status["status"].to_pylist())

    def _folder(self) -> Path:
        if not hasattr(self, "_models"):
            raise NotFittedError("this FleetDetector has no models yet; call fit first")
        return Path(self._models.name)

    def _fitted_site(self, readings: Any) -> Site:
        return self._site(readings, self._folder())

    def _site(self, readings: Any, models: Path) -> Site:
        own: dict[str, dict[str, Any]] = {
            "ingest": {"timezone": self.timezone},
            "aggregate": {"window": self.window},
            "train": {"share": 1.0, "false_alarms_per_sensor_per_week": self.false_alarms_per_week},
        }
        more = _settings_by_step(self.settings or {})
        merged = {step: own.get(step, {}) | more.get(step, {}) for step in own.keys() | more.keys()}
        return Site(as_table(readings), merged, models)

    def _refused(self, site: Site, like: Any) -> Any:
        refused = site.refused()
        if refused.num_rows:
            reasons = (
                pa.table({"reason": refused["reason"]}).group_by("reason").aggregate([([], "count_all")])
            )
            listed = ", ".join(f"{row['count_all']:,} {row['reason']}" for row in reasons.to_pylist())
            warnings.warn(
                f"{refused.num_rows:,} readings were refused ({listed}); see refused_", stacklevel=3
            )
        return as_native(refused, library_of(like))


def _settings_by_step(settings: Any) -> dict[str, dict[str, Any]]:
    if not (isinstance(settings, Mapping) and all(isinstance(one, Mapping) for one in settings.values())):
        raise InputError(
            f"settings: {settings!r} is not valid; expected a mapping for each step, such as "
            "{'train': {'fit': {'nu': 0.05}}}"
        )
    for step in settings:
        if step not in GROUPS:
            hint = suggestion(step, GROUPS) or f"known are: {', '.join(sorted(GROUPS))}"
            raise InputError(f"settings: there is no step {step!r}; {hint}")
    return {step: dict(values) for step, values in settings.items()}


def _warn_of_unscored(site: Site) -> None:
    unscored = site.unscored()
    if unscored.num_rows:
        row = unscored.slice(0, 1).to_pylist()[0]
        warnings.warn(
            f"{unscored.num_rows:,} series have no model, such as device {row['device']!r} and sensor "
            f"{row['sensor']!r}; their windows are not scored",
            stacklevel=3,
        )
