"""The devices of a version, as people see them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.combined_tails import N_BOTH
from batch_scoring.detection.detectors.tail_curves import N_NUMBERS
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.registry.tracking.device_table import (
    device_tables,
    first_devices,
    model_numbers,
    to_split_json,
    write_device_table,
)
from batch_scoring.tables.schemas import COMBINED, TRAINED_DEVICES
from tests.fleet_models import in_file, make_model, make_training


def test_every_device_with_a_model_or_a_status_has_a_row():
    base = make_model(devices=["a", "old"])
    training = make_training(devices=["a", "new"], failed=["bad"], base=base)

    table = pa.concat_tables(device_tables(training.models, training.status))

    assert dict(zip(table["device"].to_pylist(), table["status"].to_pylist(), strict=True)) == {
        "a": "ok",
        "bad": "too_few_windows",
        "new": "ok",
        "old": "carried over",
    }
    assert table["device"].to_pylist() == ["a", "bad", "new", "old"]
    assert table["n_support_vectors"][0].as_py() == len(training.model.table["dual_coef"][0])


def test_the_columns_are_those_of_the_reference():
    training = make_training(devices=["a"])
    info = replace(training.models.info, detector="combined")
    combined = FleetModel.build(COMBINED.empty_table(), info)

    table = pa.concat_tables(device_tables(in_file(combined), training.status))

    assert table.schema == TRAINED_DEVICES


def test_of_a_table_too_long_to_show_the_devices_without_a_model_come_first(tmp_path):
    training = make_training(devices=["a", "b", "c"], failed=["bad", "worse"])
    write_device_table(tmp_path / "t", training.models, training.status)

    shown = [first_devices(tmp_path / "t", n)["device"].to_pylist() for n in (1, 3, 5)]

    assert shown == [["bad"], ["bad", "worse", "a"], ["a", "b", "bad", "c", "worse"]]


def test_a_device_without_a_model_is_not_told_of():
    with pytest.raises(InputError, match="device 'c' is not among the 2 known"):
        model_numbers(in_file(make_model()), "c")


def test_without_a_status_only_the_models_numbers_are_told():
    table = pa.concat_tables(device_tables(in_file(make_model()), None))

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

    numbers = model_numbers(in_file(model), "7")

    row = model.table.to_pylist()[0]
    assert (numbers["device"], numbers["mean of std"], numbers["scale of mean"]) == (
        "7",
        row["mean"][1],
        row["scale"][0],
    )
    assert [*chain(*numbers["support_vectors"])] == row["support_vectors"]


def test_of_a_combined_model_each_list_is_named_by_the_features_that_it_is_of():
    row = make_model(devices=["a"]).table.to_pylist()[0]
    own = {"kind": "plain", "center": [5.0, 0.5, 3.0], "spread": [1.0, 0.1, 2.0], "time_of_day": []}
    curves = {"distance_curve": [1.0] * N_NUMBERS, "svm_curve": [1.0] * N_NUMBERS, "curve": [1.0] * N_BOTH}
    # Two levels of three features: where they begin and end, then center and spread in five states.
    levels = [0.0, 90.0, 2.0, 110.0, *[1.0] * 30]
    more = {"time_zone": "UTC", "fit_version": 3, "levels": levels, "may_stay": [9.5, np.inf]}
    table = pa.Table.from_pylist([{**row, **own, **curves, **more}], schema=COMBINED)
    info = FleetInfo("vibration", ("mean", "std", "equal_run"), 300.0, {}, detector="combined")

    numbers = model_numbers(in_file(FleetModel.build(table, info)), "a")

    assert [numbers[f"mean of {name}"] for name in ("mean", "std")] == row["mean"]
    assert "mean of equal_run" not in numbers
    assert [numbers[f"center of {name}"] for name in info.features] == own["center"]
    assert numbers["kind"] == "plain"
    assert [numbers[f"level {n} of mean"] for n in (1, 2)] == [[0.0, 2.0], [90.0, 110.0]]
    # At the other level training has shown too few stays.
    assert (numbers["hours usual at level 1"], numbers.get("hours usual at level 2")) == (9.5, None)
    assert [*chain(*numbers["support_vectors"])] == row["support_vectors"]
    assert {len(vector) for vector in numbers["support_vectors"]} == {2}
