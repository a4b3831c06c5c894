"""Which version is the champion, and that the scoring jobs get just that one."""

from __future__ import annotations

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published, publish, read_manifest
from batch_scoring.registry.tracking import (
    TrainingRun,
    complete_promotions,
    list_versions,
    promote,
    register,
    rollback,
)
from tests.fleet_models import in_file, make_model


@pytest.fixture
def published(tmp_path):
    return tmp_path / "published"


def make_versions(store, n, sensor="vibration"):
    run = TrainingRun(store, 0)
    versions = [register(store, run.run_id, in_file(make_model(sensor, seed=i)), f"f{i}") for i in range(n)]
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
    assert load_published(published, "vibration").model.table.equals(make_model(seed=1).table)


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


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_rollback_killed_half_way_goes_the_same_way_when_repeated(store, published, monkeypatch, calls):
    for version in make_versions(store, 2):
        promote(store, published, version)
    real, done = store.client.set_registered_model_alias, []

    def killed(*args):
        if len(done) == calls:
            raise KeyboardInterrupt
        done.append(args)
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(store.client, "set_registered_model_alias", killed)
        if calls < 2:
            with pytest.raises(KeyboardInterrupt):
                rollback(store, published, "vibration")
    if calls < 2:
        rollback(store, published, "vibration")
        assert read_manifest(published, "vibration").version == "1"


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

    assert load_published(published, "vibration").model.table.equals(make_model(seed=0).table)
