"""What people who know Kedro type, on a fleet that a real run has made: it works as they expect."""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest

from batch_scoring.reporting.run_records import SUCCEEDED, read_records
from batch_scoring.storage import open_folder
from tests.end_to_end.warm_kedro import warm_kedro
from tests.end_to_end.workspaces import PROJECT, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kedro_habits")]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, whole: Workspace) -> Workspace:
    """A workspace of its own for this module, whole and with nothing new."""
    return whole.copy_to(tmp_path_factory.mktemp("habits") / "data")


def steps_of(workspace: Workspace, *options: str, expect: int = 0) -> list[str]:
    """Run with these options; the pipelines whose nodes ran, in order."""
    params = f"data={workspace.folder},{workspace.params}"
    workspace.kedro("run", *options, "--params", params, expect=expect)
    (last, *_) = read_records(open_folder(str(workspace.folder)))
    assert last.state == SUCCEEDED
    return [*last.step_seconds]


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (["--tags=score"], ["score"]),
        (["--tags=score", "-t", "monitor"], ["score", "monitor"]),
        (["--nodes=score_windows,watch_drift"], ["score", "monitor"]),
        (["--pipelines=score,monitor"], ["score", "monitor"]),
        (["--from-nodes=rank_devices", "--to-nodes=notify"], ["incidents"]),
        (["--from-nodes=aggregate_windows", "--to-nodes=score_windows"], ["aggregate", "train", "score"]),
        (["--from-inputs=params:alerts"], ["incidents", "maintain"]),
        (["--from-inputs=daily_totals", "--to-outputs=drift"], ["monitor"]),
        (["--to-outputs=windows"], ["simulate", "ingest", "aggregate"]),
        (["--runner=kedro.runner.ThreadRunner", "--runner-params=max_workers=2", "--tags=score"], ["score"]),
    ],
)
def test_a_part_of_the_pipeline_runs(fleet, options, steps):
    assert steps_of(fleet, *options) == steps


def test_what_is_missing_is_made_and_nothing_else(fleet):
    page = fleet.folder / "08_reporting/report.html"
    page.unlink()
    assert steps_of(fleet, "--only-missing-outputs") == ["report"]
    assert page.stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["folder", "gztar", "zip", "tar"])
def test_configuration_may_be_a_folder_or_an_archive(fleet, tmp_path, kind):
    own = shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (own / "base/globals.yml").write_text(f"data: {fleet.folder}\n")
    source = (
        own if kind == "folder" else shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path, "conf")
    )
    before = len(read_records(open_folder(str(fleet.folder))))
    fleet.kedro("run", "--conf-source", str(source), "--pipelines=monitor", "--params", fleet.params)
    assert len(read_records(open_folder(str(fleet.folder)))) == before + 1


def test_an_environment_overrides_settings(fleet, tmp_path):
    own = shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (own / "mine").mkdir()
    (own / "mine/parameters_monitor.yml").write_text("monitor: {min_windows: no number}\n")
    options = (
        "--conf-source",
        str(own),
        "--pipelines=monitor",
        "--params",
        f"data={fleet.folder},{fleet.params}",
    )
    said = fleet.kedro("run", "--env=mine", *options, expect=1)
    assert "monitor.min_windows" in said.splitlines()[-1]
    fleet.kedro("run", *options)


def program(text: str) -> dict:
    """What a program prints as JSON in its last line, run from the project's folder."""
    code, output = warm_kedro().run_program(text)
    assert code == 0, output
    found: dict = json.loads(output.splitlines()[-1])
    return found


SESSIONS = """
import json
from pathlib import Path
from kedro.framework.session import KedroServiceSession, KedroSession
from kedro.framework.startup import bootstrap_project

project, asked = Path.cwd(), {params!r}
bootstrap_project(project)
with KedroSession.create(project, runtime_params=asked) as session:
    one = session.run(pipeline_names=["monitor"])
with KedroServiceSession.create(project_path=project) as session:
    two = [session.run(pipeline_names=[name], runtime_params=asked) for name in ("score", "monitor")]
refused = []
for names, more in ((["scor"], {{}}), (["score"], {{"devise": 7}}), (["score"], {{"device": 7}})):
    try:
        with KedroSession.create(project, runtime_params=asked | more) as session:
            session.run(pipeline_names=names)
    except Exception as error:
        refused.append(str(error))
print(json.dumps([one["drift"].load().num_rows, [sorted(found) for found in two], refused]))
"""


def test_sessions_run_from_python_once_or_again_and_again(fleet):
    asked = {"data": str(fleet.folder), "at": "2026-02-01T00:00Z"}
    rows, outputs, refused = program(SESSIONS.format(params=asked))
    assert rows == 8
    assert outputs == [["daily_totals", "predictions", "score_counts"], ["drift"]]
    for sentence, parts in zip(
        refused, (["scor", "score"], ["devise", "device"], ["'7'", "pump-01"]), strict=True
    ):
        assert [part for part in parts if part not in sentence] == []


NOTEBOOK = """
import json
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell, found = InteractiveShell.instance(), []
with capture_output():
    for line in (
        "%load_ext kedro.ipython",
        "%reload_kedro --params=data={data},at=2026-02-01T00:00Z",
        "repr(catalog.load('predictions'))",
        "catalog.load('predictions').to_pandas(devices=['pump-01'])['device'].unique().tolist()",
        "%load_node score_windows",
        "sorted(pipelines)",
        "context.params['score']['recalibrate']",
        "sorted(session.run(pipeline_names=['monitor']))",
    ):
        result = shell.run_cell(line)
        result.raise_error()
        found.append(result.result)
print(json.dumps(found))
"""


def test_a_notebook_loads_the_project_with_kedros_magic(fleet):
    (_, _, table, devices, _, pipelines, setting, made) = program(NOTEBOOK.format(data=fleet.folder))
    assert f"{fleet.folder}/07_model_output/predictions" in table
    assert "to_pandas" in table
    assert devices == ["pump-01"]
    assert {"__default__", "score", "evaluate"} <= {*pipelines}
    assert (setting, made) == ("daily", ["drift"])


def test_the_configuration_that_kedro_package_writes_is_read(fleet, tmp_path):
    """As `kedro package` packs it: `conf` without `local`."""
    archive = tmp_path / "conf-batch_scoring.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(
            PROJECT / "conf",
            "conf",
            filter=lambda one: None if one.name.endswith(".yml") and "/local" in one.name else one,
        )
    said = fleet.kedro(
        *("run", "--conf-source", str(archive), "--pipelines=score"),
        *("--params", f"data={fleet.folder},{fleet.params}"),
    )
    assert "score: 0 windows scored" in said
