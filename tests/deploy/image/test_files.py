"""The files that an image is built of, without building one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[3] / "docker"


SCHEDULER = ["python", "-m", "batch_scoring.jobs.run_scheduler"]


@pytest.fixture
def entrypoint(tmp_path):
    """Runs the entrypoint, by any name; says what would have run."""
    for name in ("python", "kedro"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    for name in ("entrypoint", "score", "schedule"):
        (tmp_path / name).symlink_to(DOCKER / "entrypoint")

    def run(*command, **environment):
        done = subprocess.run(
            ["/bin/sh", str(tmp_path / command[0]), *command[1:]],
            env={"PATH": f"{tmp_path}:/bin:/usr/bin"} | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    return run


@pytest.mark.parametrize("called", [["entrypoint", "score"], ["score"]])
def test_score_runs_a_job(entrypoint, called):
    job = ["--data=a b", "--run=r", "--job=j"]
    assert entrypoint(*called, *job) == ["python", "-m", "batch_scoring.jobs.run_job", *job]


@pytest.mark.parametrize("called", [["entrypoint", "schedule"], ["schedule"]])
def test_schedule_submits_in_azure(entrypoint, called):
    asked = ["--pipeline", "score", "--wait"]
    assert entrypoint(*called, *asked) == [*SCHEDULER, "--env", "azure", *asked]


def test_a_deployment_says_the_rest_of_schedule_in_its_environment(entrypoint):
    said = entrypoint(
        *("schedule", "--wait"),
        KEDRO_ENV="plant",
        SCHEDULE_DATA="abfs://fleet@a.dfs.core.windows.net",
        SCHEDULE_FIRST="receive,ingest",
        SCHEDULE_PARAMS="jobs.azure_batch.image=a b",
    )
    assert said[3:] == [
        *("--env", "plant", "--data", "abfs://fleet@a.dfs.core.windows.net"),
        *("--first", "receive,ingest", "--params", "jobs.azure_batch.image=a b", "--wait"),
    ]


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (["python", "-c", "x"], ["python", "-c", "x"]),
        (["kedro", "run"], ["kedro", "run"]),
        (["run", "--pipelines=score"], ["kedro", "run", "--pipelines=score"]),
        (["--help"], ["kedro", "--help"]),
        ([], ["kedro"]),
    ],
)
def test_programs_run_as_they_are_and_all_else_is_kedros(entrypoint, command, run):
    assert entrypoint("entrypoint", *command) == run


def requirements(tmp_path, extras):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["a>=1"]\n[project.optional-dependencies]\nb = ["c"]\nd = ["e", "f"]\n'
    )
    command = [sys.executable, str(DOCKER / "requirements.py"), str(tmp_path / "pyproject.toml"), extras]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("extras", "wanted"), [("", "a>=1\n"), ("d,b", "a>=1\ne\nf\nc\n")])
def test_requirements_are_the_core_and_the_extras_that_are_asked_for(tmp_path, extras, wanted):
    assert requirements(tmp_path, extras).stdout == wanted


def test_an_unknown_extra_is_refused(tmp_path):
    done = requirements(tmp_path, "b,g")
    assert (done.returncode, done.stderr) == (1, "EXTRAS: g is not valid; expected some of b,d\n")


def test_hadolint_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    assert hadolint.is_file(), "it is in the extra dev"
    done = subprocess.run(
        [str(hadolint), str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
