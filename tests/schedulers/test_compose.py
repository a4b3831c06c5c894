"""The services of compose.yaml, run by podman-compose: an hour, a training, an hour, and the page.

The images of MLflow and Azurite are made here under the names that the file asks for, as no registry can
be reached from everywhere.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.containers.conftest import podman  # noqa: F401
from tests.emulators import azurite
from tests.emulators.azurite import new_key
from tests.emulators.containers import BASE, PROJECT, Podman, build_options
from tests.emulators.ports import lasting_port
from tests.end_to_end.workspaces import SMALL_FLEET
from tests.schedulers.conftest import RECIPES
from tests.schedulers.environments import program, run

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.containers,
    pytest.mark.xdist_group("image"),
]

FILE = RECIPES / "compose/compose.yaml"
# No stack that somebody has started is in the way.
PROJECT_NAME = "fleet-test"
IMAGE = "localhost/batch-scoring:fleet"
MLFLOW = f"FROM {IMAGE}\nUSER 0\nENTRYPOINT []\n"
AZURITE = f"""\
FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*
COPY node_modules /opt/azurite/node_modules
RUN ln -s /opt/azurite/node_modules/.bin/azurite-blob /usr/local/bin/azurite-blob
"""
ROWS = """\
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import RowTable
print(RowTable(open_folder("abfs://batch-scoring/07_model_output/predictions"), "window_start").num_rows)
"""


def names_of_images() -> dict[str, str]:
    lines = [line.split() for line in FILE.read_text().splitlines()]
    named = {words[1] for words in lines if words[:1] == ["image:"]}
    return {name.rpartition("/")[2].partition(":")[0]: name for name in named}


@pytest.fixture(scope="module")
def images(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: F811
    """The three images that the file names."""
    if reason := azurite.why_not_there():
        pytest.skip(reason)
    names = names_of_images()
    assert names["batch-scoring"] == IMAGE
    extras = FILE.read_text().partition('EXTRAS: "')[2].partition('"')[0]
    podman.run(
        *("build", *build_options(), f"--build-arg=EXTRAS={extras}", f"--tag={IMAGE}"),
        *("--format=docker", f"--file={PROJECT / 'docker/Dockerfile'}", str(PROJECT)),
    )
    for name, text in (("mlflow", MLFLOW), ("azurite", AZURITE)):
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(text)
        if name == "azurite":
            shutil.copytree(azurite.HOME / "node_modules", folder / "node_modules", symlinks=True)
        podman.run("build", *build_options(), "--format=docker", f"--tag={names[name]}", str(folder))


class Stack:
    """The running services.

    Parameters
    ----------
    podman : Podman
    folder : Path
        Gets `.env`.
    readings : Path
    """

    def __init__(self, podman: Podman, folder: Path, readings: Path) -> None:  # noqa: F811
        self.secrets = {"BATCH_SCORING_TOKEN": secrets.token_hex(16), "STORAGE_KEY": new_key()}
        self.page, self.mlflow = (f"http://localhost:{port}" for port in (lasting_port(), lasting_port()))
        values = self.secrets | {
            "READINGS": str(readings),
            "PAGE_PORT": self.page.rpartition(":")[2],
            "MLFLOW_PORT": self.mlflow.rpartition(":")[2],
        }
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        self._compose = [
            program("compose", "podman-compose"),
            *(f"--project-name={PROJECT_NAME}", f"--file={FILE}", f"--env-file={folder / '.env'}"),
        ]
        # In a network of compose services have names, which podman's older kind of networks does not know.
        settings = Path(podman.environment["CONTAINERS_CONF"])
        (folder / "containers.conf").write_text(
            settings.read_text().replace("[network]", '[network]\nnetwork_backend = "netavark"')
        )
        self.environment = podman.environment | {"CONTAINERS_CONF": str(folder / "containers.conf")}

    def compose(self, *arguments: str) -> str:
        """Run podman-compose; what it printed."""
        return run([*self._compose, *arguments], self.environment)

    def logs(self, service: str) -> str:
        """What a service has printed."""
        command = ["podman", "logs", f"{PROJECT_NAME}_{service}_1"]
        environment = os.environ | self.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def await_log(self, service: str, text: str, times: int = 1) -> None:
        """Wait until a service has printed this as often."""
        give_up = time.monotonic() + 900
        while self.logs(service).count(text) < times:
            assert time.monotonic() < give_up, self.logs(service)[-5000:]
            time.sleep(1)


@pytest.fixture
def stack(podman, images, scored, tmp_path):  # noqa: F811
    if not Path("/usr/lib/podman/netavark").exists():
        pytest.skip("there is no netavark on this machine; `make test-long` installs it")
    made = Stack(podman, tmp_path, Path(scored.folder) / "01_raw/readings")
    made.compose("up", "--detach", "--no-build")
    yield made
    made.compose("down", "--volumes")


def test_an_hour_before_and_after_a_training(stack, scored):
    stack.await_log("scheduler", "exit code 1")  # there is no model yet
    assert "no_model" in stack.logs("scheduler")

    settings = SMALL_FLEET.partition("train.")[2]
    stack.compose(
        "exec", "-T", "scheduler", "kedro", "run", "--pipelines=train", f"--params=train.{settings}"
    )
    stack.compose("restart", "scheduler")
    stack.await_log("scheduler", "Fleet report: 4 devices")
    rows = stack.compose("exec", "-T", "scheduler", "python", "-c", ROWS)
    assert int(rows.split()[-1]) == scored.table("07_model_output/predictions").num_rows

    anonymous = requests.get(f"{stack.page}/", timeout=60)
    assert "/sign-in" in anonymous.url and "pump-01" not in anonymous.text
    bearer = {"Authorization": f"Bearer {stack.secrets['BATCH_SCORING_TOKEN']}"}
    assert "pump-01" in requests.get(f"{stack.page}/", headers=bearer, timeout=60).text

    found = requests.get(f"{stack.mlflow}/api/2.0/mlflow/registered-models/search", timeout=60).json()
    assert len(found["registered_models"]) == 2

    for service in ("azurite", "page", "scheduler", "mlflow"):
        printed = stack.logs(service)
        assert [name for name, secret in stack.secrets.items() if secret in printed] == []
