import logging
from datetime import timedelta
from functools import partial

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends import open_backend
from batch_scoring.jobs.backends.batch_ai.settings import FileServerSettings
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import NodeCounts, State
from tests.at_once import at_once
from tests.jobs.backends.batch_ai.stand_in import LOGS, RUN, specs, wait
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take


def methods(stand_in, part):
    """The requests to paths that end so."""
    return [one.method for one in stand_in.server.recorder.exchanges if one.path.endswith(part)]


def test_a_run_goes_from_no_node_to_its_jobs_and_back_to_none(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    assert backend.nodes() == NodeCounts()
    assert backend.submit(RUN, specs(3)) == 3
    ended = wait(backend)
    assert {one.state for one in ended.values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == [spec.name for spec in specs(3)]
    (cluster,) = stand_in.service.clusters.values()
    assert 1 <= cluster.most <= 4
    wait_for(lambda: backend.nodes() == NodeCounts())


def test_there_are_never_more_nodes_than_the_cluster_may_have(stand_in):
    backend = stand_in.backend(how="slow", cluster={"max_nodes": 2})
    backend.ensure()
    backend.submit(RUN, specs(6))
    wait(backend)
    (cluster,) = stand_in.service.clusters.values()
    assert cluster.most == 2


def test_a_status_tells_when_and_how_a_job_went(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(1))
    (one,) = wait(backend).values()
    assert one.created <= one.started <= one.ended <= one.changed
    assert (one.exit_code, one.reason) == (0, "")


def test_only_what_has_changed_is_told_when_that_is_asked(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(2))
    newest = max(one.changed for one in wait(backend).values())
    assert [one.changed for one in backend.statuses(RUN, newest)] == [newest]
    assert backend.statuses(RUN, newest + timedelta(seconds=1)) == []


def test_a_run_that_is_not_there_has_no_jobs(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    assert backend.statuses("score-20200101t000000z") == []
    assert backend.log("score-20200101t000000z", "x") is None


def test_the_same_run_again_changes_nothing_and_creates_nothing(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(3))
    wait(backend)
    before = methods(stand_in, "").count("PUT")
    stand_in.backend().ensure()
    assert stand_in.backend().submit(RUN, specs(3)) == 0
    assert methods(stand_in, "").count("PUT") == before
    assert len(stand_in.lines("begun")) == 3


def test_a_run_whose_scheduler_was_killed_half_way_gets_the_jobs_that_it_lacks(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(2))
    assert stand_in.backend().submit(RUN, specs(5)) == 3
    wait(backend)
    assert sorted(stand_in.lines("begun")) == [spec.name for spec in specs(5)]


@pytest.mark.slow
def test_two_schedulers_at_once_make_one_set_of_jobs(stand_in, trials):
    runs = [f"score-202611{day:02d}t{hour:02d}0000z" for day in (1, 2, 3) for hour in range(24)][:trials]

    def schedule(run):
        backend = stand_in.backend()
        backend.ensure()
        return backend.submit(run, specs(3, run))

    assert sum(sum(at_once(partial(schedule, run))) for run in runs) == trials * 3
    for run in runs:
        assert len(wait(stand_in.backend(), run)) == 3
    # Of each name the first job has scored it, all later hours find that.
    assert sorted(stand_in.lines("scorings")) == [spec.name for spec in specs(3)]
    assert len(stand_in.service.runs) == trials * 3
    assert all(run.starts == 1 for run in stand_in.service.runs.values())


def test_submitting_takes_one_call_a_job_and_looking_one_a_thousand(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(20))
    jobs = f"/experiments/{RUN}/jobs"
    puts = [e for e in stand_in.server.recorder.exchanges if f"{jobs}/" in e.path and e.method == "PUT"]
    assert len(puts) == 20
    wait(backend)
    before = stand_in.server.requests
    backend.statuses(RUN)
    assert stand_in.server.requests == before + 1


def test_a_run_of_several_pages_is_listed_whole(make):
    stand_in = make(page=3)
    backend = stand_in.backend()
    backend.ensure()
    assert backend.submit(RUN, specs(8)) == 8
    assert len(wait(backend)) == 8


def test_a_job_that_fails_once_is_tried_again_and_succeeds(stand_in):
    backend = stand_in.backend(how="fail once", jobs={"retries": 1})
    backend.ensure()
    backend.submit(RUN, specs(2))
    assert {one.state for one in wait(backend).values()} == {State.SUCCEEDED}
    assert len(stand_in.lines("begun")) == 4
    assert len(stand_in.lines("scorings")) == 2


def test_a_job_that_fails_always_has_failed_with_its_own_reason(stand_in):
    backend = stand_in.backend(how="fail", jobs={"retries": 2})
    backend.ensure()
    first, second = specs(2)
    record = JobRecord(RUN, first.name, State.FAILED, 3, exit_code=1, reason="sensor s0 has no model")
    Records(str(stand_in.data)).write_record(record)
    backend.submit(RUN, [first, second])
    ended = wait(backend)
    assert [(one.state, one.exit_code) for one in ended.values()] == [(State.FAILED, 1)] * 2
    assert ended[first.name].reason == "sensor s0 has no model"
    assert ended[second.name].reason == "ended with exit code 1"
    assert len(stand_in.lines("begun")) == 6
    assert "Error: sensor has no published model" in backend.log(RUN, first.name)


def test_a_person_may_have_it_run_again_and_two_at_once_make_one_attempt(stand_in):
    backend = stand_in.backend(how="fail")
    backend.ensure()
    backend.submit(RUN, specs(2))
    wait(backend)
    mended = stand_in.backend()
    at_once(lambda: mended.retry(RUN, specs(1)))
    wait_for(lambda: mended.statuses(RUN)[0].state is State.SUCCEEDED)
    first, second = mended.statuses(RUN)
    assert (first.state, second.state) == (State.SUCCEEDED, State.FAILED)
    assert stand_in.lines("begun").count(first.name) == 2
    assert "Error" not in mended.log(RUN, first.name)


def test_a_job_that_goes_on_is_not_run_again(stand_in):
    backend = stand_in.backend(how="slow")
    backend.ensure()
    backend.submit(RUN, specs(1))
    backend.retry(RUN, specs(1))
    wait(backend)
    assert len(stand_in.lines("begun")) == 1


def test_jobs_that_are_told_to_end_have_been_cancelled(make):
    stand_in = make()
    backend = stand_in.backend(how="slow", cluster={"max_nodes": 1})
    backend.ensure()
    names = [spec.name for spec in specs(3)]
    backend.submit(RUN, specs(3))
    wait_for(lambda: State.RUNNING in {one.state for one in backend.statuses(RUN)})
    backend.cancel(RUN, [*names[1:], "not-there"])
    ended = wait(backend)
    cancelled = {name for name, one in ended.items() if one.state is State.CANCELLED}
    assert cancelled == set(names[1:])
    backend.cancel(RUN, names)
    assert len(stand_in.lines("scorings")) == 1


def test_a_run_that_was_deleted_is_not_there(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(2))
    wait(backend)
    backend.delete(RUN)
    assert backend.statuses(RUN) == []
    backend.delete(RUN)


def test_new_limits_reach_a_cluster_that_is_there(stand_in):
    stand_in.backend().ensure()
    stand_in.backend(cluster={"max_nodes": 7, "min_nodes": 1}).ensure()
    stand_in.backend(cluster={"max_nodes": 7, "min_nodes": 1}).ensure()
    assert methods(stand_in, "/clusters/scoring").count("PATCH") == 1
    wait_for(lambda: stand_in.backend().nodes().idle == 1)


def test_nodes_that_stay_stay(stand_in):
    backend = stand_in.backend(cluster={"scale": "manual", "max_nodes": 2})
    backend.ensure()
    wait_for(lambda: backend.nodes() == NodeCounts(idle=2))


def test_secrets_come_from_the_vault_and_to_the_job_only(stand_in, caplog):
    with caplog.at_level(logging.DEBUG):
        backend = stand_in.backend(how="secret", secrets={"TOKEN": "token"})
        backend.ensure()
        backend.submit(RUN, specs(1))
        (one,) = wait(backend).values()
        backend.log(RUN, one.name)
    assert one.state is State.SUCCEEDED
    for secret in (stand_in.storage.key, "hush", "sig="):
        assert secret not in caplog.text
        assert not any(secret in str(e.request_body) for e in stand_in.server.recorder.exchanges)


def test_a_job_finds_its_mounts_its_folders_and_its_data(stand_in):
    nfs = {"kind": "nfs", "path": "fleet", "source": "10.0.0.4:/fleet", "of": "job"}
    own = {"kind": "file_server", "path": "own"}
    backend = stand_in.backend(
        mounts=[LOGS, nfs, own],
        file_server=FileServerSettings(name="nfs"),
        data="$AZ_BATCHAI_JOB_MOUNT_ROOT/fleet",
        outputs={"TABLES": "$AZ_BATCHAI_MOUNT_ROOT/own"},
        preparation='mkdir -p "$AZ_BATCHAI_JOB_MOUNT_ROOT/fleet/scored" && echo prepared && '
        'touch "$AZ_BATCHAI_OUTPUT_TABLES/there"',
    )
    backend.ensure()
    backend.submit(RUN, specs(1))
    (one,) = wait(backend).values()
    assert one.state is State.SUCCEEDED
    assert "prepared" in backend.log(RUN, one.name)
    (scored,) = stand_in.storage.folder.glob("unmanaged/*/scored/*")
    assert scored.name == one.name
    assert len(list(stand_in.storage.folder.glob("file-servers/**/there"))) == 1


def test_without_a_cluster_there_are_no_nodes_and_without_a_workspace_no_jobs(stand_in):
    backend = stand_in.backend(cluster={"scale": "manual", "max_nodes": 1})
    backend.ensure()
    wait_for(lambda: backend.nodes().idle == 1)
    client, place = backend._client, ("rg", "batch-scoring")
    client.clusters.begin_delete(*place, "scoring").wait()
    assert backend.nodes() == NodeCounts()
    client.workspaces.begin_delete(*place).wait()
    assert backend.statuses(RUN) == []


def test_data_of_this_machine_is_not_on_the_nodes(stand_in):
    with pytest.raises(InputError, match=r"this folder is not on the nodes; set jobs.batch_ai.data"):
        stand_in.backend(data=None)


def test_the_settings_choose_the_engine(tmp_path):
    with pytest.raises(InputError, match=r"jobs.batch_ai.subscription: this setting is missing"):
        open_backend("batch_ai", str(tmp_path), None, JobsParameters(), tmp_path)


@pytest.mark.slow
@pytest.mark.azurite
def test_what_jobs_print_lies_in_the_container(make, azurite, tmp_path):
    from azure.storage.blob import ContainerClient

    from tests.emulators.batch_ai import AzuriteStorage

    name = azurite.make_container()
    storage = AzuriteStorage(azurite, tmp_path / "storage")
    stand_in = make(storage=storage)
    backend = stand_in.backend(mounts=[LOGS | {"container": name}])
    backend.ensure()
    backend.submit(RUN, specs(2))
    wait(backend)
    assert f"scoring {specs(1)[0].name}" in backend.log(RUN, specs(1)[0].name)
    container = ContainerClient.from_connection_string(azurite.connection_string(), name)
    blobs = [blob.rpartition("/")[2] for blob in container.list_blob_names()]
    assert sorted(blobs) == sorted(["stdout.txt", "stderr.txt", "execution.log"] * 2)
