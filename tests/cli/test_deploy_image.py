"""`kedro deploy image …` as a person types it, without an engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring import __version__
from batch_scoring.cli import cli
from batch_scoring.core.commit import read_commit

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch):
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    return lambda *arguments: CliRunner().invoke(cli, ["deploy", "image", *arguments])


@pytest.mark.slow
def test_the_tag_is_version_and_commit(run):
    tag = read_commit(PROJECT).tag(__version__)
    assert f" --tag=localhost/batch-scoring:{tag} " in run("build", "--dry-run").output
    train = run("build", "--dry-run", "--variant=train").output
    assert f" --tag=localhost/batch-scoring:{tag}-train " in train
    assert "EXTRAS=azure,ingest,train" in train


@pytest.mark.slow
def test_options_of_the_engine_are_handed_on(run):
    done = run("build", "--dry-run", "--engine=docker", "--", "--network=host", "--no-cache")
    assert done.output.startswith("docker build ")
    assert done.output.endswith(" --network=host --no-cache .\n")


@pytest.mark.slow
def test_a_dry_run_of_a_push_prints_three_commands_and_no_secret(run, monkeypatch):
    monkeypatch.setenv("CONTAINER_REGISTRY_PASSWORD", "hunter2")
    lines = run("push", "--dry-run", "--tag=1", "--engine=podman", "--registry=r.io").output.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["login", "tag", "push"]
    assert lines[2].endswith(" r.io/batch-scoring:1")
    assert "hunter2" not in "".join(lines)


@pytest.mark.slow
def test_without_an_engine_the_error_is_one_line(run, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = run("build")
    assert done.exit_code == 1
    assert done.output.startswith("Error: podman or docker: ")
    assert done.output.count("\n") == 1


def test_settings_name_image_and_base(run, monkeypatch):
    image = {"repository": "plant/scoring", "tag": "7", "base": "registry.example/python:3.13"}
    context = SimpleNamespace(params={"deploy": {"image": image}})
    monkeypatch.setattr("batch_scoring.deploy.plan.open_context", lambda *_: context)
    said = run("build", "--dry-run").output
    assert "--tag=localhost/plant/scoring:7 " in said
    assert "--build-arg=BASE=registry.example/python:3.13 " in said
    assert "--tag=localhost/plant/scoring:8 " in run("build", "--dry-run", "--tag=8").output
