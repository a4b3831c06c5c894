"""The logged model scores windows wherever MLflow loads it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from batch_scoring.detection.score import predict
from batch_scoring.registry.tracking import TrainingRun, artifacts_of, register
from batch_scoring.tables.schemas import windows_schema
from tests.fleet_models import FEATURES, make_model, training_of
from tests.registry.tracking.test_pyfunc_time_of_day import as_frame
from tests.registry.tracking.test_pyfunc_time_of_day import fleet as seasonal_fleet

MODEL = make_model(devices=["7", "007", "ä"])


@pytest.fixture
def loaded(store):
    import mlflow

    run = TrainingRun(store, 0)
    version = register(store, run.run_id, training_of(MODEL, "f"))
    run.end("FINISHED")
    return mlflow.pyfunc.load_model(artifacts_of(store, version))


def make_windows(devices, seed=0):
    random = np.random.default_rng(seed)
    values = {name: random.normal(size=len(devices)) for name in FEATURES}
    return pd.DataFrame({"device": devices, **values})


def score_directly(frame):
    start = pa.array(np.arange(len(frame)) * 300_000_000).cast(windows_schema(FEATURES).field(0).type)
    columns = {
        "window_start": start,
        "window_end": pa.compute.add(start, pa.scalar(300_000_000, pa.duration("us"))),
        "device": pa.array(frame["device"].astype(object), pa.string()),
        "sensor": ["vibration"] * len(frame),
        "count": pa.array([1] * len(frame), pa.int32()),
        **{name: frame[name].to_numpy() for name in FEATURES},
    }
    return predict(pa.table(columns).cast(windows_schema(FEATURES)), MODEL, "1")


def test_predictions_are_those_of_the_scoring_job_in_the_order_of_the_rows(loaded):
    frame = make_windows(["ä", "7", "007", "7", "ä"] * 3)

    predicted = loaded.predict(frame)

    expected = score_directly(frame).to_pandas()
    assert predicted["device"].tolist() == frame["device"].tolist()
    for name in ("score", "threshold", "severity"):
        np.testing.assert_array_equal(predicted[name], expected[name])
    assert predicted["is_anomaly"].tolist() == expected["is_anomaly"].tolist()
    assert predicted["top_feature"].tolist() == expected["top_feature"].tolist()


def test_rows_that_cannot_be_scored_have_no_score_and_keep_their_place(loaded):
    frame = make_windows(["7", "unknown", "7", "007"])
    frame.loc[2, "std"] = np.nan
    frame.index = [10, 20, 30, 40]

    predicted = loaded.predict(frame)

    assert predicted.index.tolist() == [10, 20, 30, 40]
    assert predicted["score"].isna().tolist() == [False, True, True, False]
    assert predicted["is_anomaly"].isna().tolist() == [False, True, True, False]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_the_windows_start_is_handed_through_in_any_time_zone(loaded, zone):
    frame = make_windows(["7", "7"])
    frame["window_start"] = pd.date_range(datetime(2026, 1, 1), periods=2, freq="5min", tz=zone)

    predicted = loaded.predict(frame)

    assert predicted.columns[:2].tolist() == ["device", "window_start"]
    assert predicted["window_start"].tolist() == frame["window_start"].tolist()


def test_no_rows_give_no_predictions(loaded):
    assert len(loaded.predict(make_windows([]).astype({"device": "str"}))) == 0


def test_a_missing_feature_and_a_device_that_is_a_number_are_refused(loaded):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="missing inputs"):
        loaded.predict(make_windows(["7"]).drop(columns="std"))
    with pytest.raises(MlflowException, match="device"):
        loaded.predict(make_windows([7]))


def test_signature_example_and_requirements_are_there(loaded):
    assert loaded.metadata.signature.inputs.input_names() == ["device", "window_start", "mean", "std"]
    assert loaded.input_example["device"].tolist() == MODEL.devices.to_pylist()
    assert loaded.predict(loaded.input_example)["score"].notna().all()


@pytest.mark.slow
def test_every_detector_predicts_in_a_process_that_knows_nothing_of_the_project(store, tmp_path):
    windows, seasonal = seasonal_fleet()
    frames = [make_windows(["7", "ä"]), as_frame(windows)]
    expected = [score_directly(frames[0]), predict(windows, seasonal, "1")]
    run = TrainingRun(store, 0)
    versions = [register(store, run.run_id, training_of(one, str(one))) for one in (MODEL, seasonal)]
    run.end("FINISHED")
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    for frame, file in zip(frames, files, strict=True):
        frame.to_parquet(file)
    sensors = (MODEL.info.sensor, seasonal.info.sensor)
    uris = []
    for sensor, alias, version in zip(sensors, ("champion", "previous"), versions, strict=True):
        store.client.set_registered_model_alias(sensor, alias, version.version)
        uris.append(f"models:/{sensor}@{alias}")
    code = f"""
import os, sys
# The project is installed in place for development; here it is not.
sys.path = [p for p in sys.path if "site-packages" in p or not os.path.exists(p + "/batch_scoring")]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
try:
    import batch_scoring
except ImportError:
    pass
else:
    sys.exit(f"the project is importable: {{batch_scoring.__file__}}")
import json, mlflow, pandas as pd
mlflow.set_tracking_uri({store.uri!r})
for model, file in zip({uris!r}, {[*map(str, files)]!r}):
    print(json.dumps(mlflow.pyfunc.load_model(model).predict(pd.read_parquet(file))["score"].tolist()))
"""
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    scores = [json.loads(line) for line in done.stdout.splitlines()[-2:]]
    assert scores == [one["score"].to_pylist() for one in expected]


def test_the_script_is_the_same_imported_as_run_from_the_folder(loaded):
    """MLflow runs its copy of the script; this one is the original."""
    folder = Path(loaded.metadata.artifact_path.removeprefix("file://")) / "artifacts"
    from batch_scoring.registry.tracking.pyfunc_model import FleetScorer

    scorer = FleetScorer()
    context = SimpleNamespace(artifacts={"fleet": str(folder / "fleet.arrow"), "code": str(folder / "code")})
    frame = make_windows(["ä", "7", "unknown"])

    scorer.load_context(context)

    assert scorer.predict(context, frame).equals(loaded.predict(frame))
    sys.path.remove(context.artifacts["code"])


def test_the_time_of_training_is_kept(loaded):
    assert loaded.unwrap_python_model().model.table["trained_to"][0].as_py() == datetime(
        2026, 1, 8, tzinfo=UTC
    )
