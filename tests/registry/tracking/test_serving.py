"""A champion answers over HTTP, by MLflow's own scoring server, as its signature says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from batch_scoring.registry.tracking import TrainingRun, register
from batch_scoring.registry.tracking.store import local_store_as_default
from tests.fleet_models import make_model, training_of

pytestmark = pytest.mark.slow

MODEL = make_model(devices=["7", "ä"])
FRAME = pd.DataFrame(
    {
        "device": ["ä", "unknown", "7"],
        "window_start": ["2026-01-05T00:00:00Z", "2026-01-05T00:05:00Z", "2026-01-05T00:00:00+01:00"],
        "mean": [0.5, 0.1, -2.0],
        "std": [1.0, 0.2, 3.0],
    }
)


@pytest.fixture
def champion(store):
    run = TrainingRun(store, 0)
    register(store, run.run_id, training_of(MODEL))
    run.end("FINISHED")
    store.client.set_registered_model_alias("vibration", "champion", "1")
    return "models:/vibration@champion"


@pytest.fixture
def model(store, champion):
    import mlflow

    with local_store_as_default(store):
        return mlflow.pyfunc.load_model(champion)


@pytest.fixture
def client(model, monkeypatch):
    from mlflow.pyfunc import scoring_server

    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # which it sets and leaves
    with TestClient(scoring_server.init(model)) as client:
        yield client


def split(frame):
    return {"dataframe_split": json.loads(frame.to_json(orient="split", index=False))}


def test_the_answer_is_what_the_model_predicts(client, model):
    answer = client.post("/invocations", json=split(FRAME))

    assert answer.status_code == 200
    served = pd.DataFrame(answer.json()["predictions"])
    expected = model.predict(FRAME)
    assert served.columns.tolist() == expected.columns.tolist()
    assert served["window_start"].tolist() == FRAME["window_start"].tolist()
    for name in ("score", "threshold", "severity"):
        np.testing.assert_array_equal(served[name].astype(float), expected[name])
    assert served["is_anomaly"].isna().tolist() == [False, True, False]
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (FRAME.drop(columns="std"), "missing inputs"),
        (FRAME.assign(mean=["high", "low", "x"]), "could not convert string to float"),
    ],
)
def test_what_the_signature_does_not_allow_is_refused(client, wrong, said):
    answer = client.post("/invocations", json=split(wrong))

    assert answer.status_code == 400
    assert said in answer.text


def test_the_signature_is_that_of_the_windows_and_of_the_predictions(model):
    signature = model.metadata.signature

    inputs = {one.name: (str(one.type), one.required) for one in signature.inputs}
    number, text = (f"DataType.{name}" for name in ("double", "string"))
    # Any type: as MLflow's `datetime` times with a zone would be refused.
    assert inputs == {
        "device": (text, True),
        "window_start": ("Any", False),
        "mean": (number, True),
        "std": (number, True),
    }
    predicted = model.predict(FRAME)
    outputs = {one.name: one.type for one in signature.outputs}
    assert list(outputs) == predicted.columns.tolist()
    kinds = {"score": "float64", "threshold": "float64", "severity": "float64", "is_anomaly": "boolean"}
    assert {name: str(predicted[name].dtype) for name in kinds} == kinds
    assert {name: outputs[name].name for name in kinds} == {
        name: "boolean" if kind == "boolean" else "double" for name, kind in kinds.items()
    }


def test_the_columns_of_the_table_of_windows_can_be_sent_as_they_are(model):
    frame = FRAME.assign(
        window_start=pd.to_datetime(FRAME["window_start"], utc=True, format="ISO8601").astype(
            "datetime64[us, UTC]"
        ),
        mean=FRAME["mean"].astype("float32"),
        std=np.array([1, 2, 3], np.int32),
        sensor="vibration",
    )

    assert model.predict(frame)["score"].isna().tolist() == [False, True, False]


@contextmanager
def served(uri: str, store_uri: str, folder) -> Iterator[str]:
    """The real command, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        uri,
        "--env-manager",
        "local",
    ]
    # It starts uvicorn by its name: the environment has to be active.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": store_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": path,
    }
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            for _ in range(3000):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "serve.log").read_text()
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, 15)
            process.wait(300)


@pytest.mark.long
def test_the_command_serves_the_champion(champion, store, model, tmp_path):
    with served(champion, store.uri, tmp_path) as address:
        request = urllib.request.Request(
            f"{address}/invocations",
            json.dumps(split(FRAME)).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            predictions = json.load(answer)["predictions"]

    scores = [one["score"] for one in predictions]
    expected = model.predict(FRAME)["score"].tolist()
    assert scores[0] == expected[0]
    assert scores[2] == expected[2]
