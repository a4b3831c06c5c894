"""The rehearsal as a test: what `make rehearse` does, for each engine."""

import os
import subprocess
import sys

import pytest

from tests.containers.conftest import image, kedro, podman  # noqa: F401
from tests.emulators import azurite, containers
from tests.made_once import made_once
from tests.rehearsal import network
from tests.rehearsal.__main__ import ENGINES, run_locally
from tests.rehearsal.timeline import Timeline


@pytest.mark.containers
@pytest.mark.slow
@pytest.mark.parametrize(
    "engine", [pytest.param(one, marks=pytest.mark.xdist_group(f"rehearsal {one}")) for one in ENGINES]
)
def test_three_hours_on_the_deployed_system_give_what_one_local_run_gives(engine, request, tmp_path_factory):
    if reason := containers.why_not_there() or network.why_not() or azurite.why_not_there():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    request.getfixturevalue(
        "image"
    )  # with what it is made of: the rehearsal's own is built from that in no time
    local = made_once(tmp_path_factory, "rehearsal", lambda folder: run_locally(folder, Timeline()))
    done = subprocess.run(
        [sys.executable, "-m", "tests.rehearsal", "--engine", engine, "--local", str(local)],
        cwd=containers.PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4,896 predictions, 0 twice, equal to those of the local run" in done.stdout
    assert "3 starts" in done.stdout, "a job ran again after its node was lost"
    assert ("no nodes for a while" in done.stdout) is (engine != "batch_ai")
    called = "the workflow" if ENGINES[engine] == "logic_app" else "the cron"
    assert f"2 runs of {called}: Succeeded; 2 jobs, 2 starts" in done.stdout
