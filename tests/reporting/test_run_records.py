"""What runs have recorded is read back, newest first, and does not pile up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.processes import host, process
from batch_scoring.reporting import run_records
from batch_scoring.reporting.run_records import FAILED, RunRecord, read_records, write_record
from batch_scoring.storage import open_folder

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    return open_folder(str(tmp_path))


def record(hour, **more):
    return RunRecord(START + timedelta(hours=hour), host=host(), process=process(), **more)


def test_a_record_at_the_end_replaces_that_of_the_start(folder):
    write_record(folder, record(1))
    ended = record(
        1,
        pipelines=("ingest", "score"),
        state=FAILED,
        ended=START + timedelta(hours=1, seconds=7),
        step_seconds={"ingest": 6.5},
        failed_step="score",
        reason="the disk is full",
    )
    write_record(folder, ended)
    (found,) = read_records(folder)
    assert found == RunRecord(**(vars(ended) | {"pipelines": ["ingest", "score"]}))
    assert found.seconds == 7


def test_the_newest_are_kept_and_read_first(folder, monkeypatch):
    monkeypatch.setattr(run_records, "KEPT", 3)
    for hour in range(5):
        write_record(folder, record(hour))
    assert [one.began.hour for one in read_records(folder)] == [14, 13, 12]
    assert [one.began.hour for one in read_records(folder, 1)] == [14]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"began": "yesterday", "ended": null}',
        *(
            json.dumps(values)
            for other in (
                {"began": None},
                {"ended": 7},
                {"pipelines": None},
                {"step_seconds": []},
                {"step_seconds": {"score": "long"}},
                {"of_a_later_version": 1},
            )
            for values in [{**vars(record(2)), "began": START.isoformat()} | other]
        ),
    ],
    # The text has this machine's name in it, and a process.
    ids=[
        "half",
        "list",
        "empty",
        "yesterday",
        "no begin",
        "end",
        "no pipelines",
        "list of steps",
        "text for seconds",
        "new field",
    ],
)
def test_what_cannot_be_read_is_left_out(folder, tmp_path, text):
    write_record(folder, record(1))
    (tmp_path / run_records.FOLDER / "2.json").write_text(text)
    assert [one.began.hour for one in read_records(folder)] == [11]


def test_a_run_whose_process_is_gone_was_killed():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    gone = RunRecord(START, host=host(), process=f"{child.pid} gone")
    assert gone.seen_now() == "killed"
    assert record(0).seen_now() == "running"
    assert RunRecord(START, host="another machine", process=f"{os.getpid()} x").seen_now() == "running"
    assert RunRecord(START, state=FAILED, host=host(), process="1 gone").seen_now() == "failed"
