"""Which version is the champion, and that the scoring jobs get just that one."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.fleet_models import FleetModels
from batch_scoring.registry import interrupted as interrupted_module
from batch_scoring.registry import published as published_module
from batch_scoring.registry import tracking
from batch_scoring.registry.interrupted import read_promotion
from batch_scoring.registry.published import load_published, publish, read_manifest
from batch_scoring.registry.tracking import (
    TrainingRun,
    complete_promotions,
    list_versions,
    promote,
    register,
    rollback,
)
from batch_scoring.registry.tracking import promotion as promotion_module
from tests.fleet_models import make_model, training_of
from tests.made_once import made_once
from tests.mlflow_stores import copy_with_store, put_database, store_in


@pytest.fixture
def published(tmp_path):
    return tmp_path / "published"


@pytest.fixture(scope="session")
def three_versions(tmp_path_factory, new_database):
    """A store of three versions, the second of which is the champion and the first was it before."""

    def make(folder):
        put_database(new_database, folder)
        store = store_in(folder)
        for version in make_versions(store, 3)[:2]:
            promote(store, folder / "published", version)

    return made_once(tmp_path_factory, "promoted_versions", make)


@pytest.fixture
def promoted(tmp_path, three_versions):
    """A copy of that store."""
    copy_with_store(three_versions, tmp_path)
    return store_in(tmp_path)


def make_versions(store, n, sensor="vibration"):
    run = TrainingRun(store, 0)
    versions = [
        register(store, run.run_id, training_of(make_model(sensor, seed=i), f"f{i}")) for i in range(n)
    ]
    run.end("FINISHED")
    return versions


def aliases(store, sensor="vibration"):
    return {one.version: one.aliases for one in list_versions(store, sensor) if one.aliases}


def test_promotion_moves_the_aliases_and_publishes_that_version(store, published):
    first, second = make_versions(store, 2)

    promote(store, published, first)
    manifest = promote(store, published, second)

    assert aliases(store) == {"1": ("previous",), "2": ("champion",)}
    assert read_manifest(published, "vibration") == manifest
    assert (manifest.version, manifest.run_id, manifest.fingerprint) == ("2", second.run_id, "f1")
    assert load_published(published, "vibration").models.read().table.equals(make_model(seed=1).table)


def test_promoting_the_champion_again_only_makes_the_publication_good(store, published):
    first, second = make_versions(store, 2)
    promote(store, published, first)
    manifest = promote(store, published, second)
    table = next(published.glob(f"*/{manifest.file}"))
    table.write_bytes(b"damaged")

    promote(store, published, second)

    assert aliases(store) == {"1": ("previous",), "2": ("champion",)}
    assert load_published(published, "vibration").manifest == manifest


def test_rollback_goes_to_the_champion_before_and_a_second_one_undoes_it(store, published):
    for version in make_versions(store, 3):
        promote(store, published, version)

    target, manifest = rollback(store, published, "vibration")

    assert (target.version, manifest.version) == ("2", "2")
    assert aliases(store) == {"2": ("champion",), "3": ("previous",)}
    rollback(store, published, "vibration")
    assert aliases(store) == {"2": ("previous",), "3": ("champion",)}
    assert read_manifest(published, "vibration").version == "3"


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


# Every step of a change of champion: the intent, two aliases, the table, two manifests, the end.
STEPS = [
    (promotion_module, "begin_promotion"),
    (promotion_module, "_set_alias"),
    (promotion_module, "publish"),
    (promotion_module, "end_promotion"),
    (published_module, "_copy_unless_there"),
    (published_module, "write_unless_there"),
    (interrupted_module, "write_unless_there"),
]


@contextmanager
def killed_at(step, when):
    """Die before or after the nth call of any of the steps that write."""
    calls = count()

    def dying(real):
        def call(*args, **more):
            n = next(calls)
            if n == step and when == "before":
                raise Killed
            result = real(*args, **more)
            if n == step:
                raise Killed
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in STEPS:
            patch.setattr(module, name, dying(getattr(module, name)))
        try:
            yield
        except Killed:
            return


# What is left by a death after a step is what is left by one before the next.
@pytest.mark.parametrize(
    ("step", "when"),
    [
        (0, "before"),
        *((step, "after") for step in range(10)),
        *(pytest.param(step, "before", marks=pytest.mark.long) for step in range(1, 10)),
    ],
)
def test_a_rollback_killed_at_any_step_goes_the_same_way_when_repeated(promoted, published, step, when):
    with killed_at(step, when):
        rollback(promoted, published, "vibration")
    gone_back = {"1": ("champion",), "2": ("previous",)}
    if aliases(promoted) != gone_back or read_promotion(published, "vibration"):
        rollback(promoted, published, "vibration")

    assert aliases(promoted) == gone_back
    assert read_manifest(published, "vibration").version == "1"
    assert read_promotion(published, "vibration") is None


@pytest.mark.parametrize("step", range(0, 10, 2))
def test_what_a_killed_change_left_is_completed_by_whatever_comes_next(promoted, published, step):
    third = list_versions(promoted, "vibration")[0]
    with killed_at(step, "after"):
        rollback(promoted, published, "vibration")
    begun = read_promotion(published, "vibration") is not None
    complete_promotions(promoted, published)
    assert read_promotion(published, "vibration") is None
    assert read_manifest(published, "vibration").version == "1"
    assert aliases(promoted) == {"1": ("champion",), "2": ("previous",)}, f"step {step}, begun {begun}"

    with killed_at(step, "after"):
        promote(promoted, published, third)
    promote(promoted, published, third)
    assert aliases(promoted) == {"1": ("previous",), "3": ("champion",)}
    assert read_manifest(published, "vibration").version == "3"


def test_an_interrupted_change_of_champion_is_named_where_models_are_scored(promoted, published, caplog):
    with killed_at(1, "after"):
        rollback(promoted, published, "vibration")

    assert set(FleetModels(str(published.parent)).load()) == {"vibration"}

    assert "'vibration'" in caplog.text
    assert "kedro models rollback vibration" in caplog.text


def test_a_rollback_without_a_former_champion_says_what_to_do(store, published):
    (only,) = make_versions(store, 1)
    promote(store, published, only)

    with pytest.raises(InputError, match=r"no previous champion.*\(1\) in `kedro models promote`"):
        rollback(store, published, "vibration")


def test_a_champion_that_was_never_published_is_published(store, published):
    first, second = make_versions(store, 2)
    promote(store, published, first)
    store.client.set_registered_model_alias("vibration", "champion", second.version)

    complete_promotions(store, published)

    assert read_manifest(published, "vibration").version == "2"


def test_a_sensor_without_a_champion_gets_its_newest_version(store, published):
    make_versions(store, 2)

    complete_promotions(store, published)

    assert aliases(store) == {"2": ("champion",)}
    assert read_manifest(published, "vibration").version == "2"


def test_completing_what_is_complete_changes_nothing(store, published, monkeypatch):
    (only,) = make_versions(store, 1)
    promote(store, published, only)
    monkeypatch.setattr(tracking.promotion, "promote", lambda *_: pytest.fail("promoted again"))

    complete_promotions(store, published)


def test_a_manifest_without_its_table_is_made_good(store, published):
    (only,) = make_versions(store, 1)
    manifest = promote(store, published, only)
    next(published.glob(f"*/{manifest.file}")).unlink()

    complete_promotions(store, published)

    assert load_published(published, "vibration").manifest == manifest


def test_the_publication_of_another_store_is_replaced(store, published):
    (only,) = make_versions(store, 1)
    publish(published, make_model(seed=99), "1", "a run of another store", "f")

    promote(store, published, only)

    assert load_published(published, "vibration").models.read().table.equals(make_model(seed=0).table)
