"""The image goes through a registry to nodes, which run it as jobs."""

from __future__ import annotations

import re
import threading
import time

import pytest

from tests.emulators.container_jobs import container_runner
from tests.emulators.containers import HOME, Podman
from tests.emulators.nodes import Nodes
from tests.emulators.work import ERR, OUT, End, Work
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.containers, pytest.mark.slow, pytest.mark.xdist_group("containers")]


@pytest.fixture(scope="module")
def pushed(kedro, image, registry) -> str:
    """The name of the image in the registry, by its digest."""
    said = kedro(
        *("deploy", "image", "push", "--tag=test", f"--registry={registry.host}"),
        CONTAINER_REGISTRY_USER=registry.user,
        CONTAINER_REGISTRY_PASSWORD=registry.password,
    )
    assert registry.password not in said
    return said.splitlines()[-1]


@pytest.fixture(scope="module")
def node_podman(pushed, registry):
    """The podman of nodes, which have no image but what they pull."""
    podman = Podman(HOME / "nodes", registry.certificate)
    podman.login(registry.host, registry.user, registry.password)
    yield podman
    podman.remove_containers()
    podman.run("rmi", "--force", pushed, check=False)


@pytest.fixture
def jobs(tmp_path, node_podman):
    outcomes = []
    nodes = Nodes(tmp_path, runner=container_runner(node_podman, network="none"))
    nodes.target(1)
    yield nodes, outcomes
    nodes.close()


def test_pushing_tells_the_digest(pushed, registry):
    assert re.fullmatch(rf"{re.escape(registry.host)}/batch-scoring@sha256:[0-9a-f]{{64}}", pushed)


def test_a_wrong_password_is_one_line_and_no_secret(kedro, image, registry):
    said = kedro(
        *("deploy", "image", "push", "--tag=test", f"--registry={registry.host}"),
        CONTAINER_REGISTRY_USER=registry.user,
        CONTAINER_REGISTRY_PASSWORD="wrong-password",
        expect=1,
    )
    assert "wrong-password" not in said


def test_a_node_pulls_the_image_and_runs_a_job_with_its_environment(jobs, pushed):
    nodes, outcomes = jobs
    command = ["python", "-c", "import os; print(os.environ['A'], os.getuid()); raise SystemExit(3)"]
    nodes.add(Work("a", command, {"A": "1"}, on_end=outcomes.append, image=pushed))
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    (outcome,) = outcomes
    assert (outcome.end, outcome.exit_code) == (End.EXITED, 3), (outcome.folder / ERR).read_text()
    assert (outcome.folder / OUT).read_text() == "1 10001\n"


@pytest.mark.parametrize("how", ["cancelled", "node lost", "took too long"])
def test_no_container_outlives_its_job(jobs, pushed, node_podman, how):
    nodes, outcomes = jobs
    started = threading.Event()
    work = Work(
        *("a", ["python", "-c", "import time; time.sleep(600)"]),
        on_start=lambda node, folder: started.set(),
        on_end=outcomes.append,
        image=pushed,
        limit_seconds=3 if how == "took too long" else None,
    )
    nodes.add(work)
    assert started.wait(PATIENCE_SECONDS)
    wait_for(lambda: node_podman.containers() or outcomes)
    if how == "cancelled":
        nodes.cancel("a")
    elif how == "node lost":
        nodes.target(0)
        nodes.kill(nodes.nodes()[0].id)
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert [one.end for one in outcomes] == [how]
    assert node_podman.containers() == []
    assert node_podman.run("ps", "--all", "--external", "--quiet").stdout == ""


def test_a_job_that_is_killed_before_its_container_is_there_leaves_none(jobs, pushed, node_podman):
    nodes, outcomes = jobs
    for pause in (0.0, 0.05, 0.15, 0.3):
        started = threading.Event()
        nodes.add(
            Work(
                *(pause, ["python", "-c", "import time; time.sleep(600)"]),
                on_start=lambda node, folder, started=started: started.set(),
                on_end=outcomes.append,
                image=pushed,
            )
        )
        assert started.wait(PATIENCE_SECONDS)
        time.sleep(pause)
        nodes.cancel(pause)
        assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert [one.end for one in outcomes] == [End.CANCELLED] * 4
    time.sleep(0.5)
    assert node_podman.containers() == []
