import ast
import pickle
import shutil
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from batch_scoring.api import FleetDetector, InputError
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, PREDICTIONS

# Each trains models, or scores a workspace of its own.
pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = {"train": {"fit": {"max_train_windows": 200}}}


def readings_of(days: int, seed: int = 0, first_day: int = 0) -> pd.DataFrame:
    """A reading in ten minutes of two pumps with two sensors."""
    rng = np.random.default_rng([seed, first_day])
    time = pd.date_range(START + timedelta(days=first_day), periods=days * 144, freq="10min")
    parts = [
        pd.DataFrame(
            {
                "timestamp": time,
                "device": device,
                "sensor": sensor,
                "value": base + rng.normal(size=time.size),
            }
        )
        for device in ("pump-1", "pump-2")
        for sensor, base in (("temperature", 20.0), ("vibration", 5.0))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> FleetDetector:
    return FleetDetector(window="1h", settings=SETTINGS).fit(readings_of(9))


@pytest.fixture(scope="module")
def broken() -> pd.DataFrame:
    """Two days later, with six hours in which a pump is hot."""
    readings = readings_of(2, first_day=9)
    hours = (readings["timestamp"] - (START + timedelta(days=10))) / timedelta(hours=1)
    is_hot = (readings["device"] == "pump-1") & (readings["sensor"] == "temperature") & hours.between(3, 8.9)
    return readings.assign(value=readings["value"] + 30 * is_hot)


def test_a_fault_is_found_with_what_was_expected(fitted, broken):
    predictions = fitted.predict(broken)
    assert list(predictions.columns) == PREDICTIONS.names
    assert len(predictions) == 2 * 24 * 4
    hot = predictions[predictions["is_anomaly"] & (predictions["value"] > 40)]
    assert set(hot["device"]) == {"pump-1"}
    assert set(hot["sensor"]) == {"temperature"}
    assert len(hot) == 6
    by_mean = hot[hot["top_feature"] == "mean"]
    assert ((by_mean["lower"] < 20.5) & (by_mean["upper"] > 19.5) & (by_mean["upper"] < 25)).all()

    incidents = fitted.incidents(broken)
    assert list(incidents.columns) == DEVICE_INCIDENTS.names
    first = incidents.iloc[0]
    assert (first["kind"], first["device"]) == ("anomaly", "pump-1")
    assert first["start"] == pd.Timestamp(START + timedelta(days=10, hours=3))
    assert first["end"] >= pd.Timestamp(START + timedelta(days=10, hours=9))


def test_frames_come_back_as_they_went_in(fitted, broken):
    # pandas has no type for a map.
    schema = pa.schema([field for field in PREDICTIONS if field.name != "contributions"])
    expected = pa.table(fitted.predict(broken).drop(columns="contributions")).cast(schema)
    given = {
        pl.DataFrame: pl.from_pandas(broken),
        pa.Table: pa.Table.from_pandas(broken, preserve_index=False),
        pd.DataFrame: broken.set_index("timestamp").sample(frac=1.0, random_state=0),
    }
    for kind, frame in given.items():
        found = fitted.predict(frame)
        assert type(found) is kind
        without = found.drop("contributions") if kind is pl.DataFrame else found
        without = found.drop(columns="contributions") if kind is pd.DataFrame else without
        assert pa.table(without).select(schema.names).cast(schema).equals(expected)


def test_it_does_as_estimators_do(fitted, broken, tmp_path):
    check_is_fitted(fitted)
    assert sorted(set(fitted.status_["status"])) == ["ok"]
    assert fitted.n_series_ == 4
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        again.predict(broken)
    expected = fitted.predict(broken)
    assert pickle.loads(pickle.dumps(fitted)).predict(broken).equals(expected)
    assert again.fit(readings_of(9)).predict(broken).equals(expected)
    fitted.save(tmp_path / "saved")
    loaded = FleetDetector.load(tmp_path / "saved")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.predict(broken).equals(expected)
    assert loaded.status_.equals(fitted.status_)
    assert loaded.n_series_ == fitted.n_series_ == 4
    with pytest.raises(InputError, match="exists"):
        fitted.save(tmp_path / "saved")
    with pytest.raises(InputError, match="not a saved detector"):
        FleetDetector.load(tmp_path)


def test_what_is_refused_or_not_scored_is_said(fitted, broken):
    other = broken[broken["device"] == "pump-2"].assign(device="new")
    readings = pd.concat([broken, other], ignore_index=True)
    readings.loc[0, "value"] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        predictions = fitted.predict(readings)
    texts = [str(one.message) for one in said if one.category is UserWarning]
    assert any("2 series have no model" in text and "'new'" in text for text in texts)
    assert set(predictions["device"]) == {"pump-1", "pump-2"}


def test_models_of_other_windows_are_not_scored_without_a_word(fitted, broken):
    other = pickle.loads(pickle.dumps(fitted)).set_params(window="30min")
    with pytest.raises(InputError, match=r"'temperature' was not scored: .*window"):
        other.predict(broken)
    with pytest.raises(InputError, match="was not scored"):
        other.incidents(broken)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(file.read_bytes()[:200] + b"x" + file.read_bytes()[201:]),
        lambda file: shutil.rmtree(file.parents[1]),
    ],
)
def test_a_damaged_detector_is_not_loaded(fitted, tmp_path, damage):
    fitted.save(tmp_path / "saved")
    damage(next((tmp_path / "saved/models/temperature").glob("*.arrow")))
    with pytest.raises(InputError, match=r"(damaged|missing|no models).*; save the detector again$"):
        FleetDetector.load(tmp_path / "saved")


def test_settings_that_json_cannot_hold_are_not_saved(fitted, tmp_path):
    other = pickle.loads(pickle.dumps(fitted)).set_params(settings={"train": {"from": START}})
    with pytest.raises(InputError, match="settings cannot be saved"):
        other.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("readings", "message"),
    [
        ([1, 2], "expected a frame"),
        (pd.DataFrame({"a": [1.0]}), "readings"),
        (readings_of(1).head(0), "the frame has no rows"),
        (readings_of(1).head(3), "no model could be trained"),
    ],
)
def test_what_cannot_be_used_is_an_error(readings, message):
    with pytest.raises(InputError, match=message):
        FleetDetector(window="1h").fit(readings)


def test_what_cannot_be_read_is_said_with_the_settings_to_pass():
    frame = readings_of(1).pivot(index=["timestamp", "device"], columns="sensor", values="value")
    frame = frame.reset_index().rename(columns={"timestamp": "when", "device": "machine"})
    with pytest.raises(InputError, match="no column for the timestamp") as raised:
        FleetDetector(window="1h").fit(frame)
    text, _, passed = str(raised.value).partition("; pass settings=")
    assert "--params" not in text
    assert "kedro" not in text
    settings = ast.literal_eval(passed)
    assert settings == {"ingest": {"columns": {"timestamp": "when", "device": "machine"}}}
    # They are read with these, though a day is too short for a model.
    with pytest.raises(InputError, match="no model could be trained"):
        FleetDetector(window="1h", settings=settings).fit(frame.head(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": {"shar": 1.0}}, "did you mean 'share'"),
        ({"trian": {"share": 1.0}}, "did you mean 'train'"),
        ({"train": 1.0}, "expected a mapping for each step"),
        (1.0, "expected a mapping for each step"),
        ({"aggregate": {"features": ["nope"]}}, "feature 'nope' is not valid"),
        ({"train": {"from": "2027-01-01"}}, "expected a whole window .*train.from"),
    ],
)
def test_a_setting_that_is_not_valid_is_an_error(settings, message):
    with pytest.raises(InputError, match=message):
        FleetDetector(window="1h", settings=settings).fit(readings_of(1))


@pytest.mark.slow
def test_the_numbers_are_those_of_the_pipelines(fitted, broken, new_workspace, tmp_path):
    workspace = new_workspace(tmp_path, params="at=2199-12-31T00:00Z,aggregate.window=1h")
    source = workspace.folder / "01_raw/readings"
    source.mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(readings_of(9), preserve_index=False), source / "a.parquet")
    workspace.run("ingest,aggregate,train", "train.share=1.0,train.fit.max_train_windows=200")
    every = pd.concat([readings_of(9), broken], ignore_index=True)
    pq.write_table(pa.Table.from_pandas(broken, preserve_index=False), source / "b.parquet")
    workspace.run("ingest,aggregate,score,incidents")
    expected = workspace.table("07_model_output/predictions")
    order = [(name, "ascending") for name in ("sensor", "device", "window_start")]
    found = fitted.predict(pa.Table.from_pandas(every, preserve_index=False))
    assert found.equals(expected.sort_by(order).select(PREDICTIONS.names).cast(PREDICTIONS))
