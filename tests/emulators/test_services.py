"""`make services`, as a person uses it: started, connected to by its file, ended, and there again."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.emulators.azurite import why_not_there
from tests.event_hub.clients import bodies_of
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.azurite]

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def installed(azurite):
    """Skipped, or failed in CI, without Azurite."""
    assert why_not_there() is None


@contextmanager
def services(folder):
    """The running program, which has said how to connect."""
    command = [sys.executable, "-m", "tests.emulators.services", "--folder", str(folder)]
    process = subprocess.Popen(
        [*command, "--event-hub-port", "0", "--blob-port", "0"],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said = ""
        while "Ctrl-C ends both" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, said
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0


def sourced(folder):
    """What a shell has in its environment that has read the file."""
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    shell = f'. "{folder}/environment" && "{sys.executable}" -c "{program}"'
    before = os.environ | {"EVENT_HUB_NAME": "another", "AZURE_STORAGE_ACCOUNT": "another"}
    output = subprocess.run(["sh", "-c", shell], env=before, capture_output=True, text=True, check=True)
    return json.loads(output.stdout)


def send(environment, text):
    from azure.eventhub import EventData, EventHubProducerClient

    with EventHubProducerClient.from_connection_string(environment["EVENT_HUB_CONNECTION_STRING"]) as sender:
        sender.send_batch([EventData(text)], partition_id="1")


def events(tmp_path):
    from batch_scoring.datasets.event_hub import EventHub

    return [bodies_of(table) for table in EventHub(str(tmp_path / "checkpoints")).load().events()]


def test_a_shell_that_reads_the_file_reaches_both_and_all_is_there_again_after_a_restart(
    tmp_path, monkeypatch
):
    from batch_scoring.storage import open_folder

    folder = tmp_path / "our services"
    for text in ("one", "two"):
        with services(folder) as (_, said):
            environment = sourced(folder)
            for name in ("EVENT_HUB_CONNECTION_STRING", "AZURE_STORAGE_CONNECTION_STRING"):
                monkeypatch.setenv(name, environment[name])
                assert name in said
            assert not {"EVENT_HUB_NAME", "AZURE_STORAGE_ACCOUNT"} & environment.keys()
            assert environment["MLFLOW_TRACKING_URI"].startswith("sqlite:////")
            send(environment, text)
            open_folder("abfs://batch-scoring/there").replace(text, text.encode(), None)
            keys = [(folder / name).read_text() for name in ("event-hub-key", "storage-key")]
            assert keys[0] in environment["EVENT_HUB_CONNECTION_STRING"]
            assert not any(key in said for key in keys)
            came = events(tmp_path)
            blobs = [entry.name for entry in open_folder("abfs://batch-scoring/there").entries()]
    assert came == [{"1": ["one", "two"]}]
    assert blobs == ["one", "two"]
    modes = {
        (folder / name).stat().st_mode & 0o77 for name in ("environment", "event-hub-key", "storage-key")
    }
    assert modes == {0}


def test_a_second_one_of_the_same_folder_is_refused_and_ending_the_first_ends_both_services(tmp_path):
    with services(tmp_path) as (process, _):
        children = subprocess.run(
            ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(children) == 2
        command = [sys.executable, "-m", "tests.emulators.services", "--folder", str(tmp_path)]
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    assert done.returncode == 1
    assert "are running already; connect with" in done.stderr
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
