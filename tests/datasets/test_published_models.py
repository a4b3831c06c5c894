"""The champions in the catalog."""

from __future__ import annotations

import subprocess
import sys

import pytest
from kedro.io.core import DatasetError

from batch_scoring.datasets.published_models import PublishedModels
from batch_scoring.publishing import publish
from tests.fleet_models import make_model


def test_the_dataset_offers_each_sensor_in_order(tmp_path):
    for sensor in ("vibration", "air/flow"):
        publish(tmp_path, make_model(sensor), "1", "run", "f")

    loaded = PublishedModels(str(tmp_path)).load()

    assert list(loaded) == ["air/flow", "vibration"]
    assert loaded["air/flow"]().model.table.equals(make_model("air/flow").table)


def test_nothing_published_is_no_error(tmp_path):
    dataset = PublishedModels(str(tmp_path / "nothing"))

    assert dataset.load() == {}
    assert not dataset.exists()
    assert str(tmp_path) in str(dataset)


def test_the_dataset_cannot_be_saved(tmp_path):
    with pytest.raises(DatasetError, match="promoting a version"):
        PublishedModels(str(tmp_path)).save({})


def test_loading_a_champion_imports_nothing_heavy(tmp_path):
    publish(tmp_path, make_model(), "1", "run", "f")
    code = f"""
import sys
from batch_scoring.datasets.published_models import PublishedModels
PublishedModels({str(tmp_path)!r}).load()["vibration"]()
print(sorted({{"mlflow", "sklearn", "pandas", "duckdb"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
