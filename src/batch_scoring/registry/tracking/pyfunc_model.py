"""The script that MLflow runs to load a fleet model: models from code, nothing pickled.

It stands alone: ``batch_scoring.detection`` is the installed one, or else the copy logged with the model.
"""

import sys
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa

RESULTS = ["score", "threshold", "is_anomaly", "severity", "top_feature"]


class FleetScorer(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores windows of any of a sensor's devices."""

    def load_context(self, context: Any) -> None:
        """Read the table, and make the code importable that scores it."""
        # Behind everything else, so that an installed batch_scoring is the one that is used.
        if context.artifacts["code"] not in sys.path:
            sys.path.append(context.artifacts["code"])
        from batch_scoring.detection.model_file import FleetFile

        self.model = FleetFile(context.artifacts["fleet"]).read()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Score windows.

        Parameters
        ----------
        model_input : pandas.DataFrame
            Columns ``device`` and the features, and ``window_start``, which models that depend on the
            time of day need; it is handed through. Times, or texts in ISO 8601; UTC where they have
            no zone.

        Returns
        -------
        pandas.DataFrame
            The same rows in the same order; what could not be scored (a device without a model, a
            feature that is not a number, a time that is missing and needed) has a missing score.
        """
        from batch_scoring.detection.score import predict

        # The row number goes in as the window's fingerprint, so it says where each prediction belongs.
        numbers = np.arange(len(model_input), dtype=np.uint64)
        predictions = predict(self._windows(model_input), self.model, "", fingerprints=numbers)
        rows = predictions["window_fingerprint"].to_numpy().astype(np.int64)
        scored = predictions.select(RESULTS).to_pandas().set_index(rows)
        keys = [name for name in ("device", "window_start") if name in model_input.columns]
        results = scored.reindex(np.arange(len(model_input))).set_index(model_input.index)
        results["is_anomaly"] = results["is_anomaly"].astype("boolean")
        return pd.concat([model_input[keys], results], axis=1)

    def _windows(self, frame: pd.DataFrame) -> pa.Table:
        from batch_scoring.tables.schemas import TIMESTAMP, windows_schema

        n = len(frame)
        start, is_known = self._start_us(frame)
        length = round(self.model.info.window_seconds * 1e6)
        columns: dict[str, Any] = {
            "window_start": pa.array(start).cast(TIMESTAMP),
            "window_end": pa.array(start + length).cast(TIMESTAMP),
            # Without a device, windows that no model can score stay without one.
            "device": pa.array(frame["device"].astype(object).where(is_known, None), pa.string()),
            "sensor": pa.array([self.model.info.sensor], pa.string()).take(pa.array(np.zeros(n, np.int64))),
            "count": pa.array(np.ones(n, np.int32)),
        }
        for name in self.model.info.features:
            values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            columns[name] = pa.array(values.astype(np.int32) if name == "count" else values)
        return pa.table(columns).cast(windows_schema(self.model.info.features))

    def _start_us(self, frame: pd.DataFrame) -> tuple[Any, Any]:
        """When the windows start, µs since the epoch, and for which that is known, or not needed."""
        everything = np.ones(len(frame), np.bool_)
        is_needed = self.model.detector.needs_time_of_day(self.model.rows)
        if "window_start" in frame.columns:
            moments = pd.to_datetime(frame["window_start"], utc=True, format="ISO8601").dt.as_unit("us")
            is_there = moments.notna().to_numpy()
            start = moments.fillna(pd.Timestamp(0, tz="UTC")).astype(np.int64).to_numpy()
            return start, is_there if is_needed else everything
        if is_needed:
            raise ValueError(
                f"the models of sensor {self.model.info.sensor!r} depend on the time of day: "
                "give the windows' start in a column window_start"
            )
        return np.zeros(len(frame), np.int64), everything


mlflow.models.set_model(FleetScorer())
