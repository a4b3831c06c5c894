"""The image, built once a session by the command that people use; what did not change is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators import containers
from tests.emulators.containers import HOME, PROJECT, Podman, build_options
from tests.emulators.registry import Registry
from tests.made_once import made_once


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman with the base image; in CI its want is a failure and no skipped test."""
    reason = containers.why_not_there()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    podman = Podman(HOME / "builder")
    made_once(tmp_path_factory, "base_image", lambda _: podman.import_base())
    yield podman
    podman.remove_containers()


@pytest.fixture(scope="session")
def kedro(podman: Podman):
    """Runs a kedro command with this podman; what it printed."""

    def run(*arguments: str, expect: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=PROJECT,
            env=os.environ | podman.environment | {"DO_NOT_TRACK": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def image(kedro, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the image."""
    name = "localhost/batch-scoring:test"

    def build(_: Path) -> None:
        said = kedro("deploy", "image", "build", "--tag=test", "--", *build_options())
        assert said.endswith(f"{name} is built\n")

    made_once(tmp_path_factory, "image", build)
    return name


@pytest.fixture(scope="session")
def registry(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An empty registry, which podman trusts."""
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        podman.trust(running.certificate)
        yield running
