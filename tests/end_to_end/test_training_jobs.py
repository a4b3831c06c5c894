"""Training as jobs, registered once, is `kedro run --pipelines=train`: the same versions and decisions."""

import json
import shutil

import pytest

from batch_scoring.jobs.records import Records
from batch_scoring.registry.published import list_published, read_manifest

pytestmark = pytest.mark.slow

TRAIN = "train.fit.max_train_windows=200"
AT, LATER, LATEST = "2026-02-01T00:00Z", "2026-02-08T00:00Z", "2026-02-15T00:00Z"
LABELS = (
    "device,sensor,start,end\n"
    "pump-01,vibration,2026-01-06T12:00Z,2026-01-06T15:00Z\n"
    "pump-01,temperature,2026-01-06T20:00Z,2026-01-06T21:00Z\n"
)
STATUS = "07_model_output/status/train"
RUN = "train-20260201t000000z"


@pytest.fixture
def workspaces(small_fleet, tmp_path, no_tracking_uri, monkeypatch):
    """The same fleet twice: to train in one run, and as jobs."""
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
    windows = small_fleet("windows").workspace
    return [windows.copy_to(tmp_path / name) for name in ("run", "jobs")]


def submit(workspace, at=AT, params=TRAIN, expect=0, pipeline="train"):
    return workspace.kedro(
        *("jobs", "submit", "--pipeline", pipeline, "--data", str(workspace.folder), "--at", at),
        *("--params", params),
        expect=expect,
    )


def champions(workspace):
    """What is scored of each sensor, without what only MLflow could make the same."""
    root = workspace.folder / "06_models/published"
    found = [read_manifest(str(root), sensor) for sensor in list_published(str(root))]
    return {
        one.sensor: (one.version, one.sha256, one.contents_sha256, one.fingerprint, one.n_models)
        for one in found
    }


def versions(workspace):
    """The versions, and what became of each."""
    told = json.loads(workspace.kedro("models", "list", "--data", str(workspace.folder), "--json"))
    return [{name: value for name, value in one.items() if name != "run"} for one in told]


def test_jobs_make_the_versions_that_one_run_makes_generation_after_generation(workspaces):
    run, jobs = workspaces
    strict = f"{TRAIN},train.share=0.5,train.promotion.min_rank_stability=1,train.promotion.min_windows=1"
    later = f"{TRAIN},train.share=0.6"
    said = []
    for at, params, sensors in ((AT, TRAIN, 1), (LATER, strict, 1), (LATEST, later, 2), (LATEST, later, 2)):
        run.run("train", f"{params},at={at}")
        said.append(submit(jobs, at, f"{params},jobs.sharding.sensors_per_job={sensors}"))
        assert champions(jobs) == champions(run)
        assert jobs.rows(STATUS) == run.rows(STATUS)
    assert ["refused" in output for output in said] == [False, True, False, False]
    assert "0 sensors registered, of 2 with new models" in said[-1]
    assert {sensor: champion[0] for sensor, champion in champions(jobs).items()} == {
        "temperature": "3", "vibration": "3",
    }  # fmt: skip
    assert len(versions(jobs)) == 6
    assert versions(jobs) == versions(run)

    # What a job stages needs no MLflow; only the writer at the end opens it.
    for log in (jobs.folder / "09_jobs").rglob("*.log"):
        assert "version" not in log.read_text()
    shutil.rmtree(jobs.folder / "06_models")
    spec = Records(str(jobs.folder)).plan(RUN)[0]
    jobs.run("train", f"{spec.params(str(jobs.folder))},{TRAIN}")
    assert not (jobs.folder / "06_models").exists()


def test_a_sensor_whose_job_failed_is_told_and_the_others_are_registered(workspaces):
    _, jobs = workspaces
    shutil.rmtree(jobs.folder / "03_primary/windows")
    for sensor in ("temperature", "vibration"):  # each in files of its own
        jobs.run("aggregate", f"sensor={sensor}")
    day = max((jobs.folder / "03_primary/windows").rglob("rows-*"), key=lambda path: path.stat().st_mtime_ns)
    whole = day.read_bytes()
    day.write_bytes(whole[:-100])
    output = submit(jobs, params=f"{TRAIN},jobs.retries=0", expect=1)
    assert "/vibration-" in output
    assert "1 sensor registered, of 1 with new models" in output
    assert champions(jobs).keys() == {"temperature"}
    day.write_bytes(whole)
    output = jobs.kedro("jobs", "retry", "last", "--data", str(jobs.folder))
    assert "1 job run again on local" in output
    assert champions(jobs).keys() == {"temperature", "vibration"}
    record = next(one for one in Records(str(jobs.folder)).all_records(RUN).values() if "vib" in one.name)
    assert record.attempt == 2
    assert record.counts["devices"] == 4
    assert record.seconds.keys() == {"start", "read", "fit", "write"}


def test_an_evaluation_in_jobs_has_the_figures_of_one_run(trained, tmp_path, no_tracking_uri, monkeypatch):
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
    run = trained.copy_to(tmp_path / "run")
    (run.folder / "01_raw/labels.csv").write_text(LABELS)
    run.run("score")
    jobs = run.copy_to(tmp_path / "jobs")
    params = "evaluate.bootstrap=50,evaluate.baselines=[robust_z,random]"
    said = submit(jobs, pipeline="evaluate", params=params)
    assert "2 jobs, 2 new" in said
    run.run("evaluate", params)
    evaluation = "08_reporting/evaluation"
    assert jobs.files(evaluation) == run.files(evaluation)
    # Results of other labels are not summed up with these.
    (jobs.folder / "01_raw/labels.csv").write_text(LABELS.replace("15:00", "16:00"))
    name = "evaluate-20260201t000000z"
    again = ("jobs", "register", name, "--data", str(jobs.folder))
    assert "was evaluated with other settings or labels" in jobs.kedro(*again, expect=1)
    (jobs.folder / "01_raw/labels.csv").write_text(LABELS)
    assert "the same as MLflow run" in jobs.kedro(*again)
