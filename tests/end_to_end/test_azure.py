"""Whole runs with `--env=azure` over Azurite: the same predictions, killed or not; no secret in a log."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_scoring.core.errors import CONFLICT
from batch_scoring.storage import open_folder
from tests.emulators.azurite import ACCOUNT
from tests.emulators.faulty_proxy import Fault
from tests.end_to_end.warm_kedro import warm_kedro
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT, BlobWorkspace
from tests.mlflow_stores import put_database

pytestmark = [pytest.mark.slow, pytest.mark.azurite]


@pytest.fixture
def workspace(container, new_database, monkeypatch, tmp_path):
    put_database(new_database, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    return BlobWorkspace(f"abfs://{container}/live")


def test_blobs_hold_the_same_rows_as_local_files_bit_for_bit(whole, workspace, tmp_path):
    output = workspace.run()
    assert workspace.data() == whole.data()
    assert workspace.table(PREDICTIONS).num_rows > 4000
    report = open_folder(f"{workspace.folder}/08_reporting")
    assert len(report.entries()) == len(list((whole.folder / "08_reporting").iterdir()))
    assert str(workspace.folder) in output
    copy = tmp_path / "copy/report.html"
    workspace.kedro("report", "--env", "azure", "--data", workspace.folder, "--to", str(copy))
    assert copy.read_bytes() == report.read("report.html")[0]

    folders = ("01_raw", "02_intermediate", "03_primary", "07_model_output", "06_models/published")
    before = workspace.files(*folders)
    output = workspace.run()
    assert "score: 0 windows scored" in output
    assert workspace.files(*folders) == before


def test_a_run_killed_at_any_moment_and_repeated_ends_in_the_same_rows(whole, workspace, trial, trials):
    process = workspace.start()
    time.sleep(2 + 8 * (trial + random.random()) / trials)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The storage may carry out a last request of the killed run while this one is writing: run it again.
    code, output = warm_kedro().run(workspace.command()[3:])
    assert code in (0, CONFLICT), output
    if code == CONFLICT:
        workspace.run()
    assert workspace.data() == whole.data()


def test_a_run_in_trouble_ends_with_one_line_and_a_later_run_picks_up(
    whole, workspace, proxy, azurite, monkeypatch
):
    # The storage fills up when the first windows are written.
    proxy.faults.append(Fault(507, 10_000, lambda method, path: method == "PUT" and "03_primary" in path))
    output = workspace.run(expect=1)
    (line,) = [line for line in output.splitlines() if line.startswith("Error:")]
    assert re.search(r"03_primary/windows/\S+: the storage is full \(507 InsufficientStorage\)", line)
    assert "Traceback" not in output
    proxy.faults.clear()
    workspace.run()
    assert workspace.data() == whole.data()


def test_scoring_needs_no_tracking_server_and_refuses_to_train_without_one(workspace, monkeypatch):
    workspace.run("simulate,ingest,aggregate,train")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    workspace.run("score")
    output = workspace.run("train", expect=1)
    assert re.search(r"^Error: .*name a tracking server in MLFLOW_TRACKING_URI$", output, re.MULTILINE)


DEBUG_LOGGING = """
version: 1
disable_existing_loggers: false
handlers: {console: {class: logging.StreamHandler}}
root: {handlers: [console], level: DEBUG}
"""


@pytest.mark.parametrize("how", ["key", "sas", "kedro credentials", "wrong key", "expired sas"])
def test_no_secret_appears_in_any_log_at_debug_level(
    workspace, azurite, container, monkeypatch, tmp_path, how
):
    from azure.storage.blob import generate_container_sas

    ends = datetime.now(UTC) + timedelta(hours=-1 if how.startswith("expired") else 1)
    sas = generate_container_sas(ACCOUNT, container, azurite.key, permission="rwdlc", expiry=ends)
    key = azurite.key[::-1].lstrip("=") + "==" if how == "wrong key" else azurite.key
    values = {"account": azurite.url(), **({"sas_token": sas} if "sas" in how else {"account_key": key})}
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    (tmp_path / "logging.yml").write_text(DEBUG_LOGGING)
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(tmp_path / "logging.yml"))
    command = workspace.command("simulate,ingest,aggregate")
    if how == "kedro credentials":
        source = conf_with(tmp_path / "conf", values)
        command += ["--conf-source", str(source)]
    else:
        names = {"account": "ACCOUNT", "sas_token": "SAS_TOKEN", "account_key": "KEY"}
        for name, value in values.items():
            monkeypatch.setenv(f"AZURE_STORAGE_{names[name]}", value)
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == (1 if how.split()[0] in ("wrong", "expired") else 0), output[-3000:]
    assert "urllib3" in output or "http://127.0.0.1" in output, "nothing was logged at DEBUG"
    signature = re.search(r"sig=([^&]+)", sas)[1]
    for secret in (
        azurite.key,
        key,
        signature,
        signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="),
    ):
        assert secret not in output
    assert not re.search(r"sig=(?!REDACTED|…)|AccountKey=|SharedKey \w+:|Bearer \S{8}", output)


def conf_with(folder: Path, values) -> Path:
    """A copy of the project's configuration with credentials."""
    import yaml

    shutil.copytree(PROJECT / "conf", folder)
    (folder / "azure/credentials.yml").write_text(yaml.safe_dump({"azure_storage": values}))
    return folder


def test_a_job_that_scores_local_files_imports_neither_azure_nor_fsspec():
    program = (
        "import sys; from kedro.io import DataCatalog;"
        "from batch_scoring.datasets import fleet_models, parquet, raw_readings, row_tables;"
        "fleet_models.FleetModels('/nowhere').load();"
        "assert not row_tables.RowTableDataset('/nowhere').load().exists;"
        "print([name for name in ('azure', 'fsspec', 'adlfs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
