"""Configuration of `--env azure` is what a container is told by its environment, and sensible without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from batch_scoring.core import environment
from batch_scoring.core.errors import InputError
from batch_scoring.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def azure(monkeypatch):
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    for name in ("BATCH_SCORING_DATA", "BATCH_SCORING_JOBS", "EVENT_HUB_CONSUMER_GROUP"):
        monkeypatch.delenv(name, raising=False)

    def read(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with KedroSession.create(env="azure") as session:
            return session.load_context()

    return read


@pytest.mark.slow
def test_a_container_is_told_its_data_its_engine_and_its_consumer_group(azure):
    told = {"backend": "azure_batch", "azure_batch": {"endpoint": "https://a.b", "max_nodes": 3}}
    context = azure(
        BATCH_SCORING_DATA="https://acme.blob.core.windows.net/fleet",
        BATCH_SCORING_JOBS=json.dumps(told),
        EVENT_HUB_CONSUMER_GROUP="ours",
    )
    assert context.config_loader["globals"]["data"] == "https://acme.blob.core.windows.net/fleet"
    catalog = context.config_loader["catalog"]
    assert catalog["event_hub"]["consumer_group"] == "ours"
    assert (
        catalog["event_hub"]["checkpoints"] == "https://acme.blob.core.windows.net/fleet/01_raw/checkpoints"
    )
    jobs = context.params["jobs"]
    assert (jobs["backend"], jobs["azure_batch"]["endpoint"], jobs["azure_batch"]["max_nodes"]) == (
        *("azure_batch", "https://a.b"),
        3,
    )
    # What it is not told is as in conf/base.
    assert jobs["azure_batch"]["vm_size"] == "Standard_D2s_v5" and jobs["catch_up"] == 24


@pytest.mark.slow
def test_without_variables_everything_is_as_configured(azure):
    context = azure()
    assert context.config_loader["globals"]["data"] == "abfs://batch-scoring"
    assert context.config_loader["catalog"]["event_hub"]["consumer_group"] == "$Default"
    assert context.params["jobs"]["backend"] == "local"


def test_a_variable_that_is_empty_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("SOME_PLACE", "")
    assert environment.variable("SOME_PLACE", "default") == "default"
    assert environment.group("SOME_PLACE") == {}


@pytest.mark.parametrize("text", ["{", "[1]", "word", '"word"'])
def test_a_variable_with_settings_that_are_none_is_told(monkeypatch, text):
    monkeypatch.setenv("SOME_SETTINGS", text)
    with pytest.raises(InputError, match="SOME_SETTINGS"):
        environment.group("SOME_SETTINGS")


@pytest.fixture
def deployed(tmp_path, monkeypatch):
    """A copy of the project's configuration, with what `kedro deploy env` has kept."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    file = environment.deployed_file("azure")
    assert file == tmp_path / "conf/azure/deployed.json"
    kept = {"BATCH_SCORING_DATA": "https://acme.blob.core.windows.net/fleet"}
    file.write_text(json.dumps(kept | {"BATCH_SCORING_JOBS": json.dumps({"backend": "azure_batch"})}))
    return file


def test_what_a_deployment_has_kept_counts_where_the_process_is_told_nothing(deployed, monkeypatch):
    monkeypatch.delenv("BATCH_SCORING_DATA", raising=False)
    monkeypatch.delenv("BATCH_SCORING_JOBS", raising=False)
    loader = CONFIG_LOADER_CLASS(str(deployed.parents[1]), env="azure", **CONFIG_LOADER_ARGS)
    assert loader["globals"]["data"] == "https://acme.blob.core.windows.net/fleet"
    assert loader["parameters"]["jobs"]["backend"] == "azure_batch"
    monkeypatch.setenv("BATCH_SCORING_DATA", "https://other.blob.core.windows.net/fleet")
    assert (
        environment.variable("BATCH_SCORING_DATA", None, "azure")
        == "https://other.blob.core.windows.net/fleet"
    )
    assert (
        environment.variable("BATCH_SCORING_DATA", "data", "base")
        != "https://acme.blob.core.windows.net/fleet"
    )


def test_a_kept_file_that_is_none_is_one_sentence(deployed):
    deployed.write_text("[")
    with pytest.raises(InputError, match=r"deployed\.json: not a valid JSON object; run `kedro deploy env"):
        environment.variable("SOMETHING", None, "azure")
