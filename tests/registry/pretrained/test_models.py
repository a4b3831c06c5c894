"""Imported models as versions of fleet models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.registry.pretrained import PretrainedModel, to_trainings
from tests.fleet_models import in_file, make_model


def make_pretrained(device="7", sensor="vibration", **changes):
    model = PretrainedModel(
        device=device,
        sensor=sensor,
        features=("mean", "std"),
        nu=0.1,
        gamma=0.5,
        intercept=-1.0,
        mean=np.zeros(2),
        scale=np.ones(2),
        support_vectors=np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]),
        dual_coef=np.ones(3),
        n_train=60,
        library="1.9.1",
        source=f"file of {device}",
    )
    return dataclasses.replace(model, **changes)


def test_each_sensor_gets_one_version_of_all_its_devices(tmp_path):
    models = [make_pretrained(d, s) for d, s in [("b", "x"), ("a", "y"), ("a", "x")]]

    trainings = to_trainings(models, 300.0, {}, tmp_path)

    assert {s: t.model.devices.to_pylist() for s, t in trainings.items()} == {"x": ["a", "b"], "y": ["a"]}
    assert trainings["x"].status["status"].to_pylist() == ["ok", "ok"]
    assert trainings["x"].metrics == {"models": 2.0, "imported": 2.0}
    assert trainings["x"].model.table["trained_from"].null_count == 2


def test_the_other_devices_of_a_sensor_stay(tmp_path):
    former = make_model(devices=["7", "8"])

    training = to_trainings([make_pretrained("7")], 300.0, {"vibration": in_file(former)}, tmp_path)[
        "vibration"
    ]

    assert training.model.devices.to_pylist() == ["7", "8"]
    assert training.model.select(["8"]).table.equals(former.select(["8"]).table)
    assert training.model.table["n_train"].to_pylist() == [60, 60]
    assert training.model.table["dual_coef"].to_pylist()[0] == [1.0, 1.0, 1.0]


def test_models_over_other_features_cannot_join_those_there(tmp_path):
    former = make_model(devices=["8"], features=("mean",))

    with pytest.raises(InputError, match="models with features"):
        to_trainings([make_pretrained("7")], 300.0, {"vibration": in_file(former)}, tmp_path)


def test_the_same_models_have_the_same_fingerprint_in_any_order(tmp_path):
    models = [make_pretrained("a"), make_pretrained("b")]

    one = to_trainings(models, 300.0, {}, tmp_path)["vibration"]
    other = to_trainings(models[::-1], 300.0, {}, tmp_path)["vibration"]
    changed = to_trainings([models[0], make_pretrained("b", nu=0.2)], 300.0, {}, tmp_path)["vibration"]

    assert one.fingerprint == other.fingerprint != changed.fingerprint


def test_two_models_of_one_device_are_told(tmp_path):
    with pytest.raises(InputError, match="device '7', sensor 'vibration': there are two models"):
        to_trainings([make_pretrained(), make_pretrained()], 300.0, {}, tmp_path)


def test_models_of_different_features_are_told(tmp_path):
    other = make_pretrained("8", features=("mean", "max"))

    with pytest.raises(InputError, match="file of 8: its features are mean, max, those of file of 7 are"):
        to_trainings([make_pretrained("7"), other], 300.0, {}, tmp_path)
