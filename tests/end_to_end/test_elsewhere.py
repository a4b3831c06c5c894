"""A run where there is no POSIX: no locks of files, forks, process groups or ``/proc``."""

import subprocess

import pytest

from tests.elsewhere import PROJECT, environment_elsewhere

pytestmark = pytest.mark.slow


def run(workspace, *options):
    return subprocess.run(
        [*workspace.command(), *options],
        cwd=PROJECT,
        env=environment_elsewhere(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_gives_the_same_rows_as_under_linux(whole, new_workspace, tmp_path):
    workspace = new_workspace(tmp_path, whole.params)
    done = run(workspace)
    assert done.returncode == 0, done.stderr
    # filelock, which locks under Windows and leaves no file there, leaves them under Linux.
    rows = {name: file for name, file in workspace.data().items() if not name.endswith(".lock")}
    assert rows == whole.data()


def test_jobs_as_processes_of_this_machine_are_refused_in_one_sentence(whole):
    command = ["submit", "--at", "2026-02-01T00:00Z", "--data", str(whole.folder)]
    done = subprocess.run(
        [*whole.command()[:3], "jobs", *command],
        cwd=PROJECT,
        env=environment_elsewhere(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: jobs.backend: local needs Linux or macOS; under Windows, use `kedro run`")
