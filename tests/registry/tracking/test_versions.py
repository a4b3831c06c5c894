"""Finding versions by what a person or a training calls them."""

from __future__ import annotations

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.registry.tracking import (
    TrackedVersion,
    TrainingRun,
    champion,
    find_version,
    list_sensors,
    list_versions,
    register,
    resolve_version,
    versions,
)
from tests.fleet_models import make_model, training_of

WEIRD = ["Pumpe №7/Süd", "../../etc/x", "a:b@c", "it's 100 %", 'say "x"', ".."]


@pytest.fixture
def run(store):
    run = TrainingRun(store, 0)
    yield run
    run.end("FINISHED")


def test_versions_are_counted_from_1_and_listed_newest_first(store, run):
    for seed in range(11):
        register(store, run.run_id, training_of(make_model(seed=seed), f"f{seed}"))

    assert [one.version for one in list_versions(store, "vibration")] == [str(i) for i in range(11, 0, -1)]


def test_a_version_says_what_it_holds(store, run):
    version = register(store, run.run_id, training_of(make_model(devices=["a", "b", "c"]), "f"))

    assert version == list_versions(store, "vibration")[0]
    assert (version.run_id, version.fingerprint, version.aliases) == (run.run_id, "f", ())
    assert (
        version.tags.items()
        >= {
            "sensor": "vibration",
            "fingerprint": "f",
            "n_models": "3",
            "features": "mean, std",
            "window_seconds": "300",
            "trained_from": "2026-01-01T00:00:00+00:00",
            "trained_to": "2026-01-08T00:00:00+00:00",
            "train_flag_rate": "0.02",
        }.items()
    )


@pytest.mark.parametrize("sensor", WEIRD)
def test_any_sensor_is_registered_and_loaded_again(store, run, sensor):
    version = register(store, run.run_id, training_of(make_model(sensor), "f"))

    assert list_sensors(store) == [sensor]
    assert find_version(store, sensor, "f") == version
    loaded = TrackedVersion(store, version)
    assert loaded.models.read().table.equals(make_model(sensor).table)
    assert loaded.models.read().info == make_model(sensor).info


def test_a_version_is_found_by_what_it_was_trained_from(store, run):
    for fingerprint in ("f", "g"):
        register(store, run.run_id, training_of(make_model(), fingerprint))
    register(store, run.run_id, training_of(make_model("noise"), "h"))

    assert find_version(store, "vibration", "f").version == "1"
    assert find_version(store, "vibration", "g").version == "2"
    assert find_version(store, "vibration", "h") is None
    assert find_version(store, "never trained", "f") is None


def test_a_version_is_named_by_number_or_alias_and_the_champion_needs_no_name(store, run):
    for seed in range(2):
        register(store, run.run_id, training_of(make_model(seed=seed), f"f{seed}"))

    assert champion(store, "vibration") is None
    assert resolve_version(store, "vibration").version == "2"
    store.client.set_registered_model_alias("vibration", "champion", "1")
    assert resolve_version(store, "vibration").version == "1"
    assert resolve_version(store, "vibration", "champion").version == "1"
    assert resolve_version(store, "vibration", "2").version == "2"
    assert champion(store, "vibration").version == "1"


def test_an_unknown_sensor_or_version_is_told_with_what_looks_like_it(store, run):
    register(store, run.run_id, training_of(make_model(), "f"))
    store.client.set_registered_model_alias("vibration", "champion", "1")

    with pytest.raises(InputError, match="did you mean 'vibration'"):
        resolve_version(store, "vibratoin")
    with pytest.raises(InputError, match="no version 'champoin'; did you mean 'champion'"):
        resolve_version(store, "vibration", "champoin")
    with pytest.raises(InputError, match="no version '7'; there are 1, champion"):
        resolve_version(store, "vibration", "7")


def test_the_models_of_others_are_not_listed(store, run):
    store.client.create_registered_model("churn", tags={"made_by": "somebody"})
    register(store, run.run_id, training_of(make_model(), "f"))

    assert list_sensors(store) == ["vibration"]


def test_a_model_left_without_a_version_is_not_listed(store):
    store.client.create_registered_model("vibration", tags=versions.OURS)

    assert list_sensors(store) == []
