"""The devices of a version, as people see them."""

from __future__ import annotations

import json
from itertools import chain

import pyarrow as pa

from batch_scoring.tracking.device_table import device_table, model_numbers, to_split_json
from tests.fleet_models import make_model, make_training


def test_every_device_with_a_model_or_a_status_has_a_row():
    base = make_model(devices=["a", "old"])
    training = make_training(devices=["a", "new"], failed=["bad"], base=base)

    table = device_table(training.model, training.status)

    assert dict(zip(table["device"].to_pylist(), table["status"].to_pylist(), strict=True)) == {
        "a": "ok",
        "bad": "too_few_windows",
        "new": "ok",
        "old": "carried over",
    }
    assert table["device"].to_pylist() == ["a", "bad", "new", "old"]
    assert table["n_support_vectors"][0].as_py() == training.model.n_support_vectors[0]


def test_without_a_status_only_the_models_numbers_are_told():
    table = device_table(make_model(), None)

    assert "status" not in table.column_names
    assert table["device"].to_pylist() == ["a", "b"]


def test_json_has_no_values_that_json_does_not_know():
    table = pa.table({"x": [1.5, float("nan"), float("inf")], "device": ["a", "№", None]})

    assert json.loads(to_split_json(table)) == {
        "columns": ["x", "device"],
        "data": [[1.5, "a"], [None, "№"], [None, None]],
    }


def test_one_devices_numbers_name_their_features():
    model = make_model(devices=["a", "7"])

    numbers = model_numbers(model, "7")

    row = model.table.to_pylist()[0]
    assert (numbers["device"], numbers["mean of std"], numbers["scale of mean"]) == (
        "7",
        row["mean"][1],
        row["scale"][0],
    )
    assert [*chain(*numbers["support_vectors"])] == row["support_vectors"]
